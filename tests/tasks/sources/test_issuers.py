"""Invesco, Vanguard, Roundhill, Dimensional, and what State Street and iShares have beside their main file: the genuine client against
a server with their formats."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from typing import Any

import pandas as pd
import pytest
from issuer_market import END, EVER, START, Market, refused, same_nav
from vendor.fixtures import vendor, vendor_server  # noqa: F401
from vendor.issuer_apis import IDS, known
from vendor.issuer_files import Contents
from vendor.server import Vendor

from market_rotation.tasks import calendar
from market_rotation.tasks.datasets import FUND_NAV_COLUMNS, HOLDINGS_COLUMNS, Offer, fund_offers
from market_rotation.tasks.errors import RateLimited, RotationError, SourceUnavailable, SymbolNotFound
from market_rotation.tasks.issuers import ISSUERS, publisher
from market_rotation.tasks.sources.frames import typed
from market_rotation.tasks.sources.issuers.dimensional import DimensionalSource
from market_rotation.tasks.sources.issuers.invesco import InvescoSource, Listing, session_of
from market_rotation.tasks.sources.issuers.ishares import ISharesSource
from market_rotation.tasks.sources.issuers.reader import Reader, open_reader
from market_rotation.tasks.sources.issuers.roundhill import RoundhillSource
from market_rotation.tasks.sources.issuers.ssga import SsgaSource
from market_rotation.tasks.sources.issuers.vanguard import VanguardSource, parse_share_count
from market_rotation.tasks.sources.yahoo.source import MarketSource
from market_rotation.tasks.universe import Instrument, load_universe

SESSIONS = calendar.load(date(2025, 1, 2), date(2026, 12, 31))
#: Tuesday after a holiday: the session before it is Friday the 16th, the last of the fake market.
NOW = datetime(2026, 1, 20, 22, 0, tzinfo=UTC)
LAST = date(2026, 1, 16)
INSTRUMENTS = {i.symbol: i for i in load_universe().instruments}
DFAT = INSTRUMENTS["VB"].model_copy(update={"symbol": "DFAT", "issuer": "dimensional", "issuer_id": "dfat"})


@pytest.fixture
def issuer(vendor: Vendor) -> Vendor:  # noqa: F811
    """The server with the fake market, some days after its end."""
    vendor.issuers.source = Market()
    vendor.issuers.know(DFAT)
    vendor.now = NOW
    return vendor


def published(symbol: str) -> pd.DataFrame:
    """The fake market's records as an issuer has them: one per session with a NAV, by session."""
    rows = Market().fund_nav(symbol, *EVER)
    return known(Contents(INSTRUMENTS[symbol], rows.iloc[::-1], rows, set()), date(2026, 1, 20)).set_index("session")


def opened(reader: type[Reader], symbol: str, **more: Any) -> Any:
    issuer_id = IDS.get((reader.name, symbol), symbol.lower())
    return reader({symbol: issuer_id}, 10, calendar=SESSIONS, **more)


# ---- Invesco ----


def test_invesco_count_belongs_to_the_session_before_its_publication(issuer: Vendor) -> None:
    """What is published on Tuesday under Tuesday's date is Friday's NAV and count, across a holiday, in one row and two requests."""
    got = opened(InvescoSource, "QQQ").fund_nav("QQQ", *EVER)
    row = published("QQQ").loc[[pd.Timestamp(LAST)]].reset_index().assign(distribution=math.nan)
    row["total_net_assets_usd"] = (row["nav"] * row["shares_outstanding"]).round(2)
    same_nav(got, typed(row, FUND_NAV_COLUMNS))
    assert set(got["source"]) == {"invesco"}
    assert issuer.count("dng-api.invesco.com") == 2
    assert len(opened(InvescoSource, "QQQ").fund_nav("QQQ", START, date(2026, 1, 15))) == 0


