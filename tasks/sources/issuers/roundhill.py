"""Roundhill's files of all its funds: NAV and share count of the latest day, share counts and holdings by day; CSV.

`https://www.roundhillinvestments.com/assets/data/FilepointRoundhill.40RU.RU_DailyNAV.csv`, `…RU_{TICKER}_Daily.csv` (NAV history of one
fund; that of MAGS is named BIGT, as the fund was at first) and `…RU_Holdings_{MMDDYYYY}.csv`. The day in the name of a holdings file is
the session at whose end the fund held this; its column Date is the next business day. A day without a file answers 200 with a web page.
Addresses and layouts are those that public code used in 2026; they have not been tested against the live server.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, NamedTuple

from market_rotation.tasks.errors import SourceUnavailable
from market_rotation.tasks.issuers import ISSUERS
from market_rotation.tasks.sources.frames import parser
from market_rotation.tasks.sources.issuers.reader import Reader
from market_rotation.tasks.sources.issuers.tables import File, Table, find_table, holdings_frame, nav_frame, read_csv
from market_rotation.tasks.sources.issuers.values import us_day, yahoo_ticker

if TYPE_CHECKING:
    import pandas as pd

FOLDER = "https://www.roundhillinvestments.com/assets/data/FilepointRoundhill.40RU.RU_"
DAILY = f"{FOLDER}DailyNAV.csv"
ISSUER = ISSUERS["roundhill"].title
#: How many sessions back share counts are read, each from a file of its own: the overlap with which all sources are asked.
RECENT_SESSIONS = 10
#: The ticker by which the NAV history of a fund is filed, where that is not its own.
_FILED_AS = {"MAGS": "BIGT"}
#: A file that ends with the rows of a fund is whole if their weights make up so much of it, in percent.
WHOLE_PCT = 99.0


class Daily(NamedTuple):
    """A fund's line in the daily file: its session, USD per share, shares."""

    session: date
    nav: float
    shares: float


class HeldOn(NamedTuple):
    """What a holdings file says of a fund: its shares outstanding and its holdings (ticker, name, percent)."""

    shares: float
    rows: Sequence[tuple[str | None, str | None, float]]


class RoundhillSource(Reader):
    """Roundhill's files; see `Reader`. `ids` are tickers by symbol."""

    name = "roundhill"

    def fund_nav(self, symbol: str, start: date, end: date) -> pd.DataFrame:
        """NAV and share count of the last `RECENT_SESSIONS` sessions up to `end` for which both are published.

        The count is that of the holdings file, and of the daily file where the latest session has no holdings file yet. Any other session
        without one is left out, so that it can come later; `total_net_assets_usd` is NaN throughout. Raises `SymbolNotFound` for a symbol without an
        id, `SourceUnavailable` where the daily file or the NAV history is no whole file with that fund.
        """
        ticker = self._id(symbol).upper()
        latest = self._read(DAILY, f"daily NAV of {symbol}", lambda content: parse_daily(content, symbol, ticker))
        url = f"{FOLDER}{_FILED_AS.get(ticker, ticker)}_Daily.csv"
        filed = _FILED_AS.get(ticker, ticker)
        navs = self._read(url, f"NAV history of {symbol}", lambda c: parse_navs(c, symbol, {ticker, filed}))
        rows: list[dict[str, object]] = []
        for session in self._calendar.sessions(max(start, end - timedelta(days=30)), end)[-RECENT_SESSIONS:]:
            is_latest = session == latest.session
            if session not in navs and not is_latest:
                continue
            held = self._held(symbol, ticker, session)
            if held or is_latest:
                counted = held.shares if held else latest.shares
                rows.append({"session": session, "nav": navs.get(session, latest.nav), "shares_outstanding": counted})
        return nav_frame(symbol, self.name, start, end, rows)

    def holdings(self, symbol: str, as_of: date) -> pd.DataFrame:
        """What the fund held at the end of the last session up to `as_of` that has a file: `HOLDINGS_COLUMNS`, heaviest first.

        Raises as `fund_nav` does, and `SourceUnavailable` where no session of the last `RECENT_SESSIONS` has a file.
        """
        ticker = self._id(symbol).upper()
        for session in reversed(self._calendar.sessions(as_of - timedelta(days=30), as_of)[-RECENT_SESSIONS:]):
            if held := self._held(symbol, ticker, session):
                return holdings_frame(symbol, self.name, session, held.rows)
        raise File(ISSUER, f"holdings of {symbol}").refusal(f"it has no file of the sessions up to {as_of}")

    def _held(self, symbol: str, ticker: str, session: date) -> HeldOn | None:
        """What the holdings file of a session says of the fund, None where that session has no file."""
        url = f"{FOLDER}Holdings_{session:%m%d%Y}.csv"
        try:
            return self._read(url, f"holdings of {symbol}", lambda c: parse_holdings(c, symbol, ticker, session))
        except NoFile:
            return None


