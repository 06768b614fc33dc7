"""What a folder of CSV files holds: which file is which dataset, its columns, symbols, days and units; nothing is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

from market_rotation.tasks import wording
from market_rotation.tasks.errors import ConfigError
from market_rotation.tasks.importing import cells, names, others, prices
from market_rotation.tasks.importing.questions import Asked, Question
from market_rotation.tasks.importing.rows import blanks, by_symbol, refuse_longer_bars
from market_rotation.tasks.importing.table import Table, read
from market_rotation.tasks.sources.files import FRAMES

if TYPE_CHECKING:
    import pandas as pd

ENDINGS = (".csv", ".txt", ".tsv")
#: The first dataset all of whose columns a file has; prices come last, since a file of fund records may have a close too.
DISTINCTIVE = {
    "earnings_growth": {"eps_year_ago", "eps_current_year", "eps_next_year"},
    "holdings": {"weight"},
    "fund_nav": {"nav", "shares_outstanding"},
    "fund_facts": {"expense_ratio"},
    "prices": {"close"},
}


@dataclass(frozen=True)
class Understood:
    """One file: its dataset, its rows in the columns of that dataset, and what a person should see before they are taken."""

    path: Path
    dataset: str
    vendor: str
    columns: dict[str, str]
    ignored: list[str]
    notes: list[str]
    frame: pd.DataFrame = field(repr=False)

    @property
    def symbols(self) -> list[str]:
        """Its symbols, sorted."""
        return sorted(set(self.frame.iloc[:, 0]))


def understand(folder: Path, answers: Mapping[str, str]) -> tuple[list[Understood], list[Path]]:
    """All files of `folder`, and those that are not read because of their ending.

    Raises `Asked` for the first question that `answers` does not have, `ConfigError` for a file that cannot be understood, or where two
    files disagree.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder} is not a folder; give the folder of your CSV files.")
    paths = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    wanted = [path for path in paths if path.suffix.lower() in ENDINGS]
    if not wanted:
        raise ConfigError(f"{folder} has no file that ends in {', '.join(ENDINGS)}; save your tables as CSV there.")
    found = [_file(path, answers) for path in wanted]
    _refuse_contradictions(found)
    return found, [path for path in paths if path not in wanted]


def _file(path: Path, answers: Mapping[str, str]) -> Understood:
    import pandas as pd

    table = read(path)
    dataset = _dataset(table)
    order = _order(table, answers)
    notes = [_zone(table)]
    if dataset == "prices":
        basis = prices.basis(table, answers)
        found = by_symbol(table, order)
        refuse_longer_bars(path, found)
        frame = pd.concat([prices.bars(symbol, columns, basis) for symbol, columns in found], ignore_index=True)
        unit = "USD per share, adjusted for splits and not for dividends"
        if basis.closes == "as-traded":
            splits = int((frame["split_ratio"] != 1).sum())
            unit += f" (the file has prices as traded; {wording.count(splits, 'split')} applied to the days before)"
        notes += [f"prices in {unit}", f"dividends {basis.dividends}"]
        notes += blanks(pd.concat([columns for _, columns in found]))
        if "split_ratio" not in table.meanings:
            notes.append("splits not in the file: taken as none; fund flows over a split need them")
    else:
        frame, more = others.frame_of(table, dataset, order, answers)
        notes += more
    if frame.empty:
        raise ConfigError(f"{path} has no row with a value; leave the file out, or fill it.")
    places = table.parts[0].places
    columns = {_name(dataset, meaning): table.names[index] or "Date" for meaning, index in places.items()}
    return Understood(path, dataset, names.vendor(table.names, table.is_wide), columns, table.ignored, notes, frame)


def _dataset(table: Table) -> str:
    for dataset, needed in DISTINCTIVE.items():
        if needed <= table.meanings:
            return dataset
    listed = "; ".join(f"{', '.join(sorted(needed))} ({dataset})" for dataset, needed in DISTINCTIVE.items())
    raise ConfigError(
        f"{table.path}: its columns ({', '.join(filter(None, table.names))[:200]}) are those of no dataset; a file needs {listed}."
    )


def _order(table: Table, answers: Mapping[str, str]) -> cells.Order:
    texts = [row[part.places["day"]] for part in table.parts[:1] for row in table.rows]
    orders = cells.possible_orders(texts)
    if not orders:
        raise ConfigError(f"{table.path}: some dates have the month first and some the day; write them as YYYY-MM-DD.")
    if len(orders) == 1:
        return orders.pop()
    match answers.get("dates"):
        case "month-first":
            return "month-first"
        case "day-first":
            return "day-first"
    example = next(text for text in texts if "/" in text or "-" in text)
    raise Asked(
        Question(
            "dates",
            f"{table.path}: does the month or the day come first in dates such as {example}?",
            {"month-first": "as in the United States", "day-first": "as in Europe"},
        )
    )


def _zone(table: Table) -> str:
    if cells.has_offset([row[table.parts[0].places["day"]] for row in table.rows]):
        return "days are the New York dates of the moments in the file"
    return "days as written, which are New York dates"


def _name(dataset: str, meaning: str) -> str:
    return list(FRAMES[dataset])[1] if meaning == "day" else meaning


def _refuse_contradictions(found: list[Understood]) -> None:
    """Raises `ConfigError` where two files have the same symbol and day of a dataset: the user must choose which one is right."""
    for one, other in combinations(found, 2):
        if one.dataset != other.dataset or not (shared := sorted(set(one.symbols) & set(other.symbols))):
            continue
        key, day = one.frame.columns[:2]
        for symbol in shared:
            days = [set(each.frame.loc[each.frame[key] == symbol, day].astype(str)) for each in (one, other)]
            if both := sorted(days[0] & days[1]):
                raise ConfigError(
                    f"{one.path} and {other.path} both have {one.dataset} of {symbol} on {both[0]}; leave one out."
                )
