"""One small market, as each vendor's export has it: 30 sessions of three symbols with a split and two dividends."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import world

SYMBOLS = ("SPY", "IWM", "BRK-B")
SPLIT, RATIO = 12, 2.0
DIVIDENDS: dict[str, dict[int, float]] = {"SPY": {5: 1.5, 20: 1.6}, "IWM": {15: 0.4}, "BRK-B": {}}
SESSIONS = world.days()[:30]


def market() -> pd.DataFrame:
    """The bars on the project's basis, by symbol and session. IWM splits two for one on the thirteenth session."""
    rows: list[dict[str, Any]] = []
    for place, symbol in enumerate(SYMBOLS):
        factor = 1.0
        for i, session in enumerate(SESSIONS):
            close = round(100 * (place + 1) + 7 * math.sin(i + place) + i / 4, 2)
            rows.append(
                {
                    "symbol": symbol,
                    "session": session,
                    "open": close - 0.5,
                    "high": close + 1.0,
                    "low": close - 1.0,
                    "close": close,
                    "volume": float(2 * (1000 + i + place)),
                    "dividend": DIVIDENDS[symbol].get(i, 0.0),
                    "split_ratio": RATIO if symbol == "IWM" and i == SPLIT else 1.0,
                }
            )
        own = rows[-len(SESSIONS) :]
        for before, after in reversed(list(pairwise(own))):
            after["adj_close"] = after["close"] * factor
            factor *= 1 - after["dividend"] / before["close"]
        own[0]["adj_close"] = own[0]["close"] * factor
    return pd.DataFrame(rows)


def as_traded(bars: pd.DataFrame) -> pd.DataFrame:
    """The bars as they were on the day, before later splits."""
    later = [
        RATIO if symbol == "IWM" and session < SESSIONS[SPLIT] else 1.0
        for symbol, session in zip(bars["symbol"], bars["session"], strict=True)
    ]
    changed = {name: bars[name] * later for name in ("open", "high", "low", "close", "dividend")}
    return bars.assign(**changed, volume=bars["volume"] / later)


def _each(
    folder: Path, bars: pd.DataFrame, name: Callable[[str], str], columns: dict[str, str], **options: Any
) -> None:
    """One file a symbol, with the columns renamed; newest first where the vendor writes so."""
    newest_first = bool(options.pop("newest_first", False))
    for symbol, rows in bars.groupby("symbol"):
        rows = rows.sort_values("session", ascending=not newest_first)
        text = rows[list(columns)].rename(columns=columns).to_csv(index=False, **options)
        (folder / name(str(symbol))).write_text(text, encoding="utf-8")


def own(folder: Path, bars: pd.DataFrame) -> None:
    bars.drop(columns="adj_close").to_csv(folder / "all prices.csv", index=False)


YAHOO = {"session": "Date", "open": "Open", "high": "High", "low": "Low", "close": "Close"}


def yahoo(folder: Path, bars: pd.DataFrame) -> None:
    columns = {**YAHOO, "adj_close": "Adj Close", "volume": "Volume"}
    _each(folder, bars, lambda symbol: f"{symbol}.csv", columns, float_format="%.6f")


def yfinance_history(folder: Path, bars: pd.DataFrame) -> None:
    """`Ticker.history(auto_adjust=False).to_csv()`: zoned midnights, 0 for no split, a column that is not always there."""
    dated = bars.assign(
        session=[f"{day} 00:00:00-0{5 if day.month < 3 else 4}:00" for day in bars["session"]],
        split_ratio=bars["split_ratio"].replace(1.0, 0.0),
        capital_gain=0.0,
    )
    columns = {**YAHOO, "adj_close": "Adj Close", "volume": "Volume", "dividend": "Dividends"}
    columns |= {"split_ratio": "Stock Splits", "capital_gain": "Capital Gains"}
    _each(folder, dated, lambda symbol: f"{symbol}_history.csv", columns)


def _yfinance_wide(bars: pd.DataFrame) -> pd.DataFrame:
    fields = {"adj_close": "Adj Close", "close": "Close", "dividend": "Dividends", "high": "High", "low": "Low"}
    fields |= {"open": "Open", "split_ratio": "Stock Splits", "volume": "Volume"}
    bars = bars.assign(split_ratio=bars["split_ratio"].replace(1.0, 0.0)).rename(columns=fields)
    wide = bars.pivot(index="session", columns="symbol", values=list(fields.values()))
    wide.index = pd.to_datetime(wide.index).rename("Date")
    wide.columns = wide.columns.set_names(["Price", "Ticker"])
    return wide


def yfinance_download(folder: Path, bars: pd.DataFrame) -> None:
    """`yfinance.download([…], auto_adjust=False, actions=True).to_csv()`."""
    _yfinance_wide(bars).to_csv(folder / "download.csv")


def yfinance_by_ticker(folder: Path, bars: pd.DataFrame) -> None:
    """The same with `group_by="ticker"`."""
    _yfinance_wide(bars).swaplevel(axis=1).sort_index(axis=1).to_csv(folder / "download.csv")


def yfinance_unnamed(folder: Path, bars: pd.DataFrame) -> None:
    """The same as older versions wrote it, whose levels have no names."""
    wide = _yfinance_wide(bars)
    wide.columns = wide.columns.set_names([None, None])
    wide.to_csv(folder / "download.csv")


def tiingo(folder: Path, bars: pd.DataFrame) -> None:
    names = {"session": "date", "close": "close", "high": "high", "low": "low", "open": "open", "volume": "volume"}
    names |= {"adj_close": "adjClose", "dividend": "divCash", "split_ratio": "splitFactor"}
    _each(folder, as_traded(bars), lambda symbol: f"{symbol.lower()}.csv", names)


