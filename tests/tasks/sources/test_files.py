"""The `files` source: the user's own CSV or Parquet becomes the same typed frame, or one sentence says why not."""

from __future__ import annotations

from datetime import date
from io import StringIO
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
from world import instrument

from market_rotation.tasks.datasets import EARNINGS_GROWTH_COLUMNS, PRICE_COLUMNS, Offer
from market_rotation.tasks.errors import SourceUnavailable, SymbolNotFound
from market_rotation.tasks.sources.files import FRAMES, REQUIRED, FilesSource, read

HEADER = "symbol,session,open,high,low,close,volume,dividend,split_ratio\n"
ROWS = (
    "SPY,2024-01-04,10,12,9.5,11,1000,0,1\n"
    "IWM,2024-01-02,,,,50.25,,0.1,1\n"
    "SPY,2024-01-02,9,10,8,9.75,2000,0.5,1\n"
    "SPY,2024-01-03,,,,10.5,,0,2\n"
)
START, END = date(2024, 1, 2), date(2024, 1, 4)


def write(folder: Path, text: str = HEADER + ROWS, kind: str = "csv") -> Path:
    """Writes `text` as prices.csv, or the same rows as prices.parquet, into `folder`; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "prices.csv"
    path.write_text(text, encoding="utf-8")
    if kind == "parquet":
        with duckdb.connect() as con:
            con.read_csv(str(path)).write_parquet(str(folder / "prices.parquet"))
        path.unlink()
    return folder


def unavailable(folder: Path, *parts: str) -> None:
    """Asking for SPY raises SourceUnavailable: one line that ends like a sentence and holds all of `parts`."""
    with pytest.raises(SourceUnavailable) as caught:
        FilesSource(folder).prices("SPY", START, END)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")
    for part in (str(folder), *parts):
        assert part in message


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_the_frame(tmp_path, kind):
    """CSV and Parquet give the same rows: exact columns and types, oldest first, NULL kept as NaN, no capital gains."""
    frame = FilesSource(write(tmp_path, kind=kind)).prices("SPY", START, END)
    assert {name: str(kind) for name, kind in frame.dtypes.items()} == PRICE_COLUMNS
    expected = pd.DataFrame(
        {
            "symbol": ["SPY"] * 3,
            "session": pd.to_datetime(["2024-01-02", "2024-01-03", "2024-01-04"]),
            "open": [9, np.nan, 10],
            "high": [10, np.nan, 12],
            "low": [8, np.nan, 9.5],
            "close": [9.75, 10.5, 11],
            "volume": [2000, np.nan, 1000],
            "dividend": [0.5, 0, 0],
            "capital_gain": [0.0] * 3,
            "split_ratio": [1.0, 2, 1],
            "vendor_adj_close": [np.nan] * 3,
        }
    ).astype(PRICE_COLUMNS)
    pd.testing.assert_frame_equal(frame.reset_index(drop=True), expected, check_exact=True)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("column", ["open", "high", "low", "volume"])
def test_a_column_may_be_empty_throughout(tmp_path, kind, column):
    """A column in which the vendor never has a value is all NaN, of type float."""
    with duckdb.connect() as con:
        con.read_csv(str(write(tmp_path / "full") / "prices.csv"))
        text = (
            con.sql(f"select * replace (null as {column}) from '{tmp_path}/full/prices.csv'").df().to_csv(index=False)
        )
    frame = FilesSource(write(tmp_path / "part", text, kind)).prices("SPY", START, END)
    assert frame[column].isna().all()
    assert str(frame[column].dtype) == "float64"


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_optional_columns(tmp_path, kind):
    """Capital gains and the vendor's adjusted close are read where there are such columns; a blank gain is none."""
    header = HEADER.strip() + ",capital_gain,vendor_adj_close\n"
    rows = "SPY,2024-01-02,9,10,8,9.75,2000,0.5,1,0.25,9.5\nSPY,2024-01-03,9,10,8,9.75,2000,0.5,1,,\n"
    frame = FilesSource(write(tmp_path, header + rows, kind)).prices("SPY", START, END)
    assert frame["capital_gain"].tolist() == [0.25, 0]
    assert frame["vendor_adj_close"].tolist() == pytest.approx([9.5, np.nan], nan_ok=True)


