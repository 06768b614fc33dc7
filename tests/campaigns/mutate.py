"""Mutations of documents without end: of bytes, of JSON values, of CSV cells, and of the members of an archive."""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Iterator
from typing import Any

from damage import changed, inner, mutations, paths

#: Values that no place of a document expects.
ODD: tuple[Any, ...] = (
    *(None, True, False, [], {}, "", "x", "-", "1,5", "1.5", "NaN", "Infinity", -1, 0, 1e-300, 1e308, 2**63, 10**400),
    *(float("nan"), float("inf"), [None], {"raw": None}, "2026-02-30", "0001-01-01", "9999-12-31", "\x00", "é" * 300),
)
ODD_CELLS = (
    *("", " ", "x", "-", "NaN", "inf", "-inf", "1e5", "1e999", "1_000", "1,5", '"', "0x10", "true", "\x00", "é", "١٢"),
    *("2026-02-30", "0001-01-01", "9999-12-31", "01/02/2024", "2024-01-02T23:59:59+05:00", "2024-W01-1", "20240102"),
    *("9" * 400, "-0", "+1", "1.0.0", "'", ";", "\ufeff", "$1", "1e-400", "=1+1", "NULL", "None"),
)


def documents(seed: bytes, chance: random.Random) -> Iterator[bytes]:
    """Changed copies of `seed`: one to three changes each, half of them of its structure where it has one."""
    parts = inner(seed)
    damages = mutations(chance, is_text=parts == [None])
    is_binary = seed.startswith(b"PAR1")
    while True:
        document = seed
        for _ in range(chance.choice([1, 1, 1, 2, 3])):
            structured = None if is_binary or chance.random() < 0.5 else _structured(document, chance)
            if structured is not None:
                document = structured
                continue
            of_values, damage = next(damages)
            if document.startswith(b"PK") and document == seed:
                document = changed(document, chance.choice(parts) if of_values else None, damage)
            elif document:
                document = damage(document)
        yield document


def _structured(document: bytes, chance: random.Random) -> bytes | None:
    """The document with a value, cell, row or column changed; None where it is neither JSON nor CSV."""
    if document[:1] in b"{[":
        try:
            return json.dumps(_json(json.loads(document), chance)).encode()
        except (ValueError, RecursionError):
            return None
    if document.startswith(b"PK") or b"," not in document[:200]:
        return None
    try:
        rows = list(csv.reader(io.StringIO(document.decode(), newline="")))
    except (UnicodeDecodeError, csv.Error):
        return None
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(_rows(rows, chance))
    return text.getvalue().encode("utf-8", "surrogatepass")


def _json(payload: Any, chance: random.Random) -> Any:
    places = list(paths(payload)) if isinstance(payload, dict | list) else []
    if not places:
        return chance.choice(ODD)
    place, other = chance.choice(places), chance.choice(places)
    node = _at(payload, place[:-1])
    match chance.randrange(4):
        case 0:
            del node[place[-1]]
        case 1:
            node[place[-1]] = json.loads(json.dumps(_at(payload, other)))
        case 2 if isinstance(node, list):
            node.append(node[place[-1]])
        case _:
            node[place[-1]] = chance.choice(ODD)
    return payload


def _at(payload: Any, place: tuple[Any, ...]) -> Any:
    for name in place:
        payload = payload[name]
    return payload


def _rows(rows: list[list[str]], chance: random.Random) -> list[list[str]]:
    filled = [row for row in rows if row]
    if not filled:
        return rows
    row = chance.choice(filled)
    place = chance.randrange(len(row))
    match chance.randrange(6):
        case 0:
            rows.insert(chance.randrange(len(rows) + 1), list(row))
        case 1:
            rows.remove(row)
        case 2:
            for other in filled:
                if place < len(other):
                    del other[place]
        case 3:
            row.append(chance.choice(ODD_CELLS))
        case _:
            row[place] = chance.choice(ODD_CELLS)
    return rows
