"""The cells of a column as days and numbers; a cell that is neither is named by line and column."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import date, datetime, time
from typing import Literal
from zoneinfo import ZoneInfo

from market_rotation.tasks.errors import ConfigError
from market_rotation.tasks.importing.table import Table

Order = Literal["month-first", "day-first"]

NEW_YORK = ZoneInfo("America/New_York")
UTC = ZoneInfo("UTC")
MISSING = {"", "-", "--", "n/a", "#n/a", "#n/a n/a", "na", "nan", "null", "none", "."}

_ISO = re.compile(r"(\d{4})[-/]?(\d{2})[-/]?(\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?)\s*(Z|[+-]\d{2}:?\d{2})?)?")
_NUMERIC = re.compile(r"(\d{1,2})[/\-](\d{1,2})[/\-](\d{4})(?: 0?0:00(?::00)?)?")
_DOTTED = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})")
_WORDED = ("%b %d, %Y", "%B %d, %Y", "%d-%b-%Y", "%d %b %Y", "%d %B %Y", "%d-%B-%Y")
_GROUPED = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?")
_DECIMAL_COMMA = re.compile(r"[+-]?\d+(,\d+)?")


def possible_orders(texts: Sequence[str]) -> set[Order]:
    """The possible orders of day and month in dates such as 02/03/2024; both where the file does not decide.

    A number above 12 decides. Otherwise weekends do, on which the exchange is closed: an order that puts a date on a weekend is wrong if the
    other order puts none there.
    """
    found = [match for text in set(texts) if (match := _NUMERIC.fullmatch(text))]
    if not found:
        return {"month-first"}
    orders: set[Order] = {"month-first", "day-first"}
    for match in found:
        if int(match[1]) > 12:
            orders.discard("month-first")
        if int(match[2]) > 12:
            orders.discard("day-first")
    if len(orders) == 2:
        weekday = {order: all(_in_order(match, order).weekday() < 5 for match in found) for order in orders}
        if any(weekday.values()):
            orders = {order for order in orders if weekday[order]}
    return orders


def days(table: Table, place: int, order: Order) -> list[date]:
    """The New York date of each row. A time with an offset or Z is a moment, a time without one is read as written.

    Raises `ConfigError` at a cell that is no date.
    """
    known: dict[str, date] = {}
    for row, line in zip(table.rows, table.lines, strict=True):
        if (text := row[place]) not in known:
            try:
                known[text] = _day(text, order)
            except ValueError:
                raise ConfigError(
                    f"{table.path}, line {line}, column {place + 1}: {text[:40]!r} is not a date; write it as YYYY-MM-DD."
                ) from None
    return [known[row[place]] for row in table.rows]


def has_offset(texts: Sequence[str]) -> bool:
    """Whether a date is a moment, with an offset to UTC."""
    return any((match := _ISO.fullmatch(text)) and match[5] for text in texts)


def numbers(table: Table, place: int, name: str) -> list[float]:
    """The numbers of a column, NaN where a cell is blank or says that it has none. Raises `ConfigError` at any other cell."""
    is_decimal_comma = table.delimiter == ";" and not any("." in row[place] for row in table.rows)
    found = []
    for row, line in zip(table.rows, table.lines, strict=True):
        try:
            found.append(_number(row[place], is_decimal_comma))
        except ValueError:
            raise ConfigError(
                f"{table.path}, line {line}, column {place + 1} ({name}): {row[place][:40]!r} is not a number; correct it, or leave it blank."
            ) from None
    return found


def decimals(table: Table, place: int) -> int:
    """The most digits after the decimal point in a column."""
    return max(len(row[place].partition(".")[2]) for row in table.rows)


def _day(text: str, order: Order) -> date:
    if match := _ISO.fullmatch(text):
        day = date(int(match[1]), int(match[2]), int(match[3]))
        if match[4] is None or match[5] is None:
            return day
        offset = match[5] if match[5] == "Z" or ":" in match[5] else f"{match[5][:3]}:{match[5][3:]}"
        moment = datetime.fromisoformat(f"{day}T{match[4]}{offset}")
        # Midnight UTC is evening in New York, when no session is dated: vendors write days so.
        at = moment.astimezone(UTC)
        return at.date() if at.time() == time(0) else moment.astimezone(NEW_YORK).date()
    if match := _NUMERIC.fullmatch(text):
        return _in_order(match, order)
    if match := _DOTTED.fullmatch(text):
        return date(int(match[3]), int(match[2]), int(match[1]))
    for form in _WORDED:
        try:
            return datetime.strptime(text, form).date()  # noqa: DTZ007 (a date has no zone)
        except ValueError:
            continue
    raise ValueError(text)


def _in_order(match: re.Match[str], order: Order) -> date:
    first, second = int(match[1]), int(match[2])
    month, day = (first, second) if order == "month-first" else (second, first)
    return date(int(match[3]), month, day)


def _number(text: str, is_decimal_comma: bool) -> float:
    if text.lower() in MISSING:
        return math.nan
    bare = text.removeprefix("$")
    if is_decimal_comma and _DECIMAL_COMMA.fullmatch(bare):
        bare = bare.replace(",", ".")
    elif _GROUPED.fullmatch(bare):
        bare = bare.replace(",", "")
    if "_" in bare or not math.isfinite(number := float(bare)):
        raise ValueError(text)
    return number
