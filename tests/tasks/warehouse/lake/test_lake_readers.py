"""`rotation sql`, `status` and `serve` on a lake: they read it, and a statement changes and reads nothing else."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from attacks import ATTACKS
from click.testing import CliRunner
from lakes import PASSWORD, UseLake, content, publish

from market_rotation.flows.cli.main import main
from market_rotation.tasks import warehouse
from market_rotation.tasks.serve.published import Published
from market_rotation.tasks.settings import load_settings
from market_rotation.tasks.warehouse.lake.maintenance import maintain

#: Beside those on a file: `{data}` is the folder of the lake's data files.
ON_A_LAKE = [
    "copy (select 1) to '{data}/stolen.parquet'",
    "copy (select 1) to '{data}/../stolen.parquet'",
    "explain analyze copy (select 1) to '{data}/stolen.parquet'",
    "explain (analyze) copy (select 1) to '{data}/stolen.parquet'",
    "explain (analyze, format json) copy (select 1) to '{data}/stolen.parquet'",
    "from read_text('{data}/../../etc/hostname')",
    "call ducklake_expire_snapshots('rotation', older_than => now())",
    "from ducklake_expire_snapshots('rotation', older_than => now())",
    "from ducklake_delete_orphaned_files('rotation', cleanup_all => true)",
    "attach 'ducklake::memory:' as mine (data_path '{data}')",
    "from postgres_query('catalog', 'select 1')",
    "from postgres_scan('host=127.0.0.1', 'public', 'ducklake_snapshot')",
    "from sqlite_scan('{home}/build.duckdb', 't')",
    "load postgres_scanner",
    "update ops.runs set status = 'published'",
    "detach rotation",
    "use memory",
]
#: What a statement may do, and what it changes: nothing.
HARMLESS = [
    "from ducklake_cleanup_old_files('rotation', cleanup_all => true)",
    "from ducklake_merge_adjacent_files('rotation')",
    "from duckdb_databases()",
    "from duckdb_settings()",
    "from __ducklake_metadata_rotation.ducklake_metadata",
    "from rotation.snapshots()",
    "explain select count(*) from core.prices",
    "explain analyze select count(*) from core.prices",
    "describe core.prices",
    "summarize core.sessions",
    "show all tables",
    "from core.prices_as_of(now())",
]


def asked(*arguments: str) -> tuple[int, str]:
    """The exit code of `rotation …`, and all that it prints."""
    result = CliRunner().invoke(main, list(arguments))
    return result.exit_code, result.output


@pytest.fixture(params=["duckdb", pytest.param("postgres", marks=pytest.mark.long)])
def data(request: pytest.FixtureRequest, use_lake: UseLake, history: Path) -> Path:
    """The folder of the data files of a lake that has files to delete."""
    use_lake(request.param)
    for day in (20, 21, 22):
        publish(history, day)
    maintain(load_settings(), datetime.now(UTC))
    return Path(load_settings().lake_data)


@pytest.mark.long_after(1)
@pytest.mark.parametrize("attacks", [ON_A_LAKE + ATTACKS[::5], ATTACKS], ids=["on a lake", "on any warehouse"])
def test_statements_that_would_change_or_read_more(data: Path, tmp_path: Path, attacks: list[str]) -> None:
    """Each is refused in a sentence; no file is written, none is deleted, and the lake is as it was."""
    (tmp_path / "mine.csv").write_text("secret\n1\n")
    files, before = set(data.rglob("*")), content()
    places = {"home": tmp_path / "warehouse", "folder": tmp_path, "data": data}
    accepted = []
    for statement in attacks:
        code, said = asked("sql", statement.format(**places))
        accepted += [statement] if code == 0 else []
        assert "Traceback" not in said
    assert accepted == []
    for statement in HARMLESS:
        code, said = asked("sql", "--format", "csv", statement)
        assert code == 0, (statement, said)
        assert PASSWORD not in said
    assert set(data.rglob("*")) == files
    assert content() == before


def test_readers(data: Path, history: Path) -> None:
    """Status, quarantine, doctor and the server read the lake; none shows the password."""
    code, said = asked("status", "--json")
    assert json.loads(said)["last_run"]["status"] == "published"
    published = Published(load_settings().published)
    with published.reading() as (edition, con):
        assert con.execute("select count(*) from core.prices").fetchone() == (46,)
        publish(history, 23)
        assert con.execute("select count(*) from core.prices").fetchone() == (46,)
    with published.reading() as (later, con):
        assert later.version != edition.version
        assert con.execute("select count(*) from core.prices").fetchone() == (48,)
    published.close()
    doctor = asked("doctor")[1]
    assert "opens read-only: real prices" in " ".join(doctor.split())
    code, maintained = asked("maintain")
    assert code == 0
    assert "merged" in maintained
    assert PASSWORD not in said + doctor + maintained + repr(load_settings()) + str(load_settings().published)
    for file in Path("warehouse").rglob("*"):
        assert not file.is_file() or PASSWORD.encode() not in file.read_bytes()
    with warehouse.reading(load_settings().published) as con:
        assert PASSWORD not in str(con.execute("from duckdb_databases()").fetchall())
