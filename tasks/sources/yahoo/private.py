"""Every use of yfinance's private parts. Its public functions do not suffice; what each of them loses:

- `yfinance.download` and `Ticker.history` drop rows without prices, merge a live quote with the bar before it, and answer an error with an
  empty frame; `download` raises for no symbol at all.
- `Ticker.info` makes four requests for what one gives, and returns what an earlier request of the process cached, errors included.
- No public way sets the session of one caller without giving it to all others, or the place where cookies are kept to memory.

`YfData.get` carries a request with yfinance's cookie, crumb and proxy logic. What is public is used as such: `yfinance.config` and
`yfinance.exceptions`. `tests/tasks/sources/test_yahoo_private.py` names the part that a new version of yfinance has moved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from market_rotation.tasks.errors import ConfigError


class Requests:
    """yfinance's request layer with a session and cookies of its own. Raises `ConfigError` where yfinance has moved a part of it."""

    def __init__(self, session: Any) -> None:
        import yfinance

        for part in missing():
            raise ConfigError(
                f"yfinance {yfinance.__version__} has no {part}, which the source 'yahoo' uses; install a version that "
                "market-rotation allows, or use another source."
            )
        from yfinance.cache import _CookieCacheManager
        from yfinance.data import YfData

        self._cookies = _MemoryCookies()
        _CookieCacheManager._Cookie_cache = self._cookies
        # Not yfinance's shared instance, which would mix our session with other callers'.
        self._data: Any = type.__call__(YfData, session=session)
        # Else it empties the cookie jar for all threads whenever one symbol is refused.
        self._data._logged_in = True

    def get(self, url: str, parameters: dict[str, Any], timeout_s: float) -> Any:
        """The response to a GET, with cookie and crumb where yfinance has them."""
        return self._data.get(url, params=parameters, timeout=timeout_s)

    def forget_cookies(self, clear_jar: Callable[[], None]) -> None:
        """Drops cookie and crumb under yfinance's own lock, and calls `clear_jar` under it."""
        with self._data._cookie_lock:
            self._data._cookie = self._data._crumb = None
            self._data._cookie_strategy = "basic"
            self._cookies.store("", None)
            clear_jar()


def missing() -> Iterator[str]:
    """The names of the parts used here that the installed yfinance does not have."""
    import inspect
    import re

    from yfinance import cache, data

    manager = getattr(cache, "_CookieCacheManager", None)
    if manager is None:
        yield "yfinance.cache._CookieCacheManager"
    elif not hasattr(manager, "_Cookie_cache"):
        yield "yfinance.cache._CookieCacheManager._Cookie_cache"
    for method in ("lookup", "store"):
        if not hasattr(getattr(cache, "_CookieCache", None), method):
            yield f"yfinance.cache._CookieCache.{method}"
    client = getattr(data, "YfData", None)
    if client is None:
        yield "yfinance.data.YfData"
        return
    if "session" not in inspect.signature(client.__init__).parameters:
        yield "yfinance.data.YfData(session=…)"
    if not {"params", "timeout"} <= inspect.signature(client.get).parameters.keys():
        yield "yfinance.data.YfData.get(params=…, timeout=…)"
    source = inspect.getsource(client)
    for attribute in ("_cookie", "_crumb", "_cookie_strategy", "_cookie_lock", "_logged_in"):
        if not re.search(rf"self\.{attribute}\b", source):
            yield f"yfinance.data.YfData.{attribute}"
    if not re.search(r"['\"]basic['\"]", source):
        yield "yfinance.data.YfData._cookie_strategy == 'basic'"


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
