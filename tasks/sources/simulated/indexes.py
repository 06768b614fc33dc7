"""Simulated levels of indexes on each weekday since 2000: interest rates, volatility, the dollar, and a walk for any other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from market_rotation.tasks.sources.simulated.prices import (
    Floats,
    Path,
    factor,
    fading,
    stream,
    weekdays,
    years_to_reference,
)

if TYPE_CHECKING:
    from market_rotation.tasks.universe import Instrument


def simulate(instrument: Instrument, last_year: int) -> Path:
    """The levels of `instrument`, an index, as a path without volume, distributions and splits.

    Rates are in percent a year and at least -0.1; volatility rises when the market falls.
    """
    days = weekdays(last_year)
    level = np.round(_level(instrument, last_year), 3)
    before = np.concatenate([level[:1], level[:-1]])
    nothing, one = np.zeros(len(days)), np.ones(len(days))
    return Path(
        days=days,
        open=before,
        high=np.maximum(before, level),
        low=np.minimum(before, level),
        close=level,
        volume=nothing,
        dividend=nothing,
        capital_gain=nothing,
        split_ratio=one,
        later_splits=one,
        value=level,
    )


def _level(instrument: Instrument, last_year: int) -> Floats:
    days = weekdays(last_year)
    noise = stream("index", instrument.symbol).standard_normal(len(days))
    # A slow cycle of monetary policy, which the short rate follows further than the long one.
    policy = np.sin(2 * np.pi * years_to_reference(days) / 9)
    match instrument.peer_group:
        case "rate_10y":
            level: Floats = np.maximum(3.6 + 0.8 * policy + fading(0.05 * noise, 250), -0.1)
        case "rate_3m":
            level = np.maximum(2.6 + 2.3 * policy + fading(0.015 * noise, 120), -0.1)
        case "volatility":
            market = factor("market", last_year)
            month = market - np.concatenate([np.repeat(market[:1], 21), market[:-21]])
            level = 16 * np.exp(fading(0.06 * noise, 12) - 4 * month)
        case _:
            level = 100 * np.exp(fading(0.0045 * noise, 500))
    return level
