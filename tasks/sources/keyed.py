"""Vendors with a JSON API and a key: the key, the request budget, and the meaning of each refusal.

A key comes from the environment, or from a file that it names, and goes into requests alone. No text of an answer is shown, since a vendor
may repeat the key in it; nor is an address, which may hold it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from market_rotation.tasks import secret_files
from market_rotation.tasks.errors import AccessRefused, ConfigError, SymbolNotFound
from market_rotation.tasks.sources.budget import Budget
from market_rotation.tasks.sources.http import get, rate_limited, unavailable

#: A history of sixty years in JSON is under 5 MB.
MAX_BYTES = 50_000_000


@dataclass(frozen=True)
class Vendor:
    """The properties of a vendor. `name` is its name in messages, `variable` holds the key, `url` begins every address.

    `authorize` puts the key into headers or parameters. `is_unknown` and `is_used_up` read status and text of an answer: whether the vendor
    says that it does not know the symbol, and whether it says that the requests of the plan are used up.
    """

    name: str
    variable: str
    url: str
    authorize: Callable[[str], tuple[dict[str, str], dict[str, str]]]
    is_unknown: Callable[[int, str], bool]
    is_used_up: Callable[[int, str], bool]


def key_of(vendor: Vendor) -> str:
    """The key in the environment, or in the file that it names. Raises `ConfigError` where it is missing or cannot be one; the sentence does not show it."""
    key = secret_files.read(vendor.variable) or ""
    if not key:
        raise ConfigError(
            f"The source {vendor.name} needs a key; set {vendor.variable} in the environment, or {vendor.variable}_FILE to a file with it."
        )
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise ConfigError(f"{vendor.variable} holds blanks or signs that no key has; set it again.")
    return key


class Client:
    """Requests to `vendor`, from several threads at once. `timeout_s` bounds each, in seconds."""

    def __init__(self, vendor: Vendor, key: str, budget: Budget, timeout_s: float) -> None:
        self._vendor = vendor
        self._headers, self._parameters = vendor.authorize(key)
        self._budget = budget
        self._timeout_s = timeout_s

    def rows(self, path: str, parameters: Mapping[str, str], symbol: str, wanted: str) -> list[dict[str, Any]]:
        """The list of objects that the vendor answers to `path`. `wanted` names the data in messages, as in "prices".

        Raises `SymbolNotFound`; `AccessRefused` for a refused key, a plan that lacks the symbol, or a budget used up; `RateLimited`;
        `SourceUnavailable` for anything else that is not such a list.
        """
        vendor, what = self._vendor, f"{wanted} of {symbol}"
        self._budget.take(what)
        url = f"{vendor.url}{quote(path)}?{urlencode({**parameters, **self._parameters})}"
        # Without redirects: the key is for this host alone.
        status, body = get(
            url,
            where=vendor.name,
            what=what,
            timeout_s=self._timeout_s,
            max_bytes=MAX_BYTES,
            headers=self._headers,
            max_redirects=0,
        )
        # A refusal is short; a long text is not searched for such phrases.
        text = body[:2000].decode("utf-8", "replace") if len(body) < 10_000 else ""
        if vendor.is_used_up(status, text):
            self._budget.exhaust()
            raise AccessRefused(
                f"{vendor.name} gave no {what}: the requests that the plan allows are used up; run again in the next hour or day, or change the plan."
            )
        if status == 429:
            raise rate_limited(vendor.name, what)
        if status == 401:
            raise AccessRefused(f"{vendor.name} gave no {what}: it refuses the key; correct {vendor.variable}.")
        if vendor.is_unknown(status, text):
            raise SymbolNotFound(
                f"{vendor.name} does not know the symbol {symbol}; correct it in the universe or remove it there."
            )
        if status == 403:
            raise AccessRefused(
                f"{vendor.name} gave no {what}: the plan of the key does not include it; change the plan."
            )
        if status != 200:
            raise unavailable(vendor.name, what, f"it answered HTTP {status}")
        try:
            payload = json.loads(body)
        except (ValueError, RecursionError):
            cut = "its answer is cut off or a web page"
            raise unavailable(vendor.name, what, cut, "try again later, and check the proxy") from None
        if not isinstance(payload, list) or not all(isinstance(row, dict) for row in payload):
            raise unavailable(vendor.name, what, "its answer has an unknown layout")
        return payload
