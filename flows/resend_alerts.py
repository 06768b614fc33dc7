"""The resend flow: sends pending alerts again. The automation in prefect.yaml starts it after an alert could not be sent."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.events import emit_event
from prefect.states import Completed, Failed

from market_rotation.flows.announce import RESOURCE
from market_rotation.flows.parameters import Now
from market_rotation.tasks.alerts.resend import resend
from market_rotation.tasks.settings import load_settings


@flow(name="resend-alerts", timeout_seconds=600)
def resend_alerts(now: Now = None) -> State[Any]:
    """Failed when a channel still does not accept a pending alert; else Completed."""
    outcomes = resend(load_settings(), now or datetime.now(UTC))
    failed = [f"{label} ({error})" for label, error in outcomes.items() if error]
    if failed:
        # Starts this flow again after half an hour, as it does after a run; see prefect.yaml.
        emit_event("market-rotation.alert.undelivered", resource=RESOURCE)
        return Failed(message=f"Not accepted by {', '.join(failed)}; pending alerts stay in the outbox.")
    return Completed(message="Sent." if outcomes else "No alerts are pending.")
