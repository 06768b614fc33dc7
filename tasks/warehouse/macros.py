"""Queries of a warehouse that an older version, or a run that failed, may have left without this version's tables and macros."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import duckdb

from market_rotation.tasks.warehouse.models import SQL

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

#: The macros of `ops` that a query may use by their bare names.
NAMES = ("freshness", "incidents", "late_funds")


def rows(con: DuckDBPyConnection, query: str, values: Sequence[object] = ()) -> list[dict[str, Any]]:
    """The rows of `query`, which may use this version's macros of `NAMES`, such as `incidents()`, whatever the warehouse holds.

    Raises DuckDB's `CatalogException` or `BinderException` where the warehouse lacks a table or column.
    """
    for name in NAMES:
        if re.search(rf"\b{name}\(", query):
            # A macro of the connection, since a file open for reading only takes none.
            text = (SQL / "ops" / f"{name}.sql").read_text(encoding="utf-8")
            con.execute(text.replace(f"create or replace macro ops.{name}(", f"create or replace temp macro {name}("))
    cursor = con.execute(query, list(values))
    names = [column[0] for column in cursor.description or []]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def rows_if_known(con: DuckDBPyConnection, query: str, values: Sequence[object] = ()) -> list[dict[str, Any]] | None:
    """As `rows`, but None where an older version's warehouse lacks a table or column."""
    try:
        return rows(con, query, values)
    except (duckdb.CatalogException, duckdb.BinderException):
        return None
