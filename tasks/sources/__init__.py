"""What a vendor adapter is, and how one is chosen.

An adapter is an object with a `name` and one method per dataset. A method answers for one symbol; it returns a typed
frame or raises one of `tasks.errors`, and never an empty frame for a failure. It neither retries nor runs in parallel:
`tasks.fetch` does both, for every source alike. Methods are called from several threads at once.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from tasks.calendar import Calendar
    from tasks.settings import Settings
    from tasks.universe import Universe

#: Columns of a price frame and their pandas dtypes. Prices in USD per share, adjusted for splits but not for dividends;
#: `dividend` and `capital_gain` in USD per share on the ex-date, 0 = none; `split_ratio` new shares per old, 1 = none;
#: `vendor_adj_close` is the vendor's own dividend-adjusted close, NaN where it publishes none.
PRICE_COLUMNS: dict[str, str] = {
    "symbol": "object",
    "session": "datetime64[s]",
    "open": "float64",
    "high": "float64",
    "low": "float64",
    "close": "float64",
    "volume": "float64",
    "dividend": "float64",
    "capital_gain": "float64",
    "split_ratio": "float64",
    "vendor_adj_close": "float64",
}


class Source(Protocol):
    """A vendor adapter."""

    name: str

    def prices(self, symbol: str, start: date, end: date) -> pd.DataFrame:
        """Daily bars of `symbol` for the sessions `start` … `end`, both included, as the vendor says them today.

        Returns a frame with exactly `PRICE_COLUMNS`, oldest first, one row per bar the vendor gave (a bar without a
        close is kept, with NaN). Zero rows mean "the vendor knows the symbol and has no bar in that range".
        Raises `SymbolNotFound`, or `SourceUnavailable` for anything that is not a usable answer.
        """
        ...


def price_frame(columns: pd.DataFrame | Mapping[str, Sequence[Any] | Any]) -> pd.DataFrame:
    """A frame with exactly `PRICE_COLUMNS` and their dtypes, made from columns named so; a missing one is NaN."""
    import pandas as pd

    frame = columns if isinstance(columns, pd.DataFrame) else pd.DataFrame(dict(columns))
    return frame.reindex(columns=list(PRICE_COLUMNS)).astype(PRICE_COLUMNS)


def open_source(settings: Settings, calendar: Calendar, universe: Universe) -> Source:
    """The adapter that `ROTATION_SOURCE` names. Imports only that one, since yfinance alone costs most of a second."""
    if settings.source == "sample":
        from tasks.sources.sample import SampleSource

        return SampleSource(calendar, universe.instruments)
    if settings.source == "files":
        from tasks.sources.files import FilesSource

        return FilesSource(settings.files_folder())
    from tasks.sources.yahoo import YahooSource

    return YahooSource(settings.fetch_timeout_s)
