"""The suites of the fund data: each expectation has a batch it passes and one it must fail, and names the offending rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pandas as pd
import pytest
import world

from market_rotation.tasks import calendar, warehouse
from market_rotation.tasks.audit import suites
from market_rotation.tasks.audit.run import Result, audit
from market_rotation.tasks.datasets import (
    EARNINGS_GROWTH_COLUMNS,
    FUND_FACTS_COLUMNS,
    HOLDINGS_COLUMNS,
    Offer,
)
from market_rotation.tasks.run import stage
from market_rotation.tasks.run.fetch import Answer, Request
from market_rotation.tasks.sources.base import typed

DAYS = world.days(date(2024, 1, 2))
SESSION = DAYS[89]
LONG_AGO, YEAR = pd.Timestamp(2022, 12, 31), pd.Timedelta(days=365)
MEMBERS = world.universe(*map(world.instrument, ("SPY", "IWM", "IJR")))
#: The suites of what is fetched; that of the flows is checked on what is derived.
FETCHED = ("fund_nav", "fund_facts", "holdings", "earnings_growth")
FLOWS = (suites.load("core.fund_nav"), suites.load("core.fund_flows"))

Frames = dict[str, pd.DataFrame]


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    """A warehouse before its first batch, with ninety sessions."""
    with warehouse.writing(Path(":memory:")) as con:
        stage.put_references(con, MEMBERS, calendar.load(date(2005, 1, 3), date(2026, 11, 20)), DAYS[0], SESSION)
        now = datetime(2024, 6, 1, tzinfo=UTC)
        warehouse.parameters(
            con, run_id="r1", known_at=now, source="files", target_session=SESSION, history_start=DAYS[0]
        )
        stage.put_offers(con, [Offer("fund_nav", "IWM", 1), Offer("fund_nav", "IJR", 0)])
        yield con


def good_frames() -> Frames:
    """Ordinary answers: what issuers, vendors and analysts say of two funds, two companies and a bit of cash."""
    navs = [50 + 0.25 * (i % 7) + 0.01 * i for i in range(90)]
    shares = [1_000_000.0 + 1_000 * i for i in range(90)]
    assets = [nav * count for nav, count in zip(navs, shares, strict=True)]
    paid = [0.3 if i % 60 == 30 else None for i in range(90)]
    funds = ("IWM", "IJR")
    facts = {
        "as_of": pd.Timestamp(SESSION),
        "expense_ratio": 0.0019,
        "total_net_assets_usd": 6e7,
        "nav": 55.0,
        "trailing_pe": 17.0,
        "source": "vendor",
    }
    held = {
        "as_of": pd.Timestamp(DAYS[88]),
        "symbol": ["AAA", "BBB", "CCC", None],
        "name": ["A", "B", "C", "Cash"],
        "weight": [0.4, 0.35, 0.249, 0.001],
    }
    closes = [1.002 * nav for nav in navs]
    return {
        "fund_nav": pd.concat(
            world.records(fund, navs, shares, total_net_assets_usd=assets, distribution=paid) for fund in funds
        ),
        "fund_facts": pd.concat(typed({"symbol": [fund], **facts}, FUND_FACTS_COLUMNS) for fund in funds),
        "holdings": pd.concat(
            typed({"fund_symbol": fund, **held, "source": "issuer"}, HOLDINGS_COLUMNS) for fund in funds
        ),
        "earnings_growth": typed(
            pd.DataFrame([world.estimate(name, SESSION, -0.2) for name in ("AAA", "BBB")]), EARNINGS_GROWTH_COLUMNS
        ),
        "prices": pd.concat(world.bars(fund, closes) for fund in funds),
    }


def cut(dataset: str, symbol: str, last: int) -> Callable[[], Frames]:
    """The good frames without the rows of a symbol after session number `last`."""

    def make() -> Frames:
        frames = good_frames()
        frame = frames[dataset]
        return {**frames, dataset: frame[(frame["symbol"] != symbol) | (frame["session"] <= pd.Timestamp(DAYS[last]))]}

    return make


def stepped(factor: float, *rows: int, close_factor: float = 1.0, **columns: object) -> Callable[[], Frames]:
    """The good frames with IWM's NAV multiplied on some sessions, and the closes likewise; `columns` go into the first of these bars."""

    def make() -> Frames:
        frames = good_frames()
        navs, bars = frames["fund_nav"].reset_index(drop=True), frames["prices"].reset_index(drop=True)
        navs.loc[list(rows), ["nav", "total_net_assets_usd"]] *= factor
        bars.loc[list(rows), "close"] *= close_factor
        for column, value in columns.items():
            bars.loc[rows[0], column] = value
        return {**frames, "fund_nav": navs, "prices": bars}

    return make


