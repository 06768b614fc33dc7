"""Tiingo end of day: daily bars as traded, dividends and splits of US stocks and funds, with a key in TIINGO_API_KEY.

Address: https://api.tiingo.com/tiingo/daily/{ticker}/prices?startDate=YYYY-MM-DD, with the key in the header `Authorization: Token …`.
A row has `date close high low open volume adjClose adjHigh adjLow adjOpen adjVolume divCash splitFactor`: prices as traded, `divCash` on the
ex-date per share of that day, `splitFactor` new shares per old on the day of the split, and `adj…` adjusted for both. Rows name no ticker.
Source: Tiingo's documentation (end of day, symbology) and public code, October and November 2026; not tested against the live server.

Limits of the free plan: 50 requests an hour, counted from 0 at each full hour, 1,000 a day and 500 symbols a month. What is over them is
refused with HTTP 429 or, as seen in 2017 and 2026, with status 200 and a sentence. Tiingo has no indices such as ^VIX.
"""

from __future__ import annotations

import time
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar
from zoneinfo import ZoneInfo

from market_rotation.tasks.calendar import NEW_YORK
from market_rotation.tasks.errors import SymbolNotFound
from market_rotation.tasks.sources.budget import Budget, Limit
from market_rotation.tasks.sources.http import unavailable
from market_rotation.tasks.sources.keyed import Client, Vendor, key_of
from market_rotation.tasks.sources.unadjusted import Bar, adjusted, amount, number, ratio

if TYPE_CHECKING:
    import pandas as pd

    from market_rotation.tasks.settings import Settings
    from market_rotation.tasks.sources.base import SourceContext
    from market_rotation.tasks.universe import Universe

TIINGO = Vendor(
    name="Tiingo",
    variable="TIINGO_API_KEY",
    url="https://api.tiingo.com/tiingo/daily/",
    authorize=lambda key: ({"Authorization": f"Token {key}"}, {}),
    # A 404 without Tiingo's own words is a retired address or a proxy's page, and says nothing about the symbol.
    is_unknown=lambda status, text: status == 404 and '"detail"' in text and "not found" in text.lower(),
    is_used_up=lambda status, text: status in (200, 403, 429) and "You have run over your" in text,
)


class TiingoSource:
    """Prices from Tiingo; one instance serves all threads."""

    name = "tiingo"
    datasets: ClassVar[frozenset[str]] = frozenset({"prices"})

    def __init__(self, client: Client) -> None:
        self._client = client

    @classmethod
    def check(cls, settings: Settings, universe: Universe) -> None:
        """Raises `ConfigError` when there is no key."""
        key_of(TIINGO)

    @classmethod
    def open(cls, context: SourceContext) -> TiingoSource:
        """See `market_rotation.tasks.sources.base.InstalledSource.open`. Raises `ConfigError` when there is no key."""
        settings, started = context.settings, time.monotonic()

        def clock() -> datetime:
            return context.now + timedelta(seconds=time.monotonic() - started)

        limits = [
            Limit(settings.tiingo_requests_per_hour, "hour", ZoneInfo("UTC")),
            Limit(settings.tiingo_requests_per_day, "day", NEW_YORK),
        ]
        budget = Budget(TIINGO.name, settings.home / "requests" / "tiingo.json", limits, clock)
        return cls(Client(TIINGO, key_of(TIINGO), budget, settings.fetch_timeout_s))

    def prices(self, symbol: str, start: date, end: date) -> pd.DataFrame:
        """Daily bars of `symbol` for `start` … `end`, both included: see `Source.prices` and `parse_prices`."""
        if not symbol.replace("-", "").isalnum():
            raise SymbolNotFound(
                f"Tiingo has no indices, futures or foreign symbols, such as {symbol}; follow a fund instead."
            )
        # To the present: a later split changes the basis of all bars before it.
        parameters = {"startDate": start.isoformat(), "format": "json"}
        rows = self._client.rows(f"{symbol.lower()}/prices", parameters, symbol, "prices")
        return parse_prices(rows, symbol, start, end)


def parse_prices(rows: list[dict[str, Any]], symbol: str, start: date, end: date) -> pd.DataFrame:
    """The price frame (`PRICE_COLUMNS`, USD) in `rows`, Tiingo's answer about `symbol` from `start` to the present, in any order.

    `close` = close / product of later split factors, `dividend` = divCash / the same, `volume` times it. Null is NaN, but a row without
    dividend or split factor makes the answer useless: neither may become none. Raises `SourceUnavailable`.
    """
    try:
        bars = [_bar(row) for row in rows]
        events = [
            (bar.session, amount(row["divCash"]), ratio(row["splitFactor"]))
            for bar, row in zip(bars, rows, strict=True)
        ]
        named = {str(row["ticker"]).upper() for row in rows if row.get("ticker")}
    except (LookupError, TypeError, ValueError, ArithmeticError) as error:
        raise unavailable(
            TIINGO.name, f"prices of {symbol}", f"its answer has an unknown layout ({error!r:.80})"
        ) from None
    if foreign := named - {symbol.upper()}:
        raise unavailable(TIINGO.name, f"prices of {symbol}", f"it answered for {min(foreign)[:20]}", "try again later")
    # A day that is listed twice has its dividend and split once.
    if len({day for day, _, _ in events}) != len(set(events)):
        raise unavailable(TIINGO.name, f"prices of {symbol}", "it states two dividends or splits for one day")
    dividends = {day: paid for day, paid, _ in events if paid}
    splits = {day: factor for day, _, factor in events if factor != 1}
    return adjusted(symbol, bars, dividends, splits, start, end)


def _bar(row: dict[str, Any]) -> Bar:
    stamp = row["date"]
    if stamp[10:] not in ("", "T00:00:00.000Z", "T00:00:00+00:00"):
        raise ValueError(f"a bar is dated {stamp!r:.40}")
    prices = [number(row[name]) for name in ("open", "high", "low", "close", "volume", "adjClose")]
    return Bar(date.fromisoformat(stamp[:10]), *prices)
