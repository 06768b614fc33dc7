"""The watchdog alerts when a session is not published by 20:00 New York, even if the daily job never started."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import webhook
import world
from prefect.events.clients import AssertingEventsClient
from prefect.events.worker import EventsWorker

from market_rotation.flows.cli.watch import watch_once
from market_rotation.flows.resend_alerts import resend_alerts
from market_rotation.flows.watchdog import watchdog
from market_rotation.tasks import warehouse
from market_rotation.tasks.alerts.watchdog import due_session, watch

NEW_YORK = ZoneInfo("America/New_York")
SYMBOLS = ["SPY", "IWM", "IJR"]
DAY = date(2024, 3, 28)
PUBLISHED = Path("warehouse/rotation.duckdb")


@pytest.fixture(autouse=True)
def hook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[webhook.Webhook]:
    """A small universe and one channel."""
    members = world.universe(*map(world.instrument, SYMBOLS), pairs=[("IWM", "SPY")])
    monkeypatch.setenv("ROTATION_UNIVERSE", str(world.write_universe(tmp_path, members)))
    monkeypatch.setenv("ROTATION_HISTORY_START", "2024-01-02")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with webhook.serving() as server:
        monkeypatch.setenv("ROTATION_ALERT_URLS", server.url())
        yield server


def run(day: date) -> None:
    closes = [100.0 + i % 7 for i in range(100)]
    source = world.FakeSource({symbol: world.bars(symbol, closes) for symbol in SYMBOLS})
    assert world.run(source, day).status == "published"


def evening(day: date, hour: int = 20, minute: int = 0) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=NEW_YORK).astimezone(UTC)


def outbox() -> list[tuple]:
    with warehouse.reading(PUBLISHED) as con:
        return con.execute("select fingerprint, kind from ops.alerts order by created_at").fetchall()


@pytest.mark.parametrize(
    ("moment", "session"),
    [
        (evening(date(2024, 3, 27), 19, 59), date(2024, 3, 26)),
        (evening(date(2024, 3, 27), 20, 0), date(2024, 3, 27)),
        # Good Friday, and the weekend after it.
        (evening(date(2024, 3, 29), 20, 0), date(2024, 3, 28)),
        (evening(date(2024, 3, 31), 20, 0), date(2024, 3, 28)),
        (evening(date(2024, 4, 1), 20, 0), date(2024, 4, 1)),
        # A half-day, and both clock changes: 20:00 in New York is at another hour of UTC.
        (evening(date(2024, 11, 29), 20, 0), date(2024, 11, 29)),
        (datetime(2024, 3, 12, 0, 0, tzinfo=UTC), date(2024, 3, 11)),
        (datetime(2024, 11, 5, 0, 59, tzinfo=UTC), date(2024, 11, 1)),
        (datetime(2024, 11, 5, 1, 0, tzinfo=UTC), date(2024, 11, 4)),
    ],
)
def test_what_is_due(moment: datetime, session: date) -> None:
    """A session is due at 20:00 New York of its day, in summer and winter; on a holiday the one before it."""
    assert due_session(moment) == session


def test_published_is_quiet(hook: webhook.Webhook) -> None:
    """Where the session is published nothing is said, nor on the holiday and weekend after it."""
    run(DAY)
    for day in (DAY, date(2024, 3, 29), date(2024, 3, 31)):
        assert watch(evening(day)) is None
    assert hook.messages == []
    assert outbox() == []


def test_a_job_that_never_started(hook: webhook.Webhook) -> None:
    """One alert by 20:00, none for looking again, one the next evening, and one recovery with the next good run."""
    run(date(2024, 3, 26))
    for hour, minute in ((20, 0), (20, 5), (23, 0)):
        assert watch(evening(date(2024, 3, 27), hour, minute)) == (
            f"By {hour}:{minute:02} New York nothing was published for 2024-03-27."
        )
    (message,) = hook.messages
    assert message["title"] == "market-rotation: Nothing is published for 2024-03-27"
    assert "The warehouse shows 2024-03-26" in message["message"]
    assert "check that the scheduler and its worker are running" in message["message"]
    assert watch(evening(date(2024, 3, 28))) is not None
    run(date(2024, 4, 1))
    assert outbox() == [("not-published", "failure"), ("not-published", "reminder"), ("not-published", "recovery")]
    assert [m["type"] for m in hook.messages] == ["failure", "failure", "success"]
    assert watch(evening(date(2024, 4, 1))) is None


@pytest.mark.long_after(0)
def test_a_blocked_run_is_not_published(hook: webhook.Webhook) -> None:
    """That a run was tried is not enough."""
    run(date(2024, 3, 26))
    with warehouse.writing(Path("warehouse/build.duckdb")) as con:
        con.execute("update ops.runs set status = 'blocked', published = false")
    Path("warehouse/build.duckdb").replace(PUBLISHED)
    assert watch(evening(date(2024, 3, 26))) is not None


def test_there_never_was_a_warehouse(hook: webhook.Webhook) -> None:
    """Then an alert is sent, and readers get no empty file."""
    assert watch(evening(DAY)) is not None
    assert watch(evening(DAY, 21)) is not None
    (message,) = hook.messages
    assert "There is no warehouse at" in message["message"]
    assert not PUBLISHED.exists()


@pytest.mark.long_after(0)
def test_a_run_that_hangs(hook: webhook.Webhook) -> None:
    """While a run holds the warehouse the outbox is locked; the alert is sent directly and names the process."""
    run(date(2024, 3, 26))
    code = "import sys, duckdb; con = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, "warehouse/build.duckdb"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout
        assert other.stdout.readline() == b"open\n"
        assert f"is being written by process {other.pid}" in str(watch(evening(DAY)))
        other.communicate(b"")
    (message,) = hook.messages
    assert f"process {other.pid}" in message["message"]


@pytest.mark.long_after(0)
def test_a_build_database_that_is_gone(hook: webhook.Webhook) -> None:
    """Without it there is no outbox: one alert, none for looking again, a reminder the next day, and one recovery; nothing is created."""
    run(date(2024, 3, 26))
    build, before = Path("warehouse/build.duckdb"), PUBLISHED.read_bytes()
    build.unlink()
    for hour in (20, 21, 22, 23):
        assert watch(evening(date(2024, 3, 27), hour)) is not None
    (message,) = hook.messages
    assert "The warehouse shows 2024-03-26" in message["message"]
    assert not build.exists()
    assert PUBLISHED.read_bytes() == before
    watch(evening(DAY))
    assert hook.messages[-1]["title"].startswith("market-rotation: Still open after 24 hours")
    run(DAY)
    assert hook.messages[-1]["title"].startswith("market-rotation: Recovered after 24 hours")
    for hour in (21, 22):
        assert watch(evening(DAY, hour)) is None
    assert [m["type"] for m in hook.messages] == ["failure", "failure", "success"]
    assert not list(Path("warehouse").glob("watch*"))


@pytest.mark.long_after(0)
def test_another_machine_with_a_copy(hook: webhook.Webhook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that cannot be written, with nothing but the published file, is enough; what was alerted is then kept in XDG_STATE_HOME."""
    run(date(2024, 3, 26))
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "rotation.duckdb").write_bytes(PUBLISHED.read_bytes())
    monkeypatch.setenv("ROTATION_HOME", str(copy))
    # A folder in the file's place cannot be replaced, not even by root.
    (copy / "watch.json").mkdir()
    for hour in (20, 21):
        assert watch(evening(DAY, hour)) is not None
    assert len(hook.messages) == 1
    assert len(list((tmp_path / "state" / "market-rotation").glob("watch-*.json"))) == 1
    assert sorted(path.name for path in copy.iterdir()) == ["rotation.duckdb", "watch.json"]


