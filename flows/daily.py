"""The daily job: plan, fetch, stage, audit, load, derive, publish, report, alert.

Each step is a task in `flows/steps.py`; `sequence` in `tasks/run/pipeline.py` has their order. Readers see nothing of a run before `publish`.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from prefect import flow, runtime
from prefect.client.schemas.objects import State
from prefect.task_runners import ThreadPoolTaskRunner

from market_rotation.flows.parameters import Now, SourceName, run_name
from market_rotation.flows.steps import run_as_tasks, state_of
from market_rotation.tasks.run.context import Parameters
from market_rotation.tasks.run.fetch import CONCURRENCY


@flow(
    name="daily-rotation",
    flow_run_name=run_name,
    task_runner=ThreadPoolTaskRunner(max_workers=CONCURRENCY),  # type: ignore[arg-type]
    # A full history takes minutes; a run that takes longer than an hour hangs.
    timeout_seconds=3600,
)
def daily(session: date | None = None, source: SourceName = None, now: Now = None) -> State[Any]:
    """Brings the warehouse up to a session: fetches, audits and publishes everything that is missing.

    Args:
        session: the last trading date to load; empty for the last closed one.
        source: the name of an installed source, or several separated by commas; empty for the setting ROTATION_SOURCE.
        now: the start time of the run; empty for the current time.
    """
    started = now or datetime.now(UTC)
    return state_of(run_as_tasks(Parameters(started, session, source, flow_run_id=runtime.flow_run.id)))
