"""signals.dispersion: correlation and spread of the sectors against loops, and no value before its window is full."""

from __future__ import annotations

from datetime import date
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from world import bars, days, derived, instrument, universe

#: The tables that are derived here.
WANTED = ["signals.dispersion"]
N = 130
DAYS = days()[:N]
SECTORS = {"XLA": 0, "XLB": 0, "XLC": 0, "XLD": 40}
MEMBERS = universe(
    instrument("SPY", size_bucket="large"),
    *(instrument(symbol, kind="sector", sector=symbol.lower()) for symbol in SECTORS),
)


@pytest.fixture(scope="module")
def frames() -> list[pd.DataFrame]:
    """Three sectors from the first session, one from the 40th; one has no bar on session 100."""
    rng = np.random.default_rng(11)
    market = rng.normal(0, 0.01, N)
    made = [bars("SPY", list(100 * np.cumprod(1 + market)))]
    for symbol, begin in SECTORS.items():
        closes = 50 * np.cumprod(1 + market + rng.normal(0, 0.008, N))
        frame = bars(symbol, list(closes[begin:]), DAYS[begin])
        made.append(frame[frame["session"] != pd.Timestamp(DAYS[100])] if symbol == "XLB" else frame)
    return made


@pytest.fixture(scope="module")
def found(frames: list[pd.DataFrame]) -> tuple[pd.DataFrame, pd.DataFrame]:
    with derived(frames, MEMBERS, DAYS[-1], wanted=WANTED) as con:
        returns = con.sql("select symbol, session, return_1d, return_1m from core.sector_returns").df()
        return con.sql("from signals.dispersion order by session").df(), returns


def test_mean_of_the_correlations(found: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    """The mean over each two sectors that both have 63 returns in their last 63 common rows; NULL without such a pair."""
    rows, returns = found
    wide = returns.pivot(index="session", columns="symbol", values="return_1d")
    has_row = returns.assign(there=True).pivot(index="session", columns="symbol", values="there").notna()
    for row in rows.to_dict("records"):
        correlations = []
        for a, b in combinations(sorted(SECTORS), 2):
            common = wide.loc[: row["session"]][(has_row[a] & has_row[b]).loc[: row["session"]]]
            is_there = has_row.loc[row["session"], [a, b]].all()
            window = common[[a, b]].tail(63)
            if is_there and len(window) == 63 and window.notna().all(axis=None):
                correlations.append(np.corrcoef(window[a], window[b])[0, 1])
        assert row["pairs"] == len(correlations)
        if correlations:
            assert row["mean_correlation_63d"] == pytest.approx(np.mean(correlations), rel=1e-9)
        else:
            assert pd.isna(row["mean_correlation_63d"])
    assert set(rows["pairs"]) >= {0, 3}
    assert rows["mean_correlation_63d"].first_valid_index() == 63


def test_spread_across_the_sectors(found: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    """The sample deviation of the sectors' returns of the session and of a month; the first session has none."""
    rows, returns = found
    by_session = returns.groupby("session")
    for column, of in (("return_dispersion_1d", "return_1d"), ("return_dispersion_1m", "return_1m")):
        wanted = by_session[of].std().to_numpy()
        np.testing.assert_allclose(rows[column].to_numpy(float), wanted, rtol=1e-9)
    assert pd.isna(rows["return_dispersion_1d"][0])
    assert list(rows["sectors"]) == list(by_session["return_1d"].count())


def test_percentiles_need_five_years(found: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    """Before 1260 rows there is no percentile."""
    assert found[0][["correlation_percentile_5y", "dispersion_percentile_5y"]].isna().all(axis=None)


def test_percentiles_of_five_years() -> None:
    """From 1260 known values on, the share of the others of the last 1260 that are lower; the correlation is known 42 sessions after the return."""
    count, start = 1330, date(2020, 1, 2)
    rng = np.random.default_rng(3)
    frames = [bars("SPY", [100.0] * count, start)]
    frames += [bars(symbol, list(50 * np.cumprod(1 + rng.normal(0, 0.01, count))), start) for symbol in ("XLA", "XLB")]
    members = universe(instrument("SPY"), *(instrument(s, kind="sector", sector=s.lower()) for s in ("XLA", "XLB")))
    with derived(frames, members, days(start)[count - 1], start, wanted=WANTED) as con:
        rows = con.sql("from signals.dispersion order by session").df()
    for value, percentile, first in (
        ("return_dispersion_1m", "dispersion_percentile_5y", 21 + 1259),
        ("mean_correlation_63d", "correlation_percentile_5y", 63 + 1259),
    ):
        wanted = rows[value].rolling(1260).apply(lambda window: 100 * (window[:-1] < window[-1]).mean(), raw=True)
        assert wanted.first_valid_index() == first
        np.testing.assert_allclose(rows[percentile].to_numpy(float), wanted, rtol=1e-9)


@pytest.mark.parametrize("cut", [62, 64, 101])
def test_the_past_does_not_know_the_future(
    found: tuple[pd.DataFrame, pd.DataFrame], frames: list[pd.DataFrame], cut: int
) -> None:
    """Derived from the data known at the cut, every row up to it is the same."""
    with derived(frames, MEMBERS, DAYS[cut], wanted=WANTED) as con:
        before = con.sql("from signals.dispersion order by session").df()
    after = found[0][found[0]["session"] <= pd.Timestamp(DAYS[cut])].reset_index(drop=True)
    pd.testing.assert_frame_equal(before, after, rtol=1e-10)


def test_one_sector_has_nothing_to_compare() -> None:
    """With one sector, correlation and spread are not known, never 0; a sector that stands still has no correlation."""
    members = universe(
        instrument("SPY"), *(instrument(s, kind="sector", sector=s.lower()) for s in ("XLA", "XLB", "XLC"))
    )
    moving = [100.0 + (i * 7) % 11 for i in range(70)]
    one = [bars("SPY", moving), bars("XLA", moving)]
    with derived(one, members, DAYS[69], wanted=WANTED) as con:
        rows = con.sql("from signals.dispersion").df()
    assert rows[["mean_correlation_63d", "return_dispersion_1d"]].isna().all(axis=None)
    assert set(rows["pairs"]) == {0}
    with derived([*one, bars("XLB", [50.0] * 70), bars("XLC", moving[::-1])], members, DAYS[69], wanted=WANTED) as con:
        last = con.sql("from signals.dispersion order by session").df().iloc[-1]
    assert last["pairs"] == 1
    assert np.isfinite(last["mean_correlation_63d"])
