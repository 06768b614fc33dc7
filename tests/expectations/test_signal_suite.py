"""The suites of the signals: sound tables pass every expectation, each expectation has a fault it must find, and no odd market is one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
import world

from market_rotation.tasks import calendar
from market_rotation.tasks.audit import suites
from market_rotation.tasks.audit.expectations import Expectation
from market_rotation.tasks.audit.run import audit
from market_rotation.tasks.datasets import EARNINGS_GROWTH_COLUMNS, HOLDINGS_COLUMNS
from market_rotation.tasks.sources.base import typed
from market_rotation.tasks.sources.simulated.source import SampleSource
from market_rotation.tasks.universe import Universe, load_universe
from market_rotation.tasks.warehouse.models import models

DAYS = world.days()
COUNT = 300
LAST = DAYS[COUNT - 1]
SUITES = suites.of_schema("signals")
#: Identifier → the expectations that have it: one, but for that on finite numbers, which each table has.
EXPECTATIONS: dict[str, list[Expectation]] = {}
for suite in SUITES:
    for expectation in suite.expectations:
        EXPECTATIONS.setdefault(expectation.id, []).append(expectation)
#: The last month but one, complete.
MONTH = date(2025, 2, 1)
#: A week of that month, and a year all months of which are known.
WEEK, YEAR = date(2025, 2, 10), date(2024, 1, 1)


def members() -> Universe:
    """Ten instruments, two small-cap funds and three sectors among them; of the headline pair earnings are known, too."""
    instruments = [
        world.instrument("SPY", size_bucket="large", peer_group="large_cap"),
        world.instrument("IWB", size_bucket="large", peer_group="large_cap"),
        world.instrument("IWM", peer_group="small_cap"),
        world.instrument("VB", peer_group="small_cap"),
        world.instrument("RSP", size_bucket="large", peer_group="equal_weight"),
        *(
            world.instrument(symbol, kind="sector", sector=sector, peer_group="sector")
            for symbol, sector in (("XLK", "technology"), ("XLE", "energy"), ("XLF", "financials"))
        ),
        *(world.instrument(symbol, kind="stock", peer_group="mag7") for symbol in ("AAPL", "MSFT")),
    ]
    made = world.universe(*instruments, pairs=[("IWM", "IWB"), ("VB", "SPY")])
    headline, other = made.pairs
    return made.model_copy(update={"pairs": (headline.model_copy(update={"earnings": True}), other)})


def walk(seed: int, count: int = COUNT) -> list[float]:
    """Closes that wander up and down from 100."""
    return list(np.round(100 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.01, count))), 2))


def prices(universe: Universe, count: int = COUNT) -> list[pd.DataFrame]:
    """Bars of all instruments on the same sessions, with a volume."""
    return [
        world.bars(i.symbol, walk(seed, count), volume=[1000 + n % 7 for n in range(count)])
        for seed, i in enumerate(universe.instruments)
    ]


def fetched() -> dict[str, pd.DataFrame]:
    """Records of three funds, whose share counts rise or fall for weeks, and what is expected of four companies."""
    records = [
        world.records(fund, walk(50 + seed), [1e6 + 1e5 * np.sin((n + 30 * seed) / 20) for n in range(COUNT)])
        for seed, fund in enumerate(("SPY", "IWM", "VB"))
    ]
    files = [
        {"fund_symbol": fund, "as_of": pd.Timestamp(DAYS[250]), "symbol": [*names, None], "name": [*names, "Cash"]}
        for fund, names in (("IWM", ("TINY", "WEE")), ("IWB", ("BIG", "HUGE")), ("VB", ("AAPL", "MSFT")))
    ]
    expected = {"TINY": 0.2, "WEE": 0.1, "BIG": 0.05, "HUGE": 0.07}
    estimates = [world.estimate(symbol, DAYS[285], growth) for symbol, growth in expected.items()]
    return {
        "fund_nav": pd.concat(records),
        "holdings": pd.concat(
            typed({**file, "weight": [0.6, 0.39, 0.01], "source": "issuer"}, HOLDINGS_COLUMNS) for file in files
        ),
        "earnings_growth": typed(pd.DataFrame(estimates), EARNINGS_GROWTH_COLUMNS),
    }


@pytest.fixture(scope="module")
def market() -> Iterator[duckdb.DuckDBPyConnection]:
    """A warehouse with 300 sessions, in which every signal is known at the end."""
    universe = members()
    with world.derived(prices(universe), universe, LAST, **fetched()) as con:
        yield con


@contextmanager
def undone(con: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """What is done to the tables meanwhile is undone afterwards."""
    con.begin()
    try:
        yield
    finally:
        con.rollback()


@pytest.fixture
def con(market: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    """The same warehouse, with what the test does to it undone afterwards."""
    with undone(market):
        yield market


def found(con: duckdb.DuckDBPyConnection, expectation: str) -> list[tuple[Any, ...]]:
    """The symbols and sessions that an expectation names."""
    rows = " union all ".join(f"select symbol, session from ({e.query})" for e in EXPECTATIONS[expectation])
    return con.execute(f"from ({rows}) order by all").fetchall()


def failing(con: duckdb.DuckDBPyConnection) -> set[str]:
    """The expectations that name any row, asked without Great Expectations, which takes a second."""
    return {e.id for suite in SUITES for e in suite.expectations if con.execute(f"from ({e.query}) limit 1").fetchall()}


def twice(table: str, where: str) -> str:
    return f"insert into signals.{table} from signals.{table} where {where}"


def changed(table: str, values: str, where: str = "true", day: date = LAST) -> str:
    return f"update signals.{table} set {values} where session = '{day}' and {where}"


XLE, PAIR, EARNINGS = "symbol = 'XLE'", "pair = 'IWM/IWB'", "evidence = 'earnings'"
DAILY = "symbol = 'XLE' and timeframe = 'daily'"
OF_VB = "fund_symbol = 'VB'"
OF_LAST = f"session = '{LAST}'"
#: The first session on which breadth is known, which is its first change.
FIRST_KNOWN = DAYS[63]
CHANGED_ONCE = f"subject = 'breadth' and session = '{FIRST_KNOWN}'"
#: Expectation → a fault it must find, and the rows it must name.
CASES: dict[str, tuple[str, list[tuple[str, date | None]]]] = {
    "breadth_one_row_per_grain": (twice("breadth", OF_LAST), [("signals", LAST)]),
    "earnings_momentum_one_row_per_grain": (twice("earnings_momentum", OF_LAST), [("signals", LAST)]),
    "fund_comparison_one_row_per_grain": (twice("fund_comparison", f"{OF_LAST} and symbol = 'VB'"), [("VB", LAST)]),
    "fund_flows_monthly_one_row_per_grain": (
        twice("fund_flows_monthly", f"month = '{MONTH}' and symbol = 'SPY'"),
        [("SPY", MONTH)],
    ),
    "fund_flows_weekly_one_row_per_grain": (
        twice("fund_flows_weekly", f"week = '{WEEK}' and symbol = 'SPY'"),
        [("SPY", WEEK)],
    ),
    "fund_flows_yearly_one_row_per_grain": (
        twice("fund_flows_yearly", "year = 2024 and symbol = 'SPY'"),
        [("SPY", None)],
    ),
    "mega_cap_one_row_per_grain": (twice("mega_cap", OF_LAST), [("signals", LAST)]),
    "regime_performance_one_row_per_grain": (
        twice("regime_performance", "label = 'neutral' and horizon = '1m'"),
        [("label", None)],
    ),
    "relative_rotation_one_row_per_grain": (twice("relative_rotation", f"{OF_LAST} and {DAILY}"), [("XLE", LAST)]),
    "relative_strength_one_row_per_grain": (twice("relative_strength", f"{OF_LAST} and {PAIR}"), [("IWM/IWB", LAST)]),
    "rotation_evidence_one_row_per_grain": (
        twice("rotation_evidence", f"{OF_LAST} and {EARNINGS}"),
        [("earnings", LAST)],
    ),
    "rotation_regime_one_row_per_grain": (twice("rotation_regime", OF_LAST), [("signals", LAST)]),
    "sector_leadership_one_row_per_grain": (twice("sector_leadership", f"{OF_LAST} and {XLE}"), [("energy", LAST)]),
    "breadth_every_session": (f"delete from signals.breadth where {OF_LAST}", [("signals", LAST)]),
    "mega_cap_every_session": (f"delete from signals.mega_cap where {OF_LAST}", [("signals", LAST)]),
    "rotation_regime_every_session": (f"delete from signals.rotation_regime where {OF_LAST}", [("signals", LAST)]),
    "rotation_evidence_every_session": (
        changed("rotation_evidence", "evidence = 'profits'", EARNINGS),
        [("earnings", LAST), ("profits", LAST)],
    ),
    "relative_strength_every_common_session": (
        f"delete from signals.relative_strength where {OF_LAST} and {PAIR}",
        [("IWM/IWB", LAST)],
    ),
    "sector_leadership_every_price": (
        f"delete from signals.sector_leadership where session = '{DAYS[0]}' and {XLE}",
        [("XLE", DAYS[0])],
    ),
    "fund_comparison_every_price": (
        f"delete from signals.fund_comparison where {OF_LAST} and symbol = 'VB'",
        [("VB", LAST)],
    ),
    "relative_rotation_every_common_session": (
        f"delete from signals.relative_rotation where {OF_LAST} and {DAILY}",
        [("XLE", LAST)],
    ),
    "sector_ranks": (changed("sector_leadership", "rank_3m = rank_3m + 1", XLE), [("XLE", LAST)]),
    "sector_leadership_full_windows": (
        changed("sector_leadership", "return_1m = 0.01, rank_1m = 1", XLE, DAYS[20]),
        [("XLE", DAYS[20])],
    ),
    "relative_strength_full_windows": (
        changed("relative_strength", "spread_1w = null", PAIR, DAYS[200]),
        [("IWM/IWB", DAYS[200])],
    ),
    "relative_strength_full_averages": (
        changed("relative_strength", "ratio_ma200 = null", PAIR, DAYS[199]),
        [("IWM/IWB", DAYS[199])],
    ),
    "relative_strength_since_low": (
        changed("relative_strength", f"low_session = '{DAYS[47]}'", PAIR),
        [("IWM/IWB", LAST)],
    ),
    "relative_strength_spreads_add_up": (
        changed("relative_strength", "spread_ytd = spread_ytd + 1e-9", PAIR),
        [("IWM/IWB", LAST)],
    ),
    "relative_rotation_full_windows": (
        changed("relative_rotation", "rs_ratio = null", DAILY, DAYS[13]),
        [("XLE", DAYS[26])],
    ),
    "relative_rotation_headings": (
        changed("relative_rotation", "heading_deg = null", DAILY, DAYS[100]),
        [("XLE", DAYS[100])],
    ),
    "relative_rotation_labels": (
        changed("relative_rotation", "rs_momentum = 200 - rs_momentum", DAILY),
        [("XLE", LAST)],
    ),
    "breadth_counts": (changed("breadth", "missing = -1"), [("signals", LAST)]),
    "breadth_recounts_sectors": (
        changed("breadth", "sectors_beating_spy_3m = 3 - sectors_beating_spy_3m"),
        [("signals", LAST)],
    ),
    "breadth_equal_weight_known": (changed("breadth", "equal_minus_cap_3m = null"), [("signals", LAST)]),
    "mega_cap_mag7_known": (
        changed("mega_cap", "mag7_return_1m = null, mag7_minus_rest_1m = null"),
        [("signals", LAST)],
    ),
    "mega_cap_rest_known": (
        changed("mega_cap", "rest_return_1m = null, mag7_minus_rest_1m = null"),
        [("signals", LAST)],
    ),
    "mega_cap_sectors_known": (changed("mega_cap", "ex_tech_sectors = 3"), [("signals", LAST)]),
    "mega_cap_differences_add_up": (
        changed("mega_cap", "tech_minus_ex_tech_ytd = -tech_minus_ex_tech_ytd"),
        [("signals", LAST)],
    ),
    "dispersion_one_row_per_grain": (twice("dispersion", OF_LAST), [("signals", LAST)]),
    "dispersion_in_range": (changed("dispersion", "return_dispersion_1d = null"), [("signals", LAST)]),
    "fund_overlap_one_row_per_grain": (
        twice("fund_overlap", "symbol = 'IWM' and other_symbol = 'VB'"),
        [("IWM", DAYS[250])],
    ),
    "fund_overlap_both_ways": (
        "update signals.fund_overlap set overlap_weight_pct = 101 where symbol = 'IWM'",
        [("IWM", DAYS[250]), ("VB", DAYS[250])],
    ),
    "constituent_breadth_one_row_per_grain": (
        twice("constituent_breadth", f"{OF_LAST} and {OF_VB}"),
        [("VB", LAST)],
    ),
    "constituent_breadth_every_session": (
        f"delete from signals.constituent_breadth where {OF_LAST} and {OF_VB}",
        [("VB", LAST)],
    ),
    "constituent_breadth_bounds": (changed("constituent_breadth", "above_50d_pct = 101", OF_VB), [("VB", LAST)]),
    "constituent_breadth_known": (changed("constituent_breadth", "above_50d_pct = null", OF_VB), [("VB", LAST)]),
    "evidence_verdicts": (
        changed("rotation_evidence", "detail = 'Not known: it was.'", EARNINGS),
        [("earnings", LAST)],
    ),
    "evidence_follows_thresholds": (changed("rotation_evidence", "value = -value", EARNINGS), [("earnings", LAST)]),
    "regime_scores": (changed("rotation_regime", "size_score = size_score + 1e-9"), [("signals", LAST)]),
    "regime_states_in_force": (
        changed(
            "rotation_regime",
            "leadership_state = null, leadership_state_since = null, leadership_sessions_differing = 0",
        ),
        [("leadership", LAST)],
    ),
    "regime_labels": (changed("rotation_regime", "size_sessions_differing = null"), [("signals", LAST)]),
    "verdict_changes_one_row_per_grain": (
        f"insert into signals.verdict_changes from (from signals.verdict_changes where {CHANGED_ONCE})",
        [("breadth", FIRST_KNOWN)],
    ),
    "verdict_changes_complete": (
        f"delete from signals.verdict_changes where {CHANGED_ONCE}",
        [("breadth", FIRST_KNOWN)],
    ),
    "regime_days_in_label": (changed("rotation_regime", "days_in_label = days_in_label + 1"), [("signals", LAST)]),
    "regime_performance_every_label": (
        "update signals.regime_performance set horizon = '12m' where label = 'neutral' and horizon = '6m'",
        [("neutral", None), ("neutral", None)],
    ),
    "regime_performance_counts": (
        "update signals.regime_performance set independent_observations = observations + 1 "
        "where label = 'neutral' and horizon = '1m'",
        [("neutral", None)],
    ),
    "fund_flows_monthly_counts": (
        f"update signals.fund_flows_monthly set sessions_covered_pct = 101 where month = '{MONTH}' and symbol = 'VB'",
        [("VB", MONTH)],
    ),
    "fund_flows_monthly_groups_add_up": (
        f"update signals.fund_flows_monthly set net_flow_usd = net_flow_usd + 0.02 where month = '{MONTH}' and symbol = 'VB'",
        [("group:small_cap", MONTH), ("group:small_cap_ex_iwm", MONTH)],
    ),
    "fund_flows_weekly_counts": (
        f"update signals.fund_flows_weekly set covered_assets_pct = 101 where week = '{WEEK}' and symbol = 'group:small_cap'",
        [("group:small_cap", WEEK)],
    ),
    "fund_flows_weekly_groups_add_up": (
        f"update signals.fund_flows_weekly set net_flow_usd = net_flow_usd + 0.02 where week = '{WEEK}' and symbol = 'IWM'",
        [("group:small_cap", WEEK)],
    ),
    "fund_flows_yearly_counts": (
        "update signals.fund_flows_yearly set last_lower_year = 2024 where year = 2024 and symbol = 'VB'",
        [("VB", YEAR)],
    ),
    "fund_flows_yearly_groups_add_up": (
        "update signals.fund_flows_yearly set net_flow_usd = net_flow_usd + 0.02 where year = 2024 and symbol = 'group:small_cap'",
        [("group:small_cap", YEAR)],
    ),
    "fund_flows_yearly_sum_of_months": (
        "update signals.fund_flows_yearly set is_partial = false, net_flow_usd = net_flow_usd + 0.02 where year = 2024 and symbol = 'SPY'",
        [("SPY", YEAR)],
    ),
    "fund_comparison_full_windows": (
        changed("fund_comparison", "max_drawdown_252d = 0.01", "symbol = 'VB'"),
        [("VB", DAYS[250])],
    ),
    "earnings_momentum_shares_in_range": (
        changed("earnings_momentum", "small_revision_breadth = 2"),
        [("signals", LAST)],
    ),
    "earnings_momentum_calendar_year": (
        changed("earnings_momentum", "period_end = period_end + 1"),
        [("signals", LAST)],
    ),
    "earnings_momentum_gap_adds_up": (changed("earnings_momentum", "gap = gap + 1e-9"), [("signals", LAST)]),
    "every_number_finite": (changed("fund_comparison", "beta_252d = 'nan'", "symbol = 'VB'"), [("VB", LAST)]),
}
#: What else such a fault fails, rightly.
TOO: dict[str, set[str]] = {
    "fund_flows_monthly_one_row_per_grain": {"fund_flows_monthly_groups_add_up"},
    "fund_flows_weekly_one_row_per_grain": {"fund_flows_weekly_groups_add_up"},
    "fund_flows_yearly_one_row_per_grain": {"fund_flows_yearly_groups_add_up"},
    "fund_flows_yearly_sum_of_months": {"fund_flows_yearly_groups_add_up"},
    "relative_rotation_one_row_per_grain": {"relative_rotation_headings", "relative_rotation_every_common_session"},
    "verdict_changes_one_row_per_grain": {"verdict_changes_complete"},
    "regime_states_in_force": {"verdict_changes_complete"},
    "rotation_evidence_one_row_per_grain": {"regime_scores"},
    "rotation_regime_one_row_per_grain": {"regime_days_in_label", "regime_states_in_force"},
    "sector_leadership_one_row_per_grain": {"breadth_recounts_sectors", "mega_cap_sectors_known", "sector_ranks"},
    "sector_leadership_every_price": {"sector_leadership_full_windows"},
    "sector_leadership_full_windows": {"mega_cap_sectors_known"},
}

MONTHLY = f"update signals.fund_flows_monthly set {{}} where month = '{MONTH}' and symbol = '{{}}'"
PERFORMANCE = "update signals.regime_performance set {} where label = 'neutral' and horizon = '1m'"
#: Other faults that an expectation must find.
MORE: list[tuple[str, str]] = [
    ("breadth_every_session", f"insert into signals.breadth (session) values ('{DAYS[COUNT]}')"),
    ("mega_cap_every_session", f"insert into signals.mega_cap (session) values ('{DAYS[COUNT]}')"),
    ("rotation_regime_every_session", f"delete from signals.rotation_regime where session = '{DAYS[0]}'"),
    ("rotation_evidence_every_session", f"delete from signals.rotation_evidence where {OF_LAST} and {EARNINGS}"),
    ("rotation_evidence_every_session", changed("rotation_evidence", "evidence = null", EARNINGS)),
    ("relative_strength_every_common_session", "delete from signals.relative_strength where pair = 'VB/SPY'"),
    (
        "relative_strength_every_common_session",
        f"update signals.relative_strength set session = '{DAYS[COUNT]}' where {OF_LAST}",
    ),
    ("sector_leadership_every_price", "delete from signals.sector_leadership"),
    ("relative_rotation_every_common_session", "delete from signals.relative_rotation where symbol = 'XLE'"),
    ("relative_rotation_every_common_session", "delete from signals.relative_rotation where timeframe = 'weekly'"),
    ("relative_rotation_every_common_session", twice("relative_rotation", "timeframe = 'weekly' and symbol = 'XLE'")),
    *(
        ("sector_ranks", changed("sector_leadership", f"rank_{h} = {value}", XLE))
        for h in ("1m", "3m", "6m", "12m", "ytd")
        for value in (f"rank_{h} + 1", "null", "0")
    ),
    ("sector_ranks", changed("sector_leadership", "rank_1m = 1", XLE, DAYS[20])),
    *(
        ("sector_leadership_full_windows", changed("sector_leadership", f"return_{h} = null", XLE))
        for h in ("1m", "3m", "6m", "12m", "ytd")
    ),
    *(
        ("relative_strength_full_windows", changed("relative_strength", f"spread_{h} = null", PAIR))
        for h in ("1w", "1m", "3m", "6m", "12m", "ytd", "qtd")
    ),
    *(
        ("relative_strength_full_windows", changed("relative_strength", f"spread_{h} = 0", PAIR, DAYS[4]))
        for h in ("1w", "1m", "3m", "6m", "12m", "ytd", "qtd")
    ),
    ("relative_strength_full_averages", changed("relative_strength", "ratio_ma50 = 100", PAIR, DAYS[48])),
    ("relative_strength_full_averages", changed("relative_strength", "ratio_ma50 = null", PAIR, DAYS[49])),
    ("relative_strength_full_averages", changed("relative_strength", "ratio_ma200 = 100", PAIR, DAYS[198])),
    ("relative_strength_full_averages", changed("relative_strength", "ratio_z252 = 0", PAIR, DAYS[250])),
    ("relative_strength_full_averages", changed("relative_strength", "ratio_z252 = null", PAIR, DAYS[251])),
    ("relative_strength_full_averages", changed("relative_strength", "ratio = 101", PAIR, DAYS[0])),
    ("relative_strength_full_averages", changed("relative_strength", "ratio = null", PAIR)),
    ("relative_strength_since_low", changed("relative_strength", f"low_session = '{DAYS[5]}'", PAIR, DAYS[250])),
    ("relative_strength_since_low", changed("relative_strength", "low_session = null", PAIR, DAYS[251])),
    ("relative_strength_since_low", changed("relative_strength", "large_return_since_low = null", PAIR)),
    ("relative_strength_since_low", changed("relative_strength", "large_return_since_low = -0.01", PAIR)),
    ("relative_strength_since_low", changed("relative_strength", "small_return_since_low = null", PAIR)),
    ("relative_strength_since_low", changed("relative_strength", "spread_since_low = null", PAIR)),
    *(
        ("relative_strength_spreads_add_up", changed("relative_strength", f"small_return_{h} = {value}", PAIR))
        for h in ("ytd", "qtd", "since_low")
        for value in (f"small_return_{h} + 1e-9", "null")
    ),
    ("relative_rotation_full_windows", changed("relative_rotation", "rs_ratio = 100", DAILY, DAYS[12])),
    ("relative_rotation_full_windows", changed("relative_rotation", "rs_momentum = 100", DAILY, DAYS[25])),
    ("relative_rotation_full_windows", changed("relative_rotation", "rs_momentum = null", DAILY, DAYS[200])),
    ("relative_rotation_full_windows", changed("relative_rotation", "heading_deg = 0", DAILY, DAYS[26])),
    # As many values as there should be, but one a row too early and one too late.
    *(
        (
            "relative_rotation_full_windows",
            f"update signals.relative_rotation set {column} = case session when '{DAYS[early]}' then 100 end "
            f"where {DAILY} and session in ('{DAYS[early]}', '{DAYS[late]}')",
        )
        for column, early, late in (("rs_ratio", 12, 13), ("rs_momentum", 25, 26), ("heading_deg", 26, 100))
    ),
    ("relative_rotation_full_windows", changed("relative_rotation", "rs = null", DAILY)),
    ("relative_rotation_headings", changed("relative_rotation", "heading_deg = 0", DAILY, DAYS[26])),
    *(
        ("relative_rotation_labels", changed("relative_rotation", values, DAILY))
        for values in (
            *("timeframe = 'monthly'", "timeframe = null", "quadrant = 'nowhere'", "quadrant = null"),
            *("rs_ratio = 200 - rs_ratio", "heading_deg = 360", "heading_deg = -1", "is_provisional = null"),
        )
    ),
    ("relative_rotation_labels", changed("relative_rotation", "quadrant = 'leading'", DAILY, DAYS[25])),
    *(
        ("breadth_counts", changed("breadth", values))
        for values in (
            *("missing = 1", "missing = null", "counted = null", "counted = -1", "universe_above_200d_pct = 100.1"),
            *("universe_above_200d_pct = -1", "universe_above_200d_pct = null", "sectors_counted_3m = 4"),
            *("sectors_beating_spy_3m = 4", "sectors_beating_spy_3m = -1", "sectors_beating_spy_3m = null"),
            *("sectors_above_200d = 4", "sectors_above_200d = null", "sectors_counted_200d = 4"),
            *("sectors_counted_200d = null", "counted = 0"),
        )
    ),
    ("breadth_counts", changed("breadth", "sectors_beating_spy_3m = 0", day=DAYS[0])),
    ("breadth_recounts_sectors", changed("breadth", "sectors_counted_3m = 2")),
    ("breadth_equal_weight_known", changed("breadth", "equal_minus_cap_3m = 0", day=DAYS[62])),
    ("breadth_equal_weight_known", changed("breadth", "equal_minus_cap_3m = -equal_minus_cap_3m")),
    *(
        (expectation, changed("mega_cap", f"{column}_{h} = null"))
        for h in ("1m", "3m", "6m", "12m", "ytd")
        for expectation, column in (
            ("mega_cap_mag7_known", "mag7_return"),
            ("mega_cap_rest_known", "rest_return"),
            ("mega_cap_sectors_known", "tech_return"),
            ("mega_cap_sectors_known", "ex_tech_return"),
            ("mega_cap_differences_add_up", "mag7_minus_rest"),
            ("mega_cap_differences_add_up", "tech_minus_ex_tech"),
        )
    ),
    ("mega_cap_mag7_known", changed("mega_cap", "mag7_return_1m = 0", day=DAYS[20])),
    ("mega_cap_mag7_known", changed("mega_cap", "mag7_members = 3")),
    ("mega_cap_mag7_known", changed("mega_cap", "mag7_members = 1")),
    ("mega_cap_mag7_known", changed("mega_cap", "mag7_members = null")),
    ("mega_cap_sectors_known", changed("mega_cap", "ex_tech_return_3m = ex_tech_return_3m + 1e-9")),
    *(
        ("dispersion_in_range", changed("dispersion", values))
        for values in (
            *("mean_correlation_63d = 1.1", "mean_correlation_63d = null", "pairs = 0", "return_dispersion_1m = -1"),
            *("correlation_percentile_5y = 101", "dispersion_percentile_5y = -1"),
        )
    ),
    ("fund_overlap_both_ways", "update signals.fund_overlap set common_holdings = 3 where symbol = 'IWM'"),
    ("fund_overlap_both_ways", "delete from signals.fund_overlap where symbol = 'IWM'"),
    *(
        ("constituent_breadth_bounds", changed("constituent_breadth", values, OF_VB))
        for values in (
            *("priced_weight_pct = 100.1", "priced_weight_pct = null", "covered_weight_50d_pct = 99.5"),
            *("covered_weight_200d_pct = 99.5", "covered_weight_52w_pct = 99.5", "covered_weight_52w_pct = null"),
            *("above_50d_pct = 101", "above_200d_pct = -1", "at_high_52w_pct = 101", "at_low_52w_pct = -1"),
        )
    ),
    *(
        ("constituent_breadth_known", changed("constituent_breadth", f"{column} = null", OF_VB))
        for column in ("above_50d_pct", "above_200d_pct", "at_high_52w_pct", "at_low_52w_pct")
    ),
    ("constituent_breadth_known", changed("constituent_breadth", "above_50d_pct = 0", "fund_symbol = 'IWM'")),
    (
        "constituent_breadth_every_session",
        changed("constituent_breadth", f"holdings_as_of = '{DAYS[249]}'", OF_VB),
    ),
    ("evidence_verdicts", changed("rotation_evidence", "verdict = 2", EARNINGS)),
    ("evidence_verdicts", changed("rotation_evidence", "verdict = null", EARNINGS)),
    ("evidence_verdicts", changed("rotation_evidence", "value = null", EARNINGS)),
    ("evidence_verdicts", changed("rotation_evidence", "detail = null", EARNINGS)),
    ("evidence_verdicts", changed("rotation_evidence", "detail = 'Known.'", EARNINGS, DAYS[0])),
    ("evidence_follows_thresholds", changed("rotation_evidence", "verdict = -1", EARNINGS)),
    ("evidence_follows_thresholds", changed("rotation_evidence", "threshold = 0.5", EARNINGS)),
    ("evidence_follows_thresholds", changed("rotation_evidence", "threshold_against = null", EARNINGS)),
    *(
        ("regime_scores", changed("rotation_regime", values))
        for values in (
            *("size_score = null", "leadership_score = null", "leadership_score = leadership_score + 1e-9"),
            *("size_state_today = null", "leadership_state_today = null", "support_state = null"),
            *("size_state_today = 'soaring'", "leadership_state_today = 'soaring'", "support_state = 'soaring'"),
        )
    ),
    ("regime_scores", changed("rotation_regime", "size_score = 0", day=DAYS[0])),
    ("regime_scores", changed("rotation_regime", "leadership_score = 0", day=DAYS[0])),
    *(
        ("regime_states_in_force", changed("rotation_regime", values))
        for values in (
            *("size_state = null", "size_state = case size_state when 'even' then 'leading' else 'even' end"),
            "leadership_state = case leadership_state when 'mixed' then 'narrowing' else 'mixed' end",
        )
    ),
    ("regime_states_in_force", changed("rotation_regime", "size_state = 'even'", day=DAYS[0])),
    *(
        ("regime_labels", changed("rotation_regime", values))
        for values in (
            *("label = 'soaring'", "label = null", "size_state = null", "size_state = 'soaring'"),
            *("leadership_state = 'soaring'", "support_state = 'soaring'", "size_state_since = null"),
            *(f"size_state_since = '{DAYS[COUNT]}'", f"leadership_state_since = '{DAYS[COUNT]}'"),
            *("leadership_state_since = null", "size_sessions_differing = -1", "leadership_sessions_differing = null"),
            "size_sessions_differing = case size_sessions_differing when 0 then 1 else 0 end",
            "leadership_sessions_differing = case leadership_sessions_differing when 0 then 1 else 0 end",
        )
    ),
    ("regime_labels", changed("rotation_regime", "label = 'neutral'", day=DAYS[0])),
    ("verdict_changes_complete", f"update signals.verdict_changes set old = 'for' where {CHANGED_ONCE}"),
    ("verdict_changes_complete", f"update signals.verdict_changes set new = null where {CHANGED_ONCE}"),
    (
        "verdict_changes_complete",
        f"insert into signals.verdict_changes (session, subject, old, new) values ('{DAYS[1]}', 'label', 'neutral', 'fading')",
    ),
    *(
        ("regime_days_in_label", changed("rotation_regime", values))
        for values in (
            *("days_in_label = 0", "days_in_label = null", "label_since = null", "label = null"),
            *(f"label_since = '{DAYS[297]}'", "label = case label when 'neutral' then 'fading' else 'neutral' end"),
        )
    ),
    (
        "regime_performance_every_label",
        "delete from signals.regime_performance where label = 'neutral' and horizon = '1m'",
    ),
    ("regime_performance_every_label", PERFORMANCE.format("label = 'soaring'")),
    ("regime_performance_every_label", PERFORMANCE.format("label = null")),
    *(
        ("regime_performance_counts", PERFORMANCE.format(values))
        for values in (
            *("independent_observations = -1", "independent_observations = 0, t_stat = null", "observations = null"),
            *("hit_rate_pct = 100.1", "hit_rate_pct = -1", "hit_rate_pct = null", "mean_spread = null"),
            *("median_spread = null", "independent_mean_spread = null", "independent_observations = 1, t_stat = 2"),
        )
    ),
    *(
        ("fund_flows_monthly_counts", MONTHLY.format(values, symbol))
        for values, symbol in (
            *(("members_known = 2", "VB"), ("members = 2", "VB"), ("members_known = -1", "VB"), ("members = 0", "VB")),
            *(("members_known = null", "VB"), ("sessions_covered_pct = -1", "VB"), ("members_known = 0", "VB")),
            *(("sessions_covered_pct = null", "VB"), ("net_flow_usd = null", "group:small_cap")),
            ("members = 1", "group:small_cap"),
            ("month = month + 1", "VB"),
        )
    ),
    *(
        ("fund_flows_monthly_groups_add_up", MONTHLY.format(values, "group:small_cap"))
        for values in ("net_flow_usd = net_flow_usd - 0.02", "net_flow_usd = null", "members_known = 1")
    ),
    *(
        ("fund_comparison_full_windows", changed("fund_comparison", values, "symbol = 'VB'"))
        for values in (*("max_drawdown_252d = null", "max_drawdown_252d = -1.01", "volatility_252d = -0.1"),)
    ),
    ("fund_comparison_full_windows", changed("fund_comparison", "max_drawdown_252d = 0", day=DAYS[250])),
    (
        "fund_comparison_full_windows",
        f"update signals.fund_comparison set max_drawdown_252d = case session when '{DAYS[250]}' then -0.1 end "
        f"where symbol = 'VB' and session in ('{DAYS[250]}', '{LAST}')",
    ),
    ("earnings_momentum_gap_adds_up", changed("earnings_momentum", "gap = null")),
    ("earnings_momentum_shares_in_range", changed("earnings_momentum", "large_coverage_pct = -1")),
    *(
        ("earnings_momentum_shares_in_range", changed("earnings_momentum", values))
        for values in (
            *("small_coverage_pct = -1", "small_coverage_pct = 101", "large_coverage_pct = 101"),
            *("small_revision_breadth = -1.5", "large_revision_breadth = -1.5", "large_revision_breadth = 1.5"),
        )
    ),
    *(
        (f"fund_flows_{table}_counts", f"update signals.fund_flows_{table} set {column} = null where symbol = 'IWM'")
        for table in ("weekly", "monthly", "yearly")
        for column in ("members", "members_known", "sessions_covered_pct")
    ),
    ("earnings_momentum_calendar_year", changed("earnings_momentum", "period_end = null")),
    ("earnings_momentum_gap_adds_up", changed("earnings_momentum", "small_growth_next_year = null")),
]


def test_every_expectation_has_a_case() -> None:
    """An expectation added to a suite without a fault that it must find is noticed here."""
    assert set(CASES) == set(EXPECTATIONS)


def test_every_signal_expectation_is_critical() -> None:
    """Every expectation on the signals blocks, and each signal table has a suite of its own."""
    assert {e.severity for suite in SUITES for e in suite.expectations} == {"critical"}
    tables = {model.name for model in models() if model.name.startswith("signals.") and model.kind == "derived"}
    assert {suite.table: suite.dataset for suite in SUITES} == {table: table for table in tables}


def test_offending_rows_are_named_alike(market: duckdb.DuckDBPyConnection) -> None:
    """Each query gives the symbol first and then the session, a date, which is what quarantine and messages read."""
    for suite in suites.derived():
        for e in suite.expectations:
            columns = market.execute(f"describe {e.query}").fetchall()
            assert [column[:2] for column in columns[:2]] == [("symbol", "VARCHAR"), ("session", "DATE")], e.id


def test_sound_signals_pass_everything(market: duckdb.DuckDBPyConnection) -> None:
    """Tables as they are derived fail nothing that blocks, each expectation was really checked, on as many rows as its table has."""
    results = audit(market, *suites.derived())
    # The NAVs of this market wander by themselves.
    assert [r.expectation.id for r in results if not r.success] == ["close_near_nav", "closes_are_plain_prices"]
    assert {(r.raised, r.blocks) for r in results} == {(False, False)}
    counted = {r.suite.table: r.element_count for r in results}
    assert counted["signals.rotation_evidence"] == 6 * COUNT
    assert counted["signals.breadth"] == COUNT
    for table, count in counted.items():
        assert market.sql(f"select count(*) from {table}").fetchone() == (count,)


def test_the_market_is_not_empty(market: duckdb.DuckDBPyConnection) -> None:
    """In the sound market all six verdicts and a label are known at the end, and no column of any table is NULL throughout."""
    assert market.sql(f"select count(verdict) from signals.rotation_evidence where {OF_LAST}").fetchall() == [(6,)]
    assert market.sql(f"select count(label) from signals.rotation_regime where {OF_LAST}").fetchall() == [(1,)]
    unknown = {
        "expense_ratio",
        "holdings_count",
        "missing_symbols",
        "ratio_percentile_5y",
        "bid_ask_spread_pct",
        "trailing_pe",
    }
    # Their windows are longer than this history.
    unknown |= {"return_3y", "return_5y", "return_10y", "beta_3y_monthly", "beta_5y_monthly", "max_drawdown_5y"}
    unknown |= {"correlation_percentile_5y", "dispersion_percentile_5y"}
    # No record is late here, and there is one completed year.
    unknown |= {"settled_session", "last_lower_year", "percentile", "flow_z"}
    for model in models():
        if model.name.startswith("signals.") and model.kind == "derived":
            counts = market.sql(f"select count(columns(*)) from {model.name}").df().iloc[0]
            assert set(counts.index[counts == 0]) <= unknown, model.name


@pytest.mark.parametrize("expectation", CASES)
def test_fault_is_found(con: duckdb.DuckDBPyConnection, expectation: str) -> None:
    """One fault in one table fails the expectation that is meant for it, which names the offending rows."""
    fault, offenders = CASES[expectation]
    assert con.execute(fault).fetchall() == [(1,)]
    assert failing(con) == {expectation} | TOO.get(expectation, set())
    assert found(con, expectation) == offenders


@pytest.mark.parametrize("expectation", sorted({name for name, _ in MORE}))
def test_other_faults_are_found(market: duckdb.DuckDBPyConnection, expectation: str) -> None:
    """Each of the other ways in which a table can be wrong is found, too."""
    for fault in [fault for name, fault in MORE if name == expectation]:
        with undone(market):
            market.execute(fault)
            assert found(market, expectation), fault


def test_faults_are_found_through_great_expectations(con: duckdb.DuckDBPyConnection) -> None:
    """Several faults at once fail their expectations with as many rows as there are, and block; the others pass."""
    faulty = (
        "breadth_every_session",
        "sector_ranks",
        "rotation_evidence_every_session",
        "regime_performance_every_label",
        "relative_rotation_one_row_per_grain",
        "fund_flows_monthly_counts",
        "every_number_finite",
    )
    for expectation in faulty:
        con.execute(CASES[expectation][0])
    results = audit(con, *SUITES)
    failed = {r.expectation.id: r.unexpected_count for r in results if not r.success}
    wanted = {expectation: len(CASES[expectation][1]) for expectation in faulty}
    # The point drawn twice has a heading and did not move, and is one point too many.
    assert failed == wanted | {"relative_rotation_headings": 1, "relative_rotation_every_common_session": 1}
    assert all(r.blocks and not r.raised and r.details == r.expectation.sentence for r in results if not r.success)


@pytest.mark.long_after(0)
@pytest.mark.parametrize("value", ["nan", "infinity", "-infinity"])
def test_every_number_is_looked_at(market: duckdb.DuckDBPyConnection, value: str) -> None:
    """What is not finite is found in any column of numbers of any signal table."""
    query = """
        select table_name, column_name
        from duckdb_columns()
        where schema_name = 'signals' and data_type in ('DOUBLE', 'FLOAT')
    """
    columns = market.sql(query).fetchall()
    assert len({table for table, _ in columns}) == 16
    for table, column in columns:
        with undone(market):
            market.execute(f"update signals.{table} set {column} = '{value}' where rowid = 0")
            assert len(found(market, "every_number_finite")) == 1, (table, column)


def test_ties_share_the_lower_rank(con: duckdb.DuckDBPyConnection) -> None:
    """Of two sectors with the same, highest return both are first, and neither is second."""
    con.execute(changed("sector_leadership", "return_3m = 9, rank_3m = 1", "symbol in ('XLE', 'XLF')"))
    con.execute(changed("sector_leadership", "rank_3m = 3", "symbol = 'XLK'"))
    assert found(con, "sector_ranks") == []
    con.execute(changed("sector_leadership", "rank_3m = 2", "symbol = 'XLF'"))
    assert found(con, "sector_ranks") == [("XLF", LAST)]
    con.execute(changed("sector_leadership", "rank_3m = 1", "symbol = 'XLF'"))
    con.execute(changed("sector_leadership", "rank_3m = 2", "symbol = 'XLK'"))
    assert found(con, "sector_ranks") == [("XLK", LAST)]


def holed(frames: list[pd.DataFrame]) -> list[pd.DataFrame]:
    """Bars of which each symbol lacks some, the last among them, and two begin late; the benchmark lacks one as well."""
    kept = []
    for n, frame in enumerate(frames):
        gone = {*range(n, len(frame), 17 + n), len(frame) - 1} if n else {40}
        kept.append(frame.iloc[[row for row in range(70 * (n in (3, 8)), len(frame)) if row not in gone]])
    return kept


def without(*symbols: str) -> Universe:
    """The universe without these symbols and their pairs."""
    whole = members()
    return Universe(
        instruments=tuple(i for i in whole.instruments if i.symbol not in symbols),
        pairs=tuple(p for p in whole.pairs if not {p.small_symbol, p.large_symbol} & set(symbols)),
    )


#: No sound market is a fault, however odd: its universe, and its sessions.
ODD: dict[str, tuple[Universe, int]] = {
    "one symbol": (world.universe(world.instrument("SPY")), 30),
    "one session": (members(), 1),
    "no pair": (without("IWM", "VB"), 70),
    "no equal-weight fund": (without("RSP"), 70),
    "no technology": (without("XLK"), 70),
    "only technology": (without("XLE", "XLF"), 70),
    "no sector": (without("XLK", "XLE", "XLF"), 70),
    "no Magnificent Seven": (without("AAPL", "MSFT"), 70),
    **{f"{count} sessions": (members(), count) for count in (13, 14, 26, 27, 28, 63, 64, 199, 200, 252, 253)},
}


@pytest.mark.long_after(1)
@pytest.mark.parametrize("odd", ODD)
def test_small_universes_and_short_histories_are_no_faults(odd: str) -> None:
    """An incomplete universe, missing fund data, and windows that are not yet full fail no expectation."""
    universe, count = ODD[odd]
    with world.derived(prices(universe, count), universe, DAYS[count - 1]) as con:
        assert failing(con) == set()


def test_missing_prices_are_no_faults() -> None:
    """Symbols without a price on some sessions, the last one and those at either end of a window among them, fail nothing."""
    universe = members()
    with world.derived(holed(prices(universe)), universe, LAST, **fetched()) as con:
        assert failing(con) == set()
        assert con.sql("select count(*) from signals.breadth where missing > 0").fetchall() != [(0,)]


def test_flat_prices_are_no_faults() -> None:
    """Where nothing moves no deviation is known and no point on the graph has a heading, which is no fault."""
    universe = members()
    frames = [world.bars(symbol, [100.0] * COUNT) for symbol in universe.symbols]
    with world.derived(frames, universe, LAST) as con:
        assert failing(con) == set()
        assert con.sql(
            "select count(ratio_z252), count(ratio_ma200) > 0 from signals.relative_strength"
        ).fetchall() == [(0, True)]


def test_symbol_without_any_price_is_no_fault() -> None:
    """A leg of the headline pair and a sector that the source does not know fail no expectation."""
    universe = members()
    frames = [frame for frame in prices(universe, 70) if frame["symbol"].iloc[0] not in ("IWM", "XLK", "AAPL")]
    with world.derived(frames, universe, DAYS[69]) as con:
        assert failing(con) == set()


def test_records_of_before_the_listing_are_no_fault() -> None:
    """A fund whose issuer publishes records from before it was listed, as funds that were converted have, fails nothing."""
    whole = members()
    late = [i.model_copy(update={"inception": DAYS[200]}) if i.symbol == "VB" else i for i in whole.instruments]
    universe = whole.model_copy(update={"instruments": tuple(late)})
    with world.derived(prices(universe), universe, LAST, **fetched()) as con:
        assert failing(con) == set()


@pytest.mark.long_after(0)
def test_simulated_market_is_no_fault() -> None:
    """Two years of the simulated market, for all instruments of the shipped universe, fail nothing."""
    universe = load_universe()
    begin, end = date(2024, 1, 2), date(2025, 12, 31)
    source = SampleSource(calendar.load(date(2000, 1, 3), date(2026, 11, 20)), universe.instruments)
    frames = [source.prices(symbol, begin, end) for symbol in universe.symbols]
    records = pd.concat(source.fund_nav(symbol, begin, end) for symbol in ("IWM", "IJR", "SPY"))
    with world.derived(frames, universe, end, begin, fund_nav=records) as con:
        assert failing(con) == set()
