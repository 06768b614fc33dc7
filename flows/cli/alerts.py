"""The outbox: what `rotation alerts` does and shows."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from rich.table import Table

from market_rotation.flows.cli.console import out
from market_rotation.tasks import warehouse
from market_rotation.tasks.alerts import deliver
from market_rotation.tasks.errors import ConfigError
from market_rotation.tasks.run import stage
from market_rotation.tasks.settings import load_settings
from market_rotation.tasks.warehouse.publish import publish

NO_CHANNEL = (
    "No alert channel is set; set ROTATION_ALERT_URLS to Apprise addresses, separated by blanks, such as "
    "mailto://user:password@example.com or slack://token (https://appriseit.com/services/)."
)


def show_alerts(as_json: bool, limit: int = 30) -> None:
    """Prints the newest alerts of the published outbox."""
    with warehouse.reading(load_settings().published) as con:
        rows = con.execute(
            "select created_at, kind, severity, fingerprint, title, sent_at, attempts, last_error from ops.alerts "
            "order by created_at desc, alert_id limit $1",
            [limit],
        ).fetchall()
    names = ("created_at", "kind", "severity", "fingerprint", "title", "sent_at", "attempts", "last_error")
    if as_json:
        sys.stdout.write(json.dumps([dict(zip(names, row, strict=True)) for row in rows], default=str, indent=1) + "\n")
        return
    if not rows:
        out.print("There never was an alert.")
        return
    table = Table("written (UTC)", "kind", "severity", "title", "sent", box=None, header_style="dim")
    for created_at, kind, severity, _, title, sent_at, attempts, last_error in rows:
        sent = f"{sent_at:%Y-%m-%d %H:%M}" if sent_at else last_error or ("not yet" if attempts else "no channel")
        table.add_row(f"{created_at:%Y-%m-%d %H:%M}", kind, severity, title, sent)
    out.print(table, markup=False)


def try_channels() -> int:
    """Sends a test message to every channel and prints which took it; returns 0 when all did. Raises `ConfigError` without any."""
    targets = deliver.channels(load_settings())
    if not targets:
        raise ConfigError(NO_CHANNEL)
    title, body = "market-rotation: test", "If you read this, alerts of market-rotation reach you here."
    return _show({channel.label: channel.notify(title, body, "test") for channel in targets})


def resend(now: datetime) -> int:
    """Tries again what is in the outbox and prints what came of it; returns 0 when nothing is left. Raises `ConfigError` without channels."""
    if not load_settings().alert_urls.get_secret_value().split():
        raise ConfigError(NO_CHANNEL)
    # Who asks for it wants the old ones, too.
    outcomes = deliver_outbox(now, timedelta(days=36_500))
    if not outcomes:
        out.print("Nothing waits to be sent.")
    return _show(outcomes)


def deliver_outbox(now: datetime, max_age: timedelta = deliver.STALE_AFTER) -> dict[str, str | None]:
    """What each channel said to what waits in the outbox, which is then published; empty when nothing waits."""
    settings = load_settings()
    with warehouse.reading(settings.published) as con:
        if not con.execute("select 1 from ops.alerts where sent_at is null limit 1").fetchone():
            return {}
    with _outbox() as con:
        return deliver.send(con, settings, now, max_age)


@contextmanager
def _outbox() -> Iterator[Any]:
    settings = load_settings()
    with warehouse.writing(settings.build) as con:
        yield con
        stage.clear(con)
        publish(con, settings.build, settings.published)


def _show(outcomes: dict[str, str | None]) -> int:
    for label, error in outcomes.items():
        if error:
            out.print(f"[red]{label}[/]: did not take it ({error}); check its address in ROTATION_ALERT_URLS.")
        else:
            out.print(f"[green]{label}[/]: taken.")
    return 1 if any(outcomes.values()) else 0
