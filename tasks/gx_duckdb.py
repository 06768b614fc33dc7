"""Great Expectations on DuckDB, within a connection and transaction that are already open.

GX closes the connection before it reads a result, for every dialect but four, so that on DuckDB each expectation would end in an
IndexError (great_expectations issue 10738). Two small subclasses keep one connection open. The connection is lent by the caller, so
that an audit sees the uncommitted rows of the run, and can neither commit nor close what is not its own.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Literal

import sqlalchemy
from duckdb_sqlalchemy import ConnectionWrapper
from great_expectations.datasource.fluent import SQLDatasource
from great_expectations.execution_engine import SqlAlchemyExecutionEngine

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
