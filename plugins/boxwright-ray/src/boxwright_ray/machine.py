"""What a training runs on the machines of the cluster, and what it tells the one that runs the command."""

from __future__ import annotations

import os
import socket
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

from boxwright import EngineError, LabelMap, LogReporter, Run, TrainJob, hookimpl
from boxwright.datasets import Errand
from boxwright.models import Backend, make_trainer
from boxwright.plugins import LoadedPlugins, default_registry
from boxwright_ray.cluster import ray

_EVERY: Final = 0.2
"""Seconds between two messages about the progress of a task."""
INTERRUPTED: Final = "interrupted"


class Mailbox:
    """An actor that keeps what worker 0 tells until the machine that runs the command takes it."""

    def __init__(self) -> None:
        self._letters: list[Any] = []

    def put(self, letter: Any) -> None:
        """Adds something."""
        self._letters.append(letter)

    def take(self) -> list[Any]:
        """Returns what was added since the last time."""
        letters, self._letters = self._letters, []
        return letters


class Worker:
    """An actor that is one worker of a training."""

    def place(self) -> tuple[str, str]:
        """Returns the number of its node, and its address with a free port."""
        context = ray.get_runtime_context()
        with socket.create_server(("", 0)) as free:
            port = free.getsockname()[1]
        return str(context.get_node_id()), f"{ray.util.get_node_ip_address()}:{port}"

    def train(self, errand: Errand, number: int) -> tuple[bool, Any]:
        """Returns whether the training was done, and else its error."""
        return errand(number, number + 1)


@dataclass(frozen=True)
class RunContent:
    """What a run is made of, to make it again on another machine."""

    backend: str
    config: Mapping[str, Any]
    label_map: LabelMap
    inputs: Mapping[str, Any]

    @classmethod
    def of(cls, run: Run) -> RunContent:
        """Returns that of a run."""
        return cls(run.backend, run.config, run.label_map, run.state["inputs"])


@dataclass(frozen=True)
class Training:
    """A training, to be done by each worker.

    Attributes:
        backend: The backend.
        job: What is trained, by the fields of :class:`boxwright.TrainJob`, without the run and what shows progress.
        path: The folder of the run.
        run: What it is made of.
        addresses: Those of all workers.
        timeout: How many seconds they wait for each other.
        mailbox: The actor that receives progress and events.
    """

    backend: Backend
    job: Mapping[str, Any]
    path: str
    run: RunContent
    addresses: tuple[str, ...]
    timeout: int
    mailbox: Any

    @classmethod
    def of(cls, backend: Backend, job: TrainJob, addresses: tuple[str, ...], timeout: int, mailbox: Any) -> Training:
        """Returns the training of a job."""
        kept = {each.name: getattr(job, each.name) for each in fields(job)}
        for name in ("run", "reporter", "plugins"):
            del kept[name]
        path = os.path.abspath(job.run.path)
        return cls(backend, kept, path, RunContent.of(job.run), addresses, timeout, mailbox)

    def __call__(self, start: int, stop: int) -> str:
        """Trains as worker ``start``; returns ``INTERRUPTED`` instead of raising ``KeyboardInterrupt``."""
        step = f"multiworker:workers=[{','.join(self.addresses)}],index={start},timeout={self.timeout}"
        with closing(make_trainer(step, default_registry())) as trainer, self._job(start) as job:  # type: ignore[type-var]
            try:
                trainer.train(self.backend, job)
            except KeyboardInterrupt:
                return INTERRUPTED
        return ""

    @contextmanager
    def _job(self, number: int) -> Iterator[TrainJob]:
        if number:
            with tempfile.TemporaryDirectory(prefix="boxwright-") as folder:
                content = self.run
                run = Run.create(
                    Path(folder) / "run",
                    backend=content.backend,
                    config=content.config,
                    label_map=content.label_map,
                    inputs=content.inputs,
                )
                yield TrainJob(**self.job, run=run, reporter=LogReporter(), plugins=LoadedPlugins())
            return
        if not os.path.isdir(self.path):
            raise EngineError(
                f"{socket.gethostname()} does not have {self.path}",
                "train into a folder that all machines share, or run the command on a machine that takes part",
            )
        with closing(_Letters(self.mailbox)) as letters:
            plugins = LoadedPlugins().with_loggers({"ray": _Events(letters)}, letters.warning)
            yield TrainJob(**self.job, run=Run(self.path), reporter=letters, plugins=plugins)


