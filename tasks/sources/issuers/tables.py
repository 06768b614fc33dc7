"""Reads the tables in issuers' files: finds them by their header, and reads each cell only as what it plainly is.

A dash or an empty cell is NaN. Any other text where a date or a number belongs refuses the file, since a value that is
silently lost would later pass for "no flow".
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, NamedTuple

from market_rotation.tasks.datasets import FUND_NAV_COLUMNS, HOLDINGS_COLUMNS
from market_rotation.tasks.errors import SourceUnavailable
from market_rotation.tasks.issuers import ISSUERS
from market_rotation.tasks.sources.frames import typed
from market_rotation.tasks.sources.http import unavailable
from market_rotation.tasks.sources.issuers.values import MISSING, english_day, is_plausible, number

if TYPE_CHECKING:
    import pandas as pd


class Row(NamedTuple):
    """One row of a sheet: its number, as a spreadsheet program shows it, and its cells from column A on."""

    number: int
    cells: Sequence[object]

    def text(self, column: int) -> str:
        """The cell's text without outer blanks, empty where the row is shorter."""
        return str(self.cells[column]).strip() if column < len(self.cells) else ""


@dataclass(frozen=True)
class File:
    """What is read, for messages: the issuer as a person names it, and `what` as in "NAV history of SPY".

    `grouped` says whether numbers may be written 1,234,567. Where they never are, a comma is another language's decimal point.
    """

    issuer: str
    what: str
    grouped: bool = False

    def refusal(
        self, fault: str, remedy: str = "try again later, and look at the file in a browser"
    ) -> SourceUnavailable:
        """The error that says why the file is not taken."""
        return unavailable(self.issuer, self.what, fault, remedy)

    def foreign(self, content: bytes, kind: str = "a spreadsheet") -> SourceUnavailable:
        """The error for content that is not of the expected kind at all."""
        start = content[:2000].lower()
        if not content.strip():
            return self.refusal("its file is empty", "try again later")
        if b"<html" in start or b"<!doctype" in start:
            return self.refusal(
                "it answered with a web page", "check its issuer_id in the universe, or try again later"
            )
        return self.refusal(f"its file is cut off or not {kind}")


@dataclass(frozen=True)
class Table:
    """A table found by its header: where its columns are, how many cells the header has, and its rows."""

    file: File
    columns: dict[str, int]
    width: int
    rows: list[Row]

    def check_whole(self) -> None:
        """Refuses the file where a row has not as many cells as the header, as a CSV file has it when it is cut off within a row."""
        if odd := next((row for row in self.rows if len(row.cells) != self.width), None):
            fault = f"row {odd.number} has {len(odd.cells)} cells where the header has {self.width}"
            raise self.file.refusal(fault, "try again later")

    def day(self, row: Row, column: str, reading: Callable[[str], date | None] = english_day) -> date:
        """The date in a cell, as `reading` reads it; refuses the file if the cell has none."""
        value = row.cells[self.columns[column]] if self.columns[column] < len(row.cells) else ""
        return read_day(self.file, value, f"row {row.number}", column, reading)

    def number(self, row: Row, column: str, *, whole: bool = False, unit: str = "") -> float:
        """The number in a cell, NaN for a dash; refuses the file for any other text. `unit` may stand behind it, as in 5.1%."""
        text = row.text(self.columns[column])
        if text in MISSING:
            return math.nan
        value = number(text.removesuffix(unit), grouped=self.file.grouped, whole=whole)
        if value is None:
            kind = "a whole number" if whole else "a number"
            raise self.file.refusal(f"row {row.number} has {text[:40]!r} for {column}, not {kind}")
        return value

    def text(self, row: Row, column: str) -> str | None:
        """A cell's text, None for a dash."""
        text = row.text(self.columns[column])
        return None if text in MISSING else text