class NoFile(SourceUnavailable):
    """The address of a day's file answers with a web page: there is no file of that day, or not yet."""


@parser(ISSUER, "daily NAV")
def parse_daily(content: bytes, symbol: str, ticker: str) -> Daily:
    """The line of `ticker` in the daily file. Raises `SourceUnavailable` for anything but a file with one whole line of it."""
    file = File(ISSUER, f"daily NAV of {symbol}")
    names = ("Fund Ticker", "Shares Outstanding", "NAV", "Rate Date")
    table = _of(_table(content, file, names), "Fund Ticker", ticker)
    if len(table.rows) != 1:
        fault = f"its file has {len(table.rows)} rows of {ticker}, not one"
        raise file.refusal(fault, "check its issuer_id in the universe")
    row = table.rows[0]
    return Daily(
        table.day(row, "Rate Date", us_day),
        table.number(row, "NAV"),
        table.number(row, "Shares Outstanding", whole=True),
    )


@parser(ISSUER, "NAV history")
def parse_navs(content: bytes, symbol: str, tickers: set[str]) -> dict[date, float]:
    """USD per share by session in the NAV history of a fund that goes by one of `tickers`. A cut last line is left out.

    Raises `SourceUnavailable` for anything but a file of that fund alone.
    """
    file = File(ISSUER, f"NAV history of {symbol}")
    table = _table(content, file, ("Fund Ticker", "NAV", "Rate Date"))
    if not content.endswith(b"\n"):
        table = replace(table, rows=table.rows[:-1])
    table.check_whole()
    navs: dict[date, float] = {}
    for row in table.rows:
        if (found := table.text(row, "Fund Ticker")) not in tickers:
            raise file.refusal(f"row {row.number} is of {found}, not of {' or '.join(sorted(tickers))}")
        day, nav = table.day(row, "Rate Date", us_day), table.number(row, "NAV")
        if navs.setdefault(day, nav) != nav:
            raise file.refusal(f"it has two NAVs of {day}")
    return navs


@parser(ISSUER, "holdings")
def parse_holdings(content: bytes, symbol: str, ticker: str, session: date) -> HeldOn:
    """What the holdings file of `session` says of `ticker`; only shares of US companies have a symbol.

    Raises `NoFile` for a web page, and `SourceUnavailable` for anything but a whole file with that fund, dated within the week after
    `session`. A file can be cut between two rows; where the fund's rows are its last, their weights show that none is missing.
    """
    file = File(ISSUER, f"holdings of {symbol}")
    start = content[:2000].lower()
    if b"<html" in start or b"<!doctype" in start:
        raise NoFile(str(file.refusal(f"it has no file of {session}", "try again later")))
    names = ("Date", "Account", "StockTicker", "SecurityName", "Weightings", "SharesOutstanding")
    table = _table(content, file, names)
    rows = _of(table, "Account", ticker).rows
    if not rows:
        raise file.refusal(f"its file of {session} has no row of {ticker}", "check its issuer_id in the universe")
    counts = {table.number(row, "SharesOutstanding", whole=True) for row in rows}
    days = {table.day(row, "Date", us_day) for row in rows}
    if len(counts) != 1 or len(days) != 1:
        raise file.refusal(f"its rows of {ticker} have {len(counts)} share counts and {len(days)} dates, not one")
    if not session <= (day := days.pop()) <= session + timedelta(days=7):
        raise file.refusal(f"its file of {session} is dated {day}")
    held = [
        (
            yahoo_ticker(table.text(row, "StockTicker") or ""),
            table.text(row, "SecurityName"),
            table.number(row, "Weightings", unit="%"),
        )
        for row in rows
    ]
    cut = not content.endswith(b"\n") or table.rows[-1] is rows[-1]
    if cut and not sum(weight for *_, weight in held) >= WHOLE_PCT:
        raise file.refusal(f"its file ends with the rows of {ticker} and may be cut off", "try again later")
    return HeldOn(counts.pop(), held)


def _table(content: bytes, file: File, names: Sequence[str]) -> Table:
    """The table of a file whose first row is its header."""
    above, table = find_table(file, read_csv(content, file), names)
    if above:
        raise file.refusal("its header is not in its first row")
    return table


def _of(table: Table, column: str, ticker: str) -> Table:
    """The rows of one fund, each of which must be whole."""
    chosen = replace(table, rows=[row for row in table.rows if table.text(row, column) == ticker])
    chosen.check_whole()
    return chosen
