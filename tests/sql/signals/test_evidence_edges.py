"""The evidence board, the regime and what followed it, at their edges: chosen inputs, the one table built anew, verdicts by hand."""

from __future__ import annotations

import math
from datetime import date
from statistics import mean, median, stdev

import pandas as pd
import pytest
from world import bars, days, derived, instrument, records, universe

from market_rotation.tasks import warehouse
from market_rotation.tasks.datasets import EARNINGS_GROWTH_COLUMNS, HOLDINGS_COLUMNS
from market_rotation.tasks.sources.base import typed

DAYS = days()
N = 260
#: The session that is judged.
DAY = date(2024, 4, 1)
UP, DOWN = math.inf, -math.inf


@pytest.fixture(scope="module")
def con():
    """A warehouse of 260 sessions whose signal tables each test fills with what it needs."""
    members = universe(*map(instrument, ("SPY", "IWM", "IWB", "IWC")), pairs=[("IWM", "IWB"), ("IWC", "SPY")])
    with derived([bars("SPY", [100.0] * N)], members, DAYS[N - 1]) as con:
        yield con


def fill(con, table, *rows):
    """Leaves just these rows in a table; columns they do not name are NULL."""
    con.execute(f"delete from {table}")
    if rows:
        names = list(rows[0])
        places = ", ".join([f"({', '.join('?' * len(names))})"] * len(rows))
        values = [row[name] for row in rows for name in names]
        con.execute(f"insert into {table} ({', '.join(names)}) values {places}", values)


def judged(con, evidence, day=DAY):
    """The evidence's row of that session, the board made anew from what the signal tables hold."""
    warehouse.build(con, "signals.rotation_evidence")
    rows = con.execute(
        "select * from signals.rotation_evidence where evidence = $1 and session = $2", [evidence, day]
    ).df()
    assert len(rows) == 1
    return rows.iloc[0]


def assert_verdict(row, verdict, value):
    """The verdict and the value shown; not known means that both are NULL and the sentence says so."""
    known = verdict is not None
    assert (None if pd.isna(row["verdict"]) else row["verdict"]) == verdict
    assert row["detail"].startswith("Not known: ") != known
    if known:
        assert row["value"] == value
    else:
        assert pd.isna(row["value"])


# --- the six evidences -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spread", "ratio", "ma200", "verdict"),
    [
        (0.01, 101.0, 100.0, 1),
        (1e-9, 100.0001, 100.0, 1),
        (-0.01, 99.0, 100.0, -1),
        (-1e-9, 99.9999, 100.0, -1),
        (0.01, 99.0, 100.0, 0),
        (-0.01, 101.0, 100.0, 0),
        (0.0, 101.0, 100.0, 0),
        (0.0, 99.0, 100.0, 0),
        (0.01, 100.0, 100.0, 0),
        (-0.01, 100.0, 100.0, 0),
        # 0.30000000000000004 and 0.3 differ by rounding only.
        (0.01, 0.1 + 0.2, 0.3, 0),
        (-0.01, 0.3, 0.1 + 0.2, 0),
        (None, 101.0, 100.0, None),
        (0.01, 101.0, None, None),
    ],
)
def test_relative_strength(con, spread, ratio, ma200, verdict):
    """For where the spread is above 0 and the ratio above its mean, against where both are below, NULL where either is not known."""
    legs = {"pair": "IWM/IWB", "small_symbol": "IWM", "large_symbol": "IWB"}
    row = {"session": DAY, **legs, "spread_3m": spread, "ratio": ratio, "ratio_ma200": ma200}
    fill(con, "signals.relative_strength", row)
    assert_verdict(judged(con, "relative_strength"), verdict, spread)


