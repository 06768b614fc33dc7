"""Delivery of the outbox through Apprise: mail, Slack, Teams, Telegram, a webhook and many more.

Whatever happens here changes no run. What a channel did not take stays in the outbox and is tried again. Nothing shown or recorded
has the address of a channel, which holds its secret: a channel is named by its place and kind, such as `2:slack`.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import duckdb
    from pydantic import SecretStr

    from market_rotation.tasks.alerts.incidents import Incident
    from market_rotation.tasks.settings import Settings

log = logging.getLogger("rotation.deliver")

#: What could not be sent for so long is no news any more.
STALE_AFTER = timedelta(days=7)
#: More alerts than these at once go out as one message.
GROUP_ABOVE = 3


@dataclass(frozen=True)
class Channel:
    """A place alerts go to. `plugin` is Apprise's, None where the address is not usable."""

    label: str
    plugin: Any

    def notify(self, title: str, body: str, kind: str, picture: Path | None = None) -> str | None:
        """Sends a message, with a picture where the channel takes one; returns why the channel did not take it, None when it did."""
        if self.plugin is None:
            return "not a usable Apprise address"
        import apprise

        notice = {
            "recovery": apprise.NotifyType.SUCCESS,
            "test": apprise.NotifyType.INFO,
            "report": apprise.NotifyType.INFO,
        }
        sender = apprise.Apprise()
        sender.add(self.plugin)
        with _muted() as said:
            try:
                taken = sender.notify(
                    body=body,
                    title=title,
                    notify_type=notice.get(kind, apprise.NotifyType.FAILURE),
                    body_format=apprise.NotifyFormat.TEXT,
                    attach=str(picture) if picture else None,
                )
            except Exception as error:
                return type(error).__name__
        return None if taken else _reason(said)


def channels(settings: Settings) -> list[Channel]:
    """The channels of ROTATION_ALERT_URLS, in their order."""
    return channels_of(settings.alert_urls)


def channels_of(urls: SecretStr) -> list[Channel]:
    """The channels of these addresses, which are separated by blanks, in their order."""
    addresses = urls.get_secret_value().split()
    if not addresses:
        return []
    # Only who has channels waits for its import.
    import apprise

    found = []
    for place, address in enumerate(addresses, start=1):
        with _muted():
            plugin = apprise.Apprise.instantiate(address, suppress_exceptions=True)
        kind = str(plugin.service_name).lower() if plugin else "unknown"
        found.append(Channel(f"{place}:{kind}", plugin))
    return found


def send(
    con: duckdb.DuckDBPyConnection, settings: Settings, now: datetime, max_age: timedelta = STALE_AFTER
) -> dict[str, str | None]:
    """Tries to deliver what is in the outbox and no older than `max_age`; returns what each channel tried said, None where it took all.

    A channel that did not take one message is not asked again this time.
    """
    waiting = con.execute(
        "select alert_id, kind, title, body, coalesce(taken_by, []) from ops.alerts "
        "where sent_at is null and created_at > $1 order by created_at, alert_id",
        [now - max_age],
    ).fetchall()
    outcomes: dict[str, str | None] = {}
    targets = channels(settings) if waiting else []
    sender = "market-rotation (SIMULATED MARKET)" if _is_simulated(con) else "market-rotation"
    for channel in targets:
        due = [alert for alert in waiting if channel.label not in alert[4]]
        for ids, kind, title, body in _messages(due):
            outcomes[channel.label] = error = channel.notify(f"{sender}: {title}", body, kind)
            _record(con, ids, channel.label, error, now, len(targets))
            if error:
                log.warning(
                    "The alert channel %s did not take a message (%s); it stays in the outbox.", channel.label, error
                )
                break
    return outcomes


def send_directly(settings: Settings, incident: Incident) -> dict[str, str | None]:
    """Sends `incident` to every channel without the outbox, which cannot be written; returns what each channel said."""
    body = f"{incident.what}\n\nThe outbox could not be written, so this alert is not repeated.\nNext: {incident.next_step}"
    return {
        channel.label: channel.notify(f"market-rotation: {incident.title}", body, "failure")
        for channel in channels(settings)
    }


def _messages(due: list[Any]) -> Iterator[tuple[list[str], str, str, str]]:
    """The alerts as messages: one each, or all in one when there are many."""
    if len(due) <= GROUP_ABOVE:
        yield from (([alert_id], kind, title, body) for alert_id, kind, title, body, _ in due)
        return
    kinds = {kind for _, kind, *_ in due}
    body = "\n\n".join(f"{number}. {title}\n{body}" for number, (_, _, title, body, _) in enumerate(due, start=1))
    all_over = kinds == {"recovery"}
    yield [alert_id for alert_id, *_ in due], "recovery" if all_over else "failure", f"{len(due)} alerts", body


def _is_simulated(con: duckdb.DuckDBPyConnection) -> bool:
    row = con.execute("select source = 'sample' from ops.runs order by run_id desc limit 1").fetchone()
    return bool(row and row[0])


def _record(
    con: duckdb.DuckDBPyConnection, ids: list[str], label: str, error: str | None, now: datetime, channel_count: int
) -> None:
    con.execute(
        """
        update ops.alerts
        set attempts = attempts + 1,
            last_error = case when $error is null then last_error else $label || ': ' || $error end,
            taken_by = case when $error is null then list_append(coalesce(taken_by, []), $label) else taken_by end,
            sent_at = case when $error is null and len(coalesce(taken_by, [])) + 1 >= $channel_count then $now end
        where alert_id in (select unnest($ids))
        """,
        {"ids": ids, "label": label, "error": error, "now": now, "channel_count": channel_count},
    )


def _reason(said: list[str]) -> str:
    """What can be told of Apprise's own words, which may hold the address: only the number of the error."""
    numbers = re.findall(r"error=(\d+)", " ".join(said))
    return f"HTTP {numbers[-1]}" if numbers else "no connection, or not accepted"


@contextmanager
def _muted() -> Iterator[list[str]]:
    """Keeps what Apprise and its HTTP client log, which may hold addresses, from every log; yields what Apprise said."""
    said: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    loggers = [logging.getLogger(name) for name in ("apprise", "urllib3", "requests")]
    before = [(logger.handlers[:], logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.handlers, logger.propagate = [handler], False
    try:
        yield said
    finally:
        for logger, (handlers, propagate) in zip(loggers, before, strict=True):
            logger.handlers, logger.propagate = handlers, propagate