def put(con: duckdb.DuckDBPyConnection, frames: Frames) -> None:
    """Stages these frames as answers, one per dataset."""
    stage.put_answers(
        con, [Answer(Request(name, "IWM", DAYS[0], SESSION), frame, None) for name, frame in frames.items()]
    )
    warehouse.build(con, *stage.BATCHES)


def changed(dataset: str, row: int, **values: object) -> Callable[[], Frames]:
    """The good frames with values of one row changed; the first rows are of IWM, or of AAA."""

    def make() -> Frames:
        frames = good_frames()
        frame = frames[dataset].reset_index(drop=True)
        for column, value in values.items():
            frame.loc[row, column] = value
        return {**frames, dataset: frame}

    return make


def stale(row: int, **values: object) -> Callable[[], Frames]:
    """The good frames with IWM's record of one session once more on the next, `values` excepted."""

    def make() -> Frames:
        frames = good_frames()
        records = frames["fund_nav"].reset_index(drop=True)
        columns = ["nav", "shares_outstanding", "total_net_assets_usd"]
        records.loc[row, columns] = records.loc[row - 1, columns]
        for column, value in values.items():
            records.loc[row, column] = value
        return {**frames, "fund_nav": records}

    return make


def repeated(dataset: str, **values: object) -> Callable[[], Frames]:
    """The good frames and the first row of one of them once more, with `values` changed."""

    def make() -> Frames:
        frames = good_frames()
        extra = frames[dataset].iloc[[0]].assign(**values)
        return {**frames, dataset: pd.concat([frames[dataset], extra])}

    return make


def redated(dataset: str, fund: str, day: date) -> Callable[[], Frames]:
    """The good frames with the file of a fund dated `day`."""

    def make() -> Frames:
        frames = good_frames()
        frame = frames[dataset]
        as_of = frame["as_of"].where(frame["fund_symbol"] != fund, pd.Timestamp(day))
        return {**frames, dataset: frame.assign(as_of=as_of)}

    return make


