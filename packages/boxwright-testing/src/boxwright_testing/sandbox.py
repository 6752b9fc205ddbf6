"""What a plugin must leave alone while it works: the network, the file system, and memory."""

from __future__ import annotations

import gc
import ipaddress
import os
import socket
import tempfile
import tracemalloc
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from boxwright import Sample

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


@contextmanager
def only_here(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Iterator[None]:
    """Checks that what runs inside leaves no file in the working folder and in that for temporary files.

    Args:
        monkeypatch: Points the process to the two folders for as long.
        folder: Where they are made.
    """
    working, temporary = folder / "working folder", folder / "temporary folder"
    for place in (working, temporary):
        place.mkdir()
    with monkeypatch.context() as patch:
        patch.chdir(working)
        patch.setattr(tempfile, "tempdir", str(temporary))
        for variable in ("TMPDIR", "TEMP", "TMP"):
            patch.setenv(variable, str(temporary))
        yield
    for place in (working, temporary):
        left = sorted(os.listdir(place))
        assert not left, f"it left {', '.join(left)} in the {place.name}"


class Survivors:
    """Watches samples and counts how many of them are still held by somebody.

    :attr:`most` is the largest number that was alive at once among the samples watched so far.
    """

    def __init__(self) -> None:
        self._watched: list[weakref.ref[Sample]] = []
        self.most = 0
        self.seen = 0

    def watch(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        """Passes samples on and counts after every eighth."""
        for sample in samples:
            self._watched.append(weakref.ref(sample))
            self.seen += 1
            yield sample
            del sample
            if self.seen % 8 == 0:
                self.count()

    def count(self) -> int:
        """How many of the watched samples are alive now."""
        gc.collect(0)
        self._watched = [reference for reference in self._watched if reference() is not None]
        self.most = max(self.most, len(self._watched))
        return len(self._watched)


def peak_of(work: Callable[[], object]) -> int:
    """The most bytes that Python objects took while ``work`` ran, beyond those that were there before."""
    gc.collect()  # also empties Python's lists of free objects, so that each measurement begins alike
    thresholds = gc.get_threshold()
    # Objects that refer to each other, as json's encoder makes them, are not kept; and those lists stay.
    gc.set_threshold(50, 10, 1_000_000)
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        gc.set_threshold(*thresholds)


def snapshot(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Every file below a folder, with its bytes and when it was changed."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


class _Listed:
    """What ``os.scandir`` returns, in another order."""

    def __init__(self, entries: list[Any]) -> None:
        self._entries = iter(entries)

    def __iter__(self) -> Iterator[Any]:
        return self._entries

    def __next__(self) -> Any:
        return next(self._entries)

    def __enter__(self) -> _Listed:
        return self

    def __exit__(self, *problem: object) -> None:
        self.close()

    def close(self) -> None:
        """Nothing is open."""


@contextmanager
def listing(monkeypatch: pytest.MonkeyPatch, *, backwards: bool) -> Iterator[None]:
    """Makes the operating system list every folder sorted, or sorted backwards."""
    scandir, listdir = os.scandir, os.listdir

    def sorted_scandir(path: Any = ".") -> _Listed:
        with scandir(path) as entries:
            return _Listed(sorted(entries, key=lambda entry: str(entry.name), reverse=backwards))

    def sorted_listdir(path: Any = ".") -> list[Any]:
        return sorted(listdir(path), reverse=backwards)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", sorted_scandir)
        patch.setattr(os, "listdir", sorted_listdir)
        yield
