"""What protects the page: the addresses it answers to, and the headers of every response."""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: No script, style, picture or request but the page's own; charts and tables carry inline styles.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


def is_loopback(host: str) -> bool:
    """Whether only programs of this machine can reach `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_allowed(host: str, bound_to: str) -> bool:
    """Whether a request may be addressed to `host`, the Host header, on a server bound to the address `bound_to`.

    A page of another site can point a name of its own at this machine (DNS rebinding) and read the warehouse through the reader's browser. So
    a name must be this machine's; an address cannot be rebound, but on loopback only loopback addresses are meant.
    """
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    if name in ("localhost", bound_to.casefold()):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return not is_loopback(bound_to) and name in {socket.gethostname().casefold(), socket.getfqdn().casefold()}
    return address.is_loopback or not is_loopback(bound_to)


class Protection:
    """Refuses requests to another host's name and scripts of other sites, and puts `HEADERS` on every response."""

    def __init__(self, app: ASGIApp, bound_to: str) -> None:
        self.app = app
        self.bound_to = bound_to

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        from starlette.responses import PlainTextResponse

        if scope["type"] != "http":
            return await self.app(scope, receive, send)

        async def protected(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    *((name.encode(), value.encode()) for name, value in HEADERS.items() if name.encode() not in given),
                ]
            await send(message)

        asked = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        host = asked.get("host", "")
        answer = None
        if not is_allowed(host, self.bound_to):
            answer = PlainTextResponse(
                f"This server does not answer to the name {host!r}; use the address that `rotation serve` printed.\n",
                400,
            )
        elif asked.get("sec-fetch-site") in ("cross-site", "same-site") and asked.get("sec-fetch-mode") != "navigate":
            answer = PlainTextResponse("Another site cannot read this page; open it in a tab of its own.\n", 403)
        await (answer or self.app)(scope, receive, protected)
