"""The items with the highest counts in a stream, with no more of them in memory than requested."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import Generic, TypeVar

_Item = TypeVar("_Item")


class Top(Generic[_Item]):
    """Keeps the items with the highest counts; of two with the same count, the earlier one.

    Args:
        size: The largest number of items to keep.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._seen = 0
        self._heap: list[tuple[int, int, _Item]] = []

    def add(self, count: int, item: _Item) -> None:
        """Keeps an item if its count is among the highest."""
        entry = (count, -self._seen, item)  # positions differ, so that items are never compared
        self._seen += 1
        if len(self._heap) < self._size:
            heapq.heappush(self._heap, entry)
        else:
            heapq.heappushpop(self._heap, entry)

    def __iter__(self) -> Iterator[_Item]:
        """Yields the items, the highest count first."""
        return (entry[2] for entry in sorted(self._heap, key=lambda entry: entry[:2], reverse=True))
