"""Publishing: the build database becomes the file that readers open, in one atomic step."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb


def publish(con: duckdb.DuckDBPyConnection, build: Path, published: Path) -> None:
    """Replaces `published` by a copy of `build`, which `con` holds open with nothing uncommitted.

    A reader that has the file open keeps the old one; who opens it sees the old or the new one, never a mix. Both lie in one
    folder, since a rename is atomic only within a file system.
    """
    # Everything must be in the file itself: a write-ahead log left beside the copy would belong to another file.
    con.execute("force checkpoint")
    temporary = published.with_name(f".{published.name}.tmp")
    try:
        _copy(build, temporary)
        _sync(temporary)
        # Who opens it for writing would lock out the readers, and lose what was written at the next run.
        temporary.chmod(0o444)
        published.with_name(published.name + ".wal").unlink(missing_ok=True)
        os.replace(temporary, published)
        _sync(published.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _copy(build: Path, target: Path) -> None:
    # In a process of its own: to POSIX, closing a file here would end all locks this process has on it, DuckDB's too, and let a second run in.
    done = subprocess.run(["cp", "-f", "--", str(build), str(target)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"{build} cannot be copied: {done.stderr.strip()}")


def _sync(path: Path) -> None:
    """Waits until the file or folder is on disk, so that a power cut can't leave the name without the content."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
