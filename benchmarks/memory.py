"""The peak memory of a rebuild under the setting that bounds it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks.day import SIMULATED
from benchmarks.measure import Figure, output

#: Limits of DuckDB's memory, MB.
LIMITS = (2000, 1500)
#: What Python and its libraries take beside it, MB.
BESIDE = 500


def measure(folder: Path) -> Iterator[Figure]:
    """`rotation rebuild` of the warehouse that `day.measure` left in `folder`, once for each limit."""
    for limit in LIMITS:
        env = {"ROTATION_HOME": str(folder / "day"), "ROTATION_MEMORY_LIMIT": f"{limit}MB", **SIMULATED}
        rebuild = ("market_rotation", "rebuild", "--to", str(folder / f"rebuilt-{limit}.duckdb"))
        peak = float(output("-m", "benchmarks.peak", *rebuild, env=env).splitlines()[-1])
        claim = f"Peak memory of a rebuild, shipped universe, 21 years, with `ROTATION_MEMORY_LIMIT={limit}MB`"
        yield Figure(claim, "largest resident size of `rotation rebuild`", peak, limit + BESIDE, "MB")
