"""Maintenance of a lake: small files become larger ones, old snapshots and the files that only they need go."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import duckdb

from market_rotation.tasks.errors import ConfigError
from market_rotation.tasks.lake_address import LakeAddress
from market_rotation.tasks.warehouse.engine import engine
from market_rotation.tasks.warehouse.lake import data_files
from market_rotation.tasks.warehouse.lake.catalog import catalog_of, said_plainly

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from market_rotation.tasks.settings import Settings

#: A reader that opened an earlier state has this long to end before its files are deleted.
READERS_END_AFTER = timedelta(days=1)


@dataclass(frozen=True)
class Maintained:
    """What maintenance did: files that were merged, snapshots that expired, files that were deleted; and what is left of each."""

    files_merged: int
    snapshots_expired: int
    files_deleted: int
    files_left: int
    snapshots_left: int

    def describe(self) -> str:
        """In a sentence."""
        return (
            f"{self.files_merged} files were merged into others, {self.snapshots_expired} snapshots expired, {self.files_deleted} files were deleted; "
            f"{self.snapshots_left} snapshots and {self.files_left} files are left."
        )


def maintain(settings: Settings, now: datetime) -> Maintained:
    """Merges small files, expires snapshots older than ROTATION_LAKE_KEEP_DAYS, deletes files that no snapshot needs since a day.

    Readers and their results are not affected. Raises `ConfigError` where the warehouse is a file, `WarehouseBusy` while a run publishes, and
    `RotationError` where the lake cannot be reached.
    """
    address = settings.published
    if not isinstance(address, LakeAddress):
        raise ConfigError(
            f"{address} is a file, which needs no maintenance; ROTATION_WAREHOUSE=ducklake:… names a DuckLake."
        )
    engine(address).version()
    expired_before = now - timedelta(days=settings.lake_keep_days)
    with (
        engine(address).alone(settings.wait_s),
        duckdb.connect() as con,
        said_plainly(address, "could not be maintained"),
    ):
        with catalog_of(address).writing(con, "readers"):
            _, files = _count(con)
            before = data_files.present(con, "readers")
            con.begin()
            con.execute("call ducklake_merge_adjacent_files('readers')")
            data_files.sync_new(con, "readers", before)
            con.commit()
            # Merging is a snapshot of its own.
            snapshots, merged = _count(con)
            con.execute(f"call ducklake_expire_snapshots('readers', older_than => {_moment(expired_before)})")
            left = _count(con)
        # Files are deleted only once nothing can bring the snapshots back that need them.
        with catalog_of(address).writing(con, "readers"):
            deleted = con.execute(
                f"call ducklake_cleanup_old_files('readers', older_than => {_moment(now - READERS_END_AFTER)})"
            ).fetchall()
    return Maintained(files - merged, snapshots - left[0], len(deleted), left[1], left[0])


def _count(con: DuckDBPyConnection) -> tuple[int, int]:
    """Snapshots, and data files of the newest one."""
    (snapshots,) = con.execute("select count(*) from ducklake_snapshots('readers')").fetchone() or (0,)
    (files,) = con.execute("select sum(file_count) from ducklake_table_info('readers')").fetchone() or (0,)
    return int(snapshots), int(files or 0)


def _moment(at: datetime) -> str:
    return f"timestamptz '{at:%Y-%m-%d %H:%M:%S%z}'"
