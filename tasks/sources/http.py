"""HTTP requests of the sources: like a browser's, complete responses only, and each file once per source."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar
from urllib.parse import urlsplit

from market_rotation.tasks.errors import RateLimited, SourceUnavailable

T = TypeVar("T")

_ABORT = 0xFFFFFFFF  # CURL_WRITEFUNC_ERROR: makes curl end the transfer


def ca_bundle() -> str | bool:
    """The file with the network's CA certificates that the environment names; True = curl's own.

    curl_cffi itself reads SSL_CERT_FILE only when it is imported.
    """
    names = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
    return next((path for name in names if (path := os.environ.get(name))), True)


def unavailable(where: str, what: str, fault: str, remedy: str = "try again later") -> SourceUnavailable:
    """The error, in the one form of sentence that all issuers' failures have."""
    fault = " ".join(fault.split())  # texts of a file are in it
    return SourceUnavailable(f"{where} gave no {what}: {fault}; {remedy}.")


def download(
    url: str,
    *,
    what: str,
    timeout_s: float,
    max_bytes: int,
    headers: Mapping[str, str] | None = None,
    throttled: Collection[int] = (429,),
) -> bytes:
    """The body of the answer to a GET of `url`. `what` names in messages what it is, as in "NAV history of SPY".

    Limits are those of `get`. `throttled` are the statuses by which this host requests fewer requests. Raises `RateLimited`, or `SourceUnavailable` for anything but a body.
    """
    where = urlsplit(url).hostname or "The issuer"
    status, content = get(url, where=where, what=what, timeout_s=timeout_s, max_bytes=max_bytes, headers=headers)
    if status in throttled:
        raise rate_limited(where, what, status)
    if status != 200:
        remedy = "check its issuer_id in the universe" if status in (400, 404, 410) else "try again later"
        raise unavailable(where, what, f"it answered HTTP {status}", remedy)
    if not content:
        raise unavailable(where, what, "its answer is empty")
    return content


def get(
    url: str,
    *,
    where: str,
    what: str,
    timeout_s: float,
    max_bytes: int,
    headers: Mapping[str, str] | None = None,
    max_redirects: int = 5,
) -> tuple[int, bytes]:
    """Status and body of the answer to a GET of `url`, whatever the status. `where` and `what` name vendor and data in messages.

    `timeout_s` bounds the whole transfer, in seconds, and `max_bytes` its size once decompressed. The proxy is the
    environment's. Callable from several threads at once. Raises `SourceUnavailable` where no whole answer came; no message shows the
    address, which may hold a key.
    """
    from curl_cffi import CurlOpt, requests

    content = bytearray()
    too_large = False

    def collect(chunk: bytes) -> int:
        nonlocal too_large
        too_large = len(content) + len(chunk) > max_bytes
        if too_large:
            return _ABORT
        content.extend(chunk)
        return len(chunk)

    try:
        # A session of its own: a file is requested once, and nothing of one answer can leak into another.
        # Not `stream=True`: with that, curl_cffi's time-out limits only pauses, and a slow transfer could last indefinitely.
        with requests.Session[Any](
            impersonate="chrome",
            verify=ca_bundle(),  # type: ignore[arg-type]  # a path is allowed; the hint says bool
            timeout=timeout_s,
            max_redirects=max_redirects,
            allow_redirects=max_redirects > 0,
            curl_options={CurlOpt.REDIR_PROTOCOLS_STR: "https"},
        ) as session:
            status = session.get(url, headers=dict(headers or {}), content_callback=collect).status_code
    except Exception as error:  # curl's, and whatever an odd proxy setting makes it raise
        if too_large:
            size = f"its answer is larger than {max_bytes / 1e6:g} MB"
            raise unavailable(where, what, size, "look at the address in a browser") from None
        # Not chained: curl's text can repeat the proxy's address with its password.
        raise unavailable(where, what, *_transport_failure(error, timeout_s)) from None
    return status, bytes(content)


def rate_limited(where: str, what: str, status: int = 429) -> RateLimited:
    """The error for HTTP 429, or the status by which a host says the same."""
    remedy = "wait some minutes, or fetch fewer symbols at a time"
    return RateLimited(f"{where} gave no {what}: it asks for fewer requests (HTTP {status}); {remedy}.")


def _transport_failure(error: Exception, timeout_s: float) -> tuple[str, str]:
    """The cause and the remedy, from the exception's class alone."""
    network = "check the network and HTTPS_PROXY, or try again later"
    known = {
        "Timeout": (f"it did not send the whole file within {timeout_s:g} s", network),
        "SSLError": ("its TLS certificate was not accepted", "name your network's CA certificates in SSL_CERT_FILE"),
        "ProxyError": ("the proxy did not let the request through", "check HTTPS_PROXY and NO_PROXY"),
        "IncompleteRead": ("its answer is cut off", "try again later, and check the proxy"),
    }
    kinds = {kind.__name__ for kind in type(error).__mro__}
    other = (f"it could not be reached ({type(error).__name__})", network)
    return next((text for kind, text in known.items() if kind in kinds), other)


class Documents:
    """Keeps good documents in memory, so that each is downloaded once. One instance serves all threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}
        self._kept: dict[str, bytes] = {}

    def read(self, url: str, fetch: Callable[[], bytes], parse: Callable[[bytes], T]) -> T:
        """What `parse` makes of the document at `url`, got by `fetch` unless it is kept. Raises what either raises.

        Threads that want the same document wait for one download. A document that `parse` refuses is requested again by the next call.
        """
        with self._lock:
            lock = self._locks.setdefault(url, threading.Lock())
        with lock:
            content = self._kept.pop(url, None) or fetch()
            result = parse(content)
            self._kept[url] = content
            return result
