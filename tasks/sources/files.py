"""Prices from a folder of the user's own files: how another vendor is brought in."""

from __future__ import annotations

from datetime import date
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.errors import SourceUnavailable, SymbolNotFound
from tasks.sources import PRICE_COLUMNS, price_frame

if TYPE_CHECKING:
    import pandas as pd

REQUIRED = ("symbol", "session", "open", "high", "low", "close", "volume", "dividend", "split_ratio")
OPTIONAL = ("capital_gain", "vendor_adj_close")


class FilesSource:
    """Reads `prices.parquet` or `prices.csv` in `folder`; the columns are `REQUIRED`, and `OPTIONAL` where present."""

    name = "files"

    def __init__(self, folder: Path) -> None:
        self.path = _one_of(folder, "prices")

    def prices(self, symbol: str, start: date, end: date) -> pd.DataFrame:
        """See `tasks.sources.Source.prices`."""
        rows = self._by_symbol.get(symbol)
        if rows is None:
            raise SymbolNotFound(f"{self.path} has no row of {symbol}; add its prices, or drop it from the universe.")
        within = (rows["session"] >= str(start)) & (rows["session"] <= str(end))
        return price_frame(rows[within])

    @cached_property
    def _by_symbol(self) -> dict[str, pd.DataFrame]:
        import duckdb

        try:
            with duckdb.connect() as con:
                relation = con.sql(f"from '{str(self.path).replace(chr(39), chr(39) * 2)}'")
                _check_columns(self.path, relation.columns)
                wanted = ", ".join(
                    f"cast({name} as {_SQL_TYPES.get(name, 'double')}) as {name}"
                    if name in relation.columns
                    else f"null as {name}"
                    for name in PRICE_COLUMNS
                )
                frame = relation.project(wanted).order("symbol, session").df()
        except duckdb.Error as error:
            reason = str(error).splitlines()[0][:200]
            raise SourceUnavailable(
                f"{self.path} cannot be read: {reason}; write the file again in the layout documented."
            ) from None
        frame = frame.fillna({"capital_gain": 0.0})
        return {str(symbol): rows for symbol, rows in frame.groupby("symbol", sort=False)}


_SQL_TYPES = {"symbol": "varchar", "session": "date", "volume": "bigint"}


def _one_of(folder: Path, stem: str) -> Path:
    for path in (folder / f"{stem}.parquet", folder / f"{stem}.csv"):
        if path.is_file():
            return path
    raise SourceUnavailable(
        f"{folder} holds neither {stem}.parquet nor {stem}.csv; put one there, or point ROTATION_FILES elsewhere."
    )


def _check_columns(path: Path, columns: list[str]) -> None:
    missing = [name for name in REQUIRED if name not in columns]
    unknown = [name for name in columns if name not in REQUIRED + OPTIONAL]
    if missing or unknown:
        wrong = f"lacks the column {missing[0]}" if missing else f"has an unknown column {unknown[0]}"
        raise SourceUnavailable(
            f"{path} {wrong}; its columns are {', '.join(REQUIRED)} and, if you have them, {', '.join(OPTIONAL)}."
        )
