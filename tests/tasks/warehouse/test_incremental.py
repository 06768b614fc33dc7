"""Incremental tables: after changes of any kind to `raw`, the rows computed again make the table that deriving all of it makes, to the last bit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta

import duckdb
import numpy as np
import pandas as pd
import pytest
import world

from market_rotation.tasks import warehouse
from market_rotation.tasks.datasets import DATASETS
from market_rotation.tasks.sources.base import typed
from market_rotation.tasks.universe import Instrument
from market_rotation.tasks.warehouse import incremental
from market_rotation.tasks.warehouse.models import models

#: The look-back of returns is 254 sessions.
SESSIONS = 300
DAYS = world.days()
MEMBERS = world.universe(
    world.instrument("SPY", size_bucket="large", peer_group="large"),
    world.instrument("IWM", peer_group="small_cap"),
    world.instrument("RSP", peer_group="equal_weight", size_bucket="large"),
    *(
        world.instrument(name, kind="sector", sector=sector)
        for name, sector in [("XLK", "technology"), ("XLF", "financials")]
    ),
    *(world.instrument(name, kind="stock", peer_group="mag7", size_bucket="mega") for name in ("AAPL", "MSFT")),
    world.instrument("NEW", inception=DAYS[SESSIONS]),
    pairs=[("IWM", "SPY")],
)
OLD = [symbol for symbol in MEMBERS.symbols if symbol != "NEW"]
INCREMENTAL = [model.name for model in models() if incremental.is_incremental(model)]
WANTED = sorted(world.with_what_they_read(INCREMENTAL))
WITHDRAWN: dict[str, object] = dict.fromkeys(("close", "dividend", "capital_gain", "split_ratio")) | {
    "is_withdrawn": True
}
Rows = list[tuple[str, dict[str, object]]]


class Market:
    """What is known of the market; each method is a change, and returns the rows that a run adds to `raw` for it."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.last = SESSIONS - 1
        steps = self.rng.normal(0, 0.01, (len(OLD), SESSIONS))
        self.closes = {
            symbol: list(np.round(100 * np.exp(np.cumsum(line)), 2)) for symbol, line in zip(OLD, steps, strict=True)
        }
        self.events = 0
        self.members = list(MEMBERS.instruments)

    def base(self) -> list[pd.DataFrame]:
        """Bars of all symbols, with a dividend of SPY on a session of each quarter, and one session of XLF missing long ago."""
        frames = []
        for symbol in OLD:
            dividends = np.where(np.arange(SESSIONS) % 63 == 40, 0.5, 0.0) if symbol in ("SPY", "AAPL") else 0.0
            frames.append(world.bars(symbol, self.closes[symbol], dividend=dividends))
        return [frame[(frame["symbol"] != "XLF") | (frame["session"] != pd.Timestamp(DAYS[7]))] for frame in frames]

    def holdings(self, day: int, weights: Sequence[float]) -> pd.DataFrame:
        frame = pd.DataFrame(
            {
                "fund_symbol": "IWM",
                "as_of": pd.Timestamp(DAYS[day]),
                "symbol": ["AAPL", "MSFT", "XLK"],
                "name": "",
                "weight": weights,
                "source": "issuer",
            }
        )
        return typed(frame, DATASETS["holdings"].columns)

    def bar(self, symbol: str, day: int, **values: object) -> tuple[str, dict[str, object]]:
        close = self.closes[symbol][day]
        row = {"close": close, "dividend": 0.0, "capital_gain": 0.0, "split_ratio": 1.0, "is_withdrawn": False}
        return "raw.prices", {"symbol": symbol, "session": DAYS[day], "source": "test", **row, **values}

    def _session(self) -> Rows:
        self.last += 1
        for closes in self.closes.values():
            closes.append(round(closes[-1] * float(np.exp(self.rng.normal(0, 0.01))), 2))
        opens = datetime(*DAYS[self.last].timetuple()[:3], 14, 30, tzinfo=UTC)
        hours = {"opens_at": opens, "closes_at": opens + timedelta(hours=6.5), "is_session": True}
        return [("raw.sessions", {"session": DAYS[self.last], **hours})]

    def evening(self) -> Rows:
        return [*self._session(), *(self.bar(symbol, self.last) for symbol in self.closes)]

    def evenings_caught_up(self) -> Rows:
        return [row for _ in range(4) for row in self.evening()]

    def evening_with_dividends(self) -> Rows:
        return [
            *self._session(),
            *(
                self.bar(symbol, self.last, dividend=0.25 if symbol in ("XLK", "MSFT") else 0.0)
                for symbol in self.closes
            ),
        ]

    def evening_without_one(self) -> Rows:
        missing = self.rng.choice(["SPY", "AAPL", "IWM"])
        return [*self._session(), *(self.bar(symbol, self.last) for symbol in self.closes if symbol != missing)]

    def session_without_bars(self) -> Rows:
        return self._session()

    def first_bar(self) -> Rows:
        """A symbol that begins to trade, and trades from then on."""
        self.closes.setdefault("NEW", [10.0] * (self.last + 1))
        return self.evening()

    def _some(self, recent: bool) -> tuple[str, int]:
        back = int(self.rng.integers(1, 9)) if recent else int(self.rng.integers(30, 280))
        return str(self.rng.choice(OLD)), self.last - back

    def recent_bar_withdrawn(self) -> Rows:
        rows = self.evening()
        symbol, day = self._some(recent=True)
        return [*rows, self.bar(symbol, day, **WITHDRAWN)]

    def old_bar_withdrawn(self) -> Rows:
        symbol, day = self._some(recent=False)
        return [self.bar(symbol, day, **WITHDRAWN)]

    def first_bar_withdrawn(self) -> Rows:
        return [self.bar("MSFT", 0, **WITHDRAWN)]

    def late_bars(self) -> Rows:
        """A recent bar and an old one, whether or not they were withdrawn before."""
        return [self.bar(*self._some(recent)) for recent in (True, False)]

    def recent_close_corrected(self) -> Rows:
        symbol, day = self._some(recent=True)
        self.closes[symbol][day] *= 1.01
        return [self.bar(symbol, day)]

    def old_close_corrected(self) -> Rows:
        symbol, day = self._some(recent=False)
        self.closes[symbol][day] *= 1.01
        return [*self.evening(), self.bar(symbol, day)]

    def benchmark_corrected(self) -> Rows:
        self.closes["SPY"][self.last - 100] *= 1.001
        return [self.bar("SPY", self.last - 100)]

    def recent_distribution_corrected(self) -> Rows:
        return [self.bar(*self._some(recent=True), dividend=0.4, capital_gain=0.1)]

    def old_distribution_corrected(self) -> Rows:
        return [self.bar(*self._some(recent=False), dividend=0.4)]

    def distribution_not_known(self) -> Rows:
        return [self.bar(str(self.rng.choice(["XLF", "MSFT"])), self.last, dividend=None)]

    def split(self) -> Rows:
        symbol = str(self.rng.choice(["AAPL", "SPY"]))
        self.closes[symbol] = [close / 2 for close in self.closes[symbol]]
        others = [row for row in self.evening() if row[1].get("symbol") != symbol]
        return [
            *others,
            *(self.bar(symbol, day) for day in range(self.last)),
            self.bar(symbol, self.last, split_ratio=2.0),
        ]

    def event(self) -> Rows:
        """A distribution of a day whose bar is withdrawn."""
        self.events += 1
        symbol, day = self._some(recent=self.events % 2 == 1)
        return [self.bar(symbol, day, **WITHDRAWN), self._distribution(symbol, day)]

    def event_before_the_next_bar(self) -> Rows:
        """A distribution on a session without a bar; the next bar takes it."""
        rows = [row for row in self.evening() if row[1].get("symbol") != "IWM"]
        return [*rows, self._distribution("IWM", self.last)]

    def _distribution(self, symbol: str, day: int) -> tuple[str, dict[str, object]]:
        amounts = {"dividend": 0.3, "capital_gain": 0.0, "split_ratio": 1.0, "is_withdrawn": False, "source": "test"}
        return "raw.price_events", {"symbol": symbol, "event_date": DAYS[day], **amounts}

    def benchmark_missing(self) -> Rows:
        """Without its bars of half a year, the lines of the others against it have fewer rows than sessions."""
        return [self.bar("SPY", day, **WITHDRAWN) for day in range(self.last - 130, self.last - 2)]

    def session_cancelled(self) -> Rows:
        opens = datetime(2020, 1, 1, tzinfo=UTC)
        return [
            (
                "raw.sessions",
                {"session": DAYS[self.last - 3], "opens_at": opens, "closes_at": opens, "is_session": False},
            )
        ]

    def holdings_file(self) -> Rows:
        return self._file(self.last)

    def old_holdings_corrected(self) -> Rows:
        return self._file(20)

    def _file(self, day: int) -> Rows:
        frame = self.holdings(day, [0.6, 0.3, 0.05])
        return [("raw.holdings", dict(row)) for row in frame.to_dict("records")]

    def another_instrument(self) -> Rows:
        return self._universe([*self.members, world.instrument("VB", peer_group="small_cap")])

    def instrument_removed(self) -> Rows:
        return self._universe([member for member in self.members if member.symbol != "RSP"])

    def _universe(self, members: Sequence[Instrument]) -> Rows:
        self.members = list(members)
        return [("raw.universe", {**member.model_dump(), "is_withdrawn": False}) for member in members]


