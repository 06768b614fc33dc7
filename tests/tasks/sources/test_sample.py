"""The sample vendor: deterministic whatever is asked, and restating its history the way a real vendor does."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from market_rotation.tasks import calendar
from market_rotation.tasks.datasets import PRICE_COLUMNS
from market_rotation.tasks.errors import SymbolNotFound
from market_rotation.tasks.sources.simulated.prices import ANCHOR, SPLITS
from market_rotation.tasks.sources.simulated.source import SampleSource
from market_rotation.tasks.universe import Instrument, load_universe

START, END = date(2005, 1, 3), date(2026, 11, 20)
UNIVERSE = load_universe()
STATED = ["open", "high", "low", "close", "dividend", "capital_gain", "vendor_adj_close"]


@pytest.fixture(scope="module")
def nyse():
    return calendar.load(START, END)


@pytest.fixture(scope="module")
def source(nyse):
    return SampleSource(nyse, UNIVERSE.instruments)


@pytest.fixture(scope="module")
def whole(source):
    """The full history of every instrument, as known at its end."""
    return {symbol: source.prices(symbol, START, END) for symbol in UNIVERSE.symbols}


def as_traded(frame):
    """The frame with prices and volume as they were before any later split of the frame."""
    later = frame["split_ratio"][::-1].cumprod()[::-1].shift(-1, fill_value=1.0)
    return frame.assign(**{c: frame[c] * later for c in STATED}, volume=frame["volume"] / later)


def instrument(symbol, **fields):
    blank = dict.fromkeys(Instrument.model_fields, "")
    return Instrument.model_validate(blank | {"symbol": symbol, "name": symbol, "kind": "stock"} | fields)


def test_a_frame_has_the_protocol_columns_and_one_row_per_session(nyse, whole):
    """Each instrument listed before the start has a bar on every session, oldest first, in the agreed columns and dtypes."""
    spy = whole["SPY"]
    assert {name: str(dtype) for name, dtype in spy.dtypes.items()} == PRICE_COLUMNS
    assert list(spy["session"].dt.date) == nyse.sessions(START, END)
    assert set(spy["symbol"]) == {"SPY"}


def test_bars_are_possible(whole):
    """No bar is one the market could not print: lows at or under all, highs at or over all, whole shares, sane prices."""
    for symbol in (i.symbol for i in UNIVERSE.instruments if i.kind != "index"):
        frame = whole[symbol]
        traded = as_traded(frame)
        assert frame.notna().all(axis=None), symbol
        assert (frame["low"] <= frame[["open", "close"]].min(axis=1)).all(), symbol
        assert (frame["high"] >= frame[["open", "close"]].max(axis=1)).all(), symbol
        assert traded["close"].between(1, 5000).all(), symbol
        assert np.allclose(traded["close"] * 100, np.rint(traded["close"] * 100), atol=1e-6), symbol
        assert (frame["volume"] >= 1).all(), symbol
        assert (frame["volume"] % 1 == 0).all(), symbol
        assert np.log(frame["vendor_adj_close"]).diff().abs().max() < 0.25, symbol


@pytest.mark.parametrize(
    ("kind", "low", "high"), [("fund", 0.008, 0.015), ("sector", 0.008, 0.016), ("stock", 0.017, 0.023)]
)
def test_volatility_is_that_of_the_kind(whole, kind, low, high):
    """Funds, sectors and stocks move about as much a day as real ones."""
    for symbol in (i.symbol for i in UNIVERSE.instruments if i.kind == kind):
        # Bonds move less.
        if symbol in ("HYG", "IEF"):
            continue
        assert low < np.log(whole[symbol]["vendor_adj_close"]).diff().std() < high, symbol


def test_no_row_depends_on_the_calls_before_it(nyse, source, whole):
    """A fresh vendor returns the same for short ranges in reverse order as for one full range."""
    other = SampleSource(nyse, UNIVERSE.instruments)
    for symbol in reversed(UNIVERSE.symbols):
        for start in (date(2026, 11, 16), date(2026, 3, 2)):
            part = other.prices(symbol, start, END)
            expected = whole[symbol][whole[symbol]["session"] >= str(start)]
            pd.testing.assert_frame_equal(part, expected.reset_index(drop=True), check_exact=True)


def test_no_row_depends_on_the_other_instruments(nyse, whole):
    """A universe of one says the same about it as the whole universe."""
    for one in UNIVERSE.instruments[::7]:
        alone = SampleSource(nyse, [one]).prices(one.symbol, START, END)
        pd.testing.assert_frame_equal(alone, whole[one.symbol], check_exact=True)


def test_a_longer_range_only_adds_rows(source, whole):
    """Asked up to an earlier day, the vendor gives a prefix of what it gives later, apart from its own adjusted close."""
    early = source.prices("IWM", START, date(2017, 5, 4))
    later = whole["IWM"].head(len(early))
    pd.testing.assert_frame_equal(
        early.drop(columns="vendor_adj_close"), later.drop(columns="vendor_adj_close"), check_exact=True
    )
    ratio = early["vendor_adj_close"] / later["vendor_adj_close"]
    assert np.ptp(ratio) < 1e-12
    assert ratio.iloc[0] > 1.05


@pytest.mark.parametrize(
    ("first", "last"),
    [(date(2019, 1, 2), END), (date(1999, 1, 4), date(2020, 6, 30)), (date(2003, 7, 1), date(2029, 12, 31))],
)
def test_the_calendar_bounds_do_not_matter(whole, first, last):
    """Rows are the same whichever history start and end the calendar was made for, before and after the shipped ones."""
    other = SampleSource(calendar.load(first, last), UNIVERSE.instruments)
    start, end = max(first, START), min(last, END)
    for symbol in ("SPY", "IJR", "XLU", "MSFT"):
        expected = whole[symbol][whole[symbol]["session"].between(str(start), str(end))].reset_index(drop=True)
        columns = [c for c in PRICE_COLUMNS if c != "vendor_adj_close" or end == END]
        got = other.prices(symbol, start, end)
        pd.testing.assert_frame_equal(got[columns], expected[columns], check_exact=True)


def test_nothing_before_the_anchor():
    """An instrument of unknown inception starts where the simulation does, even if the calendar reaches further back."""
    old = SampleSource(calendar.load(date(1999, 1, 4), date(2001, 12, 31)), [instrument("ABC")])
    frame = old.prices("ABC", date(1999, 1, 4), date(2001, 12, 31))
    assert frame["session"].iloc[0] == pd.Timestamp(ANCHOR)


@pytest.mark.parametrize(("symbol", "day", "ratio"), [(s, *split) for s, table in SPLITS.items() for split in table])
def test_a_split_restates_the_history_from_its_session_on(nyse, source, symbol, day, ratio):
    """The day before, the vendor shows prices as traded; on the split's session it has divided all of them by the ratio."""
    effective = date.fromisoformat(day)
    assert nyse.is_session(effective)
    before = source.prices(symbol, START, effective - timedelta(days=1))
    after = source.prices(symbol, START, effective)
    assert after["split_ratio"].iloc[-1] == ratio
    old = after.head(len(before))
    for column in ("open", "high", "low", "close"):
        np.testing.assert_allclose(before[column] / old[column], ratio, rtol=1e-14)
    paid = before["dividend"] > 0
    np.testing.assert_allclose(before["dividend"][paid] / old["dividend"][paid], ratio, rtol=1e-14)
    np.testing.assert_allclose(old["volume"] / before["volume"], ratio, rtol=1e-14)
    assert (before["split_ratio"] == old["split_ratio"]).all()
    # The restated series runs through the split without a jump.
    assert abs(np.log(after["close"].iloc[-1] / after["close"].iloc[-2])) < 0.2


