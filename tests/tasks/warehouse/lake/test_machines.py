"""Several machines, each with a home of its own, on one lake."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
import world
from lakes import DAYS, PASSWORD, UseLake, content, market, publish, run, sessions

from market_rotation.tasks import warehouse
from market_rotation.tasks.errors import ConfigError, RotationError, WarehouseBusy
from market_rotation.tasks.run import pipeline
from market_rotation.tasks.run.context import Parameters
from market_rotation.tasks.settings import load_settings
from market_rotation.tasks.warehouse import rebuild
from market_rotation.tasks.warehouse.lake import contents
from market_rotation.tasks.warehouse.lake.engine import Lake


def world_evening(day: date) -> datetime:
    """The evening of `day`, a minute after that of `world.run`."""
    return datetime(day.year, day.month, day.day, 23, 31, tzinfo=UTC)


@contextmanager
def machine(name: str) -> Iterator[None]:
    """The home of the machine `name` is the current one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROTATION_HOME", name)
        yield


@pytest.mark.long
@pytest.mark.parametrize("kind", ["postgres", "duckdb"])
def test_machines_in_turn(kind: str, use_lake: UseLake, history: Path) -> None:
    """Two machines that run in turn hold and publish what one machine alone does, to the last row of `raw`."""
    use_lake(kind)
    with machine("one"):
        publish(history, 20)
    with machine("two"):
        # Its vendor no longer gives what the other machine loaded.
        assert world.run(market(first=8), DAYS[21]).status == "published"
    with machine("one"):
        assert run(22).status == "published"
    of_file = content(history / "22.published", with_runs=False)
    assert {name for name, held in content(with_runs=False).items() if of_file[name] != held} == set()


@pytest.mark.long_after(1)
@pytest.mark.parametrize("kind", ["duckdb", "sqlite", "postgres"])
def test_one_machine_at_a_time(kind: str, use_lake: UseLake, history: Path) -> None:
    """While one machine publishes, another one waits, and says why when that takes too long."""
    use_lake(kind)
    publish(history, 20)
    with warehouse.engine(load_settings().published).alone(0), machine("other"):
        with pytest.raises(WarehouseBusy, match="is being written by another process or machine"):
            run(21)
        with pytest.raises(WarehouseBusy), warehouse.amend(load_settings()):
            pass
    with machine("other"), warehouse.amend(load_settings()):
        pass
    # An error inside is that of the caller, not one of the lake.
    with pytest.raises(duckdb.Error, match="nowhere"), warehouse.amend(load_settings()) as con:
        con.execute("from nowhere")


