"""Work on a dataset in several processes or threads, or on other machines, with the results in order.

:func:`shared` splits a range of items between processes. They are forked if that is safe, which is fast and copies
nothing, and started as new interpreters otherwise: on Windows and macOS, and if other threads are running. With an
engine, it splits them between machines. :func:`map_samples` works on samples in threads.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from boxwright.errors import BoxwrightError, DataError, WorkerDiedError
from boxwright.schemas import Sample

if TYPE_CHECKING:
    from concurrent.futures import Future

    from boxwright.datasets.protocols import Engine

T = TypeVar("T")

CHUNK = 512
"""Items that a process works on before it returns their result."""

WORTH_IT = 2_000
"""Items below which forking processes takes longer than it saves."""

WORTH_STARTING = 20_000
"""The same for starting new interpreters."""

_AHEAD = 3  # chunks per process that are finished or in progress before the first of them is used
_MOST = 61  # processes that Windows can wait for at the same time


def available_cores() -> int:
    """Returns how many processes may run at the same time: the cores that this process is allowed to use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def can_fork() -> bool:
    """Returns whether a fork is safe: on Linux, if there is no other thread that may hold a lock.

    TensorFlow has threads that Python does not count, and without which it waits forever in a forked process.
    """
    return sys.platform == "linux" and threading.active_count() == 1 and "tensorflow" not in sys.modules


def process_count(items: int, workers: int) -> int:
    """Returns how many processes should share the work on so many items.

    Args:
        items: How many there are.
        workers: The number requested; 0 for one per core if they can be forked, else 1, because a script that starts
            new interpreters must protect its main module.
    """
    if workers == 1 or items < (WORTH_IT if can_fork() else WORTH_STARTING):
        return 1
    return workers or (available_cores() if can_fork() else 1)


def shared(
    work: Callable[[int, int], T],
    count: int,
    processes: int,
    engine: Engine | None = None,
    *,
    chunk: int = CHUNK,
    places: Iterable[str] = (),
) -> Generator[T, None, None]:
    """Yields ``work(start, stop)`` for consecutive chunks of ``range(count)``, in order.

    Args:
        work: What to do in another process; its results are pickled. If processes cannot be forked, ``work`` is
            pickled as well, and this process does the work of one that cannot be.
        count: How many items there are.
        processes: How many processes.
        engine: The machines to use instead of processes.
        chunk: How many items are worked on before their result is returned.
        places: Files and folders that ``work`` reads, which every machine must have at the same path.

    Raises:
        WorkerDiedError: A process ended before its work was done.
        EngineError: A machine does not have the files, or cannot load the work.
        Exception: An exception of ``work``, in place of the chunk's result.
    """
    if engine is not None:
        yield from _by_engine(engine, work, places, ((n, min(n + chunk, count)) for n in range(0, count, chunk)))
        return
    chunks = [(start, min(start + chunk, count)) for start in range(0, count, chunk)]
    content = None if can_fork() else _pickled(work)
    if not chunks or not (content or can_fork()):
        yield from (work(*each) for each in chunks)
        return
    # These import much of the standard library, which small datasets need not pay for.
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_context

    processes = min(processes, len(chunks), _MOST)
    context = get_context("spawn" if content else "fork")
    pool = ProcessPoolExecutor(processes, context, initializer=_set_up, initargs=(content or work,))
    try:
        yield from ordered_results((pool.submit(_run, *each) for each in chunks), _AHEAD * processes)
    except BrokenProcessPool:
        raise WorkerDiedError(
            "a process that shared the work ended before it was done; it was killed, most likely for lack of memory",
            "try again with --workers 1, or free some memory",
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def map_samples(
    work: Callable[[Sample], T],
    samples: Iterable[Sample],
    on_problem: Callable[[DataError], None],
    workers: int = 1,
) -> Iterator[T]:
    """Yields ``work(sample)`` for each sample, in order.

    Args:
        work: What to do; threads pay if it decodes or encodes images, which releases the interpreter's lock.
        samples: Read lazily, at most four per worker ahead.
        on_problem: Receives every ``DataError`` that ``work`` raises; if it returns, the sample is left out.
        workers: Threads, of which no more run than there are cores; 1 works in the caller's thread.
    """
    workers = min(workers, available_cores())

    def attempt(sample: Sample) -> T | DataError:
        try:
            return work(sample)
        except DataError as error:
            return error

    def results() -> Iterator[T | DataError]:
        if workers <= 1:
            yield from map(attempt, samples)
            return
        from concurrent.futures import ThreadPoolExecutor  # imports logging, which takes longer than this package

        with ThreadPoolExecutor(workers) as pool:
            yield from ordered_results((pool.submit(attempt, sample) for sample in samples), 4 * workers)

    for result in results():
        if isinstance(result, DataError):
            on_problem(result)
        else:
            yield result


def ordered_results(futures: Iterable[Future[T]], ahead: int) -> Iterator[T]:
    """Yields the results of futures, in order.

    Args:
        futures: Submitted when they are taken from the iterable; those that remain are cancelled at the end.
        ahead: How many are submitted before the first of them is waited for.
    """
    waiting: deque[Future[T]] = deque()
    try:
        for future in futures:
            waiting.append(future)
            if len(waiting) >= ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def _by_engine(
    engine: Engine, work: Callable[[int, int], T], places: Iterable[str], pieces: Iterator[tuple[int, int]]
) -> Iterator[T]:
    from boxwright.datasets.errands import Errand  # with hashlib and socket, which only engines need

    results = iter(engine.results(Errand.of(work, places), pieces))
    try:
        for outcome in results:
            yield Errand.value(outcome)
    finally:
        if isinstance(results, Generator):
            results.close()


def _pickled(work: Callable[[int, int], Any]) -> bytes | None:
    try:
        return pickle.dumps(work)
    except (AttributeError, TypeError, pickle.PicklingError):
        return None


# --- In a worker process ---

_work: Callable[[int, int], Any] | None = None


def _set_up(work: Callable[[int, int], Any] | bytes) -> None:
    global _work
    _work = pickle.loads(work) if isinstance(work, bytes) else work  # noqa: S301 (pickled by the parent process)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent process handles Ctrl-C, and ends this one
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    from multiprocessing import parent_process

    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _run(start: int, stop: int) -> Any:
    assert _work is not None
    try:
        return _work(start, stop)
    except Exception as error:
        try:
            pickle.loads(pickle.dumps(error))  # noqa: S301 (an exception may fail to be unpickled)
        except Exception:
            raise BoxwrightError(f"{type(error).__name__}: {error}") from None
        raise
