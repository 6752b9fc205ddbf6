"""Work on a dataset shared between processes, in order, where each item stands by itself.

A reader says by ``parts`` how many items it has and gives any stretch of them by ``read_part``. Each process takes
every N-th stretch; what it made of it comes back through a pipe, whose size keeps a quick process from running ahead.
The processes are forks, so that nothing has to be sent to them; where forking is not safe (other threads run, or
another operating system) there are none, and the caller does the work himself.
"""

from __future__ import annotations

import contextlib
import io
import marshal
import os
import pickle
import signal
import struct
import sys
import threading
from collections.abc import Callable, Generator
from typing import IO, Any, NoReturn

from boxwright.errors import BoxwrightError, WorkerDiedError

STRETCH = 256
"""Items that a process works on before it answers."""

WORTH_IT = 2_000
"""Items below which starting processes takes longer than they save."""

_SIZE = struct.Struct("<Q")
_PIPE_BYTES = 1 << 20


def available() -> int:
    """How many processes may run at the same time: the cores that this one is allowed to use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def can_fork() -> bool:
    """Whether a fork is safe here: on Linux, with no other thread that might hold a lock."""
    return sys.platform == "linux" and threading.active_count() == 1


def shared(work: Callable[[int, int], Any], count: int, processes: int) -> Generator[Any, None, None]:
    """Yields ``work(start, stop)`` of consecutive stretches of ``range(count)``, in order.

    Args:
        work: What to do, in a fork of this process; what it returns must be plain values.
        count: How many items there are.
        processes: How many forks.

    Raises:
        WorkerDiedError: One was killed.
        Exception: What ``work`` raised, when its stretch has its turn.
    """
    starts = range(0, count, STRETCH)
    processes = min(processes, len(starts))
    workers: list[_Worker] = []
    try:
        for number in range(processes):
            workers.append(_Worker(work, starts[number::processes], count, workers))
        for turn in range(len(starts)):
            yield workers[turn % processes].answer()
    finally:
        for worker in workers:
            worker.end()


class _Worker:
    """One fork and the pipe that it answers through."""

    _pipe: IO[bytes]

    def __init__(self, work: Callable[[int, int], Any], starts: range, count: int, others: list[_Worker]) -> None:
        reading, writing = os.pipe()
        with contextlib.suppress(OSError, ImportError, AttributeError):
            import fcntl

            fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self._pid = os.fork()
        if self._pid == 0:
            os.close(reading)
            for other in others:
                other._pipe.close()
            _serve(work, starts, count, writing)
        os.close(writing)
        self._pipe = open(reading, "rb")  # noqa: SIM115 (closed by end)

    def answer(self) -> Any:
        head = self._pipe.read(_SIZE.size + 1)
        if len(head) == _SIZE.size + 1:
            (size,) = _SIZE.unpack_from(head)
            content = self._pipe.read(size)
            if len(content) == size:
                if head[-1:] == b"m":
                    return marshal.loads(content)  # noqa: S302 (our own child's bytes)
                answer = pickle.loads(content)  # noqa: S301 (likewise)
                if head[-1:] == b"e":
                    raise answer
                return answer
        _, status = os.waitpid(self._pid, 0)
        self._pid = 0
        code = os.waitstatus_to_exitcode(status)
        how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
        raise WorkerDiedError(
            f"a process that shared the work {how}", "try again with --workers 1, or free some memory"
        )

    def end(self) -> None:
        self._pipe.close()
        if self._pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)  # it owns nothing that would have to be put in order
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self._pid, 0)


def _serve(work: Callable[[int, int], Any], starts: range, count: int, pipe: int) -> NoReturn:
    """The fork's whole life. It never returns into the code that forked, nor runs its clean-up."""
    status = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is answered by the parent, who ends this
        with io.FileIO(pipe, "w") as file:
            for start in starts:
                kind, content = _answered(work, start, min(start + STRETCH, count))
                _write(file, _SIZE.pack(len(content)) + kind + content)
                if kind == b"e":
                    break
        status = 0
    except BaseException:  # a parent that is gone; there is nobody left to tell
        pass
    finally:
        os._exit(status)


def _answered(work: Callable[[int, int], Any], start: int, stop: int) -> tuple[bytes, bytes]:
    try:
        answer = work(start, stop)
    except Exception as error:
        return b"e", _pickled(error)
    try:
        return b"m", marshal.dumps(answer)
    except ValueError:  # it holds what marshal does not know, such as an attribute's own type
        return b"p", pickle.dumps(answer)


def _pickled(error: Exception) -> bytes:
    try:
        content = pickle.dumps(error)
        pickle.loads(content)  # noqa: S301 (an exception may pickle and not come back)
    except Exception:
        return pickle.dumps(BoxwrightError(f"{type(error).__name__}: {error}", ""))
    return content


def _write(file: io.FileIO, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[file.write(view) :]
