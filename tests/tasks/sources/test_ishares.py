"""iShares: the genuine client against a server with its file format, files of every odd kind, and a real file."""

from __future__ import annotations

import contextlib
import io
import math
import re
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from issuer_market import END, EVER, START, Market, refused, same_nav
from vendor.fixtures import vendor, vendor_server  # noqa: F401
from vendor.issuer_files import spreadsheetml
from vendor.server import Vendor

from market_rotation.tasks.datasets import HOLDINGS_COLUMNS
from market_rotation.tasks.errors import RateLimited, RotationError, SourceUnavailable, SymbolNotFound
from market_rotation.tasks.sources.issuers.ishares import ISharesSource, parse_holdings, parse_nav_history
from market_rotation.tasks.sources.issuers.spreadsheetml import read_sheets
from market_rotation.tasks.sources.issuers.tables import File

IDS = {"IVV": "239726", "IWM": "239710"}
NAMES = {"IVV": "iShares Core S&P 500 ETF", "IWM": "iShares Russell 2000 ETF"}


@pytest.fixture
def issuer(vendor: Vendor) -> Vendor:  # noqa: F811
    """The server with the fake market, some days after its end."""
    vendor.issuers.source = Market()
    vendor.now = datetime(2026, 1, 20, 22, 0, tzinfo=UTC)
    return vendor


def opened(timeout_s: float = 10) -> ISharesSource:
    return ISharesSource(IDS, timeout_s, names=NAMES)


HEADER = ["As Of", "NAV per Share", "Ex-Dividends", "Shares Outstanding"]
GOOD = ["Apr 01, 2026", 394.279541, "--", 707900000]
HOLDINGS_HEADER = ["Ticker", "Name", "Sector", "Asset Class", "Market Value", "Weight (%)"]


def book(history: list[list[Any]], *, header: list[str] | None = None, name: str = "Historical") -> bytes:
    """A small file with a NAV history and one holding."""
    head: list[list[Any]] = [["11-May-2022"], ["iShares Core S&P 500 ETF"], ["Fund Holdings as of", "May 11, 2022"]]
    held = [*head, HOLDINGS_HEADER, ["BRKB", "BERKSHIRE &amp; CO", "-", "Equity", 1, 1.5]]
    return spreadsheetml({"Holdings": held, name: [header or HEADER, *history]})


def parse(content: bytes) -> pd.DataFrame:
    return parse_nav_history(content, "IVV", *EVER, name=NAMES["IVV"])


# ---- good answers ----


def test_nav_history_is_exactly_the_issuers(issuer: Vendor) -> None:
    """Every row arrives oldest first and bit for bit, with its distribution, and no total is made up."""
    got = opened().fund_nav("IVV", *EVER)
    same_nav(got, Market().fund_nav("IVV", *EVER), absent="total_net_assets_usd")
    assert set(got["source"]) == {"ishares"}
    assert got["distribution"].notna().sum() == 1
    assert got["session"].duplicated().sum() == 1
    assert got["session"].iloc[-1].day_name() == "Saturday"


def test_a_range_is_cut_and_may_be_empty(issuer: Vendor) -> None:
    """Both ends are included, and a range without rows in a good file is zero rows with the right types."""
    source = opened()
    for span in ((date(2026, 1, 12), date(2026, 1, 16)), (date(2020, 1, 1), date(2020, 2, 1))):
        same_nav(source.fund_nav("IWM", *span), Market().fund_nav("IWM", *span), absent="total_net_assets_usd")


def test_holdings(issuer: Vendor) -> None:
    """Weights are fractions, BRKB is Yahoo's BRK-B and MA stays MA, cash called USD has no symbol, the date is the file's."""
    got = opened().holdings("IVV", date(2026, 1, 20))
    assert dict(got.dtypes.astype(str)) == HOLDINGS_COLUMNS
    assert got["symbol"].tolist() == ["AAPL", "BRK-B", None, "MA"]
    assert got["weight"].tolist() == pytest.approx([0.61, 0.33, 0.04, 0.02])
    assert set(got["as_of"]) == {pd.Timestamp(END)}


