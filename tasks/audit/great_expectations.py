"""Great Expectations on DuckDB, within a connection and transaction that are already open.

GX closes the connection before it reads a result, for every dialect but four, so that on DuckDB each expectation would end in an
IndexError (great_expectations issue 10738). Two small subclasses keep one connection open. The connection is lent by the caller, so
that an audit sees the uncommitted rows of the run, and can neither commit the run's transaction nor close its connection.

Importing this module takes seconds: do it late, or while something else waits.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

# No usage events: the first thing an operator behind a firewall would notice.
os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")

import great_expectations as gx
import sqlalchemy
from duckdb_sqlalchemy import ConnectionWrapper
from great_expectations.compatibility.pydantic import PrivateAttr
from great_expectations.constants import MAX_RESULT_RECORDS
from great_expectations.data_context.types.base import (
    DataContextConfig,
    InMemoryStoreBackendDefaults,
    ProgressBarsConfig,
)
from great_expectations.datasource.fluent import SQLDatasource
from great_expectations.execution_engine import SqlAlchemyExecutionEngine
from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
from great_expectations.expectations.metadata_types import FailureSeverity
from sqlalchemy.pool import StaticPool

if TYPE_CHECKING:
    import duckdb
    from great_expectations.core import ExpectationValidationResult
    from great_expectations.data_context import EphemeralDataContext
    from great_expectations.execution_engine import ExecutionEngine

    from market_rotation.tasks.audit.expectations import Suite

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
    """GX's SQL engine, with one connection for its whole life.

    GX runs a query that failed three times and keeps the last error. In a transaction only the first one names the cause; after it DuckDB
    refuses every statement. So a failed query fails again with its own error.
    """

    def __init__(self, *args: Any, **values: Any) -> None:
        super().__init__(*args, **values)
        self._errors: dict[str, Exception] = {}

    def execute_query(self, query: sqlalchemy.Selectable | sqlalchemy.TextClause) -> sqlalchemy.CursorResult[Any]:
        """As GX's, but raises the first error again instead of trying again."""
        text = str(query)
        if text in self._errors:
            raise self._errors[text]
        try:
            return super().execute_query(query)
        except Exception as error:
            self._errors[text] = error
            raise

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


class UnexpectedRows(gx.expectations.UnexpectedRowsExpectation):
    """As GX's own, but runs the query once and describes itself once.

    GX runs the query for the rows and again for their number. It fetches at most 200 rows; only where there are as many, they are counted
    by a query. And it builds the configuration of an expectation each of the 29 times that it reads it, which costs more than the query.
    """

    metric_dependencies = ("unexpected_rows_query.table",)
    _configurations: dict[str | None, ExpectationConfiguration] = PrivateAttr(default_factory=dict)

    @property
    def configuration(self) -> ExpectationConfiguration:
        """GX's configuration of this expectation, made once for each identifier that GX gives it."""
        if self.id not in self._configurations:
            self._configurations[self.id] = super().configuration
        return self._configurations[self.id]

    def _validate(
        self,
        metrics: dict[str, Any],
        runtime_configuration: dict[str, Any] | None = None,
        execution_engine: ExecutionEngine[Any] | None = None,
    ) -> ExpectationValidationResult | dict[str, Any]:
        count = len(metrics["unexpected_rows_query.table"])
        if count >= MAX_RESULT_RECORDS and isinstance(execution_engine, DuckDBExecutionEngine):
            query = sqlalchemy.text(f"select count(*) from ({str(self.unexpected_rows_query).format(batch='')})")
            count = execution_engine.execute_query(query).scalar_one()
        return super()._validate(
            metrics | {"unexpected_rows_query.row_count": count}, runtime_configuration, execution_engine
        )


#: Name of the data source, which lives as long as one audit.
_SOURCE = "warehouse"

_made: list[EphemeralDataContext] = []
_making = threading.Lock()


def context() -> EphemeralDataContext:
    """GX's context of this process, made once: nothing on disk, no progress bars."""
    # The thread that preloads GX and the audit may come at the same time.
    with _making:
        if not _made:
            _made.append(_new_context())
        return _made[0]


def _new_context() -> EphemeralDataContext:
    # GX's default would leave a folder for an unused site in the machine's temporary folder at each run.
    config = DataContextConfig(store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False))
    made = gx.get_context(mode="ephemeral", project_config=config)
    made.variables.progress_bars = ProgressBarsConfig(globally=False)
    # GX writes the whole configuration as YAML, and throws it away, at each change of a data source: four times for each audit.
    made._save_project_config = lambda: None  # type: ignore[method-assign]
    return made


def validate(
    con: duckdb.DuckDBPyConnection, suites: Sequence[Suite]
) -> dict[tuple[str, str], ExpectationValidationResult]:
    """GX's own results of `suites` on the tables as `con` sees them, by table and identifier of the expectation.

    A failed one has up to 200 offending rows in `result["details"]["unexpected_rows"]`, each a dictionary.
    """
    with _datasource(con) as datasource:
        # One validation for all: the queries name their tables themselves, and a data source for each would cost more than the queries.
        schema, table = suites[0].table.split(".")
        asset = datasource.add_table_asset(table, table_name=table, schema_name=schema)
        batch = asset.add_batch_definition_whole_table("whole").get_batch()
        report = batch.validate(gx_suite(suites), result_format="COMPLETE")
        return {(r.expectation_config.meta["table"], r.expectation_config.meta["id"]): r for r in report.results}


def gx_suite(suites: Sequence[Suite]) -> gx.ExpectationSuite:
    """`suites` as one suite of GX."""
    return gx.ExpectationSuite(
        name="audit",
        expectations=[
            UnexpectedRows(
                # To GX a brace is a parameter, and it prints a warning about a query without {batch}.
                unexpected_rows_query=f"{expectation.query.replace('{', '{{').replace('}', '}}')}\n/* {{batch}} */",
                severity=FailureSeverity(expectation.severity),
                description=expectation.sentence,
                meta={"table": suite.table, "id": expectation.id},
            )
            for suite in suites
            for expectation in suite.expectations
        ],
    )


@contextmanager
def _datasource(con: duckdb.DuckDBPyConnection) -> Iterator[Any]:
    sources = context().data_sources
    datasource = sources.add_duckdb(
        _SOURCE,
        connection_string="duckdb:///:memory:",
        create_temp_table=False,
        kwargs={"creator": lambda: BorrowedConnection(con), "poolclass": StaticPool, "pool_reset_on_return": None},
    )
    try:
        yield datasource
    finally:
        sources.delete(_SOURCE)
