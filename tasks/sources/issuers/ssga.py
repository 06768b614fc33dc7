"""State Street's fund files, each an .xlsx: NAV history, premium or discount and holdings of one SPDR fund, distributions of all.

A day's row appears on the day after it. The history goes back to the fund's first day, and is restated at no split.
Addresses and layouts are those that public code used in 2026; they have not been tested against the live server.
"""

from __future__ import annotations

import io
import math
import re
import zipfile
from datetime import date
from typing import TYPE_CHECKING
from urllib.parse import quote

from market_rotation.tasks.errors import SourceUnavailable
from market_rotation.tasks.issuers import ISSUERS
from market_rotation.tasks.sources.frames import parser, typed
from market_rotation.tasks.sources.issuers.reader import Reader
from market_rotation.tasks.sources.issuers.tables import File, Row, find_table, holdings_frame, nav_frame, read_day
from market_rotation.tasks.sources.issuers.values import us_day, yahoo_ticker

if TYPE_CHECKING:
    import pandas as pd

FOLDER = "https://www.ssga.com/library-content/products/fund-data/etfs/us/"
ALL_DISTRIBUTIONS = f"{FOLDER}spdr-etf-historical-distributions.xlsx"
MAX_UNPACKED_BYTES = 200_000_000
ISSUER = ISSUERS["ssga"].title
NAV_HISTORY, HOLDINGS, PREMIUMS = "navhist", "holdings-daily", "pdhist"
_WHAT = {NAV_HISTORY: "NAV history", HOLDINGS: "holdings", PREMIUMS: "premium history"}
#: What the distributions file says of a payment, in USD per share; they add up.
_PAYMENTS = ("DIVIDEND ($)", "SHORT TERM CAPITAL GAIN ($)", "LONG TERM CAPITAL GAIN ($)")
#: Columns of a frame of premiums: (closing price / NAV - 1) in percent, as the issuer publishes it.
PREMIUM_COLUMNS = {"symbol": "object", "session": "datetime64[s]", "premium_pct": "float64"}
# A cell beyond column ZZ or row 99,999: the reader would allot memory for all cells before it.
_FAR_CELL = re.compile(rb'\br="(?:[A-Z]{3,}\d+|[A-Z]+\d{6,})"')
# A cell with an error such as #REF!, which the reader reports as an empty one.
_ERROR_CELL = re.compile(rb'<(?:\w+:)?c\s[^>]*\bt="e"')


class SsgaSource(Reader):
    """State Street's files; see `Reader`. `ids` are the issuer's tickers by symbol."""

    name = "ssga"

    def fund_nav(self, symbol: str, start: date, end: date) -> pd.DataFrame:
        """See `FundSource.fund_nav`, `parse_nav_history` and `parse_distributions`. Raises `SymbolNotFound` for a symbol without an id.

        It takes both files or fails: without the payments, a session with a distribution would look like one without.
        """
        what = _file(NAV_HISTORY, symbol).what
        frame = self._read(self._url(NAV_HISTORY, symbol), what, lambda c: parse_nav_history(c, symbol, start, end))
        what = f"distributions of {symbol}"
        paid = self._read(ALL_DISTRIBUTIONS, what, lambda content: parse_distributions(content, symbol))
        return frame.assign(distribution=[paid.get(day.date(), math.nan) for day in frame["session"]])

    def holdings(self, symbol: str, as_of: date) -> pd.DataFrame:
        """See `FundSource.holdings` and `parse_holdings`; today's whatever `as_of`. Raises as `fund_nav` does."""
        what = _file(HOLDINGS, symbol).what
        return self._read(self._url(HOLDINGS, symbol), what, lambda content: parse_holdings(content, symbol, as_of))

    def premiums(self, symbol: str, start: date, end: date) -> pd.DataFrame:
        """The premium or discount at which the fund closed: see `parse_premiums`. Raises as `fund_nav` does."""
        what = _file(PREMIUMS, symbol).what
        return self._read(
            self._url(PREMIUMS, symbol), what, lambda content: parse_premiums(content, symbol, start, end)
        )

    def _url(self, kind: str, symbol: str) -> str:
        return f"{FOLDER}{kind}-us-en-{quote(self._id(symbol).lower(), safe='')}.xlsx"


@parser(ISSUER, "NAV history")
def parse_nav_history(content: bytes, symbol: str, start: date, end: date) -> pd.DataFrame:
    """The rows of a NAV history file from `start` to `end`: `FUND_NAV_COLUMNS`, USD, oldest first, a dash being NaN.

    `distribution` is NaN throughout, as this file has none. Raises `SourceUnavailable` for anything but a whole file of `symbol`.
    """
    file = _file(NAV_HISTORY, symbol)
    names = ("Date", "NAV", "Shares Outstanding", "Total Net Assets")
    above, table = find_table(file, _rows(content, file), names)
    _check_ticker(file, above, symbol)
    rows = (
        {
            "session": table.day(row, "Date"),
            "nav": table.number(row, "NAV"),
            "shares_outstanding": table.number(row, "Shares Outstanding", whole=True),
            "total_net_assets_usd": table.number(row, "Total Net Assets"),
        }
        for row in table.rows
    )
    return nav_frame(symbol, SsgaSource.name, start, end, rows)


