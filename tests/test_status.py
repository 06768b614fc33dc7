"""The status of a published warehouse: the last run, how fresh the data is, and what a person should do."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import world

from tasks import status, warehouse
from tasks.errors import RotationError, SourceUnavailable
from tasks.settings import Settings, load_settings

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
    """Right after the run everything is fine, and the state says what the run said."""
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


def test_a_good_run_ends_the_problem(home):
    """A run that follows a failed one makes the state healthy again."""
    world.run(world.FakeSource(dict.fromkeys(MEMBERS.symbols, SourceUnavailable("Down."))), THURSDAY)
    good = world.run(world.FakeSource(bars()), THURSDAY, utc("2024-03-28T23:40"))
    state = status.read(load_settings(), utc("2024-03-28T23:45"))
    assert state.healthy
    assert state.last_run.run_id == good.run_id


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


def test_a_symbol_that_never_had_a_bar_is_behind(home):
    """A symbol without any price counts as behind, like one whose prices stopped."""
    some = bars()
    del some["VB"]
    assert world.run(world.FakeSource(some), THURSDAY).status == "published"
    assert status.read(load_settings(), utc("2024-03-28T23:45")).freshness[0].symbols_behind == 1


def test_simulated_prices_are_marked(home, monkeypatch):
    """A warehouse of the sample source says that it is simulated."""
    monkeypatch.setenv("ROTATION_SOURCE", "sample")
    world.run(world.FakeSource(bars()), THURSDAY)
    assert status.read(load_settings(), utc("2024-03-28T23:45")).simulated


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
    with pytest.raises(RotationError, match=r"no warehouse at .*; make one with `rotation run`"):
        status.read(load_settings(), utc("2024-03-28T23:45"))
