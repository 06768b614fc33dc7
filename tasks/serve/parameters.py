"""The parameters of a page's address: read, checked, and given back as the fields of its form."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal
from urllib.parse import urlencode

from market_rotation.tasks.errors import UsageError
from market_rotation.tasks.serve.published import Edition

#: The maximum number of symbols side by side.
MOST_SYMBOLS = 16

#: The maximum number of characters of a text, which keeps an address shorter than the limits of browsers.
LONGEST = 8_000


@dataclass(frozen=True)
class Field:
    """A field of a form. `options` are values with the words shown for them; `low` and `high` bound a range."""

    name: str
    label: str
    kind: Literal["day", "symbols", "choice", "range", "sql"]
    value: str
    options: tuple[tuple[str, str], ...] = ()
    low: int = 0
    high: int = 0


class Parameters:
    """The parameters of one request. Each method reads one and raises `UsageError` where its value does not fit; an empty one counts as not given."""

    def __init__(self, given: Mapping[str, str], path: str) -> None:
        self.given = {name: value.strip() for name, value in given.items() if value.strip()}
        self.path = path
        self._read: set[str] = set()

    def day(self, name: str, default: date) -> date:
        """A date as YYYY-MM-DD."""
        value = self._value(name)
        try:
            return date.fromisoformat(value) if value else default
        except ValueError:
            raise UsageError(f"{name}={value!r} is not a date; write it as YYYY-MM-DD.") from None

    def period(self, edition: Edition, years: int = 3) -> tuple[date, date]:
        """The dates `from` and `to`; by default the last `years` before `to`, and `to` is the latest session."""
        finish = self.day("to", edition.session)
        first, span = edition.sessions[0], timedelta(days=365 * years + 1)
        # In this order, since there is no date before year 1.
        start = self.day("from", finish - span if finish - first > span else first)
        if start > finish:
            raise UsageError(f"from={start} is after to={finish}; choose an earlier one.")
        return start, finish

    def symbols(self, name: str, known: Collection[str], default: Sequence[str]) -> list[str]:
        """Symbols separated by commas, each once; those that are `known`, in any case."""
        value = self._value(name)
        if not value:
            return list(default)
        names = {symbol.casefold(): symbol for symbol in known}
        wanted = list(dict.fromkeys(part.strip().casefold() for part in value.split(",") if part.strip()))
        unknown = [part for part in wanted if part not in names]
        if unknown:
            raise UsageError(
                f"The warehouse has no {unknown[0].upper()!r} for {name}; choose from {', '.join(sorted(known)) or 'none'}."
            )
        if len(wanted) > MOST_SYMBOLS:
            raise UsageError(f"{name} has {len(wanted)} symbols; choose at most {MOST_SYMBOLS}.")
        return [names[part] for part in wanted]

    def symbol(self, name: str, known: Collection[str], default: str) -> str:
        """One symbol."""
        found = self.symbols(name, known, [default])
        if len(found) != 1:
            raise UsageError(f"{name} takes one symbol; leave out {', '.join(found[1:])}.")
        return found[0]

    def choice(self, name: str, options: Collection[str], default: str) -> str:
        """One of `options`."""
        value = self._value(name) or default
        if value not in options:
            raise UsageError(f"{name}={value!r} is not possible; choose from {', '.join(filter(None, options))}.")
        return value

    def number(self, name: str, low: int, high: int, default: int) -> int:
        """A whole number between `low` and `high`."""
        value = self._value(name)
        if not value:
            return default
        # Python refuses to read a number of thousands of digits.
        if not value.isdecimal() or len(value) > 20 or not low <= int(value) <= high:
            raise UsageError(f"{name}={value!r} is not possible; choose a whole number from {low} to {high}.")
        return int(value)

    def text(self, name: str) -> str:
        """A text, empty when not given."""
        return self._value(name)

    def refuse_others(self) -> None:
        """Raises `UsageError` for a parameter that nothing has read: a misspelt name would be ignored otherwise."""
        others = sorted(self.given.keys() - self._read)
        if others:
            takes = ", ".join(sorted(self._read)) or "none"
            raise UsageError(f"{others[0]!r} is not a parameter of {self.path}, which takes: {takes}.")

    def address(self, **changed: str) -> str:
        """The address of this page with some parameters changed; an empty one is left out."""
        merged = {name: value for name, value in {**self.given, **changed}.items() if value}
        return f"{self.path}?{urlencode(merged, safe=',:/^')}" if merged else self.path

    def has(self, name: str) -> bool:
        """Whether it is given."""
        return name in self.given

    def _value(self, name: str) -> str:
        self._read.add(name)
        value = self.given.get(name, "")
        if len(value) > LONGEST:
            raise UsageError(f"{name} has {len(value):,} characters; shorten it to {LONGEST:,}.")
        return value


def period_fields(asked: Parameters) -> tuple[Field, Field]:
    """The fields of `Parameters.period`: empty where nothing was chosen, so that a shared address follows the latest session."""
    return Field("from", "From", "day", asked.given.get("from", "")), Field(
        "to", "To", "day", asked.given.get("to", "")
    )
