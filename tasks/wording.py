"""Plain values for messages that a person reads: a row, a duration, a count. No JSON, no unit left out."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any

#: Values shown of one row; a message is no place for thirty columns.
MAX_VALUES = 10


def row(values: Mapping[str, Any], columns: Collection[str] = ()) -> str:
    """A row as `IWM 2026-01-16: close 221.3, open 1.2`: its symbol, its day, then its values by name, `missing` for None.

    `columns`, where given, limits the values to these, as far as the row has any of them.
    """
    key = ("symbol", "fund_symbol", "session", "as_of")
    named = [str(values[name]) for name in key if values.get(name) is not None]
    rest = [name for name in values if name not in key and not isinstance(values[name], bool)]
    shown = [name for name in rest if name in columns] or rest
    written = ", ".join(f"{name} {value(values[name])}" for name in shown[:MAX_VALUES])
    return ": ".join(part for part in (" ".join(named), written) if part)


def value(given: object) -> str:
    """A value as a person writes it: at most six significant decimals, thousands separated, `missing` for None."""
    if given is None:
        return "missing"
    if isinstance(given, float) and given.is_integer() and abs(given) < 1e15:
        given = int(given)
    if isinstance(given, int):
        return f"{given:,}"
    return f"{given:,.6g}" if isinstance(given, float) and abs(given) < 1e6 else str(given)


def count(number: int, noun: str) -> str:
    """`1 row`, `1,234 rows`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def duration(given: timedelta) -> str:
    """Rounded to the largest unit of which there are at least two: minutes, hours or days."""
    minutes = round(given.total_seconds() / 60)
    if minutes < 120:
        return count(minutes, "minute")
    return count(round(minutes / 60), "hour") if minutes < 48 * 60 else count(round(minutes / 60 / 24), "day")
