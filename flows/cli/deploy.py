"""`rotation deploy`: creates the work pool, the deployments, and the automations."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml
from rich.table import Table

from market_rotation.flows.cli import automations
from market_rotation.flows.cli.console import err, out
from market_rotation.tasks.errors import ConfigError, RotationError
from market_rotation.tasks.operations.prefect_api import NOTIFICATION_BLOCK, POOL, answers

if TYPE_CHECKING:
    from prefect.client.schemas.responses import DeploymentResponse

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
            _create_deployments({} if unpause else _paused(), _disabled())
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


class Paused(NamedTuple):
    """What of a deployment is paused: itself, schedules (their cron and time zone), and whether that is each of them.

    Where it is, those of a newer prefect.yaml are paused too, also at other times.
    """

    deployment: bool = False
    schedules: Collection[tuple[str | None, str | None]] = ()
    every_schedule: bool = False


def _create_deployments(paused: Mapping[str, Paused], disabled: Collection[str]) -> None:
    # A copy of the file: `prefect deploy` resumes what the file does not call paused.
    with TemporaryDirectory(prefix="rotation-deploy-") as folder:
        file = Path(folder) / "prefect.yaml"
        file.write_text(yaml.safe_dump(file_with(paused, disabled), sort_keys=False), encoding="utf-8")
        # -P: the package's folders, such as `tasks`, must not be importable as top-level modules.
        command = [sys.executable, "-P", "-m", "prefect", "--no-prompt", "deploy", "--all", "--prefect-file", str(file)]
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


def _paused() -> dict[str, Paused]:
    """What is paused, by deployment."""
    return {
        deployment.name: Paused(
            deployment.paused or False,
            {_rule(each.schedule) for each in deployment.schedules if not each.active},
            bool(deployment.schedules) and not any(each.active for each in deployment.schedules),
        )
        for deployment in _deployed()
    }


def _rule(schedule: Any) -> tuple[str | None, str | None]:
    return getattr(schedule, "cron", None), schedule.timezone


def _disabled() -> set[str]:
    """Names of the automations that are disabled."""
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        return {automation.name for automation in client.read_automations() if not automation.enabled}


def file_with(paused: Mapping[str, Paused], disabled: Collection[str]) -> dict[str, Any]:
    """The content of prefect.yaml, with what is `paused` so, and without the triggers whose automations are `disabled`."""
    content: dict[str, Any] = yaml.safe_load((PACKAGE / "prefect.yaml").read_text(encoding="utf-8"))
    for deployment in content["deployments"]:
        before = paused.get(deployment["name"], Paused())
        deployment["paused"] = before.deployment
        for schedule in deployment.get("schedules", []):
            is_paused = before.every_schedule or (schedule["cron"], schedule["timezone"]) in before.schedules
            schedule["active"] = not is_paused
        for trigger in deployment.get("triggers", []):
            trigger["enabled"] = trigger["name"] not in disabled
    return content


def _deployed() -> list[DeploymentResponse]:
    """The deployments of the pool, by name."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import WorkPoolFilter, WorkPoolFilterName

    with get_client(sync_client=True) as client:
        # The pool's alone: a server returns 200 at most.
        ours = WorkPoolFilter(name=WorkPoolFilterName(any_=[POOL]))
        return sorted(client.read_deployments(work_pool_filter=ours), key=lambda deployment: deployment.name)


def _show(has_block: bool) -> None:
    from prefect.client.schemas.schedules import CronSchedule

    table = Table("deployment", "runs", box=None, header_style="dim", pad_edge=False)
    for deployment in _deployed():
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
