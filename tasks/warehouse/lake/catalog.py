"""The catalog of a lake: which state it has, who may write it, and one transaction on it.

A catalog in a file is changed as the published file is: in a copy beside it, which then takes its place, so that readers are never locked out and
a process that is killed leaves the old one. PostgreSQL has transactions of its own.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import duckdb
from duckdb import DuckDBPyConnection

from market_rotation.tasks.errors import RotationError, WarehouseBusy
from market_rotation.tasks.lake_address import LakeAddress
from market_rotation.tasks.retries import retrying
from market_rotation.tasks.warehouse.derive import quoted
from market_rotation.tasks.warehouse.files import sync
from market_rotation.tasks.warehouse.lake import extensions
from market_rotation.tasks.warehouse.open_file import refuse_other_than_file

if TYPE_CHECKING:
    import stamina

#: The schema in which DuckLake keeps its tables.
_SCHEMAS = {"duckdb": "main", "sqlite": "main", "postgres": "public"}
#: DuckLake rounds DOUBLEs that it keeps in the catalog instead of a data file: the last bit is lost.
_ATTACH = "data_inlining_row_limit 0"


class Catalog(Protocol):
    """The catalog of one lake."""

    def version(self) -> str | None:
        """Identifies its newest state; None where there is no lake yet. Raises `RotationError` when it cannot be read."""

    @contextmanager
    def alone(self, wait_s: float) -> Iterator[None]:
        """Until the block ends no other machine writes. Raises `WarehouseBusy` after waiting for `wait_s` seconds."""

    @contextmanager
    def writing(self, con: DuckDBPyConnection, name: str) -> Iterator[None]:
        """The lake as the database `name` of `con`, to write to; changes are in force when the block ends without an error."""


def catalog_of(address: LakeAddress) -> Catalog:
    """The catalog of the lake at `address`."""
    return FileCatalog(address, Path(address.catalog)) if address.file else ServerCatalog(address)


def tables_of(con: DuckDBPyConnection, address: LakeAddress, name: str) -> str:
    """Attaches the catalog of `address` to `con` read-only, as the database `name`; returns the schema of DuckLake's tables in it."""
    extensions.for_catalog(con, address)
    login = _login(con, address)
    kind = f"type {address.kind}, " if address.kind != "duckdb" else ""
    con.execute(f"attach {quoted(address.catalog)} as {name} ({kind}{login}read_only)")
    return f"{name}.{_SCHEMAS[address.kind]}"


@dataclass(frozen=True)
class FileCatalog:
    """The catalog is the DuckDB or SQLite database `file`."""

    address: LakeAddress
    file: Path

    def version(self) -> str | None:
        refuse_other_than_file(self.file)
        if not self.file.exists():
            return None
        found = self.file.stat()
        return f"{found.st_ino:x}-{found.st_mtime_ns:x}"

    @contextmanager
    def alone(self, wait_s: float) -> Iterator[None]:
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.file.with_name(f".{self.file.name}.lock"), os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise RotationError(f"{self.file.parent} cannot be written to ({error.strerror}).") from None
        try:
            for attempt in _attempts(wait_s):
                with attempt:
                    try:
                        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    except OSError:
                        raise _busy(self.address) from None
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def writing(self, con: DuckDBPyConnection, name: str) -> Iterator[None]:
        temporary = self.file.with_name(f".{self.file.name}.tmp")
        leftovers = [temporary, *(temporary.with_name(temporary.name + end) for end in (".wal", "-journal", "-wal"))]
        try:
            for path in leftovers:
                path.unlink(missing_ok=True)
            if self.file.exists():
                shutil.copyfile(self.file, temporary)
            with _attached(con, self.address, f"{self.address.kind}:{temporary}", name):
                yield
            sync(temporary)
            # Another program that opened it for writing would lock out readers.
            temporary.chmod(0o444)
            os.replace(temporary, self.file)
            sync(self.file.parent)
        finally:
            for path in leftovers:
                with suppress(OSError):
                    path.unlink(missing_ok=True)


