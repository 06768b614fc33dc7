"""The state of the published warehouse: the last run, how fresh the data is, what is open, whether a run is going on."""

from __future__ import annotations

import fcntl
import os
import struct
import sys
import time
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import duckdb
from pydantic import BaseModel

from market_rotation.tasks import calendar, warehouse
from market_rotation.tasks.warehouse.models import SQL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from market_rotation.tasks.settings import Settings

#: Until then after the close a session may still be on its way: the daily job runs at 18:30 New York, the watchdog at 20:00.
GRACE = timedelta(hours=4)
OLDER = "The warehouse was published by an older version, so not all of its state is known; the next `rotation run` upgrades it."


class LastRun(BaseModel):
    """The newest row of `ops.runs`."""

    run_id: str
    status: str
    session: date | None
    started_at: datetime
    finished_at: datetime | None
    message: str | None


class Freshness(BaseModel):
    """How far a dataset is behind the calendar; `symbols_behind` lack what was due at the last published run, None where that is not known."""

    dataset: str
    latest_session: date | None
    expected_session: date
    sessions_behind: int
    symbols_behind: int | None


class Incident(BaseModel):
    """What was alerted and is not over yet: a row of `ops.incidents()`."""

    fingerprint: str
    severity: str
    title: str
    since: datetime
    alerted_at: datetime
    session: date | None
    alerts: int


class Status(BaseModel):
    """What `rotation status --json` prints. None is what an older version's warehouse does not tell.

    `running_since` and `running_process` may be None also while a run is going on: a process of another machine or container.
    """

    healthy: bool
    simulated: bool
    problems: list[str]
    notes: list[str]
    last_run: LastRun | None
    last_published_run_id: str | None
    running: bool
    running_since: datetime | None
    running_process: int | None
    freshness: list[Freshness]
    incidents: list[Incident] | None
    open_alerts: int | None
    quarantined: int | None


class Holder(NamedTuple):
    """Who has a database open for writing: the process, and when it started, UTC; None where the machine does not tell."""

    process: int | None
    since: datetime | None


def read(settings: Settings, now: datetime) -> Status:
    """The status at `now`. Raises `RotationError` where there is no warehouse."""
    days = calendar.load(min(settings.history_start, now.date()), now.date())
    expected = days.last_closed(now - GRACE + calendar.SETTLE)
    due = days.sessions(min(settings.history_start, expected - timedelta(days=14)), expected)
    held = holder(settings.build, now)
    with warehouse.reading(settings.published) as con:
        last = con.execute(
            "select run_id, status, session, started_at, finished_at, message from ops.runs order by run_id desc limit 1"
        ).fetchone()
        published = con.execute("select max(run_id) from ops.runs where published").fetchone() or (None,)
        simulated = con.execute("select coalesce(bool_or(source = 'sample'), false) from raw.prices").fetchone()
        alerts = tell(con, "select count(*) as number from ops.alerts where sent_at is null")
        quarantined = tell(con, "select count(*) as number from ops.quarantine where resolved_at is null")
        incidents = tell(con, "from incidents()")
        fresh = tell(con, "from freshness($1)", [due]) if published[0] else []
        latest = con.execute("select max(session) from core.prices").fetchone() if fresh is None else None
    last_run = LastRun(**dict(zip(LastRun.model_fields, last, strict=True))) if last else None
    freshness = [Freshness(**row) for row in fresh or []]
    if not freshness:
        freshness = [_prices_alone(latest[0] if latest else None, due)]
    # Only where the pipeline's own database is can be seen that nobody works on it.
    says_running = bool(last_run and last_run.status == "running")
    running = held is not None or (says_running and not settings.build.exists())
    problems = _problems(last_run, freshness[0], killed=says_running and not running)
    problems += [
        f"Dead source: the share counts of {told} stand still; see ops.alerts."
        for row in fresh or []
        for told in row["dead_sources"]
    ]
    return Status(
        healthy=not problems,
        simulated=bool(simulated and simulated[0]),
        problems=problems,
        notes=[OLDER] if None in (alerts, quarantined, incidents, fresh) else [],
        last_run=last_run,
        last_published_run_id=published[0],
        running=running,
        running_since=held.since if held else last_run.started_at if last_run and running else None,
        running_process=held.process if held else None,
        freshness=freshness,
        incidents=None if incidents is None else [Incident(**row) for row in incidents],
        open_alerts=alerts[0]["number"] if alerts else None,
        quarantined=quarantined[0]["number"] if quarantined else None,
    )


