"""Data from a folder of the user's own files, for any other vendor."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from market_rotation.tasks import paths, wording
from market_rotation.tasks.datasets import (
    EARNINGS_GROWTH_COLUMNS,
    FUND_FACTS_COLUMNS,
    FUND_NAV_COLUMNS,
    HOLDINGS_COLUMNS,
    PRICE_COLUMNS,
    Offer,
)
from market_rotation.tasks.errors import SourceUnavailable, SymbolNotFound
from market_rotation.tasks.sources.frames import typed

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

    from market_rotation.tasks.settings import Settings
    from market_rotation.tasks.sources.base import SourceContext
    from market_rotation.tasks.universe import Instrument, Universe

#: Required columns of each file; the other columns of the dataset are optional.
REQUIRED = {
    "prices": ("symbol", "session", "open", "high", "low", "close", "volume", "dividend", "split_ratio"),
    "fund_nav": ("symbol", "session", "nav", "shares_outstanding", "distribution"),
    "fund_facts": ("symbol", "as_of", "expense_ratio"),
    "holdings": ("fund_symbol", "as_of", "symbol", "name", "weight"),
    "earnings_growth": (
        "symbol",
        "as_of",
        "period_end_current_year",
        "period_end_next_year",
        "eps_year_ago",
        "eps_current_year",
        "eps_next_year",
    ),
}
FRAMES = {
    "prices": PRICE_COLUMNS,
    "fund_nav": FUND_NAV_COLUMNS,
    "fund_facts": FUND_FACTS_COLUMNS,
    "holdings": HOLDINGS_COLUMNS,
    "earnings_growth": EARNINGS_GROWTH_COLUMNS,
}

_ZONED = "TIMESTAMP WITH TIME ZONE"
_HAS_ZONE = r"\d:\d\d[\d:.]*\s*[^\d:.\s]"
#: Texts that are days. DuckDB takes more for a date: `epoch`, `infinity`, 2024-01-02x, and 24-01-02 for the year 24.
_IS_DAY = r"\s*\d{4}[-/ \\]\d{1,2}[-/ \\]\d{1,2}([T ]+\d{1,2}:\d\d\S*(\s*\S+)?)?\s*"
#: In any other year the day is mistyped.
_FIRST_DAY, _LAST_DAY = "1900-01-01", "2199-12-31"
_SQL_TYPES = {"object": "varchar", "datetime64[s]": "date", "float64": "double"}


class FilesSource:
    """Reads `prices.(parquet|csv)` and, where they are, the files of the other datasets in `folder`, such as `fund_nav.csv`."""

    name = "files"
    datasets: ClassVar[frozenset[str]] = frozenset(FRAMES)
    is_local = True

    def __init__(self, folder: Path) -> None:
        paths = {dataset: path_of(folder, dataset) for dataset in FRAMES}
        if paths["prices"] is None:
            raise SourceUnavailable(
                f"{folder} holds neither prices.parquet nor prices.csv; put one there, or point ROTATION_FILES elsewhere."
            )
        self._paths = {dataset: path for dataset, path in paths.items() if path}
        self._rows = {dataset: read(path, dataset) for dataset, path in self._paths.items()}

    @classmethod
    def check(cls, settings: Settings, universe: Universe) -> None:
        """Raises `ConfigError` when the folder is not set or does not exist."""
        settings.files_folder()

    @classmethod
    def open(cls, context: SourceContext) -> FilesSource:
        """See `market_rotation.tasks.sources.base.InstalledSource.open`."""
        return cls(context.settings.files_folder())

    def offers(self, instruments: Sequence[Instrument]) -> list[Offer]:
        """The fund datasets that the files hold, symbol by symbol."""
        return [
            Offer(dataset, instrument.symbol, 0)
            for dataset in ("fund_nav", "fund_facts", "holdings")
            for instrument in instruments
            if instrument.symbol in self._rows.get(dataset, {})
        ]

    def indexes(self, instruments: Sequence[Instrument]) -> list[str]:
        """The indexes in the file of prices."""
        return [instrument.symbol for instrument in instruments if instrument.symbol in self._rows["prices"]]

    def prices(self, symbol: str, start: date, end: date) -> pd.DataFrame:
        """See `market_rotation.tasks.sources.base.Source.prices`."""
        return self._within("prices", symbol, "session", start, end)

    def fund_nav(self, symbol: str, start: date, end: date) -> pd.DataFrame:
        """See `market_rotation.tasks.sources.base.FundSource.fund_nav`."""
        return self._within("fund_nav", symbol, "session", start, end)

    def fund_facts(self, symbol: str, as_of: date) -> pd.DataFrame:
        """Every snapshot of the fund in the file up to `as_of`: `FUND_FACTS_COLUMNS`."""
        return self._within("fund_facts", symbol, "as_of", date.min, as_of)

    def holdings(self, symbol: str, as_of: date) -> pd.DataFrame:
        """Every snapshot of the fund's holdings in the file up to `as_of`: `HOLDINGS_COLUMNS`."""
        return self._within("holdings", symbol, "as_of", date.min, as_of)

    def earnings_growth(self, symbol: str, as_of: date) -> pd.DataFrame:
        """Every snapshot of the company's estimates in the file up to `as_of`: `EARNINGS_GROWTH_COLUMNS`; no row where it has none.

        The companies requested are those of the holdings, and a file need not know all of them.
        """
        if symbol not in self._rows.get("earnings_growth", {}):
            return typed({}, EARNINGS_GROWTH_COLUMNS)
        return self._within("earnings_growth", symbol, "as_of", date.min, as_of)

    def _within(self, dataset: str, symbol: str, day: str, start: date, end: date) -> pd.DataFrame:
        rows = self._rows[dataset].get(symbol)
        if rows is None:
            path = self._paths[dataset]
            raise SymbolNotFound(f"{path} has no row of {symbol}; add its {dataset}, or drop it from the universe.")
        days = rows[day].dt.date
        return typed(rows[(days >= start) & (days <= end)], FRAMES[dataset])


