"""signals.sector_leadership: who ranks where, and who does not rank."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest
from world import bars, days, derived, instrument, universe

#: The tables that are derived here.
WANTED = ["signals.sector_leadership"]
BEGIN = date(2022, 1, 3)
DAYS = days(BEGIN)
HORIZONS = ["1m", "3m", "6m", "12m", "ytd"]
RANKS = [f"rank_{horizon}" for horizon in HORIZONS]
COLUMNS = [
    "sector",
    "session",
    "symbol",
    *[f"return_{h}" for h in HORIZONS],
    *[f"excess_{h}" for h in HORIZONS],
    *RANKS,
]


def sector(name):
    return instrument(f"X{name.upper()}", kind="sector", sector=name)


def leadership(con):
    return con.sql("from signals.sector_leadership order by sector, session").df()


@pytest.fixture(scope="module")
def tied():
    """Prices rise by a fixed step a session: `b` and `c` alike, `e` more, `d` fell, and `y` is five sessions old."""
    steps = {"b": 1.0, "c": 1.0, "d": -1.0, "e": 2.0}
    frames = [bars("SPY", [100.0 + 0.5 * i for i in range(23)], BEGIN)]
    frames += [bars(f"X{k.upper()}", [100.0 + step * i for i in range(23)], BEGIN) for k, step in steps.items()]
    frames += [bars("XY", [None] * 18 + [100.0, 200.0, 300.0, 400.0, 500.0], BEGIN)]
    members = universe(instrument("SPY"), *map(sector, "bcdey"))
    with derived(frames, members, DAYS[22], BEGIN, wanted=WANTED) as con:
        yield leadership(con)


def test_ties_share_the_lower_number(tied):
    """Two equal returns are both second and the next is fourth; a sector without a full window neither ranks nor counts."""
    last = tied[tied["session"] == pd.Timestamp(DAYS[22])].set_index("sector")
    assert {k: None if pd.isna(v) else int(v) for k, v in last["rank_1m"].items()} == {
        "b": 2,
        "c": 2,
        "d": 4,
        "e": 1,
        "y": None,
    }
    assert pd.isna(last.loc["y", "return_1m"])


def test_values_by_hand(tied):
    """The month's return and its excess over SPY are those worked out by hand, and longer horizons are NULL with their ranks."""
    row = tied[(tied["session"] == pd.Timestamp(DAYS[21])) & (tied["sector"] == "e")].iloc[0]
    assert row[["sector", "symbol"]].tolist() == ["e", "XE"]
    assert row["return_1m"] == pytest.approx(0.42)
    assert row["excess_1m"] == pytest.approx(0.42 - 0.105)
    assert row[[name for name in COLUMNS[3:] if not name.endswith("_1m")]].isna().all()


def test_no_rank_before_the_window_is_full(tied):
    """On the session before the first full month no sector has a rank."""
    early = tied[tied["session"] < pd.Timestamp(DAYS[21])]
    assert len(early) == 21 * 4 + 3
    assert early[RANKS].isna().all(axis=None)


@pytest.fixture(scope="module")
def world():
    """Eleven sectors over 300 sessions; one is young, one has holes."""
    rng = np.random.default_rng(7)
    closes = {
        symbol: np.round(50 * np.exp(np.cumsum(rng.normal(0.0003, 0.012, 300))), 4)
        for symbol in ("SPY", *(f"X{name.upper()}" for name in "abcdefghijk"))
    }
    closes["XB"][:150] = np.nan
    closes["XC"][[40, 210, DAYS.index(date(2022, 12, 30))]] = np.nan
    members = universe(instrument("SPY"), *map(sector, "abcdefghijk"))
    frames = [bars(symbol, series, BEGIN) for symbol, series in closes.items()]
    with derived(frames, members, DAYS[299], BEGIN, wanted=WANTED) as con:
        yield leadership(con), con.sql("from core.returns").df()


@pytest.mark.parametrize("horizon", HORIZONS)
def test_ranks_are_those_of_pandas(world, horizon):
    """Every rank is the place of the sector's return among those known that session, highest first."""
    found, _ = world
    wanted = found.groupby("session")[f"return_{horizon}"].rank(method="min", ascending=False)
    assert wanted.notna().any()
    pd.testing.assert_series_equal(found[f"rank_{horizon}"], wanted, check_dtype=False, check_names=False)


@pytest.mark.parametrize("horizon", HORIZONS)
def test_ranks_are_a_permutation(world, horizon):
    """Without ties the ranks of a session are 1 to the number of sectors known, each once."""
    found, _ = world
    sizes = set()
    for _, ranks in found.groupby("session")[f"rank_{horizon}"]:
        known = ranks.dropna()
        assert sorted(known) == list(range(1, len(known) + 1))
        sizes.add(len(known))
    assert {0, 11} - ({11} if horizon in ("6m", "12m", "ytd") else set()) <= sizes
    assert max(sizes) >= 9


@pytest.mark.parametrize("horizon", HORIZONS)
def test_returns_and_excess(world, horizon):
    """Returns are those of core.returns, excess is what they are beyond SPY's of the same session."""
    found, returns = world
    name = f"return_{horizon}"
    own = found.merge(returns, on=["symbol", "session"], suffixes=("", "_core"))
    assert len(own) == len(found)
    pd.testing.assert_series_equal(own[name], own[f"{name}_core"], check_names=False, check_exact=True)
    spy = returns[returns["symbol"] == "SPY"].set_index("session")[name]
    excess = found[name] - found["session"].map(spy)
    pd.testing.assert_series_equal(found[f"excess_{horizon}"], excess, check_names=False, rtol=0, atol=1e-15)


def test_columns_and_rows(world):
    """The columns are those of the contract, and each sector has one row per session it was priced."""
    found, _ = world
    assert list(found.columns) == COLUMNS
    sizes = found.groupby("sector").size().to_dict()
    assert sizes == {**dict.fromkeys("adefghijk", 300), "b": 150, "c": 297}
