"""What the tests of lakes share: a small market, its history day by day, and what readers see."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import world

from market_rotation.tasks import warehouse
from market_rotation.tasks.run.ledger import Run
from market_rotation.tasks.settings import load_settings
from market_rotation.tasks.warehouse.lake import takeover

DAYS = world.days()
FIRST, LAST = 20, 23
PASSWORD = "hush-hush"  # noqa: S105
KINDS = ("duckdb", "sqlite", "postgres", "postgres-s3")
#: Makes a lake current, as ROTATION_WAREHOUSE and ROTATION_LAKE_DATA; returns the first.
UseLake = Callable[[str], str]


def market(first: int = 0, **columns: Any) -> world.FakeSource:
    """A vendor that gives bars from session number `first` on; with a split of both symbols on session number 22."""
    closes = [100.0 + (i * 7) % 11 + i / 7 for i in range(first, 60)]
    plain = {"split_ratio": [2.0 if i == 22 else 1.0 for i in range(first, 60)], **columns}
    return world.FakeSource({s: world.bars(s, closes, DAYS[first], **plain) for s in ("SPY", "IWM")})


def run(day: int, **parameters: Any) -> Run:
    """A run of session number `day`."""
    return world.run(market(), DAYS[day], **parameters)


def make_history(folder: Path) -> None:
    """The build database and the published file after each run of one warehouse, as `20.build` and `20.published` and so on."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("ROTATION_WAREHOUSE", raising=False)
        patch.setenv("ROTATION_HOME", str(folder / "home"))
        for day in range(FIRST, LAST + 1):
            assert run(day).status == "published"
            shutil.copy(folder / "home" / "build.duckdb", folder / f"{day}.build")
            shutil.copy(folder / "home" / "rotation.duckdb", folder / f"{day}.published")


def publish(history: Path, day: int) -> None:
    """Publishes to the current lake what the run of session number `day` had built, from the build database of this home."""
    settings = load_settings()
    build, agreed = settings.build, None
    build.parent.mkdir(exist_ok=True)
    if build.exists():
        with warehouse.writing(build) as con:
            agreed = takeover.agreed(con)
    shutil.copy(history / f"{day}.build", build)
    readers = warehouse.engine(settings.published)
    with readers.alone(0), warehouse.writing(build) as con:
        if agreed:
            takeover.record(con, agreed)
        readers.catch_up(con)
        readers.publish(con, build)


def content(published: warehouse.Published | None = None, *, with_runs: bool = True) -> dict[str, str]:
    """A hash of each table that is published now; without `with_runs` of what two runs of the same day have in common."""
    with warehouse.reading(published or load_settings().published) as con:
        columns = con.execute(
            "select schema_name || '.' || table_name, list(column_name) from duckdb_columns() "
            "where database_name = current_database() and schema_name in ('raw', 'core', 'signals', 'ops') group by all order by all"
        ).fetchall()
        found = {}
        for name, names in columns:
            left = "" if with_runs else ", ".join({"run_id"} & set(names))
            if with_runs or name not in ("ops.runs", "ops.alerts"):
                selected = f"select *{f' exclude ({left})' if left else ''} from {name}"
                query = f"select count(*), sum(hash(whole)::hugeint) from ({selected}) as whole"
                found[name] = str(con.execute(query).fetchone())
        return found


def snapshots() -> list[tuple[str | None, str | None]]:
    """Author and message of each snapshot of the lake."""
    with warehouse.reading(load_settings().published) as con:
        return con.execute("select author, commit_message from rotation.snapshots() order by snapshot_id").fetchall()


def sessions() -> list[Any]:
    """The sessions that readers see."""
    with warehouse.reading(load_settings().published) as con:
        return [day for (day,) in con.execute("select distinct session from core.prices order by all").fetchall()]


def data_files() -> set[Path]:
    """The data files of a lake on a disk."""
    return set(Path(os.environ["ROTATION_LAKE_DATA"]).rglob("*.parquet"))
