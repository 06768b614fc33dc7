"""The signals that rest on prices, at their edges: young symbols, ties, flat windows, missing bars, holiday weeks, first full windows."""

from __future__ import annotations

import functools
import math
from datetime import date
from statistics import mean, stdev

import numpy as np
import pandas as pd
import pytest
from world import START, bars, days, derived, instrument, universe

DAYS = days()
#: Sessions of the market; its last, 2025-03-14, is a Friday.
N = 301
LAST = DAYS[N - 1]
SECTORS = {"XLK": "technology", "XLB": "materials", "XLE": "energy", "XLF": "financials", "XLU": "utilities"}
STOCKS = ("AAPL", "MSFT", "META")
#: Symbol → number of sessions before its first price.
YOUNG = {"XLU": 40, "META": 60, "IWC": 45}
MEMBERS = [
    *(instrument(symbol) for symbol in ("SPY", "IWM", "IWB", "IWC")),
    instrument("RSP", peer_group="equal_weight"),
    *(instrument(symbol, kind="stock", peer_group="mag7") for symbol in STOCKS),
    *(instrument(symbol, kind="sector", sector=sector) for symbol, sector in SECTORS.items()),
]
PAIRS = (("IWM", "IWB"), ("IWC", "SPY"))
TABLES = ("relative_strength", "sector_leadership", "mega_cap", "breadth", "relative_rotation", "rotation_evidence")


def tables(closes, last, pairs=PAIRS, members=MEMBERS):
    """The signal tables of a market with these closes, each with its sessions as index."""
    there = [i for i in members if i.symbol in closes]
    followed = [pair for pair in pairs if set(pair) <= set(closes)]
    frames = [bars(symbol, series) for symbol, series in closes.items()]
    found = {}
    tables = [*(f"signals.{name}" for name in TABLES), "core.sector_returns"]
    with derived(frames, universe(*there, pairs=followed), last, wanted=tables) as con:
        for name in tables:
            rows = con.sql(f"from {name} order by all").df()
            found[name.split(".")[1]] = rows.set_index(rows.pop("session").dt.date)
    return found


def walks():
    """Closes of every symbol by chance, to the cent, the young ones beginning later."""
    rng = np.random.default_rng(20240102)
    closes = {}
    for member in MEMBERS:
        series = np.round(100 * np.exp(np.cumsum(rng.normal(0.0003, 0.012, N))), 2)
        series[: YOUNG.get(member.symbol, 0)] = np.nan
        closes[member.symbol] = series
    return closes


CLOSES = walks()


@functools.cache
def market(without=(), missing=None):
    """The tables of the whole market, of one without some symbols, or of one where a symbol has no price on the last session."""
    closes = {symbol: series.copy() for symbol, series in CLOSES.items() if symbol not in without}
    if missing:
        closes[missing][-1] = np.nan
    return tables(closes, LAST)


def only(table, **keys):
    """The rows of a table with these values, in the order of their sessions."""
    for name, value in keys.items():
        table = table[table[name] == value]
    return table


def growth(symbol, day, base):
    closes = CLOSES[symbol]
    return closes[DAYS.index(day)] / closes[DAYS.index(base)] - 1


def steps(*levels):
    """Closes that stay at a level from the given session on: (0, 100), (70, 110), …, up to session `LENGTH`."""
    series = np.full(LENGTH, np.nan)
    for begin, level in levels:
        series[begin:] = level
    return series


# --- young symbols ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "key", "young"),
    [
        ("relative_strength", "pair", "IWC/SPY"),
        ("relative_rotation", "symbol", None),
        ("sector_leadership", "symbol", None),
    ],
)
def test_young_symbols_leave_the_rows_of_others_alone(table, key, young):
    """All rows of the other symbols are the very same with the young ones in the universe as without; ranks apart, see below."""
    found, wanted = market()[table], market(tuple(YOUNG))[table]
    ranks = [name for name in found if name.startswith("rank_")]
    found = found[~found[key].isin([young, *YOUNG])].drop(columns=ranks)
    assert len(found) >= N
    pd.testing.assert_frame_equal(found, wanted.drop(columns=ranks), check_exact=True)


@pytest.mark.parametrize("horizon", ["1m", "3m", "6m", "12m", "ytd"])
def test_young_sector_moves_ranks_only_once_it_has_a_return(horizon):
    """Others rank as if it were not there until its window is full; then those it beats are one place lower, no more."""
    found, wanted = market()["sector_leadership"], market(tuple(YOUNG))["sector_leadership"]
    young = only(found, symbol="XLU")[f"return_{horizon}"]
    others = found[found["symbol"] != "XLU"]
    beaten = others[f"return_{horizon}"] < young.reindex(others.index)
    places = wanted[f"rank_{horizon}"] + beaten
    pd.testing.assert_series_equal(others[f"rank_{horizon}"], places, check_dtype=False, check_names=False)
    assert beaten.any()


def test_young_stock_and_sector_in_mega_cap():
    """Columns without them never change; columns with them do not change before their first step and first full window."""
    found, wanted = market()["mega_cap"], market(tuple(YOUNG))["mega_cap"]
    theirs = [name for name in found if name.startswith(("mag7_", "ex_tech_", "tech_minus_"))]
    pd.testing.assert_frame_equal(found.drop(columns=theirs), wanted.drop(columns=theirs), check_exact=True)
    for name in theirs:
        if name.split("_")[-1] in ("1m", "3m", "6m"):
            sessions = {"1m": 21, "3m": 63, "6m": 126}[name.split("_")[-1]]
            first = YOUNG["META"] + 1 if name.startswith("mag7") else YOUNG["XLU"] + sessions
            moved = (found[name] != wanted[name]) & wanted[name].notna()
            assert moved.idxmax() == DAYS[max(first, sessions)], name


