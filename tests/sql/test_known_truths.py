"""The SQL on real prices: published truths, an independent calculation of every value, and Yahoo's own adjusted closes."""

from __future__ import annotations

import json
from datetime import date

import numpy as np
import pandas as pd
import pytest
import world
from world import derived, instrument, universe

from market_rotation.tasks import calendar
from market_rotation.tasks.sources.base import price_frame
from market_rotation.tasks.universe import load_universe

START, END = date(2005, 1, 3), date(2026, 1, 16)
YEAR_END = pd.Timestamp("2025-12-31")
UNIVERSE = load_universe()
#: The real data has no prices of funds that are followed for their flows alone.
PAIRS = [f"{pair.small_symbol}/{pair.large_symbol}" for pair in world.counted_universe().pairs]
HORIZONS = {"1d": 1, "1w": 5, "1m": 21, "3m": 63, "6m": 126, "12m": 252}
TABLES = {
    "core.sessions": "session, session_number, previous_session, previous_year_end, previous_quarter_end, is_half_day",
    "core.prices": "symbol, session, close, dividend, total_return_index, return_1d",
    "core.returns": "*",
    "core.sector_returns": "*",
    "signals.relative_strength": "*",
    "signals.sector_leadership": "*",
}


@pytest.fixture(scope="module")
def prices(real_data):
    return price_frame(pd.read_parquet(real_data / "files" / "prices.parquet").assign(capital_gain=0.0))


def tables_at(prices: pd.DataFrame, cut: date) -> dict[str, pd.DataFrame]:
    with derived([prices], UNIVERSE, cut, START, wanted=list(TABLES)) as con:
        return {
            name: con.sql(f"select {columns} from {name} order by #1, #2, #3").df() for name, columns in TABLES.items()
        }


@pytest.fixture(scope="module")
def found(prices):
    """The tables derived from the whole history."""
    return tables_at(prices, END)


@pytest.fixture(scope="module")
def sessions():
    return pd.DatetimeIndex(calendar.load(START, END).sessions(START, END))


@pytest.fixture(scope="module")
def index(prices, sessions):
    """Total-return indexes, one column per symbol, one row per session; these closes already hold the dividends."""
    closes = prices.pivot(index="session", columns="symbol", values="close").reindex(sessions)
    return 100 * closes / closes.bfill().iloc[0]


@pytest.fixture(scope="module")
def returns(index, sessions):
    """Horizon → returns, one column per symbol, one row per session."""
    wanted = {name: index / index.shift(n) - 1 for name, n in HORIZONS.items()}
    for name, period in (("ytd", "Y"), ("qtd", "Q")):
        periods = sessions.to_period(period)
        ends = index[~periods.duplicated(keep="last")]
        bases = ends.set_axis(ends.index.to_period(period) + 1).reindex(periods).set_axis(sessions)
        wanted[name] = index / bases - 1
    return wanted


def wide(table: pd.DataFrame, key: str, column: str, sessions: pd.DatetimeIndex) -> pd.DataFrame:
    return table.pivot(index="session", columns=key, values=column).reindex(sessions)


def assert_same(found: pd.DataFrame, wanted: pd.DataFrame, tolerance: float = 1e-9) -> None:
    """Equal in rows, columns, NULLs and, within the tolerance, values."""
    assert list(found.index) == list(wanted.index)
    assert sorted(found.columns) == sorted(wanted.columns)
    np.testing.assert_allclose(
        found[list(wanted.columns)].to_numpy(float), wanted.to_numpy(float), rtol=tolerance, atol=tolerance
    )


def strength(found, pair, session=YEAR_END):
    rows = found["signals.relative_strength"]
    return rows[(rows["pair"] == pair) & (rows["session"] == session)].iloc[0]


def test_fourth_quarter_of_2025(found):
    """IWM returned 2.08 %, IWB 2.48 % and IWC 6.26 % in the last quarter of 2025."""
    headline, micro = strength(found, "IWM/IWB"), strength(found, "IWC/IWB")
    assert headline["small_return_qtd"] == pytest.approx(0.0208, abs=5e-5)
    assert headline["large_return_qtd"] == pytest.approx(0.0248, abs=5e-5)
    assert headline["spread_qtd"] == pytest.approx(0.0208 - 0.0248, abs=1e-4)
    assert micro["small_return_qtd"] == pytest.approx(0.0626, abs=5e-5)


