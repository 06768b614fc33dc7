"""The demonstration of a vendor that goes wrong: what it shows, and that it touches nothing but its own folder."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import world

from market_rotation.flows.cli import demonstration, demonstration_output
from market_rotation.tasks import calendar, warehouse
from market_rotation.tasks.errors import ConfigError, RotationError
from market_rotation.tasks.sources.simulated.faults import FAULTS, FaultySource
from market_rotation.tasks.sources.simulated.source import SampleSource
from market_rotation.tasks.universe import Universe, load_universe

SHIPPED = load_universe()
SESSIONS = world.days(date(2024, 1, 2), date(2026, 1, 16))
NOW = datetime(2026, 1, 17, 12, tzinfo=UTC)


def vendor(members: Universe = SHIPPED) -> SampleSource:
    return SampleSource(calendar.load(date(1993, 1, 29), date(2026, 11, 20)), members.instruments)


def said(printed: str) -> str:
    """What was printed, in one line."""
    return " ".join(printed.split())


# ---- the folder ----


def test_folder_is_emptied_at_each_start(tmp_path: Path) -> None:
    """The files of an earlier demonstration are removed, and a surrounding Git repository ignores the folder."""
    home = tmp_path / "warehouse-demo"
    demonstration.empty(home)
    (home / "rotation.duckdb").write_text("old")
    demonstration.empty(home)
    assert [path.name for path in home.iterdir()] == [".gitignore"]
    assert "*" in (home / ".gitignore").read_text().splitlines()


@pytest.mark.parametrize("kind", ["folder", "empty folder", "file", "link", "broken link", "own .gitignore"])
def test_other_folders_are_left_alone(tmp_path: Path, kind: str) -> None:
    """Whatever was not made by a demonstration is refused in a sentence and stays as it is."""
    home, mine = tmp_path / "warehouse-demo", tmp_path / "mine"
    demonstration.empty(mine)
    (mine / "prices").write_text("precious")
    match kind:
        case "folder":
            home.mkdir()
            (home / "prices").write_text("precious")
        case "empty folder":
            home.mkdir()
        case "file":
            home.write_text("precious")
        case "link":
            home.symlink_to(mine)
        case "broken link":
            home.symlink_to(tmp_path / "nowhere")
        case "own .gitignore":
            home.mkdir()
            (home / ".gitignore").write_text("*\n")
    before = sorted((path, path.is_file() and path.read_text()) for path in tmp_path.rglob("*"))
    with pytest.raises(ConfigError, match="is not emptied"):
        demonstration.empty(home)
    assert sorted((path, path.is_file() and path.read_text()) for path in tmp_path.rglob("*")) == before


def test_unknown_fault_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    """A name there is not exits 2 with all names there are, before anything is made."""
    assert demonstration.main(["bad-tik"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert said(printed.err).startswith("Error: Unknown fault 'bad-tik'; FAULT is one of bad-tick,")
    assert all(name in printed.err for name in FAULTS)
    assert len(printed.err.splitlines()) == 1
    assert not demonstration.HOME.exists()


def test_settings_are_the_demonstrations_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings of the person, such as where alerts go, do not count during the runs, and are back after them."""
    monkeypatch.setenv("ROTATION_ALERT_URLS", "json://example.invalid")
    monkeypatch.setenv("ROTATION_HOME", "mine")
    before = dict(os.environ)
    with demonstration._settings(Path("warehouse-demo"), date(2024, 1, 2), "bad-tick:IWM"):
        assert "ROTATION_ALERT_URLS" not in os.environ
        assert os.environ["ROTATION_HOME"] == "warehouse-demo"
        assert os.environ["ROTATION_FAULT"] == "bad-tick:IWM"
    assert dict(os.environ) == before


