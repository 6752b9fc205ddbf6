"""A backend that learns in no time, so that trainers and exporters can be tested without a framework."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from boxwright import (
    BackendSpec,
    Boxes,
    Coordinates,
    DataError,
    Detections,
    LabelMap,
    Option,
    Sample,
    TrainerSpec,
    TrainJob,
    hookimpl,
)
from boxwright.models import OneReplica, Replicas, Shard, train_replicas
from boxwright.plugins import LoadedPlugins, PluginRecord, Registry
from boxwright_testing.samples import draw_image, encode_image

PROBE = "boxwright-testing-probe"
"""The name of the backend in the registries of :func:`with_probe`."""


class ProbeModel:
    """Finds each class's average box in every image.

    Args:
        label_map: The classes.
        averages: For each class ``(xmin, ymin, xmax, ymax)``, relative to the image's size.
    """

    def __init__(self, label_map: LabelMap, averages: dict[str, Coordinates]) -> None:
        self.label_map = label_map
        self.averages = averages

    def predict(self, samples: Iterable[Sample], *, batch_size: int = 8, score: float = 0.0) -> Iterator[Detections]:
        """Yields the same boxes for every image, scored 0.9, 0.8 and so on; reads each image."""
        names = list(self.averages)
        for sample in samples:
            sample.image.read()
            width, height = sample.image.width, sample.image.height
            edges: list[Coordinates] = [
                (x1 * width, y1 * height, x2 * width, y2 * height) for x1, y1, x2, y2 in self.averages.values()
            ]
            scores = [{"score": 0.9 - 0.1 * position} for position in range(len(names))]
            yield Detections(image=sample.image, boxes=Boxes(names, edges, scores)).above(score)


class ProbeBackend:
    """Trains :class:`ProbeModel`; the averages are kept in ``model/averages.json``.

    It is a :class:`~boxwright.models.ReplicatedBackend` of numpy: every step adds the boxes of a batch, as whole
    numbers, so that their order does not matter. A checkpoint is one file that says which epoch is done. The setting
    ``fail_at`` makes an epoch fail as bad data would, ``stop_at`` as Ctrl-C would.
    """

    def fit(self, job: TrainJob) -> None:
        """Does as many epochs as are asked for, two by default."""
        train_replicas(self, job, OneReplica())

    @contextmanager
    def start(self, job: TrainJob, replicas: Replicas) -> Iterator[ProbeTraining]:
        """Prepares a training."""
        yield ProbeTraining(job, replicas)

    def load(self, run: Any) -> ProbeModel:
        """The model of a finished run."""
        averages = json.loads(run.file("model/averages.json").read_text("utf-8"))
        return ProbeModel(run.label_map, {name: tuple(edges) for name, edges in averages.items()})


class ProbeTraining:
    """The training of :class:`ProbeBackend`, a :class:`~boxwright.models.ReplicatedTraining`.

    Args:
        job: The training.
        replicas: With which it is trained.
    """

    def __init__(self, job: TrainJob, replicas: Replicas) -> None:
        self._job, self._replicas = job, replicas
        self._names = job.label_map.names
        self._boxes = [_whole(sample, self._names) for sample in job.data]
        self.batch_size = job.batch_size or min(8, len(self._boxes))
        self._per_epoch = -(-len(self._boxes) // self.batch_size)
        checkpoint = job.run.file("checkpoints/epoch")
        done = int(checkpoint.read_text("utf-8")) if job.resume and checkpoint.is_file() else 0
        # Of a training whose epochs are all done, the last one is repeated for its sums.
        self._step = min(done, (job.epochs or 2) - 1) * self._per_epoch
        self._sums = np.zeros((len(self._names), 5))

    @property
    def settings(self) -> Mapping[str, Any]:
        """What the averages depend on."""
        return {"batch_size": self.batch_size}

    @property
    def done(self) -> bool:
        """Whether all epochs have been done."""
        return self._step >= (self._job.epochs or 2) * self._per_epoch

    def state(self) -> Mapping[str, NDArray[Any]]:
        """The number of steps and the sums."""
        return {"step": np.array(self._step), "sums": self._sums}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continues from a state."""
        self._step, self._sums = int(state["step"]), np.array(state["sums"])

    def batches(self, shard: Shard) -> Iterator[NDArray[Any]]:
        """Yields the sums of the boxes of each part, ``(classes, 5)``: their number and their edges."""
        step = self._step
        while True:
            first = step % self._per_epoch * self.batch_size
            rows = [first + row for row in shard.rows(self.batch_size)]
            yield sum((self._boxes[row] for row in rows if row < len(self._boxes)), np.zeros_like(self._sums))
            step += 1

    def step(self, parts: Sequence[NDArray[Any]]) -> None:
        """Adds the boxes of a batch."""
        job, epoch = self._job, self._step // self._per_epoch + 1
        if self._step % self._per_epoch == 0:
            self._sums = np.zeros_like(self._sums)
            if epoch == job.settings.get("fail_at"):
                raise DataError("probe.jpg", "the probe was set to fail", "change fail_at", f"epoch {epoch}")
            if epoch == job.settings.get("stop_at") and not job.resume:
                raise KeyboardInterrupt
        self._sums = self._sums + self._replicas.run(lambda part: self._replicas.sum([part])[0], parts)
        self._step += 1
        if self._step % self._per_epoch or not self._replicas.main:
            return
        with job.run.open_write("checkpoints/epoch") as file:
            file.write(str(epoch).encode())
        job.checkpoint_written(job.run.file("checkpoints/epoch"), epoch)
        job.epoch_ended(epoch, {"loss": (1.0 + job.seed) / epoch, "boxes": float(self._sums[:, 0].sum())})
        job.predictions_drawn(epoch, {"prediction 1": encode_image(draw_image(16, 12), "a.jpg")})

    def finish(self) -> None:
        """Writes the averages."""
        rows = {name: row for name, row in zip(self._names, self._sums, strict=True) if row[0]}
        averages = {name: list(row[1:] / row[0] / _UNIT) for name, row in rows.items()}
        with self._job.run.open_write("model/averages.json") as file:
            file.write(json.dumps(averages).encode())


