"""A day's run that publishes to a DuckLake, with its catalog in PostgreSQL, against the same run that publishes a file."""

from __future__ import annotations

import shutil
from pathlib import Path

from postgresql import databases

from benchmarks.measure import Ratio, command


def measure(folder: Path) -> list[Ratio]:
    """The run of one new session on the simulated market, as a whole command, with both kinds of warehouse."""
    file, lake = folder / "lake-file", folder / "lake-home"
    simulated = {"ROTATION_SOURCE": "sample"}
    command("-m", "market_rotation", "run", "--session", "2026-01-15", env={"ROTATION_HOME": str(file), **simulated})
    shutil.copytree(file, lake)
    with databases("rotation", "benchmark") as database:
        address = (
            f"ducklake:postgres:dbname=postgres host=127.0.0.1 port={database.port} user=rotation password=benchmark"
        )
        of_lake = {
            "ROTATION_HOME": str(lake),
            "ROTATION_WAREHOUSE": address,
            "ROTATION_LAKE_DATA": str(folder / "lake-data"),
        }
        # The first run on the lake publishes everything; a day is what comes after it.
        command("-m", "market_rotation", "run", "--session", "2026-01-15", env={**of_lake, **simulated})
        day = ("-m", "market_rotation", "run", "--session", "2026-01-16")
        of_file_s = command(*day, env={"ROTATION_HOME": str(file), **simulated})
        of_lake_s = command(*day, env={**of_lake, **simulated})
    return [
        Ratio(
            "A day's run that publishes to a DuckLake, catalog in PostgreSQL, data on the disk",
            "`rotation run` with `ROTATION_WAREHOUSE=ducklake:postgres:…`",
            "`rotation run` with a file",
            of_lake_s,
            of_file_s,
            2.0,
        )
    ]
