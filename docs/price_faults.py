"""How many wrong closes the audit of a batch catches, and how many true ones it sets aside, on real prices, as Markdown. Part of `make docs`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pandas as pd
import regime_record

from market_rotation.tasks import calendar, warehouse
from market_rotation.tasks.audit import suites
from market_rotation.tasks.run import pipeline, stage
from market_rotation.tasks.run.fetch import Answer, Request
from market_rotation.tasks.sources.base import price_frame
from market_rotation.tasks.universe import load_universe

BEGIN, FINISH = (
    "<!-- price faults: written by `make docs` where the real prices are -->",
    "<!-- end of the price faults -->",
)
#: Bars between two injected faults of a symbol, so that none is in the other's window of 252 bars.
APART = 300

#: Each fault changes the bar, given with the one before it and another symbol's bar of that session.
FAULTS: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "close x 100": lambda bars: bars.assign(close=bars["close"] * 100),
    "close x 0.01": lambda bars: bars.assign(close=bars["close"] * 0.01),
    "close x 10": lambda bars: bars.assign(close=bars["close"] * 10),
    "close wrong by 20 %": lambda bars: bars.assign(close=bars["close"] * 1.2),
    "close wrong by -10 %": lambda bars: bars.assign(close=bars["close"] * 0.9),
    "close wrong by 5 %": lambda bars: bars.assign(close=bars["close"] * 1.05),
    "sign": lambda bars: bars.assign(close=-bars["close"]),
    "high and low swapped": lambda bars: bars.assign(high=bars["low"], low=bars["high"]),
    "another symbol's close": lambda bars: bars.assign(close=bars["other_close"]),
    "yesterday's bar": lambda bars: bars.assign(close=bars["previous_close"], volume=bars["previous_volume"]),
}


def with_fault(prices: pd.DataFrame, fault: str, offset: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """`prices` with the fault in every `APART`-th bar of each symbol from `offset` on, and the symbols and sessions of these bars."""
    ordered = prices.sort_values(["symbol", "session"], ignore_index=True)
    by_symbol = ordered.groupby("symbol")
    # Not on one session for all symbols, which would be a move of the market.
    place = by_symbol.cumcount() + 7 * by_symbol.ngroup()
    closes = ordered.pivot(index="session", columns="symbol", values="close")
    other = closes.shift(1, axis=1).stack().rename("other_close")
    extended = ordered.assign(
        previous_close=by_symbol["close"].shift(), previous_volume=by_symbol["volume"].shift()
    ).join(other, on=["session", "symbol"])
    chosen = (place >= APART) & (place % APART == offset)
    if fault == "another symbol's close":
        chosen &= extended["other_close"].notna()
    changed = FAULTS[fault](extended[chosen])
    if fault == "high and low swapped":
        changed = changed[changed["high"].notna() & (changed["high"] != changed["low"])]
    ordered.loc[changed.index, changed.columns.intersection(ordered.columns)] = changed
    return ordered, ordered.loc[changed.index, ["symbol", "session"]]


def named(con: duckdb.DuckDBPyConnection, prices: pd.DataFrame) -> pd.DataFrame:
    """The symbols and sessions that critical expectations and warnings on the staged bars name, each bar taken for the last one known."""
    answers = [
        Answer(Request("prices", symbol, regime_record.START, regime_record.END), frame, None)
        for symbol, frame in prices.groupby("symbol")
    ]
    stage.put_answers(con, answers)
    warehouse.build(con, *pipeline.BATCHES)
    found = []
    for expectation in suites.staged("prices").expectations:
        if expectation.severity == "info":
            continue
        query = f"select symbol, session from ({expectation.query})"
        if expectation.id == "return_plausible":
            # Before the next bar confirms or undoes the jump.
            query = f"{expectation.query.split('select j.symbol')[0]} select symbol, session from jumps"
        found.append(con.execute(query).df())
    return pd.concat(found).drop_duplicates()


@contextmanager
def opened(folder: Path) -> Iterator[tuple[duckdb.DuckDBPyConnection, pd.DataFrame]]:
    """A warehouse in memory without bars, for the sessions of the real prices in `folder`, and these prices."""
    start, end = regime_record.START, regime_record.END
    with warehouse.writing(Path(":memory:")) as con:
        stage.put_references(con, load_universe(), calendar.load(start, end), start, end)
        warehouse.parameters(
            con,
            run_id="docs",
            known_at=datetime(2026, 1, 16, 23, 30, tzinfo=UTC),
            source="files",
            target_session=end,
            history_start=start,
        )
        yield con, price_frame(pd.read_parquet(folder / "prices.parquet"))


def rates(con: duckdb.DuckDBPyConnection, prices: pd.DataFrame, fault: str, offset: int = 150) -> pd.DataFrame:
    """One row per group of instruments: the number of injected faults, and the percentage that was named."""
    bars, injected = with_fault(prices, fault, offset)
    hits = injected.merge(named(con, bars), on=["symbol", "session"], how="left", indicator=True)
    kinds = {i.symbol: i.kind for i in load_universe().instruments}
    known = set(prices.loc[prices["high"].notna(), ["symbol", "session"]].itertuples(index=False, name=None))
    hits["group"] = [
        "stocks"
        if kinds[row.symbol] == "stock"
        else "funds"
        if (row.symbol, row.session) in known
        else "funds, close alone"
        for row in hits.itertuples()
    ]
    return hits.groupby("group")["_merge"].agg(faults="size", caught_pct=lambda m: 100 * (m == "both").mean())


def record(con: duckdb.DuckDBPyConnection, bars: pd.DataFrame) -> str:
    """The tables as Markdown."""
    waiting = named(con, bars)
    years = (regime_record.END - regime_record.START).days / 365.25
    lines = [
        f"On the real history {len(waiting)} bars would have waited for the next one, each seen as the last one known: {len(waiting) / years:.2f} a year. "
        "These are "
        + ", ".join(f"{r.symbol} {r.session:%Y-%m-%d}" for r in waiting.sort_values("session").itertuples())
        + ".",
        "",
        "Faults injected into one bar of each symbol in every 300, and the percentage that is set aside or blocks the same evening:",
        "",
        "| fault | funds | funds, close alone | stocks |",
        "|---|---|---|---|",
    ]
    for fault in FAULTS:
        found = rates(con, bars, fault)
        cells = [
            f"{found.loc[g, 'caught_pct']:.1f} % of {found.loc[g, 'faults']:,}" if g in found.index else "no such bars"
            for g in ("funds", "funds, close alone", "stocks")
        ]
        lines.append(f"| {fault} | {' | '.join(cells)} |")
    return "\n".join(lines)
