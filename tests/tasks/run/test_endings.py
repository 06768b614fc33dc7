"""How runs end: each bad end is recorded, alerted, and described in one true sentence; readers keep the previous state."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import webhook
import world
from click.testing import CliRunner

from market_rotation.flows.cli.main import main
from market_rotation.tasks import warehouse
from market_rotation.tasks.errors import ConfigError, RotationError, UsageError
from market_rotation.tasks.run import pipeline
from market_rotation.tasks.run.context import Parameters
from market_rotation.tasks.settings import load_settings

DAYS = world.days()
SYMBOLS = ["SPY", "IWM"]
PUBLISHED, BUILD = Path("warehouse/rotation.duckdb"), Path("warehouse/build.duckdb")


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[webhook.Webhook]:
    with webhook.serving() as server:
        monkeypatch.setenv("ROTATION_ALERT_URLS", server.url())
        yield server


pytestmark = pytest.mark.usefixtures("two_symbols")


def market() -> world.FakeSource:
    return world.FakeSource({s: world.bars(s, [100.0 + (i * 7) % 11 for i in range(40)]) for s in SYMBOLS})


def evening(day: date, hours: float = 0) -> datetime:
    return datetime(day.year, day.month, day.day, 23, 30, tzinfo=UTC) + timedelta(hours=hours)


def run(day: date, hours: float = 0, **steps: Any) -> Any:
    """A run on the evening of `day` with some steps replaced; nothing is raised for what a run handles itself."""
    made = pipeline.Steps(fetch=world.fetch_in_order)
    return pipeline.run(Parameters(evening(day, hours), day), replace(made, **steps), market())


def runs(path: Path = PUBLISHED) -> list[tuple[Any, ...]]:
    with warehouse.reading(path) as con:
        return con.execute("select session, status, published from ops.runs order by run_id").fetchall()


def latest(path: Path = PUBLISHED) -> date:
    with warehouse.reading(path) as con:
        (found,) = con.execute("select max(session) from core.prices").fetchone() or (None,)
        return found


def raising(error: BaseException) -> Any:
    def step(*_: object) -> None:
        raise error

    return step


@pytest.mark.long_after(1)
@pytest.mark.parametrize("step", ["plan", "fetch", "stage", "audit", "load", "derive", "publish"])
def test_an_unforeseen_error_in_any_step(hook: webhook.Webhook, step: str) -> None:
    """It fails the run, in the readers' ledger too, is alerted once, and the next run publishes the session."""
    run(DAYS[20])
    failed = run(DAYS[21], **{step: raising(ZeroDivisionError("division by zero"))})
    assert (failed.status, failed.published, type(failed.error)) == ("failed", False, ZeroDivisionError)
    assert runs()[-1] == (DAYS[21], "failed", False)
    assert latest() == DAYS[20]
    assert [message["title"] for message in hook.messages] == [f"market-rotation: Failed: {DAYS[21]} is not published"]
    assert "ZeroDivisionError: division by zero" in hook.messages[0]["message"]
    assert run(DAYS[21], 1).status == "published"
    assert latest() == DAYS[21]
    assert [message["type"] for message in hook.messages] == ["failure", "success"]


@pytest.mark.long_after(0)
def test_what_was_built_and_not_published_is_published_by_the_next_run(hook: webhook.Webhook) -> None:
    """A run that failed between building and publishing leaves nothing to fetch; the next run publishes its data."""
    run(DAYS[20])
    run(DAYS[21], publish=raising(OSError(28, "No space left on device")))
    assert "disk is full" in hook.messages[0]["message"]
    # Neither another run that fails nor a change outside a run publishes them; both are on record.
    run(DAYS[21], 1, audit=raising(ZeroDivisionError("division by zero")))
    with warehouse.amend(load_settings()) as con:
        con.execute("insert into ops.closures values ('2025-01-09', 'mourning', 'anna', now())")
    assert latest() == DAYS[20]
    assert runs()[-2:] == [(DAYS[21], "failed", False)] * 2
    with warehouse.reading(PUBLISHED) as con:
        assert con.execute("select count(*) from ops.closures").fetchone() == (1,)
    source = market()
    made = pipeline.run(Parameters(evening(DAYS[21], 2), DAYS[21]), pipeline.Steps(fetch=world.fetch_in_order), source)
    assert (made.status, source.asked) == ("published", [])
    assert latest() == DAYS[21]


@pytest.mark.long_after(0)
@pytest.mark.parametrize(
    ("error", "alerts"), [(KeyboardInterrupt(), 0), (SystemExit(143), 1)], ids=["Ctrl-C", "SIGTERM"]
)
def test_a_run_that_is_stopped(hook: webhook.Webhook, error: BaseException, alerts: int) -> None:
    """What stops the process is recorded and passed on. SIGTERM is alerted; Ctrl-C is not, since a person is at the terminal."""
    run(DAYS[20])
    with pytest.raises(type(error)):
        run(DAYS[21], audit=raising(error))
    assert runs()[-1] == (DAYS[21], "failed", False)
    assert len(hook.messages) == alerts
    assert latest() == DAYS[20]


