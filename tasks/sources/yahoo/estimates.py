"""What analysts expect a company to earn, from the module `earningsTrend` of Yahoo's quoteSummary service."""

from __future__ import annotations

import json
import math
from datetime import date
from typing import TYPE_CHECKING, Any

from market_rotation.tasks.datasets import EARNINGS_GROWTH_COLUMNS
from market_rotation.tasks.sources.frames import parser
from market_rotation.tasks.sources.yahoo.summary import at, modules_of, number, positive, row

if TYPE_CHECKING:
    import pandas as pd

GROWTH_MODULES = ("quoteType", "price", "earningsTrend")


@parser("Yahoo", "earnings estimates")
def parse_earnings_growth(payload: Any, symbol: str, as_of: date) -> pd.DataFrame:
    """One row of `EARNINGS_GROWTH_COLUMNS` dated `as_of`, NaN or NaT where there is no estimate, which is no failure.

    A mean of no estimates is written as 0 and is NaN here. `price` is NaN where the shares are quoted in another currency than the
    earnings. Raises `SymbolNotFound` where Yahoo does not know the symbol, and `SourceUnavailable` for what is not a whole answer
    about it.
    """
    modules = modules_of(payload, symbol, "earnings estimates")
    trends = at(modules, "earningsTrend", "trend") or []
    years = {str(trend["period"]): trend for trend in trends}
    current, following = years.get("0y", {}), years.get("+1y", {})
    estimates: dict[str, Any] = {
        "period_end_current_year": _day(current.get("endDate")),
        "period_end_next_year": _day(following.get("endDate")),
        "eps_year_ago": number(at(current, "earningsEstimate", "yearAgoEps")),
        "eps_current_year": _estimate(current),
        "eps_next_year": _estimate(following),
        "growth_current_year": number(current.get("growth")),
        "growth_next_year": number(following.get("growth")),
        "analysts": number(at(following, "earningsEstimate", "numberOfAnalysts")),
        "revisions_up_30d": number(at(following, "epsRevisions", "upLast30days")),
        "revisions_down_30d": number(at(following, "epsRevisions", "downLast30days")),
        "price": _price(modules, current),
    }
    said = {name: modules[name] for name in GROWTH_MODULES if name in modules}
    answer = json.dumps(said, separators=(",", ":"), sort_keys=True)
    return row(EARNINGS_GROWTH_COLUMNS, symbol=symbol, as_of=as_of, source="yahoo", answer=answer, **estimates)


def _estimate(year: dict[str, Any]) -> float:
    """The mean estimate of a year's earnings per share. With no analyst Yahoo writes 0, which is not an estimate."""
    if number(at(year, "earningsEstimate", "numberOfAnalysts")) == 0:
        return math.nan
    return number(at(year, "earningsEstimate", "avg"))


def _price(modules: dict[str, Any], year: dict[str, Any]) -> float:
    """The last price. Older answers do not name the currency of the earnings; then it is that of the price."""
    quoted, earned = at(modules, "price", "currency"), at(year, "earningsEstimate", "earningsCurrency")
    if earned is not None and earned != quoted:
        return math.nan
    return positive(at(modules, "price", "regularMarketPrice"))


def _day(text: Any) -> date | None:
    return None if text is None else date.fromisoformat(str(text))
