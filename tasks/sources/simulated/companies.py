"""The companies of the simulated market: the constituents of each index, and analysts' earnings estimates.

They are the seven mega caps and simulated ones, heaviest first: LAAAB … (large), MAAAB … (mid) and SAAAB … (small), numbers in letters, as tickers have no digits. Indices
hold overlapping ranges of them. All is drawn from streams named after the company or the index, and depends on nothing else.
"""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import date, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from market_rotation.tasks.sources.simulated.prices import ANCHOR, Floats, stream

if TYPE_CHECKING:
    from market_rotation.tasks.universe import Instrument


class Pool(NamedTuple):
    """Simulated companies: their number, the size of the first (billions of USD), and where and how fast sizes decline."""

    word: str
    companies: int
    largest: float
    knee: float
    fall: float


class Constituents(NamedTuple):
    """The companies of an index, heaviest first. `weights` are fractions that sum to 1, read-only."""

    symbols: tuple[str, ...]
    names: tuple[str, ...]
    weights: Floats


POOLS = {
    "LC": Pool("Large", 1003, 800, 12, 1.15),
    "MC": Pool("Mid", 401, 30, 200, 1),
    "SC": Pool("Small", 2300, 12, 100, 1),
}
#: Ticker, name, sector and size (billions of USD) of the companies that lead every large-cap index.
MEGA_CAPS = (
    ("NVDA", "NVIDIA Corporation", "technology", 4500),
    ("AAPL", "Apple Inc.", "technology", 4000),
    ("MSFT", "Microsoft Corporation", "technology", 3700),
    ("GOOGL", "Alphabet Inc. Class A", "communication_services", 3300),
    ("AMZN", "Amazon.com, Inc.", "consumer_discretionary", 2400),
    ("META", "Meta Platforms, Inc.", "communication_services", 1700),
    ("TSLA", "Tesla, Inc.", "consumer_discretionary", 1400),
)
#: The pool, first and last company of each index; those of large companies hold the seven mega caps as well.
INDICES = {
    "S&P 500": ("LC", 1, 496),
    "Russell 1000": ("LC", 1, 1003),
    "S&P MidCap 400": ("MC", 1, 401),
    "S&P SmallCap 600": ("SC", 1, 603),
    "Russell 2000": ("SC", 1, 1960),
    "Russell Microcap": ("SC", 961, 2300),
}
#: The index that stands for those that are not simulated, where it is not the S&P 500.
SIZE_INDEX = {"mid": "S&P MidCap 400", "small": "S&P SmallCap 600", "micro": "Russell Microcap"}
#: Number of S&P 500 companies in each sector, including the seven.
SECTORS = {
    "materials": 26,
    "communication_services": 23,
    "energy": 22,
    "financials": 75,
    "industrials": 75,
    "technology": 70,
    "consumer_staples": 37,
    "real_estate": 31,
    "utilities": 31,
    "health_care": 60,
    "consumer_discretionary": 50,
}
#: Expected growth of small companies less that of large ones at a date; linear between two dates.
SMALL_LEAD = (
    ("2000-01-03", 0.02),
    ("2012-01-02", 0.03),
    ("2016-01-04", -0.02),
    ("2020-09-01", 0.05),
    ("2022-09-01", -0.04),
    ("2025-02-03", -0.04),
    ("2026-01-02", 0.04),
)
_LEAD_DAYS = (np.array([day for day, _ in SMALL_LEAD], "datetime64[D]") - ANCHOR).astype(np.float64)
_LEADS = np.array([lead for _, lead in SMALL_LEAD])


def constituents(instrument: Instrument) -> Constituents:
    """The holdings of a fund's index. An index that is not simulated holds companies typical of the fund's sector or size."""
    if instrument.kind == "sector" and instrument.sector in SECTORS:
        return _constituents("S&P 500", instrument.sector)
    usual = SIZE_INDEX.get(instrument.size_bucket or "", "S&P 500")
    return _constituents(instrument.index_name if instrument.index_name in INDICES else usual, None)


_LETTERS, _DIGITS = str.maketrans("0123456789", "ABCDEFGHIJ"), str.maketrans("ABCDEFGHIJ", "0123456789")


def is_company(symbol: str) -> bool:
    """Whether `symbol` is one of the simulated companies or the seven mega caps."""
    match = re.fullmatch(r"([LMS])([A-J]{4})", symbol)
    if not match:
        return symbol in {row[0] for row in MEGA_CAPS}
    return 1 <= int(match[2].translate(_DIGITS)) <= POOLS[f"{match[1]}C"].companies


def is_small(symbol: str) -> bool:
    """Whether `symbol` is one of the simulated small companies."""
    return is_company(symbol) and re.fullmatch(r"S[A-J]{4}", symbol) is not None


