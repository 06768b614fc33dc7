"""The suites: faults in their files are reported, expectations that follow from a header are generated, and every suite runs exactly once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import duckdb
import pandas as pd
import pytest
import world

from market_rotation.tasks.audit import generated, suites
from market_rotation.tasks.audit.expectations import parse
from market_rotation.tasks.audit.run import audit
from market_rotation.tasks.datasets import DATASETS
from market_rotation.tasks.errors import ConfigError
from market_rotation.tasks.warehouse import incremental
from market_rotation.tasks.warehouse.models import models

MODELS = {model.name: model for model in models()}

HEADER = "-- stage.prices: the bars.\n\n"
GOOD = """\
-- expectation: fine
-- severity: warning
-- column: close
-- sentence: A sentence of
--   two lines.
with bars as (from stage.prices)
-- A comment; with a semicolon.
select symbol, session from bars where close = ';';
"""


def read(tmp_path: Path, text: str) -> str:
    """The sentence with which a file of expectations on stage.prices is refused, without its folder."""
    path = tmp_path / "prices.sql"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        parse(path, "stage.prices")
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(f"{tmp_path}/")


def test_file_is_read(tmp_path: Path) -> None:
    """A file gives what its header says and each expectation with its query, which is as written but for the semicolon."""
    (tmp_path / "prices.sql").write_text(
        HEADER + GOOD + "\n" + GOOD.replace("fine", "finer").replace("-- column: close\n", "")
    )
    found = parse(tmp_path / "prices.sql", "stage.prices")
    assert (found.about, found.dataset) == ("the bars.", None)
    assert [(e.id, e.column) for e in found.expectations] == [("fine", "close"), ("finer", None)]
    (fine, _) = found.expectations
    assert (fine.severity, fine.sentence) == ("warning", "A sentence of two lines.")
    assert fine.query == GOOD[GOOD.index("with bars") :].rstrip().removesuffix(";")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "prices.sql has no expectation; begin one with the line `-- expectation: identifier`."),
        (GOOD, "line 1: the header does not begin with `-- stage.prices: …`; say there what the table holds."),
        ("-- stage.bars: x\n" + GOOD, "line 1: the key 'stage.bars' is unknown; use one of stage.prices, dataset."),
        (HEADER + "select 1;\n" + GOOD, "line 3: an expectation has no header; begin it with"),
        (HEADER + GOOD + GOOD, "line 11: the expectation fine appears twice; give one of them another identifier."),
        (HEADER + GOOD.replace("severity: warning", "severity: fatal"), "line 3: the severity of fine is 'fatal'; choose one of critical, warning, info."),
        (HEADER + GOOD.replace("-- severity: warning\n", ""), "line 3: the expectation fine has no severity; add the line `-- severity: …`."),
        (HEADER + GOOD.replace("-- sentence: A sentence of\n--   two lines.\n", ""), "line 3: the expectation fine has no sentence; add"),
        (HEADER + GOOD.replace("column", "colunm"), "line 5: the key 'colunm' is unknown; use one of expectation, severity, column, sentence."),
        (HEADER + GOOD.replace("column: close", "severity: info"), "line 5: the key 'severity' appears twice; remove one of the two lines."),
        (HEADER + GOOD.replace("fine", "Not fine"), "line 3: 'Not fine' is not an identifier; use lower-case letters"),
        (HEADER + GOOD[: GOOD.index("with bars")], "line 3: the expectation fine has no select; write the query below"),
        (HEADER + GOOD + "select 2;\n", "line 3: the expectation fine has 2 statements; give each an `-- expectation:` header."),
        (HEADER + GOOD.rstrip().removesuffix(";"), "line 3: the query of fine does not end with a semicolon; add it"),
        (HEADER + GOOD.replace("from bars where", "form bars where"), "line 3: the query of fine is not SQL (Parser Error"),
        (HEADER + GOOD[: GOOD.index("with bars")] + "drop table raw.prices;\n", "line 3: the statement of fine is not a select; write a query"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(tmp_path: Path, text: str, said: str) -> None:
    """Each fault of a file is one sentence with the file, the line, the fault and the remedy."""
    assert said in read(tmp_path, text)


def test_table_without_expectations(tmp_path: Path) -> None:
    """A table without any expectation is an error that names the file to write."""
    with pytest.raises(ConfigError, match=r"no expectations on stage\.bars; write them into .*stage/bars\.sql\.$"):
        suites.load("stage.bars")
    with pytest.raises(ConfigError, match=r"stage/bars\.sql does not say which dataset stage\.bars belongs to"):
        (tmp_path / "stage").mkdir()
        (tmp_path / "stage" / "bars.sql").write_text((HEADER + GOOD).replace("stage.prices:", "stage.bars:"))
        suites.load("stage.bars", tmp_path)


def test_what_is_generated_is_not_written(tmp_path: Path) -> None:
    """An expectation that follows from the header of the table is refused in its file."""
    (tmp_path / "stage").mkdir()
    (tmp_path / "stage" / "prices.sql").write_text(HEADER + GOOD.replace("fine", "one_row_per_bar"))
    with pytest.raises(
        ConfigError, match=r"has the expectation one_row_per_bar, which follows from the header .* remove it"
    ):
        suites.load("stage.prices", tmp_path)


def test_every_suite_is_run_once() -> None:
    """A run checks each suite once, and each suite is about an existing table."""
    run = [suites.staged(dataset) for dataset in DATASETS] + [suites.coverage()] + suites.derived()
    assert Counter(suite.table for suite in run) == Counter(suites.names())
    assert set(suites.names()) <= {model.name for model in models()} | {"stage.answers"}
    for suite in run:
        for e in suite.expectations:
            assert e.sentence.endswith("."), e.id
            assert e.sentence[0].isupper() or e.sentence.startswith(f"{suite.table} "), e.id
        assert suite.dataset == (suite.table.removeprefix("stage.") if suite.table != "stage.answers" else "prices")


def test_derived_tables_are_checked_in_the_order_of_their_sources() -> None:
    """A table is checked after those it reads, so that a fault is named before what follows from it."""
    order = [suite.table for suite in suites.derived()]
    reads = {model.name: model.reads for model in models()}
    for place, table in enumerate(order):
        assert not reads[table] & set(order[place + 1 :]), table


@pytest.fixture(scope="module")
def market() -> Iterator[duckdb.DuckDBPyConnection]:
    """Seventy sessions of ten instruments, with fund records, holdings and estimates: every derived table but core.fund_facts and core.context has rows."""
    import test_signal_suite

    members = test_signal_suite.members()
    count = 70
    with world.derived(
        test_signal_suite.prices(members, count),
        members,
        test_signal_suite.DAYS[count - 1],
        **few(test_signal_suite.fetched()),
    ) as con:
        yield con


def few(frames: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The same frames, with holdings and estimates of the 41st session."""
    moved = dict(frames)
    for name in ("holdings", "earnings_growth"):
        moved[name] = frames[name].assign(as_of=pd.Timestamp(world.days()[40]))
    return moved


