"""Invesco's documents of one fund: NAV and share count of the latest day, NAV history, holdings; JSON by the fund's CUSIP.

`https://dng-api.invesco.com/cache/v1/accounts/en_US/shareclasses/{CUSIP}/…`. The host answers 406 to what does not look like a
browser, and to a browser that requests too often. A price listing's `effectiveDate` is the day of its publication: what it says is of
the session before, which the NAV history confirms. Addresses and layouts are those that public code used in 2026; they have not
been tested against the live server.
"""

from __future__ import annotations

import html
import math
import threading
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import TYPE_CHECKING, ClassVar, NamedTuple, TypeVar

from market_rotation.tasks.issuers import ISSUERS
from market_rotation.tasks.sources.frames import parser
from market_rotation.tasks.sources.issuers.json_documents import Node, read_json
from market_rotation.tasks.sources.issuers.reader import Reader
from market_rotation.tasks.sources.issuers.tables import File, holdings_frame, nav_frame
from market_rotation.tasks.sources.issuers.values import iso_day, us_day, yahoo_ticker

if TYPE_CHECKING:
    import pandas as pd

    from market_rotation.tasks.calendar import Calendar

T = TypeVar("T")

API = "https://dng-api.invesco.com/cache/v1/accounts/en_US/shareclasses"
ISSUER = ISSUERS["invesco"].title
#: Two NAVs of one day are equal where they differ by no more than rounding.
SAME_NAV = 1e-5
#: What is no share of a company, though it can have a ticker (cash is USD, which on an exchange is a fund).
_NO_EQUITY = ("cash", "currency", "forward", "future", "option", "swap", "repurchase", "treasury", "fund", "curr")


class Listing(NamedTuple):
    """A price listing: when it was published, USD per share, shares, USD (NaN where it does not say)."""

    published: date
    nav: float
    shares: float
    assets: float


class InvescoSource(Reader):
    """Invesco's documents; see `Reader`. `ids` are CUSIPs by symbol. Requests go out one at a time."""

    name = "invesco"
    headers: ClassVar[Mapping[str, str]] = {
        "Accept": "application/json, text/plain, */*",
        "Origin": "https://www.invesco.com",
        "Referer": "https://www.invesco.com/",
    }
    throttled = (406, 429)
    _one_at_a_time = threading.Lock()

    def fund_nav(self, symbol: str, start: date, end: date) -> pd.DataFrame:
        """NAV and share count of the latest session that Invesco has published, if it is within `start` … `end`: one row or none.

        Earlier NAVs are not handed on: beside them Invesco publishes no count, and a record without one would replace one with it.
        Raises `SymbolNotFound` for a symbol without an id, `SourceUnavailable` where listing and NAV history contradict each other.
        """
        cusip = self._id(symbol)
        listing = self._part(
            symbol, "prices", lambda c: parse_price_listing(c, symbol, cusip), variationType="priceListing"
        )
        navs = self._part(symbol, "navs", lambda c: parse_navs(c, symbol, cusip))
        session = session_of(listing, navs, symbol, self._calendar)
        row = {
            "session": session,
            "nav": navs.get(session, listing.nav),
            "shares_outstanding": listing.shares,
            "total_net_assets_usd": listing.assets,
        }
        return nav_frame(symbol, self.name, start, end, [row])

    def holdings(self, symbol: str, as_of: date) -> pd.DataFrame:
        """See `FundSource.holdings` and `parse_holdings`; the latest whatever `as_of`. Raises as `fund_nav` does."""
        cusip = self._id(symbol)
        return self._part(symbol, "holdings/fund", lambda content: parse_holdings(content, symbol, as_of, cusip))

    def _part(self, symbol: str, part: str, parse: Callable[[bytes], T], **more: str) -> T:
        query = "&".join(
            f"{name}={value}" for name, value in ({"idType": "cusip"} | more | {"productType": "ETF"}).items()
        )
        return self._read(f"{API}/{self._id(symbol)}/{part}?{query}", f"{_WHAT[part]} of {symbol}", parse)

    def _download(self, url: str, what: str) -> bytes:
        with self._one_at_a_time:
            return super()._download(url, what)


