"""The record of the regime on real prices, as Markdown: episodes, label changes, agreement with the spread, what followed. Part of `make docs`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb

from market_rotation.tasks import calendar, warehouse
from market_rotation.tasks.run import pipeline, stage
from market_rotation.tasks.run.fetch import Answer, Request
from market_rotation.tasks.sources.files import FilesSource
from market_rotation.tasks.universe import load_universe

START, END = date(2005, 1, 3), date(2026, 1, 16)

#: Between these lines of docs/signals.md stands what this file writes.
BEGIN, FINISH = "<!-- record: written by `make docs` where the real prices are -->", "<!-- end of the record -->"

#: Turns of small against large companies that are well known in hindsight: from the close of the first day to that of the second.
EPISODES = [
    "2008-09-19",
    "2008-11-20",
    "2009-03-09",
    "2009-09-18",
    "2016-11-04",
    "2016-12-09",
    "2018-02-09",
    "2018-06-20",
    "2018-06-20",
    "2018-12-24",
    "2020-01-17",
    "2020-03-18",
    "2020-10-30",
    "2021-03-15",
    "2021-03-15",
    "2022-01-27",
    "2022-06-16",
    "2022-08-15",
    "2023-02-02",
    "2023-05-31",
    "2023-10-27",
    "2023-12-27",
    "2024-01-02",
    "2024-06-28",
    "2024-07-09",
    "2024-07-31",
    "2024-11-04",
    "2024-11-25",
    "2024-11-25",
    "2025-04-08",
    "2025-08-01",
    "2025-10-15",
    "2025-11-20",
    "2026-01-16",
]

_EPISODES = """
with given as (
    select start_session::date as start_session, end_session::date as end_session
    from (values {episodes}) as e (start_session, end_session)
),
returned as (
    select
        g.start_session, g.end_session,
        s2.total_return_index / s1.total_return_index - l2.total_return_index / l1.total_return_index as spread
    from given as g
    join core.prices as s1 on s1.symbol = 'IWM' and s1.session = g.start_session
    join core.prices as s2 on s2.symbol = 'IWM' and s2.session = g.end_session
    join core.prices as l1 on l1.symbol = 'IWB' and l1.session = g.start_session
    join core.prices as l2 on l2.symbol = 'IWB' and l2.session = g.end_session
),
sides as (
    select
        session, label,
        case when label in ('confirmed', 'building') then 1 when label in ('fading', 'reversed') then -1 when label = 'neutral' then 0 end as side
    from signals.rotation_regime
),
sessions as (
    select
        r.*, d.session, d.label, d.side,
        d.side = sign(r.spread) as is_right, d.side = -sign(r.spread) as is_wrong,
        row_number() over (partition by r.start_session order by d.session) as number
    from returned as r
    join sides as d on d.session > r.start_session and d.session <= r.end_session
)
select
    start_session, end_session, any_value(spread) as spread, count(*) as sessions,
    100.0 * count(*) filter (is_right) / count(*) as right_pct,
    100.0 * count(*) filter (is_wrong) / count(*) as wrong_pct,
    min(number) filter (is_right) as delay,
    last(label order by session) as last_label,
    right_pct > wrong_pct as is_mostly_right
from sessions
group by start_session, end_session
order by start_session
"""

_TOTALS = """
with labelled as (
    select
        g.session, g.label, r.spread_3m, g.label in ('confirmed', 'building') as is_positive, g.label in ('fading', 'reversed') as is_negative,
        lag(g.label) over (order by g.session) as previous_label
    from signals.rotation_regime as g
    join signals.relative_strength as r on r.session = g.session
    join core.pairs as p on p.pair = r.pair and p.headline
    where g.label is not null
)
select
    count(*) as sessions,
    count(*) filter (label <> previous_label) as changes,
    count(*) filter (label <> previous_label) / (count(*) / 252.0) as changes_a_year,
    100.0 * count(*) filter (is_positive and spread_3m < 0) / count(*) filter (is_positive) as positive_trailing_pct,
    100.0 * count(*) filter (is_negative and spread_3m > 0) / count(*) filter (is_negative) as negative_leading_pct,
    count(*) filter (is_positive) as positive_sessions,
    count(*) filter (is_negative) as negative_sessions,
    min(session) as first_session,
    max(session) as last_session
