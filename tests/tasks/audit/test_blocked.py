"""What a blocked run would have set aside: on record, listed, and open to a manual override."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
import world

from market_rotation.flows.cli import quarantine as command
from market_rotation.tasks import warehouse
from market_rotation.tasks.audit import accept
from market_rotation.tasks.audit.accept import Entry
from market_rotation.tasks.errors import SourceUnavailable

DAYS = world.days(datetime(2024, 1, 2, tzinfo=UTC).date())
SYMBOLS = ["SPY", "IWM", "IJR", "XLK", "XLE", "XLF"]
PUBLISHED = Path("warehouse/rotation.duckdb")


@pytest.fixture(autouse=True)
def members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    universe = world.universe(
        world.instrument("SPY", size_bucket="large"), *map(world.instrument, SYMBOLS[1:]), pairs=[("IWM", "SPY")]
    )
    monkeypatch.setenv("ROTATION_UNIVERSE", str(world.write_universe(tmp_path, universe)))
    monkeypatch.setenv("ROTATION_HISTORY_START", "2024-01-02")


@pytest.fixture
def jump() -> world.FakeSource:
    """SPY opens within its range on session 41 but its high is below its close: a warning takes the bar, and the benchmark lacks it."""
    closes = {s: [100.0 + 10 * k + ((i * (k + 3)) % 11) * 0.3 for i in range(60)] for k, s in enumerate(SYMBOLS)}
    source = world.FakeSource({symbol: world.bars(symbol, values) for symbol, values in closes.items()})
    world.run(source, DAYS[40])
    source.frames["SPY"].loc[41, "high"] = source.frames["SPY"].loc[41, "close"] - 0.5
    source.frames["XLK"] = SourceUnavailable("No answer.")
    return source


def entries(*, resolved: bool = False) -> list[Entry]:
    with warehouse.reading(PUBLISHED) as con:
        return accept.entries(con, resolved=resolved)


def test_what_blocked_is_listed_and_can_be_accepted(
    jump: world.FakeSource, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list names the check that took the benchmark's bar, as blocked and not as set aside; accepted, the next run takes the bar in."""
    monkeypatch.setenv("COLUMNS", "200")
    assert world.run(jump, DAYS[41]).status == "blocked"
    found = entries()
    assert {(e.symbol, e.session, e.expectation) for e in found} == {
        ("SPY", DAYS[41], "bar_consistent"),
        ("XLK", None, "fetch"),
    }
    assert all(e.is_blocked and e.resolved_at for e in found)
    with warehouse.reading(PUBLISHED) as con:
        assert con.execute("select count(*) from ops.quarantine where resolved_at is null").fetchone() == (0,)
    command.show_list(False, False)
    shown = capsys.readouterr().out
    assert "The last run was blocked, so it published nothing." in shown
    assert "blocked: " in shown
    bar = next(e for e in found if e.symbol == "SPY")
    assert bar.row["close"] == jump.frames["SPY"].loc[41, "close"]
    command.accept_row(bar.id, "The high is that of the primary exchange.", datetime(2024, 6, 3, tzinfo=UTC))
    run = world.run(jump, DAYS[41], datetime(2024, 6, 3, 1, tzinfo=UTC))
    assert run.status == "published", run.message
    assert [(e.symbol, e.expectation) for e in entries()] == [("XLK", "fetch")]
    # What is over stays on record.
    assert len(entries(resolved=True)) == 3


@pytest.mark.long_after(0)
def test_the_next_good_run_ends_it(jump: world.FakeSource) -> None:
    """Once the source has corrected the bar and a run ended well, nothing of the blocked run is listed, and all stays on record."""
    world.run(jump, DAYS[41])
    bar = jump.frames["SPY"].loc[41]
    jump.frames["SPY"].loc[41, "high"] = bar["close"] + 1
    jump.frames["XLK"] = world.bars("XLK", [130.0 + ((i * 6) % 11) * 0.3 for i in range(60)])
    run = world.run(jump, DAYS[41], datetime(2024, 6, 3, tzinfo=UTC))
    assert run.status == "published", run.message
    assert entries() == []
    assert len(entries(resolved=True)) == 2
