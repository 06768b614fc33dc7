"""`rotation universe`: the symbols that are followed, and what will be known of each fund's flows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError
from rich.table import Table
from rich.text import Text

from market_rotation.flows.cli.console import out
from market_rotation.tasks import universe_file
from market_rotation.tasks.errors import UsageError
from market_rotation.tasks.issuers import ISSUERS, flows_known
from market_rotation.tasks.settings import Settings, load_settings
from market_rotation.tasks.universe import Instrument, load_universe

#: Kinds with shares that are created and redeemed.
FUNDS = ("fund", "sector")


def show_list() -> None:
    """Prints the universe in force, with what will be known of the flows of each fund."""
    settings = load_settings()
    members = load_universe(settings.universe)
    table = Table(box=None, header_style="dim", padding=(0, 1, 0, 0), pad_edge=False)
    for name in ("symbol", "kind", "flow group", "in breadth", "what will be known of its flows"):
        table.add_column(name, no_wrap=name != "what will be known of its flows")
    for row in members.instruments:
        known = flows_known(row) if row.kind in FUNDS else ""
        table.add_row(row.symbol, row.kind, Text(row.flow_group or ""), "yes" if row.in_breadth else "", Text(known))
    out.print(table)
    _say(f"{len(members.instruments)} symbols, from {settings.universe or 'the shipped universe'}.")


def check() -> None:
    """Reads the universe in force as a run does, and prints what will be known of each flow group. Raises `ConfigError`."""
    settings = load_settings()
    members = load_universe(settings.universe)
    _say(
        f"{settings.universe or 'The shipped universe'}: {len(members.instruments)} symbols and {len(members.pairs)} pairs; no errors."
    )
    for group in sorted({row.flow_group for row in members.instruments if row.flow_group}):
        funds = [row for row in members.instruments if row.flow_group == group]
        _say(f"group:{group} sums {len(funds)} funds.")
        for row in funds:
            _say(f"- {row.symbol}: {flows_known(row)}")


def add(
    symbols: Sequence[str],
    kind: str | None,
    name: str | None,
    flow_group: str | None,
    issuer: str | None,
    issuer_id: str | None,
) -> None:
    """Adds funds or other instruments to the user's universe file, and prints what will be known of each."""
    settings = load_settings()
    given = {"kind": kind, "name": name, "flow_group": flow_group, "issuer": issuer, "issuer_id": issuer_id}
    overrides = {key: value for key, value in given.items() if value is not None}
    if len(symbols) > 1 and {"name", "issuer_id"} & set(overrides):
        raise UsageError("--name and --issuer-id belong to one fund; add one symbol at a time with them.")
    shipped = {row.symbol: row for row in load_universe().instruments}
    rows = [_row(symbol, shipped.get(symbol), overrides) for symbol in dict.fromkeys(symbols)]
    path = universe_file.own_file(settings)
    universe_file.add(path, rows)
    for row in rows:
        _say(f"{row.symbol}: {flows_known(row)}" if row.kind in FUNDS else f"{row.symbol} is followed.")
    _say(_consequence(sorted({row.flow_group for row in rows if row.flow_group}), "counts the added funds"))
    _say_where(settings, path)


def remove(symbols: Sequence[str]) -> None:
    """Removes instruments from the user's universe file, and prints what that changes."""
    settings = load_settings()
    before = load_universe(settings.universe)
    path = universe_file.own_file(settings)
    universe_file.remove(path, symbols)
    groups = sorted({row.flow_group for row in before.instruments if row.symbol in symbols and row.flow_group})
    _say(f"Removed {', '.join(dict.fromkeys(symbols))} from {path}; their data stays in the warehouse.")
    _say(_consequence(groups, "no longer counts the removed funds"))
    _say_where(settings, path)


def _row(symbol: str, shipped: Instrument | None, overrides: dict[str, str]) -> Instrument:
    """The shipped row of the symbol with the given values in place of its own, or a row of these values alone."""
    if shipped is None and "issuer" not in overrides and overrides.get("kind", "fund") == "fund":
        raise UsageError(
            f"{symbol} is not in the shipped universe; name its issuer with --issuer ({', '.join(ISSUERS)}, or another name for one without "
            "a source), and its flow group with --flow-group."
        )
    blank = {field: None for field, info in Instrument.model_fields.items() if info.is_required()}
    values = shipped.model_dump() if shipped else {**blank, "name": symbol, "kind": "fund", "in_breadth": False}
    try:
        return Instrument.model_validate({**values, **overrides, "symbol": symbol})
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(
            f"{symbol}: {first['loc'][0]}: {first['msg']} (it is {first['input']!r}); correct it."
        ) from None


def _consequence(groups: Sequence[str], what: str) -> str:
    if not groups:
        return "The next `rotation run` follows the changed universe."
    named = ", ".join(f"group:{group}" for group in groups)
    return f"From the next `rotation run` on {named} {what}; sums of earlier periods keep their members."


def _say_where(settings: Settings, path: Path) -> None:
    if settings.universe is None:
        _say(
            f"The changed universe is {path}. Runs still use the shipped one: set ROTATION_UNIVERSE={path}, or put "
            f'`universe = "{path}"` into {settings.home / "rotation.toml"}.'
        )


def _say(sentence: str) -> None:
    out.print(sentence, soft_wrap=True, markup=False, highlight=False)
