"""The issuers of funds as one source: each fund's records from its own issuer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, ClassVar, cast

from market_rotation.tasks.datasets import Offer, fund_offers
from market_rotation.tasks.errors import SymbolNotFound
from market_rotation.tasks.issuers import ISSUERS, publisher
from market_rotation.tasks.sources.issuers.reader import open_reader

if TYPE_CHECKING:
    import pandas as pd

    from market_rotation.tasks.calendar import Calendar
    from market_rotation.tasks.sources.base import FundSource, SourceContext
    from market_rotation.tasks.universe import Instrument

#: Files have megabytes where answers of a service have kilobytes, and take so many times as long.
FILE_TIMEOUT_FACTOR = 3


class IssuerSource:
    """NAV, share counts and holdings from the issuers that publish them; `market_rotation.tasks.issuers` is the table of them.

    `timeout_s` bounds each file, in seconds; `calendar` gives the sessions.
    """

    name = "issuers"
    datasets: ClassVar[frozenset[str]] = frozenset({"fund_nav", "holdings"})
    #: `rotation doctor` requests a file of each issuer.
    reads_issuers = True

    def __init__(self, instruments: Sequence[Instrument], timeout_s: float, calendar: Calendar) -> None:
        self._issuer = {i.symbol: issuer for i in instruments if (issuer := publisher(i))}
        self._readers = {
            issuer.name: cast("FundSource", open_reader(issuer, instruments, timeout_s, calendar))
            for issuer in set(self._issuer.values())
        }

    @classmethod
    def open(cls, context: SourceContext) -> IssuerSource:
        """See `market_rotation.tasks.sources.base.InstalledSource.open`."""
        timeout_s = FILE_TIMEOUT_FACTOR * context.settings.fetch_timeout_s
        return cls(context.universe.instruments, timeout_s, context.calendar)

    def offers(self, instruments: Sequence[Instrument]) -> list[Offer]:
        """The datasets that the funds' own issuers publish."""
        return [offer for offer in fund_offers(instruments) if self.has(offer.symbol, offer.dataset)]

    def has(self, symbol: str, dataset: str) -> bool:
        """Whether the issuer of the fund publishes that dataset where it is read here."""
        issuer = self._issuer.get(symbol)
        has = {"fund_nav": issuer and issuer.share_count is not None, "holdings": issuer and issuer.has_holdings}
        return bool(has.get(dataset))

    def fund_nav(self, symbol: str, start: date, end: date) -> pd.DataFrame:
        """See `market_rotation.tasks.sources.base.FundSource.fund_nav`."""
        return self._of(symbol, "fund_nav").fund_nav(symbol, start, end)

    def holdings(self, symbol: str, as_of: date) -> pd.DataFrame:
        """See `market_rotation.tasks.sources.base.FundSource.holdings`."""
        return self._of(symbol, "holdings").holdings(symbol, as_of)

    def _of(self, symbol: str, dataset: str) -> FundSource:
        if self.has(symbol, dataset):
            return self._readers[self._issuer[symbol].name]
        readable = " or ".join(name for name, issuer in ISSUERS.items() if issuer.reader)
        raise SymbolNotFound(
            f"No issuer's {dataset} is read for {symbol}; fill in issuer ({readable}) and issuer_id in the universe."
        )
