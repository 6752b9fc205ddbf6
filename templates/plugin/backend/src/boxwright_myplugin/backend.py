"""Trains and loads models."""

from __future__ import annotations

import json

from boxwright import Coordinates, Run, TrainJob

from boxwright_myplugin.model import MyPluginModel

_EPOCHS = 4
_START: Coordinates = (0.0, 0.0, 1.0, 1.0)


class MyPluginBackend:
    """Moves from a box around the whole image towards the average box of each class, a bit per epoch."""

    def fit(self, job: TrainJob) -> None:
        """Trains and writes the model to ``job.run``; see :class:`boxwright.models.Backend`."""
        rate = float(job.settings.get("rate", 0.5))
        averages = _averages(job)
        done, boxes = self._checkpoint(job.run) if job.resume else (0, dict.fromkeys(averages, _START))
        for epoch in range(done + 1, (job.epochs or _EPOCHS) + 1):
            boxes = {label: _between(edges, averages[label], rate) for label, edges in boxes.items()}
            loss = sum(abs(a - b) for label in boxes for a, b in zip(boxes[label], averages[label], strict=True))
            with job.run.open_write("checkpoints/newest.json") as file:
                file.write(json.dumps({"epoch": epoch, "boxes": boxes}).encode())
            job.checkpoint_written(job.run.file("checkpoints/newest.json"), epoch)
            job.epoch_ended(epoch, {"loss": loss})
        with job.run.open_write("model/boxes.json") as file:
            file.write(json.dumps(boxes).encode())

    def load(self, run: Run) -> MyPluginModel:
        """Returns the trained model of a run."""
        boxes = json.loads(run.file("model/boxes.json").read_text("utf-8"))
        return MyPluginModel(run.label_map, {label: tuple(edges) for label, edges in boxes.items()})

    def _checkpoint(self, run: Run) -> tuple[int, dict[str, Coordinates]]:
        path = run.file("checkpoints/newest.json")
        if not path.is_file():
            return 0, dict.fromkeys(run.label_map.names, _START)
        content = json.loads(path.read_text("utf-8"))
        return content["epoch"], {label: tuple(edges) for label, edges in content["boxes"].items()}


def _averages(job: TrainJob) -> dict[str, Coordinates]:
    """Returns the average ``xmin, ymin, xmax, ymax`` of each class, relative to the image size."""
    sums = {label: [0.0, 0.0, 0.0, 0.0] for label in job.label_map.names}
    counts = dict.fromkeys(sums, 0)
    for sample in job.data:
        width, height = sample.image.width, sample.image.height
        for label, (xmin, ymin, xmax, ymax) in zip(sample.boxes.labels, sample.boxes.coordinates, strict=True):
            relative = (xmin / width, ymin / height, xmax / width, ymax / height)
            sums[label] = [total + edge for total, edge in zip(sums[label], relative, strict=True)]
            counts[label] += 1
    averages = {}
    for label, total in sums.items():
        xmin, ymin, xmax, ymax = (edge / counts[label] for edge in total) if counts[label] else _START
        averages[label] = (xmin, ymin, xmax, ymax)
    return averages


def _between(one: Coordinates, other: Coordinates, share: float) -> Coordinates:
    xmin, ymin, xmax, ymax = (a + share * (b - a) for a, b in zip(one, other, strict=True))
    return (xmin, ymin, xmax, ymax)
