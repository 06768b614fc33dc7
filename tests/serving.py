"""A small published warehouse, and `rotation serve`'s application behind a real server for the tests."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path

import httpx
import pytest
import world

from market_rotation.tasks.serve.app import application
from market_rotation.tasks.serve.server import server
from market_rotation.tasks.settings import load_settings

NOW = datetime(2025, 4, 15, 23, 0, tzinfo=UTC)
DAYS = world.days()[:320]
LATEST = DAYS[-1]

MEMBERS = world.universe(
    world.instrument("SPY", size_bucket="large", peer_group="large_cap"),
    world.instrument("IWM", peer_group="small_cap", flow_group="small_cap", in_breadth=True),
    world.instrument("VB", peer_group="small_cap", flow_group="small_cap", in_breadth=True),
    world.instrument("XLK", kind="sector", sector="technology"),
    world.instrument("XLF", kind="sector", sector="financials"),
    # A name that would do harm in a page that does not escape it, and a symbol that Vega could take for a nested field.
    world.instrument("BRK.B", name="<script>alert(1)</script>", kind="stock", size_bucket="mega"),
    pairs=[("IWM", "SPY")],
)


def publish(path: Path, session: date = LATEST) -> None:
    """Writes a warehouse of `MEMBERS` up to `session` to `path`, in one step as a run does."""
    sessions = [day for day in DAYS if day <= session]
    frames = [
        world.bars(
            i.symbol, [100 + n * (0.01 + 0.02 * k) + (n * (k + 3)) % 7 for n in range(len(sessions))], volume=1e6
        )
        for k, i in enumerate(MEMBERS.instruments)
    ]
    records = [
        world.records(
            symbol, [50.0 + n % 5 for n in range(len(sessions))], [1e6 + step * n for n in range(len(sessions))]
        )
        for symbol, step in (("IWM", 1000.0), ("VB", -500.0))
    ]
    making = path.with_name("making.duckdb")
    path.parent.mkdir(parents=True, exist_ok=True)
    with world.derived(frames, MEMBERS, session, path=making, fund_nav=world.pd.concat(records)):
        pass
    making.replace(path)


@contextmanager
def serving(home: Path, host: str = "127.0.0.1") -> Iterator[str]:
    """The address of a server over the warehouse in `home`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROTATION_HOME", str(home))
        settings = load_settings()
    made = server(application(settings, host, lambda: NOW))
    with socket.create_server((host, 0)) as listener:
        thread = threading.Thread(target=made.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            end = time.monotonic() + 60
            while not made.started:
                assert thread.is_alive(), "the server did not start"
                assert time.monotonic() < end, "the server did not start within a minute"
                time.sleep(0.02)
            yield f"http://{host}:{listener.getsockname()[1]}"
        finally:
            made.should_exit = True
            thread.join(30)


@contextmanager
def reader(home: Path) -> Iterator[httpx.Client]:
    """A client of `serving(home)`, which follows no redirect."""
    with serving(home) as address, httpx.Client(base_url=address, timeout=120) as client:
        yield client
