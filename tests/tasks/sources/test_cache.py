"""Answers kept until a run has ended."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import world

from market_rotation.tasks.errors import AccessRefused, SourceUnavailable
from market_rotation.tasks.sources.cache import MAX_AGE, CachedSource, clear

NOW = datetime(2026, 1, 16, 23, 30, tzinfo=UTC)
START, END = date(2026, 1, 2), date(2026, 1, 16)


def source(**frames: pd.DataFrame | Exception) -> world.FakeSource:
    return world.FakeSource(frames or {"SPY": world.bars("SPY", [100.0, None, 102.0], START)})


def test_what_was_answered_is_not_asked_again(tmp_path: Path) -> None:
    """A second run of the same evening gets the same frame, with the same types, without asking."""
    vendor = source()
    first = CachedSource(vendor, tmp_path, NOW).prices("SPY", START, END)
    again = CachedSource(vendor, tmp_path, NOW + timedelta(hours=1)).prices("SPY", START, END)
    assert len(vendor.asked) == 1
    pd.testing.assert_frame_equal(first, again)


@pytest.mark.parametrize(
    ("now", "end"),
    [(NOW + MAX_AGE, END), (NOW - MAX_AGE, END), (NOW, date(2026, 1, 15))],
    ids=["old", "newer", "other"],
)
def test_old_or_other_questions_are_asked(tmp_path: Path, now: datetime, end: date) -> None:
    """A cached response of six hours or more, or of another request, is not used."""
    vendor = source()
    CachedSource(vendor, tmp_path, NOW).prices("SPY", START, END)
    CachedSource(vendor, tmp_path, now).prices("SPY", START, end)
    assert len(vendor.asked) == 2


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _zeros(path: Path) -> None:
    """The first half of the values; what follows tells where they are."""
    content = path.read_bytes()
    at = content.index(b"PAR1") + 40
    path.write_bytes(content[:at] + bytes(400) + content[at + 400 :])


@pytest.mark.parametrize("damage", [_cut, _empty, _zeros])
def test_damaged_answers_are_asked_again(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    """What a power cut left short, empty or with zeros is no answer, and is replaced."""
    start = date(2024, 1, 2)
    vendor = source(SPY=world.bars("SPY", [100.0 + i / 7 for i in range(500)], start))
    first = CachedSource(vendor, tmp_path, NOW).prices("SPY", start, END)
    (path,) = tmp_path.glob("*.parquet")
    damage(path)
    os.utime(path, (NOW.timestamp(), NOW.timestamp()))
    for _ in range(2):
        pd.testing.assert_frame_equal(CachedSource(vendor, tmp_path, NOW).prices("SPY", start, END), first)
    assert len(vendor.asked) == 2


def test_two_processes_fetch_the_same_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each writes a file of its own until its answer is whole, so that neither replaces or cuts short the other's."""
    written: list[str] = []
    write, vendor = pd.DataFrame.to_parquet, source()

    def while_another_writes(frame: pd.DataFrame, path: Path, **options: Any) -> None:
        written.append(path.name)
        if len(written) == 1:
            CachedSource(vendor, tmp_path, NOW).prices("SPY", START, END)
        write(frame, path, **options)

    monkeypatch.setattr(pd.DataFrame, "to_parquet", while_another_writes)
    first = CachedSource(vendor, tmp_path, NOW).prices("SPY", START, END)
    assert len(set(written)) == 2
    assert [path.suffix for path in tmp_path.iterdir()] == [".parquet"]
    pd.testing.assert_frame_equal(CachedSource(vendor, tmp_path, NOW).prices("SPY", START, END), first)
    assert len(vendor.asked) == 2


def test_failures_are_not_kept(tmp_path: Path) -> None:
    """A vendor that was down is requested again."""
    vendor = source(SPY=SourceUnavailable("Down; try again later."))
    for _ in range(2):
        with pytest.raises(SourceUnavailable):
            CachedSource(vendor, tmp_path, NOW).prices("SPY", START, END)
    assert len(vendor.asked) == 2


def test_what_is_forgotten_is_asked_again(tmp_path: Path) -> None:
    """After a run has ended its answers are gone; forgetting twice does no harm."""
    vendor = source()
    CachedSource(vendor, tmp_path / "fetched", NOW).prices("SPY", START, END)
    clear(tmp_path / "fetched")
    clear(tmp_path / "fetched")
    CachedSource(vendor, tmp_path / "fetched", NOW).prices("SPY", START, END)
    assert len(vendor.asked) == 2


def test_answers_outlast_a_run_whose_requests_were_used_up(tmp_path: Path) -> None:
    """When a source refused some requests, the next run requests only those; after a run without a refusal all is requested again."""
    vendor = source(
        SPY=world.bars("SPY", [100.0], START), IWM=AccessRefused("The requests are used up; run again later.")
    )
    other = source()

    def run() -> None:
        CachedSource(vendor, tmp_path / "limited", NOW).prices("SPY", START, END)
        CachedSource(other, tmp_path / "other", NOW).prices("SPY", START, END)
        with contextlib.suppress(AccessRefused):
            CachedSource(vendor, tmp_path / "limited", NOW).prices("IWM", START, END)
        clear(tmp_path)

    run()
    vendor.frames["IWM"] = world.bars("IWM", [50.0], START)
    run()
    assert [symbol for symbol, *_ in vendor.asked] == ["SPY", "IWM", "IWM"]
    assert [symbol for symbol, *_ in other.asked] == ["SPY", "SPY"]
    run()
    assert [symbol for symbol, *_ in vendor.asked] == ["SPY", "IWM", "IWM", "SPY", "IWM"]


def test_a_symbol_is_a_file_name_whatever_it_is(tmp_path: Path) -> None:
    """A symbol with a slash or dots in it leads nowhere else."""
    vendor = source(**{"../BRK/B": world.bars("../BRK/B", [1.0], START)})
    CachedSource(vendor, tmp_path / "fetched", NOW).prices("../BRK/B", START, END)
    assert [path.parent for path in tmp_path.rglob("*.parquet")] == [tmp_path / "fetched"]


def test_it_offers_what_the_source_offers(tmp_path: Path) -> None:
    """A source without fund records has none here either."""
    assert not hasattr(CachedSource(source(), tmp_path, NOW), "fund_nav")
