"""The other signals on real prices: every value worked out again in numpy and pandas, and no row that knows the future."""

from __future__ import annotations

from datetime import date
from itertools import pairwise
from statistics import fmean, median, stdev
from typing import Any

import numpy as np
import pandas as pd
import pytest
import world

from market_rotation.tasks import calendar, warehouse
from market_rotation.tasks.sources.base import price_frame
from market_rotation.tasks.sources.files import FilesSource
from market_rotation.tasks.warehouse.models import models

#: The records of IWM begin in 2000, the prices in 2005.
FIRST_RECORD, START, END = date(2000, 5, 22), date(2005, 1, 3), date(2026, 1, 16)
UNIVERSE = world.counted_universe()
SECTORS = [i.symbol for i in UNIVERSE.instruments if i.kind == "sector"]
MAG7 = ["AAPL", "MSFT", "GOOGL", "AMZN", "NVDA", "META", "TSLA"]
SMALL_CAPS = ["IWM", "VTWO", "IJR", "SPSM", "VB"]
MEASURED = [i.symbol for i in UNIVERSE.instruments if i.benchmark]
YOUNG = ["XLRE", "XLC", "MAGS"]
SPANS = {"1m": 21, "3m": 63, "6m": 126, "12m": 252}
HORIZONS = [*SPANS, "ytd"]
AXES = {
    "relative_strength": "size",
    **dict.fromkeys(("breadth", "sector_leadership", "mega_cap"), "leadership"),
    **dict.fromkeys(("fund_flows", "earnings"), "support"),
}
#: The states of each axis for 1, 0 and -1.
STATES = {
    "size": ("leading", "even", "trailing"),
    "leadership": ("broadening", "mixed", "narrowing"),
    "support": ("supported", "mixed", "contradicted"),
}
#: From the most to the least in favour of small caps.
LABELS = ["confirmed", "building", "neutral", "fading", "reversed"]
THRESHOLDS = {
    "breadth": (6, 3),
    "earnings": (0.01, -0.01),
    "fund_flows": (0.5, -0.5),
    "mega_cap": (-0.01, 0.01),
    "relative_strength": (0.5, -0.5),
    "sector_leadership": (7, 2),
}
#: A Monday; a Friday that ends a month, with a sector three weeks old; a Monday with a sector two weeks old; the Friday before
#: a low; the Thursday before a Good Friday, which ends its week; the day of a low; a Wednesday shortly before the end.
CUTS = [
    *(date(2011, 9, 12), date(2015, 10, 30), date(2018, 7, 2), date(2020, 3, 20)),
    *(date(2024, 3, 28), date(2025, 4, 8), date(2026, 1, 7)),
]


@pytest.fixture(scope="module")
def prices(real_data):
    return price_frame(pd.read_parquet(real_data / "files" / "prices.parquet").assign(capital_gain=0.0))


@pytest.fixture(scope="module")
def fund_nav(real_data):
    return FilesSource(real_data / "files").fund_nav("IWM", date(2000, 1, 1), END)


def signals_at(prices, fund_nav, cut, members=UNIVERSE) -> dict[str, pd.DataFrame]:
    """Every table of `signals`, whatever they are, and IWM's flows and records, derived with the data up to the cut."""
    with world.derived([prices], members, cut, FIRST_RECORD, fund_nav=fund_nav) as con:
        catalogue = "from duckdb_tables() select table_name where schema_name = 'signals' order by table_name"
        names = [name for (name,) in con.sql(catalogue).fetchall()]
        tables = {name: world.table(con, f"signals.{name}") for name in names}
        return tables | {name: world.table(con, f"core.{name}") for name in ("fund_flows", "fund_nav")}


@pytest.fixture(scope="module")
def found(prices, fund_nav):
    """The tables derived from the whole history."""
    return signals_at(prices, fund_nav, END)


@pytest.fixture(scope="module")
def sessions():
    return pd.DatetimeIndex(calendar.load(START, END).sessions(START, END))


@pytest.fixture(scope="module")
def index(prices, sessions):
    """Total-return indexes, one column per symbol, one row per session; these closes already hold the dividends."""
    closes = prices.pivot(index="session", columns="symbol", values="close").reindex(sessions)
    assert len(closes.columns) == 32
    assert all(closes[symbol].loc[closes[symbol].first_valid_index() :].notna().all() for symbol in closes)
    return 100 * closes / closes.bfill().iloc[0]


