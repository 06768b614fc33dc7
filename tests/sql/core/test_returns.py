"""core.returns and core.sector_returns: the base session of each horizon, and when it is missing."""

from __future__ import annotations

from datetime import date

import pytest
from world import bars, days, derived, instrument, universe

#: The tables that are derived here.
WANTED = ["core.returns", "core.sector_returns", "core.unknown_distributions"]
#: Two sessions of 2024 and seven of 2025; 9 January 2025 was a day of mourning.
NEW_YEAR = date(2024, 12, 30)
DAYS = days(NEW_YEAR, date(2025, 1, 13))
HORIZONS = {"return_1w": 5, "return_1m": 21, "return_3m": 63, "return_6m": 126, "return_12m": 252}


def rounded(rows):
    return [tuple(round(v, 12) if isinstance(v, float) else v for v in row) for row in rows]


def returns(con, symbol):
    rows = con.execute(
        "select session, return_1d, return_1w, return_ytd, return_qtd from core.returns where symbol = $1 order by 1",
        [symbol],
    )
    return rounded(rows.fetchall())


@pytest.fixture(scope="module")
def new_year():
    members = universe(instrument("SPY"), instrument("ALL"), instrument("GAP"), instrument("YOUNG"), instrument("PAYS"))
    frames = [
        bars("ALL", [80, 100, 110, 99, 120, 90, 100, 130, 117], NEW_YEAR),
        bars("GAP", [80, None, 110, None, 120, 90, 100, 130, 117], NEW_YEAR),
        bars("YOUNG", [None, None, None, 40, 50], NEW_YEAR),
        bars("PAYS", [100, 100, 98, 98, 98, 98, 98], NEW_YEAR, dividend=[0, 0, 2, 0, 0, 0, 0]),
    ]
    with derived(frames, members, DAYS[-1], NEW_YEAR, wanted=WANTED) as con:
        yield con


def test_whole_rows(new_year):
    """Daily, weekly, year- and quarter-to-date returns of a symbol without gaps are those worked out by hand."""
    assert returns(new_year, "ALL") == [
        (DAYS[0], None, None, None, None),
        (DAYS[1], 0.25, None, None, None),
        (DAYS[2], 0.1, None, 0.1, 0.1),
        (DAYS[3], -0.1, None, -0.01, -0.01),
        (DAYS[4], round(21 / 99, 12), None, 0.2, 0.2),
        (DAYS[5], -0.25, 0.125, -0.1, -0.1),
        (DAYS[6], round(1 / 9, 12), 0.0, 0.0, 0.0),
        (DAYS[7], 0.3, round(20 / 110, 12), 0.3, 0.3),
        (DAYS[8], -0.1, round(18 / 99, 12), 0.17, 0.17),
    ]


def test_a_missing_base_is_null(new_year):
    """Without a price on the very base session there is no return: none is taken from a session nearby."""
    assert returns(new_year, "GAP") == [
        (DAYS[0], None, None, None, None),
        (DAYS[2], None, None, None, None),
        (DAYS[4], None, None, None, None),
        (DAYS[5], -0.25, 0.125, None, None),
        (DAYS[6], round(1 / 9, 12), None, None, None),
        (DAYS[7], 0.3, round(20 / 110, 12), None, None),
        (DAYS[8], -0.1, None, None, None),
    ]


def test_a_young_symbol_has_no_year_to_date(new_year):
    """A symbol first priced within the year has no year-to-date return that year."""
    assert returns(new_year, "YOUNG") == [(DAYS[3], None, None, None, None), (DAYS[4], 0.25, None, None, None)]


def test_a_distribution_is_no_loss(new_year):
    """A price that falls by the dividend on the ex-date returns zero over every horizon."""
    assert returns(new_year, "PAYS")[5:] == [(DAYS[5], 0.0, 0.0, 0.0, 0.0), (DAYS[6], 0.0, 0.0, 0.0, 0.0)]


