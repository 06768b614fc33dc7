"""Security attacked: `make security`. The promises are those of docs/threat-model.md.

Statements and requests against `rotation sql` and `rotation serve`; secrets looked for in everything written; file modes; no call home; what the
project is made of. `--seconds` bounds the statements alone; the other parts take what they need.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import serving
from rich.console import Console

from campaigns import security_network, security_requests, security_secrets, security_statements, security_supply
from campaigns.part import Part
from campaigns.record import record


def serve_and_sql(folder: Path, seed: int, seconds: float) -> list[Part]:
    """The attacks on a small published warehouse; a statement takes about half a second as a command and a tenth on the page."""
    with security_statements.attacked_home(folder) as home, serving.reader(home) as client:
        return [
            security_statements.sql_command(home, folder, seed, int(seconds / 4)),
            security_statements.sql_page(home, folder, client, seed, int(seconds * 2)),
            security_statements.bombs(client, folder, max(2, int(seconds / 15))),
            *security_requests.requests(client),
        ]


def campaign(seed: int, seconds: float, folder: Path, console: Console, chosen: str = "") -> list[Part]:
    """All parts, or those of the group `chosen`, each printed as it ends."""
    groups: dict[str, Callable[[], list[Part]]] = {
        "supply": security_supply.parts,
        "secrets": lambda: security_secrets.secrets_and_modes(folder / "secrets"),
        "attacks": lambda: serve_and_sql(folder / "attacks", seed, seconds),
        "network": lambda: [security_network.no_call_home(folder / "network")],
    }
    found = []
    for name, group in groups.items():
        if chosen not in name:
            continue
        begin = time.monotonic()
        (folder / name).mkdir(parents=True, exist_ok=True)
        for part in group():
            console.print(
                f"{'broken' if part.broken else 'held':7} {part.tried:6,}  {part.name}. {part.said}",
                soft_wrap=True,
                markup=False,
                highlight=False,
            )
            for attack in part.broken[:20]:
                console.print(f"        {attack}", soft_wrap=True, markup=False, highlight=False)
            found.append(part)
        console.print(f"        {name}: {time.monotonic() - begin:.0f} s")
    return found


def main() -> int:
    """Runs the campaign and records it; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--only", default="", help="supply, secrets, attacks or network; nothing is recorded")
    asked = parser.parse_args()
    console = Console(width=200)
    console.print(f"Security, seed {asked.seed}, {asked.seconds:g} s for statements")
    with tempfile.TemporaryDirectory() as folder:
        parts = campaign(asked.seed, asked.seconds, Path(folder), console, asked.only)
    broken = sum(len(part.broken) for part in parts)
    facts = [f"Seed {asked.seed}: {sum(part.tried for part in parts):,} checks in {len(parts)} parts, {broken} broken."]
    rows = [
        {"attacked": part.name, "checks": f"{part.tried:,}", "broken": len(part.broken), "": part.said}
        for part in parts
    ]
    if not asked.only:
        record("security", facts, rows)
    return int(broken > 0)


if __name__ == "__main__":
    sys.exit(main())
