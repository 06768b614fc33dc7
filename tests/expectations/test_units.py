"""Units: a value in percent, pence, thousands or lots is set aside or named, by evidence narrower than the fault; an ordinary one is not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pandas as pd
import pytest
import world

from market_rotation.tasks import calendar, warehouse
from market_rotation.tasks.audit import suites
from market_rotation.tasks.datasets import (
    DATASETS,
    EARNINGS_GROWTH_COLUMNS,
    FUND_FACTS_COLUMNS,
    HOLDINGS_COLUMNS,
)
from market_rotation.tasks.run import stage
from market_rotation.tasks.run.fetch import Answer, Request
from market_rotation.tasks.sources.base import typed

N = 100
DAYS = world.days()[:N]
SESSION = DAYS[-1]
#: Real ratios of index funds, as fractions.
RATIOS = {"VTWO": 0.0006, "IWM": 0.0019, "IJR": 0.0006, "SPSM": 0.0003, "VB": 0.0005, "ACTIVE": 0.0025}
MEMBERS = world.universe(
    world.instrument("SPY", size_bucket="large"),
    *(
        world.instrument(symbol, peer_group="small_cap", index_name=None if symbol == "ACTIVE" else "An index")
        for symbol in RATIOS
    ),
)
COMPANIES = [f"C{i:02}" for i in range(12)]
Frames = dict[str, pd.DataFrame]


def good() -> Frames:
    """Ordinary answers about the funds and a dozen companies."""
    navs = [50 + 0.25 * (i % 7) + 0.01 * i for i in range(N)]
    shares = [40_000_000.0 + 1_000 * i for i in range(N)]
    facts = {"as_of": pd.Timestamp(SESSION), "nav": navs[-1], "total_net_assets_usd": 2e9, "source": "vendor"}
    weights = {"symbol": ["AAA", "BBB", "CCC"], "name": "x", "weight": [0.4, 0.35, 0.25]}
    closes = [1.0005 * nav for nav in navs]
    paid = [0.15 if i % 21 == 20 else 0.0 for i in range(N)]
    volume = [4_000_000.0 + 10_000 * (i % 9) for i in range(N)]
    return {
        "prices": pd.concat(world.bars(s, closes, dividend=paid, volume=volume) for s in ("SPY", *RATIOS)),
        "fund_nav": pd.concat(world.records(symbol, navs, shares) for symbol in RATIOS),
        "fund_facts": typed(
            pd.DataFrame([{**facts, "symbol": s, "expense_ratio": ratio} for s, ratio in RATIOS.items()]),
            FUND_FACTS_COLUMNS,
        ),
        "holdings": typed(
            {"fund_symbol": "IWM", "as_of": pd.Timestamp(SESSION), **weights, "source": "issuer"}, HOLDINGS_COLUMNS
        ),
        "earnings_growth": typed(
            pd.DataFrame([world.estimate(name, SESSION, 0.08) for name in COMPANIES]), EARNINGS_GROWTH_COLUMNS
        ),
    }


def scaled(
    dataset: str, column: str, factor: float, *symbols: str, last: int = 1, **blank: None
) -> Callable[[], Frames]:
    """The good frames with a column of these symbols, or of all, multiplied by `factor` in the `last` rows of each; `blank` columns lost."""

    def make() -> Frames:
        frames = good()
        frame = frames[dataset].reset_index(drop=True)
        key = DATASETS[dataset].symbol
        at = frame.groupby(key).tail(last).index
        if symbols:
            at = at[frame.loc[at, key].isin(symbols)]
        frame.loc[at, column] *= factor
        for name in blank:
            frame[name] = float("nan")
        return {**frames, dataset: frame}

    return make


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with warehouse.writing(Path(":memory:")) as con:
        stage.put_references(con, MEMBERS, calendar.load(date(2005, 1, 3), date(2026, 11, 20)), DAYS[0], SESSION)
        now = datetime(2024, 7, 1, tzinfo=UTC)
        warehouse.parameters(con, run_id="r1", known_at=now, source="x", target_session=SESSION, history_start=DAYS[0])
        stage.put_offers(con, [])
        yield con


def found(con: duckdb.DuckDBPyConnection, frames: Frames) -> dict[str, list[str]]:
    """The failed expectation of each batch → the symbols that it names."""
    answers = [Answer(Request(name, "IWM", DAYS[0], SESSION), frame, None) for name, frame in frames.items()]
    stage.put_answers(con, answers)
    warehouse.build(con, *stage.BATCHES)
    named = {}
    for dataset in DATASETS:
        for expectation in suites.staged(dataset).expectations:
            # Coverage, freshness and units of fields that these frames lack are tested with their suites.
            if expectation.id in ("starts_at_inception", "batch_as_usual"):
                continue
            rows = con.execute(f"select distinct symbol from ({expectation.query}) order by all").fetchall()
            if rows:
                named[expectation.id] = [symbol for (symbol,) in rows]
    return named


FUNDS = sorted(RATIOS)


def test_ordinary_values_pass(con: duckdb.DuckDBPyConnection) -> None:
    """Nothing is found in ordinary answers, at first and when the same funds are answered again."""
    assert found(con, good()) == {}
    warehouse.load(con, "raw")
    assert found(con, scaled("fund_facts", "expense_ratio", 1.2)()) == {}


@pytest.mark.parametrize("symbols", [(symbol,) for symbol in FUNDS] + [()])
def test_expense_ratio_in_percent(con: duckdb.DuckDBPyConnection, symbols: tuple[str, ...]) -> None:
    """0.03, 0.05, 0.06 or 0.19 meant as percent is never 3 to 19 %, for one fund or for all, at first."""
    frames = scaled("fund_facts", "expense_ratio", 100, *symbols)()
    assert found(con, frames) == {"expense_ratio_is_a_fraction": list(symbols) or FUNDS}


@pytest.mark.long_after(0)
@pytest.mark.parametrize("factor", [100, 0.01, 15])
def test_expense_ratio_against_its_last_value(con: duckdb.DuckDBPyConnection, factor: float) -> None:
    """A ratio of another order than the fund's last is set aside, also where the bound for its kind would let it pass."""
    frames = good()
    frames["fund_facts"]["as_of"] -= pd.Timedelta(days=30)
    # A month before, every fund had other assets.
    frames["fund_facts"]["total_net_assets_usd"] *= 0.98
    assert found(con, frames) == {}
    warehouse.load(con, "raw")
    later = scaled("fund_facts", "expense_ratio", factor, "SPSM")()
    assert found(con, later) == {"expense_ratio_is_a_fraction": ["SPSM"]}


