"""The instruments and pairs that are followed: read from CSV, checked as a whole before anything is fetched."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, StringConstraints, ValidationError, model_validator

from market_rotation.tasks.errors import ConfigError
from market_rotation.tasks.setting_values import iso_day

SHIPPED = Path(__file__).parents[1] / "sql"

Symbol = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[A-Z0-9^][A-Z0-9.\-^=]{0,14}$")]
Text = Annotated[str, StringConstraints(strip_whitespace=True)]


#: What an older universe file, without the columns `flow_group` and `in_breadth`, means; core.instruments repeats it for older versions in raw.
FLOW_GROUPS = ("small_cap", "large_cap")
KINDS_IN_BREADTH = ("fund", "sector", "stock")


def _blank_is_none(value: object) -> object:
    return None if isinstance(value, str) and not value.strip() else value


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


Row = TypeVar("Row", bound=_Row)


class Instrument(_Row):
    """One row of the universe. `inception` is the first session with a price; blank means not known.

    `peer_group` says which instruments are compared side by side, `flow_group` whose flows are summed, `in_breadth` whether
    `signals.breadth` counts the instrument. An `index` has a level and no price per share, so it stands in `core.context` alone.
    """

    symbol: Symbol
    name: Annotated[Text, StringConstraints(min_length=1)]
    kind: Literal["fund", "sector", "stock", "index"]
    size_bucket: Annotated[Literal["mega", "large", "mid", "small", "micro"] | None, BeforeValidator(_blank_is_none)]
    sector: Annotated[Text | None, BeforeValidator(_blank_is_none)]
    peer_group: Annotated[Text | None, BeforeValidator(_blank_is_none)]
    flow_group: Annotated[Text | None, BeforeValidator(_blank_is_none)] = None
    in_breadth: bool = True
    issuer: Annotated[Text | None, BeforeValidator(_blank_is_none)]
    issuer_id: Annotated[Text | None, BeforeValidator(_blank_is_none)]
    index_name: Annotated[Text | None, BeforeValidator(_blank_is_none)]
    benchmark: Annotated[Symbol | None, BeforeValidator(_blank_is_none)]
    inception: Annotated[Annotated[date, BeforeValidator(iso_day)] | None, BeforeValidator(_blank_is_none)]

    @model_validator(mode="before")
    @classmethod
    def _fill_newer_columns(cls, values: dict[str, object]) -> dict[str, object]:
        """A file without `flow_group` or `in_breadth` is read as before these columns existed; a blank `in_breadth` likewise."""
        peer_group = _blank_is_none(values.get("peer_group"))
        flow_group = peer_group if peer_group in FLOW_GROUPS else None
        filled: dict[str, object] = {"flow_group": flow_group, **values}
        if _blank_is_none(filled.get("in_breadth")) is None:
            filled["in_breadth"] = values.get("kind") in KINDS_IN_BREADTH
        return filled


class Pair(_Row):
    """A small and a large leg whose ratio is followed.

    The headline pair is the one the evidence rests on; the earnings pair are the funds whose companies' earnings are compared.
    """

    small_symbol: Symbol
    large_symbol: Symbol
    headline: bool
    earnings: bool


class Universe(BaseModel):
    """All instruments and pairs of one run."""

    model_config = ConfigDict(frozen=True)

    instruments: tuple[Instrument, ...]
    pairs: tuple[Pair, ...]

    @property
    def symbols(self) -> list[str]:
        return [instrument.symbol for instrument in self.instruments]

    def first_day(self, history_start: date) -> date:
        """The day the calendar must reach back to: `history_start`, or the first fund's inception, as issuers publish all of it."""
        return min(
            [history_start, *(i.inception for i in self.instruments if i.kind in ("fund", "sector") and i.inception)]
        )


def load_universe(path: Path | None = None) -> Universe:
    """The universe in the CSV at `path` (default: the shipped one) with the pairs that go with it.

    A `pairs.csv` beside a file of one's own is used; without one, the shipped pairs whose both legs are in the universe.
    Raises `ConfigError` with one sentence naming file, line and remedy.
    """
    path = path or SHIPPED / "universe.csv"
    instruments = list(_read(path, Instrument))
    _unique(path, "symbol", [i.symbol for i in instruments])
    known = {i.symbol for i in instruments}
    for instrument in instruments:
        if instrument.benchmark and instrument.benchmark not in known:
            raise ConfigError(
                f"{path}: the benchmark {instrument.benchmark} of {instrument.symbol} is not in the file; "
                f"add a row for {instrument.benchmark}, or name another benchmark."
            )
        if instrument.kind == "index" and (instrument.in_breadth or instrument.benchmark or instrument.flow_group):
            raise ConfigError(
                f"{path}: the index {instrument.symbol} is counted or measured, which needs prices per share; "
                "set in_breadth to false and leave benchmark and flow_group blank."
            )
        if instrument.kind == "sector" and not instrument.sector:
            raise ConfigError(
                f"{path}: the sector fund {instrument.symbol} names no sector; fill in the sector column."
            )
    indexes = {i.symbol for i in instruments if i.kind == "index"}
    if against := [i for i in instruments if i.benchmark in indexes]:
        raise ConfigError(
            f"{path}: {against[0].symbol} has the index {against[0].benchmark} as its benchmark, which has no total return; name a fund."
        )
    _unique(path, "sector fund", [str(i.sector) for i in instruments if i.kind == "sector"])
    if not any(i.benchmark for i in instruments):
        raise ConfigError(f"{path}: no row names a benchmark; fill in the benchmark column, for example with SPY.")
    own_pairs = path.parent / "pairs.csv"
    if own_pairs.exists():
        pairs = list(_read(own_pairs, Pair))
        _check_pairs(own_pairs, pairs, known, indexes)
    else:
        pairs = [p for p in _read(SHIPPED / "pairs.csv", Pair) if {p.small_symbol, p.large_symbol} <= known - indexes]
    return Universe(instruments=tuple(instruments), pairs=tuple(pairs))


