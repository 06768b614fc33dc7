"""`rotation`, the command line. A command imports what it needs when it runs, so that `--help` answers at once."""

from __future__ import annotations

import json
import sys
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import click

# Where this module is installed, jsonschema compiles a grammar of internationalized addresses on import: about 2 s, on a slow machine, of each
# command that imports Prefect, Great Expectations or Altair, which all import jsonschema. None of their schemas has the formats `iri` and
# `iri-reference`; without the module jsonschema leaves these unchecked.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]


class Group(click.Group):
    """Prints an expected failure as one sentence; exits 2 when the user must correct something first, else 1."""

    def invoke(self, ctx: click.Context) -> Any:
        from market_rotation.tasks.errors import ConfigError, RotationError, stop_of

        as_json = "--json" in ctx.args
        # The settings import a heavy library, which help does not need.
        if ctx.parent is None and not set(ctx.help_option_names) & set(ctx.args):
            from market_rotation.tasks.settings import unknown_variables

            for sentence in unknown_variables():
                click.secho(f"Warning: {sentence}", fg="yellow", err=True)
        try:
            return super().invoke(ctx)
        except RotationError as error:
            click.secho(f"Error: {error}", fg="red", err=True)
            if as_json:
                click.echo(json.dumps({"error": str(error)}))
            ctx.exit(2 if isinstance(error, ConfigError) else 1)
        except (KeyboardInterrupt, RuntimeError) as error:
            interrupt = stop_of(error)
            if not isinstance(interrupt, KeyboardInterrupt):
                raise
            # The run adds its outcome as a note.
            click.secho(" ".join(getattr(interrupt, "__notes__", None) or ["Interrupted."]), fg="red", err=True)
            ctx.exit(130)
        except Exception as error:
            from market_rotation.tasks.exhausted import exhausted

            lacking = exhausted(error)
            if lacking is None:
                raise
            click.secho(f"Error: {lacking[0]} Nothing was changed; {lacking[1]}, then try again.", fg="red", err=True)
            ctx.exit(1)


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="market-rotation")
def main() -> None:
    """Follow the US equity rotation: small against large caps, sectors, fund flows.

    Settings come from the environment (ROTATION_HOME, ROTATION_SOURCE, ...) or rotation.toml in ROTATION_HOME.
    """


def _day(ctx: click.Context, param: click.Parameter, value: str | None) -> date | None:
    try:
        return date.fromisoformat(value) if value else None
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a date; write it as YYYY-MM-DD.") from None


_debug = click.option("--debug", is_flag=True, help="Show the logs of Prefect and the sources, and tracebacks.")
_log_format = click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Format of progress on stderr; json is one object per line, for a log collector.",
)


@main.command()
@click.option(
    "--session",
    callback=_day,
    metavar="YYYY-MM-DD",
    help="Last session to load (default: last closed session).",
)
@click.option(
    "--source",
    metavar="NAME[,NAME]",
    help="Installed source, or several in order (default: ROTATION_SOURCE); `rotation doctor` lists them.",
)
@_log_format
@_debug
def run(session: date | None, source: str | None, log_format: str, debug: bool) -> None:
    """Run the daily job once: fetch, audit, publish.

    Fetches everything that is missing. Needs no Prefect server; with PREFECT_API_URL set, the run is a flow run on that server. Exit 0
    when published or already up to date, 1 when blocked or failed.
    """
    from market_rotation.flows.cli.run import run_by_hand
    from market_rotation.tasks.run.context import Parameters

    sys.exit(run_by_hand(Parameters(datetime.now(UTC), session, source), debug, log_format))


def _symbols(ctx: click.Context, param: click.Parameter, value: str | None) -> list[str]:
    return [symbol.strip().upper() for symbol in (value or "").split(",") if symbol.strip()]


@main.command()
@click.option("--from", "start", callback=_day, required=True, metavar="YYYY-MM-DD", help="First day to request.")
@click.option(
    "--to", "end", callback=_day, metavar="YYYY-MM-DD", help="Last day to request (default: last closed session)."
)
@click.option("--symbols", callback=_symbols, metavar="A,B", help="Symbols to request (default: the whole universe).")
@_log_format
@_debug
def backfill(start: date, end: date | None, symbols: list[str], log_format: str, debug: bool) -> None:
    """Request a range of past sessions again.

    Missing and restated rows are audited and published as in a daily run. If it is interrupted, run it again: responses are
    cached for six hours. Exit 0 when published or already up to date, 1 when blocked or failed.
    """
    from market_rotation.flows.cli.run import run_by_hand
    from market_rotation.tasks.run.context import Parameters

    parameters = Parameters(datetime.now(UTC), end, start=start, symbols=tuple(symbols))
    sys.exit(run_by_hand(parameters, debug, log_format))


