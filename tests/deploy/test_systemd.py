"""The systemd units as systemd itself reads and runs them: `systemd-analyze verify`, and a user manager of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import shipped

MANAGER = Path("/lib/systemd/systemd")
needs_analyze = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
# A manager of its own needs a mount namespace, in which it finds a /run that says that systemd runs this machine.
needs_manager = pytest.mark.skipif(
    not MANAGER.exists()
    or shutil.which("unshare") is None
    or subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode != 0,
    reason="needs systemd and the right to make a mount namespace",
)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with the units where docs/operations.md puts them, and commands that record their calls and exit with the code in `code`."""
    units = tmp_path / ".config" / "systemd" / "user"
    units.mkdir(parents=True)
    for path in shipped.UNITS:
        shutil.copy(path, units)
    commands = tmp_path / "market-rotation" / ".venv" / "bin"
    commands.mkdir(parents=True)
    for name in ("rotation", "prefect"):
        (commands / name).write_text(
            f'#!/bin/sh\necho "{name} $@" >> {tmp_path}/calls\nexit $(cat {tmp_path}/code)\n', encoding="utf-8"
        )
        (commands / name).chmod(0o755)
    return tmp_path


def verify(home: Path) -> subprocess.CompletedProcess[str]:
    runtime = home / "runtime"
    runtime.mkdir(mode=0o700, exist_ok=True)
    units = sorted((home / ".config" / "systemd" / "user").iterdir())
    return subprocess.run(
        ["systemd-analyze", "--user", "verify", "--man=no", *map(str, units)],
        env={"PATH": os.environ["PATH"], "HOME": str(home), "XDG_RUNTIME_DIR": str(runtime)},
        capture_output=True,
        text=True,
        check=False,
    )


@needs_analyze
def test_units_are_valid(home: Path) -> None:
    """systemd finds nothing to say about the units; it does about a misspelt key and a command that does not exist."""
    found = verify(home)
    assert (found.returncode, found.stderr) == (0, "")
    unit = home / ".config" / "systemd" / "user" / "market-rotation.service"
    unit.write_text(unit.read_text(encoding="utf-8").replace("RestartSec", "RestartSek"), encoding="utf-8")
    assert "RestartSek" in verify(home).stderr
    (home / "market-rotation" / ".venv" / "bin" / "rotation").unlink()
    assert "is not executable" in verify(home).stderr


@needs_analyze
@pytest.mark.parametrize("timer", [path for path in shipped.UNITS if path.suffix == ".timer"], ids=lambda p: p.stem)
def test_timers_start_units_that_exist(timer: Path) -> None:
    """Each timer has a service of its name, and times that systemd understands."""
    assert timer.with_suffix(".service") in shipped.UNITS
    times = [value for name, value in shipped.unit(timer)["Timer"] if name == "OnCalendar"]
    done = subprocess.run(["systemd-analyze", "calendar", *times], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.count("Next elapse")) == (0, len(times))


#: Starts a manager for the home in $HOME, then `$1` with each exit code of `$2`, and prints calls and results. A wait for a restart is shortened.
SCRIPT = """
mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system /run/user/0
export XDG_RUNTIME_DIR=/run/user/0
cd "$HOME" && sed -i 's/^RestartSec=.*/RestartSec=50ms/' .config/systemd/user/*.service
/lib/systemd/systemd --user --log-target=null &
for n in $(seq 100); do systemctl --user is-system-running > /dev/null 2>&1 && break; sleep 0.1; done
for code in $2; do
    echo $code > code; : > calls
    systemctl --user reset-failed "$1" 2> /dev/null
    systemctl --user start "$1" 2> /dev/null
    for n in $(seq 100); do
        state=$(systemctl --user show "$1" --property ActiveState,SubState | sort | tr '\\n' ' ')
        case "$state" in *=failed*|*=inactive*) break ;; esac
        sleep 0.1
    done
    echo "$code $(grep -c . calls) $(systemctl --user show "$1" --property Result --value)"
done
kill %1
"""


@needs_manager
@pytest.mark.parametrize(
    ("unit", "outcomes"),
    [
        # Code, attempts, result: blocked or failed is tried three times, a wrong setting once.
        ("market-rotation.service", ["0 1 success", "1 3 exit-code", "2 1 exit-code"]),
        # Not published is an outcome, not a failure of the unit.
        ("market-rotation-watch.service", ["0 1 success", "3 1 success", "2 1 exit-code"]),
    ],
)
def test_attempts(home: Path, unit: str, outcomes: list[str]) -> None:
    """systemd repeats what may end differently, a limited number of times, and never a wrong setting."""
    codes = " ".join(outcome.split()[0] for outcome in outcomes)
    done = subprocess.run(
        ["unshare", "--mount", "bash", "-c", SCRIPT, "bash", unit, codes],
        env={"PATH": os.environ["PATH"], "HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout.splitlines() == outcomes, done.stderr


def test_services_that_must_stay_up() -> None:
    """The server and the worker are restarted whenever they end, and start at boot with the user's manager."""
    for name in ("prefect", "worker"):
        entries = shipped.unit(shipped.DEPLOY / f"market-rotation-{name}.service")
        assert ("Restart", "always") in entries["Service"]
        assert entries["Install"] == [("WantedBy", "default.target")]
    assert ("StartLimitIntervalSec", "0") in shipped.unit(shipped.DEPLOY / "market-rotation-worker.service")["Unit"]
