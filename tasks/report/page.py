"""The page: one HTML file with its style, script and data, which needs no network."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from market_rotation.tasks.report import words
from market_rotation.tasks.report.charts import embed, theme
from market_rotation.tasks.report.charts.spark import spark

if TYPE_CHECKING:
    from pathlib import Path

    import jinja2

    from market_rotation.tasks.report.exhibits.base import Column, Exhibit, Kind, Report

#: The maximum number of open problems that are listed.
NAMED = 3

#: How the value of a piece of evidence is written, by its unit; as a count where it is none of these.
KINDS: dict[str, Kind] = {"fraction": "fraction", "percent": "percent", "share of conditions": "ratio"}

#: The axes of the regime that have a score and a state in force.
AXES = ("size", "leadership")

SIMULATED = "SIMULATED MARKET: these are not real prices."


@dataclass(frozen=True)
class Cell:
    """A cell of a table. `exact` is the value in full precision, empty when unknown; `bar` its left edge and width in percent."""

    text: str
    exact: str
    is_known: bool
    style: str
    verdict: str | None = None
    bar: tuple[float, float, bool] | None = None


@dataclass(frozen=True)
class Evidence:
    """A row of the evidence board."""

    title: str
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


def render(report: Report, now: datetime) -> str:
    """The report as one self-contained HTML file, written at `now` (UTC)."""
    script, bundle = (theme.HERE / "report.js").read_text(encoding="utf-8"), embed.bundle()
    style = (theme.HERE / "report.css").read_text(encoding="utf-8")
    return (
        environment()
        .get_template("template.html")
        .render(
            context(report, now),
            style=theme.safe(style),
            bundle=theme.safe(bundle),
            script=theme.safe(script),
            # No other script can run, whatever a vendor's text contains.
            policy=f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
            f"script-src {embed.digest(bundle)} {embed.digest(script)}",
        )
    )


def context(report: Report, now: datetime) -> dict[str, Any]:
    """The values that template.html shows of the report, without its style and scripts."""
    return {
        "report": report,
        "now": now,
        "current": current(report.headline),
        "evidence": board(report.evidence),
        "notices": [
            (report.changes, []),
            (report.freshness, newest(report.freshness)),
            (report.problems, gravest(report.problems)),
        ],
        "file_prefix": str(report.session),
        "config": theme.CONFIG,
        "simulated": SIMULATED,
    }


@cache
def environment(*folders: Path) -> jinja2.Environment:
    """The environment of the report's templates, and of those in `folders`: all values are escaped, and an undefined name is an error."""
    import jinja2

    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader([*folders, theme.HERE]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["figures"] = words.FIGURES
    made.filters.update(
        cells=cells,
        csv=embed.embedded_csv,
        types=embed.types,
        embedded=embed.embedded_json,
        day=words.day,
        long_day=words.long_day,
        moment=words.moment,
        signed=words.signed,
        sentence=words.sentence,
    )
    return made


def current(headline: Exhibit) -> dict[str, Any]:
    """The regime of the session by column, None where not known."""
    frame = headline.table if len(headline.table) else headline.rows
    found = frame.iloc[-1].to_dict() if len(frame) else {}
    wanted = ["label", "label_since", "days_in_label", "support_state"]
    wanted += [f"{axis}_{what}" for axis in AXES for what in ("state", "state_since", "score")]
    known: dict[str, Any] = {name: found[name] if words.is_known(found.get(name)) else None for name in wanted}
    days = known["days_in_label"]
    return {
        **known,
        "days_in_label": None if days is None else int(days),
        "since": _day(known["label_since"]),
        "axes": [
            {
                "name": axis.capitalize(),
                "state": known[f"{axis}_state"],
                "since": _day(known[f"{axis}_state_since"]),
                "score": words.signed(known[f"{axis}_score"]),
                "exact_score": words.exact(known[f"{axis}_score"]),
            }
            for axis in AXES
        ],
    }


def states(now: dict[str, Any]) -> str:
    """The states of `current` in a line: size leading, leadership broadening, support not known."""
    named = {**{axis: now[f"{axis}_state"] for axis in AXES}, "support": now["support_state"]}
    return ", ".join(f"{axis} {state or 'not known'}" for axis, state in named.items())


def _day(value: Any) -> str | None:
    return None if value is None else words.day(value)


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


def cells(exhibit: Exhibit) -> list[list[Cell]]:
    """The rows of an exhibit's table, as they are shown."""
    columns = [_column(exhibit.table[column.name].tolist(), column) for column in exhibit.columns]
    return [list(row) for row in zip(*columns, strict=True)]


def _column(values: list[Any], column: Column) -> Iterable[Cell]:
    style = "figure" if column.kind in words.FIGURES else "day" if column.kind in ("session", "month") else ""
    known = [float(value) for value in values if style == "figure" and words.is_known(value)]
    low, high = min([0.0, *known]), max([0.0, *known])
    for value in values:
        is_known = words.is_known(value)
        bar = None
        if column.bar and is_known and high > low:
            start, end = sorted((0.0, float(value)))
            bar = (
                round(100 * (start - low) / (high - low), 2),
                round(100 * (end - start) / (high - low), 2),
                float(value) < 0,
            )
        verdict = words.MARKS[words.verdict(value)] if column.kind == "verdict" else None
        yield Cell(words.written(value, column.kind), words.exact(value), is_known, style, verdict, bar)


def newest(freshness: Exhibit) -> list[str]:
    """The latest day of each dataset, one per line."""
    rows = freshness.table.to_dict("records")
    return [
        f"{row['dataset']}: {words.day(row['latest']) if words.is_known(row['latest']) else 'not known'}"
        for row in rows
    ]


def gravest(problems: Exhibit) -> list[str]:
    """The most severe open problems, one per line, and the number of the others."""
    shown = []
    for row in problems.table.head(NAMED).to_dict("records"):
        affected = f"{words.written(row['affected'], 'count')} rows" if words.is_known(row["affected"]) else None
        known = [str(part) for part in (row["severity"], row["dataset"], affected) if words.is_known(part)]
        shown.append(words.sentence(f"{row['problem']} ({', '.join(known)}): {row['sentence']}"))
    left = len(problems.table) - NAMED
    return [*shown, f"and {left} more"] if left > 0 else shown
