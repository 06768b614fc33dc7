"""The commands as a person meets them: query results, what a run shows, the state, exit codes and words of errors."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import click
import duckdb
import pytest
import world
from click.testing import CliRunner, Result

from market_rotation.flows.cli.main import main
from market_rotation.flows.cli.run import show_run
from market_rotation.flows.cli.sql import query_warehouse
from market_rotation.flows.cli.status import show_status
from market_rotation.tasks import warehouse
from market_rotation.tasks.errors import ConfigError, RotationError, SourceUnavailable
from market_rotation.tasks.run.ledger import Run

REPOSITORY = Path(__file__).parents[3]
MOMENT = datetime(2024, 3, 28, 23, 30, tzinfo=UTC)
MEMBERS = world.universe(world.instrument("SPY", size_bucket="large"), world.instrument("IWM"), pairs=[("IWM", "SPY")])


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home for two symbols, with nothing published yet."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("ROTATION_HOME", str(folder))
    monkeypatch.setenv("ROTATION_HISTORY_START", "2024-01-02")
    monkeypatch.setenv("ROTATION_UNIVERSE", str(world.write_universe(folder, MEMBERS)))
    return folder


@pytest.fixture
def published(home: Path) -> Path:
    """A published file with the tables that grow, and one to query."""
    path = home / "rotation.duckdb"
    with warehouse.writing(path) as con:
        con.execute(
            "create table core.t as select 'IWM' as symbol, date '2024-03-28' as session, 1e-9 as x union all select 'SPY', null, 0.123456789"
        )
    return path


def ask(query: str, form: str, path: Path | None = None) -> None:
    query_warehouse(query, form, path)


def cli(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments), prog_name="rotation")


def process(code: str, stdin: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    """Runs `code` in a new Python that finds the project, in the current folder."""
    return subprocess.run(
        [sys.executable, "-c", code],
        input=stdin,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)} | env,
        capture_output=True,
        text=True,
        check=False,
    )


# ---- queries ----

ALL = "select symbol, session, x from core.t order by symbol"


@pytest.mark.parametrize("to_file", [False, True])
def test_csv(published, tmp_path, capfd, to_file):
    """CSV has a header, full precision and an empty field for NULL, on the screen and in a file."""
    path = tmp_path / "out.csv" if to_file else None
    ask(ALL, "csv", path)
    text = path.read_text(encoding="utf-8") if path else capfd.readouterr().out
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["symbol"] for row in rows] == ["IWM", "SPY"]
    assert [row["session"] for row in rows] == ["2024-03-28", ""]
    assert [float(row["x"]) for row in rows] == [1e-9, 0.123456789]


@pytest.mark.parametrize("to_file", [False, True])
def test_json(published, tmp_path, capfd, to_file):
    """JSON is a list with one object per row, full precision, dates as text and NULL as null."""
    path = tmp_path / "out.json" if to_file else None
    ask(ALL, "json", path)
    text = path.read_text(encoding="utf-8") if path else capfd.readouterr().out
    assert json.loads(text) == [
        {"symbol": "IWM", "session": "2024-03-28", "x": 1e-9},
        {"symbol": "SPY", "session": None, "x": 0.123456789},
    ]


def test_parquet(published, tmp_path):
    """Parquet keeps values and types."""
    ask(ALL, "parquet", tmp_path / "out.parquet")
    with duckdb.connect() as con:
        relation = con.read_parquet(str(tmp_path / "out.parquet"))
        assert [str(kind) for kind in relation.types] == ["VARCHAR", "DATE", "DOUBLE"]
        assert relation.fetchall() == [("IWM", date(2024, 3, 28), 1e-9), ("SPY", None, 0.123456789)]


def test_parquet_is_not_for_the_screen(published):
    """Parquet without a file is refused with one sentence that names the missing option."""
    with pytest.raises(ConfigError, match=r"^[^\n]*-o FILE\.$"):
        ask(ALL, "parquet")


@pytest.mark.parametrize("to_file", [False, True])
def test_table(published, tmp_path, capfd, to_file):
    """A table has names, types and values, six decimals are shown, and a tiny number is not rounded to zero."""
    path = tmp_path / "out.txt" if to_file else None
    ask(ALL, "table", path)
    text = path.read_text(encoding="utf-8") if path else capfd.readouterr().out
    for word in ("symbol", "session", "double", "2024-03-28", "1e-09", "0.123457", "NULL"):
        assert word in text
    assert "0.123456789" not in text


@pytest.mark.parametrize("value", ["1e-9", "-1e-9", "0", "5e-7", "-0.00004", "99e-6", "1e15", "123456.789"])
def test_no_number_is_rounded_away(published, capfd, value):
    """What a table shows is within six decimals of the number, or a ten-thousandth of it, whichever is closer."""
    ask(f"select {value}::double as x", "table")
    shown = float(capfd.readouterr().out.splitlines()[4].strip("│ "))
    assert abs(shown - float(value)) <= min(5.1e-7, abs(float(value)) * 1e-4)


@pytest.mark.parametrize("rows", [101, 10_000])
def test_a_table_into_a_file_is_complete(published, tmp_path, rows):
    """Into a file goes every row."""
    ask(f"select range + 1000000 as i, 0.5 as x from range({rows})", "table", tmp_path / "out.txt")
    text = (tmp_path / "out.txt").read_text(encoding="utf-8")
    assert sum(line.startswith("│ 1") for line in text.splitlines()) == rows


def test_a_table_too_long_is_refused(published, tmp_path):
    """More rows than DuckDB prints are refused with the remedy, and not cut off in silence."""
    with pytest.raises(RotationError, match=r"10,001 rows.*--format csv"):
        ask("from range(10001)", "table", tmp_path / "out.txt")


def test_a_wide_table_into_a_file_is_complete(published, tmp_path):
    """Into a file goes every column, however many there are."""
    columns = ", ".join(f"{i} as column_number_{i}" for i in range(200))
    ask(f"select {columns}", "table", tmp_path / "out.txt")
    text = (tmp_path / "out.txt").read_text(encoding="utf-8")
    assert all(f"column_number_{i} " in text for i in range(200))


@pytest.mark.long_after(0)
@pytest.mark.parametrize("names", [("a", "a"), ("a", "A"), ('"a b"', '"a b"'), ('"a""b"', '"a""b"')])
@pytest.mark.parametrize("form", ["table", "csv", "json", "parquet"])
def test_duplicate_column_names(published, tmp_path, form, names):
    """Two columns of one name, in whatever case, are both given in every format."""
    path = tmp_path / f"out.{form}"
    ask(f"select 1.25::double as {names[0]}, 2.5::double as {names[1]}", form, path)
    if form == "parquet":
        with duckdb.connect() as con:
            assert con.read_parquet(str(path)).fetchall() == [(1.25, 2.5)]
    else:
        text = path.read_text(encoding="utf-8")
        assert "1.25" in text
        assert "2.5" in text.replace("1.25", "")


@pytest.mark.parametrize(
    ("form", "expected"), [("csv", "a,b"), ("json", "[\n\t\n]\n"), ("table", "double")], ids=["csv", "json", "table"]
)
def test_an_empty_result(published, capfd, form, expected):
    """A query without rows gives the header, or an empty list, and no error."""
    ask("select 1.0::double as a, 'x' as b where false", form)
    assert expected in capfd.readouterr().out


def test_an_empty_result_as_parquet(published, tmp_path):
    """A query without rows is a Parquet file without rows."""
    ask("select 1 as a where false", "parquet", tmp_path / "out.parquet")
    with duckdb.connect() as con:
        assert con.read_parquet(str(tmp_path / "out.parquet")).fetchall() == []


@pytest.mark.parametrize("value", ["'nan'::double", "'infinity'::double", "'-infinity'::float"])
def test_json_is_always_json(published, capfd, value):
    """A number that JSON does not have does not make the output unreadable for other programs."""
    ask(f"select {value} as x", "json")

    def refuse(constant: str) -> None:
        pytest.fail(f"{constant} is not JSON")

    json.loads(capfd.readouterr().out, parse_constant=refuse)


def test_json_types(published, capfd):
    """Decimals are numbers, lists and structs are kept, moments are in UTC with their zone."""
    ask("select 1.5 as d, [1, 2] as l, {'k': 1} as s, timestamptz '2024-03-28 20:00:00+01' as t, true as b", "json")
    (row,) = json.loads(capfd.readouterr().out)
    assert datetime.fromisoformat(row.pop("t")) == datetime(2024, 3, 28, 19, tzinfo=UTC)
    assert row == {"d": 1.5, "l": [1, 2], "s": {"k": 1}, "b": True}


@pytest.mark.long_after(0)
@pytest.mark.parametrize("form", ["table", "csv", "json", "parquet"])
@pytest.mark.parametrize(
    "query",
    [
        "selct 1",
        "describe core.nothing",
        "select * from core.nothing",
        "select nothing from core.t",
        "select 'a'::integer",
        "select error('x')",
    ],
)
def test_a_wrong_query(published, tmp_path, form, query):
    """What DuckDB refuses, before or while running, is one RotationError with DuckDB's sentence."""
    with pytest.raises(RotationError, match=r"Error: "):
        ask(query, form, tmp_path / "out")


