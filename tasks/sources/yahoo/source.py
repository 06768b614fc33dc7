"""The real market without a key: prices and estimates from Yahoo, fund records from the issuers that publish them, else from Yahoo."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, ClassVar

from market_rotation.tasks.sources.issuers.source import FILE_TIMEOUT_FACTOR, IssuerSource
from market_rotation.tasks.sources.yahoo.chart import YahooSource

if TYPE_CHECKING:
    import pandas as pd

    from market_rotation.tasks.calendar import Calendar
    from market_rotation.tasks.sources.base import SourceContext
    from market_rotation.tasks.universe import Instrument


class MarketSource:
    """Each dataset of each symbol from its best source; see `market_rotation.tasks.sources.base`. `timeout_s` bounds each request."""

    name = "yahoo"
    datasets: ClassVar[frozenset[str]] = frozenset({"prices", "fund_nav", "fund_facts", "holdings", "earnings_growth"})
    #: `rotation doctor` requests a file of each issuer.
    reads_issuers = True

    def __init__(self, instruments: Sequence[Instrument], timeout_s: float, calendar: Calendar) -> None:
        self._yahoo = YahooSource(timeout_s)
        self._issuers = IssuerSource(instruments, FILE_TIMEOUT_FACTOR * timeout_s, calendar)

    @classmethod
    def open(cls, context: SourceContext) -> MarketSource:
        """See `market_rotation.tasks.sources.base.InstalledSource.open`."""
        return cls(context.universe.instruments, context.settings.fetch_timeout_s, context.calendar)

    def indexes(self, instruments: Sequence[Instrument]) -> list[str]:
        """All of them: Yahoo has indexes under symbols such as ^TNX (percent a year), ^VIX and DX-Y.NYB."""
        return [instrument.symbol for instrument in instruments]

    def prices(self, symbol: str, start: date, end: date) -> pd.DataFrame:
        """Yahoo's daily bars."""
        return self._yahoo.prices(symbol, start, end)

    def fund_nav(self, symbol: str, start: date, end: date) -> pd.DataFrame:
        """The issuer's own records where it publishes share counts, else Yahoo's snapshot of the day."""
        return (self._issuers if self._issuers.has(symbol, "fund_nav") else self._yahoo).fund_nav(symbol, start, end)

    def fund_facts(self, symbol: str, as_of: date) -> pd.DataFrame:
        """Yahoo's facts of a fund."""
        return self._yahoo.fund_facts(symbol, as_of)

    def holdings(self, symbol: str, as_of: date) -> pd.DataFrame:
        """The issuer's holdings file; Yahoo has none."""
        return self._issuers.holdings(symbol, as_of)

    def earnings_growth(self, symbol: str, as_of: date) -> pd.DataFrame:
        """Yahoo's estimates of a company's earnings growth."""
        return self._yahoo.earnings_growth(symbol, as_of)
