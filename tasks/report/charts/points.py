"""The small charts of one session: bars and points by name, places within a range, pairs of points, a table of cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from market_rotation.tasks.report.charts.parts import PERCENT, colour, either, finished, fixed, rows

#: Pixels for each name.
STEP = 30


def names(field: str, order: Sequence[str], **axis: Any) -> Any:
    """The names from top to bottom, in their order."""
    import altair as alt

    return alt.Y(
        f"{field}:N",
        title=None,
        sort=list(order),
        axis=alt.Axis(domain=False, ticks=False, **axis),
        scale=alt.Scale(paddingInner=0.3),
    )


def height(count: int) -> int:
    """Of a chart with so many names."""
    return max(210, STEP * count + 30)


def day_returns(order: Sequence[str], description: str) -> dict[str, Any]:
    """A bar for each sector with its own return, and a dashed rule at that of the market."""
    import altair as alt

    known = rows().transform_filter("isValid(datum.return_1d)")
    y = names("name", order)
    x = alt.X(
        "return_1d:Q",
        title=None,
        axis=alt.Axis(format=".1%", tickCount=alt.ExprRef("width < 320 ? 3 : 6"), grid=True),
        scale=alt.Scale(padding=44),
    )
    tips = [
        alt.Tooltip("name:N", title="Sector"),
        alt.Tooltip("symbol:N", title="Symbol"),
        alt.Tooltip("return_1d:Q", title="Day", format="+.2%"),
        alt.Tooltip("excess_1d:Q", title="Beyond the market", format="+.2%"),
        alt.Tooltip("return_1w:Q", title="Week", format=PERCENT),
        alt.Tooltip("return_1m:Q", title="Month", format=PERCENT),
    ]
    bars = known.mark_bar(cornerRadiusEnd=2).encode(
        x=x,
        y=y,
        color=either(alt.ColorValue, "datum.return_1d < 0", colour("bad"), colour("good")),
        tooltip=tips,
    )
    labels = known.mark_text(
        fontSize=11,
        align=alt.ExprRef("datum.return_1d < 0 ? 'right' : 'left'"),
        dx=alt.ExprRef("datum.return_1d < 0 ? -4 : 4"),
    ).encode(x=x, y=y, text=alt.Text("return_1d:Q", format="+.2%"))
    market = (
        known.transform_aggregate(market="min(market_return_1d)")
        .transform_filter("isValid(datum.market)")
        .mark_rule(color=colour("ink"), strokeDash=[4, 3])
        .encode(x=alt.X("market:Q"), tooltip=alt.Tooltip("market:Q", title="The market", format="+.2%"))
    )
    return finished(alt.layer(bars, market, labels), description, height(len(order)))


def places(
    exhibit: str,
    name: str,
    series: Mapping[str, str],
    order: Sequence[str],
    title: str,
    description: str,
    text: str,
    tips: Sequence[Any] = (),
) -> dict[str, Any]:
    """Points from 0 to 100 for each name, a series by column and its words; `text` is an expression written at the right of each name."""
    import altair as alt

    words = list(series.values())
    y = names(name, order)
    x = alt.X(
        "place:Q",
        title=title,
        scale=alt.Scale(domain=[0, 100], range=[0, {"expr": "width - 86"}]),
        axis=alt.Axis(grid=True, tickCount=5),
    )
    folded = (
        rows()
        .transform_fold(list(series), as_=["column", "place"])
        .transform_filter("isValid(datum.place)")
        .transform_calculate(
            series=" : ".join(f"datum.column == '{key}' ? '{word}'" for key, word in series.items()) + " : ''"
        )
    )
    legend = alt.Legend(symbolType="circle", symbolStrokeWidth=0) if len(series) > 1 else None
    line = (
        rows()
        .transform_calculate(low="0", high="100")
        .mark_rule(color=colour("grid"), strokeWidth=5)
        .encode(x=alt.X("low:Q", title=title, scale=alt.Scale(domain=[0, 100])), x2=alt.X2("high:Q"), y=y)
    )
    points = folded.mark_point(size=110, filled=True, opacity=0.9).encode(
        x=x,
        y=y,
        color=alt.Color("series:N", title=None, scale=alt.Scale(domain=words), legend=legend),
        shape=alt.Shape(
            "series:N",
            title=None,
            scale=alt.Scale(domain=words, range=["circle", "diamond"][: len(words)]),
            legend=legend,
        ),
        tooltip=[
            alt.Tooltip(f"{name}:N", title="Of"),
            alt.Tooltip("series:N", title="Place"),
            alt.Tooltip("place:Q", title="0 to 100", format=".0f"),
            *tips,
        ],
    )
    labels = (
        rows()
        .transform_calculate(words=text)
        .mark_text(align="right", fontSize=11)
        .encode(x=fixed(alt.XValue, "width"), y=y, text=alt.Text("words:N"))
    )
    return finished(alt.layer(line, points, labels), description, height(len(order)))


def two_sides(
    name: str, sides: Mapping[str, str], order: Sequence[str], number: str, description: str
) -> dict[str, Any]:
    """Two points for each name with a line between them, each labelled with its own value; `sides` are two columns and their words."""
    import altair as alt

    (first, second), (one, other) = list(sides), list(sides.values())
    y = names(name, order)
    x = alt.X("value:Q", title=None, axis=alt.Axis(grid=True, tickCount=5), scale=alt.Scale(zero=False, padding=40))
    kept = rows().transform_filter(f"isValid(datum.{first}) || isValid(datum.{second})")
    line = kept.mark_rule(strokeWidth=3, color=colour("grid")).encode(
        x=alt.X(f"{first}:Q", title=None, scale=alt.Scale(zero=False, padding=40)), x2=alt.X2(f"{second}:Q"), y=y
    )
    folded = (
        kept.transform_fold([first, second], as_=["column", "value"])
        .transform_filter("isValid(datum.value)")
        .transform_calculate(
            side=f"datum.column == '{first}' ? '{one}' : '{other}'",
            is_lower=f"datum.value <= min(datum.{first}, datum.{second})",
        )
    )
    points = folded.mark_point(size=110, filled=True, opacity=1).encode(
        x=x,
        y=y,
        color=alt.Color(
            "side:N",
            title=None,
            scale=alt.Scale(domain=[one, other], range=[alt.ExprRef("accent"), alt.ExprRef("neutral")]),
        ),
        tooltip=[
            alt.Tooltip(f"{name}:N", title="Of"),
            alt.Tooltip("side:N", title="Side"),
            alt.Tooltip("value:Q", title="Value", format=number),
        ],
    )
    labels = folded.mark_text(
        fontSize=11,
        align=alt.ExprRef("datum.is_lower ? 'right' : 'left'"),
        dx=alt.ExprRef("datum.is_lower ? -9 : 9"),
    ).encode(x=x, y=y, text=alt.Text("value:Q", format=number))
    return finished(alt.layer(line, points, labels), description, height(len(order)))


def shares(order: Sequence[str], description: str) -> dict[str, Any]:
    """A cell for each two funds with the percent of their weight that both hold."""
    import altair as alt

    x = alt.X(
        "other_symbol:N",
        title=None,
        sort=list(order),
        axis=alt.Axis(labelAngle=0, domain=False, ticks=False, orient="top"),
    )
    y = names("symbol", order)
    tips = [
        alt.Tooltip("symbol:N", title="Fund"),
        alt.Tooltip("other_symbol:N", title="And"),
        alt.Tooltip("overlap_weight_pct:Q", title="In common, %", format=".1f"),
        alt.Tooltip("common_holdings:Q", title="Companies"),
    ]
    cells = (
        rows()
        .mark_rect(cornerRadius=2, color=colour("good"))
        .encode(
            x=x,
            y=y,
            opacity=alt.Opacity(
                "overlap_weight_pct:Q", scale=alt.Scale(domain=[0, 100], range=[0.05, 0.6]), legend=None
            ),
            tooltip=tips,
        )
    )
    numbers = rows().mark_text(fontSize=12).encode(x=x, y=y, text=alt.Text("overlap_weight_pct:Q", format=".0f"))
    return finished(alt.layer(cells, numbers), description, height(len(order)))
