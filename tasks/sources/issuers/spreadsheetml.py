"""Reads SpreadsheetML 2003 (one XML file with sheets of rows) as iShares writes it: not well-formed, yet no row is lost.

Known faults of that writer: two byte-order marks, and bare ampersands in names and links. Both are repaired before the parser
sees them. Of further faults only those in the disclaimers, which come first, are left to the parser's own repair: in a table
it could read 394.2<79 as 394.2. Afterwards rows and cells are counted against the text of the file.
"""

from __future__ import annotations

import re

from lxml import etree

from market_rotation.tasks.sources.issuers.tables import File, Row

NAMESPACE = "urn:schemas-microsoft-com:office:spreadsheet"
_SS = f"{{{NAMESPACE}}}"
_BOM = b"\xef\xbb\xbf"
_BARE_AMPERSAND = re.compile(rb"&(?!(?:amp|lt|gt|quot|apos|#[0-9]{1,7}|#x[0-9A-Fa-f]{1,6});)")
_OPENING = re.compile(rb"<(?:\w+:)?(Worksheet|Row|Cell)[\s/>]")
_FIRST_TABLE = re.compile(rb'<(?:\w+:)?Worksheet\s+(?:\w+:)?Name="(?!Disclaimers")')
_END = re.compile(rb"</(?:\w+:)?Workbook\s*>\s*\Z")
_MAX_COLUMNS, _MAX_ROWS = 256, 1_048_576


def read_sheets(content: bytes, file: File) -> dict[str, list[Row]]:
    """The rows of each sheet by its name, cells as text. Gaps given by `ss:Index` and `ss:MergeAcross` are empty cells.

    Raises `SourceUnavailable`, by `file`, for anything but a whole workbook.
    """
    if content.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        fault = "its file is a re-save by a spreadsheet program, not the issuer's own"
        raise file.refusal(fault, "check what answers at its address")
    while content.startswith(_BOM):
        content = content[len(_BOM) :]
    start = content[:2000]
    if NAMESPACE.encode() not in start or b"<!DOCTYPE" in start:
        raise file.foreign(content)
    if not _END.search(content[-200:]):
        raise file.refusal("its file is cut off", "try again later")
    # Without huge_tree, so with libxml2's limits. No entity can be left: each unknown one was a bare ampersand.
    parser = etree.XMLParser(
        recover=True, resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, encoding="utf-8"
    )
    try:
        root = etree.fromstring(_BARE_AMPERSAND.sub(b"&amp;", content), parser)
    except etree.XMLSyntaxError:
        root = None
    table = _FIRST_TABLE.search(content)
    first_line = 1 + content.count(b"\n", 0, table.start() if table else 0)
    repaired = next((error for error in parser.error_log if error.line >= first_line), None)
    if repaired is not None:
        raise file.refusal(f"its file is damaged in line {repaired.line}", "try again later")
    if root is None or root.tag != f"{_SS}Workbook":  # a recovering parser may return nothing
        raise file.refusal("its file is damaged", "try again later")
    sheets: dict[str, list[Row]] = {}
    counts = {b"Worksheet": 0, b"Row": 0, b"Cell": 0}
    for sheet in root.iterchildren(f"{_SS}Worksheet"):
        name = sheet.get(f"{_SS}Name", "")
        rows = [row for table in sheet.iterchildren(f"{_SS}Table") for row in table.iterchildren(f"{_SS}Row")]
        counts[b"Worksheet"] += name not in sheets
        counts[b"Row"] += len(rows)
        counts[b"Cell"] += sum(len(row.findall(f"{_SS}Cell")) for row in rows)
        sheets[name] = _placed(rows, file)
    openings = _OPENING.findall(content)
    for kind, count in counts.items():
        if count != openings.count(kind):
            openings_found = f"{openings.count(kind)} openings of {kind.decode()}"
            raise file.refusal(f"its file is damaged: of {openings_found} only {count} can be read", "try again later")
    return sheets


def _placed(elements: list[etree._Element], file: File) -> list[Row]:
    rows: list[Row] = []
    number = 0
    for element in elements:
        number = _place(element, number, _MAX_ROWS, file)
        cells: list[str] = []
        for cell in element.iterchildren(f"{_SS}Cell"):
            column = _place(cell, len(cells), _MAX_COLUMNS, file)
            cells += [""] * (column - len(cells) - 1)
            cells.append(
                "".join(str(text) for data in cell.iterchildren(f"{_SS}Data") for text in data.itertext()).strip()
            )
            merged = min(_whole(cell.get(f"{_SS}MergeAcross", "0"), file), _MAX_COLUMNS)
            cells += [""] * merged
        rows.append(Row(number, cells))
    return rows


def _place(element: etree._Element, before: int, most: int, file: File) -> int:
    """The 1-based place of a row or cell: its `ss:Index`, else the next one."""
    place = _whole(element.get(f"{_SS}Index", str(before + 1)), file)
    if not before < place <= most:
        raise file.refusal(f"its file is damaged: ss:Index {place} follows {before}")
    return place


def _whole(text: str, file: File) -> int:
    if not re.fullmatch(r"[0-9]{1,7}", text):
        raise file.refusal(f"its file is damaged: a place is {text[:20]!r}")
    return int(text)
