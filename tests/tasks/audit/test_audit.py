"""The audit: each expectation has a batch it passes and one it fails, and what cannot be checked blocks."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest
import test_price_suite
import world

from market_rotation.tasks import calendar, warehouse
from market_rotation.tasks.audit import suites
from market_rotation.tasks.audit.run import Result, audit, failures, stop_if_blocked
from market_rotation.tasks.errors import AuditFailed
from market_rotation.tasks.run import pipeline, stage
from market_rotation.tasks.run.fetch import Answer, Request

DAYS = world.days(date(2024, 1, 2))
SESSION = DAYS[19]


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    """A warehouse before its first batch: twenty sessions of SPY, IWM, IJR, MDY and VB."""
    members = world.universe(
        *map(world.instrument, ("SPY", "IWM", "IJR", "MDY")), world.instrument("VB", inception=DAYS[2])
    )
    with warehouse.writing(Path(":memory:")) as con:
        stage.put_references(con, members, calendar.load(date(2005, 1, 3), date(2026, 11, 20)), DAYS[0], SESSION)
        now = datetime(2024, 2, 1, tzinfo=UTC)
        warehouse.parameters(
            con, run_id="r1", known_at=now, source="files", target_session=SESSION, history_start=DAYS[0]
        )
        yield con


def good_frames() -> dict[str, pd.DataFrame]:
    closes = [100.0 + i % 5 for i in range(20)]
    quotes: dict[str, Any] = {
        "open": closes,
        "high": [c + 1 for c in closes],
        "low": [c - 1 for c in closes],
        "volume": range(1000, 1020),
    }
    frames = {symbol: world.bars(symbol, closes, **quotes) for symbol in ("SPY", "IWM", "IJR", "MDY", "VB")}
    frames["VB"] = frames["VB"].iloc[2:]
    return frames


def put(con: duckdb.DuckDBPyConnection, frames: dict[str, pd.DataFrame | str], *, is_full_history: bool = True) -> None:
    """Stages these frames as the answers for DAYS[0] … SESSION; a text is the error of a symbol that was not answered."""
    answers = [
        Answer(
            Request("prices", symbol, DAYS[0], SESSION, is_full_history),
            *((None, held) if isinstance(held, str) else (held, None)),
        )
        for symbol, held in frames.items()
    ]
    stage.put_answers(con, answers)
    warehouse.build(con, *pipeline.BATCHES)


def changed(symbol: str, row: int, **values: object) -> dict[str, pd.DataFrame]:
    frames = good_frames()
    for column, value in values.items():
        frames[symbol].loc[frames[symbol].index[row], column] = value
    return frames


def with_bar(symbol: str, **values: object) -> dict[str, pd.DataFrame]:
    """The good frames and one more bar of `symbol`: its last one, with `values` changed."""
    frames = good_frames()
    extra = frames[symbol if symbol in frames else "IWM"].iloc[[-1]].assign(symbol=symbol, **values)
    frames[symbol] = pd.concat([frames.get(symbol, extra.iloc[:0]), extra])
    return frames


def without(symbol: str, *sessions: date) -> dict[str, pd.DataFrame]:
    frames = good_frames()
    frames[symbol] = frames[symbol][~frames[symbol]["session"].isin([pd.Timestamp(day) for day in sessions])]
    return frames


def failed(results: list[Result]) -> dict[str, int | None]:
    return {r.expectation.id: r.unexpected_count for r in results if not r.success}


BAD: dict[str, tuple[Callable[[], dict[str, pd.DataFrame]], list[tuple[str, date | None]]]] = {
    "one_row_per_bar": (lambda: with_bar("IWM"), [("IWM", SESSION)]),
    "not_after_session": (lambda: with_bar("IWM", session=pd.Timestamp("2024-02-01")), [("IWM", date(2024, 2, 1))]),
    "in_universe": (lambda: with_bar("GME"), [("GME", SESSION)]),
    "on_a_session": (lambda: with_bar("IWM", session=pd.Timestamp("2024-01-15")), [("IWM", date(2024, 1, 15))]),
    "close_present": (lambda: changed("IWM", 7, close=None), [("IWM", DAYS[7])]),
    "prices_positive": (lambda: changed("IWM", 7, low=-1.0), [("IWM", DAYS[7])]),
    "bar_consistent": (lambda: changed("IWM", 7, high=50.0), [("IWM", DAYS[7])]),
    "volume_not_negative": (lambda: changed("IWM", 7, volume=-1), [("IWM", DAYS[7])]),
    "actions_plausible": (lambda: changed("IWM", 7, dividend=200.0), [("IWM", DAYS[7])]),
    "no_session_missing": (lambda: without("IWM", DAYS[7], SESSION), [("IWM", DAYS[7]), ("IWM", SESSION)]),
    "capital_gain_counted_once": (lambda: changed("IWM", 7, dividend=7.857, capital_gain=6.42), [("IWM", DAYS[7])]),
    "starts_at_inception": (lambda: without("VB", *DAYS[2:9]), [("VB", None)]),
}
#: What else such a batch fails, rightly.
TOO = {"not_after_session": {"on_a_session"}}


def test_every_expectation_has_a_case() -> None:
    """An expectation added to the suite without a batch that it must fail is noticed here."""
    of_answers = {"most_symbols_answered", "session_has_bars", "benchmark_complete"}
    # Prices of an index: tests/sql/core/test_context.py; blank distributions: tests/tasks/run/test_price_events.py.
    covered = {*BAD, *test_price_suite.CASES, "history_not_truncated", "index_plausible", "actions_known", *of_answers}
    assert covered == {e.id for suite in (suites.staged("prices"), suites.coverage()) for e in suite.expectations}


def test_good_batch_passes_everything(con: duckdb.DuckDBPyConnection) -> None:
    """Ordinary bars fail nothing, and each expectation was really checked."""
    put(con, good_frames())
    results = audit(con, suites.staged("prices"), suites.coverage())
    assert failed(results) == {}
    assert {(r.suite.table, r.raised, r.element_count, r.unexpected_count) for r in results} == {
        ("stage.prices", False, 98, 0),
        ("stage.answers", False, 5, 0),
    }


@pytest.mark.parametrize("expectation", BAD)
def test_bad_batch_fails(con: duckdb.DuckDBPyConnection, expectation: str) -> None:
    """A batch with one fault fails the expectation that is meant for it, which names the offending rows."""
    make, offenders = BAD[expectation]
    put(con, make())
    suite = suites.staged("prices")
    results = {r.expectation.id: r for r in audit(con, suite)}
    assert set(failed(list(results.values()))) == {expectation} | TOO.get(expectation, set())
    result = results[expectation]
    assert result.unexpected_count == len(offenders)
    assert result.details == result.expectation.sentence
    found = con.execute(f"select symbol, session from ({result.expectation.query}) order by all").fetchall()
    assert found == offenders


@pytest.mark.parametrize(
    "values",
    [{"open": 0.0}, {"close": float("inf"), "high": float("inf")}, {"close": -3.0, "low": -3.0}],
    ids=["zero", "infinite", "negative"],
)
def test_prices_that_are_none(con: duckdb.DuckDBPyConnection, values: dict[str, float]) -> None:
    """Zero, infinite and negative prices are all caught."""
    put(con, changed("IWM", 7, **values))
    assert "prices_positive" in failed(audit(con, suites.staged("prices")))


@pytest.mark.long_after(0)
@pytest.mark.parametrize(
    "values",
    [{"dividend": -0.1}, {"capital_gain": -0.1}, {"split_ratio": 0.0}, {"dividend": 50.0, "capital_gain": 60.0}],
)
def test_actions_that_are_none(con: duckdb.DuckDBPyConnection, values: dict[str, float]) -> None:
    """Negative distributions, distributions above the price and a split ratio of zero are all caught."""
    put(con, changed("IWM", 7, **values))
    assert set(failed(audit(con, suites.staged("prices")))) == {"actions_plausible"}


@pytest.mark.parametrize(("share", "is_refused"), [(1.0, True), (0.999, False)])
def test_all_of_the_price_cannot_be_distributed(con: duckdb.DuckDBPyConnection, share: float, is_refused: bool) -> None:
    """A distribution must be smaller than the close before it, which `total_return_index` divides by what remains of it."""
    before = float(good_frames()["IWM"]["close"].iloc[6])
    put(con, changed("IWM", 7, dividend=share * before))
    assert ("actions_plausible" in failed(audit(con, suites.staged("prices")))) == is_refused


def test_missing_quotes_are_no_fault(con: duckdb.DuckDBPyConnection) -> None:
    """A vendor that gives closes only, as some do, fails nothing."""
    put(
        con,
        {symbol: frame.assign(open=None, high=None, low=None, volume=None) for symbol, frame in good_frames().items()},
    )
    assert failed(audit(con, suites.staged("prices"))) == {}


def test_history_that_loses_bars(con: duckdb.DuckDBPyConnection) -> None:
    """Five bars withdrawn from a history pass, six fail and name the symbol as a whole."""
    put(con, good_frames())
    warehouse.load(con, "raw")
    warehouse.parameters(con, known_at=datetime(2024, 2, 2, tzinfo=UTC))
    put(con, without("IWM", *DAYS[3:8]))
    assert failed(audit(con, suites.staged("prices"))) == {}
    put(con, without("IWM", *DAYS[3:9]))
    results = [r for r in audit(con, suites.staged("prices")) if not r.success]
    assert [r.expectation.id for r in results] == ["history_not_truncated"]
    assert json.loads(results[0].examples[0]) == {
        "symbol": "IWM",
        "session": None,
        "bars_left_out": 6,
        "first_left_out": str(DAYS[3]),
        "last_left_out": str(DAYS[8]),
    }


def test_symbols_without_an_answer(con: duckdb.DuckDBPyConnection) -> None:
    """One of five symbols unanswered passes; two, more than a fifth, fail."""
    frames: dict[str, pd.DataFrame | str] = {**good_frames(), "IWM": "Gone."}
    put(con, frames)
    assert failed(audit(con, suites.coverage())) == {}
    put(con, {**frames, "IJR": "Gone."})
    assert failed(audit(con, suites.coverage())) == {"most_symbols_answered": 2}


def test_symbols_followed_for_their_flows_alone_do_not_block(con: duckdb.DuckDBPyConnection) -> None:
    """Symbols that breadth does not count may all be silent; of the others one of three is too many."""
    put(con, {**good_frames(), "IJR": "Gone.", "MDY": "Gone."})
    con.execute("update stage.universe set in_breadth = symbol not in ('IJR', 'MDY')")
    assert failed(audit(con, suites.coverage())) == {}
    put(con, {**good_frames(), "IWM": "Gone.", "IJR": "Gone.", "MDY": "Gone."})
    assert failed(audit(con, suites.coverage())) == {"most_symbols_answered": 1}


def test_benchmark_without_recent_bars(con: duckdb.DuckDBPyConnection) -> None:
    """A benchmark may lack a bar eleven sessions ago, not one of the last ten."""
    put(con, without("SPY", DAYS[9]))
    assert failed(audit(con, suites.coverage())) == {}
    put(con, without("SPY", DAYS[10]))
    assert failed(audit(con, suites.coverage())) == {"benchmark_complete": 1}


def test_a_session_without_any_bar(con: duckdb.DuckDBPyConnection) -> None:
    """One of the last ten sessions on which nothing traded is one finding, and not a fault of the benchmark; one bar is enough against it."""
    frames = good_frames()
    put(con, {symbol: frame[frame["session"] != pd.Timestamp(DAYS[12])] for symbol, frame in frames.items()})
    assert failed(audit(con, suites.coverage())) == {"session_has_bars": 1}
    put(con, {symbol: frame for symbol, frame in frames.items() if symbol != "SPY"} | without("SPY", DAYS[12]))
    assert "session_has_bars" not in failed(audit(con, suites.coverage()))


def test_check_that_raises_blocks(con: duckdb.DuckDBPyConnection) -> None:
    """An expectation that cannot be checked is not a pass and not a failure of the data: it blocks, whatever its severity."""
    put(con, good_frames())
    suite = suites.staged("prices")
    broken = replace(suite.expectations[-1], query="select no_such_column from stage.prices")
    results = audit(con, replace(suite, expectations=(*suite.expectations[:-1], broken)))
    assert [(r.expectation.id, r.raised, r.blocks) for r in results if not r.success] == [(broken.id, True, True)]
    assert "no_such_column" in str(results[-1].details)


def test_suite_that_cannot_be_run_blocks(con: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch) -> None:
    """When Great Expectations itself falls over, every expectation is unchecked and blocks."""
    put(con, good_frames())

    def fall(*_: object) -> None:
        raise RuntimeError("out of order")

    monkeypatch.setattr("market_rotation.tasks.audit.great_expectations.gx_suite", fall)
    results = audit(con, suites.staged("prices"))
    assert all(r.raised and r.blocks for r in results)
    assert results[0].details == "RuntimeError: out of order"


def test_audit_sees_and_keeps_the_open_transaction(con: duckdb.DuckDBPyConnection) -> None:
    """The audit reads uncommitted rows and neither commits nor rolls back what it was lent."""
    con.begin()
    put(con, changed("IWM", 7, close=None))
    assert set(failed(audit(con, suites.staged("prices")))) == {"close_present"}
    con.rollback()
    assert con.execute(
        "select count(*) from duckdb_tables() where schema_name = 'stage' and table_name = 'prices'"
    ).fetchone() == (0,)


def wrong(con: duckdb.DuckDBPyConnection, *broken: str) -> list[Result]:
    """The results on an ordinary batch, within a transaction, when these are the queries of the last expectations on prices."""
    put(con, good_frames())
    suite = suites.staged("prices")
    kept, last = suite.expectations[: -len(broken)], suite.expectations[-len(broken) :]
    faulty = tuple(replace(e, query=query) for e, query in zip(last, broken, strict=True))
    con.begin()
    try:
        return audit(con, replace(suite, expectations=kept + faulty), suites.coverage())
    finally:
        con.rollback()


def test_error_that_ends_the_transaction_is_named_first(con: duckdb.DuckDBPyConnection) -> None:
    """What could not be checked because another query's error ended the transaction names that one, which is the message's first."""
    results = wrong(con, "select symbol, session, error('out of range') from stage.prices", "from stage.prices limit 0")
    raised = [r for r in results if r.raised]
    (own,) = [r for r in raised if r.cause is None]
    assert own.expectation.id == suites.staged("prices").expectations[-2].id
    assert "out of range" in str(own.details)
    assert len(raised) > 1
    assert {(r.cause, r.details) for r in raised if r is not own} == {
        (
            f"{own.expectation.id} of stage.prices",
            f"the error of {own.expectation.id} of stage.prices ended the transaction",
        )
    }
    with pytest.raises(AuditFailed) as caught:
        stop_if_blocked(results)
    assert str(caught.value).startswith(f"{own.expectation.id}: It could not be checked (")
    assert "out of range" in str(caught.value)


def test_what_could_not_be_checked_comes_before_what_failed(con: duckdb.DuckDBPyConnection) -> None:
    """Of two reasons to block, the one of which nothing is known is the message's first."""
    put(con, with_bar("IWM"))
    suite = suites.staged("prices")
    broken = replace(suite.expectations[-1], query="select no_such_column from stage.prices")
    results = audit(con, replace(suite, expectations=(*suite.expectations[:-1], broken)))
    with pytest.raises(AuditFailed) as caught:
        stop_if_blocked(results)
    assert [f.expectation for f in caught.value.failures] == [broken.id, "one_row_per_bar"]
    assert " 1 more expectation failed. Nothing was published;" in str(caught.value)


