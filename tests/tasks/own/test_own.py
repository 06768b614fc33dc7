"""Signals and expectations of the user's own: derived, audited, documented, rebuilt and shown; a faulty file stops nothing."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import world

from market_rotation.tasks import warehouse
from market_rotation.tasks.errors import ConfigError
from market_rotation.tasks.own import derive, files
from market_rotation.tasks.report.exhibits import own as shown
from market_rotation.tasks.report.page import cells
from market_rotation.tasks.settings import load_settings
from market_rotation.tasks.warehouse.rebuild import rebuild

HOME, PUBLISHED = Path("warehouse"), Path("warehouse/rotation.duckdb")
DAYS = world.days(date(2024, 1, 2))
GAP = """\
-- signals.gap: the daily return of IWM less that of SPY.
-- grain: session
-- columns:
--   session: XNYS trading date
--   spread_1d: fraction
with small as (from core.prices where symbol = 'IWM')
select s.session, s.return_1d - l.return_1d as spread_1d
from small as s
join core.prices as l on l.session = s.session and l.symbol = 'SPY'
order by s.session
"""
STREAK = """\
select session, spread_1d > 0 as is_leading from signals.gap
"""
EXPECTED = """\
-- signals.gap: the spread is plausible.

-- expectation: gap_plausible
-- severity: {severity}
-- column: spread_1d
-- sentence: The spread is larger than 1 %.
select 'IWM' as symbol, session, spread_1d from signals.gap where abs(spread_1d) > 0.01;
"""


pytestmark = pytest.mark.usefixtures("two_symbols")


def market() -> world.FakeSource:
    """SPY hardly moves; IWM gains 1 USD of 100 a session."""
    return world.FakeSource(
        {
            "SPY": world.bars("SPY", [400.0 + 0.01 * i for i in range(8)]),
            "IWM": world.bars("IWM", [100.0 + i for i in range(8)]),
        }
    )


def write(name: str, text: str) -> Path:
    path = HOME / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def query(sql: str) -> list[tuple[Any, ...]]:
    with warehouse.reading(PUBLISHED) as con:
        return con.execute(sql).fetchall()


def own_tables() -> list[str]:
    with warehouse.reading(PUBLISHED) as con:
        return derive.tables(con)


def incidents() -> list[tuple[Any, ...]]:
    return query("select kind, fingerprint from ops.alerts order by created_at, fingerprint")


def test_a_signal_is_derived_documented_and_rebuilt() -> None:
    """A file is a table with its rows and comments, another file can read it, and `rebuild --as-of` derives it as known then."""
    write("sql/signals/gap.sql", GAP)
    write("sql/signals/a_streak.sql", STREAK)
    source = market()
    assert world.run(source, DAYS[2]).status == "published"
    assert world.run(source, DAYS[3]).status == "published"
    found = query("from signals.gap")
    assert found[0] == (DAYS[0], None)
    assert found[1:] == [(DAYS[i], pytest.approx(1 / (99 + i), abs=1e-4)) for i in (1, 2, 3)]
    assert query("select count(*) filter (is_leading) from signals.a_streak") == [(3,)]
    assert query("select comment from duckdb_columns() where table_name = 'gap' and column_name = 'spread_1d'") == [
        ("fraction",)
    ]
    ((comment,),) = query("select comment from duckdb_tables() where table_name = 'gap'")
    assert comment.startswith("signals.gap: the daily return of IWM less that of SPY.\ngrain: session")
    assert query("select distinct expectation, success from ops.validations where dataset = 'signals.gap'") == [
        ("gap_one_row_per_grain", True)
    ]
    assert incidents() == []
    then = datetime(2024, 1, 4, 23, 45, tzinfo=UTC)
    made = rebuild(load_settings(), then, Path("then.duckdb"), datetime(2024, 2, 1, tzinfo=UTC))
    with warehouse.reading(made.path) as con:
        assert con.execute("select max(session), count(*) from signals.gap").fetchall() == [(DAYS[2], 3)]


@pytest.mark.long_after(0)
def test_a_new_file_is_derived_without_new_data_and_a_removed_one_leaves_no_table() -> None:
    """A file that is added, changed or removed changes the fingerprint, so the next run derives; a removed table is dropped."""
    source = market()
    assert world.run(source, DAYS[3]).status == "published"
    assert own_tables() == []
    path = write("sql/signals/gap.sql", GAP)
    assert world.run(source, DAYS[3]).status == "published"
    assert own_tables() == ["signals.gap"]
    assert world.run(source, DAYS[3]).status == "up_to_date"
    write("sql/signals/gap.sql", GAP.replace("s.return_1d - l.return_1d", "100.0"))
    assert world.run(source, DAYS[3]).status == "published"
    assert query("select max(spread_1d) from signals.gap") == [(100.0,)]
    path.unlink()
    assert world.run(source, DAYS[3]).status == "published"
    assert own_tables() == []


@pytest.mark.long_after(0)
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("select * from core.price", "warehouse/sql/signals/gap.sql reads core.price, which does not exist; did you mean core.prices."),
        ("select * from signals.prises_x", "reads signals.prises_x, which does not exist; "),
        ("select * from raw.prices", "reads raw.prices; a signal reads tables and macros of core and signals alone"),
        ("select * from 'prices.csv'", "reads prices.csv; a signal reads"),
        ("select * from read_csv('prices.csv')", "reads read_csv(); a signal reads"),
        ("select * from prices", "reads prices; a signal reads tables and macros of core and signals alone, by their full names"),
        ("select * form core.prices", "line 1"),
        ("with small as (from core. 'IWM') select * from small", "DuckDB says: Parser Error: syntax error at or near"),
        ("select " + "(" * 3000 + "1" + ")" * 3000 + " as a", "warehouse/sql/signals/gap.sql"),
        ("select getvariable() as a from core.prices", "getvariable"),
        ("select no_such_column from core.prices", 'Referenced column "no_such_column" not found'),
        ("select error('out of range') as a from core.prices", "DuckDB says: Invalid Input Error: out of range"),
        ("select 1 as a; select 2 as a", "is not one `select`; write the query of one table."),
        ("create or replace macro signals.gap() as 1", "is not one `select`"),
        ("", "holds no statement"),
        ("select * from core.prices where session = getvariable('target_session')", "reads the variable 'target_session'"),
        ("-- signals.gap: x\n-- columns:\n--   no_such: x\nselect session from core.sessions", "no_such"),
    ],
)  # fmt: skip
def test_a_broken_file_is_one_incident_and_publishes_no_table(text: str, said: str) -> None:
    """The run is published with all of the project's tables; the incident names the file and the reason; no stale table is left."""
    write("sql/signals/gap.sql", text)
    home = load_settings().home
    universe = world.universe(world.instrument("SPY"), world.instrument("IWM"), pairs=[("IWM", "SPY")])
    with world.derived(list(market().frames.values()), universe, DAYS[3]) as con:
        con.execute("create table signals.gap as select 1 as stale")
        outcome = derive.derive(con, home)
        assert derive.tables(con) == []
        assert con.execute("select count(*) from signals.breadth").fetchone() == (4,)
    ((file, what),) = [(fault.file, fault.what) for fault in outcome.faults]
    assert file == "sql/signals/gap.sql"
    assert said in what
    assert "\n" not in what


