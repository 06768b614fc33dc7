"""The JSON and CSV documents of Invesco, Vanguard, Roundhill, Dimensional and iShares, in their genuine layouts with their quirks."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import pandas as pd

from market_rotation.tasks import calendar
from vendor.issuer_files import DISCLAIMER, Contents, month_first

#: Identifiers of funds that the shipped universe names without one.
IDS = {
    ("invesco", "QQQ"): "46090E103",
    ("invesco", "RSP"): "46137V357",
    ("vanguard", "VOO"): "voo",
    ("vanguard", "VB"): "vb",
    ("roundhill", "MAGS"): "mags",
}
FUND_IDS = {"VOO": "0968", "VB": "0969"}
SPA = "<!doctype html><html lang='en'><head><title>Roundhill Investments</title></head><body><div id='root'></div></body></html>"


def sessions(day: date) -> calendar.Calendar:
    """The sessions of the months around a day."""
    return calendar.load(date(day.year - 1, 1, 1), date(day.year + 1, 1, 31))


def known(contents: Contents, before: date) -> pd.DataFrame:
    """The fund's records of sessions before a day, oldest first, one each, without those that lack a NAV."""
    rows = contents.nav.iloc[::-1].dropna(subset=["nav"]).drop_duplicates("session")
    days = [stamp.date() for stamp in rows["session"]]
    return rows[[day < before and sessions(before).is_session(day) for day in days]]


