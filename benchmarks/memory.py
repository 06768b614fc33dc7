"""The peak memory of a rebuild under the setting that bounds it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.day import SIMULATED
from benchmarks.measure import Figure, environment

#: Limits of DuckDB's memory, MB.
LIMITS = (2000, 1500)
#: What Python and its libraries take beside it, MB.
BESIDE = 500


def measure(folder: Path) -> Iterator[Figure]:
    """`rotation rebuild` of the warehouse that `day.measure` left in `folder`, once for each limit."""
    for limit in LIMITS:
        env = {"ROTATION_HOME": str(folder / "day"), "ROTATION_MEMORY_LIMIT": f"{limit}MB", **SIMULATED}
        peak = peak_mb("-m", "market_rotation", "rebuild", "--to", str(folder / f"rebuilt-{limit}.duckdb"), env=env)
        claim = f"Peak memory of a rebuild, shipped universe, 21 years, with `ROTATION_MEMORY_LIMIT={limit}MB`"
        yield Figure(claim, "largest resident size of `rotation rebuild`", peak, limit + BESIDE, "MB")


def peak_mb(*arguments: str, env: dict[str, str]) -> float:
    """The largest resident size, in MB, of a Python process that must end well."""
    process = subprocess.Popen([sys.executable, *arguments], env=environment(env), stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(arguments)} ended with {process.returncode}.")
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6
