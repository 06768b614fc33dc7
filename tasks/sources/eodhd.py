"""EODHD: daily bars as traded, dividends, splits of US stocks and funds, and a few indices, with a key in EODHD_API_KEY.

Addresses: https://eodhd.com/api/eod/{code}, /api/div/{code} and /api/splits/{code}, each with `api_token`, `fmt=json` and `from=YYYY-MM-DD`;
`code` is IWM.US or VIX.INDX. Rows: `date open high low close adjusted_close volume`, prices as traded, `volume` already adjusted for splits,
`adjusted_close` for splits and dividends; `date value unadjustedValue currency …`, the ex-date; `date split`, as "2.000000/1.000000". Rows
name no symbol. The key goes into the address, as the vendor takes it in no header; no address is ever shown.
Source: EODHD's documentation and forum, public code, September to November 2026; not tested against the live server.

Why EODHD and not Alpha Vantage, the other vendor whose keys are common: Alpha Vantage moved its daily series with dividends and splits to
paid plans in 2023 (RomelTorres/alpha_vantage#349) and allows 25 requests a day without one, so most keys cannot carry total returns.
EODHD's cheapest plan allows 100,000 requests a day and has the indices that Tiingo lacks. A symbol costs three requests, an index one; the
free plan allows 20 a day, has one year of history, and includes dividends and splits only on demand.
"""

from __future__ import annotations

import re
import time
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar
from zoneinfo import ZoneInfo

from market_rotation.tasks.errors import AccessRefused, SymbolNotFound
from market_rotation.tasks.sources.budget import Budget, Limit
from market_rotation.tasks.sources.http import unavailable
from market_rotation.tasks.sources.keyed import Client, Vendor, key_of
from market_rotation.tasks.sources.unadjusted import Bar, adjusted, amount, number, ratio

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from market_rotation.tasks.settings import Settings
    from market_rotation.tasks.sources.base import SourceContext
    from market_rotation.tasks.universe import Instrument, Universe

EODHD = Vendor(
    name="EODHD",
    variable="EODHD_API_KEY",
    url="https://eodhd.com/api/",
    authorize=lambda key: ({}, {"api_token": key, "fmt": "json"}),
    is_unknown=lambda status, text: status == 404 and "ticker not found" in text.lower(),
    is_used_up=lambda status, text: status == 402 or "exceeded your daily API requests limit" in text,
)
#: EODHD's codes of the indices that are followed under Yahoo's symbols.
INDICES = {"^VIX": "VIX.INDX", "^TNX": "TNX.INDX", "^IRX": "IRX.INDX", "DX-Y.NYB": "DXY.INDX"}
#: How far the first bar may lie behind the day requested although the history is whole: a week with holidays.
NEAR = timedelta(days=7)


class EodhdSource:
    """Prices from EODHD; one instance serves all threads."""

    name = "eodhd"
    datasets: ClassVar[frozenset[str]] = frozenset({"prices"})

    def __init__(self, client: Client) -> None:
        self._client = client

    @classmethod
    def check(cls, settings: Settings, universe: Universe) -> None:
        """Raises `ConfigError` when there is no key."""
        key_of(EODHD)

    @classmethod
    def open(cls, context: SourceContext) -> EodhdSource:
        """See `market_rotation.tasks.sources.base.InstalledSource.open`. Raises `ConfigError` when there is no key."""
        settings, started = context.settings, time.monotonic()

        def clock() -> datetime:
            return context.now + timedelta(seconds=time.monotonic() - started)

        limits = [Limit(settings.eodhd_requests_per_day, "day", ZoneInfo("UTC"))]
        budget = Budget(EODHD.name, settings.home / "requests" / "eodhd.json", limits, clock)
        return cls(Client(EODHD, key_of(EODHD), budget, settings.fetch_timeout_s))

    def indexes(self, instruments: Sequence[Instrument]) -> list[str]:
        """Those whose code at EODHD is known."""
        return [instrument.symbol for instrument in instruments if instrument.symbol in INDICES]

    def prices(self, symbol: str, start: date, end: date) -> pd.DataFrame:
        """Daily bars of `symbol` for `start` … `end`, both included: see `Source.prices` and `parse_prices`."""
        code = INDICES.get(symbol) or f"{symbol}.US"
        if symbol not in INDICES and not symbol.replace("-", "").isalnum():
            raise SymbolNotFound(f"EODHD's code of {symbol} is not known here; follow a fund instead.")
        # Events to the present: a later split changes the basis of all bars before it.
        since = {"from": start.isoformat()}
        bars = self._client.rows(
            f"eod/{code}", {**since, "to": end.isoformat(), "period": "d", "order": "a"}, symbol, "prices"
        )
        if symbol in INDICES:
            return parse_prices(bars, [], [], symbol, start, end)
        dividends = self._client.rows(f"div/{code}", since, symbol, "dividends")
        splits = self._client.rows(f"splits/{code}", since, symbol, "splits")
        return parse_prices(bars, dividends, splits, symbol, start, end)


