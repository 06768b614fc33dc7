"""The chart of the page: what a run costs against symbols, years and sessions caught up."""

from __future__ import annotations

from pathlib import Path

import altair as alt
import pandas as pd
import vl_convert

from benchmarks.growth import MEMORY, TOTAL
from benchmarks.limits import exponent, series

#: Steps that have a line of their own, beside that of all; the others take little.
SHOWN = (TOTAL, "derive", "audit", "fetch", "stage", "report: queries and charts")


def draw(table: pd.DataFrame, path: Path) -> None:
    """Writes the table of `benchmarks.growth` as an SVG: seconds of the steps, one panel for each axis, both scales logarithmic."""
    made = vl_convert.vegalite_to_svg(specification(table), config={"background": "white", "padding": 12})
    path.write_text(made, encoding="utf-8")


def specification(table: pd.DataFrame) -> str:
    """The chart in Vega-Lite, as JSON."""
    shown = table[table["step"].isin(SHOWN) & (table["step"] != MEMORY)]
    panels = [panel(axis, shown[shown["axis"] == axis]) for axis in shown["axis"].unique()]
    return alt.hconcat(*panels).resolve_scale(y="shared", color="shared").to_json()


def panel(axis: str, rows: pd.DataFrame) -> alt.Chart:
    """One line for each step; the title gives the exponent of all steps together."""
    sizes = sorted(rows["size"].unique().tolist())
    scale = alt.Scale(type="log", domain=[sizes[0], sizes[-1]], nice=False)
    title = f"{axis}: all steps grow with exponent {exponent(series(rows, axis, TOTAL)):.2f}"
    return (
        alt.Chart(rows, title=alt.TitleParams(title, anchor="start", fontSize=12, fontWeight="normal"))
        .mark_line(point=True)
        .encode(
            alt.X("size:Q", title=axis, scale=scale, axis=alt.Axis(values=sizes, grid=False, format="d")),
            alt.Y("value:Q", title="seconds", scale=alt.Scale(type="log"), axis=alt.Axis(tickCount=6, format="~g")),
            alt.Color("step:N", title=None, sort=list(SHOWN), legend=alt.Legend(orient="right")),
        )
        .properties(width=230, height=260)
    )
