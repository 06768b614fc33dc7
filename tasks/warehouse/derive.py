"""Deriving: runs the SQL files in the order of what they read."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import TYPE_CHECKING

from market_rotation.tasks.warehouse.models import Model, models

if TYPE_CHECKING:
    import duckdb

#: What a SQL file may read of the run through `getvariable(…)`.
Parameter = str | int | float | date | datetime | None


def parameters(con: duckdb.DuckDBPyConnection, **values: Parameter) -> None:
    """Sets what the SQL files read with `getvariable('name')`."""
    for name, value in values.items():
        con.execute(f"set variable {name} = $1", [value])


def build(con: duckdb.DuckDBPyConnection, *wanted: str) -> None:
    """Makes derived tables and macros anew, in the order of what they read; `wanted` are schemas or names of tables."""
    for model in models():
        if model.kind == "ledger" or not {model.name, model.name.split(".")[0]} & set(wanted):
            continue
        body = model.statements[0]
        con.execute(f"create or replace table {model.name} as {body}" if model.kind == "derived" else body)
        comment(con, model)


def load(con: duckdb.DuckDBPyConnection, schema: str) -> None:
    """Appends what this run brings to the growing tables of `schema`."""
    for model in models():
        if model.name.startswith(f"{schema}.") and model.kind == "ledger":
            for statement in model.statements[1:]:
                con.execute(statement)


def comment(con: duckdb.DuckDBPyConnection, model: Model) -> None:
    """Writes the header of the SQL file into DuckDB, as comments on the table or macro and on its columns."""
    if model.kind == "macro":
        table = " table" if re.search(r"\)\s+as\s+table\b", model.statements[0]) else ""
        con.execute(f"comment on macro{table} {model.name} is {quoted(model.comment)}")
        return
    con.execute(f"comment on table {model.name} is {quoted(model.comment)}")
    for column, words in model.column_comments.items():
        con.execute(f"comment on column {model.name}.{column} is {quoted(words)}")


def quoted(words: str) -> str:
    """`words` as a literal of SQL, where a statement takes no parameter."""
    return "'" + words.replace("'", "''") + "'"
