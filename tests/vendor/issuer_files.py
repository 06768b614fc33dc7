"""The files that State Street and iShares publish, in their genuine formats with their quirks."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pandas as pd
from openpyxl import Workbook

from market_rotation.tasks.universe import Instrument

MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
GERMAN_MONTHS = ["Jan", "Feb", "Mär", "Apr", "Mai", "Jun", "Jul", "Aug", "Sep", "Okt", "Nov", "Dez"]
FIRST_DAY = date(1990, 1, 1)
DISCLAIMER = (
    "Past performance is no guarantee of future results. Shares are bought & sold at market price - not at NAV."
)


@dataclass(frozen=True)
class Contents:
    """The content of a file: the fund, its NAV history (newest first), its holdings, and their format."""

    fund: Instrument
    nav: pd.DataFrame
    held: pd.DataFrame
    hit: set[str]


def day_first(stamp: pd.Timestamp, german: bool = False) -> str:
    """05-Dec-2025, whatever the machine's locale."""
    return f"{stamp.day:02d}{'.' if german else '-'}{(GERMAN_MONTHS if german else MONTHS)[stamp.month - 1]}{'.' if german else '-'}{stamp.year}"


def month_first(stamp: pd.Timestamp) -> str:
    """Dec 05, 2025."""
    return f"{MONTHS[stamp.month - 1]} {stamp.day:02d}, {stamp.year}"


# ---- State Street ----


def nav_history_xlsx(contents: Contents) -> bytes:
    """The file navhist-us-en-….xlsx: no row 3, header in row 4, a trademark sign, a disclaimer below."""
    german = "german" in contents.hit
    names = (
        ["Datum", "NIW", "Anteile im Umlauf", "Nettovermögen"]
        if german
        else ["Date", "NAV", "Shares Outstanding", "Total Net Assets"]
    )
    values = contents.nav[["nav", "shares_outstanding", "total_net_assets_usd"]].to_numpy().tolist()
    rows = [
        [_ssga_day(stamp, contents.hit), *map(_or_dash, numbers)]
        for stamp, numbers in zip(contents.nav["session"], values, strict=True)
    ]
    return _ssga_xlsx("navhist", contents, [], names, rows)


def holdings_xlsx(contents: Contents) -> bytes:
    """The file holdings-daily-us-en-….xlsx: weights in percent, a dash for cash's ticker."""
    as_of = contents.held["as_of"].iloc[0] if len(contents.held) else None
    names = ["Name", "Ticker", "Identifier", "SEDOL", "Weight", "Sector", "Shares Held", "Local Currency"]
    rows = [
        [
            name,
            symbol.replace("-", ".") if isinstance(symbol, str) else "-",
            "-",
            "-",
            _or_dash(100 * weight),
            "-",
            1000,
            "USD",
        ]
        for name, symbol, weight in zip(*(contents.held[n].tolist() for n in ("name", "symbol", "weight")), strict=True)
    ]
    head = [["Holdings:", f"As of {day_first(as_of)}" if as_of is not None else "-"]]
    return _ssga_xlsx("holdings", contents, head, names, rows)


def premiums_xlsx(contents: Contents) -> bytes:
    """The file pdhist-us-en-….xlsx: percent as text, header in row 4 as in the NAV history."""
    rows = [[_ssga_day(stamp, contents.hit), f"{0.01 * n:.6f}"] for n, stamp in enumerate(contents.nav["session"])]
    return _ssga_xlsx("pdhist", contents, [], ["Date", "Premium/Discount"], rows)


def distributions_xlsx(funds: Sequence[tuple[Instrument, pd.DataFrame]]) -> bytes:
    """The file spdr-etf-historical-distributions.xlsx: all funds, newest first; amounts as text between blanks, some of them zero."""
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "dividend"
    head = ["FUND NAME", "TICKER", "CUSIP", "EX-DATE", "RECORD DATE", "PAYABLE DATE", "DIVIDEND ($)"]
    sheet.append([*head, "SHORT TERM CAPITAL GAIN ($)", "LONG TERM CAPITAL GAIN ($)", "FREQUENCY"])
    for fund, nav in funds:
        ticker = f"{fund.symbol}\N{REGISTERED SIGN}"
        sheet.append([fund.name, ticker, "78462F103", *["01/02/2009"] * 3, " 0.000000 ", "", "", "M"])
        paid = nav.dropna(subset=["distribution"])
        for stamp, amount in zip(paid["session"], paid["distribution"], strict=True):
            day = f"{stamp:%m/%d/%Y}"
            sheet.append(
                [fund.name, ticker, "78462F103", day, day, day, f" {amount - 0.125:.6f} ", " 0.125000 ", "", "Q"]
            )
    return _saved(book)


def _ssga_xlsx(
    title: str, contents: Contents, head: list[list[str]], names: list[str], rows: Sequence[Sequence[Any]]
) -> bytes:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = title
    symbol = "XYZ" if "wrong_ticker" in contents.hit else contents.fund.symbol
    sheet.append(["Fund Name:", contents.fund.name])
    sheet.append(["Ticker Symbol:", f"{symbol}\N{TRADE MARK SIGN}"])
    for line in head:
        sheet.append(line)
    # The row before the header is not empty but absent.
    for column, name in enumerate(names, start=1):
        sheet.cell(len(head) + 4, column, name)
    for row in rows:
        sheet.append(row)
    for line in ([], [DISCLAIMER], ["State Street Global Advisors - 1 Iron Street, Boston"]):
        sheet.append(line or [None])
    return _saved(book)


