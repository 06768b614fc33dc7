"""The engines that hold the published warehouse: a DuckDB file, or a DuckLake. What every engine does, and which one a setting names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from market_rotation.tasks.lake_address import LakeAddress
from market_rotation.tasks.warehouse.database_file import DatabaseFile

if TYPE_CHECKING:
    import duckdb

#: The published warehouse, as `Settings.published` names it.
Published = Path | LakeAddress


class Engine(Protocol):
    """The published warehouse. A run computes in the build database of its machine, and publishes from there in one atomic step.

    `alone`, `prepare`, `catch_up` and `publish` are for writers, in this order; `con` is the open build database.
    """

    def exists(self) -> bool:
        """Whether anything was published."""

    def version(self) -> str:
        """Identifies the state that readers see now. Raises `RotationError` where there is none."""

    def size_bytes(self) -> int | None:
        """The size of what was published; None where nothing was."""

    def reading(self, as_of: datetime | None = None) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        """A read-only connection to one published state: the newest, or that of `as_of`."""

    def open_alone(self) -> duckdb.DuckDBPyConnection:
        """As `reading`, apart from all other connections of this process; the caller closes it."""

    def attached(self, con: duckdb.DuckDBPyConnection, name: str) -> AbstractContextManager[None]:
        """The newest published state as the database `name` of `con`, read-only."""

    def alone(self, wait_s: float) -> AbstractContextManager[None]:
        """Until the block ends no other machine publishes. Raises `WarehouseBusy` when another one does so for longer than `wait_s` seconds."""

    def prepare(self, build: Path) -> None:
        """Makes sure that the build database can be opened to write to, and holds no less than its machine published."""

    def catch_up(self, con: duckdb.DuckDBPyConnection) -> None:
        """Brings the open build database up to what other machines published."""

    def publish(
        self,
        con: duckdb.DuckDBPyConnection,
        build: Path,
        finish: Callable[[duckdb.DuckDBPyConnection], object] | None = None,
    ) -> None:
        """Replaces what readers see by the content of the build database, in one atomic step.

        `finish` writes into what is published, for records in `ops.runs` that are true only once readers have it.
        """

    def publish_ledgers(self, con: duckdb.DuckDBPyConnection, ledgers: Sequence[str]) -> None:
        """Replaces `ledgers`, tables of `ops`, and nothing else."""


def engine(published: Published) -> Engine:
    """The engine of the published warehouse."""
    if isinstance(published, LakeAddress):
        from market_rotation.tasks.warehouse.lake.engine import Lake

        return Lake(published)
    return DatabaseFile(published)
