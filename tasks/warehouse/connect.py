"""Connections to the warehouse: to write to the build database, and to read what is published."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import datetime
from pathlib import Path

import duckdb

from market_rotation.tasks.datasets import maximum_ages
from market_rotation.tasks.errors import RotationError, WarehouseBusy
from market_rotation.tasks.retries import retrying
from market_rotation.tasks.warehouse import derive, formats
from market_rotation.tasks.warehouse.engine import Published, engine
from market_rotation.tasks.warehouse.lock import holder
from market_rotation.tasks.warehouse.models import SCHEMAS, Model, models
from market_rotation.tasks.warehouse.open_file import first_line

log = logging.getLogger("rotation.warehouse")


@contextmanager
def writing(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The build database at `path`, opened by this process alone, with its schemas and growing tables in place.

    Raises `WarehouseBusy`, which names the process that has it open and when that started, and `ConfigError` for a database of a newer version.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        con = duckdb.connect(str(path))
    except OSError as error:
        raise RotationError(
            f"{path.parent} cannot be created as a folder ({error.strerror}); set ROTATION_HOME to another."
        ) from None
    except duckdb.IOException as error:
        if "Could not set lock" not in str(error):
            raise RotationError(
                f"{path} cannot be opened: {first_line(error)}; check the file and its permissions."
            ) from None
        held = holder(path)
        raise WarehouseBusy(
            f"{path} is being {'read' if held and not held.is_writing else 'written'} by {held or 'another process'}; "
            "wait until it ends, then start again."
        ) from None
    try:
        formats.refuse_newer(con, path)
        # A DATE or TIMESTAMPTZ has the same meaning on every machine, whatever its time zone.
        con.execute("set timezone = 'UTC'")
        # Tables created in the same transaction have no statistics, so DuckDB would guess: 6 s instead of 2. Joins run as written, the larger
        # side first, and an ASOF join is never a loop.
        con.execute("set disabled_optimizers = 'join_order,build_side_probe_side'")
        con.execute("set asof_loop_join_threshold = 0")
        derive.parameters(con, datasets=maximum_ages())
        with transaction(con):
            _create(con)
        yield con
    finally:
        con.close()


@contextmanager
def writing_in_turn(path: Path, wait_s: float) -> Iterator[duckdb.DuckDBPyConnection]:
    """`writing`, once no other process writes; raises `WarehouseBusy` when that takes longer than `wait_s` seconds."""
    attempts, timeout_s = (None, wait_s) if wait_s else (1, None)
    with ExitStack() as stack:
        for attempt in retrying(
            WarehouseBusy, attempts=attempts, timeout_s=timeout_s, wait_initial_s=0.5, wait_max_s=5
        ):
            with attempt:
                try:
                    con = stack.enter_context(writing(path))
                except WarehouseBusy as busy:
                    log.info("Waiting: %s", str(busy).partition(";")[0])
                    raise
        yield con


def limit_memory(con: duckdb.DuckDBPyConnection, limit: str | None) -> None:
    """Lets DuckDB use `limit` of memory, such as `2GB`; None leaves four fifths of the machine's. What needs more goes to the disk meanwhile."""
    if limit:
        con.execute("set memory_limit = $1", [limit])


def _create(con: duckdb.DuckDBPyConnection) -> None:
    """The schemas, the growing tables with the columns of this version, and the macros that a run needs before anything is derived."""
    for schema in SCHEMAS:
        con.execute(f"create schema if not exists {schema}")
    there = derive.comments(con)
    # Planning a run reads macros before anything is derived: those that read growing tables alone are there from the start.
    standing: set[str] = set()
    for model in models():
        if model.kind == "ledger" or (model.kind == "macro" and model.reads <= standing):
            standing.add(model.name)
            con.execute(model.statements[0])
            if f"table {model.name}" in there:
                _add_columns(con, model, there)
            derive.comment(con, model, there)
    formats.record(con)
    derive.drop_obsolete_macros(con)
    derive.build(con, "ops.datasets")


def _add_columns(con: duckdb.DuckDBPyConnection, model: Model, there: Collection[str]) -> None:
    """Adds the columns of a newer version to a growing table of an older version; they are NULL in its old rows."""
    for column, kind in model.columns.items():
        if f"column {model.name}.{column}" not in there:
            con.execute(f"alter table {model.name} add column {column} {kind}")


def reading(published: Published, as_of: datetime | None = None) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
    """The published warehouse, read-only; as it was published at `as_of`, where the engine keeps earlier states.

    Raises `RotationError` when it does not exist, or lacks a table or column of the query, `ConfigError` where it does because a newer
    version published it, and `UsageError` for an `as_of` of which there is no state.
    """
    return engine(published).reading(as_of)


def open_alone(published: Published) -> duckdb.DuckDBPyConnection:
    """The published warehouse, read-only, apart from all other connections of this process; raises as `reading` does.

    DuckDB gives all connections of a process to one path the same open database: one that outlives a publish would pass the old file on
    to later ones, and restrictions of one would hold for all.
    """
    return engine(published).open_alone()


def exists(published: Published) -> bool:
    """Whether anything was published. Raises `RotationError` when a server cannot be asked."""
    return engine(published).exists()


def version(published: Published) -> str:
    """Identifies what readers see now. Raises `RotationError` where there is nothing."""
    return engine(published).version()


def refuse_missing(published: Published) -> None:
    """Raises `RotationError` when nothing was published."""
    version(published)


def cursor(con: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """Another connection to what `open_alone` opened, for another thread; it keeps the file open for itself."""
    made = con.cursor()
    # Which database names refer to is not passed on to a cursor.
    made.execute("use rotation")
    return made


@contextmanager
def transaction(con: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """All or nothing: commits at the end, rolls back on any error."""
    con.begin()
    try:
        yield
    except BaseException:
        con.rollback()
        raise
    con.commit()
