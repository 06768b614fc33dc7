"""The evidence at its edges: chosen inputs, the one table derived again, verdicts worked out by hand."""

from __future__ import annotations

import math
from datetime import date

import pandas as pd
import pytest
from world import bars, days, derived, estimate, fill, instrument, records, universe

from market_rotation.tasks import warehouse
from market_rotation.tasks.datasets import EARNINGS_GROWTH_COLUMNS, HOLDINGS_COLUMNS
from market_rotation.tasks.sources.base import typed

#: The session that is judged.
DAY = date(2024, 4, 1)
UP, DOWN = math.inf, -math.inf
DAYS = days()
N = 260


def judged(con, evidence, day=DAY):
    """The evidence's row of that session, with the board derived again from the signal tables."""
    warehouse.build(con, "signals.rotation_evidence")
    rows = con.execute(
        "select * from signals.rotation_evidence where evidence = $1 and session = $2", [evidence, day]
    ).df()
    assert len(rows) == 1
    return rows.iloc[0]


def assert_verdict(row, verdict, value):
    """The verdict and the value; both are NULL when not known, and the sentence explains it."""
    known = verdict is not None
    assert (None if pd.isna(row["verdict"]) else row["verdict"]) == verdict
    assert row["detail"].startswith("Not known: ") != known
    if known:
        assert row["value"] == value
    else:
        assert pd.isna(row["value"])


# --- the six evidences -----------------------------------------------------------------------------------------------


CONDITIONS = ("spread_1m", "spread_3m", "ma50", "ma200")


@pytest.mark.long_after(0)
@pytest.mark.parametrize(
    ("signs", "verdict", "value"),
    [
        ("++++", 1, 1.0),
        ("+++0", 1, 0.75),
        ("+++-", 1, 0.5),
        ("-+++", 1, 0.5),
        ("++00", 1, 0.5),
        ("+000", 0, 0.25),
        ("++-0", 0, 0.25),
        # As many for as against are neither.
        ("++--", 0, 0.0),
        ("+-0-", 0, -0.25),
        ("0000", 0, 0.0),
        ("--00", -1, -0.5),
        ("---+", -1, -0.5),
        ("----", -1, -1.0),
        ("?+++", None, None),
        ("+?++", None, None),
        ("++?+", None, None),
        ("+++?", None, None),
        ("????", None, None),
    ],
)
@pytest.mark.parametrize("size", [1e-9, 0.1])
def test_relative_strength(con, signs, verdict, value, size):
    """Conditions for less conditions against, of four: half is for or against, less is neither, and one not known is not known."""
    given = dict(zip(CONDITIONS, ({"+": size, "-": -size, "0": 0.0, "?": None}[sign] for sign in signs), strict=True))
    means = {f"ratio_{name}": None if given[name] is None else 100.0 - 100 * given[name] for name in ("ma50", "ma200")}
    legs = {"pair": "IWM/IWB", "small_symbol": "IWM", "large_symbol": "IWB"}
    spreads = {name: given[name] for name in ("spread_1m", "spread_3m")}
    fill(con, "signals.relative_strength", {"session": DAY, **legs, **spreads, "ratio": 100.0, **means})
    row = judged(con, "relative_strength")
    assert_verdict(row, verdict, value)
    assert row["axis"] == "size"
    if verdict is not None:
        assert f"({signs.count('+')} of 4 conditions for, {signs.count('-')} against)" in row["detail"]


@pytest.mark.parametrize(("ratio", "mean"), [(0.1 + 0.2, 0.3), (0.3, 0.1 + 0.2), (100.0, 100.0)])
def test_a_ratio_at_its_mean_is_no_condition(con, ratio, mean):
    """A difference by rounding only is neither above nor below the mean."""
    legs = {"pair": "IWM/IWB", "small_symbol": "IWM", "large_symbol": "IWB"}
    row = {"session": DAY, **legs, "spread_1m": 0.1, "spread_3m": 0.0, "ratio": ratio}
    fill(con, "signals.relative_strength", {**row, "ratio_ma50": mean, "ratio_ma200": mean})
    assert_verdict(judged(con, "relative_strength"), 0, 0.25)


def test_another_pair_is_not_the_headline(con):
    """A pair that is not the headline has no effect, and without the headline's row the session is not known."""
    legs = {"pair": "IWC/SPY", "small_symbol": "IWC", "large_symbol": "SPY"}
    fill(
        con,
        "signals.relative_strength",
        {
            **{"session": DAY, **legs, "spread_1m": 0.1, "spread_3m": 0.1},
            **{"ratio": 110.0, "ratio_ma50": 90.0, "ratio_ma200": 90.0},
        },
    )
    assert_verdict(judged(con, "relative_strength"), None, None)