def test_one_file_serves_both_datasets(issuer: Vendor) -> None:
    """Eight threads that request NAV and holdings of two funds cause two downloads, in English."""
    source = opened()
    calls: list[Callable[[str], pd.DataFrame]] = [
        lambda symbol: source.fund_nav(symbol, START, END),
        lambda symbol: source.holdings(symbol, END),
    ]
    with ThreadPoolExecutor(8) as pool:
        frames = list(pool.map(lambda n: calls[n % 2](["IVV", "IWM"][n // 2 % 2]), range(16)))
    assert [len(frame) for frame in frames] == [36, 4] * 8
    assert issuer.count("get-fund-document") == 2
    assert {seen.query["locale"] for seen in issuer.requests} == {"en_US"}


def test_the_server_serves_the_simulated_market_by_default(vendor: Vendor) -> None:  # noqa: F811
    """By default the endpoint serves the simulated market, a day late like the issuer."""
    vendor.now = datetime(2026, 1, 16, 22, 0, tzinfo=UTC)
    got = opened().fund_nav("IWM", date(2026, 1, 5), date(2026, 1, 16))
    assert len(got) == 9
    assert got["session"].iloc[-1] == pd.Timestamp("2026-01-15")


# ---- faults ----


@pytest.mark.parametrize(
    ("kind", "error", "says"),
    [
        ("http_404", SourceUnavailable, "HTTP 404; check its issuer_id"),
        ("http_429", RateLimited, "HTTP 429"),
        ("http_500", SourceUnavailable, "HTTP 500"),
        ("html_200", SourceUnavailable, "web page"),
        ("empty", SourceUnavailable, "empty"),
        ("truncated", SourceUnavailable, "cut off"),
        ("german", SourceUnavailable, "no sheet Historical in English (it has: Haftung"),
        ("resaved_xlsx", SourceUnavailable, "a re-save by a spreadsheet program"),
        (
            "wrong_ticker",
            SourceUnavailable,
            "its file is of iShares S&P of Elsewhere ETF, not of iShares Core S&P 500 ETF",
        ),
        ("hang", SourceUnavailable, "whole file within 0.5 s"),
    ],
)
def test_a_fault_is_one_sentence_and_not_remembered(
    kind: str, error: type[RotationError], says: str, issuer: Vendor
) -> None:
    """Each fault is refused with its class and reason, on two requests, and ends when the issuer recovers."""
    source = opened(0.5 if kind == "hang" else 10)
    issuer.issuers.fault("IVV", kind)
    for _ in range(2):
        refused(lambda: source.fund_nav("IVV", START, END), "NAV history of IVV", says, error=error)
    assert issuer.count("get-fund-document") == 2
    if kind not in ("hang", "wrong_ticker", "german"):
        refused(lambda: source.holdings("IVV", END), "holdings of IVV", says, error=error)
    issuer.heal()
    assert len(opened().fund_nav("IVV", START, END)) == 36
    if kind != "hang":
        assert len(source.fund_nav("IVV", START, END)) == 36


def test_what_only_an_audit_can_tell_passes(issuer: Vendor) -> None:
    """A missing newest row and repeated share counts are read as they stand."""
    good = Market().fund_nav("IVV", *EVER)
    issuer.issuers.fault("IVV", "missing_today")
    same_nav(opened().fund_nav("IVV", *EVER), good.iloc[:-1], absent="total_net_assets_usd")
    issuer.heal()
    issuer.issuers.fault("IVV", "frozen_shares")
    assert opened().fund_nav("IVV", *EVER)["shares_outstanding"].tail(10).nunique() == 1


def test_a_symbol_without_an_id_is_not_asked_for(issuer: Vendor) -> None:
    """A symbol that the universe gives no issuer's id for is unknown, without a request."""
    source = opened()
    for call in (lambda: source.fund_nav("VOO", START, END), lambda: source.holdings("VOO", END)):
        refused(call, "VOO", "issuer_id", error=SymbolNotFound)
    assert issuer.requests == []


# ---- files of any shape ----


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (["Dez 05, 2025", 1.0, "--", 3.0], ("row 3", "'Dez 05, 2025'", "As Of")),
        (["05.Dez.2025", 1.0, "--", 3.0], ("row 3", "'05.Dez.2025'")),
        (["Feb 30, 2025", 1.0, "--", 3.0], ("row 3", "'Feb 30, 2025'")),
        (["", 1.0, "--", 3.0], ("row 3", "''")),
        (["Apr 02, 2026", "394,279", "--", 3.0], ("row 3", "'394,279'", "NAV per Share")),
        (["Apr 02, 2026", 1.0, "none", 3.0], ("row 3", "'none'", "Ex-Dividends")),
        (["Apr 02, 2026", 1.0, "--", "NaN"], ("row 3", "'NaN'", "Shares Outstanding")),
    ],
)
def test_unknown_text_refuses_the_file(row: list[Any], says: tuple[str, ...]) -> None:
    """A date or number that is none, or another language's, is named with its row and value, and never becomes NaN."""
    refused(lambda: parse(book([GOOD, row])), "iShares gave no NAV history of IVV", *says)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (book([]), "header and no rows"),
        (book([GOOD], header=["Stand", "NAV", "Ex-Dividende", "Anteile"]), "no table As Of | NAV per Share"),
        (book([GOOD], name="Historisch"), "it has: Holdings, Historisch"),
        (book([GOOD])[:-20], "cut off"),
        (book([GOOD]).replace(b"</ss:Workbook>", b""), "cut off"),
        (b"", "empty"),
        (b"\xef\xbb\xbf" * 2, "empty"),
        (b"\n<html><body>Sorry</body></html>", "web page"),
        (b"As Of,NAV per Share\n", "not a spreadsheet"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500), "re-save"),
        (book([GOOD]).replace(b"iShares Core", b"iShares Other"), "not of iShares Core S&P 500 ETF"),
    ],
)
def test_other_content_is_refused(content: bytes, says: str) -> None:
    """What is not a whole English file of the asked fund is refused, each for its own reason."""
    refused(lambda: parse(content), "NAV history of IVV", says)