def test_indexes_are_levels(whole):
    """An index has a level, and no volume, distribution or split; volatility jumps, and the short rate moves less in a day than the long one."""
    steps = {}
    for symbol in (i.symbol for i in UNIVERSE.instruments if i.kind == "index"):
        frame = whole[symbol]
        assert (frame["volume"] == 0).all()
        assert (frame[["dividend", "capital_gain"]] == 0).all(axis=None)
        assert (frame["split_ratio"] == 1).all()
        assert (frame["close"] == frame["vendor_adj_close"]).all()
        assert (frame["low"] <= frame["close"]).all()
        steps[symbol] = frame["close"].diff().std()
    assert whole["^VIX"]["close"].between(4, 150).all()
    assert whole["^VIX"]["close"].pct_change().max() > 0.2
    assert whole["^TNX"]["close"].between(-0.1, 8).all()
    assert steps["^IRX"] < steps["^TNX"]
    assert (whole["^TNX"]["close"] < whole["^IRX"]["close"]).any(), "the curve inverts"


def test_splits_are_rare_and_real(whole):
    """Only the splits of the table are reported, each on its session."""
    for symbol, frame in whole.items():
        split = frame[frame["split_ratio"] != 1]
        reported = tuple(zip(split["session"].dt.strftime("%Y-%m-%d"), split["split_ratio"], strict=True))
        assert reported == SPLITS.get(symbol, ()), symbol