@pytest.mark.parametrize(
    ("navs", "session"),
    [
        ({date(2026, 1, 16): 100.0, date(2026, 1, 20): 101.0}, date(2026, 1, 16)),
        ({date(2026, 1, 16): 99.0, date(2026, 1, 20): 100.0000001}, date(2026, 1, 20)),
        ({date(2026, 1, 15): 99.0}, date(2026, 1, 16)),
    ],
)
def test_invesco_nav_history_dates_the_count(navs: dict[date, float], session: date) -> None:
    """The session before the publication, unless the history has that NAV for the day of publication itself."""
    assert session_of(Listing(date(2026, 1, 20), 100.0, 1e6, math.nan), navs, "QQQ", SESSIONS) == session


def test_invesco_listing_and_history_that_contradict_each_other() -> None:
    """Where the NAV is that of no day, neither is the count's."""
    listing = Listing(date(2026, 1, 20), 100.0, 1e6, math.nan)
    refused(lambda: session_of(listing, {LAST: 90.0}, "QQQ", SESSIONS), "NAV of QQQ", "not that of 2026-01-16")


def test_invesco_holdings(issuer: Vendor) -> None:
    """Weights are fractions, BRK/B is BRK-B, cash called USD has no symbol, and the business day is the date."""
    got = opened(InvescoSource, "RSP").holdings("RSP", date(2026, 1, 20))
    _same_holdings(got, ["AAPL", "BRK-B", None, "MA"], END)


# ---- Vanguard ----


def test_vanguard_has_a_count_at_the_months_end_alone(issuer: Vendor) -> None:
    """December's count stands at its last session; NAVs follow to the latest, of two decimals, without a count."""
    got = opened(VanguardSource, "VB").fund_nav("VB", *EVER)
    expected = published("VB")
    assert got["session"].iloc[0] == pd.Timestamp("2025-12-31")
    assert got["session"].iloc[-1] == pd.Timestamp(LAST)
    assert got["shares_outstanding"].notna().tolist() == [True] + [False] * (len(got) - 1)
    assert got["shares_outstanding"].iloc[0] == expected["shares_outstanding"].loc["2025-12-31"] + 0.375
    assert got["nav"].tolist() == [round(nav, 2) for nav in expected["nav"].loc["2025-12-31":]]
    assert set(got["share_count_basis"]) == {"monthly_count"}
    assert got["total_net_assets_usd"].isna().all()


def test_vanguard_count_dated_on_a_weekend_is_of_the_last_session(issuer: Vendor) -> None:
    """A month that ends on a Saturday has its count at Friday's session."""
    issuer.now = datetime(
        2026, 2, 3, 22, 0, tzinfo=UTC
    )  # January 31 is a Saturday; the market's last session is the 16th
    got = opened(VanguardSource, "VOO").fund_nav("VOO", *EVER)
    assert len(got) == 0  # no NAV of that day: the row would lack what an earlier one has
    issuer.now = datetime(2025, 12, 9, 22, 0, tzinfo=UTC)

    class Autumn(Market):
        def fund_nav(self, symbol: str, start: date, end: date) -> pd.DataFrame:
            frame = super().fund_nav(symbol, *EVER)
            return frame.assign(session=frame["session"] - pd.Timedelta(days=14))

    issuer.issuers.source = Autumn()  # its rows begin on November 17; the 30th is a Sunday
    counted = opened(VanguardSource, "VOO").fund_nav("VOO", *EVER).dropna(subset=["shares_outstanding"])
    assert counted["session"].tolist() == [pd.Timestamp("2025-11-28")]


@pytest.mark.parametrize("day", ["2025-12-31", "2026-01-31", "2026-01-30", "2026-05-29"])
def test_vanguard_months_ends(day: str) -> None:
    """The last day of a month, or the weekday before the weekend that ends it."""
    assert parse_share_count(f'{{"effectiveDate":"{day}","outstandingShares":1.5}}'.encode(), "VB").shares == 1.5


