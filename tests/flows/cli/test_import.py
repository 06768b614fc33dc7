"""`rotation import` shows what it understood, asks, and writes nothing that was not agreed to."""

from __future__ import annotations

from pathlib import Path

import pytest
import world
from click.testing import CliRunner, Result

from market_rotation.flows.cli.main import main
from market_rotation.tasks.sources.files import FilesSource

TIINGO = (
    "date,close,high,low,open,volume,adjClose,adjHigh,adjLow,adjOpen,adjVolume,divCash,splitFactor\n"
    "2024-01-02,100,101,99,100,10,49,49,49,49,20,0.0,1.0\n"
    "2024-01-03,50,51,49,50,20,50,50,50,50,20,0.5,2.0\n"
)
STOOQ = "Date,Open,High,Low,Close,Volume\n2024-01-02,10,11,9,10,1000\n2024-01-03,10,11,9,10.2,1000\n"


@pytest.fixture
def theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of a Tiingo file, a file of Stooq and a workbook; a universe of one of their symbols and one more."""
    members = world.universe(*map(world.instrument, ("SPY", "IWM")), pairs=[("IWM", "SPY")])
    monkeypatch.setenv("ROTATION_UNIVERSE", str(world.write_universe(tmp_path, members)))
    folder = tmp_path / "theirs"
    folder.mkdir()
    (folder / "SPY.csv").write_text(TIINGO, encoding="utf-8")
    (folder / "iwc_us_d.csv").write_text(STOOQ, encoding="utf-8")
    (folder / "notes.xlsx").write_bytes(b"PK")
    return folder


def call(*arguments: object, answers: str | None = None) -> Result:
    return CliRunner().invoke(main, ["import", *map(str, arguments)], input=answers)


TAKE = ("--take", "closes=split-adjusted", "--take", "dividends=none")


def test_it_shows_what_it_understood(theirs: Path) -> None:
    """Each file's dataset, rows, columns, days, units; what is not used or not read; what the universe lacks; what to run next."""
    done = call(theirs, *TAKE, "--yes")
    assert done.exit_code == 0, done.output
    target = Path("warehouse/files").absolute()
    assert done.stdout.splitlines() == [
        "SPY.csv: prices (Tiingo)",
        "  2 rows of 1 symbol (SPY), 2024-01-02 to 2024-01-03",
        "  columns: session = date, close = close, high = high, low = low, open = open, volume = volume, vendor_adj_close = adjClose, "
        "dividend = divCash, split_ratio = splitFactor",
        "  not used: adjHigh, adjLow, adjOpen, adjVolume",
        "  days as written, which are New York dates",
        "  prices in USD per share, adjusted for splits and not for dividends (the file has prices as traded; 1 split applied to the days before)",
        "  dividends from the file",
        "iwc_us_d.csv: prices (own columns)",
        "  2 rows of 1 symbol (IWC), 2024-01-02 to 2024-01-03",
        "  columns: session = Date, open = Open, high = High, low = Low, close = Close, volume = Volume",
        "  days as written, which are New York dates",
        "  prices in USD per share, adjusted for splits and not for dividends",
        "  dividends none, as you said",
        "  splits not in the file: taken as none; fund flows over a split need them",
        "Not read: notes.xlsx (save tables as CSV).",
        "Without prices, though in the universe: IWM.",
        "Not in the universe, so not used: IWC.",
        f"written  {target / 'prices.csv'}",
        "Next:",
        f"  export ROTATION_SOURCE=files ROTATION_FILES={target}",
        "  rotation doctor",
        "  rotation run",
    ]
    bars = FilesSource(target).prices("SPY", world.days()[0], world.days()[1])
    assert bars["close"].tolist() == [50, 50]
    assert bars["volume"].tolist() == [20, 20]


def test_questions_are_asked_once(theirs: Path) -> None:
    """Each question is asked with its answers, then whether to write; a no writes nothing."""
    done = call(theirs, answers="split-adjusted\nnone\nn\n")
    assert done.exit_code == 1
    assert done.stderr.count("what are the closes adjusted for?") == 1
    assert "  as-traded: as traded on the day, not adjusted" in done.stderr
    assert done.stderr.count("Were there none?") == 1
    assert "Nothing was written." in done.stderr
    assert not Path("warehouse/files").exists()
    assert call(theirs, answers="split-adjusted\nnone\ny\n").exit_code == 0
    assert Path("warehouse/files/prices.csv").is_file()


def test_replacing(theirs: Path) -> None:
    """A second import is refused unless --replace is given; then it takes the place of the first, and of Parquet, which would be read first."""
    assert call(theirs, *TAKE, "--yes").exit_code == 0
    target = Path("warehouse/files")
    before = (target / "prices.csv").read_bytes()
    refused = call(theirs, *TAKE, "--yes")
    assert refused.exit_code == 2
    assert "prices.csv exists; give --replace to write it again, or another folder with --to." in refused.stderr
    (target / "prices.parquet").write_bytes(b"old")
    assert call(theirs, *TAKE, "--yes", "--replace").exit_code == 0
    assert [path.name for path in target.iterdir()] == ["prices.csv"]
    assert (target / "prices.csv").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere", "--yes"], "is not a folder; give the folder of your CSV files"),
        (["theirs", "--yes"], "what are the closes adjusted for?"),
        (
            ["theirs", "--take", "closes=maybe"],
            "--take closes=maybe is not an answer; the answers are closes=split-adjusted|",
        ),
        (["theirs", "--take", "price"], "--take price is not an answer"),
        (["theirs", *TAKE, "--to", "theirs", "--yes"], "is the folder that is imported; give another one with --to"),
        (["theirs", *TAKE[:2], "--take", "dividends=stop", "--yes"], "dividends are missing; add a column dividend"),
        (["theirs", "--take", "closes=total-return", "--yes"], "download them without this adjustment"),
        (["theirs", *TAKE], "nobody answered; give --yes"),
        (["theirs"], "Answer it with --take closes=split-adjusted"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_mistakes(theirs: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str) -> None:
    """Exit code 2, one sentence that says what to do, and nothing written."""
    monkeypatch.chdir(theirs.parent)
    before = sorted(theirs.iterdir())
    done = call(*arguments)
    assert done.exit_code == 2, done.output
    assert said in done.stderr
    assert "Traceback" not in done.output
    assert sorted(theirs.iterdir()) == before
    assert not Path("warehouse").exists()


def test_only_fund_records_without_prices(theirs: Path) -> None:
    """Files without prices are refused where the target has none either, and added where it has."""
    records = theirs.parent / "records"
    records.mkdir()
    (records / "nav.csv").write_text(
        "symbol,session,nav,shares_outstanding,distribution\nSPY,2024-01-02,100,5,\n", encoding="utf-8"
    )
    refused = call(records, "--yes")
    assert refused.exit_code == 2
    assert "No file has prices, and" in refused.stderr
    assert call(theirs, *TAKE, "--yes").exit_code == 0
    assert call(records, "--yes").exit_code == 0
    assert {path.name for path in Path("warehouse/files").iterdir()} == {"prices.csv", "fund_nav.csv"}
