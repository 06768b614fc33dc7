"""Lakes for tests: catalogs in DuckDB, SQLite and PostgreSQL, data on a disk and in an object store."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import lakes
import object_store
import postgresql
import pytest
import world
from lakes import PASSWORD, UseLake
from processes import DEADLINE_S


@pytest.fixture(scope="session")
def server() -> Iterator[int]:
    """The port of a PostgreSQL server."""
    with postgresql.databases("rotation", PASSWORD) as database:
        yield database.port


@pytest.fixture(scope="session")
def store() -> Iterator[str]:
    """The address of an object store with the bucket `lake`."""
    with object_store.store("lake") as address:
        yield address


@pytest.fixture(autouse=True)
def small_universe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if find_spec("duckdb_extension_ducklake") is None:
        pytest.skip("the package duckdb-extension-ducklake is not installed")
    members = world.universe(world.instrument("SPY"), world.instrument("IWM"), pairs=[("IWM", "SPY")])
    monkeypatch.setenv("ROTATION_UNIVERSE", str(world.write_universe(tmp_path, members)))
    monkeypatch.setenv("ROTATION_HISTORY_START", "2024-01-02")
    monkeypatch.setenv("ROTATION_WAIT_S", "0")


@pytest.fixture
def history(small_universe: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse after each of four runs; see `lakes.make_history`."""
    return world.made_once(tmp_path_factory, "lake-history", lakes.make_history)


@pytest.fixture
def use_lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> UseLake:
    """Makes a new, empty lake of one of `KINDS` current."""

    def use(kind: str) -> str:
        name = f"lake_{os.getpid()}_{abs(hash(tmp_path)):x}_{len(list(tmp_path.iterdir()))}"
        data = str(tmp_path / "data")
        if kind.startswith("postgres"):
            port = request.getfixturevalue("server")
            login = {**os.environ, "PGPASSWORD": PASSWORD}
            createdb = (postgresql.programs() / "initdb").resolve().with_name("createdb")
            create = [str(createdb), "-h", "127.0.0.1", "-p", str(port), "-U", "rotation", name]
            subprocess.run(create, check=True, env=login, timeout=DEADLINE_S)
            address = f"ducklake:postgres:dbname={name} host=127.0.0.1 port={port} user=rotation password={PASSWORD}"
        else:
            address = f"ducklake:{'sqlite:' if kind == 'sqlite' else ''}{tmp_path / name}.{kind}"
        if kind.endswith("s3"):
            monkeypatch.setenv("AWS_ENDPOINT_URL", request.getfixturevalue("store"))
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", object_store.KEY)
            monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", object_store.SECRET)
            data = f"s3://lake/{name}"
        monkeypatch.setenv("ROTATION_WAREHOUSE", address)
        monkeypatch.setenv("ROTATION_LAKE_DATA", data)
        return address

    return use
