"""Flows from assets that a vendor refreshes on fewer than half of the days, as Yahoo does those of Vanguard's funds."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest
from world import bars, days, derived, instrument, records, universe

#: The tables that are derived here.
WANTED = ["signals.fund_flows_monthly"]
BEGIN, END = date(2023, 1, 3), date(2025, 12, 31)
SESSIONS = days(BEGIN, END)
MEMBERS = universe(instrument("SPY"), instrument("VB", flow_group="small_cap"))
#: Share of days with new assets in a public log of Yahoo's.
REFRESHED = 0.43


def fund(seed: int, volatility: float) -> tuple[np.ndarray, np.ndarray, pd.Series]:
    """NAVs and share counts of each session, and the true flow of each month: shares created at the NAV of the session before."""
    rng = np.random.default_rng(seed)
    navs = 200 * np.cumprod(1 + rng.normal(0.0003, volatility, len(SESSIONS)))
    mood = {day.replace(day=1): 0.0004 * rng.choice([-1, 1]) for day in SESSIONS}
    steps = np.array([mood[day.replace(day=1)] for day in SESSIONS]) + rng.normal(0, 0.0001, len(SESSIONS))
    shares = np.round(2.8e8 * np.cumprod(1 + steps))
    flows = np.concatenate([[0], np.diff(shares) * navs[:-1]])
    truth = pd.Series(flows, index=pd.to_datetime(SESSIONS)).resample("MS").sum()
    return navs, shares, truth.iloc[1:]


def months_of(frame: pd.DataFrame) -> pd.DataFrame:
    """The months that no later record can change, after the first of these records."""
    with derived([bars("SPY", [100.0], BEGIN)], MEMBERS, END, BEGIN, fund_nav=frame, wanted=WANTED) as con:
        rows = con.sql("from signals.fund_flows_monthly where symbol = 'VB' order by month").df()
    return rows[~rows["is_partial"] & ~rows["is_provisional"]].set_index("month").iloc[1:]


def refreshed(seed: int, navs: np.ndarray, shares: np.ndarray) -> pd.DataFrame:
    """Records without a count, whose assets are new on 43 % of the days and else those of the last update."""
    is_new = np.random.default_rng(seed + 100).random(len(SESSIONS)) < REFRESHED
    is_new[0] = True
    assets = pd.Series(np.where(is_new, navs * shares, np.nan)).ffill()
    return records("VB", list(navs), None, BEGIN, total_net_assets_usd=list(assets))


@pytest.mark.long_after(1)
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("volatility", [0.0, 0.001, 0.011])
def test_each_month_is_within_one_percent_or_not_known(seed: int, volatility: float):
    """A month's flow is within 1 % of the truth or NULL; the estimate is nearly always off by no more than its uncertainty."""
    navs, shares, truth = fund(seed, volatility)
    rows = months_of(refreshed(seed, navs, shares))
    assert (rows["quality"] == "derived").all()
    known = rows[rows["net_flow_usd"].notna()]
    assert ((known["net_flow_usd"] / truth[known.index] - 1).abs() <= 0.01).all()
    error = (rows["estimated_flow_usd"] - truth[rows.index]).abs()
    # The uncertainty is an estimate, too: money that turns within a gap is seen only in part.
    assert (error <= 1.5 * rows["uncertainty_usd"] + 1).all()
    assert (error <= rows["uncertainty_usd"] + 1).mean() > 0.85
    # A month is known only where assets are new on its last day and that of the month before, and NAV moves little between.
    assert len(known) >= (3 if volatility <= 0.001 else 0)
    assert len(rows) - len(known) >= 3


@pytest.mark.parametrize("seed", range(2))
def test_month_end_counts_of_the_issuer_give_each_month(seed: int):
    """With the issuer's month-end counts beside such assets each month is known: the shares created, at the NAV of the month before."""
    navs, shares, truth = fund(seed, 0.011)
    frame = refreshed(seed, navs, shares)
    ends = np.array([i + 1 == len(SESSIONS) or day.month != SESSIONS[i + 1].month for i, day in enumerate(SESSIONS)])
    frame["shares_outstanding"] = np.where(ends, shares, np.nan)
    frame["share_count_basis"] = np.where(ends, "monthly_count", None)
    rows = months_of(frame)
    at = np.flatnonzero(ends)
    wanted = ((shares[at[1:]] - shares[at[:-1]]) * navs[at[:-1]])[:-1]
    assert rows["net_flow_usd"].tolist() == pytest.approx(list(wanted), rel=1e-9)
    assert set(rows["quality"]) == {"monthly_count"}
    assert ((rows["net_flow_usd"] - truth[rows.index]).abs() <= rows["uncertainty_usd"] + 1).all()


def test_rounding_of_assets_over_nav_is_no_flow():
    """Assets / NAV of a count that stands still differ in their last digits: each flow is 0, and a month of them begins no streak."""
    navs = fund(0, 0.011)[0]
    assets = [nav * 400_000.0 for nav in navs]
    counts = np.array(assets) / navs
    assert len(set(counts)) > 1, "no count was rounded"
    rows = months_of(records("VB", list(navs), None, BEGIN, total_net_assets_usd=assets))
    assert (rows["net_flow_usd"] == 0).all()
    assert (rows["streak_months"] == 0).all()


def test_rounding_of_assets_over_nav_is_no_sign_of_life():
    """Such a count has stood still since its first record, whatever its last digits."""
    navs = list(fund(0, 0.011)[0][:30])
    frame = records("VB", navs, None, BEGIN, total_net_assets_usd=[nav * 400_000.0 for nav in navs])
    with derived([bars("SPY", [100.0], BEGIN)], MEMBERS, END, BEGIN, fund_nav=frame, wanted=["core.fund_flows"]) as con:
        found = con.sql(
            "select sessions_unchanged from core.fund_flows where symbol = 'VB' order by session"
        ).fetchall()
    assert found == [(count,) for count in range(30)]
