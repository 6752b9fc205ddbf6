"""Work on samples in threads: in order, and with a few samples a thread in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

from boxwright.errors import DataError
from boxwright.schemas import Sample

if TYPE_CHECKING:
    from concurrent.futures import Future

T = TypeVar("T")


def map_samples(
    work: Callable[[Sample], T],
    samples: Iterable[Sample],
    on_problem: Callable[[DataError], None],
    workers: int = 1,
) -> Iterator[T]:
    """Yields ``work(sample)`` for each sample, in order.

    Args:
        work: What to do; threads pay where it decodes or encodes pictures, which releases the interpreter's lock.
        samples: Read lazily, at most four a worker ahead.
        on_problem: Gets every ``DataError`` that ``work`` raises; if it returns, the sample is left out.
        workers: Threads; 1 works in the caller's own.
    """

    def attempt(sample: Sample) -> T | DataError:
        try:
            return work(sample)
        except DataError as error:
            return error

    def kept(result: T | DataError) -> Iterator[T]:
        if isinstance(result, DataError):
            on_problem(result)
        else:
            yield result

    if workers <= 1:
        for sample in samples:
            yield from kept(attempt(sample))
        return
    from concurrent.futures import ThreadPoolExecutor  # imports logging, which takes longer than all of this package

    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[T | DataError]] = deque()
        try:
            for sample in samples:
                waiting.append(pool.submit(attempt, sample))
                if len(waiting) >= 4 * workers:
                    yield from kept(waiting.popleft().result())
            while waiting:
                yield from kept(waiting.popleft().result())
        finally:
            for future in waiting:
                future.cancel()
