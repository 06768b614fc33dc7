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

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from market_rotation.tasks import headers
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


def parse(path: Path, table: str) -> File:
    """The file at `path` with the expectations on `table`. Raises `ConfigError` naming the file, the line, the fault and the remedy."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read ({error}); correct the file.") from None
    starts = headers.starts_of(lines, "expectation")
    if not starts:
        raise ConfigError(f"{path} has no expectation; begin one with the line `-- expectation: identifier`.")
    try:
        about, dataset = _file_header(lines[: starts[0]], table)
        found = [
            _expectation(section)
            for section in headers.sections(
                lines, "expectation", ("severity", "column", "sentence"), ("severity", "sentence")
            )
        ]
    except headers.Fault as fault:
        raise ConfigError(f"{path}, line {fault.line + 1}: {fault.what}; {fault.remedy}.") from None
    return File(about, dataset, tuple(found))


def _file_header(lines: list[str], table: str) -> tuple[str, str | None]:
    entries, length = headers.entries(lines, 0, (table, "dataset"))
    if next(iter(entries), None) != table:
        raise headers.Fault(0, f"the header does not begin with `-- {table}: …`", "say there what the table holds")
    for number, line in enumerate(lines[length:], length):
        if line.strip():
            raise headers.Fault(
                number, "an expectation has no header", "begin it with the line `-- expectation: identifier`"
            )
    return entries[table], entries.get("dataset")


def _expectation(section: headers.Section) -> Expectation:
    entries, query, line = section
    name, severity = entries["expectation"], entries["severity"]
    if severity not in SEVERITIES:
        raise headers.Fault(line, f"the severity of {name} is {severity!r}", f"choose one of {', '.join(SEVERITIES)}")
    return Expectation(name, severity, entries["sentence"], query, entries.get("column"))
