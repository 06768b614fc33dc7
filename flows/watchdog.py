"""The watchdog flow: a separate deployment, so that it also works when the daily job never started."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from market_rotation.flows.parameters import Now
from market_rotation.tasks.alerts import watchdog as watching
from market_rotation.tasks.errors import RotationError
from market_rotation.tasks.operations import metrics
from market_rotation.tasks.settings import load_settings


@flow(name="watchdog", timeout_seconds=600)
def watchdog(now: Now = None) -> State[Any]:
    """Failed, with an alert, when the last session that is due by `now` is not published; else Completed."""
    now = now or datetime.now(UTC)
    problem = watching.watch(now)
    # Update the freshness metrics, which change although no run writes them.
    with suppress(RotationError):
        settings = load_settings()
        metrics.write(settings.published, settings, now)
    if problem:
        return Failed(message=problem)
    return Completed(message=f"{watching.last_due(now)} is published.")
