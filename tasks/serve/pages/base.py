"""What a page is: a form, and the exhibits that answer it."""

from __future__ import annotations

from dataclasses import dataclass

from market_rotation.tasks.report.exhibits.base import Exhibit
from market_rotation.tasks.serve.parameters import Field, Parameters
from market_rotation.tasks.serve.published import Edition


@dataclass(frozen=True)
class Page:
    """A page. `presets` are addresses of common choices with their names; `name` begins the names of downloaded files.

    Without the parameter `pinned_by` in its address, the page is about the latest session, whichever that is, and shows a new one by itself.
    """

    title: str
    intro: str
    name: str
    fields: tuple[Field, ...]
    exhibits: tuple[Exhibit, ...]
    pinned_by: str
    presets: tuple[tuple[str, str], ...] = ()


def groups(edition: Edition) -> dict[str, list[str]]:
    """Common lists of symbols by name, the longest first: the sectors, the peer groups of funds, the stocks."""
    found: dict[str, list[str]] = {}
    for row in edition.instruments:
        if row["kind"] == "sector":
            found.setdefault("sectors", []).append(row["symbol"])
        elif row["kind"] == "stock":
            found.setdefault("stocks", []).append(row["symbol"])
        elif row["peer_group"]:
            found.setdefault(row["peer_group"].replace("_", " "), []).append(row["symbol"])
    return dict(sorted(found.items(), key=lambda group: -len(group[1])))


def presets(asked: Parameters, lists: dict[str, list[str]], most: int) -> tuple[tuple[str, str], ...]:
    """The address of this page for each list of symbols, of which the first `most` are taken."""
    return tuple(
        (name, asked.address(symbols=",".join(symbols[:most]))) for name, symbols in lists.items() if len(symbols) > 1
    )
