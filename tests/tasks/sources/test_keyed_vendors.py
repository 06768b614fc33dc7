"""Tiingo and EODHD: the genuine HTTP client against a server that speaks their wire formats, and the key is never shown."""

from __future__ import annotations

import logging
import math
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from pathlib import Path

import certifi
import pandas as pd
import pytest
import world
from vendor.fixtures import vendor, vendor_server  # noqa: F401
from vendor.keyed import KEY, KEYED_FAULTS
from vendor.server import CA_VARIABLES, Vendor

from market_rotation.tasks import calendar
from market_rotation.tasks.datasets import PRICE_COLUMNS, indexes
from market_rotation.tasks.errors import AccessRefused, ConfigError, RateLimited, SourceUnavailable, SymbolNotFound
from market_rotation.tasks.settings import load_settings
from market_rotation.tasks.sources.base import (
    Source,
    SourceContext,
    check_sources,
    open_source,
    price_frame,
    source_class,
)
from market_rotation.tasks.universe import load_universe

# A Friday evening, and the two weeks of sessions before it.
EVENING = datetime(2026, 1, 16, 22, 0, tzinfo=UTC)
START, END = date(2026, 1, 5), date(2026, 1, 16)
NAMES = ("tiingo", "eodhd")
VARIABLES = {"tiingo": "TIINGO_API_KEY", "eodhd": "EODHD_API_KEY"}
HOSTS = {"tiingo": "api.tiingo.com", "eodhd": "eodhd.com"}
COLUMNS = ["open", "high", "low", "close", "volume", "dividend", "split_ratio", "vendor_adj_close"]


class Table:
    """A market of one frame per symbol."""

    name = "table"
    datasets = frozenset({"prices"})

    def __init__(self, **frames: pd.DataFrame) -> None:
        self.frames = frames

    def prices(self, symbol: str, start: date, end: date) -> pd.DataFrame:
        if symbol not in self.frames:
            raise SymbolNotFound(symbol)
        frame = self.frames[symbol]
        return frame[(frame["session"] >= str(start)) & (frame["session"] <= str(end))]


def opened(name: str, now: datetime = EVENING, **settings: object) -> Source:
    """The source as a run opens it, without the cache."""
    context = SourceContext(
        load_settings(source=name, fetch_timeout_s=5.0, tiingo_requests_per_hour=10_000, tiingo_requests_per_day=10_000)
        if not settings
        else load_settings(source=name, **settings),
        calendar.load(date(2005, 1, 3), END),
        load_universe(),
        now,
    )
    return source_class(name).open(context)


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv(VARIABLES[request.param], KEY)
    return str(request.param)


@pytest.fixture
def source(name: str, vendor: Vendor) -> Source:  # noqa: F811
    """Each of the two in turn; the vendor's clock stands on a Friday evening."""
    vendor.now = EVENING
    return opened(name)


@pytest.fixture(autouse=True)
def nothing_shows_the_key(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> Iterator[None]:
    """Whatever a test does, the key is in no log record, output or file."""
    caplog.set_level(logging.DEBUG)
    yield
    assert KEY not in caplog.text
    assert KEY not in "".join(capfd.readouterr())
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]


def same(got: pd.DataFrame, expected: pd.DataFrame) -> None:
    assert dict(got.dtypes.astype(str)) == PRICE_COLUMNS
    pd.testing.assert_frame_equal(got, expected.reset_index(drop=True), rtol=1e-12)


def refused(source: Source, error: type[Exception], symbol: str = "IWM") -> str:
    """The sentence of the error, which is of exactly this class; no part of the traceback holds the key."""
    with pytest.raises(error) as caught:
        source.prices(symbol, START, END)
    assert type(caught.value) is error
    message = str(caught.value)
    assert message.endswith(".")
    assert "\n" not in message
    assert KEY not in "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    return message


# ---- good answers ----


