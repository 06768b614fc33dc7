"""Alert rules of the user's own on what the data says.

A rule is one `select` of the published warehouse. It fires when it returns a row: one alert when that begins, one when it ends, none in
between. Rules are sections of `$ROTATION_HOME/rules/*.sql`,

    -- rule: identifier
    -- sentence: what is true when it fires, for the reader
    -- severity: critical or warning; default: warning
    -- channel: where its alerts go (slack, or 2:slack for the second address); default: every channel
    select …;

or tables `[rules.identifier]` of `rotation.toml`, with the same keys and `sql`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

import duckdb

from market_rotation.tasks import headers, wording
from market_rotation.tasks.alerts.incidents import EXAMPLES, Incident
from market_rotation.tasks.warehouse.query import reading_restricted, reason, time_limit

if TYPE_CHECKING:
    from market_rotation.tasks.settings import Settings

log = logging.getLogger("rotation.rules")

#: Seconds after which a rule is stopped.
TIME_LIMIT_S = 30.0
#: The incidents that this module judges, as prefixes of fingerprints.
JUDGED = ("rule:", "broken-rule:")

Severity = Literal["critical", "warning"]
_KEYS = ("sentence", "severity", "channel")


@dataclass(frozen=True)
class Rule:
    """A rule. `where` names the file, or the table of `rotation.toml`, that holds it."""

    id: str
    sentence: str
    query: str
    where: str
    severity: Severity = "warning"
    channel: str | None = None


@dataclass(frozen=True)
class Judged:
    """The result of the rules. `undecided` are the fingerprints of rules that could not be evaluated: they neither begin nor end."""

    incidents: tuple[Incident, ...]
    undecided: frozenset[str]
    has_unreadable: bool

    def is_undecided(self, fingerprint: str) -> bool:
        """Whether the end of the incident cannot be decided. A file that cannot be read may hold any rule."""
        return fingerprint in self.undecided or (self.has_unreadable and fingerprint.startswith("rule:"))


def load(settings: Settings) -> tuple[list[Rule], list[Incident]]:
    """The user's rules, and an incident for each file or table that cannot be read as rules."""
    rules: dict[str, Rule] = {}
    broken: list[Incident] = []
    for path in sorted((settings.home / "rules").glob("*.sql")):
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
            found = [_of_section(section, path) for section in headers.sections(lines, "rule", _KEYS, ("sentence",))]
            if not found:
                raise headers.Fault(0, "there is no rule", "begin one with the line `-- rule: identifier`")
        except headers.Fault as fault:
            broken.append(_broken(path.name, f"{path}, line {fault.line + 1}", f"{fault.what}; {fault.remedy}."))
        except (OSError, UnicodeDecodeError) as error:
            broken.append(_broken(path.name, str(path), f"it cannot be read ({error})."))
        else:
            broken += _added(rules, found)
    for name, values in settings.rules.items():
        where = f"{settings.home / 'rotation.toml'}, rules.{name}"
        try:
            found = [_of_table(name, values, where)]
        except headers.Fault as fault:
            broken.append(_broken(name, where, f"{fault.what}; {fault.remedy}."))
        else:
            broken += _added(rules, found)
    return list(rules.values()), broken


def judge(settings: Settings) -> Judged:
    """Evaluates the user's rules on the published warehouse. A rule that fails is an incident of its own; nothing is raised for it.

    Raises `RotationError` where the published file cannot be opened.
    """
    rules, incidents = load(settings)
    has_unreadable = bool(incidents)
    undecided: set[str] = set()
    if rules:
        with reading_restricted(settings.published) as con:
            for rule in rules:
                try:
                    with time_limit(con, TIME_LIMIT_S):
                        rows, count = _rows(con, rule.query)
                except duckdb.Error as error:
                    undecided.add(f"rule:{rule.id}")
                    incidents.append(_broken(rule.id, rule.where, f"DuckDB says: {reason(error, TIME_LIMIT_S)}"))
                    continue
                if count:
                    incidents.append(_fired(rule, rows, count))
    return Judged(tuple(incidents), frozenset(undecided), has_unreadable)


