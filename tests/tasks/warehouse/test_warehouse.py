"""The warehouse: one writer, transactions, and publishing that no reader notices."""

from __future__ import annotations

import logging
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pandas as pd
import pytest
import world

from market_rotation.tasks import warehouse
from market_rotation.tasks.datasets import DATASETS
from market_rotation.tasks.errors import RotationError, WarehouseBusy
from market_rotation.tasks.warehouse import connect, database_file, files
from market_rotation.tasks.warehouse.models import SCHEMAS, models
from market_rotation.tasks.warehouse.publish import publish


def test_comments_reach_duckdb(tmp_path):
    """What the header says is DuckDB's comment on table, column and macro, quotes and all."""
    with warehouse.writing(tmp_path / "build.duckdb") as con:
        shown = con.execute("select comment from duckdb_tables() where schema_name = 'ops' and table_name = 'runs'")
        assert shown.fetchone()[0].startswith("ops.runs: the ledger of runs")
        shown = con.execute(
            "select comment from duckdb_columns() where schema_name = 'ops' and table_name = 'quarantine' and column_name = 'expectation'"
        )
        assert shown.fetchone()[0].startswith("expectation that it failed; `fetch`")


@pytest.mark.parametrize(
    ("help_text", "options"), [("--reflink[=WHEN]", ["--reflink=auto"]), ("usage: cp [-f] source target", [])]
)
def test_a_copy_by_any_cp(tmp_path, monkeypatch, help_text, options):
    """A `cp` that can share blocks is asked to; one that knows no such option, as in small images, copies without it."""
    script = tmp_path / "bin" / "cp"
    script.parent.mkdir()
    genuine, asked = shutil.which("cp"), tmp_path / "asked"
    script.write_text(
        f'#!/bin/sh\n[ "$1" = --help ] && echo "{help_text}" && exit\necho "$@" >> {asked}\nexec {genuine} "$@"\n'
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}:{os.environ['PATH']}")
    files._reflink.cache_clear()
    (tmp_path / "source").write_text("content")
    try:
        files.copy(tmp_path / "source", tmp_path / "target")
    finally:
        files._reflink.cache_clear()
    assert (tmp_path / "target").read_text() == "content"
    assert asked.read_text().split()[:-2] == ["-f", *options, "--"]


# ---- opening ----

HOLD = """
import sys, duckdb
con = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == "read")
print("open", flush=True)
for line in sys.stdin:
    print(con.execute(line).fetchall(), flush=True)
"""


class Other:
    """Another process that has a database open; `ask` runs a query there."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.pid = process.pid

    def ask(self, query: str) -> str:
        assert self.process.stdin
        self.process.stdin.write(query + "\n")
        self.process.stdin.flush()
        return self._line()

    def _line(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()


@contextmanager
def other_process(path: Path, mode: str) -> Iterator[Other]:
    command = [sys.executable, "-c", HOLD, str(path), mode]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        other = Other(process)
        assert other._line() == "open"
        try:
            yield other
        finally:
            process.stdin.close()
            process.wait(10)


def open_for_writing(path: Path) -> None:
    with warehouse.writing(path):
        pass


def test_a_second_writer_is_told_who_writes(tmp_path):
    """While another process writes, `writing` raises WarehouseBusy with its PID, and works again once it has ended."""
    path = tmp_path / "build.duckdb"
    with other_process(path, "write") as other:
        sentence = (
            rf"build\.duckdb is being written by process {other.pid}, which started at [0-9: -]+ UTC; wait[^\n]*\.$"
        )
        with pytest.raises(WarehouseBusy, match=sentence):
            open_for_writing(path)
    open_for_writing(path)


def test_a_run_waits_for_its_turn(tmp_path, caplog):
    """A run logs which process it waits for, and continues as soon as that process ends; after the time limit its error names the process."""
    path = tmp_path / "build.duckdb"
    with other_process(path, "write") as other:
        with pytest.raises(WarehouseBusy, match=f"process {other.pid}"), warehouse.writing_in_turn(path, 0):
            pass

        class Ends(logging.Handler):
            def emit(self, record):
                other.process.stdin.close()
                other.process.wait(10)

        connect.log.addHandler(ends := Ends())
        try:
            with caplog.at_level("INFO", "rotation"), warehouse.writing_in_turn(path, 60) as con:
                assert con.execute("select count(*) from ops.runs").fetchone() == (0,)
        finally:
            connect.log.removeHandler(ends)
    # Once, or more often if the process takes long to end.
    (said,) = set(caplog.messages)
    assert said.startswith(f"Waiting: {path} is being written by process {other.pid}, which started at ")


@pytest.mark.parametrize("folder", ["plain", "block", "clock's"])
def test_a_broken_file_is_not_a_busy_one(tmp_path, folder):
    """A file that is no database is reported as that, wherever it lies, and not as being written by someone."""
    path = tmp_path / folder / "build.duckdb"
    path.parent.mkdir()
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(RotationError, match=r"build\.duckdb cannot be opened: [^\n]*\.$") as caught:
        open_for_writing(path)
    assert not isinstance(caught.value, WarehouseBusy)


def test_a_folder_that_cannot_be_made(tmp_path):
    """A warehouse below something that is no folder is a RotationError that names it."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(RotationError, match="file"):
        open_for_writing(tmp_path / "file" / "build.duckdb")