def test_damage_in_a_table_is_never_mended() -> None:
    """A tag left out, an early end or a character too many in a table refuses the file: mending could lose a row or a digit."""
    whole = book([GOOD, ["Mar 31, 2026", 1.0, "--", 3.0], ["Mar 30, 2026", 1.0, "--", 3.0]])
    assert len(parse(whole)) == 3
    for old, new in (
        (b"</ss:Row>", b""),
        (b"</ss:Cell>", b""),
        (b"<ss:Row>", b""),
        (b"394.279541", b"394.2<79541"),
        (b"394.279541", b"394.2<79541>"),
        (b"394.279541", b"394.2<b>79541"),
        (b"Mar 31, 2026", b"</ss:Workbook>"),
        (b"Mar 31, 2026", b"\x00"),
        (b"Mar 31, 2026", b"\xff"),
    ):
        at = whole.index(old, whole.index(b"Historical"))
        refused(lambda at=at, old=old, new=new: parse(whole[:at] + new + whole[at + len(old) :]), "damaged")  # type: ignore[misc]


def test_hidden_rows_are_counted() -> None:
    """Rows that stand where no row belongs, or sheets of one name, are well-formed and yet refused."""
    whole = book([GOOD])
    inner = whole.replace(b"<ss:Row>", b"<ss:Group><ss:Row>", 1).replace(b"</ss:Row>", b"</ss:Row></ss:Group>", 1)
    refused(lambda: parse(inner), "openings of Row only")
    twice = whole.replace(b'ss:Name="Holdings"', b'ss:Name="Historical"')
    refused(lambda: parse(twice), "2 openings of Worksheet only 1")


@pytest.mark.parametrize(
    "text",
    ["a < b", "a&nbsp;b & c", "<b x='1' x='2'>a</b>", "<x:b>a</x:b>", "\x01", "\udcff", "<b>a</i>", "]]>", "&#0;"],
)
def test_a_fault_in_a_disclaimer_costs_nothing(text: str) -> None:
    """Malformed text outside the data does not cause a refusal."""
    disclaimers = spreadsheetml({"Disclaimers": [["TEXT"]]})
    disclaimers = disclaimers[disclaimers.index(b"<ss:Worksheet") : disclaimers.index(b"</ss:Workbook>")]
    whole = book([GOOD])
    at = whole.index(b"<ss:Worksheet")
    assert (
        len(parse(whole[:at] + disclaimers.replace(b"TEXT", text.encode(errors="surrogateescape")) + whole[at:])) == 1
    )


