"""What the top of the page shows of the regime and the evidence: the values of the session, as text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from market_rotation.tasks.report import words
from market_rotation.tasks.report.charts import theme
from market_rotation.tasks.report.charts.spark import spark

if TYPE_CHECKING:
    from market_rotation.tasks.report.exhibits.base import Exhibit, Kind

#: How the value of a piece of evidence is written, by its unit; as a count where it is none of these.
KINDS: dict[str, Kind] = {"fraction": "fraction", "percent": "percent", "share of conditions": "ratio"}

#: The axes of the regime that have a score and a state in force.
AXES = ("size", "leadership")


@dataclass(frozen=True)
class Evidence:
    """A row of the evidence board."""

    title: str
    axis: str
    verdict: str
    mark: str
    sentence: str
    value: str
    exact: str
    measure: str
    levels: tuple[str, str]
    yesterday: tuple[str, str]
    month_ago: tuple[str, str]
    spark: str


def current(headline: Exhibit) -> dict[str, Any]:
    """The row of the session by column: label, states, scores and what would change them; None where not known."""
    frame = headline.table if len(headline.table) else headline.rows
    found = frame.iloc[-1].to_dict() if len(frame) else {}
    return {str(name): value if words.is_known(value) else None for name, value in found.items()}


def states(now: dict[str, Any]) -> str:
    """The states of `current` in a line: size leading, leadership broadening, support not known."""
    named = {axis: now[f"{axis}_state"] for axis in (*AXES, "support")}
    return ", ".join(f"{axis} {state or 'not known'}" for axis, state in named.items())


def board(evidence: Exhibit) -> list[Evidence]:
    """The evidence board: each current row with its past year and what its verdict was before."""
    made = []
    for row in evidence.table.to_dict("records"):
        now = words.verdict(row["verdict"])
        past = evidence.rows[evidence.rows["evidence"] == row["evidence"]].sort_values("session")
        title = str(row["name"])
        kind = KINDS.get(row["unit"], "count")
        levels = [row["threshold"], row["threshold_against"]]
        verdicts = [words.verdict(value) for value in past["verdict"]]
        made.append(
            Evidence(
                title=title,
                axis=str(row["axis"]),
                verdict=words.VERDICTS[now],
                mark=words.MARKS[now],
                sentence=words.sentence(str(row["detail"])),
                value=words.written(row["value"], kind),
                exact=words.exact(row["value"]),
                measure=str(row["measure"]),
                levels=(words.sentence(f"for: {row['for_text']}"), words.sentence(f"against: {row['against_text']}")),
                yesterday=_was(row["verdict_previous"]),
                month_ago=_was(row["verdict_month_ago"]),
                spark=theme.safe(spark(list(past["value"]), verdicts, levels, kind, title)),
            )
        )
    return made


def _was(verdict: Any) -> tuple[str, str]:
    found = words.verdict(verdict)
    return words.MARKS[found], words.VERDICTS[found]
