"""`rotation deploy`: all that Prefect's server must know, in one go: the work pool, the deployments, and what frees a crashed run's place."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from market_rotation.flows.cli.console import err, out
from market_rotation.tasks.errors import ConfigError, RotationError
from market_rotation.tasks.operations.prefect_api import POOL, answers

if TYPE_CHECKING:
    from prefect.automations import Automation

REPOSITORY = Path(__file__).parents[2]

STARTUP_S = 60.0

#: Flow runs give a heartbeat every half minute; see PREFECT_FLOWS_HEARTBEAT_FREQUENCY in prefect.yaml.
SILENT = timedelta(seconds=150)


def deploy() -> None:
    """Makes or updates all of it, and prints what will run when. Raises `ConfigError` where no server is set, `RotationError` where none answers."""
    if not (REPOSITORY / "prefect.yaml").is_file():
        raise ConfigError(f"There is no prefect.yaml in {REPOSITORY}; deploy from a clone of the repository.")
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "ERROR")
    # In its first seconds a server on SQLite answers 500, its database being locked by what it does itself.
    os.environ.setdefault("PREFECT_CLIENT_RETRY_EXTRA_CODES", "500")
    from prefect.settings import PREFECT_API_URL

    url = PREFECT_API_URL.value()
    if not url:
        raise ConfigError(
            "No Prefect server is set; start one with `nohup prefect server start > server.log 2>&1 &` and "
            "`export PREFECT_API_URL=http://127.0.0.1:4200/api`."
        )
    # One that was started in the background a moment ago takes ten seconds the first time.
    with err.status(f"Waiting for {url}"):
        if not answers(url, STARTUP_S):
            raise RotationError(
                f"The Prefect server at {url} does not answer; see that it is up, and `rotation doctor`."
            )
    from httpx import HTTPError

    try:
        with err.status("Work pool"):
            _make_pool()
        with err.status("Deployments"):
            _make_deployments()
        with err.status("Automation"):
            _make_automation(freeing_crashed_runs())
        _show()
    except HTTPError as error:
        raise RotationError(
            f"The Prefect server at {url} refused ({str(error).splitlines()[0]}); look at its log, then start again."
        ) from None


def freeing_crashed_runs(silent: timedelta = SILENT) -> Automation:
    """Calls a flow run Crashed that has not been heard of for `silent`.

    One that was killed, with its worker or the machine, would stay Running for ever, and the next one of its deployment would wait for it.
    """
    from prefect.automations import Automation
    from prefect.client.schemas.objects import StateType
    from prefect.events.actions import ChangeFlowRunState
    from prefect.events.schemas.automations import EventTrigger, Posture
    from prefect.events.schemas.events import ResourceSpecification

    heard = "prefect.flow-run.heartbeat"
    ended = {f"prefect.flow-run.{state}" for state in ("Completed", "Failed", "Cancelled", "Crashed", "TimedOut")}
    return Automation(
        name="rotation-free-crashed-runs",
        description="A run that was killed is Crashed once its heartbeat is missed, which frees its place for the next one.",
        trigger=EventTrigger(
            posture=Posture.Proactive,
            match=ResourceSpecification({"prefect.resource.id": "prefect.flow-run.*"}),
            # Of this project alone: others on the same server may be heard more seldom.
            match_related=ResourceSpecification(
                {"prefect.resource.role": "tag", "prefect.resource.id": "prefect.tag.rotation"}
            ),
            for_each={"prefect.resource.id"},
            after={heard},
            expect={heard, *ended},
            threshold=1,
            within=silent,
        ),
        actions=[
            ChangeFlowRunState(
                name=None,
                force=False,
                state=StateType.CRASHED,
                message="Its heartbeat has stopped: killed, or the machine went down.",
            )
        ],
    )


def _make_pool() -> None:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound

    with get_client(sync_client=True) as client:
        try:
            client.read_work_pool(POOL)
        except ObjectNotFound:
            # When the server made it and still answered 500, asking again finds it there.
            with suppress(ObjectAlreadyExists):
                client.create_work_pool(WorkPoolCreate(name=POOL, type="process"))


def _make_deployments() -> None:
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
    done = subprocess.run(command, cwd=REPOSITORY, text=True, capture_output=True, check=False)
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        raise RotationError(
            f"`prefect deploy --all` failed: {' '.join(last)}; run it in {REPOSITORY} to see all it says."
        )


def _make_automation(wanted: Automation) -> None:
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        there = client.read_automations_by_name(wanted.name)
    if there:
        wanted.id = there[0].id
        wanted.update()
    else:
        wanted.create()


def _show() -> None:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.schedules import CronSchedule

    with get_client(sync_client=True) as client:
        found = sorted((d for d in client.read_deployments() if d.work_pool_name == POOL), key=lambda d: d.name)
    table = Table("deployment", "runs", box=None, header_style="dim", pad_edge=False)
    for deployment in found:
        rules = [entry.schedule for entry in deployment.schedules]
        crons = [f"{rule.cron} {rule.timezone}" for rule in rules if isinstance(rule, CronSchedule)]
        table.add_row(deployment.name, ", ".join(crons) or "when started by hand")
    out.print(table)
    out.print(
        f"Now keep a worker up: `prefect worker start --pool {POOL}`",
        highlight=False,
    )
