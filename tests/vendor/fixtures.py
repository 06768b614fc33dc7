"""The vendor server as pytest fixtures. Use: `from vendor.fixtures import vendor, vendor_server  # noqa: F401`, or as a plugin."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
import world

from market_rotation.tasks import calendar
from market_rotation.tasks.sources.simulated.source import SampleSource
from market_rotation.tasks.universe import load_universe
from vendor.keyed import KEY
from vendor.server import Vendor


@pytest.fixture(scope="session")
def vendor_server() -> Iterator[Vendor]:
    """One server per process; its market is the simulated one of the shipped universe, up to today."""
    sessions = calendar.load(date(2005, 1, 3), datetime.now(UTC).date() + timedelta(days=1))
    with Vendor(SampleSource(sessions, load_universe().instruments)) as running:
        yield running


@pytest.fixture
def vendor(vendor_server: Vendor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Vendor]:
    """The server as new, this process's environment leading to it, and yfinance as just imported."""
    vendor_server.reset()
    for name, value in vendor_server.environment().items():
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    with fresh_yfinance(monkeypatch, tmp_path / "yfinance"):
        yield vendor_server
    vendor_server.heal()


@contextmanager
def fresh_yfinance(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Iterator[None]:
    """yfinance's process-wide state new inside, and put back afterwards."""
    import yfinance
    from yfinance import cache
    from yfinance.config import YfConfig
    from yfinance.data import SingletonMeta, YfData

    location, retries = cache._CookieDBManager.get_location(), YfConfig.network.retries
    yfinance.set_tz_cache_location(str(folder))
    for manager, kept in ((cache._CookieCacheManager, "_Cookie_cache"), (cache._TzCacheManager, "_tz_cache")):
        monkeypatch.setattr(manager, kept, None)
    monkeypatch.setattr(SingletonMeta, "_instances", {})
    monkeypatch.setattr(logging.getLogger("yfinance"), "filters", [])
    YfData.cache_get.cache_clear()
    yield
    YfData.cache_get.cache_clear()
    YfConfig.network.retries = retries
    yfinance.set_tz_cache_location(location)


def two_vendors(folder: Path, patch: pytest.MonkeyPatch, *symbols: str) -> None:
    """The settings, in `folder`, of a run of `symbols` from June 2025 on whose prices come from Yahoo, then from Tiingo."""
    members = world.universe(*map(world.instrument, symbols), pairs=[("IWM", "SPY")])
    patch.chdir(folder)
    patch.setenv("ROTATION_UNIVERSE", str(world.write_universe(folder, members)))
    patch.setenv("ROTATION_HISTORY_START", "2025-06-02")
    patch.setenv("ROTATION_SOURCE", "yahoo,tiingo")
    patch.setenv("ROTATION_REPORT", "false")
    patch.setenv("TIINGO_API_KEY", KEY)
