"""State Street's fund files: the NAV history and the holdings of one SPDR fund, each an .xlsx.

A day's row appears on the day after it. The history goes back to the fund's first day, and is restated at no split.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Callable, Mapping
from datetime import date
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

from market_rotation.tasks.errors import SymbolNotFound
from market_rotation.tasks.sources.http import Documents, download
from market_rotation.tasks.sources.issuers.tables import (
    File,
    Row,
    find_table,
    holdings_frame,
    nav_frame,
    read_day,
    yahoo_ticker,
)

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")

FOLDER = "https://www.ssga.com/library-content/products/fund-data/etfs/us/"
MAX_BYTES = 20_000_000
MAX_UNPACKED_BYTES = 200_000_000
ISSUER = "State Street"
NAV_HISTORY, HOLDINGS = "navhist", "holdings-daily"
# A cell beyond column ZZ or row 99,999: the reader would allot memory for all cells before it.
_FAR_CELL = re.compile(rb'\br="(?:[A-Z]{3,}\d+|[A-Z]+\d{6,})"')
# A cell with an error such as #REF!, which the reader tells as an empty one.
_ERROR_CELL = re.compile(rb'<(?:\w+:)?c\s[^>]*\bt="e"')


class SsgaSource:
    """State Street's files; one instance serves all threads, and downloads each file once: make a new one for newer files.

    `ids` are the issuer's tickers by symbol; `timeout_s` bounds each download, in seconds.
    """

    name = "ssga"

    def __init__(self, ids: Mapping[str, str], timeout_s: float = 60.0) -> None:
        self._ids = dict(ids)
        self._timeout_s = timeout_s
        self._documents = Documents()

    def fund_nav(self, symbol: str, start: date, end: date) -> pd.DataFrame:
        """See `FundSource.fund_nav` and `parse_nav_history`. Raises `SymbolNotFound` for a symbol without an id."""
        return self._read(NAV_HISTORY, symbol, lambda content: parse_nav_history(content, symbol, start, end))

    def holdings(self, symbol: str, as_of: date) -> pd.DataFrame:
        """See `FundSource.holdings` and `parse_holdings`; today's whatever `as_of`. Raises as `fund_nav` does."""
        return self._read(HOLDINGS, symbol, lambda content: parse_holdings(content, symbol, as_of))

    def _read(self, kind: str, symbol: str, parse: Callable[[bytes], T]) -> T:
        if symbol not in self._ids:
            raise SymbolNotFound(
                f"{ISSUER} gave nothing of {symbol}: the universe has no issuer_id for it; add it there."
            )
        url = f"{FOLDER}{kind}-us-en-{quote(self._ids[symbol].lower(), safe='')}.xlsx"
        what = _file(kind, symbol).what
        return self._documents.read(
            url, lambda: download(url, what=what, timeout_s=self._timeout_s, max_bytes=MAX_BYTES), parse
        )


def parse_nav_history(content: bytes, symbol: str, start: date, end: date) -> pd.DataFrame:
    """The rows of a NAV history file from `start` to `end`: `FUND_NAV_COLUMNS`, USD, oldest first, a dash being NaN.

    `distribution` is NaN throughout, as the file has none. Raises `SourceUnavailable` for anything but a whole file of `symbol`.
    """
    file = _file(NAV_HISTORY, symbol)
    names = ("Date", "NAV", "Shares Outstanding", "Total Net Assets")
    above, table = find_table(file, _rows(content, file), names)
    _check_ticker(file, above, symbol)
    rows = (
        {
            "session": table.day(row, "Date"),
            "nav": table.number(row, "NAV"),
            "shares_outstanding": table.number(row, "Shares Outstanding"),
            "total_net_assets_usd": table.number(row, "Total Net Assets"),
        }
        for row in table.rows
    )
    return nav_frame(symbol, SsgaSource.name, start, end, rows)


def parse_holdings(content: bytes, symbol: str, as_of: date) -> pd.DataFrame:
    """The rows of a holdings file: `HOLDINGS_COLUMNS`, heaviest first, dated by its line "As of", else `as_of`.

    Raises `SourceUnavailable` for anything but a whole file of `symbol`.
    """
    file = _file(HOLDINGS, symbol)
    above, table = find_table(file, _rows(content, file), ("Name", "Ticker", "Weight"))
    _check_ticker(file, above, symbol)
    if dated := _labelled(above, "Holdings:").removeprefix("As of").strip():
        as_of = read_day(file, dated, 'the line "Holdings:"', "As of")
    rows = (
        (yahoo_ticker(table.text(row, "Ticker") or ""), table.text(row, "Name"), table.number(row, "Weight"))
        for row in table.rows
    )
    return holdings_frame(symbol, SsgaSource.name, as_of, rows)


def _file(kind: str, symbol: str) -> File:
    return File(ISSUER, f"{'NAV history' if kind == NAV_HISTORY else 'holdings'} of {symbol}", grouped=True)


def _labelled(above: list[Row], label: str) -> str:
    """The text to the right of `label`, empty where there is none."""
    return next((row.text(1) for row in above if row.text(0).casefold() == label.casefold()), "")


def _check_ticker(file: File, above: list[Row], symbol: str) -> None:
    found = _labelled(above, "Ticker Symbol:")
    bare = re.sub(r"[\s™®℠]+$", "", found)
    if yahoo_ticker(bare) != yahoo_ticker(symbol):
        raise file.refusal(f"its file is of {found[:20] or 'no ticker'}", "check its issuer_id in the universe")


def _rows(content: bytes, file: File) -> list[Row]:
    """The rows of the first sheet of an .xlsx, checked to be whole and of a sane size before it is unpacked."""
    from python_calamine import CalamineError, CalamineWorkbook

    if not content.startswith(b"PK\x03\x04"):
        raise file.foreign(content)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            size = sum(member.file_size for member in archive.infolist())
            if size > MAX_UNPACKED_BYTES:
                raise file.refusal(f"its file would unpack to {size / 1e6:,.0f} MB")
            # Reading each member checks its length and checksum too, on which a reader of spreadsheets does not insist.
            members = [archive.read(member) for member in archive.infolist()]
            if any(map(_FAR_CELL.search, members)):
                raise file.refusal("its sheet has cells far beyond any table")
            if any(map(_ERROR_CELL.search, members)):
                raise file.refusal("its sheet has cells with an error such as #REF!")
        sheet = CalamineWorkbook.from_filelike(io.BytesIO(content)).get_sheet_by_index(0)
        # With the empty area, so that row numbers are those that a person sees.
        lines = sheet.to_python(skip_empty_area=False)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError, CalamineError):
        raise file.refusal("its file is cut off or damaged", "try again later") from None
    return [Row(number, cells) for number, cells in enumerate(lines, start=1)]
