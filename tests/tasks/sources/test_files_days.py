"""The `files` source gives New York's date of each row on every machine, for each dataset and each way in which a day is written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from market_rotation.tasks.errors import SourceUnavailable
from market_rotation.tasks.sources.files import FRAMES, REQUIRED, FilesSource

#: Both sides of a change of clocks, the first and the last day of a year.
DAYS = [date(2024, 1, 2), date(2024, 3, 8), date(2024, 3, 11), date(2024, 7, 5), date(2024, 12, 31)]
NAIVE = pd.to_datetime(DAYS)
INDEXES = {
    "dates": pd.Index(DAYS),
    "midnight": NAIVE,
    "nanoseconds": NAIVE.astype("datetime64[ns]"),
    "close": NAIVE + pd.Timedelta(hours=16),
    "yfinance": NAIVE.astype("datetime64[ns]").tz_localize("America/New_York"),
    "evening in New York, the next day in UTC": (NAIVE + pd.Timedelta(hours=21)).tz_localize("America/New_York"),
    "midnight in New York as UTC": NAIVE.tz_localize("America/New_York").tz_convert("UTC"),
    "midnight UTC": NAIVE.tz_localize("UTC"),
    "text": pd.Index([day.isoformat() for day in DAYS]),
    "text with a time": pd.Index([f"{day} 00:00:00" for day in DAYS]),
    "text of an evening": pd.Index([f"{day} 19:00:00" for day in DAYS]),
    "text with an offset": pd.Index([f"{day} 00:00:00-05:00" for day in DAYS]),
    "text in UTC": pd.Index([f"{day}T00:00:00.000Z" for day in DAYS]),
    "text of the close in UTC": pd.Index([f"{day}T21:00:00+00:00" for day in DAYS]),
    "text with a zone": pd.Index([f"{day} 00:00:00 America/New_York" for day in DAYS]),
}
TEXTS = {"symbol": "AAA", "fund_symbol": "AAA", "name": "A", "category": "Small", "index_name": "A"}


KINDS = ("parquet", "csv")
#: Prints the machine's time zone as DuckDB has it, and every day of every dataset in the folders below the working directory.
READ = """
import json, sys
from datetime import date
from pathlib import Path

import duckdb

from market_rotation.tasks.errors import SourceUnavailable
from market_rotation.tasks.sources.files import FRAMES, FilesSource

found = {}
for folder in sorted(Path().iterdir()):
    source = FilesSource(folder)
    for dataset, columns in FRAMES.items():
        period = (date(2024, 1, 1), date(2024, 12, 31)) if dataset in ("prices", "fund_nav") else (date(2024, 12, 31),)
        frame = getattr(source, dataset)("AAA", *period)
        for column in (name for name, kind in columns.items() if kind.startswith("datetime")):
            found[f"{folder} {dataset} {column}"] = [str(day) for day in frame[column].dt.date]
print(json.dumps([duckdb.connect().sql("select current_setting('TimeZone')").fetchone()[0], found]))
"""


def write(folder: Path, dataset: str, index: pd.Index, kind: str) -> None:
    """A file of `dataset` as pandas writes it, its rows indexed by day, every other day in it likewise."""
    columns = FRAMES[dataset]
    key, day = list(columns)[:2]
    values = {name: TEXTS.get(name, 1.0) for name in REQUIRED[dataset] if name != day}
    values |= {name: index for name, dtype in columns.items() if dtype.startswith("datetime") and name != day}
    frame = pd.DataFrame({key: "AAA", **values}, index=index.rename(day))
    if kind == "csv":
        frame.to_csv(folder / f"{dataset}.csv")
    else:
        frame.to_parquet(folder / f"{dataset}.parquet")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for each way of writing a day and each format, with a file of every dataset."""
    root = tmp_path_factory.mktemp("days")
    for written, index in INDEXES.items():
        for kind in KINDS:
            (root / f"{written}, {kind}").mkdir()
            for dataset in FRAMES:
                write(root / f"{written}, {kind}", dataset, index, kind)
    return root


# DuckDB takes the time zone of the machine once in a process.
@pytest.mark.long_after(1)
@pytest.mark.parametrize("zone", ["America/Los_Angeles", "Asia/Tokyo", "Etc/UTC"])
def test_days_are_new_yorks_on_every_machine(folders: Path, zone: str) -> None:
    """Each dataset has the same days whatever the time zone of the machine, also those that are not its key."""
    printed = subprocess.run(
        [sys.executable, "-c", READ],
        cwd=folders,
        env={**os.environ, "TZ": zone},
        capture_output=True,
        text=True,
        check=True,
    )
    known_zone, found = json.loads(printed.stdout)
    assert known_zone == zone
    # Five datasets, of which estimates have two more days.
    assert len(found) == len(INDEXES) * len(KINDS) * 7
    assert {name: days for name, days in found.items() if days != [day.isoformat() for day in DAYS]} == {}


@pytest.mark.parametrize(
    "text", ["02/01/2024", "2024-01-02 00:00:00 Nowhere/City", "soon", "2024-01-02 25:00:00-05:00"]
)
def test_what_is_no_day_is_refused(tmp_path: Path, text: str) -> None:
    """A day that could mean two days, or none, is refused rather than guessed."""
    write(tmp_path, "prices", pd.Index([text]), "csv")
    with pytest.raises(
        SourceUnavailable, match=r"prices\.csv (cannot be read|has '.*' in session, which is not a date)"
    ):
        FilesSource(tmp_path)
