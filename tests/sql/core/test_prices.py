"""core.prices, core.prices_as_of and ops.revisions: worlds of a few bars, checked by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
from world import bars, days, derived, instrument, table, universe

from market_rotation.tasks import warehouse

#: The tables that are derived here.
WANTED = ["core.prices", "core.prices_as_of", "ops.revisions"]
FIRST = datetime(2026, 11, 20, tzinfo=UTC)
SECOND = FIRST + timedelta(days=10)
THIRD = FIRST + timedelta(days=20)
DAYS = days()[:6]
COLUMNS = [
    "symbol",
    "session",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "dividend",
    "split_ratio",
    "adj_close",
    "total_return_index",
    "return_1d",
    "source",
    "known_at",
    "run_id",
]
MEMBERS = universe(instrument("SPY"), instrument("PAYS"), instrument("SPLITS"), instrument("SKIPS"))

PAYS = bars(
    "PAYS",
    [100, 110, 99, 100, 72, 81],
    open=[99, 100, 98, 99, 73, 72],
    high=[101, 112, 100, 101, 74, 82],
    low=[98, 100, 97, 98, 71, 70],
    volume=[1000, 2000, 3000, 4000, 5000, 6000],
    dividend=[0, 0, 10, 0, 15, 0],
    capital_gain=[0, 0, 0, 0, 5, 0],
)
SPLITS = bars("SPLITS", [50, 55, 52.8, 66, 33, 44], split_ratio=[1, 1, 1, 2, 1, 1])
SKIPS = bars("SKIPS", [None, 20, None, 24, 18, 18], dividend=[0, 0, 0, 4, 0, 0])

#: session, close, dividend, split_ratio, adj_close, total_return_index, return_1d
EXPECTED = {
    # 99 / (110 - 10) = 0.99 and 72 / (100 - 15 - 5) = 0.9; the last adj_close is the close: 81 = 111.375 x 8 / 11.
    "PAYS": [
        (DAYS[0], 100.0, 0.0, 1.0, 800 / 11, 100.0, None),
        (DAYS[1], 110.0, 0.0, 1.0, 80.0, 110.0, 0.1),
        (DAYS[2], 99.0, 10.0, 1.0, 79.2, 108.9, -0.01),
        (DAYS[3], 100.0, 0.0, 1.0, 80.0, 110.0, 1 / 99),
        (DAYS[4], 72.0, 20.0, 1.0, 72.0, 99.0, -0.1),
        (DAYS[5], 81.0, 0.0, 1.0, 81.0, 111.375, 0.125),
    ],
    # The vendor has halved the prices before the split already, so the ratio is reported and not applied again.
    "SPLITS": [
        (DAYS[0], 50.0, 0.0, 1.0, 50.0, 100.0, None),
        (DAYS[1], 55.0, 0.0, 1.0, 55.0, 110.0, 0.1),
        (DAYS[2], 52.8, 0.0, 1.0, 52.8, 105.6, -0.04),
        (DAYS[3], 66.0, 0.0, 2.0, 66.0, 132.0, 0.25),
        (DAYS[4], 33.0, 0.0, 1.0, 33.0, 66.0, -0.5),
        (DAYS[5], 44.0, 0.0, 1.0, 44.0, 88.0, 1 / 3),
    ],
    # 24 / (20 - 4) = 1.5 over two sessions: it counts in the index and is no daily return.
    "SKIPS": [
        (DAYS[1], 20.0, 0.0, 1.0, 16.0, 100.0, None),
        (DAYS[3], 24.0, 4.0, 1.0, 24.0, 150.0, None),
        (DAYS[4], 18.0, 0.0, 1.0, 18.0, 112.5, -0.25),
        (DAYS[5], 18.0, 0.0, 1.0, 18.0, 112.5, 0.0),
    ],
}
VALUES = ["close", "dividend", "split_ratio", "adj_close", "total_return_index", "return_1d"]


@pytest.fixture(scope="module")
def golden():
    with derived([PAYS, SPLITS, SKIPS], MEMBERS, DAYS[-1], wanted=WANTED) as con:
        yield con


@pytest.fixture
def con():
    """The same world, for a test to add versions to."""
    with derived([PAYS, SPLITS, SKIPS], MEMBERS, DAYS[-1], wanted=WANTED) as con:
        yield con


def say(con: duckdb.DuckDBPyConnection, symbol: str, session: date, known_at: datetime, **values: Any) -> None:
    """Adds another version of a bar to `raw.prices`: the one before, with these values in place of the old ones."""
    replaced = ", ".join(f"${name}::double as {name}" for name in values)
    con.execute(
        f"""
        insert into raw.prices by name
        select * replace ({replaced + "," if values else ""} false as is_withdrawn, $known_at as known_at, 'later' as run_id)
        from raw.prices where symbol = $symbol and session = $session order by raw.prices.known_at desc limit 1
        """,
        {"symbol": symbol, "session": session, "known_at": known_at, **values},
    )


def withdraw(con: duckdb.DuckDBPyConnection, symbol: str, session: date, known_at: datetime) -> None:
    con.execute(
        """
        insert into raw.prices (symbol, session, is_withdrawn, source, known_at, run_id)
        values ($1, $2, true, 'test', $3, 'later')
        """,
        [symbol, session, known_at],
    )


def values(con: duckdb.DuckDBPyConnection, relation: str, symbol: str) -> list[tuple[Any, ...]]:
    rows = con.execute(f"select session, {', '.join(VALUES)} from {relation} where symbol = $1 order by 1", [symbol])
    return rows.fetchall()


def assert_rows(rows: list[tuple[Any, ...]], expected: list[tuple[Any, ...]]) -> None:
    assert len(rows) == len(expected)
    for row, wanted in zip(rows, expected, strict=True):
        assert row == (wanted[0], *(pytest.approx(v, rel=1e-12, abs=1e-15) if v is not None else v for v in wanted[1:]))


@pytest.mark.parametrize("symbol", EXPECTED)
def test_values_by_hand(golden, symbol):
    """Dividends, a capital gain, a split and a missing session give the index, adjusted close and returns worked out by hand."""
    assert_rows(values(golden, "core.prices", symbol), EXPECTED[symbol])


def test_whole_rows(golden):
    """A row has the columns of the contract, in its order, with the vendor's bar unchanged and where it came from."""
    assert golden.sql("from core.prices").columns == COLUMNS
    row = golden.execute("from core.prices where symbol = 'PAYS' and session = $1", [DAYS[4]]).fetchone()
    assert row == (
        "PAYS",
        DAYS[4],
        73.0,
        74.0,
        71.0,
        72.0,
        5000,
        20.0,
        1.0,
        pytest.approx(72.0, rel=1e-15),
        pytest.approx(99.0, rel=1e-15),
        pytest.approx(-0.1, rel=1e-15),
        "test",
        FIRST,
        "test",
    )


