"""Fault injection for tests and demonstrations: typical faults of vendors, and a source that has one of them.

A fault is a function of a frame as a source gives it, oldest first, and of the session at which the fault shows. It returns another frame
or raises what an adapter would raise. Nothing is random.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from market_rotation.tasks.errors import ConfigError, SourceUnavailable, SymbolNotFound

if TYPE_CHECKING:
    import pandas as pd

    from market_rotation.tasks.sources.base import Source
    from market_rotation.tasks.universe import Universe

PRICES = ["open", "high", "low", "close", "vendor_adj_close"]
#: Canadian dollars per US dollar, as the prices of a listing in Toronto.
CAD = 1.36
#: Sessions with the same close.
FROZEN_PRICES = 5
#: Records with the same share count: more than occur in a fund with creations nearly every day.
FROZEN_SHARES = 8
#: Bars in a truncated history.
LAST_BARS = 100


def bad_tick(frame: pd.DataFrame, session: date) -> pd.DataFrame:
    """The session's prices in cents."""
    return _scaled(frame, _on(frame, session), 100.0)


def sign_flip(frame: pd.DataFrame, session: date) -> pd.DataFrame:
    """The session's close, negative."""
    return frame.assign(close=frame["close"].where(~_on(frame, session), -frame["close"]))


def swapped_high_low(frame: pd.DataFrame, session: date) -> pd.DataFrame:
    """The session's high in the column of the low, and the reverse."""
    at = _on(frame, session)
    return frame.assign(
        high=frame["high"].where(~at, frame["low"]),
        low=frame["low"].where(~at, frame["high"]),
    )


def duplicate_day(frame: pd.DataFrame, session: date) -> pd.DataFrame:
    """The session's bar twice: as it was shortly before the close, and the final one."""
    final = frame[_on(frame, session)]
    early = final.assign(close=(final["high"] + final["low"]) / 2, volume=(final["volume"] * 0.9).round())
    return _with(frame, early)


def missing_symbol(frame: pd.DataFrame, session: date) -> pd.DataFrame:
    """The vendor has dropped the symbol, as after a change of ticker."""
    raise SymbolNotFound(
        f"{_symbol(frame)} is not known to the vendor on {session}; look for its new ticker, or drop it from the universe."
    )


def missing_day(frame: pd.DataFrame, session: date) -> pd.DataFrame:
    """The previous session is missing, in the middle of the requested range."""
    before = frame.loc[frame["session"].dt.date < session, "session"].max()
    rest: pd.DataFrame = frame[frame["session"] != before]
    return rest


def stray_holiday(frame: pd.DataFrame, session: date) -> pd.DataFrame:
    """A bar on the last exchange holiday of the range, else on the Saturday before: yesterday's close, nothing traded."""
    import pandas as pd

    given = frame.loc[frame["session"].dt.date <= session, "session"]
    closed = pd.bdate_range(given.min(), given.max()).difference(pd.DatetimeIndex(given))
    day = closed[-1] if len(closed) else pd.Timestamp(session - timedelta(days=session.weekday() + 2))
    before = frame[frame["session"] < day].tail(1)
    quiet = _still(before, before["close"]).assign(dividend=0.0, capital_gain=0.0, split_ratio=1.0)
    return _with(frame, quiet.assign(session=day))


def future_date(frame: pd.DataFrame, session: date) -> pd.DataFrame:
    """A copy of the session's bar, dated a year later: a wrong year."""
    bar = frame[_on(frame, session)]
    return _with(frame, bar.assign(session=bar["session"] + timedelta(days=365)))


def unfinished_bar(frame: pd.DataFrame, session: date) -> pd.DataFrame:
    """A bar of the first minutes of the next day: an unfinished session."""
    import pandas as pd

    bar = frame[_on(frame, session)]
    now = bar["close"] * 1.002
    volume = (bar["volume"] * 0.02).round()
    return _with(
        frame,
        bar.assign(
            session=bar["session"] + pd.offsets.BDay(),
            open=bar["close"],
            high=now,
            low=bar["close"],
            close=now,
            volume=volume,
            dividend=0.0,
            capital_gain=0.0,
            split_ratio=1.0,
            vendor_adj_close=now,
        ),
    )


