"""The schedules of prefect.yaml, computed by Prefect's own class: New York's time on weekdays, winter and summer."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from prefect.server.schemas.schedules import CronSchedule
from prefect_server import deployments

from market_rotation.tasks.alerts.watchdog import due_session

NEW_YORK = ZoneInfo("America/New_York")
RUNS = 400
SCHEDULES: list[tuple[str, dict[str, Any]]] = [
    (d["name"], schedule) for d in deployments() for schedule in d.get("schedules", []) if "cron" in schedule
]
#: The start of 2026 in New York.
NEW_YEAR = datetime(2026, 1, 1, 5, tzinfo=UTC)
#: When New York's clocks change within 400 weekdays from 2026 on: to summer, back, and to summer.
CHANGES = (date(2026, 3, 8), date(2026, 11, 1), date(2027, 3, 14))


def times(schedule: dict[str, Any], start: datetime, number: int = RUNS) -> list[datetime]:
    """The next times of a schedule from `start` on, UTC."""
    cron = CronSchedule(cron=schedule["cron"], timezone=schedule["timezone"])
    return [moment.astimezone(UTC) for moment in asyncio.run(cron.get_dates(number, start))]


def of(name: str) -> dict[str, Any]:
    """The only cron schedule of a deployment."""
    (schedule,) = (schedule for deployment, schedule in SCHEDULES if deployment == name)
    return schedule


@pytest.mark.parametrize(("name", "schedule"), SCHEDULES, ids=[f"{n} {s['cron']}" for n, s in SCHEDULES])
def test_local_time_through_the_year(name: str, schedule: dict[str, Any]) -> None:
    """The next 400 runs are at the minute and hour that the file says, in New York, one a day, through both changes of the clocks."""
    minute, hour, *_ = schedule["cron"].split()
    found = times(schedule, NEW_YEAR)
    local = [moment.astimezone(NEW_YORK) for moment in found]
    assert len(set(found)) == RUNS
    assert {(moment.hour, moment.minute) for moment in local} == {(int(hour), int(minute))}
    assert {moment.utcoffset() for moment in local} == {timedelta(hours=-5), timedelta(hours=-4)}
    assert all(later.date() > earlier.date() for earlier, later in pairwise(local))


@pytest.mark.parametrize("name", ["daily-rotation", "watchdog"])
def test_every_weekday(name: str) -> None:
    """From Monday to Friday, no day left out: a holiday is found by the job, not by the schedule."""
    days = [moment.astimezone(NEW_YORK).date() for moment in times(of(name), NEW_YEAR)]
    weekdays = [day for day in (date(2026, 1, 1) + timedelta(days=n) for n in range(RUNS * 2)) if day.weekday() < 5]
    assert days == weekdays[:RUNS]


def test_daily_run_is_at_half_past_six() -> None:
    """The daily job starts at 18:30 New York: at 23:30 UTC in winter and 22:30 in summer, from the first weekday after each change on."""
    found = times(of("daily-rotation"), datetime(2026, 1, 1, tzinfo=UTC))
    assert {(m.astimezone(NEW_YORK).hour, m.astimezone(NEW_YORK).minute) for m in found} == {(18, 30)}
    assert {m.astimezone(NEW_YORK).weekday() for m in found} == {0, 1, 2, 3, 4}
    shifted = [(earlier, later) for earlier, later in pairwise(found) if earlier.hour != later.hour]
    assert [(earlier.hour, later.hour) for earlier, later in shifted] == [(23, 22), (22, 23), (23, 22)]
    for change, (earlier, later) in zip(CHANGES, shifted, strict=True):
        # From the Friday before the Sunday of the change to the Monday after it.
        assert (change - earlier.date(), later.date() - change) == (timedelta(days=2), timedelta(days=1))


def test_the_watchdog_comes_when_the_session_is_due() -> None:
    """Whenever the watchdog runs, the session of its day is due, and never sooner than 90 minutes after the daily job began."""
    for job, dog in zip(times(of("daily-rotation"), NEW_YEAR), times(of("watchdog"), NEW_YEAR), strict=True):
        assert dog - job >= timedelta(minutes=90)
    # A session, in winter and in summer.
    for day in (date(2026, 1, 16), date(2026, 7, 16)):
        (moment,) = times(of("watchdog"), datetime(day.year, day.month, day.day, 12, tzinfo=UTC), 1)
        assert due_session(moment) == day
        assert due_session(moment - timedelta(minutes=1)) < day
