"""The pace of requests to a source: at most ROTATION_REQUESTS_PER_MINUTE, spread evenly."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

#: Given the name of a source, what waits until it may be requested. What waits raises `SourceUnavailable` where that takes too long.
PaceOf = Callable[[str], Callable[[], None]]
#: Given the requests per minute, the pace of each source.
Paces = Callable[[int], PaceOf]


class Pace:
    """Lets one request pass every 60 / `per_minute` seconds, for all threads of this process. `clock` is in seconds."""

    def __init__(
        self,
        per_minute: int,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._interval_s = 60 / per_minute
        self._clock = clock
        self._sleep = sleep
        self._next = 0.0
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Returns when the next request may be sent."""
        with self._lock:
            now = self._clock()
            at = max(now, self._next)
            self._next = at + self._interval_s
        if at > now:
            self._sleep(at - now)


def of_this_process(per_minute: int) -> PaceOf:
    """The pace of each source in this process alone; with 0, no source waits."""

    def of(source: str) -> Callable[[], None]:
        return Pace(per_minute).wait if per_minute else lambda: None

    return of