def frozen_price(frame: pd.DataFrame, session: date) -> pd.DataFrame:
    """The same close for five sessions, no volume after the first: the vendor's feed hangs."""
    last = frame[frame["session"].dt.date <= session].tail(FROZEN_PRICES)
    still = _still(last.iloc[1:], last["close"].iloc[0])
    return _replaced(frame, still)


def frozen_shares(frame: pd.DataFrame, session: date) -> pd.DataFrame:
    """The same share count in eight records, while NAV moves; for a vendor that publishes only assets, the same assets."""
    last = frame[frame["session"].dt.date <= session].tail(FROZEN_SHARES)
    shares, assets = last["shares_outstanding"].iloc[0], last["total_net_assets_usd"].iloc[0]
    worth = (last["nav"] * shares).round(2).fillna(assets)
    return _replaced(frame, last.assign(shares_outstanding=shares, total_net_assets_usd=worth))


def unannounced_split(frame: pd.DataFrame, session: date) -> pd.DataFrame:
    """Half the price from the session on, without a split and without a restatement of earlier prices."""
    since = frame["session"].dt.date >= session
    return _scaled(frame, since, 0.5).assign(volume=frame["volume"].where(~since, frame["volume"] * 2))


def dividend_twice(frame: pd.DataFrame, session: date) -> pd.DataFrame:
    """The last dividend doubled, as when two feeds are added up; the vendor's adjusted close uses only the true one."""
    paid = frame.loc[(frame["dividend"] > 0) & (frame["session"].dt.date <= session), "session"]
    return frame.assign(dividend=frame["dividend"].where(frame["session"] != paid.max(), frame["dividend"] * 2))


def currency_switch(frame: pd.DataFrame, session: date) -> pd.DataFrame:
    """Prices in Canadian dollars from the session on: the listing on another exchange."""
    return _scaled(frame, frame["session"].dt.date >= session, CAD)


def truncated_history(frame: pd.DataFrame, session: date) -> pd.DataFrame:
    """Only the last hundred bars of a long history."""
    return frame.tail(LAST_BARS)


def source_down(frame: pd.DataFrame, session: date) -> pd.DataFrame:
    """The vendor is down."""
    raise SourceUnavailable(f"The vendor answers 503 for {_symbol(frame)}; try again later.")


@dataclass(frozen=True)
class Fault:
    """A fault of a dataset: a description, and the function that applies it. `everywhere`: it affects every symbol."""

    about: str
    apply: Callable[[pd.DataFrame, date], pd.DataFrame]
    dataset: str = "prices"
    everywhere: bool = False


FAULTS: Mapping[str, Fault] = {
    "bad-tick": Fault("the prices of the last session are a hundred times too high", bad_tick),
    "sign-flip": Fault("the last close is negative", sign_flip),
    "swapped-high-low": Fault("high and low of the last session are swapped", swapped_high_low),
    "duplicate-day": Fault("the last session is there twice, with two closes", duplicate_day),
    "missing-symbol": Fault("the vendor no longer knows the symbol", missing_symbol),
    "missing-day": Fault("the session before the last is missing", missing_day),
    "stray-holiday": Fault("there is a bar on a day on which the exchange was closed", stray_holiday),
    "future-date": Fault("a bar is dated a year ahead", future_date),
    "unfinished-bar": Fault("there is a bar of the next day, which is not over", unfinished_bar),
    "frozen-price": Fault("the close is the same for five sessions", frozen_price),
    "frozen-shares": Fault("the fund's share count stands still while its NAV moves", frozen_shares, "fund_nav"),
    "unannounced-split": Fault("the price halves, and no split is announced", unannounced_split),
    "dividend-twice": Fault("a dividend is counted twice", dividend_twice),
    "currency-switch": Fault("the prices are suddenly in Canadian dollars", currency_switch),
    "truncated-history": Fault("the vendor returns only the last 100 bars of a full history", truncated_history),
    "source-down": Fault("the vendor answers for no symbol", source_down, everywhere=True),
}


