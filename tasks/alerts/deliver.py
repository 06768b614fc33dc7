"""Delivery through Apprise: mail, Slack, Teams, Telegram, a webhook and many more.

A failed delivery changes no run: the message stays in the outbox and is tried again. An address holds the channel's secret, so
nothing shown or recorded has it. People see a channel by its place and kind, such as `2:slack`; the outbox remembers it by `Channel.key`.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

if TYPE_CHECKING:
    from pydantic import SecretStr

    from market_rotation.tasks.settings import Settings

log = logging.getLogger("rotation.deliver")

#: An alert that could not be sent for so long is out of date and not sent any more.
STALE_AFTER = timedelta(days=7)
#: More alerts than this waiting at once go out as one message.
GROUP_ABOVE = 3

SENDER = "market-rotation"


@dataclass(frozen=True)
class Channel:
    """A place alerts go to. `plugin` is Apprise's, None where the address cannot be used; `address` is secret."""

    label: str
    plugin: Any
    address: SecretStr

    @cached_property
    def key(self) -> str:
        """Identifies the address in the outbox wherever it stands in the list: 16 hexadecimal digits.

        The published outbox is open to every reader, and an address may hold a weak password: a slow hash makes guessing it costly.
        """
        secret = self.address.get_secret_value().encode()
        return hashlib.pbkdf2_hmac("sha256", secret, b"market-rotation alert channel", 100_000, 8).hex()

    def is_named(self, name: str) -> bool:
        """Whether `name` is the name of this channel: its place and kind (`2:slack`), or its kind alone."""
        return name.lower() in (self.label, self.label.partition(":")[2])

    def notify(self, title: str, body: str, kind: str, picture: Path | None = None) -> str | None:
        """Sends a message, with a picture where the channel takes one; returns the reason where that failed, else None."""
        if self.plugin is None:
            return "not a usable Apprise address"
        import apprise

        notice = {
            "recovery": apprise.NotifyType.SUCCESS,
            "notice": apprise.NotifyType.INFO,
            "test": apprise.NotifyType.INFO,
            "report": apprise.NotifyType.INFO,
        }
        sender = apprise.Apprise()
        sender.add(self.plugin)
        with _muted() as logged:
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
        return None if taken else _reason(logged)


def channels(settings: Settings) -> list[Channel]:
    """The channels of ROTATION_ALERT_URLS, in their order."""
    return channels_of(settings.alert_urls)


def channels_of(urls: SecretStr) -> list[Channel]:
    """The channels of these addresses, which are separated by blanks, in their order; an address given twice is one channel."""
    addresses = dict.fromkeys(urls.get_secret_value().split())
    if not addresses:
        return []
    # Apprise takes half a second to import, which is spent only where there are channels.
    import apprise
    from pydantic import SecretStr

    found = []
    for place, address in enumerate(addresses, start=1):
        with _muted():
            plugin = apprise.Apprise.instantiate(address, suppress_exceptions=True)
        kind = str(plugin.service_name).lower() if plugin else "unknown"
        found.append(Channel(f"{place}:{kind}", plugin, SecretStr(address)))
    return found


def send(
    con: duckdb.DuckDBPyConnection, settings: Settings, now: datetime, max_age: timedelta = STALE_AFTER
) -> dict[str, str | None]:
    """Delivers what is in the outbox and no older than `max_age`, to each channel what it has not taken yet.

    Returns the error of each channel tried by its label, None where it took all. A channel that fails is not tried again this time.
    Raises `duckdb.Error` when the outbox cannot be written before anything was sent; a delivery that cannot be recorded, as on a full
    disk, is logged, since a later run then repeats it.
    """
    oldest = now - max_age
    if not con.execute(
        "select 1 from ops.alerts where sent_at is null and created_at > $1 limit 1", [oldest]
    ).fetchone():
        return {}
    targets = channels(settings)
    if not targets:
        return {}
    _replace_labels(con, targets)
    outcomes: dict[str, str | None] = {}
    try:
        _send_due(con, settings, targets, now, oldest, outcomes)
    except duckdb.Error:
        if not outcomes:
            raise
        log.warning("The delivery of an alert could not be recorded, so the next run sends it again.")
    return outcomes


