"""core.returns_between: total returns between two dates, worked by hand."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import duckdb
import pytest
from world import bars, days, derived, instrument, universe

DAYS = days(date(2024, 1, 2))


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    """SPY rises from 100 by 1 a session and pays 10 on the fifth; IWM is listed on the third; the index ^SP600 has no return."""
    frames = [
        bars("SPY", [100.0 + i for i in range(10)], dividend=[10.0 if i == 4 else 0.0 for i in range(10)]),
        bars("IWM", [None, None, *[50.0 + i for i in range(8)]]),
        bars("^SP600", [1000.0 + i for i in range(10)]),
    ]
    members = universe(instrument("SPY"), instrument("IWM"), instrument("^SP600", kind="index"))
    with derived(frames, members, DAYS[9], wanted=["core"]) as made:
        yield made


def between(con: duckdb.DuckDBPyConnection, start: date | str, end: date | str) -> dict[str, tuple[object, ...]]:
    rows = con.execute(f"from core.returns_between('{start}', '{end}')").fetchall()
    return {symbol: tuple(row) for symbol, *row in rows}


def test_two_sessions(con: duckdb.DuckDBPyConnection) -> None:
    """The dividend is reinvested at the close of its day; an index has no row; a symbol that was not listed has no return."""
    found = between(con, DAYS[0], DAYS[9])
    assert list(found) == ["IWM", "SPY"]
    grown = (103 / 100) * (104 / (103 - 10)) * (109 / 104)
    assert found["SPY"] == (DAYS[0], DAYS[9], pytest.approx(grown - 1, abs=1e-12))
    assert found["IWM"] == (DAYS[0], DAYS[9], None)
    assert between(con, DAYS[2], DAYS[9])["IWM"][2] == pytest.approx(57 / 50 - 1, abs=1e-12)


def test_a_date_without_a_session_is_the_session_before(con: duckdb.DuckDBPyConnection) -> None:
    """Saturday 6 and Sunday 7 January 2024 mean Friday the 5th, on either side; before the first session nothing is known."""
    assert DAYS[3] == date(2024, 1, 5)
    assert between(con, "2024-01-06", "2024-01-10") == between(con, DAYS[3], "2024-01-10")
    assert between(con, DAYS[0], "2024-01-07") == between(con, DAYS[0], DAYS[3])
    assert between(con, "2024-01-01", DAYS[3])["SPY"] == (None, DAYS[3], None)
    assert between(con, DAYS[3], DAYS[3])["SPY"][2] == 0
