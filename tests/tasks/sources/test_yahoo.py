"""Yahoo: the genuine yfinance client against a server that speaks Yahoo's wire format, and real recorded answers."""

from __future__ import annotations

import copy
import json
import logging
import math
import subprocess
import sys
import time
from bisect import bisect
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from vendor.fixtures import vendor, vendor_server  # noqa: F401
from vendor.server import CA_VARIABLES, Vendor

from market_rotation.tasks.datasets import PRICE_COLUMNS
from market_rotation.tasks.errors import RateLimited, RotationError, SourceUnavailable, SymbolNotFound
from market_rotation.tasks.sources.base import price_frame
from market_rotation.tasks.sources.yahoo.chart import YahooSource, parse_chart

REPOSITORY = Path(__file__).parents[3]

# A Friday evening, and the two weeks of sessions before it.
EVENING = datetime(2026, 1, 16, 22, 0, tzinfo=UTC)
START, END = date(2026, 1, 5), date(2026, 1, 16)


class Table:
    """A source that holds one frame per symbol."""

    name = "table"
    datasets = frozenset({"prices"})

    def __init__(self, frames: dict[str, pd.DataFrame]) -> None:
        self.frames = frames

    def prices(self, symbol: str, start: date, end: date) -> pd.DataFrame:
        if symbol not in self.frames:
            raise SymbolNotFound(symbol)
        frame = self.frames[symbol]
        return frame[(frame["session"] >= str(start)) & (frame["session"] <= str(end))].reset_index(drop=True)


@pytest.fixture
def yahoo(vendor: Vendor) -> YahooSource:  # noqa: F811
    """A source whose vendor stands on a Friday evening."""
    vendor.now = EVENING
    return YahooSource(timeout_s=5.0)


