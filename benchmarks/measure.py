"""Seconds of whole commands and of calls, side by side in one run."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[1]


@dataclass(frozen=True)
class Ratio:
    """One line of the page: what was measured against what, wall-clock seconds of both, and the ratio to reach."""

    claim: str
    ours: str
    baseline: str
    ours_s: float
    baseline_s: float
    goal: float

    @property
    def ratio(self) -> float:
        return self.ours_s / self.baseline_s


def command(*arguments: str, env: Mapping[str, str]) -> float:
    """Seconds that a Python process takes from its start to its end. Raises `RuntimeError` with its output when it fails."""
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments], env=environment(env), text=True, capture_output=True, check=False
    )
    seconds = time.perf_counter() - began
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return seconds


def environment(more: Mapping[str, str]) -> dict[str, str]:
    """The environment of a command: this one's without the settings of a warehouse, and `more`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ROTATION_")}
    return {**kept, "PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'tests'}", "ROTATION_REPORT": "false", **more}


def seconds(call: Callable[[], Any]) -> float:
    """Seconds that `call` takes."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began
