"""A backend that learns in no time, so that trainers and exporters can be tested without a framework."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from copy import copy
from types import SimpleNamespace
from typing import Any

from boxwright import BackendSpec, Boxes, Coordinates, Detections, LabelMap, Option, Sample, TrainJob, hookimpl
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

    A checkpoint is one file that says which epoch is done. The setting ``fail_at`` makes an epoch fail as bad data
    would, ``stop_at`` as Ctrl-C would.
    """

    def fit(self, job: TrainJob) -> None:
        """Does as many epochs as are asked for, two by default."""
        from boxwright import DataError

        checkpoint = job.run.file("checkpoints/epoch")
        done = int(checkpoint.read_text("utf-8")) if job.resume and checkpoint.is_file() else 0
        for epoch in range(done + 1, (job.epochs or 2) + 1):
            if epoch == job.settings.get("fail_at"):
                raise DataError("probe.jpg", "the probe was set to fail", "change fail_at", f"epoch {epoch}")
            if epoch == job.settings.get("stop_at") and not job.resume:
                raise KeyboardInterrupt
            with job.run.open_write("checkpoints/epoch") as file:
                file.write(str(epoch).encode())
            job.checkpoint_written(checkpoint, epoch)
            job.epoch_ended(epoch, {"loss": (1.0 + job.seed) / epoch})
            job.predictions_drawn(epoch, {"prediction 1": encode_image(draw_image(16, 12), "a.jpg")})
        with job.run.open_write("model/averages.json") as file:
            file.write(json.dumps(_averages(job)).encode())

    def load(self, run: Any) -> ProbeModel:
        """The model of a finished run."""
        averages = json.loads(run.file("model/averages.json").read_text("utf-8"))
        return ProbeModel(run.label_map, {name: tuple(edges) for name, edges in averages.items()})


def _averages(job: TrainJob) -> dict[str, list[float]]:
    rows: dict[str, list[list[float]]] = {name: [] for name in job.label_map.names}
    for sample in job.data:
        size = (sample.image.width, sample.image.height) * 2
        for label, edges in zip(sample.boxes.labels, sample.boxes.coordinates, strict=True):
            rows[label].append([edge / side for edge, side in zip(edges, size, strict=True)])
    return {
        name: [sum(column) / len(boxes) for column in zip(*boxes, strict=True)] for name, boxes in rows.items() if boxes
    }


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


def with_backend(registry: Registry, spec: BackendSpec) -> Registry:
    """A registry of the same plugins and one more backend."""
    plugins = LoadedPlugins()
    for record in registry.plugins.records[1:]:  # without boxwright itself
        module = registry.plugins.manager.get_plugin(record.registered_name)
        if module is not None:
            again = copy(record)
            again.specs = []
            plugins.register(module, again)
    probe = SimpleNamespace(boxwright_backends=hookimpl(lambda: [spec]))
    plugins.register(probe, PluginRecord(spec.name, "boxwright-testing", "0", "boxwright_testing.probe"))
    return Registry(plugins)