def _json(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


# ---- Invesco ----


def invesco_prices(contents: Contents, cusip: str, today: date) -> bytes:
    """…/prices: the record of the session before the publication, under the date of the publication."""
    published = sessions(today).latest_on_or_before(today)
    row = known(contents, published).iloc[-1]
    shares = row["shares_outstanding"]
    return _json(
        {
            "effectiveDate": str(published),
            "cusip": "46138E131" if "wrong_ticker" in contents.hit else cusip,
            "currency": "EUR" if "wrong_currency" in contents.hit else "USD",
            "nav": row["nav"],
            "sharesOutstanding": None if math.isnan(shares) else int(shares),
            "30dayAverageTradingVolume": 8859930,
            "closingPrice": round(row["nav"], 2),
            "marketValue": round(row["nav"] * shares, 2),
            "medianBidAskSpread": 0,
            "bidAskMidpointPremiumDiscountPercentage": 0.005901,
        }
    )


def invesco_navs(contents: Contents, cusip: str, today: date) -> bytes:
    """…/navs: newest first, dates as MM/DD/YYYY."""
    rows = known(contents, sessions(today).latest_on_or_before(today)).iloc[::-1]
    points = [{"date": f"{day:%m/%d/%Y}", "value": nav} for day, nav in zip(rows["session"], rows["nav"], strict=True)]
    line = {"type": "NAV", "label": "NAV", "data": points}
    return _json({"cusip": cusip, "startDate": "2016-06-08", "currency": "USD", "lineChartData": [line]})


def invesco_holdings(contents: Contents, cusip: str, today: date) -> bytes:
    """…/holdings/fund: the day of publication and the business day before it; cash has the ticker USD; names are HTML."""
    held = [
        {
            "ticker": symbol.replace("-", "/") if isinstance(symbol, str) else "USD",
            "issuerName": name.replace("&", "&amp;"),
            "units": 4053817,
            "percentageOfTotalNetAssets": None if math.isnan(weight) else 100 * weight,
            "securityTypeName": "Common Stock" if isinstance(symbol, str) else "Currency",
            "currency": "USD",
            "securityTypeCode": "COM" if isinstance(symbol, str) else "CURR",
        }
        for symbol, name, weight in _held(contents)
    ]
    as_of = contents.held["as_of"].iloc[0].date()
    return _json(
        {
            "cusip": cusip,
            "effectiveDate": str(as_of + timedelta(days=1)),
            "effectiveBusinessDate": str(as_of),
            "totalNumberOfHoldings": len(held),
            "holdings": held,
        }
    )


# ---- Vanguard ----


def vanguard_profile(contents: Contents, ticker: str, today: date) -> bytes:
    """…/profile: the fund id and what it is."""
    symbol = contents.fund.symbol
    profile = {
        "fundId": FUND_IDS[symbol],
        "ticker": "VTI" if "wrong_ticker" in contents.hit else symbol,
        "cusip": "922908363",
        "longName": contents.fund.name,
        "isETF": True,
        "fundFact": {"isStock": True, "isBond": False},
    }
    return _json({"fundProfile": profile})


def vanguard_shares(contents: Contents, fund_id: str, today: date) -> bytes:
    """…/pricing/outstanding-shares: the count at the end of the month before, dated by the calendar, not by the session."""
    month_end = today.replace(day=1) - timedelta(days=1)
    shares = known(contents, month_end + timedelta(days=1))["shares_outstanding"].iloc[-1]
    day = month_end - timedelta(days=14) if "mid_month" in contents.hit else month_end
    return _json({"effectiveDate": str(day), "outstandingShares": shares + 0.375})


def vanguard_navs(contents: Contents, ticker: str, today: date) -> bytes:
    """…/price-history/1M: oldest first, NAVs as text of two decimals under midnight in New York."""
    rows = known(contents, today)
    rows = rows[rows["session"] >= str(today - timedelta(days=31))]
    items = [
        {"asOfDate": f"{day:%Y-%m-%d}T00:00:00-05:00", "price": f"{nav:.2f}"}
        for day, nav in zip(rows["session"], rows["nav"], strict=True)
    ]
    head = {"fundId": ticker.upper(), "asOfDate": f"{today}T00:00:00-05:00", "isMultiYears": False, "dateRange": "1M"}
    return _json({**head, "nav": [{"item": items}], "marketPrice": [{"item": items}]})


def vanguard_holdings(contents: Contents, ticker: str, today: date) -> bytes:
    """…/portfolio-holding/stock.json: numbers as text, shares of companies only."""
    stamp = f"{contents.held['as_of'].iloc[0]:%Y-%m-%d}T00:00:00-05:00"
    held = [
        {
            "type": "portfolioHolding",
            "asOfDate": stamp,
            "longName": name,
            "shortName": name,
            "sharesHeld": "636185341",
            "marketValue": 134324172898.74,
            "ticker": symbol.replace("-", "."),
            "percentWeight": f"{100 * weight:.2f}",
        }
        for symbol, name, weight in _held(contents)
        if isinstance(symbol, str)
    ]
    return _json({"size": len(held), "asOfDate": stamp, "fund": {"entity": held}})


# ---- Roundhill ----


def roundhill_daily(contents: Contents, today: date) -> bytes:
    """…RU_DailyNAV.csv: all funds, a line each."""
    header = "Fund Name,Fund Ticker,CUSIP,Net Assets,Shares Outstanding,NAV,NAV Change Dollars,NAV Change Percentage,Market Price,"
    header += "Market Price Change Dollars,Market Price Change Percentage,Premium/Discount,Rate Date"
    row = known(contents, today).iloc[-1]
    mine = [
        *(contents.fund.name, "XYZ" if "wrong_ticker" in contents.hit else contents.fund.symbol, "77926X106"),
        *(f"{row['nav'] * row['shares_outstanding']:.2f}", f"{row['shares_outstanding']:.3f}", row["nav"]),
        *(0.05, 0.10, 55.00, 0.06, 0.11, 0.09, f"{row['session']:%m/%d/%Y}"),
    ]
    other = ["Roundhill, AMD WeeklyPay ETF", "AMDW", "77926X783", 148357191.93, 2700000, 54.95, *mine[6:]]
    return _csv([header.split(","), other, mine, [*other[:1], "ZZZ", *other[2:]]])


def roundhill_navs(contents: Contents, today: date) -> bytes:
    """…RU_BIGT_Daily.csv: the NAV history of MAGS, by the ticker that the fund had at first."""
    rows = known(contents, today)
    lines = [
        ["Roundhill Magnificent Seven ETF", "BIGT", "77926X106", nav, round(nav, 2), f"{day:%m/%d/%Y}"]
        for day, nav in zip(rows["session"], rows["nav"], strict=True)
    ]
    return _csv([["Fund Name", "Fund Ticker", "CUSIP", "NAV", "Market Price", "Rate Date"], *lines])


def roundhill_holdings(contents: Contents, day: date, today: date) -> bytes | None:
    """…RU_Holdings_MMDDYYYY.csv: all funds' holdings, dated by the next business day. None where that day has no file."""
    rows = known(contents, today)
    rows = rows[rows["session"] == str(day)]
    if rows.empty or math.isnan(shares := rows["shares_outstanding"].iloc[0]):
        return None
    following = sessions(day).sessions(day + timedelta(days=1), day + timedelta(days=7))[0]
    header = (
        "Date,Account,StockTicker,CUSIP,SecurityName,Shares,Price,MarketValue,Weightings,NetAssets,SharesOutstanding,"
    )
    lines: list[Sequence[object]] = [[*header.split(",")[:-1], "CreationUnits", "MoneyMarketFlag"]]
    for account in ("AMDW", contents.fund.symbol, "ZZZ"):
        for symbol, name, weight in _held(contents):
            ticker = symbol.replace("-", "/") if isinstance(symbol, str) else "595112103 TRS 050427 NM"
            numbers = (10, 100, 1000, f"{100 * weight:.2f}%", 1000000.00, f"{shares:.0f}", "100.000000000000")
            flag = "" if isinstance(symbol, str) else "Y"
            lines.append([f"{following:%m/%d/%Y}", account, ticker, "595112103", name, *numbers, flag])
    return _csv(lines)


# ---- Dimensional, iShares ----


def dimensional_holdings(contents: Contents, day: date, today: date) -> bytes | None:
    """{YYYYMMDD}/{TICKER}.csv: weights as fractions, tickers with their country. None where that day has no file."""
    if day >= today or not sessions(day).is_session(day):
        return None
    lines: list[Sequence[object]] = [
        ["date", "etf_ticker", "ticker", "description", "weight", "market_value", "identifier", "isin"]
    ]
    for symbol, name, weight in _held(contents):
        ticker = f"{symbol.replace('-', '/')} US" if isinstance(symbol, str) else ""
        lines.append([day, contents.fund.symbol, ticker, name, f"{weight:.9f}", 5000000, "037833100", "US0378331005"])
    return _csv(lines)


def ishares_past_holdings(contents: Contents, day: date) -> bytes:
    """component=holdings: as of a session, else the same head with a dash for the date and no rows; a disclaimer below."""
    is_known = sessions(day).is_session(day)
    out = io.StringIO(newline="")
    name = "iShares Elsewhere ETF" if "wrong_ticker" in contents.hit else contents.fund.name
    out.write(f'{name}\nFund Holdings as of,"{month_first(pd.Timestamp(day)) if is_known else "-"}"\n')
    out.write(
        'Inception Date,"May 22, 2000"\nShares Outstanding,"271,350,000.00"\nStock,"-"\nBond,"-"\nCash,"-"\nOther,"-"\n\n'
    )
    out.write("Ticker,Name,Sector,Asset Class,Market Value,Weight (%),Notional Value,Quantity,Price\n")
    writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n")
    for symbol, title, weight in _held(contents) if is_known else []:
        ticker, kind = (symbol.replace("-", ""), "Equity") if isinstance(symbol, str) else ("USD", "Cash")
        writer.writerow([ticker, title, "-", kind, "1,000.00", f"{100 * weight:.2f}", "1,000.00", "10.00", "100.00"])
    out.write(f'\n"{DISCLAIMER}"\n')
    return b"\xef\xbb\xbf" + out.getvalue().encode()


def _held(contents: Contents) -> list[tuple[Any, str, float]]:
    return list(zip(*(contents.held[name].tolist() for name in ("symbol", "name", "weight")), strict=True))


def _csv(lines: Sequence[Sequence[object]]) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\n").writerows(lines)
    return out.getvalue().encode()
