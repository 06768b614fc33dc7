"""Parts of the charts: Vega-Lite over the named dataset `rows`, in colours that the page defines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

HEIGHT = 320

#: Labels of the regime from best to worst for small caps, with the colour and opacity of each.
LABELS = ("confirmed", "building", "neutral", "fading", "reversed")
LABEL_COLOURS = ("good", "good", "neutral", "bad", "bad")
LABEL_OPACITIES = (0.26, 0.12, 0.07, 0.12, 0.26)

PERCENT = "+.1%"
DAY = "%-d %b %Y"

#: The label of an axis in USD: $1.5 bn, $300 m.
MONEY = (
    "replace(datum.value == 0 ? '0' : (datum.value < 0 ? '\\u2212' : '') + '$' + "
    "replace(format(abs(datum.value), '.3~s'), 'G', ' bn'), 'M', ' m')"
)


def rows() -> Any:
    """The base of all charts: the rows of the exhibit."""
    import altair as alt

    return alt.Chart(alt.NamedData("rows"))


def colour(name: str) -> Any:
    """A colour of the page by name, or any other expression."""
    import altair as alt

    return alt.ExprRef(name)


def either(channel: Any, condition: Any, value: Any, otherwise: Any) -> Any:
    """One of two values on a channel such as `altair.OpacityValue`: `value` where the condition holds or the selection contains the row."""
    import altair as alt

    # A channel of its class: altair tries all its classes to find that of a plain condition, which is slow.
    return channel(**alt.condition(condition, alt.value(value), alt.value(otherwise)))


def fixed(channel: Any, pixels: str) -> Any:
    """A place in pixels, an expression, on a channel such as `altair.XValue`."""
    return channel(colour(pixels))


def finished(chart: Any, description: str, height: int = HEIGHT) -> dict[str, Any]:
    """The specification: as wide as its place, read out as `description`, without altair's own look and the address of its schema."""
    # Set in place: `properties` would first copy the whole chart.
    chart.width, chart.height, chart.description = "container", height, description
    specification: dict[str, Any] = chart.to_dict(validate=False)
    for name in ("config", "$schema"):
        specification.pop(name, None)
    return specification


def day_axis(**axis: Any) -> Any:
    """Sessions from left to right."""
    import altair as alt

    return alt.X(
        "session:T", title=None, axis=alt.Axis(tickCount=alt.ExprRef("max(3, width / 120)"), grid=False, **axis)
    )


def value_axis(field: str, value_format: str | None = None, **scale: Any) -> Any:
    """Values upwards, with lines across."""
    import altair as alt

    axis = alt.Axis(grid=True, format=value_format) if value_format else alt.Axis(grid=True)
    return alt.Y(f"{field}:Q", title=None, axis=axis, scale=alt.Scale(**scale))


def day_tip() -> Any:
    """The session in a tooltip."""
    import altair as alt

    return alt.Tooltip("session:T", title="Session", format=DAY)


def span(exhibit: str, years: int = 3) -> tuple[Any, Any]:
    """A choice of how many years are shown, and `rows` with it in force."""
    import altair as alt

    name = f"{exhibit}_years"
    choice = alt.param(
        name=name,
        value=years,
        bind=alt.binding_select(
            options=[1, 3, 5, 10, 100], labels=["1 year", "3 years", "5 years", "10 years", "all"], name="Shown "
        ),
    )
    kept = (
        rows()
        .transform_joinaggregate(last_session="max(session)")
        .transform_filter(f"datum.session >= datum.last_session - {name} * 31557600000")
    )
    return choice, kept


def lines(
    exhibit: str,
    kept: Any,
    series: Mapping[str, str],
    y: Any,
    value_format: str,
    colours: Sequence[str] | None = None,
    tips: Sequence[Any] = (),
    point: bool = False,
) -> list[Any]:
    """A line for each column of `series`, named in a legend that can be clicked, and all values of a session under the pointer.

    `tips` are further fields of the tooltip; `point` marks each value, for a line that may have one only.
    """
    import altair as alt

    names = list(series.values())
    chosen = alt.selection_point(name=f"{exhibit}_series", fields=["series"], bind="legend")
    scale = (
        alt.Scale(domain=names, range=[alt.ExprRef(name) for name in colours]) if colours else alt.Scale(domain=names)
    )
    line = (
        kept.transform_fold(list(series), as_=["column", "value"])
        .transform_calculate(
            series=" : ".join(f"datum.column == '{key}' ? '{name}'" for key, name in series.items()) + " : ''"
        )
        .mark_line(point=point)
        .encode(
            x=day_axis(),
            y=y,
            color=alt.Color("series:N", title=None, scale=scale),
            opacity=either(alt.OpacityValue, chosen, 1, 0.12),
        )
        .add_params(chosen)
    )
    values = [alt.Tooltip(f"{key}:Q", title=name, format=value_format) for key, name in series.items()]
    return [line, pointed(exhibit, kept, [day_tip(), *values, *tips])]


def pointed(exhibit: str, kept: Any, tips: Sequence[Any]) -> Any:
    """A rule at the session nearest to the pointer, with a tooltip of its values."""
    import altair as alt

    near = alt.selection_point(
        name=f"{exhibit}_near", nearest=True, on="pointermove", clear="pointerout", encodings=["x"], empty=False
    )
    return (
        kept.mark_rule(color=colour("muted"))
        .encode(x=day_axis(), opacity=either(alt.OpacityValue, near, 0.7, 0), tooltip=list(tips))
        .add_params(near)
    )


def level(value: float, dash: Sequence[int] = (1, 0)) -> Any:
    """A horizontal rule at a value of the y axis."""
    import altair as alt

    return (
        rows()
        .transform_aggregate(rows="count()")
        .mark_rule(color=colour("muted"), strokeDash=list(dash))
        .encode(y=alt.YDatum(value))
    )


def label_colours(channel: str, **options: Any) -> Any:
    """The label of the regime as a colour, and as its strength."""
    import altair as alt

    classes = {"fill": alt.Fill, "fillOpacity": alt.FillOpacity, "color": alt.Color}
    values: list[Any] = (
        list(LABEL_OPACITIES) if channel == "fillOpacity" else [alt.ExprRef(name) for name in LABEL_COLOURS]
    )
    return classes[channel](
        "label:N", scale=alt.Scale(type="ordinal", domain=list(LABELS), range=values), title=None, **options
    )


def stretches(kept: Any) -> Any:
    """A row for each period of sessions with one label in force."""
    import altair as alt

    return (
        kept.transform_window(next_session="lead(session)", sort=[alt.SortField("session")])
        .transform_filter("isValid(datum.label)")
        .transform_aggregate(
            start="min(session)", end="max(next_session)", last="max(session)", groupby=["label", "label_since"]
        )
        .transform_calculate(end="max(datum.end, datum.last)")
    )
