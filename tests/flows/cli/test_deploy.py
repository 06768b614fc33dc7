"""What `rotation deploy` gives to `prefect deploy`: prefect.yaml, with what is paused so."""

from __future__ import annotations

from typing import Any

from prefect_server import deployments

from market_rotation.flows.cli.deploy import Paused, file_with

CRON, ZONE = "30 18 * * 1-5", "America/New_York"


def deployed(paused: dict[str, Paused], disabled: tuple[str, ...] = ()) -> dict[str, dict[str, Any]]:
    return {deployment["name"]: deployment for deployment in file_with(paused, disabled)["deployments"]}


def test_where_nothing_is_paused_it_is_the_file() -> None:
    """Everything is active, and nothing else differs from prefect.yaml."""
    found = deployed({})
    for wanted in deployments():
        got = found.pop(wanted["name"])
        assert got.pop("paused") is False
        assert all(schedule.pop("active") for schedule in got.get("schedules", []))
        assert all(trigger.pop("enabled") for trigger in got.get("triggers", []))
        assert got == wanted
    assert found == {}


def test_a_paused_schedule_stays_paused_and_no_other() -> None:
    """The schedule that the server has is found by its time and zone; those of other deployments stay active."""
    found = deployed({"daily-rotation": Paused(False, {(CRON, ZONE)}), "watchdog": Paused(False, {(CRON, "UTC")})})
    assert [schedule["active"] for schedule in found["daily-rotation"]["schedules"]] == [False]
    assert [schedule["active"] for schedule in found["watchdog"]["schedules"]] == [True]
    assert not found["daily-rotation"]["paused"]


def test_a_newer_file_with_another_time_resumes_nothing() -> None:
    """Where each schedule on the server is paused, one at another time is paused as well."""
    found = deployed({"daily-rotation": Paused(False, {("0 17 * * 1-5", ZONE)}, every_schedule=True)})
    assert [schedule["active"] for schedule in found["daily-rotation"]["schedules"]] == [False]


def test_a_paused_deployment_and_a_disabled_automation() -> None:
    """Both stay as they are."""
    found = deployed({"backfill": Paused(True)}, ("rotation-resend-undelivered-alerts",))
    assert [name for name, deployment in found.items() if deployment["paused"]] == ["backfill"]
    assert [trigger["enabled"] for trigger in found["resend-alerts"]["triggers"]] == [False]