def same(got: pd.DataFrame, expected: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(got, expected, check_exact=True)


# ---- good answers ----


def test_rows_are_exactly_the_vendors(yahoo: YahooSource, vendor: Vendor) -> None:  # noqa: F811
    """Twenty years of bars, dividends and splits arrive bit for bit, in the columns and types of the protocol."""
    for symbol in ("IWM", "NVDA", "XLK"):
        got = yahoo.prices(symbol, date(2005, 1, 3), END)
        assert dict(got.dtypes.astype(str)) == PRICE_COLUMNS
        same(got, vendor.source.prices(symbol, date(2005, 1, 3), END))
    assert (got["split_ratio"] != 1).any()
    assert (got["dividend"] > 0).any()


def test_events_of_every_kind(yahoo: YahooSource, vendor: Vendor) -> None:  # noqa: F811
    """Dividend, capital gain and a reverse split on one session keep their columns and amounts."""
    frame = vendor.source.prices("IWM", START, END)
    frame.loc[3, ["dividend", "capital_gain", "split_ratio"]] = [0.32, 0.17, 0.125]
    vendor.source = Table({"IWM": frame})
    same(yahoo.prices("IWM", START, END), frame)


def test_a_range_without_bars_has_no_rows(yahoo: YahooSource, vendor: Vendor) -> None:  # noqa: F811
    """A weekend (an answer without timestamps) and years before the listing (HTTP 400) are zero rows, not failures."""
    for symbol, start, end in (
        ("IWM", date(2026, 1, 10), date(2026, 1, 11)),
        ("XLC", date(2006, 1, 2), date(2006, 2, 1)),
    ):
        got = yahoo.prices(symbol, start, end)
        assert got.empty
        assert dict(got.dtypes.astype(str)) == PRICE_COLUMNS
    assert vendor.count("/chart/XLC") == 2


def test_the_sessions_bar_before_and_after_the_close(
    yahoo: YahooSource,
    vendor: Vendor,  # noqa: F811
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The bar of a running session is never returned, even on request; after the close, half days included, it is."""
    caplog.set_level(logging.INFO, "rotation.yahoo")
    vendor.now = datetime(2026, 1, 16, 18, 0, tzinfo=UTC)
    assert yahoo.prices("IWM", START, date(2026, 1, 15))["session"].iloc[-1] == pd.Timestamp("2026-01-15")
    assert caplog.messages == []
    assert yahoo.prices("IWM", START, END)["session"].iloc[-1] == pd.Timestamp("2026-01-15")
    assert "still running" in caplog.text
    vendor.now = datetime(2026, 1, 16, 21, 0, tzinfo=UTC)
    same(yahoo.prices("IWM", START, END), vendor.source.prices("IWM", START, END))
    half_day = date(2025, 11, 28)
    vendor.now = datetime(2025, 11, 28, 18, 30, tzinfo=UTC)
    same(yahoo.prices("IWM", half_day, half_day), vendor.source.prices("IWM", half_day, half_day))


def test_a_restated_history_arrives(yahoo: YahooSource, vendor: Vendor) -> None:  # noqa: F811
    """An old session differs after a split: the adapter keeps nothing of its earlier response."""
    frame = vendor.source.prices("IWM", START, END)
    halved = frame.assign(**{name: frame[name] / 2 for name in ("open", "high", "low", "close", "vendor_adj_close")})
    vendor.source = Table({"IWM": frame})
    same(yahoo.prices("IWM", START, END), frame)
    vendor.source = Table({"IWM": halved})
    same(yahoo.prices("IWM", START, END), halved)


# ---- faults of the service ----


@pytest.mark.parametrize(
    ("kind", "error", "says"),
    [
        ("http_429", RateLimited, "HTTP 429"),
        ("http_500", SourceUnavailable, "HTTP 500"),
        ("missing_symbol", SymbolNotFound, "does not know"),
        ("truncated_json", SourceUnavailable, "cut off"),
        ("html_200", SourceUnavailable, "web page"),
        ("wrong_currency", SourceUnavailable, "GBP"),
        ("hang", SourceUnavailable, "did not answer within 0.5 s"),
    ],
)
def test_a_refusal_is_typed_and_the_next_call_asks_again(
    kind: str,
    error: type[RotationError],
    says: str,
    vendor: Vendor,  # noqa: F811
) -> None:
    """Each failure has its class and one readable sentence, costs no hidden retries, and is not remembered."""
    vendor.now = EVENING
    yahoo = YahooSource(timeout_s=0.5 if kind == "hang" else 5.0)
    vendor.fault("IWM", kind)
    for _ in range(2):
        with pytest.raises(error) as caught:
            yahoo.prices("IWM", START, END)
        assert type(caught.value) is error
        message = str(caught.value)
        assert says in message
        assert "IWM" in message
        assert message.endswith(".")
        assert len(message) < 200
        assert "\n" not in message
    # yfinance itself asks a second time after an HTTP status of 400 or more, and never otherwise.
    assert vendor.count("/chart/IWM") == (4 if kind in ("http_429", "http_500", "missing_symbol") else 2)
    vendor.heal()
    same(yahoo.prices("IWM", START, END), vendor.source.prices("IWM", START, END))


def test_an_unexplained_404_is_not_an_unknown_symbol(yahoo: YahooSource) -> None:
    """A 404 that is not Yahoo's own explanation (a retired address, a proxy's page) must not retire the symbol."""
    with pytest.raises(SourceUnavailable, match="HTTP 404"):
        yahoo.prices("IWM/../../../nowhere", START, END)


def test_what_is_kept_and_what_is_cut(yahoo: YahooSource, vendor: Vendor) -> None:  # noqa: F811
    """Bad rows are passed on for the audit: nulls, doubles, wild ticks, holidays. Rows outside the range are not."""
    good = vendor.source.prices("IWM", START, END)

    def under(kind: str) -> pd.DataFrame:
        vendor.heal()
        vendor.fault("IWM", kind)
        return yahoo.prices("IWM", START, END)

    nulled = under("null_last_close")
    assert math.isnan(nulled["close"].iloc[-1])
    same(nulled.iloc[:-1], good.iloc[:-1])
    assert under("bad_tick")["close"].iloc[-1] == pytest.approx(100 * good["close"].iloc[-1])
    same(under("duplicate_timestamp"), pd.concat([good, good.tail(1)], ignore_index=True))
    assert list(under("holiday_row")["session"].dt.day_name()).count("Saturday") == 1
    same(under("stale"), good.iloc[:-1])
    assert under("empty_range").empty
    same(under("future_row"), good)


def test_an_additional_live_row_is_left_out(
    yahoo: YahooSource,
    vendor: Vendor,  # noqa: F811
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Yahoo's live quote beside the day's regular bar is no second bar; the log tells."""
    caplog.set_level(logging.INFO, "rotation.yahoo")
    vendor.fault("IWM", "live_row")
    same(yahoo.prices("IWM", START, END), vendor.source.prices("IWM", START, END))
    assert "IWM: left out Yahoo's live quote of 2026-01-16, as the day has its regular bar." in caplog.messages


# ---- cookie and crumb ----


def test_cookie_and_crumb_are_asked_for_once(yahoo: YahooSource, vendor: Vendor) -> None:  # noqa: F811
    """Ten symbols cost twelve requests, and every chart request carries the crumb."""
    vendor.require_crumb = True
    for symbol in vendor_symbols(10):
        yahoo.prices(symbol, START, END)
    assert [vendor.count(part) for part in ("fc.yahoo.com", "getcrumb", "/chart/")] == [1, 1, 10]
    assert all(seen.query["crumb"] == "cRumB.00000" for seen in vendor.requests if "/chart/" in seen.path)


@pytest.mark.long_after(0)
@pytest.mark.parametrize("kind", ["crumb_429", "crumb_html", "cookie_none", "cookie_hang"])
def test_charts_come_without_cookie_and_crumb(kind: str, vendor: Vendor) -> None:  # noqa: F811
    """A failure to get cookie or crumb is tried once, not per symbol, and no error text is ever sent as a crumb."""
    vendor.now = EVENING
    vendor.fault("*", kind)
    yahoo = YahooSource(timeout_s=3.0 if kind == "cookie_hang" else 20.0)
    for symbol in vendor_symbols(5):
        same(yahoo.prices(symbol, START, END), vendor.source.prices(symbol, START, END))
    assert vendor.count("getcrumb") + vendor.count("fc.yahoo.com") <= 2
    assert vendor.count("/chart/") == 5
    assert not [seen for seen in vendor.requests if "crumb" in seen.query]


@pytest.mark.parametrize("kind", ["crumb_429", "crumb_html", "cookie_none"])
def test_a_spoilt_crumb_is_asked_for_again(kind: str, yahoo: YahooSource, vendor: Vendor) -> None:  # noqa: F811
    """When Yahoo requires a crumb, the call after an invalid one gets a new one and succeeds."""
    vendor.require_crumb = True
    vendor.fault("*", kind, times=1)
    with pytest.raises(SourceUnavailable, match="HTTP 401"):
        yahoo.prices("IWM", START, END)
    same(yahoo.prices("IWM", START, END), vendor.source.prices("IWM", START, END))


def test_an_expired_crumb_is_replaced_without_an_error(yahoo: YahooSource, vendor: Vendor) -> None:  # noqa: F811
    """yfinance's own second attempt with a new crumb is in use."""
    vendor.require_crumb = True
    yahoo.prices("IWM", START, END)
    vendor.yahoo.crumbs[:] = ["another"]
    assert len(yahoo.prices("IWM", START, END)) == 10


def test_a_hanging_cookie_host_costs_one_time_out_in_all(vendor: Vendor) -> None:  # noqa: F811
    """Forty symbols in eight threads wait for fc.yahoo.com once together, though another host fails meanwhile too."""
    vendor.now = EVENING
    vendor.fault("*", "cookie_hang")
    vendor.fault("XLK", "http_500")
    yahoo = YahooSource(timeout_s=1.0)
    symbols = [s for s in vendor_symbols(21) if s != "XLK"] * 2
    began = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        failing = pool.submit(yahoo.prices, "XLK", START, END)
        frames = list(pool.map(lambda symbol: yahoo.prices(symbol, START, END), symbols))
    took = time.monotonic() - began
    assert isinstance(failing.exception(), SourceUnavailable)
    assert all(len(frame) == 10 for frame in frames)
    assert vendor.count("fc.yahoo.com") == 1
    assert 1.0 <= took < 4.0


def test_eight_threads_forty_symbols(yahoo: YahooSource, vendor: Vendor) -> None:  # noqa: F811
    """Each thread gets its own symbol's rows, while a tenth of the symbols is unknown and another tenth is refused."""
    vendor.require_crumb = True
    vendor.require_crumb = True
    base = vendor.source.prices("IWM", START, END)
    source = Table(
        {
            f"S{n:02d}": price_frame({**base, "symbol": [f"S{n:02d}"] * len(base), "close": base["close"] + n})
            for n in range(40)
            if n % 10 != 3
        }
    )
    vendor.source = source
    for n in range(7, 40, 10):
        vendor.fault(f"S{n:02d}", "http_429")

    def fetch(n: int) -> Any:
        try:
            return yahoo.prices(f"S{n:02d}", START, END)
        except RotationError as error:
            return type(error)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(fetch, [*range(40), *range(40)]))
    for n, answer in zip([*range(40), *range(40)], answers, strict=True):
        if n % 10 == 3:
            assert answer is SymbolNotFound
        elif n % 10 == 7:
            assert answer is RateLimited
        else:
            same(answer, source.frames[f"S{n:02d}"])
    assert vendor.count("fc.yahoo.com") == 1


