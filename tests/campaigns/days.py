"""Random sequences of days, vendor faults and operations, as a state machine: after each run the published file is compared with the model."""

from __future__ import annotations

import math
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
import world
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from campaigns import vendor_model
from campaigns.expected import Expected
from campaigns.promises import Readers
from campaigns.vendor_model import BENCHMARK, CALENDAR, SYMBOLS, Vendor
from market_rotation.tasks import warehouse
from market_rotation.tasks.audit import accept
from market_rotation.tasks.run import pipeline
from market_rotation.tasks.run.context import Parameters
from market_rotation.tasks.settings import load_settings
from market_rotation.tasks.warehouse import closures

#: The session of the first run: two months of history.
FIRST = 42
STEPS = ("plan", "fetch", "stage", "audit", "load", "derive", "publish")
AHEAD = tuple(timedelta(days=days) for days in (1, 5, 40, 365))

symbols = st.sampled_from(SYMBOLS)
amounts = st.sampled_from((0.31, 0.47, 0.8))


class TimeIsUp(KeyboardInterrupt):
    """The campaign has run for as long as it may. Hypothesis passes it on as it does Ctrl-C."""


def prepare(home: Path, patch: pytest.MonkeyPatch) -> None:
    """Points the settings at a warehouse in `home`, with the three symbols."""
    members = world.universe(
        *(world.instrument(s, in_breadth=s == BENCHMARK) for s in reversed(SYMBOLS)), pairs=[("IWM", "SPY")]
    )
    for name in [name for name in os.environ if name.startswith("ROTATION_")]:
        patch.delenv(name)
    patch.setenv("ROTATION_HOME", str(home / "warehouse"))
    patch.setenv("ROTATION_UNIVERSE", str(world.write_universe(home, members)))
    patch.setenv("ROTATION_HISTORY_START", str(CALENDAR[0]))
    patch.setenv("ROTATION_REPORT", "false")
    patch.setenv("XDG_STATE_HOME", str(home / "state"))


