"""Yahoo's fund data: the genuine yfinance client against a server that speaks the wire format, and real recorded answers."""

from __future__ import annotations

import copy
import json
import logging
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from vendor.fixtures import vendor, vendor_server  # noqa: F401
from vendor.server import Vendor
from world import estimate

from market_rotation.tasks.datasets import EARNINGS_GROWTH_COLUMNS, FUND_FACTS_COLUMNS, FUND_NAV_COLUMNS
from market_rotation.tasks.errors import RateLimited, RotationError, SourceUnavailable, SymbolNotFound
from market_rotation.tasks.sources.base import typed
from market_rotation.tasks.sources.yahoo.chart import YahooSource
from market_rotation.tasks.sources.yahoo.estimates import parse_earnings_growth
from market_rotation.tasks.sources.yahoo.funds import parse_fund_facts, parse_fund_nav

# A Friday evening.
EVENING = datetime(2026, 1, 16, 22, 0, tzinfo=UTC)
START, END = date(2026, 1, 5), date(2026, 1, 16)

FACTS = {
    "expense_ratio": 0.0003,
    "total_net_assets_usd": 1.5e12,
    "nav": 612.34,
    "category": "Large Blend",
    "trailing_pe": 29.0,
}


class Backing:
    """What a vendor knows: facts of funds, estimates of companies."""

    def __init__(self, funds: dict[str, dict[str, Any]], companies: dict[str, tuple[float, float]]) -> None:
        self.funds = funds
        self.companies = companies

    def fund_facts(self, symbol: str, as_of: date) -> pd.DataFrame:
        if symbol not in self.funds:
            raise SymbolNotFound(symbol)
        row = {"symbol": symbol, "as_of": as_of} | FACTS | self.funds[symbol]
        return typed({name: [value] for name, value in row.items()}, FUND_FACTS_COLUMNS)

    def earnings_growth(self, symbol: str, as_of: date) -> pd.DataFrame:
        if symbol not in self.companies:
            raise SymbolNotFound(symbol)
        this_year, next_year = self.companies[symbol]
        followed = {"growth_current_year": this_year, "revisions_up_30d": 3.0, "revisions_down_30d": 1.0}
        nobody = dict.fromkeys(("analysts", "revisions_up_30d", "revisions_down_30d"), 0.0)
        row = estimate(symbol, as_of, next_year, **(followed if this_year == this_year else followed | nobody))
        return typed({name: [value] for name, value in row.items()}, EARNINGS_GROWTH_COLUMNS)


@pytest.fixture
def market(vendor: Vendor) -> Vendor:  # noqa: F811
    """A vendor that knows two funds and three companies, on a Friday evening."""
    vendor.now = EVENING
    vendor.summary.source = Backing(
        {"VB": {}, "VOO": {"nav": 600.0, "category": None, "trailing_pe": math.nan}},
        {"AAPL": (0.348, 0.041), "NEW": (math.nan, 0.5), "NIL": (math.nan, math.nan)},
    )
    return vendor


@pytest.fixture
def yahoo(market: Vendor) -> YahooSource:
    return YahooSource(timeout_s=5.0)


ASK: dict[str, Callable[[YahooSource], pd.DataFrame]] = {
    "fund_facts": lambda yahoo: yahoo.fund_facts("VB", END),
    "fund_nav": lambda yahoo: yahoo.fund_nav("VB", START, END),
    "earnings_growth": lambda yahoo: yahoo.earnings_growth("AAPL", END),
}


# ---- good answers ----


def test_fund_facts_arrive_in_the_units_of_the_protocol(yahoo: YahooSource, market: Vendor) -> None:
    """A fund's facts are one typed row, the P/E turned back from the earnings over price that the wire has."""
    frame = yahoo.fund_facts("VB", END)
    assert dict(frame.dtypes.astype(str)) == FUND_FACTS_COLUMNS
    row = frame.to_dict("records")[0]
    assert row.pop("trailing_pe") == pytest.approx(29.0, rel=1e-12)
    assert row == {k: v for k, v in FACTS.items() if k != "trailing_pe"} | {
        "symbol": "VB",
        "as_of": pd.Timestamp(END),
        "index_name": None,
        "source": "yahoo",
    }
    assert market.requests[-1].query["formatted"] == "false"


