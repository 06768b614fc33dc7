"""Queries that other people wrote: one statement that reads the warehouse and no other file."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from market_rotation.tasks.errors import UsageError
from market_rotation.tasks.warehouse.connect import reading

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from market_rotation.tasks.warehouse.engine import Published

_READING = {duckdb.StatementType.SELECT}
_EXPLAIN = re.compile(r"^\s*explain\b\s*(analyze\b\s*|\([^)]*\)\s*)*", re.IGNORECASE)
# DuckDB itself refuses these where no file can be reached. It hides the secret values of each, and shows the identifiers of their keys.
_OF_SECRETS = {"duckdb_secrets", "which_secret"}
# They run a statement that they are given as text, which could call the others.
_OF_STATEMENTS = {"query", "json_execute_serialized_sql"}


def check_statement(query: str, *, only_reading: bool, place: str = "`rotation sql`") -> None:
    """Raises `UsageError` unless `query` is one statement, and with `only_reading` one that only reads; `place` is where it was written."""
    statements = duckdb.extract_statements(query)
    # DuckDB splits one PIVOT into several statements that have no text.
    count = len([statement for statement in statements if statement.query.strip()]) or min(len(statements), 1)
    if count != 1:
        found = "none" if not count else str(count)
        raise UsageError(f"{place} takes one statement and found {found}; write one `select …` or `from …`.")
    if only_reading and not all(_only_reads(statement) for statement in statements if statement.query.strip()):
        raise UsageError("The statement must be a query; write a `select …` or `from …`.")
    if only_reading and (refused := _calls(query) & (_OF_SECRETS | _OF_STATEMENTS)):
        what = "list secrets" if refused & _OF_SECRETS else f"call {refused.pop()}, which runs other statements"
        raise UsageError(f"The statement must not {what}.")


def _calls(query: str) -> set[str]:
    """The names, in lower case, that an opening parenthesis follows in `query`; text in literals and comments is none."""
    # DuckDB counts bytes. A token has no end of its own: spaces and comments may follow it.
    text = query.encode()
    starts = [start for start, kind in duckdb.tokenize(query) if kind != duckdb.token_type.comment]
    words = (text[start:end].decode() for start, end in pairwise(starts) if text[end : end + 1] == b"(")
    return {re.sub(r"/\*.*|--.*", "", word, flags=re.DOTALL).strip().strip('"').lower() for word in words}


def is_open_to_files(con: DuckDBPyConnection) -> bool:
    """Whether statements on `con` reach files after `restrict`: the data files of a DuckLake, which a statement could also write."""
    (folders,) = con.execute("select len(current_setting('allowed_directories')::varchar[])").fetchone() or (0,)
    return bool(folders)


def _only_reads(statement: duckdb.Statement) -> bool:
    if statement.type != duckdb.StatementType.EXPLAIN:
        return statement.type in _READING
    # `explain analyze` runs what it explains.
    explained = _EXPLAIN.sub("", statement.query)
    try:
        return all(inner.type == duckdb.StatementType.SELECT for inner in duckdb.extract_statements(explained))
    except duckdb.Error:
        return False


def restrict(con: DuckDBPyConnection, result: Path | None = None, *, allow_files: bool = False) -> None:
    """Restricts statements on `con`: they write only to `result`, and read only the warehouse unless `allow_files`. It cannot be undone."""
    if not allow_files:
        if result is not None:
            con.execute(f"set allowed_paths = ['{quoted_path(result)}']")
        con.execute("set enable_external_access = false")
    con.execute("set lock_configuration = true")


def quoted_path(path: Path) -> str:
    """`path`, escaped for an SQL string literal."""
    return str(path).replace("'", "''")


def with_comments(con: DuckDBPyConnection, query: str) -> str:
    """`query`; for `describe schema.table`, a query that also shows the column comments, which DuckDB's own `describe` omits."""
    match = re.fullmatch(r"\s*desc(?:ribe)?\s+(?:table\s+)?(\w+)\.(\w+)\s*;?\s*", query, re.IGNORECASE)
    if not match:
        return query
    # If the table does not exist, raise DuckDB's own error.
    con.execute(query)
    return (
        "select column_name, data_type as column_type, comment from duckdb_columns() "
        f"where schema_name || '.' || table_name = lower('{match[1]}.{match[2]}') order by column_index"
    )


@contextmanager
def reading_restricted(published: Published) -> Iterator[DuckDBPyConnection]:
    """The published warehouse, read-only, with no access to other files; raises as `reading` does."""
    with reading(published) as con:
        restrict(con)
        yield con


@contextmanager
def time_limit(con: DuckDBPyConnection, seconds: float) -> Iterator[None]:
    """Interrupts what runs on `con` after `seconds`; DuckDB then raises `InterruptException`."""
    timer = threading.Timer(seconds, con.interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def reason(error: duckdb.Error, limit_s: float) -> str:
    """What DuckDB says of a query that failed, in one line; `limit_s` is its time limit."""
    if isinstance(error, duckdb.InterruptException):
        return f"interrupted after {limit_s:g} seconds; write a query that takes less."
    return " ".join(str(error).split("\n\nLINE")[0].split())