def _of_section(section: headers.Section, path: Path) -> Rule:
    entries, query, line = section
    severity = entries.get("severity", "warning")
    if severity not in get_args(Severity):
        raise headers.Fault(line, f"the severity of {entries['rule']} is {severity!r}", "choose critical or warning")
    return Rule(
        entries["rule"],
        entries["sentence"],
        query,
        str(path),
        cast("Severity", severity),
        entries.get("channel") or None,
    )


def _of_table(name: str, values: dict[str, Any], where: str) -> Rule:
    """The rule in a table of `rotation.toml`, read as the section of a file that says the same."""
    if unknown := values.keys() - {*_KEYS, "sql"}:
        raise headers.Fault(0, f"the key {min(unknown)!r} is unknown", f"use one of {', '.join((*_KEYS, 'sql'))}")
    if not headers.is_identifier(name):
        raise headers.Fault(0, f"{name!r} is not an identifier", "use lower-case letters, digits and underscores")
    for key in ("sentence", "sql"):
        if not isinstance(values.get(key), str) or not str(values[key]).strip():
            raise headers.Fault(0, f"it has no {key}", f'add {key} = "…"')
    query = headers.query(str(values["sql"]).strip().removesuffix(";") + ";", "rule", name, 0)
    entries = {"rule": name, **{key: str(value) for key, value in values.items() if key != "sql"}}
    return Rule(**{**vars(_of_section(headers.Section(entries, query, 0), Path(where))), "where": where})


def _added(rules: dict[str, Rule], found: Sequence[Rule]) -> list[Incident]:
    """Adds `found` to `rules`; an incident for each whose identifier is taken."""
    twice = []
    for rule in found:
        if first := rules.get(rule.id):
            what = f"the rule {rule.id} exists already, in {first.where}; give one of them another identifier."
            twice.append(_broken(f"{rule.id}:{Path(rule.where).name}", rule.where, what))
        else:
            rules[rule.id] = rule
    return twice


def _rows(con: duckdb.DuckDBPyConnection, query: str) -> tuple[list[dict[str, Any]], int]:
    """The first rows of `query`, and how many it has."""
    # The closing bracket has its own line, since a query may end in a comment.
    cursor = con.execute(f"select count(*) over () as rows_of_the_rule, * from (\n{query}\n) limit {EXAMPLES}")
    names = [column[0] for column in cursor.description or []]
    rows = cursor.fetchall()
    return [dict(zip(names[1:], row[1:], strict=True)) for row in rows], int(rows[0][0]) if rows else 0


def _fired(rule: Rule, rows: Sequence[dict[str, Any]], count: int) -> Incident:
    lines = [f"- {_described(row)}" for row in rows]
    if count > len(rows):
        lines.append(f"- and {count - len(rows):,} more")
    return Incident(
        f"rule:{rule.id}",
        rule.severity,
        rule.sentence,
        "\n".join([f"The rule {rule.id} returns {wording.count(count, 'row')}:", *lines]),
        f"none; it is your own rule, in {rule.where}. Another message is sent when it no longer returns a row.",
        is_news=False,
        channel=rule.channel,
    )


def _described(row: dict[str, Any]) -> str:
    named = {name: held for name, held in row.items() if not isinstance(held, bool)}
    flags = [name for name, held in row.items() if held is True]
    return "; ".join(part for part in (wording.row(named), ", ".join(flags)) if part) or "a row"


def _broken(name: str, where: str, what: str) -> Incident:
    return Incident(
        f"broken-rule:{name}",
        "warning",
        f"The alert rule {name} cannot be evaluated",
        f"{where}: {what} Until it is corrected this rule sends nothing; the run and all other alerts are not affected.",
        "correct the rule; the next `rotation run` evaluates it.",
        is_news=False,
    )
