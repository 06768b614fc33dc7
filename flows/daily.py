"""The daily job: fetch, stage, audit, publish. Nothing a reader sees changes unless all of it went well."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.task_runners import ThreadPoolTaskRunner

from market_rotation.flows.steps import bring_in, ended, opened, vendor_of
from market_rotation.tasks.datasets import offers
from market_rotation.tasks.run.fetch import CONCURRENCY


@flow(
    name="daily-rotation",
    task_runner=ThreadPoolTaskRunner(max_workers=CONCURRENCY),  # type: ignore[arg-type]
    # What takes longer hangs: a whole history takes minutes.
    timeout_seconds=3600,
)
def daily(session: date | None = None, source: str | None = None, now: datetime | None = None) -> State[Any]:
    """Brings the warehouse up to a session, catching up whatever is missing.

    Args:
        session: the trading date to bring it up to; empty for the last closed one.
        source: yahoo, files or sample; empty for the setting ROTATION_SOURCE.
        now: the moment it counts as; empty for the present.
    """
    with opened(session, source, now) as today:
        vendor = vendor_of(today)
        bring_in(today, vendor, offers(vendor, today.universe.instruments))
    return ended(today)
