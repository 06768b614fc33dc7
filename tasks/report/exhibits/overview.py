"""The top of the report: the headline, the evidence, what changed, how fresh the data is, what is open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from market_rotation.tasks.report.charts import lines
from market_rotation.tasks.report.exhibits.base import Column, Exhibit
from market_rotation.tasks.report.phrases import DATASETS, NOT_KNOWN, day, first_upper, listed, plain, plural
from market_rotation.tasks.report.words import signed

if TYPE_CHECKING:
    import pandas as pd

LABELS = {
    "confirmed": "The rotation into small caps has been confirmed",
    "building": "The rotation into small caps has been building",
    "neutral": "The evidence on a rotation into small caps has been neutral",
    "fading": "The rotation into small caps has been fading",
    "reversed": "The rotation into small caps has been reversed",
}
VERDICTS = {1: "for it", -1: "against it", 0: "neither", None: "not known"}


def headline(rows: pd.DataFrame, sql: str) -> Exhibit:
    """The label in force and its score. The last row of `rows` is that of the session."""
    (last,) = plain(rows.tail(1))
    counts = f"{last['votes_for']} of 6 pieces of evidence speak for it, {last['votes_against']} against"
    if last["votes_missing"]:
        counts += f", {last['votes_missing']} {'is' if last['votes_missing'] == 1 else 'are'} not known"
    if last["label"]:
        finding = f"{LABELS[last['label']]} since {day(last['label_since'])}: {counts}."
        if last["raw_label"] and last["raw_label"] != last["label"]:
            finding += f" The score of the day, {signed(last['score'])}, says {last['raw_label']}."
    else:
        finding = f"Whether money rotates into small caps is not known: {counts}."
    missing = None
    if last["score"] is None:
        missing = "Fewer than three pieces of evidence are known, so there is no score."
    elif not last["label"]:
        missing = "No label has held for five sessions yet."
    return Exhibit(
        id="headline",
        title="Is the rotation into small caps real?",
        finding=finding,
        note="The score is the mean of the verdicts that are known, from -1 to 1. A label takes effect once the score has meant it "
        "for five sessions in a row, so it turns late and stays while the days disagree. The strip at the bottom is the label in force. "
        "It describes; it does not forecast.",
        sql=sql,
        rows=rows,
        table=rows.tail(1).reset_index(drop=True),
        columns=(
            Column("session", "Session", "session"),
            Column("label", "Label in force", "text"),
            Column("label_since", "Since", "session"),
            Column("days_in_label", "Sessions", "count"),
            Column("raw_label", "Label of the day", "text"),
            Column("score", "Score", "ratio"),
            Column("votes_for", "For", "count"),
            Column("votes_against", "Against", "count"),
            Column("votes_missing", "Not known", "count"),
        ),
        chart=lines.headline(finding) if rows["score"].notna().any() else None,
        missing=missing,
    )


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
        note="Each piece of evidence votes for the rotation, against it, or neither, by levels set beforehand. What is not known has no vote.",
        sql=sql,
        rows=rows,
        table=board,
        columns=(
            Column("name", "Evidence", "text"),
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
    """What differs from the session before and from 21 sessions ago."""
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


def _change(facts: list[dict[str, Any]], moment: str, since: str) -> str:
    """In a sentence, whether the label, the score and verdicts differ from those at `moment`."""
    by_name = {fact["what"]: fact for fact in facts}
    if not by_name["Session"][moment]:
        return f"{since} nothing can be compared."
    told = []
    for what, words in (("Label in force", "the label"), ("Score", "the score")):
        if (fact := by_name.get(what)) and fact["now"] != fact[moment]:
            told.append(f"{words} went from {fact[moment] or NOT_KNOWN} to {fact['now'] or NOT_KNOWN}")
    turned = [
        fact["what"]
        for fact in facts
        if {fact["now"], fact[moment]} <= {"for", "against", "neither", None} and fact["now"] != fact[moment]
    ]
    if turned:
        told.append(f"the verdict changed on {listed(turned)}")
    return f"{since} {'; '.join(told)}." if told else f"{since} neither label nor score nor a verdict changed."


def freshness(rows: pd.DataFrame, sql: str) -> Exhibit:
    """How new each dataset is at the session."""
    named = rows.assign(dataset=rows["dataset"].map(DATASETS))
    datasets = plain(named)
    absent = [row["dataset"] for row in datasets if row["latest"] is None]
    late = [
        f"{row['dataset']} ({plural(row['sessions_behind'], 'session')})"
        for row in datasets
        if row["latest"] is not None and row["sessions_behind"] > row["usually_behind"]
    ]
    sentences = []
    if late:
        sentences.append(f"Later than usual: {listed(late)}.")
    if absent:
        sentences.append(f"Nothing is known of {listed(absent)}.")
    return Exhibit(
        id="freshness",
        title="How fresh is the data?",
        finding=" ".join(sentences) or "All data is as new as it usually is.",
        note="Issuers publish a session's NAV and shares on the day after it; holdings and estimates are asked for once a week.",
        sql=sql,
        rows=rows,
        table=named,
        columns=(
            Column("dataset", "Data", "text"),
            Column("latest", "Latest", "session"),
            Column("sessions_behind", "Sessions behind", "count"),
            Column("usually_behind", "Usual at most", "count"),
            Column("symbols_latest", "Symbols with the latest", "count"),
            Column("symbols", "Of", "count"),
        ),
        missing=f"Nothing is known of {listed(absent)}." if absent else None,
    )


def problems(rows: pd.DataFrame, sql: str) -> Exhibit:
    """What is open in the warehouse; no rows when nothing is."""
    found = plain(rows)
    finding = "Nothing is open."
    if found:
        count, critical = found[0]["open_problems"], found[0]["critical_problems"]
        kinds = list(dict.fromkeys(row["problem"].lower() for row in found))
        finding = f"{plural(count, 'problem')} {'is' if count == 1 else 'are'} open, {critical or 'none'} of them critical: {listed(kinds)}."
    named = rows.assign(dataset=rows["dataset"].map(DATASETS).fillna(rows["dataset"]))
    return Exhibit(
        id="problems",
        title="What is open?",
        finding=finding,
        note="What the last published batch failed but could be published with, rows that were set aside instead of published, sources that "
        "repeat themselves, and alerts that could not be sent. An open row comes back by itself when the vendor corrects it.",
        sql=sql,
        rows=rows,
        table=named,
        columns=(
            Column("problem", "Problem", "text"),
            Column("severity", "Severity", "text"),
            Column("dataset", "Data", "text"),
            Column("subject", "Check or source", "text"),
            Column("affected", "Rows", "count"),
            Column("sentence", "What is wrong", "text"),
            Column("example", "Such as", "text"),
        ),
    )
