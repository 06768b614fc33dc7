"""The page of a session: the report on it, kept ready for those seen and for those one arrow key away."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import date, datetime
from typing import TYPE_CHECKING, NamedTuple

from market_rotation.tasks.errors import RotationError, UsageError
from market_rotation.tasks.report import daily
from market_rotation.tasks.report.exhibits.collect import collect
from market_rotation.tasks.report.page import context
from market_rotation.tasks.serve import render

if TYPE_CHECKING:
    from collections.abc import Callable

    from market_rotation.tasks.report.exhibits.base import Report
    from market_rotation.tasks.serve.published import Edition, Published
    from market_rotation.tasks.settings import Settings

#: The number of pages kept; one takes about 2 MB.
KEPT = 40


class _Key(NamedTuple):
    """What a page depends on. `is_stored` says that a run has written the report of the session, which the page then links to."""

    version: str
    session: date
    as_known_then: bool
    is_stored: bool


class Sessions:
    """The pages of the sessions of `published`, each made once for each published state."""

    def __init__(self, published: Published, settings: Settings, now: Callable[[], datetime]) -> None:
        self._published, self._settings, self._now = published, settings, now
        self._made: OrderedDict[_Key, Future[str]] = OrderedDict()
        self._lock = threading.Lock()
        self._deriving = threading.Lock()
        self._ahead = ThreadPoolExecutor(1, thread_name_prefix="sessions")

    def page(self, edition: Edition, session: date, *, as_known_then: bool) -> str:
        """The report on `session`: of the tables published now, or as it was known then.

        The second is derived again from `raw` and takes as long as that. Raises as `collect` and `daily.collect_past` do.
        """
        made = self._page(edition, session, as_known_then)
        self.prepare(edition, *neighbours(edition, session))
        return made

    def prepare(self, edition: Edition, *sessions: date | None) -> None:
        """Makes the pages of `sessions` in the background."""
        for session in sessions:
            if session is not None and self._key(edition, session, False) not in self._made:
                # Refused once the server ends.
                with suppress(RuntimeError):
                    self._ahead.submit(self._prepared, edition, session)

    def close(self) -> None:
        """Ends what is made in the background."""
        self._ahead.shutdown(wait=False, cancel_futures=True)

    def stored(self, session: date) -> bytes | None:
        """The report file that a run wrote for `session`, None where there is none."""
        with suppress(OSError):
            return (self._settings.reports / str(session) / "index.html").read_bytes()
        return None

    def _key(self, edition: Edition, session: date, as_known_then: bool) -> _Key:
        is_stored = (self._settings.reports / str(session) / "index.html").is_file()
        return _Key(edition.version, session, as_known_then, is_stored)

    def _page(self, edition: Edition, session: date, as_known_then: bool) -> str:
        key = self._key(edition, session, as_known_then)
        with self._lock:
            future: Future[str] = Future()
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
            report = self._then(session) if as_known_then else self._collected(session)
            future.set_result(self._rendered(report, edition, key))
        except BaseException as error:
            with self._lock:
                self._made.pop(key, None)
            future.set_exception(error)
        return future.result()

    def _prepared(self, edition: Edition, session: date) -> None:
        with suppress(RotationError):
            self._page(edition, session, False)

    def _collected(self, session: date) -> Report:
        with self._published.reading() as (_, con):
            return collect(con, session)

    def _then(self, session: date) -> Report:
        # One at a time: each takes all the cores.
        with self._deriving:
            return daily.collect_past(self._settings, session, self._now())

    def _rendered(self, report: Report, edition: Edition, key: _Key) -> str:
        before, after = neighbours(edition, report.session)
        return render.template("session.html").render(
            context(report, self._now()),
            **render.site("/session", edition, pinned_by="date"),
            edition=edition,
            before=before,
            after=after,
            is_stored=key.is_stored,
        )


def session_at(edition: Edition, wanted: date) -> date:
    """The session of `wanted`, or the last one before it. Raises `UsageError` outside the warehouse."""
    place = bisect_right(edition.sessions, wanted)
    if not place or wanted > edition.session:
        raise UsageError(
            f"{wanted} is outside the warehouse, which goes from {edition.sessions[0]} to {edition.session}; choose a day between them."
        )
    return edition.sessions[place - 1]


def neighbours(edition: Edition, session: date) -> tuple[date | None, date | None]:
    """The sessions before and after `session`, None where there is none."""
    place = bisect_right(edition.sessions, session) - 1
    before = edition.sessions[place - 1] if place > 0 else None
    return before, edition.sessions[place + 1] if place + 1 < len(edition.sessions) else None
