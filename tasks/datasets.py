"""The datasets: their columns, the sources that offer them for which symbols, and their maximum age before a new request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from market_rotation.tasks.issuers import publisher
from market_rotation.tasks.universe import Instrument

#: Columns of a price frame and their pandas dtypes. Prices in USD per share, adjusted for splits but not for dividends;
#: `dividend` and `capital_gain` in USD per share on the ex-date, 0 = none; `split_ratio` new shares per old, 1 = none;
#: `vendor_adj_close` is the vendor's own dividend-adjusted close, NaN where it publishes none.
PRICE_COLUMNS: dict[str, str] = {
    "symbol": "object",
    "session": "datetime64[s]",
    "open": "float64",
    "high": "float64",
    "low": "float64",
    "close": "float64",
    "volume": "float64",
    "dividend": "float64",
    "capital_gain": "float64",
    "split_ratio": "float64",
    "vendor_adj_close": "float64",
}

#: A fund's own record of a session: NAV in USD per share and shares outstanding, both as published, that is on the basis of that day
#: unless the issuer restates its history at a split; `distribution` in USD per share on the ex-date, NaN = none;
#: `share_count_basis` how the source counts shares (`ShareCountBasis`), None = not stated.
FUND_NAV_COLUMNS: dict[str, str] = {
    "symbol": "object",
    "session": "datetime64[s]",
    "nav": "float64",
    "shares_outstanding": "float64",
    "total_net_assets_usd": "float64",
    "distribution": "float64",
    "share_count_basis": "object",
    "source": "object",
}

#: Facts about a fund on a day. `expense_ratio` is a fraction (0.0003 = 0.03 %); `trailing_pe` price over earnings.
FUND_FACTS_COLUMNS: dict[str, str] = {
    "symbol": "object",
    "as_of": "datetime64[s]",
    "expense_ratio": "float64",
    "total_net_assets_usd": "float64",
    "nav": "float64",
    "category": "object",
    "index_name": "object",
    "trailing_pe": "float64",
    "source": "object",
}

#: The holdings of a fund, including cash; `symbol` is the constituent's ticker as Yahoo writes it (BRK-B), None where it has
#: none; `weight` is a fraction of the fund.
HOLDINGS_COLUMNS: dict[str, str] = {
    "fund_symbol": "object",
    "as_of": "datetime64[s]",
    "symbol": "object",
    "name": "object",
    "weight": "float64",
    "source": "object",
}

#: Analysts' mean estimates of a company's earnings per share for the fiscal year under way (the first that is not reported) and the
#: next, each with the last day of that year. `eps_*` and `price` per share, in one currency and on one basis of splits; growth as
#: fractions; `analysts` and the revisions of the last 30 days (numbers of estimates) are those of the next year. `answer` is what the
#: vendor said, as JSON: estimates of a past day cannot be requested later.
EARNINGS_GROWTH_COLUMNS: dict[str, str] = {
    "symbol": "object",
    "as_of": "datetime64[s]",
    "period_end_current_year": "datetime64[s]",
    "period_end_next_year": "datetime64[s]",
    "eps_year_ago": "float64",
    "eps_current_year": "float64",
    "eps_next_year": "float64",
    "growth_current_year": "float64",
    "growth_next_year": "float64",
    "analysts": "float64",
    "revisions_up_30d": "float64",
    "revisions_down_30d": "float64",
    "price": "float64",
    "source": "object",
    "answer": "object",
}


@dataclass(frozen=True)
class Dataset:
    """One kind of data. It is a method of a source, the table `stage.fetched_<name>`, `stage.<name>`, `raw.<name>` and a suite.

    `columns` are those of the frame a source returns, with their pandas types. `symbol` and `day` name the columns of the key.
    `row` is what a person calls one of its rows.
    `is_range`: requested for a range of sessions, else a snapshot of one day. `max_age_sessions`: how many sessions the newest row may
    lie behind the session of a run before the dataset counts as behind; `max_age_by_source` has the sources to which another age applies,
    by the name in the column `source`. `is_rejected_by_row`: a row can be quarantined alone; a file of holdings is quarantined as a whole.
    `is_never_empty`: an answer without rows is a failure; a range may have none, and not every company has estimates.
    """

    name: str
    columns: dict[str, str]
    symbol: str = "symbol"
    day: str = "as_of"
    row: str = "snapshot"
    is_range: bool = False
    max_age_sessions: int = 0
    max_age_by_source: Mapping[str, int] = field(default_factory=dict, hash=False)
    is_rejected_by_row: bool = True
    is_never_empty: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """The columns that identify a row: its symbol and its day."""
        return self.symbol, self.day

    @property
    def values(self) -> list[str]:
        """The columns other than the key."""
        return [name for name in self.columns if name not in self.key]


#: Sessions after which estimates and holdings are requested again: they change slowly, and a free vendor limits requests.
WEEK = 5

#: What Yahoo's fund records have in the column `source`: it gives no share count.
YAHOO_FUND_NAV = "yahoo: assets / NAV"

DATASETS: dict[str, Dataset] = {
    dataset.name: dataset
    for dataset in (
        Dataset("prices", PRICE_COLUMNS, day="session", row="bar", is_range=True),
        # Issuers publish a session on the day after it; Yahoo's snapshot is of the session of the run.
        Dataset(
            "fund_nav",
            FUND_NAV_COLUMNS,
            day="session",
            row="record",
            is_range=True,
            max_age_sessions=1,
            max_age_by_source={YAHOO_FUND_NAV: 0},
        ),
        Dataset("fund_facts", FUND_FACTS_COLUMNS, is_never_empty=True),
        Dataset(
            "holdings",
            HOLDINGS_COLUMNS,
            symbol="fund_symbol",
            row="holding",
            max_age_sessions=WEEK,
            is_rejected_by_row=False,
            is_never_empty=True,
        ),
        Dataset("earnings_growth", EARNINGS_GROWTH_COLUMNS, max_age_sessions=WEEK),
    )
}


def maximum_ages() -> list[dict[str, str | int | None]]:
    """The rows of `ops.datasets`: one per dataset with no source, and one per source to which another age applies."""
    ages: list[dict[str, str | int | None]] = []
    for place, dataset in enumerate(DATASETS.values(), start=1):
        by_source = [(None, dataset.max_age_sessions), *dataset.max_age_by_source.items()]
        ages += [
            {"dataset": dataset.name, "place": place, "source": source, "max_age_sessions": age}
            for source, age in by_source
        ]
    return ages


class Offer(NamedTuple):
    """A dataset that can be requested for a symbol. `max_age_sessions`: how far its newest row may lie behind the session of the run."""

    dataset: str
    symbol: str
    max_age_sessions: int


def offers(source: object, instruments: Sequence[Instrument]) -> list[Offer]:
    """The datasets that `source` offers besides prices: its own `offers`, else all fund datasets that it has, for every fund."""
    if says := getattr(source, "offers", None):
        return list(says(instruments))
    return [offer for offer in fund_offers(instruments) if hasattr(source, offer.dataset)]


def fund_offers(instruments: Sequence[Instrument]) -> list[Offer]:
    """What issuers and Yahoo offer of the funds among `instruments`, each with its maximum age in `DATASETS`."""
    offers = []
    ages = {dataset.name: dataset.max_age_sessions for dataset in DATASETS.values()}
    of_yahoo = DATASETS["fund_nav"].max_age_by_source[YAHOO_FUND_NAV]
    for fund in (i for i in instruments if i.kind in ("fund", "sector")):
        issuer = publisher(fund)
        counted = issuer is not None and bool(issuer.share_count)
        offers.append(Offer("fund_nav", fund.symbol, ages["fund_nav"] if counted else of_yahoo))
        offers.append(Offer("fund_facts", fund.symbol, ages["fund_facts"]))
        if issuer and issuer.has_holdings:
            offers.append(Offer("holdings", fund.symbol, ages["holdings"]))
    return offers


def indexes(source: object, instruments: Sequence[Instrument]) -> frozenset[str]:
    """The indexes among `instruments` that `source` has, by its own `indexes`; none for a source without that method."""
    says = getattr(source, "indexes", None)
    listed = [i for i in instruments if i.kind == "index"]
    return frozenset(says(listed)) if says else frozenset()


def as_fresh_as_possible(offers: Sequence[Offer]) -> list[Offer]:
    """`offers` with fund records due as soon as a session is missing: issuers publish it on the following day."""
    return [offer._replace(max_age_sessions=0) if offer.dataset == "fund_nav" else offer for offer in offers]
