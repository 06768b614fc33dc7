"""Random sequences of days, vendor faults and operations, as a state machine: after each run the published file is compared with the model."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from campaigns.modelled import Evenings, write_universe
from campaigns.vendor_model import BAD_TICKS, BENCHMARK, CALENDAR, NAMES, SYMBOLS
from market_rotation.tasks import warehouse
from market_rotation.tasks.audit import accept
from market_rotation.tasks.settings import load_settings
from market_rotation.tasks.warehouse import closures

STEPS = ("plan", "fetch", "stage", "audit", "load", "derive", "publish")
AHEAD = tuple(timedelta(days=days) for days in (1, 5, 40, 365))

symbols = st.runner().flatmap(lambda machine: st.sampled_from(machine.vendor.symbols))
amounts = st.sampled_from((0.31, 0.47, 0.8))


class Days(Evenings):
    """The rules: what the calendar, the vendor, the machine and a person do."""

    @initialize()
    def first_run(self) -> None:
        """The state in which every sequence begins."""
        self.begin()

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

    @rule(symbol=symbols, back=st.integers(0, 12), kind=st.sampled_from(sorted(BAD_TICKS)))
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

    @rule()
    def change_vendor(self) -> None:
        self._count("change of vendor")
        self.vendor.name = next(name for name in NAMES if name != self.vendor.name)

    @precondition(lambda self: SYMBOLS[0] in self.vendor.symbols and not self.vendor.delisted)
    @rule()
    def rename(self) -> None:
        if SYMBOLS[0] in self.vendor.bad:
            return
        self._count("renamed symbol")
        self.vendor.rename()
        write_universe(self.home, self.vendor.symbols)
        self._run()

    @precondition(lambda self: not self.vendor.delisted)
    @rule(symbol=symbols.filter(lambda symbol: symbol != BENCHMARK))
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