def test_bars_are_adjusted_for_splits_and_not_for_dividends(source: Source, vendor: Vendor) -> None:  # noqa: F811
    """From prices as traded, twenty years of bars, dividends and splits come out as a vendor that adjusts for splits states them."""
    for symbol in ("IWM", "NVDA", "XLK"):
        expected = vendor.source.prices(symbol, date(2005, 1, 3), END)
        same(source.prices(symbol, date(2005, 1, 3), END), expected)
    assert (expected["split_ratio"] != 1).any()
    assert (expected["dividend"] > 0).any()


def test_a_split_after_the_last_requested_session_counts(source: Source, vendor: Vendor) -> None:  # noqa: F811
    """A past range is on the basis of today: dividend and prices are divided by the split that came later, volume is multiplied."""
    days = vendor.source.prices("IWM", START, END)["session"]
    plain = {"symbol": "IWM", "session": days, "capital_gain": 0.0, "volume": 1000.0, "vendor_adj_close": 9.0}
    market = price_frame(
        plain
        | {name: [10.0] * len(days) for name in ("open", "high", "low", "close")}
        | {"dividend": [0.0, 0.5, *[0.0] * (len(days) - 2)], "split_ratio": [*[1.0] * (len(days) - 2), 4.0, 1.0]}
    )
    vendor.source = Table(IWM=market)  # its frame is on the basis of the end
    got = source.prices("IWM", START, days.iloc[1].date())
    assert got[["close", "volume", "dividend", "split_ratio"]].values.tolist() == [[10, 1000, 0, 1], [10, 1000, 0.5, 1]]
    wire = vendor.requests[0]
    assert wire.query.get("startDate", wire.query.get("from")) == "2026-01-05"


def test_a_reverse_split_and_a_dividend_on_one_day(source: Source, vendor: Vendor) -> None:  # noqa: F811
    """On the day of a split the dividend is per share after it, and the ratio stands in the row of that day alone."""
    frame = vendor.source.prices("IWM", START, END)
    frame.loc[3, ["dividend", "split_ratio"]] = [0.32, 0.125]
    vendor.source = Table(IWM=frame)
    same(source.prices("IWM", START, END), frame)


def test_no_bar_in_the_range_is_no_failure(source: Source) -> None:
    """A known symbol without a bar in the range gives zero rows."""
    got = source.prices("IWM", date(2026, 1, 10), date(2026, 1, 11))
    assert got.empty
    assert dict(got.dtypes.astype(str)) == PRICE_COLUMNS


def test_only_this_host_gets_the_key(source: Source, name: str, vendor: Vendor) -> None:  # noqa: F811
    """The key goes to the vendor's host: to Tiingo in a header and never in an address, to EODHD as it demands; through the proxy."""
    source.prices("SPY", START, END)
    assert set(vendor.proxy.hosts) == {f"{HOSTS[name]}:443"}
    shown = [KEY in str((seen.path, seen.query)) for seen in vendor.requests]
    assert shown == ([False] if name == "tiingo" else [True, True, True])
    vendor.proxy.hosts.clear()
    vendor.keyed.fault("IWM", "redirect")
    assert "HTTP 302" in refused(source, SourceUnavailable)
    assert set(vendor.proxy.hosts) == {f"{HOSTS[name]}:443"}