def test_member_of_the_basket_counts_from_its_second_price():
    """A stock that doubles from its first price to its second lifts the basket of two by half, on the second; it never shortens it."""
    closes = {"SPY": [100.0] * 40, "AAPL": [100.0] * 40, "META": [None] * 10 + [50.0] + [100.0] * 29}
    found = tables(closes, DAYS[39])["mega_cap"]
    assert found["mag7_members"].tolist() == [1] * 10 + [2] * 30
    assert found["mag7_return_1m"].isna().tolist() == [True] * 21 + [False] * 19
    assert found["mag7_return_1m"].dropna().tolist() == pytest.approx([0.5] * 11 + [0.0] * 8)


def test_young_sector_joins_the_others_when_its_window_is_full():
    """The mean without technology covers the sectors whose window is full, and their number is given."""
    found = market()["mega_cap"]
    assert found["ex_tech_sectors"].tolist() == [0] * 63 + [3] * YOUNG["XLU"] + [4] * (N - 63 - YOUNG["XLU"])
    for i, members in ((102, ("XLB", "XLE", "XLF")), (103, ("XLB", "XLE", "XLF", "XLU"))):
        wanted = mean(growth(symbol, DAYS[i], DAYS[i - 63]) for symbol in members)
        assert found["ex_tech_return_3m"].iloc[i] == pytest.approx(wanted, abs=1e-12)


def test_young_symbols_in_breadth():
    """Not listed yet is not missing; a symbol counts from its two-hundredth price, a sector also from its first full window."""
    found, old = market()["breadth"], len(MEMBERS) - len(YOUNG)
    assert (found["missing"] == 0).all()
    joined = [199 + first for first in YOUNG.values()]
    assert found["counted"].tolist() == [(old if i >= 199 else 0) + sum(i >= j for j in joined) for i in range(N)]
    assert found["sectors_counted_3m"].tolist() == [(4 if i >= 63 else 0) + (i >= 63 + 40) for i in range(N)]
    assert found["sectors_counted_200d"].tolist() == [(4 if i >= 199 else 0) + (i >= 199 + 40) for i in range(N)]


def test_listed_by_inception_without_a_price_is_missing():
    """Where the universe knows the inception, a symbol is missing from that day until its first price, not before."""
    members = [instrument("SPY"), instrument("IWM", inception=DAYS[3])]
    closes = {"SPY": [100.0] * 8, "IWM": [None] * 5 + [50.0] * 3}
    found = tables(closes, DAYS[7], (), members)["breadth"]
    assert found["missing"].tolist() == [0, 0, 0, 1, 1, 0, 0, 0]
    assert found["missing_symbols"].fillna("").tolist() == ["", "", "", "IWM", "IWM", "", "", ""]


def test_only_instruments_in_breadth_count():
    """A fund added for another purpose moves no count: neither above its mean, nor as a sector, nor missing."""
    outside = [
        instrument("FLW", in_breadth=False),
        instrument("XLZ", kind="sector", sector="zinc", in_breadth=False),
    ]
    inside = [instrument("SPY"), instrument("IWM"), instrument("XLE", kind="sector", sector="energy")]
    closes = {symbol: [100.0 + i for i in range(210)] for symbol in ("SPY", "IWM", "XLE", "XLZ")}
    closes["FLW"] = [100.0 + i for i in range(205)] + [None] * 5
    alone = tables({i.symbol: closes[i.symbol] for i in inside}, DAYS[209], (), inside)["breadth"]
    pd.testing.assert_frame_equal(tables(closes, DAYS[209], (), [*inside, *outside])["breadth"], alone)
    assert (alone["counted"].iloc[-1], alone["sectors_counted_3m"].iloc[-1], alone["missing"].iloc[-1]) == (3, 1, 0)


# --- windows ---------------------------------------------------------------------------------------------------------

NEW_YEAR, APRIL = DAYS.index(date(2025, 1, 2)), DAYS.index(date(2024, 4, 1))
HORIZONS = {"1m": 21, "3m": 63, "6m": 126, "12m": 252}


@pytest.mark.parametrize("pair", ["IWM/IWB", "IWC/SPY"])
def test_first_full_windows_of_relative_strength(pair):
    """Each value is NULL up to the row before its window is full and never after, for a young leg as for an old one."""
    rows = only(market()["relative_strength"], pair=pair)
    start = YOUNG.get(pair[:3], 0)
    found = {name: start + int(rows[name].isna().sum()) for name in rows if rows[name].isna().any()}
    assert all(rows[name].notna().iloc[count - start :].all() for name, count in found.items())
    low = 251 if pair == "IWM/IWB" else max(251, start)
    wanted = {f"spread_{horizon}": start + n for horizon, n in {"1w": 5, **HORIZONS}.items()}
    wanted |= {"spread_ytd": NEW_YEAR, "small_return_ytd": NEW_YEAR, "large_return_ytd": NEW_YEAR}
    wanted |= {"spread_qtd": APRIL, "small_return_qtd": APRIL, "large_return_qtd": APRIL}
    wanted |= {"low_session": low, "large_return_since_low": low}
    wanted |= {"ratio_ma50": start + 49, "ratio_ma200": start + 199, "ratio_z252": start + 251}
    assert {name: found.get(name) for name in wanted} == wanted
    assert rows["ratio"].iloc[0] == 100


