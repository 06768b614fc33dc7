"""The warehouse: opening it, deriving its tables from the SQL files, publishing it to readers."""

from market_rotation.tasks.warehouse.amend import amend
from market_rotation.tasks.warehouse.connect import reading, transaction, writing, writing_in_turn
from market_rotation.tasks.warehouse.derive import build, load, parameters, quoted

__all__ = ["amend", "build", "load", "parameters", "quoted", "reading", "transaction", "writing", "writing_in_turn"]
