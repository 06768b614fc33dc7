"""The calendar: known holidays and half-days of the New York Stock Exchange, and when a session counts as closed."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pandas as pd
import pytest

from market_rotation.tasks import calendar
from market_rotation.tasks.calendar import NEW_YORK, SETTLE
from market_rotation.tasks.errors import ConfigError


@pytest.fixture(scope="module")
def nyse():
    return calendar.load(date(2005, 1, 3), date(2026, 11, 20))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("day", "trades"),
    [
        ("2025-04-18", False),  # Good Friday
        ("2025-01-09", False),  # mourning for President Carter
        ("2018-12-05", False),  # mourning for President Bush
        ("2012-10-29", False),  # hurricane Sandy
        ("2025-06-19", False),  # Juneteenth
        ("2021-06-18", True),  # not yet a holiday of the exchange
        ("2025-07-04", False),
        ("2025-12-25", False),
        ("2026-01-01", False),
        ("2025-11-28", True),  # half-day
        ("2025-10-13", True),  # Columbus Day: banks close, the exchange does not
        ("2025-01-11", False),
        ("2025-01-12", False),
        ("2025-01-13", True),
    ],
)
def test_holidays(nyse, day, trades):
    """Regular, moved and one-off holidays are known, and days that only banks keep are sessions."""
    assert nyse.is_session(date.fromisoformat(day)) is trades


def test_the_first_and_last_day_of_a_calendar_are_in_it(monkeypatch):
    """For neither of them another calendar is loaded."""
    start, end = date(2025, 1, 6), date(2025, 1, 10)
    week = calendar.load(start, end)
    monkeypatch.delattr(calendar, "load")
    assert week.is_session(start)
    assert week.is_session(end)
    with pytest.raises(NameError):
        week.is_session(date(2025, 1, 13))


@pytest.mark.parametrize(
    ("day", "opens", "closes"),
    [
        ("2025-11-26", "2025-11-26T14:30", "2025-11-26T21:00"),
        ("2025-11-28", "2025-11-28T14:30", "2025-11-28T18:00"),
        ("2024-07-03", "2024-07-03T13:30", "2024-07-03T17:00"),
        ("2025-07-01", "2025-07-01T13:30", "2025-07-01T20:00"),
    ],
)
def test_hours(nyse, day, opens, closes):
    """Opening and closing bells are in UTC, on half-days and in summer time too."""
    frame = nyse.hours(date.fromisoformat(day), date.fromisoformat(day))
    assert list(frame.columns) == ["session", "opens_at", "closes_at"]
    assert frame.to_dict("records") == [
        {"session": pd.Timestamp(day), "opens_at": pd.Timestamp(utc(opens)), "closes_at": pd.Timestamp(utc(closes))}
    ]


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        # A Tuesday in winter: the close is 21:00 UTC, the bar final at 21:30.
        ("2025-01-14T20:59", "2025-01-13"),
        ("2025-01-14T21:29:59", "2025-01-13"),
        ("2025-01-14T21:30", "2025-01-14"),
        ("2025-01-15T04:00", "2025-01-14"),
        # Weekend, and Monday before the close.
        ("2025-01-11T12:00", "2025-01-10"),
        ("2025-01-12T23:59", "2025-01-10"),
        ("2025-01-13T15:00", "2025-01-10"),
        # A holiday on Thursday.
        ("2025-01-09T23:00", "2025-01-08"),
        # A half-day: 13:00 New York.
        ("2025-11-28T18:29", "2025-11-26"),
        ("2025-11-28T18:30", "2025-11-28"),
        # Summer time begins on Sunday 2025-03-09 and ends on Sunday 2025-11-02.
        ("2025-03-07T21:29", "2025-03-06"),
        ("2025-03-07T21:30", "2025-03-07"),
        ("2025-03-10T20:29", "2025-03-07"),
        ("2025-03-10T20:30", "2025-03-10"),
        ("2025-10-31T20:29", "2025-10-30"),
        ("2025-10-31T20:30", "2025-10-31"),
        ("2025-11-03T20:30", "2025-10-31"),
        ("2025-11-03T21:29", "2025-10-31"),
        ("2025-11-03T21:30", "2025-11-03"),
    ],
)
def test_last_closed(nyse, now, expected):
    """A session counts from half an hour after its close on, whatever the season, the weekday or the hours of the day."""
    assert timedelta(minutes=30) == SETTLE
    assert nyse.last_closed(utc(now)) == date.fromisoformat(expected)


def test_last_closed_takes_any_time_zone(nyse):
    """The same time in New York's time zone gives the same session."""
    assert nyse.last_closed(datetime(2025, 7, 1, 16, 29, tzinfo=NEW_YORK)) == date(2025, 6, 30)
    assert nyse.last_closed(datetime(2025, 7, 1, 16, 30, tzinfo=NEW_YORK)) == date(2025, 7, 1)


def test_a_clock_without_time_zone_is_refused(nyse):
    """A naive moment is not guessed at."""
    with pytest.raises(ValueError, match="time zone"):
        nyse.last_closed(datetime(2025, 1, 14, 22, 0))  # noqa: DTZ001


def test_a_clock_before_the_calendar_is_refused(nyse):
    """Where no session has closed yet, there is an error and not an arbitrary session."""
    with pytest.raises(ConfigError, match="no session closed between then and 2000-01-01 00:00 UTC; check the clock"):
        nyse.last_closed(utc("2000-01-01T00:00"))


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        ("2025-01-14", "2025-01-14"),
        ("2025-01-12", "2025-01-10"),
        ("2025-01-09", "2025-01-08"),
        ("2025-04-20", "2025-04-17"),
        ("2026-01-01", "2025-12-31"),
    ],
)
def test_latest_on_or_before(nyse, day, expected):
    """A session is its own latest; a weekend or holiday has the session before it."""
    assert nyse.latest_on_or_before(date.fromisoformat(day)) == date.fromisoformat(expected)


def test_sessions_are_inclusive_and_in_order(nyse):
    """Both ends belong to the range, and holidays and weekends inside do not."""
    assert nyse.sessions(date(2025, 1, 8), date(2025, 1, 13)) == [
        date(2025, 1, 8),
        date(2025, 1, 10),
        date(2025, 1, 13),
    ]
    assert nyse.sessions(date(2025, 1, 14), date(2025, 1, 14)) == [date(2025, 1, 14)]


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (date(2025, 1, 14), date(2025, 1, 13)),
        (date(2025, 1, 11), date(2025, 1, 12)),
        (date(2026, 1, 5), date(2025, 1, 6)),
    ],
)
def test_no_sessions(nyse, start, end):
    """A range that is turned around, or holds only a weekend, is empty and no error."""
    assert nyse.sessions(start, end) == []


def test_look_ups_at_the_edges(nyse):
    """The first and last requested day can be looked up even if they are not sessions."""
    edge = calendar.load(date(2025, 1, 1), date(2025, 12, 25))
    assert edge.latest_on_or_before(date(2025, 1, 1)) == date(2024, 12, 31)
    assert edge.latest_on_or_before(date(2025, 12, 25)) == date(2025, 12, 24)
    assert edge.last_closed(utc("2025-01-02T00:00")) == date(2024, 12, 31)
