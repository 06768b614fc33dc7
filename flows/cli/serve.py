"""`rotation serve`: the page over the published warehouse, until Ctrl-C."""

from __future__ import annotations

import errno
import socket
from datetime import UTC, datetime

from market_rotation.flows.cli.console import err, out
from market_rotation.tasks import warehouse
from market_rotation.tasks.errors import UsageError
from market_rotation.tasks.settings import load_settings


def serve(host: str, port: int) -> None:
    """Serves until it is interrupted. Raises `RotationError` where there is no warehouse yet, `UsageError` for an address that cannot be used."""
    settings = load_settings()
    warehouse.refuse_missing(settings.published)
    with _listening(host, port) as listener:
        from market_rotation.tasks.serve.app import application
        from market_rotation.tasks.serve.security import is_loopback
        from market_rotation.tasks.serve.server import server

        address = f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}/"
        if not is_loopback(host):
            err.print(
                f"Warning: anyone who can reach {address} over the network can read the warehouse; there is no password.",
                style="yellow",
                markup=False,
                highlight=False,
                soft_wrap=True,
            )
        out.print(
            f"{settings.published} is shown at {address} (read-only; Ctrl-C ends it)",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
        made = server(application(settings, host, lambda: datetime.now(UTC)))
        try:
            made.run(sockets=[listener])
        except KeyboardInterrupt:
            # This is how a reader ends it.
            return


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UsageError(
                f"Port {port} of {host} is in use; choose another with --port, or stop the program that uses it."
            ) from None
        # Python adds the address to the system's words.
        reason = (error.strerror or "not possible").partition(" (while")[0]
        raise UsageError(f"{host}, port {port} cannot be used ({reason}); choose another --host or --port.") from None
