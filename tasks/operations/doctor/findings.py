"""A finding of `rotation doctor`, and turning an error into one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Literal, NamedTuple

from market_rotation.tasks.errors import RotationError


class Finding(NamedTuple):
    """One line: how bad it is, what was looked at, what was found, and what to do next (empty where nothing)."""

    level: Literal["ok", "warn", "fail"]
    subject: str
    finding: str
    next_step: str = ""


def guarded(subject: str, check: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """The findings of `check`; its error is the last one."""
    try:
        yield from check()
    except RotationError as error:
        yield failed(subject, error)
    except Exception as error:
        # Only its kind: what an unforeseen error says may hold an address with its password.
        yield Finding("fail", subject, f"The check itself broke ({type(error).__name__}).", "Report it with this line.")


def failed(subject: str, error: RotationError, next_step: str = "") -> Finding:
    """An expected failure as a finding; its sentence says what to do after its last semicolon."""
    what, _, remedy = str(error).rpartition("; ")
    remedy = f"{remedy[:1].upper()}{remedy[1:]}"
    return Finding("fail", subject, f"{what}." if what else remedy, next_step or (remedy if what else ""))
