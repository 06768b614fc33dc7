"""What a power cut leaves of files that were written and not synced: shorter, with zeros, or as another process left them."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

#: Files of a home that a run writes, but for the published one, which is synced before it takes its name.
CUT = ("warehouse/build.duckdb.wal", "warehouse/build.duckdb", "warehouse/watch.json")
CUT_FOLDERS = ("warehouse/fetched", "warehouse/reports", "warehouse/data_docs", "state")
#: Of a DuckDB file, in bytes.
HEADERS, BLOCK = 3 * 4096, 262144


def cut(home: Path, rng: random.Random) -> str:
    """Damages one file of `home`; returns which and how."""
    found = [home / name for name in CUT if (home / name).exists()]
    found += [path for name in CUT_FOLDERS for path in sorted((home / name).rglob("*")) if path.is_file()]
    if rng.random() < 0.1:
        return _half_a_copy(home, rng)
    # A process may be killed between setting a build database aside and beginning another.
    if not found:
        return "no file to damage"
    log = home / CUT[0]
    # The write-ahead log is what a power cut leaves short; anything else is rarer.
    if log.exists() and log.stat().st_size and rng.random() < 0.6:
        path = log
    else:
        path = rng.choice(found[:2] if rng.random() < 0.5 else found)
    size, name = path.stat().st_size, path.relative_to(home)
    at = rng.randrange(size + 1)
    how = rng.choice(["cut", "cut", "zeros", "block" if path.suffix == ".duckdb" else "cut"])
    if how == "cut":
        os.truncate(path, at)
        return f"{name} cut to {at} of {size} bytes"
    end = size
    if how == "block":
        at = HEADERS + BLOCK * rng.randrange(max(1, (size - HEADERS) // BLOCK))
        end = min(size, at + BLOCK)
    with path.open("r+b") as file:
        file.seek(at)
        file.write(bytes(end - at))
    return f"{name} zeros from {at} to {end} of {size} bytes"


def _half_a_copy(home: Path, rng: random.Random) -> str:
    """A temporary copy, and the log of changes to it, as a process left them that was killed while it published."""
    build, temporary = home / "warehouse" / "build.duckdb", home / "warehouse" / ".rotation.duckdb.tmp"
    if not build.exists():
        return "nothing"
    temporary.unlink(missing_ok=True)
    shutil.copy(build, temporary)
    temporary.chmod(0o644)
    size = rng.randrange(temporary.stat().st_size + 1)
    os.truncate(temporary, size)
    log = home / CUT[0]
    if log.exists():
        shutil.copy(log, temporary.with_name(f"{temporary.name}.wal"))
    return f"{temporary.relative_to(home)} left with {size} bytes"
