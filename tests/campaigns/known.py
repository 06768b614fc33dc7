"""What the model's warehouse knows, what it publishes of that, and how the answer of a vendor differs from it: in plain Python."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from campaigns.vendor_model import RENAMED, SYMBOLS, Bar


def differs(new: float | None, known: float | None) -> bool:
    """Whether a restatement changes the value, beyond the rounding of vendors."""
    if new is None or known is None:
        return new is not known
    return abs(new - known) > 1e-6 * abs(known)


def is_restated(said: Bar | None, known: Bar) -> bool:
    """Whether the oldest bar requested differs in what bars before it can share."""
    return said is not None and any(
        differs(getattr(said, column), getattr(known, column)) for column in ("close", "dividend", "split_ratio")
    )


def disagree(kept: Bar, other: Bar) -> set[str]:
    """What two vendors state differently of one bar, beyond the rounding that is allowed between them."""
    found = set()
    for name, share, least in (("close", 1e-3, 0.011), ("dividend", 1e-2, 2e-3), ("split_ratio", 1e-3, 0.0)):
        value, other_value = getattr(kept, name), getattr(other, name)
        if None not in (value, other_value) and abs(value - other_value) > max(share * abs(other_value), least):
            found.add(name)
    return found


def is_rebased(known: Mapping[date, Bar], given: Mapping[date, Bar], vendor: str) -> bool:
    """Whether most closes of other vendors that are apart from those given now are so by the splits that only `vendor` states."""
    days, apart, on_old_basis = sorted(given), 0, 0
    for n, day in enumerate(days):
        close = given[day].close or 0
        if day not in known or known[day].source == vendor or close <= 0:
            continue
        ratio, later = close / (known[day].close or 1), days[n + 1 :]
        factor = math.prod(given[d].split_ratio / (known[d].split_ratio if d in known else 1) for d in later)
        if abs(ratio - 1) > 0.01:
            apart += 1
            on_old_basis += bool(later) and abs(ratio * factor - 1) <= 0.01
    return 2 * on_old_basis > apart


@dataclass
class State:
    """What the warehouse knows: bars and events by symbol, open entries of the quarantine, all restatements, and the bars of which two vendors
    differ (symbol, session, what, the vendor that is not believed).
    """

    bars: dict[str, dict[date, Bar]] = field(default_factory=lambda: {symbol: {} for symbol in (*SYMBOLS, RENAMED)})
    events: dict[str, dict[date, Bar]] = field(default_factory=lambda: {symbol: {} for symbol in (*SYMBOLS, RENAMED)})
    quarantine: dict[tuple[str, date | None], Bar | None] = field(default_factory=dict)
    revisions: list[tuple[str, date, str, float | None, float | None]] = field(default_factory=list)
    differences: set[tuple[str, date, str, str]] = field(default_factory=set)
    #: The universe. The bars of other symbols are kept and not published.
    symbols: tuple[str, ...] = SYMBOLS


def published(state: State, symbol: str) -> dict[date, tuple[float, float, float, float]]:
    """Close, dividend, split ratio and total-return index (100 on the first session) that readers must find, by session.

    The distribution or split of a day without a published bar belongs to the next bar; the index reinvests at the ex-day's close.
    """
    found: dict[date, tuple[float, float, float, float]] = {}
    if symbol not in state.symbols:
        return found
    index, previous = 100.0, math.nan
    pending = sorted(state.events[symbol].items())
    for day, bar in sorted(state.bars[symbol].items()):
        assert bar.close is not None
        dividend, ratio = bar.dividend, bar.split_ratio
        while pending and pending[0][0] < day:
            event = pending.pop(0)[1]
            if found:
                dividend, ratio = dividend + event.dividend, ratio * event.split_ratio
        if found:
            index *= bar.close / (previous - dividend)
        found[day] = (bar.close, dividend, ratio, index)
        previous = bar.close
    return found
