"""How many wrong prices the audit of a batch notices the same evening, and how many true ones it holds back, on real prices, as Markdown. Part of
`make docs`.

Every bar in turn is taken for the last one known, with a fault, all other bars being as they are: what is expected of a bar rests on bars before
it and on other symbols' bars, so one table of `stage.expected_returns` serves all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pandas as pd
import regime_record

from market_rotation.tasks import calendar, warehouse
from market_rotation.tasks.audit import suites
from market_rotation.tasks.run import pipeline, stage
from market_rotation.tasks.run.fetch import Answer, Request
from market_rotation.tasks.sources.base import price_frame
from market_rotation.tasks.universe import load_universe

#: Between these lines of docs/validation.md stands what this file writes.
BEGIN, FINISH = (
    "<!-- price faults: written by `make docs` where the real prices are -->",
    "<!-- end of the price faults -->",
)

#: The expectations that judge a bar by itself. Returns and repetitions are judged in `_NAMED`.
OF_ONE_BAR = ("close_present", "prices_positive", "bar_consistent")

GROUPS = ("fund", "fund, closes only", "stock")


@dataclass(frozen=True)
class Fault:
    """Values of a bar `b` replaced by SQL expressions; only bars that meet `where` can have the fault. `o` is another symbol's bar of that day."""

    name: str
    values: dict[str, str]
    where: str = "true"


def _whole(factor: float) -> dict[str, str]:
    return {name: f"b.{name} * {factor}" for name in ("open", "high", "low", "close")}


FAULTS = (
    *(Fault(f"close x {factor:g}", {"close": f"b.close * {factor}"}) for factor in (100, 0.01, 10)),
    *(
        Fault(f"close wrong by {percent:+d} %", {"close": f"b.close * {1 + percent / 100}"})
        for percent in (20, -20, 10, -10, 5, -5)
    ),
    Fault("sign of the close", {"close": "-b.close"}),
    Fault("close and volume swapped", {"close": "b.volume", "volume": "b.close::bigint"}, "b.volume is not null"),
    Fault("high and low swapped", {"high": "b.low", "low": "b.high"}, "b.high > b.low * 1.00001"),
    Fault("another symbol's close, 5 % away or more", {"close": "o.close"}, "abs(o.close / b.close - 1) >= 0.05"),
    Fault(
        "another symbol's whole bar, 20 % away or more",
        {name: f"o.{name}" for name in ("open", "high", "low", "close", "volume")},
        "abs(o.close / b.close - 1) >= 0.2",
    ),
    Fault(
        "yesterday's close and volume",
        {"close": "b.previous_close", "volume": "b.previous_volume"},
        "b.previous_volume > 0",
    ),
    Fault("yesterday's close, today's volume", {"close": "b.previous_close"}, "b.close <> b.previous_close"),
    *(
        Fault(f"open, high, low and close wrong by {percent:+d} %", _whole(1 + percent / 100), "b.open is not null")
        for percent in (20, -20, 5, -5)
    ),
)

_BARS = """
create or replace temp table bars as
with stepped as (
    select
        p.*,
        lag(p.close) over by_session as previous_close,
        lag(p.volume) over by_session as previous_volume,
        p.open is not null and p.volume is not null as is_whole
    from stage.prices as p
    window by_session as (partition by p.symbol order by p.session)
),
neighbours as (
    select symbol, coalesce(lead(symbol) over (order by symbol), min(symbol) over ()) as other_symbol
    from (select distinct symbol from stage.prices)
)
select s.*, n.other_symbol, case when u.kind = 'stock' then 'stock' when s.is_whole then 'fund' else 'fund, closes only' end as instruments
from stepped as s
join neighbours as n using (symbol)
join stage.universe as u using (symbol)
-- Of the first sixty sessions of a symbol little can be said.
semi join (from stage.expected_returns where expected_return is not null) as x on x.symbol = s.symbol and x.session = s.session
where coalesce(s.split_ratio, 1) = 1
"""