#: The day after the batches are fetched.
TOMORROW = date(2024, 6, 2)
AFTER, CLOSED = date(2024, 5, 11), date(2024, 1, 15)
LAST = DAYS[88]
#: Suite, expectation → a batch it must fail, and the rows it must name.
BAD: dict[tuple[str, str], tuple[Callable[[], Frames], list[tuple[str, date]]]] = {
    ("fund_nav", "one_row_per_record"): (repeated("fund_nav"), [("IWM", DAYS[0])]),
    ("fund_nav", "not_after_session"): (repeated("fund_nav", session=pd.Timestamp(AFTER)), [("IWM", AFTER)]),
    ("fund_nav", "on_a_session"): (repeated("fund_nav", session=pd.Timestamp(CLOSED)), [("IWM", CLOSED)]),
    ("fund_nav", "nav_positive"): (changed("fund_nav", 7, nav=None), [("IWM", DAYS[7])]),
    ("fund_nav", "shares_positive"): (
        changed("fund_nav", 7, shares_outstanding=0.0, total_net_assets_usd=None),
        [("IWM", DAYS[7])],
    ),
    ("fund_nav", "shares_or_assets_present"): (
        changed("fund_nav", 7, shares_outstanding=None, total_net_assets_usd=None),
        [("IWM", DAYS[7])],
    ),
    ("fund_nav", "assets_match"): (changed("fund_nav", 7, nav=60.0), [("IWM", DAYS[7])]),
    ("fund_nav", "distribution_plausible"): (changed("fund_nav", 7, distribution=51.9), [("IWM", DAYS[7])]),
    ("fund_nav", "nav_near_close"): (stepped(1.03, 60), [("IWM", DAYS[60])]),
    ("fund_nav", "record_in_usd_and_shares"): (
        changed("fund_nav", 7, shares_outstanding=None, total_net_assets_usd=5e12 + 1e9),
        [("IWM", DAYS[7])],
    ),
    ("fund_nav", "nav_step_plausible"): (stepped(1.3, 10), [("IWM", DAYS[10])]),
    ("fund_nav", "record_not_repeated"): (stale(60), [("IWM", DAYS[60])]),
    ("fund_nav", "fresh"): (cut("fund_nav", "IWM", 86), [("IWM", DAYS[86])]),
    ("fund_facts", "one_row_per_snapshot"): (repeated("fund_facts"), [("IWM", SESSION)]),
    ("fund_facts", "not_in_future"): (changed("fund_facts", 0, as_of=pd.Timestamp(TOMORROW)), [("IWM", TOMORROW)]),
    ("fund_facts", "expense_ratio_is_a_fraction"): (changed("fund_facts", 0, expense_ratio=0.19), [("IWM", SESSION)]),
    ("fund_facts", "facts_in_usd"): (changed("fund_facts", 0, total_net_assets_usd=5_000.0), [("IWM", SESSION)]),
    ("fund_facts", "assets_positive"): (changed("fund_facts", 0, nav=0.0), [("IWM", SESSION)]),
    ("fund_facts", "pe_plausible"): (changed("fund_facts", 0, trailing_pe=1 / 17), [("IWM", SESSION)]),
    ("holdings", "not_in_future"): (redated("holdings", "IWM", TOMORROW), [("IWM", TOMORROW)]),
    ("holdings", "weights_add_up"): (changed("holdings", 0, weight=0.1), [("IWM", LAST)]),
    ("holdings", "weight_plausible"): (changed("holdings", 0, weight=0.5001), [("IWM", LAST)]),
    ("earnings_growth", "one_row_per_snapshot"): (repeated("earnings_growth"), [("AAA", SESSION)]),
    ("earnings_growth", "not_in_future"): (
        changed("earnings_growth", 0, as_of=pd.Timestamp(TOMORROW)),
        [("AAA", TOMORROW)],
    ),
    ("earnings_growth", "growth_plausible"): (
        changed("earnings_growth", 0, growth_next_year=20.5, eps_next_year=None),
        [("AAA", SESSION)],
    ),
    ("earnings_growth", "growth_is_a_fraction"): (
        changed("earnings_growth", 0, growth_next_year=-19.0),
        [("AAA", SESSION)],
    ),
    ("earnings_growth", "fiscal_years_follow_each_other"): (
        changed("earnings_growth", 0, period_end_next_year=None),
        [("AAA", SESSION)],
    ),
    ("earnings_growth", "fiscal_year_near_snapshot"): (
        changed("earnings_growth", 0, period_end_current_year=LONG_AGO, period_end_next_year=LONG_AGO + YEAR),
        [("AAA", SESSION)],
    ),
    ("earnings_growth", "counts_of_estimates_plausible"): (
        changed("earnings_growth", 0, revisions_up_30d=2.5),
        [("AAA", SESSION)],
    ),
    ("earnings_growth", "earnings_per_share_and_price_plausible"): (
        changed("earnings_growth", 0, eps_next_year=101.0),
        [("AAA", SESSION)],
    ),
}
#: What else such a batch fails, rightly.
TOO = {"not_after_session": {"on_a_session"}, "weight_plausible": {"weights_add_up"}}


def counted(counts: Mapping[int, float]) -> Callable[[], Frames]:
    """The good frames with share counts of IWM changed, and without assets."""

    def make() -> Frames:
        frames = good_frames()
        navs = frames["fund_nav"].reset_index(drop=True)
        navs.loc[list(counts), "shares_outstanding"] = list(counts.values())
        return {**frames, "fund_nav": navs.assign(total_net_assets_usd=float("nan"))}

    return make


#: Expectation of the flows → records that it must fail, and the rows it must name.
BAD_FLOWS: dict[str, tuple[Callable[[], Frames], list[tuple[str, date]]]] = {
    "share_count_possible": (counted({50: 2_000_000.0}), [("IWM", DAYS[50])]),
    "share_counts_alive": (counted(dict.fromkeys(range(86, 90), 1_085_000.0)), [("IWM", DAYS[89])]),
    "flow_not_large": (counted({i: 1_200_000.0 + 1_000 * i for i in range(60, 90)}), [("IWM", DAYS[60])]),
    # The assets of three share classes, as Yahoo states them of some of Vanguard's ETFs.
    "assets_of_one_share_class": (changed("fund_facts", 0, total_net_assets_usd=163e6), [("IWM", SESSION)]),
}
#: Expectation of the flows → a change of the derived table that it must find, and the rows it must name. No records lead to these.
BROKEN_FLOWS: dict[str, tuple[str, list[tuple[str, date]]]] = {
    "fund_flows_explained": ("sessions_spanned = 24", [("IWM", DAYS[50])]),
    "fund_flows_do_not_overlap": ("sessions_spanned = 2, quality = 'spanned'", [("IWM", DAYS[50])]),
}


