"""The worker and its flow run killed in the middle of a run, as when the machine loses power: what Prefect makes of it, and what the warehouse."""

from __future__ import annotations

import shutil
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
import world
from campaigns.scenarios import content
from prefect_server import Prefect, serving
from processes import kill, until
from test_deployments import few
from vendor.fixtures import vendor, vendor_server  # noqa: F401
from vendor.server import Vendor

from market_rotation.flows.cli.automations import freeing_crashed_runs
from market_rotation.tasks import calendar, warehouse
from market_rotation.tasks.sources.simulated.source import SampleSource
from market_rotation.tasks.sources.yahoo.source import MarketSource
from market_rotation.tasks.universe import load_universe

BEFORE, SPLIT = date(2025, 12, 4), date(2025, 12, 5)
TABLES = ("raw", "core", "signals")
#: Less than flow runs leave between two heartbeats, but this one gives only its first.
SILENT = timedelta(seconds=30)


def evening(session: date) -> datetime:
    return datetime.combine(session, time(23, 30), UTC)


@pytest.fixture
def settings(vendor: Vendor, tmp_path: Path) -> dict[str, str]:  # noqa: F811
    """What leads a worker to this test's vendor, and to a warehouse with all sessions before the split of XLK."""
    vendor.source = SampleSource(calendar.load(date(2005, 1, 3), date(2026, 11, 20)), load_universe().instruments)
    vendor.now = evening(BEFORE)
    own = few(tmp_path, date(2025, 9, 2)) | {
        "ROTATION_SOURCE": "yahoo",
        # Longer than the test: what hangs, hangs until it is killed.
        "ROTATION_FETCH_TIMEOUT_S": "300",
        # Of Prefect's server: a run that waits for its turn asks again after a second, not after thirty.
        "PREFECT_SERVER_DEPLOYMENTS_CONCURRENCY_SLOT_WAIT_SECONDS": "1",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in own.items():
            patch.setenv(name, value)
        assert run(BEFORE) == "published"
        shutil.copytree(tmp_path / "warehouse", tmp_path / "undisturbed")
        patch.setenv("ROTATION_HOME", str(tmp_path / "undisturbed"))
        vendor.now = evening(SPLIT)
        assert run(SPLIT) == "published"
    return own | {name: value for name, value in vendor.environment().items() if value and name != "NO_PROXY"}


def run(session: date) -> str:
    """The job without Prefect, and how it ended."""
    members = load_universe(Path("universe.csv"))
    return world.run(
        MarketSource(members.instruments, 20, calendar.load(date(2005, 1, 3), date(2026, 12, 31))),
        session,
        evening(session),
    ).status


def automation_of(silent: timedelta) -> dict[str, Any]:
    """What `rotation deploy` makes, with another patience."""
    wanted: dict[str, Any] = freeing_crashed_runs(silent).model_dump(mode="json", exclude={"id", "owner_resource"})
    return wanted


def state(prefect: Prefect, run_id: str) -> str:
    return str(prefect.flow_run(run_id)["state"]["name"])


@pytest.mark.long_after(0)
def test_killed_in_the_middle_of_a_run(vendor: Vendor, settings: dict[str, str], tmp_path: Path, wheel: Path) -> None:  # noqa: F811
    """Readers notice nothing; once the heartbeat is missed the dead run is Crashed, the next one gets its turn and ends where an undisturbed one does."""
    published = tmp_path / "warehouse" / "rotation.duckdb"
    before = published.read_bytes()
    vendor.fault("XLE", "hang")
    with serving(tmp_path, wheel, settings) as prefect:
        prefect.rest()
        automation = prefect.ask("/automations/", automation_of(SILENT))
        with prefect.worker() as worker:
            asked = vendor.count("/chart/XLE")
            killed = prefect.start("daily-rotation/daily-rotation", now=evening(SPLIT).isoformat())
            vendor.wait_for_request("/chart/XLE", timeout_s=180, since=asked)
            with (
                pytest.raises(Exception, match="is being written by process"),
                warehouse.writing(published.with_name("build.duckdb")),
            ):
                pass
            kill(worker)
        assert state(prefect, killed) == "Running"
        assert published.read_bytes() == before
        vendor.heal()

        with prefect.worker():
            again = prefect.start("daily-rotation/daily-rotation", now=evening(SPLIT).isoformat())
            until(lambda: state(prefect, again) == "AwaitingConcurrencySlot", "the next run waits for its turn")
            until(lambda: state(prefect, killed) == "Crashed", "the dead run is noticed")
            # The next one lives, though it may take longer than half a minute.
            prefect.ask(f"/automations/{automation['id']}", {"enabled": False}, "PATCH")
            done = prefect.ended(again)
    assert (done["state_name"], done["run_count"]) == ("Completed", 1), prefect.log("worker")
    assert done["state"]["message"].startswith(f"Published {SPLIT}.")
    assert content(published, TABLES) == content(tmp_path / "undisturbed" / "rotation.duckdb", TABLES)
    with warehouse.reading(published) as con:
        assert con.execute("select status from ops.runs order by run_id").fetchall() == [
            ("published",),
            ("failed",),
            ("published",),
        ]
