"""Targets of the fuzz campaign among the files that a user writes: settings, universe, pairs, alert rules and own signals."""

from __future__ import annotations

import csv
import io
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from campaigns import second_readings as again
from campaigns.fuzz_sources import Target
from campaigns.second_readings import Said
from market_rotation.tasks.alerts import rules
from market_rotation.tasks.errors import ConfigError
from market_rotation.tasks.own import files
from market_rotation.tasks.settings import Settings, load_settings
from market_rotation.tasks.universe import SHIPPED, load_universe

TOML = b"""source = "sample"
history_start = 2010-01-04
fetch_timeout_s = 20.0
report = true
earnings_constituents = 100
tiingo_requests_per_hour = 50

[rules.small_caps_lead]
sentence = "Small caps lead"
severity = "critical"
sql = "select session from signals.rotation_regime limit 1"
"""
RULES = b"""-- rule: small_caps_lead
-- sentence: Small caps lead
-- severity: critical
select session from signals.rotation_regime limit 1;

-- rule: no_data
-- sentence: There is no data
select 1 where false;
"""
SIGNAL = b"""-- signals.gap: the daily return of IWM less that of SPY.
-- grain: session
-- columns:
--   session: XNYS trading date
--   spread_1d: fraction
with small as (from core.prices where symbol = 'IWM')
select s.session, s.return_1d - l.return_1d as spread_1d
from small as s join core.prices as l on l.session = s.session and l.symbol = 'SPY'
"""


@contextmanager
def home(**given: bytes) -> Iterator[Path]:
    """An empty home folder with the files `given` (a double underscore is a slash, a single one before the end a dot)."""
    with tempfile.TemporaryDirectory() as folder, patch.dict(os.environ, {"ROTATION_HOME": folder}):
        for name in [name for name in os.environ if name.startswith("ROTATION_") and name != "ROTATION_HOME"]:
            del os.environ[name]
        for name, content in given.items():
            path = Path(folder) / re.sub(r"_(?=[a-z]+$)", ".", name.replace("__", "/"))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        yield Path(folder)


def _settings(content: bytes) -> Said:
    with home(rotation_toml=content):
        found = load_settings()
        # Names of settings may be written in capitals, as in the environment.
        wanted = [name.lower() for name in again.settings(content)]
        return again.ordered([(name, _text(getattr(found, name))) for name in wanted if name in Settings.model_fields])


def _settings_again(content: bytes) -> Said:
    return again.ordered([(name.lower(), _text(value)) for name, value in again.settings(content).items()])


def _text(value: object) -> object:
    """A setting comparable: numbers as numbers, everything else as lower-case text."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    return str(value).strip().lower().rstrip("/")


def _universe(content: bytes) -> Said:
    with home(universe_csv=content) as folder:
        found = load_universe(folder / "universe.csv").instruments
        names = next(csv.reader(io.StringIO(content.decode("utf-8-sig"))))
        rows = [{name.strip(): getattr(row, name.strip()) for name in names} for row in found]
        return again.ordered([_written(row) for row in rows])


def _pairs(content: bytes) -> Said:
    with home(pairs_csv=content, universe_csv=(SHIPPED / "universe.csv").read_bytes()) as folder:
        return again.ordered([_written(pair.model_dump()) for pair in load_universe(folder / "universe.csv").pairs])


def _written(row: dict[str, object]) -> tuple[tuple[str, str], ...]:
    """A row as a CSV file has it, with blanks left out."""
    texts = {name: str(v).lower() if isinstance(v, bool) else str(v) for name, v in row.items() if v is not None}
    return tuple(sorted(texts.items()))


def _rules(content: bytes) -> Said:
    with home(rules__own_sql=content):
        found, broken = rules.load(load_settings())
    if broken:
        raise ConfigError(broken[0].what)
    return again.ordered([(rule.id, rule.sentence, rule.severity) for rule in found])


def _rules_again(content: bytes) -> Said:
    found = []
    for part in re.split(r"^-- rule:", content.decode(), flags=re.MULTILINE)[1:]:
        lines = part.split("\n")
        head = next((n for n, line in enumerate(lines) if n and not line.startswith("--")), len(lines))
        if any(line.startswith("--") for line in lines[head:]):
            raise ValueError("comments below the header")
        severity = re.search(r"^-- severity: *(.*?) *$", part, re.MULTILINE)
        sentence = re.search(r"^-- sentence: *(.*?) *$", part, re.MULTILINE)
        if sentence is None or "\n--   " in part or "\r" in part:
            raise ValueError("continued, or without a sentence")
        found.append((part.split("\n")[0].strip(), sentence[1], severity[1] if severity else "warning"))
    return again.ordered(found)


def _signal(content: bytes) -> Said:
    with home(sql__signals__gap_sql=content) as folder:
        found, faults = files.signals(folder)
    if faults:
        raise ConfigError(faults[0].what)
    return again.ordered([(model.name, *sorted(model.reads)) for model in found])


def targets() -> list[Target]:
    """The targets of this module."""
    lines = (SHIPPED / "universe.csv").read_bytes().splitlines(keepends=True)
    pairs = (SHIPPED / "pairs.csv").read_bytes()
    return [
        Target("rotation-toml", (TOML,), _settings, _settings_again),
        Target("universe", (b"".join(lines[:12]),), _universe, lambda c: again.cells(c, "in_breadth")),
        Target("pairs", (pairs,), _pairs, lambda c: again.cells(c, "headline", "earnings")),
        Target("alert-rules", (RULES,), _rules, _rules_again),
        Target("own-sql", (SIGNAL,), _signal, None, 4.0),
    ]
