"""Database files whose content is wrong: what a power cut, a full disk or a failing disk leaves of one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from market_rotation.tasks.errors import RotationError

#: What DuckDB says of a file whose content is wrong, and not of one that is locked, forbidden, or of a newer version.
_DAMAGE = (
    "not a valid DuckDB database",
    "Could not read enough bytes",
    "Corrupt database",
    "checksum",
    "Failure while replaying WAL",
    "ailed to deserialize",
)
#: Bytes before the first block: the main header and two database headers.
_HEADERS = 3 * 4096


def is_damage(error: BaseException) -> bool:
    """Whether DuckDB raised `error` because the content of a file is wrong."""
    kinds = (duckdb.SerializationException, duckdb.FatalException)
    return isinstance(error, kinds) or (
        isinstance(error, duckdb.Error) and any(words in str(error) for words in _DAMAGE)
    )


@contextmanager
def refused(build: Path) -> Iterator[None]:
    """Raises `RotationError` where DuckDB finds in the block that the content of `build`, or of its copy, is wrong."""
    try:
        yield
    except duckdb.Error as error:
        if not is_damage(error):
            raise
        raise RotationError(
            f"{build} is damaged ({str(error).splitlines()[0][:200]}), so it is not published and readers still see the previous state; "
            "run again: the next run goes on from what is published."
        ) from error


def read_all(con: duckdb.DuckDBPyConnection) -> None:
    """Reads every value of the current database. Raises `duckdb.Error` at the first block that is missing or damaged.

    Opening a file and counting its rows reads few of its blocks. Eighty megabytes take a fifth of a second.
    """
    tables = con.execute(
        "select schema_name, table_name from duckdb_tables() where database_name = current_database() and not temporary"
    ).fetchall()
    for schema, table in tables:
        con.execute(f'select bit_xor(hash(t)) from "{schema}"."{table}" as t').fetchone()


def is_short(con: duckdb.DuckDBPyConnection, path: Path) -> bool:
    """Whether the file at `path`, which `con` has open, ends before the last of its blocks."""
    blocks, size = con.execute(
        "select total_blocks, block_size from pragma_database_size() where database_name = current_database()"
    ).fetchone() or (0, 0)
    return path.stat().st_size < _HEADERS + int(blocks) * int(size)