def test_facts_that_the_vendor_lacks_are_missing_one_by_one(yahoo: YahooSource) -> None:
    """A fund without P/E and category has the rest."""
    row = yahoo.fund_facts("VOO", END).iloc[0]
    assert math.isnan(row["trailing_pe"])
    assert row["category"] is None
    assert row["nav"] == 600.0


def test_a_nav_is_one_row_of_the_last_session_without_a_share_count(yahoo: YahooSource) -> None:
    """NAV and assets are dated `end`; shares and distribution are left to others."""
    frame = yahoo.fund_nav("VB", START, END)
    assert dict(frame.dtypes.astype(str)) == FUND_NAV_COLUMNS
    assert frame[["symbol", "session", "nav", "total_net_assets_usd", "source"]].to_numpy().tolist() == [
        ["VB", pd.Timestamp(END), 612.34, 1.5e12, "yahoo: assets / NAV"]
    ]
    assert frame[["shares_outstanding", "distribution"]].isna().all(axis=None)


def test_todays_nav_is_never_dated_long_ago(yahoo: YahooSource) -> None:
    """Asked for sessions more than a week before its latest quote Yahoo has nothing, and an empty range has no rows."""
    assert len(yahoo.fund_nav("VB", START, date(2026, 1, 9))) == 1
    for start, end in ((date(2025, 1, 6), date(2026, 1, 8)), (END, START)):
        frame = yahoo.fund_nav("VB", start, end)
        assert frame.empty
        assert dict(frame.dtypes.astype(str)) == FUND_NAV_COLUMNS


def test_a_nav_of_a_fund_no_longer_quoted_is_refused(yahoo: YahooSource) -> None:
    """A fund whose last quote is from more than a week before the session gets no NAV of that session."""
    with pytest.raises(SourceUnavailable, match="latest quote is of 2026-01-16"):
        yahoo.fund_nav("VB", START, date(2026, 1, 26))


def test_estimates_arrive_and_none_is_no_failure(yahoo: YahooSource) -> None:
    """Growth of this year and the next; a company that no analyst follows is a row of NaN."""
    for symbol, expected in (("AAPL", [0.348, 0.041]), ("NEW", [math.nan, 0.5]), ("NIL", [math.nan, math.nan])):
        frame = yahoo.earnings_growth(symbol, END)
        assert dict(frame.dtypes.astype(str)) == EARNINGS_GROWTH_COLUMNS
        assert frame[["symbol", "as_of", "source"]].to_numpy().tolist() == [[symbol, pd.Timestamp(END), "yahoo"]]
        got = frame[["growth_current_year", "growth_next_year"]].iloc[0].tolist()
        assert got == pytest.approx(expected, nan_ok=True)


def test_estimates_are_dated_and_kept_whole(yahoo: YahooSource) -> None:
    """An estimate comes with its periods, earnings per share, analysts, revisions and price, and with the answer it was read from."""
    row = yahoo.earnings_growth("AAPL", END).to_dict("records")[0]
    answer = json.loads(row.pop("answer"))
    assert row == estimate(
        *("AAPL", END, 0.041),
        growth_current_year=0.348,
        growth_next_year=pytest.approx(0.041),
        eps_next_year=pytest.approx(5 * 1.041),
        revisions_up_30d=3.0,
        revisions_down_30d=1.0,
        source="yahoo",
    )
    assert sorted(answer) == ["earningsTrend", "price", "quoteType"]
    assert [year["period"] for year in answer["earningsTrend"]["trend"]] == ["0q", "+1q", "0y", "+1y", "+5y"]