def test_funds_pay_each_quarter_and_on_sessions(nyse, whole):
    """Every fund pays four times a year at a usual yield; ex-dates that fall on a holiday move to the next session."""
    for fund in (i for i in UNIVERSE.instruments if i.kind in ("fund", "sector")):
        frame = whole[fund.symbol]
        full_years = frame[frame["session"].dt.year > frame["session"].dt.year.min()]
        paid = full_years[full_years["dividend"] > 0].groupby(full_years["session"].dt.year).size()
        assert (paid.loc[:2025] == 4).all(), fund.symbol
        yearly = frame["dividend"].sum() / frame["close"].mean() / (len(frame) / 252)
        assert 0.003 < yearly < 0.05, fund.symbol
    assert not nyse.is_session(date(2024, 6, 19))
    holiday = instrument("HOL", kind="fund", issuer=_issuer_paying_on(nyse, date(2024, 6, 20)))
    row = SampleSource(nyse, [holiday]).prices("HOL", date(2024, 6, 20), date(2024, 6, 20))
    assert row["dividend"].item() > 0


def _issuer_paying_on(nyse, day):
    """An issuer whose ex-date of June 2024 would be Wednesday the 19th, a holiday."""
    for issuer in map(str, range(100)):
        fund = instrument("F", kind="fund", issuer=issuer)
        year = SampleSource(nyse, [fund]).prices("F", date(2024, 1, 2), date(2024, 12, 31))
        paid = [d.date() for d in year["session"][year["dividend"] > 0]]
        # The third week's Wednesday in March tells Wednesday issuers from Thursday ones.
        if date(2024, 3, 20) in paid:
            assert day in paid
            return issuer
    raise AssertionError("no issuer pays on Wednesdays")


def test_some_stocks_pay_and_some_do_not(whole):
    """Among the stocks there are payers and non-payers, and capital gains are rare and in December."""
    stocks = [whole[i.symbol]["dividend"].sum() for i in UNIVERSE.instruments if i.kind == "stock"]
    assert min(stocks) == 0 < max(stocks)
    gains = pd.concat([frame[frame["capital_gain"] > 0] for frame in whole.values()])
    assert 1 <= gains["symbol"].nunique() <= 2
    assert set(gains["session"].dt.month) == {12}


def test_the_price_drops_by_the_dividend(nyse, whole):
    """With the dividend added back, ex-dates have the same mean return as other days, at yields that would show."""
    frames = [f for s, f in whole.items() if s in {"XLU", "XLRE", "XLE", "XLP"}]
    move = pd.concat([(f["close"] + f["dividend"]) / f["close"].shift() - 1 for f in frames])
    ex = pd.concat([f["dividend"] > 0 for f in frames])
    raw = pd.concat([f["close"] / f["close"].shift() - 1 for f in frames])
    assert raw[ex].mean() < -0.004
    assert abs(move[ex].mean()) < 0.003


@pytest.mark.parametrize("symbol", UNIVERSE.symbols)
def test_the_adjusted_close_is_what_its_own_distributions_say(whole, symbol):
    """Recomputed row by row, each ex-date scales all earlier closes by 1 - distribution / close before; the last is close."""
    frame = whole[symbol]
    close, out = frame["close"].tolist(), (frame["dividend"] + frame["capital_gain"]).tolist()
    factor, expected = 1.0, [0.0] * len(frame)
    for row in range(len(frame) - 1, -1, -1):
        expected[row] = close[row] * factor
        if row and out[row]:
            factor *= 1 - out[row] / close[row - 1]
    np.testing.assert_allclose(frame["vendor_adj_close"], expected, rtol=1e-12)
    assert frame["vendor_adj_close"].iloc[-1] == frame["close"].iloc[-1]


@pytest.mark.parametrize("group", [["SPY", "IVV", "VOO"], ["IJR", "SPSM"], ["IWM", "VTWO"]])
def test_funds_on_one_index_move_together(whole, group):
    """Total returns of funds on the same index differ by basis points a day and hardly over years."""
    first = whole[group[0]].set_index("session")["vendor_adj_close"]
    for symbol in group[1:]:
        pair = pd.concat([first, whole[symbol].set_index("session")["vendor_adj_close"]], axis=1).dropna()
        daily = np.log(pair).diff()
        assert (daily.iloc[:, 0] - daily.iloc[:, 1]).std() < 0.0005
        growth = pair.iloc[-1] / pair.iloc[0]
        assert growth.iloc[0] == pytest.approx(growth.iloc[1], rel=0.005)


