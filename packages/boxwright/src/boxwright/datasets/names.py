"""The names of a dataset's images so far, in little memory."""

from __future__ import annotations

from array import array
from typing import Final

_SMALLEST: Final = 1 << 10


class Names:
    """A set of names that takes at most 32 bytes for each, whatever their length.

    It contains 64-bit hashes. For a million different names, the probability that two of them have the same hash is
    below 1 in 10 million.
    """

    def __init__(self) -> None:
        self._table = array("q", bytes(8 * _SMALLEST))  # open addressing; 0 is a free place
        self._mask = _SMALLEST - 1
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __contains__(self, name: str) -> bool:
        return self._table[self._place(hash(name) or 1)] != 0

    def add(self, name: str) -> bool:
        """Adds a name; returns whether it is new."""
        value = hash(name) or 1
        place = self._place(value)
        if self._table[place]:
            return False
        self._table[place] = value
        self._count += 1
        if 2 * self._count > self._mask:
            self._grow()
        return True

    def _place(self, value: int) -> int:
        """Returns the place of a hash, or the free place for it."""
        table, mask = self._table, self._mask
        place = value & mask
        while table[place] not in (0, value):
            place = (place + 1) & mask
        return place

    def _grow(self) -> None:
        old = self._table
        self._table = array("q", bytes(16 * len(old)))
        self._mask = len(self._table) - 1
        for value in old:
            if value:
                self._table[self._place(value)] = value
