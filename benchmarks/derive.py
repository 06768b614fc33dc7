"""Seconds each step takes on a first run of the simulated market, and how they grow when the universe is three times as large.

Run with `make bench`. Machines differ and are noisy: compare the columns of one run with each other, not numbers of two machines.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from market_rotation.tasks import calendar, datasets, warehouse
from market_rotation.tasks.audit import run
from market_rotation.tasks.report import page, picture
from market_rotation.tasks.report.charts import embed
from market_rotation.tasks.report.exhibits import collect
from market_rotation.tasks.run import context, fetch, pipeline, stage
from market_rotation.tasks.run.ledger import begin
from market_rotation.tasks.settings import load_settings
from market_rotation.tasks.sources.simulated.source import SampleSource
from market_rotation.tasks.universe import Universe, load_universe
from market_rotation.tasks.warehouse import publish

SESSION, NOW = date(2026, 1, 16), datetime(2026, 1, 16, 23, 30, tzinfo=UTC)


def main(factors: tuple[int, ...] = (1, 3)) -> None:
    """Prints seconds per step, a column for each multiple of the shipped universe."""
    run.preload()
    columns = [measure(enlarged(factor)) for factor in factors]
    table = Table("step", *(f"{factor * 32} symbols" for factor in factors), "ratio", box=None, header_style="dim")
    for step in columns[0]:
        seconds = [column[step] for column in columns]
        table.add_row(step, *(f"{s:.2f} s" for s in seconds), f"{seconds[-1] / seconds[0]:.1f}")
    Console().print(table)


def enlarged(factor: int) -> Universe:
    """The shipped universe and `factor` - 1 copies of it under other symbols; copies of sector funds count as plain funds."""
    shipped = load_universe()
    copies = [
        i.model_copy(update={"symbol": f"{i.symbol}.{n}", "kind": "fund" if i.kind == "sector" else i.kind})
        for n in range(1, factor)
        for i in shipped.instruments
    ]
    return Universe(instruments=(*shipped.instruments, *copies), pairs=shipped.pairs)


def measure(universe: Universe) -> dict[str, float]:
    """Seconds of each step of a first run, by name."""
    seconds: dict[str, float] = {}

    @contextmanager
    def timed(step: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        seconds[step] = time.perf_counter() - began

    with tempfile.TemporaryDirectory() as home:
        settings = load_settings(source="sample", home=Path(home))
        days = calendar.load(settings.history_start, SESSION)
        source = SampleSource(days, universe.instruments)
        with warehouse.writing(settings.build) as con:
            run = begin(con, settings, SESSION, NOW)
            today = context.Job(settings, universe, days, SESSION, lambda: NOW, con, run)
            requests = pipeline.plan(today, datasets.offers(source, universe.instruments))
            with timed("fetch (simulated)"):
                answers = fetch.fetch_batch(source, requests, fetch.Patience(1, 0, 1e12))
            with timed("stage"):
                stage.put_answers(con, answers)
            con.begin()
            with timed("batches and audit"):
                pipeline.audit_batches(today)
            with timed("load raw"):
                warehouse.load(con, "raw")
            with timed("derive core and signals"):
                warehouse.build(con, *pipeline.DERIVED)
            con.commit()
            with timed("publish"):
                publish.publish(con, settings.build, settings.published)
        picture.warm_up()
        embed.bundle()
        with warehouse.reading(settings.published) as con:
            with timed("report: queries and charts"):
                report = collect.collect(con)
            with timed("report: page"):
                page.render(report, NOW)
            with timed("report: picture"):
                picture.picture(report)
    return seconds


if __name__ == "__main__":
    main()
