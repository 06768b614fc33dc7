"""A query of the report on a table of 25 million rows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from functools import partial
from pathlib import Path

from benchmarks import day
from benchmarks.measure import Figure, median_seconds, seconds
from market_rotation.tasks import warehouse
from market_rotation.tasks.report import queries

ROWS, SESSION = 25_000_000, date(2026, 1, 16)
#: The queries, and what they read of the table.
QUERIES = {"relative_strength": "the headline pair, all sessions", "returns": "all pairs, the last session"}


def measure(folder: Path, rows: int = ROWS) -> Iterator[Figure]:
    """The queries that draw the headline pair and compare all pairs, on as many pairs with the history of the shipped ones.

    Reads what the benchmark of a day's run left in `folder`.
    """
    many = folder / "many-pairs.duckdb"
    with warehouse.writing(day.built(folder)) as con:
        (of_one,) = con.execute("select count(*) from signals.relative_strength").fetchone() or (0,)
        copies = -(-rows // of_one)
        con.execute(f"attach '{many}' as made; create schema made.core; create schema made.signals")
        for table in ("core.sessions", "core.returns", "signals.rotation_regime"):
            con.execute(f"create table made.{table} as from {table}")
        # Copy 0 keeps the names, so that it holds the headline pair; the others come before it in each year of the table.
        con.execute(
            f"""
            create table made.core.pairs as
            select p.* replace (if(n = 0, pair, printf('%05d ', n) || pair) as pair, headline and n = 0 as headline)
            from core.pairs as p cross join range({copies}) as copies (n);
            create table made.signals.relative_strength as from signals.relative_strength limit 0
            """
        )
        years = con.execute("select distinct year(session) from signals.relative_strength order by 1").fetchall()
        # In the order of the table; a year at a time, as one sort of all rows would take longer than everything else here.
        for (year,) in years:
            con.execute(
                f"""
                insert into made.signals.relative_strength
                select r.* replace (if(n = 0, pair, printf('%05d ', n) || pair) as pair)
                from range({copies}) as copies (n) cross join signals.relative_strength as r
                where year(r.session) = {year}
                order by pair, session
                """
            )
    yield from figures(many, rows)
    many.unlink()


def figures(many: Path, rows: int) -> Iterator[Figure]:
    """The median of five answers of each query, rows fetched as a frame; the first, which reads the file, is left out and said."""
    with warehouse.reading(many) as con:
        for name, what in QUERIES.items():
            first_ms = 1000 * seconds(partial(queries.run, con, name, SESSION))
            found_ms = 1000 * median_seconds(partial(queries.run, con, name, SESSION))
            yield Figure(
                f"`sql/report/{name}.sql` on {rows / 1e6:.0f} M rows of signals.relative_strength",
                f"{what}; median of five after the first, which took {first_ms:.0f} ms",
                found_ms,
                100.0,
                "ms",
            )
