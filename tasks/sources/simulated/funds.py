"""The funds of the simulated market: their shares, costs and facts.

Like the market itself, everything is drawn from streams named after a fund or an index, in order of date: no value depends on a
calendar, on the requested range or on the other instruments.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from market_rotation.tasks.sources.simulated.prices import (
    ANCHOR,
    REFERENCE,
    Days,
    Floats,
    Path,
    exposure_of,
    factor,
    fading,
    stream,
    years_to_reference,
)

if TYPE_CHECKING:
    from datetime import date

    from market_rotation.tasks.universe import Instrument

#: Shares are created and redeemed in blocks of this many.
CREATION_UNIT = 50_000
#: Issuers that publish holdings, and NAV and share counts on the following day.
PUBLISHERS = frozenset({"ssga", "ishares"})
#: Issuers whose funds come from a vendor that publishes assets and NAV, but no share count.
ASSETS_ONLY = frozenset({"vanguard", "invesco", "roundhill", "dimensional", "avantis", "schwab", "pacer", "wisdomtree"})
#: Funds that now and then create a sixth of their shares at a quarter's end and redeem them two sessions later.
HEARTBEATS = frozenset({"IVV"})


class Size(NamedTuple):
    """Typical values for a size: a fund's assets (billions of USD), category and trailing P/E."""

    assets: float
    category: str
    trailing_pe: float


class Sector(NamedTuple):
    """A sector fund's assets (billions of USD) and category."""

    assets: float
    category: str


SIZES = {
    "mega": Size(20, "Large Growth", 33),
    "large": Size(30, "Large Blend", 25),
    "mid": Size(10, "Mid-Cap Blend", 19),
    "small": Size(8, "Small Blend", 17),
    "micro": Size(1, "Small Blend", 14),
}
SECTORS = {
    "materials": Sector(5.5, "Natural Resources"),
    "communication_services": Sector(26, "Communications"),
    "energy": Sector(27, "Equity Energy"),
    "financials": Sector(52, "Financial"),
    "industrials": Sector(23, "Industrials"),
    "technology": Sector(90, "Technology"),
    "consumer_staples": Sector(15, "Consumer Defensive"),
    "real_estate": Sector(7.5, "Real Estate"),
    "utilities": Sector(20, "Utilities"),
    "health_care": Sector(38, "Health"),
    "consumer_discretionary": Sector(24, "Consumer Cyclical"),
}
#: Assets at the reference (billions of USD) and the real expense ratio; a sector fund's is 0.0008, any other's 0.002.
FUNDS = {
    "SPY": (600, 0.000945),
    "IVV": (620, 0.0003),
    "VOO": (650, 0.0003),
    "IWB": (43, 0.0015),
    "QQQ": (390, 0.0020),
    "MDY": (24, 0.0024),
    "IWM": (70, 0.0019),
    "VTWO": (13, 0.0006),
    "IJR": (80, 0.0006),
    "SPSM": (12, 0.0003),
    "VB": (60, 0.0005),
    "IWC": (1, 0.0060),
    "RSP": (75, 0.0020),
    "MAGS": (2, 0.0029),
    "VBR": (31, 0.0007),
    "VBK": (20, 0.0007),
    "AVUV": (18, 0.0025),
    "SCHA": (18, 0.0004),
    "IWO": (12, 0.0024),
    "IWN": (12, 0.0024),
    "DFAT": (12, 0.0028),
    "DFAS": (11, 0.0026),
    "FNDA": (9, 0.0025),
    "IJS": (6.5, 0.0018),
    "IJT": (6, 0.0018),
    "DFSV": (5, 0.0031),
    "SLYV": (4, 0.0015),
    "SLYG": (3.5, 0.0015),
    "VIOO": (3, 0.0010),
    "PRFZ": (2.5, 0.0034),
    "SMLF": (2, 0.0015),
    "CALF": (4, 0.0059),
    "AVSC": (2, 0.0025),
    "XSMO": (2, 0.0039),
}
#: Expense ratios up to the day they were cut.
FEES_BEFORE = {"VTWO": ("2026-02-02", 0.0007)}


