"""The other signals on real prices: every value worked out again in numpy and pandas, and no row that knows the future."""

from __future__ import annotations

from datetime import date
from itertools import pairwise
from statistics import fmean, median, stdev

import numpy as np
import pandas as pd
import pytest
import world

from market_rotation.tasks import calendar, warehouse
from market_rotation.tasks.sources.base import price_frame
from market_rotation.tasks.sources.files import FilesSource
from market_rotation.tasks.universe import load_universe
from market_rotation.tasks.warehouse.models import models

#: The records of IWM begin in 2000, the prices in 2005.
FIRST_RECORD, START, END = date(2000, 5, 22), date(2005, 1, 3), date(2026, 1, 16)
UNIVERSE = load_universe()
SECTORS = [i.symbol for i in UNIVERSE.instruments if i.kind == "sector"]
MAG7 = ["AAPL", "MSFT", "GOOGL", "AMZN", "NVDA", "META", "TSLA"]
SMALL_CAPS = ["IWM", "VTWO", "IJR", "SPSM", "VB"]
MEASURED = [i.symbol for i in UNIVERSE.instruments if i.benchmark]
YOUNG = ["XLRE", "XLC", "MAGS"]
SPANS = {"1m": 21, "3m": 63, "6m": 126, "12m": 252}
HORIZONS = [*SPANS, "ytd"]
#: From the highest score to the lowest.
LABELS = ["confirmed", "building", "neutral", "fading", "reversed"]
THRESHOLDS = {
    "breadth": (6, 3),
    "earnings": (0, 0),
    "fund_flows": (3, -3),
    "mega_cap": (-0.01, 0.01),
    "relative_strength": (0, 0),
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
    return price_frame(pd.read_parquet(real_data / "files" / "prices.parquet"))


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
    """Each table of signals has rows, but for the earnings, of which there is no data here."""
    assert [name for name, rows in found.items() if rows.empty] == ["earnings_momentum"]


def test_mega_cap(found, returns, index):
    """All thirty returns of the Magnificent Seven, technology and the rest equal an independent calculation on every session."""
    others = [symbol for symbol in SECTORS if symbol != "XLK"]
    assert len(others) == 10
    wanted = {}
    for horizon in HORIZONS:
        own = returns[horizon]
        sides = {"mag7": own["basket"], "rest": own["RSP"], "tech": own["XLK"], "ex_tech": own[others].mean(axis=1)}
        wanted |= {f"{side}_return_{horizon}": values for side, values in sides.items()}
        wanted[f"mag7_minus_rest_{horizon}"] = sides["mag7"] - sides["rest"]
        wanted[f"tech_minus_ex_tech_{horizon}"] = sides["tech"] - sides["ex_tech"]
    assert len(wanted) == 30
    wanted["mag7_members"] = index[MAG7].notna().sum(axis=1)
    wanted["ex_tech_sectors"] = returns["3m"][others].notna().sum(axis=1)
    assert_same(found["mega_cap"].set_index("session"), pd.DataFrame(wanted))


def breadth(index: pd.DataFrame, returns: dict[str, pd.DataFrame]) -> pd.DataFrame:
    own = returns["3m"]
    excess = own[SECTORS].sub(own["SPY"], axis=0)
    above = pd.DataFrame({s: exceeds(index[s].to_numpy(), means(index[s], 200)) for s in index}, index=index.index)
    full = above.notna()
    # The universe file gives every inception; a symbol whose prices begin earlier was there all the same.
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
    assert_same(found["breadth"].set_index("session"), wanted)


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


@pytest.mark.parametrize("symbol", SMALL_CAPS)
def test_fund_comparison(found, prices, index, returns, sessions, fund_nav, symbol):
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
    # The only fund with records is IWM, and there are no snapshots.
    nav = fund_nav[fund_nav["symbol"] == symbol].set_index("session")["nav"].astype(float).reindex(at)
    wanted["premium_pct"] = 100 * (bars["close"] / nav - 1)
    everyday = pd.DatetimeIndex(calendar.load(FIRST_RECORD, END).sessions(FIRST_RECORD, END))
    flows, assets = (
        rows[rows["symbol"] == symbol].set_index("session")[column].reindex(everyday)
        for rows, column in ((found["fund_flows"], "net_flow_usd"), (found["fund_nav"], "total_net_assets_usd"))
    )
    wanted["net_flow_12m_usd"] = flows.rolling(252, min_periods=int(np.ceil(0.9 * 252))).apply(np.nansum, raw=True)[at]
    wanted["total_net_assets_usd"] = assets.ffill(limit=4)[at]
    wanted[["expense_ratio", "holdings_count"]] = np.nan

    rows = found["fund_comparison"]
    rows = rows[rows["symbol"] == symbol].set_index("session")
    assert_same(rows, wanted, "symbol")
    assert wanted["premium_pct"].notna().any() == (symbol == "IWM")


def test_funds_compared(found):
    """The funds compared are the five for small companies, and no other."""
    assert set(found["fund_comparison"]["symbol"]) == set(SMALL_CAPS)


def months_in_less_out(monthly: pd.DataFrame, sessions: pd.DatetimeIndex) -> pd.Series:
    """Of the three months before the session's, those with money flowing in less those with money flowing out."""
    group = monthly[(monthly["symbol"] == "group:small_cap") & ~monthly["is_partial"]]
    signs = np.sign(group.set_index(group["month"].dt.to_period("M"))["net_flow_usd"])
    own = sessions.to_period("M")
    return sum(signs.reindex(own - back).set_axis(sessions) for back in (1, 2, 3))


@pytest.fixture(scope="module")
def evidence(found, index, returns, sessions):
    """Evidence → its value and verdict by session, from this file's own measures."""
    three_months = returns["3m"]
    spread = three_months["IWM"] - three_months["IWB"]
    ratio = index["IWM"] / index["IWB"]
    trend = pd.Series(exceeds(ratio.to_numpy(), means(ratio, 200)), sessions)
    wide = breadth(index, returns)
    beating, equal_less_cap = wide["sectors_beating_spy_3m"], wide["equal_minus_cap_3m"]
    months = months_in_less_out(found["fund_flows_monthly"], sessions)
    rank = three_months[SECTORS].rank(axis=1, method="min", ascending=False)["XLK"]
    mega = three_months["basket"] - three_months["RSP"]
    never = pd.Series(np.nan, sessions)
    # The value shown, all that must be known, what speaks for the rotation, and what against it.
    rules = {
        "relative_strength": (spread, spread + trend, (spread > 0) & (trend > 0), (spread < 0) & (trend < 0)),
        "breadth": (
            *(beating, beating + equal_less_cap),
            *((beating >= 6) & (equal_less_cap > 0), (beating <= 3) & (equal_less_cap < 0)),
        ),
        "fund_flows": (months, months, months == 3, months == -3),
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
    assert_same(rows, wanted, "evidence", "detail")
    if name != "earnings":
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
    """On 16 January 2026 the six evidences say what was found in these words."""
    rows = found["rotation_evidence"]
    rows = rows[rows["session"] == "2026-01-16"]
    assert dict(zip(rows["evidence"], rows["detail"], strict=True)) == {
        "relative_strength": (
            "Small caps (IWM) beat large caps (IWB) by 3.9 % over three months and their ratio is above its 200-day average."
        ),
        "breadth": (
            "7 of 11 sectors beat the market over three months and the average large company beat it by 1.8 %."
        ),
        "fund_flows": (
            "Money did not flow one way through small-cap funds in the last three months "
            "(billion USD: Oct 2025 -4.07, Nov 2025 +3.67, Dec 2025 +2.08; 1 of 5 funds known)."
        ),
        "sector_leadership": "Technology (XLK) ranks 8 of 11 sectors over three months, with a return of 2.5 %.",
        "mega_cap": "The Magnificent Seven trailed the average large company by 2.9 % over three months.",
        "earnings": "Not known: there are no estimates of the last 20 sessions for both sides.",
    }


def label_of(score: float | None) -> str | None:
    if score is None:
        return None
    if score >= 0.5:
        return "confirmed"
    if score >= 0.1:
        return "building"
    if score > -0.1:
        return "neutral"
    return "fading" if score > -0.5 else "reversed"


@pytest.fixture(scope="module")
def regime(found):
    """The regime session by session, as a person would keep it in a notebook."""
    rows: list[dict[str, object]] = []
    raw_before, in_a_row, in_force = "nothing yet", 0, None
    for session, verdicts in found["rotation_evidence"].groupby("session")["verdict"]:
        known = list(verdicts.dropna())
        score = sum(known) / len(known) if len(known) >= 3 else None
        raw = label_of(score)
        in_a_row = in_a_row + 1 if raw == raw_before else 1
        raw_before = raw
        if in_a_row >= 5:
            in_force = raw
        label = in_force if raw is not None else None
        if label is None:
            number, since = None, None
        elif rows and rows[-1]["label"] == label:
            number, since = rows[-1]["days_in_label"] + 1, rows[-1]["label_since"]
        else:
            number, since = 1, session
        counts = {"votes_for": known.count(1), "votes_against": known.count(-1), "votes_missing": 6 - len(known)}
        labels = {"raw_label": raw, "label": label, "days_in_label": number, "label_since": since}
        rows.append({"session": session, "score": score, **counts, **labels})
    return pd.DataFrame(rows)


def test_rotation_regime(found, regime, sessions):
    """Score, votes, labels and how long the label has held equal a loop over the verdicts of every session."""
    assert list(regime["session"]) == list(sessions)
    assert set(regime["label"].dropna()) == set(LABELS)
    rows, wanted = found["rotation_regime"].set_index("session"), regime.set_index("session")
    words = ["raw_label", "label", "label_since"]
    for column in words:
        assert list(rows[column].dropna().items()) == list(wanted[column].dropna().items()), column
    assert_same(rows, wanted.drop(columns=words), *words)


def not_overlapping(starts: list[int], n: int) -> list[int]:
    """The first start, then the next that is n or more later, and so on."""
    kept: list[int] = []
    for start in starts:
        if not kept or start >= kept[-1] + n:
            kept.append(start)
    return kept


def labelled(regime: pd.DataFrame, label: str, n: int) -> list[int]:
    """The rows with this label after which n sessions have passed."""
    return [i for i, own in enumerate(regime["label"]) if own == label and i + n < len(regime)]


@pytest.mark.parametrize("horizon", ["1m", "3m", "6m"])
def test_regime_performance(found, regime, index, horizon):
    """What followed each label equals a loop over the sessions, with windows taken one after another."""
    n = SPANS[horizon]
    later = index.shift(-n) / index - 1
    spread = (later["IWM"] - later["IWB"]).tolist()
    anywhere = [spread[i] for label in LABELS for i in labelled(regime, label, n)]
    wanted = []
    for label in LABELS:
        starts = labelled(regime, label, n)
        all_of_them = [spread[i] for i in starts]
        apart = [spread[i] for i in not_overlapping(starts, n)]
        wanted.append(
            {
                "label": label,
                "observations": len(all_of_them),
                "independent_observations": len(apart),
                "mean_spread": fmean(all_of_them),
                "median_spread": median(all_of_them),
                "hit_rate_pct": 100 * sum(value > 0 for value in all_of_them) / len(all_of_them),
                "t_stat": fmean(apart) / (stdev(apart) / len(apart) ** 0.5),
                "independent_mean_spread": fmean(apart),
                "mean_spread_any_label": fmean(anywhere),
            }
        )
    rows = found["regime_performance"]
    rows = rows[rows["horizon"] == horizon].set_index("label").loc[LABELS]
    assert_same(rows, pd.DataFrame(wanted).set_index("label"), "horizon")
    assert len(found["regime_performance"]) == 3 * len(LABELS)


@pytest.mark.parametrize("label", LABELS)
def test_independent_windows(found, regime, label):
    """Windows counted as independent never overlap, and counting from the other end finds no more of them."""
    rows = found["regime_performance"].set_index(["label", "horizon"])
    for horizon in ("1m", "3m", "6m"):
        n = SPANS[horizon]
        starts = labelled(regime, label, n)
        forwards = not_overlapping(starts, n)
        backwards = not_overlapping([-i for i in reversed(starts)], n)
        assert all(after - before >= n for before, after in pairwise(forwards))
        assert rows.loc[(label, horizon), "independent_observations"] == len(forwards) == len(backwards)


def assert_unchanged(before: pd.DataFrame, after: pd.DataFrame, name: str) -> None:
    before, after = before.reset_index(drop=True), after.reset_index(drop=True)
    pd.testing.assert_frame_equal(before, after, check_dtype=False, rtol=1e-12, atol=1e-12, obj=name)


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
        if "is_provisional" in rows:
            running = (rows["timeframe"] == "weekly") & (rows["session"] >= week) & (cut.isoweekday() < 5)
            assert rows["is_provisional"].equals(running)
            is_running_later = (later["timeframe"] == "weekly") & (later["session"] >= week) & (cut.isoweekday() < 5)
            rows, later = rows[~running], later[~is_running_later]
            columns = [column for column in rows if column != "is_provisional"]
            rows, later = rows[columns], later[columns]
        if "session" in rows:
            assert_unchanged(rows, later[later["session"] <= last], name)
        elif "month" in rows:
            assert rows["is_partial"].equals(rows["month"] == month)
            assert_unchanged(rows[~rows["is_partial"]], later[later["month"] < month], name)
        else:
            without_day.append(name)
    assert without_day == ["regime_performance"]


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
    for name in ("breadth", "mega_cap", "sector_leadership", "rotation_evidence", "rotation_regime"):
        early = [table[table["session"] < "2015-10-08"] for table in (without[name], found[name])]
        assert len(early[0])
        assert_unchanged(*early, name)
    later = found["sector_leadership"][lambda rows: ~rows["symbol"].isin(YOUNG)]
    returns = [c for c in later if not c.startswith("rank_")]
    assert_unchanged(without["sector_leadership"][returns], later[returns], "sector_leadership")


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
