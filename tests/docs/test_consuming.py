"""docs/consuming.md shows what really happens: its Python, commands and SQL are run, and what they print is compared."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest
import world
from click.testing import CliRunner
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from market_rotation.flows.announce import RESOURCE
from market_rotation.flows.cli.main import main
from market_rotation.tasks import warehouse
from market_rotation.tasks.operations import metrics, status
from market_rotation.tasks.settings import load_settings

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "consuming.md"
WORDS = PAGE.read_text(encoding="utf-8")
SESSION = date(2026, 1, 16)
#: Each Python block, and its output as shown on the page.
BLOCKS: list[tuple[str, str]] = re.findall(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", WORDS, re.M | re.S)
COMMANDS: list[str] = re.findall(r"^\$ (.+)$", WORDS, re.MULTILINE)


@pytest.fixture(autouse=True)
def _beside_a_warehouse(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Each test starts in a folder of its own with the page's `warehouse/`, as the page's readers do."""
    (tmp_path / "warehouse").mkdir()
    (tmp_path / "warehouse" / "rotation.duckdb").symlink_to(world.sample_of_january(tmp_path_factory))


def ran(block: str) -> dict[str, Any]:
    """What is defined after a Python block of the page has run."""
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(block, str(PAGE), "exec"), names)  # noqa: S102 - the page's own code is what is tested
    return names


def block_with(words: str) -> str:
    (block,) = [block for block, _ in BLOCKS if words in block]
    return block


def asked(query: str) -> list[tuple[Any, ...]]:
    with warehouse.reading(Path("warehouse/rotation.duckdb")) as con:
        return con.sql(query).fetchall()


@pytest.mark.parametrize(("block", "shown"), BLOCKS, ids=range(len(BLOCKS)))
def test_python_prints_what_is_shown(block: str, shown: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each Python block of the page runs as it stands, twice over, and prints what is shown below it or nothing."""
    for _ in range(2):
        ran(block)
        printed = [line.rstrip() for line in capsys.readouterr().out.strip("\n").splitlines()]
        assert printed == shown.splitlines()


def test_polars_gets_the_same_rows() -> None:
    """With `.pl()` in place of `.df()`, the first block makes a polars frame of the same rows."""
    block, _ = block_with(".to_arrow_table()").split("print(", 1)
    frame, other = ran(block)["regime"], ran(block.replace(".df()", ".pl()"))["regime"]
    assert other.columns == list(frame.columns)
    assert other["label"].to_list()[-3:] == frame["label"].tolist()[-3:]


def test_queries_give_what_is_shown() -> None:
    """Each `rotation sql` of the page that is shown with its output gives exactly that."""
    shown = world.shown_queries(PAGE)
    assert len(shown) == 4
    for command, output in shown:
        assert world.output_of(command) == output.strip().splitlines(), command


def test_every_command_is_tried() -> None:
    """The page shows no command but those that these tests run."""
    assert len(COMMANDS) == 8
    assert all(command.startswith(("rotation sql ", "duckdb -readonly ")) for command in COMMANDS)


def test_exports_hold_what_was_asked_for() -> None:
    """The three files of the export commands read back as the rows of the warehouse."""
    commands = [command.removeprefix("rotation ") for command in COMMANDS if " -o " in command]
    for command in commands:
        assert world.output_of(command) == []
    with duckdb.connect() as con:
        read = [con.sql(f"select count(*) from '{file}'").fetchall() for file in ("sectors.parquet", "regime.csv")]
        evidence = con.sql("select evidence, verdict from 'evidence.json' order by evidence").fetchall()
    tables = ("sector_leadership", "rotation_regime")
    assert read == [asked(f"select count(*) from signals.{table}") for table in tables]
    assert evidence == asked(
        f"select evidence, verdict from signals.rotation_evidence where session = '{SESSION}' order by evidence"
    )


def test_the_command_line_of_duckdb_can_ask_it() -> None:
    """The query for DuckDB's own command line gives the eleven sectors; where that is installed, through it."""
    (command,) = [command for command in COMMANDS if command.startswith("duckdb ")]
    query = re.findall(r'"(.+)"', command)[0]
    ranks = asked(query)
    assert len(ranks) == 11
    assert ranks[0][1] == 1
    if shutil.which("duckdb"):
        printed = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)  # noqa: S602 - as shown
        assert ranks[0][0] in printed.stdout


