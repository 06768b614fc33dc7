"""What every reader of an issuer's documents has in common: it reads its own layout, and of anything else makes a typed error, never a
wrong value and never another exception."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from datetime import date
from functools import partial
from typing import Any

import pytest
from damage import changed, inner, mutations, paths
from layouts import Layout, Said, all_layouts
from yahoo_documents import CHART, SUMMARY

from market_rotation.tasks.errors import RotationError, SourceUnavailable
from market_rotation.tasks.sources.frames import parser
from market_rotation.tasks.sources.yahoo.chart import parse_chart
from market_rotation.tasks.sources.yahoo.estimates import parse_earnings_growth
from market_rotation.tasks.sources.yahoo.funds import parse_fund_facts, parse_fund_nav

LAYOUTS = all_layouts()
each = pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
#: Changed documents tried for each layout.
MUTATIONS = 200


def outcome(layout: Layout, content: bytes) -> Said | None:
    """What the reader makes of the content, None for a refusal. Any other exception fails the test."""
    try:
        return layout.parse(content)
    except SourceUnavailable as error:
        message = str(error)
    assert message.endswith(".")
    assert "\n" not in message
    return None


@each
def test_own_layout(layout: Layout) -> None:
    """The reader and the second reading say the same, and something."""
    said = layout.parse(layout.content)
    assert said == layout.read_again(layout.content)
    assert said


@each
def test_layouts_of_others_are_refused(layout: Layout) -> None:
    """No reader takes a document of another layout, a web page, or a document of nothing; iShares has two layouts in one file."""
    page = b"<!DOCTYPE html><html><head><title>Will be right back</title></head><body>Thank you.</body></html>"
    others = [other.content for other in LAYOUTS if other.content != layout.content]
    if layout.name.startswith("iShares"):
        others = [content for content in others if content[:300] != layout.content[:300]]
    for content in (page, b"", b"{}", b"[]", b"null", b"\0" * 2000, b"{" * 5000, b"[" * 100_000, *others):
        assert outcome(layout, content) is None, content[:100]


@each
def test_truncation_at_any_byte(layout: Layout) -> None:
    """A document that is cut off is refused, or has lost nothing that is read; where a cut between rows cannot be seen, it lost only rows."""
    whole = layout.parse(layout.content)
    step = max(1, len(layout.content) // 150)
    for cut in {*range(0, len(layout.content), step), *range(len(layout.content) - 150, len(layout.content))}:
        said = outcome(layout, layout.content[:cut])
        if said is not None:
            assert said == whole or (layout.loses_tail and set(said) < set(whole)), cut


@each
def test_a_part_that_is_missing(layout: Layout) -> None:
    """Without 300 bytes anywhere, a document is refused or says what the second reading says of it."""
    for start in range(0, len(layout.content), max(1, len(layout.content) // 60)):
        check(layout, layout.content[:start] + layout.content[start + 300 :])


def check(layout: Layout, content: bytes) -> bool:
    """Whether the reader took the content; if so, it says what the second reading says of it, or what the whole document said."""
    said = outcome(layout, content)
    if said is None:
        return False
    try:
        again = layout.read_again(content)
    except Exception:  # the second reading understands less of what is damaged
        again = layout.parse(layout.content)
    assert said == again
    return True


@each
@pytest.mark.long_after(4)
def test_damage_of_any_kind(layout: Layout) -> None:
    """Hundreds of damaged documents: typed errors or the right values, and some of either."""
    chance = random.Random(layout.name)
    parts = inner(layout.content)
    damages = mutations(chance, is_text=parts == [None])
    taken = 0
    for _ in range(MUTATIONS):
        of_values, damage = next(damages)
        taken += check(layout, changed(layout.content, chance.choice(parts) if of_values else None, damage))
    assert 0 < taken < MUTATIONS


#: Columns and members that each layout's reader needs, one of which is renamed.
NEEDED = {
    "State Street NAV history": ("Date", "NAV", "Shares Outstanding", "Total Net Assets", "Ticker Symbol:"),
    "State Street premiums": ("Date", "Premium/Discount"),
    "State Street holdings": ("Name", "Ticker", "Weight"),
    "State Street distributions": ("TICKER", "EX-DATE", "DIVIDEND ($)", "LONG TERM CAPITAL GAIN ($)"),
    "iShares NAV history": ("As Of", "NAV per Share", "Ex-Dividends", "Shares Outstanding", "Historical"),
    "iShares holdings": ("Ticker", "Name", "Asset Class", "Weight (%)", "Holdings"),
    "iShares past holdings": ("Ticker", "Name", "Asset Class", "Weight (%)", "Fund Holdings as of"),
    "Invesco prices": ("effectiveDate", "cusip", "currency", "nav", "sharesOutstanding"),
    "Invesco NAVs": ("cusip", "lineChartData", "type", "data", "date", "value"),
    "Invesco holdings": (
        "cusip",
        "effectiveBusinessDate",
        "totalNumberOfHoldings",
        "holdings",
        "percentageOfTotalNetAssets",
    ),
    "Vanguard profile": ("fundProfile", "fundId", "ticker", "isETF"),
    "Vanguard share count": ("effectiveDate", "outstandingShares"),
    "Vanguard NAVs": ("fundId", "nav", "item", "asOfDate", "price"),
    "Vanguard holdings": ("size", "asOfDate", "fund", "entity", "longName", "ticker", "percentWeight"),
    "Roundhill daily": ("Fund Ticker", "Shares Outstanding", "NAV", "Rate Date"),
    "Roundhill NAVs": ("Fund Ticker", "NAV", "Rate Date"),
    "Roundhill holdings": ("Date", "Account", "StockTicker", "SecurityName", "Weightings", "SharesOutstanding"),
    "Dimensional holdings": ("date", "etf_ticker", "ticker", "description", "weight"),
}


@each
def test_a_renamed_column_or_member_refuses_the_document(layout: Layout) -> None:
    """What is read by its name is refused under another one, and never taken for something that is missing."""
    for name in NEEDED[layout.name]:
        pattern = rf"(?<![\w/ ]){re.escape(name)}(?![\w/ (])".encode()
        content = layout.content
        for part in inner(content):
            content = changed(content, part, partial(re.compile(pattern).sub, b"Anders"))
        assert content != layout.content, name
        assert outcome(layout, content) is None, name


# ---- one guard for all ----


@pytest.mark.parametrize(
    "error",
    [ValueError("odd\nline"), KeyError("x"), RecursionError(), MemoryError(), type("Panic", (BaseException,), {})()],
)
def test_whatever_a_parser_raises_is_a_failure_of_its_symbol(error: BaseException) -> None:
    """An unexpected exception names vendor and symbol in one sentence; an interruption passes through."""

    @parser("Somebody", "NAV history")
    def parse(document: bytes, symbol: str, thrown: BaseException) -> None:
        raise thrown

    with pytest.raises(
        SourceUnavailable, match=r"^Somebody gave no NAV history of SPY: its answer has an unknown layout"
    ) as caught:
        parse(b"", "SPY", error)
    assert "\n" not in str(caught.value)
    for passed in (KeyboardInterrupt(), SystemExit(), SourceUnavailable("Its own.")):
        with pytest.raises(type(passed)):
            parse(b"", "SPY", passed)


DAY = date(2026, 1, 9)


@pytest.mark.long_after(0)
@pytest.mark.parametrize(
    ("document", "parse"),
    [
        (CHART, lambda payload: parse_chart(payload, "SPY", date(2026, 1, 1), DAY)),
        (SUMMARY, lambda payload: parse_fund_nav(payload, "SPY", DAY, DAY)),
        (SUMMARY, lambda payload: parse_fund_facts(payload, "SPY", DAY)),
        (SUMMARY, lambda payload: parse_earnings_growth(payload, "SPY", DAY)),
    ],
    ids=["chart", "NAV", "facts", "growth"],
)
def test_yahoos_answers_with_an_odd_value_anywhere(document: Any, parse: Callable[[Any], Any]) -> None:
    """Each value of the answer in turn is replaced by each odd one: typed errors or a frame."""
    assert len(parse(document))
    odd: tuple[Any, ...] = (
        None,
        [],
        {},
        "x",
        "",
        -1,
        0,
        1e30,
        9_151_315_200_000,
        True,
        [None],
        {"raw": None},
        [[]],
        "Infinity",
    )
    refused = 0
    for path in paths(document):
        for value in odd:
            changed = json.loads(json.dumps(document))
            node = changed
            for name in path[:-1]:
                node = node[name]
            node[path[-1]] = value
            try:
                parse(changed)
            except RotationError:
                refused += 1
    assert refused


@pytest.mark.parametrize(
    ("document", "parse", "place"),
    [
        (
            CHART,
            lambda payload: parse_chart(payload, "SPY", date(2026, 1, 1), DAY),
            ("indicators", "quote", 0, "close", 1),
        ),
        (CHART, lambda payload: parse_chart(payload, "SPY", date(2026, 1, 1), DAY), ("timestamp", 0)),
        (
            CHART,
            lambda payload: parse_chart(payload, "SPY", date(2026, 1, 1), DAY),
            ("events", "dividends", "1767969000", "amount"),
        ),
        (SUMMARY, lambda payload: parse_fund_nav(payload, "SPY", DAY, DAY), ("summaryDetail", "totalAssets")),
        (SUMMARY, lambda payload: parse_fund_facts(payload, "SPY", DAY), ("summaryDetail", "navPrice")),
        (SUMMARY, lambda payload: parse_earnings_growth(payload, "SPY", DAY), ("earningsTrend", "trend", 0, "growth")),
    ],
    ids=["close", "timestamp", "dividend", "assets", "NAV", "growth"],
)
def test_a_truth_value_is_no_number(document: Any, parse: Callable[[Any], Any], place: tuple[Any, ...]) -> None:
    """`true` where Yahoo has a number refuses the answer; Python alone would take it for 1."""
    changed = json.loads(json.dumps(document))
    node = next(iter(changed.values()))["result"][0]
    for name in place[:-1]:
        node = node[name]
    node[place[-1]] = True
    with pytest.raises(SourceUnavailable, match="truth value instead of a number"):
        parse(changed)
