"""Prefect's server is down, or dies in the middle of a run: the data is published without delay, with one warning and no traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any
from urllib.request import Request

import pytest
import world
from prefect_server import DIRECT, environment, serving
from processes import DEADLINE_S, free_port, kill, until

from market_rotation.tasks import warehouse

SESSION = date(2024, 2, 2)
#: From the death of the server to the end of the run. Prefect's own retries took five minutes.
LIMIT_S = 30.0

#: A source that waits, so that a test can end the server while the run is being fetched.
WAITING_SOURCE = """
import os, time
from pathlib import Path
from market_rotation.tasks.sources.base import price_frame

class Waiting:
    name = "waiting"
    datasets = frozenset({"prices"})

    @classmethod
    def open(cls, context):
        made = cls()
        made.calendar = context.calendar
        return made

    def prices(self, symbol, start, end):
        folder = Path(os.environ["WAITING_FOLDER"])
        (folder / "requested").touch()
        while not (folder / "go").exists():
            time.sleep(0.05)
        days = self.calendar.sessions(start, end)
        closes = [100.0 + (i * 7) % 11 for i in range(len(days))]
        return price_frame({"symbol": symbol, "session": days, "close": closes, "dividend": 0.0, "capital_gain": 0.0, "split_ratio": 1.0})
"""


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, str]:
    """Settings of two funds of the waiting source, with the warehouse in the test's folder."""
    site = tmp_path / "site"
    (site / "waiting-1.0.dist-info").mkdir(parents=True)
    (site / "waiting-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: waiting\nVersion: 1.0\n")
    (site / "waiting-1.0.dist-info" / "entry_points.txt").write_text(
        "[market_rotation.sources]\nwaiting = waiting:Waiting\n"
    )
    (site / "waiting.py").write_text(WAITING_SOURCE)
    members = world.universe(world.instrument("SPY"), world.instrument("IWM"), pairs=[("IWM", "SPY")])
    return {
        "ROTATION_HOME": str(tmp_path / "warehouse"),
        "ROTATION_SOURCE": "waiting",
        "ROTATION_UNIVERSE": str(world.write_universe(tmp_path, members)),
        "ROTATION_HISTORY_START": "2024-01-02",
        "ROTATION_REPORT": "false",
        "WAITING_FOLDER": str(tmp_path),
    }


def rotation_run(folder: Path, settings: dict[str, str], url: str) -> subprocess.Popen[bytes]:
    """`rotation run` with Prefect's server at `url`; what it prints goes to `run.log`."""
    own = environment(folder / "prefect-of-the-run", **settings, PREFECT_API_URL=url)
    own["PYTHONPATH"] = os.pathsep.join([str(folder / "site"), str(world.REPOSITORY)])
    with (folder / "run.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "market_rotation", "run", "--session", str(SESSION)],
            cwd=folder,
            env=own,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )


@contextmanager
def server(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A Prefect server of its own, and its address."""
    url = f"http://127.0.0.1:{free_port()}/api"
    port = url.split(":")[2].split("/")[0]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", port, "--no-ui"],
            cwd=folder,
            env=environment(folder / "prefect-of-the-server", PREFECT_API_URL=url),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )

    def answers() -> bool:
        try:
            return bool(DIRECT.open(f"{url}/health", timeout=5).read())
        except OSError:
            return False

    try:
        until(lambda: answers() or process.poll() is not None, "the server answers")
        assert process.poll() is None, (folder / "server.log").read_text()
        yield process, url
    finally:
        kill(process)


def published(folder: Path) -> list[tuple[object, ...]]:
    with warehouse.reading(folder / "warehouse" / "rotation.duckdb") as con:
        assert con.execute("select max(session) from core.prices").fetchone() == (SESSION,)
        return con.execute("select status, session, published from ops.runs").fetchall()


def test_no_server(settings: dict[str, str], tmp_path: Path) -> None:
    """As with cron after a reboot: the run goes on without Prefect, says so once, and is recorded."""
    (tmp_path / "go").touch()
    began = time.monotonic()
    process = rotation_run(tmp_path, settings, f"http://127.0.0.1:{free_port()}/api")
    assert process.wait(DEADLINE_S) == 0, (tmp_path / "run.log").read_text()
    took, said = time.monotonic() - began, (tmp_path / "run.log").read_text()
    assert took < 2 * LIMIT_S
    assert said.count("does not answer; the run continues without Prefect") == 1
    assert "Traceback" not in said
    assert published(tmp_path) == [("published", SESSION, True)]


@pytest.mark.long_after(0)
def test_a_server_that_answers(settings: dict[str, str], tmp_path: Path) -> None:
    """The run is a completed flow run there, with the events of its steps and of its outcome."""
    (tmp_path / "go").touch()
    with server(tmp_path) as (_, url):
        assert rotation_run(tmp_path, settings, url).wait(DEADLINE_S) == 0, (tmp_path / "run.log").read_text()

        def found(path: str, body: dict[str, object]) -> Any:
            request = Request(url + path, json.dumps(body).encode(), {"Content-Type": "application/json"})  # noqa: S310
            return json.loads(DIRECT.open(request, timeout=60).read())

        (run,) = found("/flow_runs/filter", {})
        assert run["state_type"] == "COMPLETED"
        wanted = {"filter": {"event": {"name": ["market-rotation.run.published"]}}, "limit": 50}
        assert len(until(lambda: found("/events/filter", wanted)["events"], "the event arrives", 30)) == 1
        tasks = found("/task_runs/filter", {})
        assert [task["state_type"] for task in tasks if task["name"].startswith("publish")] == ["COMPLETED"]
    assert "Prefect" not in (tmp_path / "run.log").read_text()


@pytest.mark.long_after(0)
def test_the_server_dies_during_a_run(settings: dict[str, str], tmp_path: Path) -> None:
    """`rotation run` publishes, ends soon with exit code 0, and says once that Prefect could not be told."""
    with server(tmp_path) as (process, url):
        run = rotation_run(tmp_path, settings, url)
        try:
            until(lambda: (tmp_path / "requested").exists() or run.poll() is not None, "the run fetches")
            assert run.poll() is None, (tmp_path / "run.log").read_text()
            kill(process)
            killed = time.monotonic()
            (tmp_path / "go").touch()
            code = run.wait(DEADLINE_S)
            took = time.monotonic() - killed
        finally:
            kill(run)
    said = (tmp_path / "run.log").read_text()
    assert code == 0, said
    assert took < LIMIT_S, f"{took:.0f} s\n{said}"
    assert "Traceback" not in said
    warnings = [line for line in said.splitlines() if "Prefect" in line]
    assert len(warnings) == 1, said
    assert published(tmp_path) == [("published", SESSION, True)]


@pytest.mark.long_after(0)
def test_the_server_dies_during_a_run_of_a_worker(settings: dict[str, str], tmp_path: Path, wheel: Path) -> None:
    """The run of a deployment completes what it does for readers: the session is published and recorded."""
    with serving(tmp_path, wheel, settings) as prefect:
        prefect.environment["PYTHONPATH"] += os.pathsep + str(tmp_path / "site")
        prefect.rest()
        with prefect.worker():
            prefect.start("daily-rotation/daily-rotation", session=str(SESSION))
            until(lambda: (tmp_path / "requested").exists(), "the run fetches")
            kill(prefect.server)
            (tmp_path / "go").touch()
            until(lambda: (tmp_path / "warehouse" / "rotation.duckdb").exists(), "the run publishes")
    assert published(tmp_path) == [("published", SESSION, True)]