# ---- proxy, certificates, silence ----


@pytest.mark.parametrize("variable", CA_VARIABLES)
def test_one_variable_suffices_for_a_private_ca(
    variable: str,
    vendor: Vendor,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A private certificate authority works when only one of the three usual variables names it."""
    for name in CA_VARIABLES:
        monkeypatch.delenv(name)
    monkeypatch.setenv(variable, vendor.ca_file)
    vendor.now = EVENING
    assert len(YahooSource(timeout_s=5.0).prices("IWM", START, END)) == 10


def test_a_subprocess_reaches_the_vendor_by_its_environment_alone(vendor: Vendor, tmp_path: Path) -> None:  # noqa: F811
    """In a new process with SSL_CERT_FILE alone: it works, prints nothing of its own, and leaves no file in the cache folder."""
    vendor.now = EVENING
    vendor.fault("*", "crumb_429")
    environment = vendor.env(XDG_CACHE_HOME=str(tmp_path))
    del environment["REQUESTS_CA_BUNDLE"], environment["CURL_CA_BUNDLE"]
    program = (
        "from datetime import date; from market_rotation.tasks.sources.yahoo.chart import YahooSource;"
        "print(len(YahooSource().prices('IWM', date(2026, 1, 5), date(2026, 1, 16))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("10\n", "")
    assert list(tmp_path.rglob("*.db")) == []


def test_an_unknown_certificate_says_what_to_set(vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    """Behind a network's own certificate authority the message names the variable that helps."""
    import certifi

    for name in CA_VARIABLES:
        monkeypatch.setenv(name, certifi.where())
    with pytest.raises(SourceUnavailable, match="SSL_CERT_FILE"):
        YahooSource(timeout_s=5.0).prices("IWM", START, END)
    assert vendor.requests == []


@pytest.mark.parametrize(
    "proxy", ["http://user:s3cret@127.0.0.1:9", "http//user:s3cret@x", "socks9://user:s3cret@127.0.0.1:9"]
)
def test_a_broken_proxy_keeps_its_password(
    proxy: str,
    vendor: Vendor,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Neither the message, nor what is shown with it, nor the log repeats the proxy's password."""
    import traceback

    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(SourceUnavailable) as caught:
        YahooSource(timeout_s=2.0).prices("IWM", START, END)
    assert "s3cret" not in "".join(traceback.format_exception(caught.value)) + caplog.text


def test_yfinance_is_quiet_until_debugging(
    yahoo: YahooSource,
    vendor: Vendor,  # noqa: F811
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Failing crumbs and charts put nothing on the console; at the debug level of `rotation.yahoo` yfinance is heard."""
    vendor.fault("*", "crumb_429")
    vendor.fault("XLK", "http_429")
    yahoo.prices("IWM", START, END)
    with pytest.raises(RateLimited):
        yahoo.prices("XLK", START, END)
    assert capfd.readouterr() == ("", "")
    assert caplog.messages == []
    caplog.set_level(logging.DEBUG, "rotation.yahoo")
    yahoo.prices("IWM", START, END)
    assert any("without crumb" in message for message in caplog.messages)


# ---- answers of any shape ----


def chart(**changes: Any) -> dict[str, Any]:
    """A small genuine answer: three sessions, a dividend, a capital gain and a split; `changes` are to its result."""
    stamps = [1578061800, 1578321000, 1578407400]  # 2020-01-03, 06 and 07, 09:30 in New York
    meta = {
        "currency": "USD",
        "symbol": "ABC",
        "exchangeTimezoneName": "America/New_York",
        "regularMarketTime": 1739998801,
        "currentTradingPeriod": {"regular": {"start": 1740061800, "end": 1740085200}},
        "dataGranularity": "1d",
    }
    quote = {name: [1.0, 2.0, 3.0] for name in ("open", "high", "low", "close")} | {"volume": [10, 20, 30]}
    events = {
        "dividends": {"1578321000": {"amount": 0.5, "date": 1578321000}},
        "capitalGains": {"1578321000": {"amount": 0.25, "date": 1578321000}},
        "splits": {"1578407400": {"date": 1578407400, "numerator": 3, "denominator": 2, "splitRatio": "3:2"}},
    }
    indicators = {"quote": [quote], "adjclose": [{"adjclose": [1.0, 2.0, 3.0]}]}
    result = {"meta": meta, "timestamp": stamps, "events": events, "indicators": indicators} | changes
    return {"chart": {"result": [result], "error": None}}


def parse(payload: Any) -> pd.DataFrame:
    return parse_chart(payload, "ABC", date(2020, 1, 1), date(2020, 1, 31))


def test_events_meet_their_session_and_none_is_lost() -> None:
    """Payments of one date are summed; one without a bar in the range is a row without prices, one outside is not given."""
    dividends = {
        "a": {"amount": 0.5, "date": 1578321000},
        "b": {"amount": 0.25, "date": 1578321000},
        "c": {"amount": 9.0, "date": 1578580200},  # 2020-01-09, no bar
        "d": {"amount": 8.0, "date": 1609770600},  # 2021-01-04, outside
    }
    frame = parse(chart(events={"dividends": dividends, "splits": chart()["chart"]["result"][0]["events"]["splits"]}))
    assert frame["dividend"].tolist() == [0.0, 0.75, 0.0, 9.0]
    assert frame["split_ratio"].tolist() == [1.0, 1.0, 1.5, 1.0]
    assert frame["session"].iloc[-1] == pd.Timestamp("2020-01-09")
    assert frame[["open", "high", "low", "close", "volume", "vendor_adj_close"]].iloc[-1].isna().all()


def test_events_alone_are_rows() -> None:
    """A range with an event and no bar returns the event."""
    frame = parse(chart(timestamp=None, indicators={"quote": [{}], "adjclose": [{}]}))
    assert frame["close"].isna().all()
    assert frame[["dividend", "capital_gain"]].to_numpy().tolist() == [[0.5, 0.25], [0.0, 0.0]]


def test_rows_come_oldest_first_and_infinity_stays() -> None:
    """Bars out of order are sorted; the infinite Adj Close that Yahoo gives at times stays infinite."""
    stamps = [1578407400, 1578061800, 1578321000]
    payload = json.loads(json.dumps(chart(timestamp=stamps)).replace('"adjclose": [1.0', '"adjclose": [Infinity'))
    frame = parse(payload)
    assert frame["close"].tolist() == [2.0, 3.0, 1.0]
    assert frame["vendor_adj_close"].tolist() == [2.0, 3.0, math.inf]


def test_the_date_is_the_exchanges() -> None:
    """An evening time stamp belongs to New York's date, not to the next one of UTC."""
    evening = int(datetime(2020, 1, 4, 1, 5, tzinfo=UTC).timestamp())
    quote = {name: [1.0] for name in ("open", "high", "low", "close", "volume")}
    frame = parse(chart(timestamp=[evening], indicators={"quote": [quote]}, events=None))
    assert frame["session"].tolist() == [pd.Timestamp("2020-01-03")]
    assert frame["vendor_adj_close"].isna().all()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"symbol": "XYZ"}, "XYZ"),
        ({"currency": "GBp"}, "GBp"),
        ({"currency": None}, "None"),
        ({"dataGranularity": "3mo"}, "3mo"),
        ({"exchangeTimezoneName": "Mars/Olympus"}, "layout"),
    ],
)
def test_an_answer_to_another_question_is_refused(change: dict[str, Any], says: str) -> None:
    """Another symbol, currency, bar length or an unknown clock never gets in as the asked one."""
    payload = chart()
    payload["chart"]["result"][0]["meta"] |= change
    with pytest.raises(SourceUnavailable, match=says):
        parse(payload)