from labelled
"""

_BY_LABEL = """
select s.state as label, count(*) as sessions, 100.0 * count(*) / sum(count(*)) over () as share_pct, 100 * avg(r.spread_3m) as mean_spread_3m_pct
from signals.rotation_regime as g
join core.regime_states as s on s.axis = 'label' and s.state = g.label
join signals.relative_strength as r on r.session = g.session
join core.pairs as p on p.pair = r.pair and p.headline
group by s.state, s.place
order by s.place
"""


@contextmanager
def derived(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A warehouse in memory with `core` and `signals` of the shipped universe, from the price files in `folder`, up to END.

    Raises `SourceUnavailable` where the folder holds no prices.
    """
    source, members = FilesSource(folder), load_universe()
    answers = [
        Answer(Request("prices", symbol, START, END, True), source.prices(symbol, START, END), None)
        for symbol in (i.symbol for i in members.instruments if i.in_breadth)
    ]
    known_at = datetime(END.year, END.month, END.day, 23, 30, tzinfo=UTC)
    with warehouse.writing(Path(":memory:")) as con:
        stage.put_references(con, members, calendar.load(START, END), START, END)
        warehouse.parameters(
            con, run_id="docs", known_at=known_at, source="files", target_session=END, history_start=START
        )
        stage.put_answers(con, answers)
        warehouse.build(con, *pipeline.BATCHES)
        warehouse.load(con, "raw")
        warehouse.build(con, "core", "signals")
        yield con


def episodes(con: duckdb.DuckDBPyConnection) -> list[dict[str, object]]:
    """A row per episode: spread, how many percent of its sessions had a right and a wrong label, and sessions until the first right one."""
    pairs = ", ".join(f"('{a}', '{b}')" for a, b in zip(EPISODES[::2], EPISODES[1::2], strict=True))
    return _rows(con, _EPISODES.format(episodes=pairs))


def totals(con: duckdb.DuckDBPyConnection) -> dict[str, object]:
    """Sessions with a label, label changes, and how often the label and the three-month spread disagree, over the whole history."""
    (row,) = _rows(con, _TOTALS)
    return row


def record(con: duckdb.DuckDBPyConnection) -> str:
    """The record as Markdown."""
    rows, found = episodes(con), totals(con)
    lines = [
        f"From {found['first_session']} to {found['last_session']}, {found['sessions']:,} sessions with a label, without flows and estimates, which "
        "reach back less far:",
        "",
        f"- the label changed {found['changes']} times, {found['changes_a_year']:.1f} times a year;",
        f"- of {found['positive_sessions']:,} sessions with `confirmed` or `building`, small caps trailed over three months in "
        f"{found['positive_trailing_pct']:.1f} %;",
        f"- of {found['negative_sessions']:,} sessions with `fading` or `reversed`, small caps led over three months in "
        f"{found['negative_leading_pct']:.1f} %;",
        f"- {sum(bool(row['is_mostly_right']) for row in rows)} of {len(rows)} well-known episodes had more sessions with a right label than with a wrong one.",
        "",
        "| from | to | IWM less IWB | sessions | right | wrong | first right after | label at the end | |",
        "|---|---|---:|---:|---:|---:|---:|---|---|",
    ]
    lines += [
        f"| {row['start_session']} | {row['end_session']} | {100 * float(str(row['spread'])):+.1f} % | {row['sessions']} | {row['right_pct']:.0f} % | "
        f"{row['wrong_pct']:.0f} % | {row['delay']} | `{row['last_label']}` | {'right' if row['is_mostly_right'] else '**wrong**'} |"
        for row in rows
    ]
    lines += [
        "",
        "| label | sessions | share | mean spread of the three months before |",
        "|---|---:|---:|---:|",
        *(
            f"| `{row['label']}` | {row['sessions']:,} | {row['share_pct']:.1f} % | {row['mean_spread_3m_pct']:+.1f} % |"
            for row in _rows(con, _BY_LABEL)
        ),
    ]
    return "\n".join(lines)


def put(page: Path, text: str, begin: str = BEGIN, finish: str = FINISH) -> None:
    """Replaces what stands between the two lines of `page` that mark what is written."""
    before, _, rest = page.read_text(encoding="utf-8").partition(begin)
    after = rest.partition(finish)[2]
    page.write_text(f"{before}{begin}\n\n{text}\n\n{finish}{after}", encoding="utf-8")


def standing(page: Path, begin: str = BEGIN, finish: str = FINISH) -> str:
    """What stands between the two lines of `page` that mark what is written."""
    return page.read_text(encoding="utf-8").partition(begin)[2].partition(finish)[0].strip()


def _rows(con: duckdb.DuckDBPyConnection, query: str) -> list[dict[str, object]]:
    found = con.execute(query)
    names = [column[0] for column in found.description or ()]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]
