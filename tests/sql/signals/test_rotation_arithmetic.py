"""signals.relative_rotation on made-up prices, against the same formula in pandas."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest
import world

BEGIN = date(2024, 1, 2)
DAYS = world.days(BEGIN)
N = 150


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """Rows of two symbols against SPY, by timeframe and session."""
    rng = np.random.default_rng(3)
    closes = {symbol: 100 * np.exp(np.cumsum(rng.normal(0, 0.01, N))) for symbol in ("SPY", "IWM", "XLK")}
    frames = [world.bars(symbol, list(values), BEGIN) for symbol, values in closes.items()]
    members = world.universe(*map(world.instrument, closes))
    with world.derived(frames, members, DAYS[N - 1], BEGIN, wanted=["signals.relative_rotation"]) as con:
        found = con.sql("from signals.relative_rotation where symbol <> 'SPY' order by symbol, timeframe, session").df()
    found["expected_rs"] = [
        100 * (closes[s][i] / closes[s][0]) / (closes["SPY"][i] / closes["SPY"][0])
        for s, i in zip(
            found["symbol"], found["session"].map({pd.Timestamp(d): n for n, d in enumerate(DAYS)}), strict=True
        )
    ]
    return found


def score(values: pd.Series) -> pd.Series:
    window = values.rolling(14)
    return 100 + (values - window.mean()) / window.std()


def test_each_column_of_both_timeframes(rows: pd.DataFrame) -> None:
    """rs, rs_ratio, rs_momentum and heading of the formula, within 1e-9, and NULL as long as a window is not full."""
    weeks = rows[rows["timeframe"] == "weekly"].groupby("symbol").size().unique().tolist()
    assert weeks == [len({day.isocalendar()[:2] for day in DAYS[:N]})]
    assert (rows["timeframe"] == "daily").sum() == 2 * N
    np.testing.assert_allclose(rows["rs"], rows["expected_rs"], rtol=1e-12)
    for _, line in rows.groupby(["symbol", "timeframe"]):
        ratio = score(line["rs"])
        momentum = score(ratio)
        np.testing.assert_allclose(line["rs_ratio"], ratio, rtol=0, atol=1e-9)
        np.testing.assert_allclose(line["rs_momentum"], momentum, rtol=0, atol=1e-9)
        heading = np.degrees(np.arctan2(momentum.diff(), ratio.diff())) % 360
        np.testing.assert_allclose(line["heading_deg"], heading, rtol=0, atol=1e-6)
        assert line["rs_ratio"].notna().sum() == len(line) - 13
        assert line["rs_momentum"].notna().sum() == len(line) - 26


def test_quadrants(rows: pd.DataFrame) -> None:
    """The quadrant is that of the two coordinates around 100, each seen; without a momentum there is none."""
    known = rows.dropna(subset=["rs_momentum"])
    names = {(True, True): "leading", (True, False): "weakening", (False, False): "lagging", (False, True): "improving"}
    expected = [names[r >= 100, m >= 100] for r, m in zip(known["rs_ratio"], known["rs_momentum"], strict=True)]
    assert known["quadrant"].tolist() == expected
    assert set(expected) == set(names.values())
    assert rows[rows["rs_momentum"].isna()]["quadrant"].isna().all()