CHANGES: tuple[Callable[[Market], Rows], ...] = (
    Market.evening,
    Market.evening_with_dividends,
    Market.evenings_caught_up,
    Market.evening_without_one,
    Market.session_without_bars,
    Market.first_bar,
    Market.recent_bar_withdrawn,
    Market.old_bar_withdrawn,
    Market.first_bar_withdrawn,
    Market.late_bars,
    Market.recent_close_corrected,
    Market.old_close_corrected,
    Market.benchmark_corrected,
    Market.recent_distribution_corrected,
    Market.old_distribution_corrected,
    Market.distribution_not_known,
    Market.split,
    Market.event,
    Market.event_before_the_next_bar,
    Market.benchmark_missing,
    Market.session_cancelled,
    Market.holdings_file,
    Market.old_holdings_corrected,
    Market.another_instrument,
    Market.instrument_removed,
)

#: More ordinary evenings, since a fault may show only in the next one.
EVENINGS = 10


@contextmanager
def two_warehouses(market: Market) -> Iterator[list[duckdb.DuckDBPyConnection]]:
    with ExitStack() as stack:
        yield [
            stack.enter_context(
                world.derived(
                    market.base(),
                    MEMBERS,
                    DAYS[SESSIONS - 1],
                    DAYS[0],
                    wanted=WANTED,
                    holdings=market.holdings(10, [0.5, 0.3, 0.1]),
                )
            )
            for _ in range(2)
        ]


