"""Every vendor's export of one market gives the same bars; what a file does not say is a question; what is wrong is one sentence with its place."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import exports
import pandas as pd
import pytest

from market_rotation.tasks.errors import ConfigError
from market_rotation.tasks.importing.questions import Asked
from market_rotation.tasks.importing.understand import understand
from market_rotation.tasks.importing.write import write
from market_rotation.tasks.sources.files import FilesSource

MARKET = exports.market()
START, END = exports.SESSIONS[0], exports.SESSIONS[-1]


def put(folder: Path, text: str, name: str = "IWM.csv") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize("name", exports.EXPORTS)
def test_exports(tmp_path: Path, name: str) -> None:
    """The export, understood, written and read by the source `files`, is the market; a column it has not is blank or says none."""
    make, answers, columns = exports.EXPORTS[name]
    folder = tmp_path / "theirs"
    folder.mkdir()
    make(folder, MARKET)
    found, unread = understand(folder, answers)
    assert unread == []
    write(tmp_path / "ours", found)
    source = FilesSource(tmp_path / "ours")
    for symbol in exports.SYMBOLS:
        read = source.prices(symbol, START, END).reset_index(drop=True)
        expected = MARKET[MARKET["symbol"] == symbol].reset_index(drop=True)
        assert list(read["session"].dt.date) == list(expected["session"])
        for column in ("open", "high", "low", "close", "volume"):
            if column in columns:
                assert read[column].tolist() == pytest.approx(expected[column].tolist(), abs=1e-6), column
            else:
                assert read[column].isna().all(), column
        # Dividends found in adjusted closes have the precision of their six decimals.
        dividends = expected["dividend"] if "dividend" in columns else expected["dividend"] * 0
        assert read["dividend"].tolist() == pytest.approx(dividends.tolist(), abs=1e-5)
        splits = expected["split_ratio"] if "split_ratio" in columns else expected["split_ratio"] * 0 + 1
        assert read["split_ratio"].tolist() == splits.tolist()


def test_the_exports_have_what_matters() -> None:
    """The market has a split and dividends, and no two exports are the same text by mistake."""
    assert (MARKET["split_ratio"] != 1).sum() == 1
    assert (MARKET["dividend"] > 0).sum() == 3
    assert MARKET["adj_close"].notna().all()
    assert len(exports.EXPORTS) == 15


@pytest.mark.parametrize("name", [name for name, (_, answers, _) in exports.EXPORTS.items() if answers])
def test_what_a_file_does_not_say_is_asked(tmp_path: Path, name: str) -> None:
    """Without an answer nothing is guessed: each question comes with its answers, one after the other, and no more than are needed."""
    make, answers, _ = exports.EXPORTS[name]
    make(tmp_path, MARKET)
    given: dict[str, str] = {}
    for _ in answers:
        with pytest.raises(Asked) as asked:
            understand(tmp_path, given)
        question = asked.value.question
        assert f"--take {question.key}={answers[question.key]}" in str(asked.value)
        given[question.key] = answers[question.key]
    assert given == answers
    understand(tmp_path, given)


ROW = "Date,Open,High,Low,Close,Adj Close,Volume\n"
GOOD = ROW + "2024-01-02,1,1,1,1.00,1.000000,10\n"

#: A file that is wrong, and what the one sentence says.
WRONG: dict[str, tuple[str, str]] = {
    "a number": (ROW + "2024-01-02,1,1,1,1x,1,10\n", "line 2, column 5 (Close): '1x' is not a number"),
    "a day": (
        ROW + "2024-13-02,1,1,1,1,1,10\n",
        "line 2, column 1: '2024-13-02' is not a date; write it as YYYY-MM-DD",
    ),
    "a serial day": (ROW + "45293,1,1,1,1,1,10\n", "line 2, column 1: '45293' is not a date"),
    "a short line": (ROW + "2024-01-02,1,1\n", "line 2, column 4: the header has 7 columns and this line has 3"),
    "a long line": (
        ROW + "2024-01-02,1,1,1,1,1,10,9\n",
        "line 2, column 8: the header has 7 columns and this line has 8",
    ),
    "an open quote": (ROW + '2024-01-02,"1,1,1,1,1,10\n', "line 2: not CSV"),
    "a day twice": (GOOD + "2024-01-02,1,1,1,1,1,10\n", "line 3: IWM has a second row of 2024-01-02"),
    "both orders": (
        ROW + "13/02/2024,1,1,1,1,1,10\n02/13/2024,1,1,1,1,1,10\n",
        "some dates have the month first and some the day",
    ),
    "a web page": ("<!DOCTYPE html><html></html>", "is a web page and not CSV"),
    "nothing": (" \n", "is empty"),
    "no rows": (ROW, "has a header but no rows"),
    "no dates": ("a,b\n1,2\n", "has no column of dates"),
    "no dataset": ("Date,a,b\n2024-01-02,1,2\n", "are those of no dataset"),
    "two closes": ("Date,Close,Last\n2024-01-02,1,2\n", "the columns Close and Last could both be close"),
    "yfinance adjusted": (
        "Date,Open,High,Low,Close,Volume,Dividends,Stock Splits\n2024-01-02,1,1,1,1,1,0,0\n",
        "download them again with auto_adjust=False, actions=True",
    ),
    "no splits": (
        "timestamp,open,high,low,close,volume\n2024-01-02,1,1,1,1,1\n",
        "the closes are as traded and no column has the splits",
    ),
    "a symbol": ("Symbol,Date,Close,Adj Close\nI WM,2024-01-02,1,1.0000\n", "line 2, column 1: 'I WM' is not a symbol"),
    "weeks": (
        ROW + "".join(f"2024-0{m}-0{d},1,1,1,1,1.000000,1\n" for m in (1, 2, 3) for d in (1, 8)),
        "the rows of IWM are",
    ),
    "adjusted upwards": (
        ROW + "2024-01-02,1,1,1,10.00,10.000000,1\n2024-01-03,1,1,1,10.00,9.000000,1\n",
        "step the wrong way on 2024-01-03",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_named_with_its_place(tmp_path: Path, name: str) -> None:
    """One sentence with the file, and the line and column where there is one."""
    text, said = WRONG[name]
    folder = put(tmp_path / "x", text)
    with pytest.raises(ConfigError) as caught:
        understand(folder, {"dividends": "none"})
    message = str(caught.value)
    assert said in message
    assert "\n" not in message
    assert message.endswith(".")
    assert name == "adjusted upwards" or str(folder / "IWM.csv") in message


def test_two_files_that_disagree(tmp_path: Path) -> None:
    """A symbol's day in two files is refused, not chosen from."""
    put(put(tmp_path / "x", GOOD), GOOD, "iwm_us_d.csv")
    with pytest.raises(
        ConfigError, match=r"IWM.csv and .*iwm_us_d.csv both have prices of IWM on 2024-01-02; leave one out"
    ):
        understand(tmp_path / "x", {})


