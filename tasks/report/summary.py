"""The answer in five lines of plain text, for Slack and mail."""

from __future__ import annotations

from market_rotation.tasks.report import words
from market_rotation.tasks.report.answer import Answer, answer, why
from market_rotation.tasks.report.exhibits.base import Report
from market_rotation.tasks.report.page import SIMULATED


def summary(report: Report) -> str:
    """The regime, why, what to watch, what changed and how sure it is, a line each. A vendor's text cannot start a new line.

    Before them a line says that the market is simulated, or that a past session is shown as it was known then.
    """
    lines = [SIMULATED] if report.is_simulated else []
    if report.as_known_then:
        lines.append(f"As known then, by {words.moment(report.known_at)}.")
    lines += five(report)
    return "\n".join(words.sentence(line) for line in lines) + "\n"


def five(report: Report) -> list[str]:
    """The answer in five lines: the regime, why, what to watch, what changed, how sure it is."""
    made = answer(report)
    return [
        f"{words.day(report.session)}: {made.regime}",
        f"Why: {why(made)}. {made.support}{_reason(report, made)}",
        f"Watch: {' '.join(made.watch)}",
        f"Changed: {' '.join(made.changed)}",
        f"Data: {' '.join(made.sure)} {report.problems.finding}",
    ]


def _reason(report: Report, made: Answer) -> str:
    """Why nothing is known, where no label is in force: what the evidence on size lacks."""
    if made.axes[0].state:
        return ""
    lacking = [piece.sentence for piece in made.axes[0].pieces if piece.verdict == words.VERDICTS[None]]
    return "".join(f" {sentence}" for sentence in lacking or [report.headline.missing or ""] if sentence)
