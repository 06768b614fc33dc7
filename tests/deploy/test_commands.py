"""The deployment files start commands that exist, with settings that exist, and each way has everything that must be scheduled."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from functools import cache

import click
import pytest
import shipped
import yaml
from world import REPOSITORY

from market_rotation.flows.cli.main import main
from market_rotation.tasks.operations.prefect_api import POOL
from market_rotation.tasks.settings import SECRET, unknown_variables, variable_of

STARTS = shipped.starts()
each = pytest.mark.parametrize("start", STARTS, ids=lambda start: start.where)


def accept(words: tuple[str, ...]) -> None:
    """Raises `click.UsageError` where `rotation` does not accept the words."""
    context = main.make_context("rotation", list(words))
    name, command, rest = main.resolve_command(context, list(words))
    assert command is not None
    command.make_context(name, rest, parent=context)


@cache
def prefect_help(*command: str) -> str:
    called = [sys.executable, "-P", "-m", "prefect", *command, "--help"]
    environment = os.environ | {"COLUMNS": "200"}
    return subprocess.run(called, capture_output=True, text=True, check=True, env=environment).stdout


def test_every_way_is_read() -> None:
    """Units, Kubernetes and compose each start the job or a worker, and the watchdog."""
    assert len(STARTS) >= 12
    assert len({start.where for start in STARTS}) == len(STARTS)
    assert sum(start.words == ("rotation", "watch") for start in STARTS) == 3
    assert sum(start.words[:2] == ("rotation", "deploy") for start in STARTS) == 3


@each
def test_the_command_exists(start: shipped.Start) -> None:
    """`rotation` accepts the words; each option of a `prefect` command is in its help, and its work pool is ours."""
    program, *words = start.words
    if program == "rotation":
        accept(tuple(words))
        return
    assert program == "prefect"
    shown = prefect_help(*words[:2])
    options = [word for word in words if word.startswith("--")]
    assert [option for option in options if not re.search(rf"{option}\b", shown)] == []
    assert "--pool" not in words or words[words.index("--pool") + 1] == POOL


@pytest.mark.parametrize("words", [("runn",), ("run", "--sesion", "2026-01-16"), ("watch", "--json")])
def test_a_wrong_command_would_be_found(words: tuple[str, ...]) -> None:
    """The test above sees a misspelt command and a misspelt option."""
    with pytest.raises(click.UsageError):
        accept(words)


@each
def test_the_settings_exist(start: shipped.Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every ROTATION_ variable is a setting, and none holds a secret: secrets are in files."""
    for name in start.variables:
        monkeypatch.setenv(name, "x")
    assert unknown_variables() == []
    assert start.variables.keys() & {variable_of(name) for name in SECRET} == set()


def test_the_times() -> None:
    """systemd, Kubernetes and Prefect start the daily job at 18:30 and the fund records at 8:00, New York time; the watchdogs call every hour."""
    timer = [value for name, value in shipped.unit(shipped.DEPLOY / "market-rotation.timer")["Timer"]]
    assert timer[:2] == ["Mon..Fri 18:30 America/New_York", "Tue..Sat 08:00 America/New_York"]
    jobs = {item["metadata"]["name"]: item["spec"] for item in shipped.resources() if item["kind"] == "CronJob"}
    assert {name: (spec["schedule"], spec["timeZone"]) for name, spec in jobs.items()} == {
        "market-rotation-daily": ("30 18,19 * * 1-5", "America/New_York"),
        "market-rotation-morning": ("0 8 * * 2-6", "America/New_York"),
        "market-rotation-watch": ("5 * * * *", "America/New_York"),
    }
    deployments = yaml.safe_load((REPOSITORY / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]
    crons = {d["name"]: d["schedules"][0]["cron"] for d in deployments if d.get("schedules")}
    assert (crons["daily-rotation"], crons["fund-flows-morning"]) == ("30 18 * * 1-5", "0 8 * * 2-6")
    watch = shipped.unit(shipped.DEPLOY / "market-rotation-watch.timer")["Timer"]
    assert watch[0] == ("OnCalendar", "*-*-* *:05")
    assert "while sleep 3600; do rotation watch; done" in shipped.services()["watch"]["entrypoint"]


def test_one_version_of_the_image() -> None:
    """compose and Kubernetes name the image of this version."""
    version = re.search(r'^version = "(.+)"', (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"), re.M)[1]
    texts = [path.read_text(encoding="utf-8") for path in (shipped.COMPOSE, *shipped.KUBERNETES)]
    named = {match for text in texts for match in re.findall(r"market-rotation:([\w.]+)", text)}
    assert named == {version}


def test_the_image_has_what_the_dockerfile_copies() -> None:
    """Every file that the Dockerfile copies exists and passes .dockerignore, and the package's folders do."""
    ignored = (REPOSITORY / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert ignored[1] == "*"
    kept = {line[1:] for line in ignored if line.startswith("!")}
    text = (REPOSITORY / "Dockerfile").read_text(encoding="utf-8")
    copied = [word for line in re.findall(r"^COPY (?!--from)(.+)$", text, re.M) for word in line.split()[:-1]]
    assert {name for name in copied if name != "."} <= kept
    assert {"pyproject.toml", "prefect.yaml", "market_rotation", "flows", "tasks", "sql", "expectations"} <= kept
    assert [name for name in kept if not (REPOSITORY / name).exists()] == []
    assert re.search(r'^ENTRYPOINT \["rotation"\]$', text, re.M)