def test_a_payment_in_another_currency_is_refused() -> None:
    """Yahoo names a payment's currency where it differs from the price's: that is not an amount in USD."""
    payload = chart()
    payload["chart"]["result"][0]["events"]["dividends"]["1578321000"]["currency"] = "CAD"
    with pytest.raises(SourceUnavailable, match="CAD"):
        parse(payload)


@pytest.mark.parametrize("name", ["open", "high", "low", "close", "volume"])
def test_columns_of_unequal_length_are_refused(name: str) -> None:
    """A column that is shorter, or absent, would shift prices to other sessions."""
    for values in ([1.0, 2.0], None):
        payload = chart()
        payload["chart"]["result"][0]["indicators"]["quote"][0][name] = values
        with pytest.raises(SourceUnavailable, match="unequal"):
            parse(payload)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ({"code": "Not Found", "description": "No data found, symbol may be delisted"}, SymbolNotFound),
        ({"code": "Not Found", "description": None}, SymbolNotFound),
        ({"code": "Internal Server Error", "description": "x" * 5000}, SourceUnavailable),
        ("odd", SourceUnavailable),
    ],
)
def test_yahoos_own_explanations(error: Any, expected: type[RotationError]) -> None:
    """Not Found is an unknown symbol, anything else is a source to ask again; long texts are cut."""
    with pytest.raises(expected) as caught:
        parse({"chart": {"result": None, "error": error}})
    assert type(caught.value) is expected
    assert len(str(caught.value)) < 250


