"""Yahoo Finance's chart service: daily bars, dividends, splits and capital gains of one symbol.

yfinance carries the request with its browser-like session, cookie and crumb (`YfData.get`). Its answers are read here, because
yfinance's own readers drop, merge and repair rows silently.

Distributions are passed on as Yahoo states them. Its Adj Close always subtracts `dividend + capital_gain`. For old payments
that is right, since their dividend is the income alone (VFINX 1987-1999). A newer dividend can include the gain already, and then
Adj Close subtracts it twice (VWILX 2025-12-17: 7.857 and 6.42 stated, 1.437 and 6.42 paid); yfinance guesses from the price.
"""

from __future__ import annotations

import logging
import math
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from market_rotation.tasks.calendar import NEW_YORK
from market_rotation.tasks.errors import SourceUnavailable, SymbolNotFound
from market_rotation.tasks.sources.frames import parser, price_frame
from market_rotation.tasks.sources.yahoo.funds import FundMethods
from market_rotation.tasks.sources.yahoo.session import Client, explanation, unavailable
from market_rotation.tasks.sources.yahoo.summary import SUMMARY, plain_number

if TYPE_CHECKING:
    import pandas as pd

CHART = "https://query2.finance.yahoo.com/v8/finance/chart/"

log = logging.getLogger("rotation.yahoo")


class YahooSource(FundMethods):
    """Yahoo Finance; one instance serves all threads. `timeout_s` bounds each request, in seconds."""

    name = "yahoo"

    def __init__(self, timeout_s: float = 20.0) -> None:
        self._client = Client(timeout_s, CHART, SUMMARY)

    def prices(self, symbol: str, start: date, end: date) -> pd.DataFrame:
        """Daily bars of `symbol` for `start` … `end`, both included: see `Source.prices` and `parse_chart`.

        Raises `RateLimited`, `SymbolNotFound`, or `SourceUnavailable` for everything else that is not a usable answer.
        """
        parameters = {
            "period1": _midnight(start),
            "period2": _midnight(end + timedelta(days=1)),
            "interval": "1d",
            "includePrePost": "false",
            "events": "div,splits,capitalGains",
        }
        try:
            return parse_chart(self._client.ask(CHART, symbol, parameters, "prices"), symbol, start, end)
        except SourceUnavailable:
            self._client.try_cookies_again()
            raise


@parser("Yahoo", "prices")
def parse_chart(payload: Any, symbol: str, start: date, end: date) -> pd.DataFrame:
    """The price frame (`PRICE_COLUMNS`, USD) in `payload`, Yahoo's answer to a request for daily bars of `symbol`.

    Every bar whose date on the exchange is `start` … `end` is a row, as Yahoo gives it: null is NaN, two bars of one date are
    two rows. An event on a date without a bar is a row without prices, so that it is not lost. Several payments on one date are
    summed; one that is listed twice, with equal amounts, counts once, and so does a split. Raises `SymbolNotFound` where Yahoo does not
    know the symbol, else `SourceUnavailable` for anything but a complete answer.
    """
    refusal = explanation(payload, CHART)
    if refusal.startswith("Not Found") or "No data found" in refusal:
        raise SymbolNotFound(f"Yahoo does not know the symbol {symbol}; correct it in the universe or remove it there.")
    if "Data doesn't exist for startDate" in refusal:  # so says Yahoo of dates before the listing
        return price_frame({})
    if refusal:
        raise _unavailable(symbol, f"it refused ({refusal[:100]})", "try again later")
    result = payload["chart"]["result"][0]
    meta, indicators = result["meta"], result["indicators"]
    named, currency, granularity = str(meta["symbol"]), meta.get("currency"), str(meta.get("dataGranularity", "1d"))
    zone = ZoneInfo(meta["exchangeTimezoneName"])
    stamps = result.get("timestamp") or []  # absent where there is no bar
    days = [_day(stamp, zone) for stamp in stamps]
    bars = {name: _numbers(indicators["quote"][0].get(name)) for name in ("open", "high", "low", "close", "volume")}
    adjusted = (indicators.get("adjclose") or [{}])[0].get("adjclose")
    bars["vendor_adj_close"] = _numbers(adjusted or [None] * len(days))
    paid, gained, split, currencies = _events(result.get("events") or {}, zone)
    if days or currency:
        currencies.add(str(currency))
    live = _live_row(meta, stamps, days)
    if named.upper() != symbol.upper():
        raise _unavailable(symbol, f"it answered for {named[:20]}", "check whether the symbol was renamed")
    if granularity != "1d":
        raise _unavailable(symbol, f"its bars are of {granularity:.20}, not of one day", "request a shorter range")
    if any(len(values) != len(days) for values in bars.values()):
        raise _unavailable(symbol, "its columns are of unequal length", "try again later")
    if foreign := currencies - {"USD"}:
        raise _unavailable(symbol, f"it answered in {foreign.pop():.20}, not USD", "follow only what is quoted in USD")

    kept = [i for i, day in enumerate(days) if start <= day <= end and i != live]
    bare = {day for day in {*paid, *gained, *split} if start <= day <= end} - {days[i] for i in kept}
    rows = sorted([(days[i], i) for i in kept] + [(day, -1) for day in bare])
    return price_frame(
        {name: [None if i < 0 else values[i] for _, i in rows] for name, values in bars.items()}
        | {
            "symbol": [symbol] * len(rows),
            "session": [day for day, _ in rows],
            "dividend": [paid.get(day, 0.0) for day, _ in rows],
            "capital_gain": [gained.get(day, 0.0) for day, _ in rows],
            "split_ratio": [split.get(day, 1.0) for day, _ in rows],
        }
    )