def test_faults_that_lead_to_others_name_their_cause() -> None:
    """What reads a broken file says so, and files that read each other in a cycle are all named."""
    write("sql/signals/gap.sql", "select error('no') as session, 1.0 as spread_1d from core.prices")
    write("sql/signals/streak.sql", STREAK)
    write("sql/signals/fine.sql", "select session from core.sessions")
    universe = world.universe(world.instrument("SPY"), world.instrument("IWM"), pairs=[("IWM", "SPY")])
    with world.derived(list(market().frames.values()), universe, DAYS[3]) as con:
        faults = {fault.file: fault.what for fault in derive.derive(con, HOME).faults}
        assert derive.tables(con) == ["signals.fine"]
        assert (
            faults["sql/signals/streak.sql"] == "It reads signals.gap, which was not derived; correct that file first."
        )
        write("sql/signals/gap.sql", "select session, is_leading as spread_1d from signals.streak")
        faults = {fault.file: fault.what for fault in derive.derive(con, HOME).faults}
    assert set(faults) == {"sql/signals/gap.sql", "sql/signals/streak.sql"}
    assert "cycle" in faults["sql/signals/gap.sql"]


@pytest.mark.long_after(0)
def test_a_broken_file_is_alerted_once_and_recovers() -> None:
    """One alert when the file breaks, none while it stays broken, one recovery when it is corrected; the project's tables go on."""
    write("sql/signals/gap.sql", GAP)
    source = market()
    world.run(source, DAYS[2])
    write("sql/signals/gap.sql", GAP.replace("core.prices as l", "core.no_such as l"))
    assert world.run(source, DAYS[3]).status == "published"
    assert world.run(source, DAYS[3], now=datetime(2024, 1, 5, 23, 45, tzinfo=UTC)).status == "up_to_date"
    assert own_tables() == []
    assert query("select max(session) from signals.breadth") == [(DAYS[3],)]
    assert incidents() == [("failure", "own:sql/signals/gap.sql")]
    write("sql/signals/gap.sql", GAP)
    world.run(source, DAYS[4])
    assert incidents()[1:] == [("recovery", "own:sql/signals/gap.sql")]
    assert own_tables() == ["signals.gap"]


