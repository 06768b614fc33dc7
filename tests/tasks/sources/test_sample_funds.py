"""The sample vendor's funds: shares, NAV, holdings and estimates that are deterministic and published as issuers do."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from market_rotation.tasks import calendar
from market_rotation.tasks.datasets import (
    EARNINGS_GROWTH_COLUMNS,
    FUND_FACTS_COLUMNS,
    FUND_NAV_COLUMNS,
    HOLDINGS_COLUMNS,
)
from market_rotation.tasks.errors import SymbolNotFound
from market_rotation.tasks.sources.simulated.companies import SECTORS
from market_rotation.tasks.sources.simulated.funds import CREATION_UNIT, FUNDS
from market_rotation.tasks.sources.simulated.source import SampleSource
from market_rotation.tasks.universe import Instrument, load_universe

START, END = date(2005, 1, 3), date(2026, 11, 20)
UNIVERSE = load_universe()
ROWS = {i.symbol: i for i in UNIVERSE.instruments}
FUND_SYMBOLS = [i.symbol for i in UNIVERSE.instruments if i.kind in ("fund", "sector") and i.issuer]
ISSUED = [s for s in FUND_SYMBOLS if ROWS[s].issuer in ("ssga", "ishares")]
ASSETS_ONLY = [s for s in FUND_SYMBOLS if s not in ISSUED]
SMALL_CAPS = ["IWM", "VTWO", "IJR", "SPSM", "VB"]


@pytest.fixture(scope="module")
def nyse():
    return calendar.load(START, END)


@pytest.fixture(scope="module")
def source(nyse):
    return SampleSource(nyse, UNIVERSE.instruments)


@pytest.fixture(scope="module")
def whole(source):
    """The full record of every fund, as known at its end."""
    return {symbol: source.fund_nav(symbol, START, END) for symbol in FUND_SYMBOLS}


def instrument(symbol, **fields):
    blank = dict.fromkeys(Instrument.model_fields, "")
    return Instrument.model_validate(blank | {"symbol": symbol, "name": symbol, "kind": "fund"} | fields)


def dtypes(frame):
    return {name: str(dtype) for name, dtype in frame.dtypes.items()}


def shares_of(symbol, frame):
    """Shares by session in today's basis, from assets where the count is not published."""
    shares = (frame["total_net_assets_usd"] / frame["nav"]).set_axis(frame["session"])
    return shares * np.where((shares.index < "2025-12-05") & (symbol == "XLK"), 2.0, 1.0)


def created(symbol, frame):
    """Net flow in USD: the change in shares at the NAV of the session before."""
    shares = shares_of(symbol, frame)
    nav = frame["total_net_assets_usd"].to_numpy() / shares
    return shares.diff() * nav.shift()


@pytest.mark.parametrize("symbol", FUND_SYMBOLS)
def test_a_record_has_the_agreed_columns_and_one_row_per_session(source, whole, symbol):
    """Each fund has a row on every session it is priced on, the last apart where issuers publish late, in the agreed dtypes."""
    assert dtypes(whole[symbol]) == FUND_NAV_COLUMNS
    priced = source.prices(symbol, START, END)["session"]
    assert list(whole[symbol]["session"]) == list(priced[:-1] if symbol in ISSUED else priced)
    assert set(whole[symbol]["symbol"]) == {symbol}


@pytest.mark.parametrize("symbol", FUND_SYMBOLS)
def test_nav_is_what_the_fund_trades_at(source, whole, symbol):
    """Closes as traded stray from NAV by basis points, and NAV has the six decimals issuers give."""
    prices = source.prices(symbol, START, END).head(len(whole[symbol]))
    split = np.where((prices["session"] < "2025-12-05") & (symbol == "XLK"), 2.0, 1.0)
    nav = whole[symbol]["nav"]
    assert (prices["close"] * split / nav - 1).abs().max() < 0.003
    np.testing.assert_array_equal(nav, nav.round(6))


@pytest.mark.parametrize("symbol", FUND_SYMBOLS)
def test_assets_are_nav_times_whole_creation_units(whole, symbol):
    """Assets over NAV is a positive number of creation units, to a millionth, whether or not the count is published."""
    frame = whole[symbol]
    units = frame["total_net_assets_usd"] / frame["nav"] / CREATION_UNIT
    assert (units >= 1).all()
    np.testing.assert_allclose(units, np.rint(units), rtol=1e-6)
    np.testing.assert_array_equal(frame["total_net_assets_usd"], frame["total_net_assets_usd"].round(2))


