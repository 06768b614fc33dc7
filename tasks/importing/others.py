"""The datasets other than prices: fund records, facts, holdings, estimates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from market_rotation.tasks.errors import ConfigError
from market_rotation.tasks.importing import cells, units
from market_rotation.tasks.importing.rows import symbols
from market_rotation.tasks.importing.table import Part, Table
from market_rotation.tasks.sources.files import FRAMES, REQUIRED

if TYPE_CHECKING:
    import pandas as pd


def frame_of(
    table: Table, dataset: str, order: cells.Order, answers: Mapping[str, str]
) -> tuple[pd.DataFrame, list[str]]:
    """The rows of a dataset other than prices, in the columns that the file has, and notes about their units."""
    import pandas as pd

    (part,) = table.parts if len(table.parts) == 1 else (None,)
    if part is None:
        raise ConfigError(
            f"{table.path}: {dataset} of several symbols side by side is not read; put them one below the other."
        )
    key, day, *_ = FRAMES[dataset]
    columns: dict[str, object] = {key: _key(table, part, dataset), day: cells.days(table, part.places["day"], order)}
    for column, kind in FRAMES[dataset].items():
        if column in (key, day) or column not in part.places:
            continue
        place = part.places[column]
        if kind.startswith("datetime"):
            columns[column] = cells.days(table, place, order)
        elif kind == "object":
            columns[column] = [row[place] or None for row in table.rows]
        else:
            columns[column] = cells.numbers(table, place, table.names[place])
    if missing := [
        name for name in REQUIRED[dataset] if name not in columns and name not in ("distribution", "symbol", "name")
    ]:
        raise ConfigError(
            f"{table.path}: {dataset} needs a column {missing[0]} too; its columns are {', '.join(REQUIRED[dataset])}."
        )
    frame = pd.DataFrame({name: columns.get(name) for name in [*REQUIRED[dataset], *columns]})
    return units.as_fractions(table.path, dataset, frame, table.names, answers)


def _key(table: Table, part: Part, dataset: str) -> list[str]:
    if dataset != "holdings":
        return symbols(table, part)
    if "fund_symbol" not in part.places:
        raise ConfigError(f"{table.path}: holdings need a column fund_symbol, the fund that holds them; add it.")
    return symbols(table, Part(None, {"symbol": part.places["fund_symbol"]}))
