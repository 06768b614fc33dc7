"""Fetching over workers: a backfill hands out its requests in batches, waits while there is progress, and then fetches what is missing itself.

There is one writer and one way to be right: a batch that failed, or whose worker was killed, costs only its own requests again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import FlowRun, State
from prefect.deployments import run_deployment
from prefect.states import Cancelled, Cancelling
from pydantic import TypeAdapter

from market_rotation.flows import steps
from market_rotation.flows.pace import quick_to_fail
from market_rotation.tasks.run import batch
from market_rotation.tasks.run.batch import Seen
from market_rotation.tasks.run.context import RunContext
from market_rotation.tasks.run.fetch import Answer, Request

log = logging.getLogger("rotation.fetch")

DEPLOYMENT = "fetch/fetch"
#: Flow runs of one question to the server, which has a limit of 200.
PAGE = 200
#: Why a batch is cancelled.
NOT_NEEDED = "The backfill that handed it out fetches what is missing itself."

_REQUESTS = TypeAdapter(list[Request])


def fetch(context: RunContext, requests: Sequence[Request]) -> list[Answer]:
    """One answer for each request, as `steps.fetch` gives them; with ROTATION_FETCH_BATCH, workers fetch them into the cache before."""
    left = hand_out(context, requests) if context.settings.fetch_batch else []
    answers = steps.fetch(context, requests)
    _end(left)
    return answers


def hand_out(context: RunContext, requests: Sequence[Request]) -> list[UUID]:
    """Has workers fetch what is not in the cache; returns the flow runs that are being cancelled.

    Never raises for a failure of Prefect or of a worker: the run goes on by itself.
    """
    settings = context.settings
    wanted = batch.missing(settings, requests, context.run.known_at)
    batches = batch.in_batches(wanted, settings.fetch_batch)
    if len(batches) < 2:
        # A single batch is fetched here before a worker has started a process for it.
        return []
    started: list[UUID] = []
    with quick_to_fail():
        try:
            _start_all(context, batches, started)
            handed_out = [request for each in batches[: len(started)] for request in each]
            if not started or _wait(context, handed_out, started):
                # A batch whose answers are all there ends by itself within a second.
                return []
        except BaseException:
            # This run is stopped; without it nobody needs the batches.
            _cancel(started)
            raise
        return _cancel(started)


def _start_all(context: RunContext, batches: Sequence[Sequence[Request]], started: list[UUID]) -> None:
    """Appends the flow run of each batch to `started`, as far as the server creates them."""
    try:
        for number, each in enumerate(batches, start=1):
            name = f"fetch {each[0].symbol} to {each[-1].symbol}, {number} of {len(batches)}"
            started.append(_start(name, each, context))
    except Exception as error:
        log.warning(
            "Only %d of %d batches were handed out to workers (%s: %s); if the server has no deployment %s, run `rotation deploy`.",
            len(started),
            len(batches),
            type(error).__name__,
            str(error).split("\n", 1)[0],
            DEPLOYMENT,
        )


def _start(name: str, requests: Sequence[Request], context: RunContext) -> UUID:
    parameters: dict[str, Any] = {
        "requests": _REQUESTS.dump_python(list(requests), mode="json"),
        "source": context.settings.source,
        "closures": [str(day) for day in sorted(context.calendar.closures)],
        "requests_per_minute": context.settings.requests_per_minute,
        "now": context.run.known_at.isoformat(),
    }
    # Not as a subflow, which would wait for its own task run on the server.
    run = run_deployment(DEPLOYMENT, parameters=parameters, flow_run_name=name, timeout=0, as_subflow=False)
    assert isinstance(run, FlowRun)
    return run.id


def _wait(context: RunContext, wanted: Sequence[Request], started: Sequence[UUID]) -> bool:
    """Waits for the answers while there is progress; returns whether all of them are there."""
    settings, now = context.settings, context.run.known_at
    log.info("Workers fetch %d answers in %d batches", len(wanted), len(started), extra={"total": len(wanted)})
    shown = 0

    def answers() -> int:
        return len(wanted) - len(batch.missing(settings, wanted, now))

    def look(before: Seen | None) -> Seen:
        try:
            states = {str(run.id): run.state_type.name for run in _read(started) if run.state_type}
        except Exception as error:
            log.debug("Prefect's server did not answer (%s)", type(error).__name__)
            return batch.looked_at(None, answers(), len(started), before)
        # The answers after the states: of a batch that has ended, all are counted.
        return batch.looked_at(states, answers(), len(started), before)

    def show(seen: Seen) -> None:
        nonlocal shown
        if more := seen.answers - shown:
            log.info("Workers gave %d of %d answers", seen.answers, len(wanted), extra={"advance": more})
        shown = seen.answers

    # A slow pace is no stall.
    timeout_s = settings.fetch_timeout_s + (120 / settings.requests_per_minute if settings.requests_per_minute else 0)
    why = batch.wait(len(wanted), look, show, timeout_s, time.monotonic, time.sleep)
    if (given := answers()) < len(wanted):
        log.info("Workers gave %d of %d answers: %s; the run fetches what is missing", given, len(wanted), why)
    return given >= len(wanted)


def _read(started: Sequence[UUID]) -> list[FlowRun]:
    found: list[FlowRun] = []
    with get_client(sync_client=True) as client:
        for i in range(0, len(started), PAGE):
            ids = FlowRunFilter(id=FlowRunFilterId(any_=list(started[i : i + PAGE])))
            found += client.read_flow_runs(flow_run_filter=ids, limit=PAGE)
    return found


def _cancel(started: Sequence[UUID]) -> list[UUID]:
    """Cancels the batches that have not ended, so that no worker requests what this run requests; returns those whose process a worker must end."""
    running: list[UUID] = []
    try:
        left = [run for run in _read(started) if run.state_type and run.state_type.name not in batch.ENDED]
        with get_client(sync_client=True) as client:
            for run in left:
                # The worker of a batch with a process ends that, where the worker lives.
                has_process = run.state_type is not None and run.state_type.name != "SCHEDULED"
                state: State[Any] = Cancelling(message=NOT_NEEDED) if has_process else Cancelled(message=NOT_NEEDED)
                client.set_flow_run_state(run.id, state)
                running += [run.id] * has_process
    except Exception as error:
        log.debug("Batches were not cancelled (%s)", type(error).__name__)
    return running


def _end(left: Sequence[UUID]) -> None:
    """Sets what still waits to be cancelled to Cancelled: its worker is gone, and nothing else would end it."""
    if not left:
        return
    with quick_to_fail():
        try:
            waiting = [run for run in _read(left) if run.state_type and run.state_type.name not in batch.ENDED]
            with get_client(sync_client=True) as client:
                for run in waiting:
                    client.set_flow_run_state(run.id, Cancelled(message=NOT_NEEDED), force=True)
        except Exception as error:
            log.debug("Batches were not cancelled (%s)", type(error).__name__)