@pytest.mark.parametrize("day", ["2025-12-30", "2026-01-29", "2026-01-15"])
def test_vanguard_count_of_another_day_is_refused(day: str) -> None:
    """A count that is of no month's end would become a month's."""
    content = f'{{"effectiveDate":"{day}","outstandingShares":1}}'.encode()
    refused(lambda: parse_share_count(content, "VB"), "share count of VB", day, "not of a month's end")


def test_vanguard_holdings(issuer: Vendor) -> None:
    """Shares of companies alone; weights are fractions of percent as text."""
    _same_holdings(opened(VanguardSource, "VB").holdings("VB", END), ["AAPL", "BRK-B", "MA"], END)


# ---- Roundhill ----


def test_roundhill_counts_of_the_last_ten_sessions(issuer: Vendor) -> None:
    """Each session has the NAV of the history and the count of its holdings file; a session that lacks either is left out."""
    got = opened(RoundhillSource, "MAGS").fund_nav("MAGS", date(2025, 12, 1), LAST)
    expected = published("MAGS").dropna(subset=["shares_outstanding"])
    days = [pd.Timestamp(day) for day in SESSIONS.sessions(date(2026, 1, 5), LAST)]
    assert got["session"].tolist() == days
    assert got["shares_outstanding"].tolist() == expected["shares_outstanding"].loc[days].tolist()
    assert got["nav"].tolist() == expected["nav"].loc[days].tolist()
    assert got["total_net_assets_usd"].isna().all()
    assert issuer.count("Holdings_") == 10
    assert issuer.count("BIGT_Daily") == 1
    early = opened(RoundhillSource, "MAGS").fund_nav("MAGS", START, date(2025, 12, 12))
    lacking = {pd.Timestamp(day) for day in SESSIONS.sessions(START, date(2025, 12, 12))} - set(early["session"])
    assert lacking == {
        pd.Timestamp("2025-12-09"),
        pd.Timestamp("2025-12-10"),
    }  # no count on the one, no NAV on the other


def test_roundhill_holdings(issuer: Vendor) -> None:
    """Those of the last session that has a file; a swap has no symbol."""
    got = opened(RoundhillSource, "MAGS").holdings("MAGS", date(2026, 1, 20))
    _same_holdings(got, ["AAPL", "BRK-B", None, "MA"], LAST)
    issuer.now = datetime(2026, 6, 1, 22, 0, tzinfo=UTC)
    refused(lambda: opened(RoundhillSource, "MAGS").holdings("MAGS", date(2026, 6, 1)), "no file of the sessions up to")


# ---- Dimensional ----


def test_dimensional_holdings(issuer: Vendor) -> None:
    """The last session that has a file, two requests where today's is not there yet; tickers lose their country."""
    got = opened(DimensionalSource, "DFAT").holdings("DFAT", date(2026, 1, 20))
    _same_holdings(got, ["AAPL", "BRK-B", None, "MA"], LAST)
    assert issuer.count("tools-blob") == 2


# ---- State Street and iShares ----


def test_state_street_premiums(issuer: Vendor) -> None:
    """Percent by session, oldest first."""
    got = opened(SsgaSource, "SPY").premiums("SPY", date(2026, 1, 12), LAST)
    assert got["session"].tolist() == list(pd.bdate_range("2026-01-12", LAST))
    assert got["premium_pct"].tolist() == [0.05, 0.04, 0.03, 0.02, 0.01]


def test_state_street_records_need_the_distributions(issuer: Vendor) -> None:
    """Without the file of distributions no record is returned, since its NaN would mean no distribution; one download serves all."""
    issuer.issuers.fault("distributions", "http_500")
    refused(lambda: opened(SsgaSource, "SPY").fund_nav("SPY", *EVER), "distributions of SPY", "HTTP 500")
    issuer.heal()
    source = SsgaSource({"SPY": "spy", "XLK": "xlk"}, 10)
    for symbol in ("SPY", "XLK"):
        assert source.fund_nav(symbol, *EVER)["distribution"].dropna().tolist() == [0.437521]
    assert issuer.count("historical-distributions") == 2


