"""A mail server on loopback: the part of SMTP (RFC 5321) that a client needs to hand over a message."""

from __future__ import annotations

import email
import email.policy
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage


class Mailbox:
    """`messages` are the mails taken, as a reader's program shows them; `refuses` answers every recipient with 550."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.refuses = False
        self.messages: list[EmailMessage] = []

    def url(self) -> str:
        """The Apprise address of the mailbox, without a login."""
        return f"mailto://127.0.0.1:{self.port}/?from=rotation@example.com&to=desk@example.com&mode=insecure"


@contextmanager
def serving() -> Iterator[Mailbox]:
    """A mail server that is up while the context lasts."""

    class Handler(socketserver.StreamRequestHandler):
        def answer(self, text: str) -> None:
            self.wfile.write(f"{text}\r\n".encode())

        def handle(self) -> None:
            self.answer("220 mailbox ESMTP")
            while line := self.rfile.readline():
                match line.split()[0].upper() if line.split() else b"":
                    case b"EHLO":
                        self.answer("250-mailbox\r\n250-8BITMIME\r\n250 SMTPUTF8")
                    case b"RCPT" if box.refuses:
                        self.answer("550 No such mailbox")
                    case b"DATA":
                        self.answer("354 End with a dot")
                        self.take()
                        self.answer("250 Taken")
                    case b"QUIT":
                        self.answer("221 Bye")
                        return
                    case b"HELO" | b"MAIL" | b"RCPT" | b"RSET" | b"NOOP":
                        self.answer("250 OK")
                    case _:
                        self.answer("502 Not implemented")

        def take(self) -> None:
            lines = []
            while (line := self.rfile.readline()) not in (b".\r\n", b""):
                lines.append(line[1:] if line.startswith(b"..") else line)
            message = email.message_from_bytes(b"".join(lines), policy=email.policy.default)
            assert isinstance(message, EmailMessage)
            box.messages.append(message)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        box = Mailbox(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield box
        finally:
            server.shutdown()
            thread.join()