def test_share_counts_are_missing_where_no_issuer_publishes_them(whole):
    """Funds from a vendor have assets and no share count, and their source says so; all others have both."""
    assert {"VOO", "VTWO", "VB", "QQQ", "RSP", "MAGS", "AVUV", "SCHA", "DFAT", "CALF"} <= set(ASSETS_ONLY)
    for symbol, frame in whole.items():
        if symbol in ASSETS_ONLY:
            assert frame["shares_outstanding"].isna().all()
            assert set(frame["source"]) == {"sample: assets / NAV"}
        else:
            np.testing.assert_allclose(
                frame["nav"] * frame["shares_outstanding"], frame["total_net_assets_usd"], rtol=1e-6
            )
            assert (frame["shares_outstanding"] % CREATION_UNIT == 0).all()
            assert set(frame["source"]) == {"sample"}


@pytest.mark.parametrize("symbol", FUND_SYMBOLS)
def test_assets_are_plausible(whole, symbol):
    """Within half a year of the reference a fund is about as large as the real one, and no day changes it beyond reason."""
    assets = whole[symbol].set_index("session")["total_net_assets_usd"] / 1e9
    if symbol in FUNDS:
        assert FUNDS[symbol][0] / 1.6 < assets.loc["2025-10":"2026-03"].median() < FUNDS[symbol][0] * 1.6
    jumps = np.log(shares_of(symbol, whole[symbol])).diff().abs()
    assert jumps.max() < (np.log(1.25) if symbol == "IVV" else 0.15)


def test_most_sessions_bring_creations_or_redemptions(whole):
    """Large old funds issue or redeem on at least nine sessions in ten, small ones on a third to two thirds."""
    for symbol in ("SPY", "IVV", "VOO", "IWM", "IJR", "XLK"):
        assert (shares_of(symbol, whole[symbol]).pct_change().abs() > 1e-6).mean() >= 0.9, symbol
    for symbol in ("MAGS", "IWC"):
        assert 0.3 <= (shares_of(symbol, whole[symbol]).pct_change().abs() > 1e-6).mean() <= 0.6, symbol


def test_money_follows_the_lead(source, whole):
    """Small-cap funds have inflows in most months in which small caps led, outflows in most others, and long streaks."""
    small, large = (source.prices(s, START, END).set_index("session")["vendor_adj_close"] for s in ("IWM", "IWB"))
    lead = small.resample("ME").last().pct_change() - large.resample("ME").last().pct_change()
    flows = [created(symbol, whole[symbol]).resample("ME").sum() for symbol in SMALL_CAPS]
    flow = pd.concat(flows, axis=1).sum(axis=1).loc["2005-02":]
    lead = lead.reindex(flow.index)
    assert (flow[lead > 0] > 0).mean() > 0.65
    assert (flow[lead < 0] < 0).mean() > 0.6
    assert lead.corr(flow) > 0.3
    ups = (flow > 0).rolling(3).sum()
    assert (ups == 3).mean() > 0.1
    assert (ups == 0).mean() > 0.1


def test_a_split_doubles_the_shares_and_halves_the_nav(whole):
    """On XLK's split shares double and NAV halves from that session on, earlier rows stay, and assets move by return and flow."""
    frame = whole["XLK"].set_index("session")
    before, after = frame.loc["2025-12-04"], frame.loc["2025-12-05"]
    assert after["shares_outstanding"] / before["shares_outstanding"] == pytest.approx(2, rel=0.02)
    assert after["nav"] / before["nav"] == pytest.approx(0.5, rel=0.05)
    flow = (after["shares_outstanding"] / 2 - before["shares_outstanding"]) * before["nav"]
    grown = before["total_net_assets_usd"] * after["nav"] * 2 / before["nav"]
    assert after["total_net_assets_usd"] == pytest.approx(grown + flow, rel=0.002)