@contextmanager
def undone(con: duckdb.DuckDBPyConnection) -> Iterator[None]:
    con.begin()
    try:
        yield
    finally:
        con.rollback()


DERIVED = [table for table in generated.tables() if not table.startswith("stage.")]


def found(con: duckdb.DuckDBPyConnection, table: str) -> dict[str, int]:
    """How many rows each generated expectation on the table names, of those that name any."""
    counts = {e.id: len(con.execute(e.query).fetchall()) for e in generated.expectations(table)}
    return {name: count for name, count in counts.items() if count}


@pytest.mark.parametrize("table", DERIVED)
def test_generated_expectations(market: duckdb.DuckDBPyConnection, table: str) -> None:
    """A derived table passes what is generated for it; a row that is there twice fails one, a row too few or too many the other."""
    assert found(market, table) == {}
    (count,) = market.execute(f"select count(*) from {table}").fetchone() or (0,)
    if table in ("core.fund_facts", "core.context", "core.unknown_distributions"):
        assert count == 0
        return
    name = table.split(".")[1]
    with undone(market):
        market.execute(f"insert into {table} from {table} where rowid = 0")
        assert found(market, table) == {f"{name}_one_row_per_grain": 1}
    lost = [e.id for e in generated.expectations(table) if e.id != f"{name}_one_row_per_grain"]
    with undone(market):
        market.execute(f"delete from {table} where rowid = 0")
        assert found(market, table) == dict.fromkeys(lost, 1)
    if lost:
        with undone(market):
            market.execute(
                f"insert into {table} select * replace (date '1999-01-04' as session) from {table} where rowid = 0"
            )
            assert found(market, table) == {lost[0]: 1}


