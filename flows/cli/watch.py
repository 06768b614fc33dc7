"""`rotation watch`: the watchdog without Prefect, for a timer, a CronJob, or another machine with a copy of the published file."""

from __future__ import annotations

from datetime import datetime

from market_rotation.flows.cli.console import err, out
from market_rotation.tasks.alerts import watchdog


def watch_once(now: datetime) -> int:
    """Alerts when the last session due by `now` is not published; returns 0 when it is, else 3. Raises `ConfigError` for a wrong setting."""
    problem = watchdog.watch(now)
    if problem:
        err.print(problem, style="red", markup=False, highlight=False, soft_wrap=True)
        return 3
    out.print(f"{watchdog.last_due(now)} is published.", highlight=False)
    return 0