def failed(results: list[Result]) -> dict[str, int | None]:
    return {r.expectation.id: r.unexpected_count for r in results if not r.success}


def named(con: duckdb.DuckDBPyConnection, result: Result) -> list[tuple[str, date]]:
    """The rows that a failed expectation names."""
    return con.execute(f"select symbol, session from ({result.expectation.query}) order by all").fetchall()


def derive(con: duckdb.DuckDBPyConnection, frames: Frames) -> list[Result]:
    """Takes the frames in as they are and checks the flows that follow."""
    put(con, frames)
    warehouse.load(con, "raw")
    warehouse.build(con, "core")
    return audit(con, *FLOWS)


def test_every_expectation_has_a_case() -> None:
    """An expectation added to a suite without a batch that it must fail is noticed here."""
    covered = {*BAD, ("fund_nav", "types_as_declared"), ("fund_facts", "facts_move")}
    assert covered == {(name, e.id) for name in FETCHED for e in suites.staged(name).expectations}
    # What is generated is tested with its like.
    written = {e.id for suite in FLOWS for e in suite.expectations if "one_row" not in e.id and "no_row" not in e.id}
    assert {*BAD_FLOWS, *BROKEN_FLOWS} == written


@pytest.mark.parametrize(
    ("name", "rows"), [("fund_nav", 180), ("fund_facts", 2), ("holdings", 8), ("earnings_growth", 2)]
)
def test_good_batch_passes_everything(con: duckdb.DuckDBPyConnection, name: str, rows: int) -> None:
    """Ordinary answers fail nothing, and each expectation was really checked."""
    put(con, good_frames())
    results = audit(con, suites.staged(name))
    assert failed(results) == {}
    assert {(r.raised, r.element_count, r.unexpected_count) for r in results} == {(False, rows, 0)}


def test_good_flows_pass_everything(con: duckdb.DuckDBPyConnection) -> None:
    """The flows of ordinary records fail nothing."""
    results = derive(con, good_frames())
    assert failed(results) == {}
    assert {(r.raised, r.element_count, r.unexpected_count) for r in results} == {(False, 180, 0)}


@pytest.mark.long_after(12)
@pytest.mark.parametrize(("name", "expectation"), BAD)
def test_bad_batch_fails(con: duckdb.DuckDBPyConnection, name: str, expectation: str) -> None:
    """A batch with one fault fails the expectation that is meant for it, which names the offending rows."""
    make, offenders = BAD[name, expectation]
    put(con, make())
    results = {r.expectation.id: r for r in audit(con, suites.staged(name))}
    assert set(failed(list(results.values()))) == {expectation} | TOO.get(expectation, set())
    result = results[expectation]
    assert result.unexpected_count == len(offenders)
    assert result.details == result.expectation.sentence
    assert named(con, result) == offenders
    for other in set(FETCHED) - {name}:
        assert failed(audit(con, suites.staged(other))) == {}


@pytest.mark.long_after(0)
@pytest.mark.parametrize("expectation", BAD_FLOWS)
def test_bad_flows_fail(con: duckdb.DuckDBPyConnection, expectation: str) -> None:
    """Records with one fault fail the expectation on the flows that is meant for it."""
    make, offenders = BAD_FLOWS[expectation]
    results = {r.expectation.id: r for r in derive(con, make())}
    assert failed(list(results.values())) == {expectation: len(offenders)}
    assert named(con, results[expectation]) == offenders


@pytest.mark.parametrize("expectation", BROKEN_FLOWS)
def test_broken_flows_fail(con: duckdb.DuckDBPyConnection, expectation: str) -> None:
    """A fault in the derived table itself fails the expectation that is meant for it."""
    change, offenders = BROKEN_FLOWS[expectation]
    derive(con, good_frames())
    con.execute(f"update core.fund_flows set {change} where symbol = 'IWM' and session = '{DAYS[50]}'")
    results = {r.expectation.id: r for r in audit(con, *FLOWS) if not r.success}
    assert named(con, results[expectation]) == offenders