def test_columns_may_come_in_any_order(tmp_path):
    """Columns are found by name."""
    frame = pd.read_csv(write(tmp_path / "a") / "prices.csv")
    write(tmp_path / "b", frame[frame.columns[::-1]].to_csv(index=False))
    one, other = (FilesSource(tmp_path / name).prices("SPY", START, END) for name in "ab")
    pd.testing.assert_frame_equal(one.reset_index(drop=True), other.reset_index(drop=True))


def test_parquet_wins_over_csv(tmp_path):
    """Where both files are there, the Parquet file is read."""
    write(tmp_path, kind="parquet")
    write(tmp_path, HEADER + "SPY,2024-01-02,1,1,1,1,1,0,1\n")
    assert len(FilesSource(tmp_path).prices("SPY", START, END)) == 3


@pytest.mark.parametrize(
    ("start", "end", "days"),
    [
        (START, END, [2, 3, 4]),
        (date(2024, 1, 3), date(2024, 1, 3), [3]),
        (date(2023, 12, 1), date(2024, 1, 2), [2]),
        (date(2024, 1, 4), date(2030, 1, 1), [4]),
        (date(2024, 1, 5), date(2024, 2, 1), []),
        (END, START, []),
    ],
)
def test_the_range_includes_both_ends(tmp_path, start, end, days):
    """Rows from start to end are given, both included; a range without rows is an empty frame of the same types."""
    frame = FilesSource(write(tmp_path)).prices("SPY", start, end)
    assert frame["session"].dt.day.tolist() == days
    assert {name: str(kind) for name, kind in frame.dtypes.items()} == PRICE_COLUMNS


@pytest.mark.parametrize("symbol", ["QQQ", "spy", "", "SPY' or '1'='1"])
def test_an_unknown_symbol(tmp_path, symbol):
    """A symbol without a row raises SymbolNotFound, in one sentence that names the file."""
    folder = write(tmp_path)
    with pytest.raises(SymbolNotFound, match=r"prices\.csv has no row of .*; add its prices, or drop it[^\n]*\.$"):
        FilesSource(folder).prices(symbol, START, END)


@pytest.mark.parametrize("column", HEADER.strip().split(","))
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_missing_column(tmp_path, column, kind):
    """A file without a required column is not usable, and the column is named."""
    frame = pd.read_csv(write(tmp_path / "a") / "prices.csv").drop(columns=column)
    unavailable(write(tmp_path / "b", frame.to_csv(index=False), kind), f"lacks the column {column}")


@pytest.mark.parametrize("column", ["adj_close", "Close", "comment"])
def test_an_unknown_column(tmp_path, column):
    """A column that is not in the layout is refused by name, since it may be a misspelled one."""
    frame = pd.read_csv(write(tmp_path / "a") / "prices.csv").assign(**{column: 1})
    unavailable(write(tmp_path / "b", frame.to_csv(index=False)), f"unknown column {column}")


@pytest.mark.parametrize("column", ["open", "high", "low", "close", "volume", "dividend", "split_ratio", "session"])
def test_text_in_a_typed_column(tmp_path, column):
    """Text where a number or date belongs makes the file unusable; it does not become NaN."""
    frame = pd.read_csv(write(tmp_path / "a") / "prices.csv", dtype=str)
    frame.loc[1, column] = "n/a"
    unavailable(write(tmp_path / "b", frame.to_csv(index=False)), "n/a")


