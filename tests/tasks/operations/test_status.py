"""The status of a published warehouse: the last run, how fresh the data is, and what a person should do."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
import world

from market_rotation.flows.cli.status import show_status
from market_rotation.tasks import warehouse
from market_rotation.tasks.alerts import incidents, outbox
from market_rotation.tasks.errors import RotationError, SourceUnavailable
from market_rotation.tasks.operations import status
from market_rotation.tasks.settings import Settings, load_settings
from market_rotation.tasks.warehouse import lock, macros

# Thursday before Good Friday 2024, when summer time is in force in New York.
THURSDAY = date(2024, 3, 28)
MEMBERS = world.universe(
    world.instrument("SPY", size_bucket="large"),
    world.instrument("IWB", size_bucket="large"),
    *(world.instrument(symbol) for symbol in ("IWM", "IJR", "VB", "SPSM")),
    pairs=[("IWM", "IWB")],
)
CLOSES = [100 + 0.1 * i for i in range(len(world.days(end=date(2024, 4, 2))))]


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def bars() -> dict[str, object]:
    return {symbol: world.bars(symbol, CLOSES) for symbol in MEMBERS.symbols}


def settle(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Points the settings to `folder`, with the universe of this module."""
    folder.mkdir(exist_ok=True)
    patch.setenv("ROTATION_HOME", str(folder))
    patch.setenv("ROTATION_UNIVERSE", str(world.write_universe(folder, MEMBERS)))
    patch.setenv("ROTATION_HISTORY_START", "2024-01-02")


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The settings of a warehouse that a run brought up to Thursday; not to be changed."""
    with pytest.MonkeyPatch.context() as patch:
        settle(tmp_path_factory.mktemp("home"), patch)
        assert world.run(world.FakeSource(bars()), THURSDAY).status == "published"
        return load_settings()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An own empty home for a test that runs something itself."""
    settle(tmp_path / "home", monkeypatch)


def test_healthy(published):
    """Right after the run the state is healthy and agrees with the run."""
    state = status.read(published, utc("2024-03-28T23:45"))
    assert (state.healthy, state.problems) == (True, [])
    assert (state.simulated, state.open_alerts, state.quarantined) == (False, 0, 0)
    assert state.last_run.status == "published"
    assert state.last_run.session == THURSDAY
    assert state.last_run.started_at == utc("2024-03-28T23:30")
    assert state.last_run.run_id == state.last_published_run_id
    (row,) = state.freshness
    # It is 19:45 in New York, so Thursday's session is there before it had to be.
    assert (row.dataset, row.latest_session, row.expected_session) == ("prices", THURSDAY, date(2024, 3, 27))
    assert (row.sessions_behind, row.symbols_behind) == (0, 0)


@pytest.mark.parametrize(
    ("now", "expected", "behind"),
    [
        # Good Friday and the weekend bring no session.
        ("2024-03-29T23:59", "2024-03-28", 0),
        ("2024-03-31T12:00", "2024-03-28", 0),
        # Monday's session is expected from 20:00 New York on, which is midnight UTC in summer.
        ("2024-04-01T19:00", "2024-03-28", 0),
        ("2024-04-01T21:00", "2024-03-28", 0),
        ("2024-04-01T23:59:59", "2024-03-28", 0),
        ("2024-04-02T00:00", "2024-04-01", 1),
        ("2024-04-02T23:59", "2024-04-01", 1),
        ("2024-04-03T00:00", "2024-04-02", 2),
        ("2024-05-01T00:00", "2024-04-30", 22),
        # In winter, 20:00 New York is 01:00 UTC.
        ("2025-01-15T00:59", "2025-01-13", 198),
        ("2025-01-15T01:00", "2025-01-14", 199),
    ],
)
def test_staleness_counts_sessions_after_a_grace_period(published, now, expected, behind):
    """A session is missed from four hours after its close on; sessions are counted, not days."""
    state = status.read(published, utc(now))
    (row,) = state.freshness
    assert row.expected_session == date.fromisoformat(expected)
    assert row.sessions_behind == behind == len(world.days(date(2024, 3, 29), date.fromisoformat(expected)))
    assert state.healthy is (behind == 0)
    assert len(state.problems) == (behind > 0)
    if behind:
        assert f"2024-03-28, {behind} behind {expected}" in state.problems[0]
        assert "`rotation run`" in state.problems[0]


def test_the_state_is_json(published):
    """What programs read holds dates and moments as text, the moments with their zone."""
    shown = status.read(published, utc("2024-03-28T23:45")).model_dump(mode="json")
    assert shown["freshness"][0]["latest_session"] == "2024-03-28"
    assert datetime.fromisoformat(shown["last_run"]["started_at"]) == utc("2024-03-28T23:30")


