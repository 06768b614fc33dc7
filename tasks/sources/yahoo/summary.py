"""Answers of Yahoo Finance's quoteSummary service, and how their values are read.

It has data of today only and dates hardly any of it. Unlike the chart service it requires a cookie and a crumb. Numbers come
plain or as `{"raw": 0.002, "fmt": "0.20%"}`, and what is not known is null, `{}`, left out, or 0.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from market_rotation.tasks.errors import SymbolNotFound
from market_rotation.tasks.sources.frames import typed
from market_rotation.tasks.sources.yahoo.session import explanation, unavailable

if TYPE_CHECKING:
    import pandas as pd

SUMMARY = "https://query2.finance.yahoo.com/v10/finance/quoteSummary/"


def modules_of(payload: Any, symbol: str, wanted: str) -> dict[str, Any]:
    """The modules in Yahoo's answer about `symbol`. They must include `quoteType`, which says for which symbol the answer is.

    Raises `SymbolNotFound` where Yahoo does not know the symbol, and `SourceUnavailable` where it refused or answered for another.
    """
    refusal = explanation(payload, SUMMARY)
    # "No fundamentals data found" is said of QQQ too if asked for earnings alone; of a known symbol never if asked for quoteType.
    if refusal.startswith("Not Found") and ("No fundamentals data" not in refusal or "quoteType" in refusal):
        raise SymbolNotFound(f"Yahoo does not know the symbol {symbol}; correct it in the universe or remove it there.")
    if refusal:
        raise unavailable(wanted, symbol, f"it refused ({refusal[:100]})", "try again later")
    modules: dict[str, Any] = payload["quoteSummary"]["result"][0]
    named = at(modules, "quoteType", "symbol")
    if named is None:
        raise unavailable(wanted, symbol, "its answer does not say for which symbol it is", "try again later")
    if str(named).upper() != symbol.upper():
        raise unavailable(wanted, symbol, f"it answered for {named:.20}", "check whether the symbol was renamed")
    return modules


def row(types: dict[str, str], **values: Any) -> pd.DataFrame:
    """A frame of one row in the columns `types`."""
    return typed({name: [value] for name, value in values.items()}, types)


def at(modules: dict[str, Any], *path: str) -> Any:
    """What is at `path`, None where any part of it is missing."""
    found: Any = modules
    for name in path:
        found = None if found is None else found.get(name)
    return found


def plain_number(value: Any) -> float:
    """A number. Raises `TypeError` or `ValueError` for anything else, `true` included, which Python would take for 1."""
    if isinstance(value, bool):
        raise TypeError("a truth value instead of a number")
    return float(value)


def number(value: Any) -> float:
    """A number of either form; NaN where it is null, `{}` or, as Yahoo writes it, "Infinity"."""
    raw = value.get("raw") if isinstance(value, dict) else value
    found = math.nan if raw is None else plain_number(raw)
    return found if math.isfinite(found) else math.nan


def positive(value: Any) -> float:
    """A number that cannot be 0: so Yahoo writes what it does not know (expenses of a Canadian fund that has some)."""
    found = number(value)
    return found if found > 0 else math.nan
