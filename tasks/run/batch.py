"""Batches of a run's requests that other processes fetch into the cache: how they are cut, fetched, and waited for. No warehouse is opened."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

from market_rotation.tasks import calendar
from market_rotation.tasks.datasets import DATASETS, offers
from market_rotation.tasks.run.fetch import Answer, Request, RetryPolicy, fetch_all
from market_rotation.tasks.sources import cache
from market_rotation.tasks.sources.base import open_source, source_class
from market_rotation.tasks.universe import load_universe

if TYPE_CHECKING:
    from market_rotation.tasks.settings import Settings
    from market_rotation.tasks.sources.pace import Paces

#: Seconds within which a worker takes the first batch, where there is one that has nothing else to do.
PICK_UP_S = 60.0
#: Seconds without progress, beside the time-out of one request, after which nothing more is expected.
STALL_S = 60.0
#: Seconds for which the server may be silent, as while it restarts.
SILENT_S = 20.0
#: Seconds between two looks at the batches.
LOOK_S = 1.0


def in_batches(requests: Sequence[Request], symbols: int) -> list[list[Request]]:
    """The requests in batches of up to `symbols` symbols, all requests of a symbol in the same one."""
    by_symbol: dict[str, list[Request]] = {}
    for request in requests:
        by_symbol.setdefault(request.symbol, []).append(request)
    groups = list(by_symbol.values())
    return [[request for group in groups[i : i + symbols] for request in group] for i in range(0, len(groups), symbols)]


def missing(settings: Settings, requests: Sequence[Request], now: datetime) -> list[Request]:
    """The requests of a run of `now` whose answers are not in the cache; none where no source's answers are cached."""
    if all(getattr(source_class(name), "is_local", False) for name in settings.sources):
        return []
    kept = cache.kept(settings.cache, now)
    return [request for request in requests if _file_name(request) not in kept]


def _file_name(request: Request) -> str:
    days = (request.start_session,) if DATASETS[request.dataset].is_range else ()
    return cache.file_name(request.dataset, request.symbol, *days, request.end_session)


def fetch_into_cache(
    settings: Settings, requests: Sequence[Request], closures: Collection[date], now: datetime, paces: Paces
) -> list[Answer]:
    """One answer for each request, as a run of `now` gets it, with the calendar less `closures`; the frames are in the cache.

    Raises `ConfigError` for a setting that must be corrected first.
    """
    universe = load_universe(settings.universe)
    days = calendar.load(universe.first_day(settings.history_start), now.date(), frozenset(closures))
    source = open_source(settings, days, universe, now, paces)
    # Several sources as one learn here which of them has what.
    offers(source, universe.instruments)
    return fetch_all(source, requests, RetryPolicy.from_settings(settings))


@dataclass(frozen=True)
class Seen:
    """What a look at the batches showed: how many there are, a worker has taken, and have ended; and how many answers are in the cache.

    `is_known`: False where the server did not answer; then only `answers` is of this look.
    """

    batches: int
    taken: int
    ended: int
    answers: int
    is_known: bool = True


def wait(
    wanted: int,
    look: Callable[[Seen | None], Seen],
    show: Callable[[Seen], None],
    timeout_s: float,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> str:
    """Waits for `wanted` answers as long as there is progress; returns why the wait is over, in a clause.

    Progress is a batch that is taken or ends, or a new answer. The state of the batches alone does not show it: a worker that was killed
    with its process leaves its batch `Running` for minutes. `look` gets what was seen before; `timeout_s` is that of one request.
    """
    seen = look(None)
    show(seen)
    moved_at = heard_at = clock()
    while True:
        if seen.answers >= wanted:
            return "all answers are there"
        if seen.is_known and seen.ended == seen.batches:
            return "all batches have ended"
        if clock() - heard_at > SILENT_S:
            return f"Prefect's server has not answered for {SILENT_S:.0f} s"
        if not seen.taken and not seen.answers and clock() - moved_at > PICK_UP_S:
            return f"no worker took a batch within {PICK_UP_S:.0f} s"
        if clock() - moved_at > STALL_S + timeout_s:
            return f"no new answer came within {STALL_S + timeout_s:.0f} s"
        sleep(LOOK_S)
        before, seen = seen, look(seen)
        if seen.is_known:
            heard_at = clock()
        if (seen.taken, seen.ended, seen.answers) != (before.taken, before.ended, before.answers):
            moved_at = clock()
            show(seen)


def looked_at(states: Mapping[str, str] | None, answers: int, batches: int, before: Seen | None) -> Seen:
    """What is seen of `batches` batches with these types of state; None: the server did not answer."""
    if states is None:
        return Seen(batches, before.taken if before else 0, before.ended if before else 0, answers, False)
    ended = sum(state in ENDED for state in states.values())
    # A worker that takes a batch sets it to Pending; its process, which needs many seconds to start on a small machine, sets it to Running.
    taken = sum(state != "SCHEDULED" for state in states.values())
    return Seen(batches, taken, ended, answers)


#: Prefect's types of state after which a flow run stays as it is.
ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
