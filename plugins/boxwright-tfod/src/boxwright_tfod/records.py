"""The TFRecords and the label map for a training."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from boxwright import (
    Boxes,
    Dataset,
    DatasetURI,
    LabelMap,
    MissingLibraryError,
    Reporter,
    Sample,
    UsageError,
    clip,
    convert,
)
from boxwright.plugins import default_registry

LABEL_MAP = "label_map.pbtxt"


def write_records(data: Dataset, target: Path, label_map: LabelMap, reporter: Reporter) -> None:
    """Writes a dataset as one record file, with a label map in the same folder.

    Boxes are clipped to their image, and those with zero area are dropped; both are reported.

    Args:
        data: The dataset; an image that cannot be used is one of its problems.
        target: The file; replaced if it exists.
        label_map: The classes.
        reporter: Receives the progress.

    Raises:
        MissingLibraryError: The plugin for TFRecords is not installed.
        UsageError: A class has the id 0.
        DataError: An image cannot be used.
        OutputError: The file cannot be written.
    """
    if "tfrecord" not in default_registry().names("format"):
        raise MissingLibraryError(
            "the backend tfod writes TFRecord files, and the plugin for them is not installed",
            "run: python -m pip install boxwright-tfrecord",
        )
    for item in label_map.items:
        if item.id < 1:
            raise UsageError(
                f"the class {item.name!r} has the id {item.id}, which the API reserves for the background",
                "number the classes from 1 in the label map",
            )
    clipped = _ClipToImage()
    uri = DatasetURI(str(target), "tfrecord")
    convert(data.through(clipped), uri, label_map=label_map, overwrite=True, reporter=reporter, workers=1)
    if clipped.count:
        reporter.message(f"{_boxes(clipped.count)} extended beyond the image, clipped for the training.")
    if clipped.dropped:
        reporter.message(f"{_boxes(clipped.dropped)} with zero area in the image, dropped from the training.")


def _boxes(count: int) -> str:
    return "1 box" if count == 1 else f"{count} boxes"


class _ClipToImage:
    """A transform that clips boxes to their image, and counts.

    Attributes:
        count: Number of clipped boxes.
        dropped: Number of dropped boxes, which had zero area in the image.
    """

    per_sample = True
    keeps_labels = True

    def __init__(self) -> None:
        self.count = self.dropped = 0

    def __call__(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        for sample in samples:
            yield self._clipped(sample)

    def _clipped(self, sample: Sample) -> Sample:
        boxes = sample.boxes
        if not boxes:
            return sample
        xyxy = boxes.xyxy
        clipped = clip(xyxy, sample.image.width, sample.image.height)
        sides = clipped[:, 2:] - clipped[:, :2]
        kept: NDArray[np.bool_] = np.all(sides > 0, axis=1)
        if kept.all() and np.array_equal(clipped, xyxy):
            return sample
        self.dropped += int((~kept).sum())
        self.count += int(((clipped != xyxy).any(axis=1) & kept).sum())
        inside = Boxes(boxes.labels, [tuple(row) for row in clipped.tolist()], list(boxes.attributes))
        return sample.replace(boxes=inside.select(kept.tolist()))
