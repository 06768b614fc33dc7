"""The issuers of funds as one source: each fund's records from its own issuer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, ClassVar

from market_rotation.tasks.datasets import DAILY_ISSUERS, Offer, fund_offers
from market_rotation.tasks.errors import SymbolNotFound
from market_rotation.tasks.sources.issuers.ishares import ISharesSource
from market_rotation.tasks.sources.issuers.ssga import SsgaSource

if TYPE_CHECKING:
    import pandas as pd

    from market_rotation.tasks.sources.base import FundSource, SourceContext
    from market_rotation.tasks.universe import Instrument

#: Files have megabytes where answers of a service have kilobytes, and take so many times as long.
FILE_TIMEOUT_FACTOR = 3


class IssuerSource:
    """NAV, share counts and holdings from the issuers that publish them every day. `timeout_s` bounds each file, in seconds."""

    name = "issuers"
    datasets: ClassVar[frozenset[str]] = frozenset({"fund_nav", "holdings"})
    #: `rotation doctor` requests a file of each issuer.
    reads_issuers = True

    def __init__(self, instruments: Sequence[Instrument], timeout_s: float) -> None:
        self._by_issuer: dict[str, FundSource] = {
            "ssga": SsgaSource(_ids(instruments, "ssga"), timeout_s),  # type: ignore[dict-item]
            # Its files carry the fund's name and no ticker, so the name is what tells that the id is right.
            "ishares": ISharesSource(  # type: ignore[dict-item]
                _ids(instruments, "ishares"), timeout_s, names={i.symbol: i.name for i in instruments}
            ),
        }
        self._issuer = {i.symbol: i.issuer for i in instruments if i.issuer in DAILY_ISSUERS and i.issuer_id}

    @classmethod
    def open(cls, context: SourceContext) -> IssuerSource:
        """See `market_rotation.tasks.sources.base.Source.open`."""
        return cls(context.universe.instruments, FILE_TIMEOUT_FACTOR * context.settings.fetch_timeout_s)

    def offers(self, instruments: Sequence[Instrument]) -> list[Offer]:
        """NAV and holdings of the funds whose issuer is read here."""
        return [o for o in fund_offers(instruments) if o.dataset in self.datasets and self.has(o.symbol)]

    def has(self, symbol: str) -> bool:
        """Whether the issuer of the fund is read here."""
        return symbol in self._issuer

    def fund_nav(self, symbol: str, start: date, end: date) -> pd.DataFrame:
        """See `market_rotation.tasks.sources.base.FundSource.fund_nav`."""
        return self._of(symbol).fund_nav(symbol, start, end)

    def holdings(self, symbol: str, as_of: date) -> pd.DataFrame:
        """See `market_rotation.tasks.sources.base.FundSource.holdings`."""
        return self._of(symbol).holdings(symbol, as_of)

    def _of(self, symbol: str) -> FundSource:
        if issuer := self._issuer.get(symbol):
            return self._by_issuer[issuer]
        raise SymbolNotFound(
            f"No issuer's files are read for {symbol}; fill in issuer ({' or '.join(DAILY_ISSUERS)}) and issuer_id in the universe."
        )


def _ids(instruments: Sequence[Instrument], issuer: str) -> dict[str, str]:
    return {i.symbol: i.issuer_id for i in instruments if i.issuer == issuer and i.issuer_id}