@pytest.mark.parametrize(
    ("days", "order"),
    [
        # A day above 12.
        (("01/02/2024", "01/31/2024"), date(2024, 1, 2)),
        (("02/01/2024", "31/01/2024"), date(2024, 1, 2)),
        # Neither: with the day first, 04/05/2024 would be a Saturday.
        (("04/05/2024", "04/08/2024"), date(2024, 4, 5)),
        # Forms that say it.
        (("02-Jan-2024", "03-Jan-2024"), date(2024, 1, 2)),
        (("Jan 02, 2024", "Jan 03, 2024"), date(2024, 1, 2)),
        (("20240102", "20240103"), date(2024, 1, 2)),
        (("2024-01-02T21:00:00Z", "2024-01-03T21:00:00Z"), date(2024, 1, 2)),
        # Evening in New York is the next day in UTC.
        (("2024-01-03T01:30:00+00:00", "2024-01-04T01:30:00+00:00"), date(2024, 1, 2)),
        (("2024-01-02T05:00:00+00:00", "2024-01-03T05:00:00+00:00"), date(2024, 1, 2)),
    ],
)
def test_days(tmp_path: Path, days: tuple[str, ...], order: date) -> None:
    """The first row's day, whatever way it is written."""
    rows = "".join(f'"{day}",1.00,1.000000\n' for day in days)
    (found,), _ = understand(put(tmp_path / "x", "Date,Close,Adj Close\n" + rows), {})
    assert order in [pd.Timestamp(day).date() for day in found.frame["session"]]


def test_days_that_fit_both_orders(tmp_path: Path) -> None:
    """Where neither a day above 12 nor a weekend decides, it is asked."""
    folder = put(tmp_path / "x", "Date,Close,Adj Close\n01/02/2024,1.00,1.000000\n")
    with pytest.raises(Asked, match=r"does the month or the day come first in dates such as 01/02/2024"):
        understand(folder, {})
    for answer, day in (("month-first", date(2024, 1, 2)), ("day-first", date(2024, 2, 1))):
        (found,), _ = understand(folder, {"dates": answer})
        assert [pd.Timestamp(when).date() for when in found.frame["session"]] == [day]