def test_a_split_does_not_restate_the_record(source, whole):
    """What was published before XLK's split is said after it unchanged."""
    early = source.fund_nav("XLK", START, date(2025, 12, 4))
    pd.testing.assert_frame_equal(early, whole["XLK"].head(len(early)), check_exact=True)


def test_heartbeats_come_and_go(nyse, whole):
    """IVV's only large creations are of 15 to 20 % on some last sessions of a quarter, and are undone two sessions later."""
    ivv = shares_of("IVV", whole["IVV"])
    sessions = nyse.sessions(START, END)
    change = ivv.pct_change()
    beats = change[change > 0.1]
    assert 5 <= len(beats) < 40
    assert beats.between(0.145, 0.205).all()
    for day in beats.index:
        place = ivv.index.get_loc(day)
        assert sessions[place].month in (3, 6, 9, 12)
        assert sessions[place].month != sessions[place + 1].month
        assert abs(change.iloc[place + 1]) < 0.02
        assert change.iloc[place + 2] < -0.12
        assert ivv.iloc[place + 2] == pytest.approx(ivv.iloc[place - 1], rel=0.03)
    assert (change < -0.1).sum() == len(beats)


def test_issuers_publish_a_session_late(nyse, source):
    """As known on a session, an issuer's fund has rows up to the one before it; on the next day, whatever it is, also that one."""
    friday = date(2024, 7, 5)
    for day, last in ((friday, date(2024, 7, 3)), (date(2024, 7, 6), friday), (date(2024, 7, 8), friday)):
        assert source.fund_nav("IWM", START, day)["session"].iloc[-1].date() == last
        assert source.fund_nav("SPY", START, day)["session"].iloc[-1].date() == last
    assert len(source.fund_nav("IWM", friday, friday)) == 0
    assert source.fund_nav("VB", START, friday)["session"].iloc[-1].date() == friday


def test_distributions_are_those_of_the_prices(source, whole):
    """A fund's own record has the dividends and capital gains of its prices, as traded, on the same sessions, else NaN."""
    for symbol in ("XLK", "IWC", "MAGS", "VB"):
        prices, record = source.prices(symbol, START, END).head(len(whole[symbol])), whole[symbol]["distribution"]
        split = np.where((prices["session"] < "2025-12-05") & (symbol == "XLK"), 2.0, 1.0)
        paid = (prices["dividend"] + prices["capital_gain"]) * split
        assert (record.notna() == (paid > 0)).all()
        np.testing.assert_allclose(record.fillna(0), paid, rtol=1e-9)


@pytest.mark.parametrize("symbol", FUND_SYMBOLS)
def test_a_longer_range_only_adds_rows(nyse, whole, symbol):
    """A fresh vendor, asked last fund first for parts and up to earlier days, repeats the rows of the whole."""
    other = SampleSource(nyse, UNIVERSE.instruments)
    for start, end in ((date(2026, 3, 2), END), (START, date(2019, 5, 4)), (date(2025, 12, 1), date(2025, 12, 9))):
        part = other.fund_nav(symbol, start, end)
        rows = whole[symbol][whole[symbol]["session"].between(str(start), str(end))].reset_index(drop=True)
        pd.testing.assert_frame_equal(part, rows.head(len(part)), check_exact=True)
        assert len(rows) - len(part) in (0, 1)


@pytest.mark.parametrize(
    ("first", "last"), [(date(2019, 1, 2), END), (date(1999, 1, 4), date(2020, 6, 30)), (START, date(2029, 12, 31))]
)
def test_the_calendar_and_the_other_instruments_do_not_matter(whole, first, last):
    """A universe of one on another calendar says the same of a fund."""
    start, end = max(first, START), min(last, END)
    for symbol in ("SPY", "IVV", "IWC", "XLK", "VB"):
        got = SampleSource(calendar.load(first, last), [ROWS[symbol]]).fund_nav(symbol, start, end)
        rows = whole[symbol][whole[symbol]["session"].between(str(start), str(end))].reset_index(drop=True)
        pd.testing.assert_frame_equal(got, rows.head(len(got)), check_exact=True)
        assert len(got) > 300


