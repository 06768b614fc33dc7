"""The relative rotation graph: the position of each symbol, and its path over the last weeks."""

from __future__ import annotations

from typing import Any

from market_rotation.tasks.report.charts.parts import DAY, colour, finished, rows

#: Quadrants and their colours: the outline shows whether momentum rises or falls; the point is filled if strength agrees.
QUADRANTS = {
    "leading": ("good", "good"),
    "weakening": ("bad", "paper"),
    "improving": ("good", "paper"),
    "lagging": ("bad", "bad"),
}
CORNERS = {"leading": (1, 1), "weakening": (1, -1), "improving": (-1, 1), "lagging": (-1, -1)}

#: No z-score of 14 values is further from 0 than 13 / sqrt(14).
REACH = 3.5


def rotation(exhibit: str, description: str, tail: int = 8, step: str = "Week to") -> dict[str, Any]:
    """Strength from left to right, momentum upwards; tails of `tail` steps, coloured by the quadrant they end in.

    `step` is the word before the date of a point: a point is a week, unless said otherwise.
    """
    import altair as alt

    chosen = alt.selection_point(name=f"{exhibit}_quadrant", fields=["quadrant_now"], bind="legend")
    picked = alt.selection_point(name=f"{exhibit}_symbol", fields=["symbol"], on="click", clear="dblclick")
    low, high = 100 - REACH, 100 + REACH
    scale = alt.Scale(domain=[low, high], nice=False)
    x = alt.X("rs_ratio:Q", title="Relative strength", scale=scale, axis=alt.Axis(grid=False, tickCount=7))
    y = alt.Y("rs_momentum:Q", title="Momentum of it", scale=scale, axis=alt.Axis(grid=False, tickCount=7))
    known = rows().transform_filter("isValid(datum.rs_ratio) && isValid(datum.rs_momentum)")
    last = known.transform_filter("datum.weeks_back == 0")
    one_row = rows().transform_aggregate(rows="count()")
    areas, names = [], []
    for quadrant, (right, up) in CORNERS.items():
        edge_x, edge_y = 100 + right * REACH, 100 + up * REACH
        edge, filling = QUADRANTS[quadrant]
        areas.append(
            one_row.mark_rect(color=colour(edge), opacity=0.1 if edge == filling else 0.035).encode(
                x=alt.XDatum(100, scale=scale),
                x2=alt.X2Datum(edge_x),
                y=alt.YDatum(100, scale=scale),
                y2=alt.Y2Datum(edge_y),
            )
        )
        names.append(
            one_row.mark_text(
                text=quadrant.upper(),
                color=colour(edge),
                fontSize=11,
                fontWeight="bold",
                opacity=0.8,
                align="right" if right > 0 else "left",
                dx=-8 * right,
                baseline="top" if up > 0 else "bottom",
                dy=8 * up,
            ).encode(x=alt.XDatum(edge_x, scale=scale), y=alt.YDatum(edge_y, scale=scale))
        )
    legend = alt.Legend(symbolType="circle", symbolSize=110, symbolStrokeWidth=2)
    edges, fillings = ([alt.ExprRef(pair[i]) for pair in QUADRANTS.values()] for i in (0, 1))
    edge_hue = alt.Stroke(
        "quadrant_now:N", title=None, scale=alt.Scale(domain=list(QUADRANTS), range=edges), legend=legend
    )
    fill_hue = alt.Fill(
        "quadrant_now:N", title=None, scale=alt.Scale(domain=list(QUADRANTS), range=fillings), legend=legend
    )
    seen = alt.condition(chosen & picked, alt.value(1), alt.value(0.08))
    tips = [
        alt.Tooltip("name:N", title="Name"),
        alt.Tooltip("symbol:N", title="Symbol"),
        alt.Tooltip("session:T", title=step, format=DAY),
        alt.Tooltip("rs_ratio:Q", title="Strength", format=".2f"),
        alt.Tooltip("rs_momentum:Q", title="Momentum", format=".2f"),
        alt.Tooltip("quadrant:N", title="Quadrant"),
    ]
    # A fixed colour instead of a scale, which would replace the legend.
    gains = "datum.quadrant_now == 'leading' || datum.quadrant_now == 'improving'"
    tails = known.mark_trail(color=alt.ExprRef(f"{gains} ? good : bad")).encode(
        x=x,
        y=y,
        size=alt.Size("weeks_back:Q", scale=alt.Scale(domain=[tail, 0], range=[0.3, 3.4]), legend=None),
        detail="symbol:N",
        order="session:T",
        opacity=alt.condition(chosen & picked, alt.value(0.5), alt.value(0.05)),
    )
    dots = (
        known.transform_filter("datum.weeks_back > 0")
        .mark_point(size=6, filled=True, strokeWidth=1)
        .encode(x=x, y=y, stroke=edge_hue, fill=fill_hue, opacity=seen, tooltip=tips)
    )
    heads = last.mark_point(size=120, strokeWidth=2).encode(
        x=x, y=y, stroke=edge_hue, fill=fill_hue, opacity=seen, tooltip=tips
    )
    # A place left or right of the point moves the text sideways, one above or below it upwards or downwards.
    labels = last.mark_text(
        fontSize=11,
        fontWeight="bold",
        color=colour("ink"),
        baseline="middle",
        align=alt.ExprRef("datum.label_place == 'right' ? 'left' : datum.label_place == 'left' ? 'right' : 'center'"),
        dx=alt.ExprRef("datum.label_place == 'right' ? 9 : datum.label_place == 'left' ? -9 : 0"),
        dy=alt.ExprRef("datum.label_place == 'above' ? -13 : datum.label_place == 'below' ? 14 : 0"),
    ).encode(x=x, y=y, text="symbol:N", opacity=seen)
    chart = alt.layer(*areas, *names, tails, dots, heads.add_params(chosen, picked), labels)
    return finished(chart, description, 520)