@pytest.mark.parametrize("variable", CA_VARIABLES)
def test_one_variable_names_a_private_ca(
    variable: str,
    source: Source,
    vendor: Vendor,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Any of the three variables suffices to name the network's certificates; with others alone the server is refused."""
    for other in CA_VARIABLES:
        monkeypatch.delenv(other)
    monkeypatch.setenv(variable, certifi.where())
    assert "SSL_CERT_FILE" in refused(source, SourceUnavailable)
    monkeypatch.setenv(variable, vendor.ca_file)
    assert len(source.prices("IWM", START, END)) == 10


def test_no_proxy_is_honoured(source: Source, name: str, vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    """A host in NO_PROXY is not requested through the proxy."""
    monkeypatch.setenv("NO_PROXY", HOSTS[name])
    refused(source, SourceUnavailable)
    assert vendor.proxy.hosts == []


# ---- faults ----

#: What each fault becomes, for both vendors alike: the error and words of its sentence, or None where the answer stays usable.
FAULTS: dict[str, tuple[type[Exception] | None, str]] = {
    "http_429": (RateLimited, "HTTP 429"),
    "used_up": (AccessRefused, "used up"),
    "used_up_200": (AccessRefused, "used up"),
    "http_403": (AccessRefused, "the plan of the key does not include it"),
    "http_404_page": (SourceUnavailable, "HTTP 404"),
    "http_500": (SourceUnavailable, "HTTP 500"),
    "html_200": (SourceUnavailable, "cut off or a web page"),
    "redirect": (SourceUnavailable, "HTTP 302"),
    "truncated_json": (SourceUnavailable, "cut off"),
    "key_echo": (SourceUnavailable, "HTTP 400"),
    "error_object": (SourceUnavailable, "unknown layout"),
    "missing_symbol": (SymbolNotFound, "does not know the symbol IWM"),
    "missing_field": (SourceUnavailable, "unknown layout"),
    "text_number": (SourceUnavailable, "unknown layout"),
    "infinite": (SourceUnavailable, "unknown layout"),
    "year_290000": (SourceUnavailable, "unknown layout"),
    "null_event": (SourceUnavailable, "unknown layout"),
    "named_symbol": (SourceUnavailable, "answered for XYZ"),
    "two_events": (SourceUnavailable, "for one day"),
    "hang": (SourceUnavailable, "within 0.5 s"),
    "null_close": (None, ""),
    "empty": (None, ""),
    "reversed": (None, ""),
    "duplicate_date": (None, ""),
    "wrong_symbol": (None, ""),
    "free_plan": (None, ""),
}


def test_every_fault_of_the_server_is_expected() -> None:
    assert FAULTS.keys() == KEYED_FAULTS


@pytest.mark.parametrize("kind", [kind for kind, (error, _) in FAULTS.items() if error])
def test_a_fault_is_a_typed_error_and_the_next_request_works(kind: str, name: str, vendor: Vendor) -> None:  # noqa: F811
    """Each refusal is one sentence of the right class with symbol and vendor; nothing of it is kept; other symbols are not touched."""
    vendor.now = EVENING
    frame = vendor.source.prices("IWM", START, END)
    # An event of each kind within the range, so that each fault has an event to change.
    frame.loc[3, ["dividend", "split_ratio"]] = [0.32, 2.0]
    vendor.source = Table(IWM=frame, SPY=vendor.source.prices("SPY", START, END))
    source = opened(name, fetch_timeout_s=0.5) if kind == "hang" else opened(name)
    vendor.keyed.fault("IWM", kind)
    error, words = FAULTS[kind]
    assert error is not None
    message = refused(source, error)
    assert words in message
    assert "IWM" in message
    assert message.startswith({"tiingo": "Tiingo ", "eodhd": "EODHD "}[name])
    vendor.heal()
    if "used_up" in kind:
        # The vendor counts otherwise than we do; until its period ends nothing more is requested.
        count = len(vendor.requests)
        assert "used up; run again after 20" in refused(source, AccessRefused)
        assert len(vendor.requests) == count
    else:
        assert len(source.prices("SPY", START, END)) == 10
        same(source.prices("IWM", START, END), frame)


def test_a_null_price_is_no_number_and_never_zero(source: Source, vendor: Vendor) -> None:  # noqa: F811
    """A null close is NaN in a row that is kept."""
    vendor.keyed.fault("IWM", "null_close")
    got = source.prices("IWM", START, END)
    assert len(got) == 10
    assert math.isnan(got["close"].iloc[-1])


def test_rows_in_any_order_give_the_same_frame(source: Source, vendor: Vendor) -> None:  # noqa: F811
    """Newest first is read as oldest first, splits included."""
    for symbol in ("NVDA", "IWM"):
        expected = source.prices(symbol, date(2019, 1, 2), END)
        vendor.keyed.fault(symbol, "reversed")
        same(source.prices(symbol, date(2019, 1, 2), END), expected)


def test_a_date_given_twice_is_two_rows(source: Source, vendor: Vendor) -> None:  # noqa: F811
    """Both rows are handed on for the audit to judge, and the split of a day given twice counts once in the bars before it."""
    frame = vendor.source.prices("IWM", START, END)
    frame.loc[9, ["dividend", "split_ratio"]] = [0.0, 4.0]
    vendor.source = Table(IWM=frame)
    vendor.keyed.fault("IWM", "duplicate_date")
    got = source.prices("IWM", START, END)
    assert got["session"].iloc[-2:].tolist() == [pd.Timestamp(END)] * 2
    same(got.iloc[:-1], frame)


def test_an_empty_list_is_zero_rows(source: Source, vendor: Vendor) -> None:  # noqa: F811
    """Both vendors answer an empty list for a known symbol without bars; what was expected and did not come is the audit's to say."""
    vendor.keyed.fault("IWM", "empty")
    assert source.prices("IWM", START, END).empty


def test_a_plan_of_one_year_is_no_short_history(vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    """EODHD's free plan truncates a history and says so: an error, unless the range is within the year."""
    monkeypatch.setenv("EODHD_API_KEY", KEY)
    vendor.now = EVENING
    source = opened("eodhd")
    vendor.keyed.fault("IWM", "free_plan")
    assert len(source.prices("IWM", START, END)) == 10
    with pytest.raises(
        AccessRefused, match="has no bars as old as 2020-01-02; change the plan, or set ROTATION_HISTORY_START"
    ):
        source.prices("IWM", date(2020, 1, 2), END)


@pytest.mark.parametrize(
    ("symbol", "name"), [("^VIX", "tiingo"), ("DX-Y.NYB", "tiingo"), ("^XYZ", "eodhd")], indirect=["name"]
)
def test_what_a_vendor_cannot_have_costs_no_request(symbol: str, source: Source, vendor: Vendor) -> None:  # noqa: F811
    """Symbols that are no ticker of the vendor are not found, without a request."""
    assert symbol in refused(source, SymbolNotFound, symbol)
    assert vendor.requests == []


@pytest.mark.parametrize("name", ["eodhd"], indirect=True)
def test_an_index_of_eodhd(source: Source, vendor: Vendor) -> None:  # noqa: F811
    """An index is requested under EODHD's code, and without dividends and splits."""
    frame = price_frame(vendor.source.prices("IWM", START, END).assign(dividend=0.0, symbol="^VIX"))
    vendor.source = Table(**{"^VIX": frame})
    same(source.prices("^VIX", START, END), frame)
    assert [seen.path for seen in vendor.requests] == ["/api/eod/VIX.INDX"]


@pytest.mark.parametrize(
    ("name", "symbols"), [("eodhd", {"^TNX", "^IRX", "^VIX", "DX-Y.NYB"}), ("tiingo", set())], indirect=["name"]
)
def test_indexes_that_are_requested(source: Source, symbols: set[str]) -> None:
    """A run requests the indexes of the universe whose code at the vendor is known, and no other."""
    unknown = world.instrument("^XYZ", kind="index", size_bucket=None)
    assert indexes(source, [*load_universe().instruments, unknown]) == symbols


# ---- key and budget ----


@pytest.mark.parametrize("key", [None, "", "  ", "two words", "schlüssel", "a\x00b"])
def test_without_a_usable_key_nothing_begins(key: str | None, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing or impossible key is a `ConfigError` before a run begins, which names the variable and shows no key."""
    if key is None:
        monkeypatch.delenv(VARIABLES[name])
    elif "\x00" in key:
        monkeypatch.setattr("os.environ", {VARIABLES[name]: key})
    else:
        monkeypatch.setenv(VARIABLES[name], key)
    with pytest.raises(ConfigError, match=VARIABLES[name]) as caught:
        check_sources(load_settings(source=name), load_universe())
    assert not (key or "").strip() or key not in str(caught.value)


def test_the_key_is_read_from_the_environment_alone(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A key in rotation.toml is refused as an unknown setting, and the sentence does not show it."""
    monkeypatch.setenv("ROTATION_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "rotation.toml").write_text(f'{VARIABLES[name].lower()} = "another-secret"\n')
    with pytest.raises(ConfigError) as caught:
        load_settings()
    assert "another-secret" not in str(caught.value)


def test_a_wrong_key(name: str, vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    """A key that the vendor refuses is named by its variable, and requesting again is said to be useless by the error's class."""
    monkeypatch.setenv(VARIABLES[name], "wrong-but-well-formed")
    message = refused(opened(name), AccessRefused)
    assert f"it refuses the key; correct {VARIABLES[name]}." in message
    assert "wrong-but-well-formed" not in message


def limited(name: str, requests: int, now: datetime = EVENING) -> Source:
    return opened(name, now, tiingo_requests_per_hour=requests, eodhd_requests_per_day=requests, fetch_timeout_s=5.0)


def test_the_budget_is_kept_over_threads_and_runs(name: str, vendor: Vendor) -> None:  # noqa: F811
    """Of many threads and two runs no more requests go out than the plan allows; the other requests fail with the time of the next try."""
    vendor.now = EVENING
    allowed = 6

    def ask(source: Source, symbol: str) -> str:
        try:
            return str(len(source.prices(symbol, START, END)))
        except AccessRefused as error:
            return str(error)

    symbols = ["SPY", "IWM", "QQQ", "XLK", "XLE", "IJR", "VB", "MDY"]
    for _ in range(2):
        source = limited(name, allowed)
        with ThreadPoolExecutor(8) as pool:
            outcome = list(pool.map(ask, [source] * len(symbols), symbols))
        assert len(vendor.requests) == allowed
    again = {"tiingo": "2026-01-16 23:00 UTC", "eodhd": "2026-01-17 00:00 UTC"}[name]
    assert all(f"used up; run again after {again}" in text for text in outcome)
    later = {"tiingo": datetime(2026, 1, 16, 23, 0, tzinfo=UTC), "eodhd": datetime(2026, 1, 17, tzinfo=UTC)}[name]
    vendor.now = later
    assert len(limited(name, allowed, later).prices("SPY", START, END)) == 10


def test_a_damaged_count_is_counted_anew(name: str, vendor: Vendor, tmp_path: Path) -> None:  # noqa: F811
    """The file of the counts may be empty or garbage; requests still work and are counted."""
    vendor.now = EVENING
    limited(name, 100).prices("SPY", START, END)
    (file,) = (tmp_path / "warehouse" / "requests").iterdir()
    for garbage in ("", "{", '{"hour": 3}', "[1]", "null"):
        file.write_text(garbage)
        assert len(limited(name, 3).prices("SPY", START, END)) == 10


def test_answers_of_vendors_are_cached_apart(vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    """A run that is started again requests nothing twice of one vendor, and never takes one vendor's answer for another's."""
    vendor.now = EVENING
    for variable in VARIABLES.values():
        monkeypatch.setenv(variable, KEY)
    days, universe = calendar.load(date(2005, 1, 3), END), load_universe()
    for _ in range(2):
        for name in NAMES:
            source = open_source(load_settings(source=name), days, universe, EVENING)
            assert len(source.prices("SPY", START, END)) == 10
    assert [seen.host for seen in vendor.requests] == ["api.tiingo.com", *["eodhd.com"] * 3]