@pytest.mark.parametrize(
    ("beating", "equal_minus_cap", "verdict"),
    [
        (6, 0.01, 1),
        (6, 1e-12, 1),
        (11, 0.01, 1),
        (5, 0.01, 0),
        (6, 0.0, 0),
        (6, -0.01, 0),
        (3, -0.01, -1),
        (3, -1e-12, -1),
        (0, -0.01, -1),
        (4, -0.01, 0),
        (3, 0.0, 0),
        (3, 0.01, 0),
        (None, 0.01, None),
        (6, None, None),
        (0, None, None),
    ],
)
def test_breadth(con, beating, equal_minus_cap, verdict):
    """For from six sectors on with the average company ahead, against up to three with it behind, NULL where either is not known."""
    row = {"sectors_beating_spy_3m": beating, "sectors_counted_3m": 11, "equal_minus_cap_3m": equal_minus_cap}
    fill(con, "signals.breadth", {"session": DAY, **row})
    assert_verdict(judged(con, "breadth"), verdict, beating)


@pytest.mark.parametrize(("rank", "verdict"), [(11, 1), (7, 1), (6, 0), (5, 0), (3, 0), (2, -1), (1, -1), (None, None)])
def test_sector_leadership(con, rank, verdict):
    """For where technology is seventh or worse, against where it is first or second, NULL where it has no rank."""
    common = {"session": DAY, "symbol": "XLK"}
    technology = {**common, "sector": "technology", "rank_3m": rank, "return_3m": None if rank is None else 0.1}
    other = {**common, "sector": "energy", "rank_3m": 4, "return_3m": 0.2}
    fill(con, "signals.sector_leadership", technology, other)
    assert_verdict(judged(con, "sector_leadership"), verdict, rank)


@pytest.mark.parametrize(
    ("difference", "verdict"),
    [
        (-0.5, 1),
        (math.nextafter(-0.01, DOWN), 1),
        (-0.01, 0),
        (0.0, 0),
        (0.01, 0),
        (math.nextafter(0.01, UP), -1),
        (0.5, -1),
        (None, None),
    ],
)
def test_mega_cap(con, difference, verdict):
    """For where the Magnificent Seven trail by more than one percent, against where they lead by more; one percent exactly is neither."""
    fill(con, "signals.mega_cap", {"session": DAY, "mag7_minus_rest_3m": difference})
    assert_verdict(judged(con, "mega_cap"), verdict, difference)


@pytest.mark.parametrize(
    ("gap", "covered", "verdict"),
    [
        (math.nextafter(0.01, UP), (90.0, 95.0), 1),
        (0.3, (50.0, 50.0), 1),
        (0.01, (90.0, 95.0), 0),
        (0.0, (90.0, 95.0), 0),
        (-0.01, (90.0, 95.0), 0),
        (math.nextafter(-0.01, DOWN), (90.0, 95.0), -1),
        (None, (90.0, 95.0), None),
        # Under half of the weight of either side carries no verdict.
        (0.3, (math.nextafter(50.0, DOWN), 95.0), None),
        (0.3, (95.0, 49.0), None),
        (0.3, (None, 95.0), None),
        (0.3, (95.0, None), None),
    ],
)
def test_earnings(con, gap, covered, verdict):
    """For where small companies are expected to grow faster by more than one percent, against where slower by more than that."""
    sides = {"small_growth_next_year": 0.2, "large_growth_next_year": 0.1, "period_end": date(2024, 12, 31)}
    coverage = {"small_coverage_pct": covered[0], "large_coverage_pct": covered[1]}
    fill(con, "signals.earnings_momentum", {"session": DAY, "gap": gap, **sides, **coverage})
    assert_verdict(judged(con, "earnings"), verdict, gap)


#: Assets of three funds, of 1,000 together, at the end of 2023 and, as here, at the end of March.
ASSETS = {"FA": 500.0, "FB": 300.0, "FC": 200.0}


def put_flows(con, flows, assets=ASSETS, **others):
    """Flows by fund of January, February and March 2024, and assets by fund, known on the last session of 2023 and on one in March."""
    months = [
        {"symbol": symbol, "month": date(2024, i + 1, 1), "net_flow_usd": flow, "is_partial": False}
        for symbol, values in flows.items()
        for i, flow in enumerate(values)
    ]
    # Neither the month before, nor the running one, nor another fund has a say.
    ignored = [
        {"symbol": symbol, "month": month, "net_flow_usd": -77.0, "is_partial": month.month == 4}
        for symbol, month in (
            *((symbol, month) for symbol in ASSETS for month in (date(2023, 12, 1), date(2024, 4, 1))),
            *(("SPY", date(2024, i, 1)) for i in (1, 2, 3)),
        )
    ]
    fill(con, "signals.fund_flows_monthly", *months, *ignored)
    records = [
        {"symbol": symbol, "session": day, "total_net_assets_usd": amount}
        for symbol, amount in assets.items()
        for day in (date(2023, 12, 29), date(2024, 3, 20))
        if amount is not None
    ]
    fill(con, "core.fund_nav", *records, *others.get("records", ()))


