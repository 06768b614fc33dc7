"""Changes of the warehouse outside a run, such as a sent alert or a manual override."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from market_rotation.tasks.errors import RotationError
from market_rotation.tasks.warehouse.connect import writing
from market_rotation.tasks.warehouse.engine import engine
from market_rotation.tasks.warehouse.publish import clear_stage, publish_records

if TYPE_CHECKING:
    import duckdb

    from market_rotation.tasks.settings import Settings


@contextmanager
def amend(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """The build database, to write to; its records are published when the block ends without an error. An error inside publishes nothing.

    It never creates an empty warehouse: where nothing was ever published the change stays in the build database until a run publishes.
    Raises `WarehouseBusy` while another process writes, and `RotationError` where there is no build database or the published file
    cannot be replaced; the change is then on record, and the next run publishes it.
    """
    readers = engine(settings.published)
    with readers.alone(wait_s=0):
        readers.prepare(settings.build)
        if not settings.build.is_file() and not readers.exists():
            raise RotationError(
                f"There is no warehouse at {settings.published} yet; create one with `rotation run`, or set ROTATION_HOME."
            )
        with writing(settings.build) as con:
            readers.catch_up(con)
            yield con
            # Data staged by an interrupted run is not audited and must not reach readers.
            clear_stage(con)
            if readers.exists():
                try:
                    publish_records(con, settings.build, settings.published)
                except RotationError as error:
                    raise RotationError(f"The change is recorded in {settings.build}, but {error}") from error
