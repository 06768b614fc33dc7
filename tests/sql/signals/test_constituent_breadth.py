"""signals.constituent_breadth against an independent calculation, and its limits of coverage."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest
from world import bars, days, derived, instrument, universe

from market_rotation.tasks.datasets import HOLDINGS_COLUMNS
from market_rotation.tasks.sources.base import typed

DAYS = days()
COUNT = 300
NAMES = tuple("ABCDE")
#: Session of the file → weights; None is cash. E leaves and D enters with the second file.
FILES = {
    240: {"A": 0.4, "B": 0.3, "C": 0.2, "E": 0.08, None: 0.02},
    280: {"A": 0.4, "B": 0.3, "C": 0.1, "D": 0.18, None: 0.02},
}
SHARES = ["above_50d_pct", "above_200d_pct", "at_high_52w_pct", "at_low_52w_pct"]
Files = Mapping[int, Mapping[str | None, float]]


def closes(count: int = COUNT) -> dict[str, list[float]]:
    """Closes that wander, by symbol."""
    walks = np.exp(np.cumsum(np.random.default_rng(7).normal(0, 0.01, (COUNT, len(NAMES))), axis=0))
    return {name: list(np.round(100 * walks[:count, i], 2)) for i, name in enumerate(NAMES)}


def table(prices: Mapping[str, list[float]], files: Files = FILES, last: int = COUNT - 1) -> pd.DataFrame:
    """The rows of FND up to that session; a price list that is shorter than the history ends with it."""
    held = [
        {"fund_symbol": "FND", "as_of": pd.Timestamp(DAYS[i]), "symbol": name, "name": str(name), "weight": weight}
        for i, weights in files.items()
        if i <= last
        for name, weight in weights.items()
    ]
    frames = [bars(name, values, DAYS[last + 1 - len(values)]) for name, values in prices.items()]
    members = universe(*(instrument(s, kind="stock") for s in prices), instrument("SPY"))
    holdings = typed(pd.DataFrame(held).assign(source="issuer"), HOLDINGS_COLUMNS)
    spy = bars("SPY", [100.0] * (last + 1))
    wanted = ["signals.constituent_breadth"]
    with derived([spy, *frames], members, DAYS[last], wanted=wanted, holdings=holdings) as con:
        rows = con.sql("from signals.constituent_breadth order by session").df()
    return rows.set_index(rows.pop("session").dt.date)


def test_agrees_with_pandas():
    """Means of 50 and 200 sessions, highs and lows of 252, over the companies of the file in force."""
    prices = pd.DataFrame(closes(), index=DAYS[:COUNT])
    above = {n: prices > prices.rolling(n).mean() for n in (50, 200)}
    expected = []
    for number in range(240, COUNT):
        held = [name for name in FILES[280 if number >= 280 else 240] if name]
        day = DAYS[number]
        row = [100 * above[n].loc[day, held].mean() for n in (50, 200)]
        window = prices[held].iloc[max(0, number - 251) : number + 1]
        extremes = [100 * (window.iloc[-1] == edge).mean() for edge in (window.max(), window.min())]
        expected.append([*row, *(extremes if number >= 251 else [np.nan, np.nan])])
    found = table(closes())
    assert list(found.index) == DAYS[240:COUNT]
    np.testing.assert_allclose(found[SHARES], np.array(expected), rtol=1e-12)
    assert found["priced_weight_pct"].to_numpy() == pytest.approx(98.0)
    assert found["constituents"].tolist() == [4] * 60
    assert found["holdings_as_of"].dt.date.tolist() == [DAYS[240]] * 40 + [DAYS[280]] * 20


@pytest.mark.long_after(1)
@pytest.mark.parametrize("last", [240, 260, 279, 280])
def test_later_data_changes_no_row(last):
    """The table of a day is the same whether or not later prices and files exist."""
    pd.testing.assert_frame_equal(
        table(closes(last + 1), last=last), table(closes()).loc[: DAYS[last]], check_exact=True
    )


@pytest.mark.parametrize(("weight", "is_known"), [(0.80, True), (0.79, False)])
def test_unknown_under_80_percent_of_weight(weight, is_known):
    """The constituents that are followed must hold four fifths of the fund; cash counts as not covered."""
    file = {270: {"A": weight, None: 1 - weight}}
    row = table({"A": closes()["A"]}, file).iloc[-1]
    assert row["covered_weight_200d_pct"] == pytest.approx(100 * weight)
    assert row[SHARES].notna().tolist() == [is_known] * 4


def test_a_young_company_counts_where_its_window_is_full():
    """A company listed 60 sessions ago counts for the mean of 50 and not for longer windows; by weight they may then be unknown."""
    prices = {"A": closes()["A"], "B": closes()["B"][-60:]}
    row = table(prices, {270: {"A": 0.7, "B": 0.3}}).iloc[-1]
    assert [row[f"covered_weight_{w}_pct"] for w in ("50d", "200d", "52w")] == pytest.approx([100, 70, 70])
    assert row[SHARES].notna().tolist() == [True, False, False, False]


def test_a_company_without_a_price_is_not_covered():
    """A company that has no bar that session leaves the count, and its weight the coverage."""
    prices = closes() | {"C": [*closes()["C"][:-1], float("nan")]}
    row = table(prices, {270: {"A": 0.5, "B": 0.3, "C": 0.2}}).iloc[-1]
    assert row["priced_weight_pct"] == pytest.approx(80)
    assert row["above_200d_pct"] in (0.0, 50.0, 100.0)


def test_flat_prices_are_at_both_edges_and_above_no_mean():
    """A close that equals all of its window is at the high and at the low; a flat index is not above its mean."""
    row = table({"A": [50.0] * COUNT}, {270: {"A": 1.0}}).iloc[-1]
    assert row[SHARES].tolist() == [0.0, 0.0, 100.0, 100.0]
