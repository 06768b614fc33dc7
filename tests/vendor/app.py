"""Yahoo's endpoints as the genuine client sees them, answered from a source adapter, with settable faults.

Shapes are those of recorded answers: field for field for a chart, and word for word for a refusal.
"""

from __future__ import annotations

import asyncio
import json
import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from functools import lru_cache
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Host, Route, Router

from market_rotation.tasks import calendar
from market_rotation.tasks.calendar import NEW_YORK
from market_rotation.tasks.errors import SymbolNotFound
from market_rotation.tasks.sources.base import Source

#: What a chart answer can suffer. What concerns a bar concerns the last one of each answer (`Yahoo._spoil`).
CHART_FAULTS = frozenset(
    [
        "http_429",
        "http_500",
        "hang",
        "truncated_json",
        "html_200",
        "missing_symbol",
        "empty_range",
        "wrong_currency",
        "null_last_close",
        "bad_tick",
        "stale",
        "duplicate_timestamp",
        "live_row",
        "holiday_row",
        "future_row",
    ]
)
#: What asking for cookie and crumb can suffer; set these for the symbol "*".
COOKIE_FAULTS = frozenset({"crumb_429", "crumb_html", "cookie_hang", "cookie_none"})

PAGE = "<!DOCTYPE html><html><body><h1>Will be right back...</h1>Thank you for your patience.</body></html>"
COOKIE = "A3=d=AQABBKRl&S=AQAAAtest; Expires=Fri, 31 Dec 2049 23:59:59 GMT; Domain=.yahoo.com; Path=/; Secure; HttpOnly"


@dataclass
class Fault:
    """`kind` for `symbol` ("*" = all); `left` requests long, None = until taken back."""

    symbol: str
    kind: str
    left: int | None


@dataclass(frozen=True)
class Seen:
    """One request that arrived."""

    host: str
    path: str
    query: dict[str, str]