def test_another_pair_is_not_the_headline(con):
    """A pair that is not the headline says nothing, and a session without the headline's row is not known."""
    legs = {"pair": "IWC/SPY", "small_symbol": "IWC", "large_symbol": "SPY"}
    fill(
        con,
        "signals.relative_strength",
        {"session": DAY, **legs, "spread_3m": 0.1, "ratio": 110.0, "ratio_ma200": 90.0},
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


@pytest.mark.parametrize(("gap", "verdict"), [(1e-9, 1), (0.3, 1), (0.0, 0), (-1e-9, -1), (None, None)])
def test_earnings(con, gap, verdict):
    """For where small companies are expected to grow faster, against where slower, neither where alike."""
    sides = {"small_growth_next_year": 0.2, "large_growth_next_year": 0.1}
    coverage = {"small_coverage_pct": 90.0, "large_coverage_pct": 95.0}
    fill(con, "signals.earnings_momentum", {"session": DAY, "gap": gap, **sides, **coverage})
    assert_verdict(judged(con, "earnings"), verdict, gap)


@pytest.mark.parametrize(
    ("flows", "verdict", "value"),
    [
        ((1.0, 1.0, 1.0), 1, 3),
        ((1e-3, 5e9, 1.0), 1, 3),
        ((-1.0, -1.0, -1.0), -1, -3),
        ((1.0, 1.0, 0.0), 0, 2),
        ((-1.0, 0.0, -1.0), 0, -2),
        ((0.0, 0.0, 0.0), 0, 0),
        ((1.0, -1.0, 1.0), 0, 1),
        ((9e9, 9e9, -1.0), 0, 1),
        ((1.0, None, 1.0), None, None),
        ((None, -1.0, -1.0), None, None),
        ((1.0, 1.0), None, None),
        ((), None, None),
    ],
)
def test_fund_flows(con, flows, verdict, value):
    """For where money came in each of the last three months, against where it left in each; a zero is neither, a gap not known."""
    months = [
        {
            "symbol": "group:small_cap",
            "month": date(2024, 3 - i, 1),
            "net_flow_usd": flow,
            "members_known": 1,
            "members": 2,
        }
        for i, flow in enumerate(flows)
    ]
    # Neither the month before, nor the running one, nor another group has a say.
    ignored = [
        {**(months or [{"members_known": 1, "members": 2}])[0], "symbol": symbol, "month": month, "net_flow_usd": flow}
        for symbol, month, flow in (
            ("group:small_cap", date(2023, 12, 1), -7.0),
            ("group:small_cap", date(2024, 4, 1), -7.0),
            *(("group:large_cap", date(2024, i, 1), 7.0) for i in (1, 2, 3)),
        )
    ]
    fill(con, "signals.fund_flows_monthly", *months, *ignored)
    for day in (DAY, date(2024, 4, 30)):
        assert_verdict(judged(con, "fund_flows", day), verdict, value)


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
    warehouse.build(con, "signals.rotation_evidence")
    rows = con.sql("from signals.rotation_evidence").df()
    assert len(rows) == 6 * N
    assert rows[["value", "verdict"]].isna().all(axis=None)
    levels = rows.groupby("evidence")[["threshold", "threshold_against"]].agg(["min", "max"])
    assert {name: (row.iloc[0], row.iloc[2]) for name, row in levels.iterrows()} == {
        "relative_strength": (0, 0),
        "breadth": (6, 3),
        "fund_flows": (3, -3),
        "sector_leadership": (7, 2),
        "mega_cap": (-0.01, 0.01),
        "earnings": (0, 0),
    }


# --- from records and estimates to a verdict -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("february", "verdict"), [("in", 1), ("out", 0), ("both", 0), ("silent", None)], ids=["in", "out", "zero", "gap"]
)
def test_flows_from_a_funds_records(february, verdict):
    """A small fund's creations month by month make the verdict of April: in, one month out, one month zero, one month not published."""
    sessions = DAYS[: DAYS.index(DAY) + 1]
    shares, count = [], 1_000_000.0
    for day in sessions:
        step = {"in": 100, "out": -100, "both": 0, "silent": 100}[february] if day.month == 2 else 100
        count += step
        # What comes in on the first of these days leaves on the second.
        count += {date(2024, 2, 12): 500, date(2024, 2, 13): -500}.get(day, 0) * (february == "both")
        gap = february == "silent" and date(2024, 2, 12) <= day <= date(2024, 2, 16)
        shares.append(None if gap else count)
    members = universe(instrument("SPY"), instrument("FND", peer_group="small_cap"))
    fund = records("FND", [25.0] * len(shares), shares)
    with derived([bars("SPY", [100.0] * len(shares))], members, DAY, fund_nav=fund) as con:
        rows = con.sql("select session, verdict from signals.rotation_evidence where evidence = 'fund_flows'").df()
        flows = con.sql("select net_flow_usd from signals.fund_flows_monthly where symbol = 'FND' order by month").df()
    march = len([day for day in sessions if day.month == 3])
    assert flows["net_flow_usd"].iloc[2] == pytest.approx(march * 100 * 25)
    verdicts = rows.set_index(rows["session"].dt.date)["verdict"]
    assert verdicts.iloc[:-1].isna().all()
    assert (None if pd.isna(verdicts[DAY]) else verdicts[DAY]) == verdict


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
    estimates = [
        {"symbol": s, "as_of": pd.Timestamp(DAYS[i]), "growth_current_year": 9.0, "growth_next_year": g}
        for s, i, g in said
    ]
    members = universe(instrument("SPY"), instrument("SML"), pairs=[("SML", "SPY")])
    pair = members.pairs[0].model_copy(update={"earnings": True})
    frames = {
        "holdings": typed(pd.DataFrame(held).assign(source="issuer"), HOLDINGS_COLUMNS),
        "earnings_growth": typed(pd.DataFrame(estimates).assign(source="analysts"), EARNINGS_GROWTH_COLUMNS),
    }
    with derived([bars("SPY", [100.0])], members.model_copy(update={"pairs": (pair,)}), DAYS[39], **frames) as con:
        rows = con.sql("from signals.rotation_evidence where evidence = 'earnings' order by session").df()
    wanted = [None] + [1] * 4 + [0] * 4 + [-1] * 20 + [None] * 11
    assert [None if pd.isna(verdict) else verdict for verdict in rows["verdict"]] == wanted
    assert rows["value"].dropna().tolist() == [0.125] * 4 + [0.0] * 4 + [-0.25] * 20


