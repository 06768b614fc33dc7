"""The crash campaign itself: a few trials of each kind survive, and it notices a state that is neither the one before nor the one after."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from campaigns.crash import Campaign, Tally, campaign


@pytest.fixture(scope="module")
def made() -> Iterator[Campaign]:
    with campaign(random.Random(1)) as found:
        found.prepare("daily run")
        yield found


@pytest.mark.parametrize(
    ("kill_at", "is_cut"), [("before publish", True), ("after load", False), ("after publish", False), (None, True)]
)
def test_a_killed_run(made: Campaign, kill_at: str | None, is_cut: bool) -> None:
    """The next run ends where an undisturbed one does, and readers could read all the time."""
    tally = Tally()
    made.trial("daily run", kill_at, is_cut, tally)
    assert tally.broken == []
    assert tally.reads > 0
    assert sum(tally.tried.values()) == 1


def test_a_broken_promise_is_noticed(made: Campaign, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were another state expected, the trial would say which tables differ from it."""
    monkeypatch.setitem(made.after, "daily run", made.before["daily run"] | {"core.prices": "other"})
    tally = Tally()
    made.trial("daily run", "before plan", False, tally)
    (sentence,) = tally.broken
    assert "the tables differ from those of an undisturbed run" in sentence
    made.has_broken = False