def test_damage_anywhere_is_a_sentence() -> None:
    """A character too many or a piece cut out at any place gives the file's own rows or a refusal, never another error."""
    content = book([GOOD, ["Mar 31, 2026", 1.0, "--", 3.0]])
    seen = set()
    for at in range(0, len(content), 7):
        for damaged in (content[:at] + b"<" + content[at + 1 :], content[:at] + content[at + 40 :]):
            with contextlib.suppress(SourceUnavailable):
                seen |= set(parse(damaged)["session"])
            with contextlib.suppress(SourceUnavailable):
                parse_holdings(damaged, "IVV", END)
    assert seen == {pd.Timestamp("2026-04-01"), pd.Timestamp("2026-03-31")}


def sheet(body: str) -> bytes:
    return (
        '<?xml version="1.0"?><ss:Workbook xmlns:ss="urn:schemas-microsoft-com:office:spreadsheet">'
        f'<ss:Worksheet ss:Name="S"><ss:Table>{body}</ss:Table></ss:Worksheet></ss:Workbook>\n'
    ).encode()


def cells(*texts: str) -> str:
    return "".join(f"<ss:Cell><ss:Data>{text}</ss:Data></ss:Cell>" for text in texts)


def test_gaps_are_honoured() -> None:
    """`ss:Index` of cells and rows and `ss:MergeAcross` leave empty cells, and rows keep the numbers a person sees."""
    merged = '<ss:Cell ss:MergeAcross="1"><ss:Data>b</ss:Data></ss:Cell>'
    gap = '<ss:Cell ss:Index="7"><ss:Data>d</ss:Data></ss:Cell>'
    body = f'<ss:Row>{cells("a")}{merged}{cells("c")}{gap}</ss:Row><ss:Row/><ss:Row ss:Index="9">{cells("e")}</ss:Row>'
    rows = read_sheets(sheet(body), File("iShares", "NAV history of IVV"))["S"]
    assert [tuple(row) for row in rows] == [(1, ["a", "b", "", "c", "", "", "d"]), (2, []), (9, ["e"])]


@pytest.mark.parametrize("index", ["0", "1", "-3", "257", "99999999999", "x", "٣"])
def test_an_impossible_place_is_refused(index: str) -> None:
    """An index that goes back, is no number or lies beyond any sheet refuses the file, and takes no memory."""
    body = f'<ss:Row>{cells("a")}<ss:Cell ss:Index="{index}"/></ss:Row>'
    refused(lambda: read_sheets(sheet(body), File("iShares", "NAV history of IVV")), "damaged")


def test_entities_are_text() -> None:
    """No entity is expanded and no DTD is read: unknown ones are text, and a document type is refused."""
    file = File("iShares", "NAV history of IVV")
    body = f"<ss:Row>{cells('AT&amp;T &lol; S&P &#38; &lt;b&gt;')}</ss:Row>"
    assert read_sheets(sheet(body), file)["S"][0].text(0) == "AT&T &lol; S&P & <b>"
    doctype = b'<!DOCTYPE x [<!ENTITY lol SYSTEM "file:///etc/hostname">]>'
    refused(lambda: read_sheets(sheet(body).replace(b"?>", b"?>" + doctype, 1), file), "gave no NAV history")


def test_holdings_of_any_kind() -> None:
    """Ampersands in names survive, escrows and futures have no symbol, and without its own date the file is dated as asked."""
    rows = [
        ["P5N994", "Petrocorp Inc Escrow", "-", "Equity", 1, 0],
        ["ESM2", "S&P500 EMINI JUN 22", "-", "Futures", 1, "--"],
        ["CVNA", "CARVANA CLASS A", "-", "Equity", 1, 0.25],
        ["MOGA", "MOOG INC CLASS A", "-", "Equity", 1, 0.5],
    ]
    content = spreadsheetml({"Holdings": [["Fund Holdings as of", "--"], HOLDINGS_HEADER, *rows]})
    frame = parse_holdings(content, "IWM", END)
    assert frame["symbol"].tolist() == ["MOG-A", "CVNA", None, None]
    assert frame["name"].tolist()[-1] == "S&P500 EMINI JUN 22"
    assert frame["weight"].tolist()[:3] == [0.005, 0.0025, 0.0]
    assert math.isnan(frame["weight"][3])
    assert set(frame["as_of"]) == {pd.Timestamp(END)}


# ---- real files ----


