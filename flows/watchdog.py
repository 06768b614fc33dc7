"""The watchdog as a flow of its own: it works when the daily job never started."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from market_rotation.tasks.alerts import watchdog as dog
from market_rotation.tasks.errors import RotationError
from market_rotation.tasks.operations import metrics
from market_rotation.tasks.settings import load_settings


@flow(name="watchdog", timeout_seconds=600)
def watchdog(now: datetime | None = None) -> State[Any]:
    """Failed, and alerted, when the last session that had to be published by `now` is not; else Completed."""
    now = now or datetime.now(UTC)
    problem = dog.watch(now)
    # How far the data is behind grows also while no run counts it.
    with suppress(RotationError):
        settings = load_settings()
        metrics.write(settings.published, settings, now)
    if problem:
        return Failed(message=problem)
    return Completed(message=f"{dog.due_session(now)} is published.")
