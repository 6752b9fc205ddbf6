"""Converts a dataset to NumPy arrays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from boxwright import BoxFormat, Dataset, Sample, UsageError, convert_format
from boxwright.images import decode_sample


class MyPluginExamples:
    """The images of a dataset as arrays, which can be iterated over once per epoch.

    Args:
        dataset: The dataset, which each iteration reads again.
        bounding_box_format: One of KerasCV's eight names.
    """

    def __init__(self, dataset: Dataset, bounding_box_format: BoxFormat) -> None:
        self._dataset = dataset
        self._format = bounding_box_format

    def __iter__(self) -> Iterator[dict[str, Any]]:
        label_map = self._dataset.label_map
        for sample in self._dataset:
            classes = [label_map.index(label) for label in sample.boxes.labels]
            yield self._example(sample, np.array(classes, np.int64))

    def _example(self, sample: Sample, classes: Any) -> dict[str, Any]:
        decoded = decode_sample(sample)  # image and boxes after EXIF orientation
        size = (decoded.image.width, decoded.image.height)
        boxes = convert_format(decoded.boxes.xyxy, "xyxy", self._format, image_size=size)
        return {
            "images": np.asarray(decoded.image),
            "bounding_boxes": {"boxes": boxes.astype(np.float32), "classes": classes},
        }


def to_myplugin(
    dataset: Dataset,
    *,
    bounding_box_format: str = "xyxy",
) -> MyPluginExamples:
    """Returns the dataset as dicts of arrays.

    Args:
        dataset: The source of the images.
        bounding_box_format: One of KerasCV's eight names.

    Raises:
        UsageError: The format is unknown.
    """
    names = [member.value for member in BoxFormat]
    if bounding_box_format not in names:
        problem = f"unknown bounding_box_format {bounding_box_format!r}"
        raise UsageError(problem, f"use one of: {', '.join(names)}")
    return MyPluginExamples(dataset, BoxFormat(bounding_box_format))
