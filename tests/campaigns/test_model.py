"""The model campaign itself: short sequences hold, and a model that knows another close than the vendor is contradicted."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import date

import pytest

from campaigns import model
from campaigns.days import Days
from campaigns.known import State, published
from campaigns.modelled import FIRST, Evenings
from campaigns.vendor_model import CALENDAR, Bar


class Wrong(Days):
    """A model that was told another close of one bar than the vendor gave."""

    def first_run(self) -> None:
        super().first_run()
        for state in (self.expected.state, self.expected.readers):
            bar = state.bars["IWM"][CALENDAR[3]]
            state.bars["IWM"][CALENDAR[3]] = replace(bar, close=(bar.close or 0) + 0.01)


@pytest.fixture(autouse=True)
def first(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(Evenings, "first", None)
    yield
    if Evenings.first:
        shutil.rmtree(Evenings.first)


def test_short_sequences() -> None:
    """Three sequences of few steps, with the seed that a defect would be repeated with."""
    model.search(seed=1, examples=3, steps=3)
    assert Days.runs.total() >= 1
    assert not [name for name in os.environ if name.startswith("ROTATION_HOME")]


def test_a_wrong_close_is_found() -> None:
    """The comparison fails with the symbol, the day, and both closes."""
    machine = Wrong()
    try:
        machine.first_run()
        with pytest.raises(AssertionError, match=rf"IWM {CALENDAR[3]}: close is [0-9.]+, expected [0-9.]+"):
            machine.run_again()
    finally:
        machine.teardown()


def test_the_index_of_the_model() -> None:
    """Worked by hand: 50 pays 1 and falls to 49, which is no loss; a split changes nothing; an event without a bar is the next bar's."""
    days = CALENDAR[FIRST : FIRST + 4]
    state = State()
    state.bars["IWM"] = {days[0]: Bar(50.0), days[1]: Bar(49.0, dividend=1.0), days[3]: Bar(96.0 / 2, split_ratio=2.0)}
    state.events["IWM"] = {days[2]: Bar(None, dividend=1.0)}
    found: dict[date, tuple[float, float, float, float]] = published(state, "IWM")
    assert found[days[1]] == (49.0, 1.0, 1.0, 100.0)
    assert found[days[3]] == (48.0, 1.0, 2.0, 100.0)
