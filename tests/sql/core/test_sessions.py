"""core.sessions: which days count, how they are numbered, and what they are measured from."""

from __future__ import annotations

from datetime import UTC, date, datetime

import duckdb
import pytest
from world import bars, days, derived, instrument, universe

from market_rotation.tasks import warehouse

SPY = universe(instrument("SPY"))


def utc(day: date, hour: int, minute: int = 0) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)


def calendar_of(start: date, end: date):
    return derived([bars("SPY", [])], SPY, end, start)


def add_version(con: duckdb.DuckDBPyConnection, day: date, closes_at: datetime, is_session: bool) -> None:
    con.execute(
        """
        insert into raw.sessions by name
        select session, opens_at, $2 as closes_at, $3 as is_session, known_at + interval 1 day as known_at, run_id
        from raw.sessions where session = $1
        """,
        [day, closes_at, is_session],
    )
    warehouse.build(con, "core.sessions")


def test_whole_rows_around_thanksgiving():
    """The holiday is absent, the day after closes at 13:00 New York, and numbers run on without a gap."""
    with calendar_of(date(2025, 11, 25), date(2025, 12, 1)) as con:
        rows = con.sql("from core.sessions order by session").fetchall()
    a, b, c, d = date(2025, 11, 25), date(2025, 11, 26), date(2025, 11, 28), date(2025, 12, 1)
    assert rows == [
        (a, 1, None, None, None, utc(a, 14, 30), utc(a, 21), False),
        (b, 2, a, None, None, utc(b, 14, 30), utc(b, 21), False),
        (c, 3, b, None, None, utc(c, 14, 30), utc(c, 18), True),
        (d, 4, c, None, None, utc(d, 14, 30), utc(d, 21), False),
    ]


def test_year_and_quarter_bases():
    """Each session is based on the last sessions of the previous year and quarter, unknown before the history starts."""
    with calendar_of(date(2024, 9, 27), date(2025, 4, 2)) as con:
        spans = con.sql(
            """
            select min(session), max(session), previous_year_end, previous_quarter_end
            from core.sessions group by previous_year_end, previous_quarter_end order by 1
            """
        ).fetchall()
    assert spans == [
        (date(2024, 9, 27), date(2024, 9, 30), None, None),
        (date(2024, 10, 1), date(2024, 12, 31), None, date(2024, 9, 30)),
        (date(2025, 1, 2), date(2025, 3, 31), date(2024, 12, 31), date(2024, 12, 31)),
        (date(2025, 4, 1), date(2025, 4, 2), date(2024, 12, 31), date(2025, 3, 31)),
    ]


def test_quarter_end_on_a_weekend_and_before_a_holiday():
    """A quarter that ends on Good Friday weekend is based on the Thursday, a year that ends on a Sunday on the Friday."""
    with calendar_of(date(2022, 12, 1), date(2024, 4, 1)) as con:
        bases = dict(
            con.sql(
                "select session, previous_quarter_end from core.sessions "
                "where session in ('2023-01-03', '2023-04-03', '2024-01-02', '2024-04-01')"
            ).fetchall()
        )
    assert bases == {
        date(2023, 1, 3): date(2022, 12, 30),
        date(2023, 4, 3): date(2023, 3, 31),
        date(2024, 1, 2): date(2023, 12, 29),
        date(2024, 4, 1): date(2024, 3, 28),
    }


@pytest.fixture(scope="module")
def twenty_years():
    with calendar_of(date(2005, 1, 3), date(2026, 1, 16)) as con:
        yield con


def test_numbers_count_every_session(twenty_years):
    """Over 21 years each session bears its position in the exchange calendar, and names the session before it."""
    rows = twenty_years.sql(
        "select session, session_number, previous_session from core.sessions order by session"
    ).fetchall()
    sessions = days(date(2005, 1, 3), date(2026, 1, 16))
    assert len(sessions) == 5294
    assert rows == list(zip(sessions, range(1, 5295), [None, *sessions[:-1]], strict=True))


def test_closed_days_are_absent(twenty_years):
    """Weekends, holidays and days of mourning are not sessions."""
    closed = ["2012-10-29", "2012-10-30", "2018-12-05", "2021-06-18", "2022-06-20", "2025-01-09", "2025-06-21"]
    present = twenty_years.execute(
        "select session::varchar from core.sessions where session::varchar in (select unnest($1))", [closed]
    ).fetchall()
    assert present == [("2021-06-18",)]


def test_half_days_and_daylight_saving(twenty_years):
    """The half-days of 2024 and 2025 are those the exchange announced, and 09:30 New York is right in UTC all year."""
    half = twenty_years.sql("select session::varchar from core.sessions where is_half_day and year(session) >= 2024")
    assert [day for (day,) in half.fetchall()] == [
        "2024-07-03",
        "2024-11-29",
        "2024-12-24",
        "2025-07-03",
        "2025-11-28",
        "2025-12-24",
    ]
    openings = twenty_years.sql("select distinct hour(opens_at), month(session) in (5, 7, 9) from core.sessions")
    found = openings.fetchall()
    assert {hour for hour, is_summer in found if is_summer} == {13}
    assert {hour for hour, is_summer in found if not is_summer} == {13, 14}


def test_a_cancelled_session_closes_the_gap():
    """A day that later turns out to be no session vanishes, and the sessions after it move up by one."""
    with calendar_of(date(2025, 1, 2), date(2025, 1, 8)) as con:
        day = date(2025, 1, 6)
        add_version(con, day, utc(day, 21), is_session=False)
        rows = con.sql("select session, session_number, previous_session from core.sessions order by 1").fetchall()
    assert rows == [
        (date(2025, 1, 2), 1, None),
        (date(2025, 1, 3), 2, date(2025, 1, 2)),
        (date(2025, 1, 7), 3, date(2025, 1, 3)),
        (date(2025, 1, 8), 4, date(2025, 1, 7)),
    ]


def test_a_cancelled_quarter_end_moves_the_base():
    """When the last day of a year is cancelled afterwards, the year is measured from the day before it."""
    with calendar_of(date(2024, 12, 27), date(2025, 1, 3)) as con:
        day = date(2024, 12, 31)
        add_version(con, day, utc(day, 21), is_session=False)
        bases = con.sql(
            "select distinct previous_year_end, previous_quarter_end from core.sessions where session > '2025-01-01'"
        ).fetchall()
    assert bases == [(date(2024, 12, 30), date(2024, 12, 30))]


def test_changed_hours_replace_the_old_ones():
    """A day that is shortened later is one row still, with the later version's hours."""
    with calendar_of(date(2025, 1, 2), date(2025, 1, 3)) as con:
        day = date(2025, 1, 3)
        add_version(con, day, utc(day, 18), is_session=True)
        rows = con.sql("select session, closes_at, is_half_day from core.sessions order by 1").fetchall()
    assert rows == [(date(2025, 1, 2), utc(date(2025, 1, 2), 21), False), (day, utc(day, 18), True)]
