"""The small market of the fault matrix: a few funds with short records, and the faults of each dataset as functions of a frame."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from functools import cache
from typing import Any

import pandas as pd

from market_rotation.tasks import calendar
from market_rotation.tasks.datasets import DATASETS
from market_rotation.tasks.errors import SourceUnavailable, SymbolNotFound
from market_rotation.tasks.sources.simulated.faults import FAULTS, FaultySource
from market_rotation.tasks.sources.simulated.source import SampleSource
from market_rotation.tasks.universe import Universe, load_universe

SYMBOLS = ("SPY", "IWM", "IWB", "XLK")
#: The session of the fault, the one published before it (a first run has none), and the one after it.
SESSION, BEFORE, NEXT = date(2025, 12, 16), date(2025, 12, 4), date(2025, 12, 17)
HISTORY_START = date(2025, 7, 1)
#: The largest holdings of a fund that this market has: their number costs time and tests nothing more.
HOLDINGS = 40
#: The fund with the fault. Its issuer publishes share counts, and files of holdings.
SYMBOL = "IWM"

Apply = Callable[[pd.DataFrame, date], pd.DataFrame]


@cache
def members() -> Universe:
    """The instruments of `SYMBOLS` and the pairs among them."""
    shipped = load_universe()
    pairs = tuple(p for p in shipped.pairs if {p.small_symbol, p.large_symbol} <= set(SYMBOLS))
    return Universe(instruments=tuple(i for i in shipped.instruments if i.symbol in SYMBOLS), pairs=pairs)


class ShortSource:
    """The simulated market with fund records of `HISTORY_START` and later, and the largest `HOLDINGS` holdings."""

    name = "sample"

    def __init__(self) -> None:
        self._source = SampleSource(calendar.load(date(1993, 1, 29), date(2026, 11, 20)), members().instruments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def prices(self, symbol: str, start: date, end: date) -> pd.DataFrame:
        """See `market_rotation.tasks.sources.base.Source.prices`."""
        return self._source.prices(symbol, start, end)

    def fund_nav(self, symbol: str, start: date, end: date) -> pd.DataFrame:
        """See `market_rotation.tasks.sources.base.FundSource.fund_nav`."""
        return self._source.fund_nav(symbol, max(start, HISTORY_START), end)

    def holdings(self, symbol: str, as_of: date) -> pd.DataFrame:
        """See `market_rotation.tasks.sources.base.FundSource.holdings`."""
        frame = self._source.holdings(symbol, as_of)
        kept = frame.nlargest(HOLDINGS, "weight")
        return kept.assign(weight=kept["weight"] / kept["weight"].sum()).reset_index(drop=True)


@cache
def market() -> ShortSource:
    """The market without a fault."""
    return ShortSource()


class Faulty:
    """`market()` with `apply` on the frames of one dataset of `SYMBOL` (every symbol: `everywhere`) that reach the session of the fault."""

    def __init__(self, dataset: str, apply: Apply, everywhere: bool = False) -> None:
        self.name = market().name
        self._dataset, self._apply, self._everywhere = dataset, apply, everywhere

    def prices(self, symbol: str, start: date, end: date) -> pd.DataFrame:
        """See `market_rotation.tasks.sources.base.Source.prices`."""
        return self._given("prices", symbol, start, end)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name != self._dataset:
            return getattr(market(), name)
        return lambda symbol, *days: self._given(name, symbol, *days)

    def _given(self, name: str, symbol: str, *days: date) -> pd.DataFrame:
        frame: pd.DataFrame = getattr(market(), name)(symbol, *days)
        hit = name == self._dataset and (self._everywhere or symbol == SYMBOL) and len(frame) and days[-1] >= SESSION
        return self._apply(frame, SESSION) if hit else frame


def _last(frame: pd.DataFrame) -> pd.Series[bool]:
    """The rows of the newest day: a fund's record, or a whole snapshot."""
    day = frame["session" if "session" in frame else "as_of"]
    return day == day.max()


def scaled(column: str, factor: float) -> Apply:
    """The newest values of `column` times `factor`."""
    return lambda frame, _: frame.assign(**{column: frame[column].where(~_last(frame), frame[column] * factor)})


