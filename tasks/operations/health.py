"""The problems in a warehouse's state, as sentences that end with the remedy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from market_rotation.tasks import wording
from market_rotation.tasks.operations.state import Freshness, LastRun, LateFund

STALE = "Stale"
NEVER_PUBLISHED = "Nothing was ever published"


def problems(
    last_run: LastRun | None, prices: Freshness, dead_sources: Sequence[str], *, was_interrupted: bool
) -> Iterator[str]:
    """One sentence per problem; none when the warehouse is healthy. `was_interrupted`: the last run has neither an end nor a process.

    `dead_sources` are sources whose share counts stand still, each with its funds.
    """
    if last_run and last_run.status in ("blocked", "failed"):
        yield f"The last run, {last_run.run_id}, {last_run.status.replace('blocked', 'was blocked')}."
    if last_run and was_interrupted:
        yield (
            f"The last run, {last_run.run_id}, was interrupted: the process was killed or the machine went down. "
            "`rotation run` repeats it."
        )
    if prices.latest_session is None:
        yield f"{NEVER_PUBLISHED}; start with `rotation run`."
    elif prices.sessions_behind:
        yield (
            f"{STALE}: the latest session is {prices.latest_session}, {prices.sessions_behind} behind {prices.expected_session}; "
            "bring it up with `rotation run`."
        )
    for source in dead_sources:
        yield f"Dead source: the share counts of {source} stand still; see `rotation alerts list`."


def late_fund(fund: LateFund) -> str:
    """What is wrong with the records of one fund, in a sentence with the numbers of sessions."""
    source = f" of {fund.source}" if fund.source else ""
    if fund.reason == "unchanged":
        return (
            f"{fund.symbol}: records{source} unchanged for {wording.count(fund.sessions_unchanged, 'session')}, to {fund.last_session}; "
            "its flows are not known until the share count changes."
        )
    if fund.reason == "late":
        return (
            f"{fund.symbol}: last record{source} {wording.count(fund.record_age_sessions, 'session')} old, of {fund.last_session}; "
            f"{wording.count(fund.max_age_sessions, 'session')} is usual."
        )
    return (
        f"{fund.symbol}: last share count{source} {wording.count(fund.count_age_sessions or 0, 'session')} old, of {fund.last_count_session}; "
        "its flows are not known from then on."
    )


def is_overdue(problem: str) -> bool:
    """Whether the next run solves `problem`, which is so for missing sessions. Any other problem needs a person."""
    return problem.startswith((STALE, NEVER_PUBLISHED))
