"""Prices of other people's files as bars on the project's basis: adjusted for splits and not for dividends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from market_rotation.tasks.errors import ConfigError
from market_rotation.tasks.importing import cells, names
from market_rotation.tasks.importing.questions import Asked, Question
from market_rotation.tasks.sources.frames import price_frame
from market_rotation.tasks.sources.unadjusted import Bar, adjusted

if TYPE_CHECKING:
    import pandas as pd

    from market_rotation.tasks.importing.table import Table

NUMBERS = ("open", "high", "low", "close", "vendor_adj_close", "volume", "dividend", "split_ratio", "capital_gain")
#: Dividends are the steps of adjusted close / close; with fewer decimals, rounding makes steps of its own.
DECIMALS_FOR_DIVIDENDS = 4

CLOSES = {
    "split-adjusted": "adjusted for splits, not for dividends",
    "as-traded": "as traded on the day, not adjusted",
    "total-return": "adjusted for splits and dividends",
}
DIVIDENDS = {"none": "there were none, or returns without them are wanted", "stop": "they are missing"}


class Basis(NamedTuple):
    """What the closes are adjusted for, a key of `CLOSES`, and where the dividends come from, in words.

    `decimals` of the adjusted closes, where the dividends are found in them.
    """

    closes: str
    dividends: str
    decimals: int | None = None


def basis(table: Table, answers: Mapping[str, str]) -> Basis:
    """The basis of the closes in `table`: by its vendor, else by `answers`.

    Raises `Asked` with a question that only the user can answer, `ConfigError` for closes that cannot be used.
    """
    found = table.meanings
    closes = _of_vendor(table) or answers.get("closes")
    if closes is None:
        raise Asked(
            Question(
                "closes",
                f"{table.path}: what are the closes adjusted for? Its columns do not say ({names.vendor(table.names, table.is_wide)}).",
                CLOSES,
            )
        )
    if closes == "total-return":
        advice = (
            "download them again with auto_adjust=False, actions=True"
            if names.is_yfinance(table.names, table.is_wide)
            else "download them without this adjustment, and with a column of dividends"
        )
        raise ConfigError(
            f"{table.path}: the closes are adjusted for dividends, so no price of a day can be found in them; {advice}."
        )
    if closes == "as-traded" and "split_ratio" not in found:
        raise ConfigError(
            f"{table.path}: the closes are as traded and no column has the splits, so a split would look like a loss; download the adjusted "
            "series, or add a column split_ratio (new shares per old, 1 = none)."
        )
    if "dividend" in found:
        return Basis(closes, "from the file")
    places = [part.places["vendor_adj_close"] for part in table.parts if "vendor_adj_close" in part.places]
    if closes == "split-adjusted" and places:
        decimals = min(cells.decimals(table, place) for place in places)
        if decimals >= DECIMALS_FOR_DIVIDENDS:
            return Basis(closes, "from the steps of adjusted close / close", decimals)
    return Basis(closes, _none(table, answers))


def _of_vendor(table: Table) -> str | None:
    vendor = names.vendor(table.names, table.is_wide)
    if vendor in ("Tiingo", "Alpha Vantage, adjusted", "Alpha Vantage, as traded"):
        return "as-traded"
    if vendor == "Yahoo":
        return "split-adjusted"
    if vendor == "yfinance":
        # yfinance adjusts for dividends unless told not to, and then it adds the column Adj Close.
        return "split-adjusted" if "vendor_adj_close" in table.meanings else "total-return"
    own = {"symbol", "session", "close", "dividend", "split_ratio"}
    return "split-adjusted" if own <= set(table.names) else None


def _none(table: Table, answers: Mapping[str, str]) -> str:
    """The origin of dividends that a file lacks, in words: none. Raises `Asked` until the user has answered, `ConfigError` if they are missing."""
    answer = answers.get("dividends")
    if answer is None:
        raise Asked(
            Question(
                "dividends",
                f"{table.path}: no column has the dividends. Were there none?",
                DIVIDENDS,
            )
        )
    if answer == "stop":
        raise ConfigError(
            f"{table.path}: dividends are missing; add a column dividend (USD per share on the ex-date, 0 = none)."
        )
    return "none, as you said"


def bars(symbol: str, columns: pd.DataFrame, of: Basis) -> pd.DataFrame:
    """The bars of one symbol, a frame of `PRICE_COLUMNS`, oldest first.

    `columns` has `session`, `close` and what else of `NUMBERS` the file has. Yahoo writes 0 for no split. Closes as traded are divided by all
    later splits of the file, so it must reach to the present.
    """
    rows = columns.sort_values("session", kind="stable", ignore_index=True)
    rows = rows.reindex(columns=["session", *NUMBERS])
    if of.decimals is not None:
        rows["dividend"] = _steps(symbol, rows, of.decimals)
    rows = rows.fillna({"dividend": 0.0, "capital_gain": 0.0, "split_ratio": 1.0})
    rows["split_ratio"] = rows["split_ratio"].replace(0.0, 1.0)
    # A holiday row of a wide file, in which only other symbols have values.
    events = (rows["dividend"] != 0) | (rows["capital_gain"] != 0) | (rows["split_ratio"] != 1)
    rows = rows[rows["close"].notna() | events].reset_index(drop=True)
    if of.closes == "split-adjusted":
        return price_frame(rows.assign(symbol=symbol))
    days = list(rows["session"])
    numbers = zip(*(rows[name] for name in ("open", "high", "low", "close", "volume", "vendor_adj_close")), strict=True)
    traded = [Bar(day, *values) for day, values in zip(days, numbers, strict=True)]
    dividends = {day: paid for day, paid in zip(days, rows["dividend"], strict=True) if paid}
    splits = {day: ratio for day, ratio in zip(days, rows["split_ratio"], strict=True) if ratio != 1}
    return adjusted(symbol, traded, dividends, splits, days[0], days[-1])


def _steps(symbol: str, rows: pd.DataFrame, decimals: int) -> pd.Series:
    """The dividend on each day, from adjusted close A and close C as Yahoo makes them: D_t = C_{t-1} * (1 - (A_{t-1} / C_{t-1}) / (A_t / C_t)).

    Without a dividend the two ratios are equal but for rounding, and a step that rounding can make is none. Raises `ConfigError` where a step
    goes the other way, as no dividend does.
    """
    known = rows["close"].notna() & rows["vendor_adj_close"].notna()
    close, adjusted_close = rows.loc[known, "close"], rows.loc[known, "vendor_adj_close"]
    ratio = adjusted_close / close
    paid = close.shift() * (1 - ratio.shift() / ratio)
    # Half a unit of the last decimal in each of the four numbers, and the rounding of 32-bit numbers, in which Yahoo keeps them.
    least = 10.0**-decimals * (1 + 1 / ratio.shift()) + 1e-6 * close.shift()
    wrong = paid[paid < -least]
    if len(wrong):
        day = rows.loc[wrong.index[0], "session"]
        raise ConfigError(
            f"The adjusted closes of {symbol} step the wrong way on {day}, so no dividends can be found in them; add a column dividend."
        )
    return paid.where(paid > least, 0.0).reindex(rows.index).fillna(0.0).round(6)
