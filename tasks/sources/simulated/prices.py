"""A simulated US equity market: value, payouts and volume of every instrument on each weekday since 2000.

Everything is drawn per weekday from a fixed anchor date, holidays included, so that nothing depends on a calendar, on the
range that is asked for or on the other instruments; what happens on a holiday shows in the session after it. Each random
stream is seeded by its name and drawn in order of date, so that later years never alter earlier ones.

An instrument's value moves with the market, a size factor (small minus large), a technology factor, its sector and itself.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from market_rotation.tasks.universe import Instrument

Floats = NDArray[np.float64]
Days = NDArray[np.datetime64]

SEED = 2026
ANCHOR = np.datetime64("2000-01-03")
#: Prices are drawn for this day and carried both ways from it, so that they look familiar today rather than in 2000.
REFERENCE = np.datetime64("2026-01-02")
WEEKDAYS_A_YEAR = 261

#: Regimes of the market from a date on: drift a year (log), volatility a day.
REGIMES = (
    ("2000-01-03", -0.12, 0.012),
    ("2003-03-12", 0.14, 0.008),
    ("2007-10-10", -0.50, 0.021),  # the financial crisis
    ("2009-03-10", 0.17, 0.010),
    ("2020-02-20", -4.50, 0.033),  # the pandemic crash
    ("2020-03-24", 0.45, 0.014),
    ("2021-01-04", 0.20, 0.009),
    ("2022-01-04", -0.28, 0.014),
    ("2022-10-13", 0.20, 0.009),
    ("2025-02-20", -1.40, 0.020),  # a short correction
    ("2025-04-09", 0.18, 0.009),
    ("2026-01-02", 0.09, 0.009),
)
#: Cycles of the two style factors: a trough (or, with a negative height, a peak), length in years, height (log).
CYCLES: dict[str, tuple[tuple[str, float, float], ...]] = {
    "size": (("2025-09-01", 6.4, 0.08), ("2025-09-01", 2.6, 0.035), ("2026-02-01", 0.7, 0.015)),
    "tech": (("2025-10-15", 7.5, -0.08), ("2025-10-15", 2.1, -0.035), ("2025-06-01", 0.6, 0.012)),
}
#: Real splits: first session at the new price, new shares per old.
SPLITS: dict[str, tuple[tuple[str, float], ...]] = {
    "AAPL": (("2014-06-09", 7.0), ("2020-08-31", 4.0)),
    "AMZN": (("2022-06-06", 20.0),),
    "GOOGL": (("2022-07-18", 20.0),),
    "NVDA": (("2021-07-20", 4.0), ("2024-06-10", 10.0)),
    "TSLA": (("2020-08-31", 5.0), ("2022-08-25", 3.0)),
    "XLK": (("2025-12-05", 2.0),),
}
#: Made-up capital gains: ex-date, fraction of the price. Rare, as with real index funds.
CAPITAL_GAINS: dict[str, tuple[tuple[str, float], ...]] = {
    "IWC": (("2007-12-20", 0.011), ("2021-12-16", 0.006)),
    "MAGS": (("2024-12-18", 0.009),),
}
SECTOR_BETA = {"utilities": 0.6, "consumer_staples": 0.6, "health_care": 0.8, "financials": 1.15, "energy": 1.1}
SECTOR_YIELD = {
    "utilities": 0.03,
    "real_estate": 0.034,
    "energy": 0.033,
    "consumer_staples": 0.025,
    "technology": 0.007,
    "communication_services": 0.009,
}
SIZE_YIELD = {"mega": 0.006, "large": 0.015, "mid": 0.013, "small": 0.013, "micro": 0.010}
#: Dollar volume of a usual day.
TURNOVER = {"mega": 6e9, "large": 1.2e9, "mid": 4e8, "small": 2.5e8, "micro": 4e7}


class Exposure(NamedTuple):
    """An instrument's exposure to each factor, and its own volatility (log per day)."""

    market: float
    size: float
    tech: float
    sector: float
    own_volatility: float


#: Funds of bonds by peer group: credit moves with the market, treasuries a little against it.
BONDS = {"high_yield": Exposure(0.35, 0.0, 0.0, 0.0, 0.0015), "treasury": Exposure(-0.12, 0.0, 0.0, 0.0, 0.003)}


@dataclass(frozen=True)
class Path:
    """One instrument on every weekday of `days`, as traded then: before any later split.

    Prices in USD per share, `volume` in shares. `split_ratio` is 1 where there is none; `later_splits` is the product of
    the ratios effective after the day. `dividend` and `capital_gain` are USD per share on the ex-date, else 0. `value` is
    what a share is worth at the close, unrounded: a fund's NAV.
    """

    days: Days
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    dividend: Floats
    capital_gain: Floats
    split_ratio: Floats
    later_splits: Floats
    value: Floats