@pytest.mark.parametrize("symbol", ["XLE", "XLU"])
def test_first_full_windows_of_sector_leadership(symbol):
    """Return, excess and rank begin together, n sessions after the fund's first; from the year's start with the year."""
    rows, start = only(market()["sector_leadership"], symbol=symbol), YOUNG.get(symbol, 0)
    wanted = {horizon: start + n for horizon, n in HORIZONS.items()} | {"ytd": NEW_YEAR}
    for horizon, first in wanted.items():
        for name in ("return", "excess", "rank"):
            known = rows[f"{name}_{horizon}"].notna().tolist()
            assert known == [start + i >= first for i in range(len(rows))], (name, horizon)


def test_first_full_windows_of_mega_cap():
    """Every return begins n sessions after the first session, a difference with its two sides; on the first session all are NULL."""
    rows = market()["mega_cap"]
    for name in (name for name in rows if name not in ("mag7_members", "ex_tech_sectors", "missing_symbols")):
        first = {**HORIZONS, "ytd": NEW_YEAR}[name.split("_")[-1]]
        assert rows[name].notna().tolist() == [i >= first for i in range(N)], name


def test_first_full_windows_of_breadth():
    """Counts over three months begin with session 64, those over 200 sessions with session 200, and are NULL, not 0, before."""
    rows = market()["breadth"]
    first = {
        "sectors_beating_spy_3m": 63,
        "equal_minus_cap_3m": 63,
        "sectors_above_200d": 199,
        "universe_above_200d_pct": 199,
    }
    for name, i in first.items():
        assert rows[name].notna().tolist() == [row >= i for row in range(N)], name


@pytest.mark.parametrize("timeframe", ["daily", "weekly"])
@pytest.mark.parametrize("symbol", ["IWM", "IWC"])
def test_first_full_windows_of_relative_rotation(symbol, timeframe):
    """The ratio begins with row 14, momentum and quadrant with row 27, the heading with row 28, whatever a row spans."""
    rows = only(market()["relative_rotation"], symbol=symbol, timeframe=timeframe)
    first = {"rs": 0, "rs_ratio": 13, "rs_momentum": 26, "quadrant": 26, "heading_deg": 27}
    for name, i in first.items():
        assert rows[name].notna().tolist() == [row >= i for row in range(len(rows))], name


# --- ties ------------------------------------------------------------------------------------------------------------

LENGTH = 280
SIX = ("XLB", "XLC", "XLE", "XLF", "XLI", "XLP")


@pytest.fixture(scope="module")
def tied():
    """Two legs alike, a sector like SPY, and technology like utilities: behind six others from session 70, behind one from 150."""
    members = [
        *(instrument(symbol) for symbol in ("SPY", "IWM", "IWB")),
        *(instrument(s, kind="sector", sector="technology" if s == "XLK" else s) for s in (*SIX, "XLK", "XLU", "XLV")),
    ]
    closes = {"SPY": steps((0, 33.3), (70, 36.63), (150, 41.7)), "XLK": steps((0, 100.1), (70, 105.2), (150, 150.3))}
    closes |= {"XLV": closes["SPY"], "XLU": closes["XLK"]}
    closes |= {symbol: steps((0, 100), (70, 120 + i)) for i, symbol in enumerate(SIX)}
    closes["XLP"] = steps((0, 100), (70, 130), (150, 260))
    legs = steps((0, 99.9))
    legs[[20, 50, 200]] = 90.3
    legs[220] = 90.31
    return tables(closes | {"IWM": legs, "IWB": legs}, DAYS[LENGTH - 1], PAIRS, members)


@pytest.mark.parametrize(
    ("i", "ranks", "verdict"),
    [
        (100, {"XLP": 1, "XLI": 2, "XLF": 3, "XLE": 4, "XLC": 5, "XLB": 6, "XLV": 7, "XLK": 8, "XLU": 8}, 1),
        (160, {"XLP": 1, "XLK": 2, "XLU": 2, "XLV": 4, **dict.fromkeys(SIX[:5], 5)}, -1),
        (240, dict.fromkeys([*SIX, "XLK", "XLU", "XLV"], 1), -1),
    ],
)
def test_ties_share_the_lower_rank(tied, i, ranks, verdict):
    """Equal returns have one rank, the next comes after all of them, and technology's verdict goes by the shared number."""
    rows = tied["sector_leadership"].loc[DAYS[i]]
    assert dict(zip(rows["symbol"], rows["rank_3m"], strict=True)) == ranks
    assert only(tied["rotation_evidence"], evidence="sector_leadership").loc[DAYS[i], "verdict"] == verdict


