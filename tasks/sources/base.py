"""What a vendor adapter is, and how one is chosen.

An adapter is an object with a `name` and one method per dataset. A method answers for one symbol; it returns a typed
frame or raises one of `market_rotation.tasks.errors`, and never an empty frame for a failure. It neither retries nor runs in parallel:
`market_rotation.tasks.run.fetch` does both, for every source alike. Methods are called from several threads at once.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Protocol

from market_rotation.tasks.datasets import PRICE_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from market_rotation.tasks.calendar import Calendar
    from market_rotation.tasks.settings import Settings
    from market_rotation.tasks.universe import Universe


class Source(Protocol):
    """A vendor adapter. One that lacks a dataset lacks the method."""

    name: str

    def prices(self, symbol: str, start: date, end: date) -> pd.DataFrame:
        """Daily bars of `symbol` for the sessions `start` … `end`, both included, as the vendor says them today.

        Returns a frame with exactly `PRICE_COLUMNS`, oldest first, one row per bar the vendor gave (a bar without a
        close is kept, with NaN). Zero rows mean "the vendor knows the symbol and has no bar in that range".
        Raises `SymbolNotFound`, or `SourceUnavailable` for anything that is not a usable answer.
        """
        ...


class FundSource(Protocol):
    """An adapter for what is known of funds and companies. Each method raises as `Source.prices` does."""

    name: str

    def fund_nav(self, symbol: str, start: date, end: date) -> pd.DataFrame:
        """NAV and shares outstanding of a fund for `start` … `end`: `FUND_NAV_COLUMNS`, oldest first, rows as published."""
        ...

    def fund_facts(self, symbol: str, as_of: date) -> pd.DataFrame:
        """One row of `FUND_FACTS_COLUMNS`, dated `as_of`, NaN or None where the vendor does not say."""
        ...

    def holdings(self, symbol: str, as_of: date) -> pd.DataFrame:
        """What the fund holds: `HOLDINGS_COLUMNS`, dated as the vendor dates its file, else `as_of`; heaviest first."""
        ...

    def earnings_growth(self, symbol: str, as_of: date) -> pd.DataFrame:
        """One row of `EARNINGS_GROWTH_COLUMNS` for a company, dated `as_of`."""
        ...


def typed(columns: pd.DataFrame | Mapping[str, Sequence[Any] | Any], types: Mapping[str, str]) -> pd.DataFrame:
    """A frame with exactly the columns and dtypes of `types`, made from columns named so; a missing one is NaN or None."""
    import pandas as pd

    frame = columns if isinstance(columns, pd.DataFrame) else pd.DataFrame(dict(columns))
    frame = frame.reindex(columns=list(types)).astype(dict(types))
    # pandas takes a missing text for NaN, which is a number.
    texts = [name for name, kind in types.items() if kind == "object" and frame[name].isna().any()]
    return frame.assign(**{name: frame[name].where(frame[name].notna(), None) for name in texts})


def price_frame(columns: pd.DataFrame | Mapping[str, Sequence[Any] | Any]) -> pd.DataFrame:
    """A frame with exactly `PRICE_COLUMNS`."""
    return typed(columns, PRICE_COLUMNS)


def open_source(settings: Settings, calendar: Calendar, universe: Universe, now: datetime) -> Source:
    """The adapter that `ROTATION_SOURCE` names. Imports only that one, since yfinance alone costs most of a second."""
    if settings.source == "sample":
        from market_rotation.tasks.sources.simulated.source import SampleSource

        vendor = SampleSource(calendar, universe.instruments)
        if settings.fault:
            from market_rotation.tasks.sources.simulated.faults import spoiled

            return spoiled(vendor, settings.fault, universe)
        return vendor
    if settings.source == "files":
        from market_rotation.tasks.sources.files import FilesSource

        return FilesSource(settings.files_folder())
    from market_rotation.tasks.sources.cache import CachedSource
    from market_rotation.tasks.sources.yahoo.source import MarketSource

    return CachedSource(MarketSource(universe.instruments, settings.fetch_timeout_s), settings.cache, now)
