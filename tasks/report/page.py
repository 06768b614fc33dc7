"""The page: one HTML file with its style, script and data, which needs no network."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from market_rotation.tasks.report import words
from market_rotation.tasks.report.answer import answer
from market_rotation.tasks.report.board import board
from market_rotation.tasks.report.charts import embed, theme

if TYPE_CHECKING:
    from pathlib import Path

    import jinja2

    from market_rotation.tasks.report.exhibits.base import Column, Exhibit, Report

#: The maximum number of open problems that are listed.
NAMED = 3

#: The chapter of each exhibit; one that is not listed, as a user's own signal, is in the last chapter.
CHAPTERS = {
    "relative_strength": "Small and large",
    "returns": "Small and large",
    "percentiles": "Small and large",
    "levels": "Small and large",
    "drawdowns": "Small and large",
    "sector_day": "Sectors",
    "sector_ranks": "Sectors",
    "sector_rotation": "Sectors",
    "size_rotation": "Sectors",
    "mega_cap": "Breadth",
    "breadth": "Breadth",
    "dispersion": "Breadth",
    "fund_flows": "Money",
    "fund_flows_yearly": "Money",
    "earnings": "Money",
    "valuation": "Money",
    "funds": "Funds",
    "overlap": "Funds",
    "context": "Context",
    "what_followed": "Context",
}
OWN = "Your own"

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
class Chapter:
    """A group of exhibits that the navigation leads to."""

    id: str
    name: str
    exhibits: tuple[Exhibit, ...]


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
        "answer": answer(report),
        "evidence": board(report.evidence),
        "chapters": chapters(report.exhibits),
        "notices": [
            (report.turns, []),
            (report.changes, []),
            (report.certainty, []),
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


def chapters(exhibits: Iterable[Exhibit]) -> list[Chapter]:
    """The exhibits in their order, those of one chapter together."""
    groups: dict[str, list[Exhibit]] = {}
    for exhibit in exhibits:
        groups.setdefault(CHAPTERS.get(exhibit.id, OWN), []).append(exhibit)
    return [Chapter(f"chapter-{name.lower().replace(' ', '-')}", name, tuple(found)) for name, found in groups.items()]


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
