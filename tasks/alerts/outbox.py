"""The outbox, `ops.alerts`: a message when an incident begins, while it lasts, and once when it is over.

Which incidents are open is defined in one place, sql/ops/incidents.sql.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple
from uuid import uuid4

from market_rotation.tasks import wording
from market_rotation.tasks.alerts.incidents import OF_A_RUN
from market_rotation.tasks.warehouse import macros

if TYPE_CHECKING:
    import duckdb

    from market_rotation.tasks.alerts.changes import Notice
    from market_rotation.tasks.alerts.incidents import Incident
    from market_rotation.tasks.calendar import Calendar

#: From this age on a reminder is an escalation.
ESCALATE_AFTER = timedelta(days=3)
#: The daily job does not start at the same second each day.
SLACK = timedelta(hours=1)


class Open(NamedTuple):
    """An open incident: when it began and was last alerted, for which session, its severity and first title."""

    since: datetime
    alerted_at: datetime
    session: date | None
    severity: str
    title: str


def open_incidents(con: duckdb.DuckDBPyConnection) -> dict[str, Open]:
    """The open incidents by fingerprint."""
    found = macros.rows(con, "from incidents()")
    return {row["fingerprint"]: Open(*(row[name] for name in Open._fields)) for row in found}


def explains(con: duckdb.DuckDBPyConnection, session: date) -> bool:
    """Whether an alert says why the run of `session` published nothing."""
    ended = con.execute("select 1 from ops.runs where session >= $1 and status in ('blocked', 'failed')", [session])
    return ended.fetchone() is not None and any(name.startswith(OF_A_RUN) for name in open_incidents(con))


def update(
    con: duckdb.DuckDBPyConnection,
    found: Sequence[Incident],
    *,
    scope: tuple[str, ...],
    session: date | None,
    now: datetime,
    repeat: timedelta,
    run_id: str | None = None,
    is_undecided: Callable[[str], bool] = lambda _: False,
    calendar: Calendar | None = None,
) -> bool:
    """Writes the alerts that are due; returns whether there were any.

    A new incident is a `failure`. One already open is a `reminder` once `repeat` has passed and there is news, and an `escalation`
    once it has lasted three days. An open incident is over, one `recovery` with its duration, where its fingerprint begins with one of
    `scope` and `found` lacks it, unless it is about a session later than `session`: that an older one succeeds says nothing about it.
    A day that is not a session by `calendar`, such as an accepted closure, counts as the session before it. One whose fingerprint
    `is_undecided` stays open.
    """
    opened = open_incidents(con)
    published = what_readers_see(con)
    written = False
    for incident in found:
        before = opened.get(incident.fingerprint)
        if before and (not incident.is_news or now - before.alerted_at < repeat - SLACK):
            continue
        since = before.since if before else now
        lasts = now - since
        kind = "failure" if not before else "escalation" if lasts >= ESCALATE_AFTER - SLACK else "reminder"
        title = f"Still open after {wording.duration(lasts)}: {incident.title}" if before else incident.title
        _add(
            con,
            incident.fingerprint,
            kind,
            incident.severity,
            title,
            body(incident, since, published),
            run_id,
            session,
            since,
            now,
            incident.channel,
        )
        written = True
    over = opened.keys() - {incident.fingerprint for incident in found}
    for fingerprint in sorted(name for name in over if name.startswith(scope)):
        before = opened[fingerprint]
        if is_undecided(fingerprint) or _is_of_later_session(before.session, session, calendar):
            continue
        # A rule that fires is not a fault, so its end is not a recovery from one.
        ended = "Ended" if fingerprint.startswith("rule:") else "Recovered"
        title = f"{ended} after {wording.duration(now - before.since)}: {before.title}"
        text = (
            f"It began {before.since:%Y-%m-%d %H:%M} UTC and ended {now:%Y-%m-%d %H:%M} UTC.\n{published}\n"
            "What is still open: `rotation status`."
        )
        _add(
            con,
            fingerprint,
            "recovery",
            before.severity,
            title,
            text,
            run_id,
            session,
            before.since,
            now,
            _channel(con, fingerprint),
        )
        written = True
    return written


def _is_of_later_session(day: date | None, session: date | None, calendar: Calendar | None) -> bool:
    if day is None or session is None or day <= session:
        return False
    return calendar is None or day > calendar.end or calendar.latest_on_or_before(day) > session


def announce(
    con: duckdb.DuckDBPyConnection, notices: Sequence[Notice], session: date, now: datetime, run_id: str
) -> None:
    """Writes the notices that the outbox does not have. A notice is not an incident: it is never open, and nothing ends it."""
    for notice in notices:
        if not con.execute("select 1 from ops.alerts where fingerprint = $1", [notice.fingerprint]).fetchone():
            _add(con, notice.fingerprint, "notice", "info", notice.title, notice.body, run_id, session, None, now, None)


def body(incident: Incident, since: datetime, published: str = "") -> str:
    """The message about `incident`: the facts, since when, what readers see, and what to do next."""
    lines = [f"{incident.what}\n", f"Since: {since:%Y-%m-%d %H:%M} UTC.", published, f"Next: {incident.next_step}"]
    return "\n".join(line for line in lines if line)


def what_readers_see(con: duckdb.DuckDBPyConnection) -> str:
    """What readers of the published warehouse see, in a sentence."""
    row = con.execute(
        "select session, finished_at from ops.runs where published order by run_id desc limit 1"
    ).fetchone()
    if not row:
        return "Nothing has been published yet."
    session, finished_at = row
    when = f" {finished_at:%Y-%m-%d %H:%M} UTC" if finished_at else ""
    return f"The warehouse shows {session}, published{when}."


def _channel(con: duckdb.DuckDBPyConnection, fingerprint: str) -> str | None:
    """The channel of the last alert of the incident, which also receives its end."""
    row: tuple[str | None] | None = con.execute(
        "select arg_max_null(channel, created_at) from ops.alerts where fingerprint = $1", [fingerprint]
    ).fetchone()
    return row[0] if row else None


def _add(con: duckdb.DuckDBPyConnection, *values: object) -> None:
    con.execute(
        "insert into ops.alerts (alert_id, fingerprint, kind, severity, title, body, run_id, session, since, created_at, channel, attempts) "
        "values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0)",
        [uuid4().hex, *values],
    )