def shares_outstanding(instrument: Instrument, path: Path) -> Floats:
    """A fund's shares at the end of each weekday of `path`, in creation units, as published: before any later split."""
    days, symbol = path.days, instrument.symbol
    billions, at = assets_billions(instrument), int(np.searchsorted(path.days, REFERENCE))
    listed = np.datetime64(instrument.inception) if instrument.inception else ANCHOR
    age = np.maximum((days - listed).astype(np.float64) / 365.25, 0)
    # Quick initial growth, money that follows the leader for years, and orders that are soon reversed.
    noise = (0.0025 if billions >= 5 else 0.006) * stream(symbol, "flows").standard_normal(len(days))
    level = 0.03 * years_to_reference(days) - 2.5 * np.exp(-age / 2.5)
    level += fading(_pull(instrument, days), 1000) + fading(noise, 40)
    # A small fund has no creations on many days; its orders accumulate.
    chance = 0.98 if billions >= 20 else 0.75 if billions >= 5 else 0.7
    trades = (stream(symbol, "orders").uniform(size=len(days)) < chance) | (path.split_ratio != 1)
    since = np.maximum.accumulate(np.where(trades, np.arange(len(days)), 0))
    wanted = billions * 1e9 / path.value[at] * np.exp(level[since] - level[at])
    wanted *= path.later_splits[at] / path.later_splits * (1 + _heartbeats(symbol, days))
    units: Floats = np.maximum(np.rint(wanted / CREATION_UNIT), 4.0)
    return CREATION_UNIT * units


def assets_billions(instrument: Instrument) -> float:
    """A fund's assets at the reference, in billions of USD."""
    if instrument.symbol in FUNDS:
        return FUNDS[instrument.symbol][0]
    sector = SECTORS.get(instrument.sector or "") if instrument.kind == "sector" else None
    return (sector or SIZES[instrument.size_bucket or "large"]).assets


def expense_ratio(instrument: Instrument, as_of: date) -> float:
    """A fund's annual cost as a fraction of its assets."""
    until, before = FEES_BEFORE.get(instrument.symbol, ("1970-01-01", 0.0))
    if np.datetime64(as_of) < np.datetime64(until):
        return before
    return FUNDS.get(instrument.symbol, (0, 0.0008 if instrument.kind == "sector" else 0.0020))[1]


def category(instrument: Instrument) -> str:
    """A fund's category."""
    if instrument.kind == "sector" and instrument.sector:
        return SECTORS[instrument.sector].category if instrument.sector in SECTORS else instrument.sector.title()
    return SIZES[instrument.size_bucket or "large"].category


def trailing_pe(instrument: Instrument, days: Days) -> Floats:
    """Price over earnings of a fund's index on each of the weekdays `days`, which start at the anchor."""
    drawn = stream(instrument.index_name or instrument.symbol, "pe").standard_normal(len(days))
    pe: Floats = SIZES[instrument.size_bucket or "large"].trailing_pe * np.exp(fading(0.004 * drawn, 250))
    return np.round(pe, 2)


def cash_weight(symbol: str, session: np.datetime64) -> float:
    """The fraction of a fund that is cash after `session`."""
    return round(float(stream(symbol, "cash", str(session)).uniform(0.0005, 0.004)), 6)


def _pull(instrument: Instrument, days: Days) -> Floats:
    """Flow a day (log) into a fund whose style has led the usual large-cap fund, out of one that has lagged."""
    own, last_year = exposure_of(instrument), int(str(days[-1])[:4])
    # A broad large-cap fund has no style of its own; it loses some of what small caps gain.
    size = -0.4 if instrument.kind == "fund" and not own.size else own.size
    style: Floats = size * factor("size", last_year) + (own.tech - 0.3) * factor("tech", last_year)
    if own.sector:
        style = style + own.sector * factor(f"sector:{instrument.sector}", last_year)
    pull: Floats = 0.0006 * (np.tanh(_change(style, 15) / 0.012) + np.tanh(_change(style, 42) / 0.025))
    return pull


def _change(level: Floats, over: int) -> Floats:
    before: Floats = np.concatenate([np.full(over, level[0]), level[:-over]])
    return level - before


def _heartbeats(symbol: str, days: Days) -> Floats:
    """The fraction by which shares are raised on each day: in some Junes and Septembers from the last weekday, for two days.

    The weekdays after those quarters' ends are sessions wherever "two sessions" would depend on it; March and December's not.
    """
    raised = np.zeros(len(days))
    if symbol in HEARTBEATS:
        months = days.astype("datetime64[M]")
        ends = np.flatnonzero((months[:-1] != months[1:]) & np.isin(months[:-1].astype(int) % 12, (5, 8)))
        drawn = stream(symbol, "heartbeat").uniform([0, 0.16], [1, 0.19], (len(ends), 2))
        for end, (chance, size) in zip(ends, drawn, strict=True):
            raised[end : end + 2] = size if chance < 0.5 else 0.0
    return raised
