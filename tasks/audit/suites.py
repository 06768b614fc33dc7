"""The suites of expectations, one per table: those written in `expectations/`, and before them those generated from the header in `sql/`."""

from __future__ import annotations

from pathlib import Path

from market_rotation.tasks.audit import generated
from market_rotation.tasks.audit.expectations import File, Suite, parse
from market_rotation.tasks.datasets import DATASETS
from market_rotation.tasks.errors import ConfigError

EXPECTATIONS = Path(__file__).parents[2] / "expectations"


def load(table: str, folder: Path = EXPECTATIONS) -> Suite:
    """The suite of `table` (`schema.table`). Raises `ConfigError` when it does not exist, or with the fault in its file."""
    schema, _, name = table.partition(".")
    path = folder / schema / f"{name}.sql"
    follows = generated.expectations(table)
    if not follows and not path.is_file():
        raise ConfigError(f"There are no expectations on {table}; write them into {path}.")
    written = parse(path, table) if path.is_file() else File("every row is there once.", None, ())
    if twice := {e.id for e in follows} & {e.id for e in written.expectations}:
        raise ConfigError(
            f"{path} has the expectation {', '.join(sorted(twice))}, which follows from the header of the table's SQL file; remove it."
        )
    return Suite(table, _dataset(table, written, path), written.about, follows + written.expectations)


def names(folder: Path = EXPECTATIONS) -> list[str]:
    """All tables that have a suite, in the order in which a run checks them."""
    written = sorted(f"{path.parent.name}.{path.stem}" for path in folder.glob("*/*.sql"))
    datasets = [f"stage.{dataset}" for dataset in DATASETS]
    found = [table for table in datasets if table in {*written, *generated.tables()}]
    found += [table for table in written if table.startswith("stage.")]
    for schema in generated.DERIVED:
        found += [table for table in (*generated.tables(), *written) if table.startswith(f"{schema}.")]
    return list(dict.fromkeys([*found, *written]))


def of_schema(schema: str) -> list[Suite]:
    """The suites of all tables of `schema`."""
    return [load(table) for table in names() if table.startswith(f"{schema}.")]


def staged(dataset: str) -> Suite:
    """The suite of a dataset's batch, before it is added to `raw`."""
    return load(f"stage.{dataset}")


def coverage() -> Suite:
    """Whether enough of the prices is left to publish; checked after the rows of all datasets were set aside."""
    return load("stage.answers")


def derived() -> list[Suite]:
    """The suites of core and signals, each table after those it is derived from."""
    return [suite for schema in generated.DERIVED for suite in of_schema(schema)]


def _dataset(table: str, written: File, path: Path) -> str:
    schema, name = table.split(".")
    if schema != "stage":
        return table
    dataset = written.dataset or name
    if dataset not in DATASETS:
        raise ConfigError(
            f"{path} does not say which dataset {table} belongs to; add the line `-- dataset: …` to its header, one of {', '.join(DATASETS)}."
        )
    return dataset
