"""The published warehouse as one DuckDB file, which a run replaces as a whole."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb

from market_rotation.tasks.errors import RotationError, UsageError
from market_rotation.tasks.warehouse import damage, history, recovery
from market_rotation.tasks.warehouse.files import copy, sync
from market_rotation.tasks.warehouse.open_file import open_file_alone, reading_file, refuse_missing_file


@dataclass(frozen=True)
class DatabaseFile:
    """The file at `path`; see `market_rotation.tasks.warehouse.engine.Engine`."""

    path: Path

    def exists(self) -> bool:
        return self.path.is_file()

    def version(self) -> str:
        refuse_missing_file(self.path)
        found = self.path.stat()
        return f"{found.st_ino:x}-{found.st_mtime_ns:x}"

    def size_bytes(self) -> int | None:
        return self.path.stat().st_size if self.path.exists() else None

    def reading(self, as_of: datetime | None = None) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        if as_of is not None:
            raise UsageError(
                f"{self.path} is a file, which holds one state; `rotation rebuild --as-of` writes a file with what was known then."
            )
        return reading_file(self.path)

    def open_alone(self) -> duckdb.DuckDBPyConnection:
        return open_file_alone(self.path)

    @contextmanager
    def attached(self, con: duckdb.DuckDBPyConnection, name: str) -> Iterator[None]:
        con.execute(f"attach '{_escaped(self.path)}' as {name} (read_only)")
        yield
        con.execute(f"detach {name}")

    def alone(self, wait_s: float) -> AbstractContextManager[None]:
        # The lock on the build database, which lies beside it, is enough.
        return nullcontext()

    def prepare(self, build: Path) -> None:
        recovery.prepare(build, self.path)

    def catch_up(self, con: duckdb.DuckDBPyConnection) -> None:
        """Nobody publishes but from the build database beside the file."""

    def publish(
        self,
        con: duckdb.DuckDBPyConnection,
        build: Path,
        finish: Callable[[duckdb.DuckDBPyConnection], object] | None = None,
    ) -> None:
        """Replaces the file by a copy of `build`, which `con` holds open with nothing uncommitted.

        A reader with the file open keeps the old one; one that opens it sees the old or the new one, never a mix. Both files lie in one folder,
        since a rename is atomic only within a file system. Raises `RotationError` when the copy cannot be made or put in place, for example
        on a full disk, when it holds less history than readers have, or when a part of it cannot be read; then readers keep the old file.
        """
        history.refuse_shorter(con, build, self.path)
        with _replacing(self.path) as temporary, damage.refused(build):
            # All data must be in the file itself: a write-ahead log left beside the copy would belong to another file.
            con.execute("force checkpoint")
            copy(build, temporary)
            if finish:
                with duckdb.connect(str(temporary)) as made:
                    made.execute("set timezone = 'UTC'")
                    finish(made)
            with duckdb.connect(str(temporary), read_only=True) as made:
                damage.read_all(made)

    def publish_ledgers(self, con: duckdb.DuckDBPyConnection, ledgers: Sequence[str]) -> None:
        with _replacing(self.path) as temporary:
            copy(self.path, temporary)
            temporary.chmod(0o644)
            con.execute(f"attach '{_escaped(temporary)}' as readers")
            try:
                for table in ledgers:
                    con.execute(f"delete from readers.{table}")
                    con.execute(f"insert into readers.{table} by name from {table}")
            finally:
                con.execute("detach readers")


@contextmanager
def _replacing(published: Path) -> Iterator[Path]:
    """A path for the new file, which takes the place of `published` when the block ends without an error."""
    temporary = published.with_name(f".{published.name}.tmp")
    try:
        yield temporary
        sync(temporary)
        # A reader that opened it for writing would lock out other readers, and the next run would overwrite its changes.
        temporary.chmod(0o444)
        published.with_name(published.name + ".wal").unlink(missing_ok=True)
        os.replace(temporary, published)
        sync(published.parent)
    except (OSError, duckdb.Error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error).splitlines()[0]
        raise RotationError(
            f"{published} could not be replaced ({reason}), so readers still see the previous file; "
            "make room or correct the permissions there, then run again."
        ) from error
    finally:
        for leftover in (temporary, temporary.with_name(temporary.name + ".wal")):
            with suppress(OSError):
                leftover.unlink(missing_ok=True)


def _escaped(path: Path) -> str:
    return str(path).replace("'", "''")
