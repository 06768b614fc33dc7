"""A DuckLake as the published warehouse: the same tables as in a file, one snapshot a publish, and nothing less safe."""

from __future__ import annotations

import os
import signal
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
import world
from lakes import DAYS, KINDS, PASSWORD, UseLake, content, data_files, market, publish, run, sessions, snapshots

from market_rotation.tasks import warehouse
from market_rotation.tasks.errors import ConfigError, RotationError, UsageError
from market_rotation.tasks.settings import load_settings
from market_rotation.tasks.warehouse.lake import contents, extensions
from market_rotation.tasks.warehouse.lake import data_files as lake_files
from market_rotation.tasks.warehouse.lake.maintenance import maintain

BUILD = Path("warehouse/build.duckdb")


@pytest.mark.long_after(1)
@pytest.mark.parametrize("kind", KINDS)
def test_a_lake_holds_what_a_file_holds(kind: str, use_lake: UseLake, history: Path) -> None:
    """After a first run, a day, a split that restates everything, and one more day, every table of a lake equals that of the file, bit by bit."""
    use_lake(kind)
    for day in (20, 21, 22, 23):
        publish(history, day)
        of_file = content(history / f"{day}.published")
        # The build database has the last lines of its run, which a publish outside a run takes along.
        assert {name: held for name, held in content().items() if of_file[name] != held} == {}
        assert len(of_file) > 45


def test_a_run_is_one_snapshot(use_lake: UseLake, history: Path) -> None:
    """Each publish of a run is one snapshot that names it, and readers see the run as published; a run without news writes its own row."""
    use_lake("duckdb")
    publish(history, 21)
    before = len(snapshots())
    changed: list[list[str]] = []
    write = contents.write
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(contents, "write", lambda *values: changed.append(write(*values)))
        made = [run(22), run(22)]
    assert [each.status for each in made] == ["published", "up_to_date"]
    assert snapshots()[before:] == [("market-rotation", f"run {each.run_id}") for each in made]
    assert changed[1] == ["ops.runs"]
    assert sessions() == DAYS[:23]
    with warehouse.reading(load_settings().published) as con:
        assert con.execute("select run_id, status from ops.runs order by all").fetchall()[-2:] == [
            (each.run_id, each.status) for each in made
        ]


def test_growing_tables_are_added_to(use_lake: UseLake, history: Path) -> None:
    """A day more adds files to tables that only grow, and replaces none of theirs."""
    use_lake("duckdb")
    publish(history, 20)
    listed = "select data_file from ducklake_list_files('rotation', '{}', schema => '{}')"
    found: list[dict[str, set[str]]] = []
    for day in (20, 21):
        publish(history, day)
        with warehouse.reading(load_settings().published) as con:
            files = {}
            for name in ("raw.prices", "signals.breadth", "ops.validations"):
                rows = con.execute(listed.format(*reversed(name.split(".")))).fetchall()
                files[name] = {file for (file,) in rows}
            found.append(files)
    assert all(found[0][name] < found[1][name] for name in found[0])


@pytest.mark.long_after(1)
@pytest.mark.parametrize("kind", KINDS[:3])
def test_readers_are_never_disturbed(kind: str, use_lake: UseLake, history: Path) -> None:
    """Readers before, during and after publishes see one state each, and no error."""
    use_lake(kind)
    publish(history, 20)
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
                    assert prices == breadth == runs + 20
                    seen.append(prices)
            except Exception as fault:
                faults.append(fault)

    reader = threading.Thread(target=read)
    with warehouse.reading(published) as early:
        reader.start()
        for day in (21, 22, 23):
            publish(history, day)
        done.set()
        reader.join()
        assert early.execute("select count(distinct session) from core.prices").fetchone() == (21,)
    assert faults == []
    assert seen == sorted(seen)
    assert len(seen) > 3
    assert sessions() == DAYS[:24]


@pytest.mark.long_after(1)
@pytest.mark.parametrize("kind", ["duckdb", "postgres"])
def test_a_killed_publish_leaves_the_snapshot(kind: str, use_lake: UseLake, history: Path) -> None:
    """A process that is killed with everything written and nothing committed changes nothing; the next one publishes."""
    use_lake(kind)
    publish(history, 20)
    before = content()
    if (child := os.fork()) == 0:
        contents._record = lambda *values: os.kill(os.getpid(), signal.SIGKILL)
        try:
            publish(history, 21)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    assert content() == before
    publish(history, 21)
    assert sessions() == DAYS[:22]


