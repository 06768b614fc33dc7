"""A build database that is lost or damaged: the next run goes on from the published file, and readers never get less than they had."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest
import world

from market_rotation.tasks import warehouse
from market_rotation.tasks.errors import RotationError, WarehouseBusy
from market_rotation.tasks.run.ledger import Run
from market_rotation.tasks.settings import load_settings
from market_rotation.tasks.warehouse import damage, recovery
from market_rotation.tasks.warehouse.publish import publish

DAYS = world.days()
PUBLISHED, BUILD = Path("warehouse/rotation.duckdb"), Path("warehouse/build.duckdb")
RAW = ("raw.prices", "raw.sessions", "raw.universe", "raw.pairs")


def market(first: int = 0) -> world.FakeSource:
    """A vendor that gives bars from session number `first` on: one that no longer has the older ones."""
    closes = [100.0 + (i * 7) % 11 for i in range(first, 40)]
    return world.FakeSource({s: world.bars(s, closes, DAYS[first]) for s in ("SPY", "IWM")})


@pytest.fixture(autouse=True)
def two_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    members = world.universe(world.instrument("SPY"), world.instrument("IWM"), pairs=[("IWM", "SPY")])
    monkeypatch.setenv("ROTATION_UNIVERSE", str(world.write_universe(tmp_path, members)))
    monkeypatch.setenv("ROTATION_HISTORY_START", "2024-01-02")

    def make() -> Run:
        world.run(market(), DAYS[20])
        return world.run(market(), DAYS[21])

    world.copy_of_first_run(tmp_path_factory, "recovery", make)


def sessions(path: Path = PUBLISHED) -> list[object]:
    with warehouse.reading(path) as con:
        return [day for (day,) in con.execute("select distinct session from core.prices order by all").fetchall()]


def _cut(keep: float) -> Callable[[], None]:
    def cut() -> None:
        os.truncate(BUILD, int(BUILD.stat().st_size * keep))

    return cut


def _overwrite(content: bytes) -> Callable[[], None]:
    def overwrite() -> None:
        BUILD.write_bytes(content)

    return overwrite


def _wal_of_another_file() -> None:
    """What is left when one file of two is restored: a write-ahead log that belongs to another database."""
    code = (
        "import duckdb, os; con = duckdb.connect('other.duckdb'); con.execute('create table t as select 1 as i'); "
        "con.execute('checkpoint'); con.execute('insert into t values (2)'); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    os.replace("other.duckdb.wal", f"{BUILD}.wal")


def _new_database() -> None:
    BUILD.unlink()
    duckdb.connect(str(BUILD)).close()


DAMAGE = {
    "missing": lambda: BUILD.unlink(),
    "zero bytes": _cut(0),
    "header cut": _cut(0.001),
    "half": _cut(0.5),
    "a quarter cut": _cut(0.75),
    "another kind of file": _overwrite(b"symbol,session,close\n" * 1000),
    "log of another file": _wal_of_another_file,
    "empty database": _new_database,
}


@pytest.mark.long_after(1)
@pytest.mark.parametrize("name", DAMAGE)
def test_the_next_run_goes_on_from_the_published_file(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever became of the build file, a vendor that no longer has the past takes nothing from readers."""
    before = sessions()
    DAMAGE[name]()
    damaged = BUILD.read_bytes() if BUILD.exists() else None
    made = world.run(market(first=12), DAYS[22])
    assert made.status == "published"
    assert sessions() == [*before, DAYS[22]]
    assert "is now a copy of warehouse/rotation.duckdb" in caplog.text
    kept = BUILD.with_name("build.duckdb.damaged-1")
    assert (kept.read_bytes() if kept.exists() else None) == damaged
    with warehouse.reading(PUBLISHED) as con:
        assert con.execute("select count(*) from ops.runs").fetchone() == (3,)


def test_a_change_outside_a_run_recovers_too() -> None:
    """Accepting, sending alerts and the watchdog go on from the published file as well."""
    before = world.content(PUBLISHED, *RAW)
    BUILD.unlink()
    with warehouse.amend(load_settings()) as con:
        assert con.execute("select count(*) from raw.prices").fetchone() == (44,)
    assert world.content(PUBLISHED, *RAW) == before


