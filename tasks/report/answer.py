"""The answer on the first screen, in messages and on the picture: the regime, why, what to watch, what changed, how sure it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from market_rotation.tasks.report import words
from market_rotation.tasks.report.board import AXES, Evidence, board, current
from market_rotation.tasks.report.exhibits.regime import SUPPORT, sentence
from market_rotation.tasks.report.phrases import NOT_KNOWN, first_upper

if TYPE_CHECKING:
    from market_rotation.tasks.report.exhibits.base import Report

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


@dataclass(frozen=True)
class Axis:
    """An axis of the regime: its state in force, since when, its score of the session, and the evidence on it."""

    name: str
    state: str | None
    since: str | None
    score: str
    exact_score: str
    pieces: tuple[Evidence, ...]


@dataclass(frozen=True)
class Answer:
    """The regime in a sentence; its axes with their evidence; what would change it and how near that is; changes since the session
    before; and how much is known."""

    regime: str
    support: str
    axes: tuple[Axis, ...]
    watch: tuple[str, ...]
    changed: tuple[str, ...]
    sure: tuple[str, ...]


def answer(report: Report) -> Answer:
    """What the exhibits of the report say together."""
    last = current(report.headline)
    pieces = board(report.evidence)
    axes = [
        Axis(
            axis.capitalize(),
            last[f"{axis}_state"],
            words.day(last[f"{axis}_state_since"]) if last[f"{axis}_state_since"] else None,
            words.signed(last[f"{axis}_score"]),
            words.exact(last[f"{axis}_score"]),
            tuple(piece for piece in pieces if piece.axis == axis),
        )
        for axis in AXES
    ]
    support = tuple(piece for piece in pieces if piece.axis == "support")
    axes.append(Axis("Support", last["support_state"], None, "", "", support))
    return Answer(
        regime=sentence(last),
        support=f"{first_upper(SUPPORT[last['support_state']])}.",
        axes=tuple(axes),
        watch=(*_pending(last), report.watch.finding, *_would_change(last)),
        changed=_changed(report),
        sure=(report.certainty.finding, report.freshness.finding),
    )


def why(made: Answer) -> str:
    """The evidence in a line: what is for the rotation, against it, neither and not known."""
    groups: dict[str, list[str]] = {}
    for axis in made.axes:
        for piece in axis.pieces:
            groups.setdefault(f"{piece.mark} {piece.verdict}", []).append(piece.title)
    order = [f"{words.MARKS[verdict]} {name}" for verdict, name in words.VERDICTS.items()]
    return "; ".join(f"{group}: {', '.join(groups[group])}" for group in order if group in groups)


def _changed(report: Report) -> tuple[str, ...]:
    """What changed since the session before, one sentence each."""
    changes = [row for row in report.turns.table.to_dict("records") if row["session"].date() == report.session]
    if not changes:
        return ("No label, state or verdict changed since the session before.",)
    return tuple(
        f"{row['name']}: {_or_not_known(row['old_value'])} to {_or_not_known(row['new_value'])}. {words.sentence(row['detail'])}"
        for row in changes
    )


def _or_not_known(value: Any) -> str:
    return str(value) if words.is_known(value) else NOT_KNOWN


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
