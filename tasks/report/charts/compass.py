"""The regime as charts: the compass, size across and leadership upwards, and the states in force over time."""

from __future__ import annotations

from typing import Any

from market_rotation.tasks.report.charts.parts import (
    DAY,
    LABEL_COLOURS,
    LABEL_OPACITIES,
    LABELS,
    colour,
    finished,
    rows,
)

#: The axes reach a little beyond the scores, which lie between -1 and 1, so that a point at the end is whole.
REACH = 1.12

#: The states and labels of the timeline with their colour and its strength.
STATE_COLOURS = {
    "confirmed": ("good", 0.5),
    "building": ("good", 0.22),
    "neutral": ("neutral", 0.16),
    "fading": ("bad", 0.22),
    "reversed": ("bad", 0.5),
    "leading": ("good", 0.36),
    "even": ("neutral", 0.16),
    "trailing": ("bad", 0.36),
    "broadening": ("good", 0.36),
    "mixed": ("neutral", 0.16),
    "narrowing": ("bad", 0.36),
    "supported": ("good", 0.36),
    "contradicted": ("bad", 0.36),
}

#: How far a mixed state of leadership, a score of exactly 0, reaches up and down as a frame.
MIXED = 0.1

#: Each label with the edges of its area, left, right, bottom and top; a name is the column that holds the edge.
AREAS = {
    "confirmed": ("leading_from", REACH, 0, REACH),
    "building": ("leading_from", REACH, -REACH, 0),
    "neutral": ("trailing_from", "leading_from", -REACH, REACH),
    "fading": (-REACH, "trailing_from", 0, REACH),
    "reversed": (-REACH, "trailing_from", -REACH, 0),
}


def compass(description: str) -> dict[str, Any]:
    """The scores of the session, the path of their monthly means over a year, and a frame around the states in force."""
    import altair as alt

    scale = alt.Scale(domain=[-REACH, REACH], nice=False)
    values = [-1, -0.5, 0, 0.5, 1]
    x_axis = alt.Axis(grid=False, values=values, format="+.1f", title="small caps trail  ←  size  →  small caps lead")
    y_axis = alt.Axis(grid=False, values=values, format="+.1f", title="narrows  ←  leadership  →  broadens", ticks=True)
    last = rows().transform_filter("datum.weeks_back == 0")

    # One row for each area, with its edges.
    areas = (
        last.transform_calculate(area=str(list(AREAS)))
        .transform_flatten(["area"])
        .transform_calculate(**{name: _edge(i) for i, name in enumerate(("left", "right", "bottom", "top"))})
        .transform_calculate(edge=f"datum.top < {REACH} ? datum.bottom : datum.top")
    )
    shades = alt.Scale(type="ordinal", domain=list(LABELS), range=[alt.ExprRef(name) for name in LABEL_COLOURS])
    strengths = alt.Scale(type="ordinal", domain=list(LABELS), range=list(LABEL_OPACITIES))
    grounds = areas.mark_rect().encode(
        x=alt.X("left:Q", scale=scale, axis=x_axis),
        x2=alt.X2("right:Q"),
        y=alt.Y("bottom:Q", scale=scale, axis=y_axis),
        y2=alt.Y2("top:Q"),
        fill=alt.Fill("area:N", scale=shades, legend=None),
        fillOpacity=alt.FillOpacity("area:N", scale=strengths, legend=None),
    )
    # At the outer edge, beyond the levels that scores take, so that no path crosses them.
    names = areas.mark_text(
        color=colour("muted"),
        fontSize=12,
        align="left",
        dx=5,
        baseline=alt.ExprRef(f"datum.top < {REACH} ? 'bottom' : 'top'"),
        dy=alt.ExprRef(f"datum.top < {REACH} ? -3 : 3"),
    ).encode(x=alt.X("left:Q"), y=alt.Y("edge:Q"), text=alt.Text("area:N"))
    in_force = last.transform_filter("isValid(datum.size_state)").transform_calculate(
        left=f"datum.size_state == 'leading' ? datum.leading_from : datum.size_state == 'even' ? datum.trailing_from : {-REACH}",
        right=f"datum.size_state == 'leading' ? {REACH} : datum.size_state == 'even' ? datum.leading_from : datum.trailing_from",
        bottom=f"datum.leadership_state == 'broadening' ? 0 : datum.leadership_state == 'mixed' ? {-MIXED} : {-REACH}",
        top=f"datum.leadership_state == 'narrowing' ? 0 : datum.leadership_state == 'mixed' ? {MIXED} : {REACH}",
    )
    frame = in_force.mark_rect(filled=False, stroke=colour("ink"), strokeWidth=2).encode(
        x=alt.X("left:Q"), x2=alt.X2("right:Q"), y=alt.Y("bottom:Q"), y2=alt.Y2("top:Q")
    )
    known = rows().transform_filter("isValid(datum.size_mean_1m) && isValid(datum.leadership_mean_1m)")
    means = {
        "x": alt.X("size_mean_1m:Q", scale=scale, axis=x_axis),
        "y": alt.Y("leadership_mean_1m:Q", scale=scale, axis=y_axis),
    }
    tips = [
        alt.Tooltip("session:T", title="Session", format=DAY),
        alt.Tooltip("size_score:Q", title="Size", format="+.2f"),
        alt.Tooltip("leadership_score:Q", title="Leadership", format="+.2f"),
        alt.Tooltip("size_mean_1m:Q", title="Size, month", format="+.2f"),
        alt.Tooltip("leadership_mean_1m:Q", title="Leadership, month", format="+.2f"),
        alt.Tooltip("label:N", title="Label in force"),
    ]
    path = known.mark_trail(color=colour("accent"), opacity=0.6).encode(
        **means,
        order=alt.Order("session:T"),
        size=alt.Size("weeks_back:Q", scale=alt.Scale(domain=[52, 0], range=[0.4, 4]), legend=None),
    )
    weeks = known.mark_circle(size=40, opacity=0).encode(**means, tooltip=tips)
    half_years = known.transform_filter("datum.weeks_back > 0 && datum.weeks_back % 26 == 0")
    beside: dict[str, Any] = {
        "fontSize": 11,
        "align": alt.ExprRef("datum.size_mean_1m > 0.5 ? 'right' : 'left'"),
        "dx": alt.ExprRef("datum.size_mean_1m > 0.5 ? -7 : 7"),
    }
    date = {**means, "text": alt.Text("session:T", format="%b %Y")}
    # A line of the paper's colour around the words keeps them legible on the path.
    halo = half_years.mark_text(**beside, stroke=colour("paper"), strokeWidth=4, opacity=0.85).encode(**date)
    months = half_years.mark_text(**beside, color=colour("ink")).encode(**date)
    head = (
        known.transform_filter("datum.weeks_back == 0")
        .mark_circle(size=150, color=colour("accent"), opacity=1)
        .encode(**means, tooltip=tips)
    )
    today = (
        last.transform_filter("isValid(datum.size_score) && isValid(datum.leadership_score)")
        .mark_point(shape="diamond", size=190, strokeWidth=2.5, fill=colour("paper"), stroke=colour("ink"), opacity=1)
        .encode(
            x=alt.X("size_score:Q", scale=scale, axis=x_axis),
            y=alt.Y("leadership_score:Q", scale=scale, axis=y_axis),
            tooltip=tips,
        )
    )
    return finished(alt.layer(grounds, names, frame, path, weeks, halo, months, head, today), description, 340)


