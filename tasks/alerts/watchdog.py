"""The watchdog: says when by the evening of a session nothing was published, also when the daily job never started."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from market_rotation.tasks import calendar, warehouse
from market_rotation.tasks.alerts import deliver, incidents
from market_rotation.tasks.errors import RotationError, WarehouseBusy
from market_rotation.tasks.run import stage
from market_rotation.tasks.settings import load_settings
from market_rotation.tasks.warehouse.publish import publish

if TYPE_CHECKING:
    from market_rotation.tasks.settings import Settings

NEW_YORK = ZoneInfo("America/New_York")
#: By then a session must be published; the daily job begins at 18:30.
DUE = time(20)


def watch(now: datetime) -> str | None:
    """What is wrong at `now`, in a sentence, alerted before it is returned; None when the last session due is published."""
    settings = load_settings()
    session = due_session(now)
    if _is_published(settings, session):
        return None
    problem = f"By {now.astimezone(NEW_YORK):%H:%M} New York nothing was published for {session}."
    incident = incidents.Incident(
        "not-published",
        "critical",
        f"Nothing is published for {session}",
        f"{problem} The daily job did not start, is still going on, or did not end well.",
        "see that the schedule and its worker are up, then `rotation status` and `rotation run`.",
    )
    try:
        with warehouse.writing(settings.build) as con:
            incidents.write(con, [incident], [], session, now, settings.alert_repeat)
            deliver.send(con, settings, now)
            # Where there was never a warehouse there is nothing to show readers.
            if settings.published.exists():
                stage.clear(con)
                publish(con, settings.build, settings.published)
    except WarehouseBusy as busy:
        # The outbox is locked by the very run that is late: then without it.
        problem = f"{problem} {busy}"
        for channel in deliver.channels(settings):
            channel.notify(f"market-rotation: {incident.title}", problem, "failure")
    return problem


def due_session(now: datetime) -> date:
    """The last session that had to be published by `now`: 20:00 New York of its day has passed."""
    local = now.astimezone(NEW_YORK)
    day = local.date() if local.time() >= DUE else local.date() - timedelta(days=1)
    return calendar.load(day - timedelta(days=14), day).latest_on_or_before(day)


def _is_published(settings: Settings, session: date) -> bool:
    try:
        with warehouse.reading(settings.published) as con:
            row = con.execute(
                "select max(session) >= $1 from ops.runs where status in ('published', 'up_to_date')", [session]
            ).fetchone()
    except RotationError:
        return False
    return bool(row and row[0])
