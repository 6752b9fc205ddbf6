"""The training images: decoded once, resized, and cached in memory or on disk."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypedDict

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from boxwright import Dataset, LabelMap, Reporter, Sample, clip, scale
from boxwright.datasets import class_numbers, map_samples
from boxwright.images import DecodedImage, decode_sample, encode_jpeg
from boxwright.models import shrink

MEMORY_BYTES = 2_000_000_000
"""Bytes of decoded images above which the cache is on disk, if it is chosen automatically."""

_JPEG_QUALITY = 95

PAD = -1.0
"""The padding of boxes and classes for images with fewer boxes than others."""


class Labelled(TypedDict):
    """An image and its boxes.

    images: ``(height, width, 3)``, uint8 or float32, 0 to 255. boxes: ``(N, 4)`` float32, ``xyxy`` in pixels of the
    image. classes: ``(N,)``, from 0.
    """

    images: Any
    boxes: Any
    classes: Any


class ImageCache:
    """Decoded images and their boxes in memory, as uint8.

    Args:
        images: ``(height, width, 3)`` uint8 each, of any size.
        boxes: ``(N, 4)`` each, ``xyxy`` in pixels of its image; N may be 0.
        classes: ``(N,)`` each, from 0.

    Attributes:
        classes: ``(N,)`` float32 each.

    Raises:
        ValueError: The three have different lengths, or there are no images.
    """

    def __init__(
        self,
        images: Sequence[NDArray[np.uint8]],
        boxes: Sequence[NDArray[Any]],
        classes: Sequence[NDArray[Any]],
    ) -> None:
        if not len(images) == len(boxes) == len(classes):
            raise ValueError(f"{len(images)} images, {len(boxes)} boxes and {len(classes)} classes do not match")
        if not images:
            raise ValueError("there are no images to train on")
        self._images = list(map(np.ascontiguousarray, images))
        self._boxes = [np.asarray(rows, np.float32).reshape(-1, 4) for rows in boxes]
        self.classes = [np.asarray(rows, np.float32).reshape(-1) for rows in classes]

    def __len__(self) -> int:
        return len(self._images)

    def example(self, index: int) -> Labelled:
        """Returns the image at ``index``, as arrays."""
        return {"images": self._images[index], "boxes": self._boxes[index], "classes": self.classes[index]}


@dataclass(frozen=True)
class Prepared:
    """One image ready for training.

    Attributes:
        image: (height, width, 3), uint8, at most ``oversample`` times the network's size.
        boxes: (N, 4), float32, ``xyxy`` in its pixels, clipped to it, without zero area.
        classes: (N,), float32, 0-based.
        clipped: Boxes that extended beyond the image and were clipped.
        dropped: Boxes with zero area, which training cannot use.
    """

    image: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    classes: NDArray[np.float32]
    clipped: int
    dropped: int


def prepare(
    sample: Sample,
    label_map: LabelMap,
    image_size: tuple[int, int],
    oversample: float,
    decoded: DecodedImage | None = None,
) -> Prepared:
    """Decodes and resizes an image, and clips its boxes.

    Args:
        sample: The image.
        label_map: The class ids.
        image_size: Height and width of the network's input.
        oversample: The largest size of the image, as a multiple of that size.
        decoded: The result of :func:`decode_for`, if the image has been decoded already.

    Raises:
        DataError: The image cannot be read, or a class is unknown.
    """
    classes = class_numbers(sample, label_map)
    if decoded is None:
        decoded = decode_for(sample, image_size, oversample)
    small = shrink(decoded.image, _cached_size(image_size, oversample))
    image, width, height = np.asarray(small), small.width, small.height
    coordinates = scale(decoded.boxes.xyxy, width / decoded.image.width, height / decoded.image.height)
    clipped = clip(coordinates, width, height)
    # Less than half a pixel is rounding of the annotation, not a box that extends beyond the image.
    outside = np.abs(clipped - coordinates).max(axis=1, initial=0) > 0.5
    sides = clipped[:, 2:] - clipped[:, :2]
    kept = np.all(sides > 0, axis=1)
    return Prepared(
        image, clipped[kept].astype(np.float32), classes[kept], int((outside & kept).sum()), int((~kept).sum())
    )


def decode_for(sample: Sample, image_size: tuple[int, int], oversample: float) -> DecodedImage:
    """Decodes an image at no less than ``oversample`` times the network's size.

    Raises:
        DataError: The image cannot be read.
    """
    return decode_sample(sample, at_least=_cached_size(image_size, oversample))


def _cached_size(image_size: tuple[int, int], oversample: float) -> tuple[int, int]:
    height, width = image_size
    return round(width * oversample), round(height * oversample)


@dataclass(frozen=True)
class Origin:
    """The sample that an input of the network was made from.

    Attributes:
        sample: The sample.
        decoded: Its decoded image, reduced to one pixel: it converts fractions of the image to pixels of the sample.
    """

    sample: Sample
    decoded: DecodedImage

    @classmethod
    def of(cls, sample: Sample, decoded: DecodedImage) -> Origin:
        """Returns the origin of an image, without its pixels."""
        return cls(sample, replace(decoded, image=_ONE_PIXEL))


_ONE_PIXEL = Image.new("RGB", (1, 1))


class ImageFile:
    """Images as JPEG in one file, for datasets that do not fit in memory; boxes are kept in memory.

    It is used like :class:`ImageCache`.

    Args:
        path: The file to write; :meth:`close` removes it.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._writing: io.BufferedWriter | None = path.open("wb")
        self._offsets = [0]
        self._boxes: list[NDArray[np.float32]] = []
        self.classes: list[NDArray[np.float32]] = []
        self._bytes: NDArray[np.uint8] | None = None

    def add(self, prepared: Prepared) -> None:
        """Appends one image."""
        assert self._writing is not None
        encoded = encode_jpeg(Image.fromarray(prepared.image), _JPEG_QUALITY)
        self._writing.write(encoded)
        self._offsets.append(self._offsets[-1] + len(encoded))
        self._boxes.append(prepared.boxes)
        self.classes.append(prepared.classes)

    def finish(self) -> ImageFile:
        """Finishes writing; after this, images can be read."""
        assert self._writing is not None
        self._writing.close()
        self._writing = None
        self._bytes = np.memmap(self._path, np.uint8, "r")
        return self

    def __len__(self) -> int:
        return len(self.classes)

    def example(self, index: int) -> Labelled:
        """Returns the image at ``index``, as arrays."""
        assert self._bytes is not None
        encoded = self._bytes[self._offsets[index] : self._offsets[index + 1]]
        image = cv2.imdecode(encoded, cv2.IMREAD_COLOR_RGB)
        return {"images": image, "boxes": self._boxes[index], "classes": self.classes[index]}

    def close(self) -> None:
        """Removes the file."""
        if self._writing is not None:
            self._writing.close()
        self._bytes = None
        self._path.unlink(missing_ok=True)


