"""The deployments of prefect.yaml on a genuine Prefect server: deployed as the README says, run by a worker, seen through the API."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import webhook
import world
from campaigns import deploying
from campaigns.part import Part
from prefect_server import Prefect, deployments, files, serving
from processes import until

from market_rotation.tasks.universe import Universe, load_universe

SYMBOLS = ("SPY", "IWB", "IWM", "XLK", "XLE", "VB")
TABLES = ("core.prices", "core.fund_nav", "core.fund_flows", "signals.relative_strength", "signals.rotation_regime")
#: These only read the published warehouse, cope with one that is being written, or open none.
BESIDE_A_RUN = {"watchdog", "rebuild", "fetch"}
EVENTS = "market-rotation."


def few(folder: Path, history_start: date) -> dict[str, str]:
    """Settings of six funds of the simulated market, with the warehouse in `folder`."""
    shipped = world.with_file_issuers(load_universe())
    chosen = tuple(i for i in shipped.instruments if i.symbol in SYMBOLS)
    pairs = tuple(p for p in shipped.pairs if p.small_symbol == "IWM")
    return {
        "ROTATION_HOME": str(folder / "warehouse"),
        "ROTATION_SOURCE": "sample",
        "ROTATION_UNIVERSE": str(world.write_universe(folder, Universe(instruments=chosen, pairs=pairs))),
        "ROTATION_HISTORY_START": str(history_start),
        "ROTATION_EARNINGS_CONSTITUENTS": "0",
    }


# ---- the file ----


@pytest.mark.parametrize("deployment", deployments(), ids=lambda d: str(d["name"]))
def test_every_deployment_says_what_it_is(deployment: dict[str, Any]) -> None:
    """Each has a description, tags and the pool, never two runs that write one warehouse, and New York's time for its schedules."""
    assert deployment["description"].endswith(".")
    assert "rotation" in deployment["tags"]
    assert deployment["work_pool"]["name"] == "rotation"
    if deployment["name"] not in BESIDE_A_RUN:
        limit = deployment["concurrency_limit"]
        assert limit["limit"] == 1
        assert limit["collision_strategy"] in ("ENQUEUE", "CANCEL_NEW")
    for schedule in deployment.get("schedules", []):
        assert schedule["timezone"] == "America/New_York"


# ---- three evenings ----


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> dict[str, Any]:
    """What a server, its worker and a webhook saw on three evenings of December 2025: a good one, a holiday, and one with a bad batch."""
    folder = world.made_once(tmp_path_factory, "evenings", partial(three_evenings, wheel))
    return dict(json.loads((folder / "seen.json").read_text()))


def three_evenings(wheel: Path, folder: Path) -> None:
    seen: dict[str, Any] = {}
    with webhook.serving() as hook:
        settings = few(folder, date(2025, 11, 14)) | {"ROTATION_ALERT_URLS": hook.url()}
        published, toml = folder / "warehouse" / "rotation.duckdb", folder / "warehouse" / "rotation.toml"
        with serving(folder, wheel, settings) as prefect:
            seen["deployments"] = prefect.ask("/deployments/filter", {})
            seen["scheduled"] = until(lambda: scheduled(prefect), "the server schedules the next runs")
            seen["deploy"] = [prefect.deployed, prefect.rotation("deploy")]
            seen["deployments again"] = prefect.ask("/deployments/filter", {})
            seen["automations"] = prefect.ask("/automations/filter", {})
            deploying.pause(prefect)
            paused, always = deploying.state(prefect), Part("")
            with deploying.watched(prefect, always):
                prefect.rotation("deploy")
            seen["paused"] = [always.tried, always.broken, deploying.state(prefect) == paused]
            prefect.rotation("deploy", "--unpause")
            seen["deployments resumed"] = prefect.ask("/deployments/filter", {})
            prefect.rest()

            def observe(name: str, run: dict[str, Any]) -> None:
                if name not in ("watchdog", "resend"):
                    until(lambda: any("run." in event["event"] for event in prefect.events(run["id"])), "its events")
                # Log lines reach the server in batches, the one of the flow run's own end last.
                until(lambda: any(is_end(line) for line in logs(prefect, run["id"])), "its log")
                seen[name] = {
                    "run": run,
                    "artifacts": prefect.artifacts(run["id"]),
                    "events": prefect.events(run["id"]),
                    "messages": list(hook.messages),
                    "content": world.content(published, *TABLES),
                    "tasks": prefect.tasks(run["id"]),
                    "logs": [line["message"] for line in logs(prefect, run["id"])],
                }
                hook.messages.clear()

            with prefect.worker():
                # Prefect's own command takes only the parameters of the form, and `now` is not among them.
                observe("published", prefect.run("daily-rotation/daily-rotation", now="2025-12-24T23:30:00+00:00"))
                observe("holiday", prefect.run("daily-rotation/daily-rotation", now="2025-12-25T23:30:00+00:00"))
                toml.write_text('fault = "duplicate-day:IWM"\n')
                observe("blocked", prefect.run("daily-rotation/daily-rotation", now="2025-12-26T23:30:00+00:00"))
                observe("watchdog", prefect.run("watchdog/watchdog", now="2025-12-27T01:00:00+00:00"))
                toml.unlink()
                hook.status = 500
                observe("healed", prefect.run("daily-rotation/daily-rotation", now="2025-12-27T01:30:00+00:00"))
                seen["automated"] = until(lambda: resends(prefect), "the automation schedules the sending")
                hook.status = 200
                observe("resend", prefect.run("resend-alerts/resend-alerts", now="2025-12-27T02:30:00+00:00"))
            seen["changed"] = changed(prefect.shipped, files(prefect.installed))
            seen["took"] = prefect.took
    (folder / "seen.json").write_text(json.dumps(seen))


