"""Publishing: the build database becomes the file that readers open, in one atomic step."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb

from market_rotation.tasks.errors import RotationError
from market_rotation.tasks.warehouse import damage, history
from market_rotation.tasks.warehouse.files import copy, sync


def clear_stage(con: duckdb.DuckDBPyConnection) -> None:
    """Drops all staged tables, so that the published file contains nothing that was not audited."""
    con.execute("drop schema stage cascade")
    con.execute("create schema stage")


def publish(
    con: duckdb.DuckDBPyConnection,
    build: Path,
    published: Path,
    finish: Callable[[duckdb.DuckDBPyConnection], object] | None = None,
) -> None:
    """Replaces `published` by a copy of `build`, which `con` holds open with nothing uncommitted.

    `finish` writes into the copy before readers get it, for records that are true only once they have it. A reader with the file open keeps
    the old one; one that opens it sees the old or the new one, never a mix. Both files lie in one folder, since a rename is atomic only
    within a file system. Raises `RotationError` when the copy cannot be made or put in place, for example on a full disk, when it holds less
    history than readers have, or when a part of it cannot be read; then readers keep the old file.
    """
    history.refuse_shorter(con, build, published)
    with _replacing(published) as temporary, _refusing_damage(build):
        # All data must be in the file itself: a write-ahead log left beside the copy would belong to another file.
        con.execute("force checkpoint")
        copy(build, temporary)
        if finish:
            with duckdb.connect(str(temporary)) as made:
                made.execute("set timezone = 'UTC'")
                finish(made)
        with duckdb.connect(str(temporary), read_only=True) as made:
            damage.read_all(made)


@contextmanager
def _refusing_damage(build: Path) -> Iterator[None]:
    """Raises `RotationError` where DuckDB finds in the block that the content of `build`, or of its copy, is wrong."""
    try:
        yield
    except duckdb.Error as error:
        if not damage.is_damage(error):
            raise
        raise RotationError(
            f"{build} is damaged ({str(error).splitlines()[0][:200]}), so it is not published and readers still see the previous file; "
            "run again: the next run goes on from the published file."
        ) from error


def publish_ledgers(con: duckdb.DuckDBPyConnection, published: Path, ledgers: Sequence[str]) -> None:
    """Replaces `ledgers`, tables of `ops`, in the published file by those of `con`, and nothing else in it; raises as `publish` does.

    It serves a run that built new tables and could not publish them: readers see that it failed, but none of its new tables.
    """
    with _replacing(published) as temporary:
        copy(published, temporary)
        temporary.chmod(0o644)
        con.execute(f"attach '{str(temporary).replace(chr(39), chr(39) * 2)}' as readers")
        try:
            for table in ledgers:
                con.execute(f"delete from readers.{table}")
                con.execute(f"insert into readers.{table} by name from {table}")
        finally:
            con.execute("detach readers")


@contextmanager
def _replacing(published: Path) -> Iterator[Path]:
    """A path for the new file, which takes the place of `published` when the block ends without an error."""
    temporary = published.with_name(f".{published.name}.tmp")
    try:
        yield temporary
        sync(temporary)
        # A reader that opened it for writing would lock out other readers, and the next run would overwrite its changes.
        temporary.chmod(0o444)
        published.with_name(published.name + ".wal").unlink(missing_ok=True)
        os.replace(temporary, published)
        sync(published.parent)
    except (OSError, duckdb.Error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error).splitlines()[0]
        raise RotationError(
            f"{published} could not be replaced ({reason}), so readers still see the previous file; "
            "make room or correct the permissions there, then run again."
        ) from error
    finally:
        for leftover in (temporary, temporary.with_name(temporary.name + ".wal")):
            with suppress(OSError):
                leftover.unlink(missing_ok=True)
