"""A day's run of the shipped universe with 21 years of history, against a bare script that derives the same tables."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from benchmarks.measure import Ratio, command


def measure(folder: Path) -> list[Ratio]:
    """The run of one new session on the simulated market, as a whole command."""
    home = folder / "day"
    env = {"ROTATION_HOME": str(home), "ROTATION_SOURCE": "sample"}
    command("-m", "market_rotation", "run", "--session", "2026-01-15", env=env)
    ours = command("-m", "market_rotation", "run", "--session", "2026-01-16", env=env)
    shutil.copy(home / "build.duckdb", folder / "bare.duckdb")
    bare = command("-m", "benchmarks.day", str(folder / "bare.duckdb"), env=env)
    return [
        Ratio(
            "A day's run, shipped universe, 21 years, without a Prefect server",
            "`rotation run`",
            "a process that runs the same SQL files and copies the file",
            ours,
            bare,
            3.5,
        )
    ]


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
