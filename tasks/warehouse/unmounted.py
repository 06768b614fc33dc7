"""A warehouse whose disk is not mounted: its folder is there and empty, and a run would begin a new history on another disk.

An empty folder is also what a first run finds, so the user's folder of state remembers where something was published.
"""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import date
from pathlib import Path

from market_rotation.tasks import paths
from market_rotation.tasks.errors import RotationError

#: What an empty file system holds, and what runs leave in a folder before they open a database in it.
_NOTHING = ("lost+found", "watch.json", ".build.duckdb.recovery")


def remember(published: Path, session: date) -> None:
    """Records that `session` was published at `published`. Without a folder of state that can be written nothing is recorded."""
    memory = _memory(published)
    with suppress(OSError):
        memory.parent.mkdir(parents=True, exist_ok=True)
        memory.write_text(json.dumps({"published": str(published.absolute()), "session": f"{session}"}), "utf-8")


def refuse(build: Path, published: Path) -> None:
    """Raises `RotationError` where `published` was published earlier and its folder is empty now.

    A folder that was deleted is not: then the next run begins from nothing, as its owner wants.
    """
    folder = published.parent
    if build.exists() or published.exists() or not folder.is_dir():
        return
    try:
        known = json.loads(_memory(published).read_text("utf-8"))["session"]
        is_empty = all(entry.name in _NOTHING for entry in folder.iterdir())
    except (OSError, ValueError, KeyError, TypeError):
        return
    if is_empty:
        raise RotationError(
            f"{folder} is empty, but {known} was published there: mount its disk, or restore a backup. "
            "To begin a new warehouse there instead, remove the folder, or with a disk of its own the file "
            f"{_memory(published)}."
        )


def _memory(published: Path) -> Path:
    return paths.of_state(published, "published")
