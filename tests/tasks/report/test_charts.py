"""The charts: that they draw marks from the exhibit's rows alone, in the page's colours, and can be read without seeing them."""

from __future__ import annotations

import itertools
import json
import re
from datetime import date

import pandas as pd
import pytest
import vl_convert
import world
from test_queries import LATEST, few_symbols, made, make_market

from market_rotation.tasks import warehouse
from market_rotation.tasks.report.charts import theme
from market_rotation.tasks.report.charts.rotation import rotation
from market_rotation.tasks.report.exhibits import collect

#: What each chart draws at least, as the classes and counts of Vega's marks.
DRAWN = {
    "headline": {"rect": 10, "text": 3},
    "compass": {"rect": 5 + 1, "trail": 1, "symbol": 2, "text": 5},
    "relative_strength": {"line": 3, "rect": 2},
    # Each bar has its own value, and each horizon its spread.
    "returns": {"rect": 16, "text": 16 + 8 + 1},
    "percentiles": {"symbol": 7, "rule": 7, "text": 7},
    "levels": {"symbol": 10, "rule": 10, "text": 10},
    "sector_day": {"rect": 11, "text": 11, "rule": 1},
    "sector_rotation": {"trail": 11, "symbol": 11 * 5, "rule": 11, "text": 11 + 4, "rect": 4},
    "size_rotation": {"trail": 9, "symbol": 9 * 5, "rule": 9, "text": 9 + 4, "rect": 4},
    "sector_ranks": {"rect": 11 * 12, "text": 11 * 12},
    "mega_cap": {"line": 2, "rule": 1},
    "fund_flows": {"rect": 12, "line": 1},
    "breadth": {"line": 2, "rule": 1},
    "dispersion": {"line": 1},
    "drawdowns": {"line": 4, "rule": 1},
    "earnings": {"symbol": 2, "rule": 1},
    "valuation": {"symbol": 14, "rule": 7, "text": 14},
    "overlap": {"rect": 6, "text": 6},
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
    for kind, body in re.findall(r'<g class="mark-(\w+) role-mark[^"]*"[^>]*(?<!/)>(.*?)</g>', svg, re.DOTALL):
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
    assert chart["height"] >= 150
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


@pytest.mark.parametrize("name", ["sector_rotation", "size_rotation"])
def test_symbols_of_the_rotation_graph_do_not_overlap(found, name):
    """Each symbol is written once, on its side, and no two of a side are closer than a line of text."""
    svg = drawn(found[name])
    written = re.findall(r'translate\(([\d.-]+),([\d.-]+)\)"[^>]*>(\w+)</text>', svg)
    symbols = set(found[name].table["symbol"])
    places = {word: (float(x), float(y)) for x, y, word in written if word in symbols}
    assert set(places) == symbols
    for side in {x for x, _ in places.values()}:
        heights = sorted(y for x, y in places.values() if x == side)
        assert all(later - earlier >= 12 for earlier, later in itertools.pairwise(heights)), heights


def test_the_running_week_is_apart():
    """In the middle of a week the graph has a hollow point for it, and no tail leads to it."""
    rows = pd.DataFrame(
        {
            "symbol": ["XLK"] * 3,
            "name": ["technology"] * 3,
            "session": ["2026-01-02", "2026-01-09", "2026-01-14"],
            "rs_ratio": [99.0, 100.0, 101.0],
            "rs_momentum": [99.0, 100.5, 101.0],
            "quadrant": ["lagging", "leading", "leading"],
            "quadrant_now": ["leading"] * 3,
            "is_provisional": [False, False, True],
            "weeks_back": [2, 1, 0],
        }
    )

    def shown(provisional: bool) -> tuple[str, int]:
        some = rows.assign(is_provisional=[False, False, provisional])
        config = {"params": [{"name": key, "value": value} for key, value in COLOURS.items()]}
        chart = {**rotation("sector_rotation", ""), "width": 800, "datasets": {"rows": some.to_dict("records")}}
        svg = vl_convert.vegalite_to_svg(chart, config=config)
        (trail,) = re.findall(r'<g class="mark-trail role-mark[^"]*"[^>]*>.*?d="([^"]+)"', svg, re.DOTALL)
        return trail, svg.count(f'fill="{COLOURS["paper"]}"')

    complete, apart = shown(False), shown(True)
    assert (complete[1], apart[1]) == (0, 1)
    assert len(complete[0]) > len(apart[0])


def test_context_is_drawn_once_five_years_are_known(found):
    """Where a level has a place among five years there is a point for it; before that the table stands alone."""
    assert found["context"].chart is None
    rows = found["context"].rows.assign(percentile_5y=[10.0, 20.0, 30.0, 40.0, 50.0, float("nan")])
    counted = marks(drawn(collect.SECTIONS["context"](rows, "")))
    assert (counted["symbol"], counted["rule"], counted["text"]) == (5, 6, 6)


def test_the_compass_frames_the_states_in_force(found):
    """The frame lies around the area of the states in force, the diamond at the scores of the session."""
    svg = drawn(found["compass"])
    assert f'stroke="{COLOURS["ink"]}"' in svg
    for label in ("confirmed", "building", "neutral", "fading", "reversed"):
        assert f">{label}</text>" in svg
    assert "small caps lead" in svg
    assert "broadens" in svg


def test_charts_of_few_symbols_compile():
    """The charts that a warehouse of three young symbols has are drawn without a warning."""
    members = few_symbols()
    frames = [world.bars(symbol, [100 + i * step for i in range(30)]) for step, symbol in enumerate(members.symbols)]
    with world.derived(frames, members, date(2024, 2, 13)) as con:
        charted = {name: exhibit for name, exhibit in made(collect.collect(con)).items() if exhibit.chart}
    assert set(charted) == {"relative_strength", "returns", "drawdowns"}
    assert all(marks(drawn(exhibit)) for exhibit in charted.values())
