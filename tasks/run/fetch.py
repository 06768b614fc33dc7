"""Fetching: sends the planned requests to a source, with retries and bounded concurrency; every request gets an answer."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import TYPE_CHECKING, cast

from market_rotation.tasks.datasets import DATASETS
from market_rotation.tasks.errors import RotationError, SourceUnavailable
from market_rotation.tasks.retries import retrying

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

    `is_full_history`: everything, not just what is missing.
    """

    dataset: str
    symbol: str
    start_session: date
    end_session: date
    is_full_history: bool = False


@dataclass(frozen=True)
class Answer:
    """The outcome of a request: a frame, or a message that says why there is none. `is_unavailable`: a later retry may help."""

    request: Request
    frame: pd.DataFrame | None
    error: str | None
    is_unavailable: bool = False


@dataclass(frozen=True)
class RetryPolicy:
    """How often and how long a symbol is requested. After `deadline`, a moment on `clock`, nothing more is requested."""

    attempts: int
    wait_s: float
    deadline: float
    clock: Callable[[], float] = time.monotonic

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
        done = pool.map(lambda batch: fetch_batch(source, batch, policy), batches(requests))
        return [answer for answers in done for answer in answers]


def log_start(requests: Sequence[Request]) -> None:
    """Logs which datasets are requested, with the number of requests for a progress bar; nothing when there are none."""
    if requests:
        datasets = ", ".join(dict.fromkeys(request.dataset.replace("_", " ") for request in requests))
        log.info("Fetching %s", datasets, extra={"total": len(requests)})


def fetch_batch(source: Source, requests: Sequence[Request], policy: RetryPolicy) -> list[Answer]:
    """One answer for each request, in their order, one after the other."""
    return [fetch_symbol(source, request, policy) for request in requests]


def fetch_symbol(source: Source, request: Request, policy: RetryPolicy) -> Answer:
    """Retries until there is an answer, the error says that a retry is useless, or the retry policy ends it."""
    if policy.remaining_s <= 0:
        return _failed(
            request,
            f"{request.symbol}: not requested, since the time limit for fetching was reached; the next run requests it.",
        )
    try:
        frame = _with_retries(source, request, policy)
    except RotationError as error:
        return _failed(request, str(error), isinstance(error, SourceUnavailable))
    log.info("Fetched %s of %s", request.dataset, request.symbol, extra={"advance": 1})
    return Answer(request, frame, None)


def merged(answers: Sequence[Answer], later: Sequence[Answer]) -> list[Answer]:
    """All answers; a later answer replaces an earlier one for the same dataset and symbol."""
    return list({(answer.request.dataset, answer.request.symbol): answer for answer in [*answers, *later]}.values())


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
            method = getattr(source, request.dataset)
            if DATASETS[request.dataset].is_range:
                return cast("pd.DataFrame", method(request.symbol, request.start_session, request.end_session))
            return cast("pd.DataFrame", method(request.symbol, request.end_session))
    raise AssertionError("stamina ends with a result or an exception")


def _failed(request: Request, error: str, is_unavailable: bool = False) -> Answer:
    log.info("No %s of %s", request.dataset, request.symbol, extra={"advance": 1})
    return Answer(request, None, error, is_unavailable)
