"""The incident of two sources whose prices differ: one per pair of sources, with both values of each difference, and the witness."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, NamedTuple

from market_rotation.tasks import wording
from market_rotation.tasks.alerts.incidents import EXAMPLES, Incident
from market_rotation.tasks.warehouse import macros

if TYPE_CHECKING:
    import duckdb

#: The incidents that a published run judges here, as prefixes of fingerprints.
JUDGED = ("prices-differ:",)
_NAMES = {"close": "close", "distribution": "distribution", "split_ratio": "split ratio"}


class Difference(NamedTuple):
    """A value that two sources state differently: an open row of `ops.reconciliations`."""

    symbol: str
    session: date
    column_name: str
    source: str
    value: float
    other_source: str
    other_value: float
    witness: str | None
    witness_value: float | None
    verdict: str
    is_new: bool

    def describe(self) -> str:
        """The difference in a sentence, with both values and the judgement of the witness."""
        said = (
            f"{self.symbol} {self.session}: {_NAMES[self.column_name]} {self.value:.6g} by {self.source}, "
            f"{self.other_value:.6g} by {self.other_source}; "
        )
        witness = f"{self.witness} {self.witness_value:.6g}" if self.witness else ""
        if self.verdict == "undecided":
            return said + (f"{witness} does not decide." if witness else "no third source decides.")
        return said + f"{self.source if self.verdict == 'source_wrong' else self.other_source} is wrong by {witness}."


def incidents_of(con: duckdb.DuckDBPyConnection) -> list[Incident]:
    """One incident per pair of sources with open differences; news where one was found since it was last alerted."""
    found = [
        Difference(**row)
        for row in macros.rows(
            con,
            """
            select
                r.symbol, r.session, r.column_name, r.source, r.value, r.other_source, r.other_value, r.witness, r.witness_value, r.verdict,
                r.run_id > coalesce(i.run_id, '') as is_new
            from ops.reconciliations as r
            left join incidents() as i
                on i.fingerprint = 'prices-differ:' || least(r.source, r.other_source) || ':' || greatest(r.source, r.other_source)
            where r.resolved_at is null
            order by r.run_id desc, r.symbol, r.session desc, r.column_name
            """,
        )
    ]
    pairs = sorted({tuple(sorted((one.source, one.other_source))) for one in found})
    return [_of_pair(pair, [one for one in found if {one.source, one.other_source} == set(pair)]) for pair in pairs]


def _of_pair(pair: tuple[str, ...], found: list[Difference]) -> Incident:
    symbols = len({one.symbol for one in found})
    # One line for each kind of difference of a symbol first: a wrong split also moves all closes before it.
    newest: dict[tuple[str, str], Difference] = {}
    for one in found:
        newest.setdefault((one.symbol, one.column_name), one)
    shown = sorted(newest.values(), key=lambda one: (not one.is_new, one.column_name == "close"))[:EXAMPLES]
    lines = [f"- {one.describe()}" for one in shown]
    if more := len(found) - len(shown):
        lines.append(f"- and {more:,} more")
    return Incident(
        f"prices-differ:{':'.join(pair)}",
        "warning",
        f"{' and '.join(pair)} differ in {wording.count(len(found), 'value')} of {wording.count(symbols, 'symbol')}",
        "\n".join(lines),
        "nothing, if the source that is wrong corrects itself within ten sessions; else request its bars again with `rotation backfill --symbols … "
        '--from …`. All differences: `rotation sql "from ops.reconciliations where resolved_at is null"`.',
        is_news=any(one.is_new for one in found),
    )