@pytest.mark.long
@pytest.mark.parametrize("kind", ["postgres", "duckdb"])
def test_two_publishes_at_once(kind: str, use_lake: UseLake, history: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the lock is lost and another machine publishes during a run, that run fails in one sentence, and its rows come with the next run."""
    use_lake(kind)
    publish(history, 21)
    with machine("other"), warehouse.amend(load_settings()):
        pass

    @contextmanager
    def no_lock(lake: Lake, wait_s: float) -> Iterator[None]:
        yield

    monkeypatch.setattr(Lake, "alone", no_lock)

    def publish_late(context: Any) -> None:
        with machine("other"):
            publish(history, 22)
        pipeline.publish(context)

    now = DAYS[22]
    steps = pipeline.Steps(fetch=world.fetch_in_order, publish=publish_late)
    late = pipeline.run(
        Parameters(world_evening(now), now), steps, market(dividend=[1.0 if i == 22 else 0.0 for i in range(60)])
    )
    assert late.status == "failed"
    assert "published to ducklake:" in late.message
    assert "Nothing is lost" in late.message
    assert PASSWORD not in late.message
    with warehouse.reading(load_settings().published) as con:
        assert con.execute("select count(*) from ops.runs where run_id = $1", [late.run_id]).fetchone() == (0,)
    assert run(23).status == "published"
    assert sessions() == DAYS[:24]
    with warehouse.reading(load_settings().published) as con:
        # The failed run is on record, its rows are there, and the later known version of the bar counts.
        assert con.execute("select status from ops.runs where run_id = $1", [late.run_id]).fetchone() == ("failed",)
        loaded = con.execute("select count(*) from raw.prices where run_id = $1", [late.run_id]).fetchone()
        assert loaded[0] > 0
        assert con.execute("select count(distinct session) from core.prices").fetchone() == (24,)
    with machine("other"):
        before = content(with_runs=False)
        assert run(23).status == "up_to_date"
        assert content(with_runs=False) == before


def test_a_commit_that_conflicts(use_lake: UseLake, history: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two transactions of the server at once: the one that commits second changes nothing, and says who came first."""
    use_lake("postgres")
    publish(history, 20)
    settings = load_settings()
    with machine("other"):
        publish(history, 21)
        other = load_settings()
    lake, record = warehouse.engine(settings.published), contents._record

    with warehouse.writing(settings.build) as con, warehouse.writing(other.build) as rival:
        lake.catch_up(con)
        lake.catch_up(rival)

        def overtaken(*values: Any) -> None:
            record(*values)
            monkeypatch.setattr(contents, "_record", record)
            lake.publish(rival, other.build)

        monkeypatch.setattr(contents, "_record", overtaken)
        with pytest.raises(RotationError, match=r"Another machine published to ducklake:.* Nothing is lost"):
            lake.publish(con, settings.build)
    assert sessions() == DAYS[:22]


@pytest.mark.long_after(1)
@pytest.mark.parametrize("kind", ["postgres", "duckdb"])
def test_two_processes_at_once(kind: str, use_lake: UseLake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two machines start the same evening's run in the same moment: one publishes, the other finds it done."""
    use_lake(kind)
    monkeypatch.setenv("ROTATION_WAIT_S", "120")
    code = (
        "import sys; from datetime import UTC, datetime; from lakes import DAYS, market; import world; "
        "made = world.run(market(), DAYS[20]); print(made.status); assert made.error is None, made.error"
    )
    folders = [str(Path(__file__).parent), str(world.REPOSITORY / "tests"), *sys.path]
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env={**os.environ, "ROTATION_HOME": name, "PYTHONPATH": os.pathsep.join(folders)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("one", "two")
    ]
    said = sorted(process.communicate(timeout=180)[0].split()[-1] for process in started)
    assert [process.returncode for process in started] == [0, 0]
    assert said == ["published", "up_to_date"]
    assert sessions() == DAYS[:21]


def test_two_warehouses_never_become_one(use_lake: UseLake, history: Path) -> None:
    """A machine with a history of its own does not mix it with a lake that another machine filled."""
    use_lake("duckdb")
    with machine("other"):
        publish(history, 20)
    shutil.copytree(history / "home", "warehouse")
    with warehouse.writing(Path("warehouse/build.duckdb")) as con:
        con.execute("update raw.prices set run_id = '0' || run_id")
    before = content()
    failed = run(23)
    assert failed.status == "failed"
    assert "are two warehouses" in failed.message
    assert content() == before


@pytest.mark.long_after(1)
@pytest.mark.parametrize("kind", ["sqlite", "postgres-s3"])
def test_a_warehouse_moves_to_a_lake_and_back(
    kind: str, use_lake: UseLake, history: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`rebuild --to` fills a lake, and a file from it; a lake with a warehouse is not replaced. Alerts stay where they were."""
    shutil.copytree(history / "home", "warehouse")
    before = content(history / "23.published")
    address = use_lake(kind)
    now = world_evening(DAYS[23])
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("ROTATION_WAREHOUSE")
        made = rebuild.rebuild(load_settings(), None, address, now)
        assert PASSWORD not in f"{made}{made.path}"
        with pytest.raises(ConfigError, match="holds a warehouse already"):
            rebuild.rebuild(load_settings(), None, address, now)
    assert {name for name, held in content().items() if before[name] != held} == set()
    with machine("new"):
        rebuild.rebuild(load_settings(), None, "back.duckdb", now)
    assert {name for name, held in content(Path("back.duckdb")).items() if before[name] != held} == set()
    with warehouse.amend(load_settings()) as con:
        # The machine that moved it finds its own history.
        assert con.execute("select count(*) from ops.runs").fetchone() == (4,)
