"""The web server: uvicorn, quiet, over HTTP alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import uvicorn
    from starlette.applications import Starlette


def server(application: Starlette) -> uvicorn.Server:
    """A server of `application`; run it with the sockets to listen on."""
    import uvicorn

    config = uvicorn.Config(
        application,
        # Whatever goes wrong in a page is logged by the application.
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        ws="none",
        timeout_graceful_shutdown=2,
    )
    return uvicorn.Server(config)
