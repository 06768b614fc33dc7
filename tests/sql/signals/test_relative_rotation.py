"""The relative rotation graph against OpenBB's on real prices: where the two agree, and why ours looks back only."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest
import world

from market_rotation.tasks.sources.base import price_frame
from market_rotation.tasks.universe import load_universe

openbb = pytest.importorskip(
    "openbb_technical.relative_rotation", reason="openbb-technical, which ours is compared with, is not installed"
)

START, END = date(2005, 1, 3), date(2026, 1, 16)
#: 60 sessions before the last.
CUT = date(2025, 10, 21)


@pytest.fixture(scope="module")
def prices(real_data):
    return price_frame(pd.read_parquet(real_data / "files" / "prices.parquet").assign(capital_gain=0.0))


def lines_at(prices, cut) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    """The total-return indexes up to the cut, one column per symbol, and rs and rs_ratio, day by day, in the same shape."""
    with world.derived([prices], load_universe(), cut, START, wanted=["signals.relative_rotation"]) as con:
        index = con.sql("select symbol, session, total_return_index from core.prices").df()
        rows = con.sql("from signals.relative_rotation where timeframe = 'daily'").df()
    assert set(rows["benchmark"]) == {"SPY"}
    ours = {column: rows.pivot(index="session", columns="symbol", values=column) for column in ("rs", "rs_ratio")}
    return index.pivot(index="session", columns="symbol", values="total_return_index"), ours


@pytest.fixture(scope="module")
def lines(prices):
    return lines_at(prices, END)


@pytest.fixture(scope="module")
def index(lines):
    return lines[0]


@pytest.fixture(scope="module")
def ours(lines):
    return lines[1]


@pytest.fixture(scope="module")
def old(index):
    """The symbols with a price on every session, the benchmark left out."""
    symbols = [symbol for symbol in index if index[symbol].notna().all() and symbol != "SPY"]
    assert len(symbols) == 22
    return symbols


def test_strength_is_theirs(index, ours, old):
    """Given the same total-return indexes, OpenBB's relative strength of every symbol with a full history is ours."""
    theirs = openbb.calculate_relative_strength_ratio(index[old], index[["SPY"]])
    assert list(theirs.index) == list(ours["rs"].index)
    np.testing.assert_allclose(ours["rs"][old], theirs[old], rtol=0, atol=1e-9)


def test_strength_from_closes_is_theirs(prices, ours, old):
    """Given the closes, which hold the dividends here, OpenBB's relative strength differs from ours by a constant factor only."""
    closes = prices.pivot(index="session", columns="symbol", values="close")
    theirs = openbb.calculate_relative_strength_ratio(closes[old], closes[["SPY"]])[old]
    rs = ours["rs"][old]
    np.testing.assert_allclose(rs / rs.iloc[0], theirs / theirs.iloc[0], rtol=1e-9, atol=0)


def test_their_score_is_of_the_whole_sample(index, old):
    """What OpenBB plots is the distance from the mean of all given sessions, in their sample standard deviation."""
    strength = openbb.calculate_relative_strength_ratio(index[old], index[["SPY"]])[old]
    theirs, _ = openbb.process_data(index[old], index[["SPY"]])
    values = strength.to_numpy()
    wanted = (values - values.mean(axis=0)) / values.std(axis=0, ddof=1)
    np.testing.assert_allclose(theirs[old], wanted, rtol=0, atol=1e-9)
    np.testing.assert_allclose(openbb.normalize(strength), wanted, rtol=0, atol=1e-9)


def test_our_ratio_is_their_score_of_fourteen_sessions(index, ours, old):
    """Shown no more than fourteen sessions, OpenBB places the last of them where ours does."""
    for end in range(14, len(index) + 1, 240):
        window = index.iloc[end - 14 : end]
        theirs, _ = openbb.process_data(window[old], window[["SPY"]])
        np.testing.assert_allclose(ours["rs_ratio"][old].iloc[end - 1], 100 + theirs[old].iloc[-1], rtol=0, atol=1e-9)


@pytest.mark.long_after(0)
def test_later_sessions_move_their_past_and_not_ours(prices, index, ours, old):
    """Sixty sessions more give other places to the sessions before in OpenBB's graph, and the same places in ours."""
    index_before, ours_before = lines_at(prices, CUT)
    assert len(index) == len(index_before) + 60
    day = pd.Timestamp(CUT)
    before, _ = openbb.process_data(index_before[old], index_before[["SPY"]])
    after, _ = openbb.process_data(index[old], index[["SPY"]])
    moved = (after[old].loc[day] - before[old].loc[day]).abs()
    assert (moved > 1e-4).all()
    assert moved.max() > 0.05
    for column, places in ours_before.items():
        pd.testing.assert_frame_equal(places, ours[column].loc[:day], rtol=1e-12, atol=0, obj=column)


def test_young_symbol_shortens_their_history_and_not_ours(index, ours, old):
    """One young symbol among the others cuts OpenBB's history of all to its own, and moves them; ours keep each their own."""
    first = index["MAGS"].first_valid_index()
    assert first == pd.Timestamp("2023-04-11")
    alone, _ = openbb.process_data(index[old], index[["SPY"]])
    theirs, _ = openbb.process_data(index[[*old, "MAGS"]], index[["SPY"]])
    assert alone.index[0] == pd.Timestamp(START)
    assert theirs.index[0] == first
    assert ((theirs[old].iloc[-1] - alone[old].iloc[-1]).abs() > 1e-2).all()
    assert ours["rs"][old].notna().all(axis=None)
    assert ours["rs"]["MAGS"].first_valid_index() == first
    assert ours["rs_ratio"][old].iloc[13:].notna().all(axis=None)
