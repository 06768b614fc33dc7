"""The `sample` vendor: a simulated market, published in the way of real vendors.

Like Yahoo it restates the whole history at a split, and not before; adjusts its own close for distributions; has a bar for
sessions only, none before the inception; and does not know a symbol that is not in the universe. Like the funds' issuers it
publishes NAV, share counts and holdings a session late and does not restate them, and like Yahoo it knows only assets of others.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from market_rotation.tasks.datasets import (
    EARNINGS_GROWTH_COLUMNS,
    FUND_FACTS_COLUMNS,
    FUND_NAV_COLUMNS,
    HOLDINGS_COLUMNS,
    Offer,
    fund_offers,
)
from market_rotation.tasks.errors import SymbolNotFound
from market_rotation.tasks.sources.frames import price_frame, typed
from market_rotation.tasks.sources.simulated import companies, faults, funds, indexes
from market_rotation.tasks.sources.simulated.prices import Days, Floats, Path, simulate, weekdays

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    import pandas as pd

    from market_rotation.tasks.calendar import Calendar
    from market_rotation.tasks.sources.base import Source, SourceContext
    from market_rotation.tasks.universe import Instrument


@dataclass(frozen=True)
class _Listing:
    """An instrument's path reduced to its sessions: `at` are their places in the path, payouts moved to a session."""

    path: Path
    sessions: Days
    at: np.ndarray[tuple[int], np.dtype[np.intp]]
    dividend: Floats
    capital_gain: Floats