def _check_pairs(path: Path, pairs: list[Pair], known: set[str], indexes: set[str]) -> None:
    _unique(path, "pair", [f"{p.small_symbol}/{p.large_symbol}" for p in pairs])
    for pair in pairs:
        if pair.small_symbol == pair.large_symbol:
            raise ConfigError(f"{path}: {pair.small_symbol} is paired with itself; name two symbols.")
        for leg in (pair.small_symbol, pair.large_symbol):
            if leg not in known:
                raise ConfigError(
                    f"{path}: {leg} of the pair {pair.small_symbol}/{pair.large_symbol} is not in the universe; add it there."
                )
            if leg in indexes:
                raise ConfigError(f"{path}: {leg} is an index, which has no total return; name a fund or a stock.")
    headlines = sum(p.headline for p in pairs)
    if headlines != 1:
        raise ConfigError(f"{path}: {headlines} pairs are marked headline; mark exactly one with true.")
    if sum(p.earnings for p in pairs) > 1:
        raise ConfigError(f"{path}: more than one pair is marked earnings; mark one at most.")


def _next_row(path: Path, reader: csv.DictReader[str]) -> dict[str, Any] | None:
    begin = reader.line_num + 1
    try:
        return next(reader, None)
    except csv.Error as error:
        raise _not_csv(path, begin, error) from None


def _not_csv(path: Path, line: int, error: csv.Error) -> ConfigError:
    return ConfigError(f"{path}, line {line}: the row is not CSV ({error}); close its quotation mark, or remove it.")


def _unique(path: Path, what: str, values: list[str]) -> None:
    repeated = [value for value, count in Counter(values).items() if count > 1]
    if repeated:
        raise ConfigError(f"{path}: {what} {repeated[0]} appears more than once; keep one row.")


def _stripped(value: str | list[str] | None) -> str | list[str]:
    return value if isinstance(value, list) else (value or "").strip()


def _read(path: Path, model: type[Row]) -> Iterator[Row]:
    columns = list(model.model_fields)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(
            f"{path}: cannot be read ({reason}); give a UTF-8 CSV file with the columns {', '.join(columns)}."
        ) from error
    # A field as long as the whole file is not an error here: the row's check will report it.
    csv.field_size_limit(max(len(text), 131_072))
    lines = list(io.StringIO(text, newline=""))
    # Strict, so that a quotation mark that is never closed does not take the rows after it into one cell.
    reader = csv.DictReader(lines, restkey="", strict=True)
    try:
        header = [name.strip() for name in reader.fieldnames or []]
    except csv.Error as error:
        raise _not_csv(path, 1, error) from None
    if not header:
        raise ConfigError(f"{path}: the file is empty; its first line must be {','.join(columns)}.")
    for name in header:
        if name not in columns:
            raise ConfigError(f"{path}: unknown column {name!r}; the columns are {', '.join(columns)}.")
    _unique(path, "column", header)
    for name in columns:
        if name not in header and model.model_fields[name].is_required():
            raise ConfigError(f"{path}: the column {name!r} is missing; the columns are {', '.join(columns)}.")
    reader.fieldnames = header
    rows = 0
    while (values := _next_row(path, reader)) is not None:
        rows += 1
        # Blank cells at the end of a row may be left out, but such a row without an end of line is what an interrupted copy leaves.
        if None in values.values() and reader.line_num == len(lines) and text[-1:] not in ("\n", "\r"):
            raise ConfigError(
                f"{path}, line {reader.line_num}: the file ends within this row, so it may be cut off; complete the row, and end it with a line break."
            )
        try:
            yield model.model_validate({key: _stripped(value) for key, value in values.items()})
        except ValidationError as error:
            first = error.errors()[0]
            where = first["loc"][0] or "too many fields"
            reason = first["msg"].removeprefix("Value error, ")
            raise ConfigError(
                f"{path}, line {reader.line_num}: {where}: {reason} (it says {first['input']!r})."
            ) from error
    if not rows:
        raise ConfigError(f"{path}: the file has a header but no rows; add at least one.")