@pytest.mark.parametrize(
    ("months", "verdict", "value"),
    [
        # Of 1,000 in assets: above half a percent in, at least two months in.
        ((2.0, 2.0, 1.1), 1, 0.51),
        ((9.0, 9.0, -9.0), 1, 0.9),
        ((6.0, 0.0, 6.0), 1, 1.2),
        ((2.0, 2.0, 1.0), 0, 0.5),
        ((9.0, 0.0, 0.0), 0, 0.9),
        ((9.0, -1.0, -1.0), 0, 0.7),
        ((0.0, 0.0, 0.0), 0, 0.0),
        ((-2.0, -2.0, -1.0), 0, -0.5),
        ((-9.0, 1.0, 1.0), 0, -0.7),
        ((-9.0, 0.0, 0.0), 0, -0.9),
        ((-2.0, -2.0, -1.1), -1, -0.51),
        ((-9.0, 9.0, -9.0), -1, -0.9),
    ],
)
def test_fund_flows(con, months, verdict, value):
    """For where more than half a percent of the assets came in over two or more of three months, against where as much left."""
    put_flows(con, {"FA": months, "FB": (0.0, 0.0, 0.0), "FC": (0.0, 0.0, 0.0)})
    for day in (DAY, date(2024, 4, 30)):
        row = judged(con, "fund_flows", day)
        assert_verdict(row, verdict, pytest.approx(value))
        assert "small-cap funds with 100 % of the assets" in row["detail"]
        assert "3 of 3 funds known" in row["detail"]


@pytest.mark.parametrize(
    ("known", "verdict", "value"),
    [
        # FA alone holds half; FB and FC together as much; FB alone less.
        (("FA",), 1, 100 * 30 / 500),
        (("FB", "FC"), 1, 100 * 60 / 500),
        (("FA", "FB"), 1, 100 * 60 / 800),
        (("FB",), None, None),
        (("FC",), None, None),
        ((), None, None),
    ],
)
@pytest.mark.parametrize("gap", [0, 1, 2])
def test_fund_flows_of_half_the_assets(con, known, verdict, value, gap):
    """Only funds known in all three months count, and only where they hold half of the group's assets."""
    whole, broken = (10.0, 10.0, 10.0), tuple(None if i == gap else 10.0 for i in range(3))
    put_flows(con, {symbol: whole if symbol in known else broken for symbol in ASSETS})
    assert_verdict(judged(con, "fund_flows"), verdict, pytest.approx(value) if known else None)


def test_fund_flows_with_assets_that_are_not_known(con):
    """Without the assets of one fund, the known share of the group is unknown."""
    put_flows(con, dict.fromkeys(ASSETS, (10.0, 10.0, 10.0)), {**ASSETS, "FC": None})
    row = judged(con, "fund_flows")
    assert_verdict(row, None, None)
    assert row["detail"] == "Not known: the assets of FC are not known."


def test_fund_flows_of_a_fund_that_is_new(con):
    """A fund without assets before the three months has no say, but its assets count in those of the group."""
    new = [{"symbol": "FC", "session": date(2024, 3, 20), "total_net_assets_usd": 200.0}]
    put_flows(con, dict.fromkeys(ASSETS, (10.0, 10.0, 10.0)), {**ASSETS, "FC": None}, records=new)
    row = judged(con, "fund_flows")
    assert_verdict(row, 1, pytest.approx(100 * 60 / 800))
    assert "small-cap funds with 80 % of the assets" in row["detail"]
    assert "2 of 3 funds known" in row["detail"]


def test_evidence_and_outcomes_have_an_order(con):
    """Evidence is shown in places 1 to 6, and the outcomes of a measure in places of their own, from 1 or 3 on."""
    assert con.sql("select place from core.evidence_names").fetchall() == [(place,) for place in range(1, 7)]
    places = con.sql("select list(place order by place) from core.thresholds group by subject, measure").fetchall()
    assert {tuple(found) for (found,) in places} == {(1, 2), (1,), (2,), (3,)}


