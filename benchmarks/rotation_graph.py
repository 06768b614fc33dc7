"""The relative rotation graph against that of OpenBB, on the same panel of total-return indexes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from openbb_technical.relative_rotation import RelativeRotation, process_data

from benchmarks import day
from benchmarks.measure import Ratio, median_seconds
from market_rotation.tasks import warehouse

BENCHMARK, TABLE = "SPY", "signals.relative_rotation"


def measure(folder: Path) -> Iterator[Ratio]:
    """Our table, daily and weekly, against OpenBB's, daily: as its users call it, and its arithmetic alone.

    Reads what the benchmark of a day's run left in `folder`. OpenBB cuts all symbols to the sessions that they have in common,
    so that the panel holds those with a full history.
    """
    with warehouse.writing(day.built(folder)) as con:
        con.execute(
            """
            create or replace table core.prices as
            from core.prices
            where symbol in (
                select symbol from core.prices join core.instruments using (symbol)
                where benchmark = $1 or symbol = $1
                group by symbol
                having count(total_return_index) = (select count(total_return_index) from core.prices where symbol = $1)
            )
            """,
            [BENCHMARK],
        )
        rows = con.sql("select symbol, session as date, total_return_index as close from core.prices").df()
        ours_s = median_seconds(lambda: warehouse.build(con, TABLE))
        (placed,) = con.execute(f"select count(distinct symbol) from {TABLE}").fetchone() or (0,)
    closes = rows.pivot(index="date", columns="symbol", values="close")
    symbols, benchmark = closes.drop(columns=BENCHMARK), closes[[BENCHMARK]]
    assert placed == len(symbols.columns), "the two panels differ"
    # The class takes records only, and refuses a frame.
    records = rows.to_dict("records")
    as_called_s = median_seconds(lambda: RelativeRotation(records, BENCHMARK), times=1)
    bare_s = median_seconds(lambda: process_data(symbols, benchmark))
    panel = f"{len(closes.columns)} symbols, {years(closes)} years"
    query = "`sql/signals/relative_rotation.sql` written as a table, daily and weekly, with quadrants and headings"
    version = "of openbb-technical, daily"
    why = "ours is both timeframes and is written to a file; the ratio is near the goal, and differs between machines."
    yield Ratio(f"Relative rotation, {panel}", query, f"`RelativeRotation` {version}", ours_s, as_called_s, 0.1, why)
    yield Ratio(
        "The same against the arithmetic alone",
        query,
        f"`process_data` {version}, on a frame in memory",
        ours_s,
        bare_s,
        0.1,
        "the baseline computes one of the two timeframes on a frame in memory, and neither reads nor writes a table.",
    )


def years(closes: pd.DataFrame) -> int:
    """The years from the first session to the last, rounded."""
    return round((closes.index[-1] - closes.index[0]).days / 365.25)
