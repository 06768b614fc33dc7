"""Writes the state of the warehouse as Prometheus metrics, in a file for node_exporter's textfile collector.

An unknown value has no metric. All numbers but the size of the published file come from its tables.
"""

from __future__ import annotations

from contextlib import nullcontext
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from market_rotation.tasks import calendar, warehouse
from market_rotation.tasks.errors import RotationError
from market_rotation.tasks.operations.gauges import DATASETS, METRICS, Metrics
from market_rotation.tasks.warehouse import closures
from market_rotation.tasks.warehouse.macros import rows_if_known

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prometheus_client import CollectorRegistry

    from market_rotation.tasks.calendar import Calendar
    from market_rotation.tasks.settings import Settings

PREFIX = "market_rotation"


def write(
    warehouse_: duckdb.DuckDBPyConnection | warehouse.Published,
    settings: Settings,
    now: datetime,
    days: Calendar | None = None,
) -> Path:
    """Writes `metrics/rotation.prom` in ROTATION_HOME, replacing it in one step; returns its path.

    `warehouse_` is a connection to the warehouse or its path; `days`, to spare loading one, a calendar from before the latest
    session up to `now`. Raises `RotationError` where there is no warehouse or the file cannot be written.
    """
    from prometheus_client import CollectorRegistry, write_to_textfile

    days = days or calendar.load(min(settings.history_start, now.date()), now.date())
    registry = CollectorRegistry()
    with (
        nullcontext(warehouse_)
        if isinstance(warehouse_, duckdb.DuckDBPyConnection)
        else warehouse.reading(warehouse_) as con
    ):
        days = days.with_closures(closures.in_force(con, settings))
        last_closed = days.last_closed(now)
        due = days.sessions(min(settings.history_start, last_closed - timedelta(days=14)), last_closed)
        for metrics in METRICS:
            _fill(registry, metrics, rows_if_known(con, metrics.query))
        _fill(registry, DATASETS, rows_if_known(con, DATASETS.query, [due]))
    path = settings.home / "metrics" / "rotation.prom"
    try:
        size = warehouse.engine(settings.published).size_bytes()
        sizes = Metrics("", (), {"published_size_bytes": "Size of the warehouse that readers open."})
        _fill(registry, sizes, [{"published_size_bytes": size}])
        path.parent.mkdir(parents=True, exist_ok=True)
        write_to_textfile(str(path), registry)
    except OSError as error:
        raise RotationError(f"{path} cannot be written ({error.strerror}); check the folder and its disk.") from None
    return path


def _fill(registry: CollectorRegistry, metrics: Metrics, rows: Sequence[dict[str, Any]] | None) -> None:
    """Adds the gauges of `metrics` that have a value; a None gets no metric, never a zero."""
    from prometheus_client import Gauge

    for name, description in metrics.gauges.items():
        known = [row for row in rows or [] if row[name] is not None]
        if not known:
            continue
        gauge = Gauge(f"{PREFIX}_{name}", description, metrics.labels, registry=registry)
        for row in known:
            (gauge.labels(*(row[label] for label in metrics.labels)) if metrics.labels else gauge).set(row[name])
