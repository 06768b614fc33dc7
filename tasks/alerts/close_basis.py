"""The incident of a source whose closes are adjusted for distributions, or come without any: one per source, alerted once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from market_rotation.tasks import wording
from market_rotation.tasks.alerts.incidents import EXAMPLES, Incident
from market_rotation.tasks.warehouse import macros

if TYPE_CHECKING:
    import duckdb

#: The incidents that a published run judges here, as prefixes of fingerprints.
JUDGED = ("adjusted-closes:",)
#: A fund may pay nothing. So many of one source, and most of its funds, do not.
WITHOUT_DISTRIBUTIONS = 5


def incidents_of(con: duckdb.DuckDBPyConnection) -> list[Incident]:
    """One incident per source of closes that are adjusted by `core.close_basis`, or of which most funds have no distribution.

    It is never news: the same closes say nothing new on the next day.
    """
    found = macros.rows(
        con,
        """
        with last_rows as (
            from core.close_basis
            qualify row_number() over (partition by symbol order by session desc) = 1
        )

        select
            source,
            count(*) filter (basis = 'adjusted') as adjusted,
            count(*) filter (basis = 'adjusted' and distributions_18m > 0) as counted_twice,
            count(*) filter (basis in ('no distributions', 'distributions missing')) as without,
            list(symbol order by basis, symbol) filter (basis in ('adjusted', 'no distributions', 'distributions missing')) as symbols,
            max(abs(premium_21d_pct)) filter (basis = 'adjusted') as gap_pct
        from last_rows
        group by source
        having adjusted > 0 or (without >= $1 and without > count(*) / 2)
        order by source
        """,
        [WITHOUT_DISTRIBUTIONS],
    )
    return [_of_source(**row) for row in found]


def _of_source(
    source: str, adjusted: int, counted_twice: int, without: int, symbols: list[Any], gap_pct: float | None
) -> Incident:
    said = []
    if adjusted:
        gap = "" if gap_pct is None else f", and are {gap_pct:.1f} % from it now"
        said.append(
            f"The closes of {wording.count(adjusted, 'fund')} move away from NAV by the distributions of each year{gap}."
        )
    if counted_twice:
        said.append(
            f"Such closes of {wording.count(counted_twice, 'fund')} come with distributions: total returns count them twice."
        )
    if without:
        said.append(
            f"The closes of {wording.count(without, 'fund')} came without a distribution in the last 18 months."
        )
    said.append(
        "Total returns are right only if the closes are adjusted and come without distributions. Premiums over NAV are NULL where the closes are "
        "not plain prices, and traded values of past sessions are too low by the distributions since."
    )
    shown = ", ".join(symbols[:EXAMPLES]) + (f" and {len(symbols) - EXAMPLES} more" if len(symbols) > EXAMPLES else "")
    return Incident(
        f"adjusted-closes:{source}",
        "warning",
        f"The closes of {source} are adjusted for distributions, or come without any",
        f"{' '.join(said)} Funds: {shown}.",
        "give closes that are adjusted for splits only, and the distributions beside them. If you cannot, do nothing: this alert is sent once. "
        'Details: `rotation sql "from core.close_basis where session = (select max(session) from core.prices)"`.',
        is_news=False,
    )