def test_the_mean_of_no_estimates_is_not_zero(yahoo: YahooSource) -> None:
    """Where no analyst follows a company its earnings are not known, though Yahoo writes 0."""
    row = yahoo.earnings_growth("NIL", END).iloc[0]
    assert row["analysts"] == 0
    assert row[["eps_current_year", "eps_next_year"]].isna().all()


@pytest.mark.parametrize(("earned", "price"), [("USD", 50.0), (None, 50.0), ("TWD", math.nan)])
def test_earnings_in_another_currency_have_no_price(earned: str | None, price: float) -> None:
    """Shares quoted in dollars of a company that reports in another currency have no price in that of the earnings."""
    trend = [{"period": "0y", "endDate": "2025-12-31", "earningsEstimate": {"earningsCurrency": earned}}]
    quoted = {"currency": "USD", "regularMarketPrice": 50.0}
    frame = parse_earnings_growth(summary(price=quoted, earningsTrend={"trend": trend}), "ABC", END)
    assert frame["price"].tolist() == pytest.approx([price], nan_ok=True)


def test_a_period_that_is_no_date_is_an_unknown_layout() -> None:
    """Where the end of a fiscal year cannot be read the answer is refused, not dated some other way."""
    trend = [{"period": "0y", "endDate": "31 December"}]
    with pytest.raises(SourceUnavailable, match="unknown layout"):
        parse_earnings_growth(summary(earningsTrend={"trend": trend}), "ABC", END)


def test_a_company_is_not_found_as_a_fund(yahoo: YahooSource, market: Vendor) -> None:
    """A fund's symbol that now names a company is not found, since a retry would not help; it is requested once."""
    for ask in (lambda: yahoo.fund_facts("AAPL", END), lambda: yahoo.fund_nav("AAPL", START, END)):
        with pytest.raises(SymbolNotFound, match="knows no fund AAPL, but lists it as EQUITY"):
            ask()
    assert market.count("/quoteSummary/AAPL") == 2


def test_an_unknown_symbol_is_not_found(yahoo: YahooSource) -> None:
    """Yahoo's "Quote not found for symbol" is final."""
    for ask in (lambda: yahoo.fund_facts("ZZZ", END), lambda: yahoo.earnings_growth("ZZZ", END)):
        with pytest.raises(SymbolNotFound, match="does not know the symbol ZZZ"):
            ask()


# ---- faults of the service ----


@pytest.mark.long_after(1)
@pytest.mark.parametrize("method", ASK)
@pytest.mark.parametrize(
    ("kind", "error", "says"),
    [
        ("http_429", RateLimited, "HTTP 429"),
        ("http_500", SourceUnavailable, "HTTP 500"),
        ("http_404", SymbolNotFound, "does not know"),
        ("html_200", SourceUnavailable, "web page"),
        ("truncated_json", SourceUnavailable, "cut off"),
        ("missing_modules", SourceUnavailable, "answer has n"),
        ("wrong_currency", SourceUnavailable, "GBP"),
        ("hang", SourceUnavailable, "did not answer within 0.5 s"),
    ],
)
def test_a_refusal_is_typed_and_the_next_call_asks_again(
    method: str, kind: str, error: type[RotationError], says: str, market: Vendor
) -> None:
    """Each failure of each dataset has its class and one readable sentence, and is not remembered."""
    yahoo = YahooSource(timeout_s=0.5 if kind == "hang" else 5.0)
    ask = ASK[method]
    good = ask(yahoo)
    market.summary.fault("*", kind)
    if method == "earnings_growth" and kind in ("missing_modules", "wrong_currency"):
        # No estimates are no failure, and growth has no currency.
        assert ask(yahoo)["growth_next_year"].isna().all() == (kind == "missing_modules")
    else:
        for _ in range(2):
            with pytest.raises(error) as caught:
                ask(yahoo)
            assert type(caught.value) is error
            message = str(caught.value)
            assert says in message
            assert ("AAPL" if method == "earnings_growth" else "VB") in message
            assert "prices" not in message
            assert message.endswith(".")
            assert len(message) < 200
            assert "\n" not in message
            assert caught.value.__cause__ is None
    market.heal()
    pd.testing.assert_frame_equal(ask(yahoo), good)


