"""The content of the report: it agrees with the tables on its session, uses nothing later, and names missing data."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pandas as pd
import pytest
import world

from market_rotation.tasks import calendar, warehouse
from market_rotation.tasks.errors import RotationError
from market_rotation.tasks.report import queries
from market_rotation.tasks.report.exhibits import collect
from market_rotation.tasks.sources.simulated.source import SampleSource
from market_rotation.tasks.universe import load_universe

LATEST = date(2026, 1, 16)
#: A Wednesday in the middle of a month.
PAST = date(2025, 12, 10)
NAMES = [*collect.TOP, *collect.SECTIONS]

#: Where each exhibit takes rows over as they are: the table, its grain, the columns that are the same in both, and which rows.
TAKEN_OVER = {
    "headline": (
        "signals.rotation_regime",
        ["session"],
        [
            *("label", "label_since", "days_in_label", "support_state"),
            *(
                f"{axis}_{what}"
                for axis in ("size", "leadership")
                for what in ("score", "state", "state_since", "state_today", "sessions_differing")
            ),
        ],
    ),
    "evidence": ("signals.rotation_evidence", ["session", "evidence"], ["axis", "value", "verdict"]),
    "relative_strength": (
        "signals.relative_strength",
        ["pair", "session"],
        [
            *("ratio", "ratio_ma50", "ratio_ma200", "ratio_z252", "spread_3m"),
            *("percentile_all", "ratio_percentile_5y", "days_leading"),
        ],
    ),
    "sector_rotation": (
        "(from signals.relative_rotation where timeframe = 'weekly')",
        ["symbol", "session"],
        ["rs_ratio", "rs_momentum", "quadrant", "heading_deg", "is_provisional"],
    ),
    "size_rotation": (
        "(from signals.relative_rotation where timeframe = 'weekly')",
        ["symbol", "session"],
        ["rs_ratio", "rs_momentum", "quadrant", "heading_deg", "is_provisional"],
    ),
    "sector_ranks": (
        "signals.sector_leadership",
        ["sector", "session"],
        ["return_3m", "excess_3m", "rank_1m", "rank_3m", "rank_6m", "rank_12m"],
    ),
    "breadth": (
        "signals.breadth",
        ["session"],
        [
            "universe_above_200d_pct",
            "sectors_beating_spy_3m",
            "sectors_above_200d",
            "equal_minus_cap_3m",
            "counted",
            "missing",
        ],
    ),
    "earnings": ("signals.earnings_momentum", ["session"], ["gap", "small_growth_next_year", "small_coverage_pct"]),
    "compass": (
        "signals.rotation_regime",
        ["session"],
        ["size_score", "leadership_score", "size_state", "leadership_state", "label"],
    ),
    "sector_day": (
        "(from core.sector_returns)",
        ["sector", "symbol"],
        ["return_1d", "excess_1d", "return_1w", "excess_1w", "return_1m", "excess_1m"],
    ),
    "percentiles": (
        "signals.relative_strength",
        ["pair"],
        ["ratio_z252", "ratio_percentile_5y", "percentile_all", "days_leading", "spread_1m", "spread_12m"],
    ),
    "dispersion": (
        "signals.dispersion",
        ["session"],
        [
            "mean_correlation_63d",
            "return_dispersion_1d",
            "return_dispersion_1m",
            "correlation_percentile_5y",
            "sectors",
        ],
    ),
    "context": (
        "core.context",
        ["symbol", "session"],
        ["measure", "close", "unit", "change_1m", "change_3m", "change_unit", "percentile_5y"],
    ),
}
#: Exhibits of the session alone, whose rows have no date.
OF_THE_SESSION = ("sector_day", "percentiles")


def make_market(folder: Path) -> None:
    """Publishes the simulated market with every dataset over a year and a half."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROTATION_HOME", str(folder))
        patch.setenv("ROTATION_SOURCE", "sample")
        patch.setenv("ROTATION_HISTORY_START", "2024-07-01")
        days = calendar.load(date(1993, 1, 29), LATEST)
        assert world.run(SampleSource(days, load_universe().instruments), LATEST).status == "published"


