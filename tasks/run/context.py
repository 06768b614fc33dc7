"""One run of a flow: what it works with, and the promise that whatever happens is on record and readers are never left half-way."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from market_rotation.tasks import calendar, warehouse
from market_rotation.tasks.alerts import deliver, incidents
from market_rotation.tasks.errors import AuditFailed, ConfigError, RotationError
from market_rotation.tasks.run import ledger, stage
from market_rotation.tasks.settings import load_settings
from market_rotation.tasks.sources.cache import forget
from market_rotation.tasks.sources.simulated.faults import check
from market_rotation.tasks.universe import load_universe
from market_rotation.tasks.warehouse.publish import publish

if TYPE_CHECKING:
    import duckdb

    from market_rotation.tasks.calendar import Calendar
    from market_rotation.tasks.run.ledger import Run
    from market_rotation.tasks.settings import Settings
    from market_rotation.tasks.universe import Universe

log = logging.getLogger("rotation.job")


@dataclass(frozen=True)
class Backfill:
    """What is asked again, whatever is known: all bars of `symbols` from `start` to `end`, both included."""

    start: date
    end: date
    symbols: tuple[str, ...]


@dataclass(frozen=True)
class Job:
    """What every step of a run needs. `clock` tells the time, UTC; no step reads another."""

    settings: Settings
    universe: Universe
    calendar: Calendar
    session: date
    clock: Callable[[], datetime]
    con: duckdb.DuckDBPyConnection
    run: Run
    backfill: Backfill | None = None


@contextmanager
def opened(
    session: date | None,
    source: str | None,
    now: datetime,
    flow_run_id: str | None = None,
    backfill: Backfill | None = None,
) -> Iterator[Job]:
    """A job for `session` (default: the last closed one at `now`), on record from here on. A `backfill` takes no session away.

    An expected failure inside ends here: the run is blocked or failed, with its sentence as message. Anything else is recorded and
    raised. In every case the published file then says so, with the data unchanged unless the job committed.
    Raises `ConfigError` on what a person must correct first, and `WarehouseBusy` when another run goes on writing.
    """
    settings, universe, days, session = resolve(session, source, now)
    with warehouse.writing_in_turn(settings.build, settings.wait_s) as con:
        if backfill:
            session = max(session, ledger.newest_session(con) or session)
        run = ledger.begin(con, settings, session, now, flow_run_id)
        started = time.monotonic()

        def clock() -> datetime:
            return run.known_at + timedelta(seconds=time.monotonic() - started)

        job = Job(settings, universe, days, session, clock, con, run, backfill)
        try:
            yield job
        except RotationError as error:
            run.status = "blocked" if isinstance(error, AuditFailed) else "failed"
            run.message = str(error)
            _close(job, error)
        except BaseException as error:
            run.status = "failed"
            run.message = f"{type(error).__name__}: {error}. Nothing was published; run it again."
            _close(job, error)
            raise
        else:
            _close(job)


def _close(job: Job, error: BaseException | None = None) -> None:
    """Records how the run ended, unless it committed that itself; publishes, and sends what is in the outbox."""
    if error:
        job.run.published = False
        ledger.finish(job.con, job.run, job.clock())
        # Who interrupts a run knows it.
        if isinstance(error, Exception):
            incidents.run_ended_badly(job, error)
    if job.run.status != "failed":
        # What was fetched is published, or was found wanting and is to be asked again.
        forget(job.settings.kept)
    stage.clear(job.con)
    publish(job.con, job.settings.build, job.settings.published)
    _send(job)
    # After that, since the report says which alerts could not be sent.
    if not error and _report(job):
        publish(job.con, job.settings.build, job.settings.published)
        _send(job)


def _send(job: Job) -> None:
    """Sends what is in the outbox, and lets readers see what was sent."""
    try:
        tried = deliver.send(job.con, job.settings, job.clock())
    except Exception as fault:
        # The run is what it is, whatever becomes of the message; what the error says may hold an address.
        log.warning("The alerts could not be sent (%s); they stay in the outbox.", type(fault).__name__)
        return
    if tried:
        publish(job.con, job.settings.build, job.settings.published)


def _report(job: Job) -> bool:
    """Writes and sends the report on what readers now see, unless it is there. A fault of it changes no run; returns whether one was alerted."""
    is_there = (job.settings.reports / str(job.run.session) / "index.html").exists()
    if not job.settings.report or (is_there and job.run.status == "up_to_date"):
        return False
    try:
        from market_rotation.tasks.report import daily

        report, page = daily.write_latest(job.settings, job.settings.reports, job.clock())
        # In the morning it is written again with the fund records that came overnight; who has read it need not be told.
        not_taken = [] if is_there else daily.send(report, page, job.settings)
        fault = f"It is written, but not taken by {', '.join(not_taken)}." if not_taken else None
    except Exception as caught:
        log.debug("The report could not be written.", exc_info=True)
        fault = str(caught) if isinstance(caught, RotationError) else f"{type(caught).__name__}: {caught}."
    return incidents.report(job, fault)


def resolve(session: date | None, source: str | None, now: datetime) -> tuple[Settings, Universe, Calendar, date]:
    """Settings, universe, calendar and session of a run. Raises `ConfigError` on what a person must correct first."""
    settings = load_settings(source=source)
    if settings.source == "files":
        settings.files_folder()
    universe = load_universe(settings.universe)
    if settings.fault:
        check(settings.fault, universe)
    if settings.history_start >= now.date():
        raise ConfigError(f"ROTATION_HISTORY_START={settings.history_start} is not in the past; choose an earlier day.")
    days = calendar.load(universe.first_day(settings.history_start), now.date())
    return settings, universe, days, _session(session, days, settings, now)


def resolve_backfill(
    start: date, end: date | None, symbols: Sequence[str], source: str | None, now: datetime
) -> Backfill:
    """The backfill from `start` to `end` (default: the last closed session) of `symbols` (default: the universe).

    Raises `ConfigError` on what a person must correct first.
    """
    settings, universe, _, session = resolve(end, source, now)
    if start < settings.history_start:
        raise ConfigError(
            f"{start} is before ROTATION_HISTORY_START={settings.history_start}, where every index starts at 100; "
            "for a longer history set it earlier and fill a new ROTATION_HOME."
        )
    if start > session:
        raise ConfigError(f"A backfill from {start} to {session} has no session; choose an earlier start.")
    if unknown := [symbol for symbol in symbols if symbol not in universe.symbols]:
        raise ConfigError(
            f"The universe has no symbol {unknown[0]}; add it to {settings.universe or 'sql/universe.csv'}."
        )
    return Backfill(start, session, tuple(symbols or universe.symbols))


def _session(session: date | None, days: Calendar, settings: Settings, now: datetime) -> date:
    last_closed = days.last_closed(now)
    if session is None:
        return last_closed
    if session > last_closed:
        raise ConfigError(f"{session} has no final bars yet; the last closed session is {last_closed}.")
    if session < settings.history_start:
        raise ConfigError(
            f"{session} is before ROTATION_HISTORY_START={settings.history_start}; choose a later session."
        )
    if not days.is_session(session):
        before = days.latest_on_or_before(session)
        raise ConfigError(f"{session} is not a session of the exchange; the one before it is {before}.")
    return session
