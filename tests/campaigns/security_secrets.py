"""Secrets looked for in everything that commands write and print, with failing channels, monitors and vendors; and who may read what was written."""

from __future__ import annotations

import base64
import os
import stat
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from urllib.parse import quote

import duckdb
import mailbox_server
import webhook
import world
from vendor.server import Vendor

from campaigns.part import Part
from market_rotation.tasks import calendar
from market_rotation.tasks.sources.simulated.source import SampleSource
from market_rotation.tasks.universe import load_universe

#: One for each setting that holds a secret; each is a text that nothing else has, and that is also found inside an address, quoted or in base64.
SECRETS = {
    "ROTATION_ALERT_URLS": "Kq7webhookZ1", "user of ROTATION_ALERT_URLS": "Kq7userZ2", "password of ROTATION_ALERT_URLS": "Kq7p@ss/Z3", "SMTP password": "Kq7mail+Z4",
    "ROTATION_REPORT_URLS": "Kq7reportZ5", "ROTATION_PING_URL": "Kq7pingZ6", "TIINGO_API_KEY": "Kq7tiingoZ7", "EODHD_API_KEY": "Kq7eodhdZ8",
    "password of HTTPS_PROXY": "Kq7proxyZ9", "Slack token": "Kq7slackTokenZ10abcdefgh", "misspelt setting": "Kq7misspeltZ11", "Prefect API key": "Kq7prefectZ12",
}  # fmt: skip
SESSIONS = [date(2026, 1, 14), date(2026, 1, 15), date(2026, 1, 16)]
#: Faults of the vendors' servers; `key_echo` repeats the key in its answer.
FAULTS = ("key_echo", "redirect", "http_500", "http_403", "html_200", "truncated_json")


