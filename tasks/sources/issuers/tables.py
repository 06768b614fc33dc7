"""Reads the tables in issuers' files: finds them by their header, and takes no cell for something that it does not say.

A dash or an empty cell is NaN. Any other text where a date or a number belongs refuses the file, since a value that is
silently lost would later pass for "no flow".
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, NamedTuple

from market_rotation.tasks.datasets import FUND_NAV_COLUMNS, HOLDINGS_COLUMNS
from market_rotation.tasks.errors import SourceUnavailable
from market_rotation.tasks.sources.frames import typed
from market_rotation.tasks.sources.http import unavailable

if TYPE_CHECKING:
    import pandas as pd

MISSING = frozenset(["", "-", "--"])
# Not strptime's %b, which means the months of the machine's locale.
_MONTHS = {
    name: n
    for n, name in enumerate(
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"], start=1
    )
}
_DAY_FIRST = re.compile(r"(?P<day>\d{1,2})-(?P<month>[A-Z][a-z]{2})-(?P<year>\d{4})")
_MONTH_FIRST = re.compile(r"(?P<month>[A-Z][a-z]{2}) (?P<day>\d{1,2}), (?P<year>\d{4})")
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d{1,3})?", re.ASCII)
_GROUPED = re.compile(r"-?\d{1,3}(,\d{3})+(\.\d+)?", re.ASCII)
_TICKER = re.compile(r"[A-Z]{1,5}(-[A-Z]{1,2})?")


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

    def foreign(self, content: bytes) -> SourceUnavailable:
        """The error for content that is no spreadsheet at all."""
        start = content[:2000].lower()
        if not content.strip():
            return self.refusal("its file is empty", "try again later")
        if b"<html" in start or b"<!doctype" in start:
            return self.refusal(
                "it answered with a web page", "check its issuer_id in the universe, or try again later"
            )
        return self.refusal("its file is cut off or not a spreadsheet")


@dataclass(frozen=True)
class Table:
    """A table found by its header: where its columns are, and its rows."""

    file: File
    columns: dict[str, int]
    rows: list[Row]

    def day(self, row: Row, column: str) -> date:
        """The date in a cell; refuses the file where there is none."""
        value = row.cells[self.columns[column]] if self.columns[column] < len(row.cells) else ""
        return read_day(self.file, value, f"row {row.number}", column)

    def number(self, row: Row, column: str) -> float:
        """The number in a cell, NaN for a dash; refuses the file for any other text."""
        text = row.text(self.columns[column])
        if text in MISSING:
            return math.nan
        plain = text.replace(",", "") if self.file.grouped and _GROUPED.fullmatch(text) else text
        if _NUMBER.fullmatch(plain) and math.isfinite(value := float(plain)):
            return value
        raise self.file.refusal(f"row {row.number} has {text[:40]!r} for {column}, not a number")

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
        found = {row.text(at).casefold(): at for at in reversed(range(len(row.cells)))}
        if all(name.casefold() in found for name in names):
            columns = {name: found[name.casefold()] for name in names}
            table = Table(file, columns, [row for row in left if _is_data(row)])
            if not table.rows:
                raise file.refusal("its table has a header and no rows")
            return above, table
        above.append(row)
    seen = next((text for row in reversed(above) for at in range(len(row.cells)) if (text := row.text(at))), "nothing")
    wanted = " | ".join(names)
    raise file.refusal(f"its file has no table {wanted} in English (its last text: {seen[:40]!r})")


def _is_data(row: Row) -> bool:
    return any(row.text(at) for at in range(1, len(row.cells))) or english_day(row.text(0)) is not None


def english_day(text: str) -> date | None:
    """The date in `05-Dec-2025` or `Dec 05, 2025`, None for any other text."""
    match = _DAY_FIRST.fullmatch(text) or _MONTH_FIRST.fullmatch(text)
    if match is None or match["month"] not in _MONTHS:
        return None
    try:
        return date(int(match["year"]), _MONTHS[match["month"]], int(match["day"]))
    except ValueError:
        return None


def read_day(file: File, value: object, where: str, column: str) -> date:
    """The date in a cell, be it English text or of a spreadsheet's date type; refuses the file where it is none."""
    day = value.date() if isinstance(value, datetime) else value
    if not isinstance(day, date):
        day = english_day(str(value).strip())
    if day is None:
        raise file.refusal(f"{where} has {str(value)[:40]!r} for {column}, not an English date")
    return day


def yahoo_ticker(text: str) -> str | None:
    """A US ticker as Yahoo writes it (BRK.B is BRK-B); None for a dash and for what is no US ticker: cash, futures, escrows."""
    ticker = re.sub(r"[./ ]", "-", text.strip().upper())
    return ticker if _TICKER.fullmatch(ticker) else None


def nav_frame(symbol: str, source: str, start: date, end: date, rows: Iterator[dict[str, object]]) -> pd.DataFrame:
    """`FUND_NAV_COLUMNS` of the rows from `start` to `end`, oldest first; `rows` are as published, newest first."""
    kept = [row for row in rows if isinstance(day := row["session"], date) and start <= day <= end]
    kept.reverse()
    kept.sort(key=lambda row: str(row["session"]))
    columns = {name: [row.get(name) for row in kept] for name in FUND_NAV_COLUMNS}
    return typed(columns | {"symbol": [symbol] * len(kept), "source": [source] * len(kept)}, FUND_NAV_COLUMNS)


def holdings_frame(
    symbol: str, source: str, as_of: date, rows: Iterator[tuple[str | None, str | None, float]]
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