@pytest.mark.parametrize(
    ("stem", "symbol"),
    [
        ("IWM", "IWM"),
        ("iwm_us_d", "IWM"),
        ("brk-b.us", "BRK-B"),
        ("BRK.B", "BRK-B"),
        ("daily_adjusted_IWM", "IWM"),
        ("IWM historical data", "IWM"),
        ("^VIX", "^VIX"),
        ("DX-Y.NYB", None),
        ("my prices of 2024", None),
        ("prices", None),
        ("D", None),
    ],
)
def test_the_symbol_of_a_file(tmp_path: Path, stem: str, symbol: str | None) -> None:
    """A file's name says its symbol, or it is asked for in one sentence."""
    folder = put(tmp_path / "x", GOOD, f"{stem}.csv")
    if symbol is None:
        with pytest.raises(ConfigError, match="neither a column nor the file's name says the symbol"):
            understand(folder, {})
    else:
        (found,), _ = understand(folder, {})
        assert found.symbols == [symbol]


def test_blanks_are_reported(tmp_path: Path) -> None:
    """A blank dividend is none and a row without a close is left out, and both are said."""
    text = "symbol,session,open,high,low,close,volume,dividend,split_ratio\n"
    text += "IWM,2024-01-02,1,1,1,1,1,,1\nIWM,2024-01-03,1,1,1,,1,0,1\nIWM,2024-01-04,1,1,1,1,1,0,1\n"
    (found,), _ = understand(put(tmp_path / "x", text), {})
    assert len(found.frame) == 2
    assert {"1 blank dividend taken as none", "1 row without a close left out"} <= set(found.notes)


OTHERS = {
    "fund_nav": 'Ticker,As Of,NAV per Share,Shares Outstanding,Distribution\nIWM,"Jan 02, 2024",200.5,"1,000,000",--\n',
    "fund_facts": "symbol,as_of,expense_ratio,category\nIWM,2024-01-02,0.19,Small Blend\n",
    "holdings": "fund_symbol,as_of,symbol,name,weight\nIWM,2024-01-02,AAA,A,60\nIWM,2024-01-02,,Cash,40\n",
    "earnings_growth": "symbol,as_of,period_end_current_year,period_end_next_year,eps_year_ago,eps_current_year,eps_next_year\n"
    "AAPL,2024-01-02,2024-09-30,2025-09-30,6.1,6.6,7.2\n",
}


def test_the_other_datasets(tmp_path: Path) -> None:
    """Fund records, facts, holdings and estimates are recognised by their columns; percent become fractions, and that is said."""
    folder = put(tmp_path / "x", GOOD)
    for number, text in enumerate(OTHERS.values()):
        put(folder, text, f"file{number}.csv")
    found, _ = understand(folder, {})
    assert {one.dataset for one in found} == {"prices", *OTHERS}
    write(tmp_path / "ours", found)
    source, day = FilesSource(tmp_path / "ours"), date(2024, 1, 31)
    nav = source.fund_nav("IWM", date(2024, 1, 1), day)
    assert (nav["nav"].tolist(), nav["shares_outstanding"].tolist()) == ([200.5], [1e6])
    assert nav["distribution"].isna().all()
    assert source.fund_facts("IWM", day)["expense_ratio"].tolist() == pytest.approx([0.0019])
    assert source.holdings("IWM", day)["weight"].tolist() == pytest.approx([0.6, 0.4])
    assert source.earnings_growth("AAPL", day)["eps_next_year"].tolist() == [7.2]
    notes = {one.dataset: one.notes for one in found}
    assert "weight in the file is in percent" in notes["holdings"]
    assert "expense_ratio in the file is in percent" in notes["fund_facts"]


@pytest.mark.parametrize(
    ("values", "unit"),
    [("0.0019 0.0003", 0.0019), ("0.19 0.03", 0.0019), ("0.025 0.0003", None), ("0.02 0.19", None)],
)
def test_expense_ratios_in_either_unit(tmp_path: Path, values: str, unit: float | None) -> None:
    """Fractions and percent are told from their size; where both fit, it is asked."""
    rows = "".join(f"A{n},2024-01-02,{value}\n" for n, value in enumerate(values.split()))
    folder = put(put(tmp_path / "x", GOOD), "symbol,as_of,expense_ratio\n" + rows, "facts.csv")
    if unit is None:
        with pytest.raises(Asked, match="fractions or percent"):
            understand(folder, {})
    else:
        (_, facts), _ = understand(folder, {})
        assert facts.frame["expense_ratio"].tolist()[0] == pytest.approx(unit)


def test_weights_that_are_no_whole(tmp_path: Path) -> None:
    """Weights that add up to neither 1 nor 100 are refused."""
    text = OTHERS["holdings"].replace(",60", ",30")
    with pytest.raises(ConfigError, match="add up to 70, neither near 1 nor near 100"):
        understand(put(tmp_path / "x", text, "h.csv"), {})