@pytest.fixture(scope="module")
def market(tmp_path_factory):
    """A connection to the simulated market, read-only."""
    folder = world.made_once(tmp_path_factory, "report_market", make_market)
    with warehouse.reading(folder / "rotation.duckdb") as con:
        yield con


@pytest.fixture(scope="module")
def reports(market):
    """The report of the latest session and of one in the past."""
    return {session: collect.collect(market, session) for session in (LATEST, PAST)}


def made(report: collect.Report) -> dict[str, collect.Exhibit]:
    """All exhibits of a report by their identifiers."""
    top = [getattr(report, name) for name in collect.TOP]
    return {exhibit.id: exhibit for exhibit in (*top, *report.exhibits)}


def few_symbols() -> world.Universe:
    """Three funds and a pair: no sectors, no Magnificent Seven, no equal weight, no fund records."""
    return world.universe(
        world.instrument("SPY", size_bucket="large"),
        world.instrument("IWB", size_bucket="large"),
        world.instrument("IWM"),
        pairs=[("IWM", "IWB")],
    )


@pytest.fixture(scope="module")
def small():
    """A warehouse of three symbols over thirty sessions; writable."""
    frames = [world.bars(symbol, [100 + 0.1 * i for i in range(30)]) for symbol in few_symbols().symbols]
    with world.derived(frames, few_symbols(), world.days()[29]) as con:
        yield con


@pytest.mark.long_after(1)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("session", [LATEST, PAST])
def test_what_is_shown_gives_the_rows(market, reports, name, session):
    """The SQL shown to readers yields the exhibit's rows wherever it is pasted, without any variable of the connection."""
    exhibit = made(reports[session])[name]
    assert "getvariable" not in exhibit.sql
    market.execute("reset variable session")
    pd.testing.assert_frame_equal(market.sql(exhibit.sql).df(), exhibit.rows)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_shown_survives_a_shell(name):
    """In double quotes on a command line no character of a query has a meaning of its own, and no query looks like an option."""
    text = queries.shown(name, LATEST)
    assert not re.search(r'["$`\\!]', text)
    assert not text.startswith("-")


@pytest.mark.parametrize("session", [LATEST, PAST])
@pytest.mark.parametrize("name", [name for name in NAMES if name != "changes"])
def test_no_row_after_the_session(reports, name, session):
    """No exhibit holds a date after the report's session."""
    rows = made(reports[session])[name].rows
    dates = rows.select_dtypes("datetime")
    assert not (dates > pd.Timestamp(session)).any().any()


@pytest.mark.parametrize("session", [LATEST, PAST])
@pytest.mark.parametrize("name", TAKEN_OVER)
def test_values_are_those_of_the_tables(market, reports, name, session):
    """Each value is that of the signal table on the same date, bit by bit, and those not known are not known here either."""
    table, grain, columns = TAKEN_OVER[name]
    rows = made(reports[session])[name].rows[[*grain, *columns]]
    if name == "earnings" and session == PAST:
        assert rows.empty
        return
    assert not rows.empty
    market.register("shown_rows", rows[grain])
    dated = f"where t.session = '{session}'" if name in OF_THE_SESSION else ""
    found = market.sql(
        f"select {', '.join(f't.{c}' for c in [*grain, *columns])} from {table} as t "
        f"semi join shown_rows using ({', '.join(grain)}) {dated}"
    ).df()
    market.unregister("shown_rows")
    order = {"by": grain, "ignore_index": True}
    pd.testing.assert_frame_equal(
        rows.sort_values(**order), found.sort_values(**order), check_dtype=False, check_exact=True
    )