@pytest.mark.parametrize("content", [b"", b"garbage", b"PAR1" + b"\0" * 100 + b"PAR1", b"\xff" * 5000])
@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_garbage(tmp_path, content, ending):
    """A file that is not what its name says is SourceUnavailable with one sentence."""
    (tmp_path / f"prices.{ending}").write_bytes(content)
    unavailable(tmp_path, f"prices.{ending}")


def test_a_truncated_parquet_file(tmp_path):
    """A Parquet file cut off while it was copied is SourceUnavailable."""
    path = write(tmp_path, kind="parquet") / "prices.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    unavailable(tmp_path, "prices.parquet")


def test_a_ragged_row_is_told_as_such(tmp_path):
    """A row with too few fields is not reported as a missing column, since all columns are there."""
    write(tmp_path, HEADER + ROWS + "SPY,2024-01-05,1,2\n")
    with pytest.raises(SourceUnavailable) as caught:
        FilesSource(tmp_path).prices("SPY", START, END)
    assert "lacks the column symbol" not in str(caught.value)


@pytest.mark.parametrize("session", ["01/02/2024", "2/1/2024", "02.01.2024"])
def test_an_ambiguous_date_is_not_guessed_at(tmp_path, session):
    """A date not written as YYYY-MM-DD is refused: day and month could be exchanged without anyone noticing."""
    write(tmp_path, HEADER + f"SPY,{session},1,1,1,1,1,0,1\n")
    unavailable(tmp_path, "session")


@pytest.mark.parametrize(
    "session", ["epoch", "infinity", "2024-01-02x", "24-01-02", "2024-01-02 (BC)", "0001-01-01", "9999-12-31"]
)
def test_what_the_database_takes_for_a_date_is_none(tmp_path, session):
    """A text that DuckDB would read as a day, though it is none or lies in no year of market data, is refused."""
    write(tmp_path, HEADER + f"SPY,{session},1,1,1,1,1,0,1\n")
    unavailable(tmp_path, "session")


@pytest.mark.parametrize("dataset", FRAMES)
@pytest.mark.parametrize(("value", "says"), [(float("inf"), "1 infinite number in"), (True, "true and false in")])
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_what_is_no_number_is_none(tmp_path, dataset, value, says, kind):
    """Infinity, and in Parquet true, is refused in each dataset where a number belongs; it was read as a price, and true as 1."""
    day = list(FRAMES[dataset])[1]
    numbers = [name for name in REQUIRED[dataset] if FRAMES[dataset][name] == "float64"]
    kinds = {"object": "A", "datetime64[s]": "2024-01-02", "float64": 1.0}
    row = {name: kinds[FRAMES[dataset][name]] for name in REQUIRED[dataset]} | {numbers[0]: value}
    path = tmp_path / f"{dataset}.{kind}"
    frame = pd.DataFrame([row])
    if kind == "csv":
        frame.to_csv(path, index=False)
    else:
        frame.astype({day: "datetime64[ns]"}).to_parquet(path)
    with pytest.raises(SourceUnavailable, match=says if kind == "parquet" or value is not True else "True"):
        read(path, dataset)


@pytest.mark.parametrize("row", [",2024-01-03,1,1,1,1,1,0,1\n", "SPY,,1,1,1,1,1,0,1\n"])
def test_a_row_without_symbol_or_session_is_not_dropped_silently(tmp_path, row):
    """A row that belongs to no symbol or no session makes the file unusable instead of vanishing."""
    write(tmp_path, HEADER + ROWS + row)
    unavailable(tmp_path)


def test_an_empty_folder(tmp_path):
    """A folder without prices.* raises SourceUnavailable with the expected files."""
    with pytest.raises(SourceUnavailable, match=r"holds neither prices\.parquet nor prices\.csv; put one[^\n]*\.$"):
        FilesSource(tmp_path)