class _Letters:
    """The reporter of worker 0; see :class:`boxwright.Reporter`."""

    def __init__(self, mailbox: Any) -> None:
        self._mailbox = mailbox
        self._last: Any = None
        self._tasks = 0

    def send(self, kind: str, *content: Any) -> None:
        """Tells something, without waiting until it has arrived."""
        self._last = self._mailbox.put.remote((kind, *content))

    def close(self) -> None:
        """Waits until everything has arrived."""
        if self._last is not None:
            with suppress(ray.exceptions.RayError):  # a training needs no display
                ray.get(self._last)

    @contextmanager
    def task(self, description: str, total: int | None = None) -> Iterator[_LetterTask]:
        """Shows a task in the command."""
        self._tasks += 1
        number = self._tasks
        self.send("task", number, description, total)
        task = _LetterTask(self, number)
        try:
            yield task
        finally:
            task.flush()
            self.send("end", number)

    def message(self, text: str) -> None:
        """Shows a message."""
        self.send("message", text)

    def warning(self, text: str) -> None:
        """Shows a warning."""
        self.send("warning", text)


class _LetterTask:
    def __init__(self, letters: _Letters, number: int) -> None:
        self._letters, self._number = letters, number
        self._steps, self._sent = 0, 0.0

    def advance(self, steps: int = 1) -> None:
        self._steps += steps
        if time.monotonic() - self._sent > _EVERY:
            self.flush()

    def update(self, *, total: int | None = None, note: str | None = None) -> None:
        self._letters.send("update", self._number, total, note)

    def flush(self) -> None:
        self._sent = time.monotonic()
        if self._steps:
            self._letters.send("advance", self._number, self._steps)
            self._steps = 0


class _Events:
    """Passes the events of a training to the plugins and loggers of the command."""

    def __init__(self, letters: _Letters) -> None:
        self._letters = letters

    @hookimpl
    def boxwright_epoch_ended(self, epoch: int, metrics: Mapping[str, float]) -> None:
        self._letters.send("event", "boxwright_epoch_ended", {"epoch": epoch, "metrics": dict(metrics)})

    @hookimpl
    def boxwright_checkpoint_written(self, path: Path, epoch: int) -> None:
        self._letters.send("event", "boxwright_checkpoint_written", {"path": path, "epoch": epoch})

    @hookimpl
    def boxwright_predictions_drawn(self, epoch: int, images: Mapping[str, bytes]) -> None:
        self._letters.send("event", "boxwright_predictions_drawn", {"epoch": epoch, "images": dict(images)})


class Replay:
    """Shows in this process what worker 0 tells; a context manager, which ends what is left.

    Args:
        job: Whose reporter, plugins and loggers receive it.
    """

    def __init__(self, job: TrainJob) -> None:
        self._job = job
        self._tasks: dict[int, tuple[ExitStack, Any]] = {}

    def __enter__(self) -> Replay:
        return self

    def __exit__(self, *error: object) -> None:
        for number in [*self._tasks][::-1]:
            self._end(number)

    def __call__(self, letters: list[Any]) -> None:
        """Shows some letters."""
        for kind, *content in letters:
            getattr(self, f"_{kind}")(*content)

    def _task(self, number: int, description: str, total: int | None) -> None:
        stack = ExitStack()
        self._tasks[number] = (stack, stack.enter_context(self._job.reporter.task(description, total)))

    def _advance(self, number: int, steps: int) -> None:
        self._tasks[number][1].advance(steps)

    def _update(self, number: int, total: int | None, note: str | None) -> None:
        self._tasks[number][1].update(total=total, note=note)

    def _end(self, number: int) -> None:
        self._tasks.pop(number)[0].close()

    def _message(self, text: str) -> None:
        self._job.reporter.message(text)

    def _warning(self, text: str) -> None:
        self._job.reporter.warning(text)

    def _event(self, name: str, content: Mapping[str, Any]) -> None:
        run = self._job.run
        run.state = Run(run.path).state  # worker 0 has changed it
        getattr(self._job.plugins.hook, name)(run=run, **content)