@pytest.mark.parametrize("session", [LATEST, PAST])
def test_returns_are_those_of_the_tables(market, reports, session):
    """Spreads and legs of the headline pair over twelve months and a week are those of the tables on the session."""
    head = made(reports[session])["returns"].rows.iloc[0]
    (spread_12m, spread_since_low), small_1w = (
        market.execute(
            "select spread_12m, spread_since_low from signals.relative_strength where pair = 'IWM/IWB' and session = $1",
            [session],
        ).fetchone(),
        market.execute(
            "select return_1w from core.returns where symbol = 'IWM' and session = $1", [session]
        ).fetchone()[0],
    )
    assert (head["pair"], head["spread_12m"], head["spread_since_low"], head["small_return_1w"]) == (
        "IWM/IWB",
        spread_12m,
        spread_since_low,
        small_1w,
    )
    assert head["small_return_3m"] - head["large_return_3m"] == pytest.approx(head["spread_3m"])


@pytest.mark.parametrize("session", [LATEST, PAST])
def test_evidence_board_is_that_of_the_session(market, reports, session):
    """The board has the six verdicts of the session, and what they were one and twenty-one sessions before."""
    board = made(reports[session])["evidence"].table
    assert list(board["session"].dt.date) == [session] * 6
    for row in board.to_dict("records"):
        found = market.execute(
            "select verdict, detail from signals.rotation_evidence where evidence = $1 and session <= $2 order by session desc limit 22",
            [row["evidence"], session],
        ).fetchall()
        before = [
            None if pd.isna(row[name]) else row[name] for name in ("verdict", "verdict_previous", "verdict_month_ago")
        ]
        assert (before, row["detail"]) == ([found[0][0], found[1][0], found[21][0]], found[0][1])


def test_what_followed_is_regime_performance(market, reports):
    """At the latest session the summary is `signals.regime_performance`."""
    summary = made(reports[LATEST])["what_followed"].table
    found = market.sql("select * exclude (axis) from signals.regime_performance where axis = 'label'").df()
    order = {"by": ["label", "horizon"], "ignore_index": True}
    pd.testing.assert_frame_equal(
        summary[list(found.columns)].sort_values(**order), found.sort_values(**order), check_dtype=False
    )
    assert found["observations"].sum() > 100


def test_what_followed_does_not_look_ahead(market, reports):
    """A past report counts only windows that had ended by its session."""
    summary = made(reports[PAST])["what_followed"].table
    (counted,) = market.execute(
        """
        select count(*) from signals.rotation_regime as g join core.sessions as s using (session)
        where g.label is not null and s.session_number <= (select session_number - 63 from core.sessions where session = $1)
        """,
        [PAST],
    ).fetchone()
    assert summary.loc[summary["horizon"] == "3m", "observations"].sum() == counted > 0


def test_flows_are_those_of_the_table(market, reports):
    """At the latest session each of the last 37 months, the running one included, is that of `signals.fund_flows_monthly`."""
    rows = made(reports[LATEST])["fund_flows"].rows
    found = market.sql(
        "from signals.fund_flows_monthly where symbol in ('group:small_cap', 'group:large_cap') and month >= '2023-01-01' order by symbol desc, month"
    ).df()
    assert rows["is_partial"].sum() == 2
    pd.testing.assert_frame_equal(
        rows.drop(columns="flow_group"), found[list(rows.columns.drop("flow_group"))], check_dtype=False
    )


def test_running_month_of_a_past_session(market, reports):
    """In a past report the month of its session holds the flows until then and is marked as running."""
    rows = made(reports[PAST])["fund_flows"].rows
    last = rows[rows["symbol"] == "group:small_cap"].iloc[-1]
    (flows,) = market.execute(
        """
        select sum(net_flow_usd) from core.fund_flows join core.instruments using (symbol)
        where flow_group = 'small_cap' and session between '2025-12-01' and $1
        """,
        [PAST],
    ).fetchone()
    assert (last["month"].date(), bool(last["is_partial"])) == (date(2025, 12, 1), True)
    assert last["net_flow_usd"] == pytest.approx(flows)
    before = rows[rows["symbol"] == "group:small_cap"].iloc[-2]
    assert last["cumulative_ytd_usd"] == pytest.approx(before["cumulative_ytd_usd"] + flows)
    assert last["streak_months"] == before["streak_months"]