@pytest.mark.long_after(1)
@pytest.mark.parametrize("kind", ["duckdb", "sqlite", "postgres"])
def test_data_files_are_on_disk_before_readers_see_them(
    kind: str, use_lake: UseLake, history: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut after a publish or a maintenance leaves no catalog that names files without their content."""
    use_lake(kind)
    publish(history, 20)
    published = load_settings().published
    had, version = data_files(), warehouse.version(published)
    synced: dict[Path, str] = {}
    monkeypatch.setattr(lake_files, "sync", lambda path: synced.setdefault(path, warehouse.version(published)))
    publish(history, 21)
    new = data_files() - had
    assert new
    assert {synced.get(path) for path in new} == {version}
    assert {path.parent for path in new} <= synced.keys()
    had = data_files()
    maintain(load_settings(), datetime(2026, 11, 20, tzinfo=UTC))
    merged = data_files() - had
    assert merged
    assert merged <= synced.keys()


DAMAGE = {
    "missing": lambda: BUILD.unlink(),
    "half": lambda: os.truncate(BUILD, BUILD.stat().st_size // 2),
    "another kind of file": lambda: BUILD.write_bytes(b"symbol,session\n" * 1000),
}


@pytest.mark.long
@pytest.mark.parametrize("name", DAMAGE)
def test_a_lost_build_database_is_made_from_the_lake(name: str, use_lake: UseLake, history: Path) -> None:
    """Whatever became of it, and although the vendor no longer has the past, readers lose nothing."""
    use_lake("duckdb")
    publish(history, 22)
    DAMAGE[name]()
    assert world.run(market(first=14), DAYS[23]).status == "published"
    assert sessions() == DAYS[:24]
    with warehouse.reading(load_settings().published) as con:
        assert con.execute("select count(*) from ops.runs").fetchone() == (4,)


def test_an_earlier_state(use_lake: UseLake, history: Path) -> None:
    """`as_of` reads what was published then; before the first publish there is nothing, and a file keeps one state only."""
    use_lake("sqlite")
    publish(history, 20)
    published, between = load_settings().published, datetime.now(UTC)
    publish(history, 21)
    with warehouse.reading(published, between) as con:
        assert con.execute("select count(distinct session) from core.prices").fetchone() == (21,)
    with pytest.raises(UsageError, match="keeps no snapshot of"):
        warehouse.engine(published).reading(between - timedelta(days=1)).__enter__()
    with pytest.raises(UsageError, match="holds one state"):
        warehouse.reading(Path("rotation.duckdb"), between)


@pytest.mark.long_after(1)
@pytest.mark.parametrize("kind", ["duckdb", "postgres"])
def test_maintenance(kind: str, use_lake: UseLake, history: Path) -> None:
    """Small files are merged, old snapshots and their files go, and readers see the same; one that was open reads on."""
    use_lake(kind)
    for day in (20, 21, 22, 23):
        publish(history, day)
    before, files, now = content(), data_files(), datetime.now(UTC)
    with warehouse.reading(load_settings().published) as con:
        first = maintain(load_settings(), now)
        assert con.execute("select count(*) from core.prices").fetchone() == (48,)
    assert first.files_merged > 5
    assert (first.snapshots_expired, first.files_deleted) == (0, 0)
    assert content() == before
    later = maintain(load_settings(), now + timedelta(days=100))
    assert later.snapshots_left == 1
    assert later.snapshots_expired > 3
    assert later.files_deleted > 20
    assert content() == before
    assert len(data_files()) < len(files)


def test_a_file_needs_no_maintenance() -> None:
    """`rotation maintain` says so."""
    with pytest.raises(ConfigError, match="needs no maintenance"):
        maintain(load_settings(), datetime.now(UTC))


@pytest.mark.long
def test_a_change_outside_a_run(use_lake: UseLake, history: Path) -> None:
    """A change such as an accepted closure is one snapshot, which changes nothing else, from a machine that never ran as well."""
    use_lake("duckdb")
    publish(history, 20)
    before = content()
    BUILD.unlink()
    with warehouse.amend(load_settings()) as con:
        con.execute("insert into ops.closures values ('2025-01-09', 'mourning', 'me', now())")
    after = content()
    assert {name for name in before if before[name] != after[name]} == {"ops.closures"}


def test_there_is_no_lake_yet(use_lake: UseLake) -> None:
    """One sentence for readers, whether there is no catalog or an empty one."""
    for kind in ("duckdb", "postgres"):
        use_lake(kind)
        published = load_settings().published
        assert not warehouse.exists(published)
        with pytest.raises(RotationError, match="There is no warehouse at ducklake:"):
            warehouse.open_alone(published)


def test_a_server_that_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the server and what is wrong, and not the password."""
    monkeypatch.setenv("ROTATION_WAREHOUSE", f"ducklake:postgres:dbname=x host=127.0.0.1 port=1 password={PASSWORD}")
    with pytest.raises(RotationError, match="port=1 cannot be reached") as caught:
        warehouse.open_alone(load_settings().published)
    assert PASSWORD not in str(caught.value)


def test_an_extension_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence names it and the remedy."""
    monkeypatch.setattr(extensions, "_wheel", lambda name: None)
    with duckdb.connect() as con:
        con.execute("set extension_directory = '/dev/null'")
        with pytest.raises(ConfigError, match=r"The DuckDB extension httpfs is not installed.*market-rotation\[lake\]"):
            extensions.load(con, "httpfs")