def test_the_chart_of_the_notebook_has_both_lines() -> None:
    """The notebook's cell ends with a chart, whose data are the ratio and its average of the warehouse up to the last session."""
    block = block_with("alt.Chart")
    names = ran(block)
    assert block.splitlines()[-1] == "chart"
    (rows,) = names["chart"].to_dict()["datasets"].values()
    last = {row["line"]: row["points"] for row in rows if row["session"].startswith(str(SESSION))}
    where = f"from signals.relative_strength where pair = 'IWM/IWB' and session = '{SESSION}'"
    (expected,) = asked(f"select ratio, ratio_ma200 {where}")
    assert (last["IWM/IWB"], last["200-day average"]) == pytest.approx(expected)
    assert 1000 < len(rows) < 5000


def test_the_schema_is_exported_whole() -> None:
    """The export of a schema leaves one file for each of its tables, with all its rows."""
    ran(block_with("export/{name}.parquet"))
    names = {name for (name,) in asked("select table_name from duckdb_tables() where schema_name = 'signals'")}
    assert {path.stem for path in Path("export").iterdir()} == names
    for name in names:
        rows = duckdb.sql(f"select count(*) from 'export/{name}.parquet'").fetchall()
        assert rows == asked(f"select count(*) from signals.{name}")


def test_an_export_by_year_has_all_prices() -> None:
    """Read back, the folders by year hold each price once, also after a second export over the first."""
    block = block_with("partition_by")
    for _ in range(2):
        ran(block)
    parts = duckdb.sql("select count(*) from read_parquet('prices/*/*.parquet', hive_partitioning = true)").fetchall()
    assert parts == asked("select count(*) from core.prices")


def test_macros_of_an_attached_warehouse_need_use() -> None:
    """Of an attached warehouse `core.prices_as_of` is found after `use rotation`, and not before it."""
    with duckdb.connect("positions.duckdb") as con:
        con.execute("create table positions (symbol text)")
        con.execute("attach 'warehouse/rotation.duckdb' as rotation (read_only)")
        macro = "core.prices_as_of(timestamptz 'infinity') limit 1"
        with pytest.raises(duckdb.CatalogException):
            con.execute(f"from rotation.{macro}")
        con.execute("use rotation")
        assert con.sql(f"select source from {macro}").fetchall() == [("sample",)]
        assert con.sql("from positions.positions").fetchall() == []


def test_before_the_first_run_nothing_was_known() -> None:
    """`core.prices_as_of` a moment before the warehouse was first filled gives no row."""
    assert asked("from core.prices_as_of(timestamptz '2026-01-16 00:00:00Z') limit 1") == []


def versions(folder: Path) -> tuple[Path, Path]:
    """Two databases that say 'old' and 'new'; the second is to replace the first."""
    paths = folder / "seen.duckdb", folder / "next.duckdb"
    for path, word in zip(paths, ("old", "new"), strict=True):
        with duckdb.connect(str(path)) as con:
            con.execute(f"create table state as select '{word}' as word")
    return paths


def test_a_process_sees_the_new_state_once_all_its_connections_are_closed(tmp_path: Path) -> None:
    """After the file is replaced, a process that has it open sees the old state, also in new connections, until all are closed."""
    path, newer = versions(tmp_path)

    def word() -> Any:
        with duckdb.connect(str(path), read_only=True) as con:
            return con.sql("select word from state").fetchall()

    with duckdb.connect(str(path), read_only=True):
        os.replace(newer, path)
        assert word() == [("old",)]
    assert word() == [("new",)]


@pytest.mark.parametrize("pooled", [False, True])
def test_an_engine_without_a_pool_sees_each_new_state(tmp_path: Path, pooled: bool) -> None:
    """SQLAlchemy with `NullPool` sees the new file at the next query; with a pool only after `dispose`."""
    path, newer = versions(tmp_path)
    pool = {} if pooled else {"poolclass": NullPool}
    engine = create_engine(f"duckdb:///{path}", connect_args={"read_only": True}, **pool)
    word = "select word from state"
    assert pd.read_sql(word, engine)["word"].tolist() == ["old"]
    os.replace(newer, path)
    assert pd.read_sql(word, engine)["word"].tolist() == ["old" if pooled else "new"]
    engine.dispose()
    assert pd.read_sql(word, engine)["word"].tolist() == ["new"]
    engine.dispose()


