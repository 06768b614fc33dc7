"""Alerts where the outbox cannot be written: no build database, a copy of the published file, a full, read-only or locked disk.

A small JSON file remembers, by fingerprint, when each channel was last alerted, so that each incident is one alert, reminders, and one
recovery, like those of the outbox.
"""

from __future__ import annotations

import json
import logging
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING

import duckdb

from market_rotation.tasks import paths, warehouse, wording
from market_rotation.tasks.alerts import deliver, incidents, outbox
from market_rotation.tasks.errors import RotationError

if TYPE_CHECKING:
    from pathlib import Path

    from market_rotation.tasks.alerts.incidents import Incident
    from market_rotation.tasks.settings import Settings

log = logging.getLogger("rotation.watch")


@dataclass
class Memory:
    """An incident that was alerted without the outbox: its title, start and session, and by `Channel.key` the time of the last alert."""

    title: str
    since: str
    session: str = ""
    alerted_at: dict[str, str] = field(default_factory=dict)


def is_open(settings: Settings, fingerprint: str) -> bool:
    """Whether the incident was alerted here and is not over yet."""
    return fingerprint in _read(settings)


def explains(settings: Settings, session: date) -> bool:
    """Whether an alert said why the run of `session` published nothing."""
    return any(
        fingerprint.startswith(incidents.OF_A_RUN) and memory.session >= f"{session}" and memory.alerted_at
        for fingerprint, memory in _read(settings).items()
    )


def alert(settings: Settings, incident: Incident, session: date | None, now: datetime) -> None:
    """Sends `incident`, of `session`, to each channel that was not alerted of it within ROTATION_ALERT_REPEAT_H. A channel that fails is tried again by the next call.

    Without a channel nothing is sent, and no file is written.
    """
    targets = deliver.channels(settings)
    if not targets:
        return
    memories = _read(settings)
    memory = memories.setdefault(incident.fingerprint, Memory(incident.title, now.isoformat()))
    memory.session = max(memory.session, f"{session or ''}")
    since = datetime.fromisoformat(memory.since)
    text = outbox.body(incident, since, _what_readers_see(settings))
    for channel in targets:
        last = memory.alerted_at.get(channel.key)
        if last and now - datetime.fromisoformat(last) < settings.alert_repeat - outbox.SLACK:
            continue
        title = f"Still open after {wording.duration(now - since)}: {incident.title}" if last else incident.title
        if _notify(channel, title, text, "failure"):
            memory.alerted_at[channel.key] = now.isoformat()
    if not _write(settings, memories):
        log.warning(
            "Neither %s can be written, so the next call repeats this alert.", " nor ".join(map(str, _paths(settings)))
        )


def recover(settings: Settings, now: datetime) -> None:
    """Sends one recovery of each incident to each channel that was alerted of it, and forgets it when all accepted it."""
    memories = _read(settings)
    if not memories:
        return
    targets = deliver.channels(settings)
    for fingerprint, memory in list(memories.items()):
        since = datetime.fromisoformat(memory.since)
        title = f"Recovered after {wording.duration(now - since)}: {memory.title}"
        text = f"It began {since:%Y-%m-%d %H:%M} UTC and ended {now:%Y-%m-%d %H:%M} UTC."
        for channel in targets:
            if channel.key in memory.alerted_at and _notify(channel, title, text, "recovery"):
                del memory.alerted_at[channel.key]
        # A channel that is no longer configured receives nothing more.
        if not memory.alerted_at.keys() & {channel.key for channel in targets}:
            del memories[fingerprint]
    if memories:
        _write(settings, memories)
    else:
        _forget(settings)


def _what_readers_see(settings: Settings) -> str:
    try:
        with warehouse.reading(settings.published) as con:
            return outbox.what_readers_see(con)
    except (RotationError, duckdb.Error):
        with suppress(RotationError):
            if not warehouse.exists(settings.published):
                return (
                    f"There is no warehouse at {settings.published}; if there was one, check that its disk is mounted."
                )
        return f"{settings.published} cannot be read."


def _notify(channel: deliver.Channel, title: str, text: str, kind: str) -> bool:
    error = channel.notify(f"{deliver.SENDER}: {title}", text, kind)
    if error:
        log.warning("Alert channel %s failed (%s); the next call tries it again.", channel.label, error)
    return error is None


def _paths(settings: Settings) -> list[Path]:
    """Where the file may be: in ROTATION_HOME where there is a warehouse, else, or where that is read-only, in the user's folder of state.

    What is written below the mount point of a disk could not be found again once the disk is mounted.
    """
    state = paths.of_state(settings.database_files[-1], "watch")
    has_warehouse = any(path.exists() for path in settings.database_files)
    return [settings.home / "watch.json", state] if has_warehouse else [state]


def _read(settings: Settings) -> dict[str, Memory]:
    memories: dict[str, Memory] = {}
    for path in reversed(_paths(settings)):
        # A damaged file costs one alert more, not the alert.
        with suppress(OSError, ValueError, TypeError, AttributeError):
            found = json.loads(path.read_text(encoding="utf-8"))
            memories |= {fingerprint: Memory(**memory) for fingerprint, memory in found.items()}
    return memories


def _write(settings: Settings, memories: dict[str, Memory]) -> bool:
    places = _paths(settings)
    for path in places:
        with suppress(OSError):
            # ROTATION_HOME itself is never created here.
            if path is places[-1]:
                path.parent.mkdir(parents=True, exist_ok=True)
            fresh = path.with_suffix(f".{os.getpid()}.new")
            try:
                fresh.write_text(
                    json.dumps({key: asdict(memory) for key, memory in memories.items()}, indent=1), encoding="utf-8"
                )
                fresh.replace(path)
            finally:
                fresh.unlink(missing_ok=True)
            for other in places:
                if other is not path:
                    other.unlink(missing_ok=True)
            return True
    return False


def _forget(settings: Settings) -> None:
    for path in _paths(settings):
        with suppress(OSError):
            path.unlink(missing_ok=True)
