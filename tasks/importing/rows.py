"""The rows of a table by symbol, as prices need them, and what is said of blank cells."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from market_rotation.tasks import wording
from market_rotation.tasks.errors import ConfigError
from market_rotation.tasks.importing import cells, names, prices
from market_rotation.tasks.importing.table import Part, Table

if TYPE_CHECKING:
    import pandas as pd

#: The median distance of daily bars is one day; weekly ones are seven apart. A few rows say nothing.
LONGEST_GAP_DAYS, FEWEST_GAPS = 3, 5


def by_symbol(table: Table, order: cells.Order) -> list[tuple[str, pd.DataFrame]]:
    """The rows of each symbol with `session` and the numbers that the file has. Raises `ConfigError` where a day has two rows."""
    import pandas as pd

    found = []
    for part in table.parts:
        columns = {
            meaning: cells.numbers(table, place, table.names[place])
            for meaning, place in part.places.items()
            if meaning in prices.NUMBERS
        }
        frame = pd.DataFrame(
            {"session": cells.days(table, part.places["day"], order), "line": table.lines, **columns},
        )
        frame["symbol"] = symbols(table, part)
        for symbol, rows in frame.groupby("symbol", sort=False):
            twice = rows[rows["session"].duplicated()]
            if len(twice):
                row = twice.iloc[0]
                raise ConfigError(
                    f"{table.path}, line {row['line']}: {symbol} has a second row of {row['session']}; daily bars have one row a day."
                )
            found.append((str(symbol), rows.drop(columns=["symbol", "line"])))
    return found


def symbols(table: Table, part: Part) -> list[str]:
    """The symbol of each row: from its column, the header, the notes above it, or the file's name. Raises `ConfigError` where none says it."""
    if "symbol" in part.places:
        place, found = part.places["symbol"], []
        for row, line in zip(table.rows, table.lines, strict=True):
            symbol = names.symbol(row[place])
            if symbol is None:
                raise ConfigError(
                    f"{table.path}, line {line}, column {place + 1}: {row[place][:40]!r} is not a symbol; correct it."
                )
            found.append(symbol)
        return found
    symbol = part.symbol or table.noted_symbol or names.symbol_of_file(table.path.stem)
    if symbol is None:
        raise ConfigError(
            f"{table.path}: neither a column nor the file's name says the symbol; name the file after it, as in IWM.csv, or add a column symbol."
        )
    return [symbol] * len(table.rows)


def refuse_longer_bars(path: Path, rows: list[tuple[str, pd.DataFrame]]) -> None:
    """Raises `ConfigError` where the bars of a symbol are of weeks or months."""
    for symbol, columns in rows:
        days = sorted(columns["session"])
        gaps = sorted((after - before).days for before, after in pairwise(days))
        if len(gaps) >= FEWEST_GAPS and (median := gaps[len(gaps) // 2]) > LONGEST_GAP_DAYS:
            raise ConfigError(f"{path}: the rows of {symbol} are {median} days apart; download daily bars.")


def blanks(rows: pd.DataFrame) -> list[str]:
    """What is said of blank cells: they are never filled in silently."""
    priced = rows[rows["close"].notna()]
    notes = [
        f"{wording.count(int(priced[column].isna().sum()), f'blank {word}')} taken as none"
        for column, word in (("dividend", "dividend"), ("split_ratio", "split"))
        if column in rows and priced[column].isna().any()
    ]
    others = rows.columns.intersection(["open", "high", "low", "volume"])
    if without := int((rows["close"].isna() & rows[others].notna().any(axis=1)).sum()):
        notes.append(f"{wording.count(without, 'row')} without a close left out")
    return notes
