"""Decoding of a dataset's images in threads, in order, with few of them in memory.

Pillow decodes JPEG at reduced size, applies the EXIF orientation, supports CMYK and 16-bit images, and is about as fast
as TensorFlow's own decoder, which does none of these. It releases the interpreter's lock, so threads share the work.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from boxwright import Dataset, LabelMap, Sample
from boxwright.datasets import class_numbers, map_samples
from boxwright.images import load_pixels


@dataclass(frozen=True)
class DecodedSample:
    """A decoded image with its boxes as arrays.

    Attributes:
        sample: The sample.
        image: (height, width, 3), uint8, RGB, upright.
        boxes: (N, 4), float64, ``xyxy`` in pixels of ``image``.
        classes: (N,), float32, 0-based.
    """

    sample: Sample
    image: NDArray[np.uint8]
    boxes: NDArray[np.float64]
    classes: NDArray[np.float32]


def decode_samples(
    dataset: Dataset, label_map: LabelMap, *, image_size: tuple[int, int] | None = None, workers: int = 2
) -> Iterator[DecodedSample]:
    """Yields every sample of a dataset, decoded, in order.

    Args:
        dataset: The dataset; the errors of images that cannot be read are passed to its ``problems``.
        label_map: The label map.
        image_size: ``(width, height)`` to which images are resized; with ``None``, they keep their size.
        workers: Number of threads.

    Raises:
        DataError: An image cannot be read, or a class is not in the label map (with ``on_error="fail"``).
    """

    def decode(sample: Sample) -> DecodedSample:
        classes = class_numbers(sample, label_map)
        image, boxes = load_pixels(sample, image_size)
        return DecodedSample(sample, image, boxes.xyxy, classes)

    return map_samples(decode, dataset, dataset.problems, workers)
