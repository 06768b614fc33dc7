"""The soak campaign itself: a few sessions with their faults end in the right state, and growth is noticed."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from rich.console import Console

from campaigns import soak


@pytest.mark.long_after(0)
def test_a_few_sessions(tmp_path: Path) -> None:
    """No state is wrong."""
    days, wrong = soak.soak(tmp_path, random.Random(7), 6, 600, Console(quiet=True))
    assert wrong == []
    assert len(days) == 6


def test_growth_beyond_the_data_is_noticed() -> None:
    """Twice the time for the same rows, more memory, a larger file: each is said."""
    day = soak.Day(date(2024, 1, 2), None, "published", 1.0, 500.0, 20.0, 20.0, 1000)
    assert soak.growth([day] * 500) == []
    slow, fat, large = replace(day, took_s=2.0), replace(day, rss_mb=700.0), replace(day, build_mb=40.0)
    for late, word in ((slow, "as long"), (fat, "memory"), (large, "space")):
        (sentence,) = soak.growth([day] * 400 + [late] * 100)
        assert word in sentence
    assert soak.growth([day] * 250) == []