def test_since_the_low_of_april_2025(found):
    """From the low of 8 April 2025 to the end of the year IWM returned 42.07 % and IWB 38.24 %."""
    headline = strength(found, "IWM/IWB")
    assert headline["low_session"] == pd.Timestamp("2025-04-08")
    assert headline["small_return_since_low"] == pytest.approx(0.4207, abs=5e-5)
    assert headline["large_return_since_low"] == pytest.approx(0.3824, abs=5e-5)
    assert headline["spread_since_low"] == pytest.approx(0.4207 - 0.3824, abs=1e-4)


def test_published_index_returns_are_near(found):
    """The funds stay within half a percentage point of what was published for their indexes."""
    headline, micro = strength(found, "IWM/IWB"), strength(found, "IWC/IWB")
    values = [headline["small_return_qtd"], headline["large_return_qtd"], micro["small_return_qtd"]]
    values += [headline["small_return_since_low"], headline["large_return_since_low"]]
    assert values == pytest.approx([0.022, 0.024, 0.063, 0.424, 0.385], abs=0.005)


def test_index_of_every_symbol(found, index, sessions):
    """All 32 symbols have a row on every session with a price, and the index is the close against the first."""
    assert len(index.columns) == 32
    assert len(found["core.prices"]) == index.notna().sum().sum()
    assert_same(wide(found["core.prices"], "symbol", "total_return_index", sessions), index)


@pytest.mark.parametrize("horizon", [*HORIZONS, "ytd", "qtd"])
def test_returns_of_every_symbol(found, returns, sessions, horizon):
    """Each return of all 32 symbols on all sessions equals one worked out by position in a table of sessions."""
    assert_same(wide(found["core.returns"], "symbol", f"return_{horizon}", sessions), returns[horizon])


@pytest.mark.parametrize("horizon", [*HORIZONS, "ytd"])
def test_sector_returns(found, returns, sessions, horizon):
    """The eleven sector funds' returns and their excess over SPY equal the same table of returns."""
    sectors = [i.symbol for i in UNIVERSE.instruments if i.kind == "sector"]
    assert len(sectors) == 11
    table, own = found["core.sector_returns"], returns[horizon]
    assert_same(wide(table, "symbol", f"return_{horizon}", sessions), own[sectors])
    assert_same(wide(table, "symbol", f"excess_{horizon}", sessions), own[sectors].sub(own["SPY"], axis=0))


def streaks(lead: pd.Series) -> list[float]:
    """How many sessions in a row, up to each, the lead has been above zero; NaN where it is not known."""
    found: list[float] = []
    for value in lead:
        before = found[-1] if found and not np.isnan(found[-1]) else 0
        found.append(np.nan if np.isnan(value) else before + 1 if value > 0 else 0)
    return found


