"""What the regime rests on: the six verdicts, what turned, what is close to turning, and how much of it is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from market_rotation.tasks.report.exhibits.base import Column, Exhibit
from market_rotation.tasks.report.phrases import (
    NOT_KNOWN,
    coverage,
    day,
    first_upper,
    listed,
    plain,
    plural,
    quantity,
    tenths,
)
from market_rotation.tasks.report.words import written

if TYPE_CHECKING:
    import pandas as pd

VERDICTS = {1: "for it", -1: "against it", 0: "neither", None: "not known"}


def evidence(rows: pd.DataFrame, sql: str) -> Exhibit:
    """The six verdicts of the session; `rows` also hold the year before."""
    board = rows[rows["detail"].notna()].reset_index(drop=True)
    pieces = plain(board)
    groups = {
        words: [piece["name"] for piece in pieces if piece["verdict"] == verdict] for verdict, words in VERDICTS.items()
    }
    sentences = [f"{words}: {listed(names)}" for words, names in groups.items() if names]
    unknown = groups["not known"]
    return Exhibit(
        id="evidence",
        title="The evidence",
        finding=first_upper("; ".join(sentences)) + "." if sentences else "No evidence is known.",
        note="Each piece of evidence speaks for the rotation, against it, or neither, by levels set beforehand: one on size, three on leadership, two on "
        "support. What is not known does not count.",
        sql=sql,
        rows=rows,
        table=board,
        columns=(
            Column("name", "Evidence", "text"),
            Column("axis", "Axis", "text"),
            Column("verdict", "Verdict", "verdict"),
            Column("detail", "What was found", "text"),
            Column("value_text", "Value", "text"),
            Column("for_text", "Speaks for it", "text"),
            Column("against_text", "Against it", "text"),
            Column("verdict_previous", "Session before", "verdict"),
            Column("verdict_month_ago", "21 sessions ago", "verdict"),
        ),
        missing=f"Not known: {listed(unknown)}." if unknown else None,
    )


def changes(rows: pd.DataFrame, sql: str) -> Exhibit:
    """Changes since the session before and since 21 sessions ago."""
    facts = plain(rows)
    return Exhibit(
        id="changes",
        title="What changed",
        finding=f"{_change(facts, 'yesterday', 'Since the session before')} {_change(facts, 'month_ago', 'Since 21 sessions ago')}",
        note="A verdict is listed when it differs from either day, a sector's quadrant on the daily rotation graph when it differs from the "
        "session before.",
        sql=sql,
        rows=rows,
        table=rows,
        columns=(
            Column("what", "", "text"),
            Column("now", "Now", "text"),
            Column("yesterday", "Session before", "text"),
            Column("month_ago", "21 sessions ago", "text"),
        ),
        missing=None if all(fact["month_ago"] for fact in facts[:1]) else "There are no 21 sessions before it.",
    )


CHANGING = {
    "Label in force": "the label",
    "Size": "size",
    "Leadership": "leadership",
    "Support by flows and earnings": "support by flows and earnings",
}


def _change(facts: list[dict[str, Any]], moment: str, since: str) -> str:
    """In a sentence, whether the label, the states and verdicts differ from those at `moment`."""
    by_name = {fact["what"]: fact for fact in facts}
    if not by_name["Session"][moment]:
        return f"{since} nothing can be compared."
    changes = []
    for what, words in CHANGING.items():
        if (fact := by_name.get(what)) and fact["now"] != fact[moment]:
            changes.append(f"{words} went from {fact[moment] or NOT_KNOWN} to {fact['now'] or NOT_KNOWN}")
    turned = [
        fact["what"]
        for fact in facts
        if {fact["now"], fact[moment]} <= {"for", "against", "neither", None} and fact["now"] != fact[moment]
    ]
    if turned:
        changes.append(f"the verdict changed on {listed(turned)}")
    return f"{since} {'; '.join(changes)}." if changes else f"{since} no label, state or verdict changed."


def turns(rows: pd.DataFrame, sql: str) -> Exhibit:
    """Each change of the label, a state or a verdict over the last 21 sessions, the newest first."""
    changes = plain(rows)
    by_session: dict[Any, list[str]] = {}
    for change in changes:
        moved = f"{change['name']}: {change['old_value'] or NOT_KNOWN} to {change['new_value'] or NOT_KNOWN}"
        by_session.setdefault(change["session"], []).append(moved)
    finding = "Nothing changed in 21 sessions."
    if by_session:
        last = max(by_session)
        finding = f"Last changed on {day(last)}: {'; '.join(by_session[last])}."
    return Exhibit(
        id="turns",
        title="What changed, day by day",
        finding=finding,
        note="Each change of the label, a state in force or a verdict since the session before, over the last 21 sessions.",
        sql=sql,
        rows=rows,
        table=rows,
        columns=(
            Column("session", "Session", "session"),
            Column("name", "What", "text"),
            Column("old_value", "Before", "text"),
            Column("new_value", "After", "text"),
            Column("detail", "Why", "text"),
        ),
    )


def watch(rows: pd.DataFrame, sql: str) -> Exhibit:
    """Each measure and its distance from the level at which it would speak otherwise, the nearest first."""
    measures = plain(rows)
    near = [measure for measure in measures if measure["weeks_away"] is not None]
    unknown = [measure["name"] for measure in measures if measure["value"] is None]
    texts: dict[str, Any] = {
        f"{name}_text": [None if m[name] is None else quantity(m[name], m["unit"]) for m in measures]
        for name in ("value", "turns_at")
    }
    finding = "How near a verdict is to turning is not known."
    if near:
        finding = f"Nearest to turning: {'; '.join(map(_distance, near[:2]))}."
    return Exhibit(
        id="watch",
        title="What to watch",
        finding=finding,
        note="Turns at: the level beyond which the measure no longer speaks as it does. A usual week is the standard deviation of the measure's changes over "
        "5 sessions in the last year; the distance is divided by it, so that measures of different units can be compared. Flows and estimates do not change by the week.",
        sql=sql,
        rows=rows,
        table=rows.assign(**texts),
        columns=(
            Column("name", "Measure", "text"),
            Column("axis", "Axis", "text"),
            Column("side", "Speaks", "text"),
            Column("value_text", "Now", "text"),
            Column("turns_at_text", "Turns at", "text"),
            Column("weeks_away", "Usual weeks away", "ratio", bar=True),
        ),
        missing=f"Not known: {listed(unknown)}." if unknown else None,
    )


def _distance(measure: dict[str, Any]) -> str:
    """The measure, its level and its distance: the rank of technology among the sectors (8, turns at 6, 1.3 usual weeks away)."""
    level = f"turns at {quantity(measure['turns_at'], measure['unit'])}"
    away = f"{tenths(measure['weeks_away'])} usual weekly moves away"
    return f"{measure['name']} ({quantity(measure['value'], measure['unit'])}, {level}, {away})"


def certainty(rows: pd.DataFrame, sql: str) -> Exhibit:
    """How much of what the verdict rests on is known: pieces of evidence, flows, estimates, prices."""
    verdicts, flows, small, large, *prices = plain(rows)
    unpriced = prices[0] if prices else {"known": None, "missing": None}
    parts = [
        f"{written(verdicts['known'], 'count')} of {written(verdicts['total'], 'count')} pieces of evidence are known"
    ]
    if flows["known"] is None:
        parts.append("flows of the last month are not known")
    else:
        parts.append(
            f"flows are known of {written(flows['known'], 'count')} of {plural(int(flows['total']), 'small-cap fund')}"
        )
    sides = [side for side in (small, large) if side["known"] is not None]
    if len(sides) < 2:
        parts.append("earnings estimates are not known")
    else:
        parts.append(
            f"estimates cover {coverage(small['known'])} of the small companies and "
            f"{coverage(large['known'])} of the large ones ({coverage(small['needed'])} of each is needed)"
        )
    if unpriced["missing"]:
        parts.append(f"no price that session of {unpriced['missing']}, so the verdicts can still change")
    return Exhibit(
        id="certainty",
        title="How sure is it?",
        finding=f"{first_upper('; '.join(parts))}.",
        note="What is not known counts neither for nor against the rotation.",
        sql=sql,
        rows=rows,
        table=rows,
        columns=(
            Column("subject", "What the verdict rests on", "text"),
            Column("known", "Known", "count"),
            Column("total", "Of", "count"),
            Column("needed", "Needed for a verdict", "count"),
            Column("unit", "Unit", "text"),
            Column("missing", "Without a price", "text"),
        ),
    )