class Days(RuleBasedStateMachine):
    """Sequences of days. `used` counts the rules of all sequences, `runs` the runs by status."""

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
        self.closed: list[Any] = []

    @initialize()
    def first_run(self) -> None:
        """The same in all sequences, so it is run once and copied."""
        self.used["sequences"] += 1
        self._trade(FIRST)
        if not self.first:
            self._run()
            Days.first = Path(tempfile.mkdtemp(prefix="model-first-"))
            shutil.copytree(self.home / "warehouse", Days.first / "warehouse")
            return
        shutil.copytree(self.first / "warehouse", self.home / "warehouse")
        now = self._now()
        self.vendor.frames(now.date())
        self.expected.run(self.vendor, now.date())
        self.readers.check(load_settings().published, self.expected, self.vendor)

    # ---- days ----

    @rule()
    def next_session(self) -> None:
        self._count("next session")
        self._trade(1)
        self._run()

    @rule(count=st.integers(1, 6))
    def skip_sessions(self, count: int) -> None:
        self._count("skip sessions")
        self._trade(count)

    @rule()
    def run_again(self) -> None:
        self._count("run again")
        self._run()

    @rule(step=st.sampled_from(STEPS))
    def interrupted_run(self, step: str) -> None:
        self._count(f"interrupted in {step}")
        self._run(step)

    @rule(ahead=st.sampled_from(AHEAD))
    def clock_ahead(self, ahead: timedelta) -> None:
        self._count("clock ahead")
        self._run(ahead=ahead)
        self.is_clock_corrected = True
        self._run()

    # ---- what happens to a symbol ----

    @rule(symbol=symbols, amount=amounts)
    def dividend(self, symbol: str, amount: float) -> None:
        self._count("dividend")
        self._trade(1)
        self._pay(symbol, 0, amount)

    @rule(symbol=symbols, amount=amounts, back=st.integers(1, 20))
    def late_dividend(self, symbol: str, amount: float, back: int) -> None:
        self._count("late dividend")
        self._pay(symbol, back, amount)

    @rule(symbol=symbols, ratio=st.sampled_from((2.0, 3.0, 0.1)))
    def split(self, symbol: str, ratio: float) -> None:
        if symbol in self.vendor.delisted or symbol in self.vendor.bad:
            return
        self._count("split")
        self._trade(1)
        self.vendor.split(symbol, CALENDAR[self.place], ratio)

    @rule(symbol=symbols, back=st.integers(1, 40), factor=st.sampled_from((0.998, 1.002)))
    def restate_an_old_close(self, symbol: str, back: int, factor: float) -> None:
        day = CALENDAR[self.place - back]
        bar = self.vendor.bars[symbol].get(day)
        if bar is None or self.vendor.bad.get(symbol, (None,))[0] == day:
            return
        self._count("restated close")
        self.vendor.bars[symbol][day] = replace(bar, close=bar.close * factor)

    @rule(symbol=symbols, back=st.integers(0, 12), kind=st.sampled_from(sorted(vendor_model.BAD_TICKS)))
    def bad_tick(self, symbol: str, back: int, kind: str) -> None:
        day = CALENDAR[self.place - back]
        bar = self.vendor.bars[symbol].get(day)
        if symbol in self.vendor.bad or bar is None:
            return
        if (kind == "jump" and bar.split_ratio != 1) or (kind == "absent" and self._is_known(symbol, day)):
            return
        self._count(f"bad tick: {kind}")
        self.vendor.bad[symbol] = (day, kind)

    @precondition(lambda self: self.vendor.bad)
    @rule(data=st.data())
    def heal(self, data: st.DataObject) -> None:
        self._count("bad tick heals")
        del self.vendor.bad[data.draw(st.sampled_from(sorted(self.vendor.bad)))]

    @rule(symbol=symbols)
    def missing_symbol(self, symbol: str) -> None:
        self._count("missing symbol")
        self.vendor.missing.add(symbol)
        self._run()
        self.vendor.missing.clear()

    @precondition(lambda self: not self.vendor.delisted)
    @rule(symbol=st.sampled_from(("IJR", "IWM")))
    def delist(self, symbol: str) -> None:
        self._count("delisted symbol")
        self.vendor.delisted.add(symbol)

    # ---- what a person does ----

    @precondition(lambda self: not self.closed)
    @rule()
    def closure(self) -> None:
        self._count("closure")
        self.place, self.minutes = self.place + 1, 0
        self.closed = [CALENDAR[self.place]]
        self._run()

    @precondition(lambda self: self.closed and self.closed[0] not in self.expected.closures)
    @rule()
    def accept_closure(self) -> None:
        self._count("closure accepted")
        closures.accept(load_settings(), self.closed[0], "storm", "anna", self._now())
        self.expected.closures.add(self.closed[0])
        self._run()

    @precondition(lambda self: self.closed)
    @rule()
    def undo_closure(self) -> None:
        self._count("closure undone")
        self.vendor.trade(self.closed.pop())
        self._run()

    @rule()
    def accept_value(self) -> None:
        rows = [
            (symbol, day)
            for (symbol, day), bar in self.expected.readers.quarantine.items()
            if bar
            and day in self.expected.sessions(day)
            and (bar.close or 0) > 0
            and (symbol, day) not in self.expected.accepted
        ]
        if not rows or self.expected.is_unpublished:
            return
        self._count("value accepted by hand")
        for symbol, day in rows[:1]:
            with warehouse.reading(load_settings().published) as con:
                found = [e.id for e in accept.entries(con) if (e.symbol, e.session) == (symbol, day)]
            for entry in found:
                accept.accept(load_settings(), entry, "checked by hand", "anna", self._now())
            self.expected.accepted[symbol, day] = self.expected.readers.quarantine[symbol, day]
        self._run()

    # ----

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
        steps = pipeline.Steps(fetch=world.fetch_in_order)
        if interrupted:
            steps = replace(steps, **{interrupted: _interruption})
        wanted = self.expected.run(self.vendor, until, interrupted)
        made = pipeline.run(Parameters(now), steps, source)
        self.runs[made.status] += 1
        type(self).show()
        if self.is_clock_corrected and made.status == "published" and wanted == "up_to_date":
            wanted = "published"
        self.is_clock_corrected = self.is_clock_corrected and made.status in ("failed", "blocked")
        assert made.status == wanted, f"the run is {made.status}, expected {wanted}: {made.message}"
        assert source.asked == self.expected.requests, f"requested {source.asked}, expected {self.expected.requests}"
        self.readers.check(load_settings().published, self.expected, self.vendor)

    def teardown(self) -> None:
        """Leaves nothing of the sequence behind."""
        self.patch.undo()
        shutil.rmtree(self.home, ignore_errors=True)


def _interruption(*_: object) -> Any:
    raise RuntimeError("interrupted by the campaign")
