"""The reports of past sessions, kept ready: those seen, and those one arrow key away."""

from __future__ import annotations

import threading
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import date, datetime
from typing import TYPE_CHECKING

from market_rotation.tasks.errors import RotationError
from market_rotation.tasks.report import daily
from market_rotation.tasks.report.exhibits.collect import collect

if TYPE_CHECKING:
    from collections.abc import Callable

    from market_rotation.tasks.report.exhibits.base import Report
    from market_rotation.tasks.serve.published import Edition, Published
    from market_rotation.tasks.settings import Settings

#: The number of reports kept; one takes about 3 MB.
KEPT = 40


class Reports:
    """The reports on sessions of `published`, each read once for each published state."""

    def __init__(self, published: Published, settings: Settings, now: Callable[[], datetime]) -> None:
        self._published, self._settings, self._now = published, settings, now
        self._made: OrderedDict[tuple[str, date, bool], Future[Report]] = OrderedDict()
        self._lock = threading.Lock()
        self._deriving = threading.Lock()
        self._ahead = ThreadPoolExecutor(1, thread_name_prefix="reports")

    def get(self, session: date, version: str, as_known_then: bool = False) -> Report:
        """The report on `session` of the published state `version`: of the tables published now, or as it was known then.

        The second is derived again from `raw` and takes as long as that. Raises as `collect` and `daily.collect_past` do.
        """
        key = (version, session, as_known_then)
        with self._lock:
            future: Future[Report] = Future()
            kept = self._made.get(key)
            if kept is None:
                self._made[key] = future
                while len(self._made) > KEPT:
                    self._made.popitem(last=False)
            else:
                self._made.move_to_end(key)
        if kept is not None:
            return kept.result()
        try:
            future.set_result(self._then(session) if as_known_then else self._collected(session))
        except BaseException as error:
            with self._lock:
                self._made.pop(key, None)
            future.set_exception(error)
        return future.result()

    def prepare(self, edition: Edition, *sessions: date | None) -> None:
        """Reads the reports on `sessions` in the background."""
        for session in sessions:
            if session is not None and (edition.version, session, False) not in self._made:
                with suppress(RuntimeError):
                    self._ahead.submit(self._prepared, session, edition.version)

    def close(self) -> None:
        """Ends what is read in the background."""
        self._ahead.shutdown(wait=False, cancel_futures=True)

    def _prepared(self, session: date, version: str) -> None:
        with suppress(RotationError):
            self.get(session, version)

    def _collected(self, session: date) -> Report:
        with self._published.reading() as (_, con):
            return collect(con, session)

    def _then(self, session: date) -> Report:
        # One at a time: each takes all the cores.
        with self._deriving:
            return daily.collect_past(self._settings, session, self._now())
