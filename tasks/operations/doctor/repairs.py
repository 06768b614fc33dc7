"""What `rotation doctor --fix` repairs in the home: only what is safe at any time, and nothing that a run, a vendor or a person must decide."""

from __future__ import annotations

import shutil
import stat
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from market_rotation.tasks.operations.doctor.findings import Finding
from market_rotation.tasks.settings import SECRET, home_folder
from market_rotation.tasks.warehouse.lock import holder

if TYPE_CHECKING:
    from market_rotation.tasks.settings import Settings

#: A temporary file this old belongs to no process that still runs: a run is stopped after an hour.
ABANDONED_AFTER = timedelta(hours=2)
READ_BY_OTHERS = stat.S_IRGRP | stat.S_IROTH
WRITABLE = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH


class Repair(NamedTuple):
    """A fault, the repair, and what was done, each text a sentence. A fault that the next run repairs itself is not a warning."""

    fault: str
    apply: Callable[[], object]
    done: str
    is_warning: bool = True


def files(settings: Settings, now: datetime, fix: bool = False) -> Iterator[Finding]:
    """Missing folders, wrong modes and abandoned temporary files; with `fix`, what was done about each."""
    repairs = [*_folders(settings), *_modes(settings), *_abandoned(settings, now)]
    for repair in repairs:
        if fix:
            try:
                repair.apply()
            except OSError as error:
                reason = error.strerror or type(error).__name__
                yield Finding(
                    "fail", "files", f"{repair.fault} It cannot be repaired ({reason}).", "Correct the permissions."
                )
            else:
                yield Finding("fixed", "files", repair.done)
        elif repair.is_warning:
            yield Finding("warn", "files", repair.fault, "`rotation doctor --fix` repairs it.")
    if not any(repair.is_warning for repair in repairs) and not (fix and repairs):
        yield Finding("ok", "files", "Modes are right, and no temporary file was left behind.")


def _folders(settings: Settings) -> Iterator[Repair]:
    for folder in dict.fromkeys([settings.home, settings.build.parent]):
        if not folder.exists():
            make = partial(folder.mkdir, parents=True, exist_ok=True)
            yield Repair(f"The folder {folder} is missing.", make, f"Created the folder {folder}.", is_warning=False)


def _modes(settings: Settings) -> Iterator[Repair]:
    build, toml = settings.build, home_folder() / "rotation.toml"
    for published in [path for path in settings.database_files[1:] if (_mode(path) or 0) & WRITABLE]:
        yield Repair(
            f"{published} can be written to, so a reader may open it for writing and lock out the others.",
            partial(published.chmod, 0o444),
            f"Made {published} read-only.",
        )
    if (mode := _mode(build)) is not None and not mode & stat.S_IWUSR:
        yield Repair(
            f"{build} is read-only, so no run can write to it.",
            partial(build.chmod, mode | stat.S_IWUSR),
            f"Made {build} writable for its owner.",
        )
    if (mode := _mode(toml)) is not None and mode & READ_BY_OTHERS and _holds_secret(toml):
        yield Repair(
            f"{toml} holds secrets, and other users can read it.",
            partial(toml.chmod, 0o600),
            f"Made {toml} readable by its owner alone. Whoever read it before still has the secrets.",
        )


def _abandoned(settings: Settings, now: datetime) -> Iterator[Repair]:
    """Temporary files of processes that were killed. While a process holds the build database, all may be in use."""
    if holder(settings.build):
        return
    rebuilt = settings.build.with_name("rebuilt.duckdb")
    names = {f".{path.name}.tmp" for path in (*settings.database_files, rebuilt)}
    names |= {f"{name}.wal" for name in names}
    found = {path for folder in {settings.home, settings.build.parent} for path in _in(folder)}
    for path in sorted(found):
        is_ours = path.name in names or (path.name.startswith(".report-") and path.is_dir() and not path.is_symlink())
        if is_ours and now - datetime.fromtimestamp(path.lstat().st_mtime, UTC) > ABANDONED_AFTER and not holder(path):
            remove = partial(shutil.rmtree, path) if path.is_dir() else partial(path.unlink, missing_ok=True)
            yield Repair(f"{path} was left behind by a process that was killed.", remove, f"Removed {path}.")


def _in(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _mode(path: Path) -> int | None:
    return stat.S_IMODE(path.stat().st_mode) if path.is_file() else None


def _holds_secret(toml: Path) -> bool:
    import tomllib

    try:
        found = tomllib.loads(toml.read_text(encoding="utf-8"))
        return any(found.get(name) for name in SECRET) or "password" in str(found.get("warehouse"))
    except (OSError, ValueError):
        return False
