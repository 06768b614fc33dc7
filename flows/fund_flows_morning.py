"""The morning job: issuers publish NAV and share counts of a session overnight, on the following day."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from prefect import flow, runtime
from prefect.client.schemas.objects import State
from prefect.task_runners import ThreadPoolTaskRunner

from market_rotation.flows.parameters import Now, SourceName, run_name
from market_rotation.flows.steps import run_as_tasks, state_of
from market_rotation.tasks.run.context import Parameters
from market_rotation.tasks.run.fetch import CONCURRENCY


@flow(
    name="fund-flows-morning",
    flow_run_name=run_name,
    task_runner=ThreadPoolTaskRunner(max_workers=CONCURRENCY),  # type: ignore[arg-type]
    timeout_seconds=3600,
)
def fund_flows_morning(source: SourceName = None, now: Now = None) -> State[Any]:
    """Loads the fund records of the last session, and everything else that the evening run missed.

    Args:
        source: the name of an installed source; empty for the setting ROTATION_SOURCE.
        now: the start time of the run; empty for the current time.
    """
    started = now or datetime.now(UTC)
    return state_of(run_as_tasks(Parameters(started, source=source, is_morning=True, flow_run_id=runtime.flow_run.id)))
