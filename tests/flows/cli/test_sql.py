"""`rotation sql` is read-only: no statement changes the warehouse or touches another file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from attacks import ATTACKS
from click.testing import CliRunner, Result

from market_rotation.flows.cli.main import main
from market_rotation.tasks import warehouse


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a build database, a published file and a file of the user's."""
    home = tmp_path / "home"
    monkeypatch.setenv("ROTATION_HOME", str(home))
    for name in ("rotation.duckdb", "build.duckdb"):
        with warehouse.writing(home / name) as con:
            con.execute("create table core.t as select 1 as a")
    (tmp_path / "mine.csv").write_text("secret\n8675309\n")
    return home


def sql(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["sql", *arguments])


def test_no_statement_changes_anything_or_reads_a_file(home: Path, tmp_path: Path) -> None:
    """Each is refused with a sentence; every file is as it was, and none is new."""
    before = {path: path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file()}
    for attack in ATTACKS:
        result = sql(attack.format(home=home, folder=tmp_path))
        assert result.exit_code == 1, (attack, result.output)
        assert result.stderr.startswith("Error: "), attack
        assert "8675309" not in result.output, attack
        assert {path: path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file()} == before, attack


@pytest.mark.long_after(1)
@pytest.mark.parametrize(
    "attack", [attack for attack in ATTACKS if not attack.startswith(("from", "import", "select"))]
)
def test_reading_files_allows_no_writing(home: Path, tmp_path: Path, attack: str) -> None:
    """With --allow-files a query may read a file, and still nothing is written."""
    before = {path: path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file()}
    assert sql("--allow-files", attack.format(home=home, folder=tmp_path)).exit_code == 2
    assert {path: path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file()} == before
    assert "8675309" in sql("--allow-files", f"from read_csv('{tmp_path}/mine.csv')").output


@pytest.mark.parametrize(
    "query",
    [
        "explain analyze copy core.t to '{folder}/stolen.csv'",
        "EXPLAIN (analyze, format json) copy core.t to '{folder}/stolen.csv'",
        "explain\nanalyze\ncopy core.t to '{folder}/stolen.csv'",
        "/* a */ explain /* b */ analyze copy core.t to '{folder}/stolen.csv'",
        "explain copy core.t to '{folder}/stolen.csv'",
    ],
)
def test_explaining_executes_nothing_but_queries(home: Path, tmp_path: Path, query: str) -> None:
    """`explain analyze` executes a `copy … to`: with --allow-files it wrote the file."""
    assert sql("--allow-files", query.format(folder=tmp_path)).exit_code in (1, 2)
    assert not (tmp_path / "stolen.csv").exists()
    assert sql("--allow-files", "explain analyze from core.t").exit_code == 0
    assert (
        sql("--allow-files", "explain (format json) pivot (select 1 as a, 'x' as b) on b using sum(a)").exit_code == 0
    )


@pytest.mark.long_after(0)
@pytest.mark.parametrize(
    "target", ["rotation.duckdb", "build.duckdb", "rotation.duckdb.wal", "../home/build.duckdb", "link"]
)
def test_output_is_never_a_file_of_the_warehouse(home: Path, target: str) -> None:
    """-o refuses the warehouse's own files, by whatever path."""
    (home / "link").symlink_to(home / "build.duckdb")
    before = (home / "build.duckdb").read_bytes()
    result = sql("--format", "csv", "-o", str(home / target), "select 1")
    assert result.exit_code == 2
    assert "is a file of the warehouse" in result.stderr
    assert (home / "build.duckdb").read_bytes() == before


@pytest.mark.long_after(0)
@pytest.mark.parametrize(
    ("query", "found"), [("", "none"), ("-- nothing", "none"), (";", "none"), ("select 1; select 2", "2")]
)
def test_one_statement(home: Path, query: str, found: str) -> None:
    """No statement, or several, is a usage error."""
    result = sql("--", query)
    assert result.exit_code == 2
    assert f"found {found}" in result.stderr


@pytest.mark.long_after(0)
@pytest.mark.parametrize(
    "query",
    [
        "from core.t",
        "pivot (select 1 as a, 'x' as b) on b using sum(a)",
        "describe core.t",
        "show tables",
        "summarize core.t",
        "explain from core.t",
        "with a as (select 1) from a;",
        "values (1)",
    ],
)
@pytest.mark.parametrize("form", ["table", "csv", "json"])
def test_queries_of_every_kind(home: Path, query: str, form: str) -> None:
    """What only reads is answered in every format."""
    result = sql("--format", form, query)
    assert result.exit_code == 0, result.output
    assert result.stdout


@pytest.mark.parametrize("form", ["table", "csv"])
def test_reader_that_has_had_enough(home: Path, form: str) -> None:
    """A closed pipe, as of `head`, ends the command without a message."""
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "market_rotation", "sql", "from range(9000)", "--format", form]
    ended = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert ended.stderr == ""


def test_full_standard_output(home: Path) -> None:
    """A redirection to a full disk is named as such."""
    command = [sys.executable, "-m", "market_rotation", "sql", "from range(100000)", "--format", "csv"]
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert ended.returncode == 1
    assert (
        ended.stderr == "Error: The standard output cannot be written (No space left on device); choose another file.\n"
    )
