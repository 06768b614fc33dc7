"""Questions about a file that only its owner can answer."""

from __future__ import annotations

from typing import NamedTuple

from market_rotation.tasks.errors import ConfigError


class Question(NamedTuple):
    """`key` names it in `--take KEY=ANSWER`; `choices` has each answer with its meaning."""

    key: str
    text: str
    choices: dict[str, str]

    def sentence(self) -> str:
        """The question with its answers, for an error message."""
        answers = "; ".join(f"--take {self.key}={answer} ({meaning})" for answer, meaning in self.choices.items())
        return f"{self.text} Answer it with {answers}."


class Asked(ConfigError):
    """A question is open, so nothing can be taken yet."""

    def __init__(self, question: Question) -> None:
        super().__init__(question.sentence())
        self.question = question
