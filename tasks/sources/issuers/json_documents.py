"""Reads issuers' JSON answers: complete or not at all, and each value only as what it plainly is."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any, NoReturn

from market_rotation.tasks.sources.issuers.tables import File
from market_rotation.tasks.sources.issuers.values import number


class _Odd(ValueError):
    """JSON that other readers would read otherwise."""


@dataclass(frozen=True)
class Node:
    """A value of a JSON document and where it stands, for messages: `prices[3].date`."""

    file: File
    value: Any
    path: str = "its answer"

    def at(self, *names: str) -> Node:
        """The member at these names; refuses the document where one is missing or stands in something else than an object."""
        node = self
        for name in names:
            if not isinstance(node.value, dict) or name not in node.value:
                raise self.file.refusal(f"{node.path} has no {name}")
            node = Node(self.file, node.value[name], f"{node.path} / {name}")
        return node

    def get(self, name: str) -> Node:
        """The member of that name, null where it is missing; refuses anything but an object."""
        if isinstance(self.value, dict) and name not in self.value:
            return Node(self.file, None, f"{self.path} / {name}")
        return self.at(name)

    def items(self) -> list[Node]:
        """The elements of a list."""
        if not isinstance(self.value, list):
            raise self.file.refusal(f"{self.path} is not a list")
        return [Node(self.file, value, f"{self.path} [{n}]") for n, value in enumerate(self.value)]

    def text(self) -> str:
        """A text without outer blanks, empty for null."""
        if self.value is None:
            return ""
        if not isinstance(self.value, str):
            raise self.file.refusal(f"{self.path} is {self.value!r:.40}, not a text")
        return self.value.strip()

    def day(self, reading: Callable[[str], date | None]) -> date:
        """A date, as `reading` reads it."""
        day = reading(self.text())
        if day is None:
            raise self.file.refusal(f"{self.path} is {self.value!r:.40}, not a date")
        return day

    def number(self, *, whole: bool = False) -> float:
        """A number, or a text that is one; refuses null, and where `whole` a fraction."""
        value = self.value
        if isinstance(value, str):
            value = number(value.strip())
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.file.refusal(f"{self.path} is {self.value!r:.40}, not a number")
        if not math.isfinite(value) or (whole and not float(value).is_integer()):
            raise self.file.refusal(f"{self.path} is {self.value!r:.40}, not a {'whole ' * whole}number")
        return float(value)

    def number_or_nan(self) -> float:
        """A number, NaN for null and an empty text."""
        return math.nan if self.value is None or self.value == "" else self.number()


def read_json(content: bytes, file: File) -> Node:
    """The document in `content`. Refuses a web page, a document that is cut off, and one that names a member twice."""
    start = content.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if start != b"{":
        raise file.foreign(content, "JSON")
    try:
        return Node(file, json.loads(content, object_pairs_hook=_once, parse_constant=_odd))
    except (ValueError, RecursionError):
        raise file.refusal("its answer is cut off or damaged", "try again later") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _Odd
    return members


def _odd(_: str) -> NoReturn:
    raise _Odd
