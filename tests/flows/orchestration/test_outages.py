"""Outages of the worker, of the server and of its database, provoked with the real ones: alerted the same evening, and over with one recovery."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from drill import Drill, drilling
from postgresql import Database, databases
from processes import kill, until

from market_rotation.flows.cli.automations import freeing_crashed_runs, reporting_crashed_runs, reporting_late_runs

#: In use these are 15 minutes and 150 seconds; a run here is Late after 15 seconds and sends its only heartbeat at its start.
LATE, SILENT = timedelta(seconds=10), timedelta(seconds=30)
#: Where the notifications of the automations go, apart from the alerts of the job.
BLOCK = """
from prefect.blocks.notifications import CustomWebhookNotificationBlock
block = CustomWebhookNotificationBlock(name="alerts", url="http://127.0.0.1:{port}/prefect", json_data={{"title": "{{{{subject}}}}", "message": "{{{{body}}}}", "type": "prefect"}})
print(block.save("rotation-alerts", overwrite=True))
"""


def worker_killed(drill: Drill, session: date) -> None:
    """Killed in the middle of a run: Prefect's server says that it crashed, and the watchdog that nothing is published."""
    wanted: dict[str, Any] = freeing_crashed_runs(SILENT).model_dump(mode="json", exclude={"id", "owner_resource"})
    freeing = drill.prefect.ask("/automations/", wanted)
    with drill.prefect.worker() as worker:
        killed = drill.start(session)
        until(lambda: drill.prefect.flow_run(killed)["state_name"] == "Running", "the run begins")
        kill(worker)
    assert drill.watch(session) == 3
    until(lambda: any("crashed" in m["title"] for m in drill.hook.messages), "the server's notification")
    # A run that lives may take longer.
    drill.prefect.ask(f"/automations/{freeing['id']}", {"enabled": False}, "PATCH")
    assert [title for title in drill.take() if "crashed" not in title] == [f"Nothing is published for {session}"]
    with drill.prefect.worker():
        drill.recovers(session)


def worker_never_started(drill: Drill, session: date) -> None:
    """No worker takes the run: the server says that it is late, and the watchdog that nothing is published."""
    waiting = drill.start(session, timedelta(hours=2))
    until(lambda: any("is late" in m["title"] for m in drill.hook.messages), "the server's notification")
    assert drill.watch(session) == 3
    assert drill.watch(session) == 3  # once is enough
    assert [title for title in drill.take() if "is late" not in title] == [f"Nothing is published for {session}"]
    with drill.prefect.worker():
        assert drill.prefect.ended(waiting)["state_name"] == "Completed"
    assert drill.watch(session) == 0
    assert len(drill.take("success")) == 1


def server_down(drill: Drill, session: date) -> None:
    """Without the server nothing is scheduled; the watchdog needs none."""
    drill.prefect.stop_server()
    assert drill.watch(session) == 3
    assert drill.take() == [f"Nothing is published for {session}"]
    drill.prefect.start_server()
    with drill.prefect.worker():
        drill.recovers(session)


@pytest.mark.long_after(0)
def test_worker_and_server(tmp_path: Path, wheel: Path) -> None:
    """One outage after the other on one installation, as months of use would bring them."""
    with drilling(tmp_path, wheel, {}) as drill:
        block = UUID(drill.prefect.python(BLOCK.format(port=drill.hook.port)).strip())
        for automation in (reporting_late_runs(block, LATE), reporting_crashed_runs(block)):
            drill.prefect.ask("/automations/", automation.model_dump(mode="json", exclude={"id", "owner_resource"}))
        for outage in (worker_killed, worker_never_started, server_down):
            outage(drill, next(drill.sessions))


@pytest.fixture
def database() -> Iterator[Database]:
    with databases() as running:
        yield running


@pytest.mark.long_after(0)
def test_the_database_of_the_server(database: Database, tmp_path: Path, wheel: Path) -> None:
    """Gone, it stops all that the server schedules; the watchdog needs neither. Back again, server and worker go on by themselves."""
    with (
        drilling(tmp_path, wheel, {"PREFECT_SERVER_DATABASE_CONNECTION_URL": database.url}) as drill,
        drill.prefect.worker() as worker,
    ):
        session = next(drill.sessions)
        database.stop()
        until(lambda: not drill.prefect.is_healthy(), "the server notices")
        assert drill.watch(session) == 3
        assert drill.watch(session) == 3  # once is enough
        assert drill.take() == [f"Nothing is published for {session}"]
        database.start()
        drill.recovers(session)
        assert worker.poll() is None
