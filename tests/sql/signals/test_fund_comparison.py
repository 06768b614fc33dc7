"""signals.fund_comparison: every column against loops over a random world, and no value before its window is full."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
import pytest
from world import bars, days, derived, instrument, records, universe

from market_rotation.tasks.datasets import FUND_FACTS_COLUMNS, HOLDINGS_COLUMNS
from market_rotation.tasks.sources.base import typed

N = 320
DAYS = days()[:N]
SMALL = ("AAA", "BBB", "CCC", "UPP")
MEMBERS = universe(
    instrument("SPY", peer_group="large_cap"), *(instrument(symbol, peer_group="small_cap") for symbol in SMALL)
)
#: First session of each fund; CCC has no bar on session 20, though a record.
BEGINS = {"SPY": 0, "AAA": 0, "BBB": 25, "CCC": 0, "UPP": 0}
GAP = 20
FACTS = {
    # Symbol, day → expense ratio and assets; the first snapshots come late, and one has no expense ratio.
    ("AAA", 100): (0.0020, 5e9),
    ("AAA", 300): (0.0019, 6e9),
    ("BBB", 250): (0.0003, 7e9),
    ("BBB", 280): (None, 8e9),
    ("CCC", 319): (0.0006, None),
}
#: Symbol, day of the file → number of constituents.
FILES = {("AAA", 90): 5, ("AAA", 200): 7, ("BBB", 260): 3, ("CCC", 319): 4}
COLUMNS = [
    *("symbol", "session", "expense_ratio", "holdings_count", "total_net_assets_usd"),
    *("return_12m", "return_3y", "return_5y", "return_10y", "beta_252d", "beta_3y_monthly", "beta_5y_monthly"),
    *("volatility_252d", "max_drawdown_252d", "max_drawdown_5y", "median_dollar_volume_30d_usd"),
    *("median_share_volume_30d", "bid_ask_spread_pct", "premium_pct", "premium_null_reason", "dividend_yield"),
    *("trailing_pe", "top10_weight_pct", "effective_holdings", "net_flow_12m_usd"),
]


def holdings(symbol: str, day: int, count: int) -> pd.DataFrame:
    """A file with so many companies and one row of cash."""
    names = [f"C{i}" for i in range(count)] + [None]
    file = {"fund_symbol": symbol, "as_of": pd.Timestamp(DAYS[day]), "symbol": names, "name": "x", "source": "issuer"}
    return typed({**file, "weight": 1 / (count + 1)}, HOLDINGS_COLUMNS)


def make() -> tuple[list[pd.DataFrame], dict[str, pd.DataFrame]]:
    """Prices and fund data of the random world."""
    rng = np.random.default_rng(5)
    market = rng.normal(0.0004, 0.011, N)
    prices, given = [], []
    for k, (symbol, begin) in enumerate(BEGINS.items()):
        own = market if symbol == "SPY" else 0.9 * market + rng.normal(0, 0.008, N)
        if symbol == "UPP":
            own = np.abs(own) + 1e-6
        closes = (80.0 + 10 * k) * np.cumprod(1 + own)
        paid = np.zeros(N)
        if symbol in ("SPY", "AAA"):
            paid[60::63] = 0.4
        volume = rng.integers(1_000, 90_000, N).astype(float)
        frame = bars(
            symbol,
            list(closes[begin:]),
            DAYS[begin],
            dividend=list(paid[begin:]),
            volume=list(volume[begin:]),
        )
        navs = closes * (1 + rng.normal(0, 0.001, N))
        shares = 1e6 + np.cumsum(rng.integers(-5_000, 6_000, N))
        issued = records(symbol, list(navs[begin:]), list(shares[begin:]), DAYS[begin])
        at = issued["session"].map({pd.Timestamp(day): i for i, day in enumerate(DAYS)})
        if symbol == "CCC":
            frame = frame.drop(index=GAP)
            # A flow over nine sessions; a gap too long, which leaves 25 sessions unknown, just under a tenth of a year; two short gaps.
            issued = issued[~at.isin([*range(30, 38), *range(70, 94), 300, 302])]
        elif symbol == "BBB":
            issued = issued[at <= 290]
        elif symbol == "AAA":
            issued = issued[at <= N - 2]
        else:
            issued = issued.iloc[:0]
        prices.append(frame)
        given.append(issued)
    facts = [
        {
            "symbol": s,
            "as_of": pd.Timestamp(DAYS[i]),
            "expense_ratio": ratio,
            "total_net_assets_usd": assets,
            "source": "v",
        }
        for (s, i), (ratio, assets) in FACTS.items()
    ]
    fetched = {
        "fund_nav": pd.concat([frame for frame in given if len(frame)]),
        "fund_facts": typed(pd.DataFrame(facts), FUND_FACTS_COLUMNS),
        "holdings": pd.concat(holdings(symbol, day, count) for (symbol, day), count in FILES.items()),
    }
    return prices, fetched


@pytest.fixture(scope="module")
def found() -> dict[str, pd.DataFrame]:
    prices, fetched = make()
    with derived(prices, MEMBERS, DAYS[-1], **fetched) as con:
        names = ("signals.fund_comparison", "core.prices", "core.fund_nav", "core.fund_flows")
        return {name: con.sql(f"from {name} order by symbol, session").df() for name in names}


def by_day(table: pd.DataFrame, symbol: str, column: str) -> dict[int, float]:
    """Place of the session → value, NULL left out."""
    places = {pd.Timestamp(day): i for i, day in enumerate(DAYS)}
    rows = table[(table["symbol"] == symbol) & table[column].notna()]
    return {places[day]: value for day, value in zip(rows["session"], rows[column], strict=True)}


def rows_of(found: dict[str, pd.DataFrame], symbol: str) -> pd.DataFrame:
    rows = found["signals.fund_comparison"]
    return rows[rows["symbol"] == symbol].reset_index(drop=True)


def assert_same(found: pd.Series, wanted: Sequence[float | None]) -> None:
    """Equal in NULLs and, to 1e-9, in values."""
    np.testing.assert_allclose(found.to_numpy(float), np.array(wanted, float), rtol=1e-9, atol=1e-12)


def places(found: dict[str, pd.DataFrame], symbol: str) -> list[int]:
    """The sessions with a bar."""
    return sorted(by_day(found["core.prices"], symbol, "close"))


def test_rows_and_columns(found):
    """One row per bar of each small-cap fund, and of no other symbol."""
    rows = found["signals.fund_comparison"]
    assert list(rows.columns) == COLUMNS
    assert rows.groupby("symbol").size().to_dict() == {"AAA": N, "BBB": N - 25, "CCC": N - 1, "UPP": N}


@pytest.mark.parametrize("symbol", SMALL)
def test_beta_and_volatility(found, symbol):
    """Sample covariance over variance, and the sample deviation of a year, of 252 returns in a row; NULL until they are there."""
    own, market = (by_day(found["core.prices"], s, "return_1d") for s in (symbol, "SPY"))
    at = places(found, symbol)
    betas: list[float | None] = []
    deviations: list[float | None] = []
    for i in range(len(at)):
        window = at[i - 251 : i + 1] if i >= 251 else []
        if not window or any(day not in own or day not in market for day in window):
            betas.append(None)
        else:
            x, y = np.array([market[day] for day in window]), np.array([own[day] for day in window])
            betas.append(((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum())
        if not window or any(day not in own for day in window):
            deviations.append(None)
        else:
            y = np.array([own[day] for day in window])
            deviations.append(np.sqrt(((y - y.mean()) ** 2).sum() / 251) * np.sqrt(252))
    rows = rows_of(found, symbol)
    assert_same(rows["beta_252d"], betas)
    assert_same(rows["volatility_252d"], deviations)
    # The first bar has no return, nor has that after a gap; from then on a full year is needed.
    assert rows["beta_252d"].first_valid_index() == {"CCC": GAP + 252}.get(symbol, 252)


@pytest.mark.parametrize("symbol", SMALL)
def test_drawdown(found, symbol):
    """The deepest fall inside the last 252 bars, by two loops over each window."""
    index = by_day(found["core.prices"], symbol, "total_return_index")
    at = places(found, symbol)
    wanted: list[float | None] = [None] * 251
    for i in range(251, len(at)):
        high, fall = 0.0, 0.0
        for day in at[i - 251 : i + 1]:
            high = max(high, index[day])
            fall = min(fall, index[day] / high - 1)
        wanted.append(fall)
    rows = rows_of(found, symbol)
    assert_same(rows["max_drawdown_252d"], wanted)
    if symbol == "UPP":
        assert set(rows["max_drawdown_252d"].dropna()) == {0.0}
    else:
        assert (rows["max_drawdown_252d"].dropna() < -0.02).all()


@pytest.mark.parametrize("symbol", SMALL)
def test_return_and_dollar_volume(found, symbol):
    """The return over 252 sessions, and the median of close x volume over 30 bars."""
    prices = found["core.prices"]
    index, close, volume = (by_day(prices, symbol, c) for c in ("total_return_index", "close", "volume"))
    at = places(found, symbol)
    rows = rows_of(found, symbol)
    assert_same(rows["return_12m"], [index[day] / index[day - 252] - 1 if day - 252 in index else None for day in at])
    medians = [
        median(close[day] * volume[day] for day in at[i - 29 : i + 1]) if i >= 29 else None for i in range(len(at))
    ]
    assert_same(rows["median_dollar_volume_30d_usd"], medians)
    shares = [median(volume[day] for day in at[i - 29 : i + 1]) if i >= 29 else None for i in range(len(at))]
    assert_same(rows["median_share_volume_30d"], shares)


def test_the_yield_is_of_plain_closes(found):
    """Distributions of 252 bars over the close, where closes are plain prices; NULL before a full year and of any other closes."""
    prices, rows = found["core.prices"], rows_of(found, "AAA")
    close, paid = (by_day(prices, "AAA", column) for column in ("close", "dividend"))
    at = places(found, "AAA")
    wanted = [
        sum(paid.get(day, 0.0) for day in at[i - 251 : i + 1]) / close[at[i]] if i >= 251 else None
        for i in range(len(at))
    ]
    known = rows["dividend_yield"].notna()
    assert known.sum() > 20
    assert_same(rows["dividend_yield"][known], [w for w, is_known in zip(wanted, known, strict=True) if is_known])
    assert [w for w, is_known in zip(wanted, known, strict=True) if is_known and w is None] == []
    # Without distributions and records nothing says that the closes are plain.
    assert rows_of(found, "UPP")["dividend_yield"].isna().all()


def test_no_spread_is_known(found):
    """No source gives a bid-ask spread, so there is none, rather than 0."""
    assert found["signals.fund_comparison"]["bid_ask_spread_pct"].isna().all()


def test_concentration_is_that_of_the_last_file(found):
    """Equal holdings are as many as they are; the ten heaviest of five are all, and cash is none of them."""
    rows = rows_of(found, "AAA").set_index("session")
    for day, count in ((95, 5), (250, 7)):
        row = rows.loc[pd.Timestamp(DAYS[day])]
        assert row["effective_holdings"] == pytest.approx(count)
        assert row["top10_weight_pct"] == pytest.approx(100.0)
    assert rows.loc[: pd.Timestamp(DAYS[89]), "effective_holdings"].isna().all()


@pytest.mark.parametrize("symbol", SMALL)
def test_premium(found, symbol):
    """The close above that session's NAV in percent; NULL where the NAV isn't published, as on the last session."""
    close, nav = by_day(found["core.prices"], symbol, "close"), by_day(found["core.fund_nav"], symbol, "nav")
    rows = rows_of(found, symbol)
    assert_same(
        rows["premium_pct"],
        [100 * (close[day] / nav[day] - 1) if day in nav else None for day in places(found, symbol)],
    )
    assert pd.isna(rows["premium_pct"].iloc[-1]) == (symbol != "CCC")


@pytest.mark.parametrize("symbol", SMALL)
def test_flow_of_twelve_months(found, symbol):
    """The sum of the flows of the last 252 sessions, a flow over a gap pro rata; NULL with under 90 % of them covered."""
    gaps = by_day(found["core.fund_flows"], symbol, "sessions_spanned")
    # The session covered, the session whose record ends the gap, the part of the flow.
    parts = [
        (day - back, day, flow / gaps[day])
        for day, flow in by_day(found["core.fund_flows"], symbol, "net_flow_usd").items()
        for back in range(int(gaps[day]))
    ]
    wanted: list[float | None] = []
    for day in places(found, symbol):
        known = [part for covered, end, part in parts if day - 251 <= covered and end <= day]
        wanted.append(sum(known) if len(known) >= 0.9 * 252 else None)
    np.testing.assert_allclose(rows_of(found, symbol)["net_flow_12m_usd"], np.array(wanted, float), rtol=1e-9, atol=1)
    count = sum(value is not None for value in wanted)
    assert (count > 20) if symbol != "UPP" else count == 0
    assert symbol != "CCC" or (wanted[250], wanted[251] is None) == (None, False)
    assert None in wanted


@pytest.mark.parametrize("symbol", SMALL)
def test_what_snapshots_say_as_of_each_session(found, symbol):
    """Expense ratio and holdings are those of the last snapshot by then; assets are the issuer's of the last 5 sessions.

    Else they are its count of the last 23 sessions at its last NAV, and else the vendor's.
    """
    published, count, nav = (
        by_day(found["core.fund_nav"], symbol, column)
        for column in ("total_net_assets_usd", "shares_outstanding", "nav")
    )
    rows = rows_of(found, symbol)
    ratios, counts, assets = [], [], []
    for day in places(found, symbol):
        asked = [i for (s, i) in FACTS if s == symbol and i <= day]
        ratio, vendor = FACTS[symbol, max(asked)] if asked else (None, None)
        files = [i for (s, i) in FILES if s == symbol and asked and i <= max(asked)]
        last = max((i for i in published if i <= day), default=-99)
        ratios.append(ratio)
        counts.append(FILES[symbol, max(files)] if files else None)
        by_count = count[last] * nav[max(i for i in nav if i <= day)] if last >= day - 23 else vendor
        assets.append(published[last] if last > day - 5 else by_count)
    assert_same(rows["expense_ratio"], ratios)
    assert_same(rows["holdings_count"], counts)
    assert_same(rows["total_net_assets_usd"], assets)


@pytest.mark.parametrize("cut", [40, 251, 275, 301])
def test_the_past_does_not_know_the_future(found, cut):
    """Derived from the data known at the cut, every row up to the cut is the same as from all data."""
    prices, fetched = make()
    with derived(prices, MEMBERS, DAYS[cut], **fetched) as con:
        before = con.sql("from signals.fund_comparison order by symbol, session").df()
    after = found["signals.fund_comparison"]
    after = after[after["session"] <= pd.Timestamp(DAYS[cut])].reset_index(drop=True)
    pd.testing.assert_frame_equal(before, after, check_dtype=False, rtol=1e-10, atol=1e-12)


def fall(*index: float) -> Any:
    """The deepest fall of an index, joined stretch by stretch from the left."""
    stretch = "{{'high': {0}::double, 'low': {0}::double, 'fall': 0.0::double}}"
    joined = stretch.format(index[0])
    for value in index[1:]:
        joined = f"fn.join_drawdowns({joined}, {stretch.format(value)})"
    with derived([bars("SPY", [100.0])], universe(instrument("SPY")), date(2024, 1, 2)) as con:
        return con.sql(f"select ({joined}).fall").fetchone()[0]


@pytest.mark.long_after(0)
@pytest.mark.parametrize(
    ("index", "wanted"),
    [
        ((1, 2, 3, 4), 0.0),
        ((5, 5, 5), 0.0),
        ((4, 3, 2, 1), -0.75),
        ((1, 4, 2, 8, 5), -0.5),
        ((8, 1, 9, 2), -0.875),
        ((2, 10, 1), -0.9),
    ],
)
def test_fall_joined(index, wanted):
    """The deepest fall lies within a stretch or between the high of the earlier and the low of the later; none is zero."""
    assert fall(*index) == pytest.approx(wanted)


# ---- windows of years ----

YEARS = days(date(2013, 1, 2))[:2700]


@pytest.fixture(scope="module")
def long() -> dict[str, pd.DataFrame]:
    """Two funds over more than ten years; BBB lacks the bar of one month end."""
    rng = np.random.default_rng(9)
    market = rng.normal(0.0003, 0.01, len(YEARS))
    gap = next(i for i in range(1500, 1600) if YEARS[i].month != YEARS[i + 1].month)
    members = universe(
        instrument("SPY", peer_group="large_cap"), *(instrument(s, peer_group="small_cap") for s in ("AAA", "BBB"))
    )
    frames = [bars("SPY", list(100 * np.cumprod(1 + market)), YEARS[0])]
    for symbol in ("AAA", "BBB"):
        closes = 40 * np.cumprod(1 + 1.1 * market + rng.normal(0, 0.006, len(YEARS)))
        frame = bars(symbol, list(closes), YEARS[0])
        frames.append(frame.drop(index=gap) if symbol == "BBB" else frame)
    with derived(frames, members, YEARS[-1], YEARS[0]) as con:
        return {
            "rows": con.sql("from signals.fund_comparison order by symbol, session").df(),
            "prices": con.sql("select symbol, session, total_return_index as tri from core.prices").df(),
        }


def index_of(long: dict[str, pd.DataFrame], symbol: str) -> pd.Series:
    prices = long["prices"]
    return prices[prices["symbol"] == symbol].set_index("session")["tri"].sort_index()


@pytest.mark.parametrize(("column", "years"), [("return_3y", 3), ("return_5y", 5), ("return_10y", 10)])
def test_returns_of_years(long, column, years):
    """The growth over 252 sessions a year, by the year; NULL before, and where there is no price exactly then."""
    for symbol in ("AAA", "BBB"):
        index = index_of(long, symbol).reindex(pd.DatetimeIndex(YEARS))
        wanted = (index / index.shift(252 * years)) ** (1 / years) - 1
        rows = long["rows"][long["rows"]["symbol"] == symbol].set_index("session")[column]
        np.testing.assert_allclose(rows, wanted.reindex(rows.index), rtol=1e-9)
        assert rows.first_valid_index() == pd.Timestamp(YEARS[252 * years])


@pytest.mark.parametrize(("column", "months"), [("beta_3y_monthly", 36), ("beta_5y_monthly", 60)])
@pytest.mark.parametrize("symbol", ["AAA", "BBB"])
def test_monthly_beta(long, symbol, column, months):
    """Covariance over variance of calendar months that ended before the session's month; a month without a last price ends the window."""
    ends = pd.Series(YEARS, index=pd.DatetimeIndex(YEARS)).groupby(pd.DatetimeIndex(YEARS).to_period("M")).last()
    monthly = pd.DataFrame(
        {s: index_of(long, s).reindex(pd.DatetimeIndex(ends)).set_axis(ends.index) for s in (symbol, "SPY")}
    ).pct_change(fill_method=None)
    rows = long["rows"][long["rows"]["symbol"] == symbol]
    checked = 0
    for row in rows.iloc[::97].to_dict("records"):
        window = monthly.loc[: row["session"].to_period("M") - 1].tail(months)
        if len(window) == months and window.notna().all(axis=None):
            assert row[column] == pytest.approx(window.cov().loc[symbol, "SPY"] / window["SPY"].var(), rel=1e-9)
            checked += 1
        else:
            assert pd.isna(row[column])
    assert checked > 1
    if symbol == "BBB":
        assert rows[column].iloc[-1200:].isna().any()


def test_drawdown_of_five_years(long):
    """The deepest fall inside the last 1260 bars; NULL before."""
    for symbol in ("AAA", "BBB"):
        index = index_of(long, symbol)
        rows = long["rows"][long["rows"]["symbol"] == symbol].set_index("session")["max_drawdown_5y"]
        assert rows.first_valid_index() == index.index[1259]
        for end in range(1259, len(index), 211):
            window = index.iloc[end - 1259 : end + 1]
            assert rows.loc[index.index[end]] == pytest.approx((window / window.cummax() - 1).min(), rel=1e-9)
