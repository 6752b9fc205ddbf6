"""Sliced prediction: small objects in large images, found in tiles and merged.

A network sees a large image reduced to its input, in which small objects have few pixels. So the image is cut into
tiles that overlap, the model runs on each tile and on the whole image, and the detections are merged. This is sliced
inference as in SAHI (Akyon et al. 2022, "Slicing Aided Hyper Inference and Fine-tuning for Small Object Detection").
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from boxwright.boxes import area
from boxwright.errors import DataError, PluginError, UsageError
from boxwright.images.decode import decode_image, place_of, read_sample, to_annotation
from boxwright.label_map import LabelMap
from boxwright.models.protocols import Model
from boxwright.plugins.options import parse_size
from boxwright.schemas import Detections, ImageRef, Sample

MERGES = ("nmm", "nms")
"""The ways of merging: the box around those that overlap, or the best of them."""
_SAME = 0.5
"""Two boxes of a class whose intersection is this share of the smaller one show the same object, as in SAHI."""
_COMPARABLE = 0.5
"""A detection extends the box of a better one if its score is at least this share of the better score."""
_EDGE = 0.02
"""A box that ends at most this share of a tile's side before an edge inside the image may be cut off by it."""
_MOST_TILES = 10_000

_EXAMPLE = "write WIDTHxHEIGHT[:overlap=0.2,merge=nmm|nms], such as 512x512:overlap=0.2"


@dataclass(frozen=True)
class Slicing:
    """How images are cut into tiles, and the detections merged.

    Attributes:
        width: The width of a tile in pixels.
        height: The height of a tile in pixels.
        overlap: The share of a tile, in each direction, that the next one has in common with it, 0..0.9. An object
            that is smaller than this is complete in at least one tile.
        merge: ``"nms"``: of those that overlap, the best one (non-maximum suppression); ``"nmm"``: if a tile cut it
            off or parts of it, the box around it and those with at least half its score (non-maximum merging).
            Both for each class.
    """

    width: int
    height: int
    overlap: float = 0.2
    merge: str = "nmm"

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
            UsageError: One is out of range.
        """
        if min(self.width, self.height) < 1:
            raise UsageError(f"tiles of {self.width}x{self.height} pixels", _EXAMPLE)
        if not 0 <= self.overlap <= 0.9:
            raise UsageError(f"tiles overlap by {self.overlap:g}", "give a share from 0 to 0.9")
        if self.merge not in MERGES:
            raise UsageError(f"merging by {self.merge!r}", f"give one of: {', '.join(MERGES)}")

    @classmethod
    def of(cls, text: str | Slicing) -> Slicing:
        """Returns the slicing of a text such as ``512x512:overlap=0.2``.

        Raises:
            UsageError: It is not one.
        """
        if isinstance(text, Slicing):
            return text
        size, _, rest = text.partition(":")
        try:
            width, height = parse_size(size)
        except UsageError:
            raise UsageError(f"slices of {text!r}: {size!r} is not a size", _EXAMPLE) from None
        options: dict[str, str] = {}
        for part in filter(None, rest.split(",")):
            name, _, value = part.partition("=")
            if name in options or name not in ("overlap", "merge"):
                raise UsageError(f"slices of {text!r}: {part!r}", _EXAMPLE)
            options[name] = value
        try:
            overlap = float(options.get("overlap", cls.overlap))
        except ValueError:
            raise UsageError(f"slices of {text!r}: {options['overlap']!r} is not a number", _EXAMPLE) from None
        return cls(width, height, overlap, options.get("merge", cls.merge))

    def __str__(self) -> str:
        return f"{self.width}x{self.height}:overlap={self.overlap:g},merge={self.merge}"

    def windows(self, width: int, height: int) -> list[tuple[int, int, int, int]]:
        """Returns the tiles of an image, each ``(left, top, right, bottom)`` in pixels; none if it is not larger.

        The last tile of a row and of a column ends at the edge of the image.
        """
        if width <= self.width and height <= self.height:
            return []
        rows, columns = (
            _starts(side, tile, self.overlap) for side, tile in ((height, self.height), (width, self.width))
        )
        return [
            (left, top, min(left + self.width, width), min(top + self.height, height))
            for top in rows
            for left in columns
        ]


def _starts(side: int, tile: int, overlap: float) -> list[int]:
    step = max(1, tile - round(tile * overlap))
    return [min(start, side - tile) for start in range(0, side - tile + step, step)] if side > tile else [0]


class SlicedModel:
    """A model that runs on the tiles of each image and on the whole image.

    Args:
        model: The model.
        slicing: The tiles.

    Attributes:
        shown: Returns the detections that are merged; all of them, unless it was set.
    """

    def __init__(self, model: Model, slicing: Slicing) -> None:
        self.model = model
        self.slicing = slicing
        self.shown: Callable[[Detections, LabelMap], Detections] = lambda found, label_map: found
        self.label_map = model.label_map

    def predict(self, samples: Iterable[Sample], *, batch_size: int = 8, score: float = 0.0) -> Iterator[Detections]:
        """Yields one ``Detections`` per sample, in order.

        Raises:
            DataError: An image cannot be read, or has too many tiles.
        """
        for sample in samples:
            plain = sample.replace(boxes=())
            data, header, rotated = read_sample(plain)
            windows = self.slicing.windows(*header.upright_size)
            if len(windows) > _MOST_TILES:
                raise DataError(
                    sample.source or sample.image.name,
                    f"{len(windows):,} tiles of {self.slicing.width}x{self.slicing.height}",
                    "use larger tiles",
                )
            parts = chain([plain], _tiles(data, plain, windows))  # of which the model takes a batch at a time
            answers = self.model.predict(parts, batch_size=batch_size, score=score)
            whole, *rest = [self.shown(found, self.label_map) for found in answers]
            if len(rest) != len(windows):
                raise PluginError(f"the model gave {1 + len(rest)} answers for {1 + len(windows)} images")
            if not windows:
                yield whole
                continue
            corners = np.array([[left, top] * 2 for left, top, *_ in windows], float)
            counts = [len(found.boxes) for found in rest]
            boxes = np.concatenate([found.boxes.xyxy.reshape(-1, 4) for found in rest])
            boxes = boxes + np.repeat(corners, counts, axis=0)
            cut = _cut(boxes, np.repeat(windows, counts, axis=0), header.upright_size)
            if rotated:
                boxes = to_annotation(boxes, header)
            labels = [label for found in (whole, *rest) for label in found.boxes.labels]
            scores = np.array([score for found in (whole, *rest) for score in found.scores])
            boxes = np.concatenate([whole.boxes.xyxy.reshape(-1, 4), boxes])
            cut = np.concatenate([np.zeros(len(whole.boxes), bool), cut])
            kept, merged = merge_detections(boxes, scores, labels, self.slicing.merge, cut)
            yield Detections.from_arrays(sample.image, [labels[each] for each in kept], merged, scores[kept])


def _tiles(data: bytes, sample: Sample, windows: Sequence[tuple[int, int, int, int]]) -> Iterator[Sample]:
    if windows:  # the model decodes the whole image itself, most often at a smaller size
        image = decode_image(data, place_of(sample))
        yield from (_tile(image, window, number) for number, window in enumerate(windows))


def _tile(image: Image.Image, window: tuple[int, int, int, int], number: int) -> Sample:
    part = image.crop(window)
    buffer = io.BytesIO()
    part.save(buffer, "BMP")  # the fastest without loss
    name = f"tile-{number}.bmp"
    return Sample(image=ImageRef(name=name, width=part.width, height=part.height, data=buffer.getvalue(), format="bmp"))


def _cut(boxes: NDArray[np.float64], windows: NDArray[np.intp], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Returns which boxes end at an edge of their tile that is inside the image, as parts of objects do."""
    sides = np.tile(windows[:, 2:] - windows[:, :2], 2) * _EDGE
    inside = windows != [0, 0, *size]
    cut: NDArray[np.bool_] = (inside & (np.abs(boxes - windows) <= sides)).any(axis=1)
    return cut