def add(con: duckdb.DuckDBPyConnection, run: int, rows: Rows) -> list[str]:
    """Adds the rows to `raw` as of one run; returns the tables that have some."""
    known_at = datetime(2026, 11, 20, tzinfo=UTC) + timedelta(hours=run)
    for table, values in rows:
        named = {**values, "known_at": known_at, "run_id": f"test{run:03}"}
        places = ", ".join(f"${n + 1}" for n in range(len(named)))
        con.execute(f"insert into {table} ({', '.join(named)}) values ({places})", list(named.values()))
    return sorted({table for table, _ in rows})


def content(con: duckdb.DuckDBPyConnection) -> dict[str, tuple[int, int, int]]:
    return {
        name: con.execute(f"select count(*), sum(hash(t)::hugeint), bit_xor(hash(t)) from {name} as t").fetchone()
        for name in INCREMENTAL
    }


@pytest.mark.long_after(1)
@pytest.mark.parametrize(("seed", "changes"), [(0, 12), *((seed, len(CHANGES) + EVENINGS) for seed in range(1, 9))])
def test_rows_computed_again_make_the_whole_table(seed: int, changes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """After each of many changes in a random order, every incremental table is as if all were derived."""
    monkeypatch.setattr(incremental, "SLICED_FROM_ROWS", 0)
    market = Market(seed)
    kinds = [*CHANGES, *[Market.evening] * EVENINGS]
    order = [kinds[i] for i in market.rng.permutation(len(kinds))[:changes]]
    with two_warehouses(market) as (partly, whole):
        for run, change in enumerate(order, 1):
            rows = change(market)
            for con in (partly, whole):
                changed = add(con, run, rows)
            warehouse.build(partly, *WANTED, changed=changed, after=f"test{run - 1:03}")
            warehouse.build(whole, *WANTED)
            expected, found = content(whole), content(partly)
            assert expected["core.prices"][0] > 1000
            assert [name for name in INCREMENTAL if found[name] != expected[name]] == [], [
                c.__name__ for c in order[:run]
            ]