def _edge(place: int) -> str:
    """An expression for one edge of `datum.area`."""
    edges = {name: edges[place] for name, edges in AREAS.items()}
    written = [f"{name}: {edge if not isinstance(edge, str) else f'datum.{edge}'}" for name, edge in edges.items()]
    return f"{{{', '.join(written)}}}[datum.area]"


#: The rows of the timeline, by column.
TIMELINE = {"label": "label", "size_state": "size", "leadership_state": "leadership", "support_state": "support"}


def timeline(description: str) -> dict[str, Any]:
    """A row each for the label and the states in force, a block for each stretch of sessions with one of them."""
    import altair as alt

    names = list(STATE_COLOURS)
    stretched = (
        rows()
        # A number, whatever form the day has in the data, so that stretches have a length.
        .transform_calculate(session="toNumber(toDate(datum.session))")
        .transform_fold(list(TIMELINE), as_=["column", "state"])
        .transform_window(
            previous="lag(state)", next_session="lead(session)", groupby=["column"], sort=[alt.SortField("session")]
        )
        .transform_calculate(is_new="datum.state != datum.previous ? 1 : 0")
        .transform_window(stretch="sum(is_new)", groupby=["column"], sort=[alt.SortField("session")], frame=[None, 0])
        .transform_filter("isValid(datum.state)")
        .transform_aggregate(
            start="min(session)",
            next="max(next_session)",
            last="max(session)",
            sessions="count()",
            groupby=["column", "state", "stretch"],
        )
        .transform_calculate(
            end="max(datum.next, datum.last)",
            row=" : ".join(f"datum.column == '{column}' ? '{name}'" for column, name in TIMELINE.items()) + " : ''",
        )
        .transform_joinaggregate(first="min(start)", final="max(end)")
    )
    x = alt.X("start:T", title=None, axis=alt.Axis(tickCount=alt.ExprRef("max(3, width / 120)"), grid=False))
    y = alt.Y(
        "row:N",
        title=None,
        sort=list(TIMELINE.values()),
        axis=alt.Axis(domain=False, ticks=False),
        scale=alt.Scale(paddingInner=0.14),
    )
    tips = [
        alt.Tooltip("state:N", title="In force"),
        alt.Tooltip("start:T", title="From", format=DAY),
        alt.Tooltip("last:T", title="To", format=DAY),
        alt.Tooltip("sessions:Q", title="Sessions"),
    ]
    shades = alt.Scale(type="ordinal", domain=names, range=[alt.ExprRef(shade) for shade, _ in STATE_COLOURS.values()])
    strengths = alt.Scale(type="ordinal", domain=names, range=[strength for _, strength in STATE_COLOURS.values()])
    blocks = stretched.mark_rect().encode(
        x=x,
        x2=alt.X2("end:T"),
        y=y,
        fill=alt.Fill("state:N", scale=shades, legend=None),
        fillOpacity=alt.FillOpacity("state:N", scale=strengths, legend=None),
        tooltip=tips,
    )
    # Named only where the words fit.
    words = (
        stretched.transform_filter("(datum.end - datum.start) * width > 80 * (datum.final - datum.first)")
        .mark_text(align="left", dx=5, fontSize=11)
        .encode(x=x, y=y, text=alt.Text("state:N"))
    )
    return finished(alt.layer(blocks, words), description, 150)
