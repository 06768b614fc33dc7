"""The rebuild flow: derives all tables again from the raw data alone, into a separate file."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from market_rotation.flows.parameters import Now
from market_rotation.tasks.settings import load_settings
from market_rotation.tasks.warehouse import rebuild as rebuilding


@flow(name="rebuild", timeout_seconds=3600)
def rebuild(as_of: datetime | None = None, target: str | None = None, now: Now = None) -> State[Any]:
    """Writes a warehouse as known at a given time; the published warehouse is not changed.

    Args:
        as_of: use only data known at this time; empty for all data.
        target: the file to write, on the worker's machine, or a DuckLake; empty for rebuilt.duckdb beside the warehouse.
        now: the current time; empty for the clock's.
    """
    if as_of and as_of.tzinfo is None:
        as_of = as_of.replace(tzinfo=UTC)
    made = rebuilding.rebuild(load_settings(), as_of, target or None, now or datetime.now(UTC))
    return Completed(
        message=f"{made.path} holds {made.session} as known at {made.known_at:%Y-%m-%d %H:%M} UTC.", data=made
    )
