"""Yahoo's quoteSummary endpoint, answered from anything that has `fund_facts` and `earnings_growth`, with settable faults.

Shapes are those of recorded answers: plain numbers for `formatted=false`, else `{"raw": .., "fmt": ..}`; `earningsTrend` has the
latter always. Modules without data are left out, 404 if none is left, and a fund's P/E stands there as earnings over price.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from market_rotation.tasks.calendar import NEW_YORK
from market_rotation.tasks.errors import RotationError
from vendor.app import PAGE, Fault, Yahoo, quoted, unauthorized

SUMMARY_FAULTS = frozenset(
    [
        "http_429",
        "http_500",
        "http_404",  # as of an unknown symbol
        "html_200",
        "truncated_json",
        "missing_modules",  # only those are left that every symbol has
        "hang",
        "wrong_currency",
    ]
)


class Summary:
    """The endpoint's own state, beside that of `yahoo` (clock, crumbs, log of requests). `source` None: that of `yahoo`."""

    def __init__(self, yahoo: Yahoo) -> None:
        self._yahoo = yahoo
        self.reset()
        self.routes = [Route("/v10/finance/quoteSummary/{symbol}", self.answer)]

    def reset(self) -> None:
        self.faults: list[Fault] = []
        self.source: Any = None

    def fault(self, symbol: str, kind: str, times: int | None = None) -> None:
        """Sets a fault, as `Vendor.fault` does for charts."""
        if kind not in SUMMARY_FAULTS:
            raise ValueError(f"unknown fault {kind}")
        self.faults.append(Fault(symbol, kind, times))

    async def answer(self, request: Request) -> Response:
        """/v10/finance/quoteSummary/{symbol}?modules=..&crumb=..."""
        self._yahoo.note(request)
        symbol = request.path_params["symbol"].upper()
        hit = self._yahoo.take(symbol, SUMMARY_FAULTS, self.faults)
        if "hang" in hit:
            await self._yahoo.released.wait()
        if "http_429" in hit:
            return PlainTextResponse("Too Many Requests\r\n", 429)
        if "http_500" in hit:
            return _refusal(500, "Internal Server Error", "Internal error")
        if "html_200" in hit:
            return HTMLResponse(PAGE)
        if "A3" not in request.cookies or request.query_params.get("crumb") not in self._yahoo.crumbs:
            return unauthorized("Invalid Crumb")
        now = self._yahoo.now or datetime.now(UTC)
        modules = None if "http_404" in hit else self._modules(symbol, now)
        if modules is None:
            return _refusal(404, "Not Found", f"Quote not found for symbol: {symbol}")
        if "missing_modules" in hit:
            modules = {name: module for name, module in modules.items() if name in ("quoteType", "price")}
        if "wrong_currency" in hit:
            for name in {"price", "summaryDetail"} & set(modules):
                modules[name]["currency"] = "GBP"
        asked = request.query_params.get("modules", "").split(",")
        result = {name: module for name, module in modules.items() if name in asked}
        if not result:
            none = f"No fundamentals data found for any of the summaryTypes={','.join(asked)}"
            return _refusal(404, "Not Found", none)
        if request.query_params.get("formatted") != "false":
            result = {name: _formatted(module) for name, module in result.items()}
        body = json.dumps({"quoteSummary": {"result": [result], "error": None}})
        if "truncated_json" in hit:
            body = body[: len(body) // 2]
        return Response(body, media_type="application/json")

    def _modules(self, symbol: str, now: datetime) -> dict[str, Any] | None:
        """All modules of a symbol, with plain numbers; None for an unknown one."""
        today = now.astimezone(NEW_YORK).date()
        facts, growth = self._of("fund_facts", symbol, today), self._of("earnings_growth", symbol, today)
        if facts is None and growth is None:
            return None
        kind = "EQUITY" if facts is None else "ETF"
        modules: dict[str, Any] = {
            "quoteType": {
                "exchange": "PCX",
                "quoteType": kind,
                "symbol": symbol,
                "underlyingSymbol": symbol,
                "maxAge": 1,
            },
            "price": {
                "maxAge": 1,
                "regularMarketTime": quoted(now),
                "quoteType": kind,
                "symbol": symbol,
                "currency": "USD",
            },
            "summaryDetail": {"maxAge": 1, "priceHint": 2, "currency": "USD", "tradeable": False},
            "defaultKeyStatistics": {"maxAge": 1, "priceHint": 2, "category": None, "legalType": None},
        }
        if facts is not None:
            return modules | _fund_modules(modules, facts)
        assert growth is not None
        modules["price"] |= _known({"regularMarketPrice": growth["price"]})
        modules["earningsTrend"] = {"trend": _trend(growth), "maxAge": 1}
        return modules

    def _of(self, method: str, symbol: str, as_of: date) -> dict[str, Any] | None:
        """The row that the source has, None where it lacks the method or the symbol."""
        source = self.source or self._yahoo.source
        ask: Callable[[str, date], Any] | None = getattr(source, method, None)
        if ask is None:
            return None
        try:
            rows = ask(symbol, as_of).to_dict("records")
        except RotationError:
            return None
        return rows[0] if rows else None


def _fund_modules(modules: dict[str, Any], facts: dict[str, Any]) -> dict[str, Any]:
    assets, category = _known({"totalAssets": facts["total_net_assets_usd"]}), facts["category"]
    inverted = {"priceToEarnings": 1 / facts["trailing_pe"], "priceToBook": 0.12608}
    expenses = {"annualReportExpenseRatio": facts["expense_ratio"], "annualHoldingsTurnover": 0.0807}
    return {
        "summaryDetail": modules["summaryDetail"] | assets | _known({"navPrice": facts["nav"]}),
        "defaultKeyStatistics": modules["defaultKeyStatistics"] | assets | {"category": category},
        "fundProfile": {
            "maxAge": 1,
            "categoryName": category,
            "legalType": "Exchange Traded Fund",
            # Not the fund's assets, and in millions, as in recorded answers.
            "feesExpensesInvestment": _known(expenses) | {"totalNetAssets": 521778.34, "projectionValues": {}},
            "brokerages": [],
        },
        "topHoldings": {"maxAge": 1, "holdings": [], "equityHoldings": _known(inverted), "bondHoldings": {}},
    }


def _trend(growth: dict[str, Any]) -> list[dict[str, Any]]:
    """The trend of a company: two quarters and two years, each with its end, mean estimate, and revisions; five years without."""
    quarters: dict[str, tuple[str | None, float, float, float]] = {
        "0q": ("2026-03-31", 0.98, 0.64, 0.531),
        "+1q": ("2026-06-30", 0.81, 0.64, 0.266),
    }
    years: dict[str, tuple[str | None, float, float, float]] = {
        period: (_date(growth[f"period_end_{year}"]), growth[f"eps_{year}"], growth[before], growth[f"growth_{year}"])
        for period, year, before in (("0y", "current_year", "eps_year_ago"), ("+1y", "next_year", "eps_current_year"))
    }
    counts = [growth[name] for name in ("analysts", "revisions_up_30d", "revisions_down_30d")]
    return [_period(period, *values, counts) for period, values in (quarters | years).items()] + [
        _period("+5y", None, math.nan, math.nan, 0.1469, [math.nan] * 3)
    ]


def _period(
    period: str, end: str | None, average: float, year_ago: float, growth: float, counts: list[float]
) -> dict[str, Any]:
    analysts, up, down = counts
    fraction = _object(growth, f"{100 * growth:.2f}%")
    # Nobody's mean is written as 0, as in the recorded answer about BMW.DE.
    mean = _object(0 if analysts == 0 else average, f"{average:.2f}")
    return {
        "maxAge": 1,
        "period": period,
        "endDate": end,
        "growth": fraction,
        "earningsEstimate": {
            "avg": mean,
            "low": mean,
            "high": mean,
            "yearAgoEps": _object(year_ago, f"{year_ago:.2f}"),
            "numberOfAnalysts": _object(analysts, f"{analysts:.0f}"),
            "growth": fraction,
            "earningsCurrency": "USD",
        },
        "epsTrend": {"current": mean, "7daysAgo": mean, "30daysAgo": mean},
        "epsRevisions": {
            "upLast7days": _object(0, "0"),
            "upLast30days": _object(up, f"{up:.0f}"),
            "downLast30days": _object(down, f"{down:.0f}"),
            "downLast90days": {},
        },
    }


def _date(day: Any) -> str | None:
    return None if day != day or day is None else f"{day:%Y-%m-%d}"


def _known(numbers: dict[str, float]) -> dict[str, float]:
    """Without those that are not known: a plain answer leaves them out."""
    return {name: number for name, number in numbers.items() if not math.isnan(number)}


def _object(raw: float, fmt: str) -> dict[str, Any]:
    return {} if math.isnan(raw) else {"raw": raw, "fmt": fmt}


def _formatted(module: Any) -> Any:
    """The same with an object for each number but `maxAge`."""
    if isinstance(module, dict):
        done = module.keys() == {"raw", "fmt"}
        return module if done else {n: v if n == "maxAge" else _formatted(v) for n, v in module.items()}
    if isinstance(module, list):
        return [_formatted(part) for part in module]
    return _object(module, f"{module:.4g}") if type(module) in (int, float) else module


def _refusal(status: int, code: str, description: str) -> Response:
    return JSONResponse({"quoteSummary": {"result": None, "error": {"code": code, "description": description}}}, status)
