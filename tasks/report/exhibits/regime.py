"""The regime: the label and the states in force as one sentence, and as a path on a compass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from market_rotation.tasks.report.charts.compass import compass as drawn_compass
from market_rotation.tasks.report.charts.compass import timeline
from market_rotation.tasks.report.exhibits.base import Column, Exhibit
from market_rotation.tasks.report.phrases import day, first_upper, plain, signed_score

if TYPE_CHECKING:
    import pandas as pd

LABELS = {
    "confirmed": "The rotation into small caps has been confirmed",
    "building": "The rotation into small caps has been building",
    "neutral": "There has been no rotation between small and large caps",
    "fading": "The rotation into small caps has been fading",
    "reversed": "The rotation into small caps has been reversed",
}
SIZE = {
    "leading": "small caps have led",
    "even": "neither small nor large caps have led",
    "trailing": "small caps have trailed",
}
LEADERSHIP = {
    "broadening": "leadership has broadened",
    "mixed": "leadership has been mixed",
    "narrowing": "leadership has narrowed",
}
SUPPORT = {
    "supported": "fund flows and earnings support it",
    "mixed": "fund flows and earnings neither support nor contradict it",
    "contradicted": "fund flows and earnings contradict it",
    None: "whether fund flows and earnings support it is not known",
}
#: States that favour small caps, and those against: an axis of each kind is joined by "but".
FOR, AGAINST = {"leading", "broadening"}, {"trailing", "narrowing"}


def headline(rows: pd.DataFrame, sql: str) -> Exhibit:
    """The label in force, its states, and the conditions for another label. The last row of `rows` is that of the session."""
    (last,) = plain(rows.tail(1))
    finding = f"{sentence(last)} {first_upper(SUPPORT[last['support_state']])}."
    missing = None
    if last["size_score"] is None:
        missing = "No headline pair has a full window of 200 sessions that session, so there is no size score."
    elif not last["label"]:
        missing = f"The size score has not been known for {last['sessions_to_hold']} sessions in a row yet, so no label is in force."
    return Exhibit(
        id="headline",
        title="The regime over two years",
        finding=finding,
        note="The label and the states in force, blue for the rotation into small caps, orange against it. Size: how many of four conditions small caps meet "
        "against large caps, from -1 to 1. Leadership: the mean of three verdicts on whether others than the largest companies lead. A state comes into "
        f"force after {last['sessions_to_hold']} sessions in a row, so it turns late. It describes; it does not forecast.",
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
        chart=timeline(finding)
        if rows[["label", "size_state", "leadership_state", "support_state"]].notna().any().any()
        else None,
        missing=missing,
    )


def sentence(last: dict[str, Any]) -> str:
    """The regime in one sentence: the label and since when, and the states of both axes that make it."""
    states = [last["size_state"], last["leadership_state"]]
    size = _since(SIZE, states[0], last["size_state_since"]) or "whether small caps lead is not known"
    leadership = (
        _since(LEADERSHIP, states[1], last["leadership_state_since"]) or "whether leadership broadens is not known"
    )
    joined = "but" if FOR & set(states) and AGAINST & set(states) else "and"
    if not last["label"]:
        return f"Whether money rotates into small caps is not known: {size}, {joined} {leadership}."
    made = f"{LABELS[last['label']]} since {day(last['label_since'])}: {size}, {joined} {leadership}"
    if last["label"] == "building" and states[1] == "broadening":
        made += "; it is not confirmed because fund flows and earnings contradict it"
    return f"{made}."


def _since(phrases: dict[str, str], state: str | None, since: Any) -> str | None:
    return f"{phrases[state]} since {day(since)}" if state else None


def compass(rows: pd.DataFrame, sql: str) -> Exhibit:
    """Size across and leadership up: the scores of the session, and the path of their monthly means over the last year."""
    last = plain(rows.tail(1))[0] if len(rows) else {"size_mean_1m": None, "leadership_mean_1m": None}
    known = rows[["size_mean_1m", "leadership_mean_1m"]].notna().all(axis=1)
    finding = "Neither score has a full month yet."
    if known.any():
        finding = (
            f"Size {signed_score(last['size_score'])} and leadership {signed_score(last['leadership_score'])} that session; "
            f"{signed_score(last['size_mean_1m'])} and {signed_score(last['leadership_mean_1m'])} on the mean of a month."
        )
    return Exhibit(
        id="compass",
        title="Size and leadership",
        finding=finding,
        note="Diamond: the scores of the session. Dot and tail: their mean over 21 sessions, week by week over a year. Frame: the states in force, "
        "which follow once the session's states have differed for 5 sessions.",
        sql=sql,
        rows=rows,
        table=rows.iloc[::-1].reset_index(drop=True),
        columns=(
            Column("session", "Week to", "session"),
            Column("size_score", "Size", "ratio"),
            Column("leadership_score", "Leadership", "ratio"),
            Column("size_mean_1m", "Size, month", "ratio"),
            Column("leadership_mean_1m", "Leadership, month", "ratio"),
            Column("label", "Label in force", "text"),
        ),
        chart=drawn_compass(f"Size and leadership: {finding}") if known.any() else None,
        missing=None if known.any() else "Neither score has a full month yet.",
    )
