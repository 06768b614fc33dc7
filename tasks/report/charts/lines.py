"""The charts over time, as Vega-Lite over the named dataset `rows`. Colours come from the page: its ranges, and its parameters by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from market_rotation.tasks.report.charts.parts import (
    PERCENT,
    colour,
    day_axis,
    day_tip,
    either,
    finished,
    fixed,
    label_colours,
    level,
    lines,
    pointed,
    rows,
    span,
    stretches,
    value_axis,
)


def relative_strength(pair: str, description: str) -> dict[str, Any]:
    """The ratio with its two averages, on the colours of the label in force."""
    import altair as alt

    choice, kept = span("relative_strength")
    shaded = stretches(kept)
    bands = shaded.mark_rect().encode(
        x=alt.X("start:T"),
        x2=alt.X2("end:T"),
        fill=label_colours("fill", legend=None),
        fillOpacity=label_colours("fillOpacity", legend=None),
    )
    # Label a period only where the text fits.
    named = (
        shaded.transform_joinaggregate(first="min(start)", final="max(end)")
        .transform_filter("(datum.end - datum.start) * width > 75 * (datum.final - datum.first)")
        .mark_text(align="left", dx=5, dy=11, fontSize=11, color=colour("muted"))
        .encode(x=alt.X("start:T"), y=fixed(alt.YValue, "0"), text=alt.Text("label:N"))
    )
    series = {"ratio": pair, "ratio_ma50": "50-session average", "ratio_ma200": "200-session average"}
    y = value_axis("value", zero=False)
    in_force = alt.Tooltip("label:N", title="In force")
    line, rule = lines("relative_strength", kept, series, y, ".2f", ["ink", "accent", "muted"], [in_force])
    return finished(alt.layer(bands, named, line, rule).add_params(choice), description, 380)


def over_time(
    exhibit: str,
    series: Mapping[str, str],
    rule_at: float,
    value_format: str,
    axis_format: str,
    description: str,
    only: str | None = None,
) -> dict[str, Any]:
    """Lines over the years chosen, with a rule at a level that matters; `only` keeps the rows for which the expression holds."""
    import altair as alt

    choice, kept = span(exhibit)
    if only:
        kept = kept.transform_filter(only)
    y = value_axis("value", axis_format)
    return finished(
        alt.layer(level(rule_at), *lines(exhibit, kept, series, y, value_format)).add_params(choice), description
    )


def drawdowns(description: str) -> dict[str, Any]:
    """A line for each symbol, from 0 down."""
    import altair as alt

    choice, kept = span("drawdowns", 5)
    chosen = alt.selection_point(name="drawdowns_series", fields=["symbol"], bind="legend")
    line = (
        kept.mark_line(strokeWidth=1.4)
        .encode(
            x=day_axis(),
            y=value_axis("drawdown", ".0%"),
            color=alt.Color("symbol:N", title=None, sort=None),
            opacity=either(alt.OpacityValue, chosen, 0.9, 0.1),
            tooltip=[
                alt.Tooltip("symbol:N", title="Fund"),
                day_tip(),
                alt.Tooltip("drawdown:Q", title="Below its high", format=".1%"),
            ],
        )
        .add_params(chosen)
    )
    return finished(alt.layer(level(0), line).add_params(choice), description)


def earnings(description: str) -> dict[str, Any]:
    """Expected growth of both sides, with the gap between them."""
    import altair as alt

    series = {"large_growth_next_year": "large companies", "small_growth_next_year": "small companies"}
    y = value_axis("value", ".0%", zero=True)
    difference = alt.Tooltip("gap:Q", title="Small less large", format=PERCENT)
    line, rule = lines("earnings", rows(), series, y, PERCENT, tips=[difference], point=True)
    gap = (
        rows()
        .mark_rule(strokeWidth=2, opacity=0.5)
        .encode(
            x=day_axis(format="%-d %b %Y"),
            y=value_axis("large_growth_next_year", ".0%", zero=True),
            y2=alt.Y2("small_growth_next_year:Q"),
            color=either(alt.ColorValue, "datum.gap > 0", colour("good"), colour("bad")),
        )
    )
    return finished(alt.layer(gap, line, rule), description, 260)


def dispersion(series: Mapping[str, tuple[str, str]], description: str) -> dict[str, Any]:
    """One measure over the years, chosen from a list; `series` are columns with their words and their format."""
    import altair as alt

    columns = list(series)
    measure = alt.param(
        name="dispersion_measure",
        value=columns[0],
        bind=alt.binding_select(options=columns, labels=[words for words, _ in series.values()], name="Measure "),
    )
    choice, kept = span("dispersion", 5)
    line = (
        kept.transform_calculate(value="datum[dispersion_measure]")
        .transform_filter("isValid(datum.value)")
        .mark_line(color=colour("accent"))
        .encode(x=day_axis(), y=value_axis("value", zero=False))
    )
    tips = [alt.Tooltip(f"{column}:Q", title=words, format=number) for column, (words, number) in series.items()]
    return finished(
        alt.layer(line, pointed("dispersion", kept, [day_tip(), *tips])).add_params(measure, choice), description, 240
    )