@pytest.mark.parametrize(
    "query", ["describe signals.breadth", "DESC Signals.Breadth;", "describe table signals.breadth"]
)
def test_describe_says_what_columns_mean(home, capfd, query):
    """Describing a table shows each column's type and meaning, in the order of the columns."""
    with warehouse.writing(home / "rotation.duckdb") as con:
        con.execute("create table signals.breadth (session date, missing bigint)")
        con.execute("comment on column signals.breadth.missing is 'listed, and without a price'")
    ask(query, "csv")
    assert capfd.readouterr().out.splitlines() == [
        "column_name,column_type,comment",
        "session,DATE,",
        'missing,BIGINT,"listed, and without a price"',
    ]


@pytest.mark.parametrize(
    "query",
    [
        "create table core.x (i integer)",
        "drop table core.t",
        "delete from core.t",
        "insert into core.t values ('A', null, 1)",
        "update core.t set x = 0",
    ],
)
def test_writing_is_refused(published, query):
    """Nothing in the published file can be changed by a query."""
    before = published.read_bytes()
    with pytest.raises(RotationError, match="read-only"):
        ask(query, "table")
    assert published.read_bytes() == before


@pytest.mark.parametrize("form", ["table", "csv", "json", "parquet"])
def test_an_output_that_cannot_be_written(published, tmp_path, form):
    """A file in a folder that does not exist is a RotationError of one sentence, not a traceback."""
    with pytest.raises(RotationError, match="nowhere"):
        ask(ALL, form, tmp_path / "nowhere" / "out")


