"""The shared pace of requests: a global concurrency limit of Prefect, of which each request of any process takes a slot."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Protocol, TypeVar

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.context import get_settings_context
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.settings import PREFECT_API_REQUEST_TIMEOUT, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from market_rotation.tasks.errors import SourceUnavailable
from market_rotation.tasks.sources.pace import Pace, PaceOf, of_this_process

log = logging.getLogger("rotation.fetch")

T = TypeVar("T")


class ServerSilent(Exception):
    """Prefect's server did not answer, or not with what was requested."""


class Limit(Protocol):
    """A rate limit on a server. Each method raises `ServerSilent` where the server gives no answer."""

    def free(self) -> int:
        """The number of slots that are free now."""
        ...

    def take(self, slots: int) -> bool:
        """Takes `slots` slots, all or none; returns whether it did."""
        ...


@contextmanager
def quick_to_fail() -> Iterator[None]:
    """A server that does not answer is an error within seconds; Prefect would try again for more than a minute.

    Three retries are for a server on SQLite, which answers 503 while its database is locked.
    """
    with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 3, PREFECT_API_REQUEST_TIMEOUT: 10.0}):
        yield


class PrefectLimit:
    """The global concurrency limit `rotation-requests-<source>`, which gives `per_minute` slots a minute; it is created or updated here."""

    def __init__(self, source: str, per_minute: int) -> None:
        self.name = f"rotation-requests-{source}"
        self._slots = slots_at_once(per_minute)
        # Slots of a minute and those that were free at its beginning are together no more than `per_minute`.
        self._per_second = (per_minute - self._slots + 1) / 60
        # Made once: settings and client cost a tenth of a second of processor time.
        with quick_to_fail():
            self._quick = get_settings_context()
            self._client = get_client(sync_client=True)
        self._client.__enter__()
        self._call(self._put)

    def free(self) -> int:
        def read(client: SyncPrefectClient) -> int:
            try:
                found = client.read_global_concurrency_limit_by_name(self.name)
            except ObjectNotFound:
                self._put(client)
                return self._slots
            # A user may have switched it off.
            return found.limit - found.active_slots if found.active else self._slots

        return self._call(read)

    def take(self, slots: int) -> bool:
        def increment(client: SyncPrefectClient) -> bool:
            try:
                # A limit that is gone gives an empty list, and bounds nothing.
                return bool(client.increment_concurrency_slots([self.name], slots, "rate_limit").json())
            except httpx.HTTPStatusError as error:
                if error.response.status_code == httpx.codes.LOCKED:
                    return False
                raise

        return self._call(increment)

    def _put(self, client: SyncPrefectClient) -> None:
        # Another process may create it at the same moment.
        with suppress(ObjectAlreadyExists):
            client.upsert_global_concurrency_limit_by_name(self.name, self._slots, self._per_second)

    def _call(self, asked: Callable[[SyncPrefectClient], T]) -> T:
        try:
            with self._quick.model_copy():
                return asked(self._client)
        except Exception as error:
            raise ServerSilent(type(error).__name__) from error


def slots_at_once(per_minute: int) -> int:
    """How many slots a process takes at once: one, or a second's worth, so that the server has one request a second and process to answer."""
    return max(1, per_minute // 60)


class SharedPace:
    """Waits for a slot of `limit`. `alone` is used from the moment the server does not answer; None: then the request fails.

    Prefect's own `rate_limit` is not used. With Prefect 3.8.8 its threads wait in a queue, one per process, and its time-out does not count
    that time: of six threads with a time-out of three seconds the last waited thirteen. Each call to a server that answers 503 is tried again
    for a minute, while the threads behind it wait. And a refused one asks again only after Retry-After, about the time of one slot. Here a
    process asks for slots only when the server says that enough are free, and each wait has a bound.
    """

    def __init__(
        self,
        limit: Limit,
        per_minute: int,
        alone: Callable[[], None] | None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._limit = limit
        self._alone = alone
        self._slots = slots_at_once(per_minute)
        self._interval_s = 60 * self._slots / per_minute
        #: Of one request: enough for sixty others before it.
        self.longest_wait_s = min(600.0, 60.0 + 60 * self._interval_s)
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._taken = 0
        self._is_alone = False

    def wait(self) -> None:
        """Returns when the next request may be sent. Raises `SourceUnavailable` where that takes too long, or the server is gone."""
        end = self._clock() + self.longest_wait_s
        # One thread of the process asks at a time.
        if not self._lock.acquire(timeout=self.longest_wait_s):
            raise self._late()
        try:
            if not self._is_alone and not self._taken:
                self._take(end)
            self._taken = max(0, self._taken - 1)
        finally:
            self._lock.release()
        if self._is_alone and self._alone:
            self._alone()

    def _take(self, end: float) -> None:
        try:
            while not (self._limit.free() >= self._slots and self._limit.take(self._slots)):
                if self._clock() >= end:
                    raise self._late()
                # Not all processes at the same moment.
                self._sleep(min(5.0, max(0.05, self._interval_s * random.uniform(0.05, 0.2))))  # noqa: S311
            self._taken = self._slots
        except ServerSilent as error:
            if self._alone is None:
                raise SourceUnavailable(
                    f"Prefect's server, which counts the requests per minute, does not answer ({error}); the run requests it itself."
                ) from error
            self._is_alone = True
            log.warning(
                "Prefect's server, which counts the requests per minute, does not answer (%s); from now on this process counts only its own.",
                error,
            )

    def _late(self) -> SourceUnavailable:
        return SourceUnavailable(
            f"No request was free within {self.longest_wait_s:.0f} s; try again later, or raise ROTATION_REQUESTS_PER_MINUTE."
        )


def shared(per_minute: int, is_worker: bool = False) -> PaceOf:
    """The pace of each source over all processes that use this Prefect server; with 0, no source waits.

    Where the server does not answer, a worker's requests fail, since other workers may go on; the run that writes then goes on alone.
    """

    def of(source: str) -> Callable[[], None]:
        alone = None if is_worker else Pace(per_minute).wait
        try:
            limit = PrefectLimit(source, per_minute)
        except ServerSilent as error:
            if alone is None:
                raise SourceUnavailable(f"Prefect's server does not answer ({error}); run it again later.") from error
            log.warning(
                "Prefect's server does not answer (%s); this process counts only its own requests per minute.", error
            )
            return alone
        return SharedPace(limit, per_minute, alone).wait

    return of if per_minute else of_this_process(0)
