"""The sequence of a run: plan, fetch, stage, compare, audit, load, derive, publish, report, alert. It does not depend on Prefect.

`run` is the one way to run it. The flows pass the same steps wrapped as Prefect tasks; tests, docs and benchmarks call it directly.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from market_rotation.tasks import warehouse
from market_rotation.tasks.alerts.ping import ping
from market_rotation.tasks.audit import quarantine, suites
from market_rotation.tasks.audit.expectations import Suite
from market_rotation.tasks.audit.run import audit as audit_suites
from market_rotation.tasks.audit.run import failures, preload, stop_if_blocked
from market_rotation.tasks.datasets import DATASETS
from market_rotation.tasks.errors import SourceUnavailable
from market_rotation.tasks.own import derive as own
from market_rotation.tasks.run import alerting, clock, ending, ledger, message, reconcile, reporting
from market_rotation.tasks.run import stage as staging
from market_rotation.tasks.run.context import Parameters, RunContext, opened, resolve
from market_rotation.tasks.run.fetch import Answer, Request, RetryPolicy, fetch_all, merged
from market_rotation.tasks.run.ledger import Run
from market_rotation.tasks.run.stage import BATCHES, WITHOUT_REJECTED_BARS
from market_rotation.tasks.sources import cache
from market_rotation.tasks.sources.base import Source
from market_rotation.tasks.sources.pace import Paces, of_this_process
from market_rotation.tasks.warehouse import closures, unmounted
from market_rotation.tasks.warehouse.models import DERIVED
from market_rotation.tasks.warehouse.publish import last_published, unpublished
from market_rotation.tasks.warehouse.publish import publish as replace_published

log = logging.getLogger("rotation.run")


def plan(context: RunContext) -> list[Request]:
    """The requests for missing data, one per dataset and symbol; empty when nothing is missing. A backfill adds its range."""
    con, settings = context.con, context.settings
    start = context.universe.first_day(settings.history_start)
    staging.put_references(con, context.universe, context.calendar, start, context.session)
    staging.put_offers(con, context.offers)
    if backfill := context.resolved.backfill:
        staging.put_backfill(con, backfill.symbols, backfill.start, backfill.end)
    # A source without indexes, such as one for stocks alone, is not asked for them on every run.
    available = {i.symbol for i in context.universe.instruments if i.kind != "index"} | context.indexes
    return [request for request in staging.plan(con) if request.symbol in available]


def fetch(context: RunContext, requests: Sequence[Request]) -> list[Answer]:
    """One answer for each request."""
    if not requests:
        return []
    preload_audit()
    return fetch_all(context.source, requests, RetryPolicy.from_settings(context.settings))


def stage(context: RunContext, answers: Sequence[Answer]) -> list[Request]:
    """Stages the answers; returns the follow-up requests that are not answered yet.

    These are the whole history of symbols whose overlap shows a split or restatement, and the estimates of the largest constituents.
    Raises `SourceUnavailable` when the source gave no usable answer for any symbol, `RotationError` when the clock must be wrong.
    """
    _refuse_empty_day(context, answers)
    staging.put_answers(context.con, answers)
    clock.refuse_ahead(context.con, context.run.known_at)
    _reopen(context)
    wanted = staging.restated(context.con, context.settings.history_start, context.session)
    staging.put_companies(context.con)
    # The holdings may come from an earlier source; this source may have no estimates.
    if hasattr(context.source, "earnings_growth"):
        wanted += staging.estimates(context.con)
    answered = {(a.request.dataset, a.request.symbol, a.request.is_full_history) for a in answers}
    return [r for r in wanted if (r.dataset, r.symbol, r.is_full_history) not in answered]


def compare(context: RunContext) -> None:
    """Requests some symbols from a second source too, for `stage.differences`; nothing where one source has prices, or none was requested."""
    (answered,) = context.con.execute("select count(*) from stage.answers where dataset = 'prices'").fetchone() or (0,)
    if answered:
        policy = RetryPolicy.from_settings(context.settings)
        reconcile.request_second(context.con, context.source, context.settings, policy)


def audit(context: RunContext) -> None:
    """Builds the batch of each dataset, audits it, and quarantines the rows of failed warnings.

    Raises `AuditFailed` when a critical expectation failed or any could not be checked.
    """
    con, run = context.con, context.run
    warehouse.build(con, *BATCHES)
    quarantine.begin(con)
    ledger.count_staged(con, run)
    requested = {dataset for (dataset,) in con.execute("select distinct dataset from stage.answers").fetchall()}
    if requested:
        log.info("Auditing %s new and %s changed rows", f"{run.rows_new:,}", f"{run.rows_revised:,}")
    # Skip datasets that were not requested: importing Great Expectations takes seconds.
    for dataset in [d for d in DATASETS if d in requested]:
        _audit(context, suites.staged(dataset))
        quarantine.set_aside(con, dataset)
        if dataset == "prices":
            warehouse.build(con, *WITHOUT_REJECTED_BARS)
    if "prices" in requested:
        _audit(context, suites.coverage())


def load(context: RunContext) -> None:
    """Appends the audited batch to `raw`, with the distributions and splits of bars that were set aside, and the differences between sources."""
    warehouse.load(context.con, "raw")
    warehouse.load(context.con, "ops")


def derive(context: RunContext) -> None:
    """Derives `core`, `signals` and `ops` from `raw` and audits them, unless nothing is new; records the quarantined rows.

    Raises `AuditFailed` as `audit` does.
    """
    con, run = context.con, context.run
    changed = _changed_tables(context)
    is_current = changed is not None and not changed
    if not is_current:
        log.info("Building core and signals")
        warehouse.build(con, *DERIVED, changed=changed, after=last_published(con))
        _audit(context, *suites.derived())
    run.status = "up_to_date" if is_current else "running"
    run.rows_quarantined = quarantine.record(con, run.run_id)
    quarantine.resolve(con, run.results)
    ledger.record_results(con, run.run_id, run.results)


def publish(context: RunContext) -> None:
    """Publishes the build database to readers; then the run is `published`, or `up_to_date` when nothing was new.

    Raises `RotationError` when the published file cannot be replaced.
    """
    run, settings = context.run, context.settings
    run.message = message.of_publication(context)
    staging.clear(context.con)
    # The audited batch is in `raw`; the next run must fetch new data.
    cache.clear(settings.cache)
    status, published = run.status, run.status != "up_to_date"
    ended = replace(run, status="published" if published else status, published=published)
    finished_at = context.clock()
    replace_published(
        context.con, settings.build, settings.published, lambda copy: ledger.finish(copy, ended, finished_at)
    )
    unmounted.remember(settings.database_files[-1], context.session)
    run.status, run.published = ended.status, ended.published
    ledger.finish(context.con, run, finished_at)


def report(context: RunContext) -> None:
    """Writes and sends the report of the published data, unless it exists. A failure does not change the run; `alert` reports it."""
    reporting.write(context)


def alert(context: RunContext) -> None:
    """Writes incidents and recoveries to the outbox, sends pending alerts, and publishes the outbox."""
    alerting.send(context)


@dataclass(frozen=True)
class Steps:
    """The steps of a run. The flows pass the same functions as Prefect tasks."""

    plan: Callable[[RunContext], list[Request]] = plan
    fetch: Callable[[RunContext, Sequence[Request]], list[Answer]] = fetch
    stage: Callable[[RunContext, Sequence[Answer]], list[Request]] = stage
    compare: Callable[[RunContext], None] = compare
    audit: Callable[[RunContext], None] = audit
    load: Callable[[RunContext], None] = load
    derive: Callable[[RunContext], None] = derive
    publish: Callable[[RunContext], None] = publish
    report: Callable[[RunContext], None] = report
    alert: Callable[[RunContext], None] = alert


def run(
    parameters: Parameters, steps: Steps | None = None, source: Source | None = None, paces: Paces = of_this_process
) -> Run:
    """Runs the whole sequence; returns the run, whatever its outcome.

    An expected failure, an error of a setting and an unexpected error are recorded in `ops.runs` and alerted; then `error` of the run is
    set. `source` replaces the one that the settings name, `paces` the pace of this process at which it is requested. Raises `UsageError`
    for a wrong parameter, before anything is recorded, and passes on what stops the process (Ctrl-C, SIGTERM, a cancelled flow run),
    after recording it.
    """
    steps = steps or Steps()
    with ending.recorded(parameters) as (made, ended):
        resolved = resolve(parameters)
        made.session = resolved.session
        ping(resolved.settings, "begin")
        try:
            with opened(resolved, parameters, made, source, paces) as context, ended(context):
                sequence(context, steps)
        finally:
            reporting.show_outcome(resolved, made)
    return made


def sequence(context: RunContext, steps: Steps) -> None:
    """The steps in their order. Readers see nothing of a run before `publish`."""
    answers: list[Answer] = []
    requests = steps.plan(context)
    while True:
        answers = merged(answers, steps.fetch(context, requests))
        requests = steps.stage(context, answers)
        if not requests:
            break
    steps.compare(context)
    with warehouse.transaction(context.con):
        steps.audit(context)
        steps.load(context)
        steps.derive(context)
    context.run.is_built = True
    _derive_own(context)
    steps.publish(context)
    steps.report(context)
    steps.alert(context)


def _derive_own(context: RunContext) -> None:
    """Derives and audits the user's own signals, outside the run's transaction: an error in one of them would end it."""
    con, run, home = context.con, context.run, context.settings.home
    if run.status == "up_to_date" and own.is_complete(con, home):
        return
    outcome = own.derive(con, home)
    run.own_faults = outcome.faults
    run.results += outcome.results
    ledger.record_results(con, run.run_id, outcome.results)


def preload_audit() -> None:
    """Imports Great Expectations, which takes seconds, in a thread while the vendor answers."""
    threading.Thread(target=preload, daemon=True).start()


def _audit(context: RunContext, *checked: Suite) -> None:
    results = audit_suites(context.con, *checked)
    set_aside = quarantine.unanswered(context.con) + failures(
        [result for result in context.run.results if result.expectation.severity == "warning" and not result.raised]
    )
    context.run.results += results
    context.run.failures += failures(results)
    stop_if_blocked(results, set_aside)
    quarantine.collect(context.con, results)


def _changed_tables(context: RunContext) -> list[str] | None:
    """The tables of `raw` with rows that readers do not have; None when every table must be derived again.

    That is when nothing was published yet, when another version of the code was in use since then, and when the clock was corrected.
    """
    code, last_id = ledger.code_version(context.settings.home), last_published(context.con)
    # Also the version of a run that ended after deriving and before publishing.
    (is_same_code,) = context.con.execute(
        "select coalesce(bool_and(code_version is not distinct from $2), false) from ops.runs where run_id >= $1",
        [last_id, code],
    ).fetchone() or (False,)
    if not is_same_code or context.run.has_corrected_clock:
        return None
    return unpublished(context.con)


def _reopen(context: RunContext) -> None:
    """Makes a day that counts as a closure a session again where most symbols have a bar of it after all."""
    if not context.calendar.closures:
        return
    closed = closures.in_force(context.con, context.settings, staging.FETCHED_BARS, staging.UNIVERSE)
    if opened := context.calendar.closures - closed:
        log.warning(
            "Most symbols have a bar of %s, so the exchange was open: the closure no longer counts.",
            ", ".join(map(str, sorted(opened))),
        )
        start = context.universe.first_day(context.settings.history_start)
        staging.put_sessions(context.con, context.calendar.with_closures(closed), start, context.session)


def _refuse_empty_day(context: RunContext, answers: Sequence[Answer]) -> None:
    prices = [answer for answer in answers if answer.request.dataset == "prices"]
    failed = [answer for answer in prices if answer.error]
    if len(failed) == len(prices) and len(failed) > len(context.universe.instruments) / 5:
        raise SourceUnavailable(
            f"The source '{context.run.source}' gave no usable answer for any of {len(prices)} symbols; the first said: {failed[0].error} "
            f"Nothing was published; run it again later."
        )
