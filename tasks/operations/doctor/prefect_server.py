"""Check of Prefect: whether the server answers and has the work pool, a worker and the scheduled deployments."""

from __future__ import annotations

import os
import urllib.request
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from market_rotation.tasks.operations.doctor.findings import Finding
from market_rotation.tasks.operations.prefect_api import (
    CRASHED,
    DEPLOYMENTS,
    FREEING,
    LATE,
    NEVER_STARTED,
    NOTIFICATION_BLOCK,
    POOL,
)

TIMEOUT_S = 5.0
#: A worker sends a heartbeat every 30 seconds.
WORKER_SILENT = timedelta(minutes=2)


def prefect(url: str | None, now: datetime, opener: Callable[..., Any] = urllib.request.urlopen) -> Iterator[Finding]:
    """Whether the configured Prefect server answers and has everything that the schedule needs."""
    if not url:
        yield Finding("ok", "prefect", "No Prefect server is set; runs started by hand or cron need none.")
        return
    parts = urlsplit(url)
    shown = f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}{parts.path}"
    up = "Start it (`prefect server start`), or unset PREFECT_API_URL."
    if parts.scheme not in ("http", "https"):
        yield Finding("fail", "prefect", "PREFECT_API_URL is not an address.", "Write it as http://127.0.0.1:4200/api.")
        return
    try:
        with opener(f"{url.rstrip('/')}/health", timeout=TIMEOUT_S) as answer:
            healthy = answer.read(100).strip() == b"true"
    except (OSError, ValueError) as error:
        local = parts.hostname in ("127.0.0.1", "localhost") and any(
            os.environ.get(n) for n in ("HTTP_PROXY", "http_proxy")
        )
        step = f"{up} Behind a proxy, add its host to NO_PROXY." if local else up
        yield Finding("fail", "prefect", f"The server at {shown} does not answer ({type(error).__name__}).", step)
        return
    if not healthy:
        yield Finding("fail", "prefect", f"The service at {shown} is not a healthy Prefect server.", up)
        return
    yield Finding("ok", "prefect", f"The server at {shown} answers.")
    from httpx import HTTPStatusError

    try:
        yield from _scheduled(url, now)
    except HTTPStatusError as error:
        code = error.response.status_code
        step = (
            "Set PREFECT_API_KEY or PREFECT_API_AUTH_STRING."
            if code in (401, 403)
            else "Try again; if it persists, see the server's log."
        )
        yield Finding("warn", "prefect", f"The server did not return its deployments (HTTP {code}).", step)


def _scheduled(url: str, now: datetime) -> Iterator[Finding]:
    """Work pool, worker and deployments, read with Prefect's own client."""
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound
    from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

    deploy = "Deploy again: `rotation deploy`."
    unpause = "Resume it in Prefect's UI, or all with `rotation deploy --unpause`."
    # A server on SQLite may report once or twice that its database is locked.
    quick = temporary_settings({PREFECT_API_URL: url, PREFECT_CLIENT_MAX_RETRIES: 2})
    with quick, get_client(httpx_settings={"timeout": TIMEOUT_S}, sync_client=True) as client:
        try:
            pool = client.read_work_pool(POOL)
        except ObjectNotFound:
            create = "Create it, and the deployments, with `rotation deploy`."
            yield Finding("warn", "prefect", f"There is no work pool {POOL}, so nothing is scheduled.", create)
            return
        heartbeats = [w.last_heartbeat_time for w in client.read_workers_for_work_pool(POOL) if w.last_heartbeat_time]
        newest = max(heartbeats, default=None)
        if pool.is_paused:
            resume = f"Resume it: `prefect work-pool resume {POOL}`."
            yield Finding("warn", "prefect", f"The work pool {POOL} is paused, so nothing runs.", resume)
        if newest is None or now - newest > WORKER_SILENT:
            when = f"has sent a heartbeat since {newest:%Y-%m-%d %H:%M} UTC" if newest else "has ever sent a heartbeat"
            start = f"Start one as a service: `prefect worker start --pool {POOL}`."
            yield Finding("warn", "prefect", f"No worker of the pool {POOL} {when}; runs will be late.", start)
        else:
            yield Finding("ok", "prefect", f"A worker of the pool {POOL} sent a heartbeat at {newest:%H:%M} UTC.")
        wrong = False
        for name, scheduled in DEPLOYMENTS.items():
            fault = None
            try:
                found = client.read_deployment_by_name(name)
            except ObjectNotFound:
                fault = "is missing"
            else:
                if found.work_pool_name != POOL:
                    fault = f"uses the work pool {found.work_pool_name}, not {POOL}"
                elif found.paused or (scheduled and not any(schedule.active for schedule in found.schedules)):
                    fault = "is paused or has no active schedule"
            if fault:
                wrong = True
                yield Finding(
                    "warn", "prefect", f"The deployment {name} {fault}.", unpause if "paused" in fault else deploy
                )
        if not wrong:
            yield Finding("ok", "prefect", f"All {len(DEPLOYMENTS)} deployments exist, and their schedules are active.")
        yield from _automations(client)


def _automations(client: Any) -> Iterator[Finding]:
    """Whether the automations of `rotation deploy` exist and are enabled, and whether the server itself can report late and crashed runs."""
    deploy = "Deploy again: `rotation deploy`."
    for name in (FREEING, NEVER_STARTED):
        there = _named(client, name)
        if not any(automation.enabled for automation in there):
            fault = "is disabled" if there else "is missing"
            step = "Enable it in Prefect's UI (Automations)." if there else deploy
            yield Finding(
                "warn", "prefect", f"The automation {name} {fault}; a killed run may block the next one.", step
            )
    if all(any(automation.enabled for automation in _named(client, name)) for name in (LATE, CRASHED)):
        yield Finding("ok", "prefect", "The server reports late and crashed runs itself.")
    else:
        yield Finding(
            "ok",
            "prefect",
            f"The server itself does not report late or crashed runs; to enable this, create a notification block named {NOTIFICATION_BLOCK} "
            "and run `rotation deploy`, or call `rotation watch` from a timer.",
        )


def _named(client: Any, name: str) -> list[Any]:
    return [automation for automation in client.read_automations_by_name(name) if automation.name == name]