@pytest.mark.parametrize("name", ["my vendor's", 'a "b"', "x[1]", "st*r", "qu?", "a;b", "ümläut", "{a,b}", "%41"])
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_any_name_of_the_folder(tmp_path, name, kind):
    """Quotes, wildcards and the like in the folder's name are part of the name and nothing else."""
    assert len(FilesSource(write(tmp_path / name, kind=kind)).prices("SPY", START, END)) == 3


def test_bars_given_twice_are_kept(tmp_path):
    """A bar that is in the file twice is given twice, for the audit to see."""
    frame = FilesSource(write(tmp_path, HEADER + ROWS + ROWS)).prices("SPY", START, END)
    assert frame["session"].dt.day.tolist() == [2, 2, 3, 3, 4, 4]


def test_real_data(real_data):
    """The real file parses: every symbol has rows in order, each with a close, with nothing lost on the way."""
    source = FilesSource(real_data / "files")
    with duckdb.connect() as con:
        counts = dict(
            con.execute(
                "select symbol, count(*) from read_parquet($1) group by 1",
                [str(real_data / "files" / "prices.parquet")],
            ).fetchall()
        )
    assert len(counts) == 32
    for symbol, count in counts.items():
        frame = source.prices(symbol, date(1990, 1, 1), date(2030, 1, 1))
        assert {name: str(kind) for name, kind in frame.dtypes.items()} == PRICE_COLUMNS
        assert len(frame) == count
        assert frame["session"].is_monotonic_increasing
        assert frame["session"].is_unique
        assert frame["close"].gt(0).all()
        assert frame["dividend"].ge(0).all()


ESTIMATES = (
    "symbol,as_of,period_end_current_year,period_end_next_year,eps_year_ago,eps_current_year,eps_next_year,growth_next_year,price\n"
    "AAA,2024-01-02,2023-12-31,2024-12-31,4,5,5.5,0.1,100\n"
    "AAA,2024-01-04,2023-12-31,2024-12-31,4,5,6,0.2,\n"
)


def test_holdings_and_estimates(tmp_path):
    """Holdings and dated estimates come from files as well: each snapshot up to the day, what a column lacks as NaN."""
    folder = write(tmp_path)
    held = "fund_symbol,as_of,symbol,name,weight\nSPY,2024-01-02,AAA,A,0.9\nSPY,2024-01-02,,Cash,0.1\n"
    (folder / "holdings.csv").write_text(held, encoding="utf-8")
    (folder / "earnings_growth.csv").write_text(ESTIMATES, encoding="utf-8")
    source = FilesSource(folder)
    holdings = source.holdings("SPY", END)
    assert holdings[["symbol", "weight", "source"]].to_numpy().tolist() == [["AAA", 0.9, "files"], [None, 0.1, "files"]]
    assert source.offers([instrument("SPY"), instrument("IWM")]) == [Offer("holdings", "SPY", 0)]
    estimates = source.earnings_growth("AAA", END)
    assert {name: str(kind) for name, kind in estimates.dtypes.items()} == EARNINGS_GROWTH_COLUMNS
    assert estimates["period_end_next_year"].tolist() == [pd.Timestamp(2024, 12, 31)] * 2
    assert estimates["eps_next_year"].tolist() == [5.5, 6.0]
    assert estimates["price"].tolist() == pytest.approx([100.0, float("nan")], nan_ok=True)
    assert len(source.earnings_growth("AAA", START)) == 1
    # The companies requested are those of the holdings: one without an estimate is no failure.
    assert source.earnings_growth("BBB", END).empty


def test_an_estimate_without_its_period_is_refused(tmp_path):
    """An estimate without the fiscal year that it is for says nothing: a file without that column is not usable."""
    frame = pd.read_csv(StringIO(ESTIMATES)).drop(columns="period_end_next_year")
    frame.to_csv(write(tmp_path) / "earnings_growth.csv", index=False)
    unavailable(tmp_path, "earnings_growth.csv lacks the column period_end_next_year")