def test_every_horizon_counts_sessions():
    """Each horizon reaches back exactly its number of sessions, is NULL one session earlier, and ytd and qtd change base on time."""
    start = date(2024, 2, 15)
    sessions = days(start)[:290]
    closes = [100.0 + i + (i % 7) for i in range(290)]
    with derived([bars("SPY", closes, start)], universe(instrument("SPY")), sessions[-1], start, wanted=WANTED) as con:
        rows = con.sql(f"select {', '.join(HORIZONS)}, return_ytd, return_qtd from core.returns order by session")
        found = rows.fetchall()

    def base(day, first_month):
        before = [i for i, s in enumerate(sessions) if s < date(day.year, first_month, 1)]
        return before[-1] if before else None

    for i, (day, row) in enumerate(zip(sessions, found, strict=True)):
        bases = [i - n if i >= n else None for n in HORIZONS.values()]
        bases += [base(day, 1), base(day, (day.month - 1) // 3 * 3 + 1)]
        assert row == tuple(None if b is None else pytest.approx(closes[i] / closes[b] - 1, abs=1e-12) for b in bases)
    assert len(sessions) - 1 > 252
    assert date(2025, 4, 1) in sessions


@pytest.fixture(scope="module")
def sectors():
    members = universe(
        instrument("SPY"),
        instrument("XLA", kind="sector", sector="alpha"),
        instrument("XLO", kind="sector", sector="omega", benchmark=None),
        instrument("QQQ", kind="fund", sector="alpha"),
        instrument("AAPL", kind="stock", sector="alpha"),
    )
    frames = [
        bars("SPY", [100, 100, None, 120, 126, 105, 125, 125, 100], NEW_YEAR),
        bars("XLA", [80, 100, 110, 99, 120, 90, 100, 130, 117], NEW_YEAR),
        bars("XLO", [None, 50, 55], NEW_YEAR),
        bars("QQQ", [10, 11], NEW_YEAR),
        bars("AAPL", [10, 11], NEW_YEAR),
    ]
    with derived(frames, members, DAYS[-1], NEW_YEAR, wanted=WANTED) as con:
        yield con


def test_sector_rows(sectors):
    """Sector funds alone have rows; excess is the fund's return less its benchmark's, NULL where either is unknown."""
    rows = sectors.sql(
        """
        select sector, session, symbol, return_1d, return_1w, return_ytd, excess_1d, excess_1w, excess_ytd
        from core.sector_returns order by sector, session
        """
    )
    assert rounded(rows.fetchall()) == [
        ("alpha", DAYS[0], "XLA", None, None, None, None, None, None),
        ("alpha", DAYS[1], "XLA", 0.25, None, None, 0.25, None, None),
        ("alpha", DAYS[2], "XLA", 0.1, None, 0.1, None, None, None),
        ("alpha", DAYS[3], "XLA", -0.1, None, -0.01, None, None, -0.21),
        ("alpha", DAYS[4], "XLA", round(21 / 99, 12), None, 0.2, round(21 / 99 - 0.05, 12), None, -0.06),
        ("alpha", DAYS[5], "XLA", -0.25, 0.125, -0.1, round(-0.25 + 21 / 126, 12), 0.075, -0.15),
        ("alpha", DAYS[6], "XLA", round(1 / 9, 12), 0.0, 0.0, round(1 / 9 - 20 / 105, 12), -0.25, -0.25),
        ("alpha", DAYS[7], "XLA", 0.3, round(20 / 110, 12), 0.3, 0.3, None, 0.05),
        ("alpha", DAYS[8], "XLA", -0.1, round(18 / 99, 12), 0.17, 0.1, round(18 / 99 + 20 / 120, 12), 0.17),
        ("omega", DAYS[1], "XLO", None, None, None, None, None, None),
        ("omega", DAYS[2], "XLO", 0.1, None, 0.1, None, None, None),
    ]


def test_sector_long_horizons_are_null_not_zero(sectors):
    """Horizons longer than the history are NULL in every row."""
    names = [f"{kind}_{horizon}" for kind in ("return", "excess") for horizon in ("1m", "3m", "6m", "12m")]
    known = sectors.sql(f"select {', '.join(f'count({name})' for name in names)} from core.sector_returns").fetchone()
    assert known == (0,) * len(names)


@pytest.mark.parametrize("dividend", [None, 10.0, 11.0, -10.0, -11.0])
def test_a_distribution_that_is_not_possible_is_not_known(dividend):
    """A distribution must be known and smaller, either way, than the last known close before it; that of a first bar counts for nothing."""
    paid = [dividend, 0.0, 9.99, -9.99, dividend, 0.0]
    frames = [bars("IWM", [10.0, None, 10.0, 10.0, 10.0, 10.0], NEW_YEAR, dividend=paid)]
    with derived(frames, universe(instrument("SPY"), instrument("IWM")), DAYS[5], NEW_YEAR, wanted=WANTED) as con:
        found = con.execute("from core.unknown_distributions").fetchall()
    assert found == [("IWM", DAYS[4], dividend, 10.0)]