@pytest.mark.long_after(0)
def test_a_blocked_run_is_a_problem(home):
    """After a blocked run the data is that of the run before, and the state names the blocked one."""
    good = world.run(world.FakeSource(bars()), THURSDAY)
    without_benchmark = bars() | {"SPY": SourceUnavailable("Down.")}
    blocked = world.run(world.FakeSource(without_benchmark), date(2024, 4, 1))
    assert blocked.status == "blocked"
    state = status.read(load_settings(), utc("2024-04-01T23:45"))
    assert not state.healthy
    assert [blocked.run_id in problem and "blocked" in problem for problem in state.problems] == [True]
    assert (state.last_run.run_id, state.last_run.message) == (blocked.run_id, blocked.message)
    assert state.last_published_run_id == good.run_id
    assert state.freshness[0].latest_session == THURSDAY


@pytest.mark.long_after(0)
def test_a_good_run_ends_the_problem(home):
    """A run that follows a failed one makes the state healthy again."""
    world.run(world.FakeSource(dict.fromkeys(MEMBERS.symbols, SourceUnavailable("Down."))), THURSDAY)
    good = world.run(world.FakeSource(bars()), THURSDAY, utc("2024-03-28T23:40"))
    state = status.read(load_settings(), utc("2024-03-28T23:45"))
    assert state.healthy
    assert state.last_run.run_id == good.run_id


@pytest.mark.long_after(0)
def test_the_last_of_two_runs_in_one_second_is_the_last_run(home):
    """Run identifiers sort by time, also when a run follows another at once."""
    silent = world.FakeSource(dict.fromkeys(MEMBERS.symbols, SourceUnavailable("Down.")))
    runs = [world.run(silent, THURSDAY, utc(f"2024-03-28T23:30:00.{i:03}")).run_id for i in range(6)]
    assert runs == sorted(runs)
    assert status.read(load_settings(), utc("2024-03-28T23:45")).last_run.run_id == runs[-1]


def test_nothing_was_ever_published(home):
    """When the first run failed there is a warehouse without data, and the state says how to start."""
    failed = world.run(
        world.FakeSource(dict.fromkeys(MEMBERS.symbols, SourceUnavailable("The vendor is down."))), THURSDAY
    )
    state = status.read(load_settings(), utc("2024-03-28T23:45"))
    assert failed.status == "failed"
    assert not state.healthy
    assert any(failed.run_id in problem and "failed" in problem for problem in state.problems)
    assert any("Nothing was ever published" in problem and "`rotation run`" in problem for problem in state.problems)
    assert "The vendor is down." in state.last_run.message
    assert state.last_published_run_id is None
    (row,) = state.freshness
    assert (row.latest_session, row.expected_session, row.sessions_behind) == (None, date(2024, 3, 27), 0)


@pytest.mark.long_after(0)
def test_symbols_behind_and_quarantine_are_counted(home):
    """A symbol without an answer is behind from then on and open in quarantine, while the rest is published and healthy."""
    world.run(world.FakeSource(bars()), THURSDAY)
    some = bars() | {"VB": SourceUnavailable("No answer.")}
    assert world.run(world.FakeSource(some), date(2024, 4, 1)).status == "published"
    state = status.read(load_settings(), utc("2024-04-01T23:45"))
    assert state.healthy
    assert state.freshness[0].latest_session == date(2024, 4, 1)
    assert (state.freshness[0].symbols_behind, state.quarantined) == (1, 1)
    assert world.run(world.FakeSource(bars()), date(2024, 4, 2)).status == "published"
    state = status.read(load_settings(), utc("2024-04-02T23:45"))
    assert (state.freshness[0].symbols_behind, state.quarantined) == (0, 0)


@pytest.mark.long_after(0)
def test_a_symbol_that_never_had_a_bar_is_behind(home):
    """A symbol without any price counts as behind, like one whose prices stopped."""
    some = bars()
    del some["VB"]
    assert world.run(world.FakeSource(some), THURSDAY).status == "published"
    assert status.read(load_settings(), utc("2024-03-28T23:45")).freshness[0].symbols_behind == 1


@pytest.mark.long_after(0)
def test_simulated_prices_are_marked(home, monkeypatch):
    """A warehouse of the sample source is labelled as simulated."""
    monkeypatch.setenv("ROTATION_SOURCE", "sample")
    world.run(world.FakeSource(bars()), THURSDAY)
    assert status.read(load_settings(), utc("2024-03-28T23:45")).simulated


