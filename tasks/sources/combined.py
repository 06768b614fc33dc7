"""Several sources combined: each dataset comes from the source that has it, such as prices from a vendor and fund records from issuers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from market_rotation.tasks.datasets import Offer, indexes, offers

if TYPE_CHECKING:
    import pandas as pd

    from market_rotation.tasks.sources.base import Source
    from market_rotation.tasks.universe import Instrument


class Combined:
    """`sources` as one source, named as the first, which has the prices. No two of them have the same dataset."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self.name = sources[0].name
        self._sources = sources
        self._owner: dict[str, Any] = {dataset: source for source in sources for dataset in source.datasets}
        self.datasets = frozenset(self._owner)

    def offers(self, instruments: Sequence[Instrument]) -> list[Offer]:
        """The offers of the sources, in their order."""
        return [offer for source in self._sources for offer in offers(source, instruments)]

    def indexes(self, instruments: Sequence[Instrument]) -> list[str]:
        """The indexes of the source that has the prices."""
        return sorted(indexes(self._owner["prices"], instruments))

    def prices(self, symbol: str, start: date, end: date) -> pd.DataFrame:
        """See `market_rotation.tasks.sources.base.Source.prices`."""
        frame: pd.DataFrame = self._owner["prices"].prices(symbol, start, end)
        return frame

    def __getattr__(self, name: str) -> Any:
        """The methods of the other datasets, and no more, so that `hasattr` shows what the sources have."""
        if name.startswith("_") or name not in self._owner:
            raise AttributeError(name)
        return getattr(self._owner[name], name)