def test_years_are_those_of_the_table(market, reports):
    """Each year of the group, of the group without IWM and of IWM is that of `signals.fund_flows_yearly`, the newest first."""
    rows = made(reports[LATEST])["fund_flows_yearly"].rows
    symbols = ["group:small_cap", "group:small_cap_ex_iwm", "IWM"]
    assert list(dict.fromkeys(rows["symbol"])) == symbols
    found = market.sql(f"from signals.fund_flows_yearly where symbol in {tuple(symbols)}").df()
    found = (
        found[found["year"] > found["year"].max() - 10]
        .sort_values("year", ascending=False)
        .set_index("symbol")
        .loc[symbols]
        .reset_index()
    )
    assert len(found) >= 6
    columns = [name for name in rows.columns if name != "funds"]
    pd.testing.assert_frame_equal(rows[columns], found[columns], check_dtype=False)


@pytest.mark.parametrize("name", ["fund_flows", "fund_flows_yearly"])
def test_flows_after_the_latest_session_are_read_not_computed(market, reports, name):
    """The flows after the latest session are the rows of a table, to the last bit those that the macro computes of any session."""
    latest, past = made(reports[LATEST])[name], made(reports[PAST])[name]
    assert ("_until(" in latest.sql, "_until(" in past.sql) == (False, True)
    computed = queries.run(market, name, LATEST)
    assert len(computed) >= 10
    pd.testing.assert_frame_equal(latest.rows, computed, check_exact=True)


def test_a_past_report_knows_no_later_flow(market, reports):
    """In a past report the year ends with its session: the sum of the flows until then, at once."""
    rows = made(reports[PAST])["fund_flows_yearly"].rows.set_index(["symbol", "year"])
    (flow,) = market.execute(
        "select sum(net_flow_usd) from core.fund_flows where symbol = 'IWM' and session between '2025-01-01' and $1",
        [PAST],
    ).fetchone()
    assert rows.loc[("IWM", 2025), "net_flow_usd"] == pytest.approx(flow)
    assert bool(rows.loc[("IWM", 2025), "is_partial"])


def test_funds_are_those_of_the_comparison(market, reports):
    """The funds have the session's values, and the premium of the last session whose NAV is published."""
    rows = made(reports[LATEST])["funds"].rows.set_index("symbol").sort_index()
    found = (
        market.sql(f"from signals.fund_comparison where session = '{LATEST}' order by symbol").df().set_index("symbol")
    )
    same = [name for name in found.columns if name not in ("session", "premium_pct")]
    pd.testing.assert_frame_equal(rows[same], found[same], check_dtype=False)
    late = rows.loc["IWM"]
    assert late["premium_session"].date() < LATEST
    (premium,) = market.execute(
        "select premium_pct from signals.fund_comparison where symbol = 'IWM' and session = $1",
        [late["premium_session"]],
    ).fetchone()
    assert late["premium_pct"] == premium


def test_drawdowns_by_hand():
    """The drawdown is against the highest so far: after 100, 120, 90, 108 it is 10 % and the worst was 25 %."""
    members = few_symbols()
    frames = [world.bars(symbol, [100.0, 120.0, 90.0, 108.0]) for symbol in members.symbols]
    with world.derived(frames, members, world.days()[3]) as con:
        (last,) = [
            row for row in made(collect.collect(con))["drawdowns"].table.to_dict("records") if row["symbol"] == "IWM"
        ]
    assert (last["drawdown"], last["worst"]) == (pytest.approx(-0.1), pytest.approx(-0.25))
    assert [last[name].date() for name in ("peak_session", "worst_session")] == [world.days()[1], world.days()[2]]


def test_changes_compare_with_both_days(market, reports):
    """The size score of the session, the session before and 21 sessions before stands side by side."""
    rows = made(reports[PAST])["changes"].rows.set_index("what")
    scores = market.execute(
        "select format('{:+.2f}', size_score) from signals.rotation_regime where session <= $1 order by session desc limit 22",
        [PAST],
    ).fetchall()
    assert list(rows.loc["Size score"]) == [scores[0][0], scores[1][0], scores[21][0]]
    assert list(rows.columns) == ["now", "yesterday", "month_ago"]