QUERY = "from market_rotation.flows.cli.sql import query_warehouse; query_warehouse('select 1 as a', {!r}, None)"


@pytest.mark.parametrize("form", ["table", "csv", "json"])
def test_output_is_appended_like_that_of_any_program(published, tmp_path, form):
    """With `>> file` the output comes after what the file held; nothing is overwritten."""
    path = tmp_path / "collected"
    path.write_text("before\n", encoding="utf-8")
    with path.open("a", encoding="utf-8") as stream:
        subprocess.run(
            [sys.executable, "-c", QUERY.format(form)],
            env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
            stdout=stream,
            check=True,
        )
    text = path.read_text(encoding="utf-8")
    assert text.startswith("before\n")
    assert len(text) > len("before\n")


@pytest.mark.parametrize("form", ["table", "csv", "json"])
def test_output_into_a_pipe(published, form):
    """The output reaches a pipe whole, with nothing on stderr."""
    done = process(QUERY.format(form))
    assert (done.returncode, done.stderr) == (0, "")
    assert "1" in done.stdout


# ---- what a run shows ----


def run_of(status: str, **values: object) -> Run:
    made = Run("20240328T233000-1", "files", date(2024, 3, 28), MOMENT, status=status)
    made.finished_at = MOMENT + timedelta(seconds=12.34)
    for name, value in values.items():
        setattr(made, name, value)
    return made


