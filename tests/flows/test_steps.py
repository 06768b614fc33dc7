"""The steps as Prefect runs them: what is fetched again, and Prefect's own server for a run by hand."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import world

SCRIPT = """
import json, os, sys
from collections import Counter
from datetime import date
from market_rotation.flows.cli.local_prefect import local_prefect

if __name__ == "__main__":
    with local_prefect(False, lambda: None):
        from prefect import flow
        from prefect.settings import PREFECT_API_URL
        import world
        from market_rotation.flows import steps
        from market_rotation.tasks.errors import SourceUnavailable, SymbolNotFound
        from market_rotation.tasks.run.fetch import Patience, Request

        steps.fetch_batch = steps.fetch_batch.with_options(retry_delay_seconds=0)
        asked = Counter()

        class Vendor:
            "HEALS is down at first, DOWN for ever, GONE is not known, GOOD is there."
            def prices(self, symbol, start, end):
                asked[symbol] += 1
                if symbol.startswith("DOWN") or (symbol.startswith("HEALS") and asked[symbol] < 3):
                    raise SourceUnavailable(f"{symbol} is down; try again later.")
                if symbol == "GONE":
                    raise SymbolNotFound("GONE is not known; drop it.")
                return world.bars(symbol, [1.0])

        def request(symbol, dataset="prices"):
            return Request(dataset, symbol, date(2024, 1, 2), date(2024, 1, 2))

        @flow
        def fetching():
            # Batches of four: one that heals, one that does not, one of which something came.
            symbols = [f"HEALS{i}" for i in range(4)] + [f"DOWN{i}" for i in range(4)] + ["GOOD", "DOWN9", "GONE"]
            patience = Patience(attempts=1, wait_s=0, deadline=1e12)
            return steps.ask(Vendor(), [request(s) for s in symbols], patience, retries=2)

        answers = fetching()
        seen = {
            "api": PREFECT_API_URL.value(),
            "errors": {a.request.symbol: a.error for a in answers},
            "rows": {a.request.symbol: len(a.frame) for a in answers if a.frame is not None},
            "asked": asked,
        }
    with open(sys.argv[1], "w") as file:
        json.dump(seen, file)
"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What came of a flow that fetches from a vendor that is partly down, in a process and with a Prefect of its own."""

    def make(folder: Path) -> None:
        (folder / "script.py").write_text(SCRIPT)
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
        environment |= {"PREFECT_HOME": str(folder / "prefect"), "PYTHONPATH": str(Path(__file__).parents[1])}
        done = subprocess.run(
            [sys.executable, "script.py", "seen.json"],
            cwd=folder,
            env=environment,
            text=True,
            capture_output=True,
            timeout=180,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        (folder / "said.txt").write_text(done.stdout + done.stderr)

    folder = world.made_once(tmp_path_factory, "steps", make)
    return {**json.loads((folder / "seen.json").read_text()), "said": (folder / "said.txt").read_text()}


def test_only_a_batch_of_which_nothing_came_is_fetched_again(seen: dict[str, Any]) -> None:
    """A vendor that is down for a whole batch is asked again as often as allowed; one that answers anything is not."""
    asked = seen["asked"]
    assert {asked[f"HEALS{i}"] for i in range(4)} == {3}
    assert {asked[f"DOWN{i}"] for i in range(4)} == {3}
    assert (asked["GOOD"], asked["DOWN9"], asked["GONE"]) == (1, 1, 1)


def test_every_request_has_an_answer(seen: dict[str, Any]) -> None:
    """What healed has its rows; what did not has the vendor's sentence, as an answer and not as an exception."""
    assert seen["rows"] == {**{f"HEALS{i}": 1 for i in range(4)}, "GOOD": 1}
    assert seen["errors"]["DOWN3"] == "DOWN3 is down; try again later."
    assert seen["errors"]["GONE"] == "GONE is not known; drop it."
    assert len(seen["errors"]) == 11


def test_a_server_named_in_a_file_of_the_folder_is_used(tmp_path: Path) -> None:
    """Where Prefect finds its server in prefect.toml, that one is used and not one of its own."""
    (tmp_path / "prefect.toml").write_text('[api]\nurl = "http://127.0.0.1:9/api"\n')
    script = (
        "from market_rotation.flows.cli.local_prefect import local_prefect\n"
        "with local_prefect(False, lambda: None):\n"
        "    from prefect.settings import PREFECT_API_URL\n"
        "    print(PREFECT_API_URL.value())\n"
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
    environment["PREFECT_HOME"] = str(tmp_path / "prefect")
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment, text=True, capture_output=True, check=False
    )
    assert (done.stdout, done.stderr) == ("http://127.0.0.1:9/api\n", "")


def test_its_server_ends_with_the_run_quietly(seen: dict[str, Any]) -> None:
    """The run had a server on this machine, which is gone with it, and nothing was printed, least of all a stack trace."""
    assert seen["api"].startswith("http://127.0.0.1:")
    port = int(seen["api"].removesuffix("/api").rpartition(":")[2])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port)).close()
    assert seen["said"] == ""