@pytest.mark.parametrize("session", [LATEST, PAST])
def test_the_path_of_the_compass(market, reports, session):
    """The mean is that of the last 21 scores, a week has one row, and the path ends at the session."""
    rows = made(reports[session])["compass"].rows
    (size, leadership) = market.execute(
        "select avg(size_score), avg(leadership_score) from (from signals.rotation_regime where session <= $1 "
        "order by session desc limit 21)",
        [session],
    ).fetchone()
    last = rows.iloc[-1]
    assert (last["session"].date(), last["weeks_back"]) == (session, 0)
    assert (last["size_mean_1m"], last["leadership_mean_1m"]) == (pytest.approx(size), pytest.approx(leadership))
    assert rows["session"].dt.isocalendar()[["year", "week"]].duplicated().sum() == 0
    assert (last["trailing_from"], last["leading_from"]) == (-0.5, 0.5)


@pytest.mark.parametrize("session", [LATEST, PAST])
def test_distances_to_the_levels(market, reports, session):
    """Each measure of evidence that is known has the side of its level; crossing `turns_at` changes that side and nothing nearer does."""
    rows = made(reports[session])["watch"].rows.set_index("measure")
    sides = {"for": 1, "neither": 0, "against": -1}
    verdicts = dict(
        market.execute(
            "select evidence, verdict from signals.rotation_evidence where session = $1 and verdict is not null",
            [session],
        ).fetchall()
    )
    for evidence, measure in (
        ("sector_leadership", "technology_rank_3m"),
        ("mega_cap", "mag7_minus_rest_3m"),
    ):
        assert sides[rows.loc[measure, "side"]] == verdicts[evidence], measure
    levels = market.sql("select measure, outcome, comparison, level from core.thresholds").df()

    def side_of(measure: str, value: float) -> str:
        for outcome in ("for", "against"):
            (rule,) = levels[(levels["measure"] == measure) & (levels["outcome"] == outcome)].to_dict("records")
            compared = {
                ">": value > rule["level"],
                ">=": value >= rule["level"],
                "<": value < rule["level"],
                "<=": value <= rule["level"],
            }
            if compared[rule["comparison"]]:
                return outcome
        return "neither"

    known = rows[rows["value"].notna()]
    assert len(known) >= 8
    for measure, row in known.iterrows():
        assert side_of(measure, row["value"]) == row["side"], measure
        toward = 1 if row["turns_at"] > row["value"] else -1
        step = 1e-9 * toward
        assert side_of(measure, row["turns_at"] + step) != row["side"], measure
        nearly = row["turns_at"] - (toward if row["unit"] in ("sectors", "rank") else 2 * step)
        if nearly != row["value"] and (nearly - row["value"]) * toward > 0:
            assert side_of(measure, nearly) == row["side"], measure
        assert row["distance"] == pytest.approx(abs(row["value"] - row["turns_at"]))


def test_usual_week_is_the_deviation_of_weekly_changes(market, reports):
    """The usual week of a measure is the sample deviation of its changes over 5 sessions, of 252 of them, up to the session."""
    rows = made(reports[PAST])["watch"].rows.set_index("measure")
    spreads = market.execute(
        "select spread_1m from signals.relative_strength where pair = 'IWM/IWB' and session <= $1 order by session",
        [PAST],
    ).df()["spread_1m"]
    usual = spreads.diff(5).tail(252).std()
    assert rows.loc["spread_1m", "usual_week"] == pytest.approx(usual)
    assert rows.loc["spread_1m", "weeks_away"] == pytest.approx(rows.loc["spread_1m", "distance"] / usual)


