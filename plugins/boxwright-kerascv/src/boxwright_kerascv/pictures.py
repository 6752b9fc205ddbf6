"""The training pictures: decoded once, made small, and kept in memory or on disk."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from PIL import Image

from boxwright import Dataset, LabelMap, Reporter, Sample, clip, scale
from boxwright.datasets import map_samples
from boxwright.images import decode_sample, encode_jpeg
from boxwright_kerascv.augment import Labelled
from boxwright_kerascv.inputs import PictureCache
from boxwright_tf.decoding import class_numbers

MEMORY_BYTES = 2_000_000_000
"""Decoded pictures beyond this go to disk where the cache is chosen automatically."""

_JPEG_QUALITY = 95


@dataclass(frozen=True)
class Prepared:
    """One picture ready for training.

    Attributes:
        image: (height, width, 3), uint8, at most the asked number of times the network's size.
        boxes: (N, 4), float32, ``xyxy`` in its pixels, clipped to it, all with an area.
        classes: (N,), float32, 0-based.
        cut: Boxes that reached outside the picture and were cut at its edge.
        dropped: Boxes without an area, which nothing can be learned from.
    """

    image: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    classes: NDArray[np.float32]
    cut: int
    dropped: int


def prepare(sample: Sample, label_map: LabelMap, image_size: tuple[int, int], oversample: float) -> Prepared:
    """Decodes a picture, makes it small and puts its boxes in order.

    Args:
        sample: The picture.
        label_map: The classes' numbers.
        image_size: Height and width of the network's input.
        oversample: How many times that size the picture may keep.

    Raises:
        DataError: The picture cannot be read, or a class is unknown.
    """
    classes = class_numbers(sample, label_map)
    image, edges = small_picture(sample, image_size, oversample)
    height, width = image.shape[:2]
    clipped = clip(edges, width, height)
    # Less than half a pixel of the annotation is rounding, not a box that leaves the picture.
    outside = np.abs(clipped - edges).max(axis=1, initial=0) > 0.5
    sides = clipped[:, 2:] - clipped[:, :2]
    kept = np.all(sides > 0, axis=1)
    return Prepared(
        image, clipped[kept].astype(np.float32), classes[kept], int((outside & kept).sum()), int((~kept).sum())
    )


def small_picture(
    sample: Sample, image_size: tuple[int, int], oversample: float
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """A picture at no more than ``oversample`` times the network's size, aspect ratio kept, and its boxes' edges.

    Raises:
        DataError: The picture cannot be read.
    """
    height, width = image_size
    wanted = (round(width * oversample), round(height * oversample))
    picture = decode_sample(sample, at_least=wanted)
    image = shrink(picture.image, wanted)
    factors = (image.width / picture.image.width, image.height / picture.image.height)
    return np.asarray(image), scale(picture.boxes.xyxy, *factors)


def shrink(image: Image.Image, wanted: tuple[int, int]) -> Image.Image:
    """A picture made small, aspect ratio kept, so that it still covers ``wanted`` (width, height) on both sides."""
    factor = max(wanted[0] / image.width, wanted[1] / image.height)
    if factor >= 1:
        return image
    size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    return image.resize(size, Image.Resampling.BOX, reducing_gap=3.0)


class PictureFile:
    """Pictures as JPEG in one file, for sets that memory does not hold; boxes stay in memory.

    It is used like :class:`~boxwright_kerascv.inputs.PictureCache`.

    Args:
        path: The file to write; :meth:`close` removes it.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._writing: io.BufferedWriter | None = path.open("wb")
        self._offsets = [0]
        self._boxes: list[NDArray[np.float32]] = []
        self._classes: list[NDArray[np.float32]] = []
        self._bytes: NDArray[np.uint8] | None = None
        self._starts: Any = None
        self._ragged_boxes: Any = None
        self._ragged_classes: Any = None

    def add(self, prepared: Prepared) -> None:
        """Appends one picture."""
        assert self._writing is not None
        encoded = encode_jpeg(Image.fromarray(prepared.image), _JPEG_QUALITY)
        self._writing.write(encoded)
        self._offsets.append(self._offsets[-1] + len(encoded))
        self._boxes.append(prepared.boxes)
        self._classes.append(prepared.classes)

    def finish(self) -> PictureFile:
        """Ends the writing; from now on pictures can be had."""
        assert self._writing is not None
        self._writing.close()
        self._writing = None
        self._bytes = np.memmap(self._path, np.uint8, "r")
        lengths = [len(rows) for rows in self._classes]
        self._starts = np.array(self._offsets)
        self._ragged_boxes = tf.RaggedTensor.from_row_lengths(np.concatenate(self._boxes), lengths)
        self._ragged_classes = tf.RaggedTensor.from_row_lengths(np.concatenate(self._classes), lengths)
        return self

    def __len__(self) -> int:
        return len(self._classes)

    def __call__(self, index: Any) -> Labelled:
        """The picture at ``index``, a scalar integer tensor."""

        def read(position: Any) -> bytes:
            assert self._bytes is not None
            return bytes(self._bytes[self._starts[position] : self._starts[position + 1]])

        encoded = tf.ensure_shape(tf.numpy_function(read, [index], tf.string), ())
        # As Pillow decodes; TensorFlow's default is a rougher transform.
        picture = tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE")
        return {"images": picture, "boxes": self._ragged_boxes[index], "classes": self._ragged_classes[index]}

    def close(self) -> None:
        """Removes the file."""
        if self._writing is not None:
            self._writing.close()
        self._bytes = None
        self._path.unlink(missing_ok=True)