def test_writing_makes_folder_schemas_and_growing_tables(tmp_path):
    """A new warehouse has all schemas and every table that grows, and opening it again changes nothing."""
    path = tmp_path / "deep" / "er" / "build.duckdb"
    found = []
    for _ in range(2):
        with warehouse.writing(path) as con:
            found.append(
                con.execute("select schema_name || '.' || table_name from duckdb_tables() order by 1").fetchall()
            )
            schemas = {name for (name,) in con.execute("select schema_name from duckdb_schemas()").fetchall()}
            assert set(SCHEMAS) <= schemas
            assert con.execute("select current_setting('TimeZone')").fetchone() == ("UTC",)
    assert found[0] == found[1]
    assert {name for (name,) in found[0]} == {m.name for m in models() if m.kind == "ledger"} | {"ops.datasets"}


def test_the_connection_is_closed_after_an_error(tmp_path):
    """An error inside `writing` leaves the file free for the next writer."""
    path = tmp_path / "build.duckdb"
    with pytest.raises(ZeroDivisionError), warehouse.writing(path):
        _ = 1 / 0
    with other_process(path, "write") as other:
        assert other.ask("select 1") == "[(1,)]"


def test_reading_a_missing_file(tmp_path):
    """Without a warehouse there is one sentence with its path and the command that makes one, and no file is made."""
    path = tmp_path / "rotation.duckdb"
    with (
        pytest.raises(
            RotationError, match=r"no warehouse at .*rotation\.duckdb yet; create one with `rotation run`[^\n]*\.$"
        ),
        warehouse.reading(path),
    ):
        pass
    assert not path.exists()


def test_reading_a_broken_file(tmp_path):
    """A published file that is no database is a RotationError of one line that names it."""
    path = tmp_path / "rotation.duckdb"
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(RotationError, match=r"rotation\.duckdb cannot be opened: [^\n]*$"), warehouse.reading(path):
        pass


def test_reading_refuses_to_write(tmp_path):
    """A connection of `reading` changes nothing."""
    open_for_writing(tmp_path / "a.duckdb")
    with warehouse.reading(tmp_path / "a.duckdb") as con, pytest.raises(duckdb.Error, match="read-only"):
        con.execute("create table core.x (i integer)")


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_transaction_rolls_back_on_any_error(tmp_path, error):
    """An error rolls back everything inside, tables included, and is raised; a good end commits."""
    with warehouse.writing(tmp_path / "a.duckdb") as con:
        with warehouse.transaction(con):
            con.execute("create table core.kept as select 1 as i")
        with pytest.raises(error):
            _change_and_raise(con, error)
        assert con.execute("from core.kept").fetchall() == [(1,)]
        assert con.execute("select count(*) from duckdb_tables() where table_name = 'lost'").fetchone() == (0,)


