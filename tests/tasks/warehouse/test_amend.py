"""A change outside a run: published as a whole or not at all, never an empty warehouse; and the holder of the lock."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from market_rotation.tasks import warehouse
from market_rotation.tasks.errors import RotationError, WarehouseBusy
from market_rotation.tasks.settings import Settings, load_settings
from market_rotation.tasks.warehouse import database_file
from market_rotation.tasks.warehouse import publish as publishing
from market_rotation.tasks.warehouse.lock import holder


@pytest.fixture
def settings() -> Settings:
    """A published warehouse without runs, and something left in its stage."""
    found = load_settings()
    with warehouse.writing(found.build) as con:
        publishing.publish(con, found.build, found.published)
        con.execute("create table stage.left_over as select 1 as x")
    return found


def insert(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(
        "insert into ops.alerts (alert_id, fingerprint, kind, severity, title, body, created_at, attempts) "
        "values ('a', 'f', 'failure', 'warning', 't', 'b', now(), 0)"
    )


def alerts(path: Path) -> int:
    with warehouse.reading(path) as con:
        (count,) = con.execute("select count(*) from ops.alerts").fetchone() or (0,)
        assert con.execute("select count(*) from duckdb_tables() where schema_name = 'stage'").fetchone() == (0,)
        return int(count)


@contextmanager
def opened_elsewhere(path: Path, *, read_only: bool = False) -> Iterator[int]:
    """Another process has the database at `path` open; yields its id."""
    code = "import sys, duckdb; con = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == '1'); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path), str(int(read_only))], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout
        assert other.stdout.readline() == b"open\n"
        yield other.pid
        other.communicate(b"")


def test_a_change_is_published(settings: Settings) -> None:
    """Readers see the change, and nothing that was staged."""
    with warehouse.amend(settings) as con:
        insert(con)
    assert alerts(settings.database_files[-1]) == 1


def test_an_error_publishes_nothing(settings: Settings) -> None:
    """An error inside leaves the published file as it was, byte for byte."""

    def fail() -> None:
        raise ZeroDivisionError

    before = settings.database_files[-1].read_bytes()
    with pytest.raises(ZeroDivisionError), warehouse.amend(settings) as con:
        insert(con)
        fail()
    assert settings.database_files[-1].read_bytes() == before


def test_no_empty_warehouse(settings: Settings) -> None:
    """Where there is neither file nothing is made, and the sentence names the warehouse and the command."""
    settings.database_files[-1].unlink()
    settings.build.unlink()
    with (
        pytest.raises(
            RotationError, match=r"no warehouse at .* yet; create one with `rotation run`, or set ROTATION_HOME\.$"
        ),
        warehouse.amend(settings) as con,
    ):
        insert(con)
    assert not settings.build.exists()
    assert not settings.database_files[-1].exists()


def test_nothing_published_yet(settings: Settings) -> None:
    """Where nothing was ever published the change is kept in the build database, and readers are not given a file without data."""
    settings.database_files[-1].unlink()
    with warehouse.amend(settings) as con:
        insert(con)
    assert not settings.database_files[-1].exists()
    assert alerts(settings.build) == 1


def test_a_full_disk(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the copy cannot be written the change stays in the build database, readers keep the old file, and the next one publishes both."""

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(database_file, "copy", fail)
        with (
            pytest.raises(RotationError, match=r"The change is recorded in .*No space left on device"),
            warehouse.amend(settings) as con,
        ):
            insert(con)
    assert alerts(settings.database_files[-1]) == 0
    with warehouse.amend(settings):
        pass
    assert alerts(settings.database_files[-1]) == 1


@pytest.mark.parametrize("read_only", [False, True], ids=["written", "read"])
def test_busy(settings: Settings, read_only: bool) -> None:
    """The sentence, and the lock itself, name the process, when it started, and whether it writes; the lock stays the other's."""
    with opened_elsewhere(settings.build, read_only=read_only) as process:
        held = holder(settings.build)
        assert held is not None
        assert (held.process, held.is_writing) == (process, not read_only)
        assert held.since is not None
        assert datetime.now(UTC) - timedelta(minutes=5) < held.since <= datetime.now(UTC)
        what = "read" if read_only else "written"
        for _ in range(2):
            with (
                pytest.raises(
                    WarehouseBusy, match=rf"is being {what} by process {process}, which started at .* UTC; wait"
                ),
                warehouse.amend(settings),
            ):
                raise AssertionError("opened")
    assert holder(settings.build) is None


def test_no_file_no_holder(tmp_path: Path) -> None:
    """A missing file has no holder, and a process that has ended holds nothing."""
    assert holder(tmp_path / "none.duckdb") is None
    (tmp_path / "free.duckdb").write_bytes(b"")
    assert holder(tmp_path / "free.duckdb") is None
    assert os.listdir(tmp_path) == ["free.duckdb"]
