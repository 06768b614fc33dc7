"""Values of settings: how each is written, and the message about a wrong one."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from importlib.metadata import entry_points

from market_rotation.tasks import lake_address

#: The entry point group in which packages register sources; see `market_rotation.tasks.sources.base`.
SOURCE_GROUP = "market_rotation.sources"
#: The kinds of change that can be alerted.
KINDS_OF_CHANGE = ("label", "state", "verdict")
_ISO_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
#: The source whose prices are simulated.
SIMULATED = "sample"


def source_order(value: str) -> str:
    """`value`, one name of an installed source or several separated by commas, without blanks."""
    names = [name.strip() for name in value.split(",")]
    installed = sorted(entry_points(group=SOURCE_GROUP).names)
    if not installed:
        raise ValueError("no source is installed, not even those of market-rotation; install it again")
    if unknown := [name for name in names if name not in installed]:
        raise ValueError(f"no source {unknown[0]!r} is installed; the installed sources are {', '.join(installed)}")
    if repeated := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"the source {repeated[0]!r} is listed twice; name it once")
    if SIMULATED in names and len(names) > 1:
        raise ValueError(f"simulated and real prices are never mixed; use {SIMULATED!r} alone or leave it out")
    return ",".join(names)


def kinds_of_change(value: str) -> str:
    """`value`, one of or several of `label`, `state` and `verdict` separated by commas, or `none`, without blanks."""
    names = [name.strip() for name in value.split(",")]
    if names != ["none"] and (unknown := [name for name in names if name not in KINDS_OF_CHANGE]):
        raise ValueError(f"{unknown[0]!r} is not a kind of change; choose from {', '.join(KINDS_OF_CHANGE)}, or none")
    return ",".join(names)


def warehouse(value: str | None) -> str | None:
    """`value`, the path of a file or the address of a DuckLake. Raises `ValueError`, without the value, which may hold a password."""
    if lake_address.is_lake(value):
        assert value is not None
        lake_address.parse(value, None)
    elif value and ":" in value.split("/")[0]:
        raise ValueError(
            f"{value.split(':')[0]}:… is not supported; give the path of a DuckDB file, or a DuckLake as ducklake:PATH"
        )
    return value


def listed(value: object) -> object:
    """The values of a list that the environment holds as one text, separated by commas or spaces."""
    return value.replace(",", " ").split() if isinstance(value, str) else value


def iso_day(value: object) -> object:
    """`value`, with a text only as YYYY-MM-DD: pydantic takes a number such as 20050103 for the seconds since 1970."""
    if isinstance(value, bool | int | float) or (isinstance(value, str) and not _ISO_DAY.fullmatch(value.strip())):
        raise ValueError("not a date; write it as 2005-01-03")
    return value.strip() if isinstance(value, str) else value


def address(value: str) -> str:
    """`value` without the slash at its end, an address of the web or empty."""
    if value and not value.startswith(("http://", "https://")):
        raise ValueError("not an address of the web; write it as https://rotation.example.com")
    return value.rstrip("/")


def memory(value: str | None) -> str | None:
    """`value`, a size with its unit as DuckDB reads it."""
    if value and not re.fullmatch(r"\d+(\.\d+)? ?[KMGT]i?B", value, re.IGNORECASE):
        raise ValueError("not a size; write a number and its unit, as in 2GB")
    return value or None


def nearest(name: str, known: Iterable[str]) -> str:
    """` (did you mean …?)` with the setting of `known` whose name is nearest to `name`, written as `name` is; empty when none is near."""
    prefix = "ROTATION_" if name.upper().startswith("ROTATION_") else ""
    near = difflib.get_close_matches(name.upper().removeprefix(prefix).lower(), known, n=1)
    return f" (did you mean {prefix}{near[0].upper() if prefix else near[0]}?)" if near else ""
