"""Alerts go to the outbox first, `ops.alerts`: when an incident begins, while it lasts, and once when it is over.

An incident is what people must act on, told apart by its fingerprint. It is open while its newest alert is no recovery.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Literal, NamedTuple
from uuid import uuid4

from market_rotation.tasks.errors import AuditFailed, ConfigError

if TYPE_CHECKING:
    import duckdb

    from market_rotation.tasks.run.context import RunContext
    from market_rotation.tasks.run.ledger import Run

#: An incident that lasts so long is no longer only repeated but escalated.
ESCALATE_AFTER = timedelta(days=3)
#: The daily job does not start at the same second each day.
SLACK = timedelta(hours=1)


@dataclass(frozen=True)
class Incident:
    """What is wrong at the moment. `title` is one line, `what` says it with examples, `next_step` what to do.

    `is_news` is false when nothing about it changed: then it is not worth a reminder.
    """

    fingerprint: str
    severity: Literal["critical", "warning"]
    title: str
    what: str
    next_step: str
    is_news: bool = True


class Open(NamedTuple):
    """An incident that is open: when it began, when it was last alerted, about which session, and its title."""

    since: datetime
    alerted_at: datetime
    session: date | None
    title: str


def run_succeeded(job: RunContext) -> None:
    """Alerts what the run set aside; reports as over what was blocked or failed up to its session, and what is no longer set aside."""
    con, found = job.con, _set_aside(job.con)
    over = [
        fingerprint
        for fingerprint, incident in _open(con).items()
        if (fingerprint.startswith("set-aside:") and fingerprint not in {i.fingerprint for i in found})
        or (
            fingerprint.startswith(("blocked:", "failed", "configuration", "not-published"))
            and (incident.session is None or incident.session <= job.session)
        )
    ]
    write(con, found, over, job.session, job.clock(), job.settings.alert_repeat, job.run.run_id)


def run_ended_badly(context: RunContext, error: BaseException) -> None:
    """Writes to the outbox that the run was blocked, failed or was stopped, with what failed and example rows."""
    incident = of_failure(context.run, error)
    now = context.clock()
    write(context.con, [incident], [], context.session, now, context.settings.alert_repeat, context.run.run_id)


def run_could_not_start(con: duckdb.DuckDBPyConnection, run: Run, error: BaseException, repeat: timedelta) -> None:
    """Writes to the outbox that a run could not start."""
    write(con, [of_failure(run, error)], [], run.session, run.known_at, repeat, run.run_id)


def of_failure(run: Run, error: BaseException) -> Incident:
    """The incident of a run that ended with `error`."""
    what = run.session or "the last session"
    if isinstance(error, AuditFailed) and error.failures:
        dataset = error.failures[0].dataset
        shown = f"rotation sql \"select suite, expectation, details from ops.validations where run_id = '{run.run_id}' and not success\""
        return Incident(
            f"blocked:{dataset}",
            "critical",
            f"Blocked: {what} is not published, {dataset.replace('_', ' ')} failed the audit",
            "\n".join(f"- {failure.told()}" for failure in error.failures),
            f"Look at the rows ({shown}), wait for the vendor or correct the source, then `rotation run`.",
        )
    if isinstance(error, ConfigError):
        return Incident(
            "configuration",
            "critical",
            f"Not started: {what} is not published, a setting or file is wrong",
            run.message,
            "Correct it, check with `rotation doctor`, then `rotation run`.",
        )
    if not isinstance(error, Exception):
        return Incident(
            "failed", "critical", f"Stopped: {what} is not published", run.message, "`rotation run` repeats it."
        )
    return Incident(
        "failed",
        "critical",
        f"Failed: {what} is not published",
        run.message,
        "`rotation run` tries again; `rotation run --debug` shows more.",
    )


def dead_sources(job: RunContext) -> None:
    """Alerts sources whose share counts stand still while NAV moves, once each, and once when they move again."""
    rows = job.con.execute(
        """
        with last_rows as (
            from core.fund_flows
            where source is not null
            qualify row_number() over (partition by symbol order by session desc) = 1
        )
        select source, count(*) as funds, string_agg(symbol, ', ' order by symbol) as symbols, max(session) as session
        from last_rows
        where null_reason = 'dead source'
        group by source
        """
    ).fetchall()
    found = [
        Incident(
            f"dead-share-counts:{source}",
            "warning",
            f"The share counts of {source} stand still",
            f"On {session} the share counts of {funds} funds had not moved for longer than they ever stand still, while NAV moved: {symbols}. "
            f"Their flows are NULL, not zero, until the counts move again.",
            f"Look at {source}'s file of one of them.",
            is_news=False,
        )
        for source, funds, symbols, session in rows
    ]
    fingerprints = {incident.fingerprint for incident in found}
    over = [f for f in _open(job.con) if f.startswith("dead-share-counts:") and f not in fingerprints]
    write(job.con, found, over, job.session, job.clock(), job.settings.alert_repeat, job.run.run_id)


def report(job: RunContext, fault: str | None) -> bool:
    """Alerts that the report could not be written or sent because of `fault`, or that this is over; returns whether there was either."""
    incident = Incident(
        "report",
        "warning",
        f"The report on {job.session} could not be written or sent",
        f"{fault} The data itself is published.",
        "`rotation report` tries again.",
    )
    found = [incident] if fault else []
    over = [] if fault else [fingerprint for fingerprint in _open(job.con) if fingerprint == "report"]
    write(job.con, found, over, job.session, job.clock(), job.settings.alert_repeat, job.run.run_id)
    return bool(found or over)


def write(
    con: duckdb.DuckDBPyConnection,
    found: Sequence[Incident],
    over: Sequence[str],
    session: date | None,
    now: datetime,
    repeat: timedelta,
    run_id: str | None = None,
) -> None:
    """Adds to the outbox what is to be said now about the incidents `found` and about those whose fingerprints are `over`.

    A new incident is a failure. One already open is said again when `repeat` has passed and there is news, and escalated when it has
    lasted three days. Each that is over is one recovery, with its duration.
    """
    opened = _open(con)
    shows = _shows(con)
    for incident in found:
        before = opened.get(incident.fingerprint)
        since = before.since if before else now
        if before and (not incident.is_news or now - before.alerted_at < repeat - SLACK):
            continue
        lasts = now - since
        kind = "failure" if not before else "escalation" if lasts >= ESCALATE_AFTER - SLACK else "reminder"
        title = incident.title if not before else f"Still after {_told(lasts)}: {incident.title}"
        body = f"{incident.what}\n\nSince: {since:%Y-%m-%d %H:%M} UTC.\n{shows}\nNext: {incident.next_step}"
        _add(con, incident.fingerprint, kind, incident.severity, title, body, run_id, session, since, now)
    for fingerprint in over:
        before = opened[fingerprint]
        title = f"Recovered after {_told(now - before.since)}: {before.title}"
        body = f"Since {now:%Y-%m-%d %H:%M} UTC it is over; it began {before.since:%Y-%m-%d %H:%M} UTC.\n{shows}"
        severity = "critical" if fingerprint.startswith(("blocked:", "failed", "not-published")) else "warning"
        _add(con, fingerprint, "recovery", severity, title, body, run_id, session, before.since, now)


def _set_aside(con: duckdb.DuckDBPyConnection) -> list[Incident]:
    """One incident per dataset and expectation with open entries in quarantine."""
    rows = con.execute(
        """
        -- What stands still is alerted by source, not by fund.
        with entries as (from ops.quarantine where resolved_at is null and expectation <> 'share_counts_alive'),
        last_alerts as (
            select fingerprint, max(run_id) as run_id from ops.alerts where kind <> 'recovery' group by fingerprint
        )
        select
            e.dataset,
            e.expectation,
            count(*) as entries,
            any_value(e.reason) as reason,
            list(concat_ws(' ', e.symbol, e.session, e.row_json) order by e.run_id desc, e.session desc, e.symbol)[:3] as examples,
            max(e.run_id) > coalesce(any_value(a.run_id), '') as is_news
        from entries as e
        left join last_alerts as a on a.fingerprint = 'set-aside:' || e.dataset || ':' || e.expectation
        group by e.dataset, e.expectation
        order by e.dataset, e.expectation
        """
    ).fetchall()
    return [
        Incident(
            f"set-aside:{dataset}:{expectation}",
            "warning",
            f"Set aside: {entries} of {dataset.replace('_', ' ')}, {expectation}",
            "\n".join([f"{reason} ({entries} set aside)", *(f"- {example[:300]}" for example in examples)]),
            "Nothing, if the vendor corrects it: the rows come back by themselves. Else `rotation quarantine list`, and `accept` what is right.",
            is_news,
        )
        for dataset, expectation, entries, reason, examples, is_news in rows
    ]


def _open(con: duckdb.DuckDBPyConnection) -> dict[str, Open]:
    rows = con.execute(
        """
        with numbered as (
            select *, max(created_at) filter (kind = 'recovery') over (partition by fingerprint) as recovered_at from ops.alerts
        )
        select
            fingerprint, min(coalesce(since, created_at)), max(created_at), max(session),
            arg_max(title, created_at) filter (kind = 'failure')
        from numbered
        where recovered_at is null or created_at > recovered_at
        group by fingerprint
        """
    ).fetchall()
    return {fingerprint: Open(*values) for fingerprint, *values in rows}


def _shows(con: duckdb.DuckDBPyConnection) -> str:
    row = con.execute(
        "select session, finished_at from ops.runs where published order by run_id desc limit 1"
    ).fetchone()
    if not row:
        return "The warehouse shows nothing yet."
    session, finished_at = row
    when = f", published {finished_at:%Y-%m-%d %H:%M} UTC" if finished_at else ""
    return f"The warehouse shows {session}{when}."


def _told(duration: timedelta) -> str:
    minutes = round(duration.total_seconds() / 60)
    if minutes < 120:
        return f"{minutes} minutes"
    return f"{round(minutes / 60)} hours" if minutes < 48 * 60 else f"{round(minutes / 60 / 24)} days"


def _add(con: duckdb.DuckDBPyConnection, *values: object) -> None:
    con.execute(
        "insert into ops.alerts (alert_id, fingerprint, kind, severity, title, body, run_id, session, since, created_at, attempts) "
        "values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0)",
        [uuid4().hex, *values],
    )
