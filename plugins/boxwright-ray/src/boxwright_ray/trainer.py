"""The trainer ``ray``."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any, Final

from boxwright import EngineError, RunError, TrainJob, WorkerDiedError
from boxwright.datasets import Errand
from boxwright.models import Backend, Run, check_replicas, check_trainer
from boxwright.plugins import default_registry
from boxwright_ray.cluster import Connection, cause, first_line, ray, resources, too_small
from boxwright_ray.machine import INTERRUPTED, Mailbox, Replay, Training, Worker

_POLL: Final = 0.2
_PATIENCE: Final = 60.0
"""Seconds after which a worker is lost that has not ended since another one failed."""


class _LostError(Exception):
    """A worker was lost."""


class RayTrainer:
    """Trains on the machines of a Ray cluster, with one worker of the trainer ``multiworker`` on each.

    Worker 0 writes the run, so that the folder must be in storage that the machines share, unless the machine of this
    process is one of them: then worker 0 runs there.

    Args:
        workers: The number of workers; by default one for each machine that has enough cores, and GPUs if any has.
        address: As of :class:`boxwright_ray.engine.RayEngine`.
        cpus: Cores for each worker.
        gpus: GPUs for each worker; by default as many as every machine with GPUs has.
        restarts: How often the training is continued from its last checkpoint after a worker was lost.
        timeout: How many seconds to wait for the machines, and until all workers have started.
    """

    def __init__(
        self,
        workers: int | None = None,
        address: str | None = None,
        cpus: float = 1.0,
        gpus: int | None = None,
        restarts: int = 0,
        timeout: int = 120,
    ) -> None:
        self._workers, self._address = workers, address
        self._cpus, self._gpus = cpus, gpus
        self._restarts, self._timeout = restarts, timeout

    def train(self, backend: Backend, job: TrainJob) -> None:
        """Trains on the cluster.

        Raises:
            UsageError: The batches cannot be divided among the workers, or the backend is not a ``ReplicatedBackend``.
            PluginNotFoundError: The trainer ``multiworker`` is not installed.
            EngineError: The cluster cannot be reached, or has not enough cores or GPUs.
            WorkerDiedError: A worker was lost, more often than ``restarts`` allows.
        """
        check_trainer("multiworker", default_registry())
        check_replicas(backend, job, "ray", self._workers or 1)
        with closing(Connection(self._address)):
            for restart in range(self._restarts + 1):
                try:
                    self._attempt(backend, job)
                    return
                except _LostError as lost:
                    if restart == self._restarts:
                        raise WorkerDiedError(
                            str(lost),
                            "continue it with --resume, or let it continue automatically: --trainer ray:restarts=3",
                        ) from None
                    job.reporter.warning(
                        f"{lost}; the training continues from its last checkpoint (restart {restart + 1} of"
                        f" {self._restarts})"
                    )
                saved = job.run.file("checkpoints")
                job = replace(job, run=Run(job.run.path), resume=saved.is_dir() and any(saved.iterdir()))

    def _attempt(self, backend: Backend, job: TrainJob) -> None:
        """Trains until the end, or until a worker is lost.

        Raises:
            _LostError: A worker was lost, or could not be started.
        """
        count, bundle = self._needed()
        check_replicas(backend, job, "ray", count)
        try:
            with self._actors(count, bundle, job) as (actors, mailbox), Replay(job) as replay:
                there = ray.get([actor.place.remote() for actor in actors], timeout=self._timeout)
                here = ray.get_runtime_context().get_node_id()
                order = sorted(range(count), key=lambda number: there[number][0] != here)
                addresses = tuple(there[number][1] for number in order)
                training = Training.of(backend, job, addresses, self._timeout, mailbox)
                places = (*job.data.locations, *(() if job.val is None else job.val.locations))
                errand = ray.put(Errand.of(training, places))
                work = {actors[place].train.remote(errand, number): number for number, place in enumerate(order)}
                self._follow(work, addresses, mailbox, replay)
        except ray.exceptions.RayError as error:
            raise _LostError(f"a part of the Ray cluster was lost: {first_line(error)}") from None

    def _needed(self) -> tuple[int, dict[str, float]]:
        """Returns the number of workers, and the resources of each."""
        machines = [each for each in resources() if each.get("CPU", 0) >= self._cpus]
        gpus = self._gpus
        if gpus is None:
            gpus = min((int(each["GPU"]) for each in machines if each.get("GPU", 0) >= 1), default=0)
        machines = [each for each in machines if each.get("GPU", 0) >= gpus]
        if not machines:
            raise too_small(self._cpus, gpus)
        return self._workers or len(machines), {"CPU": self._cpus} | ({"GPU": float(gpus)} if gpus else {})

    @contextmanager
    def _actors(self, count: int, bundle: dict[str, float], job: TrainJob) -> Iterator[tuple[list[Any], Any]]:
        """Starts the workers, and ends them."""
        from ray.util.placement_group import placement_group, remove_placement_group
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy, PlacementGroupSchedulingStrategy

        group = placement_group([bundle] * count, strategy="SPREAD")
        started: list[Any] = []
        try:
            with job.reporter.task("Waiting for the machines"):
                if not group.wait(self._timeout):
                    raise EngineError(
                        f"after {self._timeout} seconds, the Ray cluster has no room for {count} workers with"
                        f" {_described(bundle)} each",
                        "pass fewer workers, end other work, or start more machines",
                    )
            for number in range(count):
                strategy: Any = PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=number)
                options = {"num_cpus": bundle["CPU"], "num_gpus": bundle.get("GPU", 0)}
                started.append(ray.remote(Worker).options(**options, scheduling_strategy=strategy).remote())
            strategy = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
            mailbox = ray.remote(Mailbox).options(num_cpus=0, scheduling_strategy=strategy).remote()
            started.append(mailbox)
            yield started[:-1], mailbox
        finally:
            for actor in started:
                ray.kill(actor)
            remove_placement_group(group)

    def _follow(self, work: dict[Any, int], addresses: tuple[str, ...], mailbox: Any, replay: Replay) -> None:
        """Shows what the workers do until all have ended.

        Raises:
            _LostError: A worker was lost.
            Exception: The error of the training.
        """
        lost: list[str] = []
        errors: list[Exception] = []
        ends = float("inf")
        left = list(work)
        while left and time.monotonic() < ends:
            done, left = ray.wait(left, timeout=_POLL)
            replay(_taken(mailbox))
            for reference in done:
                number = work[reference]
                try:
                    value = Errand.value(ray.get(reference))
                except ray.exceptions.RayError as error:
                    reason = cause(error).partition(". ")[0]  # advice follows
                    lost.append(f"worker {number} ({addresses[number]}) was lost: {reason}")
                except Exception as error:
                    errors.append(error)
                else:
                    if value == INTERRUPTED:
                        raise KeyboardInterrupt
            if lost or errors:
                ends = min(ends, time.monotonic() + _PATIENCE)
        replay(_taken(mailbox))
        lost += [f"worker {work[each]} ({addresses[work[each]]}) can no longer be reached" for each in left]
        own = [error for error in errors if not isinstance(error, WorkerDiedError)]
        # The others end because one has failed.
        if own:
            raise min(own, key=lambda error: isinstance(error, RunError))
        if lost or errors:
            raise _LostError(lost[0] if lost else first_line(errors[0]))


def _taken(mailbox: Any) -> list[Any]:
    """Returns the letters of worker 0; nothing if the mailbox was lost, because a training needs no display."""
    try:
        return ray.get(mailbox.take.remote())  # type: ignore[no-any-return]
    except ray.exceptions.RayError:
        return []


def _described(bundle: dict[str, float]) -> str:
    return " and ".join(f"{number:g} {name}" for name, number in bundle.items())
