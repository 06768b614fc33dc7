"""iShares' fund file: NAV history, distributions and holdings of one fund, in SpreadsheetML of 5 MB and more.

The address answers in the language of `locale`; only the English file is read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlencode

from market_rotation.tasks.errors import SymbolNotFound
from market_rotation.tasks.sources.http import Documents, download
from market_rotation.tasks.sources.issuers.spreadsheetml import read_sheets
from market_rotation.tasks.sources.issuers.tables import (
    MISSING,
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

API = "https://www.blackrock.com/varnish-api/blk-one01-product-data/product-data/api/v1/get-fund-document"
MAX_BYTES = 60_000_000
ISSUER = "iShares"
HISTORICAL, HOLDINGS = "Historical", "Holdings"
# iShares leaves out what stands before the letter of a class of shares. A rule cannot tell: CVNA and MA are whole tickers,
# though their names end in "CLASS A" too.
_CLASSES = {
    f"{stem}{letter}": f"{stem}-{letter}"
    for stem, letters in {
        **{"BRK": "AB", "BF": "AB", "HEI": "A", "LEN": "B", "MOG": "AB", "CRD": "AB", "GEF": "B", "UHAL": "B"},
        **{"CWEN": "A", "LGF": "AB", "BIO": "B", "TAP": "A", "STZ": "B", "MKC": "V", "AKO": "AB"},
        **{"GTN": "A", "HVT": "A", "WSO": "B", "BH": "A"},
    }.items()
    for letter in letters
}


class ISharesSource:
    """iShares' files; one instance serves all threads, and downloads each file once: make a new one for newer files.

    `ids` are iShares' portfolio numbers by symbol, `names` the funds' names by symbol: the file has no ticker, so only its
    name tells that it is another fund's. Without a name that is not checked. `timeout_s` bounds each download, in seconds.
    """

    name = "ishares"

    def __init__(
        self, ids: Mapping[str, str], timeout_s: float = 60.0, *, names: Mapping[str, str] | None = None
    ) -> None:
        self._ids = dict(ids)
        self._names = dict(names or {})
        self._timeout_s = timeout_s
        self._documents = Documents()

    def fund_nav(self, symbol: str, start: date, end: date) -> pd.DataFrame:
        """See `FundSource.fund_nav` and `parse_nav_history`. Raises `SymbolNotFound` for a symbol without an id."""
        name = self._names.get(symbol)
        return self._read(symbol, HISTORICAL, lambda content: parse_nav_history(content, symbol, start, end, name=name))

    def holdings(self, symbol: str, as_of: date) -> pd.DataFrame:
        """See `FundSource.holdings` and `parse_holdings`; today's whatever `as_of`. Raises as `fund_nav` does."""
        name = self._names.get(symbol)
        return self._read(symbol, HOLDINGS, lambda content: parse_holdings(content, symbol, as_of, name=name))

    def _read(self, symbol: str, sheet: str, parse: Callable[[bytes], T]) -> T:
        if symbol not in self._ids:
            raise SymbolNotFound(
                f"{ISSUER} gave nothing of {symbol}: the universe has no issuer_id for it; add it there."
            )
        url = address(self._ids[symbol])
        what = _file(sheet, symbol).what
        return self._documents.read(
            url, lambda: download(url, what=what, timeout_s=self._timeout_s, max_bytes=MAX_BYTES), parse
        )


def address(portfolio_id: str) -> str:
    """Where the English file of a portfolio is."""
    query = {
        "appType": "PRODUCT_PAGE",
        "appSubType": "ISHARES",
        "targetSite": "us-ishares",
        "locale": "en_US",
        "portfolioId": portfolio_id,
        "component": "fundDownload",
        "userType": "individual",
    }
    return f"{API}?{urlencode(query)}"


def parse_nav_history(content: bytes, symbol: str, start: date, end: date, *, name: str | None = None) -> pd.DataFrame:
    """The rows of the sheet Historical from `start` to `end`: `FUND_NAV_COLUMNS`, USD, oldest first, a dash being NaN.

    `distribution` is its column Ex-Dividends; `total_net_assets_usd` is NaN throughout, as the file has none.
    Raises `SourceUnavailable` for anything but a whole English file of the fund called `name` (None: of any fund).
    """
    file = _file(HISTORICAL, symbol)
    sheets = read_sheets(content, file)
    names = ("As Of", "NAV per Share", "Ex-Dividends", "Shares Outstanding")
    _, table = find_table(file, _sheet(sheets, HISTORICAL, file), names)
    _check_name(sheets, file, name)
    rows = (
        {
            "session": table.day(row, "As Of"),
            "nav": table.number(row, "NAV per Share"),
            "shares_outstanding": table.number(row, "Shares Outstanding"),
            "distribution": table.number(row, "Ex-Dividends"),
        }
        for row in table.rows
    )
    return nav_frame(symbol, ISharesSource.name, start, end, rows)


def parse_holdings(content: bytes, symbol: str, as_of: date, *, name: str | None = None) -> pd.DataFrame:
    """The rows of the sheet Holdings: `HOLDINGS_COLUMNS`, heaviest first, dated "Fund Holdings as of", else `as_of`.

    Only equity has a `symbol`: the file's ticker for cash is USD, which on an exchange is a fund. Raises as `parse_nav_history`.
    """
    file = _file(HOLDINGS, symbol)
    sheets = read_sheets(content, file)
    above, table = find_table(file, _sheet(sheets, HOLDINGS, file), ("Ticker", "Name", "Asset Class", "Weight (%)"))
    _check_name(sheets, file, name)
    dated = next((row.text(1) for row in above if row.text(0) == "Fund Holdings as of"), "")
    if dated not in MISSING:
        as_of = read_day(file, dated, "its head", "Fund Holdings as of")

    def ticker(row: Row) -> str | None:
        text = table.text(row, "Ticker") or ""
        return yahoo_ticker(_CLASSES.get(text, text)) if table.text(row, "Asset Class") == "Equity" else None

    rows = ((ticker(row), table.text(row, "Name"), table.number(row, "Weight (%)")) for row in table.rows)
    return holdings_frame(symbol, ISharesSource.name, as_of, rows)


def _file(sheet: str, symbol: str) -> File:
    return File(ISSUER, f"{'NAV history' if sheet == HISTORICAL else 'holdings'} of {symbol}")


def _sheet(sheets: Mapping[str, list[Row]], name: str, file: File) -> list[Row]:
    if name not in sheets:
        found = ", ".join(sheets)[:80]
        raise file.refusal(f"its file has no sheet {name} in English (it has: {found})")
    return sheets[name]


def _check_name(sheets: Mapping[str, list[Row]], file: File, name: str | None) -> None:
    """Refuses another fund's file. The fund's name stands alone in a row at the head of Holdings and of Performance."""
    if name is None:
        return
    heads = [row.text(0) for sheet in (HOLDINGS, "Performance") for row in sheets.get(sheet, [])[:4] if not row.text(1)]
    if _letters(name) not in map(_letters, heads):
        found = next((text for text in heads if re.search("[A-Za-z]{4}", text)), "an unnamed fund")
        raise file.refusal(f"its file is of {found[:60]}, not of {name}", "check name and issuer_id in the universe")


def _letters(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.casefold())
