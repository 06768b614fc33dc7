"""The source protocol, the registry of installed sources, and the opening of the configured sources.

A source is a plug-in: a class that a package registers under a name in the entry point group `market_rotation.sources`. The shipped
sources are registered in the same way. A source neither retries nor runs in parallel: `market_rotation.tasks.run.fetch` does both, for
all sources alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from market_rotation.tasks.datasets import DATASETS
from market_rotation.tasks.errors import ConfigError
from market_rotation.tasks.setting_values import SOURCE_GROUP
from market_rotation.tasks.sources.cache import CachedSource
from market_rotation.tasks.sources.fallback import Ordered
from market_rotation.tasks.sources.frames import price_frame, typed
from market_rotation.tasks.sources.pace import Paces, of_this_process

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from market_rotation.tasks.calendar import Calendar
    from market_rotation.tasks.settings import Settings
    from market_rotation.tasks.universe import Universe

__all__ = [
    "FundSource",
    "InstalledSource",
    "Source",
    "SourceContext",
    "check_sources",
    "installed",
    "open_each",
    "open_source",
    "price_frame",
    "source_class",
    "typed",
]


@dataclass(frozen=True)
class SourceContext:
    """The arguments for opening a source. `now` is the start of the run, UTC; a source reads no other clock to date its data."""

    settings: Settings
    calendar: Calendar
    universe: Universe
    now: datetime


class Source(Protocol):
    """An open source of prices. It has one method for each name in `datasets`; methods are called from several threads at once.

    A method answers for one symbol. It returns a typed frame or raises one of `market_rotation.tasks.errors`, and never returns an empty
    frame for a failure. Two more members are optional: `offers(instruments)`, which says symbol by symbol what can be requested
    (see `market_rotation.tasks.datasets.offers`); and `indexes(instruments)`, which returns the symbols of the indexes that it has, such as
    ^TNX, without which none is requested.
    """

    #: The name of the entry point, as used in ROTATION_SOURCE.
    name: str

    @property
    def datasets(self) -> frozenset[str]:
        """Names of `market_rotation.tasks.datasets.DATASETS`."""
        ...

    def prices(self, symbol: str, start: date, end: date) -> pd.DataFrame:
        """Daily bars of `symbol` for the sessions `start` … `end`, both included, as the vendor states them today.

        Returns a frame with exactly `PRICE_COLUMNS`, oldest first, one row per bar the vendor gave (a bar without a
        close is kept, with NaN). Zero rows mean "the vendor knows the symbol and has no bar in that range".
        Raises `SymbolNotFound`; `AccessRefused` where requesting again does not help; or `SourceUnavailable` for anything else that
        is not a usable answer.
        """
        ...


class InstalledSource(Source, Protocol):
    """A source whose class a package registers: it says without being opened what it has, and opens.

    Two more members of the class are optional: the class method `check(settings, universe)`, which raises `ConfigError` for a missing
    setting before a run begins; and `is_local = True` for a source that costs no request, whose answers are not cached.
    """

    datasets: ClassVar[frozenset[str]]

    @classmethod
    def open(cls, context: SourceContext) -> Source:
        """An open source. Raises `ConfigError` when the user must correct something first."""
        ...


class FundSource(Protocol):
    """The methods for data of funds and companies. Each raises as `Source.prices` does. Facts or holdings without rows are a failure."""

    name: str

    def fund_nav(self, symbol: str, start: date, end: date) -> pd.DataFrame:
        """NAV and shares outstanding of a fund for `start` … `end`: `FUND_NAV_COLUMNS`, oldest first, rows as published."""
        ...

    def fund_facts(self, symbol: str, as_of: date) -> pd.DataFrame:
        """One row of `FUND_FACTS_COLUMNS`, dated `as_of`, NaN or None for unknown values."""
        ...

    def holdings(self, symbol: str, as_of: date) -> pd.DataFrame:
        """The fund's holdings: `HOLDINGS_COLUMNS`, dated as the vendor dates its file, else `as_of`; heaviest first."""
        ...

    def earnings_growth(self, symbol: str, as_of: date) -> pd.DataFrame:
        """One row of `EARNINGS_GROWTH_COLUMNS` for a company, dated `as_of`."""
        ...