@pytest.mark.long_after(0)
@pytest.mark.parametrize("step", ["report", "alert"])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(143)], ids=["Ctrl-C", "SIGTERM"])
def test_a_run_that_is_stopped_after_publishing(hook: webhook.Webhook, step: str, error: BaseException) -> None:
    """Readers have the session: the run stays published, or up to date, and its message says so."""
    with pytest.raises(type(error)) as raised:
        run(DAYS[20], **{step: raising(error)})
    assert raised.value.__notes__[-1].startswith(f"Published {DAYS[20]}.")
    assert runs() == [(DAYS[20], "published", True)]
    with warehouse.reading(PUBLISHED) as con:
        (message,) = con.execute("select message from ops.runs").fetchone() or ("",)
    assert message.startswith(f"Published {DAYS[20]}.")
    assert "after publishing" in message
    with pytest.raises(type(error)):
        run(DAYS[20], 1, **{step: raising(error)})
    assert runs()[1:] == [(DAYS[20], "up_to_date", False)]
    assert hook.messages == []


@pytest.mark.long_after(0)
@pytest.mark.parametrize("wrong", ["universe", "setting"])
def test_a_wrong_setting(hook: webhook.Webhook, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, wrong: str) -> None:
    """It is recorded and alerted, once per window, and its end is alerted once."""
    run(DAYS[20])
    if wrong == "universe":
        (tmp_path / "broken.csv").write_text("symbol,name\n")
        monkeypatch.setenv("ROTATION_UNIVERSE", str(tmp_path / "broken.csv"))
    else:
        monkeypatch.setenv("ROTATION_FETCH_ATTEMPTS", "many")
    good = os.environ["ROTATION_UNIVERSE"] if wrong == "setting" else str(tmp_path / "universe.csv")
    for hours in (0, 1):
        made = run(DAYS[21], hours)
        assert (made.status, isinstance(made.error, ConfigError)) == ("failed", True)
    assert runs()[1:] == [(DAYS[21], "failed", False)] * 2
    assert [message["title"] for message in hook.messages] == [
        f"market-rotation: Not started: {DAYS[21]} is not published, a setting or file is wrong"
    ]
    monkeypatch.setenv("ROTATION_UNIVERSE", good)
    monkeypatch.delenv("ROTATION_FETCH_ATTEMPTS", raising=False)
    assert run(DAYS[21], 2).status == "published"
    assert [message["type"] for message in hook.messages] == ["failure", "success"]


