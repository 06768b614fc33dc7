"""The alerts at the end of a run that is published: incidents, recoveries, changes of the verdicts, and the user's own rules."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from market_rotation.tasks.alerts import (
    changes,
    close_basis,
    deliver,
    differences,
    incidents,
    outbox,
    own_files,
    rules,
    without_outbox,
)
from market_rotation.tasks.warehouse.publish import publish

if TYPE_CHECKING:
    import duckdb

    from market_rotation.tasks.run.context import RunContext

log = logging.getLogger("rotation.run")

#: The incidents that a published run judges, as prefixes of fingerprints: those that it does not find are over.
JUDGED = incidents.JUDGED + differences.JUDGED + close_basis.JUDGED


def send(context: RunContext) -> None:
    """Writes incidents and recoveries to the outbox, sends pending alerts, and publishes the outbox if it changed.

    Also sends the recoveries of what was alerted without the outbox.
    """
    con, settings = context.con, context.settings
    before = _state(con)
    _judge(context)
    _apply_rules(context)
    try:
        deliver.send(con, settings, context.clock())
    except Exception as error:
        # The error's text may hold an address.
        log.warning("The alerts could not be sent (%s); they stay in the outbox.", type(error).__name__)
    without_outbox.recover(settings, context.clock())
    if _state(con) != before:
        publish(con, settings.build, settings.published)


def _judge(context: RunContext) -> None:
    """Writes to the outbox the incidents of a published run, and the recoveries from earlier ones."""
    con, run = context.con, context.run
    found = [*incidents.of_success(con), *differences.incidents_of(con), *close_basis.incidents_of(con)]
    judged: tuple[str, ...] = JUDGED
    if run.report_fault:
        found.append(incidents.of_report(context.session, run.report_fault))
    # Without new data the user's own signals are not derived again, and their incidents stay as they are.
    if run.own_faults is not None:
        found += [own_files.of_file(each.file, each.what) for each in run.own_faults]
        judged += own_files.JUDGED
    outbox.update(
        con,
        found,
        scope=judged,
        session=context.session,
        now=context.clock(),
        repeat=context.settings.alert_repeat,
        run_id=run.run_id,
        calendar=context.calendar,
    )


def _apply_rules(context: RunContext) -> None:
    """Writes to the outbox the changes of the verdicts, and the beginning and end of the user's own rules."""
    con, settings, run = context.con, context.settings, context.run
    try:
        notices = changes.since_last_session(con, settings, run.run_id, context.session)
        outbox.announce(con, notices, context.session, context.clock(), run.run_id)
        judged = rules.judge(settings)
        outbox.update(
            con,
            judged.incidents,
            scope=rules.JUDGED,
            session=context.session,
            now=context.clock(),
            repeat=settings.alert_repeat,
            run_id=run.run_id,
            is_undecided=judged.is_undecided,
            calendar=context.calendar,
        )
    except Exception as fault:
        # The rules are the user's: no fault in them changes a published run.
        log.warning("The alert rules could not be evaluated (%s: %s).", type(fault).__name__, fault)


def _state(con: duckdb.DuckDBPyConnection) -> tuple[object, ...] | None:
    return con.execute("select count(*), sum(attempts), count(sent_at) from ops.alerts").fetchone()
