"""The backfill flow: requests a range of past sessions again, for late data or another vendor's history."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from prefect import flow, runtime
from prefect.client.schemas.objects import State
from prefect.task_runners import ThreadPoolTaskRunner

from market_rotation.flows import workers
from market_rotation.flows.parameters import Now, SourceName, run_name
from market_rotation.flows.steps import run_as_tasks, state_of
from market_rotation.tasks.run.context import Parameters
from market_rotation.tasks.run.fetch import CONCURRENCY


@flow(
    name="backfill",
    flow_run_name=run_name,
    task_runner=ThreadPoolTaskRunner(max_workers=CONCURRENCY),  # type: ignore[arg-type]
    # Enough for thousands of symbols from a free vendor.
    timeout_seconds=4 * 3600,
)
def backfill(
    start: date,
    end: date | None = None,
    symbols: list[str] | None = None,
    source: SourceName = None,
    now: Now = None,
) -> State[Any]:
    """Requests all bars of a range again, and loads missing and restated rows.

    Args:
        start: the first session to request.
        end: the last session; empty for the last closed one.
        symbols: symbols of the universe; empty for all.
        source: the name of an installed source; empty for the setting ROTATION_SOURCE.
        now: the start time of the run; empty for the current time.
    """
    return state_of(
        run_as_tasks(
            Parameters(
                now or datetime.now(UTC), end, source, start, tuple(symbols or ()), flow_run_id=runtime.flow_run.id
            ),
            fetch=workers.fetch,
        )
    )