def test_nothing_before_the_inception(source):
    """A fund has no record before its first session, and facts and holdings of a fund not yet listed are errors."""
    assert source.fund_nav("SPSM", START, END)["session"].iloc[0] == pd.Timestamp("2013-07-09")
    none = source.fund_nav("VOO", START, date(2010, 9, 8))
    assert len(none) == 0
    assert dtypes(none) == FUND_NAV_COLUMNS
    assert len(source.fund_nav("SPY", END, START)) == 0
    with pytest.raises(SymbolNotFound, match=r"there is no record of VOO on 2010-09-08"):
        source.fund_facts("VOO", date(2010, 9, 8))
    with pytest.raises(SymbolNotFound, match=r"there is no record of SPSM on 2013-07-09"):
        source.holdings("SPSM", date(2013, 7, 9))


def test_every_fund_has_facts(source):
    """Each fund's facts are one row in the agreed dtypes with a plausible value in every column."""
    facts = pd.concat([source.fund_facts(symbol, date(2026, 7, 5)) for symbol in FUND_SYMBOLS])
    assert dtypes(facts) == FUND_FACTS_COLUMNS
    assert list(facts["symbol"]) == FUND_SYMBOLS
    assert facts.drop(columns="index_name").notna().all(axis=None)
    assert list(facts["index_name"].where(facts["index_name"].notna(), None)) == [
        ROWS[s].index_name for s in FUND_SYMBOLS
    ]
    assert set(facts["as_of"]) == {pd.Timestamp("2026-07-05")}
    assert facts["expense_ratio"].between(0.0003, 0.006).all()
    assert facts["trailing_pe"].between(9, 45).all()
    known = facts.set_index("symbol")
    assert known.loc["IJR", ["category", "index_name"]].tolist() == ["Small Blend", "S&P SmallCap 600"]
    assert known.loc["XLP", "category"] == "Consumer Defensive"
    assert known.loc["SPY", "expense_ratio"] == 0.000945


def test_facts_state_the_last_session(source, whole):
    """Facts of a Sunday give Friday's NAV and assets, as the fund's own record has them."""
    facts, record = source.fund_facts("IWM", date(2026, 3, 8)), whole["IWM"].set_index("session").loc["2026-03-06"]
    assert facts[["nav", "total_net_assets_usd"]].iloc[0].tolist() == [record["nav"], record["total_net_assets_usd"]]


def test_facts_change_slowly(source):
    """Price over earnings moves by a few percent a week at most, yet moves; a cut in fees holds from its day on."""
    pe = [
        source.fund_facts("IWM", day.date())["trailing_pe"].item()
        for day in pd.date_range("2021-01-01", END, freq="W-FRI")
    ]
    assert 0 < np.abs(np.diff(np.log(pe))).max() < 0.05
    assert np.std(pe) > 0.1
    for day, fee in ((date(2026, 2, 1), 0.0007), (date(2026, 2, 2), 0.0006)):
        assert source.fund_facts("VTWO", day)["expense_ratio"].item() == fee


@pytest.mark.parametrize(
    ("symbol", "companies"),
    [
        ("SPY", 503),
        ("IVV", 503),
        ("IWB", 1010),
        ("MDY", 401),
        ("IWM", 1960),
        ("IJR", 603),
        ("SPSM", 603),
        ("IWC", 1340),
    ],
)
def test_holdings_are_as_many_as_the_index_has(source, symbol, companies):
    """A fund holds each company of its index once, heaviest first, and cash; weights are positive and sum to one."""
    held = source.holdings(symbol, END)
    assert dtypes(held) == HOLDINGS_COLUMNS
    assert held["symbol"].notna().sum() == held["symbol"].nunique() == companies
    assert held.loc[held["symbol"].isna(), "name"].tolist() == ["US Dollar"]
    assert held["weight"].is_monotonic_decreasing
    assert held["weight"].min() > 0
    assert held["weight"].sum() == pytest.approx(1, abs=1e-9)
    assert set(held["as_of"]) == {pd.Timestamp("2026-11-19")}
    pd.testing.assert_frame_equal(held, source.holdings(symbol, END), check_exact=True)


