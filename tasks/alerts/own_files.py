"""The incidents of the user's own signals and expectations: one per file."""

from __future__ import annotations

from market_rotation.tasks.alerts.incidents import Incident

#: The incidents that deriving the user's signals judges, as prefixes of fingerprints.
JUDGED = ("own:",)


def of_file(file: str, what: str) -> Incident:
    """The incident that the user's own SQL `file` could not be used, or that an expectation in it failed."""
    return Incident(
        f"own:{file}",
        "warning",
        f"Your own file {file} needs correction",
        f"{what} All tables of the project are published.",
        "correct the file; the next `rotation run` derives it again.",
        is_news=False,
    )
