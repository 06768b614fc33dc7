"""compose.yaml as Docker Compose itself reads it; needs its command, but no daemon."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import shipped


def compose_command() -> list[str] | None:
    """Docker Compose 2 or later, as a plug-in of docker or as a command of its own; None where there is none."""
    for command in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(command[0]):
            done = subprocess.run([*command, "version", "--short"], capture_output=True, text=True, check=False)
            if done.returncode == 0 and done.stdout.strip().lstrip("v") >= "2":
                return command
    return None


COMMAND = compose_command()
PASSWORD = {"POSTGRES_PASSWORD": "any"}
needs_compose = pytest.mark.skipif(COMMAND is None, reason="Docker Compose 2 is not installed")


def check(path: Path, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(path.parent), **variables}
    command = [*(COMMAND or []), "--file", str(path), "config", "--quiet"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@needs_compose
def test_it_is_valid(tmp_path: Path) -> None:
    """Docker Compose accepts the file; without a password it says what to set, and it sees a misspelt key."""
    text = shipped.COMPOSE.read_text(encoding="utf-8")
    copy = tmp_path / "compose.yaml"
    copy.write_text(text, encoding="utf-8")
    accepted = check(copy, PASSWORD)
    assert (accepted.returncode, accepted.stderr) == (0, "")
    refused = check(copy, {})
    assert refused.returncode != 0
    assert "set it to a password of your choice" in refused.stderr
    copy.write_text(text.replace("stop_grace_period", "stop_grace_time"), encoding="utf-8")
    assert "stop_grace_time" in check(copy, PASSWORD).stderr


def test_services_fit_each_other() -> None:
    """Whatever writes or reads the warehouse has its volume, and what the server needs is started before it."""
    services = shipped.services()
    for name in ("worker", "watch"):
        assert "warehouse:/data" in services[name]["volumes"]
    order = {name: set(service.get("depends_on", ())) for name, service in services.items()}
    assert order == {
        "database": set(),
        "server": {"database"},
        "deploy": {"server"},
        "worker": {"deploy"},
        # It must alert when the others do not start.
        "watch": set(),
    }
    assert services["deploy"]["restart"] == "no"
    assert services["server"]["ports"] == ["127.0.0.1:4200:4200"]
