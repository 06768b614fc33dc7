"""How much history a warehouse holds, so that what readers have is never replaced by less."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from market_rotation.tasks.errors import RotationError
from market_rotation.tasks.warehouse.models import models
from market_rotation.tasks.warehouse.open_file import reading_file

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The page that says how to go on with a file that is lost or damaged.
PAGE = 'docs/operations.md, "A warehouse file is lost or damaged"'


def measure(con: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Rows of each table of `raw`, and sessions with a bar as `sessions`; what the warehouse lacks counts 0."""
    found = con.execute(
        "select table_name from duckdb_tables() where schema_name = 'raw' and database_name = current_database()"
    ).fetchall()
    tables = {f"raw.{name}" for (name,) in found}
    ledgers = [model.name for model in models() if model.kind == "ledger" and model.name.startswith("raw.")]
    counts = {name: _number(con, f"select count(*) from {name}") if name in tables else 0 for name in ledgers}
    sessions = "select count(distinct session) from raw.prices"
    return {"sessions": _number(con, sessions) if "raw.prices" in tables else 0, **counts}


def measure_published(published: Path) -> dict[str, int] | None:
    """What the file of the readers holds; None where there is none that can be read."""
    try:
        with reading_file(published) as con:
            return measure(con)
    except (RotationError, duckdb.Error):
        return None


def lacking(held: Mapping[str, int], wanted: Mapping[str, int]) -> str | None:
    """In words, what `held` has less of than `wanted`; None where it has as much of everything."""
    less = [(name, held.get(name, 0), number) for name, number in wanted.items() if held.get(name, 0) < number]
    if not less:
        return None
    name, has, number = less[0]
    return f"{has:,} instead of {number:,} {name if name == 'sessions' else f'rows of {name}'}"


def refuse_shorter(con: duckdb.DuckDBPyConnection, build: Path, published: Path) -> None:
    """Raises `RotationError` where `con`, open on `build`, holds less history than the file that readers have."""
    has = measure_published(published)
    if has and (words := lacking(measure(con), has)):
        raise RotationError(
            f"{build} holds less history than {published} ({words}), so it is not published. To go on from the published file, move {build} "
            f"away and run again; to publish the shorter history all the same, move {published} away. See {PAGE}."
        )


def _number(con: duckdb.DuckDBPyConnection, query: str) -> int:
    (number,) = con.execute(query).fetchone() or (0,)
    return int(number)
