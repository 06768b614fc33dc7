"""The charts: that they draw marks from the exhibit's rows alone, in the page's colours, and can be read without seeing them."""

from __future__ import annotations

import json
import re
from datetime import date

import pytest
import vl_convert
import world
from test_queries import LATEST, few_symbols, made, make_market

from market_rotation.tasks import warehouse
from market_rotation.tasks.report.charts import theme
from market_rotation.tasks.report.exhibits import collect

#: What each chart draws at least, as the classes and counts of Vega's marks.
DRAWN = {
    "headline": {"line": 2, "rect": 5, "rule": 1},
    "relative_strength": {"line": 3, "rect": 2},
    "returns": {"rect": 16, "text": 8},
    "sector_rotation": {"trail": 11, "symbol": 11 * 9, "text": 11 + 4},
    "size_rotation": {"trail": 9, "symbol": 9 * 9, "text": 9 + 4},
    "sector_ranks": {"rect": 11 * 12, "text": 11 * 12},
    "mega_cap": {"line": 2, "rule": 1},
    "fund_flows": {"rect": 12, "line": 1},
    "breadth": {"line": 2, "rule": 1},
    "drawdowns": {"line": 4, "rule": 1},
    "earnings": {"symbol": 2, "rule": 1},
    "what_followed": {"symbol": 5, "rule": 1, "text": 5},
}
COLOURS = {name: f"#0000{i:02x}" for i, name in enumerate(theme.PARAMETERS, start=1)}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """The exhibits of the simulated market at its latest session."""
    folder = world.made_once(tmp_path_factory, "report_market", make_market)
    with warehouse.reading(folder / "rotation.duckdb") as con:
        return made(collect.collect(con, LATEST))


def drawn(exhibit) -> str:
    """The chart as SVG, with its rows, in a page 800 points wide."""
    rows = json.loads(exhibit.rows.to_json(orient="records", date_format="iso"))
    config = {"params": [{"name": name, "value": value} for name, value in COLOURS.items()]}
    return vl_convert.vegalite_to_svg({**exhibit.chart, "width": 800, "datasets": {"rows": rows}}, config=config)


def marks(svg: str) -> dict[str, int]:
    """How many marks of each kind the SVG holds, axes and legends left out."""
    counted: dict[str, int] = {}
    for kind, body in re.findall(r'<g class="mark-(\w+) role-mark[^"]*"[^>]*>(.*?)</g>', svg, re.DOTALL):
        counted[kind] = counted.get(kind, 0) + len(re.findall(r"<(?:path|text|line)\b", body))
    return counted


def values(specification, key: str) -> list:
    """All values under `key` anywhere in a specification."""
    if isinstance(specification, dict):
        inner = [found for value in specification.values() for found in values(value, key)]
        return [*([specification[key]] if key in specification else []), *inner]
    if isinstance(specification, list):
        return [found for value in specification for found in values(value, key)]
    return []


def test_every_chart_is_tested(found):
    """Whatever exhibit has a chart is among those that are drawn here."""
    assert {name for name, exhibit in found.items() if exhibit.chart} == set(DRAWN)


@pytest.mark.parametrize("name", DRAWN)
def test_marks_are_drawn(found, name):
    """The chart compiles, and shows at least the marks that belong to its rows."""
    counted = marks(drawn(found[name]))
    assert {kind: counted.get(kind, 0) >= least for kind, least in DRAWN[name].items()} == dict.fromkeys(
        DRAWN[name], True
    ), counted


@pytest.mark.parametrize("name", DRAWN)
def test_charts_hold_no_data_and_no_colour(found, name):
    """A chart reads the dataset `rows` and nothing else, and names no colour of its own."""
    chart = found[name].chart
    assert all(data == {"name": "rows"} for data in values(chart, "data"))
    assert values(chart, "data")
    assert "datasets" not in chart
    assert "config" not in chart
    assert not re.search(
        r"#[0-9a-fA-F]{3,8}\b|rgb\(|\b(black|white|red|green|blue|gray|grey|steelblue|orange)\b", json.dumps(chart)
    )


@pytest.mark.parametrize("name", DRAWN)
def test_charts_can_be_read(found, name):
    """A chart is as wide as its place, has tooltips, and a description with its finding."""
    chart = found[name].chart
    assert chart["width"] == "container"
    assert chart["height"] > 200
    assert chart["description"] == f"{found[name].title}: {found[name].finding}" or name == "headline"
    assert found[name].finding in chart["description"]
    assert values(chart, "tooltip")


def test_names_of_parameters_are_unique(found):
    """No two charts share the name of a choice or selection: on one page, controls of one name would move together."""
    names = [parameter["name"] for name in DRAWN for parameter in found[name].chart.get("params", [])]
    assert len(names) == len(set(names)) > 10
    assert not set(names) & set(theme.PARAMETERS)


@pytest.mark.parametrize("name", ["headline", "sector_rotation", "fund_flows", "sector_ranks"])
def test_colours_are_those_of_the_page(found, name):
    """What speaks for and against small caps is drawn in the page's colours of these names."""
    svg = drawn(found[name])
    assert COLOURS["good"] in svg
    assert COLOURS["bad"] in svg


@pytest.mark.parametrize("name", DRAWN)
def test_the_same_chart_twice(found, name):
    """Made again from the same rows, an exhibit has the same chart to the letter."""
    again = {**collect.TOP, **collect.SECTIONS}[name](found[name].rows, found[name].sql)
    assert again.chart == found[name].chart


def test_charts_of_few_symbols_compile():
    """The charts that a warehouse of three young symbols has are drawn without a warning."""
    members = few_symbols()
    frames = [world.bars(symbol, [100 + i * step for i in range(30)]) for step, symbol in enumerate(members.symbols)]
    with world.derived(frames, members, date(2024, 2, 13)) as con:
        charted = {name: exhibit for name, exhibit in made(collect.collect(con)).items() if exhibit.chart}
    assert set(charted) == {"relative_strength", "returns", "drawdowns"}
    assert all(marks(drawn(exhibit)) for exhibit in charted.values())
