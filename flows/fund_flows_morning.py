"""The morning after: issuers publish a session's NAV and share counts on the day after it, before the market opens."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.task_runners import ThreadPoolTaskRunner

from market_rotation.flows.steps import bring_in, ended, opened, vendor_of
from market_rotation.tasks.datasets import as_fresh_as_possible, offers
from market_rotation.tasks.run.fetch import CONCURRENCY


@flow(
    name="fund-flows-morning",
    task_runner=ThreadPoolTaskRunner(max_workers=CONCURRENCY),  # type: ignore[arg-type]
    timeout_seconds=3600,
)
def fund_flows_morning(source: str | None = None, now: datetime | None = None) -> State[Any]:
    """Brings in the last session's fund records, and whatever else the evening's run has missed.

    Args:
        source: yahoo, files or sample; empty for the setting ROTATION_SOURCE.
        now: the moment it counts as; empty for the present.
    """
    with opened(None, source, now) as today:
        vendor = vendor_of(today)
        bring_in(today, vendor, as_fresh_as_possible(offers(vendor, today.universe.instruments)))
    return ended(today)