@pytest.mark.parametrize("pair", PAIRS)
def test_relative_strength_of_every_pair(found, index, returns, sessions, pair):
    """Every column of the pair on every common session equals an independent calculation, and no other rows exist."""
    small, large = (index[symbol] for symbol in pair.split("/"))
    common = (small.notna() & large.notna()).to_numpy()
    ratio = (small / large)[common]
    ratio = 100 * ratio / ratio.iloc[0]
    wanted = pd.DataFrame({"ratio": ratio})
    for horizon in [*HORIZONS, "ytd", "qtd"][1:]:
        legs = [returns[horizon][symbol][common] for symbol in pair.split("/")]
        wanted[f"spread_{horizon}"] = legs[0] - legs[1]
        if horizon in ("ytd", "qtd"):
            wanted[f"small_return_{horizon}"], wanted[f"large_return_{horizon}"] = legs
    # The legs called large have a price on every session, so their last 252 rows are the last 252 sessions.
    assert large.notna().all()
    backwards = np.lib.stride_tricks.sliding_window_view(large.to_numpy(), 252)[:, ::-1]
    lows = np.r_[np.full(251, -1), np.arange(251, len(large)) - backwards.argmin(axis=1)]
    for leg, series in (("small", small), ("large", large)):
        at_low = np.where(lows >= 0, series.to_numpy()[lows], np.nan)
        wanted[f"{leg}_return_since_low"] = (series / at_low - 1)[common]
    wanted["spread_since_low"] = wanted["small_return_since_low"] - wanted["large_return_since_low"]
    for rows in (50, 200):
        wanted[f"ratio_ma{rows}"] = ratio.rolling(rows).mean()
    wanted["ratio_z252"] = (ratio - ratio.rolling(252).mean()) / ratio.rolling(252).std(ddof=1)
    # The rank among the rows of the window, 0 for the lowest, 100 for the highest.
    values = ratio.to_numpy()
    lower = np.array([np.searchsorted(np.sort(values[: i + 1]), value) for i, value in enumerate(values)])
    wanted["percentile_all"] = np.where(
        np.arange(len(values)) >= 251, 100 * lower / np.maximum(np.arange(len(values)), 1), np.nan
    )
    windows = np.lib.stride_tricks.sliding_window_view(values, 1260)
    five_years = 100 * (windows < windows[:, -1:]).sum(axis=1) / 1259
    wanted["ratio_percentile_5y"] = np.r_[np.full(len(values) - len(five_years), np.nan), five_years]
    daily = [returns["1d"][symbol][common] for symbol in pair.split("/")]
    wanted["days_leading"] = streaks(daily[0] - daily[1])

    rows = found["signals.relative_strength"]
    rows = rows[rows["pair"] == pair].set_index("session")
    assert (rows["small_symbol"] + "/" + rows["large_symbol"] == pair).all()
    low_session = sessions[lows].where(lows >= 0)[common]
    assert pd.DatetimeIndex(rows["low_session"]).equals(low_session.as_unit(rows["low_session"].dt.unit))
    assert_same(rows[wanted.columns], wanted)
    assert set(rows.columns) == {*wanted.columns, "pair", "small_symbol", "large_symbol", "low_session"}


def test_low_in_history_though_far_above_the_year(found):
    """On 16 January 2026 IWM had beaten SPY, and IWB, eleven sessions in a row; the ratio was far above its year's mean and low in its history."""
    headline = strength(found, "IWM/IWB", pd.Timestamp(2026, 1, 16))
    assert headline["days_leading"] == 11
    assert headline["ratio_z252"] == pytest.approx(2.80, abs=0.005)
    assert headline["percentile_all"] == pytest.approx(6.2, abs=0.05)


def test_iwm_beat_spy_eleven_sessions_in_a_row(returns, prices):
    """A pair of one's own tells the same of IWM against SPY."""
    members = UNIVERSE.model_copy(update={"pairs": (UNIVERSE.pairs[0].model_copy(update={"large_symbol": "SPY"}),)})
    recent = prices[prices["session"] >= "2025-01-02"]
    with derived([recent], members, END, date(2025, 1, 2), wanted=["signals.relative_strength"]) as con:
        found = con.sql("select max(session), last(days_leading order by session) from signals.relative_strength")
        assert found.fetchall() == [(END, 11)]
    assert streaks(returns["1d"]["IWM"] - returns["1d"]["SPY"])[-1] == 11


@pytest.mark.long_after(0)
@pytest.mark.parametrize(
    ("start", "end", "first"),
    [
        ("2025-04-08", "2026-01-16", "2025-04-08"),
        ("2024-12-31", "2025-12-31", "2024-12-31"),
        ("2025-01-01", "2025-12-31", "2024-12-31"),
    ],
)
def test_returns_between(prices, index, start, end, first):
    """The total return of each of the 32 symbols between two sessions; a date without a session means the session before it."""
    with derived([prices], UNIVERSE, END, START, wanted=["core.returns_between"]) as con:
        rows = con.sql(f"from core.returns_between('{start}', '{end}')").df().set_index("symbol")
        before_all = con.sql("from core.returns_between('1999-01-04', '2025-12-31')").df()
    assert (rows["session_from"] == first).all()
    # The real data has no prices of the funds that are followed for their flows or the context, and an index has no total return.
    followed = {i.symbol for i in UNIVERSE.instruments if i.kind != "index" and not i.in_breadth}
    assert set(rows.index[rows["total_return"].isna()]) == followed
    rows = rows.dropna()
    assert len(rows) == 32
    wanted = index.loc[end] / index.loc[first] - 1
    np.testing.assert_allclose(rows["total_return"], wanted[rows.index], rtol=1e-9)
    assert before_all["total_return"].isna().all()


