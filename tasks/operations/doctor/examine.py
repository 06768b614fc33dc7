"""All checks of `rotation doctor`, in order.

A check yields findings; it sends nothing, and only the repairs that were asked for change anything. It imports what it needs itself, so that a failing import is a finding too.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from market_rotation.tasks.errors import RotationError
from market_rotation.tasks.operations.doctor import channels, data, machine, prefect_server, repairs, sources
from market_rotation.tasks.operations.doctor.findings import Finding, failed, guarded
from market_rotation.tasks.operations.prefect_api import api_url
from market_rotation.tasks.settings import Settings, load_settings

if TYPE_CHECKING:
    from market_rotation.tasks.operations.state import Status


def examine(now: datetime, environ: Mapping[str, str] | None = None, fix: bool = False) -> Iterator[Finding]:
    """All findings at `now`, one by one; `fix` also repairs what can be repaired safely. An error in a check is a finding; the others still run."""
    environ = os.environ if environ is None else environ
    yield from guarded("variables", lambda: machine.variables(environ))
    settings: Settings | None = None
    try:
        settings = load_settings()
        yield from guarded("settings", lambda: machine.read_settings(settings))
    except RotationError as error:
        yield failed("settings", error, machine.similar_keys(environ))
    yield from guarded("python", machine.dependencies)
    yield from guarded("network", lambda: machine.network(environ))
    if settings is None:
        yield Finding("warn", "the rest", "Not checked: it depends on the settings.", "Correct the settings first.")
        yield from guarded("prefect", lambda: prefect_server.prefect(api_url(environ), now))
        return
    yield from guarded("files", lambda: repairs.files(settings, now, fix))
    yield from guarded("home", lambda: data.home(settings))
    yield from guarded("disk", lambda: data.disk(settings))
    yield from guarded("warehouse", lambda: data.published(settings))
    state: list[Status] = []
    yield from guarded("last run", lambda: data.last_run(settings, now, state))
    yield from guarded("clock", lambda: data.clock(now, state[0] if state else None))
    yield from guarded("universe", lambda: sources.universe(settings))
    yield from guarded("sources", lambda: sources.installed_sources(settings))
    yield from guarded("source", lambda: sources.source(settings, now))
    yield from guarded("alerts", lambda: channels.alerts(settings))
    yield from guarded("prefect", lambda: prefect_server.prefect(api_url(environ), now))
