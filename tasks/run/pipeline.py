"""The steps of a run, in order: plan, stage, audit, load, derive. `market_rotation.tasks.run.fetch` comes between the first two."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from market_rotation.tasks import warehouse
from market_rotation.tasks.alerts import incidents
from market_rotation.tasks.audit import quarantine
from market_rotation.tasks.audit.run import audit, failing, load_suite, stop_if_blocked
from market_rotation.tasks.calendar import NEW_YORK
from market_rotation.tasks.datasets import DATASETS, Offer
from market_rotation.tasks.errors import SourceUnavailable
from market_rotation.tasks.run import ledger, stage
from market_rotation.tasks.run.context import Job
from market_rotation.tasks.run.fetch import Answer, Request
from market_rotation.tasks.warehouse.models import models

log = logging.getLogger("rotation.ingest")

#: Made before the audit: the batch of each dataset, and what the bars of the batch are measured against.
BATCHES = (*(f"stage.{dataset}" for dataset in DATASETS), "stage.bars")

#: Derived from `raw` alone, in this order of schemas.
DERIVED = ("core", "signals", "ops")


def plan(job: Job, offers: Sequence[Offer] = ()) -> list[Request]:
    """What is missing of prices and of `offers`, one request per dataset and symbol; empty when nothing is."""
    stage.put_references(
        job.con, job.universe, job.calendar, job.universe.first_day(job.settings.history_start), job.session
    )
    stage.put_offers(job.con, offers)
    if job.backfill:
        stage.put_backfill(job.con, job.backfill.symbols, job.backfill.start, job.backfill.end)
    return stage.plan(job.con)


def follow_up(job: Job, answers: Sequence[Answer]) -> list[Request]:
    """Stages the answers; returns what they make necessary.

    That is the whole history of symbols whose overlap shows a split or restatement, and the estimates of the largest constituents.
    """
    _refuse_silence(job, answers)
    stage.put_answers(job.con, answers)
    return stage.restated(job.con, job.settings.history_start, job.session) + stage.estimates(job.con)


def restage(job: Job, answers: Sequence[Answer], later: Sequence[Answer]) -> None:
    """Stages the answers again together with the `later` ones, which take the place of those to the same question."""
    if later:
        whole = {(a.request.dataset, a.request.symbol): a for a in [*answers, *later]}
        stage.put_answers(job.con, list(whole.values()))


def audit_batches(job: Job) -> None:
    """Makes the batch of each dataset, checks it, and sets aside the rows of failed warnings.

    Raises `AuditFailed` when a critical expectation failed or any could not be checked.
    """
    warehouse.build(job.con, *BATCHES)
    quarantine.begin(job.con)
    ledger.count_staged(job.con, job.run)
    asked = {dataset for (dataset,) in job.con.execute("select distinct dataset from stage.answers").fetchall()}
    if asked:
        log.info("Auditing %s new and %s changed rows", f"{job.run.rows_new:,}", f"{job.run.rows_revised:,}")
    # What was not asked has nothing to check, and Great Expectations, which takes seconds to import, is not troubled.
    for dataset in [d for d in DATASETS if d in asked]:
        _audit(job, dataset)
        quarantine.set_aside(job.con, dataset)
    if "prices" in asked:
        _audit(job, "prices_coverage")


def load_and_derive(job: Job) -> None:
    """Adds the batch to `raw` and derives everything else from it, unless there is nothing new; then finishes the run's row.

    Raises `AuditFailed` as `audit_batches` does, for what is derived.
    """
    warehouse.load(job.con, "raw")
    changed = _has_changed(job)
    if changed:
        log.info("Building core and signals")
        warehouse.build(job.con, *DERIVED)
        _audit(job, "market")
        _audit(job, "signals")
        job.run.status, job.run.published = "published", True
        job.run.message = f"Published {job.session}."
    else:
        job.run.status = "up_to_date"
        job.run.message = _nothing_to_do(job)
    if changed or job.con.execute("select 1 from stage.answers where dataset = 'fund_nav' limit 1").fetchone():
        _audit(job, "fund_flows")
        incidents.dead_sources(job)
    job.run.rows_quarantined = quarantine.record(job.con, job.run.run_id)
    derived = [r.expectation.id for r in job.run.results if not r.suite.batch.startswith("stage.")]
    quarantine.resolve(job.con, derived)
    if job.run.rows_quarantined:
        job.run.message += f" {job.run.rows_quarantined} rows or symbols are set aside; see ops.quarantine."
    ledger.finish(job.con, job.run, job.clock())
    incidents.run_succeeded(job)


def _audit(job: Job, name: str) -> None:
    results = audit(job.con, load_suite(name))
    job.run.results += results
    job.run.failures += failing(job.con, results)
    stop_if_blocked(job.con, results)
    quarantine.collect(job.con, results)


def _has_changed(job: Job) -> bool:
    """Whether this run added anything to `raw`, or the code is not that of the last run that derived."""
    tables = [model.name for model in models() if model.name.startswith("raw.") and model.kind == "ledger"]
    added = " or ".join(f"exists (from {table} where run_id = $1)" for table in tables)
    new_rows, same_code = job.con.execute(
        f"""
        select {added}, coalesce((
            select code_version = $2 from ops.runs
            where status = 'published' and run_id <> $1 order by run_id desc limit 1
        ), false)
        """,
        [job.run.run_id, ledger.code_version()],
    ).fetchone() or (True, False)
    return bool(new_rows) or not same_code


def _nothing_to_do(job: Job) -> str:
    today = job.run.known_at.astimezone(NEW_YORK).date()
    done = f"Nothing to do: already up to date with {job.session}."
    return done if job.calendar.is_session(today) else f"{done} {today} is no session of the exchange."


def _refuse_silence(job: Job, answers: Sequence[Answer]) -> None:
    prices = [answer for answer in answers if answer.request.dataset == "prices"]
    failed = [answer for answer in prices if answer.error]
    if len(failed) == len(prices) and len(failed) > len(job.universe.instruments) / 5:
        raise SourceUnavailable(
            f"The source '{job.run.source}' gave no usable answer for any of {len(prices)} symbols; the first said: {failed[0].error} "
            f"Nothing was published; run it again later."
        )
