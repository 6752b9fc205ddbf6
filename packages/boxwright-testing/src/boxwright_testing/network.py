"""The network, switched off: what a plugin tries to reach while it works is recorded and refused."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

_LOCAL = frozenset({"", "localhost"})


@contextmanager
def no_network() -> Iterator[list[str]]:
    """Refuses connections to other machines; yields the list of what was tried.

    This machine itself can be reached: processes of one training talk to each other that way. What is refused raises
    ``OSError`` in the plugin, and stays in the list where the plugin swallows that.
    """
    tried: list[str] = []

    def refuse(host: object, port: object = "") -> None:
        if not _is_here(host):
            name = f"{_text(host)}:{_text(port)}" if port not in ("", None) else _text(host)
            tried.append(name)
            raise OSError(f"the network is switched off in this test, and {name} was asked for")

    with ExitStack() as stack:

        def replace(owner: Any, name: str, position: int) -> None:
            original = getattr(owner, name)

            def checked(*arguments: Any, **named: Any) -> Any:
                address = arguments[position] if len(arguments) > position else named.get("host")
                if isinstance(address, tuple):  # of a Unix socket, the address is a path
                    refuse(*address[:2])
                elif owner is socket:
                    refuse(address, arguments[position + 1] if len(arguments) > position + 1 else "")
                return original(*arguments, **named)

            stack.enter_context(mock.patch.object(owner, name, checked))

        for method in ("connect", "connect_ex"):
            replace(socket.socket, method, 1)  # after the socket itself
        replace(socket.socket, "sendto", -1)
        for function in ("getaddrinfo", "gethostbyname", "gethostbyname_ex"):
            replace(socket, function, 0)
        yield tried


def check_network(tried: list[str]) -> None:
    """Checks that nothing was asked of other machines."""
    reached = ", ".join(dict.fromkeys(tried))
    assert not tried, f"it asked for {reached}; a plugin works without network, or says that it needs it"


def _is_here(host: object) -> bool:
    name = _text(host).partition("%")[0]
    if host is None or name.lower() in _LOCAL:
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
