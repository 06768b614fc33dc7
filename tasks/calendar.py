"""New York Stock Exchange sessions (XNYS), from exchange_calendars, less the closures that it does not know yet."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from market_rotation.tasks.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import exchange_calendars
    import pandas as pd

NEW_YORK = ZoneInfo("America/New_York")

#: A bar counts as final this long after the close: the closing auction prints for minutes, and free feeds lag by 15.
SETTLE = timedelta(minutes=30)


@dataclass(frozen=True)
class Calendar:
    """XNYS sessions from `start` to `end`. `closures` are days on which the exchange was closed although exchange_calendars has a session."""

    xnys: exchange_calendars.ExchangeCalendar
    start: date
    end: date
    closures: frozenset[date] = frozenset()

    def with_closures(self, closures: Iterable[date]) -> Calendar:
        """The same calendar with these closures in place of its own."""
        return load(self.start, self.end, frozenset(closures))

    def sessions(self, start: date, end: date) -> list[date]:
        """The sessions from `start` to `end`, both included, oldest first; empty when `start` > `end`."""
        if start > end:
            return []
        return [stamp.date() for stamp in self.xnys.sessions_in_range(str(start), str(end))]

    def is_session(self, day: date) -> bool:
        """Whether the exchange trades on `day`, which may lie outside the calendar's dates."""
        if not self.start <= day <= self.end:
            return load(day, day, self.closures).is_session(day)
        return bool(self.xnys.is_session(str(day)))

    def last_closed(self, now: datetime) -> date:
        """The latest session whose bar is final at `now` (a moment with time zone): its close is `SETTLE` or more ago."""
        if now.tzinfo is None:
            raise ValueError("The clock must carry a time zone.")
        closes = self.xnys.closes
        position = closes.searchsorted(_utc(now - SETTLE), side="right")
        if position == 0:
            raise ConfigError(
                f"The calendar begins on {self.start}, and no session closed between then and {now:%Y-%m-%d %H:%M %Z}; "
                "check the clock of this machine and ROTATION_HISTORY_START."
            )
        last: date = closes.index[position - 1].date()
        return last

    def latest_on_or_before(self, day: date) -> date:
        """`day` if it is a session, else the session before it."""
        session: date = self.xnys.date_to_session(str(day), direction="previous").date()
        return session

    def hours(self, start: date, end: date) -> pd.DataFrame:
        """Frame of `session, opens_at, closes_at` (UTC) for the sessions from `start` to `end`, both included."""
        schedule: pd.DataFrame = self.xnys.schedule.loc[str(start) : str(end), ["open", "close"]]
        return schedule.rename_axis("session").reset_index().set_axis(["session", "opens_at", "closes_at"], axis=1)


@lru_cache(maxsize=8)
def load(start: date, end: date, closures: frozenset[date] = frozenset()) -> Calendar:
    """The calendar that covers `start` … `end`, with half a month to spare on either side for look-ups at the edges.

    On the days in `closures` the exchange was closed. Raises `ConfigError` for dates that no calendar reaches.
    """
    spare = timedelta(days=15)
    try:
        # Whole years, so that a process that runs for days makes one calendar.
        first, last = (start - spare).replace(month=1, day=1), (end + spare).replace(month=12, day=31)
        return Calendar(_xnys(str(first), str(last), closures), start, end, closures)
    except (OverflowError, ValueError):
        raise ConfigError(
            f"No exchange calendar reaches from {start} to {end}; check the clock of this machine and ROTATION_HISTORY_START."
        ) from None


@lru_cache(maxsize=8)
def _xnys(start: str, end: str, closures: frozenset[date]) -> exchange_calendars.ExchangeCalendar:
    import exchange_calendars

    if not closures:
        return exchange_calendars.get_calendar("XNYS", start=start, end=end)
    import pandas as pd
    from exchange_calendars.exchange_calendar_xnys import XNYSExchangeCalendar

    class XNYSWithClosures(XNYSExchangeCalendar):  # type: ignore[misc]
        @property
        def adhoc_holidays(self) -> list[pd.Timestamp]:
            return [*super().adhoc_holidays, *map(pd.Timestamp, sorted(closures))]

    return XNYSWithClosures(start=start, end=end)


def _utc(moment: datetime) -> pd.Timestamp:
    import pandas as pd

    return pd.Timestamp(moment.astimezone(UTC))
