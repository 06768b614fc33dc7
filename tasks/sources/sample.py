"""The `sample` vendor: a simulated market, told the way a real vendor tells a real one.

Like Yahoo it restates the whole history at a split, and not before; adjusts its own close for distributions; has a bar for
sessions only, none before the inception; and does not know a symbol that is not in the universe.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from tasks.errors import SymbolNotFound
from tasks.sources import price_frame
from tasks.sources.simulator import Days, Floats, Path, simulate, weekdays

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    import pandas as pd

    from tasks.calendar import Calendar
    from tasks.universe import Instrument


@dataclass(frozen=True)
class _Listing:
    """An instrument's path reduced to its sessions: `at` are their places in the path, payouts moved to a session."""

    path: Path
    sessions: Days
    at: np.ndarray[tuple[int], np.dtype[np.intp]]
    dividend: Floats
    capital_gain: Floats


class SampleSource:
    """Simulated prices of the given instruments on the sessions of `calendar`, at the earliest from 2000 on.

    Safe to call from several threads: all that is shared is computed once and only read.
    """

    name = "sample"

    def __init__(self, calendar: Calendar, instruments: Sequence[Instrument]) -> None:
        self._instruments = {instrument.symbol: instrument for instrument in instruments}
        self._calendar_sessions: Days = calendar.xnys.sessions.to_numpy().astype("datetime64[D]")
        self._last_year = calendar.xnys.last_session.year
        # A universe of thousands is read symbol by symbol; keeping all of them would take gigabytes.
        self._listing = lru_cache(maxsize=64)(self._list)

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

    def _instrument(self, symbol: str) -> Instrument:
        if symbol not in self._instruments:
            raise SymbolNotFound(
                f"sample: the simulated market has no symbol {symbol}; add a row for it to the universe file, "
                f"or ask for one of its {len(self._instruments)} symbols."
            )
        return self._instruments[symbol]

    def _list(self, symbol: str) -> _Listing:
        instrument = self._instruments[symbol]
        path = simulate(instrument, self._last_year)
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