# --- the regime ------------------------------------------------------------------------------------------------------

EVIDENCE = ("breadth", "earnings", "fund_flows", "mega_cap", "relative_strength", "sector_leadership")
#: One letter per raw label, with verdicts that make it.
VERDICTS = {"C": "+++++0", "B": "++0000", "N": "000000", "F": "--0000", "R": "-----0", "?": "++????"}
LABELS = {"C": "confirmed", "B": "building", "N": "neutral", "F": "fading", "R": "reversed", "?": None, ".": None}


def regime(con, *sessions):
    """The regime after sessions with these verdicts: + for, - against, 0 neither, ? not known."""
    rows = [
        {"session": DAYS[i], "evidence": name, "verdict": {"+": 1, "-": -1, "0": 0, "?": None}[sign]}
        for i, signs in enumerate(sessions)
        for name, sign in zip(EVIDENCE, signs, strict=True)
    ]
    fill(con, "signals.rotation_evidence", *rows)
    warehouse.build(con, "signals.rotation_regime")
    found = con.sql("from signals.rotation_regime order by session").df()
    assert list(found["session"].dt.date) == DAYS[: len(sessions)]
    return found


def plain(column):
    return [None if pd.isna(value) else value for value in column]


@pytest.mark.parametrize(
    ("signs", "score", "label"),
    [
        ("++++++", 1.0, "confirmed"),
        ("+++000", 0.5, "confirmed"),
        ("+++++-", 4 / 6, "confirmed"),
        ("++0000", 2 / 6, "building"),
        ("+00000", 1 / 6, "building"),
        ("000000", 0.0, "neutral"),
        ("+++---", 0.0, "neutral"),
        ("-00000", -1 / 6, "fading"),
        ("--0000", -2 / 6, "fading"),
        ("---000", -0.5, "reversed"),
        ("------", -1.0, "reversed"),
        # What is not known does not dilute: two of four are half, one of five is a fifth.
        ("++00??", 0.5, "confirmed"),
        ("+0000?", 0.2, "building"),
        ("--00??", -0.5, "reversed"),
        ("+-0???", 0.0, "neutral"),
        ("+00???", 1 / 3, "building"),
        ("++????", None, None),
        ("??????", None, None),
    ],
)
def test_score_and_raw_label(con, signs, score, label):
    """The score is the mean of the known verdicts, half is confirmed or reversed, under three known there is none; votes are counted."""
    found = regime(con, signs).iloc[0]
    assert (None if pd.isna(found["score"]) else pytest.approx(found["score"])) == score
    assert (found["raw_label"] if isinstance(found["raw_label"], str) else None) == label
    votes = found[["votes_for", "votes_against", "votes_missing"]].tolist()
    assert votes == [signs.count("+"), signs.count("-"), signs.count("?")]
    assert plain(found[["label", "days_in_label", "label_since"]]) == [None] * 3


