"""The watchdog: alerts when the last session due is not published, also when the daily job never started."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import duckdb

from market_rotation.tasks import calendar, warehouse
from market_rotation.tasks.alerts import deliver, incidents, outbox, without_outbox
from market_rotation.tasks.errors import RotationError
from market_rotation.tasks.settings import load_settings
from market_rotation.tasks.warehouse import closures

if TYPE_CHECKING:
    from market_rotation.tasks.settings import Settings

NEW_YORK = ZoneInfo("America/New_York")
#: By then the session of the day must be published; the daily job starts at 18:30.
DUE = time(20)


def watch(now: datetime) -> str | None:
    """What is wrong at `now`, in a sentence, after it was alerted; None when the last session due is published.

    Nothing is alerted where the failed run of that session was: that alert says why. Where the outbox cannot be written (a run holds it, it is missing, the disk is full) the alert is sent without it. A copy of the
    published file is enough; the only file written beside it records what was alerted.
    """
    settings = load_settings()
    session = due_session(now, _closed(settings))
    if _is_published(settings, session):
        without_outbox.recover(settings, now)
        return None
    moment = f"{now.astimezone(NEW_YORK):%H:%M} New York"
    problem = f"By {moment} nothing was published for {session}."
    incident = incidents.of_missing_session(session, moment)
    # On a machine with a copy of the published file a build database must not be made of it. And an incident stays where it was first
    # alerted, so that it gets one recovery.
    if without_outbox.explains(settings, session):
        return problem
    if settings.build.is_file() and not without_outbox.is_open(settings, incident.fingerprint):
        is_sent = False
        try:
            with warehouse.amend(settings) as con:
                if not outbox.explains(con, session):
                    outbox.update(con, [incident], scope=(), session=session, now=now, repeat=settings.alert_repeat)
                # An alert of the run may still be waiting for its channel.
                deliver.send(con, settings, now)
                is_sent = True
            return problem
        except (RotationError, OSError, duckdb.Error) as error:
            problem = f"{problem} {error}"
            if is_sent:
                return problem
            incident = replace(incident, what=f"{incident.what} {error}")
    without_outbox.alert(settings, incident, session, now)
    return problem


def last_due(now: datetime) -> date:
    """The last session that had to be published by `now`, with the closures in force."""
    return due_session(now, _closed(load_settings()))


def due_session(now: datetime, closed: frozenset[date] = frozenset()) -> date:
    """The last session that had to be published by `now`: 20:00 New York of its day has passed. On the days in `closed` there was none."""
    local = now.astimezone(NEW_YORK)
    day = local.date() if local.time() >= DUE else local.date() - timedelta(days=1)
    return calendar.load(day - timedelta(days=14), day, closed).latest_on_or_before(day)


def _closed(settings: Settings) -> frozenset[date]:
    try:
        with warehouse.reading(settings.published) as con:
            return closures.in_force(con, settings)
    except RotationError:
        # Nothing is published that could say otherwise.
        return frozenset(settings.extra_closures)


def _is_published(settings: Settings, session: date) -> bool:
    try:
        with warehouse.reading(settings.published) as con:
            row = con.execute(
                "select max(session) >= $1 from ops.runs where status in ('published', 'up_to_date')", [session]
            ).fetchone()
    except RotationError:
        return False
    return bool(row and row[0])
