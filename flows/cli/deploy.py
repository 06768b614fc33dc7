"""`rotation deploy`: creates the work pool, the deployments, and the automations."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from rich.table import Table

from market_rotation.flows.cli import automations
from market_rotation.flows.cli.console import err, out
from market_rotation.tasks.errors import ConfigError, RotationError
from market_rotation.tasks.operations.prefect_api import NOTIFICATION_BLOCK, POOL, answers

#: The installed package, with prefect.yaml in it; in a checkout, the folder of links.
PACKAGE = Path(__file__).parents[2]

STARTUP_S = 60.0


def deploy(*, unpause: bool = False) -> None:
    """Creates or updates all of it, and prints the schedules. What is paused stays paused, unless `unpause`.

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
            paused = {} if unpause else _paused()
            try:
                _create_deployments()
            finally:
                _pause_again(paused)
        with err.status("Automations"):
            has_block = _create_automations()
        _show(has_block)
    except HTTPError as error:
        raise RotationError(
            f"The Prefect server at {url} refused the request ({str(error).splitlines()[0]}); see its log, then run `rotation deploy` again."
        ) from None


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


def _create_automations() -> bool:
    """Creates the automations; returns whether those that send notifications are among them, which need a block."""
    from prefect.client.orchestration import get_client

    automations.create(automations.freeing_crashed_runs())
    automations.create(automations.freeing_pending_runs())
    with get_client(sync_client=True) as client:
        block = automations.notification_block(client)
    if block:
        automations.create(automations.reporting_late_runs(block))
        automations.create(automations.reporting_crashed_runs(block))
    return block is not None


Paused = dict[str, tuple[bool, set[str]]]


def _paused() -> Paused:
    """Per deployment of the pool: whether it is paused, and its schedules that are."""
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        return {
            deployment.name: (
                deployment.paused,
                {_rule(entry.schedule) for entry in deployment.schedules if not entry.active},
            )
            for deployment in client.read_deployments()
            if deployment.work_pool_name == POOL
        }


def _pause_again(before: Paused) -> None:
    """Pauses what was paused `before`: `prefect deploy` resumes everything."""
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        for deployment in client.read_deployments():
            is_paused, schedules = before.get(deployment.name, (False, set()))
            if deployment.work_pool_name != POOL or not (is_paused or schedules):
                continue
            for entry in deployment.schedules:
                if entry.active and _rule(entry.schedule) in schedules:
                    client.update_deployment_schedule(deployment.id, entry.id, active=False)
            if is_paused and not deployment.paused:
                client.pause_deployment(deployment.id)


def _rule(schedule: Any) -> str:
    """The schedule without the time it was made, so that the one made again is the same."""
    return repr(sorted(schedule.model_dump(mode="json", exclude={"anchor_date"}).items()))


def _show(has_block: bool) -> None:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.schedules import CronSchedule

    with get_client(sync_client=True) as client:
        found = sorted((d for d in client.read_deployments() if d.work_pool_name == POOL), key=lambda d: d.name)
    table = Table("deployment", "runs", box=None, header_style="dim", pad_edge=False)
    for deployment in found:
        crons = [
            f"{entry.schedule.cron} {entry.schedule.timezone}{'' if entry.active and not deployment.paused else ' (paused)'}"
            for entry in deployment.schedules
            if isinstance(entry.schedule, CronSchedule)
        ]
        table.add_row(deployment.name, ", ".join(crons) or "on demand")
    out.print(table)
    if not has_block:
        out.print(
            f"The server does not report late and crashed runs itself: create a notification block named {NOTIFICATION_BLOCK} in Prefect's "
            "UI, then run `rotation deploy` again.",
            highlight=False,
            soft_wrap=True,
        )
    out.print(
        f"Next, keep a worker running: `prefect worker start --pool {POOL}`",
        highlight=False,
    )