@pytest.mark.parametrize(
    ("status", "word", "on_stderr"),
    [
        ("published", "published", ""),
        ("up_to_date", "up to date", ""),
        ("blocked", "blocked", "Blocked: The reason."),
        ("failed", "failed", "Failed: The reason."),
    ],
)
def test_show_run(capsys, tmp_path, status, word, on_stderr):
    """Each outcome is named with session, source, duration and counts; the reason of a bad one goes to stderr."""
    show_run(run_of(status, message="The reason.", rows_fetched=12345, rows_new=678), tmp_path / "r.duckdb")
    shown = capsys.readouterr()
    for part in (word, "2024-03-28", "files", "12.3 s"):
        assert part in shown.out
    assert ("12,345 fetched, 678 new, 0 revised" in shown.out) is (status != "up_to_date")
    assert shown.err.strip() == on_stderr
    assert "SIMULATED" not in shown.out


def test_show_run_says_what_was_set_aside(capsys):
    """Rows in quarantine are counted, with the command that shows them."""
    show_run(run_of("published", rows_quarantined=3), Path("r.duckdb"))
    assert "3 rows or symbols; see `rotation quarantine list`" in capsys.readouterr().out


def test_show_run_marks_simulated_prices(capsys):
    """A run of the sample source says before all else that the prices are not real."""
    show_run(run_of("published", source="sample"), Path("r.duckdb"))
    assert capsys.readouterr().out.startswith("SIMULATED MARKET")


@pytest.mark.parametrize("text", ["IO Error: No files found [close]", "see [/data/mine] for more", "[red]", "[1, 2]"])
@pytest.mark.parametrize("where", ["message", "path"])
def test_brackets_are_shown_as_they_are(capsys, text, where):
    """Square brackets in a message or path are part of it, not markup that vanishes or fails."""
    path = Path("/x") / text / "r.duckdb" if where == "path" else Path("r.duckdb")
    show_run(run_of("failed", message=text if where == "message" else "No."), path)
    shown = capsys.readouterr()
    # The path is folded to the width of the screen.
    assert text in shown.err if where == "message" else text.replace(" ", "") in "".join(shown.out.split())


def test_a_long_path_can_be_copied(capsys):
    """Where there is no terminal, the path of the warehouse is not broken over lines."""
    path = Path("/") / ("a-long-name/" * 12) / "rotation.duckdb"
    show_run(run_of("published"), path)
    assert str(path) in capsys.readouterr().out


@pytest.mark.long_after(0)
def test_show_status(home, capsys):
    """A healthy warehouse exits 0; a stale one exits 3 with the date and the remedy."""
    source = world.FakeSource({s: world.bars(s, [1.0 + i / 100 for i in range(61)]) for s in MEMBERS.symbols})
    assert world.run(source, date(2024, 3, 28)).status == "published"
    assert show_status(MOMENT + timedelta(minutes=5), False) == 0
    shown = capsys.readouterr().out
    assert "Healthy." in shown
    assert "Last run: published, started 2024-03-28 23:30 UTC." in shown
    assert show_status(MOMENT + timedelta(days=7), False) == 3
    shown = " ".join(capsys.readouterr().out.split())
    assert "Healthy." not in shown
    assert "Stale: the latest session is 2024-03-28, 3 behind 2024-04-03; bring it up with `rotation run`." in shown
    assert show_status(MOMENT + timedelta(days=7), True) == 3
    state = json.loads(capsys.readouterr().out)
    assert (state["healthy"], state["freshness"][0]["sessions_behind"]) == (False, 3)