def _send_due(
    con: duckdb.DuckDBPyConnection,
    settings: Settings,
    targets: Sequence[Channel],
    now: datetime,
    oldest: datetime,
    outcomes: dict[str, str | None],
) -> None:
    """Sends to each of `targets` what it has not taken yet, and records that; adds each outcome to `outcomes` as soon as it is known."""
    report = _report(con, settings)
    sender = f"{SENDER} (SIMULATED MARKET)" if _is_simulated(con) else SENDER
    names = [
        name for (name,) in con.execute("select distinct channel from ops.alerts where sent_at is null").fetchall()
    ]
    for channel in targets:
        taking = [name for name in names if channel in _addressed(name, targets)]
        due = con.execute(
            "select alert_id, kind, title, body from ops.alerts "
            "where sent_at is null and created_at > $1 and not list_contains(coalesce(taken_by, []), $2) "
            "and (list_contains($3, channel) or ($4 and channel is null)) order by created_at, alert_id",
            [oldest, channel.key, [name for name in taking if name], None in taking],
        ).fetchall()
        for ids, kind, title, body in _messages(due):
            outcomes[channel.label] = error = channel.notify(f"{sender}: {title}", f"{body}{report}", kind)
            _record(con, ids, channel, error)
            if error:
                log.warning("Alert channel %s failed (%s); the alert stays in the outbox.", channel.label, error)
                break
    for name in names:
        con.execute(
            "update ops.alerts set sent_at = $1 "
            "where sent_at is null and channel is not distinct from $3 and list_has_all(coalesce(taken_by, []), $2)",
            [now, [channel.key for channel in _addressed(name, targets)], name],
        )


def _addressed(name: str | None, targets: Sequence[Channel]) -> list[Channel]:
    """The channels that receive an alert for the channel `name`: all of them if there is no such channel, so that no alert is lost."""
    return [channel for channel in targets if name and channel.is_named(name)] or list(targets)


def _messages(due: list[Any]) -> Iterator[tuple[list[str], str, str, str]]:
    """The alerts as messages: one each, or all in one when there are many."""
    if len(due) <= GROUP_ABOVE:
        yield from (([alert_id], kind, title, body) for alert_id, kind, title, body in due)
        return
    body = "\n\n".join(f"{number}. {title}\n{body}" for number, (_, _, title, body) in enumerate(due, start=1))
    kinds = {kind for _, kind, *_ in due}
    # Several kinds in one message are as urgent as the most urgent of them.
    kind = next((kind for kind in ("recovery", "notice") if kinds == {kind}), "failure")
    yield [alert_id for alert_id, *_ in due], kind, f"{len(due)} alerts", body


def _report(con: duckdb.DuckDBPyConnection, settings: Settings) -> str:
    """A line with the address of the report that readers see, for the end of a message; empty where there is none to open."""
    row = con.execute("select max(session) from ops.runs where published").fetchone()
    page = f"reports/{row[0] if row else None}/index.html"
    address = settings.address_of(page) if (settings.home / page).exists() else None
    return f"\nReport: {address}" if address else ""


def _is_simulated(con: duckdb.DuckDBPyConnection) -> bool:
    row = con.execute("select source = 'sample' from ops.runs order by run_id desc limit 1").fetchone()
    return bool(row and row[0])


def _replace_labels(con: duckdb.DuckDBPyConnection, targets: list[Channel]) -> None:
    """Replaces the labels by which version 0.1 remembered channels, such as `1:slack`, by keys, in what is still to be sent.

    The channel may have moved in the list, but its kind is the same. Where several channels are of that kind, it is not known which
    one took the message, so the label is dropped: a message that arrives twice is better than one that does not arrive.
    """
    kinds = [channel.label.partition(":")[2] for channel in targets]
    keys = {kind: channel.key for kind, channel in zip(kinds, targets, strict=True) if kinds.count(kind) == 1}
    waiting = con.execute(
        "select alert_id, taken_by from ops.alerts where sent_at is null and len(list_filter(taken_by, lambda taker: contains(taker, ':'))) > 0"
    ).fetchall()
    for alert_id, takers in waiting:
        known = [keys.get(taker.partition(":")[2]) if ":" in taker else taker for taker in takers]
        con.execute(
            "update ops.alerts set taken_by = $1 where alert_id = $2", [[key for key in known if key], alert_id]
        )


def _record(con: duckdb.DuckDBPyConnection, ids: list[str], channel: Channel, error: str | None) -> None:
    con.execute(
        """
        update ops.alerts
        set attempts = attempts + 1,
            last_error = case when $error is null then last_error else $label || ': ' || $error end,
            taken_by = case when $error is null then list_append(coalesce(taken_by, []), $key) else taken_by end
        where alert_id in (select unnest($ids))
        """,
        {"ids": ids, "label": channel.label, "key": channel.key, "error": error},
    )


def _reason(logged: list[str]) -> str:
    """The error's number in Apprise's log lines, which may hold the address and are not repeated otherwise."""
    numbers = re.findall(r"error=(\d+)", " ".join(logged))
    return f"HTTP {numbers[-1]}" if numbers else "no connection, or not accepted"


@contextmanager
def _muted() -> Iterator[list[str]]:
    """Keeps the log lines of Apprise and its HTTP client, which may hold addresses, out of every log; yields them."""
    logged: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: logged.append(record.getMessage())  # type: ignore[method-assign]
    loggers = [logging.getLogger(name) for name in ("apprise", "urllib3", "requests")]
    before = [(logger.handlers[:], logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.handlers, logger.propagate = [handler], False
    try:
        yield logged
    finally:
        for logger, (handlers, propagate) in zip(loggers, before, strict=True):
            logger.handlers, logger.propagate = handlers, propagate