def test_small_caps_lead_lately_and_take_turns_before(whole):
    """The world holds both sides of the question: small caps led over the last year, and the lead has changed hands often."""
    small, large = (whole[s].set_index("session")["vendor_adj_close"] for s in ("IWM", "IWB"))
    spread = small.pct_change(252) - large.pct_change(252)
    assert 0.03 < spread.iloc[-1] < 0.35
    assert 0.3 < (spread.dropna() > 0).mean() < 0.7
    assert (spread.loc["2024-06":"2025-06"] < 0).mean() > 0.5


def test_nothing_before_the_inception(nyse, source):
    """The first bar is the inception's, which pays nothing, and a range that ends before it has no rows."""
    voo = source.prices("VOO", START, END)
    assert voo["session"].iloc[0] == pd.Timestamp("2010-09-09")
    paid = voo["session"][voo["dividend"] > 0].iloc[3].date()
    listed_then = SampleSource(nyse, [UNIVERSE.instruments[2].model_copy(update={"inception": paid})])
    assert UNIVERSE.instruments[2].symbol == "VOO"
    assert listed_then.prices("VOO", START, END)["dividend"].iloc[0] == 0
    none = source.prices("VOO", START, date(2010, 9, 8))
    assert len(none) == 0
    assert {name: str(dtype) for name, dtype in none.dtypes.items()} == PRICE_COLUMNS
    not_yet = SampleSource(nyse, [instrument("NEW", inception="2030-01-02")])
    assert len(not_yet.prices("NEW", START, END)) == 0


@pytest.mark.parametrize(
    ("start", "end", "rows"),
    [
        (date(2024, 7, 8), date(2024, 7, 5), 0),
        (date(2024, 7, 4), date(2024, 7, 4), 0),
        (date(2024, 7, 6), date(2024, 7, 7), 0),
        (date(2024, 7, 3), date(2024, 7, 5), 2),
        (date(1990, 1, 1), date(1990, 12, 31), 0),
        (date(2040, 1, 1), date(2040, 12, 31), 0),
    ],
)
def test_only_sessions_inside_the_range(source, start, end, rows):
    """Holidays, weekends, turned-around ranges and those outside the calendar give no rows, as at a vendor."""
    assert len(source.prices("NVDA", start, end)) == rows


def test_an_unknown_symbol_is_an_error(source):
    """A symbol outside the universe raises an error with the remedy."""
    with pytest.raises(SymbolNotFound, match=r"no symbol ZZZ; add a row for it to the universe file") as caught:
        source.prices("ZZZ", START, END)
    assert str(caught.value).count(".") == 1


@pytest.mark.parametrize("kind", ["fund", "sector", "stock"])
@pytest.mark.parametrize("size", ["mega", "large", "mid", "small", "micro", ""])
@pytest.mark.parametrize("sector", ["", "technology", "a sector of one's own"])
def test_any_universe_row_works(nyse, kind, size, sector):
    """Whatever a user's row says or leaves blank, it has a price in range on every session."""
    row = instrument(f"{kind[:2]}{size[:2]}{len(sector)}".upper(), kind=kind, size_bucket=size, sector=sector)
    frame = SampleSource(nyse, [row]).prices(row.symbol, START, END)
    assert len(frame) == len(nyse.sessions(START, END))
    assert frame["close"].between(1, 5000).all()


def test_threads_see_the_same(nyse, whole):
    """Many threads asking one fresh vendor at once each get what a single caller gets."""
    shared = SampleSource(nyse, UNIVERSE.instruments)
    asked = [symbol for symbol in UNIVERSE.symbols for _ in range(4)]
    with ThreadPoolExecutor(16) as pool:
        for symbol, frame in zip(asked, pool.map(lambda s: shared.prices(s, START, END), asked), strict=True):
            pd.testing.assert_frame_equal(frame, whole[symbol], check_exact=True)


def test_processes_see_the_same(whole):
    """Another process, with another seed for Python's own hashes, draws the same market."""
    code = (
        "from datetime import date as d; from market_rotation.tasks.universe import load_universe; from tasks import calendar;"
        "from market_rotation.tasks.sources.simulated.source import SampleSource;"
        "source = SampleSource(calendar.load(d(2026, 1, 2), d(2026, 11, 20)), load_universe().instruments);"
        "print(source.prices('AAPL', d(2026, 11, 20), d(2026, 11, 20))['close'].item())"
    )
    env = os.environ | {"PYTHONHASHSEED": "12345", "PYTHONPATH": str(Path(__file__).parents[3])}
    shown = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True).stdout
    assert float(shown) == whole["AAPL"]["close"].iloc[-1]