def test_show_status_of_a_failed_run(home, capsys):
    """A first run that failed is exit 3, with its message as it is, brackets included."""
    down = SourceUnavailable("Down [see /etc] and [/x].")
    assert world.run(world.FakeSource(dict.fromkeys(MEMBERS.symbols, down)), date(2024, 3, 28)).status == "failed"
    assert show_status(MOMENT + timedelta(minutes=5), False) == 3
    shown = " ".join(capsys.readouterr().out.split())
    assert "Nothing was ever published" in shown
    assert "Down [see /etc] and [/x]." in shown


# ---- the command line ----


@pytest.mark.parametrize("option", ["--help", "-h"])
@pytest.mark.parametrize("command", [[], ["run"], ["sql"], ["status"], ["rebuild"]])
def test_help(command, option):
    """Every command explains itself and exits 0."""
    result = cli(*command, option)
    assert result.exit_code == 0
    assert result.stdout.startswith("Usage: rotation")
    assert len(result.stdout.splitlines()) > 5


def test_help_is_complete():
    """Every command is listed with a line about it, and every option has words."""
    listed = cli("--help").stdout
    for name, command in main.commands.items():
        assert f"  {name} " in listed
        assert command.get_short_help_str()
        assert [p.name for p in command.params if isinstance(p, click.Option) and not p.help] == []


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["run", "--session", "2024-02-30"], "'2024-02-30' is not a date; write it as YYYY-MM-DD."),
        (["run", "--session", "yesterday"], "'yesterday' is not a date; write it as YYYY-MM-DD."),
        (
            ["run", "--session", "2024-12-25"],
            "2024-12-25 is not a session of the exchange; the one before it is 2024-12-24.",
        ),
        (["run", "--session", "2025-01-09"], "the one before it is 2025-01-08."),
        (["run", "--session", "2024-01-06"], "the one before it is 2024-01-05."),
        (["run", "--session", "2999-01-02"], "2999-01-02 has no final bars yet; the last closed session is"),
        (["run", "--session", "2004-12-31"], "2004-12-31 is before ROTATION_HISTORY_START=2005-01-03"),
        (["run", "--source", "bloomberg"], "no source 'bloomberg' is installed; the installed sources are"),
        (["sql", "--format", "xml", "select 1"], "'xml' is not one of"),
        (["sql"], "Missing argument 'QUERY'."),
        (["nothing"], "No such command 'nothing'."),
    ],
)
def test_usage_errors(monkeypatch, arguments, part):
    """What a person must correct is exit 2 with a sentence and no traceback, and Prefect is not even imported."""
    monkeypatch.setitem(sys.modules, "prefect", None)
    result = cli(*arguments)
    assert result.exit_code == 2
    assert part in " ".join(result.stderr.split())
    assert "Traceback" not in result.output
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("name", "value", "part"),
    [
        ("ROTATION_SOURCE", "bloomberg", "ROTATION_SOURCE"),
        ("ROTATION_UNIVERSE", "none.csv", "none.csv: cannot be read"),
        ("ROTATION_HISTORY_START", "soon", "ROTATION_HISTORY_START"),
        ("ROTATION_HISTORY_START", "2999-01-01", "ROTATION_HISTORY_START"),
        ("ROTATION_WAREHOUSE", "ducklake:mysql:x", "ROTATION_WAREHOUSE"),
        ("ROTATION_FAULT", "bad-tock", "ROTATION_FAULT=bad-tock: unknown fault"),
        ("ROTATION_FAULT", "bad-tick:NONE", "the symbol NONE is not in the universe"),
    ],
)
def test_configuration_errors(monkeypatch, name, value, part):
    """A wrong setting is exit 2 with one line that names it, before Prefect is imported and anything is made."""
    monkeypatch.setitem(sys.modules, "prefect", None)
    monkeypatch.setenv(name, value)
    result = cli("run")
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: ")
    assert part in result.stderr
    assert result.stderr.count("\n") == 1
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize("arguments", [["sql", "select 1"], ["status"], ["status", "--json"], ["rebuild"]])
def test_without_a_warehouse(arguments):
    """Reading before the first run exits 1 with one line that has the remedy; JSON stays JSON."""
    result = cli(*arguments)
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: There is no warehouse at ")
    assert "`rotation run`" in result.stderr
    assert result.stderr.count("\n") == 1
    if "--json" in arguments:
        assert list(json.loads(result.stdout)) == ["error"]
    else:
        assert result.stdout == ""


