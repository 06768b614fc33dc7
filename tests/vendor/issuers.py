"""The endpoints of State Street and iShares, answered from anything that has `fund_nav` and `holdings`, with settable faults."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Host, Route, Router

from market_rotation.tasks.calendar import NEW_YORK
from market_rotation.tasks.datasets import HOLDINGS_COLUMNS
from market_rotation.tasks.errors import SymbolNotFound
from market_rotation.tasks.sources.base import typed
from market_rotation.tasks.universe import Instrument, load_universe
from vendor.app import PAGE, Fault, Yahoo
from vendor.issuer_files import FIRST_DAY, Contents, holdings_xlsx, ishares_xls, nav_history_xlsx

ISSUER_FAULTS = frozenset(
    [
        "http_404",
        "http_429",
        "http_500",
        "hang",
        "html_200",
        "empty",
        "truncated",
        "german",
        "resaved_xlsx",  # of State Street, whose file is one anyway: with cells of the date type
        "missing_today",  # the newest row is absent
        "frozen_shares",  # the newest share counts all repeat an older one
        "wrong_ticker",  # another fund's file
    ]
)
FROZEN_ROWS = 10
NOT_FOUND = "<!DOCTYPE html><html><head><title>Page not found</title></head><body>404</body></html>"


class Issuers:
    """Both hosts' own state, beside that of `yahoo` (clock, log of requests). `source` None: that of `yahoo`."""

    def __init__(self, yahoo: Yahoo) -> None:
        self._yahoo = yahoo
        funds = [i for i in load_universe().instruments if i.issuer_id]
        self._funds = {(str(i.issuer), str(i.issuer_id)): i for i in funds}
        self.reset()
        ssga = "/library-content/products/fund-data/etfs/us/{kind}-us-en-{id}.xlsx"
        blackrock = "/varnish-api/blk-one01-product-data/product-data/api/v1/get-fund-document"
        self.routes = [
            Host("www.ssga.com", Router([Route(ssga, self.ssga)])),
            Host("www.blackrock.com", Router([Route(blackrock, self.ishares)])),
        ]

    def reset(self) -> None:
        self.faults: list[Fault] = []
        self.source: Any = None

    def fault(self, symbol: str, kind: str, times: int | None = None) -> None:
        """Sets a fault for a fund's symbol, as `Vendor.fault` does for charts."""
        if kind not in ISSUER_FAULTS:
            raise ValueError(f"unknown fault {kind}")
        self.faults.append(Fault(symbol, kind, times))

    async def ssga(self, request: Request) -> Response:
        """…/navhist-us-en-{ticker}.xlsx and …/holdings-daily-us-en-{ticker}.xlsx."""
        write = {"navhist": nav_history_xlsx, "holdings-daily": holdings_xlsx}.get(request.path_params["kind"])
        return await self._answer(request, "ssga", request.path_params["id"], write)

    async def ishares(self, request: Request) -> Response:
        """…/get-fund-document?portfolioId=…; German where the query does not force English."""
        write = None if request.query_params.get("component") != "fundDownload" else ishares_xls
        return await self._answer(request, "ishares", request.query_params.get("portfolioId", ""), write)

    async def _answer(self, request: Request, issuer: str, issuer_id: str, write: Any) -> Response:
        self._yahoo.note(request)
        fund = self._funds.get((issuer, issuer_id))
        hit = self._yahoo.take(fund.symbol if fund else "", ISSUER_FAULTS, self.faults)
        if "hang" in hit:
            await self._yahoo.released.wait()
        if "http_429" in hit:
            return PlainTextResponse("Too Many Requests\r\n", 429)
        if "http_500" in hit:
            return HTMLResponse(PAGE, 500)
        if "html_200" in hit:
            return HTMLResponse(PAGE)
        if fund is None or write is None or "http_404" in hit:
            return HTMLResponse(NOT_FOUND, 404)
        if issuer == "ishares" and request.query_params.get("locale") != "en_US":
            hit.add("german")
        try:
            body = b"" if "empty" in hit else await asyncio.to_thread(lambda: write(self._contents(fund, hit)))
        except SymbolNotFound:
            return HTMLResponse(NOT_FOUND, 404)
        if "truncated" in hit:
            body = body[: len(body) // 2]
        return Response(body, media_type="application/vnd.ms-excel")

    def _contents(self, fund: Instrument, hit: set[str]) -> Contents:
        source = self.source or self._yahoo.source
        today = (self._yahoo.now or datetime.now(UTC)).astimezone(NEW_YORK).date()
        nav = source.fund_nav(fund.symbol, FIRST_DAY, today)
        try:
            held = source.holdings(fund.symbol, today)
        except SymbolNotFound:
            held = typed({}, HOLDINGS_COLUMNS)
        if "missing_today" in hit:
            nav = nav.iloc[:-1]
        if "frozen_shares" in hit and len(nav):
            nav = nav.copy()
            nav.iloc[-FROZEN_ROWS:, nav.columns.get_loc("shares_outstanding")] = (
                nav["shares_outstanding"].iloc[-FROZEN_ROWS:].iloc[0]
            )
        return Contents(fund, nav.iloc[::-1], held, hit)
