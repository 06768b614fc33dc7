"""The soak campaign itself: a few sessions with their faults end in the right state; a wrong state, and growth, are noticed."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
import world
from rich.console import Console

from campaigns import soak
from campaigns.evenings import BLOCKING, WITHOUT_BAR, Evening, wrong_after
from market_rotation.tasks import calendar, warehouse
from market_rotation.tasks.sources.simulated.faults import FAULTS
from market_rotation.tasks.sources.simulated.source import SampleSource
from market_rotation.tasks.universe import load_universe

QUIET = Console(quiet=True)


@pytest.mark.long_after(0)
def test_a_few_sessions(tmp_path: Path) -> None:
    """No state is wrong, with a fault in most sessions."""
    days, wrong = soak.soak(tmp_path, random.Random(7), 5, 600, QUIET, share=0.7)
    assert wrong == []
    assert len(days) == 5
    assert len([day for day in days if day.fault]) >= 2


def test_a_wrong_state_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another close than the vendor's, a bar too many and one too few: each is said with the symbol and the day."""
    for name in ("ROTATION_HOME", "ROTATION_UNIVERSE", "ROTATION_HISTORY_START", "ROTATION_EARNINGS_CONSTITUENTS"):
        monkeypatch.setenv(name, "")
    soak.prepare(tmp_path)
    members = load_universe(tmp_path / "universe.csv")
    market = SampleSource(calendar.load(date(2005, 1, 3), soak.LAST), members.instruments)
    start = date(2024, 11, 4)
    before, session = world.days(date(2024, 11, 19), soak.FIRST)
    frames = [market.prices(symbol, start, session) for symbol in soak.SYMBOLS]
    path = tmp_path / "found.duckdb"

    def wrong(evening: Evening) -> list[str]:
        return wrong_after(evening, path, market, soak.SYMBOLS, start)

    with world.derived(frames, members, session, start, path):
        pass
    good = Evening(session, before)
    assert wrong(good) == []
    assert wrong(replace(good, fault="source-down", symbol="IWM")) == [
        f"{session}, source-down of IWM: {symbol} has 13 bars and should have 12; they differ on {session}"
        for symbol in soak.SYMBOLS
    ]
    assert wrong(replace(good, fault="bad-tick", symbol="IWM")) == [
        f"{session}, bad-tick of IWM: IWM has 13 bars and should have 12; they differ on {session}"
    ]
    with warehouse.writing(path) as con:
        con.execute("update core.prices set close = close * 1.001 where symbol = 'VB' and session = $1", [before])
    (sentence,) = wrong(good)
    assert f"{session}: VB on {before}: close is " in sentence


def test_each_fault_has_an_outcome() -> None:
    """The faults that the campaign expects to block or to cost a bar exist."""
    assert set(FAULTS) >= BLOCKING | WITHOUT_BAR


def test_growth_beyond_the_data_is_noticed() -> None:
    """Twice the time for the same rows, more memory, larger files: each is said."""
    day = soak.Day(date(2024, 1, 2), None, "published", 1.0, 1.0, 500.0, 20.0, 20.0, 1000)
    assert soak.growth([day] * 500) == []
    slow, fat = replace(day, cpu_s=2.0), replace(day, rss_mb=700.0)
    large, larger = replace(day, build_mb=40.0), replace(day, published_mb=40.0)
    for late, word in ((slow, "processor"), (fat, "memory"), (large, "build file"), (larger, "published file")):
        (sentence,) = soak.growth([day] * 400 + [late] * 100)
        assert word in sentence
    assert soak.growth([day] * 400 + [replace(large, rows=2000)] * 100) == []


def test_what_was_not_reached_is_said() -> None:
    """A campaign that ended early does not claim that nothing grew."""
    day = soak.Day(date(2024, 1, 2), None, "published", 1.0, 1.0, 500.0, 20.0, 20.0, 1000)
    short = " ".join(soak.facts([day] * 200, [], 500, 1))
    assert "The time was over before 500 sessions." in short
    assert "Growth was not judged" in short
    assert "not judged" not in " ".join(soak.facts([day] * 500, [], 500, 1))
