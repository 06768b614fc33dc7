"""State Street: the genuine client against a server with its file formats, and files of every odd kind."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from typing import Any

import pandas as pd
import pytest
from issuer_market import END, EVER, START, Market, refused, same_nav
from openpyxl import Workbook
from vendor.fixtures import vendor, vendor_server  # noqa: F401
from vendor.server import Vendor

from market_rotation.tasks.datasets import HOLDINGS_COLUMNS
from market_rotation.tasks.errors import RateLimited, RotationError, SourceUnavailable, SymbolNotFound
from market_rotation.tasks.sources.issuers import ssga as module
from market_rotation.tasks.sources.issuers.ssga import SsgaSource, parse_holdings, parse_nav_history

IDS = {"SPY": "spy", "XLK": "xlk", "XLF": "xlf"}


@pytest.fixture
def issuer(vendor: Vendor) -> Vendor:  # noqa: F811
    """The server with the fake market, some days after its end."""
    vendor.issuers.source = Market()
    vendor.now = datetime(2026, 1, 20, 22, 0, tzinfo=UTC)
    return vendor


def nav(rows: list[list[Any]], ticker: str = "SPY", header: list[str] | None = None) -> bytes:
    """A small NAV history file."""
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["Fund Name:", "A fund"])
    sheet.append(["Ticker Symbol:", ticker])
    names = header or ["Date", "NAV", "Shares Outstanding", "Total Net Assets"]
    for column, name in enumerate(names, start=1):
        sheet.cell(4, column, name)
    for row in rows:
        sheet.append(row)
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


GOOD = ["05-Dec-2025", 146.62, 650611794, 95392699237.0]


def parse(content: bytes) -> pd.DataFrame:
    return parse_nav_history(content, "SPY", *EVER)


# ---- good answers ----


def test_nav_history_is_exactly_the_issuers(issuer: Vendor) -> None:
    """Every row arrives oldest first and bit for bit, through absent row, trademark sign, dashes and disclaimers."""
    source = SsgaSource(IDS, timeout_s=10)
    got = source.fund_nav("XLK", *EVER)
    same_nav(got, Market().fund_nav("XLK", *EVER))
    assert set(got["source"]) == {"ssga"}
    assert got["session"].duplicated().sum() == 1
    assert got["session"].is_monotonic_increasing
    assert math.isnan(got["shares_outstanding"][7])
    assert math.isnan(got["nav"][8])


def test_a_range_is_cut_and_may_be_empty(issuer: Vendor) -> None:
    """Both ends are included, and a range without rows in a good file is zero rows with the right types."""
    source = SsgaSource(IDS, timeout_s=10)
    week = (date(2026, 1, 12), date(2026, 1, 16))
    same_nav(source.fund_nav("XLK", *week), Market().fund_nav("XLK", *week))
    same_nav(
        source.fund_nav("XLK", date(2020, 1, 1), date(2020, 2, 1)),
        Market().fund_nav("XLK", date(2020, 1, 1), date(2020, 2, 1)),
    )


def test_holdings(issuer: Vendor) -> None:
    """Weights are fractions, BRK.B is Yahoo's BRK-B, cash has no symbol, and the date is the file's."""
    got = SsgaSource(IDS, timeout_s=10).holdings("SPY", date(2026, 1, 20))
    assert dict(got.dtypes.astype(str)) == HOLDINGS_COLUMNS
    assert got["symbol"].tolist() == ["AAPL", "BRK-B", None, "MA"]
    assert got["weight"].tolist() == pytest.approx([0.61, 0.33, 0.04, 0.02])
    assert set(got["as_of"]) == {pd.Timestamp(END)}
    assert set(got["fund_symbol"]) == {"SPY"}


def test_each_file_is_downloaded_once(issuer: Vendor) -> None:
    """Eight threads and four ranges of two funds, with holdings, cost four downloads."""
    source = SsgaSource(IDS, timeout_s=10)
    with ThreadPoolExecutor(8) as pool:
        frames = list(pool.map(lambda symbol: source.fund_nav(symbol, START, END), ["SPY", "XLK"] * 4))
        list(pool.map(lambda symbol: source.holdings(symbol, END), ["SPY", "XLK"] * 4))
    assert [frame["symbol"].iloc[0] for frame in frames] == ["SPY", "XLK"] * 4
    assert [issuer.count(f"{kind}-us-en-") for kind in ("navhist", "holdings-daily")] == [2, 2]


def test_the_server_serves_the_simulated_market_by_default(vendor: Vendor) -> None:  # noqa: F811
    """By default the endpoint serves the simulated market, a day late like the issuer."""
    vendor.now = datetime(2026, 1, 16, 22, 0, tzinfo=UTC)
    got = SsgaSource(IDS, timeout_s=10).fund_nav("SPY", date(2026, 1, 5), date(2026, 1, 16))
    assert len(got) == 9
    assert got["session"].iloc[-1] == pd.Timestamp("2026-01-15")


# ---- faults ----


@pytest.mark.long_after(1)
@pytest.mark.parametrize(
    ("kind", "error", "says"),
    [
        ("http_404", SourceUnavailable, "HTTP 404; check its issuer_id"),
        ("http_429", RateLimited, "HTTP 429"),
        ("http_500", SourceUnavailable, "HTTP 500"),
        ("html_200", SourceUnavailable, "web page"),
        ("empty", SourceUnavailable, "empty"),
        ("truncated", SourceUnavailable, "cut off"),
        ("german", SourceUnavailable, "no table Date | NAV"),
        ("wrong_ticker", SourceUnavailable, "its file is of XYZ"),
        ("hang", SourceUnavailable, "whole file within 0.5 s"),
    ],
)
def test_a_fault_is_one_sentence_and_not_remembered(
    kind: str, error: type[RotationError], says: str, issuer: Vendor
) -> None:
    """Each fault is refused with its class and reason, on two requests, and ends when the issuer recovers."""
    source = SsgaSource(IDS, timeout_s=0.5 if kind == "hang" else 10)
    issuer.issuers.fault("XLK", kind)
    for _ in range(2):
        refused(lambda: source.fund_nav("XLK", START, END), "NAV history of XLK", says, error=error)
    assert issuer.count("navhist-us-en-xlk") == 2
    issuer.heal()
    assert len(SsgaSource(IDS, timeout_s=10).fund_nav("XLK", START, END)) == 36
    if kind != "hang":
        assert len(source.fund_nav("XLK", START, END)) == 36


def test_what_only_an_audit_can_tell_passes(issuer: Vendor) -> None:
    """A missing newest row, repeated share counts and cells of the date type are read as they stand."""
    good = Market().fund_nav("XLK", *EVER)

    def under(kind: str) -> pd.DataFrame:
        issuer.heal()
        issuer.issuers.fault("XLK", kind)
        return SsgaSource(IDS, timeout_s=10).fund_nav("XLK", *EVER)

    same_nav(under("missing_today"), good.iloc[:-1])
    assert under("frozen_shares")["shares_outstanding"].tail(10).nunique() == 1
    same_nav(under("resaved_xlsx"), good)


def test_a_symbol_without_an_id_is_not_asked_for(issuer: Vendor) -> None:
    """A symbol that the universe gives no issuer's id for is unknown, without a request."""
    source = SsgaSource(IDS, timeout_s=10)
    for call in (lambda: source.fund_nav("VOO", START, END), lambda: source.holdings("VOO", END)):
        refused(call, "VOO", "issuer_id", error=SymbolNotFound)
    assert issuer.requests == []


