"""Tiingo's and EODHD's end-of-day services as a client with a key sees them, answered from a source adapter, with settable faults.

Shapes and refusals are those of the vendors' documentation and of answers quoted in public code and issues, October and November 2026.
"""

from __future__ import annotations

import asyncio
import json
import math
from datetime import UTC, date, datetime
from typing import Any

import pandas as pd
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Host, Route, Router

from market_rotation.tasks.calendar import NEW_YORK
from market_rotation.tasks.errors import SymbolNotFound
from vendor.app import PAGE, Fault, Yahoo

KEY = "k4711f00ba5secret0815"  # gitleaks: a key of this server alone
ALLOCATION = "Error: You have run over your hourly request allocation. Please upgrade at https://api.tiingo.com/pricing to have your limits increased."
SYMBOLS_OF_MONTH = "You have run over your 500 symbol look up for this month. Please upgrade at https://api.tiingo.com/pricing to have your limits increased."
DAILY_LIMIT = "You exceeded your daily API requests limit.  Please contact support@eodhistoricaldata.com"
ONE_YEAR = "Data is limited by one year as you have free subscription"

KEYED_FAULTS = frozenset(
    [
        "http_429",
        "used_up",  # the vendor's own words: Tiingo's with HTTP 429, EODHD's with HTTP 402
        "used_up_200",  # Tiingo's limit of symbols: a sentence with status 200
        "http_403",
        "http_404_page",
        "http_500",
        "hang",
        "html_200",
        "redirect",
        "truncated_json",
        "key_echo",
        "empty",
        "error_object",  # JSON, but no list
        "missing_symbol",
        "missing_field",
        "text_number",
        "infinite",
        "year_290000",
        "null_close",
        "null_event",
        "wrong_symbol",  # another symbol's rows, which name no symbol
        "named_symbol",  # rows that name another symbol
        "duplicate_date",
        "two_events",  # one day with two different splits
        "reversed",
        "free_plan",
    ]
)
FIRST_DAY = date(1990, 1, 1)


class Keyed:
    """Both vendors' own state, beside that of `yahoo` (source, clock, log of requests). What concerns a row concerns the last one."""

    def __init__(self, yahoo: Yahoo) -> None:
        self._yahoo = yahoo
        self.faults: list[Fault] = []
        self.routes = [
            Host("api.tiingo.com", Router([Route("/tiingo/daily/{symbol}/prices", self.tiingo)])),
            Host("eodhd.com", Router([Route("/api/{kind}/{code}", self.eodhd)])),
        ]

    def reset(self) -> None:
        self.faults = []

    def fault(self, symbol: str, kind: str, times: int | None = None) -> None:
        """Sets a fault for a symbol, as `Vendor.fault` does for charts."""
        if kind not in KEYED_FAULTS:
            raise ValueError(f"unknown fault {kind}")
        self.faults.append(Fault(symbol, kind, times))

    async def tiingo(self, request: Request) -> Response:
        """/tiingo/daily/{ticker}/prices?startDate=…: rows from then to the present, in the key's header."""
        symbol = request.path_params["symbol"].upper()
        is_known_key = request.headers.get("authorization") == f"Token {KEY}"
        hit = await self._begin(request, symbol)
        detail = {
            "used_up": (429, ALLOCATION),
            "http_403": (403, "You do not have permission to access this ticker"),
            "missing_symbol": (404, f"Error: Ticker '{symbol}' not found"),
        }
        if not is_known_key:
            return _json({"detail": "Invalid token."}, 401)
        if "used_up_200" in hit:
            return PlainTextResponse(SYMBOLS_OF_MONTH)
        for kind, (status, text) in detail.items():
            if kind in hit:
                return _json({"detail": text}, status)
        if refusal := _refusal(hit):
            return refusal
        try:
            frame = self._traded(self._other(symbol, hit))
        except SymbolNotFound:
            return _json({"detail": f"Error: Ticker '{symbol}' not found"}, 404)
        frame = frame[frame["session"] >= request.query_params.get("startDate", "")]
        rows = [
            {
                "date": f"{row.session:%Y-%m-%d}T00:00:00.000Z",
                **{name: _value(getattr(row, name)) for name in ("close", "high", "low", "open")},
                "volume": _value(row.volume),
                **{f"adj{name.title()}": _value(getattr(row, name) * row.factor) for name in ("high", "low", "open")},
                "adjClose": _value(row.vendor_adj_close),
                "adjVolume": _value(row.volume * row.later),
                "divCash": row.dividend,
                "splitFactor": row.split_ratio,
            }
            for row in frame.itertuples()
        ]
        return _spoiled(rows, hit, price="close", event="divCash", split="splitFactor", other_split=7.0, name="ticker")

    async def eodhd(self, request: Request) -> Response:
        """/api/eod|div|splits/{code}?api_token=…&fmt=json&from=…&to=…."""
        symbol, _, exchange = request.path_params["code"].upper().rpartition(".")
        symbol = {"VIX.INDX": "^VIX"}.get(request.path_params["code"], symbol)
        kind = request.path_params["kind"]
        hit = await self._begin(request, symbol)
        query = request.query_params
        if query.get("api_token") != KEY:
            return PlainTextResponse("Unauthenticated", 401)
        if hit & {"used_up", "used_up_200"}:
            return PlainTextResponse(DAILY_LIMIT, 402 if "used_up" in hit else 200)
        if "http_403" in hit:
            return PlainTextResponse("Forbidden. Please contact support@eodhistoricaldata.com", 403)
        if refusal := _refusal(hit):
            return refusal
        try:
            if exchange not in ("US", "INDX") or query.get("fmt") != "json" or "missing_symbol" in hit:
                raise SymbolNotFound(symbol)
            frame = self._traded(self._other(symbol, hit))
        except SymbolNotFound:
            return PlainTextResponse("Ticker Not Found.", 404)
        frame = frame[frame["session"] >= query.get("from", "")]
        if kind == "eod":
            frame = frame[frame["session"] <= query.get("to", "9999-12-31")]
            if "free_plan" in hit:
                frame = frame.tail(250)
            rows = [
                {
                    "date": f"{row.session:%Y-%m-%d}",
                    **{name: _value(getattr(row, name)) for name in ("open", "high", "low", "close")},
                    "adjusted_close": _value(row.vendor_adj_close),
                    # Alone of the columns it is adjusted for splits.
                    "volume": _value(row.volume * row.later),
                    **({"warning": ONE_YEAR} if "free_plan" in hit else {}),
                }
                for row in frame.itertuples()
            ]
        elif kind == "div":
            rows = [
                {
                    "date": f"{row.session:%Y-%m-%d}",
                    "declarationDate": None,
                    "recordDate": None,
                    "paymentDate": None,
                    "period": "Quarterly",
                    "value": row.dividend / row.later,
                    "unadjustedValue": row.dividend,
                    "currency": "USD",
                }
                for row in frame[frame["dividend"] > 0].itertuples()
            ]
        else:
            rows = [
                {"date": f"{row.session:%Y-%m-%d}", "split": f"{row.split_ratio:.6f}/1.000000"}
                for row in frame[frame["split_ratio"] != 1].itertuples()
            ]
        fields = {"eod": ("close", None, None), "div": (None, "value", None), "splits": (None, None, "split")}[kind]
        price, event, split = fields
        return _spoiled(rows, hit, price=price, event=event, split=split, other_split="7.000000/1.000000", name="code")

    async def _begin(self, request: Request, symbol: str) -> set[str]:
        self._yahoo.note(request)
        hit = self._yahoo.take(symbol, KEYED_FAULTS, self.faults)
        if "hang" in hit:
            await self._yahoo.released.wait()
        await asyncio.sleep(0)
        return hit

    def _other(self, symbol: str, hit: set[str]) -> str:
        return ("IWM" if symbol != "IWM" else "SPY") if "wrong_symbol" in hit else symbol

    def _traded(self, symbol: str) -> pd.DataFrame:
        """The whole history up to the vendor's clock as traded; `later` is the product of later splits, `factor` to the adjusted prices."""
        today = (self._yahoo.now or datetime.now(UTC)).astimezone(NEW_YORK).date()
        frame = self._yahoo.source.prices(symbol, FIRST_DAY, today).reset_index(drop=True)
        later = frame["split_ratio"][::-1].cumprod()[::-1].shift(-1, fill_value=1.0)
        traded = {name: frame[name] * later for name in ("open", "high", "low", "close", "dividend")}
        factor = frame["vendor_adj_close"] / traded["close"]
        return frame.assign(**traded, volume=frame["volume"] / later, later=later, factor=factor)


