"""Built-in alerts on `signals.verdict_changes`: a new label, state or verdict, as ROTATION_ALERT_ON chooses."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

    from market_rotation.tasks.settings import Settings


@dataclass(frozen=True)
class Notice:
    """A message that is sent once and has no end. A notice whose fingerprint is in the outbox is not written again."""

    fingerprint: str
    title: str
    body: str


#: The kinds of change and their subjects in `signals.verdict_changes`; the kind `verdict` is all other subjects.
CHANGES = {
    "label": ("label",),
    "state": ("size_state", "leadership_state", "support_state"),
}


def since_last_session(con: duckdb.DuckDBPyConnection, settings: Settings, run_id: str, session: date) -> list[Notice]:
    """One notice for each change of label, states and verdicts since the session published before, as ROTATION_ALERT_ON chooses.

    None on the first published session: what is new to the warehouse is not new in the market.
    """
    wanted = settings.alert_changes
    if not wanted:
        return []
    named = [subject for subjects in CHANGES.values() for subject in subjects]
    chosen = [subject for name in wanted for subject in CHANGES.get(name, ())]
    found = con.execute(
        """
        select session, subject, old, new, detail
        from signals.verdict_changes
        where session <= $session
            and session > (select max(session) from ops.runs where published and run_id < $run_id and session < $session)
            and (list_contains($chosen, subject) or ($verdicts and not list_contains($named, subject)))
        order by session, subject
        """,
        {"session": session, "run_id": run_id, "chosen": chosen, "named": named, "verdicts": "verdict" in wanted},
    ).fetchall()
    return [_of_change(*row) for row in found]


def _of_change(session: date, subject: str, old: str | None, new: str | None, detail: str | None) -> Notice:
    named = subject.replace("_", " ")
    return Notice(
        f"change:{session}:{subject}:{new or 'unknown'}",
        f"{named.capitalize()}: {new or 'not known'} (was {old or 'not known'})",
        "\n".join(
            line
            for line in (
                f"On {session} {named} changed from {old or 'not known'} to {new or 'not known'}.",
                detail or "",
                'All changes: `rotation sql "from signals.verdict_changes order by session desc"`. ROTATION_ALERT_ON chooses what is sent.',
            )
            if line
        ),
    )