# ---- files of any shape ----


def test_the_table_is_found_by_its_header() -> None:
    """Other columns between, another order and a further row above change nothing."""
    header = ["Date", "Note", "Total Net Assets", "NAV", "Shares Outstanding"]
    frame = parse(nav([["05-Dec-2025", "x", 5.0, 2.0, 3.0]], header=header))
    assert frame[["nav", "shares_outstanding", "total_net_assets_usd"]].to_numpy().tolist() == [[2.0, 3.0, 5.0]]


def test_numbers_as_text() -> None:
    """Grouped digits and exponents are numbers; dashes and empty cells are NaN, if the row has a date."""
    rows = [["05-Dec-2025", "146.62", "650,611,794", "9.5E10"], ["04-Dec-2025", "-", None, "--"], ["03-Dec-2025"]]
    frame = parse(nav(rows))
    assert frame["session"].tolist() == [pd.Timestamp(f"2025-12-0{n}") for n in (3, 4, 5)]
    assert frame.iloc[2][["nav", "shares_outstanding", "total_net_assets_usd"]].tolist() == [
        146.62,
        650611794.0,
        9.5e10,
    ]
    assert frame.iloc[:2][["nav", "shares_outstanding", "total_net_assets_usd"]].isna().all(axis=None)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (["05-Dez-2025", 1.0, 2.0, 3.0], ("row 6", "'05-Dez-2025'", "Date")),
        (["31-Feb-2025", 1.0, 2.0, 3.0], ("row 6", "'31-Feb-2025'")),
        (["2025-12-05", 1.0, 2.0, 3.0], ("row 6", "'2025-12-05'")),
        ([None, 1.0, 2.0, 3.0], ("row 6", "''", "Date")),
        (["05-Dec-2025", "n/a", 2.0, 3.0], ("row 6", "'n/a'", "NAV")),
        (["05-Dec-2025", 1.0, "1,00", 3.0], ("row 6", "'1,00'", "Shares Outstanding")),
        (["05-Dec-2025", 1.0, 2.0, "#REF!"], ("#REF!",)),
        (["05-Dec-2025", "inf", 2.0, 3.0], ("row 6", "'inf'")),
        (["05-Dec-2025", "1e999", 2.0, 3.0], ("row 6", "'1e999'")),
        (["05-Dec-2025", True, 2.0, 3.0], ("row 6", "'True'")),
        (["05-Dec-2025", "1\n2" * 50, 2.0, 3.0], ("row 6",)),
    ],
)
def test_unknown_text_refuses_the_file(row: list[Any], says: tuple[str, ...]) -> None:
    """A date or number that is none is named with its row and value, and never becomes NaN or a missing row."""
    refused(lambda: parse(nav([GOOD, row])), "State Street", *says)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (nav([]), "header and no rows"),
        (nav([[None], ["Past performance is no guarantee."]]), "header and no rows"),
        (nav([GOOD], ticker="SPYG"), "of SPYG"),
        (nav([GOOD], ticker=""), "of no ticker"),
        (nav([GOOD], header=["Date", "NAV", "Shares"]), "no table"),
        (b"", "empty"),
        (b" \n", "empty"),
        (b"PK\x03\x04 and nothing more", "cut off or damaged"),
        (nav([GOOD])[:-30], "cut off or damaged"),
        (b"<!DOCTYPE html><html></html>", "web page"),
        (b"Date,NAV\n", "not a spreadsheet"),
    ],
)
def test_other_content_is_refused(content: bytes, says: str) -> None:
    """What is not a whole file of the asked fund is refused, each for its own reason."""
    refused(lambda: parse(content), "NAV history of SPY", says)


