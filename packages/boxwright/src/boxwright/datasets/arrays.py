"""The loader ``numpy``: a dataset as arrays, without a framework."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from boxwright.boxes import BoxFormat, convert_format
from boxwright.datasets.dataset import Dataset
from boxwright.errors import DataError, UsageError
from boxwright.images.decode import load_pixels
from boxwright.label_map import LabelMap
from boxwright.schemas import Sample


class Arrays:
    """Images and boxes as arrays; iterating reads the dataset again.

    Args:
        dataset: The dataset.
        bounding_box_format: The format of the coordinates.
        image_size: ``(width, height)``, or ``None``.
    """

    def __init__(self, dataset: Dataset, bounding_box_format: str, image_size: tuple[int, int] | None) -> None:
        self.dataset = dataset
        self._format = bounding_box_format
        self._size = image_size

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self._arrays(self.dataset[index], self.dataset.label_map)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        label_map = self.dataset.label_map
        for sample in self.dataset:
            try:
                arrays = self._arrays(sample, label_map)
            except DataError as error:
                self.dataset.problems(error)
                continue
            yield arrays

    def _arrays(self, sample: Sample, label_map: LabelMap) -> dict[str, Any]:
        pixels, boxes = load_pixels(sample, self._size)
        height, width = pixels.shape[:2]
        coordinates = convert_format(boxes.xyxy, "xyxy", self._format, image_size=(width, height))
        return {
            "images": pixels,
            "bounding_boxes": {
                "boxes": np.asarray(coordinates, np.float32).reshape(-1, 4),
                "classes": class_numbers(sample, label_map),
            },
        }


def class_numbers(sample: Sample, label_map: LabelMap) -> NDArray[np.float32]:
    """Returns the classes of a sample as 0-based numbers, shape (N,), float32.

    Raises:
        DataError: A class is not in the label map.
    """
    try:
        return np.array([label_map.index(label) for label in sample.boxes.labels], np.float32)
    except KeyError as error:
        raise DataError(
            sample.source or sample.image.name,
            f"the class {error.args[0]!r} is not in the label map ({', '.join(label_map.names)})",
            "add it to the label map, or use that of the dataset",
        ) from None


def to_numpy(
    dataset: Dataset, *, bounding_box_format: str = "xyxy", image_size: tuple[int, int] | None = None
) -> Arrays:
    """Returns the dataset as arrays, in the form of KerasCV.

    Args:
        dataset: The dataset.
        bounding_box_format: The format of the coordinates, one of the eight of :class:`boxwright.BoxFormat`.
        image_size: ``(width, height)`` to which images and boxes are resized; ``None`` for their own size.

    Returns:
        An iterable of ``{"images": ..., "bounding_boxes": {"boxes": ..., "classes": ...}}``. ``images``: uint8, RGB,
        (height, width, 3). ``boxes``: float32, (N, 4). ``classes``: float32, (N,), 0-based in the order of
        ``dataset.label_map``. It has a length and items where the dataset has them, as PyTorch's ``DataLoader`` needs.

    Raises:
        UsageError: The format is unknown, or a size is less than 1.
        DataError: During iteration: an image cannot be read, or a class is not in the label map.
    """
    if bounding_box_format not in {member.value for member in BoxFormat}:
        names = ", ".join(member.value for member in BoxFormat)
        raise UsageError(f"unknown bounding_box_format {bounding_box_format!r}", f"use one of: {names}")
    if image_size is not None and min(image_size) < 1:
        raise UsageError(f"image_size is {image_size}", "pass (width, height) in pixels")
    return Arrays(dataset, bounding_box_format, image_size)