def parse_prices(
    bars: list[dict[str, Any]],
    dividends: list[dict[str, Any]],
    splits: list[dict[str, Any]],
    symbol: str,
    start: date,
    end: date,
) -> pd.DataFrame:
    """The price frame (`PRICE_COLUMNS`, USD) in EODHD's three answers about `symbol`, their rows in any order.

    `close` = close / product of later split ratios, `dividend` = unadjustedValue / the same; `volume` comes adjusted. Null prices are NaN.
    Several payments on one day are summed. Raises `AccessRefused` where the plan cut the history off, and `SourceUnavailable` for a layout
    that is not known, another currency than USD, or two splits of one day.
    """
    what = f"prices of {symbol}"
    # A free plan gets a year, whatever was requested, with a sentence in a row or beside one.
    is_cut = any("warning" in row for row in bars)
    try:
        quoted = [_bar(row) for row in bars if "date" in row or "warning" not in row]
        paid: dict[date, float] = {}
        for row in dividends:
            day, value = date.fromisoformat(row["date"]), row.get("unadjustedValue")
            paid[day] = paid.get(day, 0.0) + amount(row["value"] if value is None else value)
        ratios = [(date.fromisoformat(row["date"]), _ratio(row["split"])) for row in splits]
        currencies = {str(row.get("currency") or "USD") for row in dividends}
        named = {str(row["code"]).upper().removesuffix(".US") for row in bars if row.get("code")}
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        raise unavailable(EODHD.name, what, f"its answer has an unknown layout ({error!r:.80})") from None
    if is_cut and min((bar.session for bar in quoted), default=date.max) > start + NEAR:
        raise AccessRefused(
            f"{EODHD.name} gave no {what}: the plan of the key has no bars as old as {start}; change the plan, or set "
            "ROTATION_HISTORY_START to a day within it."
        )
    if foreign := named - {symbol.upper()}:
        raise unavailable(EODHD.name, what, f"it answered for {min(foreign)[:20]}")
    if foreign := currencies - {"USD"}:
        raise unavailable(
            EODHD.name, what, f"its dividends are in {min(foreign)[:20]}, not USD", "follow only what pays in USD"
        )
    if len(dict(ratios)) != len(set(ratios)):
        raise unavailable(EODHD.name, what, "it states two splits for one day")
    return adjusted(symbol, quoted, paid, dict(ratios), start, end, is_volume_adjusted=True)


def _bar(row: dict[str, Any]) -> Bar:
    prices = [number(row[name]) for name in ("open", "high", "low", "close", "volume", "adjusted_close")]
    return Bar(date.fromisoformat(row["date"]), *prices)


def _ratio(text: str) -> float:
    """New shares per old in "2.000000/1.000000"."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)/(\d+(?:\.\d+)?)", text)
    if not match:
        raise ValueError(f"a split is written {text!r:.40}")
    return ratio(float(match[1]) / float(match[2]))
