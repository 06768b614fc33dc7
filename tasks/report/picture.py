"""The report as one picture, for a message: the answer, the compass, the evidence, and small against large. Drawn without a browser."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

from market_rotation.tasks.report import words
from market_rotation.tasks.report.board import board
from market_rotation.tasks.report.charts import theme
from market_rotation.tasks.report.page import SIMULATED
from market_rotation.tasks.report.summary import five

if TYPE_CHECKING:
    import pandas as pd

    from market_rotation.tasks.report.exhibits.base import Report

#: Of the plots, in points; the picture has twice as many pixels.
WIDTH = 560

#: Sessions shown: two years.
SHOWN = 504

_FONT = "Liberation Sans, Arial, sans-serif"
_SHAPES = {"for": "triangle-up", "neither": "circle", "against": "triangle-down", "not known": "circle"}


def picture(report: Report) -> bytes:
    """A PNG of about 1200 by 1500 pixels, in light colours."""
    import vl_convert

    colours = theme.light() | {"--font": _FONT}
    config = theme.themed(theme.CONFIG, colours) | {"background": colours["--paper"], "padding": 20}
    config["concat"] = {"spacing": 26}
    return bytes(vl_convert.vegalite_to_png(specification(report), config=config, scale=2))


def warm_up() -> None:
    """Starts the renderer, which takes a third of a second the first time."""
    import vl_convert

    vl_convert.vegalite_to_svg({"data": {"values": [{}]}, "mark": "point"})


def specification(report: Report) -> dict[str, Any]:
    """The picture in Vega-Lite, its rows included."""
    regime, _, *others = five(report)
    title = {
        "text": _wrapped(regime, 56),
        "subtitle": [
            *(["Shown as known then."] if report.as_known_then else []),
            *(part for line in others for part in _wrapped(line, 96)),
        ],
        "fontSize": 18,
        "lineHeight": 23,
        "subtitleFontSize": 12,
        "subtitleLineHeight": 16,
        "subtitlePadding": 8,
        "offset": 14,
    }
    parts = [_banner() if report.is_simulated else None, _compass(report), _evidence(report), _ratio(report)]
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "title": title,
        "vconcat": [part for part in parts if part],
        "resolve": {"scale": dict.fromkeys(("x", "y", "color", "shape", "strokeDash", "size"), "independent")},
    }


def _banner() -> dict[str, Any]:
    """The label of simulated data, on the yellow of the page's banner."""
    return {
        "width": WIDTH,
        "height": 26,
        "view": {"fill": "#ffc83d"},
        "data": {"values": [{"text": SIMULATED}]},
        "mark": {"type": "text", "fontSize": 14, "fontWeight": "bold", "color": "#1a1400", "baseline": "middle"},
        "encoding": {"text": {"field": "text"}, "x": {"value": WIDTH / 2}, "y": {"value": 13}},
    }


def _compass(report: Report) -> dict[str, Any] | None:
    """The compass of the page, with its rows; None where neither score is known."""
    if not report.compass.chart:
        return None
    data = _values(report.compass.rows)
    drawn = {name: value for name, value in report.compass.chart.items() if name != "description"}
    return {
        **_filled(drawn, data),
        "title": "Size and leadership: the session (diamond), a year of monthly means",
        "width": WIDTH,
        "height": 300,
    }


def _filled(part: Any, data: dict[str, Any]) -> Any:
    """A specification with `data` in place of the named rows."""
    if isinstance(part, list):
        return [_filled(one, data) for one in part]
    if not isinstance(part, dict):
        return part
    return {name: data if value == {"name": "rows"} else _filled(value, data) for name, value in part.items()}


