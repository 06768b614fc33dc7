"""What followed each label and state of the regime, at its edges: chosen inputs, the one table derived again, values by hand."""

from __future__ import annotations

import math
from statistics import mean, median, stdev

import pytest
from world import days, fill

from market_rotation.tasks import warehouse

DAYS = days()
N = 260


def performance(con, labels, spreads, columns=("spread_1m", "spread_3m", "spread_6m")):
    """The table for labels by session (a dict, or a list from the first session on) and spreads from the first session on."""
    labels = dict(enumerate(labels)) if isinstance(labels, list) else labels
    fill(con, "signals.rotation_regime", *({"session": DAYS[i], "label": label} for i, label in labels.items()))
    rows = [
        {"pair": "IWM/IWB", "session": DAYS[i], **dict.fromkeys(columns, spread)} for i, spread in enumerate(spreads)
    ]
    # Another pair never counts.
    others = [{**row, "pair": "IWC/SPY", **dict.fromkeys(columns, 9.0)} for row in rows]
    fill(con, "signals.relative_strength", *rows, *others)
    warehouse.build(con, "signals.regime_performance")
    found = con.sql("from signals.regime_performance where axis = 'label'").df()
    assert len(found) == 15
    return found.drop(columns="axis").set_index(["label", "horizon"])


VALUES = ["mean_spread", "median_spread", "hit_rate_pct", "t_stat", "independent_mean_spread"]


@pytest.mark.parametrize(("horizon", "sessions", "independent"), [("1m", 21, 5), ("3m", 63, 2), ("6m", 126, 1)])
def test_independent_windows_do_not_overlap(con, horizon, sessions, independent):
    """Of 100 labelled sessions in a row those are independent that begin at 1, 22, 43, …, each when the one before has ended."""
    # The spread of the window that begins at position i is (i + 1) ** 2.
    spreads = [float((i + 1 - sessions) ** 2) for i in range(N)]
    row = performance(con, ["neutral"] * 100, spreads).loc["neutral", horizon]
    assert row["observations"] == 100
    starts = list(range(1, 101, sessions))
    assert len(starts) == row["independent_observations"] == independent
    wanted = [start**2 for start in starts]
    assert row["independent_mean_spread"] == pytest.approx(mean(wanted))
    assert row["mean_spread"] == pytest.approx(mean(start**2 for start in range(1, 101)))
    assert row["median_spread"] == pytest.approx((50**2 + 51**2) / 2)
    assert row["hit_rate_pct"] == 100
    if independent > 1:
        assert row["t_stat"] == pytest.approx(mean(wanted) / (stdev(wanted) / independent**0.5))
    else:
        assert math.isnan(row["t_stat"])


@pytest.mark.parametrize(
    ("starts", "independent"),
    [
        ([0, 20], [0]),
        ([0, 21], [0, 21]),
        ([0, 10, 21, 30, 41, 50], [0, 21, 50]),
        ([5, 25, 26, 46, 47, 90], [5, 26, 47, 90]),
        ([100], [100]),
    ],
)
def test_the_next_window_begins_when_the_last_has_ended(con, starts, independent):
    """Windows are taken from the first on, not by the calendar: a start inside the window kept last is passed over."""
    spreads = [float((i - 21) ** 2) for i in range(N)]
    row = performance(con, dict.fromkeys(starts, "fading"), spreads).loc["fading", "1m"]
    assert (row["observations"], row["independent_observations"]) == (len(starts), len(independent))
    assert row["independent_mean_spread"] == pytest.approx(mean(i**2 for i in independent))
    assert row["median_spread"] == pytest.approx(median(i**2 for i in starts))


def test_only_windows_that_have_passed_count(con):
    """With 120 sessions of spreads the last start over a month is session 99, over a quarter session 57; half a year has none."""
    rows = performance(con, ["building"] * 120, [0.01] * 120).loc["building"]
    assert rows["observations"].to_dict() == {"1m": 120 - 21, "3m": 120 - 63, "6m": 0}
    assert rows["independent_observations"].to_dict() == {"1m": 5, "3m": 1, "6m": 0}
    assert rows.loc["6m", [*VALUES, "mean_spread_any_label"]].isna().all()


def test_a_spread_that_is_not_known_is_no_observation(con):
    """A session whose window has no spread is passed over, also as the first of the independent ones."""
    spreads = [None if i in (21, 43) else 0.01 * i for i in range(80)]
    row = performance(con, ["neutral"] * 40, spreads).loc["neutral", "1m"]
    # Positions 0 and 22 have none: the first window begins at 1, and where it has ended at 23.
    assert (row["observations"], row["independent_observations"]) == (38, 2)
    assert row["independent_mean_spread"] == pytest.approx((0.22 + 0.44) / 2)


def test_each_label_has_windows_of_its_own(con):
    """Labels that take turns overlap each other but not themselves; the mean of any label is over all of them, and no label is none."""
    labels = ["confirmed", "reversed", None] * 14
    # What follows confirmed is +0.03, what follows reversed -0.01, and what follows no label is absurd.
    spreads = [0.0] * 21 + [0.03, -0.01, 7.0] * 14
    found = performance(con, labels, spreads)
    for label, spread, hits in (("confirmed", 0.03, 100), ("reversed", -0.01, 0)):
        row = found.loc[label, "1m"]
        assert (row["observations"], row["independent_observations"], row["hit_rate_pct"]) == (14, 2, hits)
        assert row[["mean_spread", "median_spread"]].tolist() == pytest.approx([spread, spread])
    assert found.xs("1m", level="horizon")["mean_spread_any_label"].tolist() == pytest.approx([0.01] * 5)


