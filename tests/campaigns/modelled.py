"""A warehouse of three symbols from evening to evening: the vendor, the model, and a run that is compared with the model afterwards."""

from __future__ import annotations

import math
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
import world
from hypothesis.stateful import RuleBasedStateMachine

from campaigns.expected import Expected
from campaigns.promises import Readers
from campaigns.scenarios import differs_from_rebuilt
from campaigns.vendor_model import BENCHMARK, CALENDAR, SYMBOLS, Vendor
from market_rotation.tasks.run import pipeline
from market_rotation.tasks.run.context import Parameters
from market_rotation.tasks.settings import load_settings
from market_rotation.tasks.warehouse import incremental

#: Sessions before the first run: two months of history.
FIRST = 42
#: Each so many runs the tables are compared with those that are derived as a whole.
REBUILT_EVERY = 4


class TimeIsUp(KeyboardInterrupt):
    """The campaign has run for as long as it may. Hypothesis passes it on as it does Ctrl-C."""


def prepare(home: Path, patch: pytest.MonkeyPatch) -> None:
    """Points the settings at a warehouse in `home`, with the three symbols."""
    for name in [name for name in os.environ if name.startswith("ROTATION_")]:
        patch.delenv(name)
    patch.setenv("ROTATION_HOME", str(home / "warehouse"))
    patch.setenv("ROTATION_UNIVERSE", str(write_universe(home, SYMBOLS)))
    patch.setenv("ROTATION_HISTORY_START", str(CALENDAR[0]))
    patch.setenv("ROTATION_REPORT", "false")
    patch.setenv("TIINGO_API_KEY", "unused")
    patch.setenv("XDG_STATE_HOME", str(home / "state"))
    # As with many symbols.
    patch.setattr(incremental, "SLICED_FROM_ROWS", 0)


def write_universe(home: Path, symbols: Sequence[str]) -> Path:
    members = [world.instrument(symbol, in_breadth=symbol == BENCHMARK) for symbol in reversed(symbols)]
    return world.write_universe(home, world.universe(*members, pairs=[("IWM", "SPY")]))


class Evenings(RuleBasedStateMachine):
    """The state of a sequence, without rules. `used` counts the rules of all sequences, `runs` the runs by status."""

    used: ClassVar[Counter[str]] = Counter()
    runs: ClassVar[Counter[str]] = Counter()
    #: The home after the first run.
    first: ClassVar[Path | None] = None
    #: When the campaign ends, by `time.monotonic`.
    deadline = math.inf

    #: Called after each run, to show progress.
    show: ClassVar[Callable[[], object]] = staticmethod(lambda: None)

    def __init__(self) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp(prefix="model-"))
        self.patch = pytest.MonkeyPatch()
        prepare(self.home, self.patch)
        self.vendor, self.expected, self.readers = Vendor(), Expected(), Readers()
        self.place, self.minutes = -1, 0
        self.is_clock_corrected = False
        self.closed: list[date] = []

    def begin(self) -> None:
        """The same in all sequences, so it is run once and copied."""
        self.used["sequences"] += 1
        self._trade(FIRST)
        if not self.first:
            self._run()
            Evenings.first = Path(tempfile.mkdtemp(prefix="model-first-"))
            shutil.copytree(self.home / "warehouse", Evenings.first / "warehouse")
            return
        shutil.copytree(self.first / "warehouse", self.home / "warehouse")
        now = self._now()
        self.vendor.frames(now.date())
        self.expected.run(self.vendor, now.date())
        self.readers.check(load_settings().published, self.expected, self.vendor)

    def _count(self, name: str) -> None:
        self.used[name] += 1

    def _now(self) -> datetime:
        day = CALENDAR[self.place]
        # A run may take minutes on a busy machine, and the alerts of one must not come after the next.
        self.minutes += 10
        return datetime(day.year, day.month, day.day, 23, 30, tzinfo=UTC) + timedelta(minutes=self.minutes)

    def _trade(self, count: int) -> None:
        for _ in range(count):
            self.place, self.minutes = self.place + 1, 0
            self.vendor.trade(CALENDAR[self.place])

    def _is_known(self, symbol: str, day: Any) -> bool:
        return day in self.expected.state.bars[symbol]

    def _pay(self, symbol: str, back: int, amount: float) -> None:
        day = CALENDAR[self.place - back]
        bar = self.vendor.bars[symbol].get(day)
        if bar and (symbol not in self.vendor.bad or self.vendor.bad[symbol][0] != day):
            self.vendor.bars[symbol][day] = replace(bar, dividend=round(amount * bar.close / 100, 6))

    def _run(self, interrupted: str | None = None, ahead: timedelta = timedelta()) -> None:
        """A run, and the comparison of all that it leaves with the model."""
        if time.monotonic() > self.deadline:
            raise TimeIsUp
        now = self._now() + ahead
        # The exchange closes at 21:00 UTC at the latest.
        until = max(day for day in CALENDAR if day <= (now - timedelta(hours=21)).date())
        source = world.FakeSource(self.vendor.frames(until))
        source.name = self.vendor.name
        steps = pipeline.Steps(fetch=world.fetch_in_order)
        if interrupted:
            steps = replace(steps, **{interrupted: _interruption})
        wanted = self.expected.run(self.vendor, until, interrupted)
        made = pipeline.run(Parameters(now, source=self.vendor.name), steps, source)
        self.runs[made.status] += 1
        type(self).show()
        if self.is_clock_corrected and made.status == "published" and wanted == "up_to_date":
            wanted = "published"
        self.is_clock_corrected = self.is_clock_corrected and made.status in ("failed", "blocked")
        assert made.status == wanted, f"the run is {made.status}, expected {wanted}: {made.message}"
        assert source.asked == self.expected.requests, f"requested {source.asked}, expected {self.expected.requests}"
        self.readers.check(load_settings().published, self.expected, self.vendor)
        if self.runs.total() % REBUILT_EVERY == 0:
            differing = differs_from_rebuilt(load_settings(), now)
            assert not differing, f"not as deriving everything gives: {', '.join(differing)}"

    def teardown(self) -> None:
        """Leaves nothing of the sequence behind."""
        self.patch.undo()
        shutil.rmtree(self.home, ignore_errors=True)


def _interruption(*_: object) -> Any:
    raise RuntimeError("interrupted by the campaign")