def _moment(ctx: click.Context, param: click.Parameter, value: str | None) -> datetime | None:
    if not value:
        return None
    try:
        if len(value) == len("YYYY-MM-DD"):
            return datetime.combine(date.fromisoformat(value), time.max, UTC)
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise click.BadParameter(
            f"{value!r} is not a timestamp; write it as 2026-01-16 (the end of that day, UTC), 2026-01-16T23:30 (UTC) or 2026-01-16T18:30-05:00."
        ) from None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


@main.command(short_help="Query the published warehouse, read-only.")
@click.argument("query")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "csv", "json", "parquet"]),
    default="table",
    show_default=True,
    help="Output format.",
)
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write to this file instead of the screen."
)
@click.option("--allow-files", is_flag=True, help="Let the query read other files, such as read_csv('…').")
@click.option(
    "--as-of",
    callback=_moment,
    metavar="TIMESTAMP",
    help="What was published at this time, such as 2026-01-16 or 2026-01-16T23:30 (UTC); only a DuckLake keeps it.",
)
def sql(query: str, form: str, output: Path | None, allow_files: bool, as_of: datetime | None) -> None:
    """Query the published warehouse with one read-only statement, also during a run.

    For example: rotation sql "from signals.sector_leadership order by session desc, rank_3m limit 11"
    """
    from market_rotation.flows.cli.sql import query_warehouse

    query_warehouse(query, form, output, allow_files=allow_files, as_of=as_of)


@main.command(short_help="Derive all tables again from the raw data alone.")
@click.option(
    "--as-of",
    callback=_moment,
    metavar="TIMESTAMP",
    help="Use only data known at this time, such as 2026-01-16 or 2026-01-16T23:30 (UTC; default: all data).",
)
@click.option(
    "--to",
    "target",
    metavar="FILE|ducklake:…",
    help="File to write (default: rebuilt.duckdb beside the warehouse), or a new DuckLake; its data go to ROTATION_LAKE_DATA.",
)
def rebuild(as_of: datetime | None, target: str | None) -> None:
    """Derive all tables again from the raw data alone, as known at a given time, into a separate file.

    The warehouse is not changed. For example: rotation rebuild --as-of 2026-01-16 --to january.duckdb
    """
    from market_rotation.flows.cli.rebuild import run_rebuild

    run_rebuild(as_of, target, datetime.now(UTC))


@main.command(short_help="Merge files and expire snapshots of a DuckLake.")
def maintain() -> None:
    """Merge small files of a DuckLake, expire snapshots after ROTATION_LAKE_KEEP_DAYS, and delete files that no snapshot needs.

    Readers are not disturbed. Call it once a week, or leave it to the deployment `maintenance`. Exit 2 when the warehouse is a file.
    """
    from market_rotation.flows.cli.maintain import run_maintenance

    run_maintenance(datetime.now(UTC))


@main.command(short_help="Write the report of a session.")
@click.option(
    "--session", callback=_day, metavar="YYYY-MM-DD", help="A past session, with the data known then (default: latest)."
)
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder to write to (default: reports in ROTATION_HOME).",
)
def report(session: date | None, output: Path | None) -> None:
    """Write the report of a session: a page, a picture, and a summary in plain text.

    Each run writes the report of its session. This command writes it again, or writes the report of a past session.
    """
    from market_rotation.flows.cli.report import write_report

    write_report(session, output, datetime.now(UTC))


@main.command(short_help="Show the warehouse in a browser.")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on; others than loopback open it to the network.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8765,
    show_default=True,
    help="Port to listen on; 0 takes a free one.",
)
def serve(host: str, port: int) -> None:
    """Show the published warehouse in a browser, read-only, until Ctrl-C.

    Pages: any past session, any pair, any funds side by side, the relative rotation graph, fund flows, and SQL. A new session is
    shown as soon as it is published. Exit 0 when ended by Ctrl-C, 1 without a warehouse, 2 when the address cannot be used.
    """
    from market_rotation.flows.cli import serve as server

    server.serve(host, port)


