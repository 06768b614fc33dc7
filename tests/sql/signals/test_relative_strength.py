"""signals.relative_strength: every column against plain loops over the same bars, and the cases that loops get wrong."""

from __future__ import annotations

from datetime import date
from statistics import mean, stdev
from typing import Any

import numpy as np
import pandas as pd
import pytest
from world import bars, days, derived, instrument, universe

#: The tables that are derived here.
WANTED = ["signals.relative_strength"]
BEGIN = date(2022, 1, 3)
DAYS = days(BEGIN)
PAIRS = [("OLD", "SPY"), ("YOUNG", "SPY"), ("HOLES", "BIG")]
MEMBERS = universe(*[instrument(symbol) for symbol in ("SPY", "BIG", "OLD", "YOUNG", "HOLES")], pairs=PAIRS)
TWO = universe(instrument("SPY"), instrument("IWM"), pairs=[("IWM", "SPY")])
HORIZONS = {"1w": 5, "1m": 21, "3m": 63, "6m": 126, "12m": 252}
COLUMNS = [
    "pair",
    "session",
    "small_symbol",
    "large_symbol",
    "ratio",
    "spread_1w",
    "spread_1m",
    "spread_3m",
    "spread_6m",
    "spread_12m",
    "spread_ytd",
    "spread_qtd",
    "spread_since_low",
    "low_session",
    "small_return_ytd",
    "small_return_qtd",
    "small_return_since_low",
    "large_return_ytd",
    "large_return_qtd",
    "large_return_since_low",
    "ratio_ma50",
    "ratio_ma200",
    "ratio_z252",
    "percentile_all",
    "ratio_percentile_5y",
    "days_leading",
]


def index_of(frame):
    """Session → total-return index, worked out bar by bar."""
    found, level, before = {}, 100.0, None
    for row in frame.itertuples():
        if np.isnan(row.close):
            continue
        if before is not None:
            level *= row.close / (before - row.dividend - row.capital_gain)
        found[row.session.date()], before = level, row.close
    return found