@pytest.mark.parametrize(
    ("raw", "label"),
    [
        ("CCCC", "...."),
        ("CCCCC", "....C"),
        ("CCCCCC", "....CC"),
        ("BCBCBCBCBC", ".........."),
        ("CCCCNCCCCC", ".........C"),
        ("CCCC?CCCCC", ".........C"),
        ("CCCCCNNNN", "....CCCCC"),
        ("CCCCCNNNNN", "....CCCCCN"),
        ("CCCCCNNNNCNNNNN", "....CCCCCCCCCCN"),
        ("CCCCCNNNNCCCC", "....CCCCCCCCC"),
        ("CCCCCRRRRRCCCC", "....CCCCCRRRRR"),
        ("RRRRRFFFFFNNNNNBBBBBCCCCC", "....RRRRRFFFFFNNNNNBBBBBC"),
        ("CCCCC?C", "....C.C"),
        ("CCCCC????C", "....C....C"),
        ("CCCCC????N", "....C....C"),
        ("CCCCC?????CCCC", "....C........."),
        ("CCCCC?????CCCCC", "....C.........C"),
        ("CCCCC?????NNNNN", "....C.........N"),
        ("CCCCCNNN??NNNN", "....CCCC..CCCC"),
        ("CCCCCNNN??NNNNN", "....CCCC..CCCCN"),
        ("?????CCCCC", ".........C"),
        ("??????", "......"),
    ],
)
def test_a_label_takes_five_sessions(con, raw, label):
    """A label changes on the fifth session in a row, a break starts the count again, five sessions not known end it, four do not."""
    found = regime(con, *(VERDICTS[letter] for letter in raw))
    assert plain(found["raw_label"]) == [LABELS[letter] for letter in raw]
    assert plain(found["label"]) == [LABELS[letter] for letter in label]


def test_days_in_label(con):
    """Days count from the first session of the label; a session without a label ends the stretch and a new one begins after it."""
    found = regime(con, *(VERDICTS[letter] for letter in "CCCCCCNNNNNN??NN"))
    assert plain(found["label"])[4:] == [*["confirmed"] * 6, *["neutral"] * 2, None, None, *["neutral"] * 2]
    assert plain(found["days_in_label"]) == [None] * 4 + [1, 2, 3, 4, 5, 6, 1, 2, None, None, 1, 2]
    since = [None if pd.isna(day) else day.date() for day in found["label_since"]]
    assert since == [None] * 4 + [DAYS[4]] * 6 + [DAYS[10]] * 2 + [None] * 2 + [DAYS[14]] * 2


# --- what followed ---------------------------------------------------------------------------------------------------


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
    found = con.sql("from signals.regime_performance").df()
    assert len(found) == 15
    return found.set_index(["label", "horizon"])


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
    """Of 0.01 and 0.03 the mean is 0.02, the standard error 0.01, and t is 2; of one alone there is none."""
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
    found = con.sql("select horizon, mean_spread from signals.regime_performance where label = 'building'").fetchall()
    assert found == [("1m", 0.1), ("3m", 0.3), ("6m", 0.6)]
