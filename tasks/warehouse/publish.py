"""Publishing: the content of the build database becomes what readers see, in one atomic step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from market_rotation.tasks.warehouse.engine import Published, engine
from market_rotation.tasks.warehouse.models import models

if TYPE_CHECKING:
    import duckdb


def clear_stage(con: duckdb.DuckDBPyConnection) -> None:
    """Drops all staged tables, so that what is published contains nothing that was not audited."""
    con.execute("drop schema stage cascade")
    con.execute("create schema stage")


def publish(
    con: duckdb.DuckDBPyConnection,
    build: Path,
    published: Published,
    finish: Callable[[duckdb.DuckDBPyConnection], object] | None = None,
) -> None:
    """Replaces what readers see by the content of `build`, which `con` holds open with nothing uncommitted.

    `finish` writes into what is published before readers get it, for records in `ops.runs` that are true only once they have it. Readers see
    the state before or after it, never a mix. Raises `RotationError` when it cannot be published, or when it holds less history than
    readers have; then they keep what they have.
    """
    engine(published).publish(con, build, finish)


def publish_records(
    con: duckdb.DuckDBPyConnection, build: Path, published: Published, *, is_built: bool = False
) -> None:
    """Lets readers see what `ops` has on record, and no data that a run built and could not publish; raises as `publish` does.

    Such data reach readers with the next run that ends well. `is_built`: the run that ends now is such a one.
    """
    if not is_built and not unpublished(con):
        publish(con, build, published)
    elif engine(published).exists():
        ledgers = [model.name for model in models() if model.kind == "ledger" and model.name.startswith("ops.")]
        engine(published).publish_ledgers(con, ledgers)


def last_published(con: duckdb.DuckDBPyConnection) -> str | None:
    """The newest run that readers got data from; None before the first."""
    query = "select max(run_id) from ops.runs where published and status = 'published'"
    (run_id,) = con.execute(query).fetchone() or (None,)
    return None if run_id is None else str(run_id)


def unpublished(con: duckdb.DuckDBPyConnection) -> list[str]:
    """The tables of `raw` with rows that readers do not have: also those of a run that ended after loading and before publishing."""
    # An older version left fewer of them.
    known = con.execute(
        "select 'raw.' || table_name from duckdb_tables() where database_name = current_database() and schema_name = 'raw'"
    ).fetchall()
    ledgers = {model.name for model in models() if model.kind == "ledger"}
    tables = sorted(name for (name,) in known if name in ledgers)
    newer = ", ".join(f"exists (from {table} where run_id > $1)" for table in tables)
    found = con.execute(f"select {newer}", [last_published(con) or ""]).fetchone() if tables else None
    return [table for table, is_newer in zip(tables, found or (), strict=True) if is_newer]
