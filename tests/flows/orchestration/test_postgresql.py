"""The Prefect server on PostgreSQL, as where several machines work for one server: deployed and run in the same way."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from processes import DEADLINE_S, free_port, until
from server import deployments, serving
from test_deployments import few


def programs() -> Path:
    """The folder of PostgreSQL's server programs, the newest there are. Skips the test where there are none."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: float(folder.parent.name))
    for folder in [Path(found).parent for found in [shutil.which("initdb")] if found] + debian[::-1]:
        if all((folder / name).exists() for name in ("initdb", "postgres")):
            return folder
    pytest.skip("no PostgreSQL server here: neither initdb on the path nor anything below /usr/lib/postgresql")


def owner() -> str | None:
    """The user that runs the database, which must not be root. Skips the test when there is no other user."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    pytest.skip("PostgreSQL does not run as root, and there is no user postgres or nobody")


@pytest.fixture
def database() -> Iterator[str]:
    """The address of an empty database, in a cluster of its own that is gone afterwards."""
    found, user = programs(), owner()
    # Not below pytest's folder, which only its owner may enter.
    with tempfile.TemporaryDirectory(prefix="rotation-postgresql-") as name:
        folder, port = Path(name), free_port()
        if user:
            shutil.chown(folder, user)
        data = str(folder / "data")
        quiet: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "cwd": folder, "user": user}
        initialise = [str(found / "initdb"), "--pgdata", data, "--username", "prefect", "--auth", "trust", "--no-sync"]
        subprocess.run([*initialise, "--encoding", "UTF8", "--no-locale"], check=True, timeout=DEADLINE_S, **quiet)
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(
                # What is lost in a crash does not matter here.
                [
                    str(found / "postgres"),
                    "-D",
                    data,
                    "-k",
                    str(folder),
                    "-h",
                    "127.0.0.1",
                    "-p",
                    str(port),
                    "-c",
                    "fsync=off",
                ],
                stderr=log,
                **quiet,
            )
        try:
            said = "database system is ready to accept connections"
            until(lambda: said in (folder / "log").read_text() or server.poll() is not None, "PostgreSQL is ready")
            assert server.poll() is None, (folder / "log").read_text()
            yield f"postgresql+asyncpg://prefect@127.0.0.1:{port}/postgres"
        finally:
            # Fast: whoever is connected still is let go.
            server.send_signal(signal.SIGINT)
            server.wait()


@pytest.mark.long_after(0)
def test_the_server_on_postgresql(database: str, tmp_path: Path, wheel: Path) -> None:
    """With PostgreSQL instead of SQLite all deployments are made, and a flow run of the daily job publishes."""
    settings = few(tmp_path, date(2025, 11, 14)) | {"PREFECT_SERVER_DATABASE_CONNECTION_URL": database}
    with serving(tmp_path, wheel, settings) as prefect:
        found = {deployment["name"] for deployment in prefect.ask("/deployments/filter", {})}
        assert found == {deployment["name"] for deployment in deployments()}
        prefect.rest()
        with prefect.worker():
            run = prefect.run("daily-rotation/daily-rotation", now="2026-01-16T23:30:00+00:00")
        assert run["state_name"] == "Completed", prefect.log("worker")
        assert run["state"]["message"].startswith("Published 2026-01-16.")
        assert "validation" in prefect.artifacts(run["id"])
    assert not list((tmp_path / "prefect").glob("*.db"))
    assert "Traceback" not in prefect.log("server")
