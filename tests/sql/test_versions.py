"""Versions of what vendors say: what is staged, kept in raw, listed in ops.revisions and shown in core, for every dataset alike."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest
import world

from market_rotation.tasks import calendar, warehouse
from market_rotation.tasks.datasets import DATASETS
from market_rotation.tasks.run import pipeline, stage
from market_rotation.tasks.run.fetch import Answer, Request
from market_rotation.tasks.sources.base import typed
from market_rotation.tasks.universe import Universe

DAYS = world.days()
FIRST, SECOND, THIRD = (datetime(2024, 1, day, 23, tzinfo=UTC) for day in (4, 5, 8))
MEMBERS = world.universe(world.instrument("SPY"), world.instrument("IWM"), pairs=[("IWM", "SPY")])

#: Columns in which a difference is no restatement: the source and how it counts shares, the answer that the values were read from, and a
#: close that every later dividend rescales.
NOT_COMPARED = {"source", "share_count_basis", "answer", "vendor_adj_close"}
#: A value of each type of column, another one, and how SQL gives them back.
PLAIN: dict[str, tuple[Any, Any]] = {
    "float64": (10.0, 11.0),
    "object": ("words", "other words"),
    "datetime64[s]": (date(2024, 12, 31), date(2025, 1, 31)),
}
#: A constituent with another ticker or name is another constituent.
COMPARED = [
    (dataset.name, column)
    for dataset in DATASETS.values()
    for column in dataset.values
    if column not in NOT_COMPARED and not (dataset.name == "holdings" and column in ("symbol", "name"))
]


def rows(dataset: str, *changes: dict[str, Any]) -> pd.DataFrame:
    """A frame of `dataset` with one row per item of `changes`, of IWM on the second session unless the item says otherwise."""
    registered = DATASETS[dataset]
    plain = {column: PLAIN[kind][0] for column, kind in registered.columns.items()}
    plain |= {registered.symbol: "IWM", registered.day: pd.Timestamp(DAYS[1])}
    return typed(pd.DataFrame([plain | change for change in changes]), registered.columns)


@contextmanager
def opened(members: Universe = MEMBERS) -> Iterator[duckdb.DuckDBPyConnection]:
    with warehouse.writing(Path(":memory:")) as con:
        refer(con, members)
        yield con


def refer(con: duckdb.DuckDBPyConnection, members: Universe) -> None:
    stage.put_references(con, members, calendar.load(date(2005, 1, 3), date(2026, 11, 20)), DAYS[0], DAYS[4])


def take_in(con: duckdb.DuckDBPyConnection, known_at: datetime, **fetched: pd.DataFrame) -> tuple[int, int]:
    """Stages, loads and derives what was fetched; returns how many rows were new and how many revised."""
    warehouse.parameters(
        con,
        run_id=f"run of {known_at:%d}",
        known_at=known_at,
        source="test",
        target_session=DAYS[4],
        history_start=DAYS[0],
    )
    stage.put_answers(
        con, [Answer(Request(name, "IWM", DAYS[0], DAYS[4]), frame, None) for name, frame in fetched.items()]
    )
    warehouse.build(con, *pipeline.BATCHES, "stage.counts")
    warehouse.load(con, "raw")
    warehouse.build(con, *pipeline.DERIVED)
    new, revised = con.execute("select sum(rows_new), sum(rows_revised) from stage.counts").fetchone() or (0, 0)
    return int(new), int(revised)


def everything(*changes: dict[str, Any]) -> dict[str, pd.DataFrame]:
    return {dataset: rows(dataset, *(changes or ({},))) for dataset in DATASETS}


@pytest.mark.long_after(1)
@pytest.mark.parametrize(("dataset", "column"), COMPARED)
def test_a_corrected_value_is_a_new_version(dataset: str, column: str) -> None:
    """Whichever value a vendor corrects for the same day: raw has both versions, ops.revisions lists the change, core shows the newer."""
    old, new = PLAIN[DATASETS[dataset].columns[column]]
    with opened() as con:
        assert take_in(con, FIRST, **everything()) == (len(DATASETS), 0)
        assert take_in(con, SECOND, **everything() | {dataset: rows(dataset, {column: new})}) == (0, 1)
        found = con.execute(f"select {column}, known_at, run_id from raw.{dataset} order by known_at").fetchall()
        assert found == [(old, FIRST, "run of 04"), (new, SECOND, "run of 05")]
        assert con.execute(
            "select dataset, symbol, session, column_name, coalesce(old_value::varchar, old_text), "
            "coalesce(new_value::varchar, new_text), constituent, known_at, run_id from ops.revisions"
        ).fetchall() == [
            (
                dataset,
                "IWM",
                DAYS[1],
                column,
                str(old),
                str(new),
                None if dataset != "holdings" else "words",
                SECOND,
                "run of 05",
            )
        ]
        # core.prices has the sum of dividend and capital gain; core.fund_nav has NAV x shares where the published assets differ by over 20 %.
        if column not in ("dividend", "capital_gain", "total_net_assets_usd") or dataset == "fund_facts":
            assert con.execute(f"select {column}, known_at from core.{dataset}").fetchall() == [(new, SECOND)]
        # The earlier version still answers what was known then.
        known = con.execute(f"select {column} from fn.{dataset}_known_at($1)", [SECOND - timedelta(seconds=1)])
        assert known.fetchall() == [(old,)]


@pytest.mark.long_after(1)
@pytest.mark.parametrize(("dataset", "column"), COMPARED)
def test_a_value_that_comes_or_goes_is_a_revision(dataset: str, column: str) -> None:
    """A value that the vendor takes back, and later gives again, is a version each time, with NULL on one side."""
    with opened() as con:
        take_in(con, FIRST, **{dataset: rows(dataset, {})})
        assert take_in(con, SECOND, **{dataset: rows(dataset, {column: None})}) == (0, 1)
        assert take_in(con, THIRD, **{dataset: rows(dataset, {})}) == (0, 1)
        found = con.execute(
            "select coalesce(old_value::varchar, old_text), coalesce(new_value::varchar, new_text) from ops.revisions"
        ).fetchall()
        given = str(PLAIN[DATASETS[dataset].columns[column]][0])
        assert found == [(given, None), (None, given)]


def test_the_same_answer_again_adds_nothing() -> None:
    """What is known already is staged for no dataset, the noise of single precision included."""
    with opened() as con:
        take_in(con, FIRST, **everything())
        noisy = {
            name: frame.assign(
                **{c: frame[c] * (1 + 1e-8) for c in frame.columns if DATASETS[name].columns[c] == "float64"}
            )
            for name, frame in everything().items()
        }
        assert take_in(con, SECOND, **noisy) == (0, 0)
        for dataset in DATASETS:
            assert con.execute(f"select count(*) from raw.{dataset}").fetchone() == (1,), dataset
        assert con.execute("select count(*) from ops.revisions").fetchone() == (0,)


@pytest.mark.long_after(0)
def test_a_holdings_file_is_replaced_as_a_whole() -> None:
    """A corrected file is one version: what it no longer lists is gone from core, and all its changes are listed."""
    cash = {"symbol": None, "name": "Cash", "weight": 0.1}
    with opened() as con:
        take_in(
            con,
            FIRST,
            holdings=rows("holdings", {"symbol": "A", "weight": 0.5}, {"symbol": "B", "weight": 0.3}, cash, cash),
        )
        corrected = rows(
            "holdings", {"symbol": "A", "weight": 0.5}, {"symbol": "C", "weight": 0.3}, cash, cash | {"weight": 0.2}
        )
        assert take_in(con, SECOND, holdings=corrected) == (1, 2)
        assert con.execute("select symbol, weight, known_at from core.holdings order by rank").fetchall() == [
            ("A", 0.5, SECOND),
            ("C", 0.3, SECOND),
            (None, 0.2, SECOND),
            (None, 0.1, SECOND),
        ]
        assert con.execute("select constituent, old_value, new_value from ops.revisions").fetchall() == [
            ("B", 0.3, None),
            ("C", None, 0.3),
            ("Cash", 0.2, pytest.approx(0.3)),
        ]
        # Only a removal: the remaining rows are unchanged.
        shorter = corrected[corrected["symbol"] != "C"]
        assert take_in(con, THIRD, holdings=shorter) == (0, 1)
        assert con.execute("select count(*) from core.holdings").fetchone() == (3,)
        assert take_in(con, THIRD + timedelta(days=1), holdings=shorter) == (0, 0)


@pytest.mark.long_after(0)
def test_an_emptied_pairs_file_empties_core_pairs() -> None:
    """Pairs that the file no longer lists are followed no more, also when it lists none; raw keeps all versions."""
    with opened() as con:
        take_in(con, FIRST)
        refer(con, world.universe(*MEMBERS.instruments))
        take_in(con, SECOND)
        assert con.execute("select count(*) from core.pairs").fetchone() == (0,)
        assert con.execute("select count(*) from signals.relative_strength").fetchone() == (0,)
        take_in(con, SECOND + timedelta(hours=1))
        assert con.execute("select known_at, is_withdrawn from raw.pairs order by all").fetchall() == [
            (FIRST, False),
            (SECOND, True),
        ]
        refer(con, MEMBERS)
        take_in(con, THIRD)
        assert con.execute("select pair, known_at from core.pairs").fetchall() == [("IWM/SPY", THIRD)]
        known = con.execute("select small_symbol from fn.pairs_known_at($1)", [THIRD - timedelta(seconds=1)])
        assert known.fetchall() == []


def test_a_symbol_taken_out_of_the_universe_is_followed_no_more() -> None:
    """A symbol that the universe file no longer lists leaves core; its data stays in raw."""
    with opened() as con:
        take_in(con, FIRST, prices=rows("prices", {"symbol": "SPY"}, {"symbol": "IWM"}))
        refer(con, world.universe(MEMBERS.instruments[0]))
        take_in(con, SECOND)
        assert con.execute("select symbol from core.instruments").fetchall() == [("SPY",)]
        assert con.execute("select distinct symbol from core.prices").fetchall() == [("SPY",)]
        assert con.execute(
            "select symbol, is_withdrawn from raw.universe where known_at = $1 order by all", [SECOND]
        ).fetchall() == [
            ("IWM", True),
            ("SPY", False),
        ]
        assert con.execute("select count(distinct symbol) from raw.prices").fetchone() == (2,)
