"""`rotation sql` and the SQL page of `rotation serve` attacked with statements."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import httpx
import serving
from attacks import ATTACKS, BOMBS, CRASHES, MORE_ATTACKS

from campaigns.part import Part
from market_rotation.tasks import warehouse
from market_rotation.tasks.serve import statement
from market_rotation.tasks.serve.pages import own_sql

SECRET = "4242424242"  # noqa: S105  # what the user's file holds
#: Longer than a statement may take with its process ended, answered and drawn.
TOO_LONG_S = own_sql.LIMIT_S + statement.GRACE_S + 8


@contextmanager
def attacked_home(folder: Path) -> Iterator[Path]:
    """A home with a small published warehouse, a build database, and a file of the user's beside it."""
    home = folder / "home"
    serving.publish(home / "rotation.duckdb", serving.DAYS[60])
    with warehouse.writing(home / "build.duckdb") as con:
        con.execute(f"create table core.t as select {SECRET} as a")
    (folder / "mine.csv").write_text(f"secret\n{SECRET}\n")
    yield home


def state(folder: Path) -> dict[str, tuple[int, int]]:
    """The size and time of every file below `folder`."""
    return {
        str(path): (found.st_size, found.st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
        for found in [path.stat()]
    }


def every_attack(home: Path, folder: Path) -> list[str]:
    """All statements with their places filled in, and one for each table function that this DuckDB has, with a file and with nothing."""
    known = [attack.format(home=home, folder=folder) for attack in (*ATTACKS, *MORE_ATTACKS)]
    with duckdb.connect() as con:
        names = con.execute(
            "select distinct function_name from duckdb_functions() where function_type = 'table' order by 1"
        ).fetchall()
    return known + [
        f"from {name}({argument})" for (name,) in names for argument in ("", f"'{folder}/mine.csv'", "null")
    ]


def drawn(attacks: list[str], seed: int, number: int) -> list[str]:
    """`number` of them at random, or all."""
    return random.Random(seed).sample(attacks, min(number, len(attacks)))


def sql_command(home: Path, folder: Path, seed: int, number: int) -> Part:
    """`rotation sql` as a command, which may crash but change and show nothing."""
    part = Part("`rotation sql`: statements that write, read files, load or set")
    before = state(folder)
    environment = {
        **os.environ,
        "ROTATION_HOME": str(home),
        "HOME": str(folder),
        "ROTATION_ALERT_URLS": f"json://{SECRET}@127.0.0.1:9/",
    }
    crashed = endless = 0
    for attack in drawn(every_attack(home, folder), seed, number):
        for options in ([], ["--allow-files"]):
            if options and "mine.csv" in attack:
                continue
            code = (
                "import sys; from market_rotation.flows.cli.main import main; main(sys.argv[1:], prog_name='rotation')"
            )
            try:
                done = subprocess.run(
                    [sys.executable, "-c", code, "sql", *options, "--", attack],
                    env=environment,
                    capture_output=True,
                    text=True,
                    timeout=60,
                    cwd=folder,
                )
            except subprocess.TimeoutExpired:
                # Of a command, the user is the limit.
                endless += 1
                part.check(state(folder) == before, f"written: {attack} {options}")
                continue
            crashed += done.returncode < 0
            part.check(
                SECRET not in done.stdout + done.stderr.replace(attack, "") and "Traceback" not in done.stderr,
                f"shown: {attack} {options}",
            )
            part.check(state(folder) == before, f"written: {attack} {options}")
            before = state(folder)
    part.said = (
        f"{crashed} of them ended DuckDB itself, and with it this command alone; {endless} were ended after a minute"
    )
    return part


def sql_page(home: Path, folder: Path, client: httpx.Client, seed: int, number: int) -> Part:
    """The SQL page, which answers every statement and stays."""
    part = Part("`rotation serve`, SQL page: the same statements")
    before = state(folder)
    for attack in (*drawn(every_attack(home, folder), seed, number), *CRASHES):
        answer = client.get("/sql", params={"q": attack, "format": "json"})
        part.check(answer.status_code in (200, 400), f"HTTP {answer.status_code}: {attack}")
        part.check(SECRET not in answer.text.replace(attack, ""), f"shown: {attack}")
        part.check(state(folder) == before, f"written: {attack}")
        before = state(folder)
    return part


def bombs(client: httpx.Client, folder: Path, number: int) -> Part:
    """Statements without end: each is refused or answered in time, and the page stays small and answers others meanwhile."""
    part = Part("`rotation serve`, SQL page: statements that take time or memory without end")
    before, longest = state(folder), 0.0
    for name, query in list(BOMBS.items())[:number]:
        begin = time.monotonic()
        answer = client.get("/sql", params={"q": query, "format": "json"})
        took = time.monotonic() - begin
        longest = max(longest, took)
        part.check(
            answer.status_code in (200, 400) and took < TOO_LONG_S,
            f"{name}: HTTP {answer.status_code} after {took:.0f} s",
        )
        part.check(state(folder) == before, f"{name}: a file was written")
        part.check(client.get("/version").status_code == 200, f"{name}: the server does not answer any more")
    peak_mb = (
        int(
            next(
                line.split()[1]
                for line in Path("/proc/self/status").read_text().splitlines()
                if line.startswith("VmHWM")
            )
        )
        // 1024
    )
    part.said = f"the longest took {longest:.1f} s; the server's own memory never exceeded {peak_mb:,} MB"
    return part
