"""One document of every layout that a reader reads, with a second reading of it that shares no code with the reader."""

from __future__ import annotations

import csv
import html
import io
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import pandas as pd
from issuer_market import EVER, Market
from openpyxl import load_workbook
from vendor import issuer_apis as apis
from vendor import issuer_files as files
from vendor.issuer_files import Contents

from market_rotation.tasks.sources.issuers import dimensional, invesco, ishares, roundhill, ssga, vanguard
from market_rotation.tasks.universe import load_universe

TODAY = date(2026, 1, 20)
SESSION = date(2026, 1, 16)
FUNDS = {i.symbol: i for i in load_universe().instruments}
CUSIP = "46090E103"

#: What a document says, comparable: rows of texts and rounded numbers, in a fixed order.
Said = list[tuple[Any, ...]]


@dataclass(frozen=True)
class Layout:
    """`parse` and `read_again` say the same of `content`. `loses_tail`: a cut between two rows cannot be seen, and loses only rows."""

    name: str
    content: bytes
    parse: Callable[[bytes], Said]
    read_again: Callable[[bytes], Said]
    loses_tail: bool = False


def contents(symbol: str) -> Contents:
    """The fake market's fund in the shape that the writers of documents take."""
    fund = FUNDS["VB"].model_copy(update={"symbol": symbol}) if symbol not in FUNDS else FUNDS[symbol]
    return Contents(fund, Market().fund_nav(symbol, *EVER).iloc[::-1], Market().holdings(symbol, TODAY), set())


def number(value: Any) -> float | None:
    """A number to ten significant digits, None for one that is missing."""
    if value is None or value in ("-", "--", "") or (isinstance(value, float) and value != value):
        return None
    return float(f"{float(str(value).replace(',', '')):.10g}")


def frame(rows: pd.DataFrame, *columns: str) -> Said:
    """The rows of a frame that a reader gave."""
    return ordered([tuple(_plain(value) for value in row) for row in rows[list(columns)].itertuples(index=False)])


def ordered(rows: Said) -> Said:
    """In an order that does not depend on the document's."""
    return sorted(rows, key=repr)


def by_day(values: dict[date, float]) -> Said:
    """A dictionary of values by day."""
    return ordered([(str(day), number(value)) for day, value in values.items()])


def _plain(value: Any) -> Any:
    if isinstance(value, pd.Timestamp | datetime | date):
        return f"{value:%Y-%m-%d}"
    return value if value is None or isinstance(value, str) else number(value)


def _day(value: Any, form: str) -> str:
    return f"{datetime.strptime(str(value).strip(), form):%Y-%m-%d}"  # noqa: DTZ007


def _held(rows: pd.DataFrame) -> Said:
    return frame(rows, "as_of", "name", "weight")


# ---- second readings ----


def _name(value: Any) -> str | None:
    """A name, None for a dash or an empty cell."""
    text = "" if value is None else str(value).strip()
    return None if text in ("", "-", "--") else text


def _xlsx(content: bytes) -> list[list[Any]]:
    sheet = load_workbook(io.BytesIO(content), read_only=False).worksheets[0]
    return [list(row) for row in sheet.iter_rows(values_only=True)]


def _below(rows: list[list[Any]], first: str) -> list[dict[str, Any]]:
    at = next(n for n, row in enumerate(rows) if row and row[0] == first)
    return [
        dict(zip(rows[at], row, strict=False)) for row in rows[at + 1 :] if any(v not in (None, "") for v in row[1:])
    ]


def _ssga(content: bytes, *columns: str) -> Said:
    rows = _below(_xlsx(content), "Date")
    return ordered([(_day(row["Date"], "%d-%b-%Y"), *(number(row[name]) for name in columns)) for row in rows])


def _ssga_holdings(content: bytes) -> Said:
    rows = _xlsx(content)
    dated = next(row[1] for row in rows if row[0] == "Holdings:").removeprefix("As of ")
    day = _day(dated, "%d-%b-%Y")
    return ordered([(day, _name(r["Name"]), _percent(r["Weight"])) for r in _below(rows, "Name")])


def _percent(value: Any) -> float | None:
    plain = number(value)
    return None if plain is None else number(plain / 100)


def _distributions(content: bytes) -> Said:
    paid: dict[str, float] = {}
    for row in _below(_xlsx(content), "FUND NAME"):
        if row["TICKER"].strip("\N{REGISTERED SIGN} ") == "SPY":
            total = sum(number((row[k] or "").strip()) or 0 for k in row if k.endswith("($)"))
            if total:
                day = _day(row["EX-DATE"], "%m/%d/%Y")
                paid[day] = paid.get(day, 0) + total
    return ordered([(day, number(value)) for day, value in paid.items()])


