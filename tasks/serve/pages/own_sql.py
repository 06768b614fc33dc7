"""The page of the reader's own SQL: one read-only statement, its rows as a table and as a chart."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import MAXYEAR, MINYEAR
from typing import TYPE_CHECKING, Any

from market_rotation.tasks.errors import UsageError
from market_rotation.tasks.report.exhibits.base import Column, Exhibit, Kind
from market_rotation.tasks.report.phrases import plural
from market_rotation.tasks.serve import charts, statement
from market_rotation.tasks.serve.pages.base import Page
from market_rotation.tasks.serve.parameters import Field, Parameters

if TYPE_CHECKING:
    import pandas as pd

    from market_rotation.tasks import warehouse

#: The time after which a statement is interrupted, and the rows it may give.
LIMIT_S = 10.0
MOST_ROWS = 10_000

#: The number of rows shown as a table.
SHOWN = 500

EXAMPLES = {
    "the regime": "select session, label, size_score, leadership_score from signals.rotation_regime order by session desc limit 252",
    "sectors by return": "select sector, return_3m, rank_3m from signals.sector_leadership where session = (select max(session) from core.sessions) order by rank_3m",
    "the last runs": "select session, status, rows_new, rows_quarantined, started_at from ops.runs order by started_at desc limit 20",
    "all tables": "select schema_name || '.' || table_name as name, split_part(comment, chr(10), 1) as about from duckdb_tables() where database_name = current_database() order by name",
}


def build(path: warehouse.Published, asked: Parameters) -> Page:
    """The rows of the statement `q`, drawn as `mark` of column `y` against `x`, coloured by `series`.

    Raises `UsageError` with DuckDB's reason for a statement that fails, takes longer than `LIMIT_S`, or is not a query.
    """
    query = asked.text("q")
    drawn_as = asked.choice("mark", ("", *charts.MARKS, "none"), "")
    axes = {name: asked.text(name) for name in ("x", "y", "series")}
    asked.refuse_others()
    exhibits: tuple[Exhibit, ...] = ()
    names: list[str] = []
    if query:
        rows, is_cut = statement.run(path, query, statement.Limits(LIMIT_S, MOST_ROWS))
        names = [str(name) for name in rows.columns]
        exhibits = (_result(rows, query, is_cut, axes, drawn_as),)
    columns = tuple((name, name) for name in names)
    return Page(
        title="SQL",
        intro=f"One read-only statement over the published warehouse, at most {LIMIT_S:g} seconds and {MOST_ROWS:,} rows. "
        "describe signals.breadth explains the columns of that table.",
        name="rows",
        fields=(
            Field("q", "Statement", "sql", query),
            *(
                (
                    Field(
                        "mark",
                        "Chart",
                        "choice",
                        drawn_as,
                        (("", "choose for me"), *((m, m) for m in charts.MARKS), ("none", "none")),
                    ),
                    *(
                        Field(name, words, "choice", axes[name], (("", "choose for me"), *columns))
                        for name, words in (("x", "Across"), ("y", "Up"), ("series", "Colour"))
                    ),
                )
                if names
                else ()
            ),
        ),
        exhibits=exhibits,
        pinned_by="q",
        presets=tuple((name, Parameters({"q": text}, asked.path).address()) for name, text in EXAMPLES.items()),
    )


def _result(rows: pd.DataFrame, query: str, is_cut: bool, axes: dict[str, str], drawn_as: str) -> Exhibit:
    kinds = {str(name): _kind(rows[name]) for name in rows.columns}
    missing = None
    if is_cut:
        missing = f"The result has more than {MOST_ROWS:,} rows; only the first {MOST_ROWS:,} are here. Aggregate, or use `rotation sql`."
    elif len(rows) > SHOWN:
        missing = f"The table shows the first {SHOWN} rows; the chart and the CSV have all."
    return Exhibit(
        id="result",
        title="Result",
        finding=f"{plural(len(rows), 'row')}, {plural(len(kinds), 'column')}.",
        note="",
        sql=query,
        rows=rows,
        table=rows.head(SHOWN),
        columns=tuple(Column(name, name, kind) for name, kind in kinds.items()),
        chart=_chart(rows, kinds, axes, drawn_as),
        missing=missing,
    )


def _kind(values: pd.Series[Any]) -> Kind:
    import pandas as pd

    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        known = values.dropna()
        is_days = (known == known.dt.normalize()).all() and known.dt.year.between(MINYEAR, MAXYEAR).all()
        return "session" if is_days else "text"
    is_number = pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_bool_dtype(values.dtype)
    return "value" if is_number else "text"


def _is_nested(values: pd.Series[Any]) -> bool:
    """Whether `values` are lists, structures or maps, which have no order and no place on an axis."""
    return any(isinstance(value, Iterable) and not isinstance(value, str | bytes) for value in values)


def _chart(rows: pd.DataFrame, kinds: dict[str, Kind], axes: dict[str, str], drawn_as: str) -> dict[str, Any] | None:
    """The chart of the columns chosen, and of sensible ones where none are; None where there is nothing to draw."""
    nested = [name for name in kinds if _is_nested(rows[name])]
    for name, column in axes.items():
        if column and column not in kinds:
            raise UsageError(f"{name}={column!r} is not a column of the result; choose from {', '.join(kinds)}.")
        if column in nested:
            raise UsageError(
                f"{name}={column!r} holds lists or structures, which have no place on an axis; choose another column."
            )
    numbers = [name for name, kind in kinds.items() if kind == "value"]
    days = [name for name, kind in kinds.items() if kind == "session"]
    texts = [name for name, kind in kinds.items() if kind == "text" and name not in nested]
    if drawn_as == "none" or not numbers or len(rows) < 2:
        return None
    x = axes["x"] or next(iter([*days, *texts, *numbers]))
    y = axes["y"] or next((name for name in numbers if name != x), numbers[0])
    if kinds[y] != "value":
        raise UsageError(f"y={y!r} is not a number; choose from {', '.join(numbers)}.")
    # A text is a series where its values repeat.
    repeated = [name for name in texts if name not in (x, y) and 1 < rows[name].nunique() <= min(12, len(rows) // 2)]
    series = axes["series"] or next(iter(repeated), None)
    types: dict[Kind, charts.AxisType] = {"session": "temporal", "value": "quantitative"}
    x_type = types.get(kinds[x], "nominal")
    mark = drawn_as or {"temporal": "line", "quantitative": "point"}.get(x_type, "bar")
    return charts.own(x, x_type, y, series, mark, f"{y} against {x}")
