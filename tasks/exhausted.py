"""What a person can do about a machine that has not enough memory or disk."""

from __future__ import annotations

import duckdb


def exhausted(error: BaseException) -> tuple[str, str] | None:
    """What was not enough, as a sentence, and the remedy, as the start of one; None for any other error."""
    first_line = str(error).splitlines()[0][:200] if str(error) else ""
    if isinstance(error, duckdb.OutOfMemoryException):
        return (
            f"DuckDB needs more memory than it may use ({first_line}).",
            "raise ROTATION_MEMORY_LIMIT, or take symbols or years away",
        )
    if isinstance(error, MemoryError):
        return "The machine has not enough memory.", "end other programs, or take symbols or years away"
    if "No space left" in first_line:
        return f"The disk is full ({first_line}).", "make room"
    return None