def _paths(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in children:
        yield from _paths(child, (*path, key))


@pytest.mark.parametrize(
    "junk", [None, "x", "", -1, 0, 1.5, True, [], [None], {}, {"x": []}, math.nan, math.inf, 10**400, 10**17], ids=repr
)
def test_no_junk_anywhere_in_an_answer_crashes(junk: Any) -> None:
    """Each part of an answer replaced by each kind of junk gives a frame of the protocol's types or a typed error."""
    messages = []
    for path in _paths(chart()):
        payload: Any = chart()
        if path:
            node = payload
            for key in path[:-1]:
                node = node[key]
            node[path[-1]] = copy.deepcopy(junk)
        else:
            payload = copy.deepcopy(junk)
        try:
            frame = parse(payload)
        except RotationError as refused:
            messages.append(str(refused))
        else:
            assert dict(frame.dtypes.astype(str)) == PRICE_COLUMNS
    assert max(map(len, messages)) < 250


def test_an_empty_price_frame_has_its_types() -> None:
    """What a range before the listing becomes."""
    assert dict(price_frame({}).dtypes.astype(str)) == PRICE_COLUMNS


# ---- real recorded answers ----


@pytest.fixture
def recorded(real_data: Path) -> Callable[[str], Any]:
    """The JSON of a recorded answer by its file name; None where it was not JSON."""

    def read(name: str) -> Any:
        content = json.loads((real_data / "raw" / "yahoo" / name).read_text(encoding="utf-8"))
        body = content.get("body", content)
        if isinstance(body, str):
            try:
                return json.loads(body)
            except ValueError:
                return None
        return body

    return read


EVER = (date(1970, 1, 1), date(2030, 1, 1))
MSFT = "historical-via-chart-MSFT-dividends-2021-02-01-to-2022-01-31.csv.json"
NVDA = "historical-via-chart-NVDA-split-2021-02-01-to-2022-01-31.csv.json"


def test_real_dividends_and_splits(recorded: Callable[[str], Any]) -> None:
    """Microsoft's four dividends, and Apple's and NVIDIA's splits, on their true ex-dates."""
    microsoft = parse_chart(recorded(MSFT), "MSFT", *EVER).set_index("session")["dividend"]
    assert microsoft[microsoft > 0].to_dict() == {
        pd.Timestamp("2021-02-17"): 0.56,
        pd.Timestamp("2021-05-19"): 0.56,
        pd.Timestamp("2021-08-18"): 0.56,
        pd.Timestamp("2021-11-17"): 0.62,
    }
    for name, symbol, day, ratio in (
        (NVDA, "NVDA", "2021-07-20", 4.0),
        ("chart-AAPL-2020-08-31-to-2020-11-07.json", "AAPL", "2020-08-31", 4.0),
    ):
        splits = parse_chart(recorded(name), symbol, *EVER).set_index("session")["split_ratio"]
        assert splits[splits != 1].to_dict() == {pd.Timestamp(day): ratio}


def test_real_closes_are_split_adjusted(recorded: Callable[[str], Any]) -> None:
    """NVIDIA's close does not fall to a quarter on its 4:1 split, and lies on the scale after the later 10:1."""
    frame = parse_chart(recorded(NVDA), "NVDA", *EVER).set_index("session")
    before, on = frame["close"]["2021-07-19"], frame["close"]["2021-07-20"]
    assert 0.9 < on / before < 1.1
    assert before == pytest.approx(751.19 / 40, rel=1e-4)


@pytest.mark.parametrize(
    ("name", "symbol", "unlisted"),
    [
        (MSFT, "MSFT", {}),
        # Asked for splits only: the dividends in its Adj Close are 0.16 and 0.04 USD, over 40 and over 10.
        (NVDA, "NVDA", dict.fromkeys(["2021-03-09", "2021-06-09", "2021-08-31", "2021-12-01"], 0.004)),
        ("chart-AAPL-2020-08-31-to-2020-11-07.json", "AAPL", {}),
        ("yfinance-rs_history_chart_AAPL.json", "AAPL", {}),
        ("yfinance-rs_history_chart_MSFT.json", "MSFT", {}),
        ("chart-QQQ-2020-01-01-to-2020-01-03.json", "QQQ", {}),
    ],
)
def test_real_adj_close_is_close_less_dividends(
    recorded: Callable[[str], Any], name: str, symbol: str, unlisted: dict[str, float]
) -> None:
    """Adj Close recomputed from close and dividend by 1 - dividend / previous close agrees to 1e-5 on every session."""
    frame = parse_chart(recorded(name), symbol, *EVER).set_index("session")
    for day, amount in unlisted.items():
        frame.loc[day, "dividend"] = amount
    factor = (1 - frame["dividend"] / frame["close"].shift(1)).fillna(1.0)
    later = factor[::-1].cumprod()[::-1].shift(-1).fillna(1.0)
    # What was paid after the last recorded session is in every value alike.
    scale = frame["vendor_adj_close"].iloc[-1] / frame["close"].iloc[-1]
    assert (frame["close"] * later * scale / frame["vendor_adj_close"] - 1).abs().max() < 1e-5


@pytest.mark.parametrize("symbol", ["AAPL", "MSFT"])
def test_real_evening_bar_is_kept(recorded: Callable[[str], Any], symbol: str) -> None:
    """Recorded in the evening: the session's only bar stands at 16:00:01, Yahoo's quote time, and is a full bar."""
    payload = recorded(f"yfinance-rs_history_chart_{symbol}.json")
    result = payload["chart"]["result"][0]
    assert result["timestamp"][-1] == result["meta"]["regularMarketTime"]
    frame = parse_chart(payload, symbol, *EVER)
    assert len(frame) == len(result["timestamp"])
    assert frame["session"].iloc[-1] == pd.Timestamp("2025-10-29")
    assert frame["close"].iloc[-1] == pytest.approx(result["meta"]["regularMarketPrice"])
    result["meta"]["regularMarketTime"] = result["timestamp"][-1] = 1761750000  # 11:00: the same answer, earlier
    assert parse_chart(payload, symbol, *EVER)["session"].iloc[-1] == pd.Timestamp("2025-10-28")


def test_real_adj_close_takes_off_dividend_and_capital_gain(recorded: Callable[[str], Any]) -> None:
    """VFINX: its quarterly Adj Close falls by dividend + gain where it paid both, and the dividend is without the gain."""
    result = recorded("yfinance-rs_history_chart_VFINX.json")["chart"]["result"][0]
    with pytest.raises(SourceUnavailable, match="3mo"):
        parse_chart({"chart": {"result": [result]}}, "VFINX", *EVER)
    close, adjusted = result["indicators"]["quote"][0]["close"], result["indicators"]["adjclose"][0]["adjclose"]
    dividends = {event["date"]: event["amount"] for event in result["events"]["dividends"].values()}
    compared = 0
    for event in result["events"]["capitalGains"].values():
        if event["amount"] < 0.1 or datetime.fromtimestamp(event["date"], UTC).month != 12:
            continue
        # A quarterly bar's Adj Close is from before its own payments, so the fall shows against the bar after it.
        at = bisect(result["timestamp"], event["date"]) - 1
        paid = close[at] * (1 - (adjusted[at] / close[at]) / (adjusted[at + 1] / close[at + 1]))
        assert paid == pytest.approx(dividends[event["date"]] + event["amount"], rel=0.05)
        compared += 1
    assert compared == 10


def test_every_recorded_answer_parses_or_is_refused(recorded: Callable[[str], Any], real_data: Path) -> None:
    """Charts of other intervals, edited ones, other services' answers and error pages give a frame or a typed error."""
    outcomes = {}
    for path in sorted((real_data / "raw" / "yahoo").glob("*.json")):
        payload = recorded(path.name)
        for symbol in ("AAPL", "MSFT", "NVDA", "QQQ", "VFINX"):
            try:
                outcomes[path.name, symbol] = len(parse_chart(payload, symbol, *EVER))
            except SourceUnavailable:
                outcomes[path.name, symbol] = -1
    assert sum(rows > 0 for rows in outcomes.values()) == 8
    assert outcomes["chart-notimestamp-weird-quote.fake.json", "AAPL"] == -1


def vendor_symbols(count: int) -> list[str]:
    from market_rotation.tasks.universe import load_universe

    return load_universe().symbols[:count]


# ---- indexes ----


@pytest.mark.parametrize("symbol", ["^TNX", "^VIX", "DX-Y.NYB"])
def test_an_index_arrives_under_its_symbol(yahoo: YahooSource, vendor: Vendor, symbol: str) -> None:  # noqa: F811
    """A symbol with a caret, a hyphen or a dot is requested as it is; the levels arrive with a volume of 0, negative ones too."""
    frame = vendor.source.prices("IWM", START, END).head(5).assign(volume=0.0, dividend=0.0)
    frame["symbol"] = pd.Series([symbol] * 5, dtype=object)
    for name in ("open", "high", "low", "close", "vendor_adj_close"):
        frame[name] = [4.25, 4.27, -0.105, 0.0, 4.3]
    vendor.source = Table({symbol: frame})
    same(yahoo.prices(symbol, START, END), frame)


def test_the_days_of_an_index_are_those_of_chicago() -> None:
    """An answer with the fields of a recorded one of ^TNX (February 2026): percent a year, no events, times of Chicago."""
    opened = [datetime(2026, 1, day, 13, 20, tzinfo=UTC).timestamp() for day in (14, 15)]
    meta = {
        "currency": "USD",
        "symbol": "^TNX",
        "exchangeName": "CGI",
        "fullExchangeName": "Cboe Indices",
        "instrumentType": "INDEX",
        "firstTradeDate": -252326400,
        "regularMarketTime": int(datetime(2026, 1, 15, 19, 59, 52, tzinfo=UTC).timestamp()),
        "hasPrePostMarketData": False,
        "gmtoffset": -21600,
        "timezone": "CST",
        "exchangeTimezoneName": "America/Chicago",
        "regularMarketPrice": 4.16,
        "regularMarketVolume": 0,
        "dataGranularity": "1d",
    }
    levels = {name: [4.14, 4.16] for name in ("open", "high", "low", "close")}
    indicators = {"quote": [{**levels, "volume": [0, 0]}], "adjclose": [{"adjclose": [4.14, 4.16]}]}
    payload = {"chart": {"result": [{"meta": meta, "timestamp": opened, "indicators": indicators}], "error": None}}
    found = parse_chart(payload, "^TNX", START, END)
    assert found["session"].tolist() == [pd.Timestamp("2026-01-14"), pd.Timestamp("2026-01-15")]
    assert found["close"].tolist() == [4.14, 4.16]
    assert found["volume"].tolist() == [0, 0]
    assert (found["split_ratio"] == 1).all()
