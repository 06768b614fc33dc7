"""Prices from a folder of the user's own files: how another vendor is brought in."""

from __future__ import annotations

from datetime import date
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
        self._by_symbol = _read(self.path)

    def prices(self, symbol: str, start: date, end: date) -> pd.DataFrame:
        """See `tasks.sources.Source.prices`."""
        rows = self._by_symbol.get(symbol)
        if rows is None:
            raise SymbolNotFound(f"{self.path} has no row of {symbol}; add its prices, or drop it from the universe.")
        within = (rows["session"] >= str(start)) & (rows["session"] <= str(end))
        return price_frame(rows[within])


def _read(path: Path) -> dict[str, pd.DataFrame]:
    """The file's rows by symbol, in the columns and types of a price frame."""
    import duckdb

    try:
        with duckdb.connect() as con:
            # CSV as text: what DuckDB would guess of a date such as 02/01/2024 is better refused.
            if path.suffix == ".csv":
                relation = con.read_csv(str(path), header=True, sep=",", all_varchar=True)
            else:
                relation = con.read_parquet(str(path))
            _check_columns(path, relation.columns)
            wanted = ", ".join(
                f"cast({name} as {_SQL_TYPES.get(name, 'double')}) as {name}"
                if name in relation.columns
                else f"null::double as {name}"
                for name in PRICE_COLUMNS
            )
            frame = relation.project(wanted).order("symbol, session").df()
    except duckdb.Error as error:
        reason = str(error).splitlines()[0][:200]
        raise SourceUnavailable(f"{path} cannot be read: {reason}; write it again in the layout documented.") from None
    if frame.empty:
        raise SourceUnavailable(f"{path} has no rows; put the prices there.")
    if lacking := int(frame[["symbol", "session"]].isna().any(axis=1).sum()):
        raise SourceUnavailable(f"{path} has {lacking} rows without symbol or session; fill them in or take them out.")
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