def over_horizons(index: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Horizon → returns of these indexes, the year's from its predecessor's last row."""
    wanted = {name: index / index.shift(n) - 1 for name, n in SPANS.items()}
    years = index.index.year
    ends = index[~years.duplicated(keep="last")]
    bases = ends.set_axis(ends.index.year + 1).reindex(years).set_axis(index.index)
    return wanted | {"ytd": index / bases - 1}


@pytest.fixture(scope="module")
def returns(index):
    """Horizon → returns, one column per symbol and one for the basket of the Magnificent Seven."""
    daily = (index[MAG7] / index[MAG7].shift(1) - 1).mean(axis=1)
    return over_horizons(index.assign(basket=(1 + daily.fillna(0)).cumprod()))


def last_rows(values: np.ndarray, n: int) -> np.ndarray:
    """The last n values, one row for each value that has as many."""
    return np.lib.stride_tricks.sliding_window_view(values, n)


def filled(values: np.ndarray, count: int) -> np.ndarray:
    """With NaN in front, so that there are so many."""
    return np.r_[np.full(count - len(values), np.nan), values]


def means(values, n: int) -> np.ndarray:
    """The mean of the last n values."""
    return filled(last_rows(np.asarray(values), n).mean(axis=1), len(values))


def scores(values: np.ndarray, n: int = 14) -> np.ndarray:
    """How many sample standard deviations the value is above the mean of the last n."""
    rows = last_rows(values, n)
    return filled((values[n - 1 :] - rows.mean(axis=1)) / rows.std(axis=1, ddof=1), len(values))


def exceeds(values: np.ndarray, average: np.ndarray) -> np.ndarray:
    """1 above, -1 below, 0 where the two differ by rounding only; NaN where not known."""
    return np.where(np.abs(values - average) <= 1e-12 * np.abs(average), 0, np.sign(values - average))


def assert_same(rows: pd.DataFrame, wanted: pd.DataFrame, *keys: str, relative: float = 1e-9) -> None:
    """Equal in rows, columns, NULLs and, to 1e-9, values; `keys` are columns that are looked at elsewhere."""
    assert list(rows.index) == list(wanted.index)
    assert sorted(rows.columns) == sorted([*wanted.columns, *keys])
    for column in wanted:
        np.testing.assert_allclose(
            rows[column].to_numpy(float), wanted[column].to_numpy(float), rtol=relative, atol=1e-9, err_msg=column
        )


def test_tables(found):
    """Each table of signals has rows, but for those of earnings and holdings, of which there is no data here."""
    without = ["constituent_breadth", "earnings_momentum", "fund_overlap"]
    assert [name for name, rows in found.items() if rows.empty] == without


def test_mega_cap(found, returns, index):
    """All thirty returns of the Magnificent Seven, technology and the rest equal an independent calculation on every session."""
    others = [symbol for symbol in SECTORS if symbol != "XLK"]
    assert len(others) == 10
    wanted: dict[str, pd.Series] = {}
    for horizon in HORIZONS:
        own = returns[horizon]
        sides = {"mag7": own["basket"], "rest": own["RSP"], "tech": own["XLK"], "ex_tech": own[others].mean(axis=1)}
        wanted |= {f"{side}_return_{horizon}": values for side, values in sides.items()}
        wanted[f"mag7_minus_rest_{horizon}"] = sides["mag7"] - sides["rest"]
        wanted[f"tech_minus_ex_tech_{horizon}"] = sides["tech"] - sides["ex_tech"]
    assert len(wanted) == 30
    wanted["mag7_members"] = index[MAG7].notna().sum(axis=1)
    wanted["ex_tech_sectors"] = returns["3m"][others].notna().sum(axis=1)
    assert_same(found["mega_cap"].set_index("session"), pd.DataFrame(wanted), "missing_symbols")
    assert found["mega_cap"]["missing_symbols"].isna().all()


def breadth(index: pd.DataFrame, returns: dict[str, pd.DataFrame]) -> pd.DataFrame:
    own = returns["3m"]
    excess = own[SECTORS].sub(own["SPY"], axis=0)
    above = pd.DataFrame({s: exceeds(index[s].to_numpy(), means(index[s], 200)) for s in index}, index=index.index)
    full = above.notna()
    # The universe file gives every inception; a symbol whose prices begin earlier was listed.
    listed = sum(
        (index.index >= pd.Timestamp(i.inception)) | (index.index >= index[i.symbol].first_valid_index())
        for i in UNIVERSE.instruments
    )
    wanted = pd.DataFrame(index=index.index)
    wanted["sectors_counted_3m"] = excess.notna().sum(axis=1)
    wanted["sectors_counted_200d"] = full[SECTORS].sum(axis=1)
    wanted["sectors_beating_spy_3m"] = (excess > 0).sum(axis=1).where(wanted["sectors_counted_3m"] > 0)
    wanted["sectors_above_200d"] = (above[SECTORS] > 0).sum(axis=1).where(wanted["sectors_counted_200d"] > 0)
    wanted["equal_minus_cap_3m"] = own["RSP"] - own["SPY"]
    wanted["counted"] = full.sum(axis=1)
    wanted["universe_above_200d_pct"] = 100 * (above > 0).sum(axis=1) / wanted["counted"].where(full.any(axis=1))
    wanted["missing"] = listed - index.notna().sum(axis=1)
    return wanted


def test_breadth(found, index, returns):
    """Every count, percentage and difference of breadth equals an independent calculation on every session."""
    wanted = breadth(index, returns)
    assert wanted.loc["2026-01-16", "counted"] == 32
    rows = found["breadth"].set_index("session")
    assert_same(rows, wanted, "missing_symbols")
    assert rows["missing_symbols"].isna().equals(wanted["missing"] == 0)
    named = rows["missing_symbols"].dropna().str.split(", ")
    assert (named.str.len() == wanted["missing"][named.index]).all()
    assert all(index.loc[day, symbols].isna().all() for day, symbols in named.items())


def last_of_weeks(sessions: pd.DatetimeIndex) -> np.ndarray:
    """Which sessions are the last of their ISO week."""
    weeks = sessions.isocalendar()
    return ~weeks.duplicated(["year", "week"], keep="last").to_numpy()


def rotation(rs: pd.Series) -> pd.DataFrame:
    ratio = 100 + scores(rs.to_numpy())
    return pd.DataFrame({"rs": rs, "rs_ratio": ratio, "rs_momentum": 100 + scores(ratio)}, index=rs.index)


def quadrants(ratio: pd.Series, momentum: pd.Series) -> pd.Series:
    right, up = ratio >= 100, momentum >= 100
    names = np.select([right & up, right, up], ["leading", "weakening", "improving"], "lagging")
    return pd.Series(names, ratio.index).where(momentum.notna(), None)


@pytest.mark.parametrize("timeframe", ["daily", "weekly"])
def test_relative_rotation(found, index, timeframe):
    """Place, quadrant and heading of all 31 symbols with a benchmark equal an independent calculation on every row."""
    assert len(MEASURED) == 31
    table = found["relative_rotation"]
    table = table[table["timeframe"] == timeframe]
    assert set(table["symbol"]) == set(MEASURED)
    assert set(table["benchmark"]) == {"SPY"}
    # The last session of all is a Friday.
    assert not table["is_provisional"].any()
    for symbol, rows in table.set_index("session").groupby("symbol"):
        rs = (100 * index[symbol] / index["SPY"]).dropna()
        wanted = rotation(rs[last_of_weeks(rs.index)] if timeframe == "weekly" else rs)
        assert_same(rows[["rs", "rs_ratio", "rs_momentum"]], wanted, relative=0)
        ratio, momentum = wanted["rs_ratio"], wanted["rs_momentum"]
        assert rows["quadrant"].equals(quadrants(rows["rs_ratio"], rows["rs_momentum"])), symbol
        is_clear = ((ratio - 100).abs() > 1e-9) & ((momentum - 100).abs() > 1e-9)
        assert rows["quadrant"][is_clear].equals(quadrants(ratio, momentum)[is_clear]), symbol
        assert is_clear.sum() > 0.99 * momentum.notna().sum()
        # An error of 1e-9 in where a step begins and ends turns a short one by more than a long one.
        across, upwards = ratio.diff(), momentum.diff()
        heading = np.degrees(np.arctan2(upwards, across))
        off = (rows["heading_deg"] - heading + 180) % 360 - 180
        assert (rows["heading_deg"].notna() == (across.notna() & upwards.notna())).all(), symbol
        assert (off.abs() <= 1e-9 + np.degrees(4e-9 / np.hypot(across, upwards)))[heading.notna()].all(), symbol
        assert rows["heading_deg"].dropna().between(0, 360, inclusive="left").all(), symbol
    assert len(table.columns) == 10


def worst_falls(values: np.ndarray, n: int) -> np.ndarray:
    """The deepest fall from an earlier high within the last n values."""
    rows = last_rows(values, n)
    return filled((rows / np.maximum.accumulate(rows, axis=1) - 1).min(axis=1), len(values))


def flows_of_252(flows: np.ndarray, spans: np.ndarray) -> list[float]:
    """The flows that ended in the last 252 sessions; of one that began before them, the part inside. NaN with under 90 % covered."""
    found = []
    for last in range(len(flows)):
        places = np.arange(max(0, last - 251), last + 1)
        inside = np.where(np.isnan(flows[places]), 0, np.minimum(spans[places], places - (last - 252)))
        part = np.nansum(flows[places] * inside / spans[places])
        found.append(part if np.nansum(inside) >= 0.9 * 252 else np.nan)
    return found


@pytest.mark.parametrize("symbol", SMALL_CAPS)
def test_fund_comparison(found, prices, index, returns, sessions, symbol):
    """Each fund's beta, volatility, drawdown, turnover, premium and flows equal an independent calculation on every session."""
    own = index[symbol].dropna()
    count, at = len(own), own.index
    bars = prices[prices["symbol"] == symbol].set_index("session").loc[at]
    daily = (own / own.shift(1) - 1).to_numpy()
    market = (index["SPY"] / index["SPY"].shift(1) - 1)[at].to_numpy()
    own_rows, market_rows = last_rows(daily, 252), last_rows(market, 252)
    variance = market_rows.var(axis=1, ddof=1)
    together = (own_rows - own_rows.mean(axis=1, keepdims=True)) * (
        market_rows - market_rows.mean(axis=1, keepdims=True)
    )
    wanted = pd.DataFrame(index=at)
    wanted["return_12m"] = returns["12m"][symbol][at]
    wanted["beta_252d"] = filled(together.sum(axis=1) / 251 / variance, count)
    wanted["volatility_252d"] = filled(own_rows.std(axis=1, ddof=1) * np.sqrt(252), count)
    wanted["max_drawdown_252d"] = worst_falls(own.to_numpy(), 252)
    turnover = (bars["close"] * bars["volume"].astype(float)).to_numpy()
    wanted["median_dollar_volume_30d_usd"] = filled(np.median(last_rows(turnover, 30), axis=1), count)
    # The only fund with records is IWM, of which the closes move away from NAV by the distributions, and there are no snapshots.
    wanted["premium_pct"] = np.nan
    everyday = pd.DatetimeIndex(calendar.load(FIRST_RECORD, END).sessions(FIRST_RECORD, END))
    flows, spans, assets = (
        rows[rows["symbol"] == symbol].set_index("session")[column].reindex(everyday)
        for rows, column in (
            (found["fund_flows"], "net_flow_usd"),
            (found["fund_flows"], "sessions_spanned"),
            (found["fund_nav"], "total_net_assets_usd"),
        )
    )
    wanted["net_flow_12m_usd"] = pd.Series(flows_of_252(flows.to_numpy(), spans.to_numpy()), everyday)[at]
    wanted["total_net_assets_usd"] = assets.ffill(limit=4)[at]
    wanted[
        [
            "expense_ratio",
            "holdings_count",
            "trailing_pe",
            "top10_weight_pct",
            "effective_holdings",
            "bid_ask_spread_pct",
        ]
    ] = np.nan
    # Yields need plain closes, and these hold the dividends.
    wanted["dividend_yield"] = np.nan
    wanted["max_drawdown_5y"] = worst_falls(own.to_numpy(), 1260)
    wanted["median_share_volume_30d"] = filled(
        np.median(last_rows(bars["volume"].astype(float).to_numpy(), 30), axis=1), count
    )
    for years in (3, 5, 10):
        wanted[f"return_{years}y"] = (own / own.shift(252 * years)) ** (1 / years) - 1
    ends = index[[symbol, "SPY"]].groupby(index.index.to_period("M")).last().pct_change(fill_method=None)
    for years in (3, 5):
        both = ends[symbol].rolling(12 * years), ends["SPY"].rolling(12 * years)
        beta = (ends[symbol].rolling(12 * years).cov(ends["SPY"]) / both[1].var()).shift(1)
        wanted[f"beta_{years}y_monthly"] = beta.reindex(at.to_period("M")).to_numpy()

    rows = found["fund_comparison"]
    rows = rows[rows["symbol"] == symbol].set_index("session")
    assert_same(rows.drop(columns="premium_null_reason"), wanted, "symbol")
    reasons = {"adjusted", "differs from NAV"} if symbol == "IWM" else {"no distributions", "NAV not published"}
    assert set(rows["premium_null_reason"]) == reasons


def test_funds_compared(found):
    """The funds compared are the five for small companies, and no other."""
    assert set(found["fund_comparison"]["symbol"]) == set(SMALL_CAPS)


@pytest.fixture(scope="module")
def evidence(found, index, returns, sessions):
    """Evidence → its value and verdict by session, from this file's own measures."""
    three_months = returns["3m"]
    ratio = index["IWM"] / index["IWB"]
    conditions = pd.DataFrame(
        {
            **{horizon: np.sign(returns[horizon]["IWM"] - returns[horizon]["IWB"]) for horizon in ("1m", "3m")},
            **{f"ma{rows}": exceeds(ratio.to_numpy(), means(ratio, rows)) for rows in (50, 200)},
        },
        index=sessions,
    )
    size = conditions.sum(axis=1, skipna=False) / 4
    wide = breadth(index, returns)
    beating, equal_less_cap = wide["sectors_beating_spy_3m"], wide["equal_minus_cap_3m"]
    rank = three_months[SECTORS].rank(axis=1, method="min", ascending=False)["XLK"]
    mega = three_months["basket"] - three_months["RSP"]
    # Only IWM has records, so the assets of the other members of the group are not known; nor is any estimate.
    never = pd.Series(np.nan, sessions)
    # The value shown, all that must be known, what speaks for the rotation, and what against it.
    rules = {
        "relative_strength": (size, size, size >= 0.5, size <= -0.5),
        "breadth": (
            *(beating, beating + equal_less_cap),
            *((beating >= 6) & (equal_less_cap > 0), (beating <= 3) & (equal_less_cap < 0)),
        ),
        "fund_flows": (never, never, never > 0, never < 0),
        "sector_leadership": (rank, rank, rank >= 7, rank <= 2),
        "mega_cap": (mega, mega, mega < -0.01, mega > 0.01),
        "earnings": (never, never, never > 0, never < 0),
    }
    return {
        name: pd.DataFrame(
            {
                "value": value.where(known.notna()),
                "verdict": (speaks_for.astype(int) - speaks_against).where(known.notna()),
            }
        )
        for name, (value, known, speaks_for, speaks_against) in rules.items()
    }


@pytest.mark.parametrize("name", THRESHOLDS)
def test_rotation_evidence(found, evidence, name):
    """Value, levels and verdict of each evidence equal an independent calculation on every session."""
    rows = found["rotation_evidence"]
    rows = rows[rows["evidence"] == name].set_index("session")
    wanted = evidence[name].assign(threshold=THRESHOLDS[name][0], threshold_against=THRESHOLDS[name][1])
    assert_same(rows, wanted, "evidence", "detail", "axis", "missing_symbols", "is_provisional")
    assert not rows["is_provisional"].any()
    assert set(rows["axis"]) == {AXES[name]}
    if AXES[name] != "support":
        assert set(wanted["verdict"].dropna()) == {-1, 0, 1}
    known = rows["verdict"].notna()
    assert rows["detail"].str.endswith(".").all()
    assert (rows["detail"].str.startswith("Not known: ") == ~known).all()


def test_evidence_has_no_other_rows(found, sessions):
    """Each session has its six evidences once."""
    rows = found["rotation_evidence"]
    assert set(rows["evidence"]) == set(THRESHOLDS)
    assert len(rows) == 6 * len(sessions)


def test_evidence_in_words(found):
    """On 16 January 2026 the six pieces of evidence have these sentences."""
    rows = found["rotation_evidence"]
    rows = rows[rows["session"] == "2026-01-16"]
    assert dict(zip(rows["evidence"], rows["detail"], strict=True)) == {
        "relative_strength": (
            "Small caps (IWM) beat large caps (IWB) by 4.0 % over one month and by 3.9 % over three; their ratio is above its "
            "50-session average and above its 200-session average (4 of 4 conditions for, 0 against)."
        ),
        "breadth": (
            "7 of 11 sectors beat the market over three months and the average large company beat it by 1.8 %."
        ),
        "fund_flows": "Not known: the assets of IJR, SPSM, VB, VTWO are not known.",
        "sector_leadership": "Technology (XLK) ranks 8 of 11 sectors over three months, with a return of 2.5 %.",
        "mega_cap": "The Magnificent Seven trailed the average large company by 2.9 % over three months.",
        "earnings": "Not known: there are no estimates of the last 20 sessions for both sides.",
    }


@pytest.mark.long_after(0)
def test_flows_of_the_one_fund_alone(prices, fund_nav):
    """Where IWM is the only fund whose flows are summed, its records carry the verdict, worked out again month by month."""
    alone = tuple(i if i.symbol == "IWM" else i.model_copy(update={"flow_group": None}) for i in UNIVERSE.instruments)
    found = signals_at(prices, fund_nav, END, UNIVERSE.model_copy(update={"instruments": alone}))
    monthly = found["fund_flows_monthly"]
    own = monthly[(monthly["symbol"] == "IWM") & ~monthly["is_partial"]]
    flows = own.set_index(own["month"].dt.to_period("M"))["net_flow_usd"]
    records = found["fund_nav"].query("symbol == 'IWM'").set_index("session")["total_net_assets_usd"].dropna()
    rows = found["rotation_evidence"].query("evidence == 'fund_flows'")
    verdicts = []
    for session, value, verdict in zip(rows["session"], rows["value"], rows["verdict"], strict=True):
        month = session.to_period("M")
        three = [flows.get(month - back, np.nan) for back in (3, 2, 1)]
        before = records[records.index < (month - 3).start_time]
        wanted = 100 * sum(three) / before.iloc[-1] if len(before) else np.nan
        assert (np.isnan(wanted) and pd.isna(value)) or value == pytest.approx(wanted, rel=1e-9), session
        into, out = sum(flow > 0 for flow in three), sum(flow < 0 for flow in three)
        sign = 1 if wanted > 0.5 and into >= 2 else -1 if wanted < -0.5 and out >= 2 else 0
        assert (np.isnan(wanted) and pd.isna(verdict)) or verdict == sign, session
        verdicts.append(verdict)
    assert set(pd.Series(verdicts).dropna()) == {-1, 0, 1}
    assert rows.iloc[-1]["detail"] == (
        "Over the last three completed months small-cap funds with 100 % of the assets took in 1.69 billion USD, 2.4 % of their assets "
        "(Oct 2025 -4.07, Nov 2025 +3.67, Dec 2025 +2.08; 1 of 1 funds known)."
    )


def in_force(days: list[int | None]) -> list[int | None]:
    """The state in force after each day, by the words of the rule."""
    found: list[int | None] = []
    state = None
    for i in range(len(days)):
        five = days[i - 4 : i + 1] if i >= 4 else []
        known = [day for day in five if day is not None]
        if five and not known:
            state = None
        elif len(known) == 5:
            if state is None:
                state = sorted(known)[2]
            elif min(known) > state:
                state = min(known)
            elif max(known) < state:
                state = max(known)
        found.append(state)
    return found


def label_of(size: int | None, leadership: int | None, support: int | None) -> str | None:
    if size is None:
        return None
    if size == 1:
        return "confirmed" if leadership == 1 and support != -1 else "building"
    if size == 0:
        return "neutral"
    return "reversed" if leadership == -1 else "fading"


@pytest.fixture(scope="module")
def regime(evidence, sessions):
    """The regime session by session from this file's own verdicts, as a person would keep it in a notebook."""
    size_score = evidence["relative_strength"]["value"]
    verdicts = pd.DataFrame({name: evidence[name]["verdict"] for name in ("breadth", "sector_leadership", "mega_cap")})
    leadership_score = verdicts.mean(axis=1).where(verdicts.notna().sum(axis=1) >= 2)
    days = {
        "size": [None if np.isnan(v) else int(v) for v in evidence["relative_strength"]["verdict"]],
        "leadership": [None if np.isnan(v) else int(np.sign(v)) for v in leadership_score],
    }
    states = {axis: in_force(own) for axis, own in days.items()}
    rows: list[dict[str, Any]] = []
    for i, session in enumerate(sessions):
        row: dict[str, Any] = {"session": session, "support_state": None}
        row["label"] = label_of(states["size"][i], states["leadership"][i], None)
        for axis in ("size", "leadership"):
            state, day = states[axis][i], days[axis][i]
            names = dict(zip((1, 0, -1), STATES[axis], strict=True))
            row[f"{axis}_state"], row[f"{axis}_state_today"] = names.get(state), names.get(day)
            differing, back = 0, i
            while None not in (state, day) and day != state and days[axis][back] is not None:
                if (days[axis][back] - state) * (day - state) <= 0:
                    break
                differing, back = differing + 1, back - 1
            row[f"{axis}_sessions_differing"] = differing
        for name, since in (
            ("label", "label_since"),
            ("size_state", "size_state_since"),
            ("leadership_state", "leadership_state_since"),
        ):
            same = bool(rows) and rows[-1][name] == row[name]
            row[since] = None if row[name] is None else rows[-1][since] if same else session
        same = bool(rows) and rows[-1]["label"] == row["label"]
        row["days_in_label"] = None if row["label"] is None else rows[-1]["days_in_label"] + 1 if same else 1
        rows.append(row)
    return pd.DataFrame(rows).assign(size_score=size_score.to_numpy(), leadership_score=leadership_score.to_numpy())


def test_rotation_regime(found, regime, sessions):
    """Scores, states, labels and how long they have held equal a loop over independent verdicts of every session."""
    assert set(regime["label"].dropna()) == set(LABELS)
    rows, wanted = found["rotation_regime"].set_index("session"), regime.set_index("session")
    words = [column for column in wanted if not column.endswith(("score", "differing", "days_in_label"))]
    assert len(words) == 9
    for column in words:
        assert list(rows[column].dropna().items()) == list(wanted[column].dropna().items()), column
    assert_same(rows, wanted.drop(columns=words), *words)


def test_january_2026_in_the_regime(found):
    """Building from 9 December 2025, confirmed from 14 January 2026 on."""
    rows = found["rotation_regime"].set_index("session")
    assert rows.loc["2025-12-08", "label"] == "reversed"
    assert set(rows.loc["2025-12-09":"2026-01-13", "label"]) == {"building"}
    assert set(rows.loc["2026-01-14":, "label"]) == {"confirmed"}
    last = rows.loc["2026-01-16"]
    assert (last["size_state_since"], last["leadership_state_since"]) == (
        pd.Timestamp(2025, 12, 9),
        pd.Timestamp(2026, 1, 14),
    )


def test_verdict_changes(found, regime, evidence):
    """Each change of label, state or verdict from one session to the next is listed once, with old and new."""
    names = {1: "for", -1: "against", 0: "neither"}
    subjects = {name: regime.set_index("session")[name] for name in ("label", "size_state", "leadership_state")}
    subjects |= {name: own["verdict"].map(names) for name, own in evidence.items()}
    wanted = set()
    for subject, states in subjects.items():
        plain = [None if pd.isna(state) else state for state in states]
        wanted |= {
            (day, subject, old, new)
            for day, (old, new) in zip(states.index[1:], pairwise(plain), strict=True)
            if old != new
        }
    rows = found["verdict_changes"].astype(object).where(found["verdict_changes"].notna(), None)
    assert len(rows) == len(wanted)
    assert set(rows[["session", "subject", "old", "new"]].itertuples(index=False, name=None)) == wanted
    assert rows["detail"].str.endswith(".").all()


def not_overlapping(starts: list[int], n: int) -> list[int]:
    """The first start, then the next that is n or more later, and so on."""
    kept: list[int] = []
    for start in starts:
        if not kept or start >= kept[-1] + n:
            kept.append(start)
    return kept


def having(regime: pd.DataFrame, axis: str, state: str, n: int) -> list[int]:
    """The rows with this label or state after which n sessions have passed."""
    column = "label" if axis == "label" else f"{axis}_state"
    return [i for i, own in enumerate(regime[column]) if own == state and i + n < len(regime)]


@pytest.mark.parametrize("horizon", ["1m", "3m", "6m"])
@pytest.mark.parametrize("axis", ["label", *STATES])
def test_regime_performance(found, regime, index, axis, horizon):
    """What followed each label and state equals a loop over the sessions, with windows taken one after another."""
    n = SPANS[horizon]
    later = index.shift(-n) / index - 1
    spread = (later["IWM"] - later["IWB"]).tolist()
    names = LABELS if axis == "label" else list(STATES[axis])
    anywhere = [spread[i] for name in names for i in having(regime, axis, name, n)]
    wanted = []
    for name in names:
        starts = having(regime, axis, name, n)
        all_of_them = [spread[i] for i in starts]
        apart = [spread[i] for i in not_overlapping(starts, n)]
        row = {"label": name, "observations": len(all_of_them), "independent_observations": len(apart)}
        if starts:
            row |= {
                "mean_spread": fmean(all_of_them),
                "median_spread": median(all_of_them),
                "hit_rate_pct": 100 * sum(value > 0 for value in all_of_them) / len(all_of_them),
                "t_stat": fmean(apart) / (stdev(apart) / len(apart) ** 0.5),
                "independent_mean_spread": fmean(apart),
                "mean_spread_any_label": fmean(anywhere),
            }
        wanted.append(row)
    rows = found["regime_performance"]
    rows = rows[(rows["axis"] == axis) & (rows["horizon"] == horizon)].set_index("label").loc[names]
    columns = [column for column in rows if column not in ("axis", "horizon")]
    assert_same(rows, pd.DataFrame(wanted).set_index("label").reindex(columns=columns), "axis", "horizon")
    assert len(found["regime_performance"]) == 3 * 14
    assert (axis == "support") == (not anywhere)


@pytest.mark.parametrize("label", LABELS)
def test_independent_windows(found, regime, label):
    """Windows counted as independent never overlap, and counting from the other end finds no more of them."""
    rows = found["regime_performance"].query("axis == 'label'").set_index(["label", "horizon"])
    for horizon in ("1m", "3m", "6m"):
        n = SPANS[horizon]
        starts = having(regime, "label", label, n)
        forwards = not_overlapping(starts, n)
        backwards = not_overlapping([-i for i in reversed(starts)], n)
        assert all(after - before >= n for before, after in pairwise(forwards))
        assert rows.loc[(label, horizon), "independent_observations"] == len(forwards) == len(backwards)


def assert_unchanged(before: pd.DataFrame, after: pd.DataFrame, name: str) -> None:
    before, after = before.reset_index(drop=True), after.reset_index(drop=True)
    pd.testing.assert_frame_equal(before, after, check_dtype=False, rtol=1e-12, atol=1e-12, obj=name)


@pytest.mark.long_after(0)
@pytest.mark.parametrize("cut", CUTS, ids=str)
def test_the_past_does_not_know_the_future(prices, fund_nav, found, cut):
    """Derived with the data that ended at the cut, every signal is the same up to there, but for the running week and month."""
    last = pd.Timestamp(cut)
    week, month = last - pd.Timedelta(days=last.weekday()), last.replace(day=1)
    before = signals_at(prices, fund_nav, cut)
    assert set(before) == set(found)
    without_day = []
    for name, rows in before.items():
        later = found[name]
        if "timeframe" in rows:
            running = (rows["timeframe"] == "weekly") & (rows["session"] >= week) & (cut.isoweekday() < 5)
            assert rows["is_provisional"].equals(running)
            is_running_later = (later["timeframe"] == "weekly") & (later["session"] >= week) & (cut.isoweekday() < 5)
            rows, later = rows[~running], later[~is_running_later]
            columns = [column for column in rows if column != "is_provisional"]
            rows, later = rows[columns], later[columns]
        if day := {"session", "as_of"} & set(rows):
            assert_unchanged(rows, later[later[day.pop()] <= last], name)
        elif periods := {"week", "month", "year"} & set(rows):
            (period,) = periods
            running = {"week": week, "month": month, "year": last.year}[period]
            assert rows["is_partial"].equals(rows[period] == running)
            # A row is provisional while a later record may still settle it.
            settled = rows[~rows["is_partial"] & ~rows["is_provisional"]]
            assert len(rows) - len(settled) < 4 * rows["symbol"].nunique()
            later = later[
                later[["symbol", period]].apply(tuple, axis=1).isin(settled[["symbol", period]].apply(tuple, axis=1))
            ]
            assert_unchanged(settled, later, name)
        else:
            without_day.append(name)
    assert without_day == ["regime_performance"]


@pytest.mark.long_after(0)
def test_young_symbols_lessen_no_other(prices, fund_nav, found):
    """Without the three youngest symbols the rest is as before: none of its history waits for theirs or ends with it."""
    members = tuple(i for i in UNIVERSE.instruments if i.symbol not in YOUNG)
    assert len(members) == 29
    older = UNIVERSE.model_copy(update={"instruments": members})
    without = signals_at(prices[~prices["symbol"].isin(YOUNG)], fund_nav, END, older)
    for name in ("relative_strength", "fund_comparison", "fund_flows_monthly"):
        assert_unchanged(without[name], found[name], name)
    others = found["relative_rotation"]
    assert_unchanged(without["relative_rotation"], others[~others["symbol"].isin(YOUNG)], "relative_rotation")
    sides = [c for c in found["mega_cap"] if c.startswith(("session", "mag7_", "rest_", "tech_return_"))]
    assert len(sides) == 22
    assert_unchanged(without["mega_cap"][sides], found["mega_cap"][sides], "mega_cap")
    # The eldest of the three began on 8 October 2015.
    for name in ("breadth", "mega_cap", "sector_leadership", "rotation_evidence", "rotation_regime", "verdict_changes"):
        before, after = (table[table["session"] < "2015-10-08"] for table in (without[name], found[name]))
        assert len(before)
        assert_unchanged(before, after, name)
    later = found["sector_leadership"][lambda rows: ~rows["symbol"].isin(YOUNG)]
    returns = [c for c in later if not c.startswith("rank_")]
    assert_unchanged(without["sector_leadership"][returns], later[returns], "sector_leadership")


@pytest.mark.long_after(0)
def test_deriving_again_gives_the_very_same(prices, fund_nav):
    """Derived again, and by one thread instead of many, every table of core and signals is the same to the last bit."""
    hashes = []
    for threads in (4, 4, 1):
        with world.derived([prices], UNIVERSE, END, FIRST_RECORD, fund_nav=fund_nav) as con:
            con.execute(f"set threads = {threads}")
            warehouse.build(con, "core", "signals")
            names = [m.name for m in models() if m.kind == "derived" and m.name.split(".")[0] in ("core", "signals")]
            rows = {name: f"select bit_xor(hash(t)), sum(hash(t)::hugeint) from {name} as t" for name in names}
            hashes.append({name: con.execute(query).fetchone() for name, query in rows.items()})
    assert len(hashes[0]) > 20
    for again in hashes[1:]:
        assert {name for name in again if again[name] != hashes[0][name]} == set()