@pytest.mark.parametrize("table", [table for table in DERIVED if incremental.is_incremental(MODELS[table])])
def test_generated_expectations_check_the_sessions_that_a_run_computed(
    market: duckdb.DuckDBPyConnection, table: str
) -> None:
    """Where a run computed the last session alone, a row of it that is there twice or lost fails; earlier rows were checked by an earlier run."""
    (last,) = market.execute(f"select max(session) from {table}").fetchone() or (None,)
    if last is None:
        assert table == "core.unknown_distributions"
        return
    name = table.split(".")[1]
    lost = [e.id for e in generated.expectations(table) if e.id != f"{name}_one_row_per_grain"]
    incremental.remember_computed(market, MODELS[table], last)
    try:
        with undone(market):
            market.execute(f"insert into {table} from {table} where session = $1 limit 1", [last])
            assert found(market, table) == {f"{name}_one_row_per_grain": 1}
        with undone(market):
            (rows,) = market.execute(f"delete from {table} where session = $1", [last]).fetchone() or (0,)
            assert found(market, table) == dict.fromkeys(lost, rows)
        with undone(market):
            market.execute(f"insert into {table} from {table} where session < $1 limit 1", [last])
            assert found(market, table) == {}
    finally:
        incremental.remember_computed(market, MODELS[table])


def test_generated_expectations_are_those_of_the_headers() -> None:
    """Every derived table and each dataset whose rows stand alone has one row per grain; the tables that must be complete are these."""
    assert {e.severity for table in generated.tables() for e in generated.expectations(table)} == {"critical"}
    wanted = {m.name for m in models() if m.kind == "derived" and m.name.startswith(("core.", "signals."))}
    wanted |= {f"stage.{dataset.name}" for dataset in DATASETS.values() if dataset.is_rejected_by_row}
    assert set(generated.tables()) == wanted
    complete = {e.id for table in generated.tables() for e in generated.expectations(table) if "one_row" not in e.id}
    assert complete >= {
        "breadth_every_session",
        "mega_cap_every_session",
        "rotation_regime_every_session",
        "returns_no_row_lost",
    }


def test_rows_that_are_not_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    """A `rows:` of a header that is not one of the two forms is refused, naming the file and the forms."""
    model = next(model for model in models() if model.name == "signals.breadth")
    odd = replace(model, header={**model.header, "rows": "most sessions"})
    monkeypatch.setattr(generated, "models", lambda: (odd,))
    with pytest.raises(
        ConfigError, match=r"breadth\.sql: `rows: most sessions` is not understood; write `every session"
    ):
        suites.load("signals.breadth")


def test_warning_on_a_derived_table_is_kept(tmp_path: Path) -> None:
    """A warning on a signal table sets its rows on record under the table's name, whatever the table's columns are called."""
    from market_rotation.tasks.audit import quarantine
    from market_rotation.tasks.audit.expectations import Expectation
    from market_rotation.tasks.run import stage

    days = world.days()[:30]
    members = world.universe(world.instrument("SPY"), world.instrument("IWM"), pairs=[("IWM", "SPY")])
    frames = [world.bars(symbol, [100.0 + i for i in range(30)]) for symbol in members.symbols]
    with world.derived(frames, members, days[-1]) as con:
        query = "select pair as symbol, session, ratio from signals.relative_strength order by session limit 1"
        odd = Expectation("odd", "warning", "The ratio is odd.", query)
        suite = replace(suites.load("signals.relative_strength"), expectations=(odd,))
        results = audit(con, suite)
        stage.put_offers(con, [])
        con.execute("create or replace table stage.estimated_companies (symbol varchar)")
        quarantine.begin(con)
        quarantine.collect(con, results)
        quarantine.record(con, "r1")
        entry = "select dataset, symbol, session, expectation, resolved_at is null from ops.quarantine"
        assert con.sql(entry).fetchall() == [("signals.relative_strength", "IWM/SPY", days[0], "odd", True)]
        quarantine.resolve(con, results)
        assert con.sql(entry).fetchall()[0][-1]
        healed = audit(con, replace(suite, expectations=(replace(odd, query=f"from ({query}) limit 0"),)))
        quarantine.begin(con)
        quarantine.resolve(con, healed)
        assert not con.sql(entry).fetchall()[0][-1]
