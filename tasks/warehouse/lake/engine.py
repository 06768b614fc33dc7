"""A DuckLake as an engine of the published warehouse."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import duckdb
from duckdb import DuckDBPyConnection

from market_rotation.tasks.errors import RotationError, UsageError
from market_rotation.tasks.lake_address import LakeAddress
from market_rotation.tasks.warehouse import formats, history
from market_rotation.tasks.warehouse.derive import quoted
from market_rotation.tasks.warehouse.lake import contents, data_files, extensions, snapshot, takeover
from market_rotation.tasks.warehouse.lake.catalog import catalog_of, said_plainly
from market_rotation.tasks.warehouse.lake.contents import Publication

#: Who committed a snapshot, in DuckLake's list of snapshots.
AUTHOR = "market-rotation"


@dataclass(frozen=True)
class Lake:
    """The lake at `address`; see `market_rotation.tasks.warehouse.engine.Engine`."""

    address: LakeAddress

    def exists(self) -> bool:
        if catalog_of(self.address).version() is None:
            return False
        with duckdb.connect() as con, self.attached(con, "readers"):
            return contents.last_publication(con, "readers") is not None

    def version(self) -> str:
        return snapshot.refuse_missing(self.address)

    def size_bytes(self) -> int | None:
        if not self.exists():
            return None
        with duckdb.connect(str(snapshot.newest(self.address)), read_only=True) as con:
            row = con.execute(
                "select sum(file_size_bytes) from ducklake_data_file where end_snapshot is null"
            ).fetchone()
        return int(row[0]) if row and row[0] else 0

    @contextmanager
    def reading(self, as_of: datetime | None = None) -> Iterator[DuckDBPyConnection]:
        con = self._open(as_of)
        try:
            with formats.upgrading(con, self.address):
                yield con
        finally:
            con.close()

    def open_alone(self) -> DuckDBPyConnection:
        return self._open(None)

    @contextmanager
    def attached(self, con: DuckDBPyConnection, name: str) -> Iterator[None]:
        self._attach(con, name, None)
        yield
        con.execute(f"detach {name}")

    def alone(self, wait_s: float) -> AbstractContextManager[None]:
        return catalog_of(self.address).alone(wait_s)

    def prepare(self, build: Path) -> None:
        takeover.move_damaged(build, self.address)

    def catch_up(self, con: DuckDBPyConnection) -> None:
        if catalog_of(self.address).version() is None:
            takeover.remember(con, None)
            return
        with said_plainly(self.address, "cannot be taken over from"), self.attached(con, "readers"):
            takeover.take_over(con, self.address)

    def publish(
        self, con: DuckDBPyConnection, build: Path, finish: Callable[[DuckDBPyConnection], object] | None = None
    ) -> None:
        with _finished(con, finish) as sources:
            self._commit(con, build, None, sources)

    def publish_ledgers(self, con: DuckDBPyConnection, ledgers: Sequence[str]) -> None:
        self._commit(con, None, ledgers, {})

    def _open(self, as_of: datetime | None) -> DuckDBPyConnection:
        # No extension comes in later, through a statement that names one of its functions.
        con = duckdb.connect(
            config={
                "autoload_known_extensions": "false",
                "autoinstall_known_extensions": "false",
                # A statement sees none of the user's own.
                "allow_persistent_secrets": "false",
            }
        )
        try:
            data = self._attach(con, "rotation", as_of)
            con.execute("use rotation")
            # For all cursors of the connection.
            con.execute("set global timezone = 'UTC'")
            # What stays open to a statement when external access is off; see `market_rotation.tasks.warehouse.query`.
            con.execute(f"set allowed_directories = [{quoted(data)}]")
            if as_of is None and contents.last_publication(con, "rotation") is None:
                raise RotationError(f"There is no warehouse at {self.address} yet; create it with `rotation run`.")
        except BaseException:
            con.close()
            raise
        return con

    def _attach(self, con: DuckDBPyConnection, name: str, as_of: datetime | None) -> str:
        """Attaches a copy of the catalog to `con` read-only; returns where the data files are."""
        catalog = snapshot.newest(self.address)
        at = f", snapshot_time {quoted(f'{as_of.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}+00')}" if as_of else ""
        with said_plainly(self.address, "cannot be opened"):
            extensions.load(con, "ducklake")
            data = snapshot.data_of(con, catalog)
            extensions.for_data(con, data)
            try:
                con.execute(f"attach {quoted(f'ducklake:{catalog}')} as {name} (read_only{at})")
            except duckdb.Error:
                if as_of is None:
                    raise
                raise UsageError(
                    f"{self.address} keeps no snapshot of {as_of:%Y-%m-%d %H:%M %Z} or earlier; `rotation rebuild --as-of` derives what was "
                    "known then from the raw data."
                ) from None
        return data

    def _commit(
        self, con: DuckDBPyConnection, build: Path | None, only: Sequence[str] | None, sources: Mapping[str, str]
    ) -> None:
        """One transaction of the lake: all that changed, and who published it. It fails where another machine published since `catch_up`."""
        (run_id,) = con.execute("select max(run_id) from ops.runs").fetchone() or (None,)
        (at,) = con.execute("select strftime(now(), '%Y-%m-%d %H:%M:%S.%f+00')").fetchone() or ("",)
        publication = Publication(uuid4().hex, run_id, socket.gethostname(), at)
        kept = "so readers still see the previous snapshot; correct what it says, then run again"
        with (
            said_plainly(self.address, f"could not be written, {kept}"),
            catalog_of(self.address).writing(con, "readers"),
        ):
            before = data_files.present(con, "readers")
            con.begin()
            try:
                last = contents.last_publication(con, "readers")
                if (last.identifier if last else None) != takeover.seen(con):
                    raise self._published_meanwhile(last)
                if build is not None:
                    self._refuse_shorter(con, build)
                contents.write(con, publication, only, sources)
                words = json.dumps(
                    {"run_id": run_id, "machine": publication.machine, "publication": publication.identifier}
                )
                con.execute(
                    f"call readers.set_commit_message('{AUTHOR}', {quoted(f'run {run_id}')}, extra_info => {quoted(words)})"
                )
                data_files.sync_new(con, "readers", before)
                con.commit()
            except BaseException as error:
                with suppress(duckdb.Error):
                    # A commit that failed has ended the transaction.
                    con.rollback()
                if isinstance(error, duckdb.TransactionException) and "conflict" in str(error).lower():
                    raise self._published_meanwhile(None) from None
                raise
        takeover.remember(con, publication.identifier)
        takeover.record(con, publication.identifier)

    def _published_meanwhile(self, last: Publication | None) -> RotationError:
        who = (
            f"{last.machine} published to {self.address} at {last.at}"
            if last
            else f"Another machine published to {self.address}"
        )
        return RotationError(
            f"{who} while this run was going on, so this run was not published. Nothing is lost: run again, and the next run takes over what that "
            "machine published and adds what this one fetched."
        )

    def _refuse_shorter(self, con: DuckDBPyConnection, build: Path) -> None:
        has = {
            name: content.rows for name, content in contents.recorded(con, "readers").items() if name.startswith("raw.")
        }
        if words := history.lacking(history.measure(con), has):
            raise RotationError(
                f"{build} holds less history than {self.address} ({words}), so it is not published. See {history.PAGE}."
            )


@contextmanager
def _finished(
    con: DuckDBPyConnection, finish: Callable[[DuckDBPyConnection], object] | None
) -> Iterator[dict[str, str]]:
    """The tables that are published from elsewhere than the build database: `ops.runs` with what `finish` writes."""
    if finish is None:
        yield {}
        return
    (build,) = con.execute("select current_database()").fetchone() or ("",)
    con.execute("attach ':memory:' as finished")
    try:
        con.execute("create schema finished.ops; create table finished.ops.runs as from ops.runs; use finished")
        finish(con)
        con.execute(f'use "{build}"')
        yield {"ops.runs": "finished.ops.runs"}
    finally:
        con.execute(f'use "{build}"')
        con.execute("detach finished")
