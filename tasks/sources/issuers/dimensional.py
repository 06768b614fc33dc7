"""Dimensional's holdings file of one fund and day, CSV.

`https://tools-blob.dimensional.com/etf/{YYYYMMDD}/{TICKER}.csv`; a day without a session, or one not yet published, answers 404. Dimensional
publishes no share count in any file, so this reader has no fund records. Address and layout are those that public code used in 2026;
they have not been tested against the live server.
"""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import TYPE_CHECKING

from market_rotation.tasks.errors import RateLimited, SourceUnavailable
from market_rotation.tasks.issuers import ISSUERS
from market_rotation.tasks.sources.frames import parser
from market_rotation.tasks.sources.issuers.reader import Reader
from market_rotation.tasks.sources.issuers.tables import File, find_table, holdings_frame, read_csv
from market_rotation.tasks.sources.issuers.values import iso_day, yahoo_ticker

if TYPE_CHECKING:
    import pandas as pd

FOLDER = "https://tools-blob.dimensional.com/etf"
ISSUER = ISSUERS["dimensional"].title
#: How many sessions back a file is looked for: the latest appears a day late, and now and then later.
ATTEMPTS = 3
#: The weights of a whole file sum to 1, but for what is received and paid on the day.
WHOLE = 0.005
_US_TICKER = re.compile(r"(\S+) US", re.ASCII)


class DimensionalSource(Reader):
    """Dimensional's files; see `Reader`. `ids` are tickers by symbol."""

    name = "dimensional"

    def holdings(self, symbol: str, as_of: date) -> pd.DataFrame:
        """What the fund held on the last session up to `as_of` that has a file: see `parse_holdings`.

        Raises `SymbolNotFound` for a symbol without an id, and what the last attempt raised where none of the last sessions has a file.
        """
        ticker = self._id(symbol).upper()
        failure: SourceUnavailable | None = None
        for session in reversed(self._calendar.sessions(as_of - timedelta(days=14), as_of)[-ATTEMPTS:]):
            url = f"{FOLDER}/{session:%Y%m%d}/{ticker}.csv"
            try:
                return self._read(url, f"holdings of {symbol}", lambda c: parse_holdings(c, symbol, ticker))
            except RateLimited:
                raise
            except SourceUnavailable as error:
                failure = error
        raise failure or File(ISSUER, f"holdings of {symbol}").refusal(f"no session is known up to {as_of}")


@parser(ISSUER, "holdings")
def parse_holdings(content: bytes, symbol: str, ticker: str) -> pd.DataFrame:
    """The holdings in a file: `HOLDINGS_COLUMNS`, heaviest first, dated by its rows. Only US listings have a `symbol`.

    Raises `SourceUnavailable` for anything but a whole file of `ticker`: one of one day, with weights that sum to 1.
    """
    file = File(ISSUER, f"holdings of {symbol}")
    _, table = find_table(file, read_csv(content, file), ("date", "etf_ticker", "ticker", "description", "weight"))
    table.check_whole()
    if odd := next((row for row in table.rows if table.text(row, "etf_ticker") != ticker), None):
        raise file.refusal(f"row {odd.number} is of {table.text(odd, 'etf_ticker')}, not of {ticker}")
    days = {table.day(row, "date", iso_day) for row in table.rows}
    if len(days) != 1:
        raise file.refusal(f"its rows have {len(days)} dates, not one")
    rows = []
    for row in table.rows:
        listed = _US_TICKER.fullmatch(table.text(row, "ticker") or "")
        weight_pct = 100 * table.number(row, "weight")
        rows.append((yahoo_ticker(listed[1]) if listed else None, table.text(row, "description"), weight_pct))
    total = sum(weight for *_, weight in rows) / 100
    if not abs(total - 1) <= WHOLE:
        raise file.refusal(f"its weights sum to {total:.4g}, not to 1: it may be cut off", "try again later")
    return holdings_frame(symbol, DimensionalSource.name, days.pop(), rows)
