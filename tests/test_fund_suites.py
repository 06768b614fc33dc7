"""The suites of the fund data: each expectation has a batch it passes and one it must fail, and names the offending rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pandas as pd
import pytest
import world

from tasks import calendar, stage, warehouse
from tasks.audit import Result, audit, load_suite
from tasks.datasets import COLUMNS
from tasks.fetch import Answer, Request
from tasks.sources import EARNINGS_GROWTH_COLUMNS, FUND_FACTS_COLUMNS, HOLDINGS_COLUMNS, typed

DAYS = world.days(date(2024, 1, 2))
SESSION = DAYS[89]
MEMBERS = world.universe(*map(world.instrument, ("SPY", "IWM", "IJR")))
#: The suites of what is fetched; that of the flows is checked on what is derived.
FETCHED = ("fund_nav", "fund_facts", "holdings", "earnings_growth")

Frames = dict[str, pd.DataFrame]


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    """A warehouse that is about to take in its first batch, with ninety sessions."""
    with warehouse.writing(Path(":memory:")) as con:
        stage.put_references(con, MEMBERS, calendar.load(date(2005, 1, 3), date(2026, 11, 20)), DAYS[0], SESSION)
        now = datetime(2024, 6, 1, tzinfo=UTC)
        warehouse.parameters(
            con, run_id="r1", known_at=now, source="files", target_session=SESSION, history_start=DAYS[0]
        )
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
        "total_net_assets_usd": 5e9,
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
    growth = {"as_of": pd.Timestamp(SESSION), "growth_current_year": 0.1, "growth_next_year": -0.2, "source": "vendor"}
    return {
        "fund_nav": pd.concat(
            world.records(fund, navs, shares, total_net_assets_usd=assets, distribution=paid) for fund in funds
        ),
        "fund_facts": pd.concat(typed({"symbol": [fund], **facts}, FUND_FACTS_COLUMNS) for fund in funds),
        "holdings": pd.concat(
            typed({"fund_symbol": fund, **held, "source": "issuer"}, HOLDINGS_COLUMNS) for fund in funds
        ),
        "earnings_growth": pd.concat(
            typed({"symbol": [name], **growth}, EARNINGS_GROWTH_COLUMNS) for name in ("AAA", "BBB")
        ),
    }


def put(con: duckdb.DuckDBPyConnection, frames: Frames) -> None:
    """Stages these frames as answers, one per dataset."""
    stage.put_answers(
        con, [Answer(Request(name, "IWM", DAYS[0], SESSION), frame, None) for name, frame in frames.items()]
    )
    warehouse.build(con, *(f"stage.{dataset}" for dataset in COLUMNS))


def changed(dataset: str, row: int, **values: object) -> Callable[[], Frames]:
    """The good frames with values of one row changed; the first rows are of IWM, or of AAA."""

    def make() -> Frames:
        frames = good_frames()
        frame = frames[dataset].reset_index(drop=True)
        for column, value in values.items():
            frame.loc[row, column] = value
        return {**frames, dataset: frame}

    return make


def repeated(dataset: str, **values: object) -> Callable[[], Frames]:
    """The good frames and the first row of one of them once more, with `values` changed."""

    def make() -> Frames:
        frames = good_frames()
        extra = frames[dataset].iloc[[0]].assign(**values)
        return {**frames, dataset: pd.concat([frames[dataset], extra])}

    return make


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
    ("fund_facts", "one_row_per_snapshot"): (repeated("fund_facts"), [("IWM", SESSION)]),
    ("fund_facts", "expense_ratio_is_a_fraction"): (changed("fund_facts", 0, expense_ratio=0.19), [("IWM", SESSION)]),
    ("fund_facts", "assets_positive"): (changed("fund_facts", 0, nav=0.0), [("IWM", SESSION)]),
    ("fund_facts", "pe_plausible"): (changed("fund_facts", 0, trailing_pe=1 / 17), [("IWM", SESSION)]),
    ("holdings", "weights_add_up"): (changed("holdings", 0, weight=0.1), [("IWM", LAST)]),
    ("holdings", "weight_plausible"): (changed("holdings", 0, weight=0.5001), [("IWM", LAST)]),
    ("earnings_growth", "one_row_per_snapshot"): (repeated("earnings_growth"), [("AAA", SESSION)]),
    ("earnings_growth", "growth_plausible"): (
        changed("earnings_growth", 0, growth_next_year=20.5),
        [("AAA", SESSION)],
    ),
}
#: What else such a batch fails, rightly.
TOO = {"not_after_session": {"on_a_session"}, "weight_plausible": {"weights_add_up"}}

#: Expectation of the flows → the counts of IWM, and the rows it must name.
BAD_FLOWS: dict[str, tuple[dict[int, float], list[tuple[str, date]]]] = {
    "share_count_possible": ({50: 2_000_000.0}, [("IWM", DAYS[50])]),
    "share_counts_alive": (dict.fromkeys(range(86, 90), 1_085_000.0), [("IWM", DAYS[89])]),
    "flow_not_large": ({i: 1_200_000.0 + 1_000 * i for i in range(60, 90)}, [("IWM", DAYS[60])]),
}


def failed(results: list[Result]) -> dict[str, int | None]:
    return {r.expectation.id: r.unexpected_count for r in results if not r.success}


def named(con: duckdb.DuckDBPyConnection, result: Result) -> list[tuple[str, date]]:
    """The rows that a failed expectation names."""
    rows = result.suite.rows(result.expectation)
    return con.execute(f"select symbol, session from ({rows}) order by all").fetchall()


def derive(con: duckdb.DuckDBPyConnection, frames: Frames) -> list[Result]:
    """Takes the frames in as they are and checks the flows that follow."""
    put(con, frames)
    warehouse.load(con, "raw")
    warehouse.build(con, "core")
    return audit(con, load_suite("fund_flows"))


def test_every_expectation_has_a_case() -> None:
    """An expectation added to a suite without a batch that it must fail is noticed here."""
    assert set(BAD) == {(name, e.id) for name in FETCHED for e in load_suite(name).expectations}
    assert set(BAD_FLOWS) == {e.id for e in load_suite("fund_flows").expectations}


@pytest.mark.parametrize(
    ("name", "rows"), [("fund_nav", 180), ("fund_facts", 2), ("holdings", 8), ("earnings_growth", 2)]
)
def test_good_batch_passes_everything(con: duckdb.DuckDBPyConnection, name: str, rows: int) -> None:
    """Ordinary answers fail nothing, and each expectation was really checked."""
    put(con, good_frames())
    results = audit(con, load_suite(name))
    assert failed(results) == {}
    assert {(r.raised, r.element_count, r.unexpected_count) for r in results} == {(False, rows, 0)}


def test_good_flows_pass_everything(con: duckdb.DuckDBPyConnection) -> None:
    """The flows of ordinary records fail nothing."""
    results = derive(con, good_frames())
    assert failed(results) == {}
    assert {(r.raised, r.element_count, r.unexpected_count) for r in results} == {(False, 180, 0)}


@pytest.mark.parametrize(("name", "expectation"), BAD)
def test_bad_batch_fails(con: duckdb.DuckDBPyConnection, name: str, expectation: str) -> None:
    """A batch with one fault fails the expectation that is meant for it, which names the offending rows."""
    make, offenders = BAD[name, expectation]
    put(con, make())
    results = {r.expectation.id: r for r in audit(con, load_suite(name))}
    assert set(failed(list(results.values()))) == {expectation} | TOO.get(expectation, set())
    result = results[expectation]
    assert result.unexpected_count == len(offenders)
    assert result.details == result.expectation.sentence
    assert named(con, result) == offenders
    for other in set(FETCHED) - {name}:
        assert failed(audit(con, load_suite(other))) == {}


@pytest.mark.parametrize("expectation", BAD_FLOWS)
def test_bad_flows_fail(con: duckdb.DuckDBPyConnection, expectation: str) -> None:
    """Records with one fault fail the expectation on the flows that is meant for it."""
    counts, offenders = BAD_FLOWS[expectation]
    frames = good_frames()
    records = frames["fund_nav"].reset_index(drop=True)
    for row, count in counts.items():
        records.loc[row, "shares_outstanding"] = count
    frames["fund_nav"] = records.assign(total_net_assets_usd=float("nan"))
    results = {r.expectation.id: r for r in derive(con, frames)}
    assert failed(list(results.values())) == {expectation: len(offenders)}
    assert named(con, results[expectation]) == offenders


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
    ],
)
def test_other_values_that_are_none(
    con: duckdb.DuckDBPyConnection, name: str, values: dict[str, object], expectation: str
) -> None:
    """Zero, negative, infinite and implausible values are all caught."""
    put(con, changed(name, 0, **values)())
    assert expectation in failed(audit(con, load_suite(name)))


def test_short_position_is_a_fault_and_a_little_negative_cash_is_not(con: duckdb.DuckDBPyConnection) -> None:
    """Cash of minus 2 % happens at the end of a day; a weight of minus 11 % is no fund's."""
    put(con, changed("holdings", 3, weight=-0.02)())
    assert failed(audit(con, load_suite("holdings"))) == {}
    put(con, changed("holdings", 3, weight=-0.11)())
    assert "weight_plausible" in failed(audit(con, load_suite("holdings")))


