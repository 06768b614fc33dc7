"""The pages as a web application: its addresses, and what each answers."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from market_rotation.tasks.errors import RotationError, UsageError
from market_rotation.tasks.serve import files, render, sessions
from market_rotation.tasks.serve.pages import flows, funds, own_sql, pair, rotation
from market_rotation.tasks.serve.parameters import Parameters
from market_rotation.tasks.serve.published import Published
from market_rotation.tasks.serve.security import Protection

if TYPE_CHECKING:
    from market_rotation.tasks.serve.pages.base import Page
    from market_rotation.tasks.settings import Settings

log = logging.getLogger("rotation.serve")

#: The pages that read the tables for values in their address.
BUILDERS = {"/pair": pair.build, "/funds": funds.build, "/rotation": rotation.build, "/flows": flows.build}

#: A stored report has a policy of its own, which lets only its own script run.
STORED_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'"
)


def application(settings: Settings, host: str, now: Callable[[], datetime]) -> Starlette:
    """The application over the published file of `settings`, for a server bound to `host`; `now` gives the time in UTC."""
    site = Site(settings, now)
    routes = [
        Route("/", lambda request: RedirectResponse("/session"), methods=["GET"]),
        Route("/session", site.session, methods=["GET"]),
        Route("/stored", site.stored, methods=["GET"]),
        *(Route(path, site.page, methods=["GET"]) for path in (*BUILDERS, "/sql")),
        Route("/version", site.version, methods=["GET"]),
        Route("/static/{name}", files.static, methods=["GET"]),
    ]

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        site.warm_up()
        yield
        site.close()

    return Starlette(
        routes=routes,
        middleware=[Middleware(Protection, bound_to=host)],
        exception_handlers={RotationError: site.refused, HTTPException: site.not_found, Exception: site.failed},
        lifespan=lifespan,
    )


class Site:
    """The endpoints. They run in threads, each with a connection of its own to the published file."""

    def __init__(self, settings: Settings, now: Callable[[], datetime]) -> None:
        self._now = now
        self._published = Published(settings.published)
        self._sessions = sessions.Sessions(self._published, settings, now)

    def warm_up(self) -> None:
        """Reads the latest report in the background, so that the first reader does not wait for it."""
        with suppress(RotationError), self._published.reading() as (edition, _):
            self._sessions.prepare(edition, edition.session)

    def close(self) -> None:
        """Closes the published file."""
        self._sessions.close()
        self._published.close()

    def session(self, request: Request) -> Response:
        """The report on a session: from the tables published now, or as it was known then."""
        asked = Parameters(request.query_params, request.url.path)
        with self._published.reading() as (edition, _):
            wanted = asked.day("date", edition.session)
        known = asked.choice("known", ("now", "then"), "now")
        asked.refuse_others()
        session = sessions.session_at(edition, wanted)
        if session != wanted:
            return RedirectResponse(asked.address(date=str(session)), 303)
        return HTMLResponse(self._sessions.page(edition, session, as_known_then=known == "then"))

    def stored(self, request: Request) -> Response:
        """The report file that was written for a session, as it is."""
        asked = Parameters(request.query_params, request.url.path)
        session = asked.day("date", self._now().date())
        asked.refuse_others()
        text = self._sessions.stored(session)
        if text is None:
            raise HTTPException(404, f"No report of {session} was written; /session?date={session} shows it.")
        return HTMLResponse(text, headers={"content-security-policy": STORED_POLICY})

    def page(self, request: Request) -> Response:
        """A page over the tables, or one table of it as CSV or JSON."""
        from altair.utils.schemapi import debug_mode

        asked = Parameters(request.query_params, request.url.path)
        form, table = asked.choice("format", ("", *files.FORMATS), ""), asked.text("table")
        # Altair would check each part of a chart against its schema, which takes longer than all the rest; the tests compile every chart.
        with self._published.reading() as (edition, con), debug_mode(False):
            build = BUILDERS.get(asked.path)
            page: Page = build(con, edition, asked) if build else own_sql.build(self._published.path, asked)
        if form or table:
            return files.download(page, table, form or "csv")
        html = render.template("page.html").render(
            **render.page(page, asked), **render.site(asked.path, edition, page.pinned_by), edition=edition
        )
        return HTMLResponse(html)

    def version(self, request: Request) -> Response:
        """What is published now, for the script that shows a new session."""
        with self._published.reading() as (edition, _):
            return JSONResponse({"version": edition.version, "session": str(edition.session)})

    def refused(self, request: Request, error: Exception) -> Response:
        """One sentence: 400 where the address must be corrected, 503 where the warehouse cannot be read."""
        return _said(request, str(error), 400 if isinstance(error, UsageError) else 503)

    def not_found(self, request: Request, error: Exception) -> Response:
        """One sentence for an address or a method that does not exist."""
        assert isinstance(error, HTTPException)
        sentences: dict[int, str] = {
            404: f"There is no page {request.url.path}; start at /session.",
            405: "This server only answers GET; it changes nothing.",
        }
        said = error.detail if error.detail not in ("Not Found", "Method Not Allowed") else sentences[error.status_code]
        return _said(request, said, error.status_code)

    def failed(self, request: Request, error: Exception) -> Response:
        """One sentence for an unexpected error; the log has the traceback."""
        log.error("%s failed", request.url.path, exc_info=error)
        return _said(request, "This page failed unexpectedly; the terminal of `rotation serve` shows the error.", 500)


def _said(request: Request, sentence: str, status: int) -> Response:
    wants_data: Any = request.query_params.get("format") or request.url.path == "/version"
    if wants_data:
        return JSONResponse({"error": sentence}, status)
    back = request.url.path if request.url.path in (*BUILDERS, "/sql", "/session") else "/session"
    html = render.template("error.html").render(sentence=sentence, back=back, static=files.address)
    return HTMLResponse(html, status)
