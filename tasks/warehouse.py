"""The warehouse: connections, and running the SQL files.

Every table is one file, `sql/<schema>/<table>.sql`, of one of three kinds told apart by its first statement:
- `select …` or `with …`: a table derived from others, made anew as a whole;
- `create table if not exists …`: a table that only grows; a second statement, `insert …`, says what a run adds to it;
- `create or replace macro …`: a table macro.
The order follows from what each file reads, found by sqlglot. The header comment becomes DuckDB's COMMENT.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Literal

import duckdb

from tasks.datasets import COLUMNS
from tasks.errors import RotationError, WarehouseBusy

SQL = Path(__file__).parents[1] / "sql"
SCHEMAS = ("stage", "raw", "core", "signals", "ops")

#: What a SQL file may ask of the run through `getvariable(…)`.
Parameter = str | int | float | date | datetime | None


@dataclass(frozen=True)
class Model:
    """One SQL file. `reads` are the names (`schema.table`) of the project's tables and macros it selects from."""

    name: str
    path: Path
    kind: Literal["derived", "ledger", "macro"]
    statements: tuple[str, ...]
    reads: frozenset[str]
    comment: str
    column_comments: dict[str, str] = field(hash=False)


@contextmanager
def writing(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The build database at `path`, opened by this process alone, with its schemas and growing tables in place.

    Raises `WarehouseBusy` naming the process that holds it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        con = duckdb.connect(str(path))
    except OSError as error:
        raise RotationError(
            f"{path.parent} cannot be made a folder ({error.strerror}); set ROTATION_HOME to another."
        ) from None
    except duckdb.IOException as error:
        if "Could not set lock" not in str(error):
            raise RotationError(
                f"{path} cannot be opened: {_first_line(error)}; check the file and its permissions."
            ) from None
        holder = re.search(r"\(PID (\d+)\)", str(error))
        who = f"process {holder[1]}" if holder else "another process"
        raise WarehouseBusy(f"{path} is being written by {who}; wait until that run ends, then start again.") from None
    try:
        # A DATE or TIMESTAMPTZ means the same on every machine, whatever its own time zone.
        con.execute("set timezone = 'UTC'")
        # Tables made in the same transaction have no statistics yet, and for what looks small DuckDB would loop over an ASOF join: 6 s, not 0.1.
        con.execute("set asof_loop_join_threshold = 0")
        for schema in SCHEMAS:
            con.execute(f"create schema if not exists {schema}")
        for model in models():
            if model.kind == "ledger" or model.name.startswith("raw."):
                con.execute(model.statements[0])
                _comment(con, model)
        yield con
    finally:
        con.close()


@contextmanager
def reading(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The published file at `path`, read-only. Raises `RotationError` with one sentence where there is none."""
    if not path.is_file():
        raise RotationError(f"There is no warehouse at {path} yet; make one with `rotation run`, or set ROTATION_HOME.")
    try:
        con = duckdb.connect(str(path), read_only=True)
    except duckdb.Error as error:
        raise RotationError(f"{path} cannot be opened: {_first_line(error)}.") from None
    try:
        con.execute("set timezone = 'UTC'")
        yield con
    finally:
        con.close()


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
        _comment(con, model)


def load(con: duckdb.DuckDBPyConnection, schema: str) -> None:
    """Appends what this run brings to the growing tables of `schema`."""
    for model in models():
        if model.name.startswith(f"{schema}.") and model.kind == "ledger":
            for statement in model.statements[1:]:
                con.execute(statement)


def models(folder: Path = SQL) -> tuple[Model, ...]:
    """All SQL files, each after those it reads. Raises `RotationError` on a missing file or a cycle."""
    return _models(folder)


@cache
def _models(folder: Path) -> tuple[Model, ...]:
    found = {model.name: model for model in map(_parse, sorted(folder.glob("*/*.sql")))}
    # What the pipeline itself puts there, before any SQL file runs.
    given = {f"stage.{name}" for name in ("universe", "pairs", "sessions", "offers", "answers")}
    given |= {f"stage.fetched_{dataset}" for dataset in COLUMNS}
    for model in found.values():
        for name in sorted(model.reads - found.keys() - given):
            schema, table = name.split(".")
            raise RotationError(
                f"Could not find sql/{schema}/{table}.sql, which {model.path} reads; create it with a `select …`."
            )
    try:
        order = TopologicalSorter(
            {name: sorted(model.reads & found.keys() - {name}) for name, model in found.items()}
        ).static_order()
        return tuple(found[name] for name in order)
    except CycleError as error:
        raise RotationError(f"The SQL files read each other in a circle: {' -> '.join(error.args[1])}.") from None


def _parse(path: Path) -> Model:
    import sqlglot
    from sqlglot import exp

    text = path.read_text(encoding="utf-8")
    name = f"{path.parent.name}.{path.stem}"
    comment, column_comments = _header(text)
    try:
        trees = [tree for tree in sqlglot.parse(text, read="duckdb") if tree is not None]
    except sqlglot.errors.SqlglotError as error:
        where = getattr(error, "errors", None) or [{}]
        raise RotationError(
            f"{path}, line {where[0].get('line', 1)}: {where[0].get('description', 'not SQL')}; correct it."
        ) from None
    if not trees:
        raise RotationError(f"{path} holds no statement; write a `select …` into it.")
    statements = tuple(statement.query for statement in duckdb.extract_statements(_without_header(text)))
    created = trees[0] if isinstance(trees[0], exp.Create) else None
    kind: Literal["derived", "ledger", "macro"] = (
        "derived" if created is None else "ledger" if created.kind == "TABLE" else "macro"
    )
    # What a growing table takes in comes from the stage of the run, before it: no part of the order.
    reads = frozenset(_reads(trees[:1])) - {name}
    return Model(name, path, kind, statements, reads, comment, column_comments)


def _reads(trees: Iterable[object]) -> Iterator[str]:
    from sqlglot import exp

    for tree in trees:
        assert isinstance(tree, exp.Expression)
        for table in tree.find_all(exp.Table):
            if table.db in SCHEMAS:
                yield f"{table.db}.{table.name or table.this.name}"
        for dotted in tree.find_all(exp.Dot):
            if isinstance(dotted.expression, exp.Anonymous) and dotted.this.name in SCHEMAS:
                yield f"{dotted.this.name}.{dotted.expression.name}"


def _without_header(text: str) -> str:
    lines = text.splitlines()
    while lines and (not lines[0].strip() or lines[0].startswith("--")):
        lines.pop(0)
    return "\n".join(lines)


def _header(text: str) -> tuple[str, dict[str, str]]:
    """The table's description and its columns' from the leading comment: after `-- columns:`, `--   name: words`."""
    about: list[str] = []
    columns: dict[str, str] = {}
    in_columns, last = False, ""
    for line in text.splitlines():
        if not line.startswith("--"):
            break
        words = line[2:].rstrip()
        entry = re.match(r"^   ?(\w+): (.*)", words)
        if words.strip() == "columns:":
            in_columns = True
        elif in_columns and entry:
            last = entry[1]
            columns[last] = entry[2]
        elif in_columns and last:
            columns[last] += " " + words.strip()
        else:
            about.append(words.strip())
    return "\n".join(about).strip(), columns


def _comment(con: duckdb.DuckDBPyConnection, model: Model) -> None:
    if model.kind == "macro":
        table = " table" if re.search(r"\)\s+as\s+table\b", model.statements[0]) else ""
        con.execute(f"comment on macro{table} {model.name} is {_quoted(model.comment)}")
        return
    con.execute(f"comment on table {model.name} is {_quoted(model.comment)}")
    for column, words in model.column_comments.items():
        con.execute(f"comment on column {model.name}.{column} is {_quoted(words)}")


def _quoted(words: str) -> str:
    return "'" + words.replace("'", "''") + "'"


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:300]
