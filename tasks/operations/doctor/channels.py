"""Check of the alert channels: whether Apprise accepts their addresses. Nothing is sent, and no address is shown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from market_rotation.tasks.operations.doctor.findings import Finding

if TYPE_CHECKING:
    from market_rotation.tasks.settings import Settings


def alerts(settings: Settings) -> Iterator[Finding]:
    """Whether channels are set, and which addresses are invalid, by position in the list."""
    from market_rotation.tasks.alerts import deliver

    if not settings.alert_urls.get_secret_value().split():
        yield Finding(
            "warn",
            "alerts",
            "No alert channel is set, so nobody is notified of a failed run.",
            "Set ROTATION_ALERT_URLS to Apprise addresses, then run `rotation alerts test`.",
        )
    variables = {"ROTATION_ALERT_URLS": settings.alert_urls, "ROTATION_REPORT_URLS": settings.report_urls}
    for variable, urls in variables.items():
        channels = deliver.channels_of(urls)
        for channel in [channel for channel in channels if channel.plugin is None]:
            yield Finding(
                "fail",
                "alerts",
                f"Address {channel.label.partition(':')[0]} of {variable} is not a valid Apprise address.",
                "Correct it: addresses are separated by spaces (https://appriseit.com/services/).",
            )
        good = [channel.label for channel in channels if channel.plugin is not None]
        if good and variable == "ROTATION_ALERT_URLS":
            yield Finding(
                "ok", "alerts", f"Channels set: {', '.join(good)}.", "`rotation alerts test` sends a message to each."
            )
        elif good:
            yield Finding("ok", "alerts", f"The report is sent to {', '.join(good)}.")
