"""Copies database files, and makes sure that files are on disk."""

from __future__ import annotations

import os
import subprocess
from functools import cache
from pathlib import Path


def copy(source: Path, target: Path) -> None:
    """Copies a database file. Raises `OSError`, for example on a full disk.

    What is at `target` is removed first, with its write-ahead log: that of a killed process would be replayed into the copy, and the `cp`
    of one may still be writing.
    """
    for left in (target, target.with_name(f"{target.name}.wal")):
        left.unlink(missing_ok=True)
    # In a separate process: under POSIX, closing the file here would release all locks of this process on it, DuckDB's too, and admit a second run.
    done = subprocess.run(
        ["cp", "-f", *_reflink(), "--", str(source), str(target)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise OSError(f"{source} cannot be copied: {done.stderr.strip()}")


@cache
def _reflink() -> tuple[str, ...]:
    """The option of this machine's `cp` that shares blocks where the file system can (XFS, Btrfs): such a copy takes no time and no room."""
    # GNU's has it; BusyBox's, in small images, may not, and ends with an error on an option that it does not know.
    described = subprocess.run(["cp", "--help"], capture_output=True, text=True, check=False)
    return ("--reflink=auto",) if "--reflink" in described.stdout + described.stderr else ()


def sync(path: Path) -> None:
    """Waits until the file or folder is on disk, so that a power cut cannot leave the name without the content."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
