"""The moments at which the process of a scenario can be killed: each operation on a file, each statement that writes, each alert sent."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb

from market_rotation.tasks.alerts import deliver

#: Statements that read leave nothing behind.
WRITING = ("insert", "update", "delete", "create", "alter", "drop", "attach", "detach", "copy", "force")
FILES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.truncate", "subprocess.Popen"}
#: Where `count` leaves what it counted, and what says which alerts are on record.
COUNTED, MARKS = "moments", "marks"


class Moments:
    """Counts the moments of this process from now on, and kills it at number `last`, the first being 1; None never."""

    def __init__(self, home: Path, last: int | None) -> None:
        self.home, self.last = home, last
        self.passed: list[str] = []
        self._lock = threading.Lock()

    def at(self, what: str) -> None:
        """One moment."""
        with self._lock:
            self.passed.append(what)
            if len(self.passed) == self.last:
                os.kill(os.getpid(), signal.SIGKILL)

    def mark(self, what: str) -> None:
        """A line in the home that a kill cannot take back."""
        descriptor = os.open(self.home / MARKS, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
        os.write(descriptor, f"{what}\n".encode())
        os.close(descriptor)

    def save(self) -> None:
        """Leaves the list of moments in the home."""
        (self.home / COUNTED).write_text("\n".join(self.passed))


def count(home: Path, last: int | None = None) -> Moments:
    """Moments of this process, for the rest of its life."""
    moments = Moments(home, last)

    def heard(event: str, arguments: tuple[Any, ...]) -> None:
        if event in FILES:
            moments.at(event)
        elif event == "open" and (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR):
            path = Path(str(arguments[0]))
            if home in path.parents and path.name not in (COUNTED, MARKS):
                moments.at("open to write")

    sys.addaudithook(heard)
    # In use every file is synced; a trial need not survive the machine.
    os.fsync = lambda fd: moments.at("fsync")
    for name in ("execute", "executemany", "commit", "close", "__exit__"):
        _around(duckdb.DuckDBPyConnection, name, moments, _of_statement(name))
    _around(deliver.Channel, "notify", moments, lambda _: "send")
    _around(deliver, "_record", moments, lambda _: "record")
    return moments


def sent_and_not_recorded(home: Path) -> int:
    """Alerts that processes sent and were killed before they recorded that."""
    path = home / MARKS
    marks = path.read_text().splitlines() if path.exists() else []
    return marks.count("send") - marks.count("record")


def _around(owner: Any, name: str, moments: Moments, label: Callable[[tuple[Any, ...]], str | None]) -> None:
    """A moment before and one after each call of the function `name` of `owner`, where `label` names it."""
    genuine = getattr(owner, name)

    def counted(*arguments: Any, **named: Any) -> Any:
        what = label(arguments)
        if what is None:
            return genuine(*arguments, **named)
        moments.at(f"before {what}")
        if what == "send":
            moments.mark(what)
        result = genuine(*arguments, **named)
        if what == "record":
            moments.mark(what)
        moments.at(f"after {what}")
        return result

    setattr(owner, name, counted)


def _of_statement(name: str) -> Callable[[tuple[Any, ...]], str | None]:
    def label(arguments: tuple[Any, ...]) -> str | None:
        if not name.startswith("execute"):
            return "close" if name == "__exit__" else name
        text = str(arguments[1]).lstrip().lower() if len(arguments) > 1 else ""
        return text.split(maxsplit=1)[0] if text.startswith(WRITING) else None

    return label