@main.command(short_help="Show whether the warehouse is healthy and fresh.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(as_json: bool) -> None:
    """Show the last run, freshness, open alerts and quarantine. Exit 0 when healthy, 3 when stale or the last run failed."""
    from market_rotation.flows.cli.status import show_status

    sys.exit(show_status(datetime.now(UTC), as_json))


@main.command(short_help="Alert when the last session due is not published.")
def watch() -> None:
    """Alert when the last session due (by 20:00 New York on its day) is not published. Exit 0 when it is, 3 when not.

    For a timer that is independent of the daily job: needs no Prefect, no worker and no build database, only the published file
    or a copy of it. Call it every hour: it alerts once, again after ROTATION_ALERT_REPEAT_H hours, and once when it is over.
    """
    from market_rotation.flows.cli.watch import watch_once

    sys.exit(watch_once(datetime.now(UTC)))


@main.command(short_help="Set up a Prefect server: work pool, deployments, schedules.")
@click.option("--unpause", is_flag=True, help="Resume paused deployments and schedules; without it they stay paused.")
def deploy(unpause: bool) -> None:
    """Set up a Prefect server: the work pool, the deployments with their schedules, and the automations that mark killed runs as Crashed.

    With a notification block named rotation-alerts on the server, also automations that report late and crashed runs. Running it again
    changes nothing. Needs PREFECT_API_URL.
    """
    from market_rotation.flows.cli import deploy as deployment

    deployment.deploy(unpause=unpause)


@main.command(short_help="Write the settings, universe and pairs of a new warehouse.")
@click.option("--home", metavar="DIR", help="Folder of the warehouse (default: ROTATION_HOME).")
@click.option("--source", metavar="NAME[,NAME]", help="Source, or several in order (default: yahoo).")
@click.option("--files", metavar="DIR", help="Folder that the source `files` reads.")
@click.option("--alert-urls", metavar="URLS", help="Apprise addresses, separated by spaces; each gets a test message.")
@click.option("--yes", is_flag=True, help="Ask nothing: take the default where no option is given.")
def init(home: str | None, source: str | None, files: str | None, alert_urls: str | None, yes: bool) -> None:
    """Write rotation.toml, universe.csv and pairs.csv into a new home, and say what to run next.

    Asks for what is not given as an option. Never overwrites a file.
    """
    from market_rotation.flows.cli.init import write_home

    write_home(home, source, files, alert_urls, yes)


@main.command("import", short_help="Import CSV files of another vendor for the source `files`.")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--to",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder to write to (default: ROTATION_FILES, else `files` in ROTATION_HOME).",
)
@click.option(
    "--take", multiple=True, metavar="KEY=ANSWER", help="Answer to a question, such as closes=split-adjusted."
)
@click.option("--replace", is_flag=True, help="Replace what an earlier import wrote.")
@click.option("--yes", is_flag=True, help="Ask nothing; an open question is an error.")
def import_files(folder: Path, to: Path | None, take: tuple[str, ...], replace: bool, yes: bool) -> None:
    """Import the CSV files in FOLDER for the source `files`.

    Shows what it understood of each file first: its dataset, columns, days and units. It asks what a file does not say, such as what
    its closes are adjusted for. Known are the exports of yfinance, Yahoo, Stooq, Tiingo, Alpha Vantage and Bloomberg, and plain tables.
    """
    from market_rotation.flows.cli.import_files import import_folder

    import_folder(folder, to, take, replace, yes)


