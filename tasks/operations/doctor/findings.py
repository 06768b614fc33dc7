"""A finding of `rotation doctor`, and errors as findings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Literal, NamedTuple

from market_rotation.tasks.errors import RotationError


class Finding(NamedTuple):
    """One line: its level, what was checked, what was found or repaired, and what to do next (empty where nothing)."""

    level: Literal["ok", "warn", "fail", "fixed"]
    subject: str
    finding: str
    next_step: str = ""


def guarded(subject: str, check: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """The findings of `check`; an error that it raises is the last one."""
    try:
        yield from check()
    except RotationError as error:
        yield failed(subject, error)
    except Exception as error:
        # Only its class: the text of an unexpected error may contain an address with its password.
        yield Finding(
            "fail", subject, f"The check itself failed ({type(error).__name__}).", "Report this line as a bug."
        )


def failed(subject: str, error: RotationError, next_step: str = "") -> Finding:
    """An expected failure as a finding; the text after its last semicolon is the remedy."""
    what, _, remedy = str(error).rpartition("; ")
    remedy = f"{remedy[:1].upper()}{remedy[1:]}"
    return Finding("fail", subject, f"{what}." if what else remedy, next_step or (remedy if what else ""))
