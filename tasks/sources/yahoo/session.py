"""Requests to Yahoo with yfinance's browser-like session, cookie and crumb, made robust for many symbols."""

from __future__ import annotations

import json
import logging
import math
import re
import threading
import time
from typing import Any
from urllib.parse import quote

from market_rotation.tasks.errors import RateLimited, SourceUnavailable
from market_rotation.tasks.sources.http import ca_bundle
from market_rotation.tasks.sources.yahoo import private

log = logging.getLogger("rotation.yahoo")


class NoCrumbError(Exception):
    """Yahoo returned no crumb, without which it refuses the request."""


class Client:
    """Requests to Yahoo through yfinance, from several threads at once. `timeout_s` bounds each request, in seconds.

    Addresses that begin with `chart_url` need no cookie and crumb: after one failure to get these, such requests go without.
    Those that begin with `crumb_url` need both: each call whose crumb is missing asks for one, however often that failed before.
    """

    def __init__(self, timeout_s: float, chart_url: str, crumb_url: str) -> None:
        import yfinance

        self._timeout_s = timeout_s
        self._crumb_url = crumb_url
        self._session = _open_session(timeout_s, chart_url, crumb_url)
        yfinance.config.network.retries = 0  # market_rotation.tasks.run.fetch retries
        logging.getLogger("yfinance").addFilter(_only_when_debugging)
        self._yfinance = private.Requests(self._session)

    def ask(self, url: str, symbol: str, parameters: dict[str, Any], wanted: str) -> object:
        """The JSON of Yahoo's answer about `symbol`: what was asked, or an `explanation` of why there is none.

        `url` is the service's address up to the symbol; `wanted` says in messages what was asked ("prices"). Raises
        `RateLimited`, or `SourceUnavailable` for what is neither.
        """
        from yfinance.exceptions import YFRateLimitError

        # For a call that needs a crumb only those failures to get one count that it has itself waited for.
        self._session.call.since = time.monotonic() if url.startswith(self._crumb_url) else -math.inf
        try:
            answer = self._yfinance.get(url + quote(symbol, safe=""), parameters, self._timeout_s)
        except YFRateLimitError:
            raise _rate_limited(wanted, symbol) from None
        except Exception as error:  # curl's, and whatever an unexpected cookie or consent page makes yfinance raise
            if isinstance(error, NoCrumbError) and len(self._session.cookies.jar):
                self.forget_cookies()  # a new cookie may get one
            # Not chained: curl's text can repeat the proxy's address with its password.
            raise unavailable(wanted, symbol, *_transport_failure(error, self._timeout_s)) from None
        if answer.status_code == 429:
            raise _rate_limited(wanted, symbol)
        try:
            payload = json.loads(answer.content)
        except (ValueError, RecursionError):
            payload = None
        if payload is None or answer.status_code in (401, 403):
            self.forget_cookies()
        # A 404 without Yahoo's own explanation is a retired address or a proxy's page, and says nothing about the symbol.
        if answer.status_code >= 400 and not (answer.status_code in (400, 404) and explanation(payload, url)):
            raise unavailable(wanted, symbol, f"it answered HTTP {answer.status_code}", "try again later")
        if payload is None:
            cut = "its answer is cut off or a web page"
            raise unavailable(wanted, symbol, cut, "try again later, and check the proxy")
        return payload

    def try_cookies_again(self) -> None:
        """After a failure, perhaps because there was no crumb, the next request tries to get one again."""
        if not self._session.cookie_host_hangs:
            self._session.gave_up_at = -math.inf

    def forget_cookies(self) -> None:
        """Drops cookie and crumb, under yfinance's own lock, so that the next request asks for new ones.

        For answers that they may have caused. yfinance itself gets a new crumb, not a new cookie, whenever a request is refused.
        """
        self._yfinance.forget_cookies(self._session.cookies.clear)


def _only_when_debugging(record: logging.LogRecord) -> bool:
    """Lets yfinance's log through at our debug level only: it warns of every request that goes without a crumb."""
    return log.isEnabledFor(logging.DEBUG)


