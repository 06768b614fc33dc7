"""Seconds of whole commands and of calls, side by side in one run."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

REPOSITORY = Path(__file__).parents[1]


@dataclass(frozen=True)
class Ratio:
    """One line of the page: what was measured against what, wall-clock seconds of both, and the ratio to reach.

    `why`: why the goal is missed, printed when it is.
    """

    claim: str
    ours: str
    baseline: str
    ours_s: float
    baseline_s: float
    goal: float
    why: str = ""

    @property
    def ratio(self) -> float:
        return self.ours_s / self.baseline_s

    @property
    def is_missed(self) -> bool:
        return self.ratio > self.goal

    def __str__(self) -> str:
        return f"{self.claim}: {self.ours_s:.3g} s against {self.baseline_s:.3g} s, ratio {self.ratio:.2g}"


@dataclass(frozen=True)
class Figure:
    """One line of the page's second table: what was measured and how, the figure, and the one to stay under, in the same unit.

    `why`: as in a `Ratio`.
    """

    claim: str
    how: str
    measured: float
    goal: float
    unit: str
    why: str = ""

    @property
    def is_missed(self) -> bool:
        return self.measured > self.goal

    def __str__(self) -> str:
        return f"{self.claim}: {self.measured:.3g} {self.unit}"


def command(*arguments: str, env: Mapping[str, str]) -> float:
    """Seconds that a Python process takes from its start to its end. Raises `RuntimeError` with its output when it fails."""
    return seconds(lambda: output(*arguments, env=env))


def output(*arguments: str, env: Mapping[str, str]) -> str:
    """What a Python process prints. Raises `RuntimeError` with it when the process fails."""
    done = subprocess.run(
        [sys.executable, *arguments], env=environment(env), text=True, capture_output=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def environment(more: Mapping[str, str]) -> dict[str, str]:
    """The environment of a command: this one's without the settings of a warehouse and of Prefect, and `more`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ROTATION_", "PREFECT_"))}
    ours = {
        "PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'tests'}",
        "ROTATION_REPORT": "false",
        # The user's own profile may name a server.
        "PREFECT_PROFILES_PATH": os.devnull,
    }
    return {**kept, **ours, **more}


def seconds(call: Callable[[], Any]) -> float:
    """Seconds that `call` takes."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def median_seconds(call: Callable[[], Any], times: int = 5) -> float:
    """The median of the seconds that `times` calls take, for what takes too little to be measured once."""
    return median(seconds(call) for _ in range(times))
