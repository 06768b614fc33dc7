"""The datasets: what each is made of, who offers it for which symbol, and how old it may be before it is asked again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tasks.sources import EARNINGS_GROWTH_COLUMNS, FUND_FACTS_COLUMNS, FUND_NAV_COLUMNS, HOLDINGS_COLUMNS, PRICE_COLUMNS
from tasks.universe import Instrument

#: A dataset is a method of a source, the table `stage.fetched_<dataset>` with these columns, `stage.<dataset>` and `raw.<dataset>`.
COLUMNS: dict[str, dict[str, str]] = {
    "prices": PRICE_COLUMNS,
    "fund_nav": FUND_NAV_COLUMNS,
    "fund_facts": FUND_FACTS_COLUMNS,
    "holdings": HOLDINGS_COLUMNS,
    "earnings_growth": EARNINGS_GROWTH_COLUMNS,
}

#: The columns that tell whose row it is, and of which day.
KEYS: dict[str, tuple[str, str]] = {
    "prices": ("symbol", "session"),
    "fund_nav": ("symbol", "session"),
    "fund_facts": ("symbol", "as_of"),
    "holdings": ("fund_symbol", "as_of"),
    "earnings_growth": ("symbol", "as_of"),
}

#: Those that are asked for a range of sessions; the others are snapshots of the day.
RANGES = ("prices", "fund_nav")

#: Issuers that publish NAV, share count and holdings of each of their funds every day.
DAILY_ISSUERS = ("ssga", "ishares")

#: Sessions after which estimates and holdings are asked again: they change slowly, and a free vendor is asked politely.
WEEK = 5


class Offer(NamedTuple):
    """A dataset that can be asked for a symbol. `max_age_sessions`: how far its newest row may lie behind the session of the run."""

    dataset: str
    symbol: str
    max_age_sessions: int


def offers(source: object, instruments: Sequence[Instrument]) -> list[Offer]:
    """What `source` offers beside prices: what it says itself, else what issuers and Yahoo do, if it knows of funds at all."""
    if says := getattr(source, "offers", None):
        return list(says(instruments))
    return fund_offers(instruments) if hasattr(source, "fund_nav") else []


def fund_offers(instruments: Sequence[Instrument]) -> list[Offer]:
    """What issuers and Yahoo offer of the funds among `instruments`. Issuers publish a session the day after it."""
    offers = []
    for fund in (i for i in instruments if i.kind in ("fund", "sector")):
        daily = fund.issuer in DAILY_ISSUERS and fund.issuer_id is not None
        offers.append(Offer("fund_nav", fund.symbol, 1 if daily else 0))
        offers.append(Offer("fund_facts", fund.symbol, 0))
        if daily:
            offers.append(Offer("holdings", fund.symbol, WEEK))
    return offers


def as_fresh_as_possible(offers: Sequence[Offer]) -> list[Offer]:
    """`offers`, of which fund records are due as soon as they lack a session: issuers publish it on the day after."""
    return [offer._replace(max_age_sessions=0) if offer.dataset == "fund_nav" else offer for offer in offers]