def path_of(folder: Path, stem: str) -> Path | None:
    """The file of a dataset in `folder`, Parquet before CSV; None where there is none. Raises `SourceUnavailable` for a folder of that name."""
    for ending in ("parquet", "csv"):
        path = folder / f"{stem}.{ending}"
        try:
            paths.refuse_other_than_file(path)
        except ValueError as error:
            raise SourceUnavailable(f"{path} cannot be read ({error}); put the {stem} there.") from None
        if path.is_file():
            return path
    return None


def read(path: Path, dataset: str) -> dict[str, pd.DataFrame]:
    """The file's rows by symbol, in the columns and types of the dataset's frame. Raises `SourceUnavailable` for a file in another layout."""
    import duckdb

    columns, required = FRAMES[dataset], REQUIRED[dataset]
    key, day = list(columns)[:2]
    try:
        with duckdb.connect() as con:
            # Read CSV as text: DuckDB would guess at a date such as 02/01/2024, which must be refused.
            if path.suffix == ".csv":
                relation = con.read_csv(str(path), header=True, sep=",", all_varchar=True)
            else:
                relation = con.read_parquet(str(path))
            _check_columns(path, relation.columns, required, tuple(columns))
            found = dict(zip(relation.columns, map(str, relation.types), strict=True))
            _check_texts(path, relation, found, columns)
            wanted = ", ".join(
                f"{_column(name, found.get(name), _SQL_TYPES[kind])} as {name}" for name, kind in columns.items()
            )
            frame = relation.project(wanted).order(f"{key}, {day}").df()
    except duckdb.Error as error:
        reason = str(error).splitlines()[0][:200]
        raise SourceUnavailable(f"{path} cannot be read: {reason}; write it again in the layout documented.") from None
    if frame.empty:
        raise SourceUnavailable(f"{path} has no rows; put the {dataset} there.")
    if lacking := int(frame[[key, day]].isna().any(axis=1).sum()):
        raise SourceUnavailable(f"{path} has {lacking} rows without {key} or {day}; fill them in or take them out.")
    _check_values(path, frame, columns)
    frame = frame.fillna({"capital_gain": 0.0, "source": "files"})
    return {str(symbol): rows for symbol, rows in frame.groupby(key, sort=False)}


def _check_texts(path: Path, relation: duckdb.DuckDBPyRelation, found: dict[str, str], columns: dict[str, str]) -> None:
    """Raises `SourceUnavailable` for what DuckDB would take for a day or a number that is none: `epoch` for a day, true for 1."""
    for name, kind in columns.items():
        if kind == "float64" and found.get(name) == "BOOLEAN":
            raise SourceUnavailable(f"{path} has true and false in {name}; write numbers there.")
        if not kind.startswith("datetime") or found.get(name) != "VARCHAR":
            continue
        if odd := relation.filter(f"not regexp_full_match({name}, '{_IS_DAY}')").project(name).fetchone():
            raise SourceUnavailable(
                f"{path} has {odd[0]!r:.40} in {name}, which is not a date; write it as YYYY-MM-DD."
            )


def _check_values(path: Path, frame: pd.DataFrame, columns: dict[str, str]) -> None:
    """Raises `SourceUnavailable` for a number without end, and for a day in a year that no market data has."""
    for name, kind in columns.items():
        if kind == "float64" and (endless := int(frame[name].isin([float("inf"), float("-inf")]).sum())):
            raise SourceUnavailable(
                f"{path} has {wording.count(endless, 'infinite number')} in {name}; correct or blank each."
            )
        if kind.startswith("datetime"):
            days = frame[name].dropna()
            if len(odd := days[(days < _FIRST_DAY) | (days > _LAST_DAY)]):
                raise SourceUnavailable(f"{path} has a {name} in the year {odd.dt.year.iloc[0]}; correct the date.")


def _column(name: str, found: str | None, wanted: str) -> str:
    """The SQL that reads a column of type `found` (None where the file lacks it) as type `wanted`."""
    if found is None:
        return f"cast(null as {wanted})"
    if wanted != "date" or found == "DATE" or (found.startswith("TIMESTAMP") and found != _ZONED):
        return f"cast({name} as {wanted})"
    day = _new_york_day(f"cast({name} as timestamptz)")
    # Only a text with an offset or zone after its time is a moment; without one it is read as written, whatever the machine's time zone.
    return (
        day
        if found == _ZONED
        else f"case when regexp_matches({name}, '{_HAS_ZONE}') then {day} else cast({name} as date) end"
    )


def _new_york_day(moment: str) -> str:
    """The SQL of the New York date of `moment`. Midnight UTC is 19:00 or 20:00 in New York, when no session is dated: vendors write days so."""
    return f"cast({moment} at time zone if(epoch_us({moment}) % 86400000000 = 0, 'UTC', 'America/New_York') as date)"


def _check_columns(path: Path, found: list[str], required: tuple[str, ...], allowed: tuple[str, ...]) -> None:
    missing = [name for name in required if name not in found]
    unknown = [name for name in found if name not in allowed]
    if missing or unknown:
        wrong = f"lacks the column {missing[0]}" if missing else f"has an unknown column {unknown[0]}"
        optional = [name for name in allowed if name not in required]
        raise SourceUnavailable(
            f"{path} {wrong}; its columns are {', '.join(required)} and, if you have them, {', '.join(optional)}."
        )
