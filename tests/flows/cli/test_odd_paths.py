"""A path that cannot be what it should be: one sentence that names it, exit code 1 or 2, and no traceback."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest
import world
from click.testing import CliRunner

from market_rotation.flows.cli.main import main

Prepare = Callable[[Path, pytest.MonkeyPatch], object]
RUN = ("run", "--session", "2024-02-02")
READING = (("status",), ("sql", "select 1"), ("report",), ("rebuild",))
#: A name that no file system takes, and a path that none takes although each of its names is short.
LONG_NAME, LONG_PATH = "x" * 300, "/".join(["x" * 200] * 25)
NOBODY = 65534


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that every user of the machine may enter, with prices of two funds, a universe, and no warehouse yet."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o777)
    (folder / "files").mkdir()
    (folder / "universe").mkdir()
    members = world.universe(world.instrument("SPY"), world.instrument("IWM"), pairs=[("IWM", "SPY")])
    rows = pd.concat(world.bars(s, [100.0 + (i * 7) % 11 for i in range(23)]) for s in ("SPY", "IWM"))
    rows = rows.assign(open=rows["close"], high=rows["close"], low=rows["close"], volume=1000)
    names = ["symbol", "session", "open", "high", "low", "close", "volume", "dividend", "split_ratio"]
    rows[names].to_csv(folder / "files" / "prices.csv", index=False)
    monkeypatch.setenv("ROTATION_HOME", str(folder / "home"))
    monkeypatch.setenv("ROTATION_SOURCE", "files")
    monkeypatch.setenv("ROTATION_FILES", str(folder / "files"))
    monkeypatch.setenv("ROTATION_UNIVERSE", str(world.write_universe(folder / "universe", members)))
    monkeypatch.setenv("ROTATION_HISTORY_START", "2024-01-02")
    monkeypatch.setenv("ROTATION_REPORT", "false")
    yield folder
    shutil.rmtree(folder)


def setting(name: str, *parts: str) -> Prepare:
    """The setting leads to a path below the test's folder."""
    return lambda folder, patch: patch.setenv(name, str(folder.joinpath(*parts)))


def plain_setting(name: str, value: str) -> Prepare:
    return lambda folder, patch: patch.setenv(name, value)


