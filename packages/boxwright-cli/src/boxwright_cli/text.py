"""Text for a terminal: printable characters, counts and durations in words."""

from __future__ import annotations

import unicodedata


def printable(text: str) -> str:
    r"""Returns text from files and arguments that is safe to print: control characters appear as ``\x1b``.

    Newlines stay. A class name must not move the cursor or change the colors of the terminal.
    """
    if text.isprintable():
        return text
    return "".join(
        letter if letter == "\n" or unicodedata.category(letter) not in ("Cc", "Cf", "Cs") else repr(letter)[1:-1]
        for letter in text
    )


def amount(count: int, thing: str) -> str:
    """Returns ``1 image``, ``240 images``, ``2 boxes``."""
    plural = f"{thing}es" if thing.endswith(("x", "s")) else f"{thing}s"
    return f"{count:,} {thing if count == 1 else plural}"


def duration(seconds: float) -> str:
    """Returns ``0.4 s``, ``38 s``, ``5 min 12 s``, ``2 h 5 min``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