def simulate(instrument: Instrument, last_year: int) -> Path:
    """The path of `instrument` from the anchor to the end of `last_year`; the same days whatever `last_year` is."""
    days = weekdays(last_year)
    symbol = instrument.symbol
    ratio, later = _splits(symbol, days)
    paid, gained = _payouts(instrument, days)
    exposure = exposure_of(instrument)
    log_value = _log_value(instrument, exposure, last_year) + np.cumsum(np.log1p(-paid - gained))
    value = _reference_price(instrument) * np.exp(log_value - log_value[np.searchsorted(days, REFERENCE)])
    # Yesterday's value in today's shares: the base of distributions and of the open.
    before = np.concatenate([value[:1], value[:-1]]) * later
    # Funds trade a hair off their value; a stock has no other value than its price. White noise, so it never adds up.
    off = 0.0 if instrument.kind == "stock" else 0.0001 * stream(symbol, "premium").standard_normal(len(days))
    close = value * later * np.exp(off)
    ex_before = before * (1 - paid - gained)
    move = np.log(close / ex_before)
    wiggle = 0.4 * np.hypot(0.009 * exposure.market, exposure.own_volatility)
    opened = ex_before * np.exp(0.35 * move + wiggle * stream(symbol, "open").standard_normal(len(days)))
    high = np.maximum(opened, close) * np.exp(wiggle * np.abs(stream(symbol, "high").standard_normal(len(days))))
    low = np.minimum(opened, close) * np.exp(-wiggle * np.abs(stream(symbol, "low").standard_normal(len(days))))
    dollars = _turnover(instrument) * (1 + 12 * np.abs(move))
    volume = dollars / close * np.exp(0.3 * stream(symbol, "volume").standard_normal(len(days)))
    return Path(
        days=days,
        open=_cents(opened),
        high=_cents(high),
        low=_cents(low),
        close=_cents(close),
        volume=np.maximum(np.rint(volume), 1.0),
        dividend=np.round(before * paid, 4),
        capital_gain=np.round(before * gained, 4),
        split_ratio=ratio,
        later_splits=later,
        value=value * later,
    )


def exposure_of(instrument: Instrument) -> Exposure:
    """The exposures that follow from kind, size, sector and peer group of `instrument`."""
    size = instrument.size_bucket or "large"
    beta = {"mega": 1.05, "large": 1.0, "mid": 1.04, "small": 1.08, "micro": 1.08}[size]
    tilt = {"mega": -0.1, "large": 0.0, "mid": 0.5, "small": 1.0, "micro": 1.2}[size]
    tech = {"mega": 1.0, "large": 0.3, "mid": 0.1, "small": 0.0, "micro": 0.0}[size]
    if instrument.kind == "fund":
        if bond := BONDS.get(instrument.peer_group or ""):
            return bond
        if instrument.peer_group == "equal_weight":
            tilt, tech = tilt + 0.25, 0.0
        return Exposure(beta, tilt, tech, 0.3 if instrument.sector else 0.0, 0.0008)
    beta *= SECTOR_BETA.get(instrument.sector or "", 1.0)
    if instrument.kind == "sector":
        return Exposure(beta, tilt, 0.9 if instrument.sector == "technology" else 0.0, 1.0, 0.001)
    return Exposure(beta, tilt, tech, 1.0 if instrument.sector else 0.0, 0.015)


