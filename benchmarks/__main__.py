"""Measures what the page on performance claims, and writes it. Run with `make bench`, on a machine that does nothing else.

Machines differ and are noisy: each ratio is of two measurements of one run, side by side.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from rich.console import Console

from benchmarks import backfill, chart, day, growth, lake, many, many_day, memory, report_query, rotation_graph
from benchmarks.measure import REPOSITORY, Figure, Ratio
from benchmarks.page import page

PAGE = REPOSITORY / "docs" / "performance.md"
CHART = PAGE.with_suffix(".svg")
#: In this order: the second to the fourth read what the first leaves in the folder.
MEASURES = (
    day.measure,
    rotation_graph.measure,
    report_query.measure,
    memory.measure,
    backfill.measure,
    many.measure,
    many_day.measure,
    lake.measure,
)


def main() -> None:
    """Writes docs/performance.md and its chart; prints each figure as soon as it is known."""
    console = Console(soft_wrap=True)
    measured: list[Ratio | Figure] = []
    with tempfile.TemporaryDirectory() as folder:
        for measure in MEASURES:
            for figure in measure(Path(folder)):
                console.print(str(figure), markup=False, highlight=False)
                measured.append(figure)
        steps = growth.measure(Path(folder))
    PAGE.write_text(page(measured, steps, CHART.name), encoding="utf-8")
    chart.draw(steps, CHART)
    console.print(f"Written to {PAGE.relative_to(REPOSITORY)}.")


if __name__ == "__main__":
    main()
