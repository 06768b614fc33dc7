"""The small pictures of the evidence board: a year of a value with its levels, and below it the verdicts. SVG, coloured by the style sheet."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from markupsafe import escape

from market_rotation.tasks.report import words
from market_rotation.tasks.report.exhibits.base import Kind

#: Sessions shown.
YEAR = 252

WIDTH, HEIGHT, STRIP = 220.0, 44.0, 12.0


def spark(values: Sequence[Any], verdicts: Sequence[int | None], levels: Sequence[Any], kind: Kind, title: str) -> str:
    """A line of the last year's values, gaps for unknown values, dashed at `levels`; blocks above, below or on a line for the verdicts."""
    values, verdicts = values[-YEAR:], verdicts[-YEAR:]
    known = [float(value) for value in values if words.is_known(value)]
    marked = sorted({float(level) for level in levels if words.is_known(level)})
    parts = []
    if known:
        low, high = min(known + marked), max(known + marked)
        for level in marked:
            y = _y(level, low, high)
            parts.append(f'<line class="level" x1="0" x2="{WIDTH}" y1="{y}" y2="{y}"/>')
        parts.append(f'<path class="line" d="{_path(values, low, high)}"/>')
        if words.is_known(values[-1]):
            parts.append(f'<circle class="end" cx="{WIDTH - 3}" cy="{_y(float(values[-1]), low, high)}" r="3"/>')
    parts += _blocks(verdicts)
    return (
        f'<svg class="spark" viewBox="0 0 {WIDTH:.0f} {HEIGHT + STRIP + 4:.0f}" role="img" aria-label="{escape(_description(title, known, verdicts, kind))}">'
        f"{''.join(parts)}</svg>"
    )


def _description(title: str, known: Sequence[float], verdicts: Sequence[int | None], kind: Kind) -> str:
    if not known:
        return f"{title}: not known in the last {len(verdicts)} sessions."
    shown: Kind = "fraction" if kind == "fraction" else "count"
    counted = ", ".join(f"{words.VERDICTS[v]} in {verdicts.count(v)}" for v in (1, 0, -1, None) if v in verdicts)
    low, high = words.written(min(known), shown), words.written(max(known), shown)
    return f"{title} in the last {len(verdicts)} sessions: between {low} and {high}; {counted}."


def _path(values: Sequence[Any], low: float, high: float) -> str:
    step = (WIDTH - 6) / max(len(values) - 1, 1)
    points, pen = [], "M"
    for i, value in enumerate(values):
        if words.is_known(value):
            points.append(f"{pen}{3 + i * step:.1f} {_y(float(value), low, high)}")
            pen = "L"
        else:
            pen = "M"
    return "".join(points)


def _y(value: float, low: float, high: float) -> float:
    return round(4 + (HEIGHT - 8) * (1 - ((value - low) / (high - low) if high > low else 0.5)), 1)


def _blocks(verdicts: Sequence[int | None]) -> list[str]:
    """A block up for the rotation, down against it, a thin one for neither; none when unknown."""
    shapes = {1: (0.0, STRIP / 2, "for"), -1: (STRIP / 2, STRIP / 2, "against"), 0: (STRIP / 2 - 1, 2.0, "neither")}
    step, made, start = (WIDTH - 6) / max(len(verdicts), 1), [], 0
    for verdict, run in groupby(verdicts):
        length = len(list(run))
        if verdict is not None:
            top, height, name = shapes[verdict]
            made.append(
                f'<rect class="{name}" x="{3 + start * step:.1f}" y="{HEIGHT + 4 + top:.1f}" width="{length * step:.1f}" height="{height:.0f}"/>'
            )
        start += length
    return made
