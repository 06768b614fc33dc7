"""The relative rotation graph: the position of each symbol, and its path over the last weeks."""

from __future__ import annotations

from typing import Any

from market_rotation.tasks.report.charts.parts import DAY, colour, either, finished, rows

#: The colour of each quadrant's area, and its strength.
QUADRANTS = {
    "leading": ("good", 0.1),
    "weakening": ("bad", 0.035),
    "improving": ("good", 0.035),
    "lagging": ("bad", 0.1),
}

#: No z-score of 14 values is further from 0 than 13 / sqrt(14).
REACH = 3.5

#: The weeks of the longest tail that a reader can choose.
LONGEST = 8

#: Where symbols are written, beyond the graph on either side, and how far apart, in units of the axes.
ASIDE, APART = 1.25, 0.42

TICKS = list(range(97, 104))
LOW, HIGH = 100 - REACH, 100 + REACH


def rotation(exhibit: str, description: str, tail_steps: int | None = None, step: str = "Week to") -> dict[str, Any]:
    """Strength from left to right, momentum upwards; a tail of the weeks that the reader chooses, a colour for each symbol.

    The tail holds completed weeks; the running week is a hollow point apart from it. Each symbol is written at the nearer side, with a line to
    its point, so that no two overlap.

    With `tail_steps`, the tail has that many steps and the reader has no choice; `step` is the word before the date of a point.
    """
    import altair as alt

    picked = alt.selection_point(name=f"{exhibit}_symbol", fields=["symbol"], on="click", clear="dblclick")
    choice = alt.binding_range(min=1, max=LONGEST, step=1, name="Weeks of the tail ")
    weeks = alt.param(name=f"{exhibit}_weeks", value=tail_steps or 4, bind=alt.Undefined if tail_steps else choice)
    known = rows().transform_filter("isValid(datum.rs_ratio) && isValid(datum.rs_momentum)")
    tail = known.transform_filter(f"datum.weeks_back <= {exhibit}_weeks && !datum.is_provisional")
    heads = known.transform_filter("datum.weeks_back == 0")
    areas, names = _quadrants()
    trails, dots = _tails(tail, picked, tail_steps or LONGEST, step)
    complete, running = _heads(heads, picked, step)
    leads, labels = _labels(heads, picked, step)
    chart = alt.layer(areas, names, leads, trails, dots, complete.add_params(picked, weeks), running, labels)
    return finished(chart, description, 520)


def _x(field: str) -> Any:
    import altair as alt

    return alt.X(
        field,
        title="← weaker    relative strength    stronger →",
        scale=alt.Scale(domain=[LOW - ASIDE, HIGH + ASIDE], nice=False),
        axis=alt.Axis(grid=False, values=TICKS, format="d"),
    )


def _y(field: str) -> Any:
    import altair as alt

    return alt.Y(
        field,
        title="← losing    relative momentum    gaining →",
        scale=alt.Scale(domain=[LOW, HIGH], nice=False),
        axis=alt.Axis(grid=False, values=TICKS, format="d"),
    )


def _marks(picked: Any, step: str) -> dict[str, Any]:
    """The position, colour, strength and tooltip that points and labels share; a symbol that is not `picked` is faint."""
    import altair as alt

    return {
        "color": alt.Color("symbol:N", scale=alt.Scale(range="category"), legend=None),
        "opacity": either(alt.OpacityValue, picked, 1, 0.08),
        "tooltip": [
            alt.Tooltip("name:N", title="Name"),
            alt.Tooltip("symbol:N", title="Symbol"),
            alt.Tooltip("session:T", title=step, format=DAY),
            alt.Tooltip("rs_ratio:Q", title="Strength", format=".2f"),
            alt.Tooltip("rs_momentum:Q", title="Momentum", format=".2f"),
            alt.Tooltip("quadrant:N", title="Quadrant"),
        ],
    }