def spellings(secret: str) -> list[bytes]:
    """How a text may hold it: as it is, quoted for an address, and in base64 at any of the three places of a triple."""
    encoded = [
        base64.b64encode(b"\0" * shift + secret.encode())[4 if shift else 0 : (shift + len(secret)) // 3 * 4]
        for shift in range(3)
    ]
    return [
        secret.encode(),
        quote(secret, safe="").encode(),
        quote(secret).encode(),
        *(part for part in encoded if len(part) >= 8),
    ]


def secrets_and_modes(folder: Path) -> list[Part]:
    """Runs every command with every secret set, then looks for them, and at the modes of the files."""
    part = Part("secrets in files, logs at DEBUG, output, tables and pages")
    sessions = calendar.load(date(2005, 1, 3), date(2026, 1, 31))
    said = b""
    with (
        webhook.serving() as hook,
        webhook.serving() as monitor,
        mailbox_server.serving() as mailbox,
        Vendor(SampleSource(sessions, load_universe().instruments)) as vendor,
    ):
        hook.status, monitor.status, mailbox.refuses = 500, 500, True
        environment = vendor.env(**_settings(folder, hook, monitor, mailbox))
        environment["HTTPS_PROXY"] = environment["HTTPS_PROXY"].replace(
            "http://", f"http://user:{SECRETS['password of HTTPS_PROXY']}@"
        )
        vendor.now = datetime(2026, 1, 16, 23, tzinfo=UTC)
        taken = 0
        for number, (name, arguments) in enumerate(commands(hook.port)):
            vendor.heal()
            hook.status = 200 if name == "taken" else 500
            if name == "fault":
                # Vendors that answer wrongly, in turn.
                vendor.keyed.fault("*", FAULTS[number % len(FAULTS)])
            done = subprocess.run(
                [sys.executable, "-m", "market_rotation", *arguments],
                env=environment,
                cwd=folder,
                capture_output=True,
                timeout=300,
            )
            part.check(done.returncode in (0, 1, 2, 3), f"{' '.join(arguments)} ended with {done.returncode}")
            said += b"\n== " + " ".join(arguments).encode() + b"\n" + done.stdout + done.stderr
            taken += done.returncode == 0
        # Without an attempt at each of them, nothing could have been written.
        part.check(bool(hook.calls) and bool(monitor.calls), "no channel or no monitor was called")
        part.check(taken > 0, "no command ended well")
        keys = str(vendor.keyed.requests) if hasattr(vendor.keyed, "requests") else ""
    (folder / "said.log").write_bytes(said)
    texts = dict(_everything(folder))
    for name, secret in SECRETS.items():
        for spelling in spellings(secret):
            for where, text in texts.items():
                part.check(spelling not in text, f"{name} in {where}")
    part.said = f"{len(SECRETS)} secrets in {len(texts)} files and tables after {len(commands(0))} commands" + (
        " (keys were sent)" if keys else ""
    )
    return [part, _modes(folder)]


def commands(port: int) -> list[tuple[str, Sequence[str]]]:
    """What is run, in this order; `fault` where the vendors' servers shall fail, `taken` where the channel at `port` shall not."""
    first, second, third = map(str, SESSIONS)
    return [
        ("good", ["run", "--debug", "--session", first]),
        *(("fault", ["run", "--debug", "--session", second, *more]) for more in ([], ["--source", "tiingo"], ["--source", "eodhd"], ["--log-format", "json"])),
        ("good", ["backfill", "--debug", "--from", first, "--to", second]),
        ("fault", ["run", "--session", third]),
        ("good", ["report", "--session", first]),
        ("good", ["alerts", "test"]), ("good", ["alerts", "resend"]), ("good", ["alerts", "list", "--json"]),
        ("fault", ["doctor"]), ("good", ["doctor", "--json"]), ("good", ["status", "--json"]), ("good", ["watch"]), ("good", ["quarantine", "list"]),
        ("good", ["sql", "--format", "json", "from ops.alerts"]), ("good", ["sql", "from duckdb_settings()"]),
        ("good", ["rebuild", "--to", "rebuilt.duckdb"]),
        ("taken", ["init", "--yes", "--home", "made", "--source", "sample", "--alert-urls", f"json://127.0.0.1:{port}/"]),
    ]  # fmt: skip


def _settings(
    folder: Path, hook: webhook.Webhook, monitor: webhook.Webhook, mailbox: mailbox_server.Mailbox
) -> dict[str, str]:
    members = world.universe(
        world.instrument("SPY", size_bucket="large"),
        world.instrument("IWM"),
        world.instrument("VB"),
        pairs=[("IWM", "SPY")],
    )
    user, password = SECRETS["user of ROTATION_ALERT_URLS"], quote(SECRETS["password of ROTATION_ALERT_URLS"], safe="")
    channels = [
        f"json://{user}:{password}@127.0.0.1:{hook.port}/{SECRETS['ROTATION_ALERT_URLS']}",
        f"mailto://desk:{quote(SECRETS['SMTP password'], safe='')}@127.0.0.1:{mailbox.port}/?from=a@example.com&to=b@example.com&mode=insecure",
        f"slack://T1JJ3T3L2/A1BRTD4JD/{SECRETS['Slack token']}/#desk",
        f"nonsense://{SECRETS['ROTATION_ALERT_URLS']}",
    ]
    return {
        "HOME": str(folder), "XDG_STATE_HOME": str(folder / "state"), "XDG_CACHE_HOME": str(folder / "cache"), "PREFECT_HOME": str(folder / "prefect"), "TMPDIR": str(_made(folder / "tmp")),
        "PYTHONPATH": str(world.REPOSITORY), "ROTATION_HOME": str(folder / "home"), "ROTATION_UNIVERSE": str(world.write_universe(folder, members)),
        "ROTATION_HISTORY_START": "2025-10-01", "ROTATION_SOURCE": "tiingo,eodhd", "ROTATION_FETCH_ATTEMPTS": "1", "ROTATION_FETCH_TIMEOUT_S": "5",
        "ROTATION_ALERT_URLS": " ".join(channels), "ROTATION_REPORT_URLS": f"json://127.0.0.1:{hook.port}/{SECRETS['ROTATION_REPORT_URLS']}",
        "ROTATION_PING_URL": f"http://127.0.0.1:{monitor.port}/{SECRETS['ROTATION_PING_URL']}", "ROTATION_ALERT_URL": f"json://{SECRETS['misspelt setting']}/",
        "TIINGO_API_KEY": SECRETS["TIINGO_API_KEY"], "EODHD_API_KEY": SECRETS["EODHD_API_KEY"], "PREFECT_API_KEY": SECRETS["Prefect API key"],
    }  # fmt: skip


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _everything(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Each file below `folder` by its path, and the rows of each table of each database as text: the file itself is compressed."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        yield str(path.relative_to(folder)), path.read_bytes()
        if path.suffix == ".duckdb":
            with duckdb.connect(str(path), read_only=True) as con:
                tables = con.execute("select format('{}.{}', schema_name, table_name) from duckdb_tables()").fetchall()
                for (table,) in tables:
                    yield (
                        f"{path.name}: {table}",
                        str(con.execute(f"select cast(t as varchar) from {table} as t").fetchall()).encode(),
                    )


def _modes(folder: Path) -> Part:
    """Nobody but the owner writes anything, nobody changes the published file, and settings with secrets are the owner's alone."""
    part = Part("modes of the files written")
    for path in (found for name in ("home", "state", "made") for found in (folder / name).rglob("*")):
        mode = stat.S_IMODE(path.lstat().st_mode)
        part.check(not mode & stat.S_IWOTH, f"{path.relative_to(folder)} can be written by all ({mode:o})")
        if path.name == "rotation.toml" or (folder / "state") in path.parents:
            part.check(
                path.is_dir() or not mode & 0o077, f"{path.relative_to(folder)} can be read by others ({mode:o})"
            )
        if path.name == "rotation.duckdb":
            part.check(mode == 0o444, f"the published file has mode {mode:o}")
    part.check((folder / "made" / "rotation.toml").is_file(), "rotation init wrote no settings")
    part.said = f"umask {os.umask(os.umask(0o022)):03o}"
    return part