def test_file_without_weights_is_set_aside(con: duckdb.DuckDBPyConnection) -> None:
    """A file none of whose rows has a weight does not add up."""
    frames = good_frames()
    frames["holdings"] = frames["holdings"].assign(weight=float("nan"))
    put(con, frames)
    results = [r for r in audit(con, load_suite("holdings")) if not r.success]
    assert [r.expectation.id for r in results] == ["weights_add_up"]
    assert named(con, results[0]) == [("IJR", LAST), ("IWM", LAST)]


def test_what_is_not_published_is_no_fault(con: duckdb.DuckDBPyConnection) -> None:
    """A vendor that gives NAV and assets only, no expense ratio and no estimate fails nothing."""
    frames = good_frames()
    frames["fund_nav"] = frames["fund_nav"].assign(shares_outstanding=float("nan"), distribution=float("nan"))
    blank = dict.fromkeys(("expense_ratio", "total_net_assets_usd", "nav", "trailing_pe"), float("nan"))
    frames["fund_facts"] = frames["fund_facts"].assign(**blank)
    nothing = dict.fromkeys(("growth_current_year", "growth_next_year"), float("nan"))
    frames["earnings_growth"] = frames["earnings_growth"].assign(**nothing)
    put(con, frames)
    assert {name: failed(audit(con, load_suite(name))) for name in FETCHED} == {name: {} for name in FETCHED}


def test_known_records_are_not_checked_again(con: duckdb.DuckDBPyConnection) -> None:
    """The batch is what is new or changed: the same answers again leave nothing to check, a changed NAV one record."""
    put(con, good_frames())
    warehouse.load(con, "raw")
    warehouse.parameters(con, known_at=datetime(2024, 6, 2, tzinfo=UTC))
    put(con, good_frames())
    assert [con.sql(f"from stage.{name}").fetchall() for name in FETCHED] == [[], [], [], []]
    put(con, changed("fund_nav", 7, nav=51.9)())
    assert con.sql("select symbol, session, is_new from stage.fund_nav").fetchall() == [("IWM", DAYS[7], False)]