class SampleSource:
    """Simulated prices of the given instruments, and the records of the funds among them, on the sessions of `calendar`.

    Nothing is earlier than 2000. Safe to call from several threads: shared data is computed once and only read.
    """

    name = "sample"
    datasets: ClassVar[frozenset[str]] = frozenset({"prices", "fund_nav", "fund_facts", "holdings", "earnings_growth"})
    is_local = True

    def __init__(self, calendar: Calendar, instruments: Sequence[Instrument]) -> None:
        self._instruments = {instrument.symbol: instrument for instrument in instruments}
        self._calendar_sessions: Days = calendar.xnys.sessions.to_numpy().astype("datetime64[D]")
        self._last_year = calendar.xnys.last_session.year
        # A universe of thousands is read symbol by symbol; caching all of them would take gigabytes.
        self._listing = lru_cache(maxsize=64)(self._list)
        self._shares = lru_cache(maxsize=64)(self._issue)

    @classmethod
    def open(cls, context: SourceContext) -> Source:
        """The simulated market, with the fault that ROTATION_FAULT names."""
        source = cls(context.calendar, context.universe.instruments)
        fault = context.settings.fault
        return faults.inject_fault(source, fault, context.universe) if fault else source

    def offers(self, instruments: Sequence[Instrument]) -> list[Offer]:
        """Facts and records of every fund, and holdings of those whose issuer is simulated; only its records are a session late."""
        lagging = {i.symbol for i in instruments if i.issuer in funds.PUBLISHERS}
        return [
            offer._replace(max_age_sessions=int(offer.symbol in lagging)) if offer.dataset == "fund_nav" else offer
            for offer in fund_offers(instruments)
            if offer.dataset != "holdings" or offer.symbol in lagging
        ]

    def indexes(self, instruments: Sequence[Instrument]) -> list[str]:
        """All of them: any index is simulated."""
        return [instrument.symbol for instrument in instruments]

    def prices(self, symbol: str, start: date, end: date) -> pd.DataFrame:
        """Daily bars of `symbol` for the sessions `start` … `end`, both included, as known on `end`.

        A frame with exactly `PRICE_COLUMNS`, oldest first: prices and distributions in USD per share, divided by the
        splits effective after the row and on or before `end`, volume multiplied by them. Zero rows where the instrument
        has no session in the range. Raises `SymbolNotFound` for a symbol that is not among the instruments.
        """
        listing = self._listing(self._instrument(symbol).symbol)
        known = int(np.searchsorted(listing.sessions, np.datetime64(end), side="right"))
        first = min(int(np.searchsorted(listing.sessions, np.datetime64(start))), known)
        path, at = listing.path, listing.at[:known]
        # A split is effective on a session, so the last known session knows every split up to `end`.
        split = path.later_splits[at] / path.later_splits[at[-1:]] if known else np.ones(0)
        close = path.close[at] / split
        dividend, capital_gain = listing.dividend[:known] / split, listing.capital_gain[:known] / split
        columns = {
            "session": listing.sessions[:known].astype("datetime64[s]"),
            "open": path.open[at] / split,
            "high": path.high[at] / split,
            "low": path.low[at] / split,
            "close": close,
            "volume": path.volume[at] * split,
            "dividend": dividend,
            "capital_gain": capital_gain,
            "split_ratio": path.split_ratio[at],
            "vendor_adj_close": close * _yahoo_factor(close, dividend + capital_gain),
        }
        return price_frame({"symbol": [symbol] * (known - first)} | {name: c[first:] for name, c in columns.items()})

    def fund_nav(self, symbol: str, start: date, end: date) -> pd.DataFrame:
        """NAV and shares outstanding of the fund `symbol` for the sessions `start` … `end`, both included, as known on `end`.

        A frame with exactly `FUND_NAV_COLUMNS`, oldest first, as published: never restated at a split. State Street and
        iShares publish a session the day after, so theirs lack `end`. Where the issuer publishes no daily share count,
        `shares_outstanding` is NaN and `source` says so. Raises `SymbolNotFound` for a stock or an unknown symbol.
        """
        fund = self._fund(symbol)
        listing = self._listing(symbol)
        first = np.searchsorted(listing.sessions, np.datetime64(start))
        lagged = fund.issuer in funds.PUBLISHERS
        known = np.searchsorted(listing.sessions, np.datetime64(end), side="left" if lagged else "right")
        rows = slice(first, max(first, known))
        nav, shares = self._book(symbol, rows)
        paid = listing.dividend[rows] + listing.capital_gain[rows]
        assets_only = fund.issuer in funds.ASSETS_ONLY
        columns = {
            "symbol": symbol,
            "session": listing.sessions[rows].astype("datetime64[s]"),
            "nav": nav,
            "shares_outstanding": np.nan if assets_only else shares,
            "total_net_assets_usd": np.round(nav * shares, 2),
            "distribution": np.where(paid > 0, paid, np.nan),
            "source": "sample: assets / NAV" if assets_only else "sample",
        }
        return typed(columns, FUND_NAV_COLUMNS)

    def fund_facts(self, symbol: str, as_of: date) -> pd.DataFrame:
        """The facts of the fund `symbol` on `as_of`: one row of `FUND_FACTS_COLUMNS`, figures of the last session up to it.

        Raises `SymbolNotFound` for a stock, an unknown symbol and a fund not yet listed.
        """
        fund = self._fund(symbol)
        last = self._last(symbol, as_of, "right")
        nav, shares = self._book(symbol, slice(last, last + 1))
        pe = funds.trailing_pe(fund, weekdays(self._last_year))
        columns = {
            "symbol": [symbol],
            "as_of": np.array([as_of], "datetime64[s]"),
            "expense_ratio": funds.expense_ratio(fund, as_of),
            "total_net_assets_usd": np.round(nav * shares, 2),
            "nav": nav,
            "category": funds.category(fund),
            "index_name": fund.index_name,
            "trailing_pe": pe[self._listing(symbol).at[last]],
            "source": "sample",
        }
        return typed(columns, FUND_FACTS_COLUMNS)

    def holdings(self, symbol: str, as_of: date) -> pd.DataFrame:
        """What the fund `symbol` held at the end of the session before `as_of`: `HOLDINGS_COLUMNS`, heaviest first.

        Weights are fractions that sum to 1, with one row for cash, whose constituent is None. Raises `SymbolNotFound` for a
        stock, an unknown symbol, a fund whose issuer publishes no holdings and one not yet listed.
        """
        fund = self._fund(symbol)
        if fund.issuer not in funds.PUBLISHERS:
            raise SymbolNotFound(
                f"sample: the issuer of {symbol} publishes no holdings file here; request a fund of "
                f"{' or '.join(sorted(funds.PUBLISHERS))}."
            )
        session = self._listing(symbol).sessions[self._last(symbol, as_of, "left")]
        held = companies.constituents(fund)
        cash = funds.cash_weight(symbol, session)
        weights = held.weights * (1 - cash)
        place = int(np.searchsorted(-weights, -cash))
        columns = {
            "fund_symbol": symbol,
            "as_of": np.full(len(weights) + 1, session, "datetime64[s]"),
            "symbol": [*held.symbols[:place], None, *held.symbols[place:]],
            "name": [*held.names[:place], "US Dollar", *held.names[place:]],
            "weight": np.insert(weights, place, cash),
            "source": "sample",
        }
        return typed(columns, HOLDINGS_COLUMNS)

    def earnings_growth(self, symbol: str, as_of: date) -> pd.DataFrame:
        """What analysts expect a company to earn, on `as_of`: one row of `EARNINGS_GROWTH_COLUMNS`, NaN: no estimate.

        Companies are the stocks among the instruments and all constituents of simulated indices. Raises `SymbolNotFound` for
        any other symbol.
        """
        instrument = self._instruments.get(symbol)
        followed = instrument.kind == "stock" if instrument else companies.is_company(symbol)
        if not followed:
            raise SymbolNotFound(
                f"sample: no analyst follows {symbol}, which is not a company of the simulated market; "
                f"request a stock of the universe or a constituent of a fund."
            )
        small = instrument.size_bucket in ("small", "micro") if instrument else companies.is_small(symbol)
        expected = companies.estimates(symbol, small, as_of)._asdict()
        row = {"symbol": symbol, "as_of": as_of, "source": "sample"} | expected
        return typed({name: [value] for name, value in row.items()}, EARNINGS_GROWTH_COLUMNS)

    def _fund(self, symbol: str) -> Instrument:
        instrument = self._instrument(symbol)
        if instrument.kind in ("stock", "index"):
            article = "an" if instrument.kind == "index" else "a"
            raise SymbolNotFound(
                f"sample: {symbol} is {article} {instrument.kind} and has no fund data; request a fund or sector."
            )
        return instrument

    def _last(self, symbol: str, day: date, side: Literal["left", "right"]) -> int:
        """The place of the fund's last session up to `day` (`right`) or before it (`left`)."""
        sessions = self._listing(symbol).sessions
        place = int(np.searchsorted(sessions, np.datetime64(day), side=side)) - 1
        if place < 0:
            raise SymbolNotFound(
                f"sample: there is no record of {symbol} on {day}, as no session of it had been published by then; "
                f"request a later day."
            )
        return place

    def _book(self, symbol: str, rows: slice) -> tuple[Floats, Floats]:
        """NAV and shares outstanding of a fund on the given of its sessions."""
        listing = self._listing(symbol)
        at = listing.at[rows]
        return np.round(listing.path.value[at], 6), self._shares(symbol)[at]

    def _issue(self, symbol: str) -> Floats:
        return funds.shares_outstanding(self._instruments[symbol], self._listing(symbol).path)

    def _instrument(self, symbol: str) -> Instrument:
        if symbol not in self._instruments:
            raise SymbolNotFound(
                f"sample: the simulated market has no symbol {symbol}; add a row for it to the universe file, "
                f"or request one of its {len(self._instruments)} symbols."
            )
        return self._instruments[symbol]

    def _list(self, symbol: str) -> _Listing:
        instrument = self._instruments[symbol]
        path = (indexes.simulate if instrument.kind == "index" else simulate)(instrument, self._last_year)
        listed = np.datetime64(instrument.inception) if instrument.inception else path.days[0]
        sessions = self._calendar_sessions[self._calendar_sessions >= max(listed, path.days[0])]
        at = np.searchsorted(weekdays(self._last_year), sessions)
        return _Listing(
            path=path,
            sessions=sessions,
            at=at,
            dividend=_on_sessions(path.days, path.dividend, sessions),
            capital_gain=_on_sessions(path.days, path.capital_gain, sessions),
        )


def _on_sessions(days: Days, amounts: Floats, sessions: Days) -> Floats:
    """Amounts per session: each weekday's is due on the first session from it on, as a holiday cannot be an ex-date."""
    total = np.zeros(len(sessions))
    due = np.flatnonzero(amounts)
    place = np.searchsorted(sessions, days[due])
    # Payouts before the first session and after the last belong to sessions that the calendar does not hold.
    inside = (place < len(sessions)) & (days[due] >= sessions[0] if len(sessions) else False)
    np.add.at(total, place[inside], amounts[due[inside]])
    return total


def _yahoo_factor(close: Floats, distribution: Floats) -> Floats:
    """Yahoo's adjustment: each ex-date multiplies all earlier closes by 1 - distribution / the close before it."""
    steps = np.ones(len(close))
    steps[:-1] = 1 - distribution[1:] / close[:-1]
    return np.cumprod(steps[::-1], dtype=np.float64)[::-1]
