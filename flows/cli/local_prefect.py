"""Prefect for a run by hand: quiet, and with a server of its own for as long as the run lasts, where no other is configured."""

from __future__ import annotations

import ctypes
import gc
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, TypeVar
from urllib.request import ProxyHandler, build_opener

from market_rotation.tasks.errors import RotationError
from market_rotation.tasks.operations.prefect_api import api_url

T = TypeVar("T")

log = logging.getLogger("rotation.prefect")

#: On a machine where Prefect never ran, its server first makes a database.
STARTUP_S = 120.0


@contextmanager
def local_prefect(debug: bool, prepare: Callable[[], T], meanwhile: Callable[[], object] = lambda: None) -> Iterator[T]:
    """What `prepare` returns, once Prefect is there: the server that is configured, else one that ends with the block.

    Prefect would start such a server by itself, but only when the flow begins: here it starts while `meanwhile` does what takes seconds
    too, such as imports; where no server must be waited for that is left out. Raises `RotationError` when the server does not come up.
    """
    _quiet(debug)
    # Whoever started this waits for a clean end: the run goes on record, and the server is not left behind.
    signal.signal(signal.SIGTERM, _end)
    with _server(debug) if api_url(os.environ) is None else nullcontext() as server:
        with _keeping_imports():
            made = prepare()
            if server:
                meanwhile()
            from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
        # A person sees whether it goes on; Prefect would wait up to a second for the last sign of life.
        here: dict[Any, Any] = {PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}
        # Prefect itself looks into more files, such as prefect.toml and .env of this folder.
        if server and not PREFECT_API_URL.value():
            _wait(*server)
            here[PREFECT_API_URL] = server[1]
        with temporary_settings(here):
            yield made
            # While the server is there to take them.
            _send_events()


@contextmanager
def _keeping_imports() -> Iterator[None]:
    """What imports make stays to the end; looking through it for garbage, at each import and at exit, takes more than a second."""
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()


@contextmanager
def _server(debug: bool) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # The command with which Prefect starts its own: `prefect server start` would need most of a second more for its command line.
    command = [sys.executable, "-m", "uvicorn", "--factory", "prefect.server.api.server:create_app"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--log-level", "info" if debug else "critical"]
    alone = {"PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_FINAL": "1", "PREFECT__SERVER_WEBSERVER_ONLY": "1"}
    shown = None if debug else subprocess.DEVNULL
    # A key press that ends the run is for the run; the server ends after it.
    process = subprocess.Popen(
        command,
        env={**os.environ, **alone},
        stdout=shown,
        stderr=shown,
        preexec_fn=_end_with_parent,
        process_group=0,
    )
    try:
        yield process, f"http://127.0.0.1:{port}/api"
    finally:
        process.terminate()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def answers(url: str, within_s: float, goes_on: Callable[[], bool] = lambda: True) -> bool:
    """Whether the API at `url` answers `within_s` seconds, as long as `goes_on` says that there is something to wait for."""
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


def _wait(process: subprocess.Popen[bytes], url: str) -> None:
    if not answers(url, STARTUP_S, lambda: process.poll() is None):
        raise RotationError(
            "Prefect's own server did not come up, so nothing was fetched; `rotation run --debug` shows why. "
            "A server that runs already can be named with PREFECT_API_URL."
        )


def _end_with_parent() -> None:
    """Also when this process is killed, its server is not left behind. Only Linux knows that."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def _end(*_: object) -> None:
    sys.exit(128 + signal.SIGTERM)


def _quiet(debug: bool) -> None:
    """Settings of Prefect for a run by hand, to be made before it is imported; what the person has set stays."""
    quiet = {
        # Otherwise it prints a notice about the usage data it would send.
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_LOGGING_EXTRA_LOGGERS": "rotation",
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
    }
    if not debug:
        quiet["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "CRITICAL"
    for name, value in quiet.items():
        os.environ.setdefault(name, value)
    # Prefect's own server is on this machine; behind a proxy it would be looked for outside.
    given = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = ",".join(filter(None, [given, "127.0.0.1", "localhost"]))


def _send_events() -> None:
    """Sends what Prefect has queued; at exit it would complain that the server is gone."""
    from prefect.events.worker import EventsWorker

    EventsWorker.drain_all(timeout=10, at_exit=False)