@parser(ISSUER, "holdings")
def parse_holdings(content: bytes, symbol: str, as_of: date) -> pd.DataFrame:
    """The rows of a holdings file: `HOLDINGS_COLUMNS`, heaviest first, dated by its line "As of", else `as_of`.

    Raises `SourceUnavailable` for anything but a whole file of `symbol`.
    """
    file = _file(HOLDINGS, symbol)
    above, table = find_table(file, _rows(content, file), ("Name", "Ticker", "Weight"))
    _check_ticker(file, above, symbol)
    dated = _labelled(above, "Holdings:")
    if dated is None:
        raise file.refusal('its file has no line "Holdings:", which dates it')
    if dated := dated.removeprefix("As of").strip():
        as_of = read_day(file, dated, 'the line "Holdings:"', "As of")
    rows = (
        (yahoo_ticker(table.text(row, "Ticker") or ""), table.text(row, "Name"), table.number(row, "Weight"))
        for row in table.rows
    )
    return holdings_frame(symbol, SsgaSource.name, as_of, rows)


@parser(ISSUER, "premium history")
def parse_premiums(content: bytes, symbol: str, start: date, end: date) -> pd.DataFrame:
    """The rows of a premium history file from `start` to `end`: `PREMIUM_COLUMNS`, percent, oldest first, a dash being NaN.

    Raises `SourceUnavailable` for anything but a whole file of `symbol`.
    """
    file = _file(PREMIUMS, symbol)
    above, table = find_table(file, _rows(content, file), ("Date", "Premium/Discount"))
    _check_ticker(file, above, symbol)
    rows = sorted((table.day(row, "Date"), table.number(row, "Premium/Discount")) for row in table.rows)
    kept = [(day, premium) for day, premium in rows if start <= day <= end]
    columns = {
        "symbol": [symbol] * len(kept),
        "session": [day for day, _ in kept],
        "premium_pct": [premium for _, premium in kept],
    }
    return typed(columns, PREMIUM_COLUMNS)


@parser(ISSUER, "distributions")
def parse_distributions(content: bytes, symbol: str) -> dict[date, float]:
    """USD per share by ex-date in the file of all funds' distributions: dividend and capital gains together, payments of zero left out.

    Only the rows of `symbol` are read, so that an odd row of another fund changes nothing. Empty for a fund that never paid; this cannot be distinguished from a fund that is not State Street's. Raises `SourceUnavailable` for anything but a whole file.
    """
    file = File(ISSUER, f"distributions of {symbol}", grouped=True)
    _, table = find_table(file, _rows(content, file), ("TICKER", "EX-DATE", *_PAYMENTS))
    paid: dict[date, float] = {}
    for row in table.rows:
        if _bare(table.text(row, "TICKER") or "") == yahoo_ticker(symbol):
            amounts = [table.number(row, name) for name in _PAYMENTS]
            total = sum(amount for amount in amounts if not math.isnan(amount))
            day = table.day(row, "EX-DATE", us_day)
            if total:
                paid[day] = paid.get(day, 0.0) + total
    return paid


def _file(kind: str, symbol: str) -> File:
    return File(ISSUER, f"{_WHAT[kind]} of {symbol}", grouped=True)


def _labelled(above: list[Row], label: str) -> str | None:
    """The text to the right of `label`, None where there is no such label."""
    return next((row.text(1) for row in above if row.text(0).casefold() == label.casefold()), None)


def _check_ticker(file: File, above: list[Row], symbol: str) -> None:
    found = _labelled(above, "Ticker Symbol:") or ""
    if _bare(found) != yahoo_ticker(symbol):
        raise file.refusal(f"its file is of {found[:20] or 'no ticker'}", "check its issuer_id in the universe")


def _bare(ticker: str) -> str | None:
    """A ticker without the trademark sign that the issuer puts behind some."""
    return yahoo_ticker(re.sub(r"[\s™®℠]+$", "", ticker))


def _rows(content: bytes, file: File) -> list[Row]:
    """The rows of the first sheet of an .xlsx, checked to be whole and of a sane size before it is unpacked."""
    from python_calamine import CalamineWorkbook

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
    except SourceUnavailable:
        raise
    except Exception:  # zipfile alone raises seven kinds for a damaged archive, a ValueError among them
        raise file.refusal("its file is cut off or damaged", "try again later") from None
    return [Row(number, cells) for number, cells in enumerate(lines, start=1)]
