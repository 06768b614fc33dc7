"""A DuckLake as the published warehouse: the same tables as in a file, one snapshot a publish, and nothing less safe."""

from __future__ import annotations

import os
import signal
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from conftest import KINDS, PASSWORD, UseLake
from lakes import DAYS, content, market, run, sessions, snapshots

import world
from market_rotation.tasks import warehouse
from market_rotation.tasks.errors import ConfigError, RotationError, UsageError
from market_rotation.tasks.settings import load_settings
from market_rotation.tasks.warehouse.lake import contents, extensions
from market_rotation.tasks.warehouse.lake.maintenance import maintain

BUILD = Path("warehouse/build.duckdb")


@pytest.mark.parametrize("kind", KINDS)
def test_a_lake_holds_what_a_file_holds(kind: str, use_lake: UseLake, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a first run and two days, one with a restatement, every table of a lake equals that of a file, bit by bit."""
    held = []
    for home in ("file", "lake"):
        monkeypatch.setenv("ROTATION_HOME", home)
        if home == "lake":
            use_lake(kind)
        assert run(20).status == "published"
        assert run(21).status == "published"
        split = [2.0 if i == 22 else 1.0 for i in range(60)]
        assert world.run(market(split_ratio=split), DAYS[22]).status == "published"
        held.append(content())
    assert held[0] == held[1]
    assert len(held[0]) > 45
    assert held[0]["core.prices"].startswith("(46,")


def test_one_snapshot_for_each_publish(use_lake: UseLake) -> None:
    """Every snapshot but the first two, which DuckLake makes with an empty lake, carries the run that published it."""
    use_lake("duckdb")
    made = [run(20), run(21), run(21)]
    assert [each.status for each in made] == ["published", "published", "up_to_date"]
    tagged = [(author, message) for _, author, message in snapshots() if author]
    assert tagged == [("market-rotation", f"run {each.run_id}") for each in made]


def test_a_publish_writes_only_what_changed(use_lake: UseLake, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run without news writes its row alone; a day more appends to tables that only grow."""
    use_lake("duckdb")
    run(20)
    changed: list[list[str]] = []
    write = contents.write
    monkeypatch.setattr(contents, "write", lambda *values: changed.append(write(*values)))
    run(20)
    assert changed.pop() == ["ops.runs"]
    with warehouse.reading(load_settings().published) as con:
        before = {file for (file,) in con.execute("select data_file from ducklake_list_files('rotation', 'prices', schema => 'raw')").fetchall()}
    run(21)
    with warehouse.reading(load_settings().published) as con:
        after = {file for (file,) in con.execute("select data_file from ducklake_list_files('rotation', 'prices', schema => 'raw')").fetchall()}
    assert before < after


@pytest.mark.parametrize("kind", KINDS[:3])
def test_readers_are_never_disturbed(kind: str, use_lake: UseLake) -> None:
    """Readers before, during and after publishes see one state each, and no error."""
    use_lake(kind)
    run(20)
    published = load_settings().published
    faults: list[object] = []
    seen: list[int] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            try:
                with warehouse.reading(published) as con:
                    prices, breadth, runs = con.execute(
                        "select (select count(distinct session) from core.prices), (select count(*) from signals.breadth), "
                        "(select count(*) from ops.runs where published)"
                    ).fetchone()
                    assert prices == breadth
                    seen.append(prices)
            except Exception as fault:
                faults.append(fault)

    reader = threading.Thread(target=read)
    with warehouse.reading(published) as early:
        (before,) = early.execute("select count(distinct session) from core.prices").fetchone()
        reader.start()
        for day in (21, 22, 23):
            assert run(day).status == "published"
        done.set()
        reader.join()
        assert early.execute("select count(distinct session) from core.prices").fetchone() == (before,) == (21,)
    assert faults == []
    assert seen == sorted(seen)
    assert len(seen) > 3
    assert len(sessions()) == 24


@pytest.mark.parametrize("kind", ["duckdb", "postgres"])
def test_a_killed_publish_leaves_the_snapshot(kind: str, use_lake: UseLake, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is killed with everything written and nothing committed changes nothing; the next run publishes."""
    use_lake(kind)
    run(20)
    before = content()
    if (child := os.fork()) == 0:
        monkeypatch.setattr(contents, "_record", lambda *values: os.kill(os.getpid(), signal.SIGKILL))
        try:
            run(21)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    assert content() == before
    assert run(21).status == "published"
    assert sessions() == DAYS[:22]
    with warehouse.reading(load_settings().published) as con:
        assert con.execute("select status from ops.runs order by run_id").fetchall() == [("published",), ("failed",), ("published",)]


DAMAGE = {
    "missing": lambda: BUILD.unlink(),
    "half": lambda: os.truncate(BUILD, BUILD.stat().st_size // 2),
    "another kind of file": lambda: BUILD.write_bytes(b"symbol,session\n" * 1000),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_lost_build_database_is_made_from_the_lake(name: str, use_lake: UseLake) -> None:
    """Whatever became of it, and although the vendor no longer has the past, readers lose nothing."""
    use_lake("duckdb")
    run(20)
    run(21)
    DAMAGE[name]()
    assert world.run(market(first=12), DAYS[22]).status == "published"
    assert sessions() == DAYS[:23]
    with warehouse.reading(load_settings().published) as con:
        assert con.execute("select count(*) from ops.runs").fetchone() == (3,)


def test_an_earlier_state(use_lake: UseLake) -> None:
    """`as_of` reads what was published then; before the first publish there is nothing, and a file keeps one state only."""
    use_lake("sqlite")
    run(20)
    published = load_settings().published
    between = datetime.now(UTC)
    run(21)
    with warehouse.reading(published, between) as con:
        assert con.execute("select count(distinct session) from core.prices").fetchone() == (21,)
    with pytest.raises(UsageError, match="keeps no snapshot of"), warehouse.reading(published, between - timedelta(days=1)):
        pass
    with pytest.raises(UsageError, match="holds one state"), warehouse.reading(Path("rotation.duckdb"), between):
        pass


@pytest.mark.parametrize("kind", ["duckdb", "postgres"])
def test_maintenance(kind: str, use_lake: UseLake) -> None:
    """Small files are merged, old snapshots and their files go, and readers see the same; one that was open reads on."""
    use_lake(kind)
    for day in range(20, 26):
        run(day)
    before, now = content(), datetime.now(UTC)
    files = set(Path("data").rglob("*.parquet")) | set(Path(load_settings().lake_data or "").rglob("*.parquet"))
    with warehouse.reading(load_settings().published) as con:
        first = maintain(load_settings(), now)
        assert con.execute("select count(*) from core.prices").fetchone() == (52,)
    assert first.files_merged > 5
    assert first.snapshots_expired == 0
    assert content() == before
    later = maintain(load_settings(), now + timedelta(days=100))
    assert later.snapshots_expired > 5
    assert later.snapshots_left == 1
    assert later.files_deleted > 20
    assert content() == before
    assert len(set(Path(load_settings().lake_data or "").rglob("*.parquet"))) < len(files)
    assert run(26).status == "published"


def test_a_file_needs_no_maintenance() -> None:
    """`rotation maintain` says so."""
    with pytest.raises(ConfigError, match="needs no maintenance"):
        maintain(load_settings(), datetime.now(UTC))


def test_a_change_outside_a_run(use_lake: UseLake) -> None:
    """A change such as an accepted closure is one snapshot, which changes nothing else."""
    use_lake("duckdb")
    run(20)
    before = content()
    with warehouse.amend(load_settings()) as con:
        con.execute("insert into ops.closures values ('2025-01-09', 'mourning', 'me', now())")
    after = content()
    assert {name for name in before if before[name] != after[name]} == {"ops.closures"}


def test_there_is_no_lake_yet(use_lake: UseLake) -> None:
    """One sentence for readers, whether there is no catalog or an empty one."""
    for kind in ("duckdb", "postgres"):
        use_lake(kind)
        assert not warehouse.exists(load_settings().published)
        with pytest.raises(RotationError, match="There is no warehouse at ducklake:"), warehouse.reading(load_settings().published):
            pass


def test_a_server_that_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the server and what is wrong, and not the password."""
    monkeypatch.setenv("ROTATION_WAREHOUSE", f"ducklake:postgres:dbname=x host=127.0.0.1 port=1 password={PASSWORD}")
    with pytest.raises(RotationError, match="port=1 cannot be reached") as caught, warehouse.reading(load_settings().published):
        pass
    assert PASSWORD not in str(caught.value)


def test_an_extension_that_is_missing(use_lake: UseLake, monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence names it and the remedy."""
    use_lake("duckdb")
    monkeypatch.setattr(extensions, "_wheel", lambda name: None)
    with duckdb.connect() as con:
        con.execute("set extension_directory = '/dev/null'")
        with pytest.raises(ConfigError, match=r"The DuckDB extension httpfs is not installed.*market-rotation\[lake\]"):
            extensions.load(con, "httpfs")