@pytest.mark.parametrize(("verdict", "ahead"), [(1, 6), (0, 5), (0, 2), (-1, 1)])
def test_technology_tied_at_the_boundary(verdict, ahead):
    """Tied for the seventh place is seventh and tied for the second is second, though others share it; sixth and third are neither."""
    symbols = [*SIX, "XLU", "XLV"]
    members = [instrument("SPY"), instrument("XLK", kind="sector", sector="technology")]
    members += [instrument(symbol, kind="sector", sector=symbol) for symbol in symbols]
    # From the first session to the last the leaders rise by 30 %, technology and all others by 11 %.
    closes = {s: np.linspace(100.1, 130.13 if s in symbols[:ahead] else 111.111, 64) for s in (*symbols, "XLK")}
    found = tables(closes | {"SPY": np.full(64, 70.0)}, DAYS[63], (), members)
    row = only(found["rotation_evidence"], evidence="sector_leadership").loc[DAYS[63]]
    assert (row["value"], row["verdict"]) == (ahead + 1, verdict)


def test_a_sector_equal_to_the_market_does_not_beat_it(tied):
    """The sector that moves as SPY does is not counted among those beating it, though its window is known."""
    rows = tied["breadth"]
    assert (rows["sectors_counted_3m"].iloc[63:] == 9).all()
    # First all stand still, then six are ahead of SPY's 10 %, then three are; at last all stand still again.
    beating = rows["sectors_beating_spy_3m"]
    assert (set(beating.iloc[63:70]), set(beating.iloc[70:133]), set(beating.iloc[150:213])) == ({0}, {6}, {3})
    assert set(beating.iloc[213:]) == {0}


def test_a_spread_of_zero_is_neither(tied):
    """Two legs that move alike have spreads of exactly 0, a ratio at its mean, and a verdict of 0."""
    rows = only(tied["relative_strength"], pair="IWM/IWB")
    spreads = rows[[name for name in rows if name.startswith("spread_")]]
    assert set(spreads.stack().dropna()) == {0.0}
    assert (rows["ratio"] == 100).all()
    judged = only(tied["rotation_evidence"], evidence="relative_strength")
    assert judged["verdict"].isna().tolist() == [True] * 199 + [False] * (LENGTH - 199)
    assert set(judged["verdict"].dropna()) == {0}
    assert judged["detail"].iloc[-1] == (
        "Small caps (IWM) matched large caps (IWB) by 0.0 % over one month and by 0.0 % over three; their ratio is at its 50-session "
        "average and at its 200-session average (0 of 4 conditions for, 0 against)."
    )


def test_of_equal_lows_the_latest_session(tied):
    """Of three equal lows the last is the low, and a hair above is not equal."""
    lows = only(tied["relative_strength"], pair="IWM/IWB")["low_session"]
    assert lows.iloc[:251].isna().all()
    assert set(lows.iloc[251:].dt.date) == {DAYS[200]}


# --- flat windows ----------------------------------------------------------------------------------------------------

AWKWARD = (100.1, 33.3, 0.1 + 0.2, 1 / 3, 7.77)


@pytest.fixture(scope="module")
def flat():
    """All prices move for 40 sessions and then stand still at awkward values."""
    rng = np.random.default_rng(3)
    closes = {}
    for i, member in enumerate(MEMBERS):
        level = AWKWARD[i % len(AWKWARD)]
        closes[member.symbol] = np.concatenate([level * rng.uniform(0.9, 1.1, 40), np.full(N - 40, level)])
    return tables(closes, LAST)


@pytest.mark.parametrize("symbol", [member.symbol for member in MEMBERS if member.symbol != "SPY"])
def test_a_flat_ratio_rests_at_100(flat, symbol):
    """Once prices stood still for 27 rows ratio and momentum are 100 exactly, the quadrant is leading, and there is no heading."""
    rows = only(flat["relative_rotation"], symbol=symbol, timeframe="daily").iloc[40 + 27 :]
    assert (rows[["rs_ratio", "rs_momentum"]] == 100).all(axis=None)
    assert set(rows["quadrant"]) == {"leading"}
    assert rows["heading_deg"].isna().all()


@pytest.mark.parametrize("pair", ["IWM/IWB", "IWC/SPY"])
def test_a_flat_ratio_has_no_z_score(flat, pair):
    """The z-score is NULL once its 252 rows are flat, and known while one of them is not."""
    assert only(flat["relative_strength"], pair=pair)["ratio_z252"].notna().tolist() == [
        251 <= i < 291 for i in range(N)
    ]


def test_a_flat_index_is_not_above_its_mean(flat):
    """Once flat for 200 rows nothing is above its own mean, in breadth as in the evidence: no value by rounding."""
    rows = flat["breadth"].iloc[239:]
    assert (
        rows[["sectors_above_200d", "universe_above_200d_pct", "sectors_beating_spy_3m", "equal_minus_cap_3m"]] == 0
    ).all(axis=None)
    assert (rows["counted"] == len(MEMBERS)).all()
    judged = only(flat["rotation_evidence"], evidence="relative_strength").iloc[239:]
    assert set(judged["verdict"]) == {0}
    assert (
        judged["detail"].str.contains("their ratio is at its 50-session average and at its 200-session average").all()
    )


def test_flat_prices_return_nothing(flat):
    """All returns that begin after the last move are 0 exactly, in every table, and all sectors share the first rank."""
    last = flat["mega_cap"].loc[LAST].drop(["mag7_members", "ex_tech_sectors", "missing_symbols"])
    assert set(last[[not name.endswith("12m") for name in last.index]]) == {0.0}
    sectors = flat["sector_leadership"].loc[LAST]
    assert (sectors[["return_3m", "excess_3m", "return_ytd"]] == 0).all(axis=None)
    assert (sectors[["rank_1m", "rank_3m", "rank_6m", "rank_ytd"]] == 1).all(axis=None)


