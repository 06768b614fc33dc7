"""The report files: a folder per session, the newest report also as `latest`, and an index of all reports."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any

from market_rotation.tasks.errors import ConfigError
from market_rotation.tasks.report.board import current
from market_rotation.tasks.report.charts import theme
from market_rotation.tasks.report.exhibits.base import Report
from market_rotation.tasks.report.page import SIMULATED, environment, render
from market_rotation.tasks.report.picture import picture
from market_rotation.tasks.report.summary import summary

#: The files of a report's folder in the order of their replacement: the index entry comes last.
NAMES = ("report.png", "summary.txt", "index.html", "report.json")

_MAKING = ".making"


def write(report: Report, folder: Path, now: datetime) -> Path:
    """Writes the report of its session below `folder`, and what leads to it; returns the page.

    All of it is made before any of it is put in place. A session's first report appears as a whole; one that is written again is
    replaced file by file, each at once. Raises `ConfigError` when the folder can't be written.
    """
    contents = {
        "index.html": render(report, now).encode(),
        "summary.txt": summary(report).encode(),
        "report.png": picture(report),
    }
    note = _note(report) | {"sha256": {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}}
    contents["report.json"] = json.dumps(note, indent=1).encode()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder):
            _put(contents, folder / str(report.session))
            reports = past(folder)
            if reports[0]["session"] == report.session:
                _put(contents, folder / "latest")
            _replace(folder / "index.html", _index(reports).encode())
    except OSError as error:
        raise ConfigError(
            f"The report cannot be written to {folder} ({error.strerror}); make room there, or choose another folder."
        ) from None
    return folder / str(report.session) / "index.html"


def past(folder: Path) -> list[dict[str, Any]]:
    """The notes of the reports below `folder`, newest session first; other files are ignored."""
    found = []
    for path in folder.glob("????-??-??/report.json"):
        try:
            note = json.loads(path.read_text(encoding="utf-8"))
            note["session"] = date.fromisoformat(note["session"])
            note["known_at"] = datetime.fromisoformat(note["known_at"])
            if {"label", "is_simulated"} <= note.keys() and str(note["session"]) == path.parent.name:
                found.append(note)
        except (ValueError, KeyError, TypeError):
            continue
    return sorted(found, key=lambda note: note["session"], reverse=True)


def _note(report: Report) -> dict[str, Any]:
    now = current(report.headline)
    return {
        "session": str(report.session),
        "label": now["label"],
        **{
            name: now[name]
            for name in ("size_state", "size_score", "leadership_state", "leadership_score", "support_state")
        },
        "known_at": report.known_at.isoformat(),
        "is_simulated": report.is_simulated,
    }


def _index(reports: list[dict[str, Any]]) -> str:
    style = (theme.HERE / "report.css").read_text(encoding="utf-8")
    return (
        environment().get_template("index.html").render(reports=reports, style=theme.safe(style), simulated=SIMULATED)
    )


def _put(contents: Mapping[str, bytes], target: Path) -> None:
    """The folder `target` with these files: new as a whole, else each file replaced at once."""
    making = target.with_name(_MAKING)
    making.mkdir()
    for name in NAMES:
        _write(making / name, contents[name])
    if not target.exists():
        making.rename(target)
        return
    for name in NAMES:
        os.replace(making / name, target / name)
    making.rmdir()


def _replace(path: Path, content: bytes) -> None:
    making = path.with_name(_MAKING)
    _write(making, content)
    os.replace(making, path)


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        # Otherwise a power failure could leave the new name without content.
        os.fsync(file.fileno())


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Locks the folder against other writers, and removes incomplete files of a killed writer."""
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        making = folder / _MAKING
        if making.is_dir():
            shutil.rmtree(making)
        making.unlink(missing_ok=True)
        yield