def test_an_address_can_say_read_only(tmp_path: Path) -> None:
    """The SQLAlchemy address of the page, with another path, reads the file and refuses to write to it."""
    path, _ = versions(tmp_path)
    (address,) = re.findall(r"`(duckdb:////\S+)`", WORDS)
    engine = create_engine(address.replace("/data/rotation.duckdb", str(path)), poolclass=NullPool)
    with engine.connect() as con:
        assert con.execute(text("select word from state")).scalar() == "old"
        with pytest.raises(Exception, match="read-only"):
            con.execute(text("create table mine (i int)"))


def test_the_file_is_of_the_version_that_is_said() -> None:
    """The page names the installed DuckDB, and the storage format of the published file."""
    storage = asked("select tags['storage_version'] from duckdb_databases() where database_name = 'rotation'")
    assert storage == [("v1.0.0+",)]
    minor = duckdb.__version__.rpartition(".")[0]
    assert f"DuckDB {minor} writes it, in the storage format of 1.0;" in WORDS


def test_status_says_by_its_exit_code_that_data_is_stale() -> None:
    """Long after the session `rotation status --json` exits 3, with the keys of the page; healthy is for as long as the page says."""
    result = CliRunner().invoke(main, ["status", "--json"])
    assert result.exit_code == 3
    state = json.loads(result.stdout)
    assert state["problems"][0].startswith("Stale: the latest session is 2026-01-16")
    assert {row["dataset"] for row in state["freshness"]} >= {"prices", "fund_nav"}
    assert status.GRACE.total_seconds() == 4 * 3600
    assert "until four hours after the close" in WORDS


def test_events_have_the_names_that_are_emitted() -> None:
    """The trigger for a deployment waits for what `flows/announce.py` emits about the warehouse."""
    import yaml
    from prefect.events import DeploymentEventTrigger

    (shown,) = re.findall(r"^```yaml\n(.*?)^```", WORDS, re.M | re.S)
    (trigger,) = [DeploymentEventTrigger.model_validate(t) for t in yaml.safe_load(shown)["triggers"]]
    assert trigger.expect == {"market-rotation.run.published"}
    assert trigger.model_dump()["match"] == {"prefect.resource.id": RESOURCE["prefect.resource.id"]}
    emitted = (ROOT / "flows" / "announce.py").read_text(encoding="utf-8")
    assert 'emit_event(f"market-rotation.{name}"' in emitted
    assert 'emit(f"run.{run.status}"' in emitted


def test_metrics_have_the_names_that_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each metric and label of the page is in the file that a run writes beside the warehouse."""
    published = Path("warehouse/rotation.duckdb")
    monkeypatch.setenv("ROTATION_HOME", str(tmp_path / "warehouse"))
    path = metrics.write(published, load_settings(), pd.Timestamp("2026-01-16 23:45", tz="UTC").to_pydatetime())
    assert path == tmp_path / "warehouse" / "metrics" / "rotation.prom"
    written = path.read_text(encoding="utf-8")
    named = re.findall(r'market_rotation_\w+(?:\{dataset="prices"\})?', WORDS)
    assert len(named) == 3
    assert all(f"\n{name}" in written for name in named)
    assert 'source="sample"' in written


def test_columns_named_in_the_prose_exist() -> None:
    """Every table, and every column that the advice on backtests names, is in the warehouse."""
    there = {name for (name,) in asked("select schema_name || '.' || table_name from duckdb_tables()")}
    there |= {name for (name,) in asked("select schema_name || '.' || function_name from duckdb_functions()")}
    assert set(re.findall(r"\b(?:signals|core|ops)\.(?!md\b)\w+", WORDS)) <= there
    columns = {
        "signals.relative_rotation": {"is_provisional"},
        "signals.fund_flows_monthly": {"is_partial"},
        "core.prices": {"total_return_index", "return_1d", "adj_close", "close", "known_at", "source"},
    }
    for table, names in columns.items():
        assert names <= {name for name, *_ in asked(f"describe {table}")}
        assert all(f"`{name}`" in WORDS for name in names)