def test_funds_on_one_index_hold_the_same(source):
    """Constituents and proportions are the index's; its part of a wider index is in it, and the mega caps lead large caps."""
    held = {s: source.holdings(s, END).dropna().set_index("symbol")["weight"] for s in ISSUED}
    for one, other in (("SPY", "IVV"), ("IJR", "SPSM")):
        assert list(held[one].index) == list(held[other].index)
        np.testing.assert_allclose(held[one] / held[one].sum(), held[other] / held[other].sum(), rtol=1e-9)
    assert set(held["SPY"].index) < set(held["IWB"].index)
    assert set(held["IJR"].index) < set(held["IWM"].index)
    assert not set(held["IJR"].index) & set(held["SPY"].index)
    mega = {s for s, row in ROWS.items() if row.peer_group == "mag7"}
    assert set(held["SPY"].index[:7]) == set(held["IWB"].index[:7]) == mega
    assert held["IWM"].max() < 0.02 < held["SPY"].max() < 0.12
    assert held["XLK"].max() < 0.25


def test_sectors_share_out_the_large_caps(source):
    """No company is in two sector funds, all are in the S&P 500, and mega caps are in the sector the universe gives them."""
    held = {s: set(source.holdings(s, END)["symbol"].dropna()) for s in ISSUED if ROWS[s].kind == "sector"}
    assert {s: len(h) for s, h in held.items()} == {s: SECTORS[ROWS[s].sector] for s in held}
    assert sum(map(len, held.values())) == len(set.union(*held.values()))
    assert set.union(*held.values()) <= set(source.holdings("SPY", END)["symbol"])
    for symbol, members in held.items():
        assert {s for s in members if s in ROWS} == {
            i.symbol for i in UNIVERSE.instruments if i.kind == "stock" and i.sector == ROWS[symbol].sector
        }


def test_estimates_change_slowly_and_differ_by_size(source):
    """Nearly all constituents have estimates, which move on Mondays only and little, and small caps' overtake by 2026."""
    small, large = (source.holdings(s, END)["symbol"].dropna()[::3] for s in ("IJR", "SPY"))

    def growth(symbols, day):
        return pd.concat([source.earnings_growth(s, day) for s in symbols]).set_index("symbol")

    for day, small_leads in ((date(2024, 3, 4), False), (date(2026, 6, 1), True)):
        each = [growth(symbols, day)["growth_next_year"] for symbols in (small, large)]
        assert all(e.notna().mean() >= 0.9 for e in each)
        assert each[0].isna().any()
        gap = each[0].mean() - each[1].mean()
        assert 0.01 < (gap if small_leads else -gap) < 0.1
        assert all(e.dropna().between(-0.5, 0.8).all() for e in each)
    monday, sunday, next_monday = (growth(small[:200], date(2026, 6, d)) for d in (1, 7, 8))
    columns = ["growth_current_year", "growth_next_year"]
    pd.testing.assert_frame_equal(monday[columns], sunday[columns], check_exact=True)
    moved = (next_monday[columns] - monday[columns]).abs()
    assert 0 < moved.max(axis=None) < 0.02
    assert set(sunday["as_of"]) == {pd.Timestamp("2026-06-07")}


def test_every_stock_has_an_estimate(nyse, source):
    """The universe's own stocks, a user's among them, are followed like constituents, in the agreed dtypes."""
    stocks = [s for s, row in ROWS.items() if row.kind == "stock"]
    frames = pd.concat([source.earnings_growth(s, END) for s in stocks])
    assert frames.drop(columns="answer").notna().all(axis=None)
    assert dtypes(frames) == EARNINGS_GROWTH_COLUMNS
    own = SampleSource(nyse, [instrument("OWN", kind="stock", size_bucket="small")])
    assert len(own.earnings_growth("OWN", END)) == 1
    pd.testing.assert_frame_equal(own.earnings_growth("AAPL", END), source.earnings_growth("AAPL", END))


