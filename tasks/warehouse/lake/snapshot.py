"""What readers of a lake open: a copy of its catalog, as a DuckDB file in this process's own temporary folder.

A reader of the copy sees one state however long it takes, and holds neither a lock nor a connection to the catalog. Statements that other people
wrote reach no catalog server through it, and know no password.
"""

from __future__ import annotations

import tempfile
import threading
from functools import cache
from pathlib import Path

import duckdb

from market_rotation.tasks.errors import RotationError
from market_rotation.tasks.lake_address import LakeAddress
from market_rotation.tasks.warehouse.derive import quoted
from market_rotation.tasks.warehouse.lake.catalog import catalog_of, said_plainly, tables_of

_lock = threading.Lock()
_newest: dict[LakeAddress, tuple[str, Path]] = {}


def refuse_missing(address: LakeAddress) -> str:
    """The version of the lake's newest state. Raises `RotationError` when there is no lake yet, or it cannot be reached."""
    version = catalog_of(address).version()
    if version is None:
        raise RotationError(
            f"There is no warehouse at {address} yet; create it with `rotation run`, or correct ROTATION_WAREHOUSE."
        )
    return version


def newest(address: LakeAddress) -> Path:
    """A copy of the catalog in its newest state; made once for each state. Raises as `refuse_missing` does."""
    with _lock:
        version = refuse_missing(address)
        known = _newest.get(address)
        if known and known[0] == version:
            return known[1]
        target = Path(tempfile.mkdtemp(dir=_folder().name)) / "catalog.ducklake"
        with said_plainly(address, "cannot be read"):
            _copy(address, target)
        if known:
            # A reader that has it open keeps it.
            known[1].unlink(missing_ok=True)
        _newest[address] = (version, target)
        return target


def data_of(con: duckdb.DuckDBPyConnection, catalog: Path) -> str:
    """Where the data files are, as the catalog at `catalog` says."""
    con.execute(f"attach {quoted(str(catalog))} as looked_up (read_only)")
    row = con.execute("select value from looked_up.ducklake_metadata where key = 'data_path'").fetchone()
    con.execute("detach looked_up")
    assert row is not None
    return str(row[0])


def _copy(address: LakeAddress, target: Path) -> None:
    with duckdb.connect() as con:
        schema = tables_of(con, address, "catalog")
        # A new, empty lake has DuckLake's tables with the types that a DuckDB catalog has.
        con.execute(f"attach {quoted(f'ducklake:{target}')} as made (data_path {quoted(f'{target}.files/')})")
        con.execute("detach made")
        con.execute(f"attach {quoted(str(target))} as made")
        # One transaction of the catalog, so that its tables belong together.
        con.begin()
        for (table,) in con.execute(
            "select table_name from duckdb_tables() where database_name = 'catalog' and starts_with(table_name, 'ducklake_')"
        ).fetchall():
            con.execute(f"create table if not exists made.{table} as from {schema}.{table} limit 0")
            con.execute(f"delete from made.{table}")
            con.execute(f"insert into made.{table} by name from {schema}.{table}")
        # A statement that deletes what is due to be deleted finds nothing.
        con.execute("delete from made.ducklake_files_scheduled_for_deletion")
        con.commit()
        con.execute("detach catalog")


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="rotation-lake-")
