"""The charts of bars, cells and points: returns by horizon, ranks by month, flows by month, what followed each label."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from market_rotation.tasks.report.charts.parts import (
    DAY,
    LABELS,
    MONEY,
    PERCENT,
    colour,
    either,
    finished,
    fixed,
    label_colours,
    level,
    rows,
)

HORIZONS = {
    "1w": "1 week",
    "1m": "1 month",
    "3m": "3 months",
    "6m": "6 months",
    "12m": "12 months",
    "qtd": "QTD",
    "ytd": "YTD",
    "since_low": "since low",
}

SIDES = ("small", "large")


#: Pixels at the right of the returns for the spread.
ASIDE = 84


def returns(pairs: Sequence[str], description: str) -> dict[str, Any]:
    """Both legs of a pair over all horizons, each bar with its own value, and the spread in a column apart; the pair is chosen from a list."""
    import altair as alt

    choice = alt.param(name="returns_pair", value=pairs[0], bind=alt.binding_select(options=list(pairs), name="Pair "))
    kept = rows().transform_filter("datum.pair == returns_pair")
    horizon = " : ".join(f"datum.horizon == '{key}' ? '{words}'" for key, words in HORIZONS.items()) + " : ''"
    y = alt.Y(
        "span:N",
        title=None,
        sort=list(HORIZONS.values()),
        axis=alt.Axis(ticks=False, domain=False),
        scale=alt.Scale(paddingInner=0.28),
    )
    offset = alt.YOffset("side:N", sort=list(SIDES))
    x = alt.X(
        "value:Q",
        title=None,
        axis=alt.Axis(format=".0%", tickCount=5, grid=True),
        scale=alt.Scale(padding=44, range=[0, {"expr": f"width - {ASIDE}"}]),
    )
    legs = (
        kept.transform_fold([f"{side}_return_{key}" for side in SIDES for key in HORIZONS], as_=["column", "value"])
        .transform_filter("isValid(datum.value)")
        .transform_calculate(side="slice(datum.column, 0, 5)", horizon="slice(datum.column, 13)")
        .transform_calculate(
            span=horizon,
            leg="datum.side == 'small' ? 'small caps' : 'large caps'",
            symbol="datum.side == 'small' ? datum.small_symbol : datum.large_symbol",
        )
    )
    bars = legs.mark_bar(cornerRadiusEnd=2).encode(
        x=x,
        y=y,
        yOffset=offset,
        color=alt.Color(
            "leg:N",
            title=None,
            scale=alt.Scale(domain=["small caps", "large caps"], range=[alt.ExprRef("accent"), alt.ExprRef("neutral")]),
        ),
        tooltip=[
            alt.Tooltip("symbol:N", title="Symbol"),
            alt.Tooltip("span:N", title="Over"),
            alt.Tooltip("value:Q", title="Return", format=PERCENT),
        ],
    )
    values = legs.mark_text(
        fontSize=11,
        align=alt.ExprRef("datum.value < 0 ? 'right' : 'left'"),
        dx=alt.ExprRef("datum.value < 0 ? -4 : 4"),
    ).encode(x=x, y=y, yOffset=offset, text=alt.Text("value:Q", format=PERCENT))
    spreads = (
        kept.transform_fold([f"spread_{key}" for key in HORIZONS], as_=["column", "spread"])
        .transform_calculate(horizon="slice(datum.column, 7)")
        .transform_filter("isValid(datum.spread)")
        .transform_calculate(span=horizon)
        .mark_text(align="right", fontSize=12, fontWeight="bold")
        .encode(
            x=fixed(alt.XValue, "width"),
            y=y,
            text=alt.Text("spread:Q", format=PERCENT),
            color=either(alt.ColorValue, "datum.spread > 0", colour("good"), colour("bad")),
        )
    )
    head = kept.mark_text(
        text=["small less", "large"],
        align="right",
        fontSize=11,
        lineHeight=12,
        color=colour("muted"),
        baseline="bottom",
    ).encode(x=fixed(alt.XValue, "width"), y=fixed(alt.YValue, "-16"))
    return finished(alt.layer(bars, values, spreads, head).add_params(choice), description, 390)


def sector_ranks(sectors: Sequence[str], description: str) -> dict[str, Any]:
    """A cell for each sector and month with its rank. The further the rank is from the middle, the stronger the colour."""
    import altair as alt

    ranked = (
        rows()
        .transform_filter("isValid(datum.rank_3m)")
        # A phone has room for the newest months only.
        .transform_window(months_back="dense_rank()", sort=[alt.SortField("session", order="descending")])
        .transform_filter("datum.months_back <= max(6, width / 22)")
        .transform_calculate(away="(datum.rank_3m - (datum.sectors + 1) / 2) / ((datum.sectors - 1) / 2 || 1)")
    )
    x = alt.X(
        "session:O",
        title=None,
        axis=alt.Axis(
            labelExpr="month(datum.value) == 0 || datum.index == 0 ? [timeFormat(datum.value, '%b'), timeFormat(datum.value, '%Y')] "
            ": width > 620 || month(datum.value) % 3 == 0 ? timeFormat(datum.value, '%b') : ''",
            labelAngle=0,
            labelOverlap=False,
            domain=False,
            ticks=False,
        ),
        scale=alt.Scale(paddingInner=0.04),
    )
    y = alt.Y(
        "name:N",
        title=None,
        sort=list(sectors),
        axis=alt.Axis(domain=False, ticks=False),
        scale=alt.Scale(paddingInner=0.06),
    )
    cells = (
        ranked.mark_rect(cornerRadius=2)
        .encode(
            x=x,
            y=y,
            color=either(alt.ColorValue, "datum.away < 0", colour("good"), colour("bad")),
            opacity=alt.Opacity("strength:Q", scale=alt.Scale(domain=[0, 1], range=[0, 0.62]), legend=None),
            tooltip=[
                alt.Tooltip("name:N", title="Sector"),
                alt.Tooltip("session:T", title="Session", format=DAY),
                alt.Tooltip("rank_3m:Q", title="Rank"),
                alt.Tooltip("sectors:Q", title="Of"),
                alt.Tooltip("return_3m:Q", title="3 months", format=PERCENT),
                alt.Tooltip("excess_3m:Q", title="Beyond the market", format=PERCENT),
            ],
        )
        .transform_calculate(strength="abs(datum.away)")
    )
    numbers = ranked.mark_text(fontSize=alt.ExprRef("clamp(width / 30, 8, 11)")).encode(
        x=x, y=y, text=alt.Text("rank_3m:Q")
    )
    return finished(alt.layer(cells, numbers), description, 26 * max(len(sectors), 3) + 40)


def fund_flows(groups: Sequence[str], description: str) -> dict[str, Any]:
    """A bar for each month and the sum of the year so far as a line; the group of funds is chosen from a list."""
    import altair as alt

    choice = alt.param(
        name="fund_flows_group", value=groups[0], bind=alt.binding_select(options=list(groups), name="Shown ")
    )
    kept = (
        rows()
        .transform_filter("datum.flow_group == fund_flows_group")
        .transform_calculate(year="year(datum.month)", state="datum.is_partial ? 'running' : 'complete'")
    )
    # Only the first month of each quarter is labelled, so that labels fit at every width.
    x = alt.X(
        "month:O",
        title=None,
        axis=alt.Axis(
            labelExpr="month(datum.value) == 0 ? [timeFormat(datum.value, '%b'), timeFormat(datum.value, '%Y')] "
            ": month(datum.value) % 3 == 0 ? timeFormat(datum.value, '%b') : ''",
            labelAngle=0,
            labelOverlap=False,
            domain=False,
            ticks=False,
            grid=False,
        ),
        scale=alt.Scale(paddingInner=0.28),
    )
    y = alt.Y("net_flow_usd:Q", title=None, axis=alt.Axis(grid=True, labelExpr=MONEY))
    tips = [
        alt.Tooltip("month:T", title="Month", format="%B %Y"),
        alt.Tooltip("state:N", title="Month is"),
        alt.Tooltip("net_flow_usd:Q", title="Net flow, USD", format="+,.0f"),
        alt.Tooltip("cumulative_ytd_usd:Q", title="Year so far, USD", format="+,.0f"),
        alt.Tooltip("streak_months:Q", title="Months in a row"),
        alt.Tooltip("covered_assets_pct:Q", title="Assets known, %", format=".0f"),
        alt.Tooltip("members_known:Q", title="Funds known"),
        alt.Tooltip("members:Q", title="Of"),
    ]
    bars = kept.mark_bar(cornerRadiusEnd=2, strokeDash=[3, 2], strokeWidth=1.2).encode(
        x=x,
        y=y,
        fill=either(alt.FillValue, "datum.net_flow_usd > 0", colour("good"), colour("bad")),
        stroke=either(alt.StrokeValue, "datum.net_flow_usd > 0", colour("good"), colour("bad")),
        fillOpacity=either(alt.FillOpacityValue, "datum.is_partial", 0.2, 0.8),
        strokeOpacity=either(alt.StrokeOpacityValue, "datum.is_partial", 1, 0),
        tooltip=tips,
    )
    year = kept.mark_line(
        color=colour("ink"), strokeWidth=1.4, point={"size": 14, "filled": True, "color": {"expr": "ink"}}
    ).encode(x=x, y=alt.Y("cumulative_ytd_usd:Q", title=None), detail=alt.Detail("year:N"), tooltip=tips)
    gaps = (
        kept.transform_filter("!isValid(datum.net_flow_usd)")
        .mark_text(text="?", fontSize=14, fontWeight="bold", color=colour("muted"), dy=-9)
        .encode(x=x, y=alt.YDatum(0), tooltip=tips)
    )
    named = (
        kept.transform_filter("isValid(datum.cumulative_ytd_usd)")
        .transform_window(place="row_number()", sort=[alt.SortField("month", order="descending")])
        .transform_filter("datum.place == 1")
        .mark_text(
            text="year so far", align="right", dx=4, dy=alt.ExprRef("datum.net_flow_usd < 0 ? 16 : -14"), fontSize=11
        )
        .encode(x=x, y=alt.Y("cumulative_ytd_usd:Q", title=None))
    )
    return finished(alt.layer(level(0), bars, year, named, gaps).add_params(choice), description)


def what_followed(description: str) -> dict[str, Any]:
    """A point for each independent observation, with the mean of all: what small caps returned after each label."""
    import altair as alt

    names = {"1m": "1 month", "3m": "3 months", "6m": "6 months"}
    choice = alt.param(
        name="what_followed_horizon",
        value="3m",
        bind=alt.binding_select(options=list(names), labels=list(names.values()), name="Over the next "),
    )
    kept = rows().transform_filter("datum.horizon == what_followed_horizon")
    y = alt.Y("label:N", title=None, sort=list(LABELS), axis=alt.Axis(domain=False, ticks=False))
    x = alt.X(
        "spread:Q",
        title="small caps less large caps",
        axis=alt.Axis(format=".0%", tickCount=alt.ExprRef("max(3, width / 110)")),
    )
    shade = label_colours("color", legend=None)
    one = kept.transform_filter("datum.part == 'observation'")
    summary = kept.transform_filter("datum.part == 'summary'")
    tips = [
        alt.Tooltip("label:N", title="Label"),
        alt.Tooltip("observations:Q", title="Sessions"),
        alt.Tooltip("independent_observations:Q", title="Independent"),
        alt.Tooltip("mean_spread:Q", title="Mean of all", format=PERCENT),
        alt.Tooltip("median_spread:Q", title="Median of all", format=PERCENT),
        alt.Tooltip("independent_mean_spread:Q", title="Mean of the independent", format=PERCENT),
        alt.Tooltip("t_stat:Q", title="t statistic", format="+.1f"),
        alt.Tooltip("mean_spread_any_label:Q", title="Mean after any label", format=PERCENT),
    ]
    points = one.mark_circle(size=42, opacity=0.42).encode(
        x=x,
        y=y,
        color=shade,
        tooltip=[
            alt.Tooltip("label:N", title="Label"),
            alt.Tooltip("session:T", title="From", format=DAY),
            alt.Tooltip("spread:Q", title="Small less large", format=PERCENT),
        ],
    )
    means = summary.mark_tick(thickness=3, size=30, color=colour("ink")).encode(
        x=alt.X("independent_mean_spread:Q"), y=y, tooltip=tips
    )
    any_label = (
        summary.transform_aggregate(mean="min(mean_spread_any_label)")
        .mark_rule(color=colour("muted"), strokeDash=[4, 3])
        .encode(x=alt.X("mean:Q"), tooltip=alt.Tooltip("mean:Q", title="Mean after any label", format=PERCENT))
    )
    counted = (
        summary.transform_calculate(
            text_label="'n = ' + datum.independent_observations + (isValid(datum.t_stat) ? ', t = ' + replace(format(datum.t_stat, '+.1f'), '+', '') : '')"
        )
        .mark_text(align="right", dx=-4, dy=-15, fontSize=11, color=colour("muted"))
        .encode(x=fixed(alt.XValue, "width"), y=y, text=alt.Text("text_label:N"))
    )
    return finished(alt.layer(any_label, points, means, counted).add_params(choice), description, 300)