@pytest.mark.parametrize("name", sorted(DAMAGE.keys() - {"missing", "zero bytes", "empty database"}))
def test_both_files_damaged(name: str) -> None:
    """The run stops, in one sentence that names the page with the way out; neither file is changed."""
    DAMAGE[name]()
    PUBLISHED.chmod(0o644)
    PUBLISHED.write_bytes(b"nothing")
    held = BUILD.read_bytes()
    made = world.run(market(), DAYS[22])
    assert made.status == "failed"
    assert "is damaged" in made.message
    assert "docs/operations.md" in made.message
    assert "\n" not in made.message
    assert (BUILD.read_bytes(), PUBLISHED.read_bytes()) == (held, b"nothing")


@pytest.mark.parametrize("name", ["missing", "damaged"])
def test_the_published_file_is_lost(name: str) -> None:
    """The next run publishes it again from the build database, also one that has nothing new."""
    before = world.content(PUBLISHED, *RAW)
    PUBLISHED.chmod(0o644)
    PUBLISHED.unlink() if name == "missing" else PUBLISHED.write_bytes(b"nothing")
    assert world.run(market(), DAYS[21], datetime(2024, 2, 2, tzinfo=UTC)).status == "up_to_date"
    assert world.content(PUBLISHED, *RAW) == before


@pytest.mark.long_after(0)
def test_an_older_build_file_is_not_published() -> None:
    """Put back from a backup it holds less than readers have: the run stops before it fetches, and says both ways to go on."""
    before = world.content(PUBLISHED, *RAW)
    with duckdb.connect(str(BUILD)) as con:
        con.execute(f"delete from raw.prices where session = '{DAYS[3]}'")
    source = market()
    made = world.run(source, DAYS[22])
    assert (made.status, source.asked) == ("failed", [])
    assert "holds less history than" in made.message
    assert "21 instead of 22 sessions" in made.message
    assert world.content(PUBLISHED, *RAW) == before
    # A person says so: the published file is moved away.
    PUBLISHED.rename("kept.duckdb")
    assert world.run(market(), DAYS[22]).status == "published"
    assert DAYS[3] not in sessions()


@pytest.mark.long_after(0)
@pytest.mark.parametrize("table", RAW)
def test_publishing_refuses_less(table: str) -> None:
    """Also where history is lost between opening and publishing, of any table."""
    before = world.content(PUBLISHED, *RAW)
    with warehouse.writing(BUILD) as con:
        con.execute(f"delete from {table} where rowid = (select max(rowid) from {table})")
        with pytest.raises(RotationError, match=f"holds less history than .* rows of {table}|sessions"):
            publish(con, BUILD, PUBLISHED)
    assert world.content(PUBLISHED, *RAW) == before


