"""The published file as a server reads it: opened once, and again when a run has replaced it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from market_rotation.tasks import warehouse
from market_rotation.tasks.errors import RotationError
from market_rotation.tasks.report import queries as report_queries
from market_rotation.tasks.report.phrases import plain
from market_rotation.tasks.serve import queries

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class Edition:
    """One published state of the warehouse: what readers see until a run replaces the file.

    `version` identifies it. `sessions` are those that have a report, in order. `known_at` is when the newest data was fetched.
    """

    version: str
    sessions: tuple[date, ...]
    known_at: datetime
    source: str
    is_simulated: bool
    instruments: tuple[dict[str, Any], ...]
    pairs: tuple[tuple[str, str], ...]
    flow_symbols: tuple[str, ...]

    @property
    def session(self) -> date:
        """The latest session."""
        return self.sessions[-1]

    @cached_property
    def symbols(self) -> tuple[str, ...]:
        """The symbols that have prices."""
        return tuple(row["symbol"] for row in self.instruments)


class Published:
    """The published file at `path`. Each reader gets a connection of its own to the newest state; one that is reading keeps the state it has."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._con: duckdb.DuckDBPyConnection | None = None
        self._edition: Edition | None = None

    @property
    def version(self) -> str:
        """Identifies the file that is published now. Raises `RotationError` where there is none."""
        warehouse.refuse_missing(self.path)
        found = self.path.stat()
        return f"{found.st_ino:x}-{found.st_mtime_ns:x}"

    @contextmanager
    def reading(self) -> Iterator[tuple[Edition, duckdb.DuckDBPyConnection]]:
        """The newest state and a connection to it. Raises `RotationError` where there is none, or nothing was published yet."""
        with self._lock:
            version = self.version
            if self._edition is None or self._con is None or self._edition.version != version:
                self.close()
                self._con = warehouse.open_alone(self.path)
                self._edition = _edition(self._con, version, self.path)
            edition, con = self._edition, warehouse.cursor(self._con)
        try:
            with warehouse.upgrading(self.path):
                yield edition, con
        finally:
            con.close()

    def close(self) -> None:
        """Closes the file. Connections in use stay open until their readers are done."""
        con, self._con, self._edition = self._con, None, None
        if con is not None:
            con.close()


def _edition(con: duckdb.DuckDBPyConnection, version: str, path: Path) -> Edition:
    import duckdb

    with warehouse.upgrading(path):
        try:
            (origin,) = plain(report_queries.run(con, "origin", None))
        except duckdb.CatalogException:
            origin = {"last_session": None}
        if origin["last_session"] is None:
            raise RotationError("Nothing was published yet, so there is nothing to show; start with `rotation run`.")
        return Edition(
            version=version,
            sessions=tuple(queries.run(con, "sessions")["session"].dt.date),
            known_at=origin["known_at"].to_pydatetime(),
            source=origin["source"],
            is_simulated=bool(origin["is_simulated"]),
            instruments=tuple(plain(queries.run(con, "instruments"))),
            pairs=tuple((row["small_symbol"], row["large_symbol"]) for row in plain(queries.run(con, "pairs"))),
            flow_symbols=tuple(queries.run(con, "flow_symbols")["symbol"]),
        )
