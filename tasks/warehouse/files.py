"""Copies database files, and makes sure that files are on disk."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

#: Where the file system can share blocks between files (XFS, Btrfs, APFS), a copy takes no time and no room.
_REFLINK = {"linux": ["--reflink=auto"], "darwin": ["-c"]}.get(sys.platform, [])


def copy(source: Path, target: Path) -> None:
    """Copies a database file. Raises `OSError`, for example on a full disk.

    What is at `target` is removed first, with its write-ahead log: that of a killed process would be replayed into the copy, and the `cp`
    of one may still be writing.
    """
    for left in (target, target.with_name(f"{target.name}.wal")):
        left.unlink(missing_ok=True)
    # In a separate process: under POSIX, closing the file here would release all locks of this process on it, DuckDB's too, and admit a second run.
    done = subprocess.run(
        ["cp", "-f", *_REFLINK, "--", str(source), str(target)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise OSError(f"{source} cannot be copied: {done.stderr.strip()}")


def sync(path: Path) -> None:
    """Waits until the file or folder is on disk, so that a power cut cannot leave the name without the content."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
