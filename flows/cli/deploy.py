"""`rotation deploy`: creates the work pool, the deployments, and the automation that marks killed runs as crashed."""

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

#: The installed package, with prefect.yaml in it; in a checkout, the folder of links.
PACKAGE = Path(__file__).parents[2]

STARTUP_S = 60.0

#: Flow runs send a heartbeat every 30 seconds; see PREFECT_FLOWS_HEARTBEAT_FREQUENCY in prefect.yaml.
SILENT = timedelta(seconds=150)


def deploy() -> None:
    """Creates or updates all of it, and prints the schedules.

    Raises `ConfigError` when no server is set, and `RotationError` when the server does not answer.
    """
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "ERROR")
    # In its first seconds a server on SQLite may answer 500, because its own start-up locks the database.
    os.environ.setdefault("PREFECT_CLIENT_RETRY_EXTRA_CODES", "500")
    from prefect.settings import PREFECT_API_URL

    url = PREFECT_API_URL.value()
    if not url:
        raise ConfigError(
            "PREFECT_API_URL is not set; start a server with `nohup prefect server start > server.log 2>&1 &` and "
            "`export PREFECT_API_URL=http://127.0.0.1:4200/api`."
        )
    # A server that was just started needs about ten seconds the first time.
    with err.status(f"Waiting for {url}"):
        if not answers(url, STARTUP_S):
            raise RotationError(
                f"The Prefect server at {url} does not answer; check that it runs, with `rotation doctor`."
            )
    from httpx import HTTPError

    try:
        with err.status("Work pool"):
            _create_pool()
        with err.status("Deployments"):
            _create_deployments()
        with err.status("Automation"):
            _create_automation(freeing_crashed_runs())
        _show()
    except HTTPError as error:
        raise RotationError(
            f"The Prefect server at {url} refused the request ({str(error).splitlines()[0]}); see its log, then run `rotation deploy` again."
        ) from None


def freeing_crashed_runs(silent: timedelta = SILENT) -> Automation:
    """The automation that sets a flow run to Crashed when it has sent no heartbeat for `silent`.

    Without it, a run that was killed with its worker stays Running, and the next run of its deployment waits for it.
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
        description="Sets a killed run to Crashed when its heartbeats stop, which releases its concurrency slot.",
        trigger=EventTrigger(
            posture=Posture.Proactive,
            match=ResourceSpecification({"prefect.resource.id": "prefect.flow-run.*"}),
            # This project's runs only: others on the same server may send heartbeats less often.
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
                message="The heartbeats stopped: the process was killed or the machine went down.",
            )
        ],
    )


def _create_pool() -> None:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound

    with get_client(sync_client=True) as client:
        try:
            client.read_work_pool(POOL)
        except ObjectNotFound:
            # The server may have created it although it answered 500; the retry then finds it.
            with suppress(ObjectAlreadyExists):
                client.create_work_pool(WorkPoolCreate(name=POOL, type="process"))


def _create_deployments() -> None:
    # -P: the package's folders, such as `tasks`, must not be importable as top-level modules.
    command = [sys.executable, "-P", "-m", "prefect", "--no-prompt", "deploy", "--all"]
    done = subprocess.run(command, cwd=PACKAGE, text=True, capture_output=True, check=False)
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        raise RotationError(
            f"`prefect deploy --all` failed: {' '.join(last)}; run it in {PACKAGE} to see its whole output."
        )


def _create_automation(wanted: Automation) -> None:
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
        table.add_row(deployment.name, ", ".join(crons) or "on demand")
    out.print(table)
    out.print(
        f"Next, keep a worker running: `prefect worker start --pool {POOL}`",
        highlight=False,
    )
