"""What a run must make of the vendor's answers: which bars it requests, sets aside and publishes, how it ends and what it alerts.

It follows the documentation, in plain Python, and shares no code with the product.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from datetime import date

from campaigns.known import State, differs, disagree, is_rebased, is_restated
from campaigns.vendor_model import BENCHMARK, CALENDAR, COLUMNS, NAMES, Bar, Vendor

#: Sessions of known bars that are requested again, and those within which a bar in quarantine is.
OVERLAP, RECENT = 10, 63
#: Sessions without any bar from which on the clock must be wrong.
CLOCK_AHEAD = 10


@dataclass
class Expected:
    """The state that readers see, the one that was built and not published yet, the open incidents and the closures accepted."""

    state: State = field(default_factory=State)
    readers: State = field(default_factory=State)
    incidents: set[str] = field(default_factory=set)
    closures: set[date] = field(default_factory=set)
    accepted: dict[tuple[str, date], Bar] = field(default_factory=dict)
    is_unpublished: bool = True
    requests: list[tuple[str, date, date]] = field(default_factory=list)

    def sessions(self, until: date) -> list[date]:
        """The sessions up to `until`, without the closures in force."""
        return [day for day in CALENDAR if day <= until and day not in self.closures]

    def run(self, vendor: Vendor, until: date, interrupted: str | None = None) -> str:
        """The status that a run must end with; takes its consequences over."""
        state = copy.deepcopy(self.state)
        state.symbols = vendor.symbols
        closures = set(self.closures)
        end = self._outcome(vendor, until, state, interrupted)
        if end in ("built", "good"):
            self.is_unpublished |= (state.bars, state.events) != (self.state.bars, self.state.events)
            self.is_unpublished |= state.symbols != self.state.symbols
            self.state = state
            # The records of a run reach readers although its data do not.
            self.readers.quarantine = dict(state.quarantine)
        if end == "good":
            status = "published" if self.is_unpublished else "up_to_date"
            self.readers = copy.deepcopy(state)
            self.is_unpublished = False
            self.incidents = {"set-aside:prices"} if state.quarantine else set()
            if state.differences:
                self.incidents.add(f"prices-differ:{':'.join(sorted(NAMES))}")
            return status
        if end != "built":
            # The bars that showed that the day was a session are not kept.
            self.closures = closures
        self.incidents = self.incidents | {end if end.startswith("blocked:") else "failed"}
        return "blocked" if end.startswith("blocked:") else "failed"

    def _outcome(self, vendor: Vendor, until: date, state: State, interrupted: str | None) -> str:
        self.requests = []
        if interrupted == "plan":
            return "failed"
        sessions = self.sessions(until)
        starts = {symbol: start for symbol in sorted(vendor.symbols) if (start := self._start(symbol, sessions))}
        if interrupted == "fetch":
            return "failed"
        self.requests = [(symbol, start, sessions[-1]) for symbol, start in starts.items()]
        answered = {symbol for symbol in starts if symbol not in vendor.missing}
        if starts and not answered and len(starts) > len(vendor.symbols) / 5:
            return "failed"
        if interrupted == "stage":
            return "failed"
        newest = max(
            day for symbol in vendor.symbols for day in (*self.state.bars[symbol], *vendor.bars[symbol]) if day <= until
        )
        if starts and len([day for day in sessions if day > newest]) > CLOCK_AHEAD:
            return "failed"
        self._reopen(vendor, starts, answered, until)
        sessions = self.sessions(until)
        for symbol in sorted(answered):
            known = self.state.bars[symbol]
            compared = [
                day
                for day in sorted(known)
                if day >= starts[symbol] and (said := vendor.says(symbol, day)) and said.close
            ]
            if not compared or not is_restated(vendor.says(symbol, compared[0]), known[compared[0]]):
                continue
            # What another vendor said of known bars is no restatement, unless one of the two does not know of a split.
            given = vendor.answer(symbol, starts[symbol], until)
            if known[compared[0]].source == vendor.name or is_rebased(known, given, vendor.name):
                starts[symbol] = CALENDAR[0]
                self.requests.append((symbol, CALENDAR[0], sessions[-1]))
        if interrupted == "audit":
            return "failed"
        for symbol in starts:
            if symbol in answered:
                self._take(symbol, vendor, starts[symbol], sessions, state)
            else:
                state.quarantine[symbol, None] = None
        # A symbol that left the universe is never requested again.
        state.quarantine = {key: bar for key, bar in state.quarantine.items() if key[0] in vendor.symbols}
        state.differences = {key for key in state.differences if key[0] in vendor.symbols}
        if blocked := self._blocked(vendor, starts, answered, sessions, state):
            return blocked
        if interrupted in ("load", "derive"):
            return "failed"
        return "built" if interrupted == "publish" else "good"

    def _start(self, symbol: str, sessions: list[date]) -> date | None:
        """The first session that is requested; None where nothing is due."""
        known = self.state.bars[symbol]
        if not known:
            return CALENDAR[0]
        recent = sessions[-RECENT:][0]
        # The audit compares a bar with the one before it.
        held = [
            max((before for before in sessions if day and before < day), default=day or date.max)
            for name, day in self.state.quarantine
            if name == symbol and (day is None or day >= recent or (symbol, day) in self.accepted)
        ]
        if max(known) >= sessions[-1] and not held:
            return None
        last = len([day for day in sessions if day <= max(known)]) - 1
        return min([sessions[max(0, last - OVERLAP + 1)], *held])

    def _reopen(self, vendor: Vendor, starts: dict[str, date], answered: set[str], until: date) -> None:
        """A closure no longer counts where most symbols have a bar of its day."""
        for day in sorted(self.closures):
            with_bar = {s for s in vendor.symbols if day in self.state.bars[s]}
            with_bar |= {
                s
                for s in answered
                if starts[s] <= day <= until and (said := vendor.says(s, day)) and said.close is not None
            }
            if 2 * len(with_bar) > len(vendor.symbols):
                self.closures.discard(day)

    def _take(self, symbol: str, vendor: Vendor, start: date, sessions: list[date], state: State) -> None:
        known, first = state.bars[symbol], min(state.bars[symbol], default=CALENDAR[0])
        all_restated = is_rebased(known, vendor.answer(symbol, start, sessions[-1]), vendor.name)
        state.quarantine.pop((symbol, None), None)
        for day in [d for d in CALENDAR if start <= d <= sessions[-1]]:
            said, before = vendor.says(symbol, day), known.get(day)
            state.quarantine.pop((symbol, day), None)
            changed = said is not None and (
                before is None
                or (
                    (before.source == said.source or all_restated)
                    and any(differs(getattr(said, c), getattr(before, c)) for c in COLUMNS)
                )
            )
            if said is None:
                if before is None and day in sessions and day >= first:
                    state.quarantine[symbol, day] = None
            elif changed and self._is_bad(symbol, day, vendor, sessions):
                state.quarantine[symbol, day] = said
                if before is None:
                    self._keep_event(symbol, day, said, state)
            elif changed:
                if before is not None:
                    state.revisions += [
                        (symbol, day, c, getattr(before, c), getattr(said, c))
                        for c in COLUMNS
                        if differs(getattr(said, c), getattr(before, c))
                    ]
                known[day] = said
            if day in known:
                state.events[symbol].pop(day, None)
                self._compare(symbol, day, known[day], said, state)

    def _compare(self, symbol: str, day: date, kept: Bar, said: Bar | None, state: State) -> None:
        """A difference lasts until the vendor that was not believed agrees, or is believed."""
        if said is None:
            return
        state.differences -= {
            key for key in state.differences if (key[0], key[1], key[3]) == (symbol, day, said.source)
        }
        if kept.source != said.source:
            state.differences |= {(symbol, day, name, said.source) for name in disagree(kept, said)}

    def _is_bad(self, symbol: str, day: date, vendor: Vendor, sessions: list[date]) -> bool:
        if day not in sessions:
            return True
        is_bad = vendor.bad.get(symbol, (None, ""))[0] == day
        by_hand = self.accepted.get((symbol, day))
        said = vendor.says(symbol, day)
        return is_bad and not (by_hand and not any(differs(getattr(said, c), getattr(by_hand, c)) for c in COLUMNS))

    def _keep_event(self, symbol: str, day: date, said: Bar, state: State) -> None:
        """A distribution or split outlives the bar that is set aside."""
        if said.dividend or said.split_ratio != 1:
            state.events[symbol][day] = said

    def _blocked(
        self, vendor: Vendor, starts: dict[str, date], answered: set[str], sessions: list[date], state: State
    ) -> str | None:
        if not starts:
            return None
        if BENCHMARK in starts and BENCHMARK not in answered:
            return "blocked:prices"
        fetched = {
            d
            for s in answered
            for d in vendor.bars[s]
            if starts[s] <= d <= sessions[-1] and (said := vendor.says(s, d)) and said.close is not None
        }
        with_bar = fetched | {d for held in self.state.bars.values() for d in held}
        if any(day not in with_bar for day in sessions[-OVERLAP:]):
            return "blocked:closure"
        if any(day in with_bar and day not in state.bars[BENCHMARK] for day in sessions[-OVERLAP:]):
            return "blocked:prices"
        return None
