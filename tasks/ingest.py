"""The steps of a run, in order: plan, stage, audit, load, derive. `tasks.fetch` comes between the first two."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from tasks import ledger, quarantine, stage, warehouse
from tasks.audit import Result, audit, load_suite, offending
from tasks.errors import AuditFailed, SourceUnavailable
from tasks.fetch import Answer, Request
from tasks.job import Job

log = logging.getLogger("rotation.ingest")

#: Derived from `raw` alone, in this order of schemas.
DERIVED = ("core", "signals", "ops")


def plan(job: Job) -> list[Request]:
    """What is missing, one request per symbol; empty when nothing is."""
    stage.put_references(job.con, job.universe, job.calendar, job.settings.history_start, job.session)
    return stage.plan(job.con)


def restated(job: Job, answers: Sequence[Answer]) -> list[Request]:
    """Stages the answers; returns requests for the whole history of symbols whose overlap shows a split or restatement."""
    _refuse_silence(job, answers)
    stage.put_answers(job.con, answers)
    return stage.restated(job.con, job.settings.history_start, job.session)


def restage(job: Job, answers: Sequence[Answer], histories: Sequence[Answer]) -> None:
    """Stages the answers again, those in `histories` in place of the first ones for the same symbols."""
    if histories:
        whole = {answer.request.symbol: answer for answer in histories}
        stage.put_answers(job.con, [whole.get(answer.request.symbol, answer) for answer in answers])


def audit_batch(job: Job) -> list[Result]:
    """Makes the batch, checks it, and sets aside the rows of failed warnings.

    Raises `AuditFailed` when a critical expectation failed or any could not be checked.
    """
    warehouse.build(job.con, "stage.prices")
    ledger.count_staged(job.con, job.run)
    (asked,) = job.con.execute("select count(*) from stage.answers").fetchone() or (0,)
    if not asked:
        # Nothing to check, so Great Expectations, which takes seconds to import, is not troubled.
        quarantine.collect(job.con, [])
        return []
    log.info("Auditing %s new and %s changed bars", f"{job.run.rows_new:,}", f"{job.run.rows_revised:,}")
    results = audit(job.con, load_suite("prices"))
    job.run.results += results
    _stop_if_blocked(job, results)
    quarantine.collect(job.con, results)
    quarantine.set_aside(job.con)
    coverage = audit(job.con, load_suite("prices_coverage"))
    job.run.results += coverage
    _stop_if_blocked(job, coverage)
    return results + coverage


def load_and_derive(job: Job) -> None:
    """Adds the batch to `raw` and derives everything else from it, unless there is nothing new; then finishes the run's row."""
    warehouse.load(job.con, "raw")
    job.run.rows_quarantined = quarantine.record(job.con, job.run.run_id)
    quarantine.resolve(job.con)
    if _has_changed(job):
        log.info("Building core and signals")
        warehouse.build(job.con, *DERIVED)
        job.run.status, job.run.published = "published", True
        job.run.message = f"Published {job.session}."
    else:
        job.run.status = "up_to_date"
        job.run.message = f"Already up to date with {job.session}."
    if job.run.rows_quarantined:
        job.run.message += f" {job.run.rows_quarantined} rows or symbols are set aside; see ops.quarantine."
    ledger.finish(job.con, job.run, job.clock())


def _has_changed(job: Job) -> bool:
    """Whether this run added anything to `raw`, or the SQL is not that of the last run that derived."""
    added, same_code = job.con.execute(
        """
        select
            exists (from raw.prices where run_id = $1) or exists (from raw.universe where run_id = $1)
                or exists (from raw.pairs where run_id = $1) or exists (from raw.sessions where run_id = $1),
            coalesce((
                select code_version = $2 from ops.runs
                where status = 'published' and run_id <> $1 order by run_id desc limit 1
            ), false)
        """,
        [job.run.run_id, ledger.code_version()],
    ).fetchone() or (True, False)
    return bool(added) or not same_code


def _refuse_silence(job: Job, answers: Sequence[Answer]) -> None:
    failed = [answer for answer in answers if answer.error]
    if len(failed) == len(answers) and len(failed) > len(job.universe.instruments) / 5:
        raise SourceUnavailable(
            f"The source '{job.run.source}' gave no usable answer for any of {len(answers)} symbols; the first said: {failed[0].error} "
            f"Nothing was published; run it again later."
        )


def _stop_if_blocked(job: Job, results: Sequence[Result]) -> None:
    blocking = [result for result in results if result.blocks]
    if not blocking:
        return
    first = blocking[0]
    if first.raised:
        what = f"The expectation {first.expectation.id} could not be checked ({first.details})."
    else:
        rows = "; ".join(offending(job.con, first))
        what = f"{first.expectation.sentence} ({first.expectation.id}: {first.unexpected_count} rows, such as {rows})"
    more = f" {len(blocking) - 1} more expectations failed." if len(blocking) > 1 else ""
    raise AuditFailed(
        f"{what}{more} Nothing was published; see ops.validations for this run, and run again when the source is right."
    )