@pytest.mark.long_after(0)
@pytest.mark.parametrize(
    "change",
    ["quality = null", "quality = 'guessed'", "quality = 'spanned'", "sessions_spanned = null", "net_flow_usd = null"],
)
def test_flows_without_their_explanation(con: duckdb.DuckDBPyConnection, change: str) -> None:
    """A flow without span or quality, with a quality that contradicts its span, or NULL without a reason is found."""
    derive(con, good_frames())
    con.execute(f"update core.fund_flows set {change} where symbol = 'IWM' and session = '{DAYS[50]}'")
    assert "fund_flows_explained" in failed(audit(con, *FLOWS))


@pytest.mark.long_after(0)
@pytest.mark.parametrize(
    ("name", "values", "expectation"),
    [
        ("fund_nav", {"nav": 0.0, "total_net_assets_usd": None, "distribution": None}, "nav_positive"),
        ("fund_nav", {"nav": -5.0, "total_net_assets_usd": None, "distribution": None}, "nav_positive"),
        ("fund_nav", {"nav": float("inf"), "total_net_assets_usd": None, "distribution": None}, "nav_positive"),
        ("fund_nav", {"shares_outstanding": 0.0, "total_net_assets_usd": None}, "shares_positive"),
        ("fund_nav", {"shares_outstanding": -1.0, "total_net_assets_usd": None}, "shares_positive"),
        ("fund_nav", {"shares_outstanding": float("inf"), "total_net_assets_usd": None}, "shares_positive"),
        ("fund_nav", {"shares_outstanding": None, "total_net_assets_usd": float("inf")}, "shares_positive"),
        ("fund_nav", {"distribution": -0.01}, "distribution_plausible"),
        ("fund_facts", {"expense_ratio": -0.001}, "expense_ratio_is_a_fraction"),
        ("fund_facts", {"total_net_assets_usd": -1.0}, "assets_positive"),
        ("fund_facts", {"nav": float("inf")}, "assets_positive"),
        ("fund_facts", {"total_net_assets_usd": float("inf")}, "assets_positive"),
        ("fund_facts", {"trailing_pe": -4.0}, "pe_plausible"),
        ("fund_facts", {"trailing_pe": 1001.0}, "pe_plausible"),
        ("holdings", {"weight": 40.0}, "weights_add_up"),
        ("earnings_growth", {"growth_current_year": -20.5}, "growth_plausible"),
        ("earnings_growth", {"growth_next_year": float("inf")}, "growth_plausible"),
        ("earnings_growth", {"period_end_current_year": None}, "fiscal_years_follow_each_other"),
        ("earnings_growth", {"period_end_next_year": LONG_AGO}, "fiscal_years_follow_each_other"),
        ("earnings_growth", {"analysts": -1.0}, "counts_of_estimates_plausible"),
        ("earnings_growth", {"revisions_down_30d": float("inf")}, "counts_of_estimates_plausible"),
        ("earnings_growth", {"price": 0.0}, "earnings_per_share_and_price_plausible"),
        ("earnings_growth", {"price": float("inf")}, "earnings_per_share_and_price_plausible"),
        ("earnings_growth", {"eps_year_ago": float("-inf")}, "earnings_per_share_and_price_plausible"),
    ],
)
def test_other_values_that_are_none(
    con: duckdb.DuckDBPyConnection, name: str, values: dict[str, object], expectation: str
) -> None:
    """Zero, negative, infinite and implausible values are all caught."""
    put(con, changed(name, 0, **values)())
    assert expectation in failed(audit(con, suites.staged(name)))


def test_short_position_is_a_fault_and_a_little_negative_cash_is_not(con: duckdb.DuckDBPyConnection) -> None:
    """Cash of minus 2 % occurs at the end of a day; a weight of minus 11 % does not."""
    put(con, changed("holdings", 3, weight=-0.02)())
    assert failed(audit(con, suites.staged("holdings"))) == {}
    put(con, changed("holdings", 3, weight=-0.11)())
    assert "weight_plausible" in failed(audit(con, suites.staged("holdings")))


def test_file_without_weights_is_set_aside(con: duckdb.DuckDBPyConnection) -> None:
    """A file none of whose rows has a weight does not add up."""
    frames = good_frames()
    frames["holdings"] = frames["holdings"].assign(weight=float("nan"))
    put(con, frames)
    results = [r for r in audit(con, suites.staged("holdings")) if not r.success]
    assert [r.expectation.id for r in results] == ["weights_add_up"]
    assert named(con, results[0]) == [("IJR", LAST), ("IWM", LAST)]


