"""What a lake holds, table by table: which tables a publish has to write, and how many rows of each."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from market_rotation.tasks.warehouse.derive import quoted
from market_rotation.tasks.warehouse.models import SCHEMAS, models

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

#: The schemas that are published.
PUBLISHED = tuple(name for name in SCHEMAS if name != "stage")
_SCHEMA = "rotation_lake"
_CREATE = f"""
    create schema if not exists readers.{_SCHEMA};
    create table if not exists readers.{_SCHEMA}.publication (
        publication_id varchar, run_id varchar, machine varchar, published_at timestamptz
    );
    create table if not exists readers.{_SCHEMA}.contents (
        name varchar, kind varchar, definition varchar, rows_held bigint, content_hash varchar, mark varchar
    );
"""


@dataclass(frozen=True)
class Content:
    """A table or macro. `definition` changes with its columns, types and comments, or with its SQL; `digest` with any of its rows.

    `mark` is the largest value of the column by which the table grows.
    """

    name: str
    kind: str
    definition: str
    rows: int = 0
    digest: str = ""
    mark: str | None = None


@dataclass(frozen=True)
class Publication:
    """The last publish of a lake: its identifier, the newest run in it, the machine and the time."""

    identifier: str
    run_id: str | None
    machine: str
    at: str


def last_publication(con: DuckDBPyConnection, name: str) -> Publication | None:
    """The last publish of the lake that `con` has attached as `name`; None for a lake that nothing was published to."""
    if not has_table(con, name, _SCHEMA, "publication"):
        return None
    row = con.execute(
        f"select publication_id, run_id, machine, strftime(published_at, '%Y-%m-%d %H:%M UTC') from {name}.{_SCHEMA}.publication"
    ).fetchone()
    return Publication(*row) if row else None


def recorded(con: DuckDBPyConnection, name: str) -> dict[str, Content]:
    """What the lake that `con` has attached as `name` holds, as its last publish recorded it."""
    if not has_table(con, name, _SCHEMA, "contents"):
        return {}
    rows = con.execute(
        f"select name, kind, definition, rows_held, content_hash, mark from {name}.{_SCHEMA}.contents order by name"
    ).fetchall()
    return {row[0]: Content(*row) for row in rows}


def write(
    con: DuckDBPyConnection, publication: Publication, only: Sequence[str] | None, sources: Mapping[str, str]
) -> list[str]:
    """Makes the lake `readers` hold what the build database of `con` holds, inside the open transaction; returns what it changed.

    `only` names tables beyond which nothing changes. `sources` names other tables that some are filled from.
    """
    con.execute(_CREATE)
    for schema in PUBLISHED:
        con.execute(f"create schema if not exists readers.{schema}")
    had = recorded(con, "readers")
    now: dict[str, Content] = {name: content for name, content in had.items() if only is not None and name not in only}
    changed = []
    for name, table in described(con).items():
        if only is None or name in only:
            now[name], is_written = _write_table(con, table, sources.get(name, name), had.get(name))
            changed += [name] if is_written else []
    if only is None:
        own = {name for name, content in had.items() if content.kind == "table"} - {model.name for model in models()}
        for name in own - now.keys():
            # The user's own signals come and go; the project's tables stay for readers of an older version.
            con.execute(f"drop table if exists readers.{name}")
            changed.append(name)
        now |= _write_macros(con, had)
    _record(con, publication, now)
    return changed


@dataclass(frozen=True)
class Table:
    """A table as its database describes it: its comment, and name, type and comment of each column."""

    name: str
    comment: str
    columns: tuple[tuple[str, str, str], ...]

    @property
    def mark(self) -> str | None:
        """The column by which it grows: of the run, else of the session."""
        names = [name for name, _, _ in self.columns]
        return next((name for name in ("run_id", "session") if name in names), None)


def described(con: DuckDBPyConnection, database: str | None = None) -> dict[str, Table]:
    """The tables of a database of `con` that are published, by name; of the build database unless another is named.

    In one query for all: each would have DuckDB read the catalog of every attached database.
    """
    (current,) = con.execute("select current_database()").fetchone() or ("",)
    rows = con.execute(
        """
        select schema_name || '.' || table_name, coalesce(t.comment, ''),
            list((column_name, data_type, coalesce(c.comment, '')) order by column_index)
        from duckdb_columns() as c
        inner join duckdb_tables() as t using (database_name, schema_name, table_name)
        where database_name = $1 and list_contains($2, schema_name)
        group by all
        order by all
        """,
        [database or current, list(PUBLISHED)],
    ).fetchall()
    return {name: Table(name, comment, tuple(map(tuple, columns))) for name, comment, columns in rows}


def measured(con: DuckDBPyConnection, table: Table, source: str | None = None, until: str | None = None) -> Content:
    """What the build database, or the table `source`, has of `table`, in rows up to the mark `until` where that is given."""
    mark = table.mark
    condition = f"where {mark} <= {quoted(until)}" if mark and until is not None else ""
    rows, digest, newest = con.execute(
        f"select count(*), coalesce(sum(hash(whole)::hugeint), 0)::varchar, max({mark or 'null'})::varchar "
        f"from {source or table.name} as whole {condition}"
    ).fetchone() or (0, "0", None)
    definition = _digest(table.comment, *(word for column in table.columns for word in column))
    return Content(table.name, "table", definition, rows, digest, newest)


def has_table(con: DuckDBPyConnection, database: str, schema: str, table: str) -> bool:
    """Whether `con` sees this table."""
    found = con.execute(
        "select 1 from duckdb_tables() where database_name = $1 and schema_name = $2 and table_name = $3",
        [database, schema, table],
    )
    return found.fetchone() is not None


def _write_table(con: DuckDBPyConnection, table: Table, source: str, had: Content | None) -> tuple[Content, bool]:
    name, content = table.name, measured(con, table, source)
    if had == content:
        return content, False
    if had and had.definition == content.definition and had.mark and had.mark != content.mark:
        before = measured(con, table, source, had.mark)
        if (before.rows, before.digest) == (had.rows, had.digest):
            con.execute(f"insert into readers.{name} by name from {source} where {table.mark} > {quoted(had.mark)}")
            return content, True
    con.execute(f"create or replace table readers.{name} as from {source}")
    comments = [f"comment on table readers.{name} is {quoted(table.comment)}"] if table.comment else []
    comments += [
        f'comment on column readers.{name}."{column}" is {quoted(words)}' for column, _, words in table.columns if words
    ]
    con.execute("; ".join(comments))
    return content, True


def _write_macros(con: DuckDBPyConnection, had: Mapping[str, Content]) -> dict[str, Content]:
    """Creates the macros whose SQL changed. DuckLake keeps no comments of macros."""
    now = {}
    found = [model for model in models() if model.kind == "macro" and model.name.split(".")[0] in PUBLISHED]
    (build,) = con.execute("select current_database()").fetchone() or ("",)
    for model in found:
        now[model.name] = Content(model.name, "macro", _digest(model.statements[0]))
        if had.get(model.name) != now[model.name]:
            con.execute("use readers")
            con.execute(model.statements[0])
            con.execute(f'use "{build}"')
    return now


def _record(con: DuckDBPyConnection, publication: Publication, now: Mapping[str, Content]) -> None:
    # Replaced, not added to: of two machines that publish at the same time the second one fails.
    con.execute(f"delete from readers.{_SCHEMA}.publication")
    con.execute(
        f"insert into readers.{_SCHEMA}.publication values ($1, $2, $3, $4::timestamptz)",
        [publication.identifier, publication.run_id, publication.machine, publication.at],
    )
    con.execute(f"delete from readers.{_SCHEMA}.contents")
    rows = [[c.name, c.kind, c.definition, c.rows, c.digest, c.mark] for c in now.values()]
    con.execute(
        f"insert into readers.{_SCHEMA}.contents select unnest($1), unnest($2), unnest($3), unnest($4), unnest($5), unnest($6)",
        [list(column) for column in zip(*rows, strict=True)],
    )


def _digest(*words: str) -> str:
    return hashlib.sha256("\0".join(words).encode()).hexdigest()[:16]
