"""The steps of a run as Prefect tasks, so that each has a name, a state and a duration. `tasks/run/pipeline.py` has their code."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from prefect import runtime, task, unmapped
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from market_rotation.flows.announce import announce_run
from market_rotation.flows.pace import shared
from market_rotation.tasks.errors import RotationError, SourceUnavailable
from market_rotation.tasks.run import pipeline
from market_rotation.tasks.run.context import Parameters, RunContext
from market_rotation.tasks.run.fetch import Answer, Request, RetryPolicy, batches, log_start
from market_rotation.tasks.run.fetch import fetch_batch as fetch_one_by_one
from market_rotation.tasks.run.ledger import Run
from market_rotation.tasks.sources.base import Source

# Without a level of its own this logger inherits WARNING, and a run's page would show no lines of the steps.
logging.getLogger("rotation").setLevel(logging.INFO)


#: The runs that ended in this process, and whether Prefect accepted their outcome, for code that calls a flow directly.
ENDED: list[tuple[Run, bool]] = []
#: The step `fetch`, or another way to get the same answers.
Fetch = Callable[[RunContext, Sequence[Request]], list[Answer]]


class RunFailed(RotationError):
    """A run that was blocked or failed; its first line is the reason."""


class BatchUnavailable(SourceUnavailable):
    """The source was unavailable for every symbol of a batch; `answers` hold the messages."""

    def __init__(self, answers: list[Answer]) -> None:
        super().__init__(answers[0].error or "")
        self.answers = answers


def run_as_tasks(parameters: Parameters, source: Source | None = None, fetch: Fetch | None = None) -> Run:
    """Runs the sequence of `tasks.run.pipeline` with each step as a task, and shows the outcome in Prefect.

    `fetch` replaces the step of that name. All processes that use this server share the requests per minute.
    """
    made = replace(STEPS, fetch=fetch) if fetch else STEPS
    run = pipeline.run(parameters, made, source, shared)
    ENDED.append((run, announce_run(run)))
    return run


def state_of(run: Run) -> State[Any]:
    """Completed when published or up to date, else Failed with an exception whose first line is the reason."""
    if run.status in ("blocked", "failed"):
        return Failed(message=run.message, data=RunFailed(run.message))
    return Completed(message=run.message, data=run.run_id)


def fetch(context: RunContext, requests: Sequence[Request]) -> list[Answer]:
    """One answer for each request, fetched as mapped tasks; a batch for which the source was unavailable as a whole is retried."""
    if not requests:
        return []
    pipeline.preload_audit()
    log_start(requests)
    policy = RetryPolicy.from_settings(context.settings)
    retries = context.settings.fetch_retries
    fetching = fetch_batch.with_options(retries=retries) if retries else fetch_batch
    futures = fetching.map(batches(requests), unmapped(context.source), unmapped(policy))
    return [answer for future in futures for answer in _answers(future.result(raise_on_failure=False))]


def _answers(result: list[Answer] | BaseException) -> list[Answer]:
    if isinstance(result, BatchUnavailable):
        return result.answers
    if isinstance(result, BaseException):
        raise result
    return result


def _batch_name() -> str:
    requests: list[Request] = runtime.task_run.parameters["requests"]
    return f"fetch {requests[0].dataset} " + " ".join(request.symbol for request in requests)


def _is_unavailable(task: Any, run: Any, state: State[Any]) -> bool:
    return isinstance(state.result(raise_on_failure=False), BatchUnavailable)


@task(
    name="fetch",
    task_run_name=_batch_name,
    cache_policy=NO_CACHE,
    # A vendor that is down, or that limits the rate, does not recover within seconds.
    retry_delay_seconds=[60, 300],
    retry_condition_fn=_is_unavailable,
)
def fetch_batch(requests: list[Request], source: Source, policy: RetryPolicy) -> list[Answer]:
    """One batch of symbols, each with its own retries. Raises `BatchUnavailable` when the source was unavailable for every symbol."""
    answers = fetch_one_by_one(source, requests, policy)
    if all(answer.is_unavailable for answer in answers):
        raise BatchUnavailable(answers)
    return answers


def _as_task(name: str) -> Any:
    return task(name=name, cache_policy=NO_CACHE, persist_result=False)(getattr(pipeline, name))


plan = _as_task("plan")
stage = _as_task("stage")
compare = _as_task("compare")
audit = _as_task("audit")
load = _as_task("load")
derive = _as_task("derive")
publish = _as_task("publish")
report = _as_task("report")
alert = _as_task("alert")

STEPS = pipeline.Steps(plan, fetch, stage, compare, audit, load, derive, publish, report, alert)
