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
    """The value at `factor` times the smallest size, from the value at the largest and the exponent; noise under 0 counts as 0."""
    reached = values.index[-1] / values.index[0]
    return float(values.iloc[-1] * (factor / reached) ** max(exponent(values), 0.0))


def section(table: pd.DataFrame) -> list[str]:
    """The lines of the page."""
    steps = [name for name in table.loc[table["axis"] == "symbols", "step"].unique() if name not in (TOTAL, MEMORY)]
    costs = pd.DataFrame({name: outlook(series(table, "symbols", name)) for name in steps}).T
    memory_mb = outlook(series(table, "symbols", MEMORY))
    few = int(table.loc[table["axis"] == "symbols", "size"].min())
    lines = [
        "## Where the next limit lies",
        "",
        "Computed from the exponents of a first run with 21 years, not measured. Fixed costs flatten an exponent of small sizes, so that the true cost is",
        "rather more. The lines of 2,000 symbols above are measured.",
        "",
        f"| | {' | '.join(f'{few * factor:,} symbols' for factor in costs)} |",
        "|---|" + "---:|" * len(costs.columns),
    ]
    lines += [row(f"{name}, s", "{:,.1f}", costs.loc[name]) for name in steps]
    lines += [row("all of these, s", "{:,.1f}", costs.sum()), row(MEMORY, "{:,.0f}", memory_mb), ""]
    for factor in FACTORS:
        share = costs[factor].max() / costs[factor].sum()
        lines.append(
            f"At {factor} times the symbols, `{costs[factor].idxmax()}` takes longest: {share:.0%} of the time."
        )
    return [*lines, *carried(memory_mb)]


def outlook(values: pd.Series) -> pd.Series:
    """The value at the smallest size, and at each factor of it."""
    return pd.Series({1: values.iloc[0], **{factor: expected(values, factor) for factor in FACTORS}})


def row(name: str, form: str, values: pd.Series) -> str:
    """A row of the table."""
    return f"| {name} | {' | '.join(form.format(value) for value in values)} |"


def carried(memory_mb: pd.Series) -> list[str]:
    """Whether the memory of this machine carries it, and what happens where it does not."""
    with duckdb.connect() as con:
        (limit,) = con.execute("select current_setting('memory_limit')").fetchone() or ("",)
    has_mb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**20
    verdicts = [f"{'enough' if memory_mb[factor] <= has_mb else 'too little'} for {factor} times" for factor in FACTORS]
    return [
        f"By the exponent of peak memory, this machine's {has_mb:,.0f} MB are {' and '.join(verdicts)}. DuckDB takes at most 80 % of a machine's memory",
        f"({limit} here) and writes what a join, sort or window needs beyond that to a folder beside the build database. What Python holds (the vendor's",
        "answers, the report) is not written there.",
    ]
