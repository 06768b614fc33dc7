"""Fetching: asks a source for what is planned, patiently and in bounded parallel, and answers for every symbol."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import TYPE_CHECKING, Any, cast

from market_rotation.tasks.datasets import DATASETS
from market_rotation.tasks.errors import RotationError, SourceUnavailable

if TYPE_CHECKING:
    import pandas as pd

    from market_rotation.tasks.settings import Settings

log = logging.getLogger("rotation.fetch")

#: Symbols per mapped task: a task costs Prefect about 5 ms, so one for each symbol would not carry to thousands.
BATCH_SIZE = 4
#: Batches under way at once. More gains little and looks like an attack to a free vendor.
CONCURRENCY = 8


@dataclass(frozen=True)
class Request:
    """What to ask of one symbol: a dataset, for sessions both ends included; of a snapshot only the end counts.

    `is_full_history`: everything, not just what is missing.
    """

    dataset: str
    symbol: str
    start_session: date
    end_session: date
    is_full_history: bool = False


@dataclass(frozen=True)
class Answer:
    """What came of a request: a price frame, or the sentence that says why there is none, and whether asking later may help."""

    request: Request
    frame: pd.DataFrame | None
    error: str | None
    is_unavailable: bool = False


@dataclass(frozen=True)
class Patience:
    """How long and how often a symbol is asked. `deadline` is a moment on `clock` after which nothing more is asked."""

    attempts: int
    wait_s: float
    deadline: float
    clock: Callable[[], float] = time.monotonic

    @classmethod
    def from_settings(cls, settings: Settings, clock: Callable[[], float] = time.monotonic) -> Patience:
        return cls(settings.fetch_attempts, settings.fetch_wait_s, clock() + settings.fetch_deadline_s, clock)

    @property
    def remaining_s(self) -> float:
        return self.deadline - self.clock()


def batches(requests: Sequence[Request]) -> list[list[Request]]:
    """The requests in groups of up to `BATCH_SIZE`, each of one dataset."""
    groups = [list(group) for _, group in groupby(requests, key=lambda request: request.dataset)]
    return [group[i : i + BATCH_SIZE] for group in groups for i in range(0, len(group), BATCH_SIZE)]


def fetch_batch(source: Any, requests: Sequence[Request], patience: Patience) -> list[Answer]:
    """One answer for each request, in their order. What a vendor does wrong is in the answer; nothing is raised for it."""
    log_retries_quietly()
    return [fetch_symbol(source, request, patience) for request in requests]


def fetch_symbol(source: Any, request: Request, patience: Patience) -> Answer:
    """Asks until there is an answer, the source says that asking again is useless, or patience ends."""
    if patience.remaining_s <= 0:
        return _failed(
            request, f"{request.symbol}: not asked any more, the time for fetching was over; the next run asks again."
        )
    try:
        frame = _asking_again(source, request, patience)
    except RotationError as error:
        return _failed(request, str(error), isinstance(error, SourceUnavailable))
    log.info("Fetched %s of %s", request.dataset, request.symbol, extra={"advance": 1})
    return Answer(request, frame, None)


def _asking_again(source: Any, request: Request, patience: Patience) -> pd.DataFrame:
    import stamina

    retries = stamina.retry_context(
        on=SourceUnavailable,
        attempts=patience.attempts,
        timeout=patience.remaining_s,
        wait_initial=patience.wait_s,
        wait_jitter=patience.wait_s,
        wait_max=30.0,
    )
    for attempt in retries:
        with attempt:
            ask = getattr(source, request.dataset)
            if DATASETS[request.dataset].is_range:
                return cast("pd.DataFrame", ask(request.symbol, request.start_session, request.end_session))
            return cast("pd.DataFrame", ask(request.symbol, request.end_session))
    raise AssertionError("stamina ends with a result or an exception")


def _failed(request: Request, error: str, is_unavailable: bool = False) -> Answer:
    log.info("No %s of %s", request.dataset, request.symbol, extra={"advance": 1})
    return Answer(request, None, error, is_unavailable)


def log_retries_quietly() -> None:
    """stamina would warn of each retry on the console; here it is a detail of a good run."""
    import stamina.instrumentation

    def hook(details: stamina.instrumentation.RetryDetails) -> None:
        log.debug("Asking again in %.1f s: %s", details.wait_for, details.caused_by)

    stamina.instrumentation.set_on_retry_hooks([hook])
