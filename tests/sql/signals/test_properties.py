"""What holds for any prices: the identities of core.prices, and that neither units nor the future change a return."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from world import bars, days, derived, instrument, universe

BEGIN = date(2022, 1, 3)
DAYS = days(BEGIN)
FEW = settings(
    max_examples=20, deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
HORIZONS = ["1d", "1w", "1m", "3m", "6m", "12m", "ytd", "qtd"]


@st.composite
def histories(draw: st.DrawFn, least: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Closes, some of them missing, and dividends below the close before."""
    count = draw(st.integers(least, 40))
    steps = draw(st.lists(st.floats(-0.5, 0.5), min_size=count, max_size=count))
    paid = draw(st.lists(st.sampled_from([0.0, 0.0, 0.0, 0.01, 0.3]), min_size=count, max_size=count))
    missing = draw(st.lists(st.sampled_from([False, False, False, False, True]), min_size=count, max_size=count))
    closes = draw(st.floats(0.5, 5000)) * np.exp(np.cumsum(steps))
    dividends = closes.min() * np.array(paid)
    closes[missing] = np.nan
    closes[0] = 100 if np.isnan(closes).all() else closes[0]
    return closes, dividends


@pytest.mark.long_after(0)
@FEW
@given(histories())
def test_index_and_adjusted_close_agree(history):
    """The index starts at 100 and follows the formula; adj_close ends at the close and grows just as the index does."""
    closes, dividends = history
    frame = bars("SPY", closes, BEGIN, dividend=dividends)
    with derived([frame], universe(instrument("SPY")), DAYS[len(closes) - 1], BEGIN) as con:
        rows = con.sql("from core.prices order by session").df()
        returns = con.sql("select return_1d from core.returns order by session").df()
    index = rows["total_return_index"]
    known = ~np.isnan(closes)
    assert len(rows) == known.sum()
    assert index.iloc[0] == 100
    assert rows["adj_close"].iloc[-1] == pytest.approx(rows["close"].iloc[-1], rel=1e-12)
    np.testing.assert_allclose(rows["adj_close"] / rows["adj_close"].iloc[0], index / 100, rtol=1e-12)
    growth = closes[known][1:] / (closes[known][:-1] - dividends[known][1:])
    np.testing.assert_allclose(index, 100 * np.cumprod([1, *growth]), rtol=1e-12)
    # A daily return needs the session before; where none is missing their product is the index.
    follows = np.diff(np.flatnonzero(known)) == 1
    np.testing.assert_allclose(
        rows["return_1d"].iloc[1:], np.where(follows, growth - 1, np.nan), rtol=1e-12, atol=1e-12
    )
    assert np.isnan(rows["return_1d"].iloc[0])
    if follows.all():
        assert (1 + rows["return_1d"].iloc[1:]).prod() == pytest.approx(index.iloc[-1] / 100, rel=1e-12)
    pd.testing.assert_series_equal(returns["return_1d"], rows["return_1d"], check_exact=True)


@pytest.mark.long_after(0)
@FEW
@given(histories(least=8), st.floats(0.01, 1000), st.sampled_from([2, 3, 4, 10, 20, 0.1]), st.integers(0, 7))
def test_units_and_splits_change_no_return(history, scale, ratio, split_at):
    """Prices and dividends in another unit, or restated for a split, give the same returns and the same relative strength."""
    closes, dividends = history
    ratios = np.where(np.arange(len(closes)) == split_at, ratio, 1.0)
    frames = [
        bars("PLAIN", closes, BEGIN, dividend=dividends),
        bars("SCALED", closes * scale, BEGIN, dividend=dividends * scale),
        bars("SPLIT", closes / ratio, BEGIN, dividend=dividends / ratio, split_ratio=ratios),
        bars("SPY", np.linspace(100, 90, len(closes)), BEGIN),
    ]
    names = ("PLAIN", "SCALED", "SPLIT")
    members = universe(*map(instrument, (*names, "SPY")), pairs=[(name, "SPY") for name in names])
    with derived(frames, members, DAYS[len(closes) - 1], BEGIN) as con:
        tables = [
            con.sql("select symbol, session, total_return_index, return_1d from core.prices order by all").df(),
            con.sql("from core.returns order by symbol, session").df(),
            con.sql("select * exclude (pair, large_symbol) from signals.relative_strength order by session").df(),
        ]
    for table in tables:
        plain, *others = (table[table.iloc[:, :2].isin([name]).any(axis=1)] for name in names)
        values = plain.select_dtypes("number").columns
        for other in others:
            # A count that is nowhere known has no type of numpy.
            found, expected = (
                frame[values].astype("Float64").to_numpy(float, na_value=np.nan) for frame in (other, plain)
            )
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-11)


#: A table, its key, and what of it may not change once more is known: adj_close does, by definition.
LASTING = {
    "core.sessions": "* exclude (opens_at, closes_at)",
    "core.prices": "symbol, session, close, dividend, total_return_index, return_1d",
    "core.returns": "*",
    "core.sector_returns": "*",
    "signals.relative_strength": "*",
    "signals.sector_leadership": "*",
}
MEMBERS = universe(
    instrument("SPY"),
    instrument("IWM"),
    instrument("LATE"),
    *(instrument(f"XL{name}", kind="sector", sector=name) for name in "BEK"),
    pairs=[("IWM", "SPY"), ("LATE", "SPY")],
)


@st.composite
def worlds(draw: st.DrawFn) -> list[pd.DataFrame]:
    """300 sessions of six symbols, with holes, dividends, and a symbol that begins late."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    frames = []
    for symbol in MEMBERS.symbols:
        closes = np.round(draw(st.floats(1, 1000)) * np.exp(np.cumsum(rng.normal(0, 0.015, 300))), 3)
        dividends = np.where(rng.random(300) < 0.02, closes.min() * 0.01, 0)
        closes[rng.random(300) < draw(st.sampled_from([0, 0.01]))] = np.nan
        if symbol == "LATE":
            closes[: draw(st.integers(1, 299))] = np.nan
        frames.append(bars(symbol, closes, BEGIN, dividend=dividends))
    return frames


def lasting(frames: list[pd.DataFrame], last: date) -> Iterator[tuple[str, pd.DataFrame]]:
    with derived(frames, MEMBERS, last, BEGIN) as con:
        for name, columns in LASTING.items():
            yield name, con.sql(f"select {columns} from {name} order by all").df()


@pytest.mark.long_after(0)
@settings(FEW, max_examples=10)
@given(worlds(), st.integers(1, 298))
def test_the_future_changes_no_row(frames, cut):
    """Deriving with later sessions present changes no earlier row of any table, adj_close excepted by definition."""
    full = dict(lasting(frames, DAYS[299]))
    for name, before in lasting(frames, DAYS[cut]):
        after = full[name][full[name]["session"] <= pd.Timestamp(DAYS[cut])].reset_index(drop=True)
        pd.testing.assert_frame_equal(before, after, check_dtype=False, rtol=1e-12, atol=1e-13, obj=name)
