"""Lets only the page itself talk to the server."""

from __future__ import annotations

import hmac
from typing import Any, Final

MAX_BODY: Final = 4 << 20
"""The largest request, in bytes; ten thousand boxes are less than one megabyte."""
_HEADERS: Final = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:;"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


class Guard:
    """An ASGI application around another one.

    A request passes only with the token at the beginning of its path, a ``Host`` header that names this computer, which
    a page of another domain cannot send (DNS rebinding), and no ``Origin`` header or that of the page. Requests that
    change something must contain JSON, which forms of other pages cannot send.

    Args:
        app: The application, which sees paths without the token.
        token: The token.
        port: The port of the server.
        once: A path that leads to the page, the first time only: other users of this computer can read the command line
            of a browser.
    """

    def __init__(self, app: Any, token: str, port: int, once: str = "") -> None:
        self._app = app
        self._once = f"/{once}" if once else ""
        self._prefix = f"/{token}/"
        self._hosts = {f"{name}:{port}".encode() for name in ("127.0.0.1", "localhost")}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answers a request, with status 403 if it is refused."""
        if scope["type"] != "http":
            return
        headers = dict(scope["headers"])
        path = scope["path"]
        if self._once and scope["method"] == "GET" and hmac.compare_digest(path.encode(), self._once.encode()):
            self._once = ""
            await _answer(send, 303, b"", (b"location", self._prefix.encode()))
            return
        allowed = (
            hmac.compare_digest(path[: len(self._prefix)].encode(), self._prefix.encode())
            and headers.get(b"host") in self._hosts
            and headers.get(b"origin", b"http://" + headers[b"host"]) == b"http://" + headers[b"host"]
            and headers.get(b"sec-fetch-site", b"same-origin") in (b"same-origin", b"none")
            and (scope["method"] == "GET" or headers.get(b"content-type") == b"application/json")
        )
        if not allowed:
            await _answer(send, 403, b"This page is only for the address that `boxwright annotate` has printed.")
            return
        body = b""
        more = True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > MAX_BODY:
                await _answer(send, 413, b"The request is too large.")
                return
        read = False

        async def whole() -> Any:
            nonlocal read
            if read:
                return await receive()
            read = True
            return {"type": "http.request", "body": body, "more_body": False}

        async def guarded(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_headers()]
            await send(message)

        inside = f"/{path[len(self._prefix) :]}"
        await self._app({**scope, "path": inside, "raw_path": inside.encode(), "root_path": ""}, whole, guarded)


def _headers() -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in _HEADERS.items()]


async def _answer(send: Any, status: int, text: bytes, *more: tuple[bytes, bytes]) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), *more, *_headers()]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text})
