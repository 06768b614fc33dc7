"""Targets of the fuzz campaign among the sources: the documents of vendors, and the user's own files of data."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

import exports
import layouts
import pandas as pd
from yahoo_documents import CHART, SUMMARY

from campaigns import second_readings as again
from campaigns.second_readings import Said
from market_rotation.tasks.errors import SourceUnavailable
from market_rotation.tasks.importing.understand import understand
from market_rotation.tasks.importing.write import write
from market_rotation.tasks.sources import eodhd, tiingo
from market_rotation.tasks.sources.budget import Budget
from market_rotation.tasks.sources.files import FilesSource
from market_rotation.tasks.sources.keyed import Client
from market_rotation.tasks.sources.yahoo.chart import parse_chart
from market_rotation.tasks.sources.yahoo.funds import parse_fund_facts, parse_fund_nav

START, END = date(2024, 1, 2), date(2026, 1, 9)
BAR = ("open", "high", "low", "close", "volume")


@dataclass(frozen=True)
class Target:
    """A reader: `read` gives what the product makes of a document, `read_again` what it plainly says (None: is not compared).

    `share` is its part of the time, relative to the others: more where one document takes long.
    """

    name: str
    seeds: tuple[bytes, ...]
    read: Callable[[bytes], Said]
    read_again: Callable[[bytes], Said] | None
    share: float = 1.0


def _json(content: bytes) -> Any:
    """As the client of Yahoo decodes a body."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        raise SourceUnavailable("Its answer is cut off; try again later.") from None


def _yahoo() -> list[Target]:
    chart, summary = json.dumps(CHART).encode(), json.dumps(SUMMARY).encode()
    start, end = date(2026, 1, 1), END
    columns = ("session", *BAR, "vendor_adj_close", "dividend", "split_ratio")
    return [
        Target(
            "yahoo-chart",
            (chart,),
            lambda c: again.frame(parse_chart(_json(c), "SPY", start, end), *columns),
            lambda c: again.chart(c, start, end),
        ),
        Target(
            "yahoo-nav",
            (summary,),
            lambda c: again.frame(parse_fund_nav(_json(c), "SPY", end, end), "nav", "total_net_assets_usd"),
            lambda c: again.summary(c, *_PLACES, near=end),
        ),
        Target(
            "yahoo-facts",
            (summary,),
            lambda c: again.frame(parse_fund_facts(_json(c), "SPY", end), "nav", "total_net_assets_usd"),
            lambda c: again.summary(c, *_PLACES),
        ),
    ]


class _Unlimited:
    """A budget that counts nothing."""

    def take(self, what: str) -> None: ...

    def exhaust(self) -> None: ...


def _keyed() -> list[Target]:
    rows = [
        {
            **{"date": f"2026-01-0{n}T00:00:00.000Z", "open": 10.5, "high": 11.5, "low": 9.25, "close": 10.0 + n},
            **{"volume": 1000 * n, "adjClose": 9.5, "divCash": 0.25 * (n == 6), "splitFactor": 1.0},
        }
        for n in (5, 6, 7)
    ]
    bars = [
        {"date": row["date"][:10], **{n: row[n] for n in BAR}, "adjusted_close": row["adjClose"]}
        for row in cast("list[dict[str, Any]]", rows)
    ]
    budget = cast("Budget", _Unlimited())

    def asked(source: type[Any], module: Any, vendor: Any, content: bytes) -> Said:
        with patch("market_rotation.tasks.sources.keyed.get", lambda url, **_: (200, content)):
            client = Client(vendor, "key", budget, 1.0)
            # An index of EODHD needs one request.
            symbol = "^VIX" if module is eodhd else "SPY"
            return again.frame(source(client).prices(symbol, START, END), *_KEYED)

    def said(content: bytes, adjusted: str) -> Said:
        given = json.loads(content)
        if any(row.get("splitFactor", 1) != 1 for row in given):
            raise ValueError("a split, which changes other rows")
        found = again.keyed(given, (*BAR, adjusted))
        return again.ordered([row for row in found if str(START) <= row[0] <= str(END)])

    return [
        Target(
            "tiingo",
            (json.dumps(rows).encode(),),
            lambda c: asked(tiingo.TiingoSource, tiingo, tiingo.TIINGO, c),
            lambda c: said(c, "adjClose"),
        ),
        Target(
            "eodhd",
            (json.dumps(bars).encode(),),
            lambda c: asked(eodhd.EodhdSource, eodhd, eodhd.EODHD, c),
            lambda c: said(c, "adjusted_close"),
        ),
    ]


_PLACES = (("navPrice", "summaryDetail"), ("totalAssets", "summaryDetail", "defaultKeyStatistics"))
_KEYED = ("session", *BAR, "vendor_adj_close")
_FILES = ("symbol", "session", *BAR, "dividend", "split_ratio")


def _files() -> list[Target]:
    market = exports.market().drop(columns="adj_close").groupby("symbol").head(4).reset_index(drop=True)
    parquet = io.BytesIO()
    market.assign(session=pd.to_datetime(market["session"])).to_parquet(parquet)

    def files(content: bytes, ending: str) -> Said:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / f"prices.{ending}").write_bytes(content)
            return _all(FilesSource(Path(folder)))

    def imported(content: bytes) -> Said:
        with tempfile.TemporaryDirectory() as folder:
            for name in ("theirs", "ours"):
                (Path(folder) / name).mkdir()
            (Path(folder) / "theirs" / "SPY.csv").write_bytes(content)
            found, _ = understand(Path(folder) / "theirs", {"closes": "split-adjusted", "dividends": "none"})
            if not any(part.dataset == "prices" for part in found):
                return []
            write(Path(folder) / "ours", found)
            return _all(FilesSource(Path(folder) / "ours"))

    numbers = (*BAR, "dividend", "split_ratio")
    texts = ("symbol",)
    csv = market.to_csv(index=False).encode()
    return [
        Target(
            "files-csv", (csv,), lambda c: files(c, "csv"), lambda c: again.table(c, texts, "session", numbers), 4.0
        ),
        Target(
            "files-parquet",
            (parquet.getvalue(),),
            lambda c: files(c, "parquet"),
            lambda c: again.parquet(c, texts, "session", numbers),
            4.0,
        ),
        Target(
            "importer",
            (csv, *_vendors()),
            imported,
            lambda c: again.imported(c, numbers),
            4.0,
        ),
    ]


def _vendors() -> list[bytes]:
    """One file of the export of several vendors."""
    found = []
    for name in ("yahoo", "stooq", "semicolons", "bloomberg", "yfinance history"):
        with tempfile.TemporaryDirectory() as folder:
            exports.EXPORTS[name][0](Path(folder), exports.market())
            found.append(sorted(Path(folder).iterdir())[0].read_bytes()[:2000].rpartition(b"\n")[0])
    return found


def _all(source: FilesSource) -> Said:
    return again.ordered([row for rows in source._rows["prices"].values() for row in again.frame(rows, *_FILES)])


def _issuers() -> list[Target]:
    return [
        Target(layout.name.lower().replace(" ", "-"), (layout.content,), layout.parse, layout.read_again)
        for layout in layouts.all_layouts()
    ]


def targets() -> list[Target]:
    """The targets of this module."""
    return [*_yahoo(), *_keyed(), *_files(), *_issuers()]
