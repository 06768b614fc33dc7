"""A day's run of the shipped universe with 21 years of history, against a bare script that derives the same tables."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks import prefect_server
from benchmarks.measure import Figure, Ratio, command

HISTORY = "A day's run, shipped universe, 21 years"
DAY = ("-m", "market_rotation", "run", "--session", "2026-01-16")
SIMULATED = {"ROTATION_SOURCE": "sample"}


def measure(folder: Path) -> Iterator[Ratio | Figure]:
    """The run of one new session on the simulated market, as a whole command, without and with a Prefect server."""
    home, served = folder / "day", folder / "day-served"
    env = {"ROTATION_HOME": str(home), **SIMULATED}
    command("-m", "market_rotation", "run", "--session", "2026-01-15", env=env)
    shutil.copytree(home, served)
    alone_s = command(*DAY, env=env)
    with prefect_server.serving(folder / "prefect") as server:
        served_s = command(*DAY, env={"ROTATION_HOME": str(served), **SIMULATED, **server})
        # A run whose server does not answer goes on without it.
        assert prefect_server.completed(server) == 1, "the run is not on the server"
    build = built(folder)
    bare_s = command("-m", "benchmarks.day", str(build), env=env)
    same = "a process that runs the same SQL files and copies the file"
    yield Ratio(f"{HISTORY}, without a Prefect server", "`rotation run`", same, alone_s, bare_s, 3.5)
    yield Ratio(f"{HISTORY}, as a flow run of a Prefect server", "`rotation run`", same, served_s, bare_s, 2.0)
    how = "seconds of `rotation run` without a server, less those of the bare process"
    yield Figure(f"Our own work in it: {HISTORY[0].lower()}{HISTORY[1:]}", how, alone_s - bare_s, 1.0, "s")


def built(folder: Path) -> Path:
    """A copy of the build database of the day's run in `folder`, which that run made: 21 years of the shipped universe."""
    copy = folder / "bare.duckdb"
    shutil.copy(folder / "day" / "build.duckdb", copy)
    return copy


def bare(build: Path) -> None:
    """Derives the tables of `build` from its `raw`, as the run of 2026-01-16 does, and copies the file: no request, audit or report."""
    from datetime import date

    from market_rotation.tasks import warehouse

    # Opened as a run does: with the same optimizers.
    with warehouse.writing(build) as con:
        found = con.execute("select run_id, started_at from ops.runs order by run_id desc limit 1").fetchone()
        assert found
        warehouse.parameters(
            con,
            run_id=found[0],
            known_at=found[1],
            source="sample",
            target_session=date(2026, 1, 16),
            history_start=date(2005, 1, 3),
        )
        con.execute("begin")
        warehouse.build(con, "core", "signals")
        con.execute("commit")
    shutil.copy(build, build.with_suffix(".published"))


if __name__ == "__main__":
    bare(Path(sys.argv[1]))
