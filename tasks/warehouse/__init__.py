"""The warehouse: opening it, deriving its tables from the SQL files, publishing it to readers."""

from market_rotation.tasks.warehouse.amend import amend
from market_rotation.tasks.warehouse.connect import (
    cursor,
    open_alone,
    reading,
    refuse_missing,
    transaction,
    upgrading,
    writing,
    writing_in_turn,
)
from market_rotation.tasks.warehouse.derive import build, load, parameters, quoted

__all__ = [
    "amend",
    "build",
    "cursor",
    "load",
    "open_alone",
    "parameters",
    "quoted",
    "reading",
    "refuse_missing",
    "transaction",
    "upgrading",
    "writing",
    "writing_in_turn",
]
