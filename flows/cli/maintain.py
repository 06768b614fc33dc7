"""`rotation maintain`: maintenance of a DuckLake, and what it did."""

from __future__ import annotations

from datetime import datetime

from market_rotation.flows.cli.console import out
from market_rotation.tasks.settings import load_settings


def run_maintenance(now: datetime) -> None:
    """Maintains the lake of the settings and prints what was done."""
    from market_rotation.tasks.warehouse.lake.maintenance import maintain

    out.print(maintain(load_settings(), now).describe(), soft_wrap=True, markup=False, highlight=False)
