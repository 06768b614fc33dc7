"""A build database that is lost or damaged: the next run starts from the published file, which holds the same history."""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import duckdb

from market_rotation.tasks.errors import RotationError
from market_rotation.tasks.warehouse import damage, formats, history, unmounted
from market_rotation.tasks.warehouse.files import copy, sync
from market_rotation.tasks.warehouse.open_file import reading_file, refuse_other_than_file

log = logging.getLogger("rotation.warehouse")


def prepare(build: Path, published: Path) -> None:
    """Makes sure that `build` exists and holds at least the history of `published`, before a run or a change opens it to write.

    One that is lost, empty or damaged becomes a copy of the published file; the damaged one is kept beside it. Raises `RotationError`
    where there is no published file to start from, where `build` holds less than it, where either is not a file, or where a newer version
    wrote it, or where the disk of the warehouse is not mounted.
    """
    for path in (build, published):
        refuse_other_than_file(path)
    unmounted.refuse(build, published)
    if _fault(build, published) is None:
        return
    with _alone(build):
        # Another process may have recovered it meanwhile.
        fault = _fault(build, published)
        if fault is None:
            return
        has = history.measure_published(published)
        if has is None:
            also = (
                f", and {published} cannot be read either" if published.exists() else f", and there is no {published}"
            )
            raise RotationError(f"{build} {fault}{also}; {history.PAGE}, says how to go on.")
        _copy_back(build, published, has, fault)


def _fault(build: Path, published: Path) -> str | None:
    """Why `build` cannot be used as it is; None where it can, or where opening it will say what is wrong."""
    if not build.exists():
        return "is missing" if published.is_file() else None
    if build.stat().st_size == 0 and not published.exists():
        # A first run that was killed at once leaves this file, which never held any data.
        build.unlink()
        return None
    # A process that ends in order leaves no write-ahead log.
    has_log = build.with_name(f"{build.name}.wal").exists()
    try:
        with duckdb.connect(str(build)) as con:
            formats.refuse_newer(con, build)
            held = history.measure(con)
            if has_log or damage.is_short(con, build) or not _has_ended_well(con):
                damage.read_all(con)
    except duckdb.Error as error:
        return f"is damaged ({str(error).splitlines()[0][:200]})" if damage.is_damage(error) else None
    has = history.measure_published(published) if published.is_file() else None
    if not has or history.lacking(held, has) is None:
        return None
    if not any(held.values()):
        return "holds nothing"
    with duckdb.connect(str(build)) as con:
        history.refuse_shorter(con, build, published)
    return None


def _has_ended_well(con: duckdb.DuckDBPyConnection) -> bool:
    """Whether the last run was neither killed, failed nor blocked, as it is on a damaged file."""
    try:
        row = con.execute("select status from ops.runs order by run_id desc limit 1").fetchone()
    except duckdb.CatalogException:
        return True
    return row is None or row[0] in ("published", "up_to_date")


def _copy_back(build: Path, published: Path, has: dict[str, int], fault: str) -> None:
    temporary = build.with_name(f".{build.name}.tmp")
    try:
        copy(published, temporary)
        temporary.chmod(0o644)
        with reading_file(temporary) as con:
            formats.refuse_newer(con, published)
            if words := history.lacking(history.measure(con), has):
                raise RotationError(f"The copy of {published} is not whole ({words}); check the disk, then run again.")
            damage.read_all(con)
        kept = move_away(build)
        sync(temporary)
        os.replace(temporary, build)
        sync(build.parent)
    except OSError as error:
        raise RotationError(
            f"{build} {fault} and cannot be made from {published} ({error.strerror or error}); make room or correct the permissions, "
            "then run again."
        ) from None
    except duckdb.Error as error:
        raise RotationError(
            f"{build} {fault}, and the copy of {published} cannot be read ({str(error).splitlines()[0][:200]}); {history.PAGE}, says how to go on."
        ) from None
    finally:
        temporary.unlink(missing_ok=True)
    log.warning(
        "%s %s; it is now a copy of %s.%s", build, fault, published, f" The old file is {kept}." if kept else ""
    )


def move_away(build: Path) -> Path | None:
    """Renames `build` and its write-ahead log, so that neither is lost nor used; returns the new name."""
    wal = build.with_name(f"{build.name}.wal")
    if not build.exists() and not wal.exists():
        return None
    kept = next(path for n in count(1) if not (path := build.with_name(f"{build.name}.damaged-{n}")).exists())
    for path in (build, wal):
        if path.exists():
            os.replace(path, kept.with_name(kept.name + path.name.removeprefix(build.name)))
    return kept


@contextmanager
def _alone(build: Path) -> Iterator[None]:
    """One process at a time."""
    build.parent.mkdir(parents=True, exist_ok=True)
    with build.with_name(f".{build.name}.recovery").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