@main.command(short_help="Check the installation.")
@click.option("--fix", is_flag=True, help="Repair folders, file modes and temporary files of killed processes.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(fix: bool, as_json: bool) -> None:
    """Check settings, warehouse, sources, alert channels and Prefect; each line says what to do next. Exit 1 when a check fails."""
    from market_rotation.flows.cli.doctor import examine

    sys.exit(examine(datetime.now(UTC), as_json, fix))


@main.group(short_help="List quarantined rows, and accept one.")
def quarantine() -> None:
    """List the rows that were set aside instead of published, and accept a row that is right although it failed a check."""


@quarantine.command("list")
@click.option("--all", "everything", is_flag=True, help="Include resolved entries, and who accepted them.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with the rows themselves.")
def list_quarantine(everything: bool, as_json: bool) -> None:
    """List quarantined rows, newest first."""
    from market_rotation.flows.cli.quarantine import show_list

    show_list(everything, as_json)


@quarantine.command("accept")
@click.argument("entry", metavar="ID")
@click.option("--because", required=True, metavar="TEXT", help="Why the row is right; recorded with your user name.")
def accept_quarantined(entry: str, because: str) -> None:
    """Accept a row as it is, although it failed a check.

    ID is shown by `rotation quarantine list`; its first four digits are enough. The next run publishes the row.
    """
    from market_rotation.flows.cli.quarantine import accept_row

    accept_row(entry, because, datetime.now(UTC))


@main.group(short_help="List and accept closures of the exchange.")
def closures() -> None:
    """Days on which the exchange was closed although the installed calendar has a session, such as days of mourning.

    A calendar learns of such a closure with its next version. ROTATION_EXTRA_CLOSURES names such days too.
    """


@closures.command("list")
def list_closures() -> None:
    """List the closures that were accepted or set, oldest first."""
    from market_rotation.flows.cli.closures import show_list

    show_list()


@closures.command("accept")
@click.argument("day", callback=_day, metavar="DATE")
@click.option("--because", required=True, metavar="TEXT", help="Why it was closed; stays on record.")
def accept_closure(day: date, because: str) -> None:
    """Record that the exchange was closed on DATE, for this and every later run and rebuild."""
    from market_rotation.flows.cli.closures import accept

    accept(day, because, datetime.now(UTC))


def _tickers(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> list[str]:
    return [symbol for given in value for symbol in _symbols(ctx, param, given)]


@main.group(short_help="List, add and remove the symbols that are followed.")
def universe() -> None:
    """The symbols that are followed, in your own copy of the shipped universe: the file of ROTATION_UNIVERSE, or universe.csv in ROTATION_HOME."""


@universe.command("list")
def list_universe() -> None:
    """List the universe in force, and what will be known of the flows of each fund."""
    from market_rotation.flows.cli.universe import show_list

    show_list()


@universe.command("check")
def check_universe() -> None:
    """Check the universe and its pairs as a run reads them, and say what will be known of each flow group. Exit 2 for a mistake."""
    from market_rotation.flows.cli.universe import check

    check()


@universe.command("add")
@click.argument("symbols", nargs=-1, required=True, callback=_tickers, metavar="SYMBOL...")
@click.option("--issuer", metavar="NAME", help="Issuer of the fund, such as ishares or vanguard.")
@click.option("--issuer-id", metavar="ID", help="The issuer's identifier of the fund: a ticker, a CUSIP or a number.")
@click.option("--flow-group", metavar="NAME", help="Group in which the fund's flows are summed, such as small_cap.")
@click.option(
    "--kind", type=click.Choice(["fund", "stock", "index"]), help="What it is (default: as shipped, else fund)."
)
@click.option("--name", metavar="TEXT", help="Name of the fund (default: as shipped, else the symbol).")
def add_to_universe(
    symbols: list[str],
    issuer: str | None,
    issuer_id: str | None,
    flow_group: str | None,
    kind: str | None,
    name: str | None,
) -> None:
    """Add symbols to your universe, and say what will be known of the flows of each.

    A symbol of the shipped universe needs no option. For example: rotation universe add AVUV IWO VBR
    """
    from market_rotation.flows.cli.universe import add

    add(symbols, kind, name, flow_group, issuer, issuer_id)


@universe.command("remove")
@click.argument("symbols", nargs=-1, required=True, callback=_tickers, metavar="SYMBOL...")
def remove_from_universe(symbols: list[str]) -> None:
    """Remove symbols from your universe. Their data stays in the warehouse."""
    from market_rotation.flows.cli.universe import remove

    remove(symbols)


@main.group(short_help="List, test and resend alerts.")
def alerts() -> None:
    """The outbox of alerts."""


@alerts.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_alerts(as_json: bool) -> None:
    """List the newest alerts, and whether they were sent."""
    from market_rotation.flows.cli.alerts import show_alerts

    show_alerts(as_json)


@alerts.command("test")
def test_alerts() -> None:
    """Send a test message to every channel of ROTATION_ALERT_URLS. Exit 1 when a channel does not accept it."""
    from market_rotation.flows.cli.alerts import try_channels

    sys.exit(try_channels())


@alerts.command("resend")
def resend_alerts() -> None:
    """Send the pending alerts again. Exit 1 when one is still pending."""
    from market_rotation.flows.cli.alerts import resend

    sys.exit(resend(datetime.now(UTC)))


if __name__ == "__main__":
    main()