def _quadrants() -> tuple[Any, Any]:
    """The areas of the quadrants, and their names in the corners."""
    import altair as alt

    # One row for each quadrant, with its corner.
    corners = (
        rows()
        .transform_aggregate(rows="count()")
        .transform_calculate(area=str(list(QUADRANTS)))
        .transform_flatten(["area"])
        .transform_calculate(
            right="datum.area == 'leading' || datum.area == 'weakening' ? 1 : -1",
            up="datum.area == 'leading' || datum.area == 'improving' ? 1 : -1",
        )
        .transform_calculate(
            centre="100",
            across=f"100 + datum.right * {REACH}",
            upwards=f"100 + datum.up * {REACH}",
            name="upper(datum.area)",
        )
    )
    shade = alt.Scale(
        type="ordinal", domain=list(QUADRANTS), range=[alt.ExprRef(name) for name, _ in QUADRANTS.values()]
    )
    strength = alt.Scale(type="ordinal", domain=list(QUADRANTS), range=[opacity for _, opacity in QUADRANTS.values()])
    areas = corners.mark_rect().encode(
        x=_x("centre:Q"),
        x2=alt.X2("across:Q"),
        y=_y("centre:Q"),
        y2=alt.Y2("upwards:Q"),
        fill=alt.Fill("area:N", scale=shade, legend=None),
        fillOpacity=alt.FillOpacity("area:N", scale=strength, legend=None),
    )
    names = corners.mark_text(
        fontSize=11,
        fontWeight="bold",
        opacity=0.8,
        align=alt.ExprRef("datum.right > 0 ? 'right' : 'left'"),
        dx=alt.ExprRef("-8 * datum.right"),
        baseline=alt.ExprRef("datum.up > 0 ? 'top' : 'bottom'"),
        dy=alt.ExprRef("8 * datum.up"),
    ).encode(
        x=_x("across:Q"), y=_y("upwards:Q"), text=alt.Text("name:N"), fill=alt.Fill("area:N", scale=shade, legend=None)
    )
    return areas, names


def _tails(tail: Any, picked: Any, steps: int, step: str) -> tuple[Any, Any]:
    """The path of each symbol, wider towards its end, and a dot for each step."""
    import altair as alt

    marks = _marks(picked, step)
    trails = tail.mark_trail().encode(
        x=_x("rs_ratio:Q"),
        y=_y("rs_momentum:Q"),
        color=marks["color"],
        size=alt.Size("weeks_back:Q", scale=alt.Scale(domain=[steps, 0], range=[0.8, 3.2]), legend=None),
        order=alt.Order("session:T"),
        opacity=either(alt.OpacityValue, picked, 0.75, 0.08),
    )
    dots = tail.transform_filter("datum.weeks_back > 0").mark_circle(size=16)
    return trails, dots.encode(x=_x("rs_ratio:Q"), y=_y("rs_momentum:Q"), **marks)


def _heads(heads: Any, picked: Any, step: str) -> tuple[Any, Any]:
    """The point of each symbol: filled for a completed week, hollow for the running one."""
    at = {"x": _x("rs_ratio:Q"), "y": _y("rs_momentum:Q"), **_marks(picked, step)}
    complete = heads.transform_filter("!datum.is_provisional").mark_circle(size=130)
    running = heads.transform_filter("datum.is_provisional").mark_point(size=110, strokeWidth=2.2, fill=colour("paper"))
    return complete.encode(**at), running.encode(**at)


def _labels(heads: Any, picked: Any, step: str) -> tuple[Any, Any]:
    """The symbols beside the graph in the order of momentum, as near to the points as there is room, each with a line to its point."""
    import altair as alt

    marks = _marks(picked, step)
    aside = (
        heads.transform_calculate(side="datum.rs_ratio < 100 ? -1 : 1")
        .transform_window(
            row="row_number()", groupby=["side"], sort=[alt.SortField("rs_momentum"), alt.SortField("symbol")]
        )
        .transform_joinaggregate(count="count()", middle="mean(rs_momentum)", groupby=["side"])
        .transform_calculate(
            label_x=f"100 + datum.side * {REACH + 0.2}",
            label_y=f"clamp(datum.middle, {LOW} + datum.count * {APART / 2}, {HIGH} - datum.count * {APART / 2})"
            f" + (datum.row - (datum.count + 1) / 2) * {APART}",
        )
    )
    leads = aside.mark_rule(strokeWidth=0.8).encode(
        x=_x("rs_ratio:Q"),
        y=_y("rs_momentum:Q"),
        x2=alt.X2("label_x:Q"),
        y2=alt.Y2("label_y:Q"),
        color=marks["color"],
        opacity=either(alt.OpacityValue, picked, 0.55, 0.05),
    )
    labels = aside.mark_text(
        fontSize=11,
        fontWeight="bold",
        baseline="middle",
        align=alt.ExprRef("datum.side < 0 ? 'right' : 'left'"),
        dx=alt.ExprRef("datum.side < 0 ? -3 : 3"),
    ).encode(x=_x("label_x:Q"), y=_y("label_y:Q"), text=alt.Text("symbol:N"), **marks)
    return leads, labels
