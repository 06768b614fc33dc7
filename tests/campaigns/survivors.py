"""Why a mutant may survive: what each known survivor shows, by the change as `Mutant.change` prints it."""

from __future__ import annotations

import re

#: A change, and why no test can or need tell it from the original.
KNOWN: dict[str, str] = {
    "select * rename (period as month, flow_usd as estimated_flow_usd), 100 * net_flow_usd / nullif(assets_usd, 0) as flow_pct_of_assets → "
    "select * rename (period as month, flow_usd as estimated_flow_usd), 100 * net_flow_usd / nullif(assets_usd, 1) as flow_pct_of_assets": (
        "the audit rejects assets of 0; the guard keeps a division from ending the run, should they come"
    ),
    "row_number() over (partition by subject order by session) as place → rank() over (partition by subject order by session) as place": (
        "equivalent: a subject has one row a session"
    ),
    "and abs(y.net_flow_usd - m.flow_of_months) > 0.01 + 1e-9 * abs(m.flow_of_months); → "
    "and abs(y.net_flow_usd - m.flow_of_months) > 0.01 + 1e-9 / abs(m.flow_of_months);": (
        "a tolerance for rounding: any small number serves"
    ),
}
#: A number as small as the tolerances for rounding are written.
TOLERANCE = re.compile(r"\d+(?:\.\d+)?e-\d+")


def explanation(change: str) -> str:
    """The reason that is known for `change`; otherwise that a test is missing or the change is equivalent, which nobody has looked at."""
    before, _, after = change.partition(" → ")
    if before != after and TOLERANCE.sub("", before) == TOLERANCE.sub("", after):
        return "a tolerance for rounding: any small number serves"
    return KNOWN.get(change, "not yet examined")