_WHAT = {"prices": "price listing", "navs": "NAV history", "holdings/fund": "holdings"}


@parser(ISSUER, "price listing")
def parse_price_listing(content: bytes, symbol: str, cusip: str) -> Listing:
    """The price listing in a document. Raises `SourceUnavailable` for anything but a whole one of `cusip`, in USD."""
    document = _document(content, File(ISSUER, f"price listing of {symbol}"), cusip)
    if (currency := document.at("currency").text()) != "USD":
        raise document.file.refusal(f"it is in {currency or 'no currency'}, not in USD", "follow only funds in USD")
    return Listing(
        document.at("effectiveDate").day(iso_day),
        document.at("nav").number(),
        document.at("sharesOutstanding").number(whole=True),
        document.get("marketValue").number_or_nan(),  # not said of every fund
    )


@parser(ISSUER, "NAV history")
def parse_navs(content: bytes, symbol: str, cusip: str) -> dict[date, float]:
    """USD per share by day in a NAV history. Raises `SourceUnavailable` for anything but a whole one of `cusip`."""
    document = _document(content, File(ISSUER, f"NAV history of {symbol}"), cusip)
    series = [line for line in document.at("lineChartData").items() if line.at("type").text() == "NAV"]
    if len(series) != 1:
        raise document.file.refusal(f"it has {len(series)} series of NAVs, not one")
    points = [(point.at("date").day(us_day), point.at("value").number()) for point in series[0].at("data").items()]
    navs = dict(points)
    if not navs:
        raise document.file.refusal("its NAV history has no rows")
    if odd := next((day for day, nav in points if navs[day] != nav), None):
        raise document.file.refusal(f"it has two NAVs of {odd}")
    return navs


@parser(ISSUER, "holdings")
def parse_holdings(content: bytes, symbol: str, as_of: date, cusip: str) -> pd.DataFrame:
    """The holdings in a document: `HOLDINGS_COLUMNS`, heaviest first, dated by its business day. Only equity has a `symbol`.

    Raises `SourceUnavailable` for anything but a whole document of `cusip`: one with as many holdings as it says.
    """
    document = _document(content, File(ISSUER, f"holdings of {symbol}"), cusip)
    held = document.at("holdings").items()
    said = document.at("totalNumberOfHoldings").number(whole=True)
    if not held or said != len(held):
        raise document.file.refusal(f"it has {len(held)} holdings where it says {said:g}", "try again later")
    day = document.at("effectiveBusinessDate").day(iso_day)
    return holdings_frame(symbol, InvescoSource.name, day, [_holding(item) for item in held])


def session_of(listing: Listing, navs: dict[date, float], symbol: str, calendar: Calendar) -> date:
    """The session of a price listing: the one before its publication, or the day of publication where the NAV history says so.

    Raises `SourceUnavailable` where the history has other NAVs for both, since then the count's session is not known.
    """
    before = calendar.latest_on_or_before(listing.published - timedelta(days=1))
    for day in (before, listing.published):
        if day in navs and math.isclose(navs[day], listing.nav, rel_tol=SAME_NAV) and calendar.is_session(day):
            return day
    if before in navs:
        fault = f"its NAV {listing.nav:g} published {listing.published} is not that of {before} in its NAV history"
        raise File(ISSUER, f"NAV of {symbol}").refusal(fault)
    return before


def _document(content: bytes, file: File, cusip: str) -> Node:
    document = read_json(content, file)
    if (found := document.at("cusip").text()).upper() != cusip.upper():
        raise file.refusal(f"its answer is of {found[:20] or 'no CUSIP'}, not of {cusip}", "check its issuer_id")
    return document


def _holding(item: Node) -> tuple[str | None, str | None, float]:
    kind = (item.get("securityTypeName").text() or item.at("securityTypeCode").text()).casefold()
    ticker = "" if any(word in kind for word in _NO_EQUITY) else item.at("ticker").text()
    name = html.unescape(item.at("issuerName").text())
    return yahoo_ticker(ticker), name or None, item.at("percentageOfTotalNetAssets").number_or_nan()
