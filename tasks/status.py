"""The state of the published warehouse: the last run, how fresh the data is, what is open."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from pydantic import BaseModel

from tasks import calendar, warehouse

if TYPE_CHECKING:
    from tasks.settings import Settings

#: Until then after the close a session may still be on its way: the daily job runs at 18:30 New York, the watchdog at 20:00.
GRACE = timedelta(hours=4)


class LastRun(BaseModel):
    """The newest row of `ops.runs`."""

    run_id: str
    status: str
    session: date | None
    started_at: datetime
    finished_at: datetime | None
    message: str | None


class Freshness(BaseModel):
    """How far a dataset is behind the calendar; `symbols_behind` lack the latest session."""

    dataset: str
    latest_session: date | None
    expected_session: date
    sessions_behind: int
    symbols_behind: int


class Status(BaseModel):
    """What `rotation status --json` prints."""

    healthy: bool
    simulated: bool
    problems: list[str]
    last_run: LastRun | None
    last_published_run_id: str | None
    freshness: list[Freshness]
    open_alerts: int
    quarantined: int


def read(settings: Settings, now: datetime) -> Status:
    """The status at `now`. Raises `RotationError` where there is no warehouse."""
    with warehouse.reading(settings.published) as con:
        last = con.execute(
            "select run_id, status, session, started_at, finished_at, message from ops.runs order by run_id desc limit 1"
        ).fetchone()
        published = con.execute("select max(run_id) from ops.runs where published").fetchone() or (None,)
        (simulated,) = con.execute("select coalesce(bool_or(source = 'sample'), false) from raw.prices").fetchone() or (
            False,
        )
        (alerts,) = con.execute("select count(*) from ops.alerts where sent_at is null").fetchone() or (0,)
        (quarantined,) = con.execute("select count(*) from ops.quarantine where resolved_at is null").fetchone() or (0,)
        latest, behind, dead, newest = None, 0, [], []
        if published[0]:
            dead = con.execute(
                """
                with last_rows as (
                    from core.fund_flows qualify row_number() over (partition by symbol order by session desc) = 1
                )
                select source, string_agg(symbol, ', ' order by symbol)
                from last_rows where null_reason = 'dead source' group by source order by source
                """
            ).fetchall()
            newest = con.execute(
                """
                with newest as (
                    select 'fund_nav' as dataset, 1 as max_age_sessions, symbol, max(session) as day from core.fund_nav group by symbol
                    union all
                    select 'fund_facts', 0, symbol, max(as_of) from core.fund_facts group by symbol
                    union all
                    select 'holdings', 5, fund_symbol, max(as_of) from core.holdings group by fund_symbol
                    union all
                    select 'earnings_growth', 5, symbol, max(as_of) from core.earnings_growth group by symbol
                )
                select n.dataset, max(n.day) as latest, n.max_age_sessions, count(*) filter (n.day < due.session) as behind
                from newest as n
                join core.sessions as due
                    on due.session_number = (select max(session_number) from core.sessions) - n.max_age_sessions
                group by all
                order by all
                """
            ).fetchall()
            latest, behind = con.execute(
                """
                with newest as (select max(session) as session from core.prices),
                last_bars as (select symbol, max(session) as session from core.prices group by symbol)
                select n.session, count(*) filter (coalesce(b.session < n.session, coalesce(i.inception <= n.session, true)))
                from core.instruments as i cross join newest as n left join last_bars as b using (symbol)
                group by n.session
                """
            ).fetchone() or (None, 0)
    last_run = LastRun(**dict(zip(LastRun.model_fields, last, strict=True))) if last else None
    days = calendar.load(min(settings.history_start, now.date()), now.date())
    expected = days.last_closed(now - GRACE + calendar.SETTLE)
    sessions_behind = len(days.sessions(latest + timedelta(days=1), expected)) if latest else 0
    problems = _problems(last_run, latest, expected, sessions_behind)
    problems += [
        f"Dead source: the share counts of {source} stand still ({symbols}); see ops.alerts."
        for source, symbols in dead
    ]
    freshness = [_freshness(days, "prices", latest, expected, behind)]
    for dataset, day, max_age_sessions, symbols in newest:
        # Issuers publish a session on the day after it; holdings and estimates are asked once a week.
        due = days.sessions(expected - timedelta(days=14), expected)[-1 - max_age_sessions]
        freshness.append(_freshness(days, dataset, day, due, symbols))
    return Status(
        healthy=not problems,
        simulated=simulated,
        problems=problems,
        last_run=last_run,
        last_published_run_id=published[0],
        freshness=freshness,
        open_alerts=alerts,
        quarantined=quarantined,
    )


def _freshness(
    days: calendar.Calendar, dataset: str, latest: date | None, expected: date, symbols_behind: int
) -> Freshness:
    behind = len(days.sessions(latest + timedelta(days=1), expected)) if latest else 0
    return Freshness(
        dataset=dataset,
        latest_session=latest,
        expected_session=expected,
        sessions_behind=behind,
        symbols_behind=symbols_behind,
    )


def _problems(last_run: LastRun | None, latest: date | None, expected: date, sessions_behind: int) -> list[str]:
    problems = []
    if last_run and last_run.status in ("blocked", "failed"):
        problems.append(f"The last run, {last_run.run_id}, {last_run.status.replace('blocked', 'was blocked')}.")
    if latest is None:
        problems.append("Nothing was ever published; start with `rotation run`.")
    elif sessions_behind:
        problems.append(
            f"Stale: the latest session is {latest}, {sessions_behind} behind {expected}; bring it up with `rotation run`."
        )
    return problems
