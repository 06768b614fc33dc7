"""Reads the state of the published warehouse: the last run, freshness, open incidents, and whether a run is in progress."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from market_rotation.tasks import calendar, warehouse
from market_rotation.tasks.operations import health
from market_rotation.tasks.operations.state import Freshness, Incident, LastRun, LateFund, Status
from market_rotation.tasks.warehouse import closures, formats
from market_rotation.tasks.warehouse.lock import holder
from market_rotation.tasks.warehouse.macros import rows_if_known

if TYPE_CHECKING:
    from market_rotation.tasks.settings import Settings

#: A session is expected this long after its close: the daily job starts at 18:30 New York time, the watchdog at 20:00.
GRACE = timedelta(hours=4)
OLDER = "The warehouse was published by an older version, so not all of its state is known; the next `rotation run` upgrades it."


def read(settings: Settings, now: datetime) -> Status:
    """The status at `now`. Raises `RotationError` when there is no warehouse."""
    held = holder(settings.build)
    held = held if held and held.is_writing else None
    with warehouse.reading(settings.published) as con:
        closed = closures.in_force(con, settings)
        days = calendar.load(min(settings.history_start, now.date()), now.date(), closed)
        expected = days.last_closed(now - GRACE + calendar.SETTLE)
        due = days.sessions(min(settings.history_start, expected - timedelta(days=14)), expected)
        last = con.execute(
            "select run_id, status, session, started_at, finished_at, message from ops.runs order by run_id desc limit 1"
        ).fetchone()
        published = con.execute("select max(run_id) from ops.runs where published").fetchone() or (None,)
        simulated = con.execute("select coalesce(bool_or(source = 'sample'), false) from raw.prices").fetchone()
        alerts = rows_if_known(con, "select count(*) as number from ops.alerts where sent_at is null")
        quarantined = rows_if_known(con, "select count(*) as number from ops.quarantine where resolved_at is null")
        incidents = rows_if_known(con, "from incidents()")
        late_funds = rows_if_known(con, "from late_funds()") if published[0] else []
        found = formats.newest(con)
        notes = [formats.newer(settings.published, found)] if found.number > formats.FORMAT else []
        fresh = rows_if_known(con, "from freshness($1)", [due]) if published[0] else []
        latest = con.execute("select max(session) from core.prices").fetchone() if fresh is None else None
    last_run = LastRun(**dict(zip(LastRun.model_fields, last, strict=True))) if last else None
    freshness = [Freshness(**row) for row in fresh or []] or [_prices_alone(latest[0] if latest else None, due)]
    # Only the machine with the build database can see whether the process of an unfinished run is alive.
    is_unfinished = bool(last_run and last_run.status == "running")
    running = held is not None or (is_unfinished and not settings.build.exists())
    dead_sources = [source for row in fresh or [] for source in row["dead_sources"]]
    problems = list(
        health.problems(last_run, freshness[0], dead_sources, was_interrupted=is_unfinished and not running)
    )
    return Status(
        healthy=not problems,
        simulated=bool(simulated and simulated[0]),
        problems=problems,
        notes=[*notes, *([OLDER] if not notes and None in (alerts, quarantined, incidents, fresh, late_funds) else [])],
        last_run=last_run,
        last_published_run_id=published[0],
        running=running,
        running_since=held.since if held else last_run.started_at if last_run and running else None,
        running_process=held.process if held else None,
        freshness=freshness,
        late_funds=None if late_funds is None else [LateFund(**row) for row in late_funds],
        incidents=None if incidents is None else [Incident(**row) for row in incidents],
        open_alerts=alerts[0]["number"] if alerts else None,
        quarantined=quarantined[0]["number"] if quarantined else None,
    )


def _prices_alone(latest: date | None, due: Sequence[date]) -> Freshness:
    """The freshness of prices before the first publication, or from a warehouse of an older version."""
    return Freshness(
        dataset="prices",
        latest_session=latest,
        expected_session=due[-1],
        sessions_behind=sum(session > latest for session in due) if latest else 0,
        symbols_behind=None if latest else 0,
    )
