"""Building blocks of the report's sentences, in the formats of its tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from market_rotation.tasks.report.words import signed, written

if TYPE_CHECKING:
    from datetime import date

    import pandas as pd

NOT_KNOWN = "not known"

DATASETS = {
    "prices": "prices",
    "fund_nav": "fund NAVs and shares",
    "fund_facts": "fund facts",
    "holdings": "holdings",
    "earnings_growth": "earnings estimates",
    "core.fund_flows": "fund flows",
}


def plain(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows as dictionaries, with None for what is not known."""
    return [
        {str(name): value for name, value in row.items()}
        for row in rows.astype(object).where(rows.notna(), None).to_dict("records")
    ]


def percent(fraction: float | None) -> str:
    """0.0208 as +2.1 %."""
    return NOT_KNOWN if fraction is None else written(fraction, "fraction")


def size(fraction: float | None) -> str:
    """0.0208 and -0.0208 as 2.1 %."""
    return NOT_KNOWN if fraction is None else written(abs(fraction), "level")


def usd(amount: float | None) -> str:
    """An amount without its sign: $2.08 bn."""
    return NOT_KNOWN if amount is None else written(abs(amount), "usd")


def quantity(value: float | None, unit: str) -> str:
    """A measure of the evidence in its unit: a fraction as +2.1 %, percent as +0.5 %, a score as +0.50, a rank or a count whole."""
    if value is None:
        return NOT_KNOWN
    match unit:
        case "fraction":
            return written(value, "fraction")
        case "percent":
            return written(value / 100, "fraction")
        case "share of conditions":
            return signed(value)
    return written(value, "count")


def tenths(number: float | None) -> str:
    """1.26 as 1.3."""
    return NOT_KNOWN if number is None else f"{number:,.1f}"


def coverage(percent: float | None) -> str:
    """66.9 as 67 %, a share that is known."""
    return NOT_KNOWN if percent is None else f"{percent:.0f} %"


def signed_score(score: float | None) -> str:
    """A score of the regime: +0.75."""
    return NOT_KNOWN if score is None else signed(score)


def day(value: date | None) -> str:
    """9 Dec 2025."""
    return NOT_KNOWN if value is None else written(value, "session")


def lead(spread: float | None, other: str) -> str:
    """A difference of two returns as what the first did: led large caps by 2.1 %, trailed them by 2.1 %."""
    if spread is None:
        return f"cannot be compared with {other} yet"
    if written(spread, "level") == written(0.0, "level"):
        return f"did as well as {other}"
    return f"{'led' if spread > 0 else 'trailed'} {other} by {size(spread)}"


def plural(count: int, noun: str) -> str:
    """1 month, 2 months."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def funds_known(group: str, row: Mapping[str, Any]) -> str:
    """Whose flows a sum is: all 25 small-cap funds; small-cap funds with 62.4 % of the assets (12 of 25)."""
    known, members, covered = row["members_known"], row["members"], row["covered_assets_pct"]
    if known == members:
        return f"all {members} {group}" if members > 1 else f"the one fund of the {group}"
    if covered is None:
        return f"{known} of {members} {group}, whose share of the assets is not known,"
    return f"{group} with {written(covered, 'percent')} of the assets ({known} of {members})"


def listed(names: Iterable[str]) -> str:
    """A, B and C."""
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def first_upper(sentence: str) -> str:
    """The sentence with a capital at its beginning."""
    return sentence[:1].upper() + sentence[1:]
