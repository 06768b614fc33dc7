"""The SQL files read: kinds, order, headers."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from market_rotation.tasks.errors import RotationError
from market_rotation.tasks.warehouse.models import SCHEMAS, SQL, Model, fingerprint, models, names


def folder_of(root: Path, **files: str) -> Path:
    """A folder of SQL files: `core__prices="select …"` is core/prices.sql."""
    for name, text in files.items():
        schema, table = name.split("__")
        (root / schema).mkdir(parents=True, exist_ok=True)
        (root / schema / f"{table}.sql").write_text(text, encoding="utf-8")
    return root


def order(found: tuple[Model, ...]) -> list[str]:
    return [model.name for model in found]


def test_every_file_comes_after_what_it_reads():
    """In the project's own order each table and macro comes after all it reads, and every file is there once."""
    found = models()
    done: set[str] = set()
    for model in found:
        assert model.reads & {m.name for m in found} <= done | {model.name}, model.name
        done.add(model.name)
    assert len(found) == len(done) == len([path for path in SQL.glob("*/*.sql") if path.parent.name in SCHEMAS])


def test_names_are_those_of_the_files_read():
    """The names of all tables and macros, without parsing a file."""
    assert names() == {model.name for model in models()}


@pytest.mark.parametrize(
    "reading",
    [
        "select * from core.z",
        "from core.z",
        "with a as (from core.z) select * from a",
        "select (select max(i) from core.z) as i",
        "select 1 as i where exists (from core.z)",
        "(select 1 as i) union all (select i from core.z)",
        "select * from range(3) as r(i) left join core.z using (i)",
        'select * from "core"."z"',
        "pivot core.z on i using count(*)",
    ],
)
def test_reading_is_found_wherever_it_stands(tmp_path, reading):
    """A table is found in joins, subqueries, CTEs, unions and DuckDB's own short forms, and put first."""
    assert order(models(folder_of(tmp_path, core__a=reading, core__z="select 1 as i"))) == [
        "core.z",
        "core.a",
    ]


def test_a_long_chain_is_put_in_order(tmp_path):
    """Files whose names sort the wrong way round come in the order of what they read, across schemas."""
    folder = folder_of(
        tmp_path,
        core__a="from signals.b",
        signals__b="from ops.c",
        ops__c="from core.d(1)",
        core__d="create or replace macro core.d(x) as table select x from raw.e",
        raw__e="create table if not exists raw.e (i integer); insert into raw.e from core.a;",
    )
    found = models(folder)
    assert order(found) == ["raw.e", "core.d", "ops.c", "signals.b", "core.a"]
    assert [m.kind for m in found] == ["ledger", "macro", "derived", "derived", "derived"]


def test_a_scalar_macro_comes_before_its_caller(tmp_path):
    """A file that calls a scalar macro of another file comes after it, as it does for a table macro."""
    folder = folder_of(
        tmp_path, core__a="select ops.twice(2) as i", ops__twice="create or replace macro ops.twice(a) as 2 * a"
    )
    assert order(models(folder)) == ["ops.twice", "core.a"]


@pytest.mark.parametrize("schema", ["raw", "core", "signals", "ops", "stage"])
def test_a_missing_file_is_named(tmp_path, schema):
    """Reading a table without a file names the file to create and the one that reads it."""
    folder = folder_of(tmp_path, core__a=f"select * from {schema}.nowhere")
    with pytest.raises(
        RotationError, match=rf"sql/{schema}/nowhere\.sql, which .*core/a\.sql reads; create it[^\n]*\.$"
    ):
        models(folder)


@pytest.mark.parametrize(
    ("files", "names"),
    [
        ({"core__a": "from core.b", "core__b": "from core.a"}, ["core.a", "core.b"]),
        (
            {"core__a": "from core.b", "core__b": "from core.c", "core__c": "from core.a"},
            ["core.a", "core.b", "core.c"],
        ),
    ],
)
def test_a_circle_is_reported(tmp_path, files, names):
    """Files that read each other in a circle are refused in one sentence that names them."""
    with pytest.raises(RotationError, match=r"in a cycle: [^\n]*\.$") as caught:
        models(folder_of(tmp_path, **files))
    for name in names:
        assert name in str(caught.value)


@pytest.mark.parametrize("text", ["", "-- core.a: nothing but a comment\n", "select from where\n"])
def test_a_file_that_is_no_sql_is_named(tmp_path, text):
    """A file that is empty or cannot be parsed is a RotationError of one line that names it."""
    with pytest.raises(RotationError, match=r"^[^\n\x1b]*core/a\.sql[^\n\x1b]*$"):
        models(folder_of(tmp_path, core__a=text))


def test_a_semicolon_inside_a_string_or_comment_splits_nothing(tmp_path):
    """Only a semicolon that ends a statement does."""
    derived = "select ';' as a, 'it''s; so' as b -- c; d\n/* e; f */;"
    ledger = "create table if not exists ops.b (i varchar default ';');\n-- a; b\ninsert into ops.b values (';'); insert into ops.b values ('x');\n"
    found = {m.name: m for m in models(folder_of(tmp_path, core__a=derived, ops__b=ledger))}
    assert len(found["core.a"].statements) == 1
    assert len(found["ops.b"].statements) == 3
    with duckdb.connect() as con:
        con.execute("create schema ops")
        assert con.execute(found["core.a"].statements[0]).fetchall() == [(";", "it's; so")]
        for statement in found["ops.b"].statements:
            con.execute(statement)
        assert con.execute("from ops.b").fetchall() == [(";",), ("x",)]


def test_the_header(tmp_path):
    """The leading comment is the description; after `columns:` each name has its words, continuation lines included."""
    text = (
        "-- core.a: what it is.\n"
        "-- grain: i\n"
        "-- null: never;\n"
        "--   not once\n"
        "-- columns:\n"
        "--   i: the number: an integer,\n"
        "--     units: none, it's\n"
        "--     plain\n"
        "--   j: the other\n"
        "\n"
        "-- not part of the header\n"
        "select 1 as i, 2 as j\n"
    )
    (model,) = models(folder_of(tmp_path, core__a=text))
    assert model.comment == "core.a: what it is.\ngrain: i\nnull: never; not once"
    assert model.column_comments == {"i": "the number: an integer, units: none, it's plain", "j": "the other"}


def test_the_fingerprint_changes_with_any_file(tmp_path):
    """Editing, adding or moving a SQL file changes it; reading it again does not."""
    folder = folder_of(tmp_path, core__a="select 1 as i", ops__b="select 2 as i")
    seen = [fingerprint(folder), fingerprint(folder)]
    (folder / "core" / "a.sql").write_text("select 3 as i")
    seen.append(fingerprint(folder))
    (folder / "ops" / "b.sql").rename(folder / "ops" / "c.sql")
    seen.append(fingerprint(folder))
    assert seen[0] == seen[1]
    assert len(set(seen)) == 3