def test_faults_of_charts_and_of_fund_data_are_apart(yahoo: YahooSource, market: Vendor) -> None:
    """A failing quoteSummary leaves prices alone, and the other way round."""
    market.summary.fault("*", "http_429")
    assert len(yahoo.prices("VOO", START, END)) == 10
    market.heal()
    market.fault("*", "http_429")
    assert len(yahoo.fund_facts("VOO", END)) == 1


# ---- cookie and crumb ----


@pytest.mark.parametrize("kind", ["crumb_429", "crumb_html", "cookie_none"])
def test_without_a_crumb_nothing_is_asked_and_the_next_call_gets_one(
    kind: str, yahoo: YahooSource, market: Vendor
) -> None:
    """An invalid cookie or crumb is a typed failure without a request that would be refused; the next call, with a new cookie, succeeds."""
    market.fault("*", kind, times=1)
    with pytest.raises(SourceUnavailable, match="no fund facts of VB: it gave no cookie and crumb, which this needs;"):
        yahoo.fund_facts("VB", END)
    assert market.count("/quoteSummary/") == 0
    assert len(yahoo.fund_facts("VB", END)) == 1
    assert [market.count(part) for part in ("fc.yahoo.com", "/quoteSummary/")] == [2, 1]


@pytest.mark.parametrize("kind", ["crumb_429", "cookie_hang"])
def test_a_crumb_that_charts_gave_up_is_asked_for(kind: str, market: Vendor) -> None:
    """Charts that work without a crumb do not keep fund data from getting one, even if the cookie's host hung."""
    yahoo = YahooSource(timeout_s=3.0 if kind == "cookie_hang" else 20.0)
    market.fault("*", kind)
    assert len(yahoo.prices("VOO", START, END)) == 10
    with pytest.raises(SourceUnavailable, match="no cookie and crumb"):
        yahoo.fund_facts("VB", END)
    market.heal()
    assert len(yahoo.fund_facts("VB", END)) == 1


def test_an_expired_crumb_is_replaced_without_an_error(yahoo: YahooSource, market: Vendor) -> None:
    """yfinance's own second attempt with a new crumb is in use."""
    yahoo.fund_facts("VB", END)
    market.yahoo.crumbs[:] = ["another"]
    assert len(yahoo.fund_facts("VB", END)) == 1


def test_threads_share_the_wait_for_a_hanging_cookie_host(market: Vendor) -> None:
    """Eight calls that begin together wait for one time-out, not for eight in a row."""
    market.fault("*", "cookie_hang")
    yahoo = YahooSource(timeout_s=1.0)
    began = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(yahoo.fund_facts, "VB", END) for _ in range(8)]
        assert all(isinstance(call.exception(), SourceUnavailable) for call in calls)
    assert time.monotonic() - began < 4.0
    assert market.count("fc.yahoo.com") == 1


def test_eight_threads_thirty_symbols_one_crumb(yahoo: YahooSource, market: Vendor) -> None:
    """Each call gets its own symbol's values, and all share one cookie and one crumb."""
    market.summary.source = Backing(
        {f"F{n:02d}": {"nav": 100.0 + n, "total_net_assets_usd": 1e9 * (n + 1)} for n in range(30)},
        {f"C{n:02d}": (n / 100, n / 50) for n in range(30)},
    )

    def fetch(n: int) -> tuple[Any, ...]:
        facts = yahoo.fund_facts(f"F{n:02d}", END).iloc[0]
        nav = yahoo.fund_nav(f"F{n:02d}", START, END).iloc[0]
        growth = yahoo.earnings_growth(f"C{n:02d}", END).iloc[0]
        return facts["symbol"], facts["nav"], nav["total_net_assets_usd"], growth["symbol"], growth["growth_next_year"]

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(fetch, range(30)))
    assert answers == [(f"F{n:02d}", 100.0 + n, 1e9 * (n + 1), f"C{n:02d}", n / 50) for n in range(30)]
    assert [market.count(part) for part in ("fc.yahoo.com", "getcrumb", "/quoteSummary/")] == [1, 1, 90]