@pytest.fixture(scope="session")
def real_ivv(real_data: Path) -> bytes:
    """The file of IVV of May 2022, as iShares sent it."""
    return (real_data / "raw" / "ishares_IVV_fund_20220511_en.xls").read_bytes()


def read_by_eye(content: bytes, name: str) -> list[list[str]]:
    """The texts of a sheet's rows, read without any parser of XML."""
    text = content.decode("utf-8-sig")
    text = text[text.index(f'ss:Name="{name}"') :]
    rows = text[: text.index("</ss:Worksheet>")].split("<ss:Row>")[1:]
    return [re.findall(r"<ss:Data[^>]*>(.*?)</ss:Data>", row, re.DOTALL) for row in rows]


def test_real_nav_history_is_whole(real_ivv: bytes) -> None:
    """Every row of the real file back to 2000 arrives with the values that an independent reading finds."""
    expected = read_by_eye(real_ivv, "Historical")
    got = parse(real_ivv)
    assert expected[0] == HEADER
    assert len(got) == len(expected) - 1 == 5534
    assert expected[1] == ["May 11, 2022", "394.279541", "--", "707900000"]
    assert expected[-1] == ["May 15, 2000", "145.236", "--", "150000"]
    assert got["session"].iloc[[0, -1]].tolist() == [pd.Timestamp("2000-05-15"), pd.Timestamp("2022-05-11")]
    assert got["nav"].tolist() == [float(row[1]) for row in expected[:0:-1]]
    assert got["shares_outstanding"].tolist() == [float(row[3]) for row in expected[:0:-1]]
    days = [datetime.strptime(row[0], "%b %d, %Y") for row in expected[:0:-1]]  # noqa: DTZ007
    assert got["session"].tolist() == [pd.Timestamp(day) for day in days]


def test_real_distributions_are_the_ex_dividends(real_ivv: bytes) -> None:
    """The 90 payments of the sheet Distributions, and no other, stand in the NAV history on their ex-dates."""
    got = parse(real_ivv).set_index("session")["distribution"].dropna()
    paid = read_by_eye(real_ivv, "Distributions")[1:]
    assert len(paid) == len(got) == 90
    assert got.to_dict() == {pd.Timestamp(datetime.strptime(r[1], "%b %d, %Y")): float(r[3]) for r in paid}  # noqa: DTZ007


def test_real_holdings(real_ivv: bytes) -> None:
    """508 holdings that weigh 100 % together: 504 equities with Yahoo's tickers, four of cash and futures without."""
    got = parse_holdings(real_ivv, "IVV", END, name=NAMES["IVV"])
    assert len(got) == len(read_by_eye(real_ivv, "Holdings")) - 8 == 508
    assert got["symbol"].notna().sum() == 504
    assert got["weight"].sum() == pytest.approx(1, abs=1e-5)
    assert got["weight"].is_monotonic_decreasing
    assert (got["symbol"][0], got["weight"][0]) == ("AAPL", pytest.approx(0.0680567))
    assert {"BRK-B", "BF-B", "UAA", "MA", "GOOGL"} <= set(got["symbol"])
    assert "S&P500 EMINI JUN 22" in set(got["name"])
    assert set(got["as_of"]) == {pd.Timestamp("2022-05-11")}


def test_a_real_file_is_refused_as_another_funds(real_ivv: bytes) -> None:
    """IVV's file is not accepted for IWM's, and a file that is cut off anywhere is refused."""
    refused(lambda: parse_nav_history(real_ivv, "IWM", *EVER, name=NAMES["IWM"]), "of iShares Core S&P 500 ETF, not of")
    for part in (0.1, 0.5, 0.99):
        refused(lambda part=part: parse(real_ivv[: int(len(real_ivv) * part)]), "cut off")  # type: ignore[misc]


def test_a_real_resaved_file_is_named_so(real_data: Path) -> None:
    """The .xlsx that Excel made of IWM's file is refused as what it is."""
    content = (real_data / "raw" / "ishares_IWM_fund_20250818_resaved.xlsx").read_bytes()
    assert zipfile.is_zipfile(io.BytesIO(content))
    for read in (lambda: parse_nav_history(content, "IWM", *EVER), lambda: parse_holdings(content, "IWM", END)):
        refused(read, "of IWM", "a re-save by a spreadsheet program")