def _sheet(content: bytes, name: str) -> list[list[str]]:
    text = content.decode("utf-8", "surrogateescape")
    sheet = re.search(rf'<ss:Worksheet ss:Name="{name}">(.*?)</ss:Worksheet>', text, re.S)
    assert sheet
    rows = re.findall(r"<ss:Row>(.*?)</ss:Row>", sheet[1], re.S)
    cells = [re.findall(r"<ss:Cell[^>]*?(?:/>|>(.*?)</ss:Cell>)", row, re.S) for row in rows]
    # A cell may be empty.
    data = [[re.search(r"<ss:Data[^>]*>(.*?)</ss:Data>", cell, re.S) for cell in row] for row in cells]
    return [[html.unescape(found[1]) if found else "" for found in row] for row in data]


def _ishares_nav(content: bytes) -> Said:
    names = ("NAV per Share", "Ex-Dividends", "Shares Outstanding")
    rows = _below(_sheet(content, "Historical"), "As Of")
    return ordered([(_day(row["As Of"], "%b %d, %Y"), *(number(row[name]) for name in names)) for row in rows])


def _ishares_holdings(content: bytes) -> Said:
    rows = _sheet(content, "Holdings")
    day = _day(next(row[1] for row in rows if row[0] == "Fund Holdings as of"), "%b %d, %Y")
    return ordered([(day, _name(r["Name"]), _percent(r["Weight (%)"])) for r in _below(rows, "Ticker")])


def _csv(content: bytes, first: str) -> list[dict[str, Any]]:
    return _below(list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""))), first)


def _past_holdings(content: bytes) -> Said:
    table = content[content.index(b"\nTicker,") :].strip().split(b"\n\n")[0]
    return ordered([(str(SESSION), _name(r["Name"]), _percent(r["Weight (%)"])) for r in _csv(table, "Ticker")])


def _invesco_prices(content: bytes) -> Said:
    said = json.loads(content)
    values = (said["nav"], said["sharesOutstanding"], said.get("marketValue"))
    return [(_day(said["effectiveDate"].strip()[:10], "%Y-%m-%d"), *map(number, values))]


def _invesco_navs(content: bytes) -> Said:
    (line,) = json.loads(content)["lineChartData"]
    return ordered(list({(_day(p["date"], "%m/%d/%Y"), number(p["value"])) for p in line["data"]}))


def _invesco_holdings(content: bytes) -> Said:
    said = json.loads(content)
    day = _day(said["effectiveBusinessDate"].strip()[:10], "%Y-%m-%d")
    rows = [
        (day, html.unescape(h["issuerName"]).strip() or None, h["percentageOfTotalNetAssets"]) for h in said["holdings"]
    ]
    return ordered([(day, name, _percent(weight)) for day, name, weight in rows])


def _vanguard_navs(content: bytes) -> Said:
    items = [item for block in json.loads(content)["nav"] for item in block["item"]]
    return ordered(list({(_day(i["asOfDate"].strip()[:10], "%Y-%m-%d"), number(i["price"])) for i in items}))


def _vanguard_count(content: bytes) -> Said:
    said = json.loads(content)
    return [(_day(said["effectiveDate"].strip()[:10], "%Y-%m-%d"), number(said["outstandingShares"]))]


def _vanguard_holdings(content: bytes) -> Said:
    said = json.loads(content)
    day = _day(said["asOfDate"].strip()[:10], "%Y-%m-%d")
    return ordered([(day, h["longName"].strip() or None, _percent(h["percentWeight"])) for h in said["fund"]["entity"]])


def _roundhill_daily(content: bytes) -> Said:
    (row,) = (r for r in _csv(content, "Fund Name") if r["Fund Ticker"].strip() == "MAGS")
    return [(_day(row["Rate Date"], "%m/%d/%Y"), number(row["NAV"]), number(row["Shares Outstanding"]))]


def _roundhill_navs(content: bytes) -> Said:
    rows = _csv(content, "Fund Name")
    rows = rows if content.endswith(b"\n") else rows[:-1]
    return ordered(list({(_day(r["Rate Date"], "%m/%d/%Y"), number(r["NAV"])) for r in rows}))


def _roundhill_holdings(content: bytes) -> Said:
    rows = [r for r in _csv(content, "Date") if r["Account"].strip() == "MAGS"]
    names = [(_name(r["SecurityName"]), number(r["Weightings"].strip().removesuffix("%"))) for r in rows]
    return [(number(rows[0]["SharesOutstanding"]),), *ordered(names)]


def _dimensional(content: bytes) -> Said:
    rows = _csv(content, "date")
    return ordered([(r["date"].strip()[:10], _name(r["description"]), number(r["weight"])) for r in rows])


# ---- the layouts ----


def _held_on(said: roundhill.HeldOn) -> Said:
    return [(number(said.shares),), *ordered([(name, number(weight)) for _, name, weight in said.rows])]


def _listing(said: invesco.Listing) -> Said:
    return [(str(said.published), number(said.nav), number(said.shares), number(said.assets))]


