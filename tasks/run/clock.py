"""The machine's clock: a run refuses one that cannot be right, and corrects what an earlier run recorded while the clock was ahead."""

from __future__ import annotations

import logging
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from market_rotation.tasks import warehouse
from market_rotation.tasks.calendar import NEW_YORK
from market_rotation.tasks.errors import RotationError
from market_rotation.tasks.warehouse.models import Model, models

if TYPE_CHECKING:
    import duckdb

log = logging.getLogger("rotation.run")

#: Machines differ by less, whatever their time zones.
SLACK = timedelta(days=1)
#: Sessions without a bar of any symbol, up to which the question is whether the exchange was closed. The longest closure since 1933 took four.
MOST_WITHOUT_BAR = 10
#: Columns that say when something happened on the exchange, and not when it was recorded.
_OF_THE_EXCHANGE = ("opens_at", "closes_at")


def refuse_behind(con: duckdb.DuckDBPyConnection, now: datetime, session: date | None) -> None:
    """Raises `RotationError` where the warehouse has bars from after `now`, unless the run names its `session`.

    Without a session named, the run would find that all is up to date with the last session of a time long past.
    """
    newest = _newest_bar(con)
    if session is None and newest and newest > (now + SLACK).date():
        raise RotationError(
            f"The clock of this machine says {now:%Y-%m-%d %H:%M} UTC, but the warehouse has bars of {newest}: correct the clock, then run again."
        )


def refuse_ahead(con: duckdb.DuckDBPyConnection, now: datetime) -> None:
    """Raises `RotationError` where no symbol has a bar for so many sessions that the clock must be ahead, or the source has stopped."""
    newest, sessions = con.execute(
        """
        with newest as (
            select max(session) as session
            from (
                select session::date as session from stage.fetched_prices where close is not null
                union all select session from raw.prices where close is not null
            )
            where session <= getvariable('target_session')
        )

        select
            (from newest),
            (select count(*) from stage.sessions where session > (from newest) and session <= getvariable('target_session'))
        where exists (from stage.answers where dataset = 'prices' and end_session >= getvariable('target_session'))
        """
    ).fetchone() or (None, 0)
    if sessions > MOST_WITHOUT_BAR:
        raise RotationError(
            f"The clock of this machine says {now:%Y-%m-%d %H:%M} UTC, but the newest bar of any symbol is of {newest}, {sessions} sessions before "
            f"the last closed one: correct the clock, or, if it is right, check the source with `rotation doctor`. Nothing was published."
        )


def correct_future(con: duckdb.DuckDBPyConnection, now: datetime) -> bool:
    """Gives runs that were recorded in the future of `now` a time just before it; returns whether there were any.

    Their order stays, so that the latest version of a value is the same and what later runs bring wins over it. The time of what they
    fetched is not known better, and an earlier one would let the past know it. Nothing is corrected while the warehouse has bars
    from after `now`: then it is this clock that is behind.
    """
    today = now.astimezone(NEW_YORK).date()
    runs = con.execute(
        """
        select run_id
        from ops.runs
        where started_at > $now
            -- Of a clock that was less than a day ahead only a session that has not come yet is proof.
            and exists (from ops.runs where started_at > $now and (started_at > $later or session > $today))
        order by run_id
        """,
        {"now": now, "later": now + SLACK, "today": today},
    ).fetchall()
    newest = _newest_bar(con)
    if not runs or (newest and newest > today):
        return False
    with warehouse.transaction(con):
        con.execute(
            "create or replace temp table corrected (run_id varchar, new_run_id varchar, corrected_at timestamptz)"
        )
        for position, (run_id,) in enumerate(runs):
            at = now - timedelta(microseconds=len(runs) - position)
            con.execute(
                "insert into corrected values ($1, $2, $3)", [run_id, f"{at:%Y%m%dT%H%M%S%f}-{run_id[-6:]}", at]
            )
        for model in models():
            if model.kind == "ledger":
                _correct(con, model, now)
        con.execute("drop table corrected")
        # The session was only the clock's idea; an incident of it could not end before that day has come.
        for table in ("ops.runs", "ops.alerts"):
            con.execute(f"update {table} set session = null where session > $1", [today])
    log.warning(
        "The clock of this machine was ahead: %s runs were recorded in the future of %s. They now count as just before it.",
        len(runs),
        f"{now:%Y-%m-%d %H:%M} UTC",
    )
    return True


def _correct(con: duckdb.DuckDBPyConnection, model: Model, now: datetime) -> None:
    timestamps = [n for n, kind in model.columns.items() if kind == "TIMESTAMPTZ" and n not in _OF_THE_EXCHANGE]
    known = [name for name in timestamps if name in ("known_at", "started_at")]
    if "run_id" in model.columns:
        values = ", ".join(["run_id = c.new_run_id", *(f"{name} = c.corrected_at" for name in known)])
        con.execute(f"update {model.name} as t set {values} from corrected as c where t.run_id = c.run_id")
    for name in timestamps:
        con.execute(f"update {model.name} set {name} = $1 where {name} > $2", [now - timedelta(microseconds=1), now])


def _newest_bar(con: duckdb.DuckDBPyConnection) -> date | None:
    newest: tuple[date | None] | None = con.execute(
        "select max(session) from raw.prices where close is not null"
    ).fetchone()
    return newest[0] if newest else None