def tell(con: duckdb.DuckDBPyConnection, query: str, values: Sequence[object] = ()) -> list[dict[str, Any]] | None:
    """The rows of `query`, which may use this version's `incidents()` and `freshness(due_sessions)` whatever the warehouse holds.

    None where an older version's warehouse lacks a table or column.
    """
    try:
        for name in [name for name in ("freshness", "incidents") if f"{name}(" in query]:
            # As a macro of the connection: a run that failed, or an older version, left none in the warehouse, and it is read-only.
            words = (SQL / "ops" / f"{name}.sql").read_text(encoding="utf-8")
            con.execute(words.replace(f"create or replace macro ops.{name}(", f"create or replace temp macro {name}("))
        cursor = con.execute(query, list(values))
    except (duckdb.CatalogException, duckdb.BinderException):
        return None
    names = [column[0] for column in cursor.description or []]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def holder(path: Path, now: datetime) -> Holder | None:
    """Who has the database at `path` open for writing, None where nobody has.

    It asks for the lock that DuckDB holds without taking one, so that no run is ever in its way. Not for the process that has
    the database open itself: closing any descriptor of a file ends that process's locks on it.
    """
    # struct flock: 64-bit Linux, macOS.
    layout, kind, process = ("hhqqi4x", 0, 4) if sys.platform == "linux" else ("qqihh", 3, 2)
    asked: list[int] = [0] * 5
    asked[kind] = fcntl.F_RDLCK
    try:
        with path.open("rb") as file:
            answer = struct.unpack(layout, fcntl.fcntl(file, fcntl.F_GETLK, struct.pack(layout, *asked)))
    except OSError:
        return None
    if answer[kind] == fcntl.F_UNLCK:
        return None
    holding = answer[process] if answer[process] > 0 else None
    return Holder(holding, _started(holding, now) if holding else None)


def _started(process: int, now: datetime) -> datetime | None:
    """When a process started, from Linux's /proc."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        age_s = time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError, LookupError, ValueError):
        return None
    return (now - timedelta(seconds=age_s)).replace(microsecond=0)


def _prices_alone(latest: date | None, due: Sequence[date]) -> Freshness:
    """What is known of prices before anything was published, or from a warehouse of an older version."""
    behind = sum(session > latest for session in due) if latest else 0
    return Freshness(
        dataset="prices",
        latest_session=latest,
        expected_session=due[-1],
        sessions_behind=behind,
        symbols_behind=None if latest else 0,
    )


def _problems(last_run: LastRun | None, prices: Freshness, killed: bool) -> list[str]:
    problems = []
    if last_run and last_run.status in ("blocked", "failed"):
        problems.append(f"The last run, {last_run.run_id}, {last_run.status.replace('blocked', 'was blocked')}.")
    if last_run and killed:
        problems.append(
            f"The last run, {last_run.run_id}, ended without a word: killed, or the machine went down. `rotation run` does it again."
        )
    if prices.latest_session is None:
        problems.append("Nothing was ever published; start with `rotation run`.")
    elif prices.sessions_behind:
        problems.append(
            f"Stale: the latest session is {prices.latest_session}, {prices.sessions_behind} behind {prices.expected_session}; "
            "bring it up with `rotation run`."
        )
    return problems
