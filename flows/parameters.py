"""What the flows have in common for Prefect's pages: the names of their runs, and the types of their parameters in the form."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, date, datetime
from importlib.metadata import entry_points
from typing import Annotated

from prefect import runtime
from pydantic import TypeAdapter, WithJsonSchema
from pydantic.json_schema import SkipJsonSchema

from market_rotation.tasks.errors import RotationError
from market_rotation.tasks.run.context import Parameters, resolve
from market_rotation.tasks.setting_values import SOURCE_GROUP
from market_rotation.tasks.settings import load_settings

#: A source: a choice of those installed where the deployment is made, or several names separated by commas.
SourceName = Annotated[
    str | None,
    WithJsonSchema(
        {
            "anyOf": [
                {"title": "one source", "type": "string", "enum": sorted(entry_points(group=SOURCE_GROUP).names)},
                {
                    "title": "several, separated by commas",
                    "type": "string",
                    "pattern": "^[a-z0-9_-]+(, *[a-z0-9_-]+)+$",
                },
                {"type": "null"},
            ]
        }
    ),
]
#: The start time of a run: for tests and programs, not in the form.
Now = SkipJsonSchema[datetime | None]

_DATE: TypeAdapter[date | None] = TypeAdapter(date | None)
_MOMENT: TypeAdapter[datetime | None] = TypeAdapter(datetime | None)


def run_name() -> str:
    """The name of the current flow run: its flow, its session or range, and its source, as in `daily-rotation 2026-01-16 yahoo`.

    A parameter or setting that is wrong is left out; the run itself reports it.
    """
    given = runtime.flow_run.parameters
    words = [runtime.flow_run.flow_name]
    with suppress(RotationError, ValueError):
        now = _MOMENT.validate_python(given.get("now")) or datetime.now(UTC)
        start = _DATE.validate_python(given.get("start"))
        end = _DATE.validate_python(given.get("end") or given.get("session"))
        resolved = resolve(Parameters(now, end, given.get("source"), start))
        words += [f"{start} to {resolved.session}" if start else str(resolved.session), resolved.settings.source]
        return " ".join(words)
    with suppress(RotationError):
        words.append(given.get("source") or load_settings().source)
    return " ".join(words)