def _change_and_raise(con: duckdb.DuckDBPyConnection, error: type[BaseException]) -> None:
    with warehouse.transaction(con):
        con.execute("insert into core.kept values (2)")
        con.execute("create table core.lost (i integer)")
        raise error


def test_put_replaces(tmp_path):
    """`put` makes a table of exactly the frame's rows, an empty frame included."""
    with warehouse.writing(tmp_path / "a.duckdb") as con:
        for rows in ([1, 2, 3], [4], []):
            world.put(con, "stage.x", pd.DataFrame({"i": pd.Series(rows, dtype="int64")}))
            assert con.execute("select i from stage.x order by i").fetchall() == [(i,) for i in rows]


def test_parameters_reach_the_sql(tmp_path):
    """What is set is what `getvariable` gives, quotes and NULL included."""
    with warehouse.writing(tmp_path / "a.duckdb") as con:
        warehouse.parameters(con, run_id="it's", known_at=None)
        assert con.execute("select getvariable('run_id'), getvariable('known_at')").fetchone() == ("it's", None)


# ---- publishing ----


@pytest.fixture
def build(tmp_path: Path) -> Iterator[tuple[duckdb.DuckDBPyConnection, Path, Path]]:
    """An open build database with a table `t` of one row, and the two paths."""
    with duckdb.connect(str(tmp_path / "build.duckdb")) as con:
        con.execute("create table t as select 1 as i")
        yield con, tmp_path / "build.duckdb", tmp_path / "rotation.duckdb"


def seen(path: Path) -> str:
    """What a new process reads in `t`."""
    with other_process(path, "read") as other:
        return other.ask("select list(i order by i) from t")


def test_readers_see_the_old_or_the_new(build):
    """A reader with the published file open keeps the old content, also through further publishing; a new reader sees the new content."""
    con, source, published = build
    publish(con, source, published)
    with other_process(published, "read") as early:
        assert early.ask("select list(i order by i) from t") == "[([1],)]"
        for i in (2, 3):
            con.execute("insert into t values ($1)", [i])
            assert seen(published) == f"[({list(range(1, i))},)]"
            publish(con, source, published)
            assert seen(published) == f"[({list(range(1, i + 1))},)]"
            assert early.ask("select list(i order by i) from t") == "[([1],)]"


def test_nothing_is_left_beside_the_published_file(build):
    """After publishing there is no temporary file and no write-ahead log of the published file."""
    con, source, published = build
    (published.parent / f"{published.name}.wal").write_bytes(b"left by someone")
    for _ in range(2):
        publish(con, source, published)
        names = {path.name for path in published.parent.iterdir()}
        assert names - {"build.duckdb", "build.duckdb.wal"} == {"rotation.duckdb"}


def test_the_published_file_is_read_only(build):
    """The published file is read-only for everyone, and can still be replaced."""
    con, source, published = build
    for _ in range(2):
        publish(con, source, published)
        assert stat.S_IMODE(published.stat().st_mode) == 0o444


def test_the_build_database_goes_on(build):
    """Publishing leaves the build connection usable and its file writable."""
    con, source, published = build
    publish(con, source, published)
    con.execute("insert into t values (2)")
    assert con.execute("select count(*) from t").fetchone() == (2,)
    assert os.access(source, os.W_OK)
    assert seen(published) == "[([1],)]"


def test_a_run_that_publishes_still_holds_the_build(build):
    """Publishing does not let a second writer in: what comes after it, such as sending alerts, is still of this run alone."""
    con, source, published = build
    publish(con, source, published)
    second = subprocess.run(
        [sys.executable, "-c", HOLD, str(source), "write"],
        stdin=subprocess.DEVNULL,
        text=True,
        capture_output=True,
        check=False,
    )
    assert second.returncode == 1
    assert f"PID {os.getpid()}" in second.stderr