def test_moving_alike_at_another_price_is_flat():
    """A fund at three times or a tenth of its benchmark's price that moves as it does stands still against it, rounding or not."""
    members = [instrument(symbol) for symbol in ("SPY", "TRI", "DEC")]
    spy = CLOSES["SPY"]
    found = tables({"SPY": spy, "TRI": 3 * spy, "DEC": 0.1 * spy}, LAST, [("TRI", "SPY"), ("DEC", "SPY")], members)
    rows = only(found["relative_rotation"], timeframe="daily").sort_index().loc[DAYS[27] :]
    moved = rows[rows["symbol"] != "SPY"]
    assert len(moved) == 2 * (N - 27)
    assert (moved[["rs_ratio", "rs_momentum"]] == 100).all(axis=None)
    assert moved["heading_deg"].isna().all()
    assert found["relative_strength"]["ratio_z252"].isna().all()
    assert set(found["relative_strength"]["days_leading"].dropna()) == {0}
    assert set(only(found["rotation_evidence"], evidence="relative_strength")["verdict"].dropna()) == {0}


# --- missing bars ----------------------------------------------------------------------------------------------------

SPANS = ("1m", "3m", "6m", "12m", "ytd")


def columns(*sides):
    return {f"{side}_{span}" for side in sides for span in SPANS}


#: Missing symbol → columns of mega_cap and of breadth that are not known then, and evidence that is not.
NOT_KNOWN = {
    "XLE": (set(), set(), set()),
    "XLK": (columns("tech_return", "tech_minus_ex_tech"), set(), {"sector_leadership"}),
    "MSFT": (columns("mag7_return", "mag7_minus_rest"), set(), {"mega_cap"}),
    "RSP": (columns("rest_return", "mag7_minus_rest"), {"equal_minus_cap_3m"}, {"breadth", "mega_cap"}),
    "IWM": (set(), set(), {"relative_strength"}),
    "IWB": (set(), set(), {"relative_strength"}),
    "SPY": (set(), {"sectors_beating_spy_3m", "equal_minus_cap_3m"}, {"breadth"}),
}
#: Those whose value is that of fewer.
FEWER = {
    "XLE": columns("ex_tech_return", "tech_minus_ex_tech") | {"ex_tech_sectors"},
    "MSFT": {"mag7_members"},
}


@pytest.fixture(scope="module", params=NOT_KNOWN)
def gone(request):
    """Each symbol in turn that has no price on the last session."""
    return request.param


@pytest.mark.long_after(1)
def test_missing_on_the_last_day_is_null_in_mega_cap(gone):
    """Just what rests on the missing symbol is NULL, no zero and no copy of the day before; all else stays to the last digit."""
    full, found = market()["mega_cap"].loc[LAST], market(missing=gone)["mega_cap"].loc[LAST]
    fewer = FEWER.get(gone, set())
    concerned = gone in SECTORS or bool(NOT_KNOWN[gone][0])
    assert found["missing_symbols"] == gone if concerned else pd.isna(found["missing_symbols"])
    assert pd.isna(full["missing_symbols"])
    full, found = full.drop("missing_symbols"), found.drop("missing_symbols")
    assert full.notna().all()
    assert set(found.index[found.isna()]) == NOT_KNOWN[gone][0]
    assert {name for name in found.index if found[name] != full[name]} == NOT_KNOWN[gone][0] | fewer


@pytest.mark.long_after(2)
def test_missing_on_the_last_day_is_counted_in_breadth(gone):
    """One symbol is missing and one fewer counts; the measures that need it are NULL."""
    found, full = market(missing=gone)["breadth"].loc[LAST], market()["breadth"].loc[LAST]
    sectors = 1 if gone in SECTORS else 0
    assert (found["missing"], full["missing"]) == (1, 0)
    assert found["missing_symbols"] == gone
    assert pd.isna(full["missing_symbols"])
    full, found = full.drop("missing_symbols"), found.drop("missing_symbols")
    assert found["counted"] == full["counted"] - 1
    assert found["sectors_counted_200d"] == full["sectors_counted_200d"] - sectors
    assert found["sectors_counted_3m"] == (0 if gone == "SPY" else full["sectors_counted_3m"] - sectors)
    assert set(found.index[found.isna()]) == NOT_KNOWN[gone][1]
    others = {"missing", "counted", "universe_above_200d_pct"} | NOT_KNOWN[gone][1]
    others |= {name for name in found.index if name.startswith("sectors_")} if sectors else set()
    others |= {"sectors_counted_3m"} if gone == "SPY" else set()
    assert {name for name in found.index if pd.isna(found[name]) or found[name] != full[name]} <= others


def test_missing_on_the_last_day_is_not_known_to_the_evidence(gone):
    """The verdicts that depend on the missing symbol are not known, with the reason; the others are known."""
    boards = (market()["rotation_evidence"], market(missing=gone)["rotation_evidence"])
    full, found = (board.loc[LAST].set_index("evidence") for board in boards)
    never = {"fund_flows", "earnings"}
    assert set(full.index[full["verdict"].isna()]) == never
    unknown = found[found["verdict"].isna()]
    assert set(unknown.index) == never | NOT_KNOWN[gone][2]
    assert unknown["value"].isna().all()
    assert unknown["detail"].str.startswith("Not known: ").all()
    assert not full["is_provisional"].any()
    assert full["missing_symbols"].isna().all()
    about = {
        "relative_strength": {"IWM", "IWB"},
        "breadth": {*SECTORS, "RSP", "SPY"},
        "sector_leadership": set(SECTORS),
        "mega_cap": {"MSFT", "RSP"},
    }
    touched = {evidence for evidence, symbols in about.items() if gone in symbols}
    assert set(found.index[found["is_provisional"]]) == touched >= NOT_KNOWN[gone][2]
    for evidence in touched:
        assert found.loc[evidence, "missing_symbols"] == gone
        assert found.loc[evidence, "detail"].endswith(f"o price that session of {gone}.")


