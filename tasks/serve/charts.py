"""The charts of the pages, as Vega-Lite over the named dataset `rows`, in the colours and of the parts of the report's charts.

Symbols and column names are data or field names, never part of an expression.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal

from market_rotation.tasks.report.charts.parts import (
    DAY,
    MONEY,
    PERCENT,
    colour,
    day_axis,
    day_tip,
    either,
    finished,
    level,
    lines,
    pointed,
    rows,
    value_axis,
)

#: How the values of an axis are placed.
AxisType = Literal["temporal", "quantitative", "nominal"]

MARKS = ("line", "bar", "point")


def ratio(description: str) -> dict[str, Any]:
    """The ratio of a pair with its two averages."""
    import altair as alt

    series = {"ratio": "ratio", "ratio_ma50": "50-session average", "ratio_ma200": "200-session average"}
    y = value_axis("value", zero=False)
    return finished(alt.layer(*lines("ratio", rows(), series, y, ".2f", ["ink", "accent", "muted"])), description, 340)


def returns(small: str, large: str, description: str) -> dict[str, Any]:
    """What two symbols returned since the beginning."""
    import altair as alt

    named = [alt.param(name="first_symbol", value=small), alt.param(name="second_symbol", value=large)]
    legend = alt.Legend(labelExpr="datum.value == 'small_return' ? first_symbol : second_symbol")
    line = (
        rows()
        .transform_fold(["small_return", "large_return"], as_=["column", "value"])
        .mark_line()
        .encode(
            x=day_axis(),
            y=value_axis("value", ".0%"),
            color=alt.Color(
                "column:N", title=None, scale=alt.Scale(domain=["small_return", "large_return"]), legend=legend
            ),
        )
    )
    tips = [
        alt.Tooltip("small_return:Q", title=small, format=PERCENT),
        alt.Tooltip("large_return:Q", title=large, format=PERCENT),
        alt.Tooltip("spread:Q", title="Difference", format=PERCENT),
    ]
    chart = alt.layer(level(0), line, pointed("returns", rows(), [day_tip(), *tips])).add_params(*named)
    return finished(chart, description)


def by_symbol(
    exhibit: str,
    field: str,
    symbols: Sequence[str],
    value_format: str,
    start_at: float,
    description: str,
    when: str = "session",
) -> dict[str, Any]:
    """A line for each symbol over time, with a rule where all begin; `when` is the column of the day, such as `month`."""
    import altair as alt

    chosen = alt.selection_point(name=f"{exhibit}_symbol", fields=["symbol"], bind="legend")
    money = value_format == "money"
    dated = rows() if when == "session" else rows().transform_calculate(session=f"toDate(datum.{when})")
    line = (
        dated.mark_line()
        .encode(
            x=day_axis(),
            y=alt.Y(
                f"{field}:Q",
                title=None,
                axis=_money_axis() if money else alt.Axis(grid=True),
                scale=alt.Scale(zero=False),
            ),
            color=alt.Color("symbol:N", title=None, scale=alt.Scale(domain=list(symbols))),
            opacity=either(alt.OpacityValue, chosen, 1, 0.12),
        )
        .add_params(chosen)
    )
    values = [
        alt.Tooltip(field=escaped(symbol), type="quantitative", title=symbol, format=",.0f" if money else value_format)
        for symbol in symbols
    ]
    wide = dated.transform_pivot("symbol", value=field, groupby=["session"])
    return finished(alt.layer(level(start_at), line, pointed(exhibit, wide, [day_tip(), *values])), description, 340)


def flows(exhibit: str, symbols: Sequence[str], description: str) -> dict[str, Any]:
    """A bar for each month or session; one symbol at a time, chosen from a list."""
    import altair as alt

    choice = alt.param(
        name=f"{exhibit}_shown", value=symbols[0], bind=alt.binding_select(options=list(symbols), name="Shown ")
    )
    by_month = exhibit == "flows_monthly"
    day = "month" if by_month else "session"
    bars = (
        rows()
        .transform_filter(f"datum.symbol == {exhibit}_shown")
        .mark_bar()
        .encode(
            x=alt.X(
                f"{'yearmonth' if by_month else 'yearmonthdate'}({day}):T",
                title=None,
                axis=alt.Axis(grid=False, tickCount=alt.ExprRef("max(3, width / 120)")),
            ),
            y=alt.Y("net_flow_usd:Q", title=None, axis=_money_axis()),
            color=either(alt.ColorValue, "datum.net_flow_usd > 0", colour("good"), colour("bad")),
            tooltip=[
                alt.Tooltip(f"{day}:T", title=day.capitalize(), format="%B %Y" if by_month else DAY),
                alt.Tooltip("net_flow_usd:Q", title="Net flow, USD", format="+,.0f"),
                alt.Tooltip("flow_pct_of_assets:Q", title="Percent of assets", format="+.2f"),
                alt.Tooltip("sum_usd:Q", title="Sum since the start, USD", format="+,.0f"),
            ],
        )
        .add_params(choice)
    )
    return finished(alt.layer(level(0), bars), description)


def own(x: str, x_type: AxisType, y: str, series: str | None, mark: str, description: str) -> dict[str, Any]:
    """Any column against any other, coloured by a third; `x_type` is temporal, quantitative or nominal."""
    import altair as alt

    drawn = {"line": rows().mark_line, "bar": rows().mark_bar, "point": rows().mark_point}[mark]()
    tips = [alt.Tooltip(field=escaped(x), type=x_type, title=x, format=DAY if x_type == "temporal" else alt.Undefined)]
    tips.append(alt.Tooltip(field=escaped(y), type="quantitative", title=y))
    channels: dict[str, Any] = {
        "x": alt.X(
            field=escaped(x),
            type=x_type,
            title=x,
            sort=None,
            scale=alt.Scale(zero=False) if x_type == "quantitative" else alt.Undefined,
        ),
        "y": alt.Y(field=escaped(y), type="quantitative", title=y, scale=alt.Scale(zero=mark == "bar")),
    }
    if series:
        channels["color"] = alt.Color(field=escaped(series), type="nominal", title=series, sort=None)
        tips.append(alt.Tooltip(field=escaped(series), type="nominal", title=series))
    return finished(drawn.encode(**channels, tooltip=tips), description)


def escaped(name: str) -> str:
    """A column's name as a field: a dot or bracket in it would otherwise lead into a nested value."""
    return re.sub(r"([\\.\[\]])", r"\\\1", name)


def _money_axis() -> Any:
    import altair as alt

    return alt.Axis(grid=True, labelExpr=MONEY)
