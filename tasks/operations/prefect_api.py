"""Prefect's address and deployments, without importing Prefect, which takes most of a second."""

from __future__ import annotations

import time
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

POOL = "rotation"
#: Each flow/deployment of prefect.yaml, and whether it must have a schedule.
DEPLOYMENTS = {
    "daily-rotation/daily-rotation": True,
    "fund-flows-morning/fund-flows-morning": True,
    "watchdog/watchdog": True,
    "backfill/backfill": False,
    "fetch/fetch": False,
    "rebuild/rebuild": False,
    "maintenance/maintenance": False,
    "resend-alerts/resend-alerts": False,
}
#: The names of the automations that `rotation deploy` makes, and of the notification block that the last two need.
FREEING = "rotation-free-crashed-runs"
NEVER_STARTED = "rotation-free-pending-runs"
LATE = "rotation-report-late-runs"
CRASHED = "rotation-report-crashed-runs"
NOTIFICATION_BLOCK = "rotation-alerts"


def api_url(environ: Mapping[str, str]) -> str | None:
    """The address of Prefect's API from the environment, else from the active profile, in the order that Prefect itself uses; None when neither has one."""
    if url := environ.get("PREFECT_API_URL"):
        return url
    folder = Path(environ.get("PREFECT_HOME") or Path.home() / ".prefect")
    path = Path(environ.get("PREFECT_PROFILES_PATH") or folder / "profiles.toml")
    try:
        profiles = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError):
        return None
    active = environ.get("PREFECT_PROFILE") or profiles.get("active")
    url = profiles.get("profiles", {}).get(active, {}).get("PREFECT_API_URL")
    return str(url) if url else None


def answers(url: str, within_s: float, goes_on: Callable[[], bool] = lambda: True) -> bool:
    """Whether the API at `url` answers within `within_s` seconds; stops waiting when `goes_on` returns false."""
    direct = build_opener(ProxyHandler({})) if "127.0.0.1" in url or "localhost" in url else build_opener()
    deadline = time.monotonic() + within_s
    while goes_on() and time.monotonic() < deadline:
        try:
            direct.open(f"{url}/health", timeout=5).close()
        except OSError:
            time.sleep(0.05)
        else:
            return True
    return False
