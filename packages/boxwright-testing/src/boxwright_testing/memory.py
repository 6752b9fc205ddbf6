"""Whether samples stay in memory after they were handed on."""

from __future__ import annotations

import gc
import tracemalloc
import weakref
from collections.abc import Callable, Iterable, Iterator

from boxwright import Sample


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
    gc.collect()
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