def test_sql_command(published, tmp_path):
    """The command queries, writes files with -o, exits 1 on a wrong query and 2 on Parquet for the screen."""
    assert json.loads(cli("sql", "--format", "json", "select 1 as a").stdout) == [{"a": 1}]
    assert cli("sql", "-o", str(tmp_path / "t.csv"), "--format", "csv", "select 1 as a").exit_code == 0
    assert (tmp_path / "t.csv").read_text(encoding="utf-8") == "a\n1\n"
    wrong = cli("sql", "selct 1")
    assert (wrong.exit_code, wrong.stdout) == (1, "")
    assert wrong.stderr.startswith("Error: Parser Error: syntax error")
    assert cli("sql", "--format", "parquet", "select 1").exit_code == 2


def test_version():
    """The version is that of the distribution."""
    assert cli("--version").stdout.startswith("rotation, version ")


@pytest.mark.parametrize("arguments", [[], ["run"], ["sql"], ["status"]])
def test_help_imports_nothing_heavy(arguments):
    """Help answers at once, since none of the big libraries is imported for it."""
    code = (
        "import sys, json\n"
        "from market_rotation.flows.cli.main import main\n"
        f"main({[*arguments, '--help']!r}, prog_name='rotation', standalone_mode=False)\n"
        "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})), file=sys.stderr)\n"
    )
    done = process(code)
    assert done.returncode == 0
    assert done.stdout.startswith("Usage: rotation")
    heavy = {
        "prefect",
        "great_expectations",
        "pandas",
        "numpy",
        "duckdb",
        "yfinance",
        "sqlalchemy",
        "sqlglot",
        "pydantic",
    }
    assert heavy & set(json.loads(done.stderr.splitlines()[-1])) == set()


def test_the_grammar_of_addresses_is_not_compiled():
    """Only the check of internationalized addresses, which no schema here uses, is given up for it."""
    code = (
        "import sys, json\n"
        "import market_rotation.flows.cli.main\n"
        "import jsonschema\n"
        "left = {'uri', 'iri', 'date-time'} & set(jsonschema.FormatChecker.checkers)\n"
        "print(json.dumps([sorted(left), 'rfc3987_syntax.syntax_helpers' in sys.modules]))\n"
    )
    assert json.loads(process(code).stdout) == [["date-time", "uri"], False]


def test_the_module_can_be_run():
    """`python -m market_rotation.flows.cli.main --help` is the same command line."""
    done = subprocess.run(
        [sys.executable, "-m", "market_rotation.flows.cli.main", "--help"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    assert all(name in done.stdout for name in main.commands)
    assert done.stderr == ""


def test_completion_knows_the_commands():
    """The shell's completion, which docs/operations.md shows, offers the commands that begin so."""
    words = {"_ROTATION_COMPLETE": "bash_complete", "COMP_WORDS": "rotation ba", "COMP_CWORD": "1"}
    command = [Path(sys.executable).with_name("rotation")]
    done = subprocess.run(command, env=os.environ | words, text=True, capture_output=True, check=False)
    assert done.stdout == "plain,backfill\n"


def test_every_command_says_what_it_does():
    """The list of commands has a whole sentence for each, none cut short."""
    listed = cli("--help").stdout.split("Commands:")[1].strip().splitlines()
    assert len(listed) == len(main.commands)
    assert all(line.endswith(".") and not line.endswith("...") for line in listed)
