"""A mistake in a command, a variable or the settings file gives one sentence that says what to do, and the right exit code."""

from __future__ import annotations

import json
import re

import duckdb
import pytest
import world
from click.testing import CliRunner

from market_rotation.flows.cli.main import main

DAYS = world.days()


@pytest.fixture
def home(tmp_path_factory, tmp_path, monkeypatch, two_symbols):
    """The folder of a small published warehouse."""
    frames = {symbol: world.bars(symbol, [50.0 + i % 7 for i in range(61)]) for symbol in ("SPY", "IWM")}
    world.copy_of_first_run(tmp_path_factory, "mistakes", lambda: world.run(world.FakeSource(frames), DAYS[60]))
    monkeypatch.setenv("ROTATION_HOME", str(tmp_path / "warehouse"))
    return tmp_path / "warehouse"


def call(*arguments: str):
    return CliRunner().invoke(main, arguments)


#: Arguments, exit code, what the one sentence on stderr says.
MISTAKES = [
    (["sql", ""], 2, "takes one statement and found none"),
    (["sql", "  ; "], 2, "takes one statement and found none"),
    (["sql", "select 1; select 2"], 2, "takes one statement and found 2"),
    (["sql", "select nothing from nowhere"], 1, "nowhere"),
    (["report", "--session", "2024-03-30"], 2, "2024-03-30 is not a session of the warehouse, which goes from"),
    (["report", "--session", "1999-01-04"], 2, "1999-01-04 is not a session of the warehouse, which goes from"),
    (["report", "--session", "30.3.2024"], 2, "is not a date; write it as YYYY-MM-DD"),
    (
        ["run", "--session", "2024-03-30"],
        2,
        "2024-03-30 is not a session of the exchange; the one before it is 2024-03-28",
    ),
    (["run", "--session", "2024-02-30"], 2, "is not a date; write it as YYYY-MM-DD"),
    (["run", "--session", "2124-02-03"], 2, "has no final bars yet"),
    (["run", "--source", "yaho"], 2, "no source 'yaho' is installed"),
    (["backfill", "--from", "2024-03-20", "--to", "2024-03-01"], 2, "has no session"),
    (["backfill", "--from", "2024-03-02", "--to", "2024-03-03"], 2, "has no session"),
    (["backfill", "--from", "2024-03-01", "--symbols", "iwm,nope"], 2, "The universe has no symbol NOPE"),
    (["backfill"], 2, "Missing option '--from'"),
    (["rebuild", "--as-of", "yesterday"], 2, "is not a timestamp; write it as"),
    (["quarantine", "accept", "zz", "--because", "x"], 2, "'zz' is not an ID"),
    (["quarantine", "accept", "abcd"], 2, "Missing option '--because'"),
    (["nonsense"], 2, "No such command 'nonsense'"),
]


@pytest.mark.parametrize(("arguments", "code", "said"), MISTAKES, ids=[" ".join(mistake[0]) for mistake in MISTAKES])
def test_mistakes(home, arguments, code, said):
    """The exit code is right, the sentence says what is wrong and what to do, and nothing is a traceback or written to stdout."""
    result = call(*arguments)
    assert result.exit_code == code, result.output
    assert said in result.stderr
    assert "Traceback" not in result.output
    assert not re.search(r"[a-z_]+Error", result.stderr.replace("Binder Error", "").replace("Catalog Error", ""))


@pytest.mark.parametrize("command", ["status", "quarantine list", "alerts list"])
def test_json_stays_json_without_a_warehouse(command, tmp_path, monkeypatch):
    """`--json` prints an object with the error where there is no warehouse, and the sentence on stderr."""
    monkeypatch.setenv("ROTATION_HOME", str(tmp_path / "none"))
    result = call(*command.split(), "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["error"].startswith("There is no warehouse at ")
    assert result.stderr.startswith("Error: There is no warehouse at ")


@pytest.mark.parametrize(
    ("variable", "said"),
    [
        ("ROTATION_SORCE", "ROTATION_SORCE is not a setting and has no effect (did you mean ROTATION_SOURCE?)."),
        ("ROTATION_HOM", "ROTATION_HOM is not a setting and has no effect (did you mean ROTATION_HOME?)."),
        ("ROTATION_ALERT_URL", "(did you mean ROTATION_ALERT_URLS?)."),
        ("ROTATION_QQQQQQ", "ROTATION_QQQQQQ is not a setting and has no effect."),
    ],
)
def test_unknown_variable(home, monkeypatch, variable, said):
    """A variable that is no setting is named in one warning with the nearest that is, never with its value; the command goes on."""
    monkeypatch.setenv(variable, "secret-value")
    result = call("sql", "select 42 as answer")
    assert result.exit_code == 0
    assert result.stderr.count(said) == 1
    assert "secret-value" not in result.output
    assert "42" in result.stdout


def test_misspelt_key(tmp_path, monkeypatch):
    """An unknown key of rotation.toml is an error that names the nearest setting."""
    (tmp_path / "rotation.toml").write_text('sorce = "sample"\n', encoding="utf-8")
    monkeypatch.setenv("ROTATION_HOME", str(tmp_path))
    result = call("status")
    assert result.exit_code == 2
    assert "rotation.toml: sorce is not a setting (did you mean source?); correct it or remove it." in result.stderr


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (duckdb.OutOfMemoryException("Out of Memory Error: failed to allocate data"), "raise ROTATION_MEMORY_LIMIT"),
        (OSError(28, "No space left on device"), "make room"),
        (duckdb.IOException("IO Error: Could not write file: No space left on device"), "make room"),
    ],
)
@pytest.mark.parametrize(
    ("command", "place"),
    [
        (["rebuild"], "market_rotation.tasks.warehouse.rebuild.warehouse.build"),
        (["report", "-o", "pages"], "market_rotation.tasks.report.daily.write"),
    ],
)
def test_a_machine_that_has_not_enough(home, monkeypatch, command, place, error, remedy):
    """Too little memory or disk is no mistake of the program: one sentence with what was short and the remedy, whatever the command."""

    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr(place, fail)
    result = call(*command)
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert remedy in result.stderr
    assert "Traceback" not in result.output