def test_bars_without_open_high_low_volume(golden):
    """A vendor with closes only leaves the other columns NULL; returns still follow from the close."""
    others = golden.sql("select distinct open, high, low, volume from core.prices where symbol = 'SPLITS'").fetchall()
    assert others == [(None, None, None, None)]


def test_only_sessions_and_members_count():
    """A bar on a day without a session, and a symbol that is no longer in the universe, are left out of the index."""
    weekend = bars("PAYS", [100, 110])
    weekend = pd.concat([weekend, weekend.tail(1).assign(session=pd.Timestamp("2024-01-06"), close=500.0)])
    after = bars("PAYS", [121], start=date(2024, 1, 8))
    with derived([weekend, after, bars("GONE", [1, 2, 3])], MEMBERS, DAYS[-1], wanted=WANTED) as con:
        rows = con.sql("select symbol, session, total_return_index from core.prices").fetchall()
    assert rows == [
        ("PAYS", DAYS[0], 100.0),
        ("PAYS", DAYS[1], pytest.approx(110)),
        ("PAYS", date(2024, 1, 8), pytest.approx(121)),
    ]


def test_equal_prices_have_equal_index():
    """Without distributions, sessions with the same close have the very same index, to the last digit."""
    levels = [33.1, 35.9, 33.73, 34.1, 33.37]
    closes = [levels[(i * i + i // 3) % 5] for i in range(120)]
    with derived([bars("PAYS", closes)], MEMBERS, days()[119], wanted=WANTED) as con:
        distinct = con.sql(
            "select close, count(distinct total_return_index), count(distinct adj_close) from core.prices group by 1"
        ).fetchall()
    assert sorted(distinct) == [(level, 1, 1) for level in sorted(levels)]


def test_unchanged_prices_do_not_move_the_index():
    """While the price stands still the index stands still, to the last digit, however much came before."""
    rng = np.random.default_rng(0)
    frames = []
    for symbol in ("SPY", "PAYS", "SPLITS", "SKIPS"):
        closes = [*np.round(100 * np.exp(np.cumsum(rng.normal(0, 0.01, 60))), 2), *[97.31] * 240]
        dividend = np.where((np.arange(300) % 9 == 8) & (np.arange(300) < 60), 0.7, 0.0) * (symbol != "SPY")
        frames.append(bars(symbol, closes, dividend=dividend))
    with derived(frames, MEMBERS, days()[299], wanted=WANTED) as con:
        still = con.execute(
            "select symbol, count(distinct total_return_index) from core.prices where session >= $1 group by 1",
            [days()[60]],
        ).fetchall()
    assert dict(still) == {"SPY": 1, "PAYS": 1, "SPLITS": 1, "SKIPS": 1}


def test_as_of_tells_what_was_known(con):
    """A restated close, dividend and split history count from the moment they were fetched, and not before."""
    say(con, "PAYS", DAYS[1], SECOND, close=120.0)
    say(con, "PAYS", DAYS[2], SECOND, dividend=21.0)
    for day, close, *_ in EXPECTED["SPLITS"]:
        say(con, "SPLITS", day, SECOND, close=close / 2)
    warehouse.build(con, "core", "ops")

    for moment in (FIRST, SECOND - timedelta(seconds=1)):
        before = f"core.prices_as_of('{moment.isoformat()}'::timestamptz)"
        assert_rows(values(con, before, "PAYS"), EXPECTED["PAYS"])
        assert_rows(values(con, before, "SPLITS"), EXPECTED["SPLITS"])

    # 99 / (120 - 21) = 1; the index ends at 120 x 1 x 100 / 99 x 0.9 x 1.125 = 120 x 1.125 x 90 / 99.
    end = 120 * 1.125 * 90 / 99
    restated = [
        (DAYS[0], 100.0, 0.0, 1.0, 81 * 100 / end, 100.0, None),
        (DAYS[1], 120.0, 0.0, 1.0, 81 * 120 / end, 120.0, 0.2),
        (DAYS[2], 99.0, 21.0, 1.0, 81 * 120 / end, 120.0, 0.0),
        (DAYS[3], 100.0, 0.0, 1.0, 80.0, 12000 / 99, 1 / 99),
        (DAYS[4], 72.0, 20.0, 1.0, 72.0, 10800 / 99, -0.1),
        (DAYS[5], 81.0, 0.0, 1.0, 81.0, end, 0.125),
    ]
    halved = [(d, c / 2, div, k, adj / 2, tri, r) for d, c, div, k, adj, tri, r in EXPECTED["SPLITS"]]
    for relation in (f"core.prices_as_of('{SECOND.isoformat()}'::timestamptz)", "core.prices"):
        assert_rows(values(con, relation, "PAYS"), restated)
        assert_rows(values(con, relation, "SPLITS"), halved)
        assert_rows(values(con, relation, "SKIPS"), EXPECTED["SKIPS"])
        versions = con.sql(f"select session, known_at, run_id from {relation} where symbol = 'PAYS' order by 1")
        assert versions.fetchall() == [
            (day, SECOND, "later") if day in DAYS[1:3] else (day, FIRST, "test") for day in DAYS
        ]


def test_as_of_before_the_first_fetch_is_empty(con):
    """Nothing was known before anything was fetched."""
    moment = (FIRST - timedelta(seconds=1)).isoformat()
    assert con.sql(f"from core.prices_as_of('{moment}'::timestamptz)").fetchall() == []


def test_as_of_now_is_core_prices(con):
    """The macro at the end of time and the table are the same rows."""
    say(con, "PAYS", DAYS[1], SECOND, close=120.0)
    warehouse.build(con, "core")
    pd.testing.assert_frame_equal(
        table(con, "core.prices"), table(con, "core.prices_as_of('infinity'::timestamptz)"), check_exact=True
    )


def test_a_withdrawn_bar_is_gone_and_may_come_back(con):
    """A withdrawn bar leaves a gap that the index carries over; when the vendor gives it again, all is as before."""
    withdraw(con, "PAYS", DAYS[1], SECOND)
    warehouse.build(con, "core")
    rows = values(con, "core.prices", "PAYS")
    assert [row[0] for row in rows] == [DAYS[0], *DAYS[2:]]
    known = con.sql("select session from fn.prices_known_at('infinity'::timestamptz) where symbol = 'PAYS' order by 1")
    assert known.fetchall() == [(day,) for day in (DAYS[0], *DAYS[2:])]
    # 99 / (100 - 10) = 1.1 over two sessions.
    assert rows[1] == (DAYS[2], 99.0, 10.0, 1.0, pytest.approx(79.2), pytest.approx(110), None)
    con.execute(
        """
        insert into raw.prices by name
        select * replace ($1 as known_at) from raw.prices where symbol = 'PAYS' and session = $2 and not is_withdrawn
        """,
        [THIRD, DAYS[1]],
    )
    warehouse.build(con, "core")
    assert_rows(values(con, "core.prices", "PAYS"), EXPECTED["PAYS"])


def test_revisions_list_exactly_what_changed(con):
    """Each changed value is one row against the version before it, values that come and go included, noise left out."""
    say(con, "PAYS", DAYS[1], SECOND, close=120.0, volume=2000 * (1 + 0.9e-6), open=100 * (1 + 0.9e-6))
    say(con, "PAYS", DAYS[1], THIRD, close=121.0, high=None, low=100 * (1 - 1.1e-6))
    say(con, "SKIPS", DAYS[3], SECOND, dividend=0.0, capital_gain=4.0, volume=700.0)
    say(con, "SPLITS", DAYS[0], SECOND, vendor_adj_close=49.0)
    withdraw(con, "SPLITS", DAYS[3], SECOND)
    warehouse.build(con, "ops.revisions")
    assert con.sql("select * exclude (old_text, new_text, constituent) from ops.revisions").fetchall() == [
        ("prices", "PAYS", DAYS[1], "close", 110.0, 120.0, SECOND, "later"),
        ("prices", "SKIPS", DAYS[3], "capital_gain", 0.0, 4.0, SECOND, "later"),
        ("prices", "SKIPS", DAYS[3], "dividend", 4.0, 0.0, SECOND, "later"),
        ("prices", "SKIPS", DAYS[3], "volume", None, 700.0, SECOND, "later"),
        ("prices", "SPLITS", DAYS[3], "capital_gain", 0.0, None, SECOND, "later"),
        ("prices", "SPLITS", DAYS[3], "close", 66.0, None, SECOND, "later"),
        ("prices", "SPLITS", DAYS[3], "dividend", 0.0, None, SECOND, "later"),
        ("prices", "SPLITS", DAYS[3], "split_ratio", 2.0, None, SECOND, "later"),
        ("prices", "PAYS", DAYS[1], "close", 120.0, 121.0, THIRD, "later"),
        ("prices", "PAYS", DAYS[1], "high", 112.0, None, THIRD, "later"),
        ("prices", "PAYS", DAYS[1], "low", 100.0, 100 * (1 - 1.1e-6), THIRD, "later"),
    ]


def test_a_bar_that_comes_back_is_a_revision(con):
    """A bar given again after it was withdrawn is listed from NULL to its values."""
    withdraw(con, "SPLITS", DAYS[3], SECOND)
    con.execute(
        """
        insert into raw.prices by name
        select * replace ($1 as known_at, 'last' as run_id) from raw.prices
        where symbol = 'SPLITS' and session = $2 and not is_withdrawn
        """,
        [THIRD, DAYS[3]],
    )
    warehouse.build(con, "ops.revisions")
    back = con.execute(
        "select column_name, old_value, new_value, run_id from ops.revisions where known_at = $1", [THIRD]
    )
    assert back.fetchall() == [
        ("capital_gain", None, 0.0, "last"),
        ("close", None, 66.0, "last"),
        ("dividend", None, 0.0, "last"),
        ("split_ratio", None, 2.0, "last"),
    ]


def test_no_revisions_without_a_second_version(golden):
    """What was said once is no revision."""
    assert golden.sql("from ops.revisions").fetchall() == []