def blank(column: str) -> Apply:
    """The newest values of `column` missing."""
    return lambda frame, _: frame.assign(**{column: frame[column].where(~_last(frame))})


def twice(frame: pd.DataFrame, session: date) -> pd.DataFrame:
    """The newest rows twice."""
    return pd.concat([frame, frame[_last(frame)]], ignore_index=True)


def moved(days: int) -> Apply:
    """The newest rows dated so many days later."""

    def apply(frame: pd.DataFrame, session: date) -> pd.DataFrame:
        day = "session" if "session" in frame else "as_of"
        return frame.assign(**{day: frame[day].where(~_last(frame), frame[day] + timedelta(days=days))})

    return apply


def unknown(frame: pd.DataFrame, session: date) -> pd.DataFrame:
    """The vendor has dropped the symbol."""
    raise SymbolNotFound(f"{SYMBOL} is not known to the vendor; drop it from the universe.")


def down(frame: pd.DataFrame, session: date) -> pd.DataFrame:
    """The vendor is down."""
    raise SourceUnavailable("The vendor answers 503; try again later.")


def empty(frame: pd.DataFrame, session: date) -> pd.DataFrame:
    """An answer without rows."""
    return frame.iloc[:0]


def without_half(frame: pd.DataFrame, session: date) -> pd.DataFrame:
    """Every second row is missing: a truncated file."""
    return frame.iloc[::2].reset_index(drop=True)


def text_column(column: str) -> Apply:
    """A column of texts where numbers belong."""
    return lambda frame, _: frame.assign(**{column: frame[column].astype(str)})


COMMON: Mapping[str, Apply] = {
    "duplicate-day": twice,
    "future-date": moved(365),
    "missing-symbol": unknown,
    "empty-answer": empty,
}
OF_DATASET: Mapping[str, Mapping[str, Apply]] = {
    "prices": {"empty-answer": empty, "text-in-numbers": text_column("close"), "blank-close": blank("close")},
    "fund_nav": {
        **COMMON,
        "bad-tick": scaled("nav", 100.0),
        "sign-flip": scaled("nav", -1.0),
        "blank-nav": blank("nav"),
        "shares-in-thousands": scaled("shares_outstanding", 1e-3),
        "negative-shares": scaled("shares_outstanding", -1.0),
        "currency-switch": scaled("nav", 1.36),
        "stray-holiday": moved(-3),
        "text-in-numbers": text_column("nav"),
    },
    "fund_facts": {
        **COMMON,
        "percent-for-fraction": scaled("expense_ratio", 100.0),
        "negative-assets": scaled("total_net_assets_usd", -1.0),
        "assets-in-thousands": scaled("total_net_assets_usd", 1e-3),
        "inverse-pe": lambda frame, _: frame.assign(trailing_pe=1 / frame["trailing_pe"]),
        "text-in-numbers": text_column("expense_ratio"),
    },
    "holdings": {
        **COMMON,
        "percent-for-fraction": scaled("weight", 100.0),
        "negative-weights": scaled("weight", -1.0),
        "truncated-file": without_half,
        "blank-weights": blank("weight"),
        "text-in-numbers": text_column("weight"),
    },
}


def cells() -> list[tuple[str, str]]:
    """Each dataset with each of its faults: those of the demonstration, then those of this module."""
    shown = [(fault.dataset, name) for name, fault in FAULTS.items()]
    more = [(dataset, name) for dataset, faults in OF_DATASET.items() for name in faults]
    down_only = [(dataset, "source-down") for dataset in OF_DATASET if dataset != "prices"]
    assert set(OF_DATASET) <= set(DATASETS)
    return [*shown, *more, *down_only]


def with_fault(dataset: str, fault: str) -> FaultySource | Faulty:
    """The market with a fault of `cells`."""
    if fault in FAULTS and FAULTS[fault].dataset == dataset:
        return FaultySource(market(), fault, SYMBOL, SESSION)
    if fault == "source-down":
        return Faulty(dataset, down, everywhere=True)
    return Faulty(dataset, OF_DATASET[dataset][fault])
