"""Runs and forms as Prefect's pages show them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from prefect.utilities.callables import parameter_schema

from market_rotation.flows import parameters
from market_rotation.flows.backfill import backfill
from market_rotation.flows.daily import daily
from market_rotation.flows.fetch import fetch
from market_rotation.flows.fund_flows_morning import fund_flows_morning
from market_rotation.flows.maintenance import maintenance
from market_rotation.flows.rebuild import rebuild
from market_rotation.flows.resend_alerts import resend_alerts
from market_rotation.flows.watchdog import watchdog

FLOWS: list[Any] = [daily, backfill, fetch, fund_flows_morning, maintenance, rebuild, resend_alerts, watchdog]


@pytest.mark.parametrize("made", FLOWS, ids=lambda made: str(made.name))
def test_the_form(made: Any) -> None:
    """`now` is not in the form, though a program may give it; a source is a choice, a day is a date."""
    fields = parameter_schema(made).model_dump()["properties"]
    assert "now" not in fields
    assert "now" in made.fn.__annotations__
    for name in {"session", "start", "end"} & fields.keys():
        assert "date" in str(fields[name])
    if "source" in fields:
        choice, several, _ = fields["source"]["anyOf"]
        assert {"yahoo", "sample", "files"} <= set(choice["enum"])
        assert several["type"] == "string"


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("daily-rotation", {"now": "2026-01-17T12:00:00Z"}, "daily-rotation 2026-01-16 sample"),
        ("daily-rotation", {"session": "2026-01-14", "source": "yahoo"}, "daily-rotation 2026-01-14 yahoo"),
        ("backfill", {"start": "2025-03-03", "end": "2025-03-31"}, "backfill 2025-03-03 to 2025-03-31 sample"),
        # The run itself says what is wrong.
        ("daily-rotation", {"source": "yaho"}, "daily-rotation yaho"),
        ("daily-rotation", {"session": "soon"}, "daily-rotation sample"),
    ],
)
def test_the_name_of_a_run(name: str, given: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says the flow, the session or range, and the source; a wrong parameter does not keep a run from having a name."""
    monkeypatch.setenv("ROTATION_SOURCE", "sample")
    run = SimpleNamespace(parameters={"now": "2026-01-17T12:00:00Z", **given}, flow_name=name)
    monkeypatch.setattr(parameters, "runtime", SimpleNamespace(flow_run=run))
    assert parameters.run_name() == expected


def test_the_flows_have_names() -> None:
    """Every flow that loads data names its runs."""
    assert all(made.flow_run_name is parameters.run_name for made in (daily, backfill, fund_flows_morning))