def expected(pair, small, large, sessions):
    """The rows of one pair from the two legs' indexes, one session after the other."""
    position = {day: i for i, day in enumerate(sessions)}

    def base_of(day, first_month):
        earlier = [s for s in sessions if s < date(day.year, first_month, 1)]
        return earlier[-1] if earlier else None

    def change(index, day, base):
        return index[day] / index[base] - 1 if base in index else np.nan

    rows: list[dict[str, Any]] = []
    ratios: list[float] = []
    common = [day for day in sessions if day in small and day in large]
    for day in common:
        ratios.append(100 * small[day] / large[day] / (small[common[0]] / large[common[0]]))
        row = dict(zip(COLUMNS[:4], (pair, pd.Timestamp(day), *pair.split("/")), strict=True))
        bases = {name: sessions[position[day] - n] if position[day] >= n else None for name, n in HORIZONS.items()}
        bases["ytd"] = base_of(day, 1)
        bases["qtd"] = base_of(day, (day.month - 1) // 3 * 3 + 1)
        window = [s for s in sessions if s in large and s <= day][-252:]
        low = min(reversed(window), key=large.__getitem__) if len(window) == 252 else None
        row["low_session"] = pd.Timestamp(low) if low else pd.NaT
        bases["since_low"] = low
        for name, base in bases.items():
            returns = change(small, day, base), change(large, day, base)
            row[f"spread_{name}"] = returns[0] - returns[1]
            if name in ("ytd", "qtd", "since_low"):
                row[f"small_return_{name}"], row[f"large_return_{name}"] = returns
        row["ratio"] = ratios[-1]
        row["ratio_ma50"] = mean(ratios[-50:]) if len(ratios) >= 50 else np.nan
        row["ratio_ma200"] = mean(ratios[-200:]) if len(ratios) >= 200 else np.nan
        full = ratios[-252:] if len(ratios) >= 252 else None
        row["ratio_z252"] = (ratios[-1] - mean(full)) / stdev(full) if full else np.nan
        lower = sum(ratio < ratios[-1] for ratio in ratios)
        row["percentile_all"] = 100 * lower / (len(ratios) - 1) if len(ratios) >= 252 else np.nan
        # There are no 1260 rows here.
        row["ratio_percentile_5y"] = np.nan
        before = sessions[position[day] - 1] if position[day] else None
        lead = change(small, day, before) - change(large, day, before)
        run = rows[-1]["days_leading"] if rows and not np.isnan(rows[-1]["days_leading"]) else 0
        row["days_leading"] = np.nan if np.isnan(lead) else run + 1 if lead > 1e-12 else 0
        rows.append(row)
    return pd.DataFrame(rows, columns=COLUMNS).astype(dict.fromkeys(("session", "low_session"), "datetime64[us]"))


def walk(rng, length):
    return np.round(100 * np.exp(np.cumsum(rng.normal(0.0002, 0.012, length))), 4)


@pytest.fixture(scope="module")
def world():
    """600 sessions: a leg born at session 201, holes in both legs of a pair, one of them at a quarter end, dividends."""
    rng = np.random.default_rng(20260116)
    length = 600
    closes = {symbol: walk(rng, length) for symbol in ("SPY", "BIG", "OLD", "YOUNG", "HOLES")}
    closes["YOUNG"][:200] = np.nan
    quarter_end = DAYS.index(date(2023, 6, 30))
    closes["HOLES"][[100, 101, 333, quarter_end]] = np.nan
    closes["BIG"][[90, 101, 420]] = np.nan
    frames = {}
    for offset, (symbol, series) in enumerate(closes.items()):
        paid = np.where(np.arange(length) % 63 == 40 + offset, 0.5, 0.0)
        frames[symbol] = bars(symbol, series, BEGIN, dividend=paid, capital_gain=paid / 5 * (symbol == "SPY"))
    return frames


@pytest.fixture(scope="module")
def signals(world):
    with derived(list(world.values()), MEMBERS, DAYS[599], BEGIN, wanted=WANTED) as con:
        yield con.sql("from signals.relative_strength order by pair, session").df()


@pytest.mark.parametrize("legs", PAIRS, ids="/".join)
def test_every_column(world, signals, legs):
    """All columns of all rows equal a calculation in plain loops to 1e-9, NULLs in the same places, and no other rows exist."""
    small, large = (index_of(world[symbol]) for symbol in legs)
    found = signals[signals["pair"] == "/".join(legs)].reset_index(drop=True)
    wanted = expected("/".join(legs), small, large, DAYS[:600])
    assert list(found.columns) == COLUMNS
    found = found.astype({"days_leading": float})
    pd.testing.assert_frame_equal(found, wanted, check_dtype=False, rtol=1e-9, atol=1e-9)


def test_rows_are_common_sessions(signals):
    """A pair has a row on exactly the sessions on which both legs have a price, the first with ratio 100."""
    assert signals.groupby("pair").size().to_dict() == {"OLD/SPY": 600, "YOUNG/SPY": 400, "HOLES/BIG": 594}
    first = signals.groupby("pair").first()
    assert first["ratio"].to_dict() == {"OLD/SPY": 100, "YOUNG/SPY": 100, "HOLES/BIG": 100}
    assert first.loc["YOUNG/SPY", "session"] == pd.Timestamp(DAYS[200])


def test_no_window_is_filled_early(signals):
    """Each window's first value comes with its last missing row, not before."""
    old = signals[signals["pair"] == "OLD/SPY"].reset_index(drop=True)
    firsts = {name: old[name].first_valid_index() for name in COLUMNS[4:]}
    assert firsts == {
        "ratio": 0,
        "spread_1w": 5,
        "spread_1m": 21,
        "spread_3m": 63,
        "spread_6m": 126,
        "spread_12m": 252,
        "spread_ytd": DAYS.index(date(2023, 1, 3)),
        "small_return_ytd": DAYS.index(date(2023, 1, 3)),
        "large_return_ytd": DAYS.index(date(2023, 1, 3)),
        "spread_qtd": DAYS.index(date(2022, 4, 1)),
        "small_return_qtd": DAYS.index(date(2022, 4, 1)),
        "large_return_qtd": DAYS.index(date(2022, 4, 1)),
        "spread_since_low": 251,
        "low_session": 251,
        "small_return_since_low": 251,
        "large_return_since_low": 251,
        "ratio_ma50": 49,
        "ratio_ma200": 199,
        "ratio_z252": 251,
        "percentile_all": 251,
        "ratio_percentile_5y": None,
        "days_leading": 1,
    }


def test_since_low_without_the_small_leg(signals):
    """Where the low is before the small leg's first session, its return since then is NULL, the large leg's is not."""
    young = signals[signals["pair"] == "YOUNG/SPY"]
    before = young[young["low_session"] < pd.Timestamp(DAYS[200])]
    assert len(before) > 20
    assert before["small_return_since_low"].isna().all()
    assert before["spread_since_low"].isna().all()
    assert before["large_return_since_low"].notna().all()


def two_legs(small, large):
    """The signals of IWM/SPY for these closes."""
    length = len(large)
    frames = [bars("IWM", small, BEGIN), bars("SPY", large, BEGIN)]
    with derived(frames, TWO, DAYS[length - 1], BEGIN, wanted=WANTED) as con:
        return con.sql("from signals.relative_strength order by session").df()


def test_small_world_by_hand():
    """The ratio is rebased to the first common session, and a week's spread is the difference of two returns."""
    found = two_legs([None, 50, 55, 44, 66, 60, 75], [80, 100, 100, 110, 120, 100, 125])
    assert list(found["session"].dt.date) == DAYS[1:7]
    assert found["ratio"].tolist() == pytest.approx([100, 110, 80, 110, 120, 120])
    assert found["spread_1w"].tolist() == [pytest.approx(v, nan_ok=True) for v in [*[np.nan] * 5, 0.5 - 0.25]]
    assert found[["spread_1m", "ratio_ma50", "ratio_z252", "low_session"]].isna().all(axis=None)


def test_of_equal_lows_the_latest():
    """When the large leg stands at the same lowest price several times, the low is the latest of them, whatever lay between."""
    rng = np.random.default_rng(0)
    large = rng.choice([33.1, 33.37, 33.73, 34.1, 35.9], 330)
    found = two_legs(np.full(330, 20.0), large)
    lows = found["low_session"].dt.date.tolist()
    for i in range(251, 330):
        window = large[i - 251 : i + 1]
        assert lows[i] == DAYS[i - 251 + int(np.flatnonzero(window == window.min())[-1])]


def test_a_low_that_stays():
    """While the large leg rests at its low, the low is today, and everything since then is zero."""
    large = [*np.linspace(120, 97.3, 100), *[97.3] * 200]
    found = two_legs(np.full(300, 20.0), large).iloc[251:]
    assert (found["low_session"] == found["session"]).all()
    assert (found["large_return_since_low"] == 0).all()


def test_the_low_leaves_the_window():
    """A low counts for 252 sessions, its own included, and then the next lowest takes its place."""
    large = np.linspace(100, 110, 300)
    large[20] = 50
    lows = two_legs(np.full(300, 20.0), large)["low_session"].dt.date
    assert set(lows[251:272]) == {DAYS[20]}
    assert lows[272] == DAYS[21]


def test_a_flat_ratio_has_no_z():
    """Once both prices have stood still for 252 rows the standard deviation is zero and the z-score NULL, not a number by chance."""
    for seed, moving in ((0, 60), (1, 60), (3, 200)):
        rng = np.random.default_rng(seed)
        small = [*np.round(walk(rng, moving), 2), *[97.31] * 260]
        large = [*np.round(walk(rng, moving), 2), *[83.17] * 260]
        found = two_legs(small, large)
        assert found["ratio_z252"][251 : moving + 251].notna().all()
        assert found["ratio_z252"][moving + 251 :].isna().all()


def test_z_score_uses_the_sample_deviation():
    """A ratio that alternates between two values has the z-score that divides by n - 1."""
    found = two_legs([100.0, 102.0] * 126, np.full(252, 50.0))
    assert found["ratio_z252"].dropna().tolist() == pytest.approx([1 / (252 / 251) ** 0.5], rel=1e-9)


def test_no_pairs_no_rows():
    """A universe without pairs has an empty table, with all its columns."""
    with derived([bars("SPY", [1, 2], BEGIN)], universe(instrument("SPY")), DAYS[1], BEGIN, wanted=WANTED) as con:
        relation = con.sql("from signals.relative_strength")
        assert relation.columns == COLUMNS
        assert relation.fetchall() == []