@dataclass(frozen=True)
class TrainingImages:
    """All images of a training set.

    Attributes:
        load: The images: ``example(index)`` returns the image and its boxes.
        count: The number of images.
        boxes: (M, 4), float64: all boxes, ``xyxy`` in pixels of the network's input.
        most_boxes: The largest number of boxes in one image.
        present: The classes in each image.
        on_disk: The file that contains them, or ``None``.
    """

    load: ImageCache | ImageFile
    count: int
    boxes: NDArray[np.float64]
    most_boxes: int
    present: list[NDArray[np.float32]]
    on_disk: ImageFile | None

    def close(self) -> None:
        """Removes the file, if there is one."""
        if self.on_disk is not None:
            self.on_disk.close()


def load_images(
    dataset: Dataset,
    label_map: LabelMap,
    image_size: tuple[int, int],
    oversample: float,
    *,
    expected: int,
    cache: str,
    cache_file: Path,
    reporter: Reporter,
) -> TrainingImages:
    """Decodes a training set once.

    Args:
        dataset: The dataset; images that cannot be read are added to its ``problems``.
        label_map: The class ids.
        image_size: Height and width of the network's input.
        oversample: The largest size of images, as a multiple of that size.
        expected: The approximate number of images.
        cache: ``"memory"``, ``"disk"``, or ``"auto"``, which depends on their expected size.
        cache_file: The file for the cache on disk.
        reporter: Receives the progress, and the numbers of clipped and unused boxes.

    Raises:
        DataError: An image cannot be read (under ``on_error="fail"``).
        ValueError: No image remains.
    """
    height, width = image_size
    bytes_expected = expected * height * width * 3 * oversample**2
    disk = ImageFile(cache_file) if cache == "disk" or (cache == "auto" and bytes_expected > MEMORY_BYTES) else None
    kept: list[Prepared] = []
    boxes: list[NDArray[np.float64]] = []
    present: list[NDArray[np.float32]] = []
    clipped = dropped = most = 0
    try:
        with reporter.task("Decoding the images", expected) as task:
            work = map_samples(
                lambda sample: prepare(sample, label_map, image_size, oversample),
                dataset,
                dataset.problems,
                workers=min(8, os.cpu_count() or 1),
            )
            for prepared in work:
                rows, columns = prepared.image.shape[:2]
                boxes.append(prepared.boxes * np.array([width / columns, height / rows] * 2))
                clipped, dropped = clipped + prepared.clipped, dropped + prepared.dropped
                most = max(most, len(prepared.classes))
                present.append(np.unique(prepared.classes))
                if disk is not None:
                    disk.add(prepared)
                else:
                    kept.append(prepared)
                task.advance()
        if not boxes:
            raise ValueError("there are no images to train on")
        load = disk.finish() if disk is not None else _in_memory(kept)
    except BaseException:
        if disk is not None:
            disk.close()
        raise
    if clipped:
        reporter.message(f"{clipped} boxes extend beyond their image; they were clipped for the training.")
    if dropped:
        reporter.message(f"{dropped} boxes have zero area inside their image; they were not used in the training.")
    return TrainingImages(load, len(boxes), np.concatenate(boxes), most, present, disk)


def _in_memory(prepared: Sequence[Prepared]) -> ImageCache:
    return ImageCache(
        [one.image for one in prepared], [one.boxes for one in prepared], [one.classes for one in prepared]
    )
