"""`rotation universe`: a user's own file is changed and never the shipped one, and each fund is explained in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
import world
from click.testing import CliRunner, Result

from market_rotation.flows.cli.main import main
from market_rotation.tasks.universe import SHIPPED, load_universe

SPY_AND_IWM = world.universe(world.instrument("SPY"), world.instrument("IWM", flow_group="small_cap"))


@pytest.fixture
def shipped() -> bytes:
    return (SHIPPED / "universe.csv").read_bytes()


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A universe of SPY and IWM, in force."""
    path = world.write_universe(tmp_path, SPY_AND_IWM)
    monkeypatch.setenv("ROTATION_UNIVERSE", str(path))
    return path


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["universe", *arguments])


def test_add_shipped_funds_to_ones_own_file(own: Path, shipped: bytes) -> None:
    """AVUV, IWO and VBR take their shipped rows, below what the file had, with one sentence of what will be known of each."""
    before = own.read_text()
    result = call("add", "AVUV", "iwo", "VBR")
    assert result.exit_code == 0, result.output
    assert own.read_text().startswith(before)
    by_symbol = {row.symbol: row for row in load_universe().instruments}
    assert load_universe(own).instruments == (*SPY_AND_IWM.instruments, *(by_symbol[s] for s in ("AVUV", "IWO", "VBR")))
    lines = result.stdout.splitlines()
    assert lines[0].startswith("AVUV: No source: Avantis publishes no share count that a program can fetch")
    assert lines[0].endswith("else its assets count as not covered.")
    assert lines[1:3] == [
        "IWO: Flows of each session, from the daily share counts of iShares.",
        "VBR: Flows of each month, from the month-end share counts of Vanguard.",
    ]
    assert lines[3] == (
        "From the next `rotation run` on group:small_cap counts the added funds; sums of earlier periods keep their members."
    )
    assert len(lines) == 4
    assert (SHIPPED / "universe.csv").read_bytes() == shipped


def test_a_link_stays_one_and_its_file_keeps_its_mode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file that a link names is changed where it is, for example in a repository of settings."""
    (tmp_path / "elsewhere").mkdir()
    real = world.write_universe(tmp_path / "elsewhere", SPY_AND_IWM)
    real.chmod(0o640)
    link = tmp_path / "universe.csv"
    link.symlink_to(real)
    monkeypatch.setenv("ROTATION_UNIVERSE", str(link))
    result = call("add", "AVUV")
    assert result.exit_code == 0, result.output
    assert link.is_symlink()
    assert "AVUV" in real.read_text()
    assert real.stat().st_mode & 0o777 == 0o640
    assert sorted(path.name for path in (tmp_path / "elsewhere").iterdir()) == ["universe.csv"]


def test_without_a_file_of_ones_own_one_is_made(tmp_path: Path, shipped: bytes) -> None:
    """Without ROTATION_UNIVERSE a copy of the shipped universe is changed, and the answer says how to put it in force."""
    made = Path("warehouse") / "universe.csv"
    result = call("remove", "CALF", "AVSC")
    assert result.exit_code == 0, result.output
    assert set(load_universe().symbols) - set(load_universe(made).symbols) == {"CALF", "AVSC"}
    assert f"set ROTATION_UNIVERSE={made}" in result.stdout
    assert (SHIPPED / "universe.csv").read_bytes() == shipped
    again = call("add", "CALF")
    assert again.exit_code == 0, again.output
    assert set(load_universe().symbols) - set(load_universe(made).symbols) == {"AVSC"}


def test_add_a_fund_that_is_not_shipped(own: Path) -> None:
    """A fund of a known issuer needs its identifier and group, and counts in nothing else."""
    result = call(
        "add", "IJH", "--issuer", "ishares", "--issuer-id", "239763", "--flow-group", "mid_cap", "--name", "S&P, 400"
    )
    assert result.exit_code == 0, result.output
    row = load_universe(own).instruments[-1]
    assert (row.symbol, row.name, row.kind, row.flow_group, row.in_breadth) == (
        "IJH",
        "S&P, 400",
        "fund",
        "mid_cap",
        False,
    )
    assert (row.issuer, row.issuer_id, row.benchmark) == ("ishares", "239763", None)
    assert "IJH: Flows of each session" in result.stdout


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--issuer", "vanguard"], "the row lacks issuer_id, for Vanguard the fund's ticker"),
        (["--issuer", "dimensional", "--issuer-id", "abcd"], "No share count: Dimensional publishes none"),
        (["--issuer", "schwab"], "No source: Schwab publishes no share count"),
        (["--issuer", "somebody"], "No source: somebody has no reader"),
    ],
)
def test_one_sentence_says_what_will_be_known(own: Path, flags: list[str], sentence: str) -> None:
    """Each way in which a fund's flows can be known, or not, has its own sentence."""
    result = call("add", "ABCD", "--flow-group", "small_cap", *flags)
    assert result.exit_code == 0, result.output
    assert sentence in result.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["add", "IWM"], "already has IWM; remove it first"),
        (["add", "ABCD"], "ABCD is not in the shipped universe; name its issuer with --issuer (ssga, ishares,"),
        (["add", "AVUV", "IWO", "--issuer-id", "1"], "add one symbol at a time"),
        (["add", "AB CD", "--issuer", "ishares"], "AB CD: symbol: String should match pattern"),
        (["add", "IWB", "--kind", "index"], "The index IWB is counted or measured"),
        (["remove", "IJR"], "has no IJR"),
        (["remove", "SPY"], "the benchmark SPY of IWM is not in the file"),
    ],
)
def test_mistakes_change_nothing(own: Path, arguments: list[str], sentence: str) -> None:
    """A mistake gives one sentence and exit code 2, and the file stays as it was."""
    before = own.read_bytes()
    result = call(*arguments)
    assert result.exit_code == 2
    assert sentence.lower() in result.stderr.lower()
    assert own.read_bytes() == before
    assert [path.name for path in own.parent.glob(".*")] == []


