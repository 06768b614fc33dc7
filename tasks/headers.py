"""SQL files of several entries, each a comment header and one `select`: expectations and alert rules.

-- key: words
--   a line that begins with `--` and three blanks continues the entry before it
select …;
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

import duckdb

Entries = dict[str, str]


class Fault(Exception):
    """A fault in a file: the line, counted from 0, what is wrong, and the remedy."""

    def __init__(self, line: int, what: str, remedy: str) -> None:
        super().__init__(what)
        self.line, self.what, self.remedy = line, what, remedy


class Section(NamedTuple):
    """The entries of one header, the query below it without its semicolon, and its first line, counted from 0."""

    entries: Entries
    query: str
    line: int


def sections(lines: list[str], kind: str, keys: Iterable[str], required: Iterable[str]) -> list[Section]:
    """The sections of a file, each of which begins with the line `-- <kind>: identifier`. Raises `Fault`."""
    starts = starts_of(lines, kind)
    found: dict[str, Section] = {}
    for start, end in pairwise([*starts, len(lines)]):
        part, length = entries(lines[start:end], start, (kind, *keys))
        name = part[kind]
        if not is_identifier(name):
            raise Fault(start, f"{name!r} is not an identifier", "use lower-case letters, digits and underscores")
        for key in required:
            if not part.get(key):
                raise Fault(start, f"the {kind} {name} has no {key}", f"add the line `-- {key}: …`")
        if name in found:
            raise Fault(start, f"the {kind} {name} appears twice", "give one of them another identifier")
        found[name] = Section(part, query("\n".join(lines[start + length : end]), kind, name, start), start)
    return list(found.values())


def starts_of(lines: list[str], kind: str) -> list[int]:
    """The lines in which a section begins, counted from 0."""
    return [number for number, line in enumerate(lines) if line.startswith(f"-- {kind}:")]


def is_identifier(name: str) -> bool:
    """Whether `name` is made of lower-case letters, digits and underscores and begins with a letter."""
    return re.fullmatch(r"[a-z][a-z0-9_]*", name) is not None


def entries(lines: list[str], start: int, known: Iterable[str]) -> tuple[Entries, int]:
    """The entries of the comment that `lines` begin with, and how many lines it has. Raises `Fault` for an unknown key."""
    found: Entries = {}
    known = tuple(known)
    key, number = "", 0
    for number, line in enumerate([*lines, ""]):
        if match := re.match(r"-- ([\w.]+): *(.*)", line):
            key = match[1]
            if key not in known:
                raise Fault(start + number, f"the key {key!r} is unknown", f"use one of {', '.join(known)}")
            if key in found:
                raise Fault(start + number, f"the key {key!r} appears twice", "remove one of the two lines")
            found[key] = match[2].strip()
        elif key and line.startswith("--   "):
            found[key] += " " + line[2:].strip()
        else:
            break
    for below, line in enumerate(lines[number:], start=number):
        if (match := re.match(r"-- ([\w.]+):", line)) and match[1] in known:
            fault = f"the key {match[1]!r} stands below the header, which line {start + number + 1} ends"
            raise Fault(start + below, fault, "write the keys one below the other, each as `-- key: words`")
    return found, number


def query(text: str, kind: str, name: str, start: int) -> str:
    """`text`, the one `select` of the `kind` called `name`, without the semicolon at its end. Raises `Fault`."""
    try:
        statements = duckdb.extract_statements(text)
    except duckdb.Error as error:
        raise Fault(start, f"the query of {name} is not SQL ({str(error).splitlines()[0]})", "correct it") from None
    if not statements:
        raise Fault(start, f"the {kind} {name} has no select", "write the query below its header")
    if len(statements) > 1:
        raise Fault(start, f"the {kind} {name} has {len(statements)} statements", f"give each an `-- {kind}:` header")
    if statements[0].type != duckdb.StatementType.SELECT:
        raise Fault(start, f"the statement of {name} is not a select", "write a query that only reads")
    stripped = text.strip()
    if not stripped.endswith(";"):
        raise Fault(start, f"the query of {name} does not end with a semicolon", "add it, and nothing after it")
    return stripped.removesuffix(";")
