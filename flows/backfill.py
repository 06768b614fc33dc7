"""A range of the past asked again: what a vendor gave late, or another vendor's history."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.task_runners import ThreadPoolTaskRunner

from market_rotation.flows.steps import bring_in, ended, opened, vendor_of
from market_rotation.tasks.datasets import offers
from market_rotation.tasks.run.context import resolve_backfill
from market_rotation.tasks.run.fetch import CONCURRENCY


@flow(
    name="backfill",
    task_runner=ThreadPoolTaskRunner(max_workers=CONCURRENCY),  # type: ignore[arg-type]
    # Thousands of symbols of a free vendor.
    timeout_seconds=4 * 3600,
)
def backfill(
    start: date,
    end: date | None = None,
    symbols: list[str] | None = None,
    source: str | None = None,
    now: datetime | None = None,
) -> State[Any]:
    """Asks for all bars of a range again, whatever is known, and brings in what is missing or was restated.

    Args:
        start: the first session to ask for.
        end: the last one; empty for the last closed one.
        symbols: of which symbols of the universe; empty for all.
        source: yahoo, files or sample; empty for the setting ROTATION_SOURCE.
        now: the moment it counts as; empty for the present.
    """
    now = now or datetime.now(UTC)
    wanted = resolve_backfill(start, end, symbols or [], source, now)
    with opened(wanted.end, source, now, wanted) as today:
        vendor = vendor_of(today)
        bring_in(today, vendor, offers(vendor, today.universe.instruments))
    return ended(today)
