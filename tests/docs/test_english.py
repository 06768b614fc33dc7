"""Text is plain English: a list of stilted phrases that occur in no file, each with the words to use instead."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
SUFFIXES = {".py", ".sql", ".md", ".toml", ".yaml", ".html", ".js", ".css", ".service", ".timer"}

FOLDERS = ("flows", "tasks", "sql", "expectations", "tests", "docs", "benchmarks", "deploy")

#: A regular expression for each phrase, and what to write.
BANNED = {
    r"\banew\b": "again",
    r"\btold (by|in|of|that|how|as|with|apart)\b": "given, reported, shown; distinct",
    r"\bheeds?\b": "honours, uses",
    r"\bas it were\b": "leave it out",
    r"\bunforeseen\b": "unexpected",
    r"\bmend(s|ed)?\b": "fix, repair",
    r"\bspoil(s|ed|t)?\b": "fault injection",
    r"\b(is|are) no sessions?\b": "is not a session",
    r"\bwants a person\b": "needs a person",
    r"\bhas the word\b": "decides",
    r"\bnobody thought of\b": "unexpected",
    r"\bis not troubled\b": "is skipped",
    r"\bfor ever\b": "forever, always",
    r"\b(comes?|back) in by (itself|themselves)\b": "is published automatically",
    r"\bwho (interrupts|has it open|wants the)\b": "a reader, a user",
    r"\bsaid so\b": "published it, reported it",
}


def test_no_stilted_phrases() -> None:
    """No text file has a banned phrase; the message names the file, the line and the words to use."""
    paths = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*")] + list(ROOT.glob("*"))
    texts = [path for path in paths if path.is_file() and path.suffix in SUFFIXES and path != Path(__file__)]
    assert len(texts) > 300
    found = [
        f"{path.relative_to(ROOT)}:{number}: {match[0]!r}; write: {instead}"
        for path in texts
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        for phrase, instead in BANNED.items()
        if (match := re.search(phrase, line, re.IGNORECASE))
    ]
    assert found == []