# ---- answers of any shape ----


def summary(**changes: Any) -> dict[str, Any]:
    """A small genuine answer about a fund; `changes` replace modules, None leaves one out."""
    modules: dict[str, Any] = {
        "quoteType": {"quoteType": "ETF", "symbol": "ABC"},
        "price": {"symbol": "ABC", "currency": "USD", "regularMarketTime": 1768597201},  # 2026-01-16, 16:00:01 New York
        "summaryDetail": {"currency": "USD", "navPrice": 50.0, "totalAssets": 2_000_000_000},
        "defaultKeyStatistics": {"category": "Small Blend", "totalAssets": 2_000_000_000},
        "fundProfile": {"categoryName": "Small", "feesExpensesInvestment": {"annualReportExpenseRatio": 0.0005}},
        "topHoldings": {"equityHoldings": {"priceToEarnings": 0.05}},
        "earningsTrend": {"trend": [{"period": "0y", "growth": {"raw": 0.1, "fmt": "10%"}}]},
    } | changes
    kept = {name: module for name, module in modules.items() if module is not None}
    return {"quoteSummary": {"result": [kept], "error": None}}


def facts(**changes: Any) -> pd.Series:
    return parse_fund_facts(summary(**changes), "ABC", END).iloc[0]


@pytest.mark.parametrize(
    ("modules", "expected"),
    [
        ({"fundProfile": {"feesExpensesInvestment": {"annualReportExpenseRatio": 0.002}}}, 0.002),
        (
            {"fundProfile": {"feesExpensesInvestment": {"annualReportExpenseRatio": {"raw": 0.002, "fmt": "0.20%"}}}},
            0.002,
        ),
        ({"fundProfile": {"feesExpensesInvestment": {"annualReportExpenseRatio": 0, "netExpRatio": 0.0014}}}, 0.0014),
        ({"fundProfile": None, "defaultKeyStatistics": {"annualReportExpenseRatio": 0.0014}}, 0.0014),
        ({"fundProfile": None, "defaultKeyStatistics": {"netExpenseRatio": 0.2}}, 0.002),
        (
            {"fundProfile": None, "summaryDetail": {"netExpenseRatio": {"raw": 0.03, "fmt": "0.03"}, "navPrice": 9}},
            0.0003,
        ),
        ({"fundProfile": {"feesExpensesInvestment": {"annualReportExpenseRatio": 0}}}, math.nan),
        ({"fundProfile": {"feesExpensesInvestment": {"annualReportExpenseRatio": {}}}}, math.nan),
        ({"fundProfile": {"feesExpensesInvestment": None}}, math.nan),
        ({"fundProfile": None}, math.nan),
    ],
)
def test_an_expense_ratio_is_a_fraction_from_wherever_it_comes(modules: dict[str, Any], expected: float) -> None:
    """Fractions stay, a percentage is divided by 100, and 0 means not known."""
    assert facts(**modules)["expense_ratio"] == pytest.approx(expected, nan_ok=True)


