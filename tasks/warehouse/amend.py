"""Amending: a change of the warehouse outside a run, such as an alert that was sent or a manual override."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from market_rotation.tasks.errors import RotationError
from market_rotation.tasks.warehouse.connect import writing
from market_rotation.tasks.warehouse.publish import publish

if TYPE_CHECKING:
    import duckdb

    from market_rotation.tasks.settings import Settings


@contextmanager
def amending(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """The build database, to write to; published when the block ends without an error.

    Raises `WarehouseBusy` while a run goes on, and `RotationError` where there is no build database: it never makes an empty one.
    """
    if not settings.build.is_file():
        raise RotationError(f"There is no build database at {settings.build}; make it with `rotation run`.")
    with writing(settings.build) as con:
        yield con
        # What a killed run had staged is not for readers.
        con.execute("drop schema stage cascade")
        con.execute("create schema stage")
        publish(con, settings.build, settings.published)
