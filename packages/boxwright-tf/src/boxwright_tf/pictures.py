"""Decoding a dataset's pictures in threads, in order, a few at a time in memory.

Pillow decodes: it reads JPEG at reduced size, turns pictures by their EXIF orientation, takes CMYK and 16-bit ones, and
is about as fast as TensorFlow's own decoder, which does none of these. Its work releases the interpreter's lock, so
threads share it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from boxwright import DataError, Dataset, LabelMap, Sample
from boxwright.datasets import map_samples
from boxwright.images import load_pixels


@dataclass(frozen=True)
class Loaded:
    """A decoded picture with its boxes as arrays.

    Attributes:
        sample: Where it came from.
        image: (height, width, 3), uint8, RGB, upright.
        boxes: (N, 4), float64, ``xyxy`` in pixels of ``image``.
        classes: (N,), float32, 0-based.
    """

    sample: Sample
    image: NDArray[np.uint8]
    boxes: NDArray[np.float64]
    classes: NDArray[np.float32]


def load_all(
    dataset: Dataset, label_map: LabelMap, *, image_size: tuple[int, int] | None = None, workers: int = 2
) -> Iterator[Loaded]:
    """Every picture of a dataset, decoded, in order.

    Args:
        dataset: What to read; pictures that cannot be read go to its ``problems``.
        label_map: The classes' numbers.
        image_size: ``(width, height)`` to resize to; ``None`` for each picture's own size.
        workers: Threads.

    Raises:
        DataError: A picture cannot be read, or a class is not in the label map (under ``on_error="fail"``).
    """

    def load(sample: Sample) -> Loaded:
        classes = class_numbers(sample, label_map)
        image, boxes = load_pixels(sample, image_size)
        return Loaded(sample, image, boxes.xyxy, classes)

    return map_samples(load, dataset, dataset.problems, workers)


def class_numbers(sample: Sample, label_map: LabelMap) -> NDArray[np.float32]:
    """A sample's classes as 0-based numbers, shape (N,), float32.

    Raises:
        DataError: One is not in the label map.
    """
    try:
        return np.array([label_map.index(label) for label in sample.boxes.labels], np.float32)
    except KeyError as error:
        raise DataError(
            sample.source or sample.image.name,
            f"the class {error.args[0]!r} is not in the label map ({', '.join(label_map.names)})",
            "add it to the label map, or give the dataset's own",
        ) from None
