"""Outages provoked on a real installation: the daily job through server and worker, the watchdog from a timer, and a webhook for what they say."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import webhook
import world
from prefect_server import Prefect, serving
from test_deployments import few

DAILY = "daily-rotation/daily-rotation"
SIMULATED = "market-rotation (SIMULATED MARKET): "
SENDER = "market-rotation: "


@dataclass
class Drill:
    """A server, a webhook, and the evenings of December 2025, one for each run that publishes."""

    prefect: Prefect
    hook: webhook.Webhook
    pings: webhook.Webhook | None = None
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
        found = [
            m["title"].removeprefix(SIMULATED).removeprefix(SENDER)
            for m in self.hook.messages
            if kind in (None, m["type"])
        ]
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


@contextmanager
def drilling(folder: Path, wheel: Path, settings: Mapping[str, str]) -> Iterator[Drill]:
    """An installation of `wheel` in `folder` on which the job of the first evening has published, without an alert."""
    with webhook.serving() as hook:
        own = few(folder, date(2025, 11, 14)) | {
            "ROTATION_ALERT_URLS": hook.url(),
            "ROTATION_REPORT": "false",
            # Else each evening would be within the interval of the reminder before it.
            "ROTATION_ALERT_REPEAT_H": "20",
            # Of the server: a run that waits for its turn asks again after a second, not after thirty.
            "PREFECT_SERVER_DEPLOYMENTS_CONCURRENCY_SLOT_WAIT_SECONDS": "1",
        }
        with serving(folder, wheel, own | dict(settings)) as prefect:
            prefect.rest()
            drill = Drill(prefect, hook)
            with prefect.worker():
                assert drill.run(next(drill.sessions)) == "Completed", prefect.log("worker")[-3000:]
            assert drill.take() == []
            yield drill