def test_a_wrong_setting_before_there_is_a_warehouse(hook: webhook.Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is alerted without an outbox, and no empty warehouse is made."""
    monkeypatch.setenv("ROTATION_FETCH_ATTEMPTS", "many")
    assert run(DAYS[20]).status == "failed"
    assert len(hook.messages) == 1
    assert not Path("warehouse").exists()


def test_a_warehouse_that_cannot_be_written(hook: webhook.Webhook) -> None:
    """A home that is not there, as when its disk is not mounted, fails the run and is alerted without the outbox, as is its end."""
    Path("warehouse").write_text("not a folder")
    made = run(DAYS[20])
    assert (made.status, made.published) == ("failed", False)
    assert len(hook.messages) == 1
    assert "There is no warehouse" in hook.messages[0]["message"]
    # Alerted without the outbox, its end is alerted all the same, once.
    Path("warehouse").unlink()
    for day in (20, 21):
        assert run(DAYS[day]).status == "published"
    assert [m["type"] for m in hook.messages[1:]] == ["success"]


def test_a_wrong_parameter_is_no_incident(hook: webhook.Webhook) -> None:
    """The caller gets the error; nothing is recorded or alerted."""
    with pytest.raises(UsageError, match="is not a session"):
        pipeline.run(Parameters(evening(DAYS[20]), date(2024, 1, 6)), source=market())
    assert hook.messages == []
    assert not Path("warehouse").exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.long_after(0)
def test_a_full_disk(hook: webhook.Webhook, small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the disk is full, readers keep their file, the run is failed and alerted, and it heals once there is room."""
    monkeypatch.setenv("ROTATION_HOME", str(small_disk))
    published = small_disk / "rotation.duckdb"
    assert run(DAYS[20]).status == "published"
    before = published.read_bytes()
    filler = small_disk / "filler"
    free = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize
    filler.write_bytes(b"x" * (free - 64 * 1024))
    made = run(DAYS[21])
    assert (made.status, made.published) == ("failed", False)
    assert published.read_bytes() == before
    assert len(hook.messages) == 1
    filler.unlink()
    assert run(DAYS[21], 1).status == "published"
    assert latest(published) == DAYS[21]


@pytest.mark.long_after(0)
def test_sigterm_of_the_command(hook: webhook.Webhook, tmp_path: Path) -> None:
    """`rotation run` stopped as systemd and Kubernetes do it: recorded, alerted, exit code 143, nothing published."""
    script = (
        "import os, signal, sys\n"
        "from market_rotation.tasks.run import pipeline\n"
        "def stop(context): os.kill(os.getpid(), signal.SIGTERM)\n"
        "pipeline.audit = stop\n"
        "pipeline.Steps.__init__.__defaults__ = tuple(stop if f.__name__ == 'audit' else f for f in pipeline.Steps.__init__.__defaults__)\n"
        "sys.argv = ['rotation', 'run', '--session', '2024-02-01', '--source', 'sample']\n"
        "from market_rotation.flows.cli.main import main\n"
        "main()\n"
    )
    environment = os.environ | {"ROTATION_HOME": str(tmp_path / "home")}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 128 + signal.SIGTERM, done.stderr
    assert "Traceback" not in done.stderr
    assert [message["title"].partition(": ")[2] for message in hook.messages] == [
        "Stopped: 2024-02-01 is not published"
    ]
    assert runs(tmp_path / "home" / "rotation.duckdb") == [(date(2024, 2, 1), "failed", False)]


def test_exit_codes_of_the_command(monkeypatch: pytest.MonkeyPatch, hook: webhook.Webhook) -> None:
    """2 for a wrong setting or parameter, 1 for a failed run, and one sentence each."""
    monkeypatch.setenv("ROTATION_SOURCE", "files")
    no_folder = CliRunner().invoke(main, ["run"])
    assert (no_folder.exit_code, no_folder.output.count("\n")) == (2, 1)
    assert "ROTATION_FILES is not set" in no_folder.output
    no_session = CliRunner().invoke(main, ["run", "--session", "2024-01-06", "--source", "sample"])
    assert no_session.exit_code == 2
    assert "is not a session" in no_session.output


def test_a_limit_of_memory(hook: webhook.Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    """DuckDB keeps within the limit in every step; where that is too little, the run says which setting to raise, and publishes nothing."""
    seen = []

    def build(context: Any) -> None:
        (limit,) = context.con.execute("select current_setting('memory_limit')").fetchone()
        seen.append(limit)
        pipeline.derive(context)

    monkeypatch.setenv("ROTATION_MEMORY_LIMIT", "300MB")
    assert run(DAYS[20], derive=build).status == "published"
    assert seen == ["286.1 MiB"]

    monkeypatch.setenv("ROTATION_MEMORY_LIMIT", "12MB")
    failed = run(DAYS[21])
    assert failed.status == "failed"
    assert "raise ROTATION_MEMORY_LIMIT" in failed.message
    assert "Nothing was published" in failed.message
    assert latest() == DAYS[20]
    assert "raise ROTATION_MEMORY_LIMIT" in str(hook.messages[-1])

    monkeypatch.delenv("ROTATION_MEMORY_LIMIT")
    assert run(DAYS[21], hours=1).status == "published"


@pytest.mark.parametrize("value", ["2", "much", "2 gigabytes", "-2GB", "80%"])
def test_a_limit_of_memory_that_is_no_size(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit without a number and a unit is refused with the form it must have."""
    monkeypatch.setenv("ROTATION_MEMORY_LIMIT", value)
    result = CliRunner().invoke(main, ["run"])
    assert result.exit_code == 2
    assert "ROTATION_MEMORY_LIMIT" in result.output
    assert "2GB" in result.output


def test_queries_before_the_first_good_run() -> None:
    """What reads derived tables says that no run has published data; it does not speak of an older version."""
    assert run(DAYS[20], audit=raising(ValueError("a fault"))).status == "failed"
    with pytest.raises(RotationError, match="has no data yet"), warehouse.reading(PUBLISHED) as con:
        con.execute("from core.prices")
    assert runs() == [(DAYS[20], "failed", False)]


@pytest.fixture
def interrupted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Any], None]]:
    """Executes an endless statement on a connection, which Ctrl-C interrupts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def execute(con: Any) -> None:
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        con.execute("select count(*) from range(1000000000) as a, range(1000000000) as b")

    yield execute
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_during_a_statement(interrupted: Callable[[Any], None], hook: webhook.Webhook) -> None:
    """The run is interrupted like anywhere else, not failed for a reason of DuckDB's, and nobody is alerted."""
    with pytest.raises(KeyboardInterrupt) as stop:
        run(DAYS[20], derive=lambda context: interrupted(context.con))
    assert stop.value.__notes__ == [
        "It was interrupted with Ctrl-C before anything was published; the next run repeats it."
    ]
    assert hook.messages == []


def test_ctrl_c_during_a_query(interrupted: Callable[[Any], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """`rotation sql` ends with a word and the exit code of an interruption."""
    assert run(DAYS[20]).status == "published"
    monkeypatch.setattr("market_rotation.flows.cli.sql.with_comments", lambda con, query: interrupted(con))
    result = CliRunner().invoke(main, ["sql", "select 1"])
    assert (result.exit_code, result.output) == (130, "Interrupted.\n")
