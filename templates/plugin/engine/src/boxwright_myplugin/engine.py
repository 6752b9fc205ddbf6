"""Shares the work between local processes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

from boxwright.datasets import Work, ordered_results


class MyPluginEngine:
    """Runs pieces of work in new processes.

    Args:
        processes: How many.
    """

    def __init__(self, processes: int = 2) -> None:
        self._processes = processes
        self._pool = ProcessPoolExecutor(processes, get_context("spawn"))

    def results(self, work: Work, pieces: Iterable[tuple[int, int]]) -> Iterator[Any]:
        """Yields the results of the pieces, in order."""
        futures = (self._pool.submit(work, start, stop) for start, stop in pieces)
        return ordered_results(futures, ahead=3 * self._processes)

    def close(self) -> None:
        """Ends the processes."""
        self._pool.shutdown(cancel_futures=True)