def _value(number: Any) -> Any:
    # A market may have texts where numbers belong.
    if isinstance(number, str):
        return number
    return None if math.isnan(number) else float(number)


def _json(payload: Any, status: int = 200) -> Response:
    return Response(json.dumps(payload), status, media_type="application/json")


def _refusal(hit: set[str]) -> Response | None:
    """What either vendor, its front or a proxy before it may answer."""
    if "http_429" in hit:
        return PlainTextResponse("Too Many Requests", 429)
    if "http_404_page" in hit:
        return HTMLResponse(PAGE, 404)
    if "http_500" in hit:
        return HTMLResponse(PAGE, 500)
    if "html_200" in hit:
        return HTMLResponse(PAGE)
    if "redirect" in hit:
        return RedirectResponse("https://www.ssga.com/elsewhere", 302)
    if "key_echo" in hit:
        return _json({"detail": f"Error: the request with token {KEY} is not valid"}, 400)
    if "error_object" in hit:
        return _json({"error": f"bad request of {KEY}"})
    return None


def _spoiled(
    rows: list[dict[str, Any]],
    hit: set[str],
    price: str | None,
    event: str | None,
    split: str | None,
    other_split: Any,
    name: str,
) -> Response:
    """The answer with the faults inside it; `price`, `event` and `split` are the fields of these that the rows have."""
    last = rows[-1] if rows else {}
    if "empty" in hit:
        rows = []
    if last:
        field = price or event or split
        if "missing_field" in hit:
            last.pop(field)
        if "text_number" in hit:
            last[field] = "12,5"
        if "infinite" in hit:
            last[field] = math.inf
        if "year_290000" in hit:
            last["date"] = "290000-01-05"
        if "null_close" in hit and price:
            last[price] = None
        if "null_event" in hit:
            for present in filter(None, (event, split)):
                last[present] = None
                last.pop("unadjustedValue", None)
        if "named_symbol" in hit:
            last[name] = "XYZ"
        if "duplicate_date" in hit:
            rows = [*rows, dict(last)]
        if "two_events" in hit and split:
            rows = [*rows, last | {split: other_split}]
    if "reversed" in hit:
        rows = rows[::-1]
    body = json.dumps(rows)
    return Response(body[: len(body) // 2] if "truncated_json" in hit else body, media_type="application/json")
