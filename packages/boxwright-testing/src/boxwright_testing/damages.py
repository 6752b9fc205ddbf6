"""Ways to spoil a file."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

_NUMBER = re.compile(rb"-?\d+(\.\d+)?")
_ODD_NUMBERS = (
    b"nan",
    b"-inf",
    b"1e999",
    b"-7",
    b"0",
    b"99999999999999999999",
    b"1_0",
    b"0x10",
    "\u0663".encode(),
    b"",
)
_ODD_BYTES = (b"\x00", b"\xff", b"\xed\xa0\x80", b"\n", b'"', b"'", b"<", b">", b"{", b"]", b",", b";", b"\\", b" ")

FIELDS = 12
"""How many numbers of a text are altered, in two selections."""

CHANGES = 60
"""How many bytes or parts are altered."""


def damages(whole: bytes) -> Iterator[tuple[str, bytes, bool]]:
    """Gross damage: what was done, the spoilt content, and whether it must be noticed."""
    for share in range(1, 12):
        cut = len(whole) * share // 12
        yield f"cut after {cut} of {len(whole)} bytes", whole[:cut], False
    yield "emptied", b"", True
    yield "filled with noise", bytes((i * 73 + i // 7) % 256 for i in range(400)), True
    yield "filled with zeros", bytes(400), True
    yield "ends in noise", whole[: len(whole) // 2] + bytes(range(128, 256)), True
    for opening in (b"[", b'{"a":', b"<a>"):
        yield f"100,000 times {opening.decode()}", opening * 100_000, True


def alterations(whole: bytes) -> Iterator[tuple[str, bytes]]:
    """Small changes, the same each time: what was done, and the content.

    Numbers become others or none, bytes are exchanged, parts are left out, doubled or brought into another order, and
    a text changes its encoding. A file may still be valid.
    """
    try:
        text = whole.decode()
    except UnicodeDecodeError:
        pass
    else:
        yield "with a byte-order mark", text.encode("utf-8-sig")
        yield "in UTF-16", text.encode("utf-16")
        yield "in Latin 1", text.encode("latin-1", "replace")
        yield "with line ends of Windows", text.replace("\r\n", "\n").replace("\n", "\r\n").encode()
    for match in _numbers(whole):
        for odd in _ODD_NUMBERS:
            was, becomes = match[0].decode(), odd.decode() or "nothing"
            yield f"{was} at byte {match.start()} became {becomes}", whole[: match.start()] + odd + whole[match.end() :]
    chance = random.Random(0)
    for _ in range(CHANGES):
        start = chance.randrange(max(len(whole), 1))
        end = min(len(whole), start + chance.choice((1, 1, 5, 60)))
        what = chance.choice(("exchanged", "left out", "doubled", "moved to the end"))
        part = {
            "exchanged": chance.choice(_ODD_BYTES) + whole[end:],
            "left out": whole[end:],
            "doubled": whole[start:end] * 2 + whole[end:],
            "moved to the end": whole[end:] + whole[start:end],
        }[what]
        yield f"bytes {start} to {end} {what}", whole[:start] + part


def _numbers(whole: bytes) -> list[re.Match[bytes]]:
    """Some of the numbers in a text: one after each text that comes before one, as a key or tag does, and the first."""
    found = list(_NUMBER.finditer(whole))
    after: dict[bytes, re.Match[bytes]] = {}
    for match in found:
        after.setdefault(whole[max(0, match.start() - 6) : match.start()], match)
    chosen = {match.start(): match for match in (*list(after.values())[:FIELDS], *found[:FIELDS])}
    return list(chosen.values())
