"""Reads single values of issuers' documents: a text is the number or date that it says, or None.

No text has two readings here. A number with one group of three digits after its only comma (1,234) is 1.234 in half of Europe, so it
counts as a number only where a whole number belongs, such as a share count.
"""

from __future__ import annotations

import math
import re
from datetime import date

MISSING = frozenset(["", "-", "--"])
# Not strptime's %b, which means the months of the machine's locale.
_MONTHS = {
    name: n
    for n, name in enumerate(
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"], start=1
    )
}
_DAY_FIRST = re.compile(r"(?P<day>\d{1,2})-(?P<month>[A-Z][a-z]{2})-(?P<year>\d{4})", re.ASCII)
_MONTH_FIRST = re.compile(r"(?P<month>[A-Z][a-z]{2}) (?P<day>\d{1,2}), (?P<year>\d{4})", re.ASCII)
_US = re.compile(r"(?P<month>\d{2})/(?P<day>\d{2})/(?P<year>\d{4})", re.ASCII)
# A moment is taken for its date only where it is midnight, in New York or unnamed: any other would need a time zone.
_ISO = re.compile(r"(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})(T00:00:00(\.0+)?(-0[45]:00)?)?", re.ASCII)
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d{1,3})?", re.ASCII)
_GROUPED = re.compile(r"-?\d{1,3}(,\d{3})+\.\d+|-?\d{1,3}(,\d{3}){2,}", re.ASCII)
_GROUPED_WHOLE = re.compile(r"-?\d{1,3}(,\d{3})+", re.ASCII)
_TICKER = re.compile(r"[A-Z]{1,5}(-[A-Z]{1,2})?")


def english_day(text: str) -> date | None:
    """The date in `05-Dec-2025` or `Dec 05, 2025`, None for any other text."""
    match = _DAY_FIRST.fullmatch(text) or _MONTH_FIRST.fullmatch(text)
    return _day(match["year"], _MONTHS.get(match["month"], 0), match["day"]) if match else None


def us_day(text: str) -> date | None:
    """The date in `12/05/2025` (month first, both of two digits), None for any other text."""
    match = _US.fullmatch(text)
    return _day(match["year"], match["month"], match["day"]) if match else None


def iso_day(text: str) -> date | None:
    """The date in `2025-12-05` or `2025-12-05T00:00:00-05:00`, None for any other text."""
    match = _ISO.fullmatch(text)
    return _day(match["year"], match["month"], match["day"]) if match else None


def is_plausible(day: date) -> bool:
    """Whether a fund can have a record of that day: in another century a year is mistyped, and the record would be lost unseen."""
    return 1970 <= day.year <= 2099


def _day(year: str, month: str | int, day: str) -> date | None:
    try:
        found = date(int(year), int(month), int(day))
    except ValueError:
        return None
    return found if is_plausible(found) else None


def number(text: str, *, grouped: bool = False, whole: bool = False) -> float | None:
    """The number in a text, None where it is none. `grouped`: digits may stand in groups, `whole`: it must be a whole number."""
    if grouped and (_GROUPED.fullmatch(text) or (whole and _GROUPED_WHOLE.fullmatch(text))):
        text = text.replace(",", "")
    if not _NUMBER.fullmatch(text) or not math.isfinite(value := float(text)):
        return None
    return value if not whole or value.is_integer() else None


def yahoo_ticker(text: str) -> str | None:
    """A US ticker as Yahoo writes it (BRK.B is BRK-B); None for a dash and for what is no US ticker: cash, futures, escrows."""
    ticker = re.sub(r"[./ ]", "-", text.strip().upper())
    return ticker if _TICKER.fullmatch(ticker) else None
