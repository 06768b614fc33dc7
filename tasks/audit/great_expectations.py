"""Great Expectations on DuckDB, within a connection and transaction that are already open.

GX closes the connection before it reads a result, for every dialect but four, so that on DuckDB each expectation would end in an
IndexError (great_expectations issue 10738). Two small subclasses keep one connection open. The connection is lent by the caller, so
that an audit sees the uncommitted rows of the run, and can neither commit nor close what is not its own.

Importing this module takes seconds: do it late, or while something else waits.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

# No usage events: the first thing an operator behind a firewall would notice.
os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")

import great_expectations as gx
import sqlalchemy
from duckdb_sqlalchemy import ConnectionWrapper
from great_expectations.data_context.types.base import (
    DataContextConfig,
    InMemoryStoreBackendDefaults,
    ProgressBarsConfig,
)
from great_expectations.datasource.fluent import SQLDatasource
from great_expectations.execution_engine import SqlAlchemyExecutionEngine
from great_expectations.expectations.metadata_types import FailureSeverity
from sqlalchemy.pool import StaticPool

if TYPE_CHECKING:
    import duckdb
    from great_expectations.core import ExpectationSuiteValidationResult
    from great_expectations.data_context import EphemeralDataContext

    from market_rotation.tasks.audit.run import Suite

# Inside the data source, whose field is named `type`, the word means something else.
EngineClass = type[SqlAlchemyExecutionEngine]


class BorrowedConnection(ConnectionWrapper):
    """An open DuckDB connection whose transaction belongs to the lender."""

    autocommit = True

    def commit(self) -> None:
        """Leaves the lender's transaction open."""

    def rollback(self) -> None:
        """Leaves the lender's transaction open."""

    def close(self) -> None:
        """Leaves the lender's connection open."""


class DuckDBExecutionEngine(SqlAlchemyExecutionEngine):
    """GX's SQL engine, with one connection for its whole life."""

    @contextmanager
    def get_connection(self) -> Generator[sqlalchemy.Connection, None, None]:
        if self._connection is None:
            self._connection = self.engine.connect()
        yield self._connection


class DuckDBDatasource(SQLDatasource):
    """Registers `context.data_sources.add_duckdb`."""

    type: Literal["duckdb"] = "duckdb"  # type: ignore[assignment]

    @property
    def execution_engine_type(self) -> EngineClass:
        return DuckDBExecutionEngine


@cache
def context() -> EphemeralDataContext:
    """GX's context of this process: nothing on disk, no progress bars."""
    # Its default would leave a folder in the machine's temporary one for a site nobody opens, at each run.
    config = DataContextConfig(store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False))
    made = gx.get_context(mode="ephemeral", project_config=config)
    made.variables.progress_bars = ProgressBarsConfig(globally=False)
    return made


def validate(con: duckdb.DuckDBPyConnection, suite: Suite) -> ExpectationSuiteValidationResult:
    """GX's own result of `suite` on its batch as `con` sees it; each expectation's `meta` has its id."""
    with _datasource(con, suite.name) as datasource:
        schema, table = suite.batch.split(".")
        asset = datasource.add_table_asset(table, table_name=table, schema_name=schema)
        batch = asset.add_batch_definition_whole_table("whole").get_batch()
        report: ExpectationSuiteValidationResult = batch.validate(gx_suite(suite), result_format="BASIC")
        return report


def gx_suite(suite: Suite) -> gx.ExpectationSuite:
    """`suite` as GX has it."""
    return gx.ExpectationSuite(
        name=suite.name,
        expectations=[
            gx.expectations.UnexpectedRowsExpectation(
                # GX prints a warning about a query that does not name the batch, as those about what is not there do not.
                unexpected_rows_query=f"{expectation.rows} /* {{batch}} */",
                severity=FailureSeverity(expectation.severity),
                description=expectation.sentence,
                meta={"id": expectation.id},
            )
            for expectation in suite.expectations
        ],
    )


@contextmanager
def _datasource(con: duckdb.DuckDBPyConnection, name: str) -> Iterator[Any]:
    sources = context().data_sources
    datasource = sources.add_duckdb(
        name,
        connection_string="duckdb:///:memory:",
        create_temp_table=False,
        kwargs={"creator": lambda: BorrowedConnection(con), "poolclass": StaticPool, "pool_reset_on_return": None},
    )
    try:
        yield datasource
    finally:
        sources.delete(name)