@pytest.mark.parametrize("session", [LATEST, PAST])
def test_turns_are_the_verdict_changes(market, reports, session):
    """The changes of the last 21 sessions are those of `signals.verdict_changes`, the newest first."""
    rows = made(reports[session])["turns"].rows
    found = market.execute(
        "select session, subject, old, new, detail from signals.verdict_changes where session <= $1 and session > "
        "(select session from core.sessions where session <= $1 order by session desc limit 1 offset 21)",
        [session],
    ).df()
    assert len(rows) == len(found) > 0
    assert rows["session"].is_monotonic_decreasing
    keys = ["session", "subject"]
    pd.testing.assert_frame_equal(
        rows.drop(columns="name").sort_values(keys, ignore_index=True),
        found.rename(columns={"old": "old_value", "new": "new_value"}).sort_values(keys, ignore_index=True),
        check_dtype=False,
    )


def test_certainty_counts_what_is_known(market, reports):
    """Pieces of evidence, flows of the last completed month and the coverage of estimates are those of the tables."""
    rows = made(reports[LATEST])["certainty"].rows.set_index("place")
    (known,) = market.execute(
        "select count(verdict) from signals.rotation_evidence where session = $1", [LATEST]
    ).fetchone()
    small, large = market.execute(
        "select small_coverage_pct, large_coverage_pct from signals.earnings_momentum where session = $1", [LATEST]
    ).fetchone()
    members = market.execute(
        "select members_known, members from signals.fund_flows_monthly where symbol = 'group:small_cap' and month = '2025-12-01'"
    ).fetchone()
    assert (rows.loc[1, "known"], rows.loc[1, "total"]) == (known, 6)
    assert (rows.loc[2, "known"], rows.loc[2, "total"]) == members
    assert (rows.loc[3, "known"], rows.loc[4, "known"]) == (small, large)
    assert list(rows["needed"].dropna()) == [50.0, 50.0]


@pytest.mark.parametrize("session", [LATEST, PAST])
def test_places_in_the_range(market, reports, session):
    """The place of a close in its range of 252 sessions, by hand, and none of a fund with fewer."""
    rows = made(reports[session])["levels"].rows.set_index("symbol")
    closes = market.execute(
        "select close from core.prices where symbol = 'IWM' and session <= $1 order by session desc limit 252",
        [session],
    ).df()["close"]
    low, high = closes.min(), closes.max()
    assert rows.loc["IWM", "close"] == closes[0]
    assert rows.loc["IWM", "place_in_range"] == pytest.approx(100 * (closes[0] - low) / (high - low))
    assert rows["place_in_range"].between(0, 100).all()


def test_valuation_is_that_of_the_snapshots(market, reports):
    """Price over earnings of both legs is that of their last snapshots."""
    rows = made(reports[LATEST])["valuation"].rows.set_index("pair")
    found = dict(
        market.sql("select symbol, arg_max(trailing_pe, as_of) from core.fund_facts group by symbol").fetchall()
    )
    assert rows.loc["IWM/IWB", "small_trailing_pe"] == found["IWM"]
    assert rows.loc["IWM/IWB", "pe_ratio"] == pytest.approx(found["IWM"] / found["IWB"])


def test_overlap_is_that_of_the_table(market, reports):
    """Each two funds are there either way round, with the overlap of their last files."""
    rows = made(reports[LATEST])["overlap"].rows
    found = market.sql("from signals.fund_overlap").df()
    assert len(rows) == len(found) == 6
    pairs = {(row["symbol"], row["other_symbol"]): row["overlap_weight_pct"] for row in rows.to_dict("records")}
    assert all(pairs[other, symbol] == share for (symbol, other), share in pairs.items())
    assert pairs["IJR", "SPSM"] > pairs["IJR", "IWM"] > 0


@pytest.mark.long_after(0)
def test_origin(market, reports):
    """The report names the run that published its data, and is labelled as simulated."""
    (run_id,) = market.sql("select max(run_id) from ops.runs where published").fetchone()
    report = reports[LATEST]
    assert (report.session, report.run_id, report.source, report.is_simulated) == (LATEST, run_id, "sample", True)
    assert report.known_at.tzname() == "UTC"
    assert collect.collect(market).session == LATEST


def test_order_and_identifiers(reports):
    """Every exhibit is there under the name of its query, in the order of the page, and its table has the columns it names."""
    found = made(reports[LATEST])
    assert list(found) == NAMES
    for exhibit in found.values():
        assert exhibit.finding.endswith(".")
        assert [column.name for column in exhibit.columns if column.name not in exhibit.table.columns] == []