@pytest.mark.long_after(0)
def test_open_alerts_are_counted(home):
    """Alerts that were not delivered are counted, delivered ones are not."""
    world.run(world.FakeSource(bars()), THURSDAY)
    settings = load_settings()
    with warehouse.writing(settings.build) as con:
        con.execute(
            "insert into ops.alerts (alert_id, fingerprint, kind, severity, title, body, created_at, sent_at, attempts) values "
            "('a', 'f', 'failure', 'critical', 't', 'b', now(), null, 1), ('b', 'f', 'failure', 'critical', 't', 'b', now(), now(), 1)"
        )
    copied = settings.model_copy(update={"warehouse": str(settings.build)})
    assert status.read(copied, utc("2024-03-28T23:45")).open_alerts == 1


def test_no_warehouse(home):
    """Without a published file there is one sentence that says how to make one."""
    with pytest.raises(RotationError, match=r"no warehouse at .*; create one with `rotation run`"):
        status.read(load_settings(), utc("2024-03-28T23:45"))


# ---- incidents ----


def alerted(settings: Settings, *steps: tuple[str, list[str], list[str]]) -> list[tuple[str, str]]:
    """The open incidents after these steps: when, which fingerprints were found, which are over."""
    with warehouse.writing(settings.build) as con:
        for moment, found, over in steps:
            found_now = [incidents.Incident(name, "warning", f"Title of {name}", "What.", "Next.") for name in found]
            outbox.update(
                con, found_now, scope=tuple(over), session=THURSDAY, now=utc(moment), repeat=timedelta(hours=24)
            )
        rows = macros.rows(con, "from incidents()")
    return [(row["fingerprint"], f"{row['since']:%dT%H} {row['alerts']}") for row in rows]


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([], []),
        ([("2024-03-25T22:30", ["a"], [])], [("a", "25T22 1")]),
        ([("2024-03-25T22:30", ["a"], []), ("2024-03-26T22:30", ["a"], [])], [("a", "25T22 2")]),
        ([("2024-03-25T22:30", ["a", "b"], []), ("2024-03-26T22:30", [], ["a"])], [("b", "25T22 1")]),
        (
            [("2024-03-25T22:30", ["a"], []), ("2024-03-26T22:30", [], ["a"]), ("2024-03-27T22:30", ["a"], [])],
            [("a", "27T22 1")],
        ),
    ],
)
def test_open_incidents(home, steps, expected):
    """An incident is listed once from its first alert until its recovery, with its beginning; when it returns it is a new one."""
    assert alerted(load_settings(), *steps) == expected


@pytest.mark.long_after(0)
def test_a_blocked_run_is_an_incident_until_the_next_good_one(home):
    """The status lists what was alerted, also when no run ever published, and no longer once it is over."""
    down = world.FakeSource(dict.fromkeys(MEMBERS.symbols, SourceUnavailable("Down.")))
    world.run(down, THURSDAY)
    (incident,) = status.read(load_settings(), utc("2024-03-28T23:45")).incidents
    assert (incident.fingerprint, incident.severity, incident.session, incident.alerts) == (
        "failed",
        "critical",
        THURSDAY,
        1,
    )
    assert incident.title == "Failed: 2024-03-28 is not published"
    world.run(world.FakeSource(bars()), THURSDAY, utc("2024-03-28T23:50"))
    assert status.read(load_settings(), utc("2024-03-28T23:55")).incidents == []


def test_the_macros_are_in_the_warehouse(published):
    """Who queries the warehouse gets freshness and incidents by name, as of its last session unless other sessions are given."""
    with warehouse.reading(published.published) as con:
        assert con.execute("select count(*) from ops.incidents()").fetchone() == (0,)
        ask = "select dataset, latest_session, expected_session, sessions_behind, symbols_behind from ops.freshness({})"
        assert con.execute(ask.format("null")).fetchall() == [("prices", THURSDAY, THURSDAY, 0, 0)]
        due = "['2024-03-27', '2024-03-28', '2024-04-01', '2024-04-02']"
        assert con.execute(ask.format(due)).fetchall() == [("prices", THURSDAY, date(2024, 4, 2), 2, 0)]


# ---- a run in progress ----


@contextmanager
def held_open(path: Path) -> Iterator[int]:
    """Another process has the database at `path` open for writing; yields its id."""
    code = "import sys, duckdb; con = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout
        assert other.stdout.readline() == b"open\n"
        yield other.pid
        other.communicate(b"")