def test_an_expense_ratio_in_a_wrong_unit_is_left_out_loudly(caplog: pytest.LogCaptureFixture) -> None:
    """20 % a year is a percentage in a fraction's place: a warning, the next place that tells, and the other facts stay."""
    wrong = {"feesExpensesInvestment": {"annualReportExpenseRatio": 0.2}}
    row = facts(fundProfile=wrong)
    assert math.isnan(row["expense_ratio"])
    assert row["nav"] == 50.0
    assert [(r.levelno, r.message) for r in caplog.records] == [
        (
            logging.WARNING,
            "ABC: left out Yahoo's fundProfile.feesExpensesInvestment.annualReportExpenseRatio, as 0.2 cannot be a fraction.",
        )
    ]
    assert facts(fundProfile=wrong, defaultKeyStatistics={"netExpenseRatio": 0.2})["expense_ratio"] == 0.002


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (0.05, 20.0),
        (0.034, 1 / 0.034),
        (29.0, 29.0),
        (1.0, 1.0),
        (0, math.nan),
        (-3.0, math.nan),
        ("Infinity", math.nan),
    ],
)
def test_a_price_to_earnings_ratio_is_turned_where_it_is_inverted(given: Any, expected: float) -> None:
    """Below 1 it is earnings over price, otherwise price over earnings; a value that is not positive is not known."""
    row = facts(topHoldings={"equityHoldings": {"priceToEarnings": given}})
    assert row["trailing_pe"] == pytest.approx(expected, nan_ok=True)


def test_each_fact_can_be_missing() -> None:
    """Without a module its facts are missing or come from another module; without any fact it is a failure."""
    row = facts(summaryDetail=None, defaultKeyStatistics=None, topHoldings=None)
    assert math.isnan(row["nav"])
    assert math.isnan(row["total_net_assets_usd"])
    assert math.isnan(row["trailing_pe"])
    assert row["category"] == "Small"
    assert facts(summaryDetail=None)["total_net_assets_usd"] == 2e9
    with pytest.raises(SourceUnavailable, match="no fund facts of ABC: its answer has none;"):
        facts(summaryDetail=None, defaultKeyStatistics=None, topHoldings=None, fundProfile=None)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"summaryDetail": {"currency": "USD", "totalAssets": 1}}, "no NAV"),
        ({"summaryDetail": {"navPrice": 50.0}, "defaultKeyStatistics": None}, "no total assets"),
        ({"summaryDetail": {"navPrice": 0, "totalAssets": 1}}, "no NAV"),
    ],
)
def test_a_nav_needs_both_numbers(changes: dict[str, Any], says: str) -> None:
    """Without NAV or assets there is no share count to derive, so the source counts as unavailable."""
    with pytest.raises(SourceUnavailable, match=says):
        parse_fund_nav(summary(**changes), "ABC", START, END)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"quoteType": {"quoteType": "ETF", "symbol": "XYZ"}}, "answered for XYZ"),
        ({"quoteType": None}, "does not say for which symbol"),
        ({"price": {"currency": "CAD"}}, "in CAD, not USD"),
        ({"summaryDetail": {"currency": "GBp", "navPrice": 1}}, "in GBp, not USD"),
        ({"price": None, "summaryDetail": {"navPrice": 1}}, "in no currency, not USD"),
    ],
)
def test_an_answer_to_another_question_is_refused(changes: dict[str, Any], says: str) -> None:
    """Another symbol or currency, or none, never gets in as the asked one."""
    for parse in (lambda p: parse_fund_facts(p, "ABC", END), lambda p: parse_fund_nav(p, "ABC", START, END)):
        with pytest.raises(SourceUnavailable, match=says):
            parse(summary(**changes))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ({"code": "Not Found", "description": "Quote not found for symbol: ABC"}, SymbolNotFound),
        (
            {
                "code": "Not Found",
                "description": "No fundamentals data found for any of the summaryTypes=quoteType,earningsTrend",
            },
            SymbolNotFound,
        ),
        (
            {"code": "Not Found", "description": "No fundamentals data found for any of the summaryTypes=earnings"},
            SourceUnavailable,
        ),
        ({"code": "Internal Server Error", "description": "x" * 5000}, SourceUnavailable),
        ("odd", SourceUnavailable),
    ],
)
def test_yahoos_own_explanations(error: Any, expected: type[RotationError]) -> None:
    """An unknown symbol is distinct from a known one without the requested modules, and from an outage."""
    with pytest.raises(expected) as caught:
        parse_earnings_growth({"quoteSummary": {"result": None, "error": error}}, "ABC", END)
    assert type(caught.value) is expected
    assert len(str(caught.value)) < 250


