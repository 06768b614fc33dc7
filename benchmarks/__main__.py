"""Measures what the page on performance claims, and writes it. Run with `make bench`, on a machine that does nothing else.

Machines differ and are noisy: each ratio is of two measurements of one run, side by side.
"""

from __future__ import annotations

import math
import os
import platform
import tempfile
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import pandas as pd
from rich.console import Console

from benchmarks import backfill, day, growth, lake, many
from benchmarks.measure import REPOSITORY, Ratio

PAGE = REPOSITORY / "docs" / "performance.md"


def main() -> None:
    """Writes docs/performance.md; prints each figure as soon as it is known."""
    console = Console()
    ratios: list[Ratio] = []
    with tempfile.TemporaryDirectory() as folder:
        for measure in (day.measure, backfill.measure, many.measure, lake.measure):
            for ratio in measure(Path(folder)):
                console.print(
                    f"{ratio.claim}: {ratio.ours_s:.1f} s against {ratio.baseline_s:.1f} s, ratio {ratio.ratio:.1f}"
                )
                ratios.append(ratio)
    steps = growth.measure()
    PAGE.write_text(page(ratios, steps), encoding="utf-8")
    console.print(f"Written to {PAGE.relative_to(REPOSITORY)}.")


def page(ratios: list[Ratio], steps: pd.DataFrame) -> str:
    """The page as Markdown."""
    packages = ", ".join(
        f"{name} {version(name)}" for name in ("duckdb", "prefect", "great-expectations", "pandas", "yfinance")
    )
    few, several = steps.columns
    lines = [
        "# Performance",
        "",
        f"Written by `make bench` on {datetime.now(UTC):%Y-%m-%d}: {os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, {packages}.",
        "Machines differ and are noisy; a ratio is of two measurements side by side in one run. The baseline of a day's run uses the same SQL files: its",
        "ratio is of what a run does around them. Not measured: a run with a Prefect server, a day on 2,000 symbols, and other engines.",
        "",
        "## Against the bare computation",
        "",
        "| what | ours | baseline | ours, s | baseline, s | ratio | goal | |",
        "|---|---|---|---:|---:|---:|---:|---|",
    ]
    lines += [
        f"| {r.claim} | {r.ours} | {r.baseline} | {r.ours_s:.1f} | {r.baseline_s:.1f} | {r.ratio:.1f} | {r.goal:.1f} | {'reached' if r.ratio <= r.goal else '**missed**'} |"
        for r in ratios
    ]
    lines += [
        "",
        "## Growth with the number of symbols",
        "",
        "Seconds of each step of a first run of the simulated market since 2005, in one process. The exponent is that of cost against symbols: 1 is",
        "proportional.",
        "",
        f"| step | {few} symbols | {several} symbols | exponent |",
        "|---|---:|---:|---:|",
    ]
    for step, seconds in steps.iterrows():
        exponent = math.log(seconds[several] / seconds[few]) / math.log(several / few)
        lines.append(f"| {step} | {seconds[few]:.2f} | {seconds[several]:.2f} | {exponent:.1f} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
