"""A CSV file as a table: its delimiter, its header rows, and which column holds what, of one symbol or of several side by side."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from market_rotation.tasks.errors import ConfigError
from market_rotation.tasks.importing import names

#: The header is looked for in so many lines; exports of terminals put a few lines of notes before it.
MOST_LINES_BEFORE_HEADER = 20
DELIMITERS = ",;\t|"


class Part(NamedTuple):
    """The columns of one symbol: the place of each meaning. `symbol` is None where a column, the notes or the file's name says it."""

    symbol: str | None
    places: dict[str, int]


@dataclass(frozen=True)
class Table:
    """`rows` of texts with their `lines` in the file; `names` of all columns; `ignored` are those whose meaning is not known."""

    path: Path
    names: list[str]
    rows: list[list[str]]
    lines: list[int]
    parts: list[Part]
    ignored: list[str]
    noted_symbol: str | None
    delimiter: str

    @property
    def is_wide(self) -> bool:
        """Several symbols side by side."""
        return len(self.parts) > 1 or self.parts[0].symbol is not None

    @property
    def meanings(self) -> set[str]:
        """What its columns hold."""
        return {meaning for part in self.parts for meaning in part.places}


def read(path: Path) -> Table:
    """The table in `path`. Raises `ConfigError`, with line and column where there are, for what is no table with dates."""
    text = _text(path)
    delimiter = _delimiter(text)
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, strict=True)
    rows, lines = [], []
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                rows.append([cell.strip() for cell in row])
                lines.append(reader.line_num)
    except csv.Error as error:
        raise ConfigError(f"{path}, line {reader.line_num}: not CSV ({error}); correct the line.") from None
    place = _header(path, rows)
    header, before, body = rows[place], rows[:place], rows[place + 1 :]
    for row, line in zip(body, lines[place + 1 :], strict=True):
        if len(row) != len(header):
            raise ConfigError(
                f"{path}, line {line}, column {min(len(row), len(header)) + 1}: the header has {len(header)} columns and this line has "
                f"{len(row)}; correct the line."
            )
    if not body:
        raise ConfigError(f"{path} has a header but no rows; leave the file out, or fill it.")
    labels, parts = _parts(path, header, before)
    used = {index for part in parts for index in part.places.values()}
    ignored = list(dict.fromkeys(label for index, label in enumerate(labels) if index not in used and label))
    noted = next((found for row in before if len(row) > 1 and (found := _noted(row))), None)
    return Table(path, labels, body, lines[place + 1 :], parts, ignored, noted, delimiter)


def _text(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8 text; save it as CSV in UTF-8.") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}); correct its permissions.") from None
    if text.lstrip()[:9].lower().startswith(("<!doctype", "<html")):
        raise ConfigError(f"{path} is a web page and not CSV; download the file again.")
    if not text.strip():
        raise ConfigError(f"{path} is empty; leave the file out, or fill it.")
    return text


def _delimiter(text: str) -> str:
    """The delimiter that the line of the header, or else the first line, has most of."""
    lines = text.splitlines()[:MOST_LINES_BEFORE_HEADER]
    best = max(lines, key=lambda line: max(line.count(sign) for sign in DELIMITERS))
    return max(DELIMITERS, key=best.count)


def _header(path: Path, rows: list[list[str]]) -> int:
    for place, row in enumerate(rows[:MOST_LINES_BEFORE_HEADER]):
        if any(names.meaning(cell) == "day" for cell in row):
            return place
    raise ConfigError(
        f"{path} has no column of dates: none of its first lines has a column named Date, session, timestamp or the like; name it so."
    )


def _parts(path: Path, header: list[str], before: list[list[str]]) -> tuple[list[str], list[Part]]:
    """The labels of all columns, and the columns of each symbol. Three forms are known beside a plain header:

    fields and tickers in the two rows above a row that only names the dates (yfinance); tickers above the fields (Bloomberg); tickers alone.
    """
    day = next(index for index, cell in enumerate(header) if names.meaning(cell) == "day")
    others = [index for index in range(len(header)) if index != day]
    if others and not any(header[index] for index in others) and len(before) >= 2:
        fields, tickers = (_filled(row, len(header)) for row in before[-2:])
        if not any(names.meaning(fields[index]) for index in others):
            fields, tickers = tickers, fields
        return _side_by_side(path, day, others, fields, tickers)
    meanings = [names.meaning(cell) for cell in header]
    repeated = {meaning for meaning in meanings if meaning and meanings.count(meaning) > 1}
    if repeated and before and len(before[-1]) > 1:
        return _side_by_side(path, day, others, header, _filled(before[-1], len(header)))
    if others and all(header[i].isupper() and names.symbol(header[i]) and not meanings[i] for i in others):
        return _side_by_side(path, day, others, ["Close"] * len(header), header)
    if repeated:
        meaning = min(repeated)
        twice = [cell for cell, found in zip(header, meanings, strict=True) if found == meaning]
        raise ConfigError(
            f"{path}: the columns {' and '.join(twice)} could both be {meaning}; rename the one that is not."
        )
    places = {meaning: index for index, meaning in enumerate(meanings) if meaning}
    return header, [Part(None, places)]


def _filled(row: list[str], width: int) -> list[str]:
    """The row, in which a blank repeats the cell before it, as in merged cells."""
    filled: list[str] = []
    for cell in (*row, *[""] * (width - len(row))):
        filled.append(cell or (filled[-1] if filled else ""))
    return filled


def _side_by_side(
    path: Path, day: int, others: list[int], fields: list[str], tickers: list[str]
) -> tuple[list[str], list[Part]]:
    places: dict[str, dict[str, int]] = {}
    labels = [fields[index] if index != day else "" for index in range(len(fields))]
    for index in others:
        found = names.symbol(tickers[index])
        if found is None:
            raise ConfigError(
                f"{path}, column {index + 1}: {tickers[index]!r} stands where a symbol is expected; correct it or delete the column."
            )
        if meaning := names.meaning(fields[index]):
            if meaning in places.setdefault(found, {"day": day}):
                raise ConfigError(f"{path}, column {index + 1}: {found} has two columns {fields[index]}; delete one.")
            places[found][meaning] = index
    return labels, [Part(found, columns) for found, columns in places.items()]


def _noted(row: list[str]) -> str | None:
    return names.symbol(row[1]) if names.meaning(row[0]) == "symbol" else None
