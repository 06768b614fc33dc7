"""Flows in words: a sum names whose it is, and never stands for funds that are not in it."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from market_rotation.tasks.report.exhibits import money


def months(**values: Any) -> pd.DataFrame:
    """A completed and a running month of the small-cap funds, with the given values."""
    month = {
        **{"symbol": "group:small_cap", "flow_group": "small-cap funds", "month": pd.Timestamp(2025, 12, 1)},
        **{"net_flow_usd": 1.25e9, "cumulative_ytd_usd": -3e9, "streak_months": 1, "sessions_covered_pct": 100.0},
        **{"covered_assets_pct": 100.0, "members_known": 25, "members": 25, "is_partial": False},
        **values,
    }
    running = {"month": pd.Timestamp(2026, 1, 2), "is_partial": True, "cumulative_ytd_usd": 1e8}
    return pd.DataFrame([month, {**month, **running}])


@pytest.mark.parametrize(
    ("values", "begin"),
    [
        ({}, "All 25 small-cap funds took in $1.25\u202fbn in Dec 2025; 2026 so far the known funds took in"),
        (
            {"members_known": 12, "covered_assets_pct": 62.04},
            "Small-cap funds with 62.0\u202f% of the assets (12 of 25) took in $1.25\u202fbn in Dec 2025",
        ),
        (
            {"members_known": 1, "members": 5, "covered_assets_pct": None, "net_flow_usd": -2e9},
            "1 of 5 small-cap funds, whose share of the assets is not known, lost $2.00\u202fbn in Dec 2025",
        ),
        ({"net_flow_usd": None}, "Small-cap funds: the last completed month is not known."),
    ],
)
def test_a_month_names_whose_flow_it_is(values: dict[str, Any], begin: str) -> None:
    """All funds, the part of the assets that is known, or the number of funds where not even that is known."""
    finding = money.fund_flows(months(**values), "").finding
    assert finding.startswith(begin), finding


def years(**values: Any) -> pd.DataFrame:
    """A running and a completed year of the group and of its largest fund, with the given values of the completed year of the group."""
    year = {"flow_pct_of_assets": 1.0, "sessions_covered_pct": 100.0}
    group = {**year, "symbol": "group:small_cap", "funds": "small-cap funds", "members": 25}
    fund = {**year, "symbol": "IWM", "funds": "IWM", "members": 1, "members_known": 1, "covered_assets_pct": None}
    return pd.DataFrame(
        [
            {
                **group,
                "year": 2026,
                "net_flow_usd": 1e9,
                "members_known": 20,
                "covered_assets_pct": 80.0,
                "is_partial": True,
            },
            {
                **{**group, "year": 2025, "net_flow_usd": -7e9, "members_known": 9, "covered_assets_pct": 55.0},
                **{"is_partial": False, **values},
            },
            {**fund, "year": 2025, "net_flow_usd": -4.641e9, "is_partial": False},
        ]
    )


def test_the_last_completed_year() -> None:
    """The finding gives the past year with the assets it covers, and the fund that stands apart."""
    finding = money.fund_flows_yearly(years(), "").finding
    assert finding == (
        "Small-cap funds with 55.0\u202f% of the assets (9 of 25) lost $7.00\u202fbn in 2025; IWM alone lost $4.64\u202fbn."
    )


def test_a_year_that_is_not_known() -> None:
    """A year without any known member is named as not known, in the finding and in the sentence of what is missing."""
    exhibit = money.fund_flows_yearly(years(net_flow_usd=None, members_known=0, covered_assets_pct=0.0), "")
    assert exhibit.finding == "The year 2025 of small-cap funds is not known."
    assert exhibit.missing == "Not known: small-cap funds in 2025."
    assert money.fund_flows_yearly(years().iloc[:0], "").missing == "No flow of a small-cap fund is known."
