"""All checks of `rotation doctor`, in order.

A check yields findings. Nothing is changed and nothing is sent. Each check imports what it needs, so that a failing import is a finding too.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from market_rotation.tasks.errors import RotationError
from market_rotation.tasks.operations.doctor import data as stored
from market_rotation.tasks.operations.doctor import machine, services
from market_rotation.tasks.operations.doctor.findings import Finding, failed, guarded
from market_rotation.tasks.operations.prefect_api import api_url
from market_rotation.tasks.settings import Settings, load_settings

if TYPE_CHECKING:
    from market_rotation.tasks.operations.status import Status


def examine(now: datetime, environ: Mapping[str, str] | None = None) -> Iterator[Finding]:
    """All findings at `now`, as they come. A check that breaks is a finding itself and keeps no other from being made."""
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
        yield Finding("warn", "the rest", "Not checked, as it depends on the settings.", "Correct them first.")
        yield from guarded("prefect", lambda: services.prefect(api_url(environ), now))
        return
    yield from guarded("home", lambda: stored.home(settings))
    yield from guarded("disk", lambda: stored.disk(settings))
    yield from guarded("warehouse", lambda: stored.published(settings, now))
    state: list[Status] = []
    yield from guarded("last run", lambda: stored.last_run(settings, now, state))
    yield from guarded("clock", lambda: stored.clock(now, state[0] if state else None))
    yield from guarded("universe", lambda: services.universe(settings))
    yield from guarded("sources", lambda: services.sources(settings))
    yield from guarded("source", lambda: services.source(settings, now))
    yield from guarded("alerts", lambda: services.alerts(settings))
    yield from guarded("prefect", lambda: services.prefect(api_url(environ), now))