# ---- the sessions ----


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_shows_on_its_session(name: str) -> None:
    """The three runs are in order, on sessions, and the vendor gives something else on the second than without the fault."""
    scene = demonstration.stage_set(name, SHIPPED, vendor(), SESSIONS)
    assert scene.good < scene.faulty < scene.healed
    assert {scene.good, scene.faulty, scene.healed} <= set(SESSIONS)
    dataset = FAULTS[name].dataset
    true = getattr(vendor(), dataset)(scene.symbol, SESSIONS[0], scene.faulty)
    try:
        given = getattr(FaultySource(vendor(), name, scene.symbol), dataset)(scene.symbol, SESSIONS[0], scene.faulty)
    except RotationError:
        return
    assert not given.equals(true)


def test_fault_that_needs_an_occasion_has_it() -> None:
    """The scene of a truncated history is the latest split, that of a doubled dividend the latest ex-date."""
    split = demonstration.stage_set("truncated-history", SHIPPED, vendor(), SESSIONS)
    assert (split.symbol, split.faulty) == ("XLK", date(2025, 12, 5))
    paid = demonstration.stage_set("dividend-twice", SHIPPED, vendor(), SESSIONS)
    assert (paid.symbol, paid.faulty) == ("IWM", date(2025, 12, 16))
    plain = demonstration.stage_set("bad-tick", SHIPPED, vendor(), SESSIONS)
    assert [plain.good, plain.faulty, plain.healed] == SESSIONS[-3:]


# ---- what is shown ----


@pytest.fixture
def members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Universe:
    """Six funds of the simulated market, known for two months."""
    chosen = tuple(i for i in SHIPPED.instruments if i.symbol in ("SPY", "IWB", "IWM", "XLK", "XLE", "VB"))
    pairs = tuple(p for p in SHIPPED.pairs if p.small_symbol == "IWM")
    universe = Universe(instruments=chosen, pairs=pairs)
    monkeypatch.setenv("ROTATION_UNIVERSE", str(world.write_universe(tmp_path, universe)))
    monkeypatch.setenv("ROTATION_HISTORY_START", "2025-11-14")
    monkeypatch.setenv("ROTATION_EARNINGS_CONSTITUENTS", "0")
    monkeypatch.setenv("ROTATION_SOURCE", "sample")
    return universe


def test_rows_set_aside_are_shown_until_they_are_back(members: Universe, capsys: pytest.CaptureFixture[str]) -> None:
    """The failed expectation with the row itself, what readers still see, and in the end that the entry is resolved."""
    source = vendor(members)
    world.run(source, SESSIONS[-3])
    world.run(FaultySource(source, "sign-flip", "IWM"), SESSIONS[-2])
    with warehouse.reading(Path("warehouse/rotation.duckdb")) as con:
        assert demonstration_output.show_findings(con)
        assert not demonstration_output.show_quarantine(con)
        demonstration_output.show_readers(con, "IWM", FAULTS["sign-flip"])
    shown = said(capsys.readouterr().out)
    close = source.prices("IWM", SESSIONS[-2], SESSIONS[-2])["close"].item()
    assert "prices_positive, warning, 1 row: A price is zero, negative or not finite." in shown
    assert f"IWM {SESSIONS[-2]}: open " in shown
    assert f"close -{close:,.2f}" in shown
    assert f"IWM {SESSIONS[-2]}, prices_positive: still open" in shown
    assert f"5 of 6 symbols up to {SESSIONS[-2]}; IWM up to {SESSIONS[-3]} with a close of" in shown

    world.run(source, SESSIONS[-1])
    with warehouse.reading(Path("warehouse/rotation.duckdb")) as con:
        assert not demonstration_output.show_findings(con)
        assert demonstration_output.show_quarantine(con)
        demonstration_output.show_readers(con, "IWM", FAULTS["sign-flip"])
    shown = said(capsys.readouterr().out)
    assert f"IWM {SESSIONS[-2]}, prices_positive: resolved {SESSIONS[-1]}" in shown
    assert f"6 of 6 symbols up to {SESSIONS[-1]}; IWM up to {SESSIONS[-1]}" in shown