def growth(symbol: str, small: bool, as_of: date) -> tuple[float, float]:
    """Expected earnings growth of a company this year and the next, fractions that change on Mondays; NaN: no estimate."""
    own = stream(symbol, "growth")
    mega = symbol in {row[0] for row in MEGA_CAPS}
    followed = own.uniform() >= (0.0 if mega else 0.05 if small else 0.01)
    if not followed:
        return float("nan"), float("nan")
    week = (np.datetime64(as_of) - ANCHOR).astype(int) // 7
    lead = float(np.interp(7 * week, _LEAD_DAYS, _LEADS)) if small else 0.0
    spread = 0.03 if mega else 0.10 if small else 0.06
    base = np.array([0.09 + lead / 2, 0.12 + lead]) + spread * np.clip(own.standard_normal(2), -2.5, 2.5)
    # Estimates are revised for months in one direction.
    swing = spread / 3 * np.sin(2 * np.pi * (week / own.uniform(40, 120, 2) + own.uniform(size=2)))
    this, following = np.round(base + swing, 4).tolist()
    return this, following


class Estimates(NamedTuple):
    """Estimates of a company's earnings per share (USD) for two fiscal years, each with its last day; NaN: no estimate."""

    period_end_current_year: date
    period_end_next_year: date
    eps_year_ago: float
    eps_current_year: float
    eps_next_year: float
    growth_current_year: float
    growth_next_year: float
    analysts: float
    revisions_up_30d: float
    revisions_down_30d: float
    price: float


#: The last month of the fiscal year, of mega caps and of others: most end it with the calendar year.
FISCAL_YEAR_ENDS = {"NVDA": 1, "AAPL": 9, "MSFT": 6}
OTHER_YEAR_ENDS = (12, 12, 12, 12, 12, 12, 12, 9, 6, 3)
#: How long after the end of a fiscal year a company reports it, and the estimates move on to the next.
REPORTED_AFTER = timedelta(days=45)
#: Fiscal years before the one under way have earned more each year by this fraction.
TREND = 0.08


def estimates(symbol: str, small: bool, as_of: date) -> Estimates:
    """What analysts expect on `as_of`. Growth is that of `growth`; earnings of a year that is reported never change."""
    own = stream(symbol, "earnings")
    first, ratio = own.uniform(1, 6), own.uniform(14, 26)
    drawn = int(own.choice(OTHER_YEAR_ENDS))
    month = FISCAL_YEAR_ENDS.get(symbol, 12 if symbol in {row[0] for row in MEGA_CAPS} else drawn)
    end = next(
        day
        for year in range(as_of.year - 1, as_of.year + 2)
        if (day := month_end(year, month)) + REPORTED_AFTER > as_of
    )
    this, following = growth(symbol, small, as_of)
    year_ago = first * (1 + TREND) ** (end.year - 2021)
    # What was raised since a month ago, for the revisions: a company's analysts mostly agree.
    change = following - growth(symbol, small, as_of - timedelta(days=28))[1]
    analysts = float(own.integers(3, 12) if small else own.integers(15, 45))
    share = float(np.clip(0.3 + 30 * change, 0, 0.6))
    followed = not np.isnan(this)
    return Estimates(
        period_end_current_year=end,
        period_end_next_year=month_end(end.year + 1, month),
        eps_year_ago=round(year_ago, 4),
        eps_current_year=round(year_ago * (1 + this), 4),
        eps_next_year=round(year_ago * (1 + this) * (1 + following), 4),
        growth_current_year=this,
        growth_next_year=following,
        analysts=analysts if followed else 0.0,
        revisions_up_30d=float(round(share * analysts)) if followed else 0.0,
        revisions_down_30d=float(round((0.6 - share) * analysts)) if followed else 0.0,
        price=round(ratio * first * (1 + TREND) ** ((as_of - date(2020, 12, 31)).days / 365.25), 2),
    )


def month_end(year: int, month: int) -> date:
    """The last day of a month."""
    return date(year, month, monthrange(year, month)[1])


@lru_cache(maxsize=64)
def _constituents(index_name: str, sector: str | None) -> Constituents:
    prefix, first, last = INDICES[index_name]
    numbers = np.arange(first, last + 1)
    leaders = [row for row in MEGA_CAPS if prefix == "LC" and sector in (None, row[2])]
    if sector:
        shuffled, start = stream("sectors").permutation(numbers), 0
        for name, companies in SECTORS.items():
            count = companies - sum(row[2] == name for row in MEGA_CAPS)
            if name == sector:
                numbers = np.sort(shuffled[start : start + count])
            start += count
    pool = POOLS[prefix]
    # Sector indices cap their largest companies.
    giants = [row[3] * (0.3 if sector else 1.0) for row in leaders]
    sizes = np.concatenate([giants, pool.largest * (1 + numbers / pool.knee) ** -pool.fall])
    weights = sizes / sizes.sum()
    weights.setflags(write=False)
    symbols = [row[0] for row in leaders] + [prefix[0] + f"{n:04}".translate(_LETTERS) for n in numbers]
    names = [row[1] for row in leaders] + [f"{pool.word} Company {n}" for n in numbers]
    return Constituents(tuple(symbols), tuple(names), weights)