@pytest.mark.long_after(1)
@pytest.mark.parametrize("symbol", ["AAPL", "NVDA", "LAAAB", "SAAAB", "SAACD"])
def test_estimates_move_on_to_the_next_fiscal_year(source, symbol):
    """Over two years: the next year becomes the one under way, weeks after its end, and growth is that of the earnings."""
    frames = pd.concat([source.earnings_growth(symbol, date(2024, 1, 1) + timedelta(days=d)) for d in range(0, 730, 3)])
    current, following = frames["period_end_current_year"], frames["period_end_next_year"]
    assert (following - current).dt.days.between(365, 366).all()
    assert (frames["as_of"] - current).dt.days.between(-366 + 45, 45).all()
    assert current.nunique() == 3
    assert current.is_monotonic_increasing
    assert frames.groupby(current)["eps_year_ago"].nunique().max() == 1
    for growth, eps, before in (
        ("growth_current_year", "eps_current_year", "eps_year_ago"),
        ("growth_next_year", "eps_next_year", "eps_current_year"),
    ):
        assert (frames[eps] / frames[before] - 1 - frames[growth]).abs().max() < 3e-4
    assert (frames["price"] > 5 * frames["eps_next_year"].abs()).all()
    assert (frames["revisions_up_30d"] + frames["revisions_down_30d"] <= frames["analysts"] + 1).all()


@pytest.mark.parametrize(
    ("method", "symbol", "says"),
    [
        ("fund_nav", "ZZZ", "has no symbol ZZZ; add a row"),
        ("fund_facts", "ZZZ", "has no symbol ZZZ; add a row"),
        ("holdings", "ZZZ", "has no symbol ZZZ; add a row"),
        ("fund_nav", "AAPL", "AAPL is a stock and has no fund data"),
        ("fund_facts", "AAPL", "AAPL is a stock and has no fund data"),
        ("holdings", "AAPL", "AAPL is a stock and has no fund data"),
        ("holdings", "VB", "issuer of VB publishes no holdings file here"),
        ("holdings", "MAGS", "issuer of MAGS publishes no holdings file here"),
        ("earnings_growth", "SPY", "no analyst follows SPY"),
        ("earnings_growth", "SAAAA", "no analyst follows SAAAA"),
        ("earnings_growth", "MAEAC", "no analyst follows MAEAC"),
        ("earnings_growth", "LAAAAB", "no analyst follows LAAAAB"),
        ("earnings_growth", "ZZZ", "no analyst follows ZZZ"),
    ],
)
def test_what_is_not_known_is_an_error(source, method, symbol, says):
    """Whatever the vendor does not have raises `SymbolNotFound`, in one sentence that names the symbol and a remedy."""
    with pytest.raises(SymbolNotFound, match=says) as caught:
        getattr(source, method)(symbol, *([START] if method == "fund_nav" else []), END)
    assert str(caught.value).count(".") == 1


@pytest.mark.parametrize("kind", ["fund", "sector"])
@pytest.mark.parametrize("size", ["mega", "large", "mid", "small", "micro", ""])
@pytest.mark.parametrize("sector", ["", "technology", "a sector of one's own"])
def test_any_fund_row_works(nyse, kind, size, sector):
    """Whatever a user's row says or leaves blank, the fund has a record, facts and, from an issuer that tells, holdings."""
    row = instrument("OWN", kind=kind, size_bucket=size, sector=sector, issuer="ishares", inception="2026-03-02")
    own = SampleSource(nyse, [row])
    record = own.fund_nav("OWN", START, END)
    assert (record["shares_outstanding"] >= CREATION_UNIT).all()
    assert np.log(record["shares_outstanding"]).diff().abs().max() < np.log(1.5)
    assert own.fund_facts("OWN", END)["category"].item()
    assert own.holdings("OWN", END)["weight"].sum() == pytest.approx(1)


@pytest.mark.long_after(0)
def test_threads_see_the_same(nyse, source, whole):
    """Many threads asking one fresh vendor at once each get what a single caller gets."""
    shared = SampleSource(nyse, UNIVERSE.instruments)
    asked = [symbol for symbol in FUND_SYMBOLS for _ in range(4)]

    def ask(symbol):
        held = shared.holdings(symbol, END) if symbol in ISSUED else None
        return shared.fund_nav(symbol, START, END), shared.fund_facts(symbol, END), held

    with ThreadPoolExecutor(16) as pool:
        for symbol, (record, facts, held) in zip(asked, pool.map(ask, asked), strict=True):
            pd.testing.assert_frame_equal(record, whole[symbol], check_exact=True)
            pd.testing.assert_frame_equal(facts, source.fund_facts(symbol, END), check_exact=True)
            if held is not None:
                pd.testing.assert_frame_equal(held, source.holdings(symbol, END), check_exact=True)
