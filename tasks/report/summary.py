"""The report in about fifteen lines of plain text, for Slack and mail."""

from __future__ import annotations

from market_rotation.tasks.report import words
from market_rotation.tasks.report.exhibits.base import Report
from market_rotation.tasks.report.page import SIMULATED, board, current, gravest, states


def summary(report: Report) -> str:
    """The top of the page as text, one item per line. A vendor's text cannot start a new line."""
    now = current(report.headline)
    lines = [SIMULATED] if report.is_simulated else []
    label = f"{now['label']} since {now['since']}" if now["label"] else "label not known"
    lines.append(f"Rotation, {words.day(report.session)}: {label} ({states(now)})")
    if report.as_known_then:
        lines.append(f"As known then, by {words.moment(report.known_at)}.")
    lines += [report.headline.finding, ""]
    lines += [f"{e.mark} {e.title}: {e.verdict}. {e.sentence}" for e in board(report.evidence)]
    lines += ["", f"Changed: {report.changes.finding}", f"Data: {report.freshness.finding}"]
    lines += [f"Problems: {report.problems.finding}", *(f"- {line}" for line in gravest(report.problems))]
    return "\n".join(words.sentence(line) for line in lines) + "\n"
