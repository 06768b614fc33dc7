"""What a run says in Prefect, read back from a real server: events, tables, and nothing that could fail the run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import world

SCRIPT = r"""
import json, logging, os, sys, time
from datetime import UTC, date, datetime
from types import SimpleNamespace

from prefect import flow, get_client, runtime
from prefect.events.worker import EventsWorker
from prefect.server.api.server import SubprocessASGIServer

from market_rotation.flows.announce import announce
from market_rotation.tasks.audit.expectations import Expectation, Suite
from market_rotation.tasks.audit.run import Result
from market_rotation.tasks.errors import Failure
from market_rotation.tasks.run.ledger import Run

seen, said = {}, []
handler = logging.Handler()
handler.emit = lambda record: said.append(record.getMessage())
logging.getLogger("rotation.announce").addHandler(handler)


def a_run(status, **values):
    return Run("20240102T233000-abc", "files", date(2024, 1, 2), datetime(2024, 1, 2, tzinfo=UTC), status=status, **values)


def results():
    names = {"passes": "info", "rare": "info", "minor": "warning", "grave": "critical"}
    expectations = [Expectation(id=n, severity=v, sentence=f"This is {n}.", query="select 1") for n, v in names.items()]
    suite = Suite(table="stage.bars", dataset="prices", about="Bars.", expectations=tuple(expectations))
    found = [(True, False, 0, None), (False, True, None, "Binder Error: no such column"),
             (False, False, 7, "This is minor."), (False, False, 250, "This is grave.")]
    return [Result(suite, e, ok, raised, n, 98, said) for e, (ok, raised, n, said) in zip(expectations, found, strict=True)]


def failures(given):
    rows = ['{"symbol": "<b>X</b>", "session": "2024-01-02", "close": 1.5}', '{"symbol": "VB", "session": null}']
    odd = Failure("prices", "rare", given[1].expectation.sentence, 1, rows[:1])
    return [Failure("prices", "grave", given[3].expectation.sentence, 250, rows * 125), odd]


@flow
def blocked():
    given = results()
    began = time.perf_counter()
    announce(a_run("blocked", message="Bad <batch>.", rows_fetched=98, results=given), failures(given), [
        {"fingerprint": "blocked", "kind": "failure", "severity": "critical", "title": "Blocked", "sent_at": None, "attempts": 1,
         "body": "b", "last_error": "mailto://u:hunter2@host refused"},
        SimpleNamespace(fingerprint="stale", kind="recovery", severity="warning", title="Fresh", attempts=2, sent_at=datetime.now(UTC)),
        {"fingerprint": "no-channel", "kind": "failure", "severity": "warning", "title": "Unsent", "attempts": 0, "sent_at": None},
    ], {"report": "https://rotation.example.com/reports/2024-01-02/index.html", "data-docs": "/var/rotation/data_docs/index.html"},
        "fading since 2023-12-01: size trailing, leadership mixed, support supported")
    seen["seconds"] = time.perf_counter() - began
    return str(runtime.flow_run.id)


@flow
def up_to_date():
    announce(a_run("up_to_date", message="Already up to date."))
    return str(runtime.flow_run.id)


@flow
def gone():
    for server in SubprocessASGIServer._instances.values():
        server.server_process.kill()
        server.server_process.wait()
    began = time.perf_counter()
    announce(a_run("published", message="Published."))
    seen["gone"] = {"seconds": time.perf_counter() - began, "said": said}
    with open(sys.argv[1], "w") as file:
        json.dump(seen, file)
    # Prefect itself would now try for a minute to say that the flow has ended.
    os._exit(0)


announce(a_run("failed", message="Nobody listens."))
seen["flow_runs"] = {"blocked": blocked(), "up_to_date": up_to_date()}
EventsWorker.drain_all(timeout=30, at_exit=False)
with get_client(sync_client=True) as client:
    def ask(path, body):
        return client.request("POST", path, json=body).json()

    deadline, events = time.monotonic() + 30, []
    while len(events) < 6 and time.monotonic() < deadline:
        events = ask("/events/filter", {"filter": {"event": {"prefix": ["market-rotation."]}}, "limit": 50})["events"]
    seen["events"] = events
    seen["artifacts"] = ask("/artifacts/filter", {})
seen["quiet"] = list(said)
gone()
"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a Prefect of its own had after a blocked and an up-to-date run, and what happened when it was gone."""

    def make(folder: Path) -> None:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
        environment |= {
            "PREFECT_HOME": str(folder / "prefect"),
            "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_FLUSH_INTERVAL": "0.1",
            "DO_NOT_TRACK": "1",
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
        }
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, str(folder / "seen.json")],
            env=environment,
            text=True,
            capture_output=True,
            timeout=180,
            check=False,
        )
        assert (folder / "seen.json").exists(), done.stdout + done.stderr

    return dict(json.loads((world.made_once(tmp_path_factory, "announced", make) / "seen.json").read_text()))


