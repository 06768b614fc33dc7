"""Manual overrides in the audit: a row that a person accepted passes as long as it has the values it had then."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from market_rotation.tasks.audit.expectations import Expectation, Suite
from market_rotation.tasks.datasets import DATASETS

if TYPE_CHECKING:
    import duckdb


def without_overridden(con: duckdb.DuckDBPyConnection, suite: Suite) -> Suite:
    """`suite` with warnings that skip the rows with a manual override."""
    dataset = DATASETS.get(suite.dataset)
    if dataset is None or suite.table != f"stage.{dataset.name}":
        return suite
    found = con.execute("select distinct expectation from ops.accepted where dataset = $1", [dataset.name]).fetchall()
    overridden = {expectation for (expectation,) in found}

    def skipping(expectation: Expectation) -> Expectation:
        if expectation.severity != "warning" or expectation.id not in overridden:
            return expectation
        query = f"""
            select offending.*
            from ({expectation.query}) as offending
            anti join (
                select a.symbol, a.session
                from {suite.table} as b
                join ops.accepted as a on a.symbol = b.{dataset.symbol} and a.session = b.{dataset.day}
                where a.dataset = '{dataset.name}' and a.expectation = '{expectation.id}'
                    and not ({differ(dataset.name, "to_json(b)", "a.row_json")})
            ) as overridden on overridden.symbol = offending.symbol and overridden.session = offending.session
            """
        return replace(expectation, query=query)

    return replace(suite, expectations=tuple(map(skipping, suite.expectations)))


def differ(dataset: str, one: str, other: str) -> str:
    """SQL that is true where two rows of `dataset`, given as JSON, have different values by the measure of `fn.value_differs`."""
    # A vendor rescales its adjusted close at every later dividend, so it is not part of what the bar says.
    names = [name for name in DATASETS[dataset].values if name != "vendor_adj_close"]
    pairs = {name: (f"{one} ->> '$.{name}'", f"{other} ->> '$.{name}'") for name in names}
    return " or ".join(
        f"fn.value_differs(({a})::double, ({b})::double)"
        if DATASETS[dataset].columns[name] == "float64"
        else f"({a}) is distinct from ({b})"
        for name, (a, b) in pairs.items()
    )
