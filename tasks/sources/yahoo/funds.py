"""What Yahoo Finance's quoteSummary service knows of a fund: NAV, total assets, and the facts that change slowly."""

from __future__ import annotations

import logging
import math
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from market_rotation.tasks.calendar import NEW_YORK
from market_rotation.tasks.datasets import FUND_FACTS_COLUMNS, FUND_NAV_COLUMNS, YAHOO_FUND_NAV
from market_rotation.tasks.errors import SymbolNotFound
from market_rotation.tasks.sources.frames import parser, typed
from market_rotation.tasks.sources.yahoo.estimates import GROWTH_MODULES, parse_earnings_growth
from market_rotation.tasks.sources.yahoo.session import unavailable
from market_rotation.tasks.sources.yahoo.summary import SUMMARY, at, modules_of, number, positive, row

if TYPE_CHECKING:
    import pandas as pd

    from market_rotation.tasks.sources.yahoo.session import Client

NAV_MODULES = ("quoteType", "price", "summaryDetail", "defaultKeyStatistics")
FACTS_MODULES = (*NAV_MODULES, "fundProfile", "topHoldings")

#: The fields with an expense ratio, best first, and the factor that makes it a fraction: `netExpenseRatio` alone is in percent.
EXPENSE_RATIOS = (
    (("fundProfile", "feesExpensesInvestment", "annualReportExpenseRatio"), 1.0),
    (("fundProfile", "feesExpensesInvestment", "netExpRatio"), 1.0),
    (("defaultKeyStatistics", "annualReportExpenseRatio"), 1.0),
    (("defaultKeyStatistics", "netExpenseRatio"), 0.01),
    (("summaryDetail", "netExpenseRatio"), 0.01),
)
#: No fund charges a tenth of its assets a year; such a ratio is in another unit.
HIGHEST_EXPENSE_RATIO = 0.1

#: How far the day of Yahoo's latest quote may be from the requested session: a weekend and holidays.
NEAR = timedelta(days=7)

log = logging.getLogger("rotation.yahoo")


class FundMethods:
    """The methods of `FundSource` that Yahoo can answer, for `YahooSource`. Its top ten are no whole list of holdings.

    Each raises `RateLimited`, `SymbolNotFound`, or `SourceUnavailable` for everything else that is not a usable answer.
    """

    _client: Client

    def fund_nav(self, symbol: str, start: date, end: date) -> pd.DataFrame:
        """Today's NAV and total net assets of a fund, as the row of `end`: see `parse_fund_nav`."""
        return parse_fund_nav(self._summary(symbol, NAV_MODULES, "NAV"), symbol, start, end)

    def fund_facts(self, symbol: str, as_of: date) -> pd.DataFrame:
        """One row of `FUND_FACTS_COLUMNS`: see `parse_fund_facts`."""
        return parse_fund_facts(self._summary(symbol, FACTS_MODULES, "fund facts"), symbol, as_of)

    def earnings_growth(self, symbol: str, as_of: date) -> pd.DataFrame:
        """One row of `EARNINGS_GROWTH_COLUMNS`: see `parse_earnings_growth`."""
        return parse_earnings_growth(self._summary(symbol, GROWTH_MODULES, "earnings estimates"), symbol, as_of)

    def _summary(self, symbol: str, modules: tuple[str, ...], wanted: str) -> object:
        parameters = {"modules": ",".join(modules), "formatted": "false", "corsDomain": "finance.yahoo.com"}
        return self._client.ask(SUMMARY, symbol, parameters, wanted)


@parser("Yahoo", "NAV")
def parse_fund_nav(payload: Any, symbol: str, start: date, end: date) -> pd.DataFrame:
    """One row of `FUND_NAV_COLUMNS` dated `end`, or none where Yahoo's latest quote is from more than a week after `end`.

    Yahoo dates neither NAV nor assets: today's must not pass for those of a session long ago. Its own count of shares stands
    still for months, so `shares_outstanding` is NaN, and SQL divides assets by NAV. Raises as `parse_fund_facts` does, and
    `SourceUnavailable` where NAV or assets are missing, or the latest quote is from more than a week before `end`.
    """
    modules = _fund(payload, symbol, "NAV")
    nav, assets = _nav(modules), _assets(modules)
    quoted = _new_york_date(at(modules, "price", "regularMarketTime"))
    if start > end or (quoted and quoted > end + NEAR):
        return typed({}, FUND_NAV_COLUMNS)
    if quoted and quoted < end - NEAR:
        raise unavailable("NAV", symbol, f"its latest quote is of {quoted}", "check whether the fund was closed")
    for value, name in ((nav, "NAV"), (assets, "total assets")):
        if math.isnan(value):
            raise unavailable("NAV", symbol, f"its answer has no {name}", "try again later")
    return row(
        FUND_NAV_COLUMNS,
        symbol=symbol,
        session=end,
        nav=nav,
        total_net_assets_usd=assets,
        share_count_basis="derived",
        source=YAHOO_FUND_NAV,
    )


