"""Outages of the worker and of the server, provoked with a real server, worker and webhook: alerted the same evening, and over with one recovery."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import webhook
import world
from processes import kill, until
from server import Prefect, serving
from test_deployments import few

from market_rotation.flows.cli.automations import freeing_crashed_runs, reporting_crashed_runs, reporting_late_runs

DAILY = "daily-rotation/daily-rotation"
#: In use these are 15 minutes and 150 seconds; a run here is Late after 15 seconds and sends its only heartbeat at its start.
LATE, SILENT = timedelta(seconds=10), timedelta(seconds=30)
SIMULATED = "market-rotation (SIMULATED MARKET): "
#: Where the notifications of the automations go, apart from the alerts of the job.
BLOCK = """
from prefect.blocks.notifications import CustomWebhookNotificationBlock
block = CustomWebhookNotificationBlock(name="alerts", url="http://127.0.0.1:{port}/prefect", json_data={{"title": "{{{{subject}}}}", "message": "{{{{body}}}}", "type": "prefect"}})
print(block.save("rotation-alerts", overwrite=True))
"""


@dataclass
class Drill:
    """A server, a webhook, and the evenings of December 2025, one for each run that publishes."""

    prefect: Prefect
    hook: webhook.Webhook
    home: Path
    sessions: Iterator[date] = field(default_factory=lambda: iter(world.days(date(2025, 12, 1), date(2025, 12, 31))))

    def start(self, session: date, after: timedelta = timedelta(0)) -> str:
        """Starts the daily job of the evening of `session`; returns the identifier of its flow run."""
        return self.prefect.start(DAILY, now=(evening(session) + after).isoformat())

    def run(self, session: date, after: timedelta = timedelta(0)) -> str:
        """The job through the worker; its final state."""
        return str(self.prefect.ended(self.start(session, after))["state_name"])

    def watch(self, session: date) -> int:
        """`rotation watch` from a timer, at 20:00 New York of `session`: 0 published, 3 not."""
        moment = datetime.combine(session + timedelta(days=1), time(1, 0), UTC)
        call = f"import sys, datetime; from market_rotation.flows.cli.watch import watch_once; sys.exit(watch_once({moment!r}))"
        environment = {name: value for name, value in self.prefect.environment.items() if name != "PREFECT_API_URL"}
        return subprocess.run(
            [sys.executable, "-c", call], cwd=self.prefect.elsewhere, env=environment, check=False, capture_output=True
        ).returncode

    def take(self, kind: str | None = None) -> list[str]:
        """The titles of the messages since the last call, of one kind if given."""
        found = [m["title"].removeprefix(SIMULATED) for m in self.hook.messages if kind in (None, m["type"])]
        self.hook.messages.clear()
        return found

    def recovers(self, session: date, after: timedelta = timedelta(hours=3)) -> None:
        """The next run publishes `session`; one recovery is sent, and the watchdog has nothing to say."""
        self.hook.messages.clear()
        assert self.run(session, after) == "Completed", self.prefect.log("worker")[-3000:]
        assert [m["type"] for m in self.hook.messages] == ["success"], self.hook.messages
        assert self.watch(session) == 0
        assert len(self.take()) == 1


def evening(session: date) -> datetime:
    return datetime.combine(session, time(23, 30), UTC)


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


OUTAGES: tuple[Callable[[Drill, date], None], ...] = (worker_killed, worker_never_started, server_down)


@pytest.mark.long_after(0)
def test_each_outage_is_alerted_and_recovers_once(tmp_path: Path, wheel: Path) -> None:
    """One after the other on one installation, as months of use would bring them."""
    with webhook.serving() as hook:
        settings = few(tmp_path, date(2025, 11, 14)) | {
            "ROTATION_ALERT_URLS": hook.url(),
            "ROTATION_REPORT": "false",
            # Else each evening would be within the interval of the reminder before it.
            "ROTATION_ALERT_REPEAT_H": "20",
            # Of the server: a run that waits for its turn asks again after a second, not after thirty.
            "PREFECT_SERVER_DEPLOYMENTS_CONCURRENCY_SLOT_WAIT_SECONDS": "1",
        }
        with serving(tmp_path, wheel, settings) as prefect:
            prefect.rest()
            drill = Drill(prefect, hook, tmp_path / "warehouse")
            with prefect.worker():
                assert drill.run(next(drill.sessions)) == "Completed"
            block = UUID(prefect.python(BLOCK.format(port=hook.port)).strip())
            for automation in (reporting_late_runs(block, LATE), reporting_crashed_runs(block)):
                prefect.ask("/automations/", automation.model_dump(mode="json", exclude={"id", "owner_resource"}))
            assert drill.take() == []
            for outage in OUTAGES:
                outage(drill, next(drill.sessions))
