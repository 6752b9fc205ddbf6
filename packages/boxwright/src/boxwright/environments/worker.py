"""A process in a separate environment, and the calls that it answers.

Neither side imports the other. The worker runs :mod:`boxwright.environments.worker_program`, which needs nothing but
Python, with the plugin's package of functions; the two talk in JSON, one object a line::

    >  {"call": "train", "arguments": {"steps": 400}}
    <  {"event": "progress", "step": 10, "loss": 1.2}
    <  {"event": "message", "text": "Resumed after step 200."}
    <  {"alive": true}
    <  {"result": {"loss": 0.13}}
    <  {"error": "the checkpoint is of another model", "remedy": "...", "kind": "data"}

The worker ends when the pipe from its parent closes, however the parent ended: no worker outlives the command that
started it. What it prints goes to a log file, whose last lines are its last words when it dies.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from boxwright.errors import BoxwrightError, RunError, UsageError, WorkerDiedError
from boxwright.progress import LogReporter, Reporter

PROGRAM = Path(__file__).with_name("worker_program.py")
LAST_WORDS = 8
"""Lines of the log that are shown when a worker dies."""

SILENCE = 120.0
"""Seconds without a message from the worker after which the user is warned; it sends one every few seconds."""

_GRACE = 5.0
_INFORMS = re.compile(
    r"(WARNING|INFO)\b|[IW]\d{4} |\S+ \S+: [IW] |\[[^]]*\] \w+ (INFO|WARNING):|WARNING: All log messages"
)
"""How lines begin that inform, in the ways of Python's logging, absl and TensorFlow's C++ code."""

_NOT_INHERITED = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")

OnEvent = Callable[[str, Mapping[str, Any]], None]


class WorkerError(BoxwrightError):
    """A function of the worker failed in a way that its author had not thought of."""


class Worker:
    """A running worker; use it as a context manager.

    Args:
        python: The interpreter.
        package: The folder of the package whose functions are called; ``None`` for none but the built-in ones.
        name: For messages.
        log: The file that gets what it prints, after what is there already; a temporary one by default.
        reporter: Where its messages and warnings go.

    Raises:
        BoxwrightError: It cannot be started.
    """

    def __init__(
        self,
        python: Path,
        package: Path | None,
        *,
        name: str,
        log: Path | None = None,
        reporter: Reporter | None = None,
    ) -> None:
        self.name = name
        self._reporter = reporter or LogReporter()
        self._log: IO[bytes]
        if log is None:
            self._log = tempfile.TemporaryFile()  # noqa: SIM115 (closed by end)
            self._log_name = ""
        else:
            log.parent.mkdir(parents=True, exist_ok=True)
            self._log = log.open("a+b")
            self._log_name = str(log)
        self._start_of_words = self._log.seek(0, os.SEEK_END)
        words = [str(python), "-s", "-E", "-u", "-X", "utf8", str(PROGRAM), *([str(package)] if package else [])]
        try:
            self._process = subprocess.Popen(
                words,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                env={key: value for key, value in os.environ.items() if key not in _NOT_INHERITED},
                start_new_session=os.name == "posix",  # Ctrl-C is answered here, and here alone
            )
        except OSError as error:
            self._log.close()
            raise BoxwrightError(
                f"the worker of {name} cannot be started: {error}", f"run: boxwright env check {name}"
            ) from None
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        threading.Thread(target=self._listen, name=f"worker {name}", daemon=True).start()

    @property
    def pid(self) -> int:
        """The number of its process."""
        return self._process.pid

    def call(self, function: str, arguments: Mapping[str, Any], on_event: OnEvent | None = None) -> Any:
        """Calls a function of the plugin's package and returns its result.

        Args:
            function: ``"module:function"`` within the package. It is called with a connection and the arguments.
            arguments: Plain values, as JSON has them.
            on_event: Called with the name and the values of each event that the function sends.

        Raises:
            UsageError: The function refused what the user asked for.
            RunError: It refused what it found.
            WorkerError: It failed otherwise.
            WorkerDiedError: The process ended.
        """
        try:
            return self._call(function, arguments, on_event)
        except BoxwrightError:
            raise
        except BaseException:
            self.end()
            raise

    def _call(self, function: str, arguments: Mapping[str, Any], on_event: OnEvent | None) -> Any:
        assert self._process.stdin is not None
        request = json.dumps({"call": function, "arguments": dict(arguments)}, allow_nan=False) + "\n"
        with contextlib.suppress(BrokenPipeError):  # it is dead; why, is found out below
            self._process.stdin.write(request.encode())
            self._process.stdin.flush()
        while True:
            answer = self._next()
            if "result" in answer:
                return answer["result"]
            if "error" in answer:
                raise self._failure(answer)
            if "event" in answer:
                self._event(answer.pop("event"), answer, on_event)

    def _next(self) -> dict[str, Any]:
        silent = 0.0
        while True:
            try:
                line = self._lines.get(timeout=1.0)  # short, for Ctrl-C is not heard while waiting on some systems
            except queue.Empty:
                silent += 1.0
                if silent == SILENCE:
                    self._reporter.warning(
                        f"the worker of {self.name} has given no sign of life for {SILENCE / 60:.0f} minutes;"
                        " Ctrl-C ends it."
                    )
                continue
            if line is None:
                self._lines.put(None)  # for the next call, which must not wait for an answer
                raise self._death()
            try:
                answer = json.loads(line)
            except (ValueError, RecursionError):
                raise WorkerError(f"the worker of {self.name} answered {line[:80]!r}, which is not JSON") from None
            if isinstance(answer, dict):
                return answer

    def _event(self, event: str, values: Mapping[str, Any], on_event: OnEvent | None) -> None:
        if event == "message":
            self._reporter.message(str(values.get("text", "")))
        elif event == "warning":
            self._reporter.warning(str(values.get("text", "")))
        elif on_event is not None:
            on_event(event, values)

    def _failure(self, answer: Mapping[str, Any]) -> BoxwrightError:
        message, remedy = str(answer["error"]), str(answer.get("remedy", ""))
        kind = answer.get("kind")
        if kind in ("usage", "run"):
            return (UsageError if kind == "usage" else RunError)(message, remedy)
        where = f"its whole story is in {self._log_name}" if self._log_name else f"run: boxwright env check {self.name}"
        return WorkerError(f"in the environment {self.name}: {message}", remedy or where)

    def _death(self) -> WorkerDiedError:
        code = self._process.wait()
        if code < 0:
            try:
                name = signal.Signals(-code).name
            except ValueError:
                name = "of an unknown kind"
            how = f"was killed by signal {-code} ({name})"
            if -code == getattr(signal, "SIGKILL", None):
                how += ", most likely because it ran out of memory"
        else:
            how = f"ended with code {code}"
        words = self.last_words()
        said = ". Its last words:\n    " + "\n    ".join(words) if words else ""
        remedy = f"all that it said is in {self._log_name}" if self._log_name else ""
        return WorkerDiedError(f"the worker of {self.name} {how}{said}", remedy)

    def last_words(self) -> list[str]:
        """The last lines that it printed, without those that only inform, if there are others."""
        self._log.flush()
        end = self._log.seek(0, os.SEEK_END)
        self._log.seek(max(self._start_of_words, end - 16_384))
        lines = [line.rstrip() for line in self._log.read().decode("utf-8", "replace").splitlines() if line.strip()]
        telling = [line for line in lines if not _INFORMS.match(line)]
        return (telling or lines)[-LAST_WORDS:]

    def end(self) -> None:
        """Ends the process, politely at first, and waits until it is gone."""
        process = self._process
        if process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()  # which tells it
        try:
            process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            _kill_group(process)
            process.wait()
        except BaseException:  # a second Ctrl-C
            _kill_group(process)
            process.wait()
            raise
        finally:
            self._log.close()

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as stdout, contextlib.suppress(OSError, ValueError):
            for line in stdout:
                self._lines.put(line)
        self._lines.put(None)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(OSError):
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL)  # with whatever it has started
        else:
            process.kill()
