"""The data files of a lake on a disk. DuckDB does not wait until the Parquet files that it writes are on disk, so this does.

Else a power cut could leave a catalog that names files without their content. An object store keeps what it took.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from market_rotation.tasks.warehouse.files import sync

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def present(con: DuckDBPyConnection, name: str) -> set[Path]:
    """The files and folders of the data of the lake that `con` has attached as `name`; none where the data are not on a disk."""
    (folder,) = con.execute(f"select data_path from ducklake_settings('{name}')").fetchone() or ("",)
    return set() if "://" in folder else {Path(folder), *Path(folder).rglob("*")}


def sync_new(con: DuckDBPyConnection, name: str, before: set[Path]) -> None:
    """Waits until what is not among the files `before` is on disk; to be called before the commit that names them."""
    now = present(con, name)
    new = now - before
    # A new name is on disk once its folder is.
    for path in sorted(new | {path.parent for path in new} & now):
        sync(path)
