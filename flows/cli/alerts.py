"""`rotation alerts`: lists the outbox, tests the channels, sends pending alerts again."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta

from rich.table import Table

from market_rotation.flows.cli.console import out
from market_rotation.tasks import warehouse
from market_rotation.tasks.alerts import deliver
from market_rotation.tasks.alerts import resend as resending
from market_rotation.tasks.errors import ConfigError
from market_rotation.tasks.settings import load_settings

NO_CHANNEL = (
    "No alert channel is set; set ROTATION_ALERT_URLS to Apprise addresses, separated by spaces, such as "
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
        out.print("No alerts have been written.")
        return
    table = Table("written (UTC)", "kind", "severity", "title", "sent", box=None, header_style="dim")
    for created_at, kind, severity, _, title, sent_at, attempts, last_error in rows:
        sent = f"{sent_at:%Y-%m-%d %H:%M}" if sent_at else last_error or ("not yet" if attempts else "no channel")
        table.add_row(f"{created_at:%Y-%m-%d %H:%M}", kind, severity, title, sent)
    out.print(table, markup=False)


def try_channels() -> int:
    """Sends a test message to every channel and prints the outcome of each; returns 0 when all succeeded. Raises `ConfigError` when no channel is set."""
    targets = deliver.channels(load_settings())
    if not targets:
        raise ConfigError(NO_CHANNEL)
    return _show(send_test(targets))


def send_test(channels: Sequence[deliver.Channel]) -> dict[str, str | None]:
    """Sends a test message to each channel; returns the reason where that failed, None where it was accepted, by its label."""
    title, body = "market-rotation: test", "This is a test: alerts of market-rotation arrive here."
    return {channel.label: channel.notify(title, body, "test") for channel in channels}


def resend(now: datetime) -> int:
    """Sends the pending alerts and prints the outcome; returns 0 when none is left. Raises `ConfigError` when no channel is set."""
    settings = load_settings()
    if not settings.alert_urls.get_secret_value().split():
        raise ConfigError(NO_CHANNEL)
    # Include alerts that are too old to be sent automatically.
    outcomes = resending.resend(settings, now, timedelta(days=36_500))
    if not outcomes:
        out.print("No alerts are waiting to be sent.")
    return _show(outcomes)


def _show(outcomes: dict[str, str | None]) -> int:
    for label, error in outcomes.items():
        if error:
            out.print(f"[red]{label}[/]: failed ({error}); check its address in ROTATION_ALERT_URLS.")
        else:
            out.print(f"[green]{label}[/]: sent.")
    return 1 if any(outcomes.values()) else 0
