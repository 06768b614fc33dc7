"""A PostgreSQL server of its own, which can be stopped and started again."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from processes import DEADLINE_S, free_port, until


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


class Database:
    """A cluster in `folder` with an empty database at `url`, of the user `login`, who needs `password` where one is given."""

    def __init__(self, folder: Path, programs: Path, user: str | None, login: str, password: str | None) -> None:
        self.folder, self.programs, self.port = folder, programs, free_port()
        self.url = f"postgresql+asyncpg://{login}@127.0.0.1:{self.port}/postgres"
        self._quiet: dict[str, Any] = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.DEVNULL,
            "cwd": folder,
            "user": user,
        }
        (folder / "password").write_text(password or "")
        if user:
            shutil.chown(folder / "password", user)
        auth = ["scram-sha-256", "--pwfile", str(folder / "password")] if password else ["trust"]
        cluster = ["--pgdata", str(folder / "data"), "--username", login, "--no-sync", "--auth", *auth]
        subprocess.run(
            [str(programs / "initdb"), *cluster, "--encoding", "UTF8", "--no-locale"],
            check=True,
            timeout=DEADLINE_S,
            **self._quiet,
        )
        self.server: subprocess.Popen[bytes]

    def start(self) -> None:
        """Starts the server, and returns once it takes connections."""
        log = self.folder / "log"
        before = len(log.read_text()) if log.exists() else 0
        # What is lost in a crash does not matter here.
        options = ["-k", str(self.folder), "-h", "127.0.0.1", "-p", str(self.port), "-c", "fsync=off"]
        with log.open("ab") as written:
            self.server = subprocess.Popen(
                [str(self.programs / "postgres"), "-D", str(self.folder / "data"), *options],
                stderr=written,
                **self._quiet,
            )
        said = "database system is ready to accept connections"
        until(lambda: said in log.read_text()[before:] or self.server.poll() is not None, "PostgreSQL is ready")
        assert self.server.poll() is None, log.read_text()

    def stop(self) -> None:
        """Ends the server; whoever is connected is disconnected."""
        if self.server.poll() is None:
            self.server.send_signal(signal.SIGINT)
        self.server.wait()


@contextmanager
def databases(login: str = "prefect", password: str | None = None) -> Iterator[Database]:
    """A running database, which is gone afterwards. Skips the test where PostgreSQL is not installed."""
    found, user = programs(), owner()
    # Not below pytest's folder, which only its owner may enter.
    with tempfile.TemporaryDirectory(prefix="rotation-postgresql-") as name:
        if user:
            shutil.chown(name, user)
        database = Database(Path(name), found, user, login, password)
        database.start()
        try:
            yield database
        finally:
            database.stop()
