"""Where the next limit lies: what the measured growth says of ten and a hundred times the symbols."""

from __future__ import annotations

import os

import duckdb
import numpy as np
import pandas as pd

from benchmarks.growth import MEMORY, TOTAL

FACTORS = (10, 100)


def series(table: pd.DataFrame, axis: str, step: str) -> pd.Series:
    """The values of a step by size, smallest size first."""
    chosen = table[(table["axis"] == axis) & (table["step"] == step)]
    return chosen.set_index("size")["value"].sort_index()


def exponent(values: pd.Series) -> float:
    """The slope of the logarithm of the values against that of their sizes, by least squares: 1 is proportional."""
    return float(np.polyfit(np.log(values.index.to_numpy(float)), np.log(values.to_numpy(float)), 1)[0])


def expected(values: pd.Series, factor: int) -> float:
    """The value at `factor` times the smallest size, from the value at the largest and the exponent."""
    reached = values.index[-1] / values.index[0]
    return float(values.iloc[-1] * (factor / reached) ** exponent(values))


def section(table: pd.DataFrame) -> list[str]:
    """The lines of the page."""
    of_symbols = {
        step: series(table, "symbols", step) for step in table.loc[table["axis"] == "symbols", "step"].unique()
    }
    few = of_symbols[TOTAL].index[0]
    lines = [
        "## Where the next limit lies",
        "",
        "Computed from the exponents of a first run with 21 years, not measured. Fixed costs flatten an exponent of small sizes, so that the true cost is",
        "rather more. The lines of 2,000 symbols above are measured.",
        "",
        f"| | {few} symbols | {' | '.join(f'{few * factor:,}' for factor in FACTORS)} |",
        "|---|---:|" + "---:|" * len(FACTORS),
    ]
    for step, values in of_symbols.items():
        unit = "" if step == MEMORY else ", s"
        numbers = [values.iloc[0], *(expected(values, factor) for factor in FACTORS)]
        lines.append(
            f"| {step}{unit} | " + " | ".join(f"{number:,.{0 if step == MEMORY else 1}f}" for number in numbers) + " |"
        )
    return [*lines, "", *longest(of_symbols), *carried(of_symbols[MEMORY])]


def longest(of_symbols: dict[str, pd.Series]) -> list[str]:
    """What takes longest at each factor."""
    steps = {step: values for step, values in of_symbols.items() if step not in (TOTAL, MEMORY)}
    found = []
    for factor in FACTORS:
        costs = {step: expected(values, factor) for step, values in steps.items()}
        most = max(costs, key=lambda step: costs[step])
        found.append(
            f"At {factor} times the symbols `{most}` takes longest: {costs[most] / sum(costs.values()):.0%} of {sum(costs.values()):,.0f} s."
        )
    return found


def carried(memory: pd.Series) -> list[str]:
    """Whether the memory of this machine carries it, and what happens where it does not."""
    with duckdb.connect() as con:
        (limit,) = con.execute("select current_setting('memory_limit')").fetchone() or ("",)
    has_mb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**20
    needed = {factor: expected(memory, factor) for factor in FACTORS}
    fits = [f"{factor} times" for factor, mb in needed.items() if mb <= has_mb]
    lacks = [f"{factor} times" for factor, mb in needed.items() if mb > has_mb]
    words = [f"Memory of this machine ({has_mb:,.0f} MB) carries {' and '.join(fits)}." if fits else ""]
    if lacks:
        words.append(f"It does not carry {' and '.join(lacks)}.")
    words.append(
        f"DuckDB takes at most 80 % of a machine's memory ({limit} here) and writes what a join, sort or window needs beyond that to a folder beside the build"
    )
    return [
        " ".join(word for word in words if word),
        "database. What Python holds (the vendor's answers, the report) is not written there.",
    ]
