"""What users install: the wheel, the source distribution, and the commands run from the wheel with no checkout in sight."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import date
from email import message_from_bytes
from importlib.metadata import EntryPoint
from pathlib import Path

import distribution
import pytest
import world
from processes import of_home, until

from market_rotation.tasks import warehouse
from market_rotation.tasks.universe import Universe, load_universe

FOLDERS = ("expectations", "flows", "sql", "tasks")
SESSION = date(2026, 1, 16)


def shipped() -> dict[str, bytes]:
    """What the wheel must hold below `market_rotation/`, by name, as it lies in this repository."""
    root = world.REPOSITORY
    paths = [path for folder in FOLDERS for path in (root / folder).rglob("*") if path.is_file()]
    named = {str(path.relative_to(root)): path for path in paths if "__pycache__" not in path.parts}
    own = {path.name: path for path in (root / "market_rotation").iterdir() if path.is_file()}
    return {f"market_rotation/{name}": path.read_bytes() for name, path in (named | own).items()}


def test_the_wheel_holds_every_file_under_one_name(wheel: Path) -> None:
    """All modules, SQL files, expectations, page templates, prefect.yaml and py.typed, below `market_rotation` and nowhere else."""
    found = distribution.content(wheel)
    assert {name.split("/")[0] for name in found if ".dist-info/" not in name} == {"market_rotation"}
    assert {name: held for name, held in found.items() if ".dist-info/" not in name} == shipped()
    assert {"market_rotation/prefect.yaml", "market_rotation/py.typed"} <= found.keys()


def test_the_source_distribution_builds_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    """A wheel made from the source distribution is the wheel made from the repository, file by file."""
    sdist = distribution.build("sdist", tmp_path / "sdist")
    rebuilt = distribution.build("wheel", tmp_path / "wheel", distribution.unpack(sdist, tmp_path / "unpacked"))
    assert distribution.content(rebuilt) == distribution.content(wheel)


def test_the_metadata(wheel: Path) -> None:
    """Licence, Python versions, typing, the command; one extra, for DuckLake, none for developers, and no host that packages come from."""
    (name,) = (name for name in distribution.content(wheel) if name.endswith(".dist-info/METADATA"))
    held = distribution.content(wheel)
    found = message_from_bytes(held[name])
    assert (found["Name"], found["Requires-Python"], found["License-Expression"]) == (
        "market-rotation",
        ">=3.11",
        "MIT",
    )
    classifiers = found.get_all("Classifier") or []
    assert "Typing :: Typed" in classifiers
    minors = [
        match[1] for c in classifiers if (match := re.fullmatch(r"Programming Language :: Python :: 3\.(\d+)", c))
    ]
    assert minors == ["11", "12", "13"]
    assert found.get_all("Provides-Extra") == ["lake"]
    assert not re.search(rb"pypi|simple/|index-url", held[name].split(b"\n\n")[0])
    commands = held[name.replace("METADATA", "entry_points.txt")].decode()
    (line,) = re.findall(r"\[console_scripts\]\n(rotation = .*)", commands)
    command, target = line.split(" = ")
    assert callable(EntryPoint(command, target, "console_scripts").load())


@pytest.fixture
def installed(wheel: Path, tmp_path: Path) -> dict[str, str]:
    """An environment in which the wheel is installed and the repository is not on the path; a simulated market of three funds."""
    target = tmp_path / "installed"
    distribution.install(wheel, target)
    universe = load_universe()
    few = Universe(
        instruments=tuple(i for i in universe.instruments if i.symbol in ("SPY", "IWM", "IWB")),
        pairs=tuple(p for p in universe.pairs if (p.small_symbol, p.large_symbol) == ("IWM", "IWB")),
    )
    mine = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "ROTATION_"))}
    return mine | {
        "PYTHONPATH": str(target),
        "PATH": f"{target / 'bin'}:{os.environ['PATH']}",
        "PREFECT_HOME": str(tmp_path / "prefect"),
        "ROTATION_HOME": str(tmp_path / "home"),
        "ROTATION_SOURCE": "sample",
        "ROTATION_UNIVERSE": str(world.write_universe(tmp_path, few)),
        "ROTATION_HISTORY_START": "2025-11-14",
        "ROTATION_EARNINGS_CONSTITUENTS": "0",
    }


def call(environment: dict[str, str], folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """`command` in an empty folder, which must end with 0."""
    (folder / "elsewhere").mkdir(exist_ok=True)
    done = subprocess.run(
        command, cwd=folder / "elsewhere", env=environment, text=True, capture_output=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def outside(environment: dict[str, str], folder: Path, *command: str) -> str:
    """What `command` prints in an empty folder."""
    return call(environment, folder, *command).stdout


def test_the_job_runs_from_the_wheel(installed: dict[str, str], tmp_path: Path) -> None:
    """`rotation run` outside a checkout publishes a session, with its report, from the wheel alone, and leaves no process."""
    where = outside(installed, tmp_path, sys.executable, "-c", "import market_rotation as m; print(m.__file__)")
    assert Path(where.strip()).is_relative_to(tmp_path / "installed")
    done = call(installed, tmp_path, "rotation", "run", "--session", str(SESSION))
    assert "published" in done.stdout
    # Without a server it needs none, prints nothing but its steps, and leaves no process.
    assert "PREFECT_API_URL" not in installed
    noise = re.compile(r"Traceback|Error|WARN|ERROR|prefect\.|Cancelled|File \"")
    assert [line for line in done.stderr.splitlines() if noise.search(line)] == []
    assert of_home(Path(installed["PREFECT_HOME"])) == []
    home = tmp_path / "home"
    with warehouse.reading(home / "rotation.duckdb") as con:
        assert con.execute("select max(session) from signals.relative_strength").fetchone() == (SESSION,)
    assert (home / "reports" / str(SESSION) / "index.html").is_file()
    assert "IWM/IWB" in outside(installed, tmp_path, "rotation", "sql", "from core.pairs")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_no_other_name_is_claimed(installed: dict[str, str], tmp_path: Path) -> None:
    """A user's own package `tasks`, `flows` or `sql` stays what it is."""
    names = "('tasks', 'flows', 'sql', 'expectations')"
    code = f"import importlib.util as u; print([n for n in {names} if u.find_spec(n)])"
    # Without the folder of this environment's own packages, where an editable installation puts the whole repository on the path.
    assert outside(installed, tmp_path, sys.executable, "-S", "-c", code).strip() == "[]"


def test_a_process_left_behind_would_be_found(tmp_path: Path) -> None:
    """The test above sees a process that lives in that Prefect, so its empty list means something."""
    with subprocess.Popen(["sleep", "60"], env={**os.environ, "PREFECT_HOME": str(tmp_path / "prefect")}) as process:
        try:
            until(lambda: of_home(tmp_path / "prefect") == ["sleep 60 "], "the process is seen", 10)
        finally:
            process.kill()
