"""Opens a published DuckDB file to read it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from market_rotation.tasks import paths
from market_rotation.tasks.errors import RotationError
from market_rotation.tasks.warehouse import formats


@contextmanager
def reading_file(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The published file at `path`, read-only. Raises `RotationError` when it does not exist, or lacks a table or column of the query,
    `ConfigError` where it does because a newer version published it."""
    refuse_missing_file(path)
    try:
        con = duckdb.connect(str(path), read_only=True)
    except duckdb.Error as error:
        raise RotationError(f"{path} cannot be opened: {first_line(error)}.") from None
    try:
        con.execute("set timezone = 'UTC'")
        with formats.upgrading(con, path):
            yield con
    finally:
        con.close()


def open_file_alone(path: Path) -> duckdb.DuckDBPyConnection:
    """The published file at `path`, read-only, apart from all other connections of this process; raises as `reading_file` does."""
    refuse_missing_file(path)
    con = duckdb.connect()
    try:
        con.execute(f"attach '{str(path).replace(chr(39), chr(39) * 2)}' as rotation (read_only)")
        con.execute("use rotation")
        # For all cursors of the connection.
        con.execute("set global timezone = 'UTC'")
    except duckdb.Error as error:
        con.close()
        raise RotationError(f"{path} cannot be opened: {first_line(error)}.") from None
    return con


def refuse_missing_file(path: Path) -> None:
    """Raises `RotationError` when there is no database file at `path`."""
    refuse_other_than_file(path)
    if not path.is_file():
        raise RotationError(
            f"There is no warehouse at {path} yet; create one with `rotation run`, or set ROTATION_HOME."
        )


def refuse_other_than_file(path: Path) -> None:
    """Raises `RotationError` when there is a folder or a broken link where the database file `path` belongs."""
    try:
        paths.refuse_other_than_file(path)
    except ValueError as error:
        raise RotationError(
            f"{path} cannot be used as a database file ({error}); move it away, or set ROTATION_HOME to another folder."
        ) from None


def first_line(error: Exception) -> str:
    """What an error says, without DuckDB's excerpt of the statement."""
    return str(error).splitlines()[0][:300]