def test_missing_on_the_last_day_changes_no_earlier_row(gone):
    """Up to the day before, every table is what it is with the price."""
    for name in TABLES:
        full, found = market()[name], market(missing=gone)[name]
        if name == "relative_rotation":
            full, found = only(full, timeframe="daily"), only(found, timeframe="daily")
        pd.testing.assert_frame_equal(
            found[found.index < LAST], full[full.index < LAST], check_exact=True, check_dtype=False, obj=name
        )


def test_missing_on_the_last_day_has_no_row_of_its_own(gone):
    """The missing symbol has no row that session; the others have theirs, ranked among themselves, without SPY no excess."""
    found, full = market(missing=gone), market()
    pairs = {"/".join(pair) for pair in PAIRS}
    assert set(found["relative_strength"].loc[[LAST], "pair"]) == {p for p in pairs if gone not in p.split("/")}
    sectors = found["sector_leadership"].loc[LAST]
    assert set(sectors["symbol"]) == set(SECTORS) - {gone}
    before = full["sector_leadership"].loc[LAST].set_index("symbol")
    for row in sectors.itertuples():
        assert row.return_3m == before.loc[row.symbol, "return_3m"]
        passed = gone in SECTORS and before.loc[gone, "rank_3m"] < before.loc[row.symbol, "rank_3m"]
        assert row.rank_3m == before.loc[row.symbol, "rank_3m"] - passed
    assert sectors["excess_3m"].isna().all() == (gone == "SPY")
    rotation = only(found["relative_rotation"], timeframe="daily")
    there = set(rotation["symbol"][rotation.index == LAST])
    assert there == (set() if gone == "SPY" else {i.symbol for i in MEMBERS} - {gone, "SPY"})
    # The week's row is that of the symbol's own last session with a strength.
    week = only(found["relative_rotation"], timeframe="weekly", symbol="AAPL" if gone == "SPY" else gone)
    assert week.index[-1] == DAYS[N - 2]


@pytest.fixture(scope="module")
def hole():
    """AAPL, XLE, IWM have no price on session 31 (position 30). Prices are flat but around it; all but SPY end 20 % higher."""
    series = [100.0] * 30 + [110.0] + [120.0] * 89
    gap = [100.0] * 30 + [None] + [120.0] * 89
    steady = [100.0] * 120
    closes = {"SPY": steady, "RSP": steady, "IWB": steady, "XLK": steady, "IWM": gap, "AAPL": gap, "MSFT": series}
    return tables(closes | {"XLE": gap, "XLF": series}, DAYS[119])


def test_the_basket_spans_a_hole(hole):
    """The basket is NULL on the hole alone, the next step spans it for all members, and a base on the hole is NULL again."""
    found = hole["mega_cap"]["mag7_return_1m"]
    assert hole["mega_cap"]["mag7_members"].tolist() == [2] * 30 + [1] + [2] * 89
    # Both members grew by 20 % from the session before the hole to that after it.
    wanted = [math.nan] * 21 + [0.0] * 9 + [math.nan] + [0.2] * 20 + [math.nan] + [0.0] * 68
    assert found.tolist() == pytest.approx(wanted, nan_ok=True, abs=1e-12)


def test_the_other_sectors_span_a_hole(hole):
    """The mean of the other sectors is over those with both prices: one fewer on the hole and where it is the base."""
    found = hole["mega_cap"]["ex_tech_return_1m"]
    # On the hole XLF alone, 110 against 100; 21 sessions after it XLF alone again, 120 against 110.
    wanted = [math.nan] * 21 + [0.0] * 9 + [0.1] + [0.2] * 20 + [120 / 110 - 1] + [0.0] * 68
    assert found.tolist() == pytest.approx(wanted, nan_ok=True, abs=1e-12)


def test_returns_around_a_hole(hole):
    """The session after the hole has no daily return; a month's return spans it, and has none where the hole is its base."""
    rows = only(hole["sector_returns"], symbol="XLE")
    assert DAYS[30] not in rows.index
    assert rows["return_1d"].isna().sum() == 2
    assert rows.loc[[DAYS[0], DAYS[31]], "return_1d"].isna().all()
    leaders = only(hole["sector_leadership"], symbol="XLE")["return_1m"]
    assert leaders.isna().sum() == 21 + 1
    assert leaders[DAYS[31]] == pytest.approx(0.2)
    assert math.isnan(leaders[DAYS[51]])
    assert leaders[DAYS[52]] == 0
    quarter = only(hole["sector_leadership"], symbol="XLE")["return_3m"]
    assert (quarter.index[63 - 1], quarter.first_valid_index()) == (DAYS[63], DAYS[63])
    assert quarter[quarter.index > DAYS[63]].isna().to_numpy().nonzero()[0].tolist() == [93 - 64]


