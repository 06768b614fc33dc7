"""Imported by the process from which trials are forked: what a run reads once per process is read already, and no database is open."""

from __future__ import annotations

from datetime import date

from market_rotation.tasks import calendar
from market_rotation.tasks.audit import suites
from market_rotation.tasks.audit.run import preload
from market_rotation.tasks.datasets import DATASETS
from market_rotation.tasks.universe import load_universe
from market_rotation.tasks.warehouse.models import models

preload()
models()
load_universe()
calendar.load(date(2005, 1, 3), date(2026, 11, 20))
for dataset in DATASETS:
    suites.staged(dataset)
suites.coverage()
suites.derived()
