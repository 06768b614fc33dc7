"""The metrics file: what Prometheus reads of a run, and that nothing unknown becomes a zero."""

from __future__ import annotations

import shutil
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pytest
import world
from prometheus_client.parser import text_string_to_metric_families

from market_rotation.tasks import calendar, warehouse
from market_rotation.tasks.errors import RotationError, SourceUnavailable
from market_rotation.tasks.operations import metrics
from market_rotation.tasks.run.ledger import code_version
from market_rotation.tasks.settings import Settings, load_settings

THURSDAY = date(2024, 3, 28)
MEMBERS = world.universe(*map(world.instrument, ("SPY", "IWM", "IJR", "VB", "SPSM")), pairs=[("IWM", "SPY")])
CLOSES = [100 + 0.1 * i for i in range(len(world.days(end=date(2024, 4, 2))))]
DOWN = SourceUnavailable("Down.")

Samples = dict[tuple[str, str], float]


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def bars() -> dict[str, object]:
    return {symbol: world.bars(symbol, CLOSES) for symbol in MEMBERS.symbols}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home with a small universe."""
    monkeypatch.setenv("ROTATION_UNIVERSE", str(world.write_universe(tmp_path, MEMBERS)))
    monkeypatch.setenv("ROTATION_HISTORY_START", "2024-01-02")


def samples(path: Path) -> Samples:
    """Every sample by name and label value, as Prometheus parses it."""
    families = text_string_to_metric_families(path.read_text(encoding="utf-8"))
    return {(s.name, "/".join(s.labels.values())): s.value for family in families for s in family.samples}


def written(now: str) -> tuple[Settings, Samples]:
    settings = load_settings()
    return settings, samples(metrics.write(settings.published, settings, utc(now)))


def test_a_good_run() -> None:
    """After a published run each number is the ledger's, times in seconds since 1970 and sizes in bytes."""
    run = world.run(world.FakeSource(bars()), THURSDAY)
    settings, found = written("2024-03-28T23:45")
    assert run.finished_at is not None
    expected = {
        ("market_rotation_last_success_timestamp_seconds", ""): run.finished_at.timestamp(),
        ("market_rotation_last_run_timestamp_seconds", ""): utc("2024-03-28T23:30").timestamp(),
        ("market_rotation_last_run_duration_seconds", ""): (run.finished_at - run.known_at).total_seconds(),
        ("market_rotation_last_run_quarantined_rows", ""): 0,
        ("market_rotation_last_run_status", "published"): 1,
        ("market_rotation_last_run_status", "running"): 0,
        ("market_rotation_last_run_status", "blocked"): 0,
        ("market_rotation_last_run_status", "failed"): 0,
        ("market_rotation_last_run_status", "up_to_date"): 0,
        ("market_rotation_last_run_rows", "fetched"): 5 * 61,
        ("market_rotation_last_run_rows", "new"): 5 * 61,
        ("market_rotation_last_run_rows", "revised"): 0,
        ("market_rotation_last_run_failed_expectations", "critical"): 0,
        ("market_rotation_last_run_failed_expectations", "warning"): 0,
        ("market_rotation_quarantine_open_rows", ""): 0,
        ("market_rotation_open_incidents", "critical"): 0,
        ("market_rotation_open_incidents", "warning"): 0,
        ("market_rotation_unsent_alerts", ""): 0,
        ("market_rotation_info", f"{code_version(Path('warehouse'))}/yahoo"): 1,
        ("market_rotation_latest_session_timestamp_seconds", "prices"): utc("2024-03-28T00:00").timestamp(),
        ("market_rotation_sessions_behind", "prices"): 0,
        ("market_rotation_symbols_behind", "prices"): 0,
        ("market_rotation_published_size_bytes", ""): settings.database_files[-1].stat().st_size,
    }
    assert {key: found[key] for key in expected} == pytest.approx(expected, abs=1e-3)


