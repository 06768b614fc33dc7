"""Publishing: the content of the build database becomes what readers see, in one atomic step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from market_rotation.tasks.warehouse.engine import Published, engine

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


def publish_ledgers(con: duckdb.DuckDBPyConnection, published: Published, ledgers: Sequence[str]) -> None:
    """Replaces `ledgers`, tables of `ops`, of what readers see by those of `con`, and nothing else; raises as `publish` does.

    It serves a run that built new tables and could not publish them: readers see that it failed, but none of its new tables.
    """
    engine(published).publish_ledgers(con, ledgers)