def test_a_build_file_in_use_is_left_alone() -> None:
    """A lock held by another process is no damage."""
    held = subprocess.Popen(
        [sys.executable, "-c", f"import duckdb; c = duckdb.connect('{BUILD}'); print('open', flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert held.stdout is not None
    held.stdout.readline()
    try:
        recovery.prepare(BUILD, PUBLISHED)
        with pytest.raises(WarehouseBusy), warehouse.writing(BUILD):
            pass
    finally:
        held.communicate(b"\n")
    assert not BUILD.with_name("build.duckdb.damaged-1").exists()


@pytest.mark.long_after(0)
def test_a_first_run_killed_at_once() -> None:
    """It leaves a build file of zero bytes and nothing published; the next run is the first one."""
    shutil.rmtree("warehouse")
    Path("warehouse").mkdir()
    BUILD.touch()
    assert world.run(market(), DAYS[20]).status == "published"


# ---- a disk that is not mounted ----


def test_an_empty_folder_where_something_was_published(tmp_path: Path) -> None:
    """It is taken for a disk that is not mounted: nothing is written to it, and once it is mounted the next run goes on."""
    world.run(market(), DAYS[22])
    Path("warehouse").rename("disk")
    Path("warehouse").mkdir()
    (Path("warehouse") / "lost+found").mkdir()
    failed = world.run(market(), DAYS[23])
    assert (failed.status, failed.published) == ("failed", False)
    assert failed.message.startswith(f"warehouse is empty, but {DAYS[22]} was published there: mount its disk, or ")
    assert [path.name for path in Path("warehouse").iterdir()] == ["lost+found"]
    (Path("warehouse") / "lost+found").rmdir()
    Path("warehouse").rmdir()
    Path("disk").rename("warehouse")
    assert world.run(market(), DAYS[23]).status == "published"
    assert len(sessions()) == 24


@pytest.mark.long_after(1)
@pytest.mark.parametrize("how", ["deleted", "forgotten", "damaged"])
def test_an_empty_folder_that_is_meant(tmp_path: Path, how: str) -> None:
    """The next run begins from nothing where the folder was deleted, where the file in the folder of state was removed, and where it names no session."""
    world.run(market(), DAYS[22])
    shutil.rmtree("warehouse")
    if how != "deleted":
        Path("warehouse").mkdir()
        for memory in (tmp_path / "state" / "market-rotation").glob("published-*.json"):
            memory.unlink() if how == "forgotten" else memory.write_text("{}")
    assert world.run(market(), DAYS[22]).status == "published"
    assert len(sessions()) == 23


def _last_block(path: Path) -> None:
    """Cut off; whether opening reads it depends on which table was written last."""
    os.truncate(path, path.stat().st_size - BLOCK)


def _block_of_zeros(path: Path) -> None:
    """A block of a table that is not read where nothing is new."""
    with duckdb.connect(str(path), read_only=True) as con:
        (block,) = con.execute(
            "select max(block_id) from pragma_storage_info('signals.relative_strength') where persistent"
        ).fetchone()
    with path.open("r+b") as file:
        file.seek(HEADERS + block * BLOCK)
        file.write(bytes(BLOCK))


#: Of a DuckDB file, in bytes.
HEADERS, BLOCK = 3 * 4096, 262144


def readable(path: Path) -> bool:
    try:
        with duckdb.connect(str(path), read_only=True) as con:
            damage.read_all(con)
    except duckdb.Error as error:
        return not damage.is_damage(error)
    return True


@pytest.mark.parametrize("ruin", [_last_block, _block_of_zeros])
def test_a_build_file_that_only_reading_shows_to_be_damaged(ruin: Callable[[Path], None]) -> None:
    """It is never published: a run goes on from the published file, or stops and says so, and then the next one does."""
    before = world.content(PUBLISHED, *RAW, "signals.relative_strength")
    ruin(BUILD)
    assert not readable(BUILD)
    # Nothing new, so nothing is derived again.
    made = world.run(market(), DAYS[21], datetime(2024, 2, 2, tzinfo=UTC))
    assert readable(PUBLISHED)
    if made.status == "failed":
        assert "is damaged" in made.message
        assert "the next run goes on from " in made.message
        assert world.run(market(), DAYS[21], datetime(2024, 2, 3, tzinfo=UTC)).status == "up_to_date"
    assert readable(BUILD)
    assert readable(PUBLISHED)
    assert world.content(PUBLISHED, *before) == before


def test_the_write_ahead_log_of_a_killed_publish() -> None:
    """What a process that was killed while it finished the copy left is not replayed into the next copy."""
    temporary = PUBLISHED.with_name(f".{PUBLISHED.name}.tmp")
    shutil.copy(BUILD, temporary)
    code = (
        f"import duckdb, os; con = duckdb.connect('{temporary}'); con.execute(\"update ops.runs set message = 'killed'\"); "
        "os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert temporary.with_name(f"{temporary.name}.wal").exists()
    assert world.run(market(), DAYS[22]).status == "published"
    with warehouse.reading(PUBLISHED) as con:
        assert con.execute("select count(*) from ops.runs where message = 'killed'").fetchone() == (0,)
