"""The fuzz campaign in small: every reader survives some mutated documents and the corpus, and the campaign sees each kind of failure."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from campaigns import fuzz
from campaigns.fuzz_sources import Target
from campaigns.second_readings import Said
from market_rotation.tasks.errors import SourceUnavailable

TARGETS = {target.name: target for target in fuzz.all_targets()}
DOCUMENTS = sorted(path for path in fuzz.CORPUS.glob("*/*"))


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the machine takes part."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.long_after(8)
@pytest.mark.parametrize("name", TARGETS)
def test_mutated_documents(name: str) -> None:
    """Documented errors or the right values; and the unchanged document is accepted."""
    target = TARGETS[name]
    assert fuzz.outcome(target, target.seeds[0])[0] in ("same", "not compared")
    tally = fuzz.attack(target, random.Random(name), seconds=2.0, most=15)
    assert tally.broken == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_corpus(path: Path) -> None:
    """Each document that once had an outcome of its own breaks no promise."""
    what, why = fuzz.outcome(TARGETS[path.parent.name], path.read_bytes())
    assert what != "broken", why


def test_every_document_of_the_corpus_has_a_reader() -> None:
    """No folder of the corpus is left behind by a renamed reader."""
    assert DOCUMENTS
    assert {path.parent.name for path in DOCUMENTS} <= TARGETS.keys()


def reader(said: Said | Exception) -> Target:
    """A reader that gives or raises `said`, of documents that say 1."""

    def read(_: bytes) -> Said:
        if isinstance(said, Exception):
            raise said
        return said

    return Target("fake", (b"1",), read, lambda _: [(1.0,)])


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ([(1.0,)], "same"),
        ([(2.0,)], "broken"),
        ([], "broken"),
        (SourceUnavailable("No."), "refused"),
        (SourceUnavailable("Two\nlines."), "broken"),
        (KeyError("x"), "broken"),
    ],
    ids=["right", "wrong value", "row lost", "refused", "two lines", "undocumented"],
)
def test_outcomes(said: Said | Exception, expected: str) -> None:
    """The campaign tells a right value and a documented error from a wrong value, a lost row and any other exception."""
    assert fuzz.outcome(reader(said), b"1")[0] == expected


def test_a_slow_reader_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A document that takes longer than the bound breaks the promise."""
    monkeypatch.setattr(fuzz, "MAX_CPU_S", -1.0)
    assert fuzz.outcome(reader([(1.0,)]), b"1")[0] == "broken"
