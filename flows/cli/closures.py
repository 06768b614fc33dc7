"""`rotation closures`: days on which the exchange was closed although the installed calendar has a session."""

from __future__ import annotations

from datetime import date, datetime

from rich.table import Table
from rich.text import Text

from market_rotation.flows.cli.console import out, user
from market_rotation.tasks import warehouse
from market_rotation.tasks.settings import load_settings
from market_rotation.tasks.warehouse import closures


def show_list() -> None:
    """Prints the closures of the published warehouse and of the settings, oldest first."""
    settings = load_settings()
    with warehouse.reading(settings.published) as con:
        found = closures.closures(con, settings)
    if not found:
        out.print("No closure was accepted or set; the sessions are those of the installed calendar.")
        return
    table = Table(box=None, header_style="dim", padding=(0, 1, 0, 0), pad_edge=False)
    for name in ("session", "in force", "accepted by", "because"):
        table.add_column(name, no_wrap=name != "because")
    for closure in found:
        state = "yes" if closure.is_in_force else f"no, {closure.symbols_with_bar} symbols have a bar"
        table.add_row(str(closure.session), state, Text(closure.accepted_by), Text(closure.because))
    out.print(table)


def accept(day: date, because: str, now: datetime) -> None:
    """Accepts that the exchange was closed on `day`, in the name of the current user, and prints what happens next."""
    closures.accept(load_settings(), day, because, user(), now)
    out.print(
        f"Accepted: the exchange was closed on {day}. The next `rotation run` publishes without it. If most symbols get a bar of that day "
        "after all, the run takes them and the closure no longer counts.",
        soft_wrap=True,
        markup=False,
        highlight=False,
    )