@pytest.mark.long_after(0)
@pytest.mark.parametrize(("severity", "kept"), [("critical", False), ("warning", True), ("info", True)])
def test_expectations_of_ones_own(severity: str, kept: bool) -> None:
    """A failed critical expectation drops the table, a failed warning keeps it, both are incidents; info is recorded alone."""
    write("sql/signals/gap.sql", GAP)
    write("expectations/gap.sql", EXPECTED.format(severity=severity).replace("0.01", "0.009"))
    run = world.run(market(), DAYS[3])
    assert run.status == "published"
    assert own_tables() == (["signals.gap"] if kept else [])
    assert query("select severity, unexpected_count from ops.validations where expectation = 'gap_plausible'") == [
        (severity, 3)
    ]
    expected = [] if severity == "info" else [("failure", "own:expectations/gap.sql")]
    assert incidents() == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("-- signals.nothing: x\n", "line 1: there is no table signals.nothing"),
        ("-- raw.prices: x\n", "line 1: the header does not name a table; begin with `-- signals.name: what the table holds`."),
        ("-- signals.breadth: x\n\n-- expectation: breadth_every_session\n-- severity: info\n-- sentence: x\nselect 1;\n", "the expectation breadth_every_session of signals.breadth cannot be replaced"),
        ("-- core.prices: x\n\n-- expectation: a\n-- severity: grave\n-- sentence: x\nselect 1;\n", "the severity of a is 'grave'"),
    ],
)  # fmt: skip
def test_a_broken_file_of_expectations_is_a_fault(text: str, said: str) -> None:
    """Each fault names the file and the remedy, and replaces no expectation of the project."""
    write("expectations/own.sql", text)
    found, (fault,) = files.expectations(HOME, [])
    assert found == []
    assert fault.file == "expectations/own.sql"
    assert said in fault.what


@pytest.mark.long_after(0)
def test_expectations_on_the_projects_tables_never_stop_a_run() -> None:
    """A critical one of the user's on core.prices that fails is an incident; everything is published."""
    write(
        "expectations/prices.sql",
        "-- core.prices: mine.\n\n-- expectation: never_100\n-- severity: critical\n-- sentence: A close is 100.\n"
        "select symbol, session, close from core.prices where close = 100;\n",
    )
    assert world.run(market(), DAYS[3]).status == "published"
    assert query("select max(session) from core.prices") == [(DAYS[3],)]
    assert incidents() == [("failure", "own:expectations/prices.sql")]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("sql/signals/breadth.sql", "has the name of signals.breadth, which cannot be replaced; rename the file."),
        ("sql/signals/BREADTH.sql", "has the name of signals.breadth, which cannot be replaced; rename the file."),
        ("sql/core/prices.sql", "is not read, since only signals can be added; move it to"),
    ],
)
def test_nothing_of_the_project_can_be_replaced(name: str, said: str) -> None:
    """A file with the name of a table of the project, or in another schema, is an error of the configuration."""
    write(name, "select 1 as a")
    with pytest.raises(ConfigError, match=said):
        world.run(market(), DAYS[3])


def test_the_report_shows_it_as_a_table() -> None:
    """The rows of the report's session, with the sentence of the header and the units that the names say; later rows are not in it."""
    write(
        "sql/signals/gap.sql",
        GAP.replace("as spread_1d", "as spread_1d, 5e9 as moved_usd, 12.5 as share_pct, 3 as n, 'x' as word"),
    )
    universe = world.universe(world.instrument("SPY"), world.instrument("IWM"), pairs=[("IWM", "SPY")])
    with world.derived(list(market().frames.values()), universe, DAYS[3]) as con:
        assert derive.derive(con, HOME).faults == []
        (exhibit,) = shown.exhibits(con, DAYS[2])
        (none,) = shown.exhibits(con, DAYS[0] - timedelta(days=1))
    assert (exhibit.id, exhibit.title, exhibit.finding) == (
        "own_gap",
        "Gap",
        "the daily return of IWM less that of SPY.",
    )
    assert exhibit.rows["session"].tolist() == [pd.Timestamp(DAYS[2])]
    assert [cell.text for cell in cells(exhibit)[0]] == [
        "4 Jan 2024",
        "+1.0\u202f%",
        "$5.00\u202fbn",
        "12.5\u202f%",
        "3",
        "x",
    ]
    assert none.missing == "The table has no row up to this session."
