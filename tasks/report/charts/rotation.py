"""The relative rotation graph: the position of each symbol, and its path over the last weeks."""

from __future__ import annotations

from typing import Any

from market_rotation.tasks.report.charts.parts import DAY, colour, finished, rows

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
    low, high = 100 - REACH, 100 + REACH
    x_scale, y_scale = (
        alt.Scale(domain=[low - ASIDE, high + ASIDE], nice=False),
        alt.Scale(domain=[low, high], nice=False),
    )
    ticks = list(range(97, 104))
    x = alt.X(
        "rs_ratio:Q",
        title="← weaker    relative strength    stronger →",
        scale=x_scale,
        axis=alt.Axis(grid=False, values=ticks, format="d"),
    )
    y = alt.Y(
        "rs_momentum:Q",
        title="← losing    relative momentum    gaining →",
        scale=y_scale,
        axis=alt.Axis(grid=False, values=ticks, format="d"),
    )
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
        x=alt.X("centre:Q", scale=x_scale),
        x2="across:Q",
        y=alt.Y("centre:Q", scale=y_scale),
        y2="upwards:Q",
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
        x=alt.X("across:Q", scale=x_scale),
        y=alt.Y("upwards:Q", scale=y_scale),
        text="name:N",
        fill=alt.Fill("area:N", scale=shade, legend=None),
    )
    hue = alt.Color("symbol:N", scale=alt.Scale(range="category"), legend=None)
    seen, faint = (alt.condition(picked, alt.value(value), alt.value(0.08)) for value in (1, 0.75))
    tips = [
        alt.Tooltip("name:N", title="Name"),
        alt.Tooltip("symbol:N", title="Symbol"),
        alt.Tooltip("session:T", title=step, format=DAY),
        alt.Tooltip("rs_ratio:Q", title="Strength", format=".2f"),
        alt.Tooltip("rs_momentum:Q", title="Momentum", format=".2f"),
        alt.Tooltip("quadrant:N", title="Quadrant"),
    ]
    known = rows().transform_filter("isValid(datum.rs_ratio) && isValid(datum.rs_momentum)")
    tail = known.transform_filter(f"datum.weeks_back <= {exhibit}_weeks && !datum.is_provisional")
    trails = tail.mark_trail().encode(
        x=x,
        y=y,
        color=hue,
        size=alt.Size(
            "weeks_back:Q", scale=alt.Scale(domain=[tail_steps or LONGEST, 0], range=[0.8, 3.2]), legend=None
        ),
        order="session:T",
        opacity=faint,
    )
    dots = (
        tail.transform_filter("datum.weeks_back > 0")
        .mark_circle(size=16)
        .encode(x=x, y=y, color=hue, opacity=seen, tooltip=tips)
    )
    heads = known.transform_filter("datum.weeks_back == 0")
    complete = (
        heads.transform_filter("!datum.is_provisional")
        .mark_circle(size=130)
        .encode(x=x, y=y, color=hue, opacity=seen, tooltip=tips)
    )
    running = (
        heads.transform_filter("datum.is_provisional")
        .mark_point(size=110, strokeWidth=2.2, fill=colour("paper"))
        .encode(x=x, y=y, color=hue, opacity=seen, tooltip=tips)
    )
    # Written side by side in the order of momentum, as near to the points as there is room.
    aside = (
        heads.transform_calculate(side="datum.rs_ratio < 100 ? -1 : 1")
        .transform_window(
            row="row_number()", groupby=["side"], sort=[alt.SortField("rs_momentum"), alt.SortField("symbol")]
        )
        .transform_joinaggregate(count="count()", middle="mean(rs_momentum)", groupby=["side"])
        .transform_calculate(
            label_x=f"100 + datum.side * {REACH + 0.2}",
            label_y=f"clamp(datum.middle, {low} + datum.count * {APART / 2}, {high} - datum.count * {APART / 2})"
            f" + (datum.row - (datum.count + 1) / 2) * {APART}",
        )
    )
    leads = aside.mark_rule(strokeWidth=0.8).encode(
        x=x,
        y=y,
        x2="label_x:Q",
        y2="label_y:Q",
        color=hue,
        opacity=alt.condition(picked, alt.value(0.55), alt.value(0.05)),
    )
    labels = aside.mark_text(
        fontSize=11,
        fontWeight="bold",
        baseline="middle",
        align=alt.ExprRef("datum.side < 0 ? 'right' : 'left'"),
        dx=alt.ExprRef("datum.side < 0 ? -3 : 3"),
    ).encode(
        x=alt.X("label_x:Q", scale=x_scale),
        y=alt.Y("label_y:Q", scale=y_scale),
        text="symbol:N",
        color=hue,
        opacity=seen,
        tooltip=tips,
    )
    chart = alt.layer(areas, names, leads, trails, dots, complete.add_params(picked, weeks), running, labels)
    return finished(chart, description, 520)