def test_every_session_has_six_rows(con):
    """Each session has each evidence once, with both thresholds, though nothing is known."""
    inputs = (
        "relative_strength",
        "breadth",
        "fund_flows_monthly",
        "sector_leadership",
        "mega_cap",
        "earnings_momentum",
    )
    for name in inputs:
        fill(con, f"signals.{name}")
    fill(con, "core.fund_nav")
    warehouse.build(con, "signals.rotation_evidence")
    rows = con.sql("from signals.rotation_evidence").df()
    assert len(rows) == 6 * N
    assert rows[["value", "verdict"]].isna().all(axis=None)
    levels = rows.drop(columns="axis").groupby("evidence")[["threshold", "threshold_against"]].agg(["min", "max"])
    assert {name: (row.iloc[0], row.iloc[2]) for name, row in levels.iterrows()} == {
        "relative_strength": (0.5, -0.5),
        "breadth": (6, 3),
        "fund_flows": (0.5, -0.5),
        "sector_leadership": (7, 2),
        "mega_cap": (-0.01, 0.01),
        "earnings": (0.01, -0.01),
    }
    axes = set(zip(rows["evidence"], rows["axis"], strict=True))
    assert len(axes) == 6
    assert dict(axes) == {
        "relative_strength": "size",
        **dict.fromkeys(("breadth", "sector_leadership", "mega_cap"), "leadership"),
        **dict.fromkeys(("fund_flows", "earnings"), "support"),
    }


# --- from records and estimates to a verdict -------------------------------------------------------------------------


@pytest.mark.parametrize(("february", "verdict"), [("in", 1), ("out", 1), ("heavy", 0), ("gap", 1), ("silent", None)])
def test_flows_from_a_funds_records(february, verdict):
    """A small fund's creations month by month make the verdict of May: all in, one month out, one heavily out, a week not published
    and so spanned by the next count, and more sessions not published than a flow may span."""
    may = date(2024, 5, 1)
    sessions = DAYS[: DAYS.index(may) + 1]
    shares, count = [], 1_000_000.0
    for day in sessions:
        step = {"in": 500, "out": -100, "heavy": -1000, "gap": 500, "silent": 500}[february] if day.month == 2 else 500
        count += step
        last_unknown = {"gap": date(2024, 2, 16), "silent": date(2024, 3, 18)}.get(february, date.min)
        shares.append(None if date(2024, 2, 12) <= day <= last_unknown else count)
    members = universe(instrument("SPY"), instrument("FND", peer_group="small_cap"))
    fund = records("FND", [25.0] * len(shares), shares)
    with derived(
        [bars("SPY", [100.0] * len(shares))], members, may, wanted=["signals.rotation_evidence"], fund_nav=fund
    ) as con:
        rows = con.sql("select session, verdict from signals.rotation_evidence where evidence = 'fund_flows'").df()
        flows = con.sql("select net_flow_usd from signals.fund_flows_monthly where symbol = 'FND' order by month").df()
    april = len([day for day in sessions if day.month == 4])
    assert flows["net_flow_usd"].iloc[3] == pytest.approx(april * 500 * 25)
    verdicts = rows.set_index(rows["session"].dt.date)["verdict"]
    # The first session of May is the first with three completed months behind it and assets before them.
    assert verdicts.iloc[:-1].isna().all()
    assert (None if pd.isna(verdicts[may]) else verdicts[may]) == verdict


def test_earnings_from_holdings_and_estimates():
    """Estimates of a small fund's two companies and a large fund's one make the verdict, until they are older than 20 sessions."""
    weights = [("SML", "A", 0.5), ("SML", "B", 0.5), ("SPY", "X", 1.0)]
    held = [
        {"fund_symbol": f, "as_of": pd.Timestamp(DAYS[0]), "symbol": s, "name": s, "weight": w} for f, s, w in weights
    ]
    # The mean of A and B is 0.25 all along; X is below it, equal to it, above it, and at last not asked any more.
    said = [
        ("A", 1, 0.125),
        ("B", 1, 0.375),
        ("X", 1, 0.125),
        ("X", 5, 0.25),
        ("X", 9, 0.5),
        ("A", 20, 0.125),
        ("B", 20, 0.375),
    ]
    estimates = [estimate(s, DAYS[i], g) for s, i, g in said]
    members = universe(instrument("SPY"), instrument("SML"), pairs=[("SML", "SPY")])
    pair = members.pairs[0].model_copy(update={"earnings": True})
    frames = {
        "holdings": typed(pd.DataFrame(held).assign(source="issuer"), HOLDINGS_COLUMNS),
        "earnings_growth": typed(pd.DataFrame(estimates), EARNINGS_GROWTH_COLUMNS),
    }
    members = members.model_copy(update={"pairs": (pair,)})
    with derived([bars("SPY", [100.0])], members, DAYS[39], wanted=["signals.rotation_evidence"], **frames) as con:
        rows = con.sql("from signals.rotation_evidence where evidence = 'earnings' order by session").df()
    wanted = [None] + [1] * 4 + [0] * 4 + [-1] * 20 + [None] * 11
    assert [None if pd.isna(verdict) else verdict for verdict in rows["verdict"]] == wanted
    assert rows["value"].dropna().tolist() == pytest.approx([0.125] * 4 + [0.0] * 4 + [-0.25] * 20)
