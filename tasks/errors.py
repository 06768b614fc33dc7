"""The error classes. Each message says what is wrong, where, and what to do next."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from market_rotation.tasks import wording


@dataclass(frozen=True)
class Failure:
    """A failed expectation of a dataset: how many rows do not meet it, and some of them as JSON text.

    `rows` is None where the expectation could not be checked; `sentence` then says why.
    """

    dataset: str
    expectation: str
    sentence: str
    rows: int | None
    examples: Sequence[str]

    def describe(self) -> str:
        """The failure in a sentence, with the examples as plain values."""
        if self.rows is None:
            return f"{self.expectation}: {self.sentence}"
        examples = "; ".join(wording.row(json.loads(example)) for example in self.examples)
        return f"{self.sentence} ({self.expectation}: {wording.count(self.rows, 'row')}{', such as ' * (self.rows > 1) or ' '}{examples})"


class RotationError(Exception):
    """Base of all expected failures: shown as one sentence, never as a traceback."""


class ConfigError(RotationError):
    """A setting, file or argument is wrong. Nothing was done; correct it and run again (exit 2)."""


class UsageError(ConfigError):
    """A parameter of a command is wrong. The caller sees the message; nothing is recorded or alerted (exit 2)."""


class SourceUnavailable(RotationError):
    """The vendor returned no usable response. A later retry can help."""


class RateLimited(SourceUnavailable):
    """The vendor limits the request rate (HTTP 429)."""


class AccessRefused(RotationError):
    """The vendor refuses the key, or the plan's quota is used up. A retry in the same run does not help."""


class SymbolNotFound(RotationError):
    """The vendor does not know the symbol. A retry does not help."""


class AuditFailed(RotationError):
    """A critical expectation failed, or could not be checked. A retry with the same data does not help."""

    def __init__(self, message: str, failures: Sequence[Failure] = ()) -> None:
        super().__init__(message)
        self.failures = failures


class WarehouseBusy(RotationError):
    """Another process is writing the warehouse. Wait for it to end."""


def stop_of(error: BaseException) -> BaseException:
    """What stopped the process, where `error` is what DuckDB makes of it; otherwise `error`.

    A signal that arrives during a statement, such as Ctrl-C, ends it with `RuntimeError: Query interrupted`.
    """
    cause = error.__cause__
    is_stop = isinstance(error, RuntimeError) and cause is not None and not isinstance(cause, Exception)
    return cause if cause is not None and is_stop else error
