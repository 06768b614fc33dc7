"""The pace of requests in one process."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import world

from market_rotation.tasks.sources.cache import CachedSource, file_name, kept
from market_rotation.tasks.sources.pace import Pace, of_this_process

NOW = datetime(2026, 1, 16, 23, 30, tzinfo=UTC)
START, END = date(2026, 1, 2), date(2026, 1, 16)


class Time:
    """A clock that moves only when something sleeps."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def test_requests_are_spread_evenly() -> None:
    """The first request does not wait; a time without requests is not made up for."""
    time = Time()
    pace = Pace(30, lambda: time.now, time.sleep)
    pace.wait()
    pace.wait()
    assert time.slept == [2.0]
    time.now += 60
    pace.wait()
    pace.wait()
    assert time.slept == [2.0, 2.0]


def test_without_a_limit_nothing_waits() -> None:
    """0 means no limit; else each source has a pace of its own."""
    of_this_process(0)("yahoo")()
    pace = of_this_process(1)
    pace("yahoo")()
    pace("tiingo")()


def test_only_requests_wait(tmp_path: Path) -> None:
    """A cached answer takes no part of the budget."""
    waited = []
    vendor = world.FakeSource({"SPY": world.bars("SPY", [100.0], START)})
    source = CachedSource(vendor, tmp_path / "fake", NOW, lambda: waited.append(1))
    for _ in range(2):
        source.prices("SPY", START, END)
    assert len(waited) == 1
    assert kept(tmp_path, NOW) == {file_name("prices", "SPY", START, END)}
    assert kept(tmp_path, datetime(2026, 1, 18, tzinfo=UTC)) == kept(tmp_path / "missing", NOW) == set()
