"""What a step says of its work: amounts, examples, and what was done with each picture."""

from __future__ import annotations

import difflib
import threading
from collections.abc import Iterable, Sequence
from typing import Final, Generic, TypeVar

T = TypeVar("T")

_EXAMPLES: Final = 3
"""How many places are named where something was found in many."""

_OFFERED: Final = 10
"""How many names are listed where a mistyped one is like none of them."""


def amount(count: int, word: str) -> str:
    """``1 picture``, ``1,200 pictures``, ``2 boxes``, ``3 classes``."""
    if count != 1:
        word += "es" if word.endswith(("x", "s")) else "s"
    return f"{count:,} {word}"


def examples(places: Sequence[str]) -> str:
    """The first few places, and how many more there are."""
    named = "; ".join(places[:_EXAMPLES])
    more = len(places) - _EXAMPLES
    return f"{named}; and {more:,} more" if more > 0 else named


def offer(name: str, there: Iterable[str]) -> str:
    """What a mistyped name may have meant, or else what there is."""
    names = sorted(there)
    if near := difflib.get_close_matches(name, names, n=1):
        return f"did you mean {near[0]!r}?"
    if not names:
        return "there is none at all"
    more = len(names) - _OFFERED
    return f"there are {', '.join(names[:_OFFERED])}" + (f" and {more:,} more" if more > 0 else "")


class Ledger(Generic[T]):
    """What was done with each picture, by its name.

    A conversion may read its source more than once, and threads may share the work; by name, each picture counts once.
    What is entered stays in memory: a few words a picture.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: dict[str, T] = {}

    def enter(self, name: str, entry: T) -> None:
        """Keeps what was done with a picture, instead of what was kept before."""
        with self._lock:
            self._entries[name] = entry

    def entries(self) -> list[T]:
        """What was kept, sorted by the pictures' names, whichever thread was the first."""
        with self._lock:
            return [self._entries[name] for name in sorted(self._entries)]