def _cleared(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    return path


def a_folder(*parts: str) -> Prepare:
    return lambda folder, patch: _cleared(folder.joinpath(*parts)).mkdir()


def a_link_to_itself(*parts: str) -> Prepare:
    return lambda folder, patch: _cleared(folder.joinpath(*parts)).symlink_to(folder.joinpath(*parts))


def a_file(*parts: str) -> Prepare:
    return lambda folder, patch: _cleared(folder.joinpath(*parts)).write_text("x")


#: Name of the case: what is odd, the exit code of `run`, what its sentence says.
ODD: dict[str, tuple[Prepare, int, str]] = {
    "home with ?": (setting("ROTATION_HOME", "a?b"), 2, "ROTATION_HOME: DuckDB reads the text after a '?'"),
    "warehouse with ?": (setting("ROTATION_WAREHOUSE", "a?b.duckdb"), 2, "DuckDB reads the text after a '?'"),
    "home like a scheme": (plain_setting("ROTATION_HOME", "md:home"), 2, "DuckDB reads the text before a ':'"),
    "home of nobody": (
        plain_setting("ROTATION_HOME", "~no-such-user/home"),
        2,
        "cannot be read (Could not determine home directory)",
    ),
    "home too long": (setting("ROTATION_HOME", LONG_NAME), 2, "cannot be read (File name too long)"),
    "home path too long": (setting("ROTATION_HOME", LONG_PATH), 2, "cannot be read (File name too long)"),
    "warehouse too long": (setting("ROTATION_WAREHOUSE", LONG_NAME), 2, "the path cannot be used (File name too long)"),
    "universe too long": (setting("ROTATION_UNIVERSE", LONG_NAME), 2, "ROTATION_UNIVERSE: the path cannot be used"),
    "files too long": (setting("ROTATION_FILES", LONG_NAME), 2, "ROTATION_FILES: the path cannot be used"),
    "home a file": (a_file("home"), 1, "cannot be created as a folder (File exists)"),
    "files a file": (setting("ROTATION_FILES", "files", "prices.csv"), 2, "is not a folder"),
    "build a folder": (
        a_folder("home", "build.duckdb"),
        1,
        "build.duckdb cannot be used as a database file (it is a folder)",
    ),
    "build a loop": (
        a_link_to_itself("home", "build.duckdb"),
        1,
        "cannot be used as a database file (it is not a file",
    ),
    "published a folder": (
        a_folder("home", "rotation.duckdb"),
        1,
        "cannot be used as a database file (it is a folder)",
    ),
    "published a loop": (a_link_to_itself("home", "rotation.duckdb"), 2, "Too many levels of symbolic links"),
    "toml a folder": (a_folder("home", "rotation.toml"), 2, "rotation.toml cannot be read (it is a folder)"),
    "toml a loop": (a_link_to_itself("home", "rotation.toml"), 2, "rotation.toml cannot be read (it is not a file"),
    "universe a folder": (a_folder("universe", "universe.csv"), 2, "universe.csv: cannot be read (Is a directory)"),
    "pairs a folder": (a_folder("universe", "pairs.csv"), 2, "pairs.csv: cannot be read (Is a directory)"),
    "prices a folder": (a_folder("files", "prices.csv"), 1, "prices.csv cannot be read (it is a folder)"),
    "prices a loop": (a_link_to_itself("files", "prices.csv"), 1, "prices.csv cannot be read (it is not a file"),
}


def call(*arguments: str, code: int | tuple[int, ...] = 0) -> str:
    """What a command prints on stderr; it ends with this code and without a traceback, and an error is one sentence of ours."""
    done = CliRunner().invoke(main, arguments)
    assert done.exception is None or isinstance(done.exception, SystemExit), repr(done.exception)
    assert done.exit_code in ((code,) if isinstance(code, int) else code), done.output
    assert "Traceback" not in done.output
    assert "Errno" not in done.stderr
    return done.stderr


@pytest.mark.parametrize("name", ODD)
def test_an_odd_path(name: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run says what is wrong with which path; the other commands end in a sentence too."""
    prepare, code, sentence = ODD[name]
    prepare(place, monkeypatch)
    said = call(*RUN, code=code)
    assert said.count(sentence) == 1, said
    for command in READING:
        assert "Error: " in call(*command, code=(1, 2))
    call("doctor", code=(0, 1, 2))


@pytest.mark.long_after(0)
def test_paths_that_are_only_unusual(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Quotes, blanks, brackets, a percent sign and a line break are part of a name like any other."""
    setting("ROTATION_HOME", 'it\'s "a" [home] 100%20#1\n*')(place, monkeypatch)
    call(*RUN)
    call("sql", "select 1")
    call("rebuild")


@pytest.mark.long_after(0)
def test_a_file_in_place_of_the_reports(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run publishes, an alert says why there is no report, and `rotation report` says it too."""
    monkeypatch.setenv("ROTATION_REPORT", "true")
    a_file("home", "reports")(place, monkeypatch)
    call(*RUN)
    assert "could not be written" in CliRunner().invoke(main, ["alerts", "list"]).output.replace("\n", " ")
    assert "The report cannot be written to" in call("report", code=2)


@pytest.mark.long_after(0)
@pytest.mark.parametrize("option", [("rebuild", "--to"), ("sql", "select 1", "-o"), ("report", "-o")])
@pytest.mark.parametrize("name", [LONG_NAME, LONG_PATH])
def test_an_output_too_long(option: tuple[str, ...], name: str, place: Path) -> None:
    """A path given as an option is checked like one of a setting."""
    call(*RUN)
    assert "File name too long" in call(*option, str(place / name), code=(1, 2))


@contextmanager
def as_nobody() -> Iterator[None]:
    """As a user without rights: the superuser reads everything, so the test gives its rights up for a while."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.long_after(1)
@pytest.mark.parametrize(
    ("parts", "code", "sentence"),
    [
        (("home", "build.duckdb"), 1, "build.duckdb cannot be opened"),
        (("home", "rotation.toml"), 2, "rotation.toml cannot be read (Permission denied)"),
        (("universe", "universe.csv"), 2, "universe.csv: cannot be read (Permission denied)"),
        (("universe", "pairs.csv"), 2, "pairs.csv: cannot be read (Permission denied)"),
        (("files", "prices.csv"), 1, "prices.csv cannot be read"),
    ],
)
def test_an_unreadable_file(parts: tuple[str, ...], code: int, sentence: str, place: Path) -> None:
    """It is named with the system's reason."""
    call(*RUN)
    for made in (place / "home", *(place / "home").rglob("*")):
        made.chmod(0o777)
    path = place.joinpath(*parts)
    path.touch()
    path.chmod(0)
    with as_nobody():
        said = call(*RUN, code=code)
    assert said.count(sentence) == 1, said


def test_an_unreadable_folder(place: Path) -> None:
    """A home that may not be entered is not taken for one that is empty."""
    call(*RUN)
    (place / "home").chmod(0)
    with as_nobody():
        assert "rotation.toml cannot be read (Permission denied)" in call(*RUN, code=2)
        assert "rotation.toml cannot be read (Permission denied)" in call("status", code=2)
    (place / "home").chmod(0o700)
