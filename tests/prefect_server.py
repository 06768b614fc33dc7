"""Prefect as on a machine that runs the project: a server, a worker and the flow runs, each in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import distribution
import yaml
from processes import DEADLINE_S, free_port, kill, until
from world import REPOSITORY

#: Asks the server itself, whatever proxy the machine has.
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
#: States after which a flow run stays as it is.
ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


def deployments() -> list[dict[str, Any]]:
    """The deployments of prefect.yaml."""
    found: list[dict[str, Any]] = yaml.safe_load((REPOSITORY / "prefect.yaml").read_text(encoding="utf-8"))[
        "deployments"
    ]
    return found


def environment(home: Path, **more: str) -> dict[str, str]:
    """This process's environment with a Prefect that was never used, in `home`, and no other setting of Prefect or ours but `more`."""
    mine = ("PREFECT_", "ROTATION_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(mine)}
    own = {
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
        "COLUMNS": "200",
    }
    return {**kept, **own, **more}


class Prefect:
    """A server with the deployments of the installed wheel. `took` says in seconds how long the parts of it took to come up.

    `installed` is the folder of the installation, which all processes import; `shipped` is what its files held before anything
    was done with them; `deployed` is what `rotation deploy` printed.
    """

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self.folder = folder
        self.installed = folder / "installed"
        # Neither the repository nor the installation: where a user happens to be.
        self.elsewhere = folder / "elsewhere"
        self.url = f"http://127.0.0.1:{free_port()}/api"
        self.environment = environment(folder / "prefect", **{"PREFECT_API_URL": self.url, **settings})
        self.environment["PYTHONPATH"] = str(self.installed)
        self.took: dict[str, float] = {}
        self.shipped: dict[str, bytes] = {}
        self.deployed = ""
        self.server: subprocess.Popen[bytes]

    def popen(self, name: str, *arguments: str, **more: str) -> subprocess.Popen[bytes]:
        """`prefect <arguments>` in the background; what it prints goes to `<name>.log`."""
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "prefect", *arguments],
                cwd=self.elsewhere,
                env={**self.environment, **more},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def start_server(self) -> None:
        """Starts the server, and returns once it answers."""
        began = time.monotonic()
        port = self.url.split(":")[2].split("/")[0]
        # Else a test would wait some seconds for each event to be found.
        quick = {"PREFECT_SERVER_SERVICES_EVENT_PERSISTER_FLUSH_INTERVAL": "0.1"}
        self.server = self.popen("server", "server", "start", "--host", "127.0.0.1", "--port", port, "--no-ui", **quick)
        try:
            until(lambda: self.is_up() or self.server.poll() is not None, "the server answers")
            assert self.server.poll() is None, self.log("server")
        except BaseException:
            kill(self.server)
            raise
        self.took.setdefault("server start", time.monotonic() - began)

    def stop_server(self) -> None:
        """Ends the server at once."""
        kill(self.server)

    def python(self, code: str) -> str:
        """What `code` prints, run by a Python that uses this server."""
        return self._output(sys.executable, "-c", code)

    def rotation(self, *arguments: str) -> str:
        """What `rotation <arguments>` of the installed wheel prints."""
        return self._output(sys.executable, str(self.installed / "bin" / "rotation"), *arguments)

    def _output(self, *command: str) -> str:
        done = subprocess.run(
            command,
            cwd=self.elsewhere,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
        assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}"
        return done.stdout

    def ask(self, path: str, body: Mapping[str, Any] | None = None, method: str | None = None) -> Any:
        """The server's answer to a GET, or with a `body` to a POST."""
        request = urllib.request.Request(  # noqa: S310
            self.url + path,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
            method=method,
        )
        end = time.monotonic() + DEADLINE_S
        while True:
            try:
                with DIRECT.open(request, timeout=60) as answer:
                    return json.loads(answer.read() or "null")
            except urllib.error.HTTPError as error:
                # With SQLite it says so while its database is locked; Prefect's own client asks again as well.
                if error.code != 503 or time.monotonic() > end:
                    raise AssertionError(f"{path}: {error.code} {error.read().decode()}") from None
                time.sleep(0.2)
            except TimeoutError:
                # On a busy machine; what only reads can be asked again.
                if body is not None or time.monotonic() > end:
                    raise

    def is_up(self) -> bool:
        """Whether the server answers."""
        try:
            return bool(self.ask("/health"))
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    def is_healthy(self) -> bool:
        """Whether the server can use its database, asked once."""
        try:
            with DIRECT.open(f"{self.url}/ready", timeout=60) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    def rest(self) -> None:
        """Stops the schedules, so that nothing runs but what a test starts, at whatever hour that is."""
        for deployment in self.ask("/deployments/filter", {}):
            for schedule in deployment["schedules"]:
                self.ask(f"/deployments/{deployment['id']}/schedules/{schedule['id']}", {"active": False}, "PATCH")

    def log(self, name: str) -> str:
        """What the process of that name has printed so far."""
        return (self.folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")

    # ---- flow runs ----

    def start(self, deployment: str, **parameters: str) -> str:
        """Starts a flow run as `prefect deployment run` does, without its two seconds of start-up; returns its identifier."""
        found = self.ask(f"/deployments/name/{deployment}")
        run = self.ask(f"/deployments/{found['id']}/create_flow_run", {"parameters": parameters})
        return str(run["id"])

    def flow_run(self, run_id: str) -> dict[str, Any]:
        """The current state of the flow run on the server."""
        found: dict[str, Any] = self.ask(f"/flow_runs/{run_id}")
        return found

    def ended(self, run_id: str, deadline_s: float = DEADLINE_S) -> dict[str, Any]:
        """The flow run once it has ended. Raises `TimeoutError` with what the worker printed."""
        try:
            until(lambda: self.flow_run(run_id)["state_type"] in ENDED, f"flow run {run_id} ends", deadline_s)
        except TimeoutError as error:
            state = self.flow_run(run_id)["state"]
            raise TimeoutError(f"{error}; it is {state['name']}.\n{self.log('worker')[-4000:]}") from None
        return self.flow_run(run_id)

    def run(self, deployment: str, **parameters: str) -> dict[str, Any]:
        """A flow run from its start to its end."""
        return self.ended(self.start(deployment, **parameters))

    def artifacts(self, run_id: str) -> dict[str, Any]:
        """The artifacts of a flow run by key, as tables or Markdown."""
        found = self.ask("/artifacts/filter", {"flow_runs": {"id": {"any_": [run_id]}}})
        return {a["key"]: json.loads(a["data"]) if a["type"] == "table" else a["data"] for a in found}

    def tasks(self, run_id: str) -> dict[str, int]:
        """How often each task of a flow run was started, by the task's name without the run's own part."""
        wanted = {"flow_runs": {"id": {"any_": [run_id]}}, "limit": 200}
        return {task["name"]: task["run_count"] for task in self.ask("/task_runs/filter", wanted)}

    def events(self, run_id: str, prefix: str = "market-rotation.") -> list[dict[str, Any]]:
        """The events so far whose name begins with `prefix` and that are related to a flow run, oldest first."""
        wanted = {"event": {"prefix": [prefix]}, "related": {"id": [f"prefect.flow-run.{run_id}"]}, "order": "ASC"}
        found: list[dict[str, Any]] = self.ask("/events/filter", {"filter": wanted, "limit": 50})["events"]
        return found

    @contextmanager
    def worker(self) -> Iterator[subprocess.Popen[bytes]]:
        """A worker of the pool, which asks twice a second for something to do."""
        before = len(self.log("worker")) if (self.folder / "worker.log").exists() else 0
        began = time.monotonic()
        process = self.popen("worker", "worker", "start", "--pool", "rotation", PREFECT_WORKER_QUERY_SECONDS="0.5")
        try:
            until(lambda: "started!" in self.log("worker")[before:] or process.poll() is not None, "the worker starts")
            assert process.poll() is None, self.log("worker")
            self.took.setdefault("worker start", time.monotonic() - began)
            yield process
        finally:
            kill(process)


@contextmanager
def serving(folder: Path, wheel: Path, settings: Mapping[str, str]) -> Iterator[Prefect]:
    """A server that was never used, with what `rotation deploy` makes, from `wheel` installed in `folder`.

    `settings` are environment variables of the server, of the worker and of the flow runs.
    """
    prefect = Prefect(folder, settings)
    prefect.elsewhere.mkdir()
    distribution.install(wheel, prefect.installed)
    prefect.shipped = files(prefect.installed)
    prefect.start_server()
    try:
        prefect.deployed = prefect.rotation("deploy")
        yield prefect
    finally:
        prefect.stop_server()


def files(folder: Path) -> dict[str, bytes]:
    """What every file below `folder` holds, but for compiled Python."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }
