"""The top of the report: the regime in words, the evidence, what changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from market_rotation.tasks.report.charts import lines
from market_rotation.tasks.report.exhibits.base import Column, Exhibit
from market_rotation.tasks.report.phrases import NOT_KNOWN, day, first_upper, listed, plain

if TYPE_CHECKING:
    import pandas as pd

LABELS = {
    "confirmed": "The rotation into small caps has been confirmed",
    "building": "The rotation into small caps has been building",
    "neutral": "The regime has been neutral",
    "fading": "The rotation into small caps has been fading",
    "reversed": "The rotation into small caps has been reversed",
}
SIZE = {
    "leading": "small caps have led",
    "even": "neither small nor large caps have led",
    "trailing": "small caps have trailed",
}
LEADERSHIP = {
    "broadening": "leadership has broadened beyond the largest companies",
    "mixed": "leadership has been mixed",
    "narrowing": "leadership has narrowed to the largest companies",
}
SUPPORT = {
    "supported": "fund flows and earnings support it",
    "mixed": "fund flows and earnings neither support nor contradict it",
    "contradicted": "fund flows and earnings contradict it",
    None: "whether fund flows and earnings support it is not known",
}
#: Conditions for another label, by the column that names the label; `{n}` is the number of sessions until a state comes into force.
CONDITIONS = {
    "label_if_leading": "small caps lead for {n} sessions in a row",
    "label_if_even": "neither small nor large caps lead for {n} sessions in a row",
    "label_if_trailing": "small caps trail for {n} sessions in a row",
    "label_if_broadening": "leadership broadens for {n} sessions in a row",
    "label_if_mixed": "leadership is mixed for {n} sessions in a row",
    "label_if_narrowing": "leadership narrows for {n} sessions in a row",
    "label_if_contradicted": "fund outflows or falling earnings contradict it",
    "label_if_not_contradicted": "fund flows and earnings no longer contradict it",
}
#: Two changes that lead to the same label, in one phrase.
MERGED = {
    ("label_if_mixed", "label_if_narrowing"): "leadership does not broaden for {n} sessions in a row",
    ("label_if_broadening", "label_if_mixed"): "leadership does not narrow for {n} sessions in a row",
}
VERDICTS = {1: "for it", -1: "against it", 0: "neither", None: "not known"}


def headline(rows: pd.DataFrame, sql: str) -> Exhibit:
    """The label in force, its states, and the conditions for another label. The last row of `rows` is that of the session."""
    (last,) = plain(rows.tail(1))
    states = [
        _since(SIZE, last["size_state"], last["size_state_since"]) or "whether small caps lead is not known",
        _since(LEADERSHIP, last["leadership_state"], last["leadership_state_since"])
        or "whether leadership broadens is not known",
        SUPPORT[last["support_state"]],
    ]
    if last["label"]:
        first_sentence = f"{LABELS[last['label']]} since {day(last['label_since'])}"
    else:
        first_sentence = "Whether money rotates into small caps is not known"
    finding = " ".join(
        [f"{first_sentence}.", f"{first_upper('; '.join(states))}.", *_pending(last), *_would_change(last)]
    )
    missing = None
    if last["size_score"] is None:
        missing = "No headline pair has a full window of 200 sessions that session, so there is no size score."
    elif not last["label"]:
        missing = f"The size score has not been known for {last['sessions_to_hold']} sessions in a row yet, so no label is in force."
    return Exhibit(
        id="headline",
        title="Is the rotation into small caps real?",
        finding=finding,
        note="Size: how many of four conditions small caps meet against large caps, from -1 to 1. Leadership: the mean of three verdicts on "
        f"whether others than the largest companies lead. A state comes into force after {last['sessions_to_hold']} sessions in a row, so it turns late "
        "and stays while the days disagree. The strip at the bottom is the label in force. It describes; it does not forecast.",
        sql=sql,
        rows=rows,
        table=rows.tail(1).reset_index(drop=True),
        columns=(
            Column("session", "Session", "session"),
            Column("label", "Label in force", "text"),
            Column("label_since", "Since", "session"),
            Column("days_in_label", "Sessions", "count"),
            Column("size_state", "Size", "text"),
            Column("size_state_since", "Since", "session"),
            Column("size_score", "Size score", "ratio"),
            Column("leadership_state", "Leadership", "text"),
            Column("leadership_state_since", "Since", "session"),
            Column("leadership_score", "Leadership score", "ratio"),
            Column("support_state", "Support", "text"),
        ),
        chart=lines.headline(finding) if rows[["size_score", "leadership_score"]].notna().any().any() else None,
        missing=missing,
    )


def _since(phrases: dict[str, str], state: str | None, since: Any) -> str | None:
    return f"{phrases[state]} since {day(since)}" if state else None


def _pending(last: dict[str, Any]) -> list[str]:
    """For each axis whose state of the day differs from the one in force: since how many sessions, of how many a change takes."""
    return [
        f"By the day's evidence {axis} is {last[f'{axis}_state_today']}, for {last[f'{axis}_sessions_differing']} of the "
        f"{last['sessions_to_hold']} sessions that a change takes."
        for axis in ("size", "leadership")
        if last[f"{axis}_sessions_differing"]
    ]


def _would_change(last: dict[str, Any]) -> list[str]:
    """A sentence on the labels that a change of one state would lead to."""
    skipped = {f"label_if_{last['size_state']}", f"label_if_{last['leadership_state']}"}
    skipped.add("label_if_contradicted" if last["support_state"] == "contradicted" else "label_if_not_contradicted")
    conditions = {
        column: condition
        for column, condition in CONDITIONS.items()
        if column not in skipped and last[column] not in (None, last["label"])
    }
    for (first, second), condition in MERGED.items():
        if first in conditions and second in conditions and last[first] == last[second]:
            conditions[first] = condition
            del conditions[second]
    by_label: dict[str, list[str]] = {}
    for column, condition in conditions.items():
        by_label.setdefault(last[column], []).append(condition.format(n=last["sessions_to_hold"]))
    if not last["label"] or not by_label:
        return []
    changes = [f"{label} if {', or if '.join(conditions)}" for label, conditions in by_label.items()]
    return [f"It becomes {'; '.join(changes)}."]


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
