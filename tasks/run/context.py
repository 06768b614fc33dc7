"""The run context: the parameters of a run, and the objects that every step works with."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from market_rotation.tasks import calendar, warehouse
from market_rotation.tasks.datasets import Offer, as_fresh_as_possible, indexes, offers
from market_rotation.tasks.errors import ConfigError, UsageError
from market_rotation.tasks.own import files
from market_rotation.tasks.run import clock as clock_check
from market_rotation.tasks.run import ledger
from market_rotation.tasks.settings import load_settings
from market_rotation.tasks.sources.base import Source, check_sources, open_source
from market_rotation.tasks.sources.pace import Paces, of_this_process
from market_rotation.tasks.sources.simulated.faults import parse_fault
from market_rotation.tasks.universe import load_universe
from market_rotation.tasks.warehouse import closures

if TYPE_CHECKING:
    import duckdb

    from market_rotation.tasks.calendar import Calendar
    from market_rotation.tasks.run.ledger import Run
    from market_rotation.tasks.settings import Settings
    from market_rotation.tasks.universe import Universe


@dataclass(frozen=True)
class Parameters:
    """The parameters of a run. `session`: bring the warehouse up to it, None for the last closed one. `now`: its start, UTC.

    A backfill has a `start`: it requests all bars from `start` to `session` again, of `symbols` or of the whole universe.
    `is_morning`: fund records are due as soon as one session is missing, since issuers publish them overnight.
    """

    now: datetime
    session: date | None = None
    source: str | None = None
    start: date | None = None
    symbols: Sequence[str] = ()
    is_morning: bool = False
    flow_run_id: str | None = None


@dataclass(frozen=True)
class Backfill:
    """The bars to request again although they are known: those of `symbols` from `start` to `end`, both included."""

    start: date
    end: date
    symbols: tuple[str, ...]


@dataclass(frozen=True)
class Resolved:
    """Parameters resolved against settings, universe and calendar."""

    settings: Settings
    universe: Universe
    calendar: Calendar
    session: date
    backfill: Backfill | None = None


@dataclass(frozen=True)
class RunContext:
    """The objects that every step of a run works with. `clock` gives the time, UTC; no step reads another clock.

    `indexes` are the symbols of the universe's indexes that the source has.
    """

    resolved: Resolved
    con: duckdb.DuckDBPyConnection
    run: Run
    source: Source
    offers: tuple[Offer, ...]
    indexes: frozenset[str]
    clock: Callable[[], datetime] = field(repr=False)

    @property
    def settings(self) -> Settings:
        return self.resolved.settings

    @property
    def universe(self) -> Universe:
        return self.resolved.universe

    @property
    def calendar(self) -> Calendar:
        return self.resolved.calendar

    @property
    def session(self) -> date:
        return self.resolved.session


def resolve(parameters: Parameters) -> Resolved:
    """Settings, universe, calendar and session of a run.

    Raises `ConfigError` for a setting or file that must be corrected first, `UsageError` for a wrong parameter.
    """
    settings = load_settings(source=parameters.source)
    universe = load_universe(settings.universe)
    check_sources(settings, universe)
    files.check_names(settings.home)
    if settings.fault:
        parse_fault(settings.fault, universe)
    if settings.history_start >= parameters.now.date():
        raise ConfigError(
            f"ROTATION_HISTORY_START={settings.history_start} is not before today, {parameters.now.date()}; choose an earlier day, "
            "or correct the clock of this machine."
        )
    days = calendar.load(universe.first_day(settings.history_start), parameters.now.date())
    return _resolved(Resolved(settings, universe, days, settings.history_start), parameters)


def _resolved(resolved: Resolved, parameters: Parameters) -> Resolved:
    """`resolved` with the session, and the range of a backfill, that its calendar and `parameters` give."""
    days, wanted = resolved.calendar, parameters.session
    if wanted and parameters.start and not days.is_session(wanted):
        # A backfill is of a range of days, so its end need not be a session.
        wanted = days.latest_on_or_before(wanted)
    resolved = replace(resolved, session=_session(wanted, days, resolved.settings, parameters.now))
    if parameters.start is None:
        return resolved
    return _with_backfill(resolved, parameters.start, parameters.symbols)


@contextmanager
def writing_alone(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """The build database with all that is published, while no other process of this machine or another one publishes.

    Raises `WarehouseBusy` when another one keeps writing, `RotationError` when the build database or the lake cannot be opened.
    """
    readers = warehouse.engine(settings.published)
    with readers.alone(settings.wait_s):
        readers.prepare(settings.build)
        with warehouse.writing_in_turn(settings.build, settings.wait_s) as con:
            warehouse.limit_memory(con, settings.memory_limit)
            readers.catch_up(con)
            yield con


@contextmanager
def opened(
    resolved: Resolved, parameters: Parameters, run: Run, source: Source | None = None, paces: Paces = of_this_process
) -> Iterator[RunContext]:
    """The context of `run`, once no other process writes the warehouse; its row is in `ops.runs` from here on.

    `source` replaces the configured one, `paces` the pace of this process. Raises `WarehouseBusy` when another run keeps
    writing, `RotationError` when the build database cannot be opened.
    """
    settings = resolved.settings
    with writing_alone(settings) as con:
        if closed := closures.in_force(con, settings):
            resolved = _resolved(replace(resolved, calendar=resolved.calendar.with_closures(closed)), parameters)
        clock_check.refuse_behind(con, parameters.now, parameters.session)
        if resolved.backfill:
            # A backfill of the past removes no later session.
            resolved = replace(resolved, session=max(resolved.session, ledger.newest_session(con) or resolved.session))
        run.session, run.source = resolved.session, settings.source
        ledger.begin(con, settings, run)
        started = time.monotonic()

        def clock() -> datetime:
            return run.known_at + timedelta(seconds=time.monotonic() - started)

        vendor = source or open_source(settings, resolved.calendar, resolved.universe, run.known_at, paces)
        offered = offers(vendor, resolved.universe.instruments)
        if parameters.is_morning:
            offered = as_fresh_as_possible(offered)
        available = indexes(vendor, resolved.universe.instruments)
        yield RunContext(resolved, con, run, vendor, tuple(offered), available, clock)


def _with_backfill(resolved: Resolved, start: date, symbols: Sequence[str]) -> Resolved:
    settings, universe = resolved.settings, resolved.universe
    if start < settings.history_start:
        raise UsageError(
            f"{start} is before ROTATION_HISTORY_START={settings.history_start}, where every index starts at 100; "
            "for a longer history set it earlier and fill a new ROTATION_HOME."
        )
    if start > resolved.session:
        raise UsageError(f"A backfill from {start} to {resolved.session} has no session; choose an earlier start.")
    if unknown := [symbol for symbol in symbols if symbol not in universe.symbols]:
        raise UsageError(
            f"The universe has no symbol {unknown[0]}; add it to {settings.universe or 'sql/universe.csv'}."
        )
    backfill = Backfill(start, resolved.session, tuple(symbols or universe.symbols))
    return replace(resolved, backfill=backfill)


def _session(session: date | None, days: Calendar, settings: Settings, now: datetime) -> date:
    last_closed = days.last_closed(now)
    if session is None:
        return last_closed
    if session > last_closed:
        raise UsageError(f"{session} has no final bars yet; the last closed session is {last_closed}.")
    if session < settings.history_start:
        raise UsageError(
            f"{session} is before ROTATION_HISTORY_START={settings.history_start}; choose a later session."
        )
    if not days.is_session(session):
        before = days.latest_on_or_before(session)
        raise UsageError(f"{session} is not a session of the exchange; the one before it is {before}.")
    return session