def _open_session(timeout_s: float, chart_url: str, crumb_url: str) -> Any:
    """A session of the kind yfinance opens, that gives up on cookie and crumb after one failure.

    The chart service answers without them. yfinance asks for them under a lock with a time-out of 30 s, again for every symbol
    if they fail, takes any text for a crumb, even "Too Many Requests", and stumbles over a cookie that is not A3.
    Where a crumb is needed, threads that wait for that lock share one failure instead of each waiting for its own.
    """
    from curl_cffi import requests

    class Session(requests.Session[Any]):
        gave_up_at = -math.inf  # on the monotonic clock; forgotten when a chart fails
        cookie_host_hangs = False  # for good: each further attempt would cost a time-out
        call = threading.local()

        def request(self, method: Any, url: str, *args: Any, **options: Any) -> Any:
            if url.startswith(crumb_url) and "crumb" not in (options.get("params") or {}):
                raise NoCrumbError
            if url.startswith((chart_url, crumb_url)):
                return super().request(method, url, *args, **options)
            if self.gave_up_at > self.call.since:
                raise requests.exceptions.ConnectionError("cookie and crumb are given up")
            try:
                answer = super().request(method, url, *args, **options | {"timeout": timeout_s})
                if url.endswith("/getcrumb") and not (answer.ok and re.fullmatch(r"[^\s<{]{4,40}", answer.text)):
                    raise requests.exceptions.ConnectionError("no crumb")
                if "//fc." in url and not any(c.name == "A3" and c.expires for c in self.cookies.jar):
                    raise requests.exceptions.ConnectionError("no cookie")
            except requests.exceptions.RequestException as error:
                self.gave_up_at = time.monotonic()
                self.cookie_host_hangs |= isinstance(error, requests.exceptions.Timeout)
                raise
            return answer

    bundle: Any = ca_bundle()
    return Session(impersonate="chrome", verify=bundle)


def explanation(payload: object, url: str) -> str:
    """`code: description` of a service's own error, empty where there is none. `url` is as in `Client.ask`."""
    service = url.rstrip("/").rpartition("/")[2]  # the answer is a member of this name: chart, quoteSummary
    envelope = payload.get(service) if isinstance(payload, dict) else None
    error = envelope.get("error") if isinstance(envelope, dict) else None
    return f"{error.get('code')}: {error.get('description')}" if isinstance(error, dict) else str(error or "")


def unavailable(wanted: str, symbol: str, what: str, remedy: str) -> SourceUnavailable:
    """The error for an unusable response: the wanted data, the fault, the remedy."""
    return SourceUnavailable(f"Yahoo gave no {wanted} of {symbol}: {what}; {remedy}.")


def _rate_limited(wanted: str, symbol: str) -> RateLimited:
    remedy = "wait some minutes, or fetch fewer symbols at a time"
    return RateLimited(f"Yahoo gave no {wanted} of {symbol}: it asks for fewer requests (HTTP 429); {remedy}.")


def _transport_failure(error: Exception, timeout_s: float) -> tuple[str, str]:
    """The cause and the remedy, from the exception's class alone."""
    network = "check the network and HTTPS_PROXY, or try again later"
    known = {
        "NoCrumbError": ("it gave no cookie and crumb, which this needs", network),
        "Timeout": (f"it did not answer within {timeout_s:g} s", network),
        "SSLError": ("its TLS certificate was not accepted", "name your network's CA certificates in SSL_CERT_FILE"),
        "ProxyError": ("the proxy did not let the request through", "check HTTPS_PROXY and NO_PROXY"),
        "RequestException": (f"it could not be reached ({type(error).__name__})", network),
    }
    kinds = {kind.__name__ for kind in type(error).__mro__}
    other = (f"yfinance failed with {type(error).__name__}", "try again later, or update yfinance")
    return next((text for kind, text in known.items() if kind in kinds), other)
