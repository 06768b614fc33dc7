"""Request budgets: what a vendor's plan allows per hour and per day, counted across runs and processes."""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

from market_rotation.tasks.errors import AccessRefused


@dataclass(frozen=True)
class Limit:
    """A number of requests per hour or day. A period begins with the hour or at midnight in `zone`, when the vendor counts from 0 again."""

    requests: int
    per: Literal["hour", "day"]
    zone: ZoneInfo

    def period(self, now: datetime) -> tuple[str, datetime]:
        """The name of the period of `now`, and the moment, UTC, at which the next one begins."""
        local = now.astimezone(self.zone)
        if self.per == "hour":
            # In UTC, which repeats no hour at a clock change.
            begin = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
            return begin.isoformat(), begin + timedelta(hours=1)
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
        return local.date().isoformat(), (midnight + timedelta(days=1)).astimezone(UTC)


class Budget:
    """Counts the requests to `vendor` in the file at `path`, for all threads and processes. `clock` gives the time, UTC.

    Only counts are written. An unreadable file counts as empty, since the vendor enforces its limit anyway.
    """

    def __init__(self, vendor: str, path: Path, limits: Sequence[Limit], clock: Callable[[], datetime]) -> None:
        self._vendor = vendor
        self._path = path
        self._limits = limits
        self._clock = clock
        self._lock = threading.Lock()

    def take(self, what: str) -> None:
        """Counts one request. Raises `AccessRefused`, and counts nothing, where a limit is reached; `what` names the data wanted."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # A file lock belongs to the process; threads need a lock of their own.
        with self._lock, self._path.open("a+", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            now = self._clock()
            counts = self._read(file.fileno())
            used = {limit.per: counts.get(limit.per, {}).get(limit.period(now)[0], 0) for limit in self._limits}
            for limit in self._limits:
                if used[limit.per] >= limit.requests:
                    begins = limit.period(now)[1]
                    raise AccessRefused(
                        f"{self._vendor} was not requested for {what}: the {limit.requests:,} requests per {limit.per} of the plan are "
                        f"used up; run again after {begins:%Y-%m-%d %H:%M} UTC, or raise the limit in the settings if the plan allows more."
                    )
            # Keep only the current period of each limit.
            counts = {limit.per: {limit.period(now)[0]: used[limit.per] + 1} for limit in self._limits}
            os.ftruncate(file.fileno(), 0)
            os.pwrite(file.fileno(), json.dumps(counts).encode(), 0)

    def exhaust(self) -> None:
        """Marks the shortest limit as used up, since the vendor says so."""
        with self._lock, self._path.open("a+", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            counts = self._read(file.fileno())
            shortest = self._limits[0]
            counts[shortest.per] = {shortest.period(self._clock())[0]: shortest.requests}
            os.ftruncate(file.fileno(), 0)
            os.pwrite(file.fileno(), json.dumps(counts).encode(), 0)

    def _read(self, descriptor: int) -> dict[str, dict[str, int]]:
        try:
            counts = json.loads(os.pread(descriptor, 4096, 0))
            return {str(per): {str(k): int(n) for k, n in periods.items()} for per, periods in counts.items()}
        except (ValueError, TypeError, AttributeError):
            return {}