class Yahoo:
    """The state behind the endpoints: the source, the clock, the faults, and the log of requests."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.released = asyncio.Event()
        self.arrived = threading.Condition()
        self.reset()

    def reset(self) -> None:
        """Forgets faults, requests, crumbs and the clock. Answers held back by `hang` stay so until `released`."""
        self.now: datetime | None = None  # None = the real time
        self.require_crumb = False
        self.faults: list[Fault] = []
        self.requests: list[Seen] = []
        self.crumbs: list[str] = []

    def take(self, symbol: str, kinds: frozenset[str], faults: list[Fault] | None = None) -> set[str]:
        """The faults that hit this request, each counted. `faults` are an endpoint's own, if it has such."""
        faults = self.faults if faults is None else faults
        hit = {f.kind: f for f in faults if f.symbol in ("*", symbol) and f.kind in kinds and f.left != 0}
        for fault in hit.values():
            if fault.left is not None:
                fault.left -= 1
        return set(hit)

    # ---- cookie and crumb ----

    async def cookie(self, request: Request) -> Response:
        """fc.yahoo.com: an error page whose only use is its cookie."""
        self.note(request)
        hit = self.take("*", frozenset({"cookie_hang", "cookie_none"}))
        if "cookie_hang" in hit:
            await self.released.wait()
        return PlainTextResponse("", 404, headers={} if "cookie_none" in hit else {"Set-Cookie": COOKIE})

    async def consent(self, request: Request) -> Response:
        """guce.yahoo.com outside the EU: a page without a form."""
        self.note(request)
        return HTMLResponse(PAGE)

    async def crumb(self, request: Request) -> Response:
        """A new crumb for a request with the cookie."""
        self.note(request)
        hit = self.take("*", frozenset({"crumb_429", "crumb_html"}))
        if "crumb_429" in hit:
            return PlainTextResponse("Too Many Requests\r\n", 429)
        if "crumb_html" in hit:
            return HTMLResponse(PAGE)
        if "A3" not in request.cookies:
            return unauthorized("Invalid Cookie")
        self.crumbs.append(f"cRumB.{len(self.crumbs):05d}")
        return PlainTextResponse(self.crumbs[-1])

    # ---- the chart ----

    async def chart(self, request: Request) -> Response:
        """/v8/finance/chart/{symbol}."""
        self.note(request)
        symbol = request.path_params["symbol"].upper()
        hit = self.take(symbol, CHART_FAULTS)
        if "hang" in hit:
            await self.released.wait()
        if "http_429" in hit:
            return PlainTextResponse("Too Many Requests\r\n", 429)
        if "http_500" in hit:
            return _refusal(500, "Internal Server Error", "Internal error")
        if "html_200" in hit:
            return HTMLResponse(PAGE)
        if self.require_crumb and ("A3" not in request.cookies or request.query_params.get("crumb") not in self.crumbs):
            return unauthorized("Invalid Crumb")
        if "missing_symbol" in hit:
            return _refusal(404, "Not Found", "No data found, symbol may be delisted")
        now = self.now or datetime.now(UTC)
        first, last = _asked_range(request.query_params, now)
        try:
            bars = self._bars(symbol, first, last, now)
            if bars["days"] == [] and self._bars(symbol, date(1990, 1, 1), last, now)["days"] == []:
                asked = ", ".join(
                    f"{n} = {request.query_params[p]}" for n, p in (("startDate", "period1"), ("endDate", "period2"))
                )
                return _refusal(400, "Bad Request", f"Data doesn't exist for {asked}")
        except SymbolNotFound:
            return _refusal(404, "Not Found", "No data found, symbol may be delisted")
        body = json.dumps({"chart": {"result": [self._result(symbol, bars, hit, now)], "error": None}})
        if "truncated_json" in hit:
            body = body[: len(body) // 2]
        return Response(body, media_type="application/json")

    def _bars(self, symbol: str, first: date, last: date, now: datetime) -> dict[str, Any]:
        """Days, stamps, columns and events of the sessions that have begun at `now`, as restated up to now."""
        opens_at, closes_at = session_hours(now)
        today = opens_at.astimezone(NEW_YORK).date()
        frame = self.source.prices(symbol, min(first, today), today)
        frame = frame[(frame["session"] >= str(first)) & (frame["session"] <= str(last))]
        days = [stamp.date() for stamp in frame["session"]]
        stamps = [_opening(day) for day in days]
        names = {n: n for n in ("open", "high", "low", "close", "volume")} | {"vendor_adj_close": "adjclose"}
        columns = {wire: [_json(value) for value in frame[name].tolist()] for name, wire in names.items()}
        events: dict[str, dict[str, Any]] = {}
        for column, kind in (("dividend", "dividends"), ("capital_gain", "capitalGains")):
            for stamp, amount in zip(stamps, frame[column].tolist(), strict=True):
                if amount:
                    events.setdefault(kind, {})[str(stamp)] = {"amount": amount, "date": stamp}
        for stamp, ratio in zip(stamps, frame["split_ratio"].tolist(), strict=True):
            if ratio != 1:
                events.setdefault("splits", {})[str(stamp)] = _split(stamp, ratio)
        if days and days[-1] == today:
            stamps[-1] = quoted(now)
            if now < closes_at:
                for name, share in (("volume", 0.5), ("close", 0.999), ("adjclose", 0.999)):
                    columns[name][-1] = columns[name][-1] and columns[name][-1] * share
        return {"days": days, "stamps": stamps, "columns": columns, "events": events}

    def _result(self, symbol: str, bars: dict[str, Any], hit: set[str], now: datetime) -> dict[str, Any]:
        meta = _meta(symbol, now)
        if "wrong_currency" in hit:
            meta["currency"] = "GBP"
        self._spoil(bars, meta, hit)
        result: dict[str, Any] = {"meta": meta}
        if not bars["stamps"] or "empty_range" in hit:
            return {"meta": meta, "indicators": {"quote": [{}], "adjclose": [{}]}}
        result["timestamp"] = bars["stamps"]
        if bars["events"]:
            result["events"] = bars["events"]
        columns = dict(bars["columns"])
        adjusted = {"adjclose": columns.pop("adjclose")}
        result["indicators"] = {"quote": [columns], "adjclose": [adjusted]}
        return result

    def _spoil(self, bars: dict[str, Any], meta: dict[str, Any], hit: set[str]) -> None:
        """The faults inside an answer. All act on its last bar, for every requested range."""
        columns, stamps, days = bars["columns"], bars["stamps"], bars["days"]
        if not stamps:
            return

        def add(stamp: int, at: int) -> None:
            for values in columns.values():
                values.insert(at, values[-1])
            stamps.insert(at, stamp)

        if "stale" in hit:
            for values in (stamps, *columns.values()):
                values.pop()
            missing = str(_opening(days.pop()))
            for events in bars["events"].values():
                events.pop(missing, None)
            if not stamps:
                return
        if "null_last_close" in hit:
            columns["close"][-1] = columns["adjclose"][-1] = None
        if "bad_tick" in hit:
            for name in ("open", "high", "low", "close", "adjclose"):
                columns[name][-1] *= 100
        if "duplicate_timestamp" in hit:
            add(stamps[-1], len(stamps))
        if "live_row" in hit:
            stamps[-1] = _opening(days[-1])
            meta["regularMarketTime"] = stamps[-1] + 23_401
            add(meta["regularMarketTime"], len(stamps))
        if "holiday_row" in hit:
            saturday = days[-1] - timedelta(days=(days[-1].weekday() + 2) % 7)
            add(_opening(saturday), sum(stamp < _opening(saturday) for stamp in stamps))
        if "future_row" in hit:
            add(_opening(days[-1] + timedelta(days=3 if days[-1].weekday() == 4 else 1)), len(stamps))

    def note(self, request: Request) -> None:
        with self.arrived:
            self.requests.append(Seen(request.url.hostname or "", request.url.path, dict(request.query_params)))
            self.arrived.notify_all()

    def application(self, more: Sequence[BaseRoute] = (), services: Sequence[BaseRoute] = ()) -> Starlette:
        """The server for all of Yahoo's hosts; `more` are routes of other vendors, best as `Host(...)`; `services` of Yahoo's."""
        data = Router(
            [Route("/v1/test/getcrumb", self.crumb), Route("/v8/finance/chart/{symbol}", self.chart), *services]
        )
        hosts = {"fc.yahoo.com": self.cookie, "guce.yahoo.com": self.consent}
        routes: list[BaseRoute] = [Host(f"query{n}.finance.yahoo.com", data) for n in (1, 2)]
        routes += [Host(name, Router([Route("/{path:path}", page)])) for name, page in hosts.items()]
        return Starlette(routes=[*more, *routes])


# ---- pieces of the wire format ----


def _refusal(status: int, code: str, description: str) -> Response:
    return JSONResponse({"chart": {"result": None, "error": {"code": code, "description": description}}}, status)


def unauthorized(description: str) -> Response:
    error = {"code": "Unauthorized", "description": description}
    return JSONResponse({"finance": {"result": None, "error": error}}, 401)


def _json(number: Any) -> Any:
    # A market may have texts where numbers belong.
    if isinstance(number, str):
        return number
    if math.isnan(number):
        return None
    return int(number) if number == int(number) and number >= 100_000 else float(number)


def _split(stamp: int, ratio: float) -> dict[str, Any]:
    exact = Fraction(ratio).limit_denominator(1000)
    text = f"{exact.numerator}:{exact.denominator}"
    return {"date": stamp, "numerator": exact.numerator, "denominator": exact.denominator, "splitRatio": text}


@lru_cache(maxsize=20_000)
def _opening(day: date) -> int:
    return int(datetime.combine(day, time(9, 30), NEW_YORK).timestamp())


@lru_cache(maxsize=256)
def _hours(day: date) -> list[tuple[datetime, datetime]]:
    known = calendar.load(day.replace(month=1, day=1), day.replace(month=12, day=31))
    hours = known.hours(day - timedelta(days=10), day + timedelta(days=10))
    return [(o.to_pydatetime(), c.to_pydatetime()) for o, c in zip(hours["opens_at"], hours["closes_at"], strict=True)]


def session_hours(now: datetime) -> tuple[datetime, datetime]:
    """Opening and close of the latest session that has begun at `now`."""
    return max(hours for hours in _hours(now.astimezone(NEW_YORK).date()) if hours[0] <= now)


def quoted(now: datetime) -> int:
    """The time of the latest quote: now, or a second after the close, as in recorded answers."""
    return int(min(now, session_hours(now)[1] + timedelta(seconds=1)).timestamp())


def _meta(symbol: str, now: datetime) -> dict[str, Any]:
    today = now.astimezone(NEW_YORK)
    begun = session_hours(now)
    opens, closes = next((h for h in _hours(today.date()) if h[0].astimezone(NEW_YORK).date() == today.date()), begun)
    offset = int(today.utcoffset().total_seconds())
    edges = [
        ("pre", opens - timedelta(hours=5, minutes=30), opens),
        ("regular", opens, closes),
        ("post", closes, closes + timedelta(hours=4)),
    ]
    return {
        "currency": "USD",
        "symbol": symbol,
        "exchangeName": "PCX",
        "fullExchangeName": "NYSEArca",
        "instrumentType": "ETF",
        "firstTradeDate": 728317800,
        "regularMarketTime": quoted(now),
        "hasPrePostMarketData": True,
        "gmtoffset": offset,
        "timezone": today.tzname(),
        "exchangeTimezoneName": "America/New_York",
        "regularMarketPrice": 100.0,
        "fiftyTwoWeekHigh": 120.0,
        "fiftyTwoWeekLow": 80.0,
        "regularMarketDayHigh": 101.0,
        "regularMarketDayLow": 99.0,
        "regularMarketVolume": 1_000_000,
        "longName": f"{symbol} (simulated)",
        "shortName": symbol,
        "chartPreviousClose": 100.0,
        "priceHint": 2,
        "currentTradingPeriod": {
            name: {
                "timezone": today.tzname(),
                "start": int(start.timestamp()),
                "end": int(end.timestamp()),
                "gmtoffset": offset,
            }
            for name, start, end in edges
        },
        "dataGranularity": "1d",
        "range": "",
        "validRanges": ["1d", "5d", "1mo", "3mo", "6mo", "1y", "2y", "5y", "10y", "ytd", "max"],
    }


def _asked_range(query: Any, now: datetime) -> tuple[date, date]:
    """First and last date that period1 and period2 span (the end is exclusive); the last month without them."""
    if "period1" not in query:
        today = now.astimezone(NEW_YORK).date()
        return today - timedelta(days=30), today
    first, beyond = (datetime.fromtimestamp(int(query[name]), NEW_YORK) for name in ("period1", "period2"))
    return first.date(), (beyond - timedelta(seconds=1)).date()