def test_what_is_not_published_is_no_fault(con: duckdb.DuckDBPyConnection) -> None:
    """A vendor that gives NAV and assets only, no expense ratio and no estimate fails nothing."""
    frames = good_frames()
    frames["fund_nav"] = frames["fund_nav"].assign(shares_outstanding=float("nan"), distribution=float("nan"))
    blank = dict.fromkeys(("expense_ratio", "total_net_assets_usd", "nav", "trailing_pe"), float("nan"))
    frames["fund_facts"] = frames["fund_facts"].assign(**blank)
    frames["earnings_growth"] = typed(frames["earnings_growth"][["symbol", "as_of", "source"]], EARNINGS_GROWTH_COLUMNS)
    put(con, frames)
    assert {name: failed(audit(con, suites.staged(name))) for name in FETCHED} == {name: {} for name in FETCHED}


def asked(con: duckdb.DuckDBPyConnection, frames: Frames) -> dict[str, list[int]]:
    """Expectation on fund records → the numbers of IWM's sessions it names, without Great Expectations, which takes a second."""
    put(con, frames)
    suite = suites.staged("fund_nav")
    rows = {
        e.id: con.execute(f"select session from ({e.query}) where symbol = 'IWM' order by all").fetchall()
        for e in suite.expectations
    }
    return {name: [DAYS.index(day) for (day,) in given] for name, given in rows.items() if given}


@pytest.mark.long_after(0)
@pytest.mark.parametrize(
    ("make", "sessions"),
    [
        # Usually the close is 0.2 % above the NAV.
        (stepped(1 / 1.0199, 60), []),
        (stepped(1 / 1.0201, 60), [60]),
        (stepped(1 / 0.9801, 60), []),
        (stepped(1 / 0.9799, 60), [60]),
        # Known for 21 records before.
        (stepped(1.03, 20), []),
        (stepped(1.03, 21), [21]),
        # With another level to stay, most of the 21 records are as usual again after half of them.
        (stepped(1.03, *range(60, 90)), list(range(60, 71))),
        # The close did the same.
        (stepped(1.03, 60, close_factor=1.03), []),
        # A split of 2 for 1: closes are restated, the NAVs before it are not; or the issuer restates them, too.
        (stepped(2.0, *range(60), split_ratio=1.0), list(range(60, 71))),
    ],
)
def test_nav_against_close(con: duckdb.DuckDBPyConnection, make: Callable[[], Frames], sessions: list[int]) -> None:
    """The close may move 2 % against the NAV from where it usually is."""
    assert asked(con, make()).get("nav_near_close", []) == sessions


@pytest.mark.parametrize("restated", [False, True])
def test_nav_against_close_across_a_split(con: duckdb.DuckDBPyConnection, restated: bool) -> None:
    """NAVs before a split on the basis of their day are compared with closes on that basis; those an issuer restated with the closes as they are."""
    frames = stepped(1.0 if restated else 2.0, *range(60))()
    bars = frames["prices"].reset_index(drop=True)
    bars.loc[60, "split_ratio"] = 2.0
    assert asked(con, {**frames, "prices": bars}) == {}
    if not restated:
        navs = frames["fund_nav"].copy()
        navs.loc[40, ["nav", "total_net_assets_usd"]] *= 1.03
        assert asked(con, {**frames, "fund_nav": navs, "prices": bars}) == {"nav_near_close": [40]}


def test_close_that_is_not_good_says_nothing_of_the_nav(con: duckdb.DuckDBPyConnection) -> None:
    """Without a close, or with one that was set aside, the NAV is not judged by it."""
    frames = stepped(1.03, 60)()
    put(con, frames)
    con.execute("delete from stage.prices where symbol = 'IWM' and session = $1", [DAYS[60]])
    warehouse.build(con, *stage.WITHOUT_REJECTED_BARS)
    assert failed(audit(con, suites.staged("fund_nav"))) == {}


#: The change of IWM's NAV on session 10, which session 11 reverses.
UP, BACK = (50 + 0.25 * 3 + 0.10) / (50 + 0.25 * 2 + 0.09), (50 + 0.25 * 4 + 0.11) / (50 + 0.25 * 3 + 0.10)
ALL = tuple(range(10, 90))


