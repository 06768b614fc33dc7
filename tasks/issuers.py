"""The issuers of funds: what each publishes of its funds, and which reader reads it.

One table, from which requests, sources and checks follow. Adding an issuer is one entry here and one module in
`market_rotation.tasks.sources.issuers`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from market_rotation.tasks.universe import Instrument

#: How a share count came about: the issuer's count of each day, the issuer's count at each month's end, or assets / NAV.
ShareCountBasis = Literal["daily_count", "monthly_count", "derived"]


class Issuer(NamedTuple):
    """An issuer of funds.

    `name` is its value in the universe's column `issuer`, `title` how a person names it, `issuer_id` what identifies a fund there.
    `reader` is the class that reads its files, as `module:class` below `market_rotation.tasks.sources.issuers`.
    `share_count`: how often it publishes share counts, None = it publishes none that a program can fetch. `has_holdings`: whether
    the reader has the fund's holdings. `limits` says what a user should know of this source, in one sentence.
    """

    name: str
    title: str
    reader: str | None
    issuer_id: str
    share_count: ShareCountBasis | None
    has_holdings: bool
    limits: str


ISSUERS: dict[str, Issuer] = {
    issuer.name: issuer
    for issuer in (
        Issuer(
            *("ssga", "State Street", "ssga:SsgaSource", "the fund's ticker", "daily_count", True),
            limits="Daily NAV, share counts and distributions since inception.",
        ),
        Issuer(
            *("ishares", "iShares", "ishares:ISharesSource", "the portfolio number", "daily_count", True),
            limits="Daily NAV, share counts and distributions since inception; holdings also of past days.",
        ),
        Issuer(
            *("invesco", "Invesco", "invesco:InvescoSource", "the CUSIP of the fund", "daily_count", True),
            limits="NAV and share count of the latest day only: history grows by one day with each run.",
        ),
        Issuer(
            *("vanguard", "Vanguard", "vanguard:VanguardSource", "the fund's ticker", "monthly_count", True),
            limits="Daily NAV, but share counts at month ends only, so that flows are known by month.",
        ),
        Issuer(
            *("roundhill", "Roundhill", "roundhill:RoundhillSource", "the fund's ticker", "daily_count", True),
            limits="Daily NAV and share counts of the last ten sessions: a longer gap in the runs stays a gap.",
        ),
        Issuer(
            *("dimensional", "Dimensional", "dimensional:DimensionalSource", "the fund's ticker", None, True),
            limits="Holdings of any day; no share count is published in a file, so flows rest on assets / NAV.",
        ),
        Issuer(
            *("avantis", "Avantis", None, "", None, False),
            limits="No source: the site has pages for a browser only, without a share count in any file.",
        ),
        Issuer(
            *("schwab", "Schwab", None, "", None, False),
            limits="No source: the site refuses every client but a person's browser (HTTP 403).",
        ),
        Issuer(
            *("pacer", "Pacer", None, "", None, False),
            limits="No source: the download of holdings and share counts is refused to programs (HTTP 403).",
        ),
        Issuer(
            *("wisdomtree", "WisdomTree", None, "", None, False),
            limits="No source: the site is behind a check for browsers, and publishes no file of share counts.",
        ),
    )
}


def publisher(instrument: Instrument) -> Issuer | None:
    """The issuer with a reader for `instrument`, None where there is no reader or no `issuer_id`."""
    issuer = ISSUERS.get(instrument.issuer or "")
    return issuer if issuer and issuer.reader and instrument.issuer_id else None


def ids_of(issuer: Issuer, instruments: Sequence[Instrument]) -> dict[str, str]:
    """The issuer's identifiers of those of its funds among `instruments` that have one, by symbol."""
    return {i.symbol: i.issuer_id for i in instruments if i.issuer == issuer.name and i.issuer_id}


def flows_known(fund: Instrument) -> str:
    """What will be known of the flows of `fund`, in one sentence."""
    issuer = ISSUERS.get(fund.issuer or "")
    by_assets = "its flows come from the vendor's assets / NAV, for periods in which the vendor refreshes them; else its assets count as not covered"
    if issuer is None:
        return f"No source: {fund.issuer or 'no issuer'} has no reader, so {by_assets}."
    if issuer.reader is None:
        return f"No source: {issuer.title} publishes no share count that a program can fetch, so {by_assets}."
    if issuer.share_count is None:
        return f"No share count: {issuer.title} publishes none, so {by_assets}."
    if not fund.issuer_id:
        return f"No share count yet: the row lacks issuer_id, for {issuer.title} {issuer.issuer_id}; until then {by_assets}."
    if issuer.share_count == "monthly_count":
        return f"Flows of each month, from the month-end share counts of {issuer.title}."
    return f"Flows of each session, from the daily share counts of {issuer.title}."
