"""Second, simple readings of documents, that share no code with the product. Each says what a document plainly holds, or raises."""

from __future__ import annotations

import csv
import io
import json
import math
import tomllib
from collections import Counter
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd

#: Rows of texts and rounded numbers, in an order that does not depend on the document's.
Said = list[tuple[Any, ...]]
NEW_YORK = ZoneInfo("America/New_York")


class WrongKindError(Exception):
    """A value that cannot be what its place says: true for a price. A reader that takes such a document has invented a number."""


def number(value: Any) -> float | None:
    """A number to ten significant digits; None for one that is missing. Raises `WrongKindError` for a boolean."""
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, bool):
        raise WrongKindError(f"{value} stands for a number")
    found = float(value)
    return None if math.isnan(found) else float(f"{found:.10g}")


def ordered(rows: Said) -> Said:
    """The rows in a fixed order."""
    return sorted(rows, key=repr)


def frame(rows: pd.DataFrame, *columns: str) -> Said:
    """The rows of a frame that the product gave."""
    return ordered([tuple(_plain(value) for value in row) for row in rows[list(columns)].itertuples(index=False)])


def _plain(value: Any) -> Any:
    if value is None or value is pd.NaT:
        return None
    if isinstance(value, date):
        return f"{value:%Y-%m-%d}"
    return value if isinstance(value, str) else number(value)


def chart(content: bytes, start: date, end: date) -> Said:
    """Day, open, high, low, close, volume, adjusted close of each bar of Yahoo's chart; dividends and splits of days that have a bar."""
    result = json.loads(content)["chart"]["result"][0]
    quote = result["indicators"]["quote"][0]
    columns = [quote[name] for name in ("open", "high", "low", "close", "volume")]
    columns.append(result["indicators"]["adjclose"][0]["adjclose"])
    trading = result["meta"].get("currentTradingPeriod", {}).get("regular", {})
    if trading and trading["start"] <= result["meta"]["regularMarketTime"] < trading["end"]:
        raise ValueError("a session that is not over, whose bar does not count yet")
    days = [datetime.fromtimestamp(stamp, NEW_YORK).date() for stamp in result.get("timestamp") or []]
    events = result.get("events") or {}
    paid = _events(events, "dividends", lambda event: number(event["amount"]))
    split = _events(events, "splits", lambda event: _ratio(number(event["numerator"]), number(event["denominator"])))
    if any(day not in days for day in {*paid, *split}):
        raise ValueError("an event on a day without a bar")
    return ordered(
        [
            (
                str(day),
                *(number(column[place]) for column in columns),
                number(paid.get(day, 0.0)),
                number(split.get(day, 1.0)),
            )
            for place, day in enumerate(days)
            if start <= day <= end
        ]
    )


def _ratio(numerator: float | None, denominator: float | None) -> float | None:
    return None if numerator is None or denominator is None else numerator / denominator


def _events(events: dict[str, Any], kind: str, value: Any) -> dict[date, float | None]:
    found = [(datetime.fromtimestamp(e["date"], NEW_YORK).date(), value(e)) for e in (events.get(kind) or {}).values()]
    if max(Counter(day for day, _ in found).values(), default=1) > 1:
        raise ValueError("two events of one day")
    return dict(found)


def summary(content: bytes, *places: tuple[str, ...], near: date | None = None) -> Said:
    """The values at `places` of a quote summary, plain or as `{"raw": …}`. Raises where its quote is not of the week before `near`."""
    modules = json.loads(content)["quoteSummary"]["result"][0]
    quoted = modules.get("price", {}).get("regularMarketTime")
    if near and quoted is not None and abs((datetime.fromtimestamp(quoted, NEW_YORK).date() - near).days) > 7:
        raise ValueError("a quote of another week")
    return [tuple(_first(modules, place) for place in places)]


def _first(modules: dict[str, Any], place: tuple[str, ...]) -> float | None:
    """The first positive number of the field (named first) in the modules (named after it)."""
    for module in place[1:]:
        value = modules.get(module, {}).get(place[0])
        found = number(value.get("raw") if isinstance(value, dict) else value)
        if found is not None and 0 < found < math.inf:
            return found
    return None


def keyed(rows: list[dict[str, Any]], names: tuple[str, ...]) -> list[tuple[Any, ...]]:
    """The day and the named numbers of each row of a vendor with a key."""
    return [(row["date"][:10], *(number(row[name]) for name in names)) for row in rows]


def table(content: bytes, texts: tuple[str, ...], day: str, numbers: tuple[str, ...]) -> Said:
    """Texts, ISO day and numbers of each row of a plain CSV file."""
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True))
    return ordered(
        [
            (*(row[t] for t in texts), str(date.fromisoformat(row[day])), *(number(row[n]) for n in numbers))
            for row in rows
        ]
    )


def imported(content: bytes, numbers: tuple[str, ...]) -> Said:
    """A plain CSV file of prices as `rotation import` documents it: capitals, a blank dividend or split is none, so is a split of 0."""
    found = []
    for symbol, day, *values in table(content, ("symbol",), "session", numbers):
        said = dict(zip(numbers, values, strict=True))
        if said["close"] is None:
            raise ValueError("a row without a close, which is left out")
        said["dividend"], said["split_ratio"] = said["dividend"] or 0.0, said["split_ratio"] or 1.0
        found.append((symbol.strip().upper(), day, *said.values()))
    return ordered(found)


def parquet(content: bytes, texts: tuple[str, ...], day: str, numbers: tuple[str, ...]) -> Said:
    """The same of a Parquet file, read by pyarrow."""
    rows = pd.read_parquet(io.BytesIO(content), engine="pyarrow")
    return ordered(
        [
            (*(row[t] for t in texts), str(pd.Timestamp(row[day]).date()), *(number(row[n]) for n in numbers))
            for row in rows.to_dict("records")
        ]
    )


FLAGS = {
    **dict.fromkeys(("true", "t", "yes", "y", "on", "1"), "true"),
    **dict.fromkeys(("false", "f", "no", "n", "off", "0"), "false"),
}


def cells(content: bytes, *flags: str) -> Said:
    """All rows of a CSV file: each filled cell under its column's name, stripped. The columns `flags` say true or false."""
    found = []
    for row in csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")):
        texts = {name.strip(): text.strip() for name, text in row.items() if isinstance(text, str)}
        if any(name and name.strip() in flags and not (text or "").strip() for name, text in row.items()):
            raise ValueError("a blank flag, which means what the documentation says of it")
        said = {name: FLAGS[text.lower()] for name, text in texts.items() if name in flags}
        found.append(tuple(sorted((name, text) for name, text in (texts | said).items() if text)))
    return ordered(found)


def settings(content: bytes) -> dict[str, Any]:
    """The plain values of a TOML file."""
    return {k: v for k, v in tomllib.loads(content.decode()).items() if not isinstance(v, dict | list)}
