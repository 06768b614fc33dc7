"""Fetching: sends the planned requests to a source, with retries and bounded concurrency; every request gets an answer."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import groupby
from typing import TYPE_CHECKING, cast

from market_rotation.tasks.datasets import DATASETS
from market_rotation.tasks.errors import RotationError, SourceUnavailable
from market_rotation.tasks.retries import retrying
from market_rotation.tasks.sources.fallback import Health, Ordered

if TYPE_CHECKING:
    import pandas as pd

    from market_rotation.tasks.settings import Settings
    from market_rotation.tasks.sources.base import Source

log = logging.getLogger("rotation.fetch")

#: Symbols per batch: as a task it costs Prefect about 5 ms, so a task per symbol would be too slow for thousands.
BATCH_SIZE = 4
#: Batches fetched in parallel. More would gain little, and free vendors limit the request rate.
CONCURRENCY = 8


@dataclass(frozen=True)
class Request:
    """A request for a dataset of one symbol, from session to session, both included; for a snapshot only the end matters.

    `is_full_history`: everything, not just what is missing. `known_source`: the source of the symbol's newest rows, which stays its source
    until it fails; None where none is known or the source does not matter.
    """

    dataset: str
    symbol: str
    start_session: date
    end_session: date
    is_full_history: bool = False
    known_source: str | None = None


@dataclass(frozen=True)
class Answer:
    """The outcome of a request: a frame, or a message that says why there is none. `is_unavailable`: a later retry may help.

    `source`: which of several sources gave the frame; None where there is only one.
    """

    request: Request
    frame: pd.DataFrame | None
    error: str | None
    is_unavailable: bool = False
    source: str | None = None


@dataclass(frozen=True)
class RetryPolicy:
    """How often and how long a symbol is requested. After `deadline`, a moment on `clock`, nothing more is requested.

    `health`: how the source has answered so far, by dataset; where there are several sources, each has its own.
    """

    attempts: int
    wait_s: float
    deadline: float
    clock: Callable[[], float] = time.monotonic
    health: Mapping[str, Health] = field(default_factory=lambda: {name: Health() for name in DATASETS}, compare=False)

    @classmethod
    def from_settings(cls, settings: Settings, clock: Callable[[], float] = time.monotonic) -> RetryPolicy:
        return cls(settings.fetch_attempts, settings.fetch_wait_s, clock() + settings.fetch_deadline_s, clock)

    @property
    def remaining_s(self) -> float:
        return self.deadline - self.clock()


def batches(requests: Sequence[Request]) -> list[list[Request]]:
    """The requests in groups of up to `BATCH_SIZE`, each of one dataset."""
    groups = [list(group) for _, group in groupby(requests, key=lambda request: request.dataset)]
    return [group[i : i + BATCH_SIZE] for group in groups for i in range(0, len(group), BATCH_SIZE)]


def fetch_all(source: Source, requests: Sequence[Request], policy: RetryPolicy) -> list[Answer]:
    """One answer for each request, fetched in parallel batches. A vendor's failure is part of the answer and is not raised."""
    log_start(requests)
    with ThreadPoolExecutor(CONCURRENCY, "fetch") as pool:
        # In the caller's context, so that in a flow run the lines of the log reach its page.
        done = [pool.submit(copy_context().run, fetch_batch, source, each, policy) for each in batches(requests)]
        return [answer for future in done for answer in future.result()]


def log_start(requests: Sequence[Request]) -> None:
    """Logs which datasets are requested, with the number of requests for a progress bar; nothing when there are none."""
    if requests:
        datasets = ", ".join(dict.fromkeys(request.dataset.replace("_", " ") for request in requests))
        log.info("Fetching %s", datasets, extra={"total": len(requests)})


def fetch_batch(source: Source, requests: Sequence[Request], policy: RetryPolicy) -> list[Answer]:
    """One answer for each request, in their order, one after the other."""
    return [fetch_symbol(source, request, policy) for request in requests]