def test_ishares_past_holdings(issuer: Vendor) -> None:
    """A day more than a week before the latest holdings is requested by date; a day without a session has none."""
    source = opened(ISharesSource, "IWM")
    source._ids["IWM"] = "239710"
    past = source.holdings("IWM", date(2025, 12, 15))
    _same_holdings(past, ["AAPL", "BRK-B", None, "MA"], date(2025, 12, 15))
    assert [seen.query.get("asOfDate") for seen in issuer.requests] == [None, "20251215"]
    assert set(source.holdings("IWM", date(2026, 1, 12))["as_of"]) == {pd.Timestamp(END)}
    refused(lambda: source.holdings("IWM", date(2025, 12, 14)), "holdings of IWM", "none of 2025-12-14")


def _same_holdings(got: pd.DataFrame, symbols: list[str | None], as_of: date) -> None:
    assert dict(got.dtypes.astype(str)) == HOLDINGS_COLUMNS
    assert got["symbol"].tolist() == symbols
    weights = [0.61, 0.33, 0.04, 0.02] if None in symbols else [0.61, 0.33, 0.02]
    assert got["weight"].tolist() == pytest.approx(weights)
    assert set(got["as_of"]) == {pd.Timestamp(as_of)}


# ---- all of them ----

CALLS: list[tuple[type[Reader], str, str]] = [
    (InvescoSource, "QQQ", "fund_nav"),
    (InvescoSource, "QQQ", "holdings"),
    (VanguardSource, "VB", "fund_nav"),
    (VanguardSource, "VB", "holdings"),
    (RoundhillSource, "MAGS", "fund_nav"),
    (DimensionalSource, "DFAT", "holdings"),
]


def ask(source: Any, method: str, symbol: str) -> pd.DataFrame:
    frame: pd.DataFrame = getattr(source, method)(symbol, *((START, END) if method == "fund_nav" else (END,)))
    return frame


@pytest.mark.parametrize(("reader", "symbol", "method"), CALLS)
@pytest.mark.parametrize(
    ("kind", "error", "says"),
    [
        ("http_404", SourceUnavailable, "HTTP 404"),
        ("http_429", RateLimited, "HTTP 429"),
        ("http_500", SourceUnavailable, "HTTP 500"),
        ("html_200", SourceUnavailable, "web page"),
        ("empty", SourceUnavailable, "empty"),
        ("truncated", SourceUnavailable, ""),
    ],
)
def test_a_fault_is_one_sentence_and_not_remembered(
    reader: type[Reader], symbol: str, method: str, kind: str, error: type[RotationError], says: str, issuer: Vendor
) -> None:
    """Each fault is refused with its class and reason, and is over when the issuer is well again."""
    source = opened(reader, symbol)
    issuer.issuers.fault(symbol, kind)
    refused(lambda: ask(source, method, symbol), symbol, says, error=error)
    issuer.heal()
    assert len(ask(source, method, symbol)) >= 1


@pytest.mark.parametrize(
    ("reader", "symbol", "kind", "error", "says"),
    [
        (InvescoSource, "QQQ", "wrong_ticker", SourceUnavailable, "its answer is of 46138E131"),
        (InvescoSource, "QQQ", "wrong_currency", SourceUnavailable, "it is in EUR"),
        (InvescoSource, "QQQ", "http_406", RateLimited, "HTTP 406"),
        (VanguardSource, "VB", "wrong_ticker", SourceUnavailable, "its answer is of VTI"),
        (VanguardSource, "VB", "mid_month", SourceUnavailable, "not of a month's end"),
        (RoundhillSource, "MAGS", "wrong_ticker", SourceUnavailable, "has 0 rows of MAGS"),
    ],
)
def test_faults_of_one_issuer(
    reader: type[Reader], symbol: str, kind: str, error: type[RotationError], says: str, issuer: Vendor
) -> None:
    """Another fund's document, another currency, a count of another day, and a host that requests fewer requests in its own way."""
    issuer.issuers.fault(symbol, kind)
    refused(lambda: opened(reader, symbol).fund_nav(symbol, START, END), symbol, says, error=error)


