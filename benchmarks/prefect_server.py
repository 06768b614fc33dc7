"""A Prefect server on this machine, with a database of its own, for runs that are flow runs there."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.request import ProxyHandler, Request, build_opener

from processes import free_port, kill, until

from benchmarks.measure import environment
from market_rotation.tasks.operations.prefect_api import answers


@contextmanager
def serving(folder: Path) -> Iterator[Mapping[str, str]]:
    """The environment of commands that use the server; it lives in `folder` and ends with this context."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/api"
    env = {
        "PREFECT_HOME": str(folder),
        "PREFECT_PROFILES_PATH": str(folder / "profiles.toml"),
        "PREFECT_API_URL": url,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        # Asked directly, whatever proxy the machine has.
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }
    folder.mkdir()
    start = ("-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port), "--no-ui")
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen([sys.executable, *start], env=environment(env), stdout=log, stderr=subprocess.STDOUT)
    try:
        until(lambda: answers(url, 1.0) or server.poll() is not None, "Prefect's server answers")
        if server.poll() is not None:
            raise RuntimeError(f"Prefect's server ended:\n{(folder / 'server.log').read_text(encoding='utf-8')}")
        yield env
    finally:
        kill(server)


def completed(env: Mapping[str, str]) -> int:
    """How many flow runs the server has completed."""
    wanted = json.dumps({"flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}}).encode()
    request = Request(  # noqa: S310 - the server on this machine
        f"{env['PREFECT_API_URL']}/flow_runs/count", wanted, {"Content-Type": "application/json"}
    )
    with build_opener(ProxyHandler({})).open(request, timeout=60) as answer:
        return int(json.loads(answer.read()))