_UNIT = 2**20
"""Edges are relative to the image, and whole multiples of a part of this many."""


def _whole(sample: Sample, names: Sequence[str]) -> NDArray[Any]:
    found = np.zeros((len(names), 5))
    size = (sample.image.width, sample.image.height) * 2
    for label, edges in zip(sample.boxes.labels, sample.boxes.coordinates, strict=True):
        whole = [round(edge / side * _UNIT) for edge, side in zip(edges, size, strict=True)]
        found[names.index(label)] += [1, *whole]
    return found


def _spec() -> BackendSpec:
    return BackendSpec(
        name=PROBE,
        summary="The average box of each class everywhere, for tests",
        load="boxwright_testing.probe:ProbeBackend",
        presets={"plain": "The only one"},
        options=(
            Option("fail_at", int, None, "The epoch that fails"),
            Option("stop_at", int, None, "The epoch that is interrupted"),
        ),
    )


def with_probe(registry: Registry) -> Registry:
    """A registry of the same plugins and, in addition, the backend :data:`PROBE`."""
    return with_backend(registry, _spec())


def with_trainer(registry: Registry, spec: TrainerSpec) -> Registry:
    """A registry of the same plugins and one more trainer."""
    return _with(registry, spec.name, SimpleNamespace(boxwright_trainers=hookimpl(lambda: [spec])))


def with_backend(registry: Registry, spec: BackendSpec) -> Registry:
    """A registry of the same plugins and one more backend."""
    return _with(registry, spec.name, SimpleNamespace(boxwright_backends=hookimpl(lambda: [spec])))


def _with(registry: Registry, name: str, added: SimpleNamespace) -> Registry:
    plugins = LoadedPlugins()
    for record in registry.plugins.records[1:]:  # without boxwright itself
        module = registry.plugins.manager.get_plugin(record.registered_name)
        if module is not None:
            again = copy(record)
            again.specs = []
            plugins.register(module, again)
    plugins.register(added, PluginRecord(name, "boxwright-testing", "0", "boxwright_testing.probe"))
    return Registry(plugins)