def test_all_rows_fit_the_page(reports):
    """What the page has to embed stays small."""
    assert sum(len(exhibit.rows.to_csv(index=False)) for exhibit in made(reports[LATEST]).values()) < 1_500_000


def test_few_symbols_give_missing_sentences(small):
    """In a warehouse without sectors, records and full windows the report is still written, and names the missing data."""
    found = made(collect.collect(small))
    for name in (
        "headline",
        "evidence",
        "sector_rotation",
        "size_rotation",
        "sector_ranks",
        "mega_cap",
        "fund_flows",
        "earnings",
        "what_followed",
        "compass",
        "sector_day",
        "dispersion",
        "valuation",
        "overlap",
        "context",
        "levels",
    ):
        assert found[name].missing, name
        assert found[name].chart is None, name
    assert found["certainty"].finding == (
        "0 of 6 pieces of evidence are known; flows of the last month are not known; earnings estimates are not known."
    )
    assert found["watch"].finding == "How near a verdict is to turning is not known."
    assert found["relative_strength"].chart is not None
    assert "not known" in found["headline"].finding
    assert "is not known" in found["relative_strength"].finding


def test_not_known_stays_null(small):
    """What is not known is NULL in the rows, never 0."""
    found = made(collect.collect(small))
    last = found["headline"].rows.iloc[-1]
    assert [bool(pd.isna(last[name])) for name in ("size_score", "size_state", "label", "days_in_label")] == [True] * 4
    assert found["evidence"].rows[["value", "verdict"]].isna().all().all()
    assert found["returns"].rows[["spread_3m", "small_return_3m", "spread_since_low"]].isna().all().all()
    assert found["mega_cap"].rows["mag7_minus_rest"].isna().all()
    assert found["breadth"].rows[["universe_above_200d_pct", "sectors_beating_spy_3m_pct"]].isna().all().all()


def test_freshness_counts_symbols(reports):
    """Issuers that publish a day later are counted as not having the session yet; that is usual, so nothing is late."""
    exhibit = made(reports[LATEST])["freshness"]
    rows = exhibit.rows.set_index("dataset")
    listed = [i.kind for i in load_universe().instruments if i.kind != "index"]
    assert (rows.loc["prices", "symbols_latest"], rows.loc["prices", "symbols"]) == (len(listed), len(listed))
    assert (
        rows.loc["fund_nav", "symbols_latest"] < rows.loc["fund_nav", "symbols"] == len(listed) - listed.count("stock")
    )
    assert exhibit.finding == "All data is up to date."


def test_the_usual_age_is_that_of_status(market, reports):
    """How old each dataset may be is the same in the report as in `ops.freshness`, which status, doctor and metrics read."""
    due = [
        day for (day,) in market.execute("select session from core.sessions order by session desc limit 6").fetchall()
    ]
    expected = dict(market.execute("select dataset, expected_session from ops.freshness(null)").fetchall())
    usual = reports[LATEST].freshness.rows.set_index("dataset")["usually_behind"]
    assert {name: due[age] for name, age in usual.items()} == expected


def test_freshness_tells_what_is_late():
    """A symbol that stopped lacks the latest session, and a dataset that never came is named."""
    members = few_symbols()
    frames = [world.bars(symbol, [100.0] * (10 if symbol == "IWB" else 30)) for symbol in members.symbols]
    with world.derived(frames, members, world.days()[29]) as con:
        exhibit = made(collect.collect(con))["freshness"]
    rows = exhibit.rows.set_index("dataset")
    assert (rows.loc["prices", "symbols_latest"], rows.loc["prices", "symbols"]) == (2, 3)
    assert pd.isna(rows.loc["fund_nav", "latest"])
    assert exhibit.missing == "There is no data for fund NAVs and shares, fund facts, holdings and earnings estimates."


