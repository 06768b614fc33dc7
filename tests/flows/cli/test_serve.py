"""`rotation serve` as a process: it says where it listens, ends quietly, and explains what keeps it from listening."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import serving
import world
from click.testing import CliRunner

from market_rotation.flows.cli.main import main


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a small published warehouse."""
    serving.publish(tmp_path / "home" / "rotation.duckdb", serving.DAYS[40])
    monkeypatch.setenv("ROTATION_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@contextmanager
def started(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command as a process of its own, and the line it prints once it listens."""
    command = [sys.executable, "-m", "market_rotation", "serve", *arguments]
    # The folder of the test is the current one, so that the project must be named.
    environment = {**os.environ, "PYTHONPATH": str(world.REPOSITORY)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process, process.stdout.readline()
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def test_it_serves_until_ctrl_c(home: Path) -> None:
    """It prints its address, answers there, and ends with 0 and no word more on SIGINT, even while a reader is connected."""
    with started("--port", "0") as (process, line):
        found = re.fullmatch(r"(\S+) is shown at (http://127\.0\.0\.1:\d+/) \(read-only; Ctrl-C ends it\)\n", line)
        assert found
        assert found[1] == str(home / "rotation.duckdb")
        with httpx.Client(base_url=found[2], timeout=60) as client:
            assert client.get("/version").json()["session"] == str(serving.DAYS[40])
            assert client.get("/funds").status_code == 200
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
        assert (process.returncode, out, err) == (0, "", "")


@pytest.mark.long_after(0)
def test_a_wider_address_is_warned_of(home: Path) -> None:
    """An address other than loopback works and is warned of on stderr."""
    with started("--host", "0.0.0.0", "--port", "0") as (process, line):
        port = re.findall(r":(\d+)/", line)[0]
        assert httpx.get(f"http://127.0.0.1:{port}/version", timeout=60).status_code == 200
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert err == (
        f"Warning: anyone who can reach http://0.0.0.0:{port}/ over the network can read the warehouse; there is no password.\n"
    )


def test_a_taken_port(home: Path) -> None:
    """A port that another program uses is one sentence and exit code 2."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = CliRunner().invoke(main, ["serve", "--port", str(port)])
    assert result.exit_code == 2
    assert result.stderr == (
        f"Error: Port {port} of 127.0.0.1 is in use; choose another with --port, or stop the program that uses it.\n"
    )


@pytest.mark.long_after(0)
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--host", "256.0.0.1"], "Error: 256.0.0.1, port 8765 cannot be used ("),
        (["--host", "203.0.113.7"], "Error: 203.0.113.7, port 8765 cannot be used (Cannot assign requested address)"),
        (["--port", "70000"], "70000 is not in the range 0<=x<=65535"),
    ],
)
def test_an_address_that_cannot_be_used(home: Path, arguments: list[str], said: str) -> None:
    """Exit code 2 and one sentence."""
    result = CliRunner().invoke(main, ["serve", *arguments])
    assert result.exit_code == 2
    assert said in result.stderr


def test_no_warehouse_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence and the exit code of `rotation report`."""
    monkeypatch.setenv("ROTATION_HOME", str(tmp_path / "none"))
    result, report = (CliRunner().invoke(main, [command]) for command in ("serve", "report"))
    assert (result.exit_code, result.stderr) == (report.exit_code, report.stderr.removeprefix("Writing the report\n"))
    assert result.stderr.startswith("Error: There is no warehouse at ")
