"""Deriving: runs the SQL files in the order of what they read."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from market_rotation.tasks.errors import RotationError
from market_rotation.tasks.warehouse import incremental
from market_rotation.tasks.warehouse.models import SCHEMAS, Model, models

if TYPE_CHECKING:
    import duckdb

#: The variables of the run that a SQL file can read with `getvariable(…)`.
Parameter = str | int | float | date | datetime | list[Any] | None


def parameters(con: duckdb.DuckDBPyConnection, **values: Parameter) -> None:
    """Sets the variables that the SQL files read with `getvariable('name')`."""
    for name, value in values.items():
        con.execute(f"set variable {name} = $1", [value])


def build(
    con: duckdb.DuckDBPyConnection, *wanted: str, changed: Collection[str] | None = None, after: str | None = None
) -> None:
    """Replaces derived tables and macros, in the order of what they read; `wanted` are schemas or names of tables.

    With `changed`, the names of tables that changed since the last call, only what is derived from them is replaced; with `after`, the run after
    which they changed, only rows of it where the file is incremental. Raises `RotationError` when a file reads a variable that is not set.
    """
    stale = None if changed is None else derived_from(changed)
    changes: incremental.Changes | None = None
    if changed is not None and after is not None:
        changes = {model.name: incremental.of_raw(con, model, after) for model in models() if model.name in changed}
    for model in models():
        if model.kind == "ledger" or (stale is not None and model.name not in stale):
            continue
        is_wanted = not {model.name, model.name.split(".")[0]}.isdisjoint(wanted)
        if is_wanted:
            require_variables(con, model.variables, str(model.path))
        if changes is not None:
            changes[model.name] = _replace_changed(con, model, changes, is_wanted)
        elif is_wanted:
            _replace(con, model)


def _replace(con: duckdb.DuckDBPyConnection, model: Model) -> None:
    body = model.statements[0]
    con.execute(f"create or replace table {model.name} as {body}" if model.kind == "derived" else body)
    if incremental.is_incremental(model):
        incremental.remember_computed(con, model)
    comment(con, model)


def _replace_changed(
    con: duckdb.DuckDBPyConnection, model: Model, changes: incremental.Changes, is_wanted: bool
) -> incremental.Change | None:
    """Replaces the rows that `changes` reach, or else the table; returns what changed in it, None where that is not known."""
    change = incremental.of_what_it_reads(con, model, changes)
    if not is_wanted:
        return change if model.kind == "macro" else None
    if change and incremental.is_incremental(model) and change != incremental.EVERYTHING:
        if change != incremental.NOTHING:
            incremental.replace_rows(con, model, change)
        return change
    # A row that looks back at nothing changes with those it is made of.
    passes_on = model.kind == "macro" or incremental.is_incremental(model) or model.header["lookback"] == "none"
    is_known = change is not None and passes_on and (model.kind == "macro" or model.day is not None)
    is_kept = not is_known and model.kind == "derived" and incremental.copy_before(con, model)
    _replace(con, model)
    if is_kept:
        return incremental.compared(con, model)
    return change if is_known else None


def derived_from(changed: Collection[str]) -> set[str]:
    """The tables and macros that read one of `changed`, directly or through others."""
    stale = set(changed)
    for model in models():
        if model.reads & stale:
            stale.add(model.name)
    return stale - set(changed)


def load(con: duckdb.DuckDBPyConnection, schema: str) -> None:
    """Appends the rows of this run to the growing tables of `schema`. Raises as `build` does."""
    for model in models():
        if model.name.startswith(f"{schema}.") and model.kind == "ledger":
            require_variables(con, model.variables, str(model.path))
            for statement in model.statements[1:]:
                con.execute(statement)


def require_variables(con: duckdb.DuckDBPyConnection, names: Collection[str], where: str) -> None:
    """Raises `RotationError` naming the first of `names` that is not set, and `where` it is read.

    DuckDB takes an unset variable for NULL, so that a comparison with it silently finds no row.
    """
    if not names:
        return
    known = {name for (name,) in con.execute("select name from duckdb_variables()").fetchall()}
    for name in sorted(set(names) - known):
        raise RotationError(
            f"{where} reads the variable '{name}', which is not set; set it with `warehouse.parameters(con, {name}=…)` first."
        )


def drop_obsolete_macros(con: duckdb.DuckDBPyConnection) -> None:
    """Drops the macros in the project's schemas that no SQL file makes any more, as an older version left them."""
    found = con.execute(
        """
        select distinct schema_name || '.' || function_name, function_type = 'table_macro'
        from duckdb_functions()
        where database_name = current_database() and function_type in ('macro', 'table_macro') and list_contains($1, schema_name)
        """,
        [list(SCHEMAS)],
    ).fetchall()
    current = {model.name for model in models() if model.kind == "macro"}
    for name, is_table in found:
        if name not in current:
            con.execute(f"drop macro {'table ' if is_table else ''}{name}")


def comments(con: duckdb.DuckDBPyConnection) -> dict[str, str | None]:
    """The comments that tables and columns have, by `table schema.name` and `column schema.name.column`; None for one without."""
    found = con.execute(
        """
        select 'table ' || schema_name || '.' || table_name, comment from duckdb_tables() where database_name = current_database()
        union all
        select 'column ' || schema_name || '.' || table_name || '.' || column_name, comment
        from duckdb_columns() where database_name = current_database()
        """
    ).fetchall()
    return dict(found)


def comment(con: duckdb.DuckDBPyConnection, model: Model, there: Mapping[str, str | None] | None = None) -> None:
    """Writes the header of the SQL file into DuckDB, as comments on the table or macro and on its columns, but for those in `there`."""
    if model.kind == "macro":
        table = " table" if re.search(r"\)\s+as\s+table\b", model.statements[0]) else ""
        wanted = {f"macro{table} {model.name}": model.comment}
    else:
        wanted = {f"table {model.name}": model.comment}
        wanted |= {f"column {model.name}.{column}": words for column, words in model.column_comments.items()}
    # Each takes DuckDB a millisecond, and a warehouse has a thousand.
    lacking = [(on, words) for on, words in wanted.items() if (there or {}).get(on) != words]
    if lacking:
        con.execute("; ".join(f"comment on {on} is {quoted(words)}" for on, words in lacking))


def quoted(words: str) -> str:
    """`words` as an SQL literal, for statements that take no parameters."""
    return "'" + words.replace("'", "''") + "'"