@pytest.mark.long_after(0)
@pytest.mark.parametrize(
    ("make", "sessions"),
    [
        (stepped(1.249 / UP, 10), []),
        (stepped(1.251 / UP, 10), [10]),
        (stepped(0.801 / UP, *ALL), []),
        (stepped(0.799 / UP, *ALL), [10]),
        # The next record stays; the close did the same, a bit more than half of it, a bit less.
        (stepped(1.4 / UP, *ALL, close_factor=1.4 / UP), []),
        (stepped(1.4 / UP, *ALL, close_factor=1.4**0.51 / UP), []),
        (stepped(1.4 / UP, *ALL, close_factor=1.4**0.49 / UP), [10]),
        (stepped(0.7 / UP, *ALL, close_factor=0.7 / UP), []),
        (stepped(0.7 / UP, *ALL), [10]),
        # The last record has no next one yet.
        (stepped(1.4, 89, close_factor=1.4), [89]),
        # The close moved as well, and both reverse: neither is accepted, and the reversal is not a step.
        (stepped(1.4 / UP, 10, close_factor=1.4 / UP), [10]),
        # A split, announced with the bar.
        (stepped(0.5, *ALL, split_ratio=2.0), []),
        (stepped(0.5, *ALL, split_ratio=3.0), [10]),
    ],
)
def test_steps_of_nav(con: duckdb.DuckDBPyConnection, make: Callable[[], Frames], sessions: list[int]) -> None:
    """A step of more than 25 % of the lower NAV is accepted when the next record confirms it and the close moved as well, or for a split."""
    assert asked(con, make()).get("nav_step_plausible", []) == sessions


def test_distribution_is_no_step_of_nav(con: duckdb.DuckDBPyConnection) -> None:
    """A NAV that falls by what was paid out did not step; and with no close known, the next record alone decides."""
    frames = stepped(0.7, *ALL)()
    paid = frames["fund_nav"].copy()
    paid.loc[10, "distribution"] = 15.0
    assert "nav_step_plausible" not in asked(con, {**frames, "fund_nav": paid})
    assert asked(con, {**frames, "prices": frames["prices"].iloc[:0]}) == {}


def test_step_of_nav_against_a_known_record(con: duckdb.DuckDBPyConnection) -> None:
    """The record before may be known already, and so may the bars; known records are not named."""
    frames = stepped(1.4, 89)()
    put(
        con,
        {name: frame[frame["session"] < pd.Timestamp(SESSION)] for name, frame in frames.items() if "session" in frame},
    )
    warehouse.load(con, "raw")
    assert asked(con, frames) == {"nav_near_close": [89], "nav_step_plausible": [89]}
    warehouse.parameters(con, known_at=datetime(2024, 6, 2, tzinfo=UTC))
    warehouse.load(con, "raw")
    assert asked(con, frames) == {}


@pytest.mark.parametrize(
    ("symbol", "last", "rows"),
    [
        ("IWM", 87, []),
        ("IWM", 86, [("IWM", DAYS[86])]),
        ("IJR", 88, []),
        ("IJR", 87, [("IJR", DAYS[87])]),
        ("IJR", -1, []),
    ],
)
def test_publisher_that_is_late(
    con: duckdb.DuckDBPyConnection, symbol: str, last: int, rows: list[tuple[str, date]]
) -> None:
    """One session of grace beyond the usual delay, which is a session for an issuer and none for a vendor; who is not asked is not late."""
    frames = cut("fund_nav", symbol, last)()
    answers = [] if last < 0 else [Answer(Request("fund_nav", symbol, DAYS[0], SESSION), frames["fund_nav"], None)]
    stage.put_answers(con, answers)
    warehouse.build(con, *stage.BATCHES)
    suite = suites.staged("fund_nav")
    (fresh,) = [e for e in suite.expectations if e.id == "fresh"]
    assert con.execute(f"select symbol, session from ({fresh.query})").fetchall() == rows


def test_publisher_that_never_answered_is_late(con: duckdb.DuckDBPyConnection) -> None:
    """A fund that was asked and of which nothing is known is named without a session."""
    stage.put_answers(con, [Answer(Request("fund_nav", "IWM", DAYS[0], SESSION), None, "Gone.")])
    warehouse.build(con, *stage.BATCHES)
    results = [r for r in audit(con, suites.staged("fund_nav")) if not r.success]
    assert [r.expectation.id for r in results] == ["fresh"]
    assert named(con, results[0]) == [("IWM", None)]