@dataclass(frozen=True)
class TrainingPictures:
    """All pictures of a training set.

    Attributes:
        load: From an index to the picture and its boxes, inside ``tf.data``.
        count: How many.
        box_sizes: (M, 2), float64: width and height of every box, in pixels of the network's input.
        most_boxes: The largest number of boxes in one picture.
        on_disk: The file that holds them, or ``None``.
    """

    load: Any
    count: int
    box_sizes: NDArray[np.float64]
    most_boxes: int
    on_disk: PictureFile | None

    def close(self) -> None:
        """Removes the file, where there is one."""
        if self.on_disk is not None:
            self.on_disk.close()


def load_pictures(
    dataset: Dataset,
    label_map: LabelMap,
    image_size: tuple[int, int],
    oversample: float,
    *,
    expected: int,
    cache: str,
    cache_file: Path,
    reporter: Reporter,
) -> TrainingPictures:
    """Decodes a training set once.

    Args:
        dataset: What to read; pictures that cannot be read go to its ``problems``.
        label_map: The classes' numbers.
        image_size: Height and width of the network's input.
        oversample: How many times that size pictures may keep.
        expected: About how many pictures there are.
        cache: ``"memory"``, ``"disk"``, or ``"auto"``, which chooses by the size they will have.
        cache_file: Where they go on disk.
        reporter: Gets the progress, and what had to be done to the boxes.

    Raises:
        DataError: A picture cannot be read (under ``on_error="fail"``).
        ValueError: None was left.
    """
    height, width = image_size
    bytes_expected = expected * height * width * 3 * oversample**2
    disk = PictureFile(cache_file) if cache == "disk" or (cache == "auto" and bytes_expected > MEMORY_BYTES) else None
    kept: list[Prepared] = []
    box_sizes: list[NDArray[np.float64]] = []
    cut = dropped = most = 0
    try:
        with reporter.task("Decoding the pictures", expected) as task:
            work = map_samples(
                lambda sample: prepare(sample, label_map, image_size, oversample),
                dataset,
                dataset.problems,
                workers=min(8, os.cpu_count() or 1),
            )
            for prepared in work:
                rows, columns = prepared.image.shape[:2]
                sides = prepared.boxes[:, 2:] - prepared.boxes[:, :2]
                box_sizes.append(sides * np.array([width / columns, height / rows]))
                cut, dropped = cut + prepared.cut, dropped + prepared.dropped
                most = max(most, len(prepared.classes))
                if disk is not None:
                    disk.add(prepared)
                else:
                    kept.append(prepared)
                task.advance()
        if not box_sizes:
            raise ValueError("there is no picture to train on")
        load = disk.finish() if disk is not None else _in_memory(kept)
    except BaseException:
        if disk is not None:
            disk.close()
        raise
    if cut:
        reporter.message(f"{cut} boxes reach outside their picture; they were cut at its edge for the training.")
    if dropped:
        reporter.message(f"{dropped} boxes have no area inside their picture; they were left out of the training.")
    return TrainingPictures(load, len(box_sizes), np.concatenate(box_sizes), most, disk)


def _in_memory(prepared: Sequence[Prepared]) -> PictureCache:
    return PictureCache(
        [one.image for one in prepared], [one.boxes for one in prepared], [one.classes for one in prepared]
    )