def test_events(seen: dict[str, Any]) -> None:
    """Each state, each alert and each delivery that failed is one event about the warehouse, related to its flow run."""
    flow_runs = {f"prefect.flow-run.{key}": name for name, key in seen["flow_runs"].items()}
    found = []
    for event in seen["events"]:
        assert event["resource"]["prefect.resource.id"] == "market-rotation.warehouse"
        assert {"run_id": "20240102T233000-abc", "session": "2024-01-02", "source": "files"}.items() <= event[
            "payload"
        ].items()
        related = {r["prefect.resource.id"]: r["prefect.resource.role"] for r in event["related"]}
        (run,) = [name for key, name in flow_runs.items() if related.get(key) == "flow-run"]
        found.append((run, event["event"].removeprefix("market-rotation."), event["payload"].get("fingerprint")))
    assert sorted(found, key=str) == [
        ("blocked", "alert.undelivered", "blocked"),
        ("blocked", "incident.opened", "blocked"),
        ("blocked", "incident.opened", "no-channel"),
        ("blocked", "incident.recovered", "stale"),
        ("blocked", "run.blocked", None),
        ("up_to_date", "run.up_to_date", None),
    ]
    (blocked,) = [e["payload"] for e in seen["events"] if e["event"].endswith("run.blocked")]
    assert (blocked["message"], blocked["rows_fetched"], blocked["expectations_failed"]) == ("Bad <batch>.", 98, 3)


def artifacts(seen: dict[str, Any], run: str) -> dict[str, Any]:
    mine = [a for a in seen["artifacts"] if a["flow_run_id"] == seen["flow_runs"][run]]
    assert len({a["key"] for a in mine}) == len(mine)
    return {a["key"]: json.loads(a["data"]) if a["type"] == "table" else a["data"] for a in mine}


def test_table_of_the_validation(seen: dict[str, Any]) -> None:
    """All expectations are in the table: what was not checked, what failed by severity, then what passed."""
    table = artifacts(seen, "blocked")["validation"]
    assert [tuple(row.values()) for row in table] == [
        ("stage.bars", "rare", "info", "not checked", None, 98, "Binder Error: no such column"),
        ("stage.bars", "grave", "critical", "failed", 250, 98, "This is grave."),
        ("stage.bars", "minor", "warning", "failed", 7, 98, "This is minor."),
        ("stage.bars", "passes", "info", "passed", 0, 98, "This is passes."),
    ]
    assert list(table[0]) == ["suite", "expectation", "severity", "outcome", "unexpected", "elements", "sentence"]


def test_table_of_failing_rows(seen: dict[str, Any]) -> None:
    """The failing rows are listed with the reason, no more than two hundred, and the description says of how many."""
    table = artifacts(seen, "blocked")["failing-rows"]
    assert len(table) == 200
    row = {"dataset": "prices", "expectation": "grave", "reason": "This is grave."}
    evil = '{"symbol": "<b>X</b>", "session": "2024-01-02", "close": 1.5}'
    assert table[:2] == [
        {**row, "symbol": "<b>X</b>", "session": "2024-01-02", "row": evil},
        {**row, "symbol": "VB", "session": None, "row": '{"symbol": "VB", "session": null}'},
    ]
    (described,) = [a["description"] for a in seen["artifacts"] if a["key"] == "failing-rows"]
    assert described == "Rows that failed an expectation: 200 of 250."


def test_informational_findings(seen: dict[str, Any]) -> None:
    """What an informational expectation finds is not among the failing rows."""
    (row,) = artifacts(seen, "blocked")["informational-findings"]
    assert row["expectation"] == "rare"


def test_links_open(seen: dict[str, Any]) -> None:
    """An address is a link; a path on the worker's machine, which no browser can open, is text in the summary."""
    found = artifacts(seen, "blocked")
    assert "https://rotation.example.com/reports/2024-01-02/index.html" in found["report"]
    assert "data-docs" not in found
    assert "- data-docs: `/var/rotation/data_docs/index.html` on the worker's machine" in found["run-summary"]
    assert "file:" not in json.dumps(found)


def test_summary(seen: dict[str, Any]) -> None:
    """Every run leaves a short summary; one that checked nothing leaves nothing else."""
    summary = artifacts(seen, "blocked")["run-summary"]
    assert summary.startswith("**Blocked**: Bad &lt;batch&gt;.")
    assert "1 of 4 expectations passed" in summary
    assert "- regime fading since 2023-12-01: size trailing, leadership mixed, support supported" in summary
    assert "critical: `grave` of stage.bars" in summary
    quiet = artifacts(seen, "up_to_date")
    assert list(quiet) == ["run-summary"]
    assert quiet["run-summary"].startswith("**Up to date**: Already up to date.")


def test_no_secret_is_told(seen: dict[str, Any]) -> None:
    """Events identify an alert, but never contain its address."""
    assert "hunter2" not in json.dumps([seen["events"], seen["artifacts"]])


def test_nobody_listens(seen: dict[str, Any]) -> None:
    """Outside a flow run nothing is emitted and nothing fails."""
    assert "Nobody listens." not in json.dumps([seen["events"], seen["artifacts"]])
    assert seen["quiet"] == []


def test_server_is_gone(seen: dict[str, Any]) -> None:
    """Without a server the run continues after one more attempt, with one line in the log."""
    (sentence,) = seen["gone"]["said"]
    assert "The outcome of the run could not be sent to Prefect (ConnectError" in sentence
    assert sentence.endswith("the run itself is published, see ops.runs.")
    assert seen["gone"]["seconds"] < 30
