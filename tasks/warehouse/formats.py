"""The format of a warehouse: a number by which an older version of this project sees that it must not write."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

import duckdb

from market_rotation.tasks.errors import ConfigError, RotationError

#: Raise it with a change after which this version would misread or damage the warehouse: another meaning or type of a column of `raw` or of a
#: ledger of `ops`, a table that must be written as well. New columns and tables alone need no new number.
FORMAT = 1


class Format(NamedTuple):
    """A format, and the version of the project that brought it."""

    number: int
    version: str


def newest(con: duckdb.DuckDBPyConnection) -> Format:
    """The newest format of the warehouse; 0 for one from before formats were recorded."""
    is_recorded = con.execute(
        "select 1 from duckdb_tables() where schema_name = 'ops' and table_name = 'formats' and database_name = current_database()"
    ).fetchone()
    if not is_recorded:
        return Format(0, "0.1.0 or earlier")
    row = con.execute("select format, version from ops.formats order by format desc limit 1").fetchone()
    return Format(*row) if row else Format(0, "0.1.0 or earlier")


def refuse_newer(con: duckdb.DuckDBPyConnection, path: object) -> None:
    """Raises `ConfigError` where a newer version wrote `path`, which `con` has open, in a format that this version does not know."""
    found = newest(con)
    if found.number > FORMAT:
        raise ConfigError(newer(path, found))


@contextmanager
def upgrading(con: duckdb.DuckDBPyConnection, path: object) -> Iterator[None]:
    """Says that the warehouse at `path`, which `con` has open, needs an upgrade, or a first good run, where a query finds that it lacks a table
    or column."""
    try:
        yield
    except (duckdb.CatalogException, duckdb.BinderException) as error:
        refuse_newer(con, path)
        if _is_empty(con):
            raise RotationError(
                f"{path} has no data yet, only records of runs that published nothing; `rotation status` says why, then run `rotation run`."
            ) from error
        raise RotationError(
            f"{path} was published by an older version ({str(error).splitlines()[0][:300]}); the next `rotation run` upgrades it."
        ) from error


def _is_empty(con: duckdb.DuckDBPyConnection) -> bool:
    """Whether every run that the warehouse knows was blocked or failed, so that no table was derived."""
    try:
        return con.execute("select bool_or(published) is distinct from true from ops.runs").fetchone() == (True,)
    except duckdb.Error:
        return False


def newer(path: object, found: Format) -> str:
    """What is wrong with a file of a newer format, and what to do."""
    return (
        f"{path} has the format {found.number} of market-rotation {found.version}, and this version ({installed()}) knows no format after "
        f"{FORMAT}: install market-rotation {found.version} or later, or set ROTATION_HOME to another folder. Nothing was changed."
    )


def record(con: duckdb.DuckDBPyConnection) -> None:
    """Records that the warehouse has the format of this version from now on."""
    if newest(con).number < FORMAT:
        con.execute("insert into ops.formats values ($1, $2)", [FORMAT, installed()])


def installed() -> str:
    """The installed version of market-rotation."""
    try:
        return version("market-rotation")
    except PackageNotFoundError:
        return "unknown"