def find_table(file: File, rows: Iterable[Row], names: Sequence[str]) -> tuple[list[Row], Table]:
    """The rows above the first row that has all of `names` among its cells, and the table that this row heads.

    A row of which only the first cell is filled is no row of the table, unless that is a date: so are the disclaimers below.
    Refuses a file without the header, or with nothing below it.
    """
    above: list[Row] = []
    left = iter(rows)
    for row in left:
        texts = [row.text(at).casefold() for at in range(len(row.cells))]
        if all(name.casefold() in texts for name in names):
            if twice := next((name for name in names if texts.count(name.casefold()) > 1), None):
                raise file.refusal(f"its table has two columns {twice}")
            columns = {name: texts.index(name.casefold()) for name in names}
            table = Table(file, columns, len(row.cells), [row for row in left if _is_data(row)])
            if not table.rows:
                raise file.refusal("its table has a header and no rows")
            return above, table
        above.append(row)
    seen = next((text for row in reversed(above) for at in range(len(row.cells)) if (text := row.text(at))), "nothing")
    wanted = " | ".join(names)
    raise file.refusal(f"its file has no table {wanted} in English (its last text: {seen[:40]!r})")


def _is_data(row: Row) -> bool:
    return any(row.text(at) for at in range(1, len(row.cells))) or english_day(row.text(0)) is not None


def read_day(
    file: File, value: object, where: str, column: str, reading: Callable[[str], date | None] = english_day
) -> date:
    """The date in a cell, be it text or of a spreadsheet's date type; refuses the file where it is none."""
    day = value.date() if isinstance(value, datetime) else value
    if not isinstance(day, date):
        day = reading(str(value).strip())
    if day is None or not is_plausible(day):
        raise file.refusal(f"{where} has {str(value)[:40]!r} for {column}, not an English date")
    return day


def read_csv(content: bytes, file: File) -> list[Row]:
    """The rows of a CSV file in UTF-8, with the numbers of their lines. Refuses a web page and what is no such file."""
    if not content.strip() or content.lstrip()[:1] in b"<{[" or b"\0" in content:
        raise file.foreign(content, "a CSV file")
    try:
        text = content.decode("utf-8-sig")
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        return [Row(reader.line_num, cells) for cells in reader]
    except (UnicodeDecodeError, csv.Error):
        raise file.refusal("its file is cut off or damaged", "try again later") from None


def nav_frame(symbol: str, source: str, start: date, end: date, rows: Iterable[dict[str, object]]) -> pd.DataFrame:
    """`FUND_NAV_COLUMNS` of the rows from `start` to `end`, oldest first; `rows` are as published, newest first.

    `source` is the issuer's name in `ISSUERS`, which says how it counts shares.
    """
    kept = [row for row in rows if isinstance(day := row["session"], date) and start <= day <= end]
    kept.reverse()
    kept.sort(key=lambda row: str(row["session"]))
    columns = {name: [row.get(name) for row in kept] for name in FUND_NAV_COLUMNS}
    fixed = {"symbol": symbol, "source": source, "share_count_basis": ISSUERS[source].share_count}
    return typed(columns | {name: [value] * len(kept) for name, value in fixed.items()}, FUND_NAV_COLUMNS)


def holdings_frame(
    symbol: str, source: str, as_of: date, rows: Iterable[tuple[str | None, str | None, float]]
) -> pd.DataFrame:
    """`HOLDINGS_COLUMNS` of (ticker, name, weight in percent), heaviest first, without a weight last."""
    import pandas as pd

    held = sorted(rows, key=lambda row: math.inf if math.isnan(row[2]) else -row[2])
    columns = {
        "fund_symbol": [symbol] * len(held),
        "as_of": [as_of] * len(held),
        # As objects: pandas would make NaN of None beside text.
        "symbol": pd.Series([ticker for ticker, _, _ in held], dtype="object"),
        "name": pd.Series([name for _, name, _ in held], dtype="object"),
        "weight": [weight / 100 for _, _, weight in held],
        "source": [source] * len(held),
    }
    return typed(columns, HOLDINGS_COLUMNS)
