"""The audit: Great Expectations judges the suites of expectations, inside the run's own DuckDB transaction."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from market_rotation.tasks import wording
from market_rotation.tasks.audit.expectations import Expectation, Suite
from market_rotation.tasks.audit.overrides import without_overridden
from market_rotation.tasks.errors import AuditFailed, Failure

if TYPE_CHECKING:
    import duckdb
    from great_expectations.core import ExpectationValidationResult

log = logging.getLogger("rotation.audit")

#: The table that says how much of the batch is left.
COVERAGE = "stage.answers"
#: Offending rows shown in a message.
SHOWN = 3

#: What DuckDB says of every statement after one that failed inside a transaction.
_ABORTED = "transaction is aborted"


@dataclass(frozen=True)
class Result:
    """The result of one expectation. `raised`: it could not be checked; then `details` is the error.

    `element_count` is the number of rows of the suite's table, `examples` are up to 200 offending rows as JSON text. `cause` is the
    expectation whose error ended the transaction, so that this one could not be checked either.
    """

    suite: Suite
    expectation: Expectation
    success: bool
    raised: bool
    unexpected_count: int | None
    element_count: int | None
    details: str | None
    examples: tuple[str, ...] = ()
    cause: str | None = None

    @property
    def blocks(self) -> bool:
        """Nothing may be published: a critical expectation failed, or one of any severity could not be checked."""
        return self.raised or (not self.success and self.expectation.severity == "critical")


def audit(con: duckdb.DuckDBPyConnection, *suites: Suite) -> list[Result]:
    """One result for each expectation of `suites`, checked as `con` sees the tables, uncommitted rows included.

    Never raises because of the data: an expectation that cannot be checked, for whatever reason, is a result that blocks.
    Rows with a manual override pass; see `ops.accepted`.
    """
    if not suites:
        return []
    answers: dict[tuple[str, str], ExpectationValidationResult] = {}
    checked = list(suites)
    counts = {suite.table: _count(con, suite.table) for suite in checked}
    missing = "Great Expectations gave no result"
    try:
        # Great Expectations takes seconds to import.
        from market_rotation.tasks.audit import great_expectations

        checked = [without_overridden(con, suite) for suite in suites]
        answers = great_expectations.validate(con, checked)
    except Exception as error:
        log.debug("Great Expectations could not run.", exc_info=True)
        missing = f"{type(error).__name__}: {_first_line(error)}"
    # The results have the queries that were run: quarantine sets aside what these yield.
    return _with_causes(
        [_result(s, e, answers.get((s.table, e.id)), counts[s.table], missing) for s in checked for e in s.expectations]
    )


def _count(con: duckdb.DuckDBPyConnection, table: str) -> int | None:
    """Rows of the table; None where it cannot be read, which its expectations then report."""
    try:
        return int((con.execute(f"select count(*) from {table}").fetchone() or (0,))[0])
    except Exception:
        return None


def _result(
    suite: Suite, expectation: Expectation, answer: ExpectationValidationResult | None, count: int | None, missing: str
) -> Result:
    error = _exception(answer.exception_info or {}) if answer else missing
    if answer is None or error:
        return Result(suite, expectation, False, True, None, count, error)
    if answer.success:
        return Result(suite, expectation, True, False, 0, count, None)
    found: Mapping[str, Any] = answer.result or {}
    rows = found["details"]["unexpected_rows"]
    examples = tuple(json.dumps(row, default=str) for row in rows)
    return Result(suite, expectation, False, False, int(found["observed_value"]), count, expectation.sentence, examples)


def _exception(info: Mapping[str, Any]) -> str | None:
    """The first line of the exception in GX's `exception_info`, which is flat or keyed by metric.

    GX runs each query twice, for the rows and for their number: after an error the other one finds the transaction ended.
    """
    entries = [info, *(value for value in info.values() if isinstance(value, dict))]
    errors = [
        _first_line(entry.get("exception_message") or "unknown error")
        for entry in entries
        if entry.get("raised_exception")
    ]
    return next((error for error in errors if _ABORTED not in error), errors[0] if errors else None)


def _first_line(error: object) -> str:
    return str(error).strip().partition("\n")[0]


def _with_causes(results: Sequence[Result]) -> list[Result]:
    """`results`, of which those that could not be checked because another one's error ended the transaction name that one."""
    own = next((r for r in results if r.raised and _ABORTED not in (r.details or "")), None)
    if own is None:
        return list(results)
    cause = f"{own.expectation.id} of {own.suite.table}"
    details = f"the error of {cause} ended the transaction"
    return [
        replace(result, details=details, cause=cause)
        if result.raised and _ABORTED in (result.details or "")
        else result
        for result in results
    ]


def preload() -> None:
    """Imports Great Expectations, which takes seconds; called in a thread while something else waits."""
    from market_rotation.tasks.audit import great_expectations

    great_expectations.context()


def failures(results: Sequence[Result], limit: int | None = None) -> list[Failure]:
    """One for each result that failed, whatever its severity, with up to `limit` of its examples."""
    return [_failure(result, limit) for result in results if not result.success]


def _causes(consequence: Failure, set_aside: Sequence[Failure]) -> list[Failure]:
    """The expectations that set aside bars of the symbols that `consequence` misses, or of the sessions where it misses every symbol."""
    rows = [json.loads(example) for example in consequence.examples]
    key = "symbol" if any(row["symbol"] for row in rows) else "session"
    missed = {row[key] for row in rows}
    found = []
    for failure in set_aside:
        examples = [example for example in failure.examples if json.loads(example).get(key) in missed]
        if examples:
            found.append(replace(failure, examples=examples[-SHOWN:]))
    return sorted(found, key=lambda failure: -(failure.rows or 0))


def _failure(result: Result, limit: int | None) -> Failure:
    dataset, expectation = result.suite.dataset, result.expectation
    if result.raised:
        return Failure(dataset, expectation.id, f"It could not be checked ({result.details}).", None, [])
    return Failure(
        dataset, expectation.id, expectation.sentence, result.unexpected_count, list(result.examples[:limit])
    )


def stop_if_blocked(results: Sequence[Result], set_aside: Sequence[Failure] = ()) -> None:
    """Raises `AuditFailed`, with every reason and up to three rows each, when any of `results` blocks.

    Expectations that could not be checked come first, since their result is not known; those that could not be checked because of these come last. Where too little is
    left of the batch because rows were set aside, the expectations of `set_aside` that took them come before the consequence.
    """
    blocking = sorted((r for r in results if r.blocks), key=lambda r: (r.cause is not None, not r.raised))
    if not blocking:
        return
    reasons = failures(blocking, SHOWN)
    if blocking[0].suite.table == COVERAGE and not blocking[0].raised:
        reasons = _causes(reasons[0], set_aside) + reasons
    more = f" {wording.count(len(reasons) - 1, 'more expectation')} failed." if len(reasons) > 1 else ""
    raise AuditFailed(
        f"{reasons[0].describe()}{more} Nothing was published; see ops.validations for this run, and run again when the source is right.",
        reasons,
    )
