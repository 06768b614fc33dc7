"""The steps of a run as Prefect shows them. The functions themselves are in `tasks/`; as tasks they have states, times and names of their own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, date, datetime
from typing import Any

from prefect import runtime, task, unmapped
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from market_rotation.flows.announce import announce
from market_rotation.tasks import warehouse
from market_rotation.tasks.audit import data_docs
from market_rotation.tasks.audit.run import preload
from market_rotation.tasks.datasets import Offer
from market_rotation.tasks.errors import RotationError, SourceUnavailable
from market_rotation.tasks.operations import metrics
from market_rotation.tasks.run import context, fetch, pipeline
from market_rotation.tasks.sources.base import Source, open_source

# Prefect's own loggers have a level; without one, WARNING counts, and a run's page would show none of the steps' lines.
logging.getLogger("rotation").setLevel(logging.INFO)

plan = task(name="plan", cache_policy=NO_CACHE)(pipeline.plan)
follow_up = task(name="stage", cache_policy=NO_CACHE)(pipeline.follow_up)
restage = task(name="stage-again", cache_policy=NO_CACHE)(pipeline.restage)
audit_batches = task(name="audit", cache_policy=NO_CACHE)(pipeline.audit_batches)
load_and_derive = task(name="load-and-derive", cache_policy=NO_CACHE)(pipeline.load_and_derive)


@contextmanager
def opened(
    session: date | None, source: str | None, now: datetime | None, backfill: context.Backfill | None = None
) -> Iterator[context.Job]:
    """A job for this flow run, which shows in Prefect how it ended, once readers see it; see `market_rotation.tasks.run.context.opened`."""
    flow_run_id = runtime.flow_run.id
    with (
        ExitStack() as after,
        context.opened(session, source, now or datetime.now(UTC), flow_run_id, backfill) as today,
    ):
        after.callback(tell, today)
        yield today


def vendor_of(today: context.Job) -> Source:
    """The source that the settings name."""
    return open_source(today.settings, today.calendar, today.universe, today.run.known_at)


def bring_in(today: context.Job, vendor: Source, offers: Sequence[Offer]) -> None:
    """Plan, fetch, stage, audit, load, derive: all of it or nothing."""
    patience = fetch.Patience.from_settings(today.settings)
    retries = today.settings.fetch_retries
    answers = ask(vendor, plan(today, offers), patience, retries)
    restage(today, answers, ask(vendor, follow_up(today, answers), patience, retries))
    with warehouse.transaction(today.con):
        audit_batches(today)
        load_and_derive(today)


def ended(today: context.Job) -> State[Any]:
    """Completed when published or already up to date, Failed when blocked or failed; the data of the state is the `Run`."""
    make = Failed if today.run.status in ("blocked", "failed") else Completed
    return make(message=today.run.message, data=today.run)


def tell(today: context.Job) -> None:
    """Shows how the run ended: in Great Expectations' Data Docs, and in Prefect."""
    run = today.run
    data_docs.update(today.settings.home / "data_docs", run.results, run.failures, run.run_id, run.known_at)
    try:
        with warehouse.reading(today.settings.published) as con:
            alerts = con.execute(
                "select {fingerprint: fingerprint, kind: kind, severity: severity, title: title, attempts: attempts, sent_at: sent_at} "
                "from ops.alerts where run_id = $1 order by created_at",
                [run.run_id],
            ).fetchall()
    except RotationError:
        # It ended before anything was ever published.
        alerts = []
    home = today.settings.home.absolute()
    links = {
        "report": home / "reports" / str(run.session) / "index.html",
        "data-docs": home / "data_docs" / "index.html",
    }
    announce(run, run.failures, [alert for (alert,) in alerts], links)
    _count(today)


def _count(today: context.Job) -> None:
    try:
        metrics.write(today.settings.published, today.settings, today.clock(), today.calendar)
    except RotationError as error:
        logging.getLogger("rotation.metrics").warning("%s", error)


def ask(
    vendor: Source, requests: list[fetch.Request], patience: fetch.Patience, retries: int = 0
) -> list[fetch.Answer]:
    """The answers to `requests`, fetched in batches side by side; a batch of which nothing came is tried `retries` times again."""
    if not requests:
        return []
    # The audit's library takes seconds to import; meanwhile the vendor has the word.
    threading.Thread(target=preload, daemon=True).start()
    datasets = ", ".join(dict.fromkeys(request.dataset.replace("_", " ") for request in requests))
    fetch.log.info("Fetching %s", datasets, extra={"total": len(requests)})
    asked = fetch_batch.with_options(retries=retries) if retries else fetch_batch
    futures = asked.map(fetch.batches(requests), unmapped(vendor), unmapped(patience))
    return [answer for future in futures for answer in _answers(future.result(raise_on_failure=False))]


class NothingCame(SourceUnavailable):
    """A batch of which every symbol was unavailable; `answers` say so."""

    def __init__(self, answers: list[fetch.Answer]) -> None:
        super().__init__(answers[0].error or "")
        self.answers = answers


def _answers(result: list[fetch.Answer] | BaseException) -> list[fetch.Answer]:
    if isinstance(result, NothingCame):
        return result.answers
    if isinstance(result, BaseException):
        raise result
    return result


def _batch_name() -> str:
    requests: list[fetch.Request] = runtime.task_run.parameters["requests"]
    return f"fetch {requests[0].dataset} " + " ".join(request.symbol for request in requests)


def _can_help(task: Any, run: Any, state: State[Any]) -> bool:
    return isinstance(state.result(raise_on_failure=False), NothingCame)


@task(
    name="fetch",
    task_run_name=_batch_name,
    cache_policy=NO_CACHE,
    # A vendor that is down or has had enough of us is not well again within seconds.
    retry_delay_seconds=[60, 300],
    retry_condition_fn=_can_help,
)
def fetch_batch(requests: list[fetch.Request], vendor: Source, patience: fetch.Patience) -> list[fetch.Answer]:
    """One batch of symbols. What can succeed on asking again is asked again inside, symbol by symbol.

    Raises `NothingCame` when the vendor was available for none of them.
    """
    answers = fetch.fetch_batch(vendor, requests, patience)
    if all(answer.is_unavailable for answer in answers):
        raise NothingCame(answers)
    return answers