def _day(stamp: float, zone: ZoneInfo) -> date:
    return datetime.fromtimestamp(plain_number(stamp), zone).date()


def _numbers(values: list[float | None] | None) -> list[float | None]:
    return [None if value is None else plain_number(value) for value in values or []]


def _events(events: Any, zone: ZoneInfo) -> tuple[dict[date, float], dict[date, float], dict[date, float], set[str]]:
    """Dividends, capital gains and split ratios by date, and the currencies that payments name (most name none)."""
    paid: dict[date, float] = {}
    gained: dict[date, float] = {}
    split: dict[date, float] = {}
    currencies: set[str] = set()
    for kind, sums in (("dividends", paid), ("capitalGains", gained)):
        for event in (events.get(kind) or {}).values():
            currencies.add(str(event.get("currency") or "USD"))
        listed = {
            (_day(event["date"], zone), plain_number(event["amount"])) for event in (events.get(kind) or {}).values()
        }
        for day, amount in sorted(listed):
            sums[day] = sums.get(day, 0.0) + amount
    splits = (events.get("splits") or {}).values()
    for day, ratio in sorted(
        {(_day(e["date"], zone), plain_number(e["numerator"]) / plain_number(e["denominator"])) for e in splits}
    ):
        # Two different ratios on one day: which one is true is not known.
        split[day] = ratio if day not in split else math.nan
    return paid, gained, split, currencies


def _live_row(meta: Any, stamps: list[float], days: list[date]) -> int | None:
    """The place of Yahoo's live quote among the bars, where it must not be passed on.

    Yahoo puts the latest session's bar under the time of its latest quote, not of the opening. Once that session is closed
    this is its only bar, and final (it says 16:00:01 in the evening). It is left out in two cases: the session was still
    running, or the row comes in addition to the day's regular bar, which is a fault Yahoo has at times.
    """
    if not days or stamps[-1] != meta.get("regularMarketTime"):
        return None
    regular = any(day == days[-1] and stamp != stamps[-1] for day, stamp in zip(days, stamps, strict=True))
    period = (meta.get("currentTradingPeriod") or {}).get("regular") or {"start": 0, "end": 0}
    if not regular and not period["start"] <= stamps[-1] < period["end"]:
        return None
    why = "the day has its regular bar" if regular else "its session was still running"
    log.info("%s: left out Yahoo's live quote of %s, as %s.", meta["symbol"], days[-1], why)
    return len(days) - 1


def _midnight(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=NEW_YORK).timestamp())


def _unavailable(symbol: str, what: str, remedy: str) -> SourceUnavailable:
    return unavailable("prices", symbol, what, remedy)