def _paths(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in children:
        yield from _paths(child, (*path, key))


PARSERS: tuple[tuple[Callable[[Any], pd.DataFrame], dict[str, str]], ...] = (
    (lambda payload: parse_fund_facts(payload, "ABC", END), FUND_FACTS_COLUMNS),
    (lambda payload: parse_fund_nav(payload, "ABC", START, END), FUND_NAV_COLUMNS),
    (lambda payload: parse_earnings_growth(payload, "ABC", END), EARNINGS_GROWTH_COLUMNS),
)


@pytest.mark.parametrize(
    "junk", [None, "x", "", -1, 0, 1.5, True, [], [None], {}, {"x": []}, math.nan, math.inf, 10**400, 10**17], ids=repr
)
def test_no_junk_anywhere_in_an_answer_crashes(junk: Any) -> None:
    """Each part of an answer replaced by each kind of junk gives a typed frame without infinities, or a typed error."""
    messages = []
    for path in _paths(summary()):
        for parse, columns in PARSERS:
            payload: Any = summary()
            node = payload
            for key in path[:-1]:
                node = node[key]
            if path:
                node[path[-1]] = copy.deepcopy(junk)
            else:
                payload = copy.deepcopy(junk)
            try:
                frame = parse(payload)
            except RotationError as refused:
                messages.append(str(refused))
            else:
                assert dict(frame.dtypes.astype(str)) == columns
                assert not (frame == math.inf).any(axis=None)
    assert max(map(len, messages)) < 250


# ---- real recorded answers ----


@pytest.fixture
def recorded(real_data: Path) -> Callable[[str], Any]:
    """The JSON of a recorded quoteSummary answer, by the rest of its file's name."""

    def read(name: str) -> Any:
        path = real_data / "raw" / "yahoo" / f"quoteSummary-{name}.json"
        return json.loads(path.read_text(encoding="utf-8"))["body"]

    return read


AS_OF = date(2025, 2, 21)


def test_real_facts_of_a_fund(recorded: Callable[[str], Any]) -> None:
    """QQQ as recorded on 2025-02-24: 328.3 billion USD, 0.20 %, and a P/E whose inverse agrees with summaryDetail's 34.29."""
    payload = recorded("all-QQQ")
    frame = parse_fund_facts(payload, "QQQ", AS_OF)
    row = frame.iloc[0].to_dict()
    assert row.pop("trailing_pe") == pytest.approx(34.0368, abs=1e-4)
    assert row == {
        "symbol": "QQQ",
        "as_of": pd.Timestamp(AS_OF),
        "expense_ratio": 0.002,
        "total_net_assets_usd": 328302690304.0,
        "nav": 526.07,
        "category": "Large Growth",
        "index_name": None,
        "source": "yahoo",
    }
    stated = payload["quoteSummary"]["result"][0]["summaryDetail"]["trailingPE"]
    assert frame["trailing_pe"].iloc[0] == pytest.approx(stated, rel=0.01)


def test_real_nav_of_a_fund(recorded: Callable[[str], Any]) -> None:
    """QQQ's NAV of Friday 2025-02-21, recorded on Monday before the opening, whose last quote is Friday's."""
    row = parse_fund_nav(recorded("all-QQQ"), "QQQ", date(2025, 2, 3), AS_OF).iloc[0]
    assert (row["session"], row["nav"], row["total_net_assets_usd"]) == (pd.Timestamp(AS_OF), 526.07, 328302690304.0)


@pytest.mark.parametrize(
    ("name", "symbol", "growth"),
    [
        ("allModules-AAPL", "AAPL", [0.348, 0.040999997]),
        ("other-BMW.DE", "BMW.DE", [-0.3184, 0.040999997]),
        ("all-QQQ", "QQQ", [math.nan, math.nan]),
    ],
)
def test_real_estimates(recorded: Callable[[str], Any], name: str, symbol: str, growth: list[float]) -> None:
    """Growth is read from `{"raw", "fmt"}` of the right periods; an answer without the module has none."""
    frame = parse_earnings_growth(recorded(name), symbol, AS_OF)
    got = frame[["growth_current_year", "growth_next_year"]].iloc[0].tolist()
    assert got == pytest.approx(growth, nan_ok=True)


def test_real_estimates_of_apple(recorded: Callable[[str], Any]) -> None:
    """Apple's fiscal years end in September; the estimates of the next one were raised by 29 analysts and lowered by one."""
    row = parse_earnings_growth(recorded("allModules-AAPL"), "AAPL", AS_OF).iloc[0]
    assert row["period_end_current_year":"price"].tolist() == [
        *(pd.Timestamp("2021-09-30"), pd.Timestamp("2022-09-30")),
        *(3.28, 4.42, 4.6, 0.348, 0.040999997, 32.0, 29.0, 1.0, 131.96),
    ]
    assert (
        json.loads(row["answer"])["earningsTrend"]
        == recorded("allModules-AAPL")["quoteSummary"]["result"][0]["earningsTrend"]
    )


def test_real_answers_that_are_no_facts(recorded: Callable[[str], Any]) -> None:
    """A company, a fund in CAD, and answers that do not say for which symbol they are, are refused as what they are."""
    for name, symbol, error, says in (
        ("allModules-AAPL", "AAPL", SymbolNotFound, "lists it as EQUITY"),
        ("all-0P000071W8.TO", "0P000071W8.TO", SourceUnavailable, "CAD"),
        ("all-QQQ", "QQQM", SourceUnavailable, "answered for QQQ"),
        ("defaultKeyStatistics-QQQ", "QQQ", SourceUnavailable, "does not say for which symbol"),
        ("summaryDetail-QQQ", "QQQ", SourceUnavailable, "does not say for which symbol"),
    ):
        with pytest.raises(error, match=says):
            parse_fund_facts(recorded(name), symbol, AS_OF)


@pytest.mark.parametrize(("name", "symbol"), [("earnings-QQQ", "QQQ"), ("assetProfile-QQQQ", "QQQQ")])
def test_real_404_of_a_module_says_nothing_of_the_symbol(
    recorded: Callable[[str], Any], name: str, symbol: str
) -> None:
    """Yahoo's response for QQQ, which it knows, is that for QQQQ, which it does not, when the requested module is missing."""
    with pytest.raises(SourceUnavailable, match="No fundamentals data found"):
        parse_earnings_growth(recorded(name), symbol, AS_OF)


def test_real_profiles_tell_fractions_with_their_percentage(real_data: Path) -> None:
    """In recorded profiles both expense ratios are fractions whose text is in percent; so VFINX costs 0.14 %."""
    for symbol, text, expected in (("QQQ", "0.20%", 0.002), ("VFINX", "0.14%", 0.0014)):
        name = f"yfinance-rs_profile_api_assetProfile-quoteType-fundProfile_{symbol}.json"
        content = json.loads((real_data / "raw" / "yahoo" / name).read_text(encoding="utf-8"))
        payload = content.get("body", content)
        modules = payload["quoteSummary"]["result"][0]
        assert modules["fundProfile"]["feesExpensesInvestment"]["annualReportExpenseRatio"]["fmt"] == text
        modules["price"] = {"currency": "USD"}  # these recordings did not request it
        assert parse_fund_facts(payload, symbol, AS_OF)["expense_ratio"].tolist() == [expected]
