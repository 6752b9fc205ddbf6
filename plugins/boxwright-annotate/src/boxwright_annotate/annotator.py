"""Runs the page until Ctrl-C."""

from __future__ import annotations

import secrets
import socket
import webbrowser
from contextlib import suppress

import uvicorn

from boxwright import OutputError, Reporter
from boxwright.annotation import AnnotationSession
from boxwright_annotate.app import make_app
from boxwright_annotate.guard import Guard

HOST = "127.0.0.1"


class PageAnnotator:
    """Serves a page on the loopback interface; its address contains a random token.

    Args:
        port: The port; 0 for any free one.
        browser: Whether to open the page.
    """

    def __init__(self, port: int = 0, browser: bool = True) -> None:
        self._port, self._browser = port, browser
        self._server: uvicorn.Server | None = None

    def annotate(self, session: AnnotationSession, reporter: Reporter) -> None:
        """Serves the page until Ctrl-C or SIGTERM.

        Raises:
            OutputError: The port is in use.
        """
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((HOST, self._port))
        except OSError as error:
            listening.close()
            raise OutputError(f"port {self._port}: {error.strerror or error}", "pass another --port") from None
        with listening:
            listening.listen(128)  # so that a browser may connect before the server is ready
            port = listening.getsockname()[1]
            token, once = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
            app = Guard(make_app(session, self.stop), token, port, once if self._browser else "")
            address = f"http://{HOST}:{port}/{token}/"
            reporter.message(f"Annotate in your browser: {address}")
            reporter.message("Only this computer can open it. Press Ctrl-C here to end.")
            if self._browser:
                webbrowser.open(f"http://{HOST}:{port}/{once}")
            config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False, lifespan="off")
            with suppress(KeyboardInterrupt):  # uvicorn raises it again after it has ended
                self._server = uvicorn.Server(config)
                self._server.run(sockets=[listening])

    def stop(self) -> None:
        """Ends :meth:`annotate`, which runs in another thread."""
        if self._server is not None:
            self._server.should_exit = True
