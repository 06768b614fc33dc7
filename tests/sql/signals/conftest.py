"""What the tests of the signals share."""

from __future__ import annotations

import pytest
from world import bars, days, derived, instrument, universe


@pytest.fixture(scope="module")
def con():
    """A warehouse of 260 sessions whose signal tables each test fills with what it needs."""
    funds = [instrument(symbol, peer_group="small_cap") for symbol in ("FA", "FB", "FC")]
    members = universe(*map(instrument, ("SPY", "IWM", "IWB", "IWC")), *funds, pairs=[("IWM", "IWB"), ("IWC", "SPY")])
    with derived([bars("SPY", [100.0] * 260)], members, days()[259]) as con:
        yield con