def test_a_home_that_is_not_mounted(hook: webhook.Webhook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is alerted once, and nothing is created at the mount point; a channel that was down is tried again by the next call."""
    monkeypatch.setenv("ROTATION_HOME", str(tmp_path / "mount"))
    hook.status = 500
    assert watch(evening(DAY)) is not None
    hook.status = 200
    for hour in (21, 22):
        assert watch(evening(DAY, hour)) is not None
    (message,) = hook.messages
    assert "check that its disk is mounted" in message["message"]
    assert not (tmp_path / "mount").exists()


@pytest.mark.parametrize("is_writable", [True, False])
def test_a_failed_run_says_why_already(hook: webhook.Webhook, tmp_path: Path, is_writable: bool) -> None:
    """One alert for one cause: the watchdog adds none to that of the run, with and without the outbox. The next session is another matter."""
    run(date(2024, 3, 26))
    if not is_writable:
        Path("warehouse").rename("disk")
        Path("warehouse").mkdir()
    down = world.FakeSource({})
    assert world.run(down, date(2024, 3, 27)).status == "failed"
    assert watch(evening(date(2024, 3, 27))) == "By 20:00 New York nothing was published for 2024-03-27."
    assert [m["type"] for m in hook.messages] == ["failure"]
    assert hook.messages[0]["title"].endswith("Failed: 2024-03-27 is not published")
    assert watch(evening(DAY)) is not None
    assert [m["title"].rpartition(": ")[2] for m in hook.messages[1:]] == [f"Nothing is published for {DAY}"]


@pytest.mark.long_after(0)
def test_the_command(hook: webhook.Webhook, capsys: pytest.CaptureFixture[str]) -> None:
    """`rotation watch` exits 0 and says so when published, 3 with the sentence when not."""
    run(date(2024, 3, 26))
    assert watch_once(evening(date(2024, 3, 26))) == 0
    assert capsys.readouterr().out == "2024-03-26 is published.\n"
    assert watch_once(evening(DAY)) == 3
    assert capsys.readouterr().err == "By 20:00 New York nothing was published for 2024-03-28.\n"


@pytest.mark.long_after(0)
def test_a_channel_that_is_down(hook: webhook.Webhook) -> None:
    """What the watchdog could not send is sent with the next run."""
    run(date(2024, 3, 26))
    hook.status = 500
    assert watch(evening(DAY)) is not None
    hook.status = 200
    run(date(2024, 4, 1))
    assert [m["type"] for m in hook.messages] == ["failure", "success"]


@pytest.mark.long_after(0)
def test_the_flow_tells_the_truth(hook: webhook.Webhook) -> None:
    """The flow is Failed with the sentence when nothing was published, Completed when it was; the metrics say how far the data is behind."""
    run(date(2024, 3, 26))
    state = watchdog.fn(now=evening(date(2024, 3, 26)))
    assert (state.name, state.message) == ("Completed", "2024-03-26 is published.")
    state = watchdog.fn(now=evening(DAY))
    assert state.name == "Failed"
    assert state.message == "By 20:00 New York nothing was published for 2024-03-28."
    metrics = Path("warehouse/metrics/rotation.prom").read_text()
    assert 'market_rotation_sessions_behind{dataset="prices"} 2.0' in metrics


@pytest.fixture
def events() -> Iterator[EventsWorker]:
    """Prefect's events, kept in this process instead of sent to a server."""
    EventsWorker.set_client_override(AssertingEventsClient)
    worker = EventsWorker.instance()
    yield worker
    worker.drain()
    EventsWorker.set_client_override(None)


@pytest.mark.long_after(0)
def test_the_flow_that_tries_again(hook: webhook.Webhook, events: EventsWorker) -> None:
    """Failed while the channel is down, which schedules a retry; Completed when it accepted all, and when there is nothing to send."""
    run(date(2024, 3, 26))
    hook.status = 500
    moment = evening(DAY)
    watch(moment)
    states = [resend_alerts.fn(now=moment + timedelta(minutes=30))]
    hook.status = 200
    states += [resend_alerts.fn(now=moment + timedelta(hours=hours)) for hours in (1, 2)]
    assert [(state.name, state.message) for state in states] == [
        ("Failed", "Not accepted by 1:json (HTTP 500); pending alerts stay in the outbox."),
        ("Completed", "Sent."),
        ("Completed", "No alerts are pending."),
    ]
    assert os.environ["ROTATION_ALERT_URLS"] not in str(states)
    events.wait_until_empty()
    client = events._client
    assert isinstance(client, AssertingEventsClient)
    assert [event.event for event in client.events] == ["market-rotation.alert.undelivered"]
