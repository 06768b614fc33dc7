"""The look of the charts: Vega's configuration, with the colours that report.css gives for the page, so that both have one source."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

HERE = Path(__file__).parents[1]

#: Names of the page's colours for the expressions of charts.
PARAMETERS = ("good", "bad", "neutral", "ink", "muted", "grid", "accent", "paper")

_HEAT = ["--heat-low", "--heat-middle", "--heat-high"]

#: Vega's configuration; a text that begins with -- is the CSS property of that name.
CONFIG: dict[str, Any] = {
    "background": None,
    "font": "--font",
    # Each chart has a label and a table, so screen readers need not read its marks, axes and legends one by one.
    "aria": False,
    "params": [{"name": name, "value": f"--{name}"} for name in PARAMETERS],
    "range": {
        "category": [f"--series-{i}" for i in range(1, 13)],
        "diverging": ["--bad", "--heat-low", "--good"],
        "heatmap": _HEAT,
        "ramp": _HEAT,
        "ordinal": _HEAT,
    },
    "axis": {
        "aria": False,
        "labelColor": "--muted",
        "titleColor": "--muted",
        "gridColor": "--grid",
        "domainColor": "--grid",
        "tickColor": "--grid",
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "labelPadding": 6,
        "titlePadding": 8,
        "labelLimit": 220,
        "labelOverlap": True,
    },
    "axisX": {"grid": False},
    "axisY": {"domain": False, "ticks": False},
    "legend": {
        "aria": False,
        "labelColor": "--ink",
        "titleColor": "--muted",
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "orient": "top",
        "labelLimit": 340,
        "symbolStrokeWidth": 3,
    },
    "header": {
        "labelColor": "--ink",
        "titleColor": "--muted",
        "labelFontSize": 12,
        "labelFontWeight": "bold",
        "titleFontSize": 12,
    },
    "title": {
        "aria": False,
        "color": "--ink",
        "subtitleColor": "--muted",
        "fontSize": 13,
        "fontWeight": "bold",
        "anchor": "start",
        "frame": "group",
    },
    "mark": {"aria": False, "color": "--accent"},
    "line": {"strokeWidth": 1.75, "strokeJoin": "round"},
    "rule": {"color": "--muted"},
    "text": {"color": "--ink", "fontSize": 12},
    "view": {"stroke": None},
}


@cache
def light() -> dict[str, str]:
    """The CSS properties of the light scheme, with their two dashes."""
    block = re.search(r":root\s*\{(.*?)\}", (HERE / "report.css").read_text(encoding="utf-8"), re.DOTALL)
    assert block
    return {name: value.strip() for name, value in re.findall(r"(--[\w-]+)\s*:\s*([^;]+);", block[1])}


def themed(config: Any, properties: dict[str, str]) -> Any:
    """`config` with each name of a property replaced by its value. Raises `KeyError` on one that the style does not have."""
    if isinstance(config, dict):
        return {key: themed(value, properties) for key, value in config.items()}
    if isinstance(config, list):
        return [themed(value, properties) for value in config]
    return properties[config] if isinstance(config, str) and config.startswith("--") else config


def safe(text: str) -> str:
    """`text` that is ours, or was made safe, and must not be escaped in a template."""
    from markupsafe import Markup

    return Markup(text)  # noqa: S704