_JUMPS = """
select b.symbol, b.session
from {bars} as b
join stage.expected_returns as x on x.symbol = b.symbol and x.session = b.session
where fn.is_jump(
    b.close / (b.previous_close - coalesce(b.dividend, 0) - coalesce(b.capital_gain, 0)) - 1,
    x.expected_return,
    x.usual_deviation,
    x.companions is not null,
    b.volume / x.usual_volume,
    case when b.close <> b.previous_close then (b.open - b.previous_close) / (b.close - b.previous_close) end
)
"""

_NAMED = """
create or replace temp table named as
{of_one_bar}
union
{jumps}
union
select symbol, session from stage.prices where close = previous_close and volume = previous_volume and volume > 0
"""

_CAUGHT = """
select b.instruments, count(*) as faults, 100.0 * count(n.symbol) / count(*) as caught_pct
from stage.prices as b
left join named as n using (symbol, session)
group by b.instruments
"""


@contextmanager
def staged(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A warehouse in memory with all real prices in `folder` staged as one batch, and the temporary table `bars` of those that can be judged."""
    start, end = regime_record.START, regime_record.END
    frame = price_frame(pd.read_parquet(folder / "prices.parquet"))
    with warehouse.writing(Path(":memory:")) as con:
        stage.put_references(con, load_universe(), calendar.load(start, end), start, end)
        known_at = datetime(end.year, end.month, end.day, 23, 30, tzinfo=UTC)
        warehouse.parameters(
            con, run_id="docs", known_at=known_at, source="files", target_session=end, history_start=start
        )
        stage.put_answers(
            con, [Answer(Request("prices", s, start, end), bars, None) for s, bars in frame.groupby("symbol")]
        )
        warehouse.build(con, *pipeline.BATCHES)
        con.execute(_BARS)
        yield con


def held_back(con: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """The true bars that wait for the next one, each seen as the last one known: symbol, session."""
    return con.execute(f"{_JUMPS.format(bars='bars')} order by b.session, b.symbol").df()


def name_faulty(con: duckdb.DuckDBPyConnection, fault: Fault) -> None:
    """Fills `stage.prices` with all bars that can have the fault, with it, and the temporary table `named` with those that an expectation names."""
    values = ", ".join(f"{value} as {name}" for name, value in fault.values.items())
    con.execute(
        f"""
        create or replace table stage.prices as
        select b.* replace ({values})
        from bars as b
        left join bars as o on o.symbol = b.other_symbol and o.session = b.session
        where {fault.where}
        """
    )
    queries = {e.id: e.query for e in suites.staged("prices").expectations}
    of_one_bar = " union ".join(f"select symbol, session from ({queries[name]})" for name in OF_ONE_BAR)
    con.execute(_NAMED.format(of_one_bar=of_one_bar, jumps=_JUMPS.format(bars="stage.prices")))


def caught(con: duckdb.DuckDBPyConnection, fault: Fault) -> dict[str, tuple[int, float]]:
    """Group of instruments → the bars that got the fault, and the percentage of them that an expectation names the same evening."""
    name_faulty(con, fault)
    return {group: (faults, share) for group, faults, share in con.execute(_CAUGHT).fetchall()}


def years(con: duckdb.DuckDBPyConnection) -> float:
    """Years that the bars span."""
    (days,) = con.execute("select max(session) - min(session) from bars").fetchone() or (0,)
    return float(days) / 365.25


def record(con: duckdb.DuckDBPyConnection) -> str:
    """Both tables as Markdown."""
    waiting = held_back(con)
    (count,) = con.execute("select count(*) from bars").fetchone() or (0,)
    lines = [
        f"Of {count:,} true bars {len(waiting)} would have waited for the next one, {len(waiting) / years(con):.2f} a year: "
        + ", ".join(f"{r.symbol} {r.session:%Y-%m-%d}" for r in waiting.itertuples())
        + ".",
        "",
        "The table puts each fault into every bar in turn, and shows the share that is set aside the same evening:",
        "",
        "| fault | funds | funds, closes only | stocks |",
        "|---|---:|---:|---:|",
    ]
    for fault in FAULTS:
        found = caught(con, fault)
        cells = [f"{_floored(found[g][1])} % of {found[g][0]:,}" if g in found else "" for g in GROUPS]
        lines.append(f"| {fault.name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _floored(share: float) -> str:
    """A percentage that says 100 only where all are meant."""
    return f"{min(share, 99.99) if share < 100 else share:.2f}"