def test_nothing_is_open(small):
    """Without failed expectations, quarantined rows, dead sources and unsent alerts there are no rows, and the exhibit says so."""
    exhibit = made(collect.collect(small))["problems"]
    assert (len(exhibit.rows), exhibit.finding) == (0, "Nothing is open.")


def test_one_fact_is_one_problem():
    """Quarantined rows are listed once per dataset, new ones first, and not also as failed expectations; unsent alerts are one line."""
    frames = [world.bars(symbol, [100.0] * 5) for symbol in few_symbols().symbols]
    with world.derived(frames, few_symbols(), world.days()[4]) as con:
        con.execute(
            """
            insert into ops.runs by name select unnest(['r1', 'r2']) as run_id, now() as started_at, 'published' as status, 'test' as source,
                true as published, '1' as code_version;
            insert into ops.validations by name select 'r2' as run_id, 'prices' as suite, 'prices' as dataset,
                unnest(['price_moves', 'volume_known']) as expectation, 'warning' as severity, false as success, false as raised,
                2 as unexpected_count, 'It stands still.' as details;
            insert into ops.validations by name select 'r2' as run_id, 'prices' as suite, 'prices' as dataset, 'fine' as expectation,
                'critical' as severity, true as success, false as raised;
            insert into ops.quarantine by name select 'r1' as run_id, 'prices' as dataset, 'IWM' as symbol, unnest([date '2024-01-02', date '2024-01-03',
                date '2024-01-04']) as session, 'price_moves' as expectation, 'It stands still.' as reason;
            insert into ops.quarantine by name select 'r2' as run_id, 'prices' as dataset, 'IWB' as symbol, date '2024-01-02' as session,
                unnest(['price_moves', 'close_jump']) as expectation, 'It jumped.' as reason, unnest([null, null]) as resolved_at;
            insert into ops.quarantine by name select 'r2' as run_id, 'prices' as dataset, 'SPY' as symbol, date '2024-01-02' as session,
                'price_moves' as expectation, 'It stood still.' as reason, now() as resolved_at;
            insert into ops.alerts by name select unnest(['a', 'b', 'c']) as alert_id, 'f' as fingerprint, 'failure' as kind,
                'critical' as severity, 'Blocked' as title, '' as body, now() as created_at, unnest([null, null, now()]) as sent_at, 1 as attempts;
            """
        )
        exhibit = made(collect.collect(con))["problems"]
    rows = exhibit.rows.set_index("problem")
    assert list(rows.index) == ["Expectation failed", "Rows set aside", "Alerts not sent"]
    assert list(rows["affected"]) == [2, 4, 2]
    assert rows.loc["Expectation failed", "subject"] == "volume_known"
    assert rows.loc["Rows set aside", "subject"] == "close_jump, price_moves"
    assert rows.loc["Rows set aside", "sentence"] == "1 of them new. It jumped."
    assert rows.loc["Rows set aside", "example"] == "IWB 2024-01-02, IWM 2024-01-04, IWM 2024-01-03"
    assert (
        exhibit.finding
        == "1 critical problem is open; in all 1 failed expectation, 1 dataset with rows set aside and 1 group of alerts not sent."
    )


@pytest.mark.parametrize("session", [date(2026, 1, 17), date(2026, 1, 20), date(2020, 1, 2)])
def test_a_session_that_is_not_there(market, session):
    """A weekend, a day after the latest session and one before the first are refused with the sessions there are."""
    with pytest.raises(
        RotationError, match=f"^{session} is not a session of the warehouse, which goes from 2024-07-01 to 2026-01-16"
    ):
        collect.collect(market, session)


def test_nothing_published(tmp_path):
    """A warehouse whose tables were never derived, or that has no sessions, has nothing to report."""
    with (
        warehouse.writing(tmp_path / "empty.duckdb") as con,
        pytest.raises(RotationError, match="Nothing was published yet"),
    ):
        collect.collect(con)


def test_a_query_that_is_missing():
    """The error for a query without a file names the file to create."""
    with pytest.raises(RotationError, match=r"sql/report/moon_phase\.sql"):
        queries.text("moon_phase")