def test_a_single_reason_is_all_that_is_said(con: duckdb.DuckDBPyConnection) -> None:
    """Where one expectation blocks, the message has no number of further ones."""
    put(con, with_bar("IWM"))
    with pytest.raises(AuditFailed) as caught:
        stop_if_blocked(audit(con, suites.staged("prices")))
    assert [f.expectation for f in caught.value.failures] == ["one_row_per_bar"]
    assert "more expectation" not in str(caught.value)


def test_braces_are_sql(con: duckdb.DuckDBPyConnection) -> None:
    """A query may hold braces, which are parameters to Great Expectations; what it yields is shown as it is."""
    put(con, good_frames())
    suite = suites.staged("prices")
    braces = replace(suite.expectations[0], query="select symbol, session, {a: close} as bar from stage.prices -- {b}")
    (result,) = audit(con, replace(suite, expectations=(braces,)))
    assert (result.raised, result.unexpected_count, len(result.examples)) == (False, 98, 98)
    assert json.loads(result.examples[0])["bar"] == {"a": 100.0}


def test_examples_are_those_that_were_counted(con: duckdb.DuckDBPyConnection) -> None:
    """The result has the offending rows of a failure, up to the requested limit, with ISO dates."""
    put(con, changed("IWM", 7, close=None))
    results = audit(con, suites.staged("prices"))
    con.execute("drop table stage.prices")
    (failure,) = failures(results, 3)
    assert (failure.dataset, failure.expectation, failure.rows) == ("prices", "close_present", 1)
    assert json.loads(failure.examples[0])["session"] == str(DAYS[7])


def test_context_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two threads that need Great Expectations at the same time get the same context, which is made once."""
    from market_rotation.tasks.audit import great_expectations

    made: list[object] = []
    together, late = threading.Barrier(2), threading.Event()

    def slowly() -> object:
        made.append(object())
        # Were there no lock, the other thread would come in here.
        late.wait(0.2)
        return made[-1]

    def ask() -> object:
        together.wait(5)
        return great_expectations.context()

    monkeypatch.setattr(great_expectations, "_made", [])
    monkeypatch.setattr(great_expectations, "_new_context", slowly)
    with ThreadPoolExecutor(2) as pool:
        first, second = (future.result() for future in [pool.submit(ask), pool.submit(ask)])
    assert first is second
    assert len(made) == 1
