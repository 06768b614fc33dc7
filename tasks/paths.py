"""Paths in settings, which can be those of a file or folder of the project; and paths in the user's folder of state."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path


def usable(path: Path) -> Path:
    """`path` with `~` replaced. Raises `ValueError` when the system does not accept it; it need not exist."""
    try:
        expanded = path.expanduser()
        expanded.stat()
    except (FileNotFoundError, NotADirectoryError):
        # It may be created yet; whoever reads it says that it is missing.
        return expanded
    except (OSError, RuntimeError, ValueError) as error:
        raise ValueError(f"the path cannot be used ({getattr(error, 'strerror', None) or error})") from None
    return expanded


def expanded(path: str) -> Path:
    """The path with `~` replaced, where such a user exists."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def usable_by_duckdb(path: Path) -> Path:
    """`path`, of a database file or of its folder. Raises `ValueError` when DuckDB would read it as more than a path."""
    if "?" in str(path):
        raise ValueError("DuckDB reads the text after a '?' in a path as options; choose a path without it")
    if not path.is_absolute() and ":" in path.parts[0]:
        raise ValueError("DuckDB reads the text before a ':' as the kind of a database; give the absolute path")
    return path


def refuse_other_than_file(path: Path) -> None:
    """Raises `ValueError` when there is something at `path` that is not a file, for example a folder or a broken link."""
    if not path.is_file() and (path.is_symlink() or path.exists()):
        raise ValueError("it is a folder" if path.is_dir() else "it is not a file, or a broken link")


def is_same_file(path: Path, other: Path) -> bool:
    """Whether both paths lead to the same file, through any links; the file need not exist."""
    if os.path.realpath(path) == os.path.realpath(other):
        return True
    try:
        return path.samefile(other)
    except OSError:
        return False


def of_state(published: Path, name: str) -> Path:
    """A JSON file in the user's folder of state that belongs to the warehouse published at `published`; it need not exist."""
    folder = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "market-rotation"
    return folder / f"{name}-{hashlib.sha256(str(published.absolute()).encode()).hexdigest()[:8]}.json"
