"""The vendor of the model campaign: what it truly holds of three symbols, and what it says on an evening, in plain Python."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import pandas as pd
import world

from market_rotation.tasks.errors import SourceUnavailable
from market_rotation.tasks.sources.base import price_frame

SYMBOLS = ("IJR", "IWM", "SPY")
#: What the first of them may be called later.
RENAMED = "SLY"
BENCHMARK = "SPY"
#: Sessions, a closed day among them only as long as nobody knows of it.
CALENDAR = tuple(world.days(world.START, date(2026, 1, 16)))
#: What a restatement may change, and so what `ops.revisions` lists.
COLUMNS = ("high", "close", "dividend", "split_ratio")


#: Two vendors of the same market. The second one rounds: closes to 3 decimals, distributions to 4.
NAMES = ("yahoo", "tiingo")


@dataclass(frozen=True)
class Bar:
    """A bar as a vendor gives it: USD per share, adjusted for splits. `high` is None unless the vendor has one; `source` is the vendor's name."""

    close: float | None
    dividend: float = 0.0
    split_ratio: float = 1.0
    high: float | None = None
    source: str = NAMES[0]


#: What a vendor may say of a bar for a while, instead of the truth. An absent bar is None.
BAD_TICKS = {
    "jump": lambda bar: replace(bar, close=bar.close * 1.3),
    "negative": lambda bar: replace(bar, close=-bar.close),
    "blank": lambda bar: replace(bar, close=None),
    "low high": lambda bar: replace(bar, high=bar.close * 0.9),
    "absent": lambda bar: None,
}


@dataclass
class Vendor:
    """The bars it holds, by symbol and session; which of them are bad now, and who gets no answer this evening; the vendor that is asked now."""

    name: str = NAMES[0]
    symbols: tuple[str, ...] = SYMBOLS
    bars: dict[str, dict[date, Bar]] = field(default_factory=lambda: {symbol: {} for symbol in SYMBOLS})
    bad: dict[str, tuple[date, str]] = field(default_factory=dict)
    delisted: set[str] = field(default_factory=set)
    missing: set[str] = field(default_factory=set)
    #: Every close it ever gave, by symbol and session: nothing else may be published.
    given: set[tuple[str, date, float]] = field(default_factory=set)

    def trade(self, day: date) -> None:
        """Adds the bar of a session to each symbol that is still listed."""
        place = CALENDAR.index(day)
        for k, symbol in enumerate(self.symbols):
            if symbol in self.delisted:
                continue
            held = self.bars[symbol]
            before = held[max(held)].close if held else 50.0 + 10 * k
            assert before is not None
            step = ((place * (k + 3) + k) % 7 - 3) / 1000 or 0.0005
            held[day] = Bar(round(before * (1 + step), 6))

    def rename(self) -> None:
        """Gives the first symbol, with all its bars, another name; the old one is not known any more."""
        old, *others = self.symbols
        self.bars[RENAMED] = self.bars.pop(old)
        self.symbols = (RENAMED, *others)

    def split(self, symbol: str, day: date, ratio: float) -> None:
        """Splits the shares on the session `day`, the newest: all bars before it, and its own close, are restated."""
        held = self.bars[symbol]
        for session, bar in held.items():
            dividend = bar.dividend / ratio
            held[session] = replace(bar, close=bar.close / ratio, dividend=dividend)
        held[day] = replace(held[day], split_ratio=ratio)

    def says(self, symbol: str, day: date) -> Bar | None:
        """The bar as the vendor gives it now; None where it gives none."""
        bar = self.bars[symbol].get(day)
        if bar and bar.close and self.name != NAMES[0]:
            bar = replace(bar, close=round(bar.close, 3), dividend=round(bar.dividend, 4), source=self.name)
        session, kind = self.bad.get(symbol, (None, ""))
        return BAD_TICKS[kind](bar) if bar and session == day else bar

    def answer(self, symbol: str, start: date, until: date) -> dict[date, Bar]:
        """The bars that it gives of these sessions now."""
        return {day: said for day in CALENDAR if start <= day <= until and (said := self.says(symbol, day))}

    def frames(self, until: date) -> dict[str, pd.DataFrame | Exception]:
        """What `world.FakeSource` is to give of each symbol."""
        frames: dict[str, pd.DataFrame | Exception] = {}
        for symbol in self.symbols:
            if symbol in self.missing:
                frames[symbol] = SourceUnavailable(f"No answer for {symbol}; try again later.")
                continue
            rows = {day: said for day in sorted(self.bars[symbol]) if day <= until and (said := self.says(symbol, day))}
            self.given |= {(symbol, day, bar.close) for day, bar in rows.items() if bar.close is not None}
            frames[symbol] = price_frame(_columns(symbol, list(rows), list(rows.values())))
        return frames


def _columns(symbol: str, days: Sequence[date], bars: Sequence[Bar]) -> dict[str, Any]:
    named = {column: [getattr(bar, column) for bar in bars] for column in COLUMNS}
    return {"symbol": symbol, "session": days, "capital_gain": 0.0, **named}
