"""iShares' documents: one file of NAV history, distributions and holdings of a fund in SpreadsheetML, and past holdings as CSV.

The addresses answer in the language of `locale`; only English documents are read. Past holdings go back to 2010 or earlier; for a day
without a file (no session, not yet published) the answer has status 200, no rows, and a dash for its date. Addresses and layouts are
those that public code used in 2026; they have not been tested against the live server.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from market_rotation.tasks.issuers import ISSUERS
from market_rotation.tasks.sources.frames import parser
from market_rotation.tasks.sources.issuers.reader import Reader
from market_rotation.tasks.sources.issuers.spreadsheetml import read_sheets
from market_rotation.tasks.sources.issuers.tables import (
    File,
    Row,
    Table,
    find_table,
    holdings_frame,
    nav_frame,
    read_csv,
    read_day,
)
from market_rotation.tasks.sources.issuers.values import MISSING, yahoo_ticker

if TYPE_CHECKING:
    import pandas as pd

API = "https://www.blackrock.com/varnish-api/blk-one01-product-data/product-data/api/v1/get-fund-document"
ISSUER = ISSUERS["ishares"].title
HISTORICAL, HOLDINGS = "Historical", "Holdings"
#: The fund's file has its latest holdings; those of a day longer ago than this before them are requested by date.
NEAR = timedelta(days=7)
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


class ISharesSource(Reader):
    """iShares' files; see `Reader`. `ids` are iShares' portfolio numbers by symbol.

    A file has no ticker, so only the fund's name identifies another fund's file. Without a name this is not checked.
    """

    name = "ishares"
    max_bytes = 60_000_000

    def fund_nav(self, symbol: str, start: date, end: date) -> pd.DataFrame:
        """See `FundSource.fund_nav` and `parse_nav_history`. Raises `SymbolNotFound` for a symbol without an id."""
        name, what = self._names.get(symbol), _file(HISTORICAL, symbol).what
        url = address(self._id(symbol))
        return self._read(url, what, lambda content: parse_nav_history(content, symbol, start, end, name=name))

    def holdings(self, symbol: str, as_of: date) -> pd.DataFrame:
        """See `FundSource.holdings`, `parse_holdings` and `parse_past_holdings`. Raises as `fund_nav` does.

        The latest holdings, unless they are of a day more than a week after `as_of`: then those of `as_of`, which must be a session.
        """
        name, what = self._names.get(symbol), _file(HOLDINGS, symbol).what
        url = address(self._id(symbol))
        latest = self._read(url, what, lambda content: parse_holdings(content, symbol, as_of, name=name))
        if not len(latest) or latest["as_of"].iloc[0].date() - as_of <= NEAR:
            return latest
        url = address(self._id(symbol), as_of)
        return self._read(url, what, lambda content: parse_past_holdings(content, symbol, as_of, name=name))


def address(portfolio_id: str, as_of: date | None = None) -> str:
    """Where the English file of a portfolio is, or that of its holdings on `as_of`."""
    query = {
        "appType": "PRODUCT_PAGE",
        "appSubType": "ISHARES",
        "targetSite": "us-ishares",
        "locale": "en_US",
        "portfolioId": portfolio_id,
        "component": "holdings" if as_of else "fundDownload",
        "userType": "individual",
    }
    return f"{API}?{urlencode(query | ({'asOfDate': f'{as_of:%Y%m%d}'} if as_of else {}))}"


@parser(ISSUER, "NAV history")
def parse_nav_history(content: bytes, symbol: str, start: date, end: date, *, name: str | None = None) -> pd.DataFrame:
    """The rows of the sheet Historical from `start` to `end`: `FUND_NAV_COLUMNS`, USD, oldest first, a dash being NaN.

    `distribution` is its column Ex-Dividends; `total_net_assets_usd` is NaN throughout, as the file has none.
    Raises `SourceUnavailable` for anything but a whole English file of the fund called `name` (None: of any fund).
    """
    file = _file(HISTORICAL, symbol)
    sheets = read_sheets(content, file)
    names = ("As Of", "NAV per Share", "Ex-Dividends", "Shares Outstanding")
    _, table = find_table(file, _sheet(sheets, HISTORICAL, file), names)
    table.check_whole()
    _check_name(sheets, file, name)
    rows = (
        {
            "session": table.day(row, "As Of"),
            "nav": table.number(row, "NAV per Share"),
            "shares_outstanding": table.number(row, "Shares Outstanding", whole=True),
            "distribution": table.number(row, "Ex-Dividends"),
        }
        for row in table.rows
    )
    return nav_frame(symbol, ISharesSource.name, start, end, rows)


@parser(ISSUER, "holdings")
def parse_holdings(content: bytes, symbol: str, as_of: date, *, name: str | None = None) -> pd.DataFrame:
    """The rows of the sheet Holdings: `HOLDINGS_COLUMNS`, heaviest first, dated "Fund Holdings as of", else `as_of`.

    Only equity has a `symbol`: the file's ticker for cash is USD, which on an exchange is a fund. Raises as `parse_nav_history`.
    """
    file = _file(HOLDINGS, symbol)
    sheets = read_sheets(content, file)
    above, table = find_table(file, _sheet(sheets, HOLDINGS, file), ("Ticker", "Name", "Asset Class", "Weight (%)"))
    table.check_whole()
    _check_name(sheets, file, name)
    dated = next((row.text(1) for row in above if row.text(0) == "Fund Holdings as of"), None)
    if dated is None:
        raise file.refusal('its file has no line "Fund Holdings as of"')
    if dated not in MISSING:
        as_of = read_day(file, dated, "its head", "Fund Holdings as of")

    return holdings_frame(symbol, ISharesSource.name, as_of, _held(table))


@parser(ISSUER, "holdings")
def parse_past_holdings(content: bytes, symbol: str, as_of: date, *, name: str | None = None) -> pd.DataFrame:
    """The holdings on `as_of` in a CSV file: `HOLDINGS_COLUMNS`, heaviest first. Only equity has a `symbol`.

    Raises `SourceUnavailable` for anything but a whole English file of the fund called `name` (None: of any fund) and of that day.
    """
    file = File(ISSUER, f"holdings of {symbol}", grouped=True)
    rows = read_csv(content, file)
    header = ("Ticker", "Name", "Asset Class", "Weight (%)")
    start = next((n for n, row in enumerate(rows) if row.text(0) == header[0]), len(rows))
    title = rows[0].text(0) if rows else ""
    if name is not None and _letters(title) != _letters(name):
        raise file.refusal(f"its file is of {title[:60] or 'an unnamed fund'}, not of {name}")
    dated = next((row.text(1) for row in rows[:start] if row.text(0) == "Fund Holdings as of"), "")
    if dated in MISSING:
        remedy = "request the holdings of a session that is over"
        raise file.refusal(f"it has none of {as_of}", remedy)
    found = read_day(file, dated, "its head", "Fund Holdings as of")
    if found != as_of:
        raise file.refusal(f"its file is of {found}, not of {as_of}")
    # The table ends at an empty line, and a disclaimer follows: without one the file can be cut off between two rows.
    end = next((n for n in range(start, len(rows)) if not any(map(rows[n].text, range(len(rows[n].cells))))), None)
    if start < len(rows) and (end is None or not any(row.text(0) for row in rows[end:])):
        raise file.refusal("its file is cut off", "try again later")
    _, table = find_table(file, rows[start:end], header)
    table.check_whole()
    return holdings_frame(symbol, ISharesSource.name, as_of, _held(table))


def _held(table: Table) -> Iterator[tuple[str | None, str | None, float]]:
    """Ticker, name and weight in percent of each holding."""
    for row in table.rows:
        ticker = table.text(row, "Ticker") or ""
        is_equity = table.text(row, "Asset Class") == "Equity"
        symbol = yahoo_ticker(_CLASSES.get(ticker, ticker)) if is_equity else None
        yield symbol, table.text(row, "Name"), table.number(row, "Weight (%)")


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