def installed() -> dict[str, str]:
    """The installed sources by name: the package that registers each, with its version."""
    packages = {entry.name: _package(entry) for entry in entry_points(group=SOURCE_GROUP)}
    return dict(sorted(packages.items()))


def source_class(name: str) -> type[InstalledSource]:
    """The class of the installed source `name`. Raises `ConfigError` where it is missing, registered twice, or no source."""
    entries = {entry.value: entry for entry in entry_points(group=SOURCE_GROUP, name=name)}
    if not entries:
        raise ConfigError(
            f"No source {name!r} is installed; the installed sources are {', '.join(installed()) or 'none'}: correct "
            "ROTATION_SOURCE, or install the package that has it."
        )
    if len(entries) > 1:
        packages = " and ".join(sorted(_package(entry) for entry in entries.values()))
        raise ConfigError(f"The source {name!r} is registered by {packages}; uninstall one of them.")
    (entry,) = entries.values()
    where = f"The source {name!r} of the package {_package(entry)}"
    try:
        # Import only this source: yfinance alone takes most of a second.
        loaded: type[InstalledSource] = entry.load()
    except Exception as error:
        # A plug-in may raise any exception on import.
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        raise ConfigError(f"{where} cannot be imported ({reason}); update or uninstall the package.") from error
    if fault := next(_faults(loaded, name), None):
        raise ConfigError(f"{where} {fault}; update or uninstall the package.")
    return loaded


def _faults(loaded: Any, name: str) -> Iterator[str]:
    """The reasons why a class is not a valid source `name`."""
    if getattr(loaded, "name", None) != name:
        yield f"is named {getattr(loaded, 'name', None)!r} in its class"
    if not callable(getattr(loaded, "open", None)):
        yield "has no class method 'open'"
    datasets = getattr(loaded, "datasets", None)
    if not isinstance(datasets, frozenset) or not datasets:
        yield "has no 'datasets', a frozenset of names of datasets"
        return
    for dataset in sorted(datasets):
        if dataset not in DATASETS:
            yield f"names an unknown dataset {dataset!r}"
        elif not callable(getattr(loaded, dataset, None)):
            yield f"has no method {dataset!r}"


def check_sources(settings: Settings, universe: Universe) -> None:
    """Checks the sources in `settings` before a run begins. Raises `ConfigError` with what to correct."""
    classes = [source_class(name) for name in settings.sources]
    if "prices" not in classes[0].datasets:
        raise ConfigError(
            f"ROTATION_SOURCE={settings.source}: the first source must have prices; name such a one first."
        )
    for found in classes:
        if check := getattr(found, "check", None):
            check(settings, universe)


def open_source(
    settings: Settings, calendar: Calendar, universe: Universe, now: datetime, paces: Paces = of_this_process
) -> Source:
    """The configured source, or several in order as one; responses of remote sources are cached until the run ends.

    `paces` makes, from ROTATION_REQUESTS_PER_MINUTE, the pace at which a remote source is requested.
    """
    pace_of = paces(settings.requests_per_minute)
    opened: list[Source] = [
        # Keep the responses of different vendors to the same request apart.
        source
        if getattr(source, "is_local", False)
        else CachedSource(source, settings.cache / source.name, now, pace_of(source.name))
        for source in open_each(SourceContext(settings, calendar, universe, now))
    ]
    return opened[0] if len(opened) == 1 else Ordered(opened)


def open_each(context: SourceContext) -> list[Source]:
    """The sources that `ROTATION_SOURCE` lists, in order, without a cache. Raises `ConfigError` as `check_sources` does."""
    check_sources(context.settings, context.universe)
    return [source_class(name).open(context) for name in context.settings.sources]


def _package(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else "unknown"
