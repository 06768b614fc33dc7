"""The automations on Prefect's server that `rotation deploy` makes: they act there, also while no worker runs."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from market_rotation.tasks.operations.prefect_api import CRASHED, FREEING, LATE, NEVER_STARTED, NOTIFICATION_BLOCK

if TYPE_CHECKING:
    from uuid import UUID

    from prefect.automations import Automation
    from prefect.client.orchestration import SyncPrefectClient

#: Flow runs send a heartbeat every 30 seconds; see PREFECT_FLOWS_HEARTBEAT_FREQUENCY in prefect.yaml.
SILENT = timedelta(seconds=150)
#: A worker starts the process of a run within seconds, a minute on a busy machine.
PENDING = timedelta(minutes=10)
#: A run is Late 15 seconds after its time, which a worker between two polls may need.
STILL_LATE = timedelta(minutes=15)

_ENDED = {f"prefect.flow-run.{state}" for state in ("Completed", "Failed", "Cancelled", "Crashed", "TimedOut")}


def create(wanted: Automation) -> None:
    """Creates the automation, or updates the one of its name; whether that is enabled stays as it is."""
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        there = client.read_automations_by_name(wanted.name)
    if there:
        wanted.id, wanted.enabled = there[0].id, there[0].enabled
        wanted.update()
    else:
        wanted.create()


def freeing_crashed_runs(silent: timedelta = SILENT) -> Automation:
    """Sets a flow run to Crashed when it has sent no heartbeat for `silent`.

    Without it, a run that was killed with its worker stays Running, and the next run of its deployment waits for it.
    """
    heard = "prefect.flow-run.heartbeat"
    return _automation(
        FREEING,
        "Sets a killed run to Crashed when its heartbeats stop, which releases its concurrency slot.",
        _crash("The heartbeats stopped: the process was killed or the machine went down."),
        # A run may be killed before its first heartbeat.
        **_missing({"prefect.flow-run.Running", heard}, {heard, *_ENDED}, silent),
    )


def freeing_pending_runs(pending: timedelta = PENDING) -> Automation:
    """Sets a flow run to Crashed when it has been Pending for `pending`: a worker took it, and died before it started the process."""
    started = {"prefect.flow-run.Running", "prefect.flow-run.AwaitingConcurrencySlot", "prefect.flow-run.Scheduled"}
    return _automation(
        NEVER_STARTED,
        "Sets a run that a worker took and never started to Crashed, which releases its concurrency slot.",
        _crash("The run stayed Pending: its worker ended before it started the process."),
        **_missing({"prefect.flow-run.Pending"}, {*started, *_ENDED}, pending),
    )


def reporting_late_runs(block: UUID, late: timedelta = STILL_LATE) -> Automation:
    """Sends a notification with the block when a flow run is still Late after `late`: no worker takes it."""
    started = {"prefect.flow-run.Pending", "prefect.flow-run.Running"}
    return _automation(
        LATE,
        "Sends a notification when no worker starts a scheduled run.",
        _notify(block, "is late", "No worker has started it; check the worker with `rotation doctor`."),
        **_missing({"prefect.flow-run.Late"}, {*started, *_ENDED}, late),
    )


def reporting_crashed_runs(block: UUID) -> Automation:
    """Sends a notification with the block when a flow run is Crashed."""
    from prefect.events.schemas.automations import Posture

    return _automation(
        CRASHED,
        "Sends a notification when a run crashed.",
        _notify(
            block, "crashed", "Its process was killed or never started; see the worker's log, then `rotation run`."
        ),
        posture=Posture.Reactive,
        expect={"prefect.flow-run.Crashed"},
        within=timedelta(0),
    )


def notification_block(client: SyncPrefectClient) -> UUID | None:
    """The notification block named `rotation-alerts` on the server, of any type; None where there is none."""
    found = client.read_block_documents(limit=200, include_secrets=False)
    for block in found:
        schema = block.block_schema
        if block.name == NOTIFICATION_BLOCK and schema and "notify" in schema.capabilities:
            return block.id
    return None


def _missing(after: set[str], expect: set[str], within: timedelta) -> dict[str, Any]:
    from prefect.events.schemas.automations import Posture

    return {"posture": Posture.Proactive, "after": after, "expect": expect, "within": within}


def _automation(name: str, description: str, action: Any, **trigger: Any) -> Automation:
    from prefect.automations import Automation
    from prefect.events.schemas.automations import EventTrigger
    from prefect.events.schemas.events import ResourceSpecification

    return Automation(
        name=name,
        description=description,
        trigger=EventTrigger(
            match=ResourceSpecification({"prefect.resource.id": "prefect.flow-run.*"}),
            # This project's runs only: others on the same server may behave otherwise.
            match_related=ResourceSpecification(
                {"prefect.resource.role": "tag", "prefect.resource.id": "prefect.tag.rotation"}
            ),
            for_each={"prefect.resource.id"},
            threshold=1,
            **trigger,
        ),
        actions=[action],
    )


def _crash(message: str) -> Any:
    from prefect.client.schemas.objects import StateType
    from prefect.events.actions import ChangeFlowRunState

    return ChangeFlowRunState(name=None, force=False, state=StateType.CRASHED, message=message)


def _notify(block: UUID, what: str, next_step: str) -> Any:
    from prefect.events.actions import SendNotification

    return SendNotification(
        block_document_id=block,
        subject=f"market-rotation: flow run {{{{ flow_run.name }}}} {what}",
        body=f"{{{{ deployment.name }}}}: {{{{ flow_run.name }}}} {what}. {next_step}\n{{{{ flow_run|ui_url }}}}",
    )
