"""The audit: Great Expectations runs a suite of `expectations/` on a table, inside the run's own DuckDB transaction."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from market_rotation.tasks.datasets import DATASETS
from market_rotation.tasks.errors import AuditFailed, ConfigError, Failure

if TYPE_CHECKING:
    import duckdb
    from great_expectations.core import ExpectationValidationResult

SUITES = Path(__file__).parents[2] / "expectations"

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
    What a person accepted does not offend; see `ops.accepted`.
    """
    suite = _without_accepted(con, suite)
    (element_count,) = con.execute(f"select count(*) from {suite.batch}").fetchone() or (0,)
    try:
        # Great Expectations takes seconds to import.
        from market_rotation.tasks.audit import great_expectations

        report = great_expectations.validate(con, suite)
        answers = {str(r.expectation_config.meta["id"]): r for r in report.results if r.expectation_config}
    except Exception as error:
        logging.getLogger("rotation.audit").debug("The suite %s could not be run.", suite.name, exc_info=True)
        answers = {}
        missing = f"{type(error).__name__}: {error}"
    else:
        missing = "Great Expectations gave no result."
    return [_result(suite, e, answers.get(e.id), int(element_count), missing) for e in suite.expectations]


def differ(dataset: str, one: str, other: str) -> str:
    """SQL that tells whether two rows of `dataset`, given as JSON, have different values by the measure of `fn.value_differs`."""
    # A vendor rescales its adjusted close at every dividend to come: no part of what the bar says.
    names = [name for name in DATASETS[dataset].columns if name not in (*DATASETS[dataset].key, "vendor_adj_close")]
    pairs = {name: (f"{one} ->> '$.{name}'", f"{other} ->> '$.{name}'") for name in names}
    return " or ".join(
        f"fn.value_differs(({a})::double, ({b})::double)"
        if DATASETS[dataset].columns[name] == "float64"
        else f"({a}) is distinct from ({b})"
        for name, (a, b) in pairs.items()
    )


def _without_accepted(con: duckdb.DuckDBPyConnection, suite: Suite) -> Suite:
    """`suite` with warnings that pass over the rows a person accepted, as long as these say what they said then."""
    if suite.batch != f"stage.{suite.dataset}":
        return suite
    found = con.execute("select distinct expectation from ops.accepted where dataset = $1", [suite.dataset]).fetchall()
    accepted = {expectation for (expectation,) in found}
    if not accepted:
        return suite
    symbol, day = DATASETS[suite.dataset].key

    def passing_over(expectation: Expectation) -> str:
        return f"""
            select offending.*
            from ({expectation.rows}) as offending
            anti join (
                select a.symbol, a.session
                from {{batch}} as b
                join ops.accepted as a on a.symbol = b.{symbol} and a.session = b.{day}
                where a.dataset = '{suite.dataset}' and a.expectation = '{expectation.id}'
                    and not ({differ(suite.dataset, "to_json(b)", "a.row_json")})
            ) as accepted on accepted.symbol = offending.symbol and accepted.session = offending.session
            """

    expectations = tuple(
        e.model_copy(update={"rows": passing_over(e)}) if e.severity == "warning" and e.id in accepted else e
        for e in suite.expectations
    )
    return suite.model_copy(update={"expectations": expectations})


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
    from market_rotation.tasks.audit import great_expectations

    great_expectations.context()


def offending(con: duckdb.DuckDBPyConnection, result: Result, limit: int = 3) -> list[str]:
    """Up to `limit` offending rows of a failed expectation, each as a short JSON text for a person."""
    query = f"select to_json(offending) from ({result.suite.rows(result.expectation)}) as offending limit {limit}"
    return [json.dumps(json.loads(row), separators=(", ", ": ")) for (row,) in con.execute(query).fetchall()]


def failing(con: duckdb.DuckDBPyConnection, results: Sequence[Result], limit: int = 200) -> list[Failure]:
    """One for each failed result, whatever its severity, with up to `limit` offending rows."""
    return [_failure(con, result, limit) for result in results if not result.success]


def _failure(con: duckdb.DuckDBPyConnection, result: Result, limit: int) -> Failure:
    dataset, expectation = result.suite.dataset, result.expectation
    if result.raised:
        return Failure(dataset, expectation.id, f"It could not be checked ({result.details}).", None, [])
    rows = offending(con, result, limit)
    return Failure(dataset, expectation.id, expectation.sentence, result.unexpected_count, rows)


def stop_if_blocked(con: duckdb.DuckDBPyConnection, results: Sequence[Result]) -> None:
    """Raises `AuditFailed`, with every reason and up to three rows each, when any of `results` blocks."""
    blocking = [result for result in results if result.blocks]
    if not blocking:
        return
    failures = [_failure(con, result, limit=3) for result in blocking]
    more = f" {len(failures) - 1} more expectations failed." if len(failures) > 1 else ""
    raise AuditFailed(
        f"{failures[0].told()}{more} Nothing was published; see ops.validations for this run, and run again when the source is right.",
        failures,
    )
