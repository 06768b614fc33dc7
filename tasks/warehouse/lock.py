"""The process that holds the lock on a database file, from the operating system, without taking the lock."""

from __future__ import annotations

import fcntl
import struct
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple


class Holder(NamedTuple):
    """The process that holds the lock, and when it started, UTC; None when this machine cannot see it (another machine or container).

    `is_writing` is false for a process that has the file open for reading only, which also blocks writers.
    """

    process: int | None
    since: datetime | None
    is_writing: bool

    def __str__(self) -> str:
        """For a sentence."""
        if self.process is None:
            return "a process of another machine or container"
        since = f", which started at {self.since:%Y-%m-%d %H:%M} UTC" if self.since else ""
        return f"process {self.process}{since}"


def holder(path: Path) -> Holder | None:
    """The process that has the database at `path` open, None when no process has or the file does not exist.

    Not for the process that has the database open itself: closing any descriptor of a file ends that process's locks on it (POSIX).
    """
    # struct flock: 64-bit Linux, macOS.
    layout, kind, process = ("hhqqi4x", 0, 4) if sys.platform == "linux" else ("qqihh", 3, 2)
    asked: list[int] = [0] * 5
    # A write lock conflicts with any other lock, so the system names whichever process holds one.
    asked[kind] = fcntl.F_WRLCK
    try:
        with path.open("rb") as file:
            answer = struct.unpack(layout, fcntl.fcntl(file, fcntl.F_GETLK, struct.pack(layout, *asked)))
    except OSError:
        return None
    if answer[kind] == fcntl.F_UNLCK:
        return None
    holding = answer[process] if answer[process] > 0 else None
    return Holder(holding, _started(holding) if holding else None, answer[kind] == fcntl.F_WRLCK)


def _started(process: int) -> datetime | None:
    import psutil

    try:
        return datetime.fromtimestamp(psutil.Process(process).create_time(), UTC).replace(microsecond=0)
    except psutil.Error:
        return None
