"""The published file as a server reads it: opened once, and again when a run has replaced it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from typing import Any

import duckdb

from market_rotation.tasks import warehouse
from market_rotation.tasks.errors import RotationError
from market_rotation.tasks.report import queries as report_queries
from market_rotation.tasks.report.phrases import plain
from market_rotation.tasks.serve import queries


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


@dataclass
class _Opened:
    """An open file and the number of its readers. DuckDB closes the cursors of a connection with it, so the last reader closes it."""

    edition: Edition
    con: duckdb.DuckDBPyConnection
    readers: int = 0
    is_current: bool = True


class Published:
    """The published file at `path`. Each reader gets a connection of its own to the newest state; one that is reading keeps the state it has."""

    def __init__(self, path: warehouse.Published) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._opened: _Opened | None = None

    @property
    def version(self) -> str:
        """Identifies the file that is published now. Raises `RotationError` where there is none."""
        return warehouse.version(self.path)

    @contextmanager
    def reading(self) -> Iterator[tuple[Edition, duckdb.DuckDBPyConnection]]:
        """The newest state and a connection to it. Raises `RotationError` where there is none, or nothing was published yet."""
        with self._lock:
            opened = self._newest()
            con = warehouse.cursor(opened.con)
            opened.readers += 1
        try:
            with warehouse.upgrading(con, self.path):
                yield opened.edition, con
        except (duckdb.InternalException, duckdb.FatalException):
            # DuckDB may refuse every later query on this connection; the next reader opens the file again.
            with self._lock:
                if self._opened is opened:
                    self._retire()
            raise
        finally:
            con.close()
            with self._lock:
                opened.readers -= 1
                self._close_unused(opened)

    def close(self) -> None:
        """Closes the file as soon as nobody reads it."""
        with self._lock:
            self._retire()

    def _newest(self) -> _Opened:
        version = self.version
        if self._opened is None or self._opened.edition.version != version:
            self._retire()
            con = warehouse.open_alone(self.path)
            try:
                self._opened = _Opened(_edition(con, version, self.path), con)
            except BaseException:
                con.close()
                raise
        return self._opened

    def _retire(self) -> None:
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.is_current = False
            self._close_unused(opened)

    @staticmethod
    def _close_unused(opened: _Opened) -> None:
        if not opened.is_current and not opened.readers:
            opened.con.close()


def _edition(con: duckdb.DuckDBPyConnection, version: str, path: warehouse.Published) -> Edition:
    with warehouse.upgrading(con, path):
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
