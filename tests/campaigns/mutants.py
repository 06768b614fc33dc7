"""Mutants of a file: each is the file with one token changed, in SQL (by sqlglot's tokenizer) or Python (by its own)."""

from __future__ import annotations

import ast
import io
import keyword
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import duckdb
import sqlglot

#: What each token becomes, by kind of change. Whole words in lower case.
COMPARISON = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "=": "<>", "<>": "=", "!=": "=="}
SQL_OPERATORS = {"+": "-", "-": "+", "*": "/", "/": "*", "and": "or", "or": "and", **COMPARISON}
SQL_FUNCTIONS = {
    "sum": "avg", "avg": "max", "min": "max", "max": "min", "median": "avg", "first": "last", "last": "first", "first_value": "last_value",
    "last_value": "first_value", "arg_max": "arg_min", "arg_min": "arg_max", "max_by": "min_by", "min_by": "max_by", "lag": "lead", "lead": "lag",
    "stddev_samp": "stddev_pop", "var_samp": "var_pop", "covar_samp": "covar_pop", "rank": "row_number", "row_number": "rank",
    "greatest": "least", "least": "greatest", "bool_and": "bool_or", "bool_or": "bool_and", "floor": "ceil", "ceil": "floor", "abs": "-",
}  # fmt: skip
SQL_WORDS = {
    "semi": "anti", "anti": "semi", "desc": "asc", "true": "false", "false": "true", "preceding": "following", "union all": "union",
    "is null": "is not null", "is not null": "is null", "left join": "join", "asof left join": "asof join", "distinct": "", "not": "",
}  # fmt: skip
PYTHON = {
    "+": "-", "-": "+", "/": "*", "<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "==", "and": "or", "or": "and", "not": "",
    "True": "False", "False": "True", "break": "continue", "continue": "break", "if": "if not", "is": "is not", "min": "max", "max": "min",
    "any": "all", "all": "any",
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """`path` with the characters from `start` to `end` replaced by `new`; `kind` is what was changed."""

    path: Path
    start: int
    end: int
    new: str
    kind: str
    text: str

    @property
    def mutated(self) -> str:
        return self.text[: self.start] + self.new + self.text[self.end :]

    @property
    def line(self) -> int:
        return self.text.count("\n", 0, self.start) + 1

    @property
    def change(self) -> str:
        """The changed line before and after, on one line."""
        begin = self.text.rfind("\n", 0, self.start) + 1
        stop = self.text.find("\n", self.end)
        stop = len(self.text) if stop < 0 else stop
        before, after = self.text[begin:stop], self.text[begin : self.start] + self.new + self.text[self.end : stop]
        return f"{' '.join(before.split())} → {' '.join(after.split())}"


def mutants(path: Path, function: str | None = None) -> list[Mutant]:
    """All mutants of a file, or of one function in it, that the parser of its language accepts, in the order of their places."""
    text = path.read_text(encoding="utf-8")
    if function is not None:
        node = next(n for n in ast.parse(text).body if isinstance(n, ast.FunctionDef) and n.name == function)
        return [m for m in mutants(path) if node.lineno <= m.line <= (node.end_lineno or 0)]
    make, accepts = (_sql, _is_sql) if path.suffix == ".sql" else (_python, _is_python)
    return [mutant for mutant in make(path, text) if mutant.mutated != text and accepts(mutant.mutated)]


def _sql(path: Path, text: str) -> Iterator[Mutant]:
    tokens = list(sqlglot.tokenize(text, read="duckdb"))
    for place, token in enumerate(tokens):
        start, end = token.start, token.end + 1
        word = re.sub(r"\s+", " ", text[start:end].lower())
        following = tokens[place + 1].text if place + 1 < len(tokens) else ""
        if re.fullmatch(r"\d+(\.\d+)?(e-?\d+)?", word):
            yield Mutant(path, start, end, _other_number(word), "constant", text)
        elif word in SQL_OPERATORS and not (word == "*" and following in (")", ",", "from", "exclude", "replace")):
            kind = "comparison" if word in COMPARISON else "operator"
            yield Mutant(path, start, end, SQL_OPERATORS[word], kind, text)
        elif word in SQL_FUNCTIONS and following == "(":
            yield Mutant(path, start, end, SQL_FUNCTIONS[word], "function", text)
        elif word in SQL_WORDS:
            kind = "frame" if word == "preceding" else "word"
            yield Mutant(path, start, end, SQL_WORDS[word], kind, text)
        # Two tokens that mean one thing.
        if place + 1 < len(tokens):
            stop = tokens[place + 1].end + 1
            both = re.sub(r"\s+", " ", text[start:stop].lower())
            if both in SQL_WORDS:
                yield Mutant(path, start, stop, SQL_WORDS[both], "join" if "join" in both else "word", text)


def _python(path: Path, text: str) -> Iterator[Mutant]:
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    for previous, token in pairwise(tokens):
        # What is only for type checkers, or only a size of a cache, changes nothing that a test could see.
        if "TYPE_CHECKING" in token.line or "lru_cache" in token.line:
            continue
        start, end = starts[token.start[0] - 1] + token.start[1], starts[token.end[0] - 1] + token.end[1]
        if token.type == tokenize.NUMBER:
            yield Mutant(path, start, end, _other_number(token.string), "constant", text)
        elif (
            token.string in PYTHON
            and (token.type == tokenize.OP or token.type == tokenize.NAME)
            and previous.string != "."
        ):
            word = token.string
            kind = "condition" if keyword.iskeyword(word) else "comparison" if word[0] in "<>=!" else "operator"
            yield Mutant(path, start, end, PYTHON[word], kind, text)


def _other_number(text: str) -> str:
    """A number next to it; one below 1 is doubled."""
    if re.search(r"[.e]", text):
        return repr(2 * float(text)) if float(text) else "1.0"
    return str(int(text.replace("_", "")) + 1)


def _is_sql(text: str) -> bool:
    try:
        return bool(duckdb.extract_statements(text))
    except duckdb.Error:
        return False


def _is_python(text: str) -> bool:
    try:
        compile(text, "mutant", "exec")
    except SyntaxError:
        return False
    return True