def merge_detections(
    boxes: NDArray[np.float64], scores: NDArray[np.float64], labels: list[str], merge: str, cut: NDArray[np.bool_]
) -> tuple[list[int], NDArray[np.float64]]:
    """Merges the detections of one image, class by class.

    The best detection takes with it those of its class whose intersection with it is at least half of the smaller one
    of both, and so on with the others: greedy merging by *intersection over smaller area*, in which a part of an
    object, cut off by a tile, belongs to the whole object. One with less than half the best score does not enlarge the
    box: it may be anything.

    Args:
        boxes: ``(N, 4)``, ``xyxy``.
        scores: ``(N,)``.
        labels: The N classes.
        merge: ``"nmm"`` to enlarge the best box around the others, ``"nms"`` to keep it.
        cut: ``(N,)``, whether a tile may have cut a box off. A complete box is only enlarged around those that are cut
            off: the others are as large as it, and would only add their errors.

    Returns:
        The positions of the detections that are kept, best first, and their boxes ``(K, 4)``.
    """
    classes = np.array(labels, object)
    left = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    merged: list[NDArray[np.float64]] = []
    while len(left):
        best, left = int(left[0]), left[1:]
        box = boxes[best].copy()
        same = (classes[left] == classes[best]) & (_shared(box, boxes[left]) >= _SAME)
        if merge == "nmm":
            parts = cut[left] | cut[best]
            for other in boxes[left[same & parts & (scores[left] >= _COMPARABLE * scores[best])]]:
                if _shared(box, other[None])[0] >= _SAME:  # the box has grown
                    box = np.concatenate([np.minimum(box[:2], other[:2]), np.maximum(box[2:], other[2:])])
        kept.append(best)
        merged.append(box)
        left = left[~same]
    return kept, np.array(merged).reshape(-1, 4)


def _shared(box: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the intersection of a box with each other one, as a share of the smaller of both."""
    corners = np.concatenate([np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])], axis=1)
    smaller = np.minimum(area(box), area(others))
    share: NDArray[np.float64] = np.divide(area(corners), smaller, out=np.zeros(len(others)), where=smaller > 0)
    return share