def test_labels_without_an_observation(con):
    """All five labels have a row per horizon, in their order; those that never were have counts of 0 and the rest NULL."""
    found = performance(con, ["neutral"] * 50, [0.01] * 200)
    assert list(found.index) == [
        (x, h) for x in ("confirmed", "building", "neutral", "fading", "reversed") for h in ("1m", "3m", "6m")
    ]
    never = found[found.index.get_level_values("label") != "neutral"]
    assert len(never) == 12
    assert (never[["observations", "independent_observations"]] == 0).all(axis=None)
    assert never[VALUES].isna().all(axis=None)
    assert found["mean_spread_any_label"].tolist() == pytest.approx([0.01] * 15)


@pytest.mark.parametrize("spread", [0.01, 0.1 + 0.2, -1 / 3, 0.0])
def test_identical_observations_have_no_t(con, spread):
    """Where independent observations do not differ there is no t, rounding or not; a spread of 0 is no hit."""
    row = performance(con, ["neutral"] * 200, [spread] * N).loc["neutral", "1m"]
    assert row["independent_observations"] == 10
    assert math.isnan(row["t_stat"])
    assert row["mean_spread"] == pytest.approx(spread)
    assert row["hit_rate_pct"] == (100 if spread > 0 else 0)


def test_two_independent_observations_have_a_t(con):
    """Of 0.01 and 0.03 the mean is 0.02, the standard error 0.01, and t is 2; one observation has no t."""
    spreads = [0.01] * 42 + [0.03] * 40
    two = performance(con, {0: "fading", 21: "fading"}, spreads).loc["fading", "1m"]
    assert (two["independent_observations"], two["t_stat"]) == (2, pytest.approx(2))
    one = performance(con, {0: "fading"}, spreads).loc["fading", "1m"]
    assert (one["independent_observations"], one["independent_mean_spread"]) == (1, pytest.approx(0.01))
    assert math.isnan(one["t_stat"])


def test_hits_are_spreads_above_zero(con):
    """The hit rate is the percentage of observations in which small caps did better; level is not better."""
    spreads = [0.0] * 21 + [0.02, 0.0, -0.01, 0.03]
    row = performance(con, ["neutral"] * 4, spreads).loc["neutral", "1m"]
    assert (row["observations"], row["hit_rate_pct"]) == (4, 50)
    assert (row["mean_spread"], row["median_spread"]) == (pytest.approx(0.01), pytest.approx(0.01))


def test_each_horizon_has_its_own_spread(con):
    """The month looks at spread_1m 21 sessions on, the quarter at spread_3m 63 on, the half-year at spread_6m 126 on."""
    fill(con, "signals.rotation_regime", {"session": DAYS[10], "label": "building"})
    chosen = {10 + 21: (0.1, 8.0, 8.0), 10 + 63: (8.0, 0.3, 8.0), 10 + 126: (8.0, 8.0, 0.6)}
    names = ("spread_1m", "spread_3m", "spread_6m")
    rows = [
        {"pair": "IWM/IWB", "session": DAYS[i], **dict(zip(names, chosen.get(i, (8.0, 8.0, 8.0)), strict=True))}
        for i in range(N)
    ]
    fill(con, "signals.relative_strength", *rows)
    warehouse.build(con, "signals.regime_performance")
    found = con.sql(
        "select horizon, mean_spread from signals.regime_performance where label = 'building' and observations > 0"
    ).fetchall()
    assert found == [("1m", 0.1), ("3m", 0.3), ("6m", 0.6)]


def test_each_axis_has_its_own_states(con):
    """A session counts for its label and for the state of each axis; `mixed` of leadership and of support are distinct."""
    states = {"size_state": "leading", "leadership_state": "mixed", "support_state": None}
    last = {"size_state": "even", "leadership_state": "mixed", "support_state": "mixed"}
    rows = [
        {"session": DAYS[0], "label": "building", **states},
        {"session": DAYS[1], "label": "neutral", **last},
    ]
    fill(con, "signals.rotation_regime", *rows)
    spreads = [
        {"pair": "IWM/IWB", "session": DAYS[i + 21], "spread_1m": spread, "spread_3m": None, "spread_6m": None}
        for i, spread in enumerate((0.02, -0.04))
    ]
    fill(con, "signals.relative_strength", *spreads)
    warehouse.build(con, "signals.regime_performance")
    found = con.sql("from signals.regime_performance where horizon = '1m'").df().set_index(["axis", "label"])
    assert len(found) == 14
    seen = found[found["observations"] > 0]
    assert seen["observations"].to_dict() == {
        ("label", "building"): 1,
        ("label", "neutral"): 1,
        ("size", "leading"): 1,
        ("size", "even"): 1,
        ("leadership", "mixed"): 2,
        ("support", "mixed"): 1,
    }
    assert seen.loc[("leadership", "mixed"), "mean_spread"] == pytest.approx(-0.01)
    assert seen.loc[("support", "mixed"), "mean_spread"] == -0.04
    anywhere = found["mean_spread_any_label"].groupby(level="axis").first().to_dict()
    assert anywhere == pytest.approx({"label": -0.01, "size": -0.01, "leadership": -0.01, "support": -0.04})