def scheduled(prefect: Prefect) -> list[dict[str, Any]]:
    """The flow runs that the server's scheduler has made, once each schedule has some."""
    found: list[dict[str, Any]] = prefect.ask(
        "/flow_runs/filter", {"flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}}
    )
    wanted = {d["id"] for d in prefect.ask("/deployments/filter", {}) if d["schedules"]}
    return found if wanted <= {run["deployment_id"] for run in found} else []


def resends(prefect: Prefect) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = prefect.ask("/flow_runs/filter", {"flows": {"name": {"any_": ["resend-alerts"]}}})
    return found


def logs(prefect: Prefect, run_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = prefect.ask(
        "/logs/filter", {"logs": {"flow_run_id": {"any_": [run_id]}}, "limit": 200}
    )
    return found


def is_end(line: dict[str, Any]) -> bool:
    """Whether a line of the log says that the flow run, not one of its tasks, has ended."""
    return line["task_run_id"] is None and line["message"].startswith("Finished in state")


def changed(before: dict[str, bytes], after: dict[str, bytes]) -> list[str]:
    """Names of files that came, went or hold something else."""
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def names(events: Sequence[dict[str, Any]]) -> set[str]:
    return {event["event"].removeprefix(EVENTS) for event in events}


def test_the_server_has_what_the_file_says(seen: dict[str, Any]) -> None:
    """`rotation deploy` makes each deployment as prefect.yaml has it, and nothing twice."""
    by_name = {found["name"]: found for found in seen["deployments"]}
    assert len(by_name) == len(seen["deployments"])
    for wanted in deployments():
        found = by_name.pop(wanted["name"])
        assert found["description"] == wanted["description"]
        assert found["tags"] == wanted["tags"]
        assert found["work_pool_name"] == "rotation"
        assert found["entrypoint"] == wanted["entrypoint"]
        assert not found["paused"]
        assert [(s["schedule"]["cron"], s["schedule"]["timezone"], s["active"]) for s in found["schedules"]] == [
            (s["cron"], s["timezone"], True) for s in wanted.get("schedules", [])
        ]
        limit = wanted.get("concurrency_limit", {})
        assert (found["global_concurrency_limit"] or {}).get("limit") == limit.get("limit")
        assert (found["concurrency_options"] or {}).get("collision_strategy") == limit.get("collision_strategy")
    assert by_name == {}
    assert sorted(d["id"] for d in seen["deployments again"]) == sorted(d["id"] for d in seen["deployments"])
    triggers = [trigger["name"] for d in deployments() for trigger in d.get("triggers", [])]
    automations = sorted(a["name"] for a in seen["automations"] if a["enabled"])
    assert automations == sorted([*triggers, "rotation-free-crashed-runs", "rotation-free-pending-runs"])


def test_what_is_paused_stays_paused(seen: dict[str, Any]) -> None:
    """Deploying again resumes no deployment, schedule or automation that was paused, not even for a moment; `--unpause` resumes the first two."""
    checks, broken, is_as_before = seen["paused"]
    assert checks > 5
    assert broken == []
    assert is_as_before
    assert not any(deployment["paused"] for deployment in seen["deployments resumed"])
    schedules = [schedule for d in seen["deployments resumed"] for schedule in d["schedules"]]
    assert len(schedules) == sum(len(d.get("schedules", [])) for d in deployments())
    assert all(schedule["active"] for schedule in schedules)


def test_rotation_deploy_says_what_runs_when(seen: dict[str, Any]) -> None:
    """`rotation deploy` lists each deployment with its schedule and names the next step, the same both times, and nothing else."""
    first, again = seen["deploy"]
    assert first == again
    for wanted in deployments():
        (line,) = (line for line in first.splitlines() if line.startswith(f"{wanted['name']} "))
        assert all(schedule["cron"] in line for schedule in wanted.get("schedules", []))
    assert first.splitlines()[-1] == "Next, keep a worker running: `prefect worker start --pool rotation`"
    assert len(first.splitlines()) == len(deployments()) + 3


def test_the_scheduler_makes_the_next_runs(seen: dict[str, Any]) -> None:
    """The server itself has planned runs of the daily job, all at 18:30 in New York on weekdays."""
    (daily,) = (d["id"] for d in seen["deployments"] if d["name"] == "daily-rotation")
    planned = [run["expected_start_time"] for run in seen["scheduled"] if run["deployment_id"] == daily]
    assert planned
    for text in planned:
        at = datetime.fromisoformat(text).astimezone(ZoneInfo("America/New_York"))
        assert (at.hour, at.minute, at.weekday() < 5) == (18, 30, True)


def test_a_good_evening(seen: dict[str, Any]) -> None:
    """A flow run of the deployment publishes, ends Completed, and shows its validation and a summary."""
    good = seen["published"]
    assert (good["run"]["state_name"], good["run"]["run_count"]) == ("Completed", 1)
    assert good["run"]["state"]["message"].startswith("Published 2025-12-24.")
    assert {"validation", "run-summary"} <= good["artifacts"].keys()
    assert {row["outcome"] for row in good["artifacts"]["validation"] if row["severity"] == "critical"} == {"passed"}
    assert "2025-12-24" in good["artifacts"]["run-summary"]
    assert "run.published" in names(good["events"])


def test_the_steps_lines_are_on_the_runs_page(seen: dict[str, Any]) -> None:
    """What the steps log is kept with the flow run."""
    assert any(line.startswith("Fetching prices") for line in seen["published"]["logs"])


def test_a_holiday(seen: dict[str, Any]) -> None:
    """On Christmas Day the job is up to date, reports that the day is not a session, and changes no table."""
    holiday = seen["holiday"]
    assert (holiday["run"]["state_name"], holiday["run"]["run_count"]) == ("Completed", 1)
    message = holiday["run"]["state"]["message"]
    assert "nothing to do" in message.lower()
    assert "up to date with 2025-12-24" in message
    assert "2025-12-25" in message
    assert "run.up_to_date" in names(holiday["events"])
    assert holiday["content"] == seen["published"]["content"]
    assert holiday["messages"] == []


def test_a_bad_batch(seen: dict[str, Any]) -> None:
    """A blocked run is Failed, tells Prefect and people, and leaves the tables as they were."""
    blocked = seen["blocked"]
    assert blocked["run"]["state_name"] == "Failed"
    assert "one_row_per_bar" in blocked["run"]["state"]["message"]
    assert blocked["run"]["name"] == "daily-rotation 2025-12-26 sample"
    assert not any("TypeError" in line for line in blocked["logs"])
    assert "one_row_per_bar" in blocked["logs"][-1]
    assert {"run.blocked", "incident.opened"} <= names(blocked["events"])
    assert "failing-rows" in blocked["artifacts"]
    (message,) = blocked["messages"]
    assert "Blocked: 2025-12-26 is not published" in message["title"]
    assert blocked["content"] == seen["holiday"]["content"]


def test_what_cannot_succeed_is_not_tried_again(seen: dict[str, Any]) -> None:
    """Neither the flow run of a blocked batch nor any of its tasks was started twice, and none waits to be."""
    blocked = seen["blocked"]
    assert (blocked["run"]["run_count"], blocked["run"]["state_type"]) == (1, "FAILED")
    assert any(name.startswith("audit") for name in blocked["tasks"])
    assert set(blocked["tasks"].values()) == {1}


def test_the_watchdog_speaks_up(seen: dict[str, Any]) -> None:
    """At 20:00 the watchdog's flow run is Failed as well, once, with a sentence."""
    run = seen["watchdog"]["run"]
    assert (run["state_name"], run["run_count"]) == ("Failed", 1)
    assert run["state"]["message"] == "By 20:00 New York nothing was published for 2025-12-26."


def test_the_end_of_the_incident(seen: dict[str, Any]) -> None:
    """After the vendor's correction, the next run publishes and closes the incident."""
    healed = seen["healed"]
    assert healed["run"]["state_name"] == "Completed"
    assert healed["run"]["state"]["message"].startswith("Published 2025-12-26.")
    assert {"run.published", "incident.recovered", "alert.undelivered"} <= names(healed["events"])
    assert healed["content"]["core.prices"] != seen["blocked"]["content"]["core.prices"]


def test_an_alert_that_was_not_taken(seen: dict[str, Any]) -> None:
    """Prefect schedules one flow run that sends it half an hour later."""
    (automated,) = seen["automated"]
    assert automated["state_type"] == "SCHEDULED"
    late = datetime.fromisoformat(automated["expected_start_time"]) - datetime.fromisoformat(
        seen["healed"]["run"]["end_time"]
    )
    assert timedelta(minutes=29) < late < timedelta(minutes=32)
    assert seen["healed"]["messages"] == []
    assert (seen["resend"]["run"]["state_name"], seen["resend"]["run"]["state"]["message"]) == ("Completed", "Sent.")
    assert "success" in {message["type"] for message in seen["resend"]["messages"]}


def test_the_installation_stays_as_it_is(seen: dict[str, Any]) -> None:
    """Neither deploying nor running writes a file beside the code."""
    assert seen["changed"] == []
