"""The vendor server with its proxy and its own certificate authority, in one thread."""

from __future__ import annotations

import asyncio
import os
import socket
import tempfile
import threading
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import trustme
import uvicorn
from starlette.routing import BaseRoute

from market_rotation.tasks.sources.base import Source
from vendor.app import CHART_FAULTS, COOKIE_FAULTS, Fault, Seen, Yahoo
from vendor.issuers import Issuers
from vendor.keyed import Keyed
from vendor.proxy import Proxy
from vendor.summary import Summary

HOSTS = (
    "fc.yahoo.com",
    "query1.finance.yahoo.com",
    "query2.finance.yahoo.com",
    "finance.yahoo.com",
    "guce.yahoo.com",
    "consent.yahoo.com",
    "www.ssga.com",
    "www.blackrock.com",
    "api.tiingo.com",
    "eodhd.com",
    "prices.example",
    "dng-api.invesco.com",
    "investor.vanguard.com",
    "advisors.vanguard.com",
    "www.roundhillinvestments.com",
    "tools-blob.dimensional.com",
)
CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
PROXY_VARIABLES = ("https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy", "http_proxy", "HTTP_PROXY")


class Vendor:
    """A running vendor. Start with `with Vendor(source) as vendor:`; `source` can be replaced at any time.

    `fault` sets a fault (of Yahoo's fund data: `summary.fault`; of the issuers' files: `issuers.fault`; of vendors with a key: `keyed.fault`), `now` is the vendor's clock, `requests` what arrived, `environment` what makes a client come here.
    """

    def __init__(self, source: Source, more: Sequence[BaseRoute] = ()) -> None:
        self._source = source
        self._more = more
        self._folder = tempfile.TemporaryDirectory()
        self.ca_file = str(Path(self._folder.name) / "ca.pem")
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="vendor", daemon=True)

    def __enter__(self) -> Vendor:
        self._thread.start()
        if not self._ready.wait(30) or self._failure:
            raise RuntimeError("The vendor server did not start.") from self._failure
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop)
        self._thread.join(30)
        self._folder.cleanup()

    # ---- for tests ----

    def fault(self, symbol: str, kind: str, times: int | None = None) -> None:
        """Sets a fault for a symbol ("*": all) for so many requests (None: until `reset`).

        yfinance retries after an HTTP status of 400 or more, so a refusal that its caller sees uses up two.
        """
        if kind not in CHART_FAULTS | COOKIE_FAULTS:
            raise ValueError(f"unknown fault {kind}")
        self.yahoo.faults.append(Fault(symbol, kind, times))

    def heal(self) -> None:
        """Takes back all faults, and lets go of the answers that are held back."""
        self.yahoo.faults.clear()
        self.summary.faults.clear()
        self.issuers.faults.clear()
        self.keyed.faults.clear()
        self._loop.call_soon_threadsafe(self._release)

    def reset(self) -> None:
        """As new: no faults, no requests, the first source, the real clock."""
        self.heal()
        self.yahoo.reset()
        self.summary.reset()
        self.issuers.reset()
        self.keyed.reset()
        self.yahoo.source = self._source
        self.proxy.hosts.clear()

    @property
    def source(self) -> Source:
        return self.yahoo.source

    @source.setter
    def source(self, source: Source) -> None:
        self.yahoo.source = source

    @property
    def now(self) -> datetime | None:
        return self.yahoo.now

    @now.setter
    def now(self, now: datetime | None) -> None:
        self.yahoo.now = now

    @property
    def require_crumb(self) -> bool:
        """Whether a chart is refused (HTTP 401) to who does not bring cookie and crumb. The real service does not mind today."""
        return self.yahoo.require_crumb

    @require_crumb.setter
    def require_crumb(self, required: bool) -> None:
        self.yahoo.require_crumb = required

    @property
    def requests(self) -> list[Seen]:
        return list(self.yahoo.requests)

    def wait_for_request(self, part: str, timeout_s: float, since: int = 0) -> None:
        """Returns when more than `since` requests with `part` in host or path have arrived. Raises `TimeoutError`."""
        with self.yahoo.arrived:
            if not self.yahoo.arrived.wait_for(lambda: self.count(part) > since, timeout_s):
                raise TimeoutError(f"no request for {part} within {timeout_s} s")

    def count(self, part: str) -> int:
        """How many requests had `part` in host or path."""
        return sum(part in f"{seen.host}{seen.path}" for seen in self.yahoo.requests)

    @property
    def proxy_url(self) -> str:
        return f"http://127.0.0.1:{self.proxy_port}"

    def environment(self) -> dict[str, str | None]:
        """The variables that make a client come here; None = must not be set."""
        return (
            dict.fromkeys(PROXY_VARIABLES) | {"HTTPS_PROXY": self.proxy_url} | dict.fromkeys(CA_VARIABLES, self.ca_file)
        )

    def env(self, **more: str) -> dict[str, str]:
        """A whole environment for a subprocess: this process's, made to come here, and `more`."""
        merged: dict[str, str | None] = {**os.environ, **self.environment(), **more}
        return {name: value for name, value in merged.items() if value is not None}

    # ---- in the thread ----

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            self._failure = error
            self._ready.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.yahoo = Yahoo(self._source)
        self.summary = Summary(self.yahoo)
        self.issuers = Issuers(self.yahoo)
        self.keyed = Keyed(self.yahoo)
        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.ca_file)
        certificate = str(Path(self._folder.name) / "server.pem")
        authority.issue_cert(*HOSTS).private_key_and_cert_chain_pem.write_to_path(certificate)
        config = uvicorn.Config(
            self.yahoo.application([*self._more, *self.issuers.routes, *self.keyed.routes], self.summary.routes),
            ssl_certfile=certificate,
            log_config=None,
            log_level="critical",
            lifespan="off",
            ws="none",
        )
        self._server = uvicorn.Server(config)
        with socket.create_server(("127.0.0.1", 0)) as listening:
            self.proxy = Proxy(listening.getsockname()[1])
            proxy = await asyncio.start_server(self.proxy.handle, "127.0.0.1", 0)
            self.proxy_port = proxy.sockets[0].getsockname()[1]
            self._ready.set()
            await self._server.serve(sockets=[listening])
            proxy.close()

    def _release(self) -> None:
        self.yahoo.released.set()
        self.yahoo.released = asyncio.Event()

    def _stop(self) -> None:
        self._release()
        self._server.should_exit = self._server.force_exit = True
