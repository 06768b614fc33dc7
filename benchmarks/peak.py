"""The largest resident memory of a process. `python -m benchmarks.peak MODULE ARGUMENTS` runs a module and prints its own last, in MB."""

from __future__ import annotations

import resource
import runpy
import sys
from pathlib import Path


def peak_mb() -> float:
    """The most that this process had resident until now, in MB."""
    status = Path("/proc/self/status")
    if status.exists():
        # Not ru_maxrss, which on Linux begins with that of the process that started this one.
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


if __name__ == "__main__":
    sys.argv = sys.argv[1:]
    try:
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if end.code:
            raise
    sys.stdout.write(f"{peak_mb()}\n")