def all_layouts() -> list[Layout]:
    """Every layout, as the issuer writes it."""
    spy, ivv, qqq, vb, mags, dfat = map(contents, ("SPY", "IVV", "QQQ", "VB", "MAGS", "DFAT"))
    ivv_name = FUNDS["IVV"].name
    nav = ("session", "nav", "shares_outstanding")
    held = apis.roundhill_holdings(mags, SESSION, TODAY)
    blob = apis.dimensional_holdings(dfat, SESSION, TODAY)
    assert held
    assert blob
    return [
        Layout(
            "State Street NAV history",
            files.nav_history_xlsx(spy),
            lambda c: frame(ssga.parse_nav_history(c, "SPY", *EVER), *nav, "total_net_assets_usd"),
            lambda c: _ssga(c, "NAV", "Shares Outstanding", "Total Net Assets"),
        ),
        Layout(
            "State Street premiums",
            files.premiums_xlsx(spy),
            lambda c: frame(ssga.parse_premiums(c, "SPY", *EVER), "session", "premium_pct"),
            lambda c: _ssga(c, "Premium/Discount"),
        ),
        Layout(
            "State Street holdings",
            files.holdings_xlsx(spy),
            lambda c: _held(ssga.parse_holdings(c, "SPY", TODAY)),
            _ssga_holdings,
        ),
        Layout(
            "State Street distributions",
            files.distributions_xlsx([(FUNDS["SPY"], spy.nav), (FUNDS["XLK"], spy.nav)]),
            lambda c: by_day(ssga.parse_distributions(c, "SPY")),
            _distributions,
        ),
        Layout(
            "iShares NAV history",
            files.ishares_xls(ivv),
            lambda c: frame(
                ishares.parse_nav_history(c, "IVV", *EVER, name=ivv_name),
                "session",
                "nav",
                "distribution",
                "shares_outstanding",
            ),
            _ishares_nav,
        ),
        Layout(
            "iShares holdings",
            files.ishares_xls(ivv),
            lambda c: _held(ishares.parse_holdings(c, "IVV", TODAY, name=ivv_name)),
            _ishares_holdings,
        ),
        Layout(
            "iShares past holdings",
            apis.ishares_past_holdings(ivv, SESSION),
            lambda c: _held(ishares.parse_past_holdings(c, "IVV", SESSION, name=ivv_name)),
            _past_holdings,
        ),
        Layout(
            "Invesco prices",
            apis.invesco_prices(qqq, CUSIP, TODAY),
            lambda c: _listing(invesco.parse_price_listing(c, "QQQ", CUSIP)),
            _invesco_prices,
        ),
        Layout(
            "Invesco NAVs",
            apis.invesco_navs(qqq, CUSIP, TODAY),
            lambda c: by_day(invesco.parse_navs(c, "QQQ", CUSIP)),
            _invesco_navs,
        ),
        Layout(
            "Invesco holdings",
            apis.invesco_holdings(qqq, CUSIP, TODAY),
            lambda c: _held(invesco.parse_holdings(c, "QQQ", TODAY, CUSIP)),
            _invesco_holdings,
        ),
        Layout(
            "Vanguard profile",
            apis.vanguard_profile(vb, "vb", TODAY),
            lambda c: [(vanguard.parse_fund_id(c, "VB", "vb"),)],
            lambda c: [(json.loads(c)["fundProfile"]["fundId"].strip(),)],
        ),
        Layout(
            "Vanguard share count",
            apis.vanguard_shares(vb, "0969", TODAY),
            lambda c: by_day(dict([vanguard.parse_share_count(c, "VB")])),
            _vanguard_count,
        ),
        Layout(
            "Vanguard NAVs",
            apis.vanguard_navs(vb, "vb", TODAY),
            lambda c: by_day(vanguard.parse_navs(c, "VB", "vb")),
            _vanguard_navs,
        ),
        Layout(
            "Vanguard holdings",
            apis.vanguard_holdings(vb, "vb", TODAY),
            lambda c: _held(vanguard.parse_holdings(c, "VB", TODAY)),
            _vanguard_holdings,
        ),
        Layout(
            "Roundhill daily",
            apis.roundhill_daily(mags, TODAY),
            lambda c: [
                (str(d.session), number(d.nav), number(d.shares)) for d in [roundhill.parse_daily(c, "MAGS", "MAGS")]
            ],
            _roundhill_daily,
        ),
        Layout(
            "Roundhill NAVs",
            apis.roundhill_navs(mags, TODAY),
            lambda c: by_day(roundhill.parse_navs(c, "MAGS", {"MAGS", "BIGT"})),
            _roundhill_navs,
            loses_tail=True,
        ),
        Layout(
            "Roundhill holdings",
            held,
            lambda c: _held_on(roundhill.parse_holdings(c, "MAGS", "MAGS", SESSION)),
            _roundhill_holdings,
        ),
        Layout(
            "Dimensional holdings", blob, lambda c: _held(dimensional.parse_holdings(c, "DFAT", "DFAT")), _dimensional
        ),
    ]
