"""What must hold of the published file after every run of the model campaign; each broken promise is an AssertionError that names it."""

from __future__ import annotations

from collections import Counter
from datetime import date
from typing import Any

import duckdb
import numpy as np

from campaigns.expected import Expected
from campaigns.known import State, published
from campaigns.vendor_model import COLUMNS, RENAMED, SYMBOLS, Vendor
from market_rotation.tasks import warehouse
from market_rotation.tasks.warehouse import macros

Rows = Counter[tuple[Any, ...]]
_RAW = {
    "raw.prices": ("symbol, session", COLUMNS),
    "raw.price_events": ("symbol, event_date", ("dividend", "split_ratio")),
}


class Readers:
    """What readers saw after the last run, to which the next is compared."""

    def __init__(self) -> None:
        self.raw: dict[str, Rows] = {name: Counter() for name in _RAW}
        self.session = date.min

    def check(self, path: warehouse.Published, expected: Expected, vendor: Vendor) -> None:
        """Compares the warehouse published at `path` with the model; raises `AssertionError` for the first promise that is broken."""
        with warehouse.reading(path) as con:
            self._only_grows(con)
            check_prices(con, expected.readers, vendor)
            check_revisions(con, expected.readers)
            check_quarantine(con, expected.readers)
            found = {row["fingerprint"] for row in macros.rows(con, "from incidents()")}
            assert found == expected.incidents, (
                f"open incidents: {sorted(found)}, expected {sorted(expected.incidents)}"
            )

    def _only_grows(self, con: duckdb.DuckDBPyConnection) -> None:
        for name, (key, values) in _RAW.items():
            now: Rows = Counter(con.execute(f"select {key}, is_withdrawn, {', '.join(values)} from {name}").fetchall())
            assert not self.raw[name] - now, f"{name} lost rows: {self.raw[name] - now}"
            self.raw[name] = now
        (session,) = con.execute("select max(session) from core.prices").fetchone() or (None,)
        assert session >= self.session, f"readers' session went back from {self.session} to {session}"
        self.session = session


def check_prices(con: duckdb.DuckDBPyConnection, state: State, vendor: Vendor) -> None:
    """Close, dividend and split of every published bar, and the total-return index within 1e-9."""
    for symbol in (*SYMBOLS, RENAMED):
        rows = con.execute(
            "select session, close, dividend, split_ratio, total_return_index from core.prices where symbol = $1 order by session",
            [symbol],
        ).fetchall()
        truth = published(state, symbol)
        days = {row[0] for row in rows}
        assert days == truth.keys(), (
            f"{symbol}: published but not expected {days - truth.keys()}, missing {truth.keys() - days}"
        )
        for day, close, *_ in rows:
            assert close > 0, f"{symbol} {day}: the published close is {close}"
            assert (symbol, day, close) in vendor.given, f"{symbol} {day}: nobody gave the published close {close}"
        found = np.array([row[1:] for row in rows], dtype=float).reshape(-1, 4)
        wanted = np.array([truth[row[0]] for row in rows], dtype=float).reshape(-1, 4)
        wrong = ~np.isclose(found, wanted, rtol=1e-9, atol=0)
        for row, column in np.argwhere(wrong)[:1]:
            name = ("close", "dividend", "split_ratio", "total_return_index")[column]
            day = rows[row][0]
            raise AssertionError(f"{symbol} {day}: {name} is {found[row, column]}, expected {wanted[row, column]}")


def check_revisions(con: duckdb.DuckDBPyConnection, state: State) -> None:
    """Each restated value is listed once, and nothing else."""
    found = Counter(
        con.execute(
            "select symbol, session, column_name, old_value, new_value from ops.revisions where dataset = 'prices'"
        ).fetchall()
    )
    wanted = Counter(state.revisions)
    assert found == wanted, (
        f"ops.revisions: not expected {list(found - wanted)[:3]}, missing {list(wanted - found)[:3]}"
    )


def check_quarantine(con: duckdb.DuckDBPyConnection, state: State) -> None:
    """The open entries are the bars and symbols that are set aside now."""
    found = set(con.execute("select symbol, session from ops.quarantine where resolved_at is null").fetchall())
    wanted = state.quarantine.keys()
    assert found == wanted, f"quarantine: not expected {found - wanted}, missing {wanted - found}"
