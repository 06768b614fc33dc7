"""What the report is made of: exhibits, each a question, the SQL that answers it, the rows it gave, and how to show them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pandas as pd

#: How a column is written for people: `fraction` 0.0208 as +2.1 %, `level` of a fraction without sign, `percent` already times 100, `usd` with
#: thousand, million or billion, `ratio` and `number` with two decimals, `count` and `rank` whole, `value` with six digits, `verdict` for, against, neither
#: or not known.
Kind = Literal[
    "text",
    "session",
    "month",
    "fraction",
    "level",
    "percent",
    "usd",
    "ratio",
    "number",
    "count",
    "rank",
    "value",
    "verdict",
]


@dataclass(frozen=True)
class Column:
    """A column of an exhibit's table: the name in `rows`, the words at its head, how its values are written, and whether as bars too."""

    name: str
    label: str
    kind: Kind
    bar: bool = False


@dataclass(frozen=True)
class Exhibit:
    """One section of the report.

    `rows` are what `sql` yields, all of them, and what the reader downloads. `table` are the rows shown as a table, the fallback of the
    chart where there is one. `chart` is a Vega-Lite specification over the named dataset `rows`, without a colour of its own. `missing`
    says in a sentence what is not known, None when all is. `side_by_side`: the table has a column for each of its rows, and the reader chooses
    two of them; where there is room for no more, these two are chosen first.
    """

    id: str
    title: str
    finding: str
    note: str
    sql: str
    rows: pd.DataFrame
    table: pd.DataFrame
    columns: tuple[Column, ...]
    chart: dict[str, Any] | None = None
    missing: str | None = None
    side_by_side: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
    """All that a report says. `headline` and `evidence` are the top of the page, `exhibits` what follows, in order.

    `known_at` is when the newest data was fetched, `is_simulated` whether it is the simulated market; `as_known_then` whether the session
    is a past one shown as it was known then. `compass` is the chart beside the headline. `watch`, `turns`, `changes`, `certainty`, `freshness`
    and `problems` are exhibits without charts.
    """

    session: date
    known_at: datetime
    run_id: str
    code_version: str
    source: str
    is_simulated: bool
    as_known_then: bool
    headline: Exhibit
    compass: Exhibit
    evidence: Exhibit
    watch: Exhibit
    turns: Exhibit
    changes: Exhibit
    certainty: Exhibit
    freshness: Exhibit
    problems: Exhibit
    exhibits: tuple[Exhibit, ...]