class FaultySource:
    """`source` with one fault of one symbol at `session` (default: the last requested session); otherwise it is `source`.

    Raises `ConfigError` for a name that is not in `FAULTS`.
    """

    def __init__(self, source: Source, fault: str, symbol: str, session: date | None = None) -> None:
        if fault not in FAULTS:
            raise ConfigError(f"Unknown fault {fault!r}; choose one of {', '.join(FAULTS)}.")
        self.name = source.name
        self._source = source
        self._fault = FAULTS[fault]
        self._symbol = symbol
        self._session = session

    def prices(self, symbol: str, start: date, end: date) -> pd.DataFrame:
        return self._given("prices", symbol, start, end)

    def __getattr__(self, name: str) -> Any:
        """The other members of `source`, and no more, so that `hasattr` shows what it has."""
        if name.startswith("_"):
            raise AttributeError(name)
        given = getattr(self._source, name)
        return partial(self._given, name) if name == self._fault.dataset else given

    def _given(self, dataset: str, symbol: str, start: date, end: date) -> pd.DataFrame:
        frame: pd.DataFrame = getattr(self._source, dataset)(symbol, start, end)
        session = self._session or end
        hit = self._fault.dataset == dataset and (self._fault.everywhere or symbol == self._symbol)
        # An empty frame, or one that ends before the fault, is unchanged.
        return self._fault.apply(frame, session) if hit and len(frame) and end >= session else frame


def inject_fault(source: Source, fault: str, universe: Universe) -> Source:
    """`source` with the fault that ROTATION_FAULT names: `name`, of the small leg of the headline pair, or `name:SYMBOL`."""
    return FaultySource(source, *parse_fault(fault, universe))


def parse_fault(fault: str, universe: Universe) -> tuple[str, str]:
    """The name of the fault and its symbol, as `inject_fault` takes them. Raises `ConfigError` for an unknown fault or symbol."""
    name, _, symbol = fault.partition(":")
    if name not in FAULTS:
        raise ConfigError(f"ROTATION_FAULT={fault}: unknown fault; choose one of {', '.join(FAULTS)}.")
    if symbol and symbol not in universe.symbols:
        raise ConfigError(f"ROTATION_FAULT={fault}: the symbol {symbol} is not in the universe; name one that is.")
    headline = next((pair.small_symbol for pair in universe.pairs if pair.headline), universe.symbols[-1])
    return name, symbol or headline


def _on(frame: pd.DataFrame, session: date) -> pd.Series[bool]:
    at: pd.Series[bool] = frame["session"].dt.date == session
    return at


def _symbol(frame: pd.DataFrame) -> str:
    return str(frame["symbol"].iloc[0])


def _scaled(frame: pd.DataFrame, where: pd.Series[bool], factor: float) -> pd.DataFrame:
    """The prices of the rows `where` times `factor`, the vendor's adjusted close with them."""
    return frame.assign(**{name: frame[name].where(~where, frame[name] * factor) for name in PRICES})


def _still(bars: pd.DataFrame, close: Any) -> pd.DataFrame:
    """The bars without trading: one price, no volume, adjusted as before."""
    adjusted = close * bars["vendor_adj_close"] / bars["close"]
    return bars.assign(open=close, high=close, low=close, close=close, volume=0.0, vendor_adj_close=adjusted)


def _with(frame: pd.DataFrame, more: pd.DataFrame) -> pd.DataFrame:
    """Both, oldest first."""
    import pandas as pd

    more = more.astype(frame.dtypes.to_dict())
    return pd.concat([frame, more], ignore_index=True).sort_values("session", kind="stable", ignore_index=True)


def _replaced(frame: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """`frame` with `rows` in the place of those of the same index."""
    return _with(frame.drop(rows.index), rows)
