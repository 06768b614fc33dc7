"""Many symbols: the signals of 2,000 symbols and ten years against one pass of DuckDB, and the price audit against its queries."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import duckdb
import pandas as pd
import world

from benchmarks.measure import Ratio, seconds
from market_rotation.tasks import warehouse
from market_rotation.tasks.audit import suites
from market_rotation.tasks.audit.run import audit, preload
from market_rotation.tasks.universe import Universe
from market_rotation.tasks.warehouse.models import DERIVED, models

SYMBOLS, START, SESSION = 2_000, date(2016, 1, 19), date(2026, 1, 16)


def measure(folder: Path) -> list[Ratio]:
    """Both figures, on random walks of the pair IWM and SPY and of made-up stocks."""
    members, frame = market(SYMBOLS)
    preload()
    with world.derived([frame], members, SESSION, START, folder / "many.duckdb") as con:
        rows = len(frame)
        windows = sum(
            len(re.findall(r"\bover\b", model.statements[0])) for model in models() if model.kind == "derived"
        )
        bare = ", ".join(
            f"avg(close) over (partition by symbol order by session rows between {20 + n} preceding and current row)"
            for n in range(windows)
        )
        baseline = seconds(lambda: con.execute(f"create or replace temp table bare as select {bare} from core.prices"))
        ours = seconds(lambda: warehouse.build(con, *DERIVED))
        prices = suites.staged("prices")
        audited = seconds(lambda: audit(con, prices))
        queries = seconds(lambda: run_queries(con, [e.query for e in prices.expectations]))
    years = f"{SYMBOLS:,} symbols, ten years ({rows / 1e6:.1f} M bars)"
    return [
        Ratio(
            f"All tables, rebuilt, {years}",
            "`warehouse.build`",
            f"one query with {windows} windows",
            ours,
            baseline,
            2.0,
        ),
        Ratio(f"Price audit, {years}", "Great Expectations", "its queries run by hand", audited, queries, 2.0),
    ]


def market(symbols: int) -> tuple[Universe, pd.DataFrame]:
    """The pair IWM and SPY and made-up stocks, `symbols` in all, and their bars of ten years."""
    made = [world.instrument("SPY", size_bucket="large"), world.instrument("IWM")]
    made += [world.instrument(f"S{n:04}", kind="stock", peer_group=None) for n in range(symbols - 2)]
    return world.universe(*made, pairs=[("IWM", "SPY")]), walks([i.symbol for i in made])


def walks(symbols: list[str]) -> pd.DataFrame:
    """A bar of each symbol on each session: random walks without distributions."""
    sessions = pd.DataFrame({"session": world.days(START, SESSION)})  # noqa: F841 - read by the query
    names = pd.DataFrame({"symbol": symbols})  # noqa: F841 - read by the query
    with duckdb.connect() as con:
        con.execute("select setseed(0.5)")
        return con.sql(
            """
            with steps as (select symbol, session::timestamp as session, 0.03 * (random() - 0.5) as step from names cross join sessions),
            walked as (
                select symbol, session, 100 * exp(sum(step) over (partition by symbol order by session)) as close from steps
            )
            select
                symbol, session, close as open, close * 1.01 as high, close * 0.99 as low, close, 1e6 + 1e5 * random() as volume,
                0.0 as dividend, 0.0 as capital_gain, 1.0 as split_ratio, null::double as vendor_adj_close
            from walked
            order by symbol, session
            """
        ).df()


def run_queries(con: duckdb.DuckDBPyConnection, queries: list[str]) -> None:
    """Fetches the rows of each query."""
    for query in queries:
        con.execute(query).fetchmany(200)
