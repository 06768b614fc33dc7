"""A universe that lacks what a section needs: the run publishes, the report is written, and each section says what is missing."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
import world
from click.testing import CliRunner

from market_rotation.flows.cli.main import main
from market_rotation.tasks import warehouse
from market_rotation.tasks.universe import Instrument

PUBLISHED, REPORTS = Path("warehouse/rotation.duckdb"), Path("warehouse/reports")
DAYS = world.days()

#: Instruments, pairs, sessions with a bar.
UNIVERSES: dict[str, tuple[list[Instrument], list[tuple[str, str]], int]] = {
    "no pairs": (
        [
            world.instrument("SPY", size_bucket="large"),
            world.instrument("IWM"),
            world.instrument("XLK", kind="sector", sector="technology"),
        ],
        [],
        260,
    ),
    "no funds but the benchmark": (
        [
            world.instrument("SPY", size_bucket="large"),
            world.instrument("AAPL", kind="stock", size_bucket="mega", sector="technology"),
        ],
        [],
        80,
    ),
    "one pair on its first sessions": (
        [world.instrument("SPY", size_bucket="large"), world.instrument("IWM")],
        [("IWM", "SPY")],
        2,
    ),
}


@pytest.mark.long_after(1)
@pytest.mark.parametrize("name", UNIVERSES)
def test_a_small_universe(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run publishes and writes its report without an alert; `rotation report` writes it again."""
    instruments, pairs, sessions = UNIVERSES[name]
    path = world.write_universe(tmp_path, world.universe(*instruments, pairs=pairs))
    monkeypatch.setenv("ROTATION_UNIVERSE", str(path))
    monkeypatch.setenv("ROTATION_HISTORY_START", "2024-01-02")
    monkeypatch.setenv("ROTATION_REPORT", "true")
    closes = [100.0 + (i * 7) % 11 for i in range(sessions)]
    source = world.FakeSource({i.symbol: world.bars(i.symbol, closes) for i in instruments})
    day = DAYS[sessions - 1]
    made = world.run(source, None, datetime(day.year, day.month, day.day, 23, 30, tzinfo=UTC))
    assert (made.status, made.report_fault) == ("published", None)
    folder = REPORTS / str(day)
    assert (folder / "report.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    done = CliRunner().invoke(main, ["report", "-o", "again"])
    assert done.exit_code == 0, done.output
    said = (Path("again") / str(day) / "summary.txt").read_text(encoding="utf-8")
    with warehouse.reading(PUBLISHED) as con:
        assert con.execute("select count(*) from ops.alerts").fetchone() == (0,)
        known = con.execute("select count(*) from signals.relative_strength").fetchone()
        (detail,) = con.execute(
            f"select detail from signals.rotation_evidence where evidence = 'relative_strength' and session = '{day}' and verdict is null"
        ).fetchone() or ("",)
    assert known == (sessions * len(pairs),)
    expected = "the headline pair has no price that session" if pairs else "the universe has no pairs"
    assert expected in detail
    assert expected in said
