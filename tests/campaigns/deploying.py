"""SIGKILL at random moments of `rotation deploy`, which writes to a real Prefect server: part of `make crash`."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import distribution
from prefect_server import Prefect, deployments, files
from processes import kill

from campaigns.part import Part

#: The automation that is disabled before `rotation deploy` is killed.
DISABLED = "rotation-free-pending-runs"


class State(NamedTuple):
    """What the server has, by name: whether each deployment is paused, each schedule active, each automation enabled."""

    deployments: Counter[tuple[str, bool]]
    schedules: Counter[tuple[str, str, bool]]
    automations: Counter[tuple[str, bool]]


def killed_while_deploying(folder: Path, kills: int, seed: int) -> list[Part]:
    """Half of the kills on a server that has nothing yet, half on one on which deployments, schedules and an automation are paused.

    After each half `rotation deploy` runs undisturbed. What is paused must be so at every moment; in the end nothing is lacking, and nothing there twice.
    """
    wheel = distribution.build("wheel", folder)
    rng = random.Random(seed)
    first = Part("`rotation deploy` killed on a new server")
    again = Part("`rotation deploy` killed where something is paused")
    always = Part("what is paused is so all the time")
    with _server(folder, wheel) as prefect:
        _kill(prefect, kills // 2, rng, first, 20.0)
        took_s = _deploy(prefect)
        first.check(state(prefect) == _as_the_file_says(), "the server has not what prefect.yaml says")
        pause(prefect)
        paused = state(prefect)
        with watched(prefect, always):
            _kill(prefect, kills - kills // 2, rng, again, took_s)
            _deploy(prefect)
        again.check(state(prefect) == paused, "something was resumed, is lacking, or is there twice")
    return [first, again, always]


@contextmanager
def _server(folder: Path, wheel: Path) -> Iterator[Prefect]:
    prefect = Prefect(folder, {"ROTATION_HOME": str(folder / "home"), "ROTATION_SOURCE": "sample"})
    prefect.elsewhere.mkdir()
    distribution.install(wheel, prefect.installed)
    prefect.shipped = files(prefect.installed)
    prefect.start_server()
    try:
        yield prefect
    finally:
        prefect.stop_server()


def _deploy(prefect: Prefect) -> float:
    began = time.monotonic()
    prefect.rotation("deploy")
    return time.monotonic() - began


def _kill(prefect: Prefect, kills: int, rng: random.Random, part: Part, took_s: float) -> None:
    """Starts `rotation deploy` so many times and kills it within `took_s`, with what it started or alone."""
    command = [sys.executable, str(prefect.installed / "bin" / "rotation"), "deploy"]
    for _ in range(kills):
        with (prefect.folder / "deploy.log").open("ab") as log:
            process = subprocess.Popen(
                command, cwd=prefect.elsewhere, env=prefect.environment, stdout=log, stderr=subprocess.STDOUT
            )
        try:
            process.wait(rng.uniform(0, took_s))
        except subprocess.TimeoutExpired:
            if rng.random() < 0.5:
                kill(process)
            else:
                process.kill()
        process.wait()
        part.tried += 1


def pause(prefect: Prefect) -> None:
    """Pauses one deployment, the schedule of another, and an automation."""
    for deployment in prefect.ask("/deployments/filter", {}):
        if deployment["name"] == "daily-rotation":
            prefect.ask(f"/deployments/{deployment['id']}", {"paused": True}, "PATCH")
        if deployment["name"] == "watchdog":
            for schedule in deployment["schedules"]:
                prefect.ask(f"/deployments/{deployment['id']}/schedules/{schedule['id']}", {"active": False}, "PATCH")
    for automation in prefect.ask("/automations/filter", {}):
        if automation["name"] == DISABLED:
            prefect.ask(f"/automations/{automation['id']}", {"enabled": False}, "PATCH")


@contextmanager
def watched(prefect: Prefect, part: Part) -> Iterator[None]:
    """Asks the server all the time what is paused; `part` counts the answers."""
    before, is_over = state(prefect), threading.Event()

    def watch() -> None:
        while not is_over.is_set():
            now = state(prefect)
            # `prefect deploy` deletes the automation of a trigger before it makes it again.
            is_same = now[:2] == before[:2] and (DISABLED, True) not in now.automations
            part.check(is_same, "something that was paused was active for a moment")

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        is_over.set()
        watcher.join()


def state(prefect: Prefect) -> State:
    found: list[dict[str, Any]] = prefect.ask("/deployments/filter", {})
    return State(
        Counter((each["name"], each["paused"]) for each in found),
        Counter((each["name"], s["schedule"]["cron"], s["active"]) for each in found for s in each["schedules"]),
        Counter((each["name"], each["enabled"]) for each in prefect.ask("/automations/filter", {})),
    )


def _as_the_file_says() -> State:
    wanted = deployments()
    triggers = [(trigger["name"], True) for each in wanted for trigger in each.get("triggers", [])]
    return State(
        Counter((each["name"], False) for each in wanted),
        Counter((each["name"], s["cron"], True) for each in wanted for s in each.get("schedules", [])),
        Counter([*triggers, ("rotation-free-crashed-runs", True), (DISABLED, True)]),
    )
