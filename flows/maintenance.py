"""The maintenance flow: merges files and expires snapshots of a DuckLake."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from market_rotation.flows.parameters import Now
from market_rotation.tasks.settings import load_settings
from market_rotation.tasks.warehouse.lake.maintenance import maintain


@flow(name="maintenance", timeout_seconds=3600)
def maintenance(now: Now = None) -> State[Any]:
    """Merges small files of the DuckLake, expires old snapshots and deletes files that no snapshot needs; readers are not disturbed.

    Args:
        now: the current time; empty for the clock's.
    """
    done = maintain(load_settings(), now or datetime.now(UTC))
    return Completed(message=done.describe(), data=done)