def test_the_shipped_file_is_refused(monkeypatch: pytest.MonkeyPatch, shipped: bytes) -> None:
    """ROTATION_UNIVERSE may name the shipped file, but it is not edited."""
    monkeypatch.setenv("ROTATION_UNIVERSE", str(SHIPPED / "universe.csv"))
    result = call("remove", "CALF")
    assert result.exit_code == 2
    assert "is the shipped universe" in result.stderr
    assert (SHIPPED / "universe.csv").read_bytes() == shipped


def test_a_file_of_the_older_layout_gets_the_newer_columns(own: Path) -> None:
    """A file without flow_group and in_breadth keeps its meaning: IWM, a small-cap fund by peer group, stays in the flow group."""
    older = "symbol,name,kind,size_bucket,sector,peer_group,issuer,issuer_id,index_name,benchmark,inception\n"
    own.write_text(older + "SPY,S&P 500,fund,large,,large_cap,,,,,\nIWM,Russell 2000,fund,small,,small_cap,,,,SPY,\n")
    before = load_universe(own).instruments
    assert call("add", "AVUV").exit_code == 0
    after = load_universe(own).instruments
    assert after[:2] == before
    assert [(row.symbol, row.flow_group, row.in_breadth) for row in after[1:]] == [
        ("IWM", "small_cap", True),
        ("AVUV", "small_cap", False),
    ]


def test_list_and_check_show_what_is_in_force(own: Path) -> None:
    """`list` has a line for each symbol, and `check` one for each fund of a flow group; a mistake in the file is one sentence."""
    assert call("add", "VBR").exit_code == 0
    listed = call("list")
    first_words = [line.split()[0] for line in listed.stdout.splitlines() if not line.startswith(" ")]
    assert first_words[1:4] == ["SPY", "IWM", "VBR"]
    assert f"3 symbols, from {own}." in listed.stdout
    checked = call("check")
    assert checked.exit_code == 0
    assert "group:small_cap sums 2 funds." in checked.stdout
    assert "- VBR: Flows of each month" in checked.stdout
    own.write_text(own.read_text() + "VBR,twice,fund,,,,,false,,,,,\n")
    assert call("check").exit_code == 2
    assert "symbol VBR appears more than once" in call("check").stderr
