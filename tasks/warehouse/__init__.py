"""The warehouse: opening it, deriving its tables from the SQL files, publishing it to readers."""

from market_rotation.tasks.warehouse.amend import amend
from market_rotation.tasks.warehouse.connect import (
    cursor,
    exists,
    limit_memory,
    open_alone,
    reading,
    refuse_missing,
    transaction,
    version,
    writing,
    writing_in_turn,
)
from market_rotation.tasks.warehouse.derive import build, load, parameters, quoted
from market_rotation.tasks.warehouse.engine import Engine, Published, engine
from market_rotation.tasks.warehouse.formats import upgrading

__all__ = [
    "Engine",
    "Published",
    "amend",
    "build",
    "cursor",
    "engine",
    "exists",
    "limit_memory",
    "load",
    "open_alone",
    "parameters",
    "quoted",
    "reading",
    "refuse_missing",
    "transaction",
    "upgrading",
    "version",
    "writing",
    "writing_in_turn",
]
