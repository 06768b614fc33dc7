"""Deriving only what the new rows of a run touch: it gives what deriving everything gives, to the last bit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
import world

from market_rotation.tasks import calendar, warehouse
from market_rotation.tasks.datasets import DATASETS
from market_rotation.tasks.run import pipeline, stage
from market_rotation.tasks.sources.base import typed
from market_rotation.tasks.warehouse.derive import derived_from
from market_rotation.tasks.warehouse.incremental import is_incremental
from market_rotation.tasks.warehouse.models import DERIVED, models

DAYS = world.days()
TABLES = [model.name for model in models() if model.kind == "derived" and model.name.split(".")[0] in DERIVED]
RAW = [model.name for model in models() if model.kind == "ledger" and model.name.startswith("raw.")]
INCREMENTAL = {model.name for model in models() if is_incremental(model)}
FUNDS = ("IWM", "SPSM")
SYMBOLS = ("SPY", *FUNDS, "XLK", "XLF", "AAPL")


class Market:
    """Random prices and records of a few symbols up to a day; each method changes it as a vendor would and returns what a run fetches of it."""

    def __init__(self, seed: int, sessions: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.members = world.universe(
            world.instrument("SPY", size_bucket="large"),
            *(world.instrument(fund, issuer="ssga", peer_group="small", flow_group="small") for fund in FUNDS),
            *(world.instrument(sector, kind="sector", sector=sector, size_bucket=None) for sector in ("XLK", "XLF")),
            world.instrument("AAPL", kind="stock", size_bucket="mega"),
            pairs=[(fund, "SPY") for fund in FUNDS],
        )
        self.sessions = 0
        self.closes = {symbol: list[float]() for symbol in SYMBOLS}
        self.late: list[pd.DataFrame] = []
        for _ in range(sessions - 1):
            self.trade()

    def trade(self) -> None:
        self.sessions += 1
        for closes in self.closes.values():
            closes.append((closes[-1] if closes else 100.0) * float(np.exp(self.rng.normal(0, 0.01))))

    def bars(self, symbol: str, last: int | None = None, **columns: object) -> pd.DataFrame:
        """The bars of the last sessions, with `columns` in the newest."""
        frame = world.bars(symbol, self.closes[symbol])
        for name, value in columns.items():
            frame.loc[frame.index[-1], name] = value
        return frame[-(last or len(frame)) :]

    def records(self, fund: str, last: int, scale: float = 1.0) -> pd.DataFrame:
        count = self.sessions
        shares = 1000.0 + np.floor(np.arange(count) / 3) * scale
        return world.records(fund, self.closes[fund], shares.tolist())[-last:]

    def whole_history(self) -> dict[str, pd.DataFrame]:
        self.trade()
        return {
            "prices": pd.concat([self.bars(symbol) for symbol in SYMBOLS]),
            "fund_nav": pd.concat([self.records(fund, self.sessions) for fund in FUNDS]),
        }

    def evening(self) -> dict[str, pd.DataFrame]:
        self.trade()
        return {"prices": pd.concat([self.bars(symbol, 1) for symbol in SYMBOLS])}

    def evening_with_dividend(self) -> dict[str, pd.DataFrame]:
        self.trade()
        return {"prices": pd.concat([self.bars(symbol, 1, dividend=0.5) for symbol in SYMBOLS])}

    def evening_without_one(self) -> dict[str, pd.DataFrame]:
        self.trade()
        self.late.append(self.bars("IWM", 1))
        return {"prices": pd.concat([self.bars(symbol, 1) for symbol in SYMBOLS if symbol != "IWM"])}

    def late_bars(self) -> dict[str, pd.DataFrame]:
        late, self.late = self.late, []
        return {"prices": pd.concat(late)} if late else {}

    def split(self) -> dict[str, pd.DataFrame]:
        self.trade()
        self.closes["SPSM"] = [close / 2 for close in self.closes["SPSM"]]
        others = [self.bars(symbol, 1) for symbol in SYMBOLS if symbol != "SPSM"]
        return {"prices": pd.concat([self.bars("SPSM", split_ratio=2.0), *others])}

    def restated_close(self) -> dict[str, pd.DataFrame]:
        self.closes["XLK"][-3] *= 1.001
        return {"prices": self.bars("XLK", 5)}

    def morning(self) -> dict[str, pd.DataFrame]:
        return {"fund_nav": pd.concat([self.records(fund, 2) for fund in FUNDS])}

    def restated_counts(self) -> dict[str, pd.DataFrame]:
        return {"fund_nav": self.records("IWM", 6, scale=3.0)}

    def facts(self) -> dict[str, pd.DataFrame]:
        return self._row("fund_facts", expense_ratio=0.0019, pe=18.0, assets_usd=7e10, source="issuer")

    def holdings(self) -> dict[str, pd.DataFrame]:
        return self._row("holdings", weight=0.07, name="Apple", symbol="AAPL", source="issuer")

    def estimates(self) -> dict[str, pd.DataFrame]:
        estimated = world.estimate("AAPL", DAYS[self.sessions - 1], 0.1)
        return {"earnings_growth": typed(pd.DataFrame([estimated]), DATASETS["earnings_growth"].columns)}

    def another_symbol(self) -> dict[str, pd.DataFrame]:
        self.members = self.members.model_copy(
            update={"instruments": (*self.members.instruments, world.instrument("VB"))}
        )
        return {}

    def other_pairs(self) -> dict[str, pd.DataFrame]:
        self.members = self.members.model_copy(update={"pairs": self.members.pairs[:1]})
        return {}

    def nothing(self) -> dict[str, pd.DataFrame]:
        return {}

    def _row(self, dataset: str, **values: object) -> dict[str, pd.DataFrame]:
        registered = DATASETS[dataset]
        day = pd.Timestamp(DAYS[self.sessions - 1])
        row = dict.fromkeys(registered.columns) | {
            registered.symbol: "IWM",
            registered.day: day,
            **values,
        }
        return {dataset: typed(pd.DataFrame([row]), registered.columns)}


#: What can come in a run.
EVENTS: tuple[Callable[[Market], dict[str, pd.DataFrame]], ...] = (
    Market.evening,
    Market.evening_with_dividend,
    Market.evening_without_one,
    Market.late_bars,
    Market.split,
    Market.restated_close,
    Market.morning,
    Market.restated_counts,
    Market.facts,
    Market.holdings,
    Market.estimates,
    Market.another_symbol,
    Market.other_pairs,
    Market.nothing,
)


def take_in(con: duckdb.DuckDBPyConnection, run: int, market: Market, fetched: dict[str, pd.DataFrame]) -> list[str]:
    """Loads what was fetched; returns the tables of `raw` that have a row of it."""
    session = DAYS[market.sessions - 1]
    known_at = datetime(2026, 1, 20, tzinfo=UTC) + timedelta(hours=run)
    warehouse.parameters(
        con, run_id=f"{run:03}", known_at=known_at, source="test", target_session=session, history_start=DAYS[0]
    )
    everything = calendar.load(date(2005, 1, 3), date(2026, 11, 20))
    stage.put_references(con, market.members, everything, DAYS[0], session)
    stage.put_answers(con, [])
    for dataset, frame in fetched.items():
        world.put(con, f"stage.fetched_{dataset}", frame)
    warehouse.build(con, *pipeline.BATCHES)
    warehouse.load(con, "raw")
    return [
        table
        for table in RAW
        if con.execute(f"select exists (from {table} where run_id = $1)", [f"{run:03}"]).fetchone() == (True,)
    ]


def content(con: duckdb.DuckDBPyConnection) -> dict[str, object]:
    return {
        table: con.execute(f"select count(*), sum(hash(t)::hugeint), bit_xor(hash(t)) from {table} as t").fetchone()
        for table in TABLES
    }


def built(con: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """A number of each derived table that changes when it is replaced."""
    found = con.execute("select schema_name || '.' || table_name, table_oid from duckdb_tables()").fetchall()
    return {name: oid for name, oid in found if name in TABLES}


@contextmanager
def two_warehouses() -> Iterator[list[duckdb.DuckDBPyConnection]]:
    with ExitStack() as stack:
        yield [stack.enter_context(warehouse.writing(Path(":memory:"))) for _ in range(2)]


@pytest.mark.long_after(1)
@pytest.mark.parametrize(("seed", "events"), [(1, 4), *((seed, len(EVENTS)) for seed in range(6))])
def test_what_a_run_touches_is_derived_as_everything_is(seed: int, events: int) -> None:
    """Over a random order of days, splits, restatements, late bars, records and changes of the universe, every derived table is the same."""
    market = Market(seed, sessions=60)
    order = [Market.whole_history, *(EVENTS[i] for i in market.rng.permutation(len(EVENTS))[:events])]
    with two_warehouses() as (partly, whole):
        for run, event in enumerate(order):
            fetched = event(market)
            changed = take_in(partly, run, market, fetched)
            assert take_in(whole, run, market, fetched) == changed
            before = built(partly) if run else {}
            warehouse.build(partly, *DERIVED, changed=changed if run else None, after=f"{run - 1:03}")
            warehouse.build(whole, *DERIVED)
            assert content(partly) == content(whole), event.__name__
            if run:
                replaced = {table for table, oid in built(partly).items() if oid != before[table]}
                touched = derived_from(changed) & set(TABLES)
                assert touched - INCREMENTAL <= replaced <= touched, event.__name__
                assert event is not Market.evening or not replaced & INCREMENTAL


def test_records_of_funds_leave_prices_and_their_signals_alone() -> None:
    """A morning's run, which only adds records of funds, derives flows again and no table that rests on prices alone."""
    touched = derived_from(["raw.fund_nav"])
    assert {"core.fund_nav", "core.fund_flows", "signals.fund_flows_weekly", "signals.rotation_regime"} <= touched
    assert not touched & {"core.prices", "core.returns", "signals.relative_strength", "signals.breadth"}


def test_prices_touch_what_reads_them_through_a_macro() -> None:
    """core.prices reads raw.prices through macros only."""
    assert {"fn.prices_known_at", "core.prices", "core.returns", "signals.mega_cap"} <= derived_from(["raw.prices"])
    assert derived_from([]) == set()
