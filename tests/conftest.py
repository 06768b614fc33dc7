"""Fixtures for all tests: each starts in an empty folder, with no setting of the machine it runs on."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import distribution
import duckdb
import pytest
import world

REAL_DATA = Path(__file__).parents[2] / "shared" / "data"


# The processes of the tests share the cores already: with threads of its own in each, DuckDB does the same work in half as much time again.
duckdb.connect = partial(duckdb.connect, config={"threads": 1})


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("ROTATION_"):
            monkeypatch.delenv(name)
    # It takes seconds; tests of it turn it on.
    monkeypatch.setenv("ROTATION_REPORT", "false")
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with real market data, which is no part of the project."""
    if not (REAL_DATA / "files" / "prices.parquet").is_file():
        pytest.skip(f"no real market data at {REAL_DATA}")
    return REAL_DATA


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this repository, built once."""
    (made,) = world.made_once(tmp_path_factory, "wheel", partial(distribution.build, "wheel")).glob("*.whl")
    return made