@pytest.mark.long_after(0)
def test_a_run_is_going_on(home, capsys):
    """While a process has the build database open the status says since when and which, stays healthy, and takes no lock."""
    world.run(world.FakeSource(bars()), THURSDAY)
    settings, now = load_settings(), utc("2024-03-28T23:45")
    idle = status.read(settings, now)
    assert (idle.running, idle.running_since, idle.running_process) == (False, None, None)
    with held_open(settings.build) as process:
        state = status.read(settings, now)
        assert (state.running, state.running_process, state.healthy) == (True, process, True)
        started = state.running_since
        assert datetime.now(UTC) - timedelta(minutes=5) < started <= datetime.now(UTC)
        assert show_status(now, False) == 0
        shown = " ".join(capsys.readouterr().out.split())
        assert "A run is in progress" in shown
        assert f"(process {process})" in shown
        # The lock is still the other's.
        assert lock.holder(settings.build).process == process
    assert not status.read(settings, now).running


@pytest.mark.long_after(0)
@pytest.mark.parametrize("build_is_here", [True, False])
def test_a_run_that_was_killed_is_not_going_on(home, build_is_here):
    """A run without an end was killed if no process has the build database open; without a build database it counts as running."""
    world.run(world.FakeSource(bars()), THURSDAY)
    settings = load_settings()
    with warehouse.writing(settings.build) as con:
        con.execute(
            "insert into ops.runs (run_id, started_at, status, source, published, code_version) "
            "values ('20240328T233500000000-000000', '2024-03-28 23:35:00+00', 'running', 'yahoo', false, 'x')"
        )
    settings.database_files[-1].unlink()
    (shutil.copy if build_is_here else shutil.move)(settings.build, settings.database_files[-1])
    state = status.read(settings, utc("2024-03-28T23:45"))
    if build_is_here:
        assert (state.running, state.healthy) == (False, False)
        assert "was interrupted" in state.problems[0]
    else:
        assert (state.running, state.running_since, state.healthy) == (True, utc("2024-03-28T23:35"), True)


# ---- older versions ----


@pytest.mark.long_after(0)
@pytest.mark.parametrize(
    "lost",
    [
        "drop table core.fund_nav",
        "drop table ops.alerts",
        "alter table ops.alerts drop column since",
        "drop table ops.quarantine",
    ],
)
def test_a_warehouse_of_an_older_version(home, capsys, lost):
    """When a table or column of this version is missing, the status says so, still detects stale data, and shows the rest as unknown."""
    world.run(world.FakeSource(bars()), THURSDAY)
    settings = load_settings()
    with duckdb.connect(str(settings.build)) as con:
        con.execute(lost)
    old = settings.model_copy(update={"warehouse": str(settings.build)})
    state = status.read(old, utc("2024-03-28T23:45"))
    assert (state.healthy, state.notes) == (True, [status.OLDER])
    assert (state.freshness[0].latest_session, state.freshness[0].sessions_behind) == (THURSDAY, 0)
    unknown = [state.incidents, state.open_alerts, state.quarantined, state.freshness[0].symbols_behind]
    assert None in unknown
    assert all(value in (None, 0, []) for value in unknown)
    stale = status.read(old, utc("2024-04-02T00:00"))
    assert (stale.healthy, stale.freshness[0].sessions_behind) == (False, 1)


@pytest.mark.long_after(0)
def test_macros_are_not_needed_in_the_warehouse(home):
    """A warehouse without today's macros is read with those of the version that reads, and nothing is missing."""
    world.run(world.FakeSource(bars()), THURSDAY)
    settings = load_settings()
    with duckdb.connect(str(settings.build)) as con:
        con.execute("drop macro table ops.freshness; drop macro table ops.incidents")
    old = settings.model_copy(update={"warehouse": str(settings.build)})
    state = status.read(old, utc("2024-03-28T23:45"))
    assert (state.notes, state.incidents, state.freshness[0].symbols_behind) == ([], [], 0)


# ---- what is shown ----


@pytest.mark.long_after(0)
def test_what_is_shown(home, capsys):
    """The output names each open incident, each dataset and the remedy; the exit code is 3 when a run was blocked."""
    world.run(world.FakeSource(bars()), THURSDAY)
    blocked = world.run(world.FakeSource(bars() | {"SPY": SourceUnavailable("Down.")}), date(2024, 4, 1))
    assert show_status(utc("2024-04-01T23:45"), False) == 3
    shown = " ".join(capsys.readouterr().out.split())
    assert f"The last run, {blocked.run_id}, was blocked." in shown
    assert "critical Blocked: 2024-04-01 is not published, prices failed the audit" in shown
    assert "prices 2024-03-28 2024-03-28 0 0" in shown
    assert "Alerts not sent: 1." in shown