def test_rows_around_a_hole(hole):
    """The pair and the rotation have no row for the missing session, windows of rows continue without it, and breadth counts it as missing."""
    pair = only(hole["relative_strength"], pair="IWM/IWB")
    assert set(DAYS[:120]) - set(pair.index) == {DAYS[30]}
    assert pair["ratio_ma50"].first_valid_index() == DAYS[50]
    assert pair.loc[DAYS[50], "ratio_ma50"] == pytest.approx((30 * 100 + 20 * 120) / 50)
    assert math.isnan(pair.loc[DAYS[51], "spread_1m"])
    rotation = only(hole["relative_rotation"], symbol="XLE", timeframe="daily")
    assert set(DAYS[:120]) - set(rotation.index) == {DAYS[30]}
    assert hole["breadth"]["missing"].tolist() == [0] * 30 + [3] + [0] * 89


# --- holiday weeks ---------------------------------------------------------------------------------------------------


@functools.cache
def weeks_until(last):
    """The weekly rows of a fund when `last` is the latest session."""
    count = DAYS.index(last) + 1
    members = [instrument("SPY"), instrument("IWM")]
    closes = {"SPY": [100.0] * count, "IWM": [50.0 + i for i in range(count)]}
    return only(tables(closes, last, (), members)["relative_rotation"], symbol="IWM", timeframe="weekly")


@pytest.mark.long_after(0)
@pytest.mark.parametrize(
    ("last", "weeks", "provisional"),
    [
        (date(2024, 3, 27), [date(2024, 3, 22), date(2024, 3, 27)], True),
        # Good Friday: the Thursday ends the week, which is not certain before the next session.
        (date(2024, 3, 28), [date(2024, 3, 22), date(2024, 3, 28)], True),
        (date(2024, 4, 1), [date(2024, 3, 22), date(2024, 3, 28), date(2024, 4, 1)], True),
        # Thanksgiving, and the half day after it, a Friday.
        (date(2024, 11, 27), [date(2024, 11, 22), date(2024, 11, 27)], True),
        (date(2024, 11, 29), [date(2024, 11, 22), date(2024, 11, 29)], False),
        # Christmas is a Wednesday; the next week lies in two years.
        (date(2024, 12, 27), [date(2024, 12, 20), date(2024, 12, 27)], False),
        (date(2024, 12, 31), [date(2024, 12, 27), date(2024, 12, 31)], True),
        (date(2025, 1, 2), [date(2024, 12, 27), date(2025, 1, 2)], True),
        (date(2025, 1, 3), [date(2024, 12, 27), date(2025, 1, 3)], False),
        # Closed on Thursday, the 9th.
        (date(2025, 1, 8), [date(2025, 1, 3), date(2025, 1, 8)], True),
        (date(2025, 1, 10), [date(2025, 1, 3), date(2025, 1, 10)], False),
    ],
    ids=str,
)
def test_weekly_rows_as_a_holiday_week_goes_by(last, weeks, provisional):
    """A week's row is dated its last session so far and provisional until its Friday or a later week; earlier rows are final."""
    rows = weeks_until(last)
    assert list(rows.index[-len(weeks) :]) == weeks
    assert rows["is_provisional"].tolist() == [False] * (len(rows) - 1) + [provisional]


def test_a_week_is_an_iso_week():
    """There is one weekly row per ISO week, dated its last session, also where the week lies in two years or ends on a Thursday."""
    rows = only(market()["relative_rotation"], symbol="IWM", timeframe="weekly")
    wanted = {}
    for day in DAYS[:N]:
        wanted[day.isocalendar()[:2]] = day
    assert list(rows.index) == list(wanted.values())
    known = [
        date(2024, 3, 28),
        date(2024, 7, 5),
        date(2024, 11, 29),
        date(2024, 12, 27),
        date(2025, 1, 3),
        date(2025, 1, 10),
    ]
    assert set(known) <= set(rows.index)
    assert not set(DAYS[DAYS.index(date(2024, 12, 30)) : DAYS.index(date(2025, 1, 3))]) & set(rows.index)
    assert not rows["is_provisional"].any()


def test_weekly_values_are_those_of_the_daily_rows():
    """A weekly row has the strength of its session's daily row, and its ratio is the z-score of 14 such weeks."""
    rows = market()["relative_rotation"]
    weekly, daily = (only(rows, symbol="XLE", timeframe=name)["rs"] for name in ("weekly", "daily"))
    pd.testing.assert_series_equal(weekly, daily[weekly.index], check_exact=True)
    last = weekly.tolist()[-14:]
    found = only(rows, symbol="XLE", timeframe="weekly")["rs_ratio"].iloc[-1]
    assert found == pytest.approx(100 + (last[-1] - mean(last)) / stdev(last), rel=1e-12)


@pytest.mark.parametrize(
    ("day", "horizon", "base"),
    [
        # Half days: 3 July, 29 November, 24 December 2024; closed: 4 July, 28 November, 25 December, 1 and 9 January.
        (date(2024, 7, 9), "1w", date(2024, 7, 1)),
        (date(2024, 12, 3), "1w", date(2024, 11, 25)),
        (date(2024, 12, 27), "1w", date(2024, 12, 19)),
        (date(2025, 1, 14), "1w", date(2025, 1, 6)),
        (date(2024, 12, 30), "1m", date(2024, 11, 27)),
        (date(2025, 1, 10), "1m", date(2024, 12, 9)),
    ],
    ids=str,
)
def test_a_half_day_is_a_session_and_a_holiday_is_none(day, horizon, base):
    """A half day counts as one session, a closed day as none."""
    pair = only(market()["relative_strength"], pair="IWM/IWB").loc[day]
    assert pair[f"spread_{horizon}"] == pytest.approx(growth("IWM", day, base) - growth("IWB", day, base), abs=1e-12)
    if horizon == "1m":
        found = market()["mega_cap"].loc[day]
        assert found["tech_return_1m"] == pytest.approx(growth("XLK", day, base), abs=1e-12)
        assert found["rest_return_1m"] == pytest.approx(growth("RSP", day, base), abs=1e-12)


