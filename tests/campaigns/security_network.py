"""No call home: commands in a network of their own, which has loopback and no way out; the kernel counts every attempt to leave."""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path

import world

from campaigns.part import Part

CLONE_NEWNET, CLONE_NEWUSER = 0x40000000, 0x10000000
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1

#: Says where a connection was to go, by Python's own audit events; attempts of libraries in C are counted by the kernel alone.
HOOK = """
import os, sys
def _seen(event, arguments):
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        target = str(arguments[1][0])
    elif event == "socket.getaddrinfo":
        target = str(arguments[0])
    else:
        return
    if target not in ("None", "localhost", "::1", "") and not target.startswith("127."):
        with open(os.environ["ATTEMPTS"], "a") as file:
            file.write(f"{target} from {sys.argv[0]}\\n")
sys.addaudithook(_seen)
"""

FLOW = "from datetime import date; from market_rotation.flows.daily import daily; daily(session=date(2025, 10, 2), return_state=True)"
SERVE = """
import os, signal, subprocess, sys, urllib.request
served = subprocess.Popen([sys.executable, "-m", "market_rotation", "serve", "--port", "0"], stdout=subprocess.PIPE, text=True)
address = served.stdout.readline().split(" at ")[1].split()[0]
for page in ("session", "pair", "funds", "rotation", "flows", "sql?q=from+core.instruments"):
    assert urllib.request.urlopen(address + page).status == 200
served.send_signal(signal.SIGINT)
assert served.wait(60) == 0
"""
PYTHON = [sys.executable, "-c"]
ROTATION = [sys.executable, "-m", "market_rotation"]
COMMANDS = {
    "a run": [*ROTATION, "run", "--session", "2025-10-01"],
    "a report": [*ROTATION, "report", "--session", "2025-10-01"],
    "serve, all pages": [*PYTHON, SERVE],
    "sql": [*ROTATION, "sql", "from sql_auto_complete('sel')"],
    "doctor": [*ROTATION, "doctor"],
    "status": [*ROTATION, "status"],
    "a flow run with Prefect's own server": [*PYTHON, FLOW],
}


def attempts(
    command: list[str], environment: dict[str, str], folder: Path, timeout_s: float = 300
) -> tuple[int, int, list[str], str]:
    """Runs `command` without a way out. Returns its exit code, the attempts that the kernel counted and those that Python saw, and what it printed."""
    log = folder / "attempts.log"
    log.unlink(missing_ok=True)
    counted = folder / "counted"
    script = (
        "import subprocess, sys; from campaigns.security_network import enter, counted; enter(); "
        "code = subprocess.run(sys.argv[2:]).returncode; open(sys.argv[1], 'w').write(str(counted())); sys.exit(code & 255)"
    )
    inside = {
        **environment,
        "ATTEMPTS": str(log),
        "PYTHONPATH": f"{folder / 'hook'}:{world.REPOSITORY}:{world.REPOSITORY / 'tests'}",
    }
    done = subprocess.run(
        [sys.executable, "-c", script, str(counted), *command],
        env=inside,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=timeout_s,
    )
    seen = log.read_text().splitlines() if log.exists() else []
    return done.returncode, int(counted.read_text()), seen, done.stdout + done.stderr


def enter() -> None:
    """Puts this process into a network of its own. Raises `OSError` where the system does not allow that."""
    libc = ctypes.CDLL(None, use_errno=True)
    flags = CLONE_NEWNET if os.geteuid() == 0 else CLONE_NEWNET | CLONE_NEWUSER
    if libc.unshare(flags):
        raise OSError(ctypes.get_errno(), "a network namespace cannot be made")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device:
        _, state = struct.unpack("16sH14x", fcntl.ioctl(device, SIOCGIFFLAGS, struct.pack("16sH14x", b"lo", 0)))
        fcntl.ioctl(device, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", state | IFF_UP))


def counted() -> int:
    """Packets and connections of this network that had no way out since it was made, name look-ups included."""
    names, values = (
        line.split() for line in Path("/proc/self/net/snmp").read_text().splitlines() if line.startswith("Ip:")
    )
    six = dict(line.split() for line in Path("/proc/self/net/snmp6").read_text().splitlines())
    return int(values[names.index("OutNoRoutes")]) + int(six.get("Ip6OutNoRoutes", 0))


def no_call_home(folder: Path, names: tuple[str, ...] = tuple(COMMANDS)) -> Part:
    """Each command on the simulated market: no attempt to reach anything but loopback."""
    part = Part("no call home: attempts to leave this machine")
    hook = folder / "hook"
    hook.mkdir(parents=True)
    (hook / "sitecustomize.py").write_text(HOOK)
    members = world.universe(
        world.instrument("SPY", size_bucket="large"), world.instrument("IWM"), pairs=[("IWM", "SPY")]
    )
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.upper().endswith("_PROXY") and not name.startswith(("ROTATION_", "PREFECT_"))
    }
    kept.pop("DO_NOT_TRACK", None)
    environment = kept | {
        "HOME": str(folder), "PREFECT_HOME": str(folder / "prefect"), "XDG_STATE_HOME": str(folder / "state"), "ROTATION_HOME": str(folder / "home"),
        "ROTATION_SOURCE": "sample", "ROTATION_HISTORY_START": "2024-07-01", "ROTATION_UNIVERSE": str(world.write_universe(folder, members)),
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    }  # fmt: skip
    # The guard itself must notice an attempt, by Python and by a library in C.
    for code in (
        "import socket; socket.create_connection(('192.0.2.1', 80), 1)",
        "from curl_cffi import requests; requests.get('http://192.0.2.1/', timeout=2)",
    ):
        part.check(attempts([*PYTHON, code], environment, folder)[1] > 0, f"the guard did not notice: {code}")
    for name in names:
        ended, left, seen, said = attempts(COMMANDS[name], environment, folder)
        expected = (0, 1, 3) if name in ("sql", "doctor", "status") else (0,)
        part.check(ended in expected, f"{name} ended with {ended}: {said[-400:]}")
        part.check(
            not left and not seen, f"{name}: {left} attempts, {', '.join(sorted(set(seen))) or 'by a library in C'}"
        )
    part.said = f"{', '.join(names)}, each in a network namespace without a way out"
    return part
