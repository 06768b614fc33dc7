"""Outages of what the job needs, provoked with a real server, worker, vendor, disk and webhook: alerted the same evening, and over with one recovery."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from itertools import repeat
from pathlib import Path

import pytest
import webhook
from drill import DAILY, Drill, drilling, evening
from vendor.fixtures import vendor, vendor_server  # noqa: F401
from vendor.server import Vendor

from market_rotation.tasks import calendar
from market_rotation.tasks.sources.simulated.source import SampleSource
from market_rotation.tasks.universe import load_universe


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[None]:
    """A file system in memory at `folder`, over what is there. Skips the test where mounting is not allowed."""
    folder.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", *options, "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a file system needs root")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def home(drill: Drill) -> Path:
    return Path(drill.prefect.environment["ROTATION_HOME"])


def fails(drill: Drill, session: date, after: timedelta = timedelta(0)) -> str:
    """A run of the evening that fails; the reason that the flow run shows."""
    flow_run = drill.prefect.ended(drill.start(session, after))
    assert flow_run["state_name"] == "Failed", drill.prefect.log("worker")[-3000:]
    return str(flow_run["state"]["message"])


def disk_not_mounted(drill: Drill, _: Vendor, session: date) -> None:
    """The folder of the warehouse is an empty one, or one that cannot be written: no new history is begun there."""
    for options in ((), ("-o", "ro")):
        with mounted(home(drill), *options):
            assert "mount its disk" in fails(drill, session)
            assert drill.watch(session) == 3
            assert [path.name for path in home(drill).iterdir()] == []
        assert len(drill.take("failure")) == 1, "one alert for one cause"
        drill.recovers(session)


def disk_full(drill: Drill, _: Vendor, session: date) -> None:
    """Nothing can be written any more; readers keep what they had."""
    ballast = home(drill) / "ballast"
    with ballast.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        for block in repeat(bytes(2**16)):
            file.write(block)
    assert "disk is full" in fails(drill, session)
    assert drill.watch(session) == 3
    ballast.unlink()
    assert len(drill.take("failure")) == 1, "one alert for one cause"
    drill.recovers(session)


def clock_behind(drill: Drill, _: Vendor, session: date) -> None:
    """By a month: the warehouse has bars of days that have not come yet."""
    assert "correct the clock" in fails(drill, session, timedelta(days=-30))
    assert len(drill.take("failure")) == 1
    drill.recovers(session)


def clock_ahead(drill: Drill, _: Vendor, session: date) -> None:
    """By a month: no symbol has a bar for weeks."""
    assert "correct the clock" in fails(drill, session, timedelta(days=30))
    assert len(drill.take("failure")) == 1
    drill.recovers(session)


def vendor_down(drill: Drill, vendor: Vendor, session: date) -> None:  # noqa: F811
    """For three evenings: an alert, then a reminder each evening, and one recovery."""
    vendor.fault("*", "http_500")
    kinds = []
    for _ in range(3):
        vendor.now = evening(session)
        assert "gave no usable answer for any of" in fails(drill, session)
        assert drill.watch(session) == 3
        kinds += drill.take("failure")
        session = next(drill.sessions)
    assert [kind.partition(":")[0] for kind in kinds] == [
        "Failed",
        "Still open after 24 hours",
        "Still open after 2 days",
    ]
    vendor.heal()
    vendor.now = evening(session)
    drill.recovers(session)


def channel_down(drill: Drill, vendor: Vendor, session: date) -> None:  # noqa: F811
    """On the evening on which it is needed: the dead man's switch is called, and the alert is sent as soon as the channel is back."""
    vendor.fault("*", "http_500")
    drill.hook.status = 500
    assert "gave no usable answer for any of" in fails(drill, session)
    assert [path for path, _ in drill.pings.calls] == ["/ping/start", "/ping/fail"]
    drill.hook.status = 200
    assert drill.take() == []
    sent = drill.prefect.run("resend-alerts/resend-alerts", now=(evening(session) + timedelta(hours=1)).isoformat())
    assert sent["state_name"] == "Completed", sent
    assert len(drill.take("failure")) == 1
    vendor.heal()
    drill.recovers(session)


OUTAGES = (disk_not_mounted, disk_full, clock_behind, clock_ahead, vendor_down, channel_down)


@pytest.mark.long_after(0)
def test_each_outage_is_alerted_and_recovers_once(vendor: Vendor, tmp_path: Path, wheel: Path) -> None:  # noqa: F811
    """One after the other on one installation, as months of use would bring them."""
    vendor.source = SampleSource(calendar.load(date(2005, 1, 3), date(2026, 11, 20)), load_universe().instruments)
    settings = {name: value for name, value in vendor.environment().items() if value and name != "NO_PROXY"}
    settings |= {
        "ROTATION_SOURCE": "yahoo",
        "ROTATION_FETCH_ATTEMPTS": "1",
        "XDG_STATE_HOME": os.environ["XDG_STATE_HOME"],
    }
    with webhook.serving() as pings, mounted(tmp_path / "warehouse", "-o", "size=128m"):
        settings["ROTATION_PING_URL"] = f"http://127.0.0.1:{pings.port}/ping"
        vendor.now = evening(date(2025, 12, 1))
        with drilling(tmp_path, wheel, settings) as drill:
            drill.pings = pings
            daily = drill.prefect.ask(f"/deployments/name/{DAILY}")
            variables = daily["job_variables"]
            # Else the flow run would ask again after one and after five minutes.
            variables["env"] = variables.get("env", {}) | {"ROTATION_FETCH_RETRIES": "0"}
            drill.prefect.ask(f"/deployments/{daily['id']}", {"job_variables": variables}, "PATCH")
            with drill.prefect.worker():
                for outage in OUTAGES:
                    session = next(drill.sessions)
                    vendor.now = evening(session)
                    pings.calls.clear()
                    outage(drill, vendor, session)