def tiingo_client(folder: Path, bars: pd.DataFrame) -> None:
    """As Tiingo's Python client and pandas-datareader write it: all symbols in one file, midnights in UTC, an index column."""
    names = {"session": "date", "adj_close": "adjClose", "dividend": "divCash", "split_ratio": "splitFactor"}
    stamped = as_traded(bars).assign(session=[f"{day} 00:00:00+00:00" for day in bars["session"]])
    stamped.rename(columns=names).to_csv(folder / "tiingo.csv")


def alpha_vantage(folder: Path, bars: pd.DataFrame) -> None:
    names = {"session": "timestamp", "open": "open", "high": "high", "low": "low", "close": "close"}
    names |= {"adj_close": "adjusted_close", "volume": "volume", "dividend": "dividend_amount"}
    names |= {"split_ratio": "split_coefficient"}
    _each(folder, as_traded(bars), lambda symbol: f"daily_adjusted_{symbol}.csv", names, newest_first=True)


def stooq(folder: Path, bars: pd.DataFrame) -> None:
    _each(folder, bars, lambda symbol: f"{symbol.lower()}_us_d.csv", {**YAHOO, "volume": "Volume"})


def stooq_bulk(folder: Path, bars: pd.DataFrame) -> None:
    bulk = bars.assign(
        symbol=[f"{symbol}.US" for symbol in bars["symbol"]],
        per="D",
        session=[f"{day:%Y%m%d}" for day in bars["session"]],
        time="000000",
        openint=0,
    )
    names = {"symbol": "<TICKER>", "per": "<PER>", "session": "<DATE>", "time": "<TIME>", "open": "<OPEN>"}
    names |= {"high": "<HIGH>", "low": "<LOW>", "close": "<CLOSE>", "volume": "<VOL>", "openint": "<OPENINT>"}
    bulk[list(names)].rename(columns=names).to_csv(folder / "us.txt", index=False)


def bloomberg(folder: Path, bars: pd.DataFrame) -> None:
    """A sheet with a block of fields per security, merged tickers above it, notes at the top, and dates of the United States."""
    fields = {"open": "PX_OPEN", "high": "PX_HIGH", "low": "PX_LOW", "close": "PX_LAST", "volume": "PX_VOLUME"}
    header, above = ["Date"], [""]
    for symbol in SYMBOLS:
        header += fields.values()
        above += [f"{symbol.replace('-', '/')} US Equity", *[""] * (len(fields) - 1)]
    lines = ["Start Date,01/02/2024", "", ",".join(above), ",".join(header)]
    for session, rows in bars.groupby("session"):
        by_symbol = rows.set_index("symbol")
        values = [f"{by_symbol.loc[symbol, name]:.6f}" for symbol in SYMBOLS for name in fields]
        lines.append(",".join([f"{session:%m/%d/%Y}", *values]))
    (folder / "sheet.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def bloomberg_rows(folder: Path, bars: pd.DataFrame) -> None:
    """One row per security and day."""
    names = {"symbol": "security", "session": "date", "open": "PX_OPEN", "high": "PX_HIGH", "low": "PX_LOW"}
    names |= {"close": "PX_LAST", "volume": "VOLUME"}
    rows = bars.assign(symbol=[f"{symbol.replace('-', '/')} US Equity" for symbol in bars["symbol"]])
    rows[list(names)].rename(columns=names).to_csv(folder / "rows.csv", index=False)


def semicolons(folder: Path, bars: pd.DataFrame) -> None:
    """As a spreadsheet of continental Europe saves it: semicolons, decimal commas, the day first."""
    names = {"symbol": "Symbol", "session": "Date", "open": "Open", "high": "High", "low": "Low", "close": "Close"}
    names |= {"volume": "Volume", "dividend": "Dividend", "split_ratio": "Split ratio"}
    dated = bars.assign(session=[f"{day:%d.%m.%Y}" for day in bars["session"]])
    dated[list(names)].rename(columns=names).to_csv(folder / "prices.csv", index=False, sep=";", decimal=",")


def closes(folder: Path, bars: pd.DataFrame) -> None:
    """One column of closes a symbol."""
    wide = bars.pivot(index="session", columns="symbol", values="close")
    wide.rename_axis(index="Date", columns=None).to_csv(folder / "closes.csv")


#: Each export, the answers that it needs, and the columns that it has.
OHLC = ("open", "high", "low", "close")
FULL = (*OHLC, "volume", "dividend", "split_ratio")
NO_EVENTS = {"closes": "split-adjusted", "dividends": "none"}
EXPORTS: dict[str, tuple[Callable[[Path, pd.DataFrame], None], dict[str, str], tuple[str, ...]]] = {
    "own": (own, {}, FULL),
    "yahoo": (yahoo, {}, (*OHLC, "volume", "dividend")),
    "yfinance history": (yfinance_history, {}, FULL),
    "yfinance download": (yfinance_download, {}, FULL),
    "yfinance by ticker": (yfinance_by_ticker, {}, FULL),
    "yfinance without names": (yfinance_unnamed, {}, FULL),
    "tiingo": (tiingo, {}, FULL),
    "tiingo client": (tiingo_client, {}, FULL),
    "alpha vantage": (alpha_vantage, {}, FULL),
    "stooq": (stooq, NO_EVENTS, (*OHLC, "volume")),
    "stooq bulk": (stooq_bulk, NO_EVENTS, (*OHLC, "volume")),
    "bloomberg": (bloomberg, NO_EVENTS, (*OHLC, "volume")),
    "bloomberg rows": (bloomberg_rows, NO_EVENTS, (*OHLC, "volume")),
    "semicolons": (semicolons, {"closes": "split-adjusted"}, FULL),
    "closes": (closes, NO_EVENTS, ("close",)),
}
