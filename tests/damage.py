"""Damage to documents: of bytes, and of the values inside of them."""

from __future__ import annotations

import io
import random
import re
import zipfile
from collections.abc import Callable, Iterator
from typing import Any


def inner(content: bytes) -> list[str | None]:
    """The parts of a document that hold text: the members of an archive that are XML, else the document itself."""
    if not content.startswith(b"PK"):
        return [None]
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return [name for name in archive.namelist() if "sheet1" in name or "sharedStrings" in name]


def changed(content: bytes, part: str | None, change: Callable[[bytes], bytes]) -> bytes:
    """The document with one part changed; an archive stays whole."""
    if part is None:
        return change(content)
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, change(old.read(name)) if name == part else old.read(name))
    return target.getvalue()


def mutations(chance: random.Random, is_text: bool) -> Iterator[tuple[bool, Callable[[bytes], bytes]]]:
    """Damage of every kind, without end, and whether it is of values: in an archive, only those are changed inside of it.

    Bytes damaged inside of an archive would not fit its checksums, so they come with the archive's own bytes.
    """

    def at(data: bytes) -> int:
        return chance.randrange(len(data))

    def flip(data: bytes) -> bytes:
        n = at(data)
        return data[:n] + bytes([data[n] ^ (1 << chance.randrange(8))]) + data[n + 1 :]

    def drop(data: bytes) -> bytes:
        n = at(data)
        return data[:n] + data[n + chance.randrange(1, 40) :]

    def repeat(data: bytes) -> bytes:
        n = at(data)
        end = n + chance.randrange(1, 200)
        return data[:end] + data[n:end] + data[end:]

    def move(data: bytes) -> bytes:
        a, b = sorted((at(data), at(data)))
        c = a + chance.randrange(1, 60)
        return data[:a] + data[c:b] + data[a:c] + data[b:] if c < b else data

    def insert(data: bytes) -> bytes:
        n = at(data)
        odd = [b"290000", b"-", b".", b",", b"e9", b'"', b"\n", b"NaN", b"\xff", b"\xc2\xa0", b"<", b"&", b"Mrz", b"0"]
        return data[:n] + chance.choice(odd) + data[n:]

    def year(data: bytes) -> bytes:
        return sub(data, rb"20(25|26)", b"290000")

    def foreign(data: bytes) -> bytes:
        return sub(data, rb"(\d)\.(\d)", rb"\1,\2")

    def digit(data: bytes) -> bytes:
        return sub(data, rb"\d", str(chance.randrange(10)).encode())

    def word(data: bytes) -> bytes:
        return sub(data, rb"[A-Za-z]{3,}", b"Anders")

    def sub(data: bytes, pattern: bytes, by: bytes) -> bytes:
        spans = [(0, len(data))] if is_text else [found.span() for found in re.finditer(rb"(?<=>)[^<>]+(?=<)", data)]
        found = [match for start, end in spans for match in re.compile(pattern).finditer(data, start, end)]
        if not found:
            return data
        match = chance.choice(found)
        return data[: match.start()] + match.expand(by) + data[match.end() :]

    values = (year, foreign, digit, digit, word)
    while True:
        damage = chance.choice([flip, drop, repeat, move, insert, *values])
        yield damage in values, damage


def paths(node: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The places of all values inside a document."""
    for name, value in node.items() if isinstance(node, dict) else enumerate(node):
        yield (*before, name)
        if isinstance(value, dict | list):
            yield from paths(value, (*before, name))