@pytest.mark.long_after(0)
def test_symbol_without_an_answer_is_shown_in_the_vendors_words(
    members: Universe, capsys: pytest.CaptureFixture[str]
) -> None:
    """A symbol that was set aside as a whole has no row, but a reason."""
    source = vendor(members)
    world.run(source, SESSIONS[-3])
    world.run(FaultySource(source, "missing-symbol", "IWM"), SESSIONS[-2])
    with warehouse.reading(Path("warehouse/rotation.duckdb")) as con:
        assert demonstration_output.show_findings(con)
    assert "IWM as a whole: IWM is not known to the vendor" in said(capsys.readouterr().out)


@pytest.mark.long_after(0)
def test_blocked_run_is_shown(members: Universe, capsys: pytest.CaptureFixture[str]) -> None:
    """The critical expectation is named, and readers see all symbols as before."""
    source = vendor(members)
    world.run(source, SESSIONS[-3])
    world.run(FaultySource(source, "future-date", "IWM"), SESSIONS[-2])
    with warehouse.reading(Path("warehouse/rotation.duckdb")) as con:
        assert demonstration_output.show_findings(con)
        demonstration_output.show_readers(con, "IWM", FAULTS["future-date"])
    shown = said(capsys.readouterr().out)
    assert "not_after_session, critical, 1 row" in shown
    assert f"6 of 6 symbols up to {SESSIONS[-3]}" in shown


@pytest.mark.long_after(0)
def test_only_new_alerts_are_shown(members: Universe, capsys: pytest.CaptureFixture[str]) -> None:
    """An alert is shown with title and body, once."""
    world.run(vendor(members), SESSIONS[-3])
    with warehouse.writing(Path("warehouse/build.duckdb")) as con:
        con.execute(
            "insert into ops.alerts (alert_id, fingerprint, kind, severity, title, body, created_at, attempts) "
            "values ('1', 'f', 'failure', 'critical', 'It is [bold]', 'Do this.', '2026-01-16 23:00:00+00', 0)"
        )
        known = demonstration_output.show_alerts(con)
        assert "failure, critical: It is [bold] Do this." in said(capsys.readouterr().out)
        assert demonstration_output.show_alerts(con, known) == known
    assert "Alerts (ops.alerts)\n  None.\n" in capsys.readouterr().out


# ---- the whole, in processes of their own ----

DEMONSTRATION = """
import sys
from datetime import timedelta
from market_rotation.flows.cli import demonstration
demonstration.HISTORY = timedelta(days={days})
sys.exit(demonstration.main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def prefect_home(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("prefect"))


@pytest.mark.long_after(0)
@pytest.mark.parametrize(
    ("name", "history_days", "words"),
    [
        # A batch that is blocked says the same after half a year as after two.
        ("duplicate-day", 180, ["status blocked", "one_row_per_bar, critical"]),
        (
            "bad-tick",
            demonstration.HISTORY.days,
            ["set aside", "return_plausible, warning", "return_plausible: resolved"],
        ),
    ],
)
def test_demonstration(name: str, history_days: int, words: list[str], prefect_home: str) -> None:
    """It succeeds and shows the failures, the alert and the recovery, without log noise."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_API")}
    environment |= {"PREFECT_HOME": prefect_home, "COLUMNS": "200"}
    done = subprocess.run(
        [sys.executable, "-c", DEMONSTRATION.format(days=history_days), name],
        env=environment,
        text=True,
        capture_output=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    shown = said(done.stdout)
    for word in [
        "1. A good run",
        "2. A run with the fault",
        "3. A run after the fault",
        "failure, ",
        "recovery, ",
        *words,
    ]:
        assert word in shown
    noise = ("Traceback", "Warning", "WARNING", "ERROR", "prefect.", "Calculating Metrics", "Error flushing")
    assert [line for line in (done.stdout + done.stderr).splitlines() if any(word in line for word in noise)] == []
    assert (demonstration.HOME / "rotation.duckdb").is_file()
