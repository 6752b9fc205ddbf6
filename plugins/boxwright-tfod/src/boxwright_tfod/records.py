"""The TFRecords and the label map that a training reads."""

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
    """Writes a dataset as one record file, with the label map beside it.

    Boxes are cut at the edge of their picture, and those without area are left out, which is said.

    Args:
        data: What to write; a picture that cannot be used goes to its problems.
        target: The file; replaced if it is there.
        label_map: The classes.
        reporter: Where progress goes.

    Raises:
        MissingLibraryError: The plugin for TFRecords is not installed.
        UsageError: A class has the number 0.
        DataError: A picture cannot be used.
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
                f"the class {item.name!r} has the number {item.id}, which the API keeps for the background",
                "number the classes from 1 in the label map",
            )
    inside = _Inside()
    uri = DatasetURI(str(target), "tfrecord")
    convert(data.through(inside), uri, label_map=label_map, overwrite=True, reporter=reporter, workers=1)
    if inside.cut:
        reporter.message(f"{inside.cut} boxes reach outside their picture; they were cut at its edge for the training.")
    if inside.dropped:
        reporter.message(f"{inside.dropped} boxes have no area in their picture; they were left out of the training.")


class _Inside:
    """A transform that cuts boxes at the edge of their picture, and counts.

    Attributes:
        cut: Boxes of which something was outside.
        dropped: Boxes of which nothing was left.
    """

    per_sample = True
    keeps_labels = True

    def __init__(self) -> None:
        self.cut = self.dropped = 0

    def __call__(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        for sample in samples:
            yield self._within(sample)

    def _within(self, sample: Sample) -> Sample:
        boxes = sample.boxes
        if not boxes:
            return sample
        edges = boxes.xyxy
        clipped = clip(edges, sample.image.width, sample.image.height)
        sides = clipped[:, 2:] - clipped[:, :2]
        kept: NDArray[np.bool_] = np.all(sides > 0, axis=1)
        if kept.all() and np.array_equal(clipped, edges):
            return sample
        self.dropped += int((~kept).sum())
        self.cut += int(((clipped != edges).any(axis=1) & kept).sum())
        inside = Boxes(boxes.labels, [tuple(row) for row in clipped.tolist()], list(boxes.attributes))
        return sample.replace(boxes=inside.select(kept.tolist()))