def fetch_symbol(source: Source, request: Request, policy: RetryPolicy) -> Answer:
    """Retries until there is an answer, the error says that a retry is useless, or the retry policy ends it.

    A source that gave nothing yet and was unavailable for several symbols is not requested for some time: without a network each symbol would wait
    for its own retries. Of several sources, each is requested in turn until one gives the rows that are due.
    """
    if policy.remaining_s <= 0:
        return _failed(
            request,
            f"{request.symbol}: not requested, since the time limit for fetching was reached; the next run requests it.",
        )
    if isinstance(source, Ordered):
        return fetch_in_turn(source, request, policy)
    health = policy.health[request.dataset]
    # An outage later on costs the symbols that it hits: to leave out all that follow would end a long backfill.
    if health.is_down(policy.clock()) and not health.has_answered:
        reason = f"not requested, since {source.name} was unavailable for the symbols before it"
        return _failed(request, f"{request.symbol}: {reason}: {health.reason}", is_unavailable=True)
    try:
        frame = _with_retries(source, request, policy)
    except RotationError as error:
        if is_unavailable := isinstance(error, SourceUnavailable):
            health.failed(str(error), policy.clock())
        return _failed(request, str(error), is_unavailable)
    health.succeeded()
    return _given(Answer(request, frame, None))


def fetch_in_turn(sources: Ordered, request: Request, policy: RetryPolicy) -> Answer:
    """The answer of the first candidate that gives the rows that are due; else the first frame given; else every source's own reason."""
    errors: dict[str, RotationError] = {}
    lacking: Answer | None = None
    for source, health in sources.candidates(request.dataset, request.symbol, request.known_source):
        if health.is_down(policy.clock()):
            errors[source.name] = SourceUnavailable(
                f"Not requested, since it was unavailable for the symbols before this one: {health.reason}"
            )
            continue
        if policy.remaining_s <= 0:
            errors[source.name] = SourceUnavailable("Not requested, since the time limit for fetching was reached.")
            break
        try:
            frame = _with_retries(source, request, replace(policy, attempts=health.attempts(policy.attempts)))
        except RotationError as error:
            errors[source.name] = error
            if isinstance(error, SourceUnavailable):
                health.failed(str(error), policy.clock())
            continue
        health.succeeded()
        answer = Answer(request, frame, None, source=source.name)
        if not (lack := lacks(request, frame)):
            return _given(answer)
        log.debug("%s: %s gave %s", request.symbol, source.name, lack)
        lacking = lacking or answer
    if lacking:
        # The audit judges it, as it does where there is only one source.
        return _given(lacking)
    reasons = " ".join(f"{name}: {error}" for name, error in errors.items())
    return _failed(
        request,
        f"No source gave {request.dataset.replace('_', ' ')} of {request.symbol}. {reasons}",
        any(isinstance(error, SourceUnavailable) for error in errors.values()),
    )


def lacks(request: Request, frame: pd.DataFrame) -> str | None:
    """Why `frame` is not a full answer to `request`, so that the next source is requested; None where it is one."""
    if frame.empty:
        return "no rows"
    if request.dataset != "prices":
        return None
    days, end = frame["session"], str(request.end_session)
    if days.duplicated().any():
        return "two bars of one session"
    if (days > end).any():
        return f"a bar after {end}"
    return None if frame.loc[days == end, "close"].notna().any() else f"no close of {end}"


def merged(answers: Sequence[Answer], later: Sequence[Answer]) -> list[Answer]:
    """All answers; a later answer replaces an earlier one for the same dataset and symbol."""
    return list({(answer.request.dataset, answer.request.symbol): answer for answer in [*answers, *later]}.values())


def _given(answer: Answer) -> Answer:
    log.info("Fetched %s of %s", answer.request.dataset, answer.request.symbol, extra={"advance": 1})
    return answer


def _with_retries(source: Source, request: Request, policy: RetryPolicy) -> pd.DataFrame:
    attempts = retrying(
        SourceUnavailable,
        attempts=policy.attempts,
        timeout_s=policy.remaining_s,
        wait_initial_s=policy.wait_s,
        wait_jitter_s=policy.wait_s,
        wait_max_s=30.0,
    )
    for attempt in attempts:
        with attempt:
            frame = _asked(source, request)
            if frame.empty and DATASETS[request.dataset].is_never_empty:
                what = f"{request.dataset.replace('_', ' ')} of {request.symbol}"
                raise RotationError(f"{source.name} gave no {what}: its answer has no rows; the next run requests it.")
            return frame
    raise AssertionError("stamina ends with a result or an exception")


def _asked(source: Source, request: Request) -> pd.DataFrame:
    method = getattr(source, request.dataset)
    if DATASETS[request.dataset].is_range:
        return cast("pd.DataFrame", method(request.symbol, request.start_session, request.end_session))
    return cast("pd.DataFrame", method(request.symbol, request.end_session))


def _failed(request: Request, error: str, is_unavailable: bool = False) -> Answer:
    log.info("No %s of %s", request.dataset, request.symbol, extra={"advance": 1})
    return Answer(request, None, error, is_unavailable)
