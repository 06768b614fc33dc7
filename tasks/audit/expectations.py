"""The files of `expectations/`, parsed: what must hold of a table, each expectation a comment header and one `select` of the offending rows.

A file is `expectations/<schema>/<table>.sql`. Its leading comment has the grammar of `sql/`: `-- schema.table: what it holds`, and for a
staged table that is no dataset itself `-- dataset: name`. Each expectation then is

    -- expectation: identifier
    -- severity: critical, warning or info
    -- column: the column it is about, if it is about one
    -- sentence: what is wrong with the rows, for the reader
    select symbol, session, … from schema.table where …;

A line that begins with `--` and three blanks continues the entry before it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import duckdb

from market_rotation.tasks.errors import ConfigError

Severity = Literal["critical", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)


@dataclass(frozen=True)
class Expectation:
    """What must hold of a table. `query` yields the offending rows: `symbol`, `session`, then what helps to see why."""

    id: str
    severity: Severity
    sentence: str
    query: str
    column: str | None = None


@dataclass(frozen=True)
class Suite:
    """The expectations on one table. `dataset` is the dataset of a staged table, and the name of the table for one that is derived."""

    table: str
    dataset: str
    about: str
    expectations: tuple[Expectation, ...]

    @property
    def is_staged(self) -> bool:
        """Whether it judges what a run fetched, and not what is derived from all that is known."""
        return self.table.startswith("stage.")


@dataclass(frozen=True)
class File:
    """One file of `expectations/`. `dataset` is None where its header names none."""

    about: str
    dataset: str | None
    expectations: tuple[Expectation, ...]


_Entries = dict[str, str]


def parse(path: Path, table: str) -> File:
    """The file at `path` with the expectations on `table`. Raises `ConfigError` naming the file, the line, the fault and the remedy."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read ({error}); correct the file.") from None
    starts = [number for number, line in enumerate(lines) if line.startswith("-- expectation:")]
    if not starts:
        raise ConfigError(f"{path} has no expectation; begin one with the line `-- expectation: identifier`.")
    try:
        about, dataset = _file_header(lines[: starts[0]], table)
        found: dict[str, Expectation] = {}
        for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
            expectation = _expectation(lines[start:end], start)
            if expectation.id in found:
                raise _Fault(
                    start, f"the expectation {expectation.id} is there twice", "give one of them another identifier"
                )
            found[expectation.id] = expectation
    except _Fault as fault:
        raise ConfigError(f"{path}, line {fault.line + 1}: {fault.what}; {fault.remedy}.") from None
    return File(about, dataset, tuple(found.values()))


class _Fault(Exception):
    """What is wrong in which line, counted from 0."""

    def __init__(self, line: int, what: str, remedy: str) -> None:
        super().__init__(what)
        self.line, self.what, self.remedy = line, what, remedy


def _file_header(lines: list[str], table: str) -> tuple[str, str | None]:
    entries, length = _entries(lines, 0, (table, "dataset"))
    if next(iter(entries), None) != table:
        raise _Fault(0, f"the header does not begin with `-- {table}: …`", "say there what the table holds")
    for number, line in enumerate(lines[length:], length):
        if line.strip():
            raise _Fault(number, "an expectation has no header", "begin it with the line `-- expectation: identifier`")
    return entries[table], entries.get("dataset")


def _expectation(lines: list[str], start: int) -> Expectation:
    entries, length = _entries(lines, start, ("expectation", "severity", "column", "sentence"))
    name = entries["expectation"]
    if not re.fullmatch(r"[a-z]\w*", name):
        raise _Fault(start, f"{name!r} is not an identifier", "use lower-case letters, digits and underscores")
    for key in ("severity", "sentence"):
        if not entries.get(key):
            raise _Fault(start, f"the expectation {name} has no {key}", f"add the line `-- {key}: …`")
    if entries["severity"] not in SEVERITIES:
        raise _Fault(
            start, f"the severity of {name} is {entries['severity']!r}", f"choose one of {', '.join(SEVERITIES)}"
        )
    query = _query("\n".join(lines[length:]), name, start)
    return Expectation(name, entries["severity"], entries["sentence"], query, entries.get("column"))


def _query(text: str, name: str, start: int) -> str:
    try:
        statements = duckdb.extract_statements(text)
    except duckdb.Error as error:
        raise _Fault(start, f"the query of {name} is not SQL ({str(error).splitlines()[0]})", "correct it") from None
    if not statements:
        raise _Fault(start, f"the expectation {name} has no select", "write the query that yields the offending rows")
    if len(statements) > 1:
        raise _Fault(
            start, f"the expectation {name} has {len(statements)} statements", "give each an `-- expectation:` header"
        )
    if statements[0].type != duckdb.StatementType.SELECT:
        raise _Fault(start, f"the statement of {name} is not a select", "write a query that yields the offending rows")
    query = text.strip()
    if not query.endswith(";"):
        raise _Fault(start, f"the query of {name} does not end with a semicolon", "add it, and nothing after it")
    return query.removesuffix(";")


def _entries(lines: list[str], start: int, known: Iterable[str]) -> tuple[_Entries, int]:
    """The entries of the comment that `lines` begin with, and how many lines it has."""
    entries: _Entries = {}
    key, number = "", 0
    for number, line in enumerate([*lines, ""]):
        if match := re.match(r"-- ([\w.]+): *(.*)", line):
            key = match[1]
            if key not in known:
                raise _Fault(start + number, f"the key {key!r} is unknown", f"use one of {', '.join(known)}")
            if key in entries:
                raise _Fault(start + number, f"the key {key!r} is there twice", "remove one of the two lines")
            entries[key] = match[2].strip()
        elif key and line.startswith("--   "):
            entries[key] += " " + line[2:].strip()
        else:
            break
    return entries, number
