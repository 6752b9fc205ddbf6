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
    ImageRef,
    LabelMap,
    MissingLibraryError,
    Reporter,
    Sample,
    clip,
    convert,
)
from boxwright.images import decode_sample, encode_jpeg, read_header
from boxwright.plugins import default_registry

LABEL_MAP = "label_map.pbtxt"
_QUALITY = 95


def write_records(data: Dataset, target: Path, label_map: LabelMap, reporter: Reporter) -> None:
    """Writes a dataset as one record file, with a label map in the same folder.

    Images with an EXIF orientation, which the API ignores, are rotated together with their boxes. Boxes are clipped to
    their image, and those with zero area are dropped. All of this is reported.

    Args:
        data: The dataset; an image that cannot be used is one of its problems.
        target: The file; replaced if it exists.
        label_map: The classes.
        reporter: Receives the progress.

    Raises:
        MissingLibraryError: The plugin for TFRecords is not installed.
        DataError: An image cannot be used.
        OutputError: The file cannot be written.
    """
    if "tfrecord" not in default_registry().names("format"):
        raise MissingLibraryError(
            "the backend tfod writes TFRecord files, and the plugin for them is not installed",
            "run: python -m pip install boxwright-tfrecord",
        )
    fitted = _FitToAPI()
    uri = DatasetURI(str(target), "tfrecord")
    convert(data.through(fitted), uri, label_map=label_map, overwrite=True, reporter=reporter, workers=1)
    if fitted.rotated:
        images = "1 image" if fitted.rotated == 1 else f"{fitted.rotated} images"
        reporter.message(f"{images} rotated by their EXIF orientation, for the training.")
    if fitted.clipped:
        reporter.message(f"{_boxes(fitted.clipped)} extended beyond the image, clipped for the training.")
    if fitted.dropped:
        reporter.message(f"{_boxes(fitted.dropped)} with zero area in the image, dropped from the training.")


def _boxes(count: int) -> str:
    return "1 box" if count == 1 else f"{count} boxes"


class _FitToAPI:
    """A transform that rotates images and clips boxes to them, and counts.

    Attributes:
        rotated: Number of rotated images.
        clipped: Number of clipped boxes.
        dropped: Number of dropped boxes, which had zero area in the image.
    """

    per_sample = True
    keeps_labels = True

    def __init__(self) -> None:
        self.rotated = self.clipped = self.dropped = 0

    def __call__(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        # A generator would end at the first image that cannot be read.
        return map(self._clipped, map(self._upright, samples))

    def _upright(self, sample: Sample) -> Sample:
        image = sample.image
        data = image.read()
        header = read_header(data, image.location or sample.source or image.name)
        loaded = sample.replace(image=image.model_copy(update={"data": data}))  # the writer reads no file again
        if header.orientation == 1:
            return loaded
        self.rotated += 1
        decoded = decode_sample(loaded)
        width, height = decoded.image.size
        pixels = encode_jpeg(decoded.image, _QUALITY)
        upright = ImageRef(name=image.name, width=width, height=height, data=pixels, format="jpeg")
        return sample.replace(image=upright, boxes=decoded.boxes)

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
        self.clipped += int(((clipped != xyxy).any(axis=1) & kept).sum())
        inside = Boxes(boxes.labels, [tuple(row) for row in clipped.tolist()], list(boxes.attributes))
        return sample.replace(boxes=inside.select(kept.tolist()))
