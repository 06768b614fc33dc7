"""Formats of values for readers: one for each kind of column. An unknown value is never written as zero."""

from __future__ import annotations

import math
import re
from datetime import MAXYEAR, MINYEAR, date, datetime
from typing import Any

from market_rotation.tasks.report.exhibits.base import Kind

#: The plain text for an unknown value.
UNKNOWN = "n/a"

#: The kinds that are figures: right-aligned, and drawn as bars where a column asks for it.
FIGURES: frozenset[Kind] = frozenset(
    {"fraction", "level", "percent", "usd", "ratio", "number", "count", "rank", "value"}
)

#: Verdicts as words and shapes, so that colour is never the only sign.
VERDICTS = {1: "for", 0: "neither", -1: "against", None: "not known"}
MARKS = {1: "▲", 0: "●", -1: "▼", None: "○"}

_MINUS = "\u2212"
_NARROW = "\u202f"


def is_known(value: Any) -> bool:
    """Whether there is a value: not None, NaN, NaT or pandas' NA, and if a number, a finite one."""
    if value is None or str(value) in ("<NA>", "NaT"):
        return False
    return not isinstance(value, float) or math.isfinite(value)


def written(value: Any, kind: Kind) -> str:
    """`value` as people read it, `UNKNOWN` when it is not known. Raises `ValueError` when it does not fit the kind."""
    if not is_known(value):
        return UNKNOWN
    match kind:
        case "text":
            return {"True": "yes", "False": "no"}.get(str(value)) or sentence(str(value))
        case "session":
            return day(value)
        case "month":
            return f"{_date(value):%b %Y}"
        case "verdict":
            return VERDICTS[int(value)]
        case "fraction":
            return signed(100 * float(value), 1) + f"{_NARROW}%"
        case "level":
            return _figure(100 * float(value), 1) + f"{_NARROW}%"
        case "percent":
            return _figure(float(value), 1) + f"{_NARROW}%"
        case "usd":
            return _usd(float(value))
        case "ratio" | "number":
            return _figure(float(value), 2)
        case "count" | "rank":
            return _figure(float(value), 0)
        case "value":
            return sentence(f"{value:.6g}" if isinstance(value, float) else str(value))


def exact(value: Any) -> str:
    """`value` in full precision, as in the CSV; empty when it is not known."""
    if not is_known(value):
        return ""
    if isinstance(value, datetime) and not MINYEAR <= value.year <= MAXYEAR:
        # pandas has years that Python's own dates have not.
        return str(value.to_datetime64())  # type: ignore[attr-defined]
    if isinstance(value, datetime):
        return value.date().isoformat() if (value.hour, value.minute, value.second) == (0, 0, 0) else value.isoformat()
    if isinstance(value, date):
        return value.isoformat()
    return repr(float(value)) if isinstance(value, float) else str(value)


def signed(value: Any, digits: int = 2) -> str:
    """A number whose sign matters, such as the score: +0.83."""
    if not is_known(value):
        return UNKNOWN
    shown = _figure(float(value), digits)
    return f"+{shown}" if value > 0 and shown.strip("0.,") else shown


def sentence(text: str) -> str:
    """Text on one line, with the minus and the space before % that figures have elsewhere."""
    text = re.sub(r"(?<![\w.])-(?=\d)", _MINUS, " ".join(text.split()))
    return re.sub(r"(?<=\d) (?=%)", _NARROW, text)


def day(value: Any) -> str:
    """A day: 20 Nov 2026."""
    found = _date(value)
    return f"{found.day} {found:%b %Y}"


def long_day(value: Any) -> str:
    """A day as in a heading: Friday, 20 November 2026."""
    found = _date(value)
    return f"{found:%A}, {found.day} {found:%B %Y}"


def iso(value: Any) -> str:
    """A day as programs read it: 2026-11-20."""
    return _date(value).isoformat()


def moment(value: datetime) -> str:
    """A moment, which must be UTC: 20 Nov 2026, 22:31 UTC."""
    return f"{day(value)}, {value:%H:%M} UTC"


def verdict(value: Any) -> int | None:
    """A verdict read from a frame, where NULL may have become NaN."""
    return int(value) if is_known(value) else None


def _figure(value: float, digits: int) -> str:
    shown = f"{abs(value):,.{digits}f}"
    # A value that rounds to zero has no sign.
    return _MINUS + shown if value < 0 and shown.strip("0.,") else shown


def _usd(value: float) -> str:
    sign, size = _MINUS if value < 0 else "", abs(value)
    for unit, letters in ((1e9, "bn"), (1e6, "m"), (1e3, "k")):
        # 999,950 is 1.00 m, not 1,000.0 k.
        if size >= unit * 0.99995:
            scaled = size / unit
            return f"{sign}${_figure(scaled, 2 if scaled < 9.995 else 1)}{_NARROW}{letters}"
    shown = _figure(size, 0)
    return f"{sign if shown != '0' else ''}${shown}"


def _date(value: Any) -> date:
    if isinstance(value, str):
        return date.fromisoformat(value[:10])
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    raise ValueError(f"{value!r} is not a date.")
