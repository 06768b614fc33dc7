"""How Yahoo is reached: yfinance's browser-like session, cookie and crumb, without what they cost or break when many symbols are asked."""

from __future__ import annotations

import logging
import os
import re
from typing import Any

log = logging.getLogger("rotation.yahoo")


class Client:
    """Asks Yahoo through yfinance's `YfData.get`, from several threads at once. `timeout_s` bounds each request, in seconds.

    `chart_url` is where requests need no cookie and crumb to succeed; only for other addresses are they given up after a failure.
    """

    def __init__(self, timeout_s: float, chart_url: str) -> None:
        from yfinance import cache
        from yfinance.config import YfConfig
        from yfinance.data import YfData

        self._timeout_s = timeout_s
        self._cookies = _MemoryCookies()
        self._session = _open_session(timeout_s, chart_url)
        cache._CookieCacheManager._Cookie_cache = self._cookies
        YfConfig.network.retries = 0  # tasks.fetch retries
        logging.getLogger("yfinance").addFilter(_only_when_debugging)
        # Not the instance that yfinance shares: that one would take on any other caller's session, and give it ours.
        self._data: Any = type.__call__(YfData, session=self._session)
        # Else it empties the cookie jar for all threads whenever one symbol is refused.
        self._data._logged_in = True

    def get(self, url: str, parameters: dict[str, Any]) -> Any:
        """The HTTP response; raises whatever curl and yfinance raise."""
        return self._data.get(url, params=parameters, timeout=self._timeout_s)

    def try_cookies_again(self) -> None:
        """After a failure, perhaps for want of a crumb, the next request tries to get one again."""
        self._session.without_cookies = self._session.cookie_host_hangs

    def forget_cookies(self) -> None:
        """Drops cookie and crumb, under yfinance's own lock, so that the next request asks for new ones.

        For answers that they may have caused. yfinance itself gets a new crumb, not a new cookie, whenever a request is refused.
        """
        with self._data._cookie_lock:
            self._data._cookie = self._data._crumb = None
            self._data._cookie_strategy = "basic"
            self._cookies.store("", None)
            self._session.cookies.clear()


def _only_when_debugging(record: logging.LogRecord) -> bool:
    """Lets yfinance's log through at our debug level only: it warns of every request that goes without a crumb."""
    return log.isEnabledFor(logging.DEBUG)


class _MemoryCookies:
    """yfinance's cookie store, kept in memory.

    Its own is an SQLite file in the user's cache folder: where that is locked, damaged or read-only, every symbol fails or asks
    for a new cookie. It needs some store, since it looks the cookie up in it again for each request.
    """

    def __init__(self) -> None:
        self._cookie: object = None

    def lookup(self, strategy: str) -> dict[str, object] | None:
        return None if self._cookie is None else {"cookie": self._cookie}

    def store(self, strategy: str, cookie: object) -> None:
        self._cookie = cookie


def _open_session(timeout_s: float, chart_url: str) -> Any:
    """A session of the kind yfinance opens, that gives up on cookie and crumb after one failure.

    The chart service answers without them. yfinance asks for them under a lock with a time-out of 30 s, again for every symbol
    if they fail, takes any text for a crumb, even "Too Many Requests", and stumbles over a cookie that is not A3.
    """
    from curl_cffi import requests

    class Session(requests.Session[Any]):
        without_cookies = False  # until a chart fails
        cookie_host_hangs = False  # for good: each further attempt would cost a time-out

        def request(self, method: Any, url: str, *args: Any, **options: Any) -> Any:
            if url.startswith(chart_url):
                return super().request(method, url, *args, **options)
            if self.without_cookies:
                raise requests.exceptions.ConnectionError("cookie and crumb are given up")
            try:
                answer = super().request(method, url, *args, **options | {"timeout": timeout_s})
                if url.endswith("/getcrumb") and not (answer.ok and re.fullmatch(r"[^\s<{]{4,40}", answer.text)):
                    raise requests.exceptions.ConnectionError("no crumb")
                if "//fc." in url and not any(c.name == "A3" and c.expires for c in self.cookies.jar):
                    raise requests.exceptions.ConnectionError("no cookie")
            except requests.exceptions.RequestException as error:
                self.without_cookies = True
                self.cookie_host_hangs |= isinstance(error, requests.exceptions.Timeout)
                raise
            return answer

    # curl_cffi itself reads SSL_CERT_FILE only when it is imported.
    names = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
    bundle: Any = next((path for name in names if (path := os.environ.get(name))), True)
    return Session(impersonate="chrome", verify=bundle)