def test_expense_ratio_against_its_peers(con: duckdb.DuckDBPyConnection) -> None:
    """1.4 % is possible for an index fund, not among peers that cost a twentieth."""
    assert found(con, scaled("fund_facts", "expense_ratio", 0.014 / 0.0003, "SPSM")()) == {
        "expense_ratio_is_a_fraction": ["SPSM"]
    }


@pytest.mark.long_after(0)
@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (scaled("holdings", "weight", 100, last=N), {"weights_add_up": ["IWM"], "weight_plausible": ["IWM"]}),
        (scaled("holdings", "weight", 0.01, last=N), {"weights_add_up": ["IWM"]}),
        (scaled("earnings_growth", "growth_next_year", 100), {"growth_is_a_fraction": COMPANIES}),
        (scaled("earnings_growth", "growth_next_year", 0.01, "C03"), {"growth_is_a_fraction": ["C03"]}),
        (
            scaled("earnings_growth", "growth_next_year", 100, eps_current_year=None, eps_next_year=None),
            {"growth_is_a_fraction": COMPANIES},
        ),
        (scaled("fund_facts", "nav", 100, "VB"), {"facts_in_usd": ["VB"]}),
        *(
            (scaled("fund_facts", "total_net_assets_usd", factor), {"facts_in_usd": FUNDS})
            for factor in (1e-6, 1e-3, 1e3)
        ),
        # From the first record on, and all of them.
        (scaled("fund_nav", "nav", 100, "VB", last=N), {"record_in_usd_and_shares": ["VB"]}),
        (scaled("fund_nav", "shares_outstanding", 1e-3, "VB", last=N), {"record_in_usd_and_shares": ["VB"]}),
        (scaled("fund_nav", "shares_outstanding", 1e3, "VB", last=N), {"record_in_usd_and_shares": ["VB"]}),
        (scaled("prices", "volume", 0.01, "VB"), {"volume_in_shares": ["VB"]}),
        (scaled("prices", "volume", 100, "VB"), {"volume_in_shares": ["VB"]}),
        (scaled("prices", "dividend", 0.01, "VB", last=20), {"dividend_in_usd": ["VB"]}),
    ],
)
def test_other_units(
    con: duckdb.DuckDBPyConnection, make: Callable[[], Frames], expected: dict[str, list[str]]
) -> None:
    """Weights, growth, NAV, shares, assets, volume and dividends in another unit are found, of one fund or of all."""
    assert found(con, make()) == expected


def test_shares_in_thousands_without_a_snapshot(con: duckdb.DuckDBPyConnection) -> None:
    """Where no assets are known to compare with, what is traded says that shares are counted in thousands; one wrong count is not a unit."""
    frames = scaled("fund_nav", "shares_outstanding", 1e-3, "VB", last=N)()
    frames["fund_facts"]["total_net_assets_usd"] = float("nan")
    assert found(con, frames) == {"record_in_usd_and_shares": ["VB"]}
    frames["fund_nav"] = scaled("fund_nav", "shares_outstanding", 1e-3, "VB", last=3)()["fund_nav"]
    assert found(con, frames) == {}


def test_dividend_in_cents_is_not_a_distribution(con: duckdb.DuckDBPyConnection) -> None:
    """A hundred times the usual dividend is named."""
    assert "dividend_in_usd" in found(con, scaled("prices", "dividend", 100, "VB", last=20)())
