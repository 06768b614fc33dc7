"""The Prefect server on PostgreSQL, as where several machines work for one server: deployed and run in the same way."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from postgresql import databases
from prefect_server import deployments, serving
from test_deployments import few


@pytest.mark.long_after(0)
def test_the_server_on_postgresql(tmp_path: Path, wheel: Path) -> None:
    """With PostgreSQL instead of SQLite all deployments are made, and a flow run of the daily job publishes."""
    with databases() as database:
        url = {"PREFECT_SERVER_DATABASE_CONNECTION_URL": database.url}
        _deploys_and_runs(tmp_path, wheel, few(tmp_path, date(2025, 11, 14)) | url)


def _deploys_and_runs(tmp_path: Path, wheel: Path, settings: dict[str, str]) -> None:
    with serving(tmp_path, wheel, settings) as prefect:
        found = {deployment["name"] for deployment in prefect.ask("/deployments/filter", {})}
        assert found == {deployment["name"] for deployment in deployments()}
        prefect.rest()
        with prefect.worker():
            run = prefect.run("daily-rotation/daily-rotation", now="2026-01-16T23:30:00+00:00")
        assert run["state_name"] == "Completed", prefect.log("worker")
        assert run["state"]["message"].startswith("Published 2026-01-16.")
        assert "validation" in prefect.artifacts(run["id"])
    assert not list((tmp_path / "prefect").glob("*.db"))
    assert "Traceback" not in prefect.log("server")