def stream(*name: str) -> np.random.Generator:
    """The random stream called `name`: the same draws in every process, and unrelated to any other name's."""
    digest = hashlib.sha256("|".join((str(SEED), *name)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big"))


@lru_cache(maxsize=8)
def weekdays(last_year: int) -> Days:
    """Monday to Friday from the anchor to the end of `last_year`, or of the reference year if that is later."""
    last_year = max(last_year, REFERENCE.astype(date).year)
    days = np.arange(ANCHOR, np.datetime64(f"{last_year + 1}-01-01"))
    days = days[np.is_busday(days)]
    days.setflags(write=False)
    return days


@lru_cache(maxsize=128)
def factor(name: str, last_year: int) -> Floats:
    """Cumulative log return of a factor, one value per weekday: `market`, `size`, `tech` or `sector:…`. Read-only."""
    days = weekdays(last_year)
    draws = stream("factor", name).standard_normal(len(days))
    if name == "market":
        regime = np.searchsorted(np.array([r[0] for r in REGIMES], "datetime64[D]"), days, side="right") - 1
        drift = np.array([r[1] for r in REGIMES])[regime] / WEEKDAYS_A_YEAR
        level = np.cumsum(drift) + fading(draws * np.array([r[2] for r in REGIMES])[regime], 500)
    else:
        noise = {"size": 0.004, "tech": 0.004}.get(name, 0.0055)
        level = _cycles(name, days) + fading(draws * noise, 180)
    level.setflags(write=False)
    return level


def _cycles(name: str, days: Days) -> Floats:
    """The slow swings of a factor: those in the table, else two of its own with lengths and phases drawn from its name."""
    cycles = CYCLES.get(name)
    if cycles is None:
        own = stream("cycles", name)
        start = [str(ANCHOR + int(day)) for day in own.integers(0, 2500, 2)]
        cycles = ((start[0], own.uniform(3, 7), 0.09), (start[1], own.uniform(0.6, 1.6), 0.03))
    total = np.zeros(len(days))
    for trough, years, height in cycles:
        elapsed = (days - np.datetime64(trough)).astype(np.float64) / 365.25
        total -= height * np.cos(2 * np.pi * elapsed / years)
    return total


def _log_value(instrument: Instrument, exposure: Exposure, last_year: int) -> Floats:
    """Cumulative log total return. Funds on one index share it entirely."""
    days = weekdays(last_year)
    total = exposure.market * factor("market", last_year) + _own_drift(instrument) * years_to_reference(days)
    total += exposure.size * factor("size", last_year) + exposure.tech * factor("tech", last_year)
    if exposure.sector:
        total += exposure.sector * factor(f"sector:{instrument.sector}", last_year)
    own = stream("own", _index_of(instrument)).standard_t(5, len(days)) * np.sqrt(3 / 5)
    return total + fading(own * exposure.own_volatility, 400)


def _own_drift(instrument: Instrument) -> float:
    """Log return a year beyond the market's: a stock that was split had risen, so that its price as traded stays usual."""
    splits = SPLITS.get(instrument.symbol, ())
    if splits and instrument.kind == "stock":
        return float(np.log(np.prod([ratio for _, ratio in splits]))) / 22
    return float(stream("drift", instrument.symbol).uniform(-0.02, 0.03)) if instrument.kind == "stock" else 0.0


def years_to_reference(days: Days) -> Floats:
    """Years since the reference, and 0 after it: past outperformance does not continue."""
    elapsed: Floats = (days - REFERENCE).astype(np.float64) / 365.25
    return np.minimum(elapsed, 0.0)


def fading(noise: Floats, memory: float) -> Floats:
    """The running sum of `noise`, decaying over `memory` days, so that the level stays bounded."""
    age = np.arange(len(noise)) / memory
    return np.cumsum(noise * np.exp(age)) * np.exp(-age)


def _index_of(instrument: Instrument) -> str:
    return f"index:{instrument.index_name}" if instrument.index_name else instrument.symbol


def _reference_price(instrument: Instrument) -> float:
    low, high = (60, 250) if instrument.kind == "stock" else (90, 500)
    return float(np.exp(stream("price", instrument.symbol).uniform(np.log(low), np.log(high))))


def _turnover(instrument: Instrument) -> float:
    usual = TURNOVER[instrument.size_bucket or "large"]
    return usual * float(np.exp(0.6 * stream("turnover", instrument.symbol).standard_normal()))


def _splits(symbol: str, days: Days) -> tuple[Floats, Floats]:
    """The ratio effective on each day, and the product of those effective after it."""
    ratio, later = np.ones(len(days)), np.ones(len(days))
    for day, new_per_old in SPLITS.get(symbol, ()):
        ratio[np.searchsorted(days, np.datetime64(day))] = new_per_old
        later[days < np.datetime64(day)] *= new_per_old
    return ratio, later


def _payouts(instrument: Instrument, days: Days) -> tuple[Floats, Floats]:
    """Dividend and capital gain on each day as fractions of the day before's price; none up to the inception."""
    paid, gained = np.zeros(len(days)), np.zeros(len(days))
    own = stream("dividend", _index_of(instrument))
    is_stock = instrument.kind == "stock"
    pays = not is_stock or own.uniform() < 0.6
    if pays:
        size = SIZE_YIELD[instrument.size_bucket or "large"]
        yearly = SECTOR_YIELD.get(instrument.sector or "", 0.016) if instrument.kind == "sector" else size
        ex_dates = _ex_dates(instrument, days)
        amounts = yearly / 4 * own.uniform(0.8, 1.2, len(ex_dates))
        paid[np.searchsorted(days, ex_dates)] = amounts
    for day, fraction in CAPITAL_GAINS.get(instrument.symbol, ()):
        gained[np.searchsorted(days, np.datetime64(day))] = fraction
    if instrument.inception:
        unlisted = days <= np.datetime64(instrument.inception)
        paid[unlisted] = gained[unlisted] = 0.0
    return paid, gained


def _ex_dates(instrument: Instrument, days: Days) -> Days:
    """One weekday a quarter: funds of an issuer together late in it, each stock in a month and week of its own."""
    months: NDArray[Any] = np.arange(days[0].astype("datetime64[M]"), days[-1].astype("datetime64[M]") + 1)
    if instrument.kind == "stock":
        month, week, weekday = (int(n) for n in stream("ex-date", instrument.symbol).integers(0, [3, 3, 5]))
    else:
        month, week, weekday = 2, 2, int(stream("ex-date", instrument.issuer or "").integers(0, 5))
    first = months[month::3].astype("datetime64[D]")
    return np.busday_offset(first, week, roll="forward", weekmask="Mon") + weekday


def _cents(price: Floats) -> Floats:
    return np.maximum(np.round(price, 2), 0.01)