@pytest.mark.parametrize("horizon", ["1m", "3m", "6m", "12m", "ytd"])
def test_sector_ranks(found, returns, sessions, horizon):
    """Each sector's rank is pandas's rank of the returns among the sectors known that session."""
    sectors = [i.symbol for i in UNIVERSE.instruments if i.kind == "sector"]
    wanted = returns[horizon][sectors].rank(axis=1, method="min", ascending=False)
    ranks = wide(found["signals.sector_leadership"], "symbol", f"rank_{horizon}", sessions)
    assert_same(ranks, wanted)
    assert ranks.max().max() == 11
    assert ranks[sessions < "2015-10-08"].max().max() == 9


@pytest.mark.long_after(0)
@pytest.mark.parametrize("cut", [date(2015, 10, 30), date(2020, 3, 20), date(2025, 4, 30)], ids=str)
def test_the_past_does_not_know_the_future(prices, found, cut):
    """Derived with the data that ended at the cut, every table is the same up to there as with all data."""
    for name, before in tables_at(prices, cut).items():
        after = found[name][found[name]["session"] <= pd.Timestamp(cut)].reset_index(drop=True)
        assert len(before)
        pd.testing.assert_frame_equal(before, after, check_dtype=False, rtol=1e-12, atol=1e-13, obj=name)


def chart(path) -> pd.DataFrame:
    """A recorded Yahoo chart as a price frame, with Yahoo's adjusted close."""
    body = json.loads(path.read_text())
    (result,) = body.get("body", body)["chart"]["result"]
    dates = pd.to_datetime(result["timestamp"], unit="s", utc=True).tz_convert("America/New_York").date
    frame = pd.DataFrame({"symbol": result["meta"]["symbol"], "session": pd.to_datetime(dates)})
    frame["close"] = result["indicators"]["quote"][0]["close"]
    frame["vendor_adj_close"] = result["indicators"]["adjclose"][0]["adjclose"]
    frame["dividend"], frame["split_ratio"], frame["capital_gain"] = 0.0, 1.0, 0.0
    events = result.get("events", {})
    for event in events.get("dividends", {}).values():
        frame.loc[[event["date"] == t for t in result["timestamp"]], "dividend"] = event["amount"]
    for event in events.get("splits", {}).values():
        at = [event["date"] == t for t in result["timestamp"]]
        frame.loc[at, "split_ratio"] = event["numerator"] / event["denominator"]
    assert (frame["dividend"] > 0).sum() == len(events.get("dividends", {}))
    assert (frame["split_ratio"] != 1).sum() == len(events.get("splits", {}))
    return price_frame(frame)


@pytest.mark.long_after(0)
@pytest.mark.parametrize(
    ("recording", "unlisted", "dividends", "split"),
    [
        ("historical-via-chart-MSFT-dividends-2021-02-01-to-2022-01-31.csv.json", {}, 4, 1),
        # Recorded without its dividends, 0.004 each in today's shares, which Yahoo's adjusted closes contain.
        (
            "historical-via-chart-NVDA-split-2021-02-01-to-2022-01-31.csv.json",
            dict.fromkeys(["2021-03-09", "2021-06-09", "2021-08-31", "2021-12-01"], 0.004),
            4,
            4,
        ),
        ("chart-AAPL-2020-08-31-to-2020-11-07.json", {}, 1, 4),
        ("yfinance-rs_history_chart_MSFT.json", {}, 2, 1),
        ("yfinance-rs_history_chart_AAPL.json", {}, 2, 1),
    ],
)
def test_adjusted_close_is_yahoos(real_data, recording, unlisted, dividends, split):
    """From Yahoo's closes and dividends comes Yahoo's own adjusted close, both measured by their last value."""
    given = chart(real_data / "raw" / "yahoo" / recording)
    for day, amount in unlisted.items():
        given.loc[given["session"] == day, "dividend"] = amount
    assert (given["dividend"] > 0).sum() == dividends
    symbol, first, last = given["symbol"].iloc[0], given["session"].iloc[0].date(), given["session"].iloc[-1].date()
    with derived([given], universe(instrument("SPY"), instrument(symbol)), last, first, wanted=["core.prices"]) as con:
        found = con.sql("from core.prices order by session").df()
    assert len(found) == len(given)
    assert found["split_ratio"].max() == split
    yahoo = given["vendor_adj_close"]
    np.testing.assert_allclose(
        found["adj_close"] / found["adj_close"].iloc[-1], yahoo / yahoo.iloc[-1], rtol=1e-5, atol=0
    )
