"""The audit: Great Expectations runs a suite of `expectations/` on a table, inside the run's own DuckDB transaction."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from tasks.errors import AuditFailed, ConfigError, Failure

if TYPE_CHECKING:
    import duckdb
    from great_expectations.core import ExpectationValidationResult

SUITES = Path(__file__).parents[1] / "expectations"

Severity = Literal["critical", "warning", "info"]


def _joined(value: object) -> object:
    """JSON has no strings of several lines, and SQL wants them."""
    return "\n".join(value) if isinstance(value, list) else value


class Expectation(BaseModel):
    """What must hold of a batch. `rows` is SQL that yields what does not: `symbol`, `session`, then what helps to see why."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    severity: Severity
    sentence: str
    rows: Annotated[str, BeforeValidator(_joined)]
    column: str | None = None


class Suite(BaseModel):
    """A file of `expectations/`: the expectations on one table."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    dataset: str
    batch: str = Field(pattern=r"^\w+\.\w+$")
    about: str
    expectations: tuple[Expectation, ...] = Field(min_length=1)

    def rows(self, expectation: Expectation) -> str:
        """The SQL that yields the rows that are not as `expectation` says."""
        return expectation.rows.replace("{batch}", self.batch).replace("{{", "{").replace("}}", "}")


@dataclass(frozen=True)
class Result:
    """How one expectation went. `raised` means that it could not be checked; then `details` is the error."""

    suite: Suite
    expectation: Expectation
    success: bool
    raised: bool
    unexpected_count: int | None
    element_count: int
    details: str | None

    @property
    def blocks(self) -> bool:
        """Nothing may be published: a critical expectation failed, or one of any severity could not be checked."""
        return self.raised or (not self.success and self.expectation.severity == "critical")


def load_suite(name: str, folder: Path = SUITES) -> Suite:
    """The suite in `expectations/<name>.json`. Raises `ConfigError` naming the file and the fault."""
    path = folder / f"{name}.json"
    try:
        return Suite.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValidationError) as error:
        reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
        raise ConfigError(f"{path} is not a usable suite: {reason}; correct the file.") from None


def audit(con: duckdb.DuckDBPyConnection, suite: Suite) -> list[Result]:
    """One result for each expectation of `suite`, checked on its batch as `con` sees it, uncommitted rows included.

    Never raises for the data's sake: an expectation that cannot be checked, for whatever reason, is a result that blocks.
    """
    (element_count,) = con.execute(f"select count(*) from {suite.batch}").fetchone() or (0,)
    try:
        # Great Expectations takes seconds to import.
        from tasks import gx_duckdb

        report = gx_duckdb.validate(con, suite)
        answers = {str(r.expectation_config.meta["id"]): r for r in report.results if r.expectation_config}
    except Exception as error:
        logging.getLogger("rotation.audit").debug("The suite %s could not be run.", suite.name, exc_info=True)
        answers = {}
        missing = f"{type(error).__name__}: {error}"
    else:
        missing = "Great Expectations gave no result."
    return [_result(suite, e, answers.get(e.id), int(element_count), missing) for e in suite.expectations]


def _result(
    suite: Suite,
    expectation: Expectation,
    answer: ExpectationValidationResult | None,
    element_count: int,
    missing: str,
) -> Result:
    if answer is None:
        return Result(suite, expectation, False, True, None, element_count, missing)
    if error := _exception(answer.exception_info or {}):
        return Result(suite, expectation, False, True, None, element_count, error)
    count = int((answer.result or {})["observed_value"])
    success = bool(answer.success)
    return Result(suite, expectation, success, False, count, element_count, None if success else expectation.sentence)


def _exception(info: dict[str, Any]) -> str | None:
    """The message of the first exception in GX's `exception_info`, which is flat or keyed by metric."""
    for entry in [info, *(value for value in info.values() if isinstance(value, dict))]:
        if entry.get("raised_exception"):
            return str(entry.get("exception_message") or "unknown error").splitlines()[0]
    return None


def preload() -> None:
    """Imports Great Expectations, which takes seconds; called in a thread while something else waits."""
    from tasks import gx_duckdb

    gx_duckdb.context()


def offending(con: duckdb.DuckDBPyConnection, result: Result, limit: int = 3) -> list[str]:
    """Up to `limit` offending rows of a failed expectation, each as a short JSON text for a person."""
    query = f"select to_json(offending) from ({result.suite.rows(result.expectation)}) as offending limit {limit}"
    return [json.dumps(json.loads(row), separators=(", ", ": ")) for (row,) in con.execute(query).fetchall()]


def stop_if_blocked(con: duckdb.DuckDBPyConnection, results: Sequence[Result]) -> None:
    """Raises `AuditFailed`, with every reason and up to three rows each, when any of `results` blocks."""
    blocking = [result for result in results if result.blocks]
    if not blocking:
        return
    failures = [
        Failure(r.suite.dataset, r.expectation.id, r.expectation.sentence, r.unexpected_count, offending(con, r))
        if not r.raised
        else Failure(r.suite.dataset, r.expectation.id, f"It could not be checked ({r.details}).", None, [])
        for r in blocking
    ]
    more = f" {len(failures) - 1} more expectations failed." if len(failures) > 1 else ""
    raise AuditFailed(
        f"{failures[0].told()}{more} Nothing was published; see ops.validations for this run, and run again when the source is right.",
        failures,
    )
