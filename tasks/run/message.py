"""The message of a run that ends well, for `ops.runs`, the screen and the alerts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from market_rotation.tasks import wording
from market_rotation.tasks.audit import quarantine
from market_rotation.tasks.calendar import NEW_YORK

if TYPE_CHECKING:
    from market_rotation.tasks.run.context import RunContext


def of_publication(context: RunContext) -> str:
    """What the run published or found up to date, whose prices it has, and how many rows and symbols are in quarantine."""
    run = context.run
    if run.status == "up_to_date":
        today = run.known_at.astimezone(NEW_YORK).date()
        what = "Nothing new" if context.resolved.backfill else "Nothing to do"
        message = f"{what}: already up to date with {context.session}."
        if not context.calendar.is_session(today):
            message += f" {today} is not a session of the exchange."
    else:
        message = f"Published {context.session}." + _of_later_sources(context)
    if backfill := context.resolved.backfill:
        message = (
            f"{wording.count(run.rows_fetched, 'row')} of {backfill.start} to {backfill.end} requested again, "
            f"{run.rows_revised:,} restated, {run.rows_new:,} new. {message}"
        )
    earlier = quarantine.open_before(context.con, run.run_id)
    counts = [(run.rows_quarantined, "newly set aside"), (earlier, "set aside earlier and still open")]
    if listed := " and ".join(f"{count:,} {state}" for count, state in counts if count):
        message += f" Rows and symbols in quarantine: {listed}; see `rotation quarantine list`."
    return message


def _of_later_sources(context: RunContext) -> str:
    """A sentence for each source but the first that gave prices in this run; empty where the first gave all."""
    found = context.con.execute(
        "select source, count(*) from stage.answers where dataset = 'prices' and source <> $1 and error is null group by all order by all",
        [context.settings.sources[0]],
    ).fetchall()
    return "".join(f" Prices of {wording.count(symbols, 'symbol')} are from {source}." for source, symbols in found)
