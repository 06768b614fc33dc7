"""A webhook for alerts: a real HTTP server on loopback, which can be set to refuse."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Webhook:
    """`calls` are the paths and bodies of all requests, `messages` the JSON bodies taken; it answers with `status`."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.status = 200
        self.calls: list[tuple[str, str]] = []
        self.messages: list[dict[str, Any]] = []

    def url(self, secret: str = "s3cr3t-t0k3n") -> str:  # noqa: S107
        """The Apprise address: its user, password and path are the secrets."""
        return f"json://user-{secret}:pass-{secret}@127.0.0.1:{self.port}/hook-{secret}"


@contextmanager
def serving() -> Iterator[Webhook]:
    """A webhook that is up while the context lasts."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            hook.calls.append((self.path, body))
            # A dead man's switch is called with plain text.
            if hook.status == 200 and self.headers.get_content_type() == "application/json":
                hook.messages.append(json.loads(body))
            self.send_response(hook.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        hook = Webhook(server.server_port)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield hook
        finally:
            server.shutdown()
            thread.join()
