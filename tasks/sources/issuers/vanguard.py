"""Vanguard's documents of one fund: daily NAV, the share count of the latest month's end, holdings; JSON by ticker and fund id.

`https://investor.vanguard.com/vmf/api/{TICKER}/profile` (fund id), `…/price-history/1M` (NAV), `…/portfolio-holding/stock.json`, and
`https://advisors.vanguard.com/investments/products/api/funds/{fundId}/pricing/outstanding-shares`. The count is that of the ETF alone,
not of the fund's other share classes, and is published for month ends only. Addresses and layouts are those that public code used in
2026; they have not been tested against the live server.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from market_rotation.tasks.issuers import ISSUERS
from market_rotation.tasks.sources.frames import parser
from market_rotation.tasks.sources.issuers.json_documents import read_json
from market_rotation.tasks.sources.issuers.reader import Reader
from market_rotation.tasks.sources.issuers.tables import File, holdings_frame, nav_frame
from market_rotation.tasks.sources.issuers.values import iso_day, yahoo_ticker

if TYPE_CHECKING:
    import pandas as pd

FUNDS = "https://investor.vanguard.com/vmf/api"
ADVISERS = "https://advisors.vanguard.com/investments/products/api/funds"
ISSUER = ISSUERS["vanguard"].title


class MonthEndCount(NamedTuple):
    """Shares outstanding at a month's end."""

    month_end: date
    shares: float


class VanguardSource(Reader):
    """Vanguard's documents; see `Reader`. `ids` are tickers by symbol."""

    name = "vanguard"
    headers: ClassVar[Mapping[str, str]] = {"Accept": "application/json, text/plain, */*"}

    def fund_nav(self, symbol: str, start: date, end: date) -> pd.DataFrame:
        """Daily NAVs from the last session of the month of the latest share count, which has the count; `total_net_assets_usd` is NaN.

        No other row has a count, and earlier NAVs are not handed on: without the count of their month's end they would replace a record
        that has it. Raises `SymbolNotFound` for a symbol without an id, `SourceUnavailable` for anything but whole documents of it.
        """
        profile = f"{self._url(symbol)}/profile"
        fund_id = self._read(profile, f"profile of {symbol}", lambda c: parse_fund_id(c, symbol, self._id(symbol)))
        counts = f"{ADVISERS}/{fund_id}/pricing/outstanding-shares"
        count = self._read(counts, f"share count of {symbol}", lambda content: parse_share_count(content, symbol))
        history = f"{self._url(symbol)}/price-history/1M"
        navs = self._read(history, f"NAV history of {symbol}", lambda c: parse_navs(c, symbol, self._id(symbol)))
        counted = self._calendar.latest_on_or_before(count.month_end)
        rows = [
            {"session": day, "nav": nav, **({"shares_outstanding": count.shares} if day == counted else {})}
            for day, nav in sorted(navs.items())
            if day >= counted
        ]
        return nav_frame(symbol, self.name, start, end, rows)

    def holdings(self, symbol: str, as_of: date) -> pd.DataFrame:
        """See `FundSource.holdings` and `parse_holdings`; the latest whatever `as_of`. Raises as `fund_nav` does.

        The document names no fund, so the fund is the one whose ticker is in the address.
        """
        url = f"{self._url(symbol)}/portfolio-holding/stock.json?start=1&count=20000"
        return self._read(url, f"holdings of {symbol}", lambda content: parse_holdings(content, symbol, as_of))

    def _url(self, symbol: str) -> str:
        return f"{FUNDS}/{self._id(symbol).upper()}"


@parser(ISSUER, "profile")
def parse_fund_id(content: bytes, symbol: str, ticker: str) -> str:
    """The fund id in a profile. Raises `SourceUnavailable` for anything but the profile of the ETF called `ticker`."""
    profile = read_json(content, File(ISSUER, f"profile of {symbol}")).at("fundProfile")
    found, fund_id = profile.at("ticker").text(), profile.at("fundId").text()
    if found.upper() != ticker.upper():
        raise profile.file.refusal(f"its answer is of {found[:20] or 'no ticker'}, not of {ticker.upper()}")
    if profile.at("isETF").value is not True:
        raise profile.file.refusal("it is not an ETF", "check its issuer_id in the universe")
    if not (fund_id.isascii() and fund_id.isalnum()):
        raise profile.file.refusal(f"its fund id is {fund_id[:20]!r}")
    return fund_id


@parser(ISSUER, "share count")
def parse_share_count(content: bytes, symbol: str) -> MonthEndCount:
    """The share count in a document. Raises `SourceUnavailable` where its date is no weekday at or right before a month's end.

    A count of another day would be a daily count, which this source is not known to publish: it must not pass for a month's.
    """
    document = read_json(content, File(ISSUER, f"share count of {symbol}"))
    day = document.at("effectiveDate").day(iso_day)
    following = day + timedelta(days=1)
    while following.weekday() >= 5:
        following += timedelta(days=1)
    if following.month == day.month:
        raise document.file.refusal(f"its share count is of {day}, not of a month's end")
    # In thousandths for some funds, as converted shares of other classes are.
    return MonthEndCount(day, document.at("outstandingShares").number())


@parser(ISSUER, "NAV history")
def parse_navs(content: bytes, symbol: str, ticker: str) -> dict[date, float]:
    """USD per share by session in a price history. Raises `SourceUnavailable` for anything but a whole one of `ticker`."""
    document = read_json(content, File(ISSUER, f"NAV history of {symbol}"))
    if (found := document.at("fundId").text()).upper() != ticker.upper():
        raise document.file.refusal(f"its answer is of {found[:20] or 'no fund'}, not of {ticker.upper()}")
    navs: dict[date, float] = {}
    for item in (item for block in document.at("nav").items() for item in block.at("item").items()):
        day, nav = item.at("asOfDate").day(iso_day), item.at("price").number()
        if navs.setdefault(day, nav) != nav:
            raise document.file.refusal(f"it has two NAVs of {day}")
    if not navs:
        raise document.file.refusal("its NAV history has no rows")
    return navs


@parser(ISSUER, "holdings")
def parse_holdings(content: bytes, symbol: str, as_of: date) -> pd.DataFrame:
    """The holdings in a document: `HOLDINGS_COLUMNS`, heaviest first, dated by the document. Shares only: cash is in none.

    Raises `SourceUnavailable` for anything but a whole document: one with as many holdings as it says.
    """
    document = read_json(content, File(ISSUER, f"holdings of {symbol}"))
    held = document.at("fund", "entity").items()
    said = document.at("size").number(whole=True)
    if not held or said != len(held):
        raise document.file.refusal(f"it has {len(held)} holdings where it says {said:g}", "try again later")
    rows = [
        (
            yahoo_ticker(item.at("ticker").text()),
            item.at("longName").text() or None,
            item.at("percentWeight").number_or_nan(),
        )
        for item in held
    ]
    return holdings_frame(symbol, VanguardSource.name, document.at("asOfDate").day(iso_day), rows)