@pytest.mark.parametrize("sign", ["\N{TRADE MARK SIGN}", "\N{REGISTERED SIGN}", " \N{REGISTERED SIGN}", ""])
def test_a_trademark_sign_is_not_of_the_ticker(sign: str) -> None:
    """The sign that the issuer puts behind some tickers is looked past."""
    assert len(parse(nav([GOOD], ticker=f"SPY{sign}"))) == 1


def rezipped(content: bytes, change: Callable[[str, bytes], bytes]) -> bytes:
    """The archive with each member changed."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for member in old.namelist():
            new.writestr(member, change(member, old.read(member)))
    return target.getvalue()


def test_a_zip_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small file that would unpack beyond the limit is refused by its size alone, and one whose sheet is too wide too."""
    monkeypatch.setattr(module, "MAX_UNPACKED_BYTES", 1_000_000)
    bomb = rezipped(nav([GOOD]), lambda name, data: data + b" " * (2_000_000 if "sheet1" in name else 0))
    assert len(bomb) < 20_000
    refused(lambda: parse(bomb), "unpack to 2 MB")
    far = rezipped(nav([GOOD]), lambda _, data: data.replace(b'r="D5"', b'r="XFD1048576"'))
    refused(lambda: parse(far), "far beyond")


def test_damage_anywhere_is_a_sentence() -> None:
    """A byte turned over at any place gives the rows or a refusal, never another error."""
    content = nav([GOOD] * 3)
    outcomes = set()
    for at in range(0, len(content), 41):
        damaged = content[:at] + bytes([content[at] ^ 0x55]) + content[at + 1 :]
        try:
            outcomes.add(len(parse(damaged)))
        except SourceUnavailable:
            outcomes.add(-1)
    assert outcomes == {3, -1}


def test_holdings_dates_and_tickers() -> None:
    """Without a date of its own the file is dated as asked; what is no US ticker is None; no weight comes last."""

    def held(as_of: str | None) -> bytes:
        book = Workbook()
        sheet = book.active
        assert sheet is not None
        for row in (["Fund Name:", "A fund"], ["Ticker Symbol:", "SPY"], ["Holdings:", as_of], []):
            sheet.append(row or [None])
        sheet.append(["Name", "Ticker", "Identifier", "SEDOL", "Weight", "Sector", "Shares Held", "Local Currency"])
        for name, ticker, weight in (("FUTURE", "ESH6", "-"), ("-", "BF.B", 1.5), ("RIGHT", "2602335D", 0.5)):
            sheet.append([name, ticker, "-", "-", weight, "-", 1, "USD"])
        sheet.append([None])
        sheet.append(["The fund may change."])
        content = io.BytesIO()
        book.save(content)
        return content.getvalue()

    frame = parse_holdings(held(None), "SPY", END)
    assert frame["symbol"].tolist() == ["BF-B", None, None]
    assert frame["name"].tolist() == [None, "RIGHT", "FUTURE"]
    assert frame["weight"].tolist()[:2] == [0.015, 0.005]
    assert math.isnan(frame["weight"][2])
    assert set(frame["as_of"]) == {pd.Timestamp(END)}
    assert set(parse_holdings(held("As of 02-Jan-2026"), "SPY", END)["as_of"]) == {pd.Timestamp("2026-01-02")}
    refused(lambda: parse_holdings(held("As of 02.01.2026"), "SPY", END), "holdings of SPY", "'02.01.2026'")
