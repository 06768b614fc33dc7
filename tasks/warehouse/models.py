"""Reads the SQL files: what each creates, what it reads, its header, and the order that follows.

Every table is one file, `sql/<schema>/<table>.sql`, of one of three kinds, by its first statement:
- `select …` or `with …`: a table derived from others, replaced as a whole;
- `create table if not exists …`: a table that only grows; a second statement, `insert …`, says what a run adds to it;
- `create or replace macro …`: a macro.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Literal

import duckdb

from market_rotation.tasks.datasets import DATASETS
from market_rotation.tasks.errors import RotationError

SQL = Path(__file__).parents[2] / "sql"
SCHEMAS = ("fn", "stage", "raw", "core", "signals", "ops")
#: Derived from `raw` alone, in this order.
DERIVED = ("core", "signals", "ops")


@dataclass(frozen=True)
class Model:
    """One SQL file. `reads` are the names (`schema.table`) of the project's tables and macros it selects from.

    `sources` are the same for all statements, that which fills a growing table included; `variables` are what they read of the run
    through `getvariable(…)`.
    `header` has the entries of the leading comment by key: `about` (the first), `grain`, `rows`, `sources`, `lookback`, `null`, `formula`.
    `columns` are those that a growing table is created with, and their types.
    """

    name: str
    path: Path
    kind: Literal["derived", "ledger", "macro"]
    statements: tuple[str, ...]
    reads: frozenset[str]
    sources: frozenset[str]
    variables: frozenset[str]
    header: dict[str, str] = field(hash=False)
    column_comments: dict[str, str] = field(hash=False)
    columns: dict[str, str] = field(hash=False)

    @property
    def grain(self) -> list[str]:
        """The columns that identify a row of the table."""
        return [name.strip() for name in self.header.get("grain", "").split(";")[0].split(",")]

    @property
    def day(self) -> str | None:
        """The column of the grain that dates a row; None where none does."""
        return next((name for name in self.grain if name in ("session", "as_of", "event_date")), None)

    @property
    def comment(self) -> str:
        """The header as a DuckDB comment: one entry per line."""
        return "\n".join(f"{self.name if key == 'about' else key}: {words}" for key, words in self.header.items())


def models(folder: Path = SQL) -> tuple[Model, ...]:
    """All SQL files, each after those it reads. Raises `RotationError` on a missing file or a cycle."""
    return _models(folder)


def names(folder: Path = SQL) -> frozenset[str]:
    """The names (`schema.table`) of all SQL files, which are not parsed for it."""
    return frozenset(f"{path.parent.name}.{path.stem}" for path in _files(folder))


def fingerprint(folder: Path = SQL) -> str:
    """Eight hexadecimal digits that change when any SQL file does."""
    texts = [f"{path.parent.name}/{path.name}\n{path.read_text('utf-8')}" for path in _files(folder)]
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:8]


def _files(folder: Path) -> list[Path]:
    # The report's queries, in sql/report, create no tables.
    return [path for path in sorted(folder.glob("*/*.sql")) if path.parent.name in SCHEMAS]


@cache
def _models(folder: Path) -> tuple[Model, ...]:
    found = {model.name: model for model in map(read, _files(folder))}
    # The pipeline itself creates these tables, before any SQL file runs.
    given = {
        f"stage.{name}"
        for name in ("universe", "pairs", "sessions", "offers", "backfill", "answers", "rejected", "second_prices")
    }
    given |= {f"stage.fetched_{dataset}" for dataset in DATASETS}
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
        raise RotationError(f"The SQL files depend on each other in a cycle: {' -> '.join(error.args[1])}.") from None


def read(path: Path) -> Model:
    """The SQL file at `path`, whose folder is its schema. Raises `RotationError` naming the file, the fault and the remedy."""
    import sqlglot
    from sqlglot import exp

    text = path.read_text(encoding="utf-8")
    name = f"{path.parent.name}.{path.stem}"
    header, column_comments = _header(text)
    try:
        trees = [tree for tree in sqlglot.parse(text, read="duckdb") if tree is not None]
    except sqlglot.errors.SqlglotError as error:
        where = getattr(error, "errors", None) or [{}]
        raise RotationError(
            f"{path}, line {where[0].get('line', 1)}: {where[0].get('description', 'not SQL')}; correct it."
        ) from None
    except RecursionError:
        raise RotationError(f"{path} is nested too deeply; write its steps as common table expressions.") from None
    if not trees:
        raise RotationError(f"{path} holds no statement; write a `select …` into it.")
    try:
        statements = tuple(statement.query for statement in duckdb.extract_statements(_without_header(text)))
    except duckdb.Error as error:  # sqlglot takes some texts that DuckDB does not
        raise RotationError(f"{path}: DuckDB says: {str(error).splitlines()[0]}; correct it.") from None
    created = trees[0] if isinstance(trees[0], exp.Create) else None
    kind: Literal["derived", "ledger", "macro"] = (
        "derived" if created is None else "ledger" if created.kind == "TABLE" else "macro"
    )
    # The rows that a growing table appends come from the stage of the run, before it: so it does not affect the order.
    reads = frozenset(_reads(trees[:1])) - {name}
    declared = created.this.expressions if created and kind == "ledger" else []
    columns = {column.name: column.kind.sql("duckdb") for column in declared}
    sources = frozenset(_reads(trees)) - {name}
    variables = frozenset(_variables(trees))
    return Model(name, path, kind, statements, reads, sources, variables, header, column_comments, columns)


def _reads(trees: Iterable[object]) -> Iterator[str]:
    from sqlglot import exp

    for tree in trees:
        assert isinstance(tree, exp.Expression)
        for table in tree.find_all(exp.Table):
            if table.db.lower() in SCHEMAS:
                yield f"{table.db}.{table.name or table.this.name}".lower()
        for dotted in tree.find_all(exp.Dot):
            if isinstance(dotted.expression, exp.Anonymous) and dotted.this.name.lower() in SCHEMAS:
                yield f"{dotted.this.name}.{dotted.expression.name}".lower()


def _variables(trees: Iterable[object]) -> Iterator[str]:
    from sqlglot import exp

    for tree in trees:
        assert isinstance(tree, exp.Expression)
        for call in tree.find_all(exp.Anonymous):
            if call.name.lower() == "getvariable" and call.expressions:
                yield str(call.expressions[0].this)


def _without_header(text: str) -> str:
    lines = text.splitlines()
    while lines and (not lines[0].strip() or lines[0].startswith("--")):
        lines.pop(0)
    return "\n".join(lines)


def _header(text: str) -> tuple[dict[str, str], dict[str, str]]:
    """The entries of the leading comment, `-- key: words`, and those of its columns, `--   name: words` after `-- columns:`.

    A line indented further continues the entry before it.
    """
    entries: dict[str, str] = {}
    columns: dict[str, str] = {}
    into, key = entries, ""
    for line in text.splitlines():
        if not line.startswith("--"):
            break
        if line.rstrip() == "-- columns:":
            into, key = columns, ""
        elif match := re.match(r"--   ?(\w+): (.*)" if into is columns else r"-- ([\w.]+): (.*)", line):
            key = match[1] if into is columns or entries else "about"
            into[key] = match[2].rstrip()
        elif key:
            into[key] += " " + line[2:].strip()
    return entries, columns