@dataclass(frozen=True)
class ServerCatalog:
    """The catalog is a PostgreSQL database."""

    address: LakeAddress

    def version(self) -> str | None:
        with _connected(self.address) as (con, schema), said_plainly(self.address, "cannot be read"):
            database, name = schema.split(".")
            has_lake = con.execute(
                "select 1 from duckdb_tables() where database_name = $1 and schema_name = $2 and table_name = 'ducklake_snapshot'",
                [database, name],
            ).fetchone()
            row = (
                con.execute(f"select max(snapshot_id) from {schema}.ducklake_snapshot").fetchone() if has_lake else None
            )
        return f"snapshot-{row[0]}" if row and row[0] is not None else None

    @contextmanager
    def alone(self, wait_s: float) -> Iterator[None]:
        # The lock ends with the connection, so that a machine that went down never keeps it.
        query = "select pg_try_advisory_xact_lock(hashtext('market-rotation')) as got"
        with _connected(self.address) as (con, schema):
            for attempt in _attempts(wait_s):
                with attempt, said_plainly(self.address, "cannot be locked"):
                    con.begin()
                    row = con.execute(f"from postgres_query('{schema.split('.')[0]}', {quoted(query)})").fetchone()
                    if not row or not row[0]:
                        con.rollback()
                        raise _busy(self.address)
            yield

    @contextmanager
    def writing(self, con: DuckDBPyConnection, name: str) -> Iterator[None]:
        with _attached(con, self.address, f"postgres:{self.address.catalog}", name):
            yield


@contextmanager
def said_plainly(address: LakeAddress, what: str) -> Iterator[None]:
    """An error of DuckDB or the system inside, as `RotationError`: `what` went wrong, without a password."""
    try:
        yield
    except (duckdb.Error, OSError) as error:
        words = error.strerror if isinstance(error, OSError) and error.strerror else without_password(address, error)
        raise RotationError(f"{address} {what} ({words}).") from None


def without_password(address: LakeAddress, error: Exception) -> str:
    """What an error says in one line; libpq's messages may repeat the connection string."""
    text = " ".join(str(error).split("\n\nLINE")[0].split())[:300].rstrip(".")
    text = re.sub(r"(password\s*=\s*)('(?:[^'\\]|\\.)*'|\S+)", r"\1…", text, flags=re.IGNORECASE)
    return text.replace(address.password, "…") if address.password else text


@contextmanager
def _attached(con: DuckDBPyConnection, address: LakeAddress, catalog: str, name: str) -> Iterator[None]:
    extensions.for_catalog(con, address)
    if address.data:
        extensions.for_data(con, address.data)
        if not address.data.startswith("s3://"):
            Path(address.data).mkdir(parents=True, exist_ok=True)
    login = _login(con, address).replace("secret ", "meta_secret ")
    data = f"data_path {quoted(address.data)}, " if address.data else ""
    target = f"ducklake:{catalog}" if address.kind != "duckdb" else f"ducklake:{catalog.removeprefix('duckdb:')}"
    con.execute(f"attach {quoted(target)} as {name} ({login}{data}{_ATTACH})")
    try:
        yield
    finally:
        con.execute(f"detach {name}")


@contextmanager
def _connected(address: LakeAddress) -> Iterator[tuple[DuckDBPyConnection, str]]:
    with duckdb.connect() as con:
        with said_plainly(address, "cannot be reached"):
            schema = tables_of(con, address, "catalog")
        yield con, schema


def _login(con: DuckDBPyConnection, address: LakeAddress) -> str:
    """The option that passes the password on; it is in no connection string, which DuckDB would show."""
    if address.password is None:
        return ""
    extensions.create_secret(
        con, "lake_catalog", f"type postgres, password {quoted(address.password)}", "ROTATION_WAREHOUSE"
    )
    return "secret lake_catalog, "


def _attempts(wait_s: float) -> Iterator[stamina.Attempt]:
    attempts, timeout_s = (None, wait_s) if wait_s else (1, None)
    return retrying(WarehouseBusy, attempts=attempts, timeout_s=timeout_s, wait_initial_s=0.5, wait_max_s=5)


def _busy(address: LakeAddress) -> WarehouseBusy:
    return WarehouseBusy(
        f"{address} is being written by another process or machine; wait until it ends, then start again."
    )
