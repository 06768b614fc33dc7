"""The real market: prices and estimates from Yahoo, fund records from the issuers that publish them, else from Yahoo."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

from market_rotation.tasks.sources.issuers.ishares import ISharesSource
from market_rotation.tasks.sources.issuers.ssga import SsgaSource
from market_rotation.tasks.sources.yahoo.chart import YahooSource

if TYPE_CHECKING:
    import pandas as pd

    from market_rotation.tasks.sources.base import FundSource
    from market_rotation.tasks.universe import Instrument


class MarketSource:
    """Each dataset of each symbol from who knows it best; see `market_rotation.tasks.sources.FundSource`. `timeout_s` bounds each request, thrice that each file."""

    name = "yahoo"

    def __init__(self, instruments: Sequence[Instrument], timeout_s: float) -> None:
        self._yahoo = YahooSource(timeout_s)
        whole_file_s = 3 * timeout_s  # megabytes, not kilobytes
        self._by_issuer = {
            "ssga": SsgaSource(_ids(instruments, "ssga"), whole_file_s),
            # Its files carry the fund's name and no ticker, so the name is what tells that the id is right.
            "ishares": ISharesSource(
                _ids(instruments, "ishares"), whole_file_s, names={i.symbol: i.name for i in instruments}
            ),
        }
        self._issuer = {i.symbol: i.issuer for i in instruments if i.issuer_id}
        self.prices = self._yahoo.prices
        self.fund_facts = self._yahoo.fund_facts
        self.earnings_growth = self._yahoo.earnings_growth

    def fund_nav(self, symbol: str, start: date, end: date) -> pd.DataFrame:
        """The issuer's own records where it publishes them daily, else Yahoo's snapshot of the day."""
        return self._of(symbol).fund_nav(symbol, start, end)

    def holdings(self, symbol: str, as_of: date) -> pd.DataFrame:
        """The issuer's holdings file."""
        return self._of(symbol).holdings(symbol, as_of)

    def _of(self, symbol: str) -> FundSource:
        source: FundSource = self._by_issuer.get(self._issuer.get(symbol) or "", self._yahoo)  # type: ignore[assignment]
        return source


def _ids(instruments: Sequence[Instrument], issuer: str) -> dict[str, str]:
    return {i.symbol: i.issuer_id for i in instruments if i.issuer == issuer and i.issuer_id}
