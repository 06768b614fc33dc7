"""The watchdog as a flow of its own: it works when the daily job never started."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from tasks import watchdog as dog


@flow(name="watchdog", timeout_seconds=600)
def watchdog(now: datetime | None = None) -> State[Any]:
    """Failed, and alerted, when the last session that had to be published by `now` is not; else Completed."""
    now = now or datetime.now(UTC)
    if problem := dog.watch(now):
        return Failed(message=problem)
    return Completed(message=f"{dog.due_session(now)} is published.")