@pytest.mark.long_after(0)
def test_the_path_and_what_a_collector_needs() -> None:
    """The file lies where a textfile collector looks, whole, with help and type of each metric and no time of its own."""
    world.run(world.FakeSource(bars()), THURSDAY)
    settings = load_settings()
    for _ in range(2):
        path = metrics.write(settings.published, settings, utc("2024-03-28T23:45"))
    assert path == settings.home / "metrics" / "rotation.prom"
    assert [file.name for file in path.parent.iterdir()] == ["rotation.prom"]
    text = path.read_text(encoding="utf-8")
    names = {line.split("{")[0].split()[0] for line in text.splitlines() if not line.startswith("#")}
    assert all(name.startswith("market_rotation_") for name in names)
    assert {line.split()[2] for line in text.splitlines() if line.startswith("# HELP")} == names
    assert {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")} == names
    assert all(len(line.rsplit("}", 1)[-1].split()) <= 2 for line in text.splitlines() if not line.startswith("#"))


@pytest.mark.long_after(0)
def test_a_blocked_run() -> None:
    """After a blocked run the last success is still that of the run before, and what failed and is open is counted."""
    good = world.run(world.FakeSource(bars()), THURSDAY)
    blocked = world.run(world.FakeSource(bars() | {"SPY": DOWN}), date(2024, 4, 1))
    assert blocked.status == "blocked"
    _, found = written("2024-04-01T23:45")
    assert good.finished_at is not None
    assert found["market_rotation_last_success_timestamp_seconds", ""] == pytest.approx(good.finished_at.timestamp())
    assert found["market_rotation_last_run_status", "blocked"] == 1
    assert found["market_rotation_last_run_status", "published"] == 0
    assert found["market_rotation_last_run_failed_expectations", "critical"] >= 1
    assert found["market_rotation_open_incidents", "critical"] == 1
    assert found["market_rotation_unsent_alerts", ""] == 1
    assert found["market_rotation_sessions_behind", "prices"] == 1


@pytest.mark.long_after(0)
def test_what_is_set_aside_is_counted() -> None:
    """A symbol without an answer is open in quarantine, behind, and an incident."""
    world.run(world.FakeSource(bars()), THURSDAY)
    assert world.run(world.FakeSource(bars() | {"VB": DOWN}), date(2024, 4, 1)).status == "published"
    _, found = written("2024-04-01T23:45")
    assert found["market_rotation_last_run_quarantined_rows", ""] == 1
    assert found["market_rotation_quarantine_open_rows", ""] == 1
    assert found["market_rotation_symbols_behind", "prices"] == 1
    assert found["market_rotation_sessions_behind", "prices"] == 0
    assert found["market_rotation_open_incidents", "warning"] == 1


def test_nothing_was_ever_published() -> None:
    """After a first run that failed, what is not known has no metric, rather than a zero."""
    silent = world.FakeSource(dict.fromkeys(MEMBERS.symbols, DOWN))
    assert world.run(silent, THURSDAY).status == "failed"
    _, found = written("2024-03-28T23:45")
    names = {name for name, _ in found}
    assert found["market_rotation_last_run_status", "failed"] == 1
    assert found["market_rotation_open_incidents", "critical"] == 1
    assert not names & {
        "market_rotation_last_success_timestamp_seconds",
        "market_rotation_last_run_failed_expectations",
        "market_rotation_latest_session_timestamp_seconds",
        "market_rotation_sessions_behind",
        "market_rotation_symbols_behind",
    }


@pytest.mark.long_after(0)
def test_an_up_to_date_run_is_a_success_that_checked_nothing() -> None:
    """A run that finds nothing new counts as a success; of expectations it did not check there is no metric."""
    world.run(world.FakeSource(bars()), THURSDAY)
    again = world.run(world.FakeSource(bars()), THURSDAY, utc("2024-03-28T23:50"))
    assert again.status == "up_to_date"
    _, found = written("2024-03-28T23:55")
    assert again.finished_at is not None
    assert found["market_rotation_last_success_timestamp_seconds", ""] == pytest.approx(again.finished_at.timestamp())
    assert not any(name == "market_rotation_last_run_failed_expectations" for name, _ in found)


@pytest.mark.long_after(0)
def test_a_run_that_is_going_on_has_no_duration_and_counts() -> None:
    """Of a run without an end only its start and status are known."""
    world.run(world.FakeSource(bars()), THURSDAY)
    settings = load_settings()
    with warehouse.writing(settings.build) as con:
        con.execute(
            "insert into ops.runs (run_id, started_at, status, source, published, code_version) "
            "values ('20240401T223000000000-000000', '2024-04-01 22:30:00+00', 'running', 'yahoo', false, 'x')"
        )
        days = calendar.load(date(2024, 1, 2), date(2024, 4, 2))
        found = samples(metrics.write(con, settings, utc("2024-04-01T22:31"), days))
    assert found["market_rotation_last_run_timestamp_seconds", ""] == utc("2024-04-01T22:30").timestamp()
    assert found["market_rotation_last_run_status", "running"] == 1
    assert not {"market_rotation_last_run_duration_seconds", "market_rotation_last_run_rows"} & {n for n, _ in found}


@pytest.mark.long_after(0)
def test_a_warehouse_of_an_older_version() -> None:
    """Where tables of today are not there yet, their metrics are absent and the others are written."""
    world.run(world.FakeSource(bars()), THURSDAY)
    settings = load_settings()
    with duckdb.connect(str(settings.build)) as con:
        con.execute("drop table ops.alerts; drop table core.fund_nav")
    # The build database: the published one is not for writing.
    found = samples(metrics.write(settings.build, settings, utc("2024-03-28T23:45")))
    names = {name for name, _ in found}
    assert "market_rotation_last_success_timestamp_seconds" in names
    assert not names & {
        "market_rotation_open_incidents",
        "market_rotation_unsent_alerts",
        "market_rotation_sessions_behind",
    }


@pytest.mark.long_after(0)
def test_what_cannot_be_written_is_one_sentence() -> None:
    """A folder that is a file, and a missing warehouse, are reported in one sentence."""
    settings = load_settings()
    with pytest.raises(RotationError, match="no warehouse at"):
        metrics.write(settings.published, settings, utc("2024-03-28T23:45"))
    world.run(world.FakeSource(bars()), THURSDAY)
    # The run has written its own.
    shutil.rmtree(settings.home / "metrics")
    (settings.home / "metrics").write_text("")
    with pytest.raises(RotationError, match=r"rotation\.prom cannot be written"):
        metrics.write(settings.published, settings, utc("2024-03-28T23:45"))