@pytest.mark.parametrize(("reader", "symbol", "method"), CALLS)
def test_a_symbol_without_an_id_is_not_requested(
    reader: type[Reader], symbol: str, method: str, issuer: Vendor
) -> None:
    """A symbol that the universe gives no issuer_id for is unknown, without a request."""
    refused(lambda: ask(opened(reader, symbol), method, "SPY"), "SPY", "issuer_id", error=SymbolNotFound)
    assert issuer.requests == []


def with_ids() -> list[Instrument]:
    """The shipped universe, the funds of all issuers identified, and funds whose issuers have no reader."""
    found = [
        i.model_copy(update={"issuer_id": IDS.get((str(i.issuer), i.symbol), i.issuer_id)})
        for i in INSTRUMENTS.values()
    ]
    avuv = INSTRUMENTS["AVUV"].model_copy(update={"issuer_id": "avuv"})
    return [*(i for i in found if i.symbol not in ("DFAT", "AVUV")), DFAT, avuv]


def test_what_is_requested_follows_from_the_table_of_issuers() -> None:
    """Records a day late and holdings of whoever publishes them; of others Yahoo's records of the day; no holdings where there are none."""
    offered = {(o.dataset, o.symbol): o for o in fund_offers(with_ids())}
    assert {s for s in ("SPY", "IWM", "QQQ", "VB", "MAGS", "DFAT", "AVUV", "PRFZ") if ("holdings", s) in offered} == {
        *("SPY", "IWM", "QQQ", "VB", "MAGS", "DFAT")
    }
    records = {symbol: offered["fund_nav", symbol] for symbol in ("SPY", "VB", "DFAT", "AVUV", "PRFZ")}
    assert records == {s: Offer("fund_nav", s, 1 if s in ("SPY", "VB") else 0) for s in records}


def test_each_reader_of_the_table_opens_and_says_its_name() -> None:
    """Every entry with a reader names a class of that issuer that has the entry's datasets; every other entry has no dataset."""
    for name, issuer in ISSUERS.items():
        assert issuer.limits.endswith(".")
        if issuer.reader is None:
            assert issuer.limits.startswith("No source: ")
            assert (issuer.share_count, issuer.has_holdings) == (None, False)
        else:
            reader = open_reader(issuer, with_ids(), 10, SESSIONS)
            assert reader.name == name
            assert hasattr(reader, "fund_nav") == (issuer.share_count is not None)
            assert hasattr(reader, "holdings") == issuer.has_holdings


def test_the_market_takes_each_dataset_from_who_has_it(issuer: Vendor) -> None:
    """Counts of issuers for those that publish them; Yahoo's assets / NAV for Dimensional, whose holdings are its own."""
    unknown = DFAT.model_copy(update={"symbol": "DFAX"})
    market = MarketSource([*with_ids(), unknown], 10, SESSIONS)
    bases = {s: set(market.fund_nav(s, START, LAST)["share_count_basis"]) for s in ("SPY", "IWM", "QQQ", "VB", "MAGS")}
    assert bases == {s: {"monthly_count" if s == "VB" else "daily_count"} for s in bases}
    assert set(market.holdings("DFAT", END)["source"]) == {"dimensional"}
    issuer.requests.clear()
    with pytest.raises(RotationError, match="DFAX"):  # whom the fake Yahoo does not know
        market.fund_nav("DFAX", START, LAST)
    assert {seen.host for seen in issuer.requests} >= {"query2.finance.yahoo.com"}
    assert publisher(DFAT) == ISSUERS["dimensional"]
