"""Sending again what the outbox of the published warehouse still holds."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from market_rotation.tasks import warehouse
from market_rotation.tasks.alerts import deliver

if TYPE_CHECKING:
    from market_rotation.tasks.settings import Settings


def resend(settings: Settings, now: datetime, max_age: timedelta = deliver.STALE_AFTER) -> dict[str, str | None]:
    """Sends pending alerts that are not older than `max_age`, and publishes the result; returns each channel's error, None when it accepted all. Empty when nothing is pending. Raises `RotationError` where there is no warehouse, `WarehouseBusy` while a run writes it."""
    with warehouse.reading(settings.published) as con:
        if not con.execute("select 1 from ops.alerts where sent_at is null limit 1").fetchone():
            return {}
    with warehouse.amend(settings) as con:
        return deliver.send(con, settings, now, max_age)
