"""Why a mutant may survive: what each known survivor shows, by the change as `Mutant.change` prints it."""

from __future__ import annotations

#: A change, and why no test can or need tell it from the original.
KNOWN: dict[str, str] = {}


def explanation(change: str) -> str:
    """The reason that is known for `change`; otherwise that a test is missing or the change is equivalent, which nobody has looked at."""
    return KNOWN.get(change, "not yet examined")