@parser("Yahoo", "fund facts")
def parse_fund_facts(payload: Any, symbol: str, as_of: date) -> pd.DataFrame:
    """One row of `FUND_FACTS_COLUMNS` (USD, fractions) dated `as_of`, NaN or None where Yahoo does not say; no `index_name`.

    Raises `SymbolNotFound` where Yahoo does not know the symbol or knows it as no fund, which asking again does not change, and
    `SourceUnavailable` for an answer about another symbol, in another currency, of an unknown layout or without a single fact.
    """
    modules = _fund(payload, symbol, "fund facts")
    facts: dict[str, Any] = {
        "expense_ratio": _expense_ratio(modules, symbol),
        "total_net_assets_usd": _assets(modules),
        "nav": _nav(modules),
        "category": _category(modules),
        "trailing_pe": _price_to_earnings(modules),
    }
    if all(value is None or value != value for value in facts.values()):
        raise unavailable("fund facts", symbol, "its answer has none", "try again later")
    return row(FUND_FACTS_COLUMNS, symbol=symbol, as_of=as_of, index_name=None, source="yahoo", **facts)


def _fund(payload: Any, symbol: str, wanted: str) -> dict[str, Any]:
    """The modules in Yahoo's answer about `symbol`, if that is a fund in USD."""
    modules = modules_of(payload, symbol, wanted)
    kind = at(modules, "quoteType", "quoteType")
    if kind not in ("ETF", "MUTUALFUND"):
        remedy = "correct its kind in the universe or remove it there"
        raise SymbolNotFound(f"Yahoo knows no fund {symbol}, but lists it as {str(kind)[:20]}; {remedy}.")
    named = [currency for name in ("price", "summaryDetail") if (currency := at(modules, name, "currency"))]
    if foreign := [str(currency) for currency in named or ["no currency"] if currency != "USD"]:
        raise unavailable(wanted, symbol, f"it answered in {foreign[0][:20]}, not USD", "follow only what is in USD")
    return modules


def _nav(modules: dict[str, Any]) -> float:
    return positive(at(modules, "summaryDetail", "navPrice"))


def _assets(modules: dict[str, Any]) -> float:
    """USD. `totalNetAssets` in fundProfile is something else: millions, and more than the fund has."""
    both = [positive(at(modules, name, "totalAssets")) for name in ("summaryDetail", "defaultKeyStatistics")]
    return next((assets for assets in both if assets == assets), math.nan)


def _category(modules: dict[str, Any]) -> str | None:
    places = (("defaultKeyStatistics", "category"), ("fundProfile", "categoryName"))
    return next((name for place in places if (name := at(modules, *place)) and isinstance(name, str)), None)


def _price_to_earnings(modules: dict[str, Any]) -> float:
    """Price over earnings. Yahoo gives earnings over price under that name (0.02938 for 34.04), once it gave what it says."""
    ratio = positive(at(modules, "topHoldings", "equityHoldings", "priceToEarnings"))
    return number(1 / ratio) if ratio < 1 else ratio  # no fund pays less than one year's earnings for its shares


def _expense_ratio(modules: dict[str, Any], symbol: str) -> float:
    """A fraction. One in a wrong unit is left out with a warning: NAV and assets beside it are right, and needed every day."""
    for path, unit in EXPENSE_RATIOS:
        ratio = positive(at(modules, *path)) * unit
        if ratio <= HIGHEST_EXPENSE_RATIO:
            return ratio
        if ratio > HIGHEST_EXPENSE_RATIO:
            log.warning("%s: left out Yahoo's %s, as %g cannot be a fraction.", symbol, ".".join(path), ratio)
    return math.nan


def _new_york_date(stamp: Any) -> date | None:
    moment = number(stamp)
    return None if math.isnan(moment) else datetime.fromtimestamp(moment, NEW_YORK).date()
