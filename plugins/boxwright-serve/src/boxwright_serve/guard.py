"""What every request passes: host, origin, token, the headers of the response, and the count of requests."""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import Callable
from contextlib import suppress
from time import perf_counter
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from boxwright_serve.limits import RequestError

OPEN = frozenset({"/", "/page.css", "/page.js", "/healthz", "/openapi.json", "/v2/health/live", "/v2/health/ready"})
"""The paths that need no token: they say nothing about the model."""
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
"""The local names."""
DISCARD_SECONDS = 5.0
"""The time for which the rest of the body of a refused request is read."""
_DISCARDED = 200_000_000
"""Bytes of the rest of a body that are read."""
_CLOSE = {"Connection": "close"}
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:;"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Guard:
    """Refuses requests that may not use the server, before their body is read.

    Without a token, only requests to a local name are answered, so that a page of another site cannot reach
    the server by a name that leads here (DNS rebinding). The page of another origin is always refused.

    Args:
        app: What answers the other requests.
        token: The token that requests must have; empty for none.
        count: Called with path, status and time in seconds of each request.
    """

    def __init__(self, app: ASGIApp, token: str, count: Callable[[str, int, float], None]) -> None:
        self._app = app
        self._token = token
        self._count = count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}  # the server leaves out the body
        started = perf_counter()
        status = 0
        body = _Body(receive)

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                if headers.get("connection") != "close":
                    await body.discard()
            await send(message)

        refused = self._refused(scope["path"].removeprefix(scope.get("root_path", "")), Headers(scope=scope))
        try:
            if refused is None:
                await self._app(scope, body.receive, sending)
        except asyncio.CancelledError:
            # The server stops and does not wait any longer; its client can have an answer nevertheless.
            refused = RequestError(503, "the server is shutting down", "send it to another one", _CLOSE)
        except Exception as error:
            logging.getLogger("boxwright").error("a request failed", exc_info=error)
            refused = RequestError(500, "the server failed", "see the messages of the server")
        try:
            if refused is not None and not status:
                response = JSONResponse(refused.content(), refused.status, dict(refused.headers))
                await response(scope, body.receive, sending)
        finally:
            route = scope.get("route")
            self._count(getattr(route, "path", "other"), status or 500, perf_counter() - started)

    def _refused(self, path: str, headers: Headers) -> RequestError | None:
        host = headers.get("host", "")
        if not self._token and _name(f"//{host}") not in LOOPBACK:
            return RequestError(403, f"the host {host:.80} is not this machine", "use 127.0.0.1, or start with --token")
        origin = headers.get("origin")
        if origin is not None and _netloc(origin) != host.lower():
            return RequestError(403, f"a page of {origin:.80} may not use this server", "use the page of the server")
        if self._token and path not in OPEN:
            kind, _, given = headers.get("authorization", "").partition(" ")
            if kind.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), self._token.encode()):
                problem = "the token is wrong" if given else "the token is missing"
                remedy = "send the header `Authorization: Bearer TOKEN` with the token of the server"
                return RequestError(401, problem, remedy, {"WWW-Authenticate": "Bearer"})
        return None


class _Body:
    """The body of a request, whose rest can be discarded.

    A client that sends everything before it reads would not receive the answer if the connection was closed before.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._is_read = False

    async def receive(self) -> Message:
        """Returns the next message of the client."""
        message = await self._receive()
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            self._is_read = True
        return message

    async def discard(self) -> None:
        """Reads the rest, if it is not too much and does not take too long."""
        size = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(DISCARD_SECONDS):
                while not self._is_read and size <= _DISCARDED:
                    size += len((await self.receive()).get("body", b""))


def _netloc(address: str) -> str:
    try:
        return urlsplit(address).netloc.lower()
    except ValueError:
        return ""


def _name(address: str) -> str:
    try:
        return (urlsplit(address).hostname or "").lower()
    except ValueError:
        return ""
