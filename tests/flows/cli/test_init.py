"""`rotation init` writes a home that works as it is, asks for what is not given, and never overwrites."""

from __future__ import annotations

import errno
import os
import re
import stat
import tomllib
from pathlib import Path

import pytest
import webhook
from click.testing import CliRunner, Result

from market_rotation.flows.cli.main import main
from market_rotation.tasks.operations import new_home
from market_rotation.tasks.settings import Settings, load_settings
from market_rotation.tasks.universe import SHIPPED, load_universe


def init(*options: str, answers: str | None = None) -> Result:
    return CliRunner().invoke(main, ["init", *options], input=answers)


def test_flags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With --yes nothing is asked: the three files are there, they are what is in force, and the next commands are shown."""
    home = tmp_path / "a home"
    done = init("--home", str(home), "--source", "sample", "--yes")
    assert done.exit_code == 0, done.output
    assert {path.name for path in home.iterdir()} == set(new_home.FILES)
    assert stat.S_IMODE((home / "rotation.toml").stat().st_mode) == 0o600
    assert done.stdout.splitlines()[4:9] == [
        "Next:",
        f"  export ROTATION_HOME='{home}'",
        "  rotation doctor",
        "  rotation run",
        "  rotation status",
    ]
    monkeypatch.setenv("ROTATION_HOME", str(home))
    settings = load_settings()
    assert (settings.source, settings.universe) == ("sample", home / "universe.csv")
    assert load_universe(settings.universe) == load_universe()
    for name in ("universe.csv", "pairs.csv"):
        assert (home / name).read_bytes() == (SHIPPED / name).read_bytes()


def test_questions(tmp_path: Path) -> None:
    """What is not given is asked for; a wrong answer is explained and asked again; each channel gets a test message, and no address is shown."""
    home, files = tmp_path / "home", tmp_path / "files"
    files.mkdir()
    with webhook.serving() as hook:
        answers = [str(home), "yaho", "files", "/nowhere", str(files), "foo://secret", hook.url()]
        done = init(answers="\n".join(answers) + "\n")
        assert done.exit_code == 0, done.output
        assert [message["title"] for message in hook.messages] == ["market-rotation: test"]
    for said in (
        "no source 'yaho' is installed",
        "/nowhere is not a folder",
        "1:unknown did not accept",
        "test message was sent",
    ):
        assert done.stderr.count(said) == 1, said
    assert "secret" not in done.output
    settings = tomllib.loads((home / "rotation.toml").read_text(encoding="utf-8"))
    assert settings == {
        "source": "files",
        "files": str(files),
        "alert_urls": answers[-1],
        "universe": str(home / "universe.csv"),
    }


def test_every_setting_is_explained() -> None:
    """Without its comment signs, the file has every setting of a home with its default, and is valid."""
    text = new_home.toml({})
    shown = tomllib.loads("\n".join(re.findall(r"^# (\w+ = .*)$", text, re.M)))
    assert shown.keys() == Settings.model_fields.keys() - set(new_home.LEFT_OUT)
    written = {name: value for name, value in shown.items() if value != "…"}
    read = Settings(**written)
    assert {name: getattr(read, name) for name in written} == {n: Settings.model_fields[n].default for n in written}
    assert len(written) > 15
    assert tomllib.loads(text) == {}
    assert max(map(len, text.splitlines())) <= 150


@pytest.mark.parametrize("name", new_home.FILES)
def test_nothing_is_overwritten(tmp_path: Path, name: str) -> None:
    """A home that has one of the files is refused in one sentence, and stays as it is."""
    (tmp_path / name).write_text("mine", encoding="utf-8")
    done = init("--home", str(tmp_path), "--yes")
    assert done.exit_code == 2
    assert f"already has {name}, and nothing is overwritten" in done.stderr
    assert [(path.name, path.read_text(encoding="utf-8")) for path in tmp_path.iterdir()] == [(name, "mine")]


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--source", "yaho", "--yes"], 2, "no source 'yaho' is installed; the installed sources are"),
        (["--source", "files", "--yes"], 2, "give it with --files"),
        (["--source", "files", "--files", "nowhere", "--yes"], 2, "is not a folder; give that of prices.csv"),
        (["--files", ".", "--yes"], 2, "--files is for the source 'files'"),
        (["--source", "sample,yahoo", "--yes"], 2, "simulated and real prices are never mixed"),
        (["--home", "a?b", "--yes"], 2, "choose a path without it"),
        (["--home", "file", "--yes"], 2, "is not a folder"),
        (["--alert-urls", "foo://secret", "--yes"], 1, "The channel 1:unknown did not accept a test message"),
        ([], 2, "give --yes to take the defaults"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_mistakes(tmp_path: Path, options: list[str], code: int, said: str) -> None:
    """One sentence says what to do, and nothing is written."""
    Path("file").touch()
    done = init(*options)
    assert done.exit_code == code, done.output
    assert said in done.stderr
    assert "secret" not in done.output
    assert [path.name for path in Path().iterdir()] == ["file"]


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a later file cannot be written, those before it are removed again, and the sentence names what failed."""
    real = os.open

    def full(path: Path, *rest: int) -> int:
        if Path(path).name == "rotation.toml":
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return real(path, *rest)

    monkeypatch.setattr(new_home.os, "open", full)
    done = init("--home", str(tmp_path / "home"), "--yes")
    assert done.exit_code == 1
    assert "rotation.toml cannot be written (No space left on device); nothing is left there" in done.stderr
    assert list((tmp_path / "home").iterdir()) == []


def test_the_environment_wins_and_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that would hide what was just written is named."""
    monkeypatch.setenv("ROTATION_SOURCE", "sample")
    done = init("--home", str(tmp_path / "home"), "--source", "yahoo", "--yes")
    assert "ROTATION_SOURCE is set in the environment and wins over rotation.toml" in done.stdout


def test_a_key_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A source that needs a key says so before the first run."""
    monkeypatch.delenv("TIINGO_API_KEY", raising=False)
    done = init("--home", str(tmp_path / "home"), "--source", "tiingo,issuers", "--yes")
    assert done.exit_code == 0
    assert "Before the first run: The source Tiingo needs a key; set TIINGO_API_KEY" in done.stdout
