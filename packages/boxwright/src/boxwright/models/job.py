"""What a backend is asked to train."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from boxwright.datasets.dataset import Dataset
from boxwright.datasets.scan import Scan
from boxwright.label_map import LabelMap
from boxwright.models.run import Run
from boxwright.plugins.manager import LoadedPlugins, load_plugins
from boxwright.progress import LogReporter, Reporter

USUAL_DETECTIONS = 100
"""The usual limit of detections per image, in detectors and in COCO's metric."""


@dataclass
class TrainJob:
    """What a backend trains.

    Attributes:
        data: The training samples, with the label map of the run.
        val: Held-out samples to watch while training; never trained on.
        run: The run folder.
        preset: The name of the backend's preset.
        epochs: How often every image is used; ``None`` lets the backend choose.
        batch_size: The number of images per step; ``None`` lets the backend choose.
        eval_every: The number of epochs between two evaluations of ``val``; ``None`` lets the backend choose.
        image_size: ``(width, height)`` to which images are resized; ``None`` lets the backend choose.
        seed: The seed of everything random.
        augment: Augmenter steps in order; ``None`` for the backend's default, an empty tuple for none.
        resume: Whether to continue from the newest checkpoint.
        settings: The backend's own options, converted to their types.
        objects: Python objects of the user by name, of those that the backend declares; the run does not keep them.
        scan: Counts and classes of ``data``.
        val_scan: Counts and classes of ``val``.
        reporter: Where progress goes.
        plugins: Whose event hooks are called.
    """

    data: Dataset
    val: Dataset | None
    run: Run
    preset: str
    epochs: int | None
    batch_size: int | None
    image_size: tuple[int, int] | None
    seed: int
    augment: tuple[str, ...] | None
    resume: bool
    settings: Mapping[str, Any]
    scan: Scan
    val_scan: Scan | None = None
    eval_every: int | None = None
    objects: Mapping[str, object] = field(default_factory=dict)
    reporter: Reporter = field(default_factory=LogReporter)
    plugins: LoadedPlugins = field(default_factory=load_plugins)

    @property
    def label_map(self) -> LabelMap:
        """The classes, in the order of the model's outputs."""
        return self.run.label_map

    @property
    def most_boxes(self) -> int:
        """The largest number of boxes in an image, of the training and the validation data."""
        return max(self.scan.most_boxes, self.val_scan.most_boxes if self.val_scan is not None else 0)

    @property
    def most_detections(self) -> int:
        """How many detections per image the model keeps: 100, or half as many again as :attr:`most_boxes`."""
        return max(USUAL_DETECTIONS, self.most_boxes + self.most_boxes // 2)

    def epoch_ended(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Records the metrics of an epoch and calls the event hooks; the backend calls it after each epoch, from 1."""
        self.run.add_metrics(epoch, metrics)
        self.plugins.hook.boxwright_epoch_ended(run=self.run, epoch=epoch, metrics=metrics)

    def predictions_drawn(self, epoch: int, images: Mapping[str, bytes]) -> None:
        """Calls the event hooks; the backend may call it with JPEG files by name, which show how far it is."""
        self.plugins.hook.boxwright_predictions_drawn(run=self.run, epoch=epoch, images=images)

    def checkpoint_written(self, path: Path, epoch: int) -> None:
        """Calls the event hooks; the backend calls it when a checkpoint is complete on disk."""
        self.plugins.hook.boxwright_checkpoint_written(run=self.run, path=path, epoch=epoch)