def _ssga_day(stamp: pd.Timestamp, hit: set[str]) -> str | date:
    return stamp.date() if "resaved_xlsx" in hit else day_first(stamp, "german" in hit)


def _or_dash(number: float) -> float | str:
    return "-" if math.isnan(number) else number


def _saved(book: Workbook) -> bytes:
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


# ---- iShares ----


def ishares_xls(contents: Contents) -> bytes:
    """The file of all five sheets: two byte-order marks, bare ampersands, and numbers as numbers."""
    fund, german = contents.fund, "german" in contents.hit
    name = "iShares S&P of Elsewhere ETF" if "wrong_ticker" in contents.hit else fund.name
    days = [day_first(s, german=True) if german else month_first(s) for s in contents.nav["session"]]
    columns = [contents.nav[n].tolist() for n in ("nav", "distribution", "shares_outstanding")]
    history: list[list[Any]] = [
        ["Stand", "NAV", "Ex-Dividende", "Anteile im Umlauf"]
        if german
        else ["As Of", "NAV per Share", "Ex-Dividends", "Shares Outstanding"]
    ]
    history += [[day, *(_told(n, german) for n in numbers)] for day, *numbers in zip(days, *columns, strict=True)]
    paid = [(day, amount) for day, amount in zip(days, columns[1], strict=True) if not math.isnan(amount)]
    payments = [["Record Date", "Ex-Date", "Payable Date", "Total Distribution"], *([d, d, d, a] for d, a in paid)]
    titles = (
        ("Haftung", "Positionen", "Historisch", "Wertentwicklung", "Ausschüttungen")
        if german
        else ("Disclaimers", "Holdings", "Historical", "Performance", "Distributions")
    )
    tables = ([[DISCLAIMER]], _ishares_holdings(contents, name), history, [[name], []], payments)
    sheets = dict(zip(titles, tables, strict=True))
    if "resaved_xlsx" in contents.hit:
        return _resaved(sheets)
    return spreadsheetml(sheets)


def _ishares_holdings(contents: Contents, name: str) -> list[list[Any]]:
    held = contents.held
    as_of = held["as_of"].iloc[0] if len(held) else None
    rows: list[list[Any]] = [
        [day_first(as_of) if as_of is not None else "--"],
        [name],
        ["Inception Date", month_first(pd.Timestamp(contents.fund.inception or FIRST_DAY))],
        ["Fund Holdings as of", month_first(as_of) if as_of is not None else "--"],
        ["Number of Securities (excluding cash and derivatives)", f"{len(held):,.2f}"],
        ["Shares Outstanding", "707,900,000.00"],
        [""],
        ["Ticker", "Name", "Sector", "Asset Class", "Market Value", "Weight (%)", "Notional Value", "Shares"],
    ]
    for symbol, title, weight in zip(*(held[n].tolist() for n in ("symbol", "name", "weight")), strict=True):
        asset = ("Equity" if isinstance(symbol, str) else "Cash",)
        rows.append(
            [
                symbol.replace("-", "") if isinstance(symbol, str) else "USD",
                title,
                "--",
                *asset,
                1e6,
                _told(100 * weight),
                1e6,
                1e3,
            ]
        )
    return rows


def _told(number: float, german: bool = False) -> float | str:
    if math.isnan(number):
        return "--"
    return str(number).replace(".", ",") if german else number


def spreadsheetml(sheets: dict[str, list[list[Any]]]) -> bytes:
    """A workbook as iShares' writer makes it: ampersands stay bare, as in its funds' names."""
    lines = [
        '<?xml version="1.0"?>',
        '<ss:Workbook xmlns:ss="urn:schemas-microsoft-com:office:spreadsheet">',
        '<ss:Styles>\n<ss:Style ss:ID="Left">\n<ss:Alignment ss:Horizontal="Left"/>\n</ss:Style>\n</ss:Styles>',
    ]
    for title, rows in sheets.items():
        lines += [f'<ss:Worksheet ss:Name="{title}">', "<ss:Table>"]
        if title == "Disclaimers":
            link = 'ss:HRef="https://www.ishares.com/us/products/etf-investments#!type=ishares&style=All&view=keyFacts"'
            data = '<ss:Data ss:Type="String">\n<strong>HOLDINGS SUBJECT TO CHANGE.</strong> <br /><br />See the prospectus.</ss:Data>'
            lines.append(
                f'<ss:Row ss:Height="80">\n<ss:Cell ss:MergeAcross="6" {link} >\n{data}\n</ss:Cell>\n</ss:Row>'
            )
        lines += [f"<ss:Row>\n{''.join(map(_cell, row))}</ss:Row>" if row else "<ss:Row/>" for row in rows]
        lines += ["</ss:Table>", "</ss:Worksheet>"]
    return b"\xef\xbb\xbf" * 2 + "\n".join([*lines, "</ss:Workbook>"]).encode()


def _cell(value: Any) -> str:
    kind = "String" if isinstance(value, str) else "Number"
    text = value if isinstance(value, str) else repr(value).removesuffix(".0")
    return f'<ss:Cell ss:StyleID="Left">\n<ss:Data ss:Type="{kind}">{text}</ss:Data>\n</ss:Cell>\n'


def _resaved(sheets: dict[str, list[list[Any]]]) -> bytes:
    book = Workbook()
    book.remove(book.worksheets[0])
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    return _saved(book)
