"""`rotation doctor --fix` repairs folders, modes and abandoned files, says what it did, and touches nothing else."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import world

from market_rotation.flows.cli.doctor import examine
from market_rotation.tasks.operations.doctor import repairs
from market_rotation.tasks.operations.doctor.findings import Finding
from market_rotation.tasks.settings import Settings, load_settings

NOW = datetime(2024, 3, 28, 23, 45, tzinfo=UTC)
LONG_AGO = (NOW - timedelta(hours=3)).timestamp()
RECENTLY = (NOW - timedelta(minutes=50)).timestamp()


@pytest.fixture
def settings(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The settings of a small published warehouse."""
    members = world.universe(*map(world.instrument, ("SPY", "IWM")), pairs=[("IWM", "SPY")])
    monkeypatch.setenv("ROTATION_UNIVERSE", str(world.write_universe(tmp_path, members)))
    monkeypatch.setenv("ROTATION_HISTORY_START", "2024-01-02")
    bars = {symbol: world.bars(symbol, [100 + i / 10 for i in range(61)]) for symbol in members.symbols}
    day = world.days()[60]
    world.copy_of_first_run(tmp_path_factory, "repairs", lambda: world.run(world.FakeSource(bars), day))
    return load_settings()


def repair(settings: Settings) -> list[Finding]:
    return list(repairs.files(settings, NOW, fix=True))


def left(path: Path, moment: float = LONG_AGO) -> Path:
    """A file, or a folder with a file in it, that was last written at `moment`."""
    if path.name.startswith(".report-"):
        path.mkdir()
        (path / "then.duckdb").write_bytes(b"x")
    else:
        path.write_bytes(b"x")
    os.utime(path, (moment, moment))
    return path


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_nothing_to_do(settings: Settings) -> None:
    """A home in order gets one line, and --fix changes nothing."""
    before = {path: (mode(path), path.stat().st_mtime_ns) for path in settings.home.rglob("*")}
    assert [finding.level for finding in repairs.files(settings, NOW)] == ["ok"]
    assert [finding.level for finding in repair(settings)] == ["ok"]
    assert {path: (mode(path), path.stat().st_mtime_ns) for path in settings.home.rglob("*")} == before


#: What is wrong, the sentence about it, and what was done.
FAULTS: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "published writable": (lambda h: (h / "rotation.duckdb").chmod(0o644), "can be written to", "read-only"),
    "build read-only": (
        lambda h: (h / "build.duckdb").chmod(0o444),
        "no run can write to it",
        "writable for its owner",
    ),
    "secrets readable": (lambda h: secrets(h).chmod(0o644), "other users can read it", "readable by its owner alone"),
    "half a publication": (lambda h: left(h / ".rotation.duckdb.tmp"), "left behind", "Removed"),
    "its log": (lambda h: left(h / ".rotation.duckdb.tmp.wal"), "left behind", "Removed"),
    "half a recovery": (lambda h: left(h / ".build.duckdb.tmp"), "left behind", "Removed"),
    "half a rebuild": (lambda h: left(h / ".rebuilt.duckdb.tmp"), "left behind", "Removed"),
    "half a past report": (lambda h: left(h / ".report-abc"), "left behind", "Removed"),
}


def secrets(home: Path) -> Path:
    path = home / "rotation.toml"
    path.write_text('alert_urls = "json://user:secret@host"\n', encoding="utf-8")
    return path


@pytest.mark.parametrize("name", FAULTS)
def test_faults(settings: Settings, name: str) -> None:
    """Each fault is a warning that names the repair; --fix repairs it and says so; then there is nothing to do."""
    make, fault, done = FAULTS[name]
    make(settings.home)
    (found,) = repairs.files(settings, NOW)
    assert (found.level, found.next_step) == ("warn", "`rotation doctor --fix` repairs it.")
    assert fault in found.finding
    assert "secret@" not in found.finding
    (fixed,) = repair(settings)
    assert fixed.level == "fixed"
    assert done in fixed.finding
    assert [finding.level for finding in repairs.files(settings, NOW)] == ["ok"]


def test_modes_afterwards(settings: Settings) -> None:
    """The modes are those that a run leaves."""
    for name in ("published writable", "build read-only", "secrets readable"):
        FAULTS[name][0](settings.home)
    assert len(repair(settings)) == 3
    names = ("rotation.duckdb", "build.duckdb", "rotation.toml")
    assert [mode(settings.home / name) for name in names] == [0o444, 0o644, 0o600]


def test_what_may_be_in_use_stays(settings: Settings) -> None:
    """A recent temporary file, one of another program, and all of them while a process holds the warehouse are left alone."""
    kept = [
        left(settings.home / ".rotation.duckdb.tmp", RECENTLY),
        left(settings.home / ".mine.tmp"),
        left(settings.home / "build.duckdb.damaged-1"),
        left(settings.home / ".build.duckdb.recovery"),
    ]
    assert [finding.level for finding in repair(settings)] == ["ok"]
    old = left(settings.home / ".build.duckdb.tmp")
    code = (
        f"import duckdb, sys; c = duckdb.connect({str(settings.build)!r}); print('open', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "open\n"
        assert [finding.level for finding in repair(settings)] == ["ok"]
        process.stdin.close()
    assert all(path.exists() for path in [*kept, old])


def test_a_missing_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folders of a new home are created, which without --fix the first run does: no warning."""
    monkeypatch.setenv("ROTATION_HOME", str(tmp_path / "new" / "home"))
    monkeypatch.setenv("ROTATION_WAREHOUSE", str(tmp_path / "disk" / "rotation.duckdb"))
    settings = load_settings()
    assert [finding.level for finding in repairs.files(settings, NOW)] == ["ok"]
    assert [finding.finding for finding in repair(settings)] == [
        f"Created the folder {tmp_path / 'new' / 'home'}.",
        f"Created the folder {tmp_path / 'disk'}.",
    ]


def test_a_repair_that_fails(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A repair that the system refuses is a failing line with the reason, and the other repairs are made."""
    FAULTS["published writable"][0](settings.home)
    old = left(settings.home / ".build.duckdb.tmp")

    def refuse(path: Path, to: int) -> None:
        raise PermissionError(1, "Operation not permitted", str(path))

    monkeypatch.setattr(Path, "chmod", refuse)
    first, second = repair(settings)
    assert first.level == "fail"
    assert "It cannot be repaired (Operation not permitted)." in first.finding
    assert second.level == "fixed"
    assert not old.exists()


def test_the_command(settings: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """`rotation doctor --fix` shows what was done, and the checks after it see the repaired state."""
    monkeypatch.setenv("ROTATION_SOURCE", "files")
    FAULTS["published writable"][0](settings.home)
    examine(NOW, fix=True)
    shown = " ".join(capsys.readouterr().out.split())
    assert "fixed files Made " in shown
    assert mode(settings.database_files[-1]) == 0o444