# --- headings and quadrants ------------------------------------------------------------------------------------------

JUMP = 30


@pytest.fixture(scope="module")
def jumped():
    """SPY stands still; UP doubles and DOWN halves on session 31 (position 30), and then they stand still too."""
    closes = {"SPY": [100.0] * 70, "UP": [50.0] * JUMP + [100.0] * 40, "DOWN": [50.0] * JUMP + [25.0] * 40}
    rows = tables(closes, DAYS[69], (), [instrument(symbol) for symbol in closes])["relative_rotation"]
    return {symbol: only(rows, symbol=symbol, timeframe="daily") for symbol in ("UP", "DOWN")}


@pytest.mark.parametrize(("symbol", "sign", "up", "down"), [("UP", 1, 45, 90), ("DOWN", -1, 225, 270)])
def test_headings_of_a_jump(jumped, symbol, sign, up, down):
    """Ratio and momentum leave 100 by the same z-score, diagonally; at the end momentum alone returns, straight up or down."""
    rows = jumped[symbol]
    assert rows["heading_deg"].iloc[:JUMP].isna().all()
    # One of 14 differs from the others: its z-score is 13 / sqrt(14).
    assert rows[["rs_ratio", "rs_momentum"]].iloc[JUMP].tolist() == pytest.approx([100 + sign * 13 / 14**0.5] * 2)
    assert rows["heading_deg"].iloc[JUMP] == pytest.approx(up)
    # From the fourteenth row on the ratio rests at 100, the thirteenth row of the momentum's window being the last that differs.
    assert (rows["rs_ratio"].iloc[JUMP + 13 :] == 100).all()
    assert rows["rs_momentum"].iloc[JUMP + 25] == pytest.approx(100 - sign / 14**0.5)
    assert rows["rs_momentum"].iloc[JUMP + 26] == 100
    assert set(rows["heading_deg"].iloc[JUMP + 14 : JUMP + 26]) <= {90.0, 270.0}
    assert rows["heading_deg"].iloc[JUMP + 26] == down
    assert rows["heading_deg"].iloc[JUMP + 27 :].isna().all()


def test_quadrants_of_a_jump(jumped):
    """What jumped up leads, then weakens as its lead ages, and ends leading where all is flat; the other way it is the mirror image."""
    up, down = (jumped[symbol]["quadrant"] for symbol in ("UP", "DOWN"))
    assert (up.iloc[JUMP], up.iloc[JUMP + 12], up.iloc[-1]) == ("leading", "weakening", "leading")
    assert (down.iloc[JUMP], down.iloc[JUMP + 12], down.iloc[-1]) == ("lagging", "improving", "leading")


@pytest.mark.parametrize("timeframe", ["daily", "weekly"])
def test_headings_are_those_of_the_steps(timeframe):
    """Each heading is the angle of the step from the row before, in [0, 360), 0 to the right, counter-clockwise."""
    seen = set()
    for symbol in ("IWM", "XLE", "XLU", "AAPL"):
        rows = only(market()["relative_rotation"], symbol=symbol, timeframe=timeframe).iloc[26:]
        for before, row in zip(rows.itertuples(), rows.iloc[1:].itertuples(), strict=False):
            right, up = row.rs_ratio - before.rs_ratio, row.rs_momentum - before.rs_momentum
            assert 0 <= row.heading_deg < 360
            assert row.heading_deg == pytest.approx(math.degrees(math.atan2(up, right)) % 360, abs=1e-9)
            quarter = int(row.heading_deg // 90)
            assert (right > 0, up > 0) == [(True, True), (False, True), (False, False), (True, False)][quarter]
            seen.add(quarter)
    assert seen == {0, 1, 2, 3}


@pytest.mark.parametrize("timeframe", ["daily", "weekly"])
def test_quadrants_follow_the_two_signs(timeframe):
    """Leading at or above 100 in both, weakening in the ratio only, improving in the momentum only, else lagging; NULL before."""
    rows = only(market()["relative_rotation"], timeframe=timeframe)
    names = {(True, True): "leading", (True, False): "weakening", (False, True): "improving", (False, False): "lagging"}
    known = rows[rows["rs_momentum"].notna()]
    assert known["quadrant"].tolist() == [
        names[r >= 100, m >= 100] for r, m in zip(known["rs_ratio"], known["rs_momentum"], strict=True)
    ]
    assert set(known["quadrant"]) == set(names.values())
    assert rows["quadrant"][rows["rs_momentum"].isna()].isna().all()


def test_history_starts_where_the_prices_do():
    """The market's first row in every table is its first session, and a table by session has one row for each."""
    for name in TABLES:
        assert market()[name].index.min() == START, name
    for name in ("mega_cap", "breadth"):
        assert list(market()[name].index) == DAYS[:N]
