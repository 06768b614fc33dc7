"""The crash campaign itself: trials of each kind survive, and it notices a state that is neither the one before nor the one after."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator

import pytest

from campaigns import aftermath
from campaigns.aftermath import Broken
from campaigns.crash_trials import Campaign, Disturbance, campaign

NAME = "set aside and alerted"


@pytest.fixture(scope="module")
def made() -> Iterator[Campaign]:
    with campaign() as found:
        found.prepare(NAME)
        yield found


@pytest.mark.long
def test_killed_and_cut(made: Campaign) -> None:
    """Killed before a step, at an operation and at a random moment, with a file damaged after one: all promises hold."""
    disturbances = [
        Disturbance("before publish", True),
        Disturbance("operation", False),
        Disturbance("random moment", False),
    ]
    tally = made.trial(NAME, disturbances, random.Random(1))
    assert tally.broken == []
    assert tally.tried == {"step": 1, "operation": 1, "random moment": 1, "power cut": 1}
    assert tally.reads > 0


@pytest.mark.long
def test_another_state_is_noticed(made: Campaign, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were another state expected, the trial would say so."""
    known = made.undisturbed[NAME]
    other = known._replace(done=known.done | {"core.prices": "other"}, after=known.after | {"core.prices": "other"})
    monkeypatch.setitem(made.undisturbed, NAME, other)
    (sentence,) = made.trial(NAME, [Disturbance("before plan", False)], random.Random(1)).broken
    assert "readers have neither the state before nor the one after" in sentence


def test_alerts_are_counted() -> None:
    """A lost alert and one too many are noticed; one that was sent and not recorded may arrive twice."""
    begun, ended = ("failure", "IWM"), ("success", "Recovered: IWM")
    expected = Counter([begun, ended])
    assert aftermath.repeated(expected, Counter([begun, ended]), 0, False) == 0
    assert aftermath.repeated(expected, Counter([begun, begun, ended]), 1, False) == 1
    with pytest.raises(Broken, match="too many"):
        aftermath.repeated(expected, Counter([begun, begun, ended]), 0, False)
    with pytest.raises(Broken, match="lost"):
        aftermath.repeated(expected, Counter([begun]), 0, True)