@pytest.mark.parametrize("change", ["alter nav type varchar", "drop column source", "add column bid double"])
def test_types(con: duckdb.DuckDBPyConnection, change: str) -> None:
    """A column with another type, one too few and one too many are all found."""
    put(con, good_frames())
    con.execute(f"alter table stage.fund_nav {change}")
    suite = suites.staged("fund_nav")
    (declared,) = [e for e in suite.expectations if e.id == "types_as_declared"]
    assert con.execute(f"select symbol, session from ({declared.query})").fetchall() == [(None, None)]


def test_known_records_are_not_checked_again(con: duckdb.DuckDBPyConnection) -> None:
    """The batch has new and changed records only: the same responses again leave it empty, a changed NAV adds one record."""
    put(con, good_frames())
    warehouse.load(con, "raw")
    warehouse.parameters(con, known_at=datetime(2024, 6, 2, tzinfo=UTC))
    put(con, good_frames())
    assert [con.sql(f"from stage.{name}").fetchall() for name in FETCHED] == [[], [], [], []]
    put(con, changed("fund_nav", 7, nav=51.9)())
    assert con.sql("select symbol, session, is_new from stage.fund_nav").fetchall() == [("IWM", DAYS[7], False)]


@pytest.mark.parametrize(
    ("make", "sessions"),
    [
        (stale(60), [60]),
        (stale(60, shares_outstanding=None, total_net_assets_usd=None), []),
        (stale(60, nav=51.35, total_net_assets_usd=None), []),
        (stale(60, shares_outstanding=1_060_000.0, total_net_assets_usd=None), []),
    ],
)
def test_record_of_the_day_before(
    con: duckdb.DuckDBPyConnection, make: Callable[[], Frames], sessions: list[int]
) -> None:
    """Only a record equal in NAV, shares and assets is a repetition, and only where the close moved."""
    assert asked(con, make()).get("record_not_repeated", []) == sessions


def test_record_of_the_day_before_on_a_quiet_day(con: duckdb.DuckDBPyConnection) -> None:
    """Where the close moved by less than half a percent an equal record is possible."""
    frames = stale(60)()
    bars = frames["prices"].reset_index(drop=True)
    bars.loc[60, "close"] = bars.loc[59, "close"] * 1.0049
    assert "record_not_repeated" not in asked(con, {**frames, "prices": bars})
    bars.loc[60, "close"] = bars.loc[59, "close"] * 1.0051
    assert asked(con, {**frames, "prices": bars}) == {"record_not_repeated": [60]}


def snapshots(
    day: date, moved: int, funds: int = 3, values: tuple[float | None, float | None] = (55.0, 5e9)
) -> pd.DataFrame:
    """Facts of the first `funds` funds on a day, of which `moved` have other values than usual."""
    names = ("SPY", "IWM", "IJR")[:funds]
    nav, assets = values
    return pd.concat(
        typed(
            {
                "symbol": [name],
                "as_of": pd.Timestamp(day),
                "nav": nav if k >= moved or nav is None else nav + 0.01,
                "total_net_assets_usd": assets,
                "source": "vendor",
            },
            FUND_FACTS_COLUMNS,
        )
        for k, name in enumerate(names)
    )


@pytest.mark.long_after(0)
@pytest.mark.parametrize(
    ("since", "moved", "funds", "values", "named_funds"),
    [
        (3, 0, 3, (55.0, 5e9), ["IJR", "IWM", "SPY"]),
        (10, 0, 3, (None, 5e9), ["IJR", "IWM", "SPY"]),
        # Moved in one fund, too few funds, too few sessions since, no value at all.
        (3, 1, 3, (55.0, 5e9), []),
        (3, 0, 2, (55.0, 5e9), []),
        (2, 0, 3, (55.0, 5e9), []),
        (3, 0, 3, (None, None), []),
    ],
)
def test_vendor_whose_facts_stand_still(
    con: duckdb.DuckDBPyConnection,
    since: int,
    moved: int,
    funds: int,
    values: tuple[float | None, float | None],
    named_funds: list[str],
) -> None:
    """Where no fund's NAV and assets changed in three sessions, the snapshots are set aside."""
    put(con, {"fund_facts": snapshots(DAYS[89 - since], 0, funds, values)})
    warehouse.load(con, "raw")
    put(con, {"fund_facts": snapshots(SESSION, moved, funds, values)})
    (still,) = [e for e in suites.staged("fund_facts").expectations if e.id == "facts_move"]
    found = con.execute(f"select symbol, session from ({still.query}) order by all").fetchall()
    assert found == [(name, SESSION) for name in named_funds]
