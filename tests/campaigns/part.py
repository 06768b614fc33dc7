"""The result of one part of a campaign."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Part:
    """What was attacked, how many attacks were tried, which of them broke a promise, and what the page should say."""

    name: str
    tried: int = 0
    broken: list[str] = field(default_factory=list)
    said: str = ""

    def check(self, holds: bool, attack: str) -> None:
        """Counts `attack`, as broken unless `holds`."""
        self.tried += 1
        if not holds:
            self.broken.append(attack)
