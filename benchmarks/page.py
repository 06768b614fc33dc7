"""The page on performance, as Markdown."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version

import pandas as pd

from benchmarks import limits
from benchmarks.growth import MEMORY
from benchmarks.measure import Figure, Ratio

PACKAGES = ("duckdb", "prefect", "great-expectations", "pandas", "yfinance", "openbb-technical")


def page(measured: Sequence[Ratio | Figure], table: pd.DataFrame, chart: str) -> str:
    """The whole page; `chart` is the name of the picture beside it."""
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    lines = [
        "# Performance",
        "",
        f"Written by `make bench` on {datetime.now(UTC):%Y-%m-%d}: {os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, {packages}.",
        "Machines differ and are noisy; a ratio is of two measurements side by side in one run. The baseline of a day's run uses the same SQL files: its",
        "ratio is of what a run does around them. OpenBB scores each session against the whole history, ours against the 14 rows before it, so that those",
        "two compute like tables and not the same values ([signals](signals.md)).",
        "",
        "Not measured: fetching over several workers; other data engines.",
        "",
        "## Against others",
        "",
        "| what | ours | baseline | ours, s | baseline, s | ratio | goal | |",
        "|---|---|---|---:|---:|---:|---:|---|",
    ]
    lines += [
        f"| {r.claim} | {r.ours} | {r.baseline} | {significant(r.ours_s)} | {significant(r.baseline_s)} | {significant(r.ratio)} | {r.goal:g} | {verdict(r.ratio, r.goal)} |"
        for r in measured
        if isinstance(r, Ratio)
    ]
    lines += [
        "",
        "## Absolute figures",
        "",
        "| what | how measured | figure | goal | |",
        "|---|---|---:|---:|---|",
    ]
    lines += [
        f"| {f.claim} | {f.how} | {significant(f.measured)} {f.unit} | {f.goal:g} {f.unit} | {verdict(f.measured, f.goal)} |"
        for f in measured
        if isinstance(f, Figure)
    ]
    lines += ["", "## Why goals are missed", ""]
    lines += [f"- {m.claim}: {m.why or 'not examined.'}" for m in measured if m.is_missed] or ["None is."]
    return "\n".join([*lines, "", *growth(table, chart), "", *limits.section(table)]) + "\n"


def growth(table: pd.DataFrame, chart: str) -> list[str]:
    """The chart and one table for each axis."""
    lines = [
        "## Growth with symbols, years and sessions",
        "",
        f"![Seconds of a run against symbols, years, and sessions caught up]({chart})",
        "",
        "Seconds of each step of a run of the simulated market, and peak memory, each run in a process of its own. Symbols and years: a first run, of 21 years",
        "and of the shipped universe respectively. Sessions caught up: a later run that brings as many. The exponent is that of cost against the size: 1 is",
        "proportional, 0 is independent.",
    ]
    for axis in table["axis"].unique():
        sizes = sorted(table.loc[table["axis"] == axis, "size"].unique())
        lines += ["", f"| {axis} | {' | '.join(map(str, sizes))} | exponent |", "|---|" + "---:|" * (len(sizes) + 1)]
        for step in table.loc[table["axis"] == axis, "step"].unique():
            values = limits.series(table, axis, step)
            places = 0 if step == MEMORY else 2
            cells = [f"{value:,.{places}f}" for value in values] + [f"{round(limits.exponent(values), 1) + 0:.1f}"]
            lines.append(f"| {step} | {' | '.join(cells)} |")
    return lines


def verdict(measured: float, goal: float) -> str:
    """Whether the goal is reached, and if not, by how much it is missed."""
    return "reached" if measured <= goal else f"**missed**, {significant(measured / goal)} times the goal"


def significant(number: float) -> str:
    """`number` with two significant digits, or all of those before its point."""
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}"
