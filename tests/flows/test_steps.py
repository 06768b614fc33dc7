"""The steps as Prefect tasks: which batches Prefect retries."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import world

SCRIPT = """
import json, sys
from collections import Counter
from datetime import date
from types import SimpleNamespace

if __name__ == "__main__":
    from prefect import flow
    from prefect.testing.utilities import prefect_test_harness

    import world
    from market_rotation.flows import steps
    from market_rotation.tasks.errors import SourceUnavailable, SymbolNotFound
    from market_rotation.tasks.run.fetch import Request
    from market_rotation.tasks.sources import fallback

    # Prefect waits for longer than a source counts as down.
    fallback.QUIET_S = 0.0
    steps.fetch_batch = steps.fetch_batch.with_options(retry_delay_seconds=0)
    requested = Counter()

    class Vendor:
        "HEALS is down at first, DOWN always, GONE is not known, GOOD is there."
        name = "vendor"

        def prices(self, symbol, start, end):
            requested[symbol] += 1
            if symbol.startswith("DOWN") or (symbol.startswith("HEALS") and requested[symbol] < 3):
                raise SourceUnavailable(f"{symbol} is down; try again later.")
            if symbol == "GONE":
                raise SymbolNotFound("GONE is not known; drop it.")
            return world.bars(symbol, [1.0])

    settings = SimpleNamespace(fetch_attempts=1, fetch_wait_s=0, fetch_deadline_s=600, fetch_retries=2)
    context = SimpleNamespace(source=Vendor(), settings=settings)
    # Batches of four: one that heals, one that does not, one with some answers.
    symbols = [f"HEALS{i}" for i in range(4)] + [f"DOWN{i}" for i in range(4)] + ["GOOD", "DOWN9", "GONE"]
    day = date(2024, 1, 2)

    @flow
    def fetching():
        return steps.fetch(context, [Request("prices", symbol, day, day) for symbol in symbols])

    with prefect_test_harness(server_startup_timeout=120):
        answers = fetching()
    seen = {
        "errors": {a.request.symbol: a.error for a in answers},
        "rows": {a.request.symbol: len(a.frame) for a in answers if a.frame is not None},
        "requested": requested,
    }
    with open(sys.argv[1], "w") as file:
        json.dump(seen, file)
"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The outcome of a flow that fetches from a vendor that is partly down, with a Prefect server of its own."""

    def make(folder: Path) -> None:
        (folder / "script.py").write_text(SCRIPT)
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
        environment |= {
            "PREFECT_HOME": str(folder / "prefect"),
            "PYTHONPATH": f"{world.REPOSITORY}:{world.REPOSITORY / 'tests'}",
        }
        done = subprocess.run(
            [sys.executable, "script.py", "seen.json"],
            cwd=folder,
            env=environment,
            text=True,
            capture_output=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    folder = world.made_once(tmp_path_factory, "steps", make)
    found: dict[str, Any] = json.loads((folder / "seen.json").read_text())
    return found


def test_only_a_batch_without_any_answer_is_retried(seen: dict[str, Any]) -> None:
    """A vendor that is down for a whole batch is retried as often as allowed; one that answers anything is not."""
    requested = seen["requested"]
    assert {requested[f"HEALS{i}"] for i in range(4)} == {3}
    assert {requested[f"DOWN{i}"] for i in range(4)} == {3}
    assert (requested["GOOD"], requested["DOWN9"], requested["GONE"]) == (1, 1, 1)


def test_every_request_has_an_answer(seen: dict[str, Any]) -> None:
    """A batch that healed has its rows; one that did not has the vendor's sentence, as an answer and not as an exception."""
    assert seen["rows"] == {**{f"HEALS{i}": 1 for i in range(4)}, "GOOD": 1}
    assert seen["errors"]["DOWN3"] == "DOWN3 is down; try again later."
    assert seen["errors"]["GONE"] == "GONE is not known; drop it."
    assert len(seen["errors"]) == 11
