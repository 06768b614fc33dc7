"""Prices as traded, made into bars adjusted for splits: what vendors have in common that state a split beside unadjusted prices.

A split on day s with ratio r (new shares per old) divides the prices and dividends per share of all days before s by r, and multiplies their
volume by it. The bars are then on the basis of the newest split that the vendor states, as Yahoo's are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from market_rotation.tasks.sources.frames import price_frame

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Bar:
    """A bar as traded, USD per share; NaN where the vendor states null. `adjusted_close` is the vendor's own, for dividends as well."""

    session: date
    open: float
    high: float
    low: float
    close: float
    volume: float
    adjusted_close: float


def adjusted(
    symbol: str,
    bars: Sequence[Bar],
    dividends: Mapping[date, float],
    splits: Mapping[date, float],
    start: date,
    end: date,
    is_volume_adjusted: bool = False,
) -> pd.DataFrame:
    """A frame of `PRICE_COLUMNS` for `start` … `end`, oldest first. `splits` must reach to the present, beyond `end`.

    `is_volume_adjusted`: the vendor states volumes on the basis of the newest split, beside prices as traded.

    A dividend or split on a day without a bar is a row without prices, so that it is not lost. Two bars of one day are two rows.
    """
    days = {bar.session for bar in bars}
    bare = sorted({day for day in {*dividends, *splits} if start <= day <= end} - days)
    within = [bar for bar in bars if start <= bar.session <= end]
    rows = sorted([*within, *(Bar(day, *[math.nan] * 6) for day in bare)], key=lambda bar: bar.session)
    later = {day: math.prod(ratio for when, ratio in splits.items() if when > day) for day in {r.session for r in rows}}
    return price_frame(
        {
            "symbol": [symbol] * len(rows),
            "session": [row.session for row in rows],
            **{
                name: [getattr(row, name) / later[row.session] for row in rows]
                for name in ("open", "high", "low", "close")
            },
            "volume": [row.volume * (1.0 if is_volume_adjusted else later[row.session]) for row in rows],
            "dividend": [dividends.get(row.session, 0.0) / later[row.session] for row in rows],
            "capital_gain": [0.0] * len(rows),
            "split_ratio": [splits.get(row.session, 1.0) for row in rows],
            "vendor_adj_close": [row.adjusted_close for row in rows],
        }
    )


def number(value: Any) -> float:
    """A number of an answer in JSON, NaN for null. Raises `ValueError` or `TypeError` for anything else, infinities included."""
    if value is None:
        return math.nan
    if isinstance(value, bool | str):
        raise TypeError(f"{type(value).__name__} instead of a number")
    result = float(value)
    if not math.isfinite(result):
        raise ValueError("not a finite number")
    return result


def ratio(value: Any) -> float:
    """A split ratio, new shares per old. Raises `ValueError` or `TypeError` for anything that no split has, null included."""
    if not 1e-4 <= (result := number(value)) <= 1e4:
        raise ValueError("not a split ratio")
    return result


def amount(value: Any) -> float:
    """A number of 0 or more, as a dividend is. Raises as `ratio` does."""
    if not (result := number(value)) >= 0:
        raise ValueError("not 0 or more")
    return result
