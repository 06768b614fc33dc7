"""The endpoints of the issuers, answered from anything that has `fund_nav` and `holdings`, with settable faults."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Host, Route, Router

from market_rotation.tasks.calendar import NEW_YORK
from market_rotation.tasks.datasets import HOLDINGS_COLUMNS
from market_rotation.tasks.errors import SymbolNotFound
from market_rotation.tasks.sources.base import typed
from market_rotation.tasks.universe import Instrument, load_universe
from vendor import issuer_apis as apis
from vendor.app import PAGE, Fault, Yahoo
from vendor.issuer_files import (
    FIRST_DAY,
    Contents,
    distributions_xlsx,
    holdings_xlsx,
    ishares_xls,
    nav_history_xlsx,
    premiums_xlsx,
)

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
        "wrong_currency",  # of Invesco
        "http_406",  # of Invesco, that requests fewer requests so
        "mid_month",  # of Vanguard: a share count of no month's end
    ]
)
FROZEN_ROWS = 10
NOT_FOUND = "<!DOCTYPE html><html><head><title>Page not found</title></head><body>404</body></html>"


#: For which symbol a fault of State Street's file of all distributions is set.
DISTRIBUTIONS = "distributions"


class Issuers:
    """All hosts' own state, beside that of `yahoo` (clock, log of requests). `source` None: that of `yahoo`."""

    def __init__(self, yahoo: Yahoo) -> None:
        self._yahoo = yahoo
        funds = [_identified(i) for i in load_universe().instruments]
        self._funds = {(str(i.issuer), str(i.issuer_id)): i for i in funds if i.issuer_id}
        self.reset()
        ssga = "/library-content/products/fund-data/etfs/us"
        blackrock = "/varnish-api/blk-one01-product-data/product-data/api/v1/get-fund-document"
        cusip = "/cache/v1/accounts/en_US/shareclasses/{id}"
        vanguard, advisers = "/vmf/api/{id}", "/investments/products/api/funds/{id}"
        served: dict[str, list[tuple[str, Any]]] = {
            "www.ssga.com": [
                (f"{ssga}/spdr-etf-historical-distributions.xlsx", self.distributions),
                (f"{ssga}/{{kind}}-us-en-{{id}}.xlsx", self.ssga),
            ],
            "www.blackrock.com": [(blackrock, self.ishares)],
            "dng-api.invesco.com": [
                (f"{cusip}/prices", partial(self.invesco, apis.invesco_prices)),
                (f"{cusip}/navs", partial(self.invesco, apis.invesco_navs)),
                (f"{cusip}/holdings/fund", partial(self.invesco, apis.invesco_holdings)),
            ],
            "investor.vanguard.com": [
                (f"{vanguard}/profile", partial(self.vanguard, apis.vanguard_profile)),
                (f"{vanguard}/price-history/1M", partial(self.vanguard, apis.vanguard_navs)),
                (f"{vanguard}/portfolio-holding/stock.json", partial(self.vanguard, apis.vanguard_holdings)),
            ],
            "advisors.vanguard.com": [
                (f"{advisers}/pricing/outstanding-shares", partial(self.vanguard, apis.vanguard_shares)),
            ],
            "www.roundhillinvestments.com": [("/assets/data/FilepointRoundhill.40RU.RU_{name}.csv", self.roundhill)],
            "tools-blob.dimensional.com": [("/etf/{day}/{ticker}.csv", self.dimensional)],
        }
        self.routes = [
            Host(host, Router([Route(path, answer) for path, answer in answers])) for host, answers in served.items()
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
        """…/navhist-us-en-{ticker}.xlsx, …/holdings-daily-us-en-{ticker}.xlsx and …/pdhist-us-en-{ticker}.xlsx."""
        writers = {"navhist": nav_history_xlsx, "holdings-daily": holdings_xlsx, "pdhist": premiums_xlsx}
        write = writers.get(request.path_params["kind"])
        return await self._answer(request, self._fund("ssga", request.path_params["id"]), write)

    async def distributions(self, request: Request) -> Response:
        """…/spdr-etf-historical-distributions.xlsx."""
        funds = [fund for (issuer, _), fund in self._funds.items() if issuer == "ssga"]

        def write(contents: Contents) -> bytes:
            return distributions_xlsx([(f, self._contents(f, set()).nav) for f in funds])

        return await self._answer(request, funds[0], write, DISTRIBUTIONS)

    async def ishares(self, request: Request) -> Response:
        """…/get-fund-document?portfolioId=…; German where the query does not force English."""
        query = request.query_params
        writers: dict[str, Callable[[Contents], bytes]] = {
            "fundDownload": ishares_xls,
            "holdings": lambda c: apis.ishares_past_holdings(c, _compact(query["asOfDate"])),
        }
        fund = self._fund("ishares", query.get("portfolioId", ""))
        german = query.get("locale") != "en_US"
        return await self._answer(request, fund, writers.get(query.get("component", "")), german=german)

    async def invesco(self, write: Any, request: Request) -> Response:
        """…/shareclasses/{CUSIP}/…: answers 406 to what does not look like a browser."""
        cusip = request.path_params["id"]
        browser = "Chrome/" in request.headers.get("user-agent", "") and "sec-ch-ua" in request.headers
        if not browser or request.query_params.get("idType") != "cusip":
            self._yahoo.note(request)
            return Response("Not Acceptable", 406)
        return await self._answer(request, self._fund("invesco", cusip), lambda c: write(c, cusip, self._today()))

    async def vanguard(self, write: Any, request: Request) -> Response:
        """Both hosts of Vanguard: by ticker, and by fund id."""
        ticker = request.path_params["id"]
        by_fund_id = {number: symbol for symbol, number in apis.FUND_IDS.items()}
        fund = self._fund("vanguard", by_fund_id.get(ticker, ticker).lower())
        return await self._answer(request, fund, lambda c: write(c, ticker, self._today()))

    async def roundhill(self, request: Request) -> Response:
        """…RU_{name}.csv: daily NAV, NAV history of a fund, holdings of a day; any other name is the site's page, with status 200."""
        name, today = request.path_params["name"], self._today()
        writers: dict[str, Any] = {
            "DailyNAV": lambda c: apis.roundhill_daily(c, today),
            "BIGT_Daily": lambda c: apis.roundhill_navs(c, today),
        }
        if name.startswith("Holdings_"):
            day = datetime.strptime(name.removeprefix("Holdings_"), "%m%d%Y").date()  # noqa: DTZ007
            writers[name] = lambda c: apis.roundhill_holdings(c, day, today) or apis.SPA.encode()
        return await self._answer(
            request, self._fund("roundhill", "mags"), writers.get(name, lambda c: apis.SPA.encode())
        )

    async def dimensional(self, request: Request) -> Response:
        """/etf/{YYYYMMDD}/{TICKER}.csv."""
        day = _compact(request.path_params["day"])
        fund = self._fund("dimensional", request.path_params["ticker"].lower())
        return await self._answer(request, fund, lambda c: apis.dimensional_holdings(c, day, self._today()))

    def know(self, fund: Instrument) -> None:
        """Serves a fund that the shipped universe lacks."""
        self._funds[str(fund.issuer), str(fund.issuer_id)] = fund

    def _fund(self, issuer: str, issuer_id: str) -> Instrument | None:
        return self._funds.get((issuer, issuer_id))

    def _today(self) -> date:
        return (self._yahoo.now or datetime.now(UTC)).astimezone(NEW_YORK).date()

    async def _answer(
        self, request: Request, fund: Instrument | None, write: Any, symbol: str = "", *, german: bool = False
    ) -> Response:
        """The document that `write` makes of the fund's contents (None: there is none), with the faults of `symbol` or the fund."""
        self._yahoo.note(request)
        hit = self._yahoo.take(symbol or (fund.symbol if fund else ""), ISSUER_FAULTS, self.faults)
        if "hang" in hit:
            await self._yahoo.released.wait()
        if "http_429" in hit:
            return PlainTextResponse("Too Many Requests\r\n", 429)
        if "http_406" in hit:
            return PlainTextResponse("Not Acceptable", 406)
        if "http_500" in hit:
            return HTMLResponse(PAGE, 500)
        if "html_200" in hit:
            return HTMLResponse(PAGE)
        if fund is None or write is None or "http_404" in hit:
            return HTMLResponse(NOT_FOUND, 404)
        if german:
            hit.add("german")
        try:
            body = b"" if "empty" in hit else await asyncio.to_thread(lambda: write(self._contents(fund, hit)))
        except SymbolNotFound:
            body = None
        if body is None:
            return HTMLResponse(NOT_FOUND, 404)
        if "truncated" in hit:
            body = body[: len(body) // 2]
        return Response(body, media_type="application/vnd.ms-excel")

    def _contents(self, fund: Instrument, hit: set[str]) -> Contents:
        source: Any = self.source or self._yahoo.source
        today = self._today()
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


def _identified(fund: Instrument) -> Instrument:
    found = apis.IDS.get((str(fund.issuer), fund.symbol))
    return fund.model_copy(update={"issuer_id": found}) if found else fund


def _compact(day: str) -> date:
    return datetime.strptime(day, "%Y%m%d").date()  # noqa: DTZ007
