"""Names of columns, vendors and symbols in other people's files, and what they mean."""

from __future__ import annotations

import re
from collections.abc import Collection

from market_rotation.tasks.sources.files import FRAMES

#: What a column holds, by its name without blanks, signs and case. What is not here, and no column of the project's own, is not read.
MEANINGS = {
    "day": "date session asof asofdate timestamp datetime day tradedate pricedate",
    "symbol": "symbol ticker security instrument code",
    "open": "open pxopen 1open openprice",
    "high": "high pxhigh 2high highprice",
    "low": "low pxlow 3low lowprice",
    "close": "close pxlast last 4close closeprice closelast lastprice",
    "vendor_adj_close": "adjclose adjustedclose 5adjustedclose vendoradjclose adjcloseprice",
    "volume": "volume vol pxvolume 6volume",
    "dividend": "dividend dividends divcash dividendamount 7dividendamount",
    "split_ratio": "splitratio stocksplits splitfactor splitcoefficient 8splitcoefficient",
    "capital_gain": "capitalgain capitalgains",
    "nav": "nav navpershare netassetvalue",
    "shares_outstanding": "sharesoutstanding",
    "distribution": "distribution exdividends exdividend",
}
#: The words of a file's name that say something else than its symbol.
_NOISE = r"(?:us|d|daily|adjusted|unadjusted|prices?|history|historical|data|eod|max|full|quotes?|stooq|tiingo|yahoo|yfinance)"
_SYMBOL = re.compile(r"\^?[A-Z][A-Z0-9]{0,9}(?:[.\-][A-Z0-9]{1,4})?(?:=[A-Z])?")


def _key(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


_BY_KEY = {key: meaning for meaning, keys in MEANINGS.items() for key in keys.split()}
_OWN = {_key(column): column for columns in FRAMES.values() for column in columns if column not in ("as_of", "session")}


def meaning(name: str) -> str | None:
    """What a column of this name holds: `day`, or a column of a dataset; None where that is not known."""
    return _BY_KEY.get(_key(name)) or _OWN.get(_key(name))


def symbol(text: str) -> str | None:
    """The symbol in `text` as Yahoo and the universe write it, None where there is none: `IWM US Equity` and `iwm.us` are IWM, `BRK.B` is BRK-B."""
    found = re.sub(r"\s+U[A-Z]\s+EQUITY$", "", text.strip().upper())
    found = re.sub(r"\.US$", "", found)
    found = re.sub(r"^([A-Z]{1,5})[./]([A-Z])$", r"\1-\2", found)
    return found if _SYMBOL.fullmatch(found) else None


def symbol_of_file(stem: str) -> str | None:
    """The symbol that a file's name says, without words such as `daily`; None where more than one word is left."""
    bare = re.sub(rf"(?i)^(?:{_NOISE}[_\- .]+)+|(?:[_\- .]+{_NOISE})+$", "", stem)
    return symbol(bare) if not re.fullmatch(_NOISE, bare, re.IGNORECASE) else None


def is_yfinance(names: Collection[str], is_wide: bool) -> bool:
    """Whether yfinance wrote the file: its own column names, or its two header rows of fields and tickers."""
    return {"Dividends", "Stock Splits"} <= set(names) or (is_wide and {"Open", "Close", "Volume"} <= set(names))


def vendor(names: Collection[str], is_wide: bool) -> str:
    """Who wrote a file with these columns, for a person. The layouts are those that public code read in 2026."""
    keys = {_key(name) for name in names}
    if is_yfinance(names, is_wide):
        return "yfinance"
    if {"divcash", "splitfactor"} <= keys:
        return "Tiingo"
    if {"dividendamount", "splitcoefficient"} <= keys or {"7dividendamount", "8splitcoefficient"} <= keys:
        return "Alpha Vantage, adjusted"
    if "timestamp" in keys and keys <= {"timestamp", "open", "high", "low", "close", "volume"}:
        return "Alpha Vantage, as traded"
    if "pxlast" in keys:
        return "Bloomberg"
    if {"ticker", "per", "openint"} <= keys:
        return "Stooq"
    if "Adj Close" in names:
        return "Yahoo"
    if "Adjusted_close" in names:
        return "EODHD"
    return "own columns"
