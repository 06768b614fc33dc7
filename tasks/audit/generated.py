"""Expectations that follow from the header of a table's SQL file, so that they need not be written.

From `-- grain: a, b` follows that no two rows share a and b. From `-- rows: …` follows that no row is lost and none is added:
`every session since the first price`, or `every row of schema.table` for a table of the same grain.
"""

from __future__ import annotations

import re

from market_rotation.tasks.audit.expectations import Expectation
from market_rotation.tasks.datasets import DATASETS
from market_rotation.tasks.errors import ConfigError
from market_rotation.tasks.warehouse import incremental
from market_rotation.tasks.warehouse.models import Model, models

#: Schemas whose tables are derived from all that is known.
DERIVED = ("core", "signals")

#: Columns that date a row.
_DAYS = ("session", "as_of", "month", "week")


def tables() -> list[str]:
    """The tables of which anything follows: the derived ones, each after those it reads, and the staged ones."""
    return [model.name for model in models() if _has_unique_grain(model)]


def expectations(table: str) -> tuple[Expectation, ...]:
    """What follows from the header of `table`, all of it critical; nothing where the table has no SQL file. Raises `ConfigError`."""
    model = next((model for model in models() if model.name == table), None)
    return of_model(model) if model and _has_unique_grain(model) else ()


def of_model(model: Model) -> tuple[Expectation, ...]:
    """What follows from the header of `model`; nothing where it has no `grain:`. Raises `ConfigError`."""
    if "grain" not in model.header:
        return ()
    found = (_one_row_per_grain(model), _no_row_lost(model))
    return tuple(expectation for expectation in found if expectation)


def _has_unique_grain(model: Model) -> bool:
    schema, name = model.name.split(".")
    if schema == "stage":
        # A file of holdings may list the same line twice.
        return name in DATASETS and DATASETS[name].is_rejected_by_row
    return schema in DERIVED and model.kind == "derived"


def _one_row_per_grain(model: Model) -> Expectation:
    schema, name = model.name.split(".")
    keys = model.grain
    identifier = f"{name}_one_row_per_grain"
    sentence = f"{model.name} has more than one row for the same {_listed(keys)}."
    if schema == "stage":
        identifier = f"one_row_per_{DATASETS[name].row}"
        sentence = (
            f"The source gave the same {DATASETS[name].row} more than once, so it is not known which one is true."
        )
    query = f"""\
select {_named(model, keys, "")}, count(*) as rows
from {model.name}{_of_this_run(model)}
group by {", ".join(keys)}
having count(*) > 1"""
    return Expectation(identifier, "critical", sentence, query)


def _no_row_lost(model: Model) -> Expectation | None:
    said = model.header.get("rows")
    if said is None:
        return None
    name = model.name.split(".")[1]
    keys = model.grain
    if said == "every session since the first price":
        expected = "select session from core.sessions where session >= (select min(session) from core.prices)"
        expected += _of_this_run(model, "and")
        identifier, sentence = (
            f"{name}_every_session",
            f"{model.name} lacks a session since the first price, or has an extra one.",
        )
    elif match := re.fullmatch(r"every row of (\w+\.\w+)", said):
        expected = f"select {', '.join(keys)} from {match[1]}{_of_this_run(model)}"
        identifier, sentence = (
            f"{name}_no_row_lost",
            f"{model.name} lacks a row of {match[1]}, or has a row that {match[1]} lacks.",
        )
    else:
        raise ConfigError(
            f"{model.path}: `rows: {said}` is not understood; write `every session since the first price` or `every row of schema.table`."
        )
    query = f"""\
with expected as ({expected})
select {_named(model, keys, "coalesce(e.{0}, t.{0})")}, t.{keys[0]} is null as is_missing
from expected as e
full join (from {model.name}{_of_this_run(model)}) as t on {" and ".join(f"t.{key} = e.{key}" for key in keys)}
where e.{keys[0]} is null or t.{keys[0]} is null"""
    return Expectation(identifier, "critical", sentence, query)


def _of_this_run(model: Model, word: str = "where") -> str:
    """The condition for the sessions that the run computed, where it may compute some alone; the others were checked when they were computed."""
    return f" {word} session >= {incremental.first_computed(model)}" if incremental.is_incremental(model) else ""


def _named(model: Model, keys: list[str], template: str) -> str:
    """The columns of the grain as a select list that begins with `symbol` and `session`, as the rows of all expectations do."""

    def column(key: str, name: str) -> str:
        value = template.format(key) if template else key
        return value if value == name else f"{value} as {name}"

    days = [key for key in keys if key in _DAYS]
    others = [key for key in keys if key not in _DAYS]
    symbol = "symbol" if "symbol" in others else others[0] if others else None
    first = column(symbol, "symbol") if symbol else f"'{model.name.split('.')[0]}' as symbol"
    second = column(days[0], "session") if days else "null::date as session"
    rest = [column(key, key) for key in others if key != symbol]
    return ", ".join([first, second, *rest])


def _listed(keys: list[str]) -> str:
    return keys[0] if len(keys) == 1 else f"{', '.join(keys[:-1])} and {keys[-1]}"
