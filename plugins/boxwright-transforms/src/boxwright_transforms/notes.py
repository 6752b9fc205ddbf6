"""Notes: what a transform reports about its work."""

from __future__ import annotations

import difflib
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Generic, TypeVar

T = TypeVar("T")

_MAX_EXAMPLES: Final = 3
"""How many of many places are listed."""

_MAX_NAMES: Final = 10
"""How many names are listed if none resembles a mistyped one."""


def amount(count: int, word: str) -> str:
    """Returns a count with its noun: ``1 image``, ``1,200 images``, ``2 boxes``, ``3 classes``."""
    if count != 1:
        word += "es" if word.endswith(("x", "s")) else "s"
    return f"{count:,} {word}"


def examples(places: Sequence[str]) -> str:
    """Returns the first few places and the number of the others."""
    listed = "; ".join(places[:_MAX_EXAMPLES])
    more = len(places) - _MAX_EXAMPLES
    return f"{listed}; and {more:,} more" if more > 0 else listed


def suggestion(name: str, existing: Iterable[str]) -> str:
    """Returns the name that a mistyped one resembles, or else a list of the existing names."""
    names = sorted(existing)
    if near := difflib.get_close_matches(name, names, n=1):
        return f"did you mean {near[0]!r}?"
    if not names:
        return "there are none"
    more = len(names) - _MAX_NAMES
    return f"there are {', '.join(names[:_MAX_NAMES])}" + (f" and {more:,} more" if more > 0 else "")


class Ledger(Generic[T]):
    """What was done with each image, by its name.

    A conversion may read its source more than once, and threads may share the work; by name, each image counts once.
    The entries are kept in memory: a few words per image.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: dict[str, T] = {}

    def __reduce__(self) -> tuple[type[Ledger[T]], tuple[()]]:
        """A copy in another process begins without entries."""
        return Ledger, ()

    def enter(self, name: str, entry: T) -> None:
        """Sets the entry of an image, replacing an earlier one."""
        with self._lock:
            self._entries[name] = entry

    def entries(self) -> list[T]:
        """Returns the entries, sorted by the names of the images, independent of the threads."""
        with self._lock:
            return [self._entries[name] for name in sorted(self._entries)]

    def take(self) -> dict[str, T]:
        """Returns the entries by the names of the images, and removes them."""
        with self._lock:
            taken, self._entries = self._entries, {}
        return taken

    def add(self, entries: Mapping[str, T]) -> None:
        """Adds what :meth:`take` returned of a copy."""
        with self._lock:
            self._entries.update(entries)


class Merging(Generic[T]):
    """Makes a transform that notes what it does in ``_ledger`` a :class:`boxwright.datasets.MergingTransform`."""

    _ledger: Ledger[T]

    def taken(self) -> dict[str, T]:
        """Returns what was noted since the last call."""
        return self._ledger.take()

    def add(self, noted: Mapping[str, T]) -> None:
        """Adds what a copy noted."""
        self._ledger.add(noted)
