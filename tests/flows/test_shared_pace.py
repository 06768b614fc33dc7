"""The pace that several processes keep together: who waits, for how long, and what a server that is gone changes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from market_rotation.flows.pace import ServerSilent, SharedPace, slots_at_once
from market_rotation.tasks.errors import SourceUnavailable


class Time:
    """A clock that moves only when something sleeps."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Server:
    """A limit as Prefect's server keeps it: slots become free with time, whole ones only, counted from the last that was taken."""

    def __init__(self, time: Time, slots: int, per_second: float) -> None:
        self.time, self.slots, self.per_second = time, slots, per_second
        self.active, self.updated, self.denied = 0, time.now, 0
        self.is_up = True

    def _decayed(self) -> int:
        # A hundredth of a slot for rounding.
        return max(0, self.active - int(self.per_second * (self.time.now - self.updated) + 0.01))

    def free(self) -> int:
        if not self.is_up:
            raise ServerSilent("ConnectError")
        return self.slots - self._decayed()

    def take(self, slots: int) -> bool:
        if not self.is_up:
            raise ServerSilent("ConnectError")
        if self._decayed() + slots > self.slots:
            self.denied += 1
            return False
        self.active, self.updated = self._decayed() + slots, self.time.now
        return True


def pace_of(server: Server, per_minute: int, time: Time, alone: Callable[[], None] | None = None) -> SharedPace:
    return SharedPace(server, per_minute, alone, time, time.sleep)


@pytest.mark.parametrize("per_minute", [30, 600])
def test_two_processes_keep_one_rate(per_minute: int) -> None:
    """Together they get almost the whole rate, and no more; the server denies nothing."""
    time, slots = Time(), slots_at_once(per_minute)
    server = Server(time, slots, per_minute / 60)
    paces = [pace_of(server, per_minute, time) for _ in range(2)]
    began, count = time.now, 2 * per_minute
    for number in range(count):
        paces[number % 2].wait()
    took = time.now - began
    # The slots of the beginning are free at once.
    assert (count - 2 * slots) / took * 60 <= per_minute * 1.001
    assert count / took * 60 >= per_minute * 0.8
    assert server.denied == 0


def test_a_wait_has_a_bound() -> None:
    """Where no slot becomes free, the request fails as unavailable, so that it is tried again."""
    time = Time()
    server = Server(time, 1, 0.0)
    pace = pace_of(server, 30, time)
    pace.wait()
    with pytest.raises(SourceUnavailable, match=r"No request was free within 180 s; try again later"):
        pace.wait()
    assert time.now - 100 < 190


def test_a_worker_without_the_server_requests_nothing() -> None:
    """Other workers may go on, so none of them can count alone; it counts again once the server is back."""
    time = Time()
    server = Server(time, 1, 0.5)
    pace = pace_of(server, 30, time)
    pace.wait()
    server.is_up = False
    with pytest.raises(SourceUnavailable, match="does not answer"):
        pace.wait()
    server.is_up = True
    pace.wait()


def test_the_run_that_writes_goes_on_alone(caplog: pytest.LogCaptureFixture) -> None:
    """When the server is gone it counts its own requests, and reports that once."""
    time = Time()
    server = Server(time, 1, 0.5)
    counted: list[float] = []
    pace = pace_of(server, 30, time, lambda: counted.append(time.now))
    pace.wait()
    server.is_up = False
    pace.wait()
    pace.wait()
    assert len(counted) == 2
    assert len(caplog.records) == 1
