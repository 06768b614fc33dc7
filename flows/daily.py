"""The daily job: fetch, stage, audit, publish. Nothing a reader sees changes unless all of it went well."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from datetime import UTC, date, datetime
from typing import Any

from prefect import flow, runtime, task, unmapped
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed
from prefect.task_runners import ThreadPoolTaskRunner

from flows.announce import announce
from tasks import audit, data_docs, fetch, ingest, job, warehouse
from tasks.datasets import offers
from tasks.errors import RotationError
from tasks.sources import Source, open_source

# The steps are plain functions; as tasks they show up in the run, with their own states and times.
plan = task(name="plan", cache_policy=NO_CACHE)(ingest.plan)
follow_up = task(name="stage", cache_policy=NO_CACHE)(ingest.follow_up)
restage = task(name="stage-again", cache_policy=NO_CACHE)(ingest.restage)
audit_batches = task(name="audit", cache_policy=NO_CACHE)(ingest.audit_batches)
load_and_derive = task(name="load-and-derive", cache_policy=NO_CACHE)(ingest.load_and_derive)


@flow(name="daily-rotation", task_runner=ThreadPoolTaskRunner(max_workers=fetch.CONCURRENCY))  # type: ignore[arg-type]
def daily(session: date | None = None, source: str | None = None, now: datetime | None = None) -> State[Any]:
    """Brings the warehouse up to `session` (default: the last closed one), catching up whatever is missing.

    Completed when published or already up to date, Failed when blocked or failed; the data of the state is the `Run`.
    """
    with ExitStack() as after, job.opened(session, source, now or datetime.now(UTC), runtime.flow_run.id) as today:
        # However the run ends, once readers see it.
        after.callback(tell, today)
        vendor = open_source(today.settings, today.calendar, today.universe)
        patience = fetch.Patience.from_settings(today.settings)
        answers = ask(vendor, plan(today, offers(vendor, today.universe.instruments)), patience)
        restage(today, answers, ask(vendor, follow_up(today, answers), patience))
        with warehouse.transaction(today.con):
            audit_batches(today)
            load_and_derive(today)
    make = Failed if today.run.status in ("blocked", "failed") else Completed
    return make(message=today.run.message, data=today.run)


def tell(today: job.Job) -> None:
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
    announce(run, run.failures, [alert for (alert,) in alerts])


def ask(vendor: Source, requests: list[fetch.Request], patience: fetch.Patience) -> list[fetch.Answer]:
    """The answers to `requests`, fetched in batches side by side."""
    if not requests:
        return []
    # The audit's library takes seconds to import; meanwhile the vendor has the word.
    threading.Thread(target=audit.preload, daemon=True).start()
    datasets = ", ".join(dict.fromkeys(request.dataset.replace("_", " ") for request in requests))
    fetch.log.info("Fetching %s", datasets, extra={"total": len(requests)})
    futures = fetch_batch.map(fetch.batches(requests), unmapped(vendor), unmapped(patience))
    return [answer for future in futures for answer in future.result()]


def _batch_name() -> str:
    requests: list[fetch.Request] = runtime.task_run.parameters["requests"]
    return f"fetch {requests[0].dataset} " + " ".join(request.symbol for request in requests)


@task(name="fetch", task_run_name=_batch_name, cache_policy=NO_CACHE)
def fetch_batch(requests: list[fetch.Request], vendor: Source, patience: fetch.Patience) -> list[fetch.Answer]:
    """One batch of symbols. What can succeed on asking again is asked again inside, symbol by symbol."""
    return fetch.fetch_batch(vendor, requests, patience)