@pytest.mark.parametrize("step", ["copy", "fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_leaves_the_old_file(build, monkeypatch, step, error):
    """When copying, syncing or renaming fails, the published file is the old one, and no half-written file stays."""
    con, source, published = build
    publish(con, source, published)
    before = published.read_bytes()
    con.execute("insert into t values (2)")

    def fail(*args: object) -> None:
        if step == "copy":
            Path(str(args[1])).write_bytes(b"half")
        raise error

    monkeypatch.setattr(database_file if step == "copy" else os, step, fail)
    # A full disk is a sentence of ours, with what the system said.
    with pytest.raises(RotationError if isinstance(error, OSError) else KeyboardInterrupt):
        publish(con, source, published)
    monkeypatch.undo()
    assert published.read_bytes() == before
    assert {path.name for path in published.parent.iterdir()} <= {"build.duckdb", "build.duckdb.wal", "rotation.duckdb"}
    publish(con, source, published)
    assert seen(published) == "[([1, 2],)]"


def test_a_stale_temporary_file_is_overwritten(build):
    """What a killed run left half-written, read-only or not, does not stop the next one."""
    con, source, published = build
    stale = published.with_name(f".{published.name}.tmp")
    stale.write_bytes(b"half" * 100_000)
    stale.chmod(0o444)
    publish(con, source, published)
    assert not stale.exists()
    assert seen(published) == "[([1],)]"


def test_a_table_of_an_older_version_gets_its_new_columns(tmp_path):
    """A growing table made before a column was thought of gets it when it is next opened; its rows stay, with NULL there."""
    path = tmp_path / "build.duckdb"
    row = "insert into ops.alerts (alert_id, fingerprint, kind, severity, title, body, created_at, attempts) values "
    with warehouse.writing(path) as con:
        wanted = con.execute("describe ops.alerts").fetchall()
        con.execute(f"{row} ('a', 'f', 'failure', 'critical', 't', 'b', now(), 0)")
        con.execute("alter table ops.alerts drop column taken_by")
        con.execute("alter table ops.alerts drop column since")
    for _ in range(2):
        with warehouse.writing(path) as con:
            assert sorted(con.execute("describe ops.alerts").fetchall()) == sorted(wanted)
            assert con.execute("select alert_id, taken_by, since from ops.alerts").fetchall() == [("a", None, None)]


def test_an_unset_variable_is_an_error_that_names_it():
    """A file that reads an unset variable is refused with its name, for derived and growing tables."""
    with warehouse.writing(Path(":memory:")) as con:
        for name in ("universe", "pairs"):
            con.execute(
                f"create table stage.{name} as select * exclude (is_withdrawn, known_at, run_id) from raw.{name}"
            )
        con.execute("set variable known_at = now()")
        with pytest.raises(
            RotationError, match=r"sql/raw/\w+\.sql reads the variable 'run_id', which is not set; set it"
        ):
            warehouse.load(con, "raw")
        with pytest.raises(
            RotationError, match=r"sql/stage/requests\.sql reads the variable 'history_start', which is not set"
        ):
            warehouse.build(con, "stage.requests")


def test_macros_of_an_older_version_are_dropped(tmp_path):
    """A macro that no SQL file makes any more is gone once the warehouse was opened for writing."""
    path = tmp_path / "build.duckdb"
    with duckdb.connect(str(path)) as con:
        con.execute(
            "create schema raw; create schema fn; create macro fn.value_differs(a, b) as a <> b; create macro raw.all_of(a) as table select a as i"
        )
    with warehouse.writing(path) as con:
        found = con.execute(
            "select schema_name || '.' || function_name from duckdb_functions() "
            "where database_name = current_database() and schema_name in ('raw', 'fn') and function_type like '%macro'"
        ).fetchall()
    names = {name for (name,) in found}
    assert names == {m.name for m in models() if m.name.startswith("fn.")}


def test_the_table_of_maximum_ages_is_the_registry():
    """ops.datasets has every dataset of the registry with its age, and the ages of sources that differ."""
    with warehouse.writing(Path(":memory:")) as con:
        found = con.execute("select dataset, source, max_age_sessions from ops.datasets").fetchall()
    assert {(d, a) for d, source, a in found if source is None} == {
        (d.name, d.max_age_sessions) for d in DATASETS.values()
    }
    assert [(d, s, a) for d, s, a in found if s] == [
        (d.name, source, age) for d in DATASETS.values() for source, age in d.max_age_by_source.items()
    ]