def _evidence(report: Report) -> dict[str, Any] | None:
    evidence = board(report.evidence)
    if not evidence:
        return None
    rows, top = [], 0.0
    for e in evidence:
        sentence = _wrapped(e.sentence, 56)
        rows.append(
            {
                "top": top + 9,
                "name": e.title,
                "verdict": e.verdict,
                "text": "\n".join(sentence),
            }
        )
        top += max(2, len(sentence)) * 15.5 + 9
    domain = list(_SHAPES)
    colour = {"expr": "{'for': good, 'against': bad, 'neither': neutral}[datum.verdict] || neutral"}
    y = {"field": "top", "type": "quantitative", "axis": None, "scale": {"domain": [0, top], "reverse": True}}

    def text(field: str, x: float, dy: float, **more: Any) -> dict[str, Any]:
        mark = {"type": "text", "align": "left", "baseline": "middle", "dy": dy, "lineBreak": "\n", "lineHeight": 15.5}
        encoding = {"x": {"value": x}, "y": y, "text": {"field": field, "type": "nominal"}}
        return {"mark": {**mark, **more}, "encoding": encoding}

    return {
        "title": "Evidence",
        "width": WIDTH,
        "height": top,
        "data": {"values": rows},
        "layer": [
            {
                "mark": {
                    "type": "point",
                    "size": 75,
                    "strokeWidth": 1.6,
                    "stroke": colour,
                    "fill": colour,
                    "opacity": 1,
                },
                "encoding": {
                    "x": {"value": 6},
                    "y": y,
                    "shape": {
                        "field": "verdict",
                        "type": "nominal",
                        "scale": {"domain": domain, "range": list(_SHAPES.values())},
                        "legend": None,
                    },
                    "fillOpacity": {"condition": {"test": "datum.verdict == 'not known'", "value": 0}, "value": 1},
                },
            },
            text("name", 20, 0, fontWeight="bold"),
            text("verdict", 20, 15.5, color=colour),
            text("text", 222, 0),
        ],
    }


def _ratio(report: Report) -> dict[str, Any] | None:
    """Small against large, from the rows of the exhibit of that name; None where it has none, as in a universe without pairs."""
    found = next((e for e in report.exhibits if e.id == "relative_strength"), None)
    if found is None or found.rows.empty or not {"session", "ratio", "ratio_ma200"} <= set(found.rows.columns):
        return None
    rows = found.rows
    if "pair" in rows.columns:
        rows = rows[rows["pair"] == _headline_pair(rows)]
    named = {"ratio": "ratio", "ratio_ma50": "50-session average", "ratio_ma200": "200-session average"}
    shown = rows[["session", *(name for name in named if name in rows.columns)]].tail(SHOWN).rename(columns=named)
    series = [name for name in named.values() if name in shown.columns]
    long = shown.melt("session", series, "series", "value")
    return {
        "title": "Small against large companies: ratio of total returns, two years",
        "width": WIDTH,
        "height": 130,
        "data": _values(long),
        "mark": {"type": "line", "invalid": "break-paths-show-path-domains"},
        "encoding": {
            "x": _time(),
            "y": {"field": "value", "type": "quantitative", "title": None, "scale": {"zero": False}},
            "color": {"field": "series", "type": "nominal", "title": None, "scale": {"domain": series}},
            "strokeDash": {"field": "series", "type": "nominal", "title": None, "scale": {"domain": series}},
        },
    }


def _headline_pair(rows: pd.DataFrame) -> str:
    return "IWM/IWB" if (rows["pair"] == "IWM/IWB").any() else str(rows["pair"].iloc[0])


def _values(frame: pd.DataFrame) -> dict[str, Any]:
    """The rows as data of a chart: days as moments without a zone, which are local midnights, what is not known as null."""
    plain = frame.astype(object).where(frame.notna(), None)
    plain["session"] = [f"{words.iso(value)}T00:00:00" for value in frame["session"]]
    return {"values": plain.to_dict("records")}


def _time() -> dict[str, Any]:
    return {"field": "session", "type": "temporal", "title": None, "axis": {"format": "%b %Y", "tickCount": 8}}


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(words.sentence(text), width) or [""]
