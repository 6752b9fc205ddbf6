"""The counts of one reading of a dataset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import compress
from typing import TYPE_CHECKING, Final, NamedTuple

from boxwright.datasets.columns import Columns, columns_of
from boxwright.label_map import LabelMap
from boxwright.schemas import Sample

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class RelativeSize(NamedTuple):
    """The smallest, mean and largest square root of the area of a box relative to its image."""

    smallest: float
    mean: float
    largest: float


_MOST_SAMPLED: Final = 4096
_BOX_BYTES: Final = 32


class _Counts:
    """What is counted while reading, before it is sorted."""

    def __init__(self) -> None:
        self.classes: Counter[str] = Counter()
        self.pictures_with: Counter[str] = Counter()
        self.regions: Counter[str] = Counter()
        self.splits: Counter[str] = Counter()
        self.sizes: Counter[tuple[int, int]] = Counter()
        self.smallest, self.largest, self.total = float("inf"), 0.0, 0.0
        self.every = 1


class Scan:
    """The counts of one reading.

    Attributes:
        samples: The number of images.
        boxes: The number of boxes.
        empty: The number of images without boxes.
        classes: Boxes by label, sorted by label.
        regions: Those of them that are regions and not single objects, by label; see :mod:`boxwright.regions`.
        pictures_with: The number of images by label.
        splits: The number of images by split.
        sizes: The number of images by ``(width, height)``.
        most_boxes: The largest number of boxes in an image.
        box_sample: Up to 4,096 boxes, evenly distributed over the dataset: ``(xmin, ymin, xmax, ymax)``, relative to
            their image.
        relative_size: The square root of the area of a box relative to its image.
        flawed: The number of boxes with zero area, and of boxes that are out of bounds.
        digest: SHA-256 of names, sizes, labels and coordinates in order, which does not depend on the format; the
            bytes of the images are not part of it.
    """

    def __init__(self) -> None:
        self.samples = 0
        self.boxes = 0
        self.empty = 0
        self.classes: dict[str, int] = {}
        self.regions: dict[str, int] = {}
        self.pictures_with: dict[str, int] = {}
        self.splits: dict[str, int] = {}
        self.sizes: dict[tuple[int, int], int] = {}
        self.flawed: dict[str, int] = {"without area": 0, "outside the image": 0}
        self.relative_size = RelativeSize(0.0, 0.0, 0.0)
        self.most_boxes = 0
        self.box_sample: list[tuple[float, float, float, float]] = []
        self.digest = ""
        self._given: LabelMap | None = None

    @classmethod
    def of(cls, samples: Iterable[Sample], given: LabelMap | None = None) -> Scan:
        """Reads ``samples`` through; ``given`` is the label map where one is known."""
        return cls.of_columns(columns_of(samples), given)

    @classmethod
    def of_columns(cls, columns: Iterable[Columns], given: LabelMap | None = None) -> Scan:
        """Counts columns, such as :meth:`boxwright.datasets.Dataset.columns`; ``given`` as for :meth:`of`."""
        scan = cls()
        scan._given = given
        import hashlib  # only counting needs it, and it brings OpenSSL

        digest = hashlib.sha256()
        counts = _Counts()
        for some in columns:
            scan._add(some, counts)
            coordinates = some.xyxy.tobytes()
            parts: list[bytes] = []
            for name, (width, height), (first, end) in zip(some.names, some.sizes, some.spans(), strict=True):
                labels = some.labels[first:end]
                counts.pictures_with.update(set(labels))
                parts.append(repr((name, width, height, tuple(labels))).encode())
                parts.append(coordinates[first * _BOX_BYTES : end * _BOX_BYTES])
            digest.update(b"".join(parts))
        if scan.boxes:
            scan.relative_size = RelativeSize(counts.smallest, counts.total / scan.boxes, counts.largest)
        scan.classes = dict(sorted(counts.classes.items()))
        scan.regions = dict(sorted(counts.regions.items()))
        scan.pictures_with = dict(sorted(counts.pictures_with.items()))
        scan.splits = dict(counts.splits)
        scan.sizes = dict(counts.sizes)
        scan.digest = digest.hexdigest()
        return scan

    def _add(self, columns: Columns, counts: _Counts) -> None:
        import numpy as np

        self.samples += len(columns)
        self.empty += columns.counts.count(0)
        self.most_boxes = max(self.most_boxes, *columns.counts, 0)
        counts.classes.update(columns.labels)
        counts.regions.update(compress(columns.labels, columns.regions()))
        counts.splits.update(split for split in columns.splits if split is not None)
        counts.sizes.update(columns.sizes)
        xyxy = columns.xyxy
        if not len(xyxy):
            return
        sizes = columns.image_sizes()
        self._sample_boxes(xyxy / np.hstack([sizes, sizes]), counts)
        self.boxes += len(xyxy)
        sides = xyxy[:, 2:] - xyxy[:, :2]
        outside = ((xyxy[:, :2] < 0) | (xyxy[:, 2:] > sizes)).any(axis=1)
        self.flawed["without area"] += int(np.count_nonzero((sides == 0).any(axis=1)))
        self.flawed["outside the image"] += int(np.count_nonzero(outside))
        with np.errstate(over="ignore"):
            relative = np.sqrt(sides.prod(axis=1) / sizes.prod(axis=1))
        counts.smallest = min(counts.smallest, float(relative.min()))
        counts.largest = max(counts.largest, float(relative.max()))
        # One after another, so that the sum does not depend on how many images are read at a time.
        counts.total = float(np.add.accumulate(np.concatenate([[counts.total], relative]))[-1])

    def _sample_boxes(self, relative: NDArray[np.float64], counts: _Counts) -> None:
        position = -self.boxes % counts.every
        while position < len(relative):
            if len(self.box_sample) == _MOST_SAMPLED:
                # Every second one is kept, and from now on half as many are added.
                del self.box_sample[1::2]
                counts.every *= 2
                position += -(self.boxes + position) % counts.every
                continue
            xmin, ymin, xmax, ymax = relative[position].tolist()
            self.box_sample.append((xmin, ymin, xmax, ymax))
            position += counts.every

    @property
    def label_map(self) -> LabelMap:
        """The given label map, else the labels seen, sorted."""
        return self._given if self._given is not None else LabelMap.from_names(self.classes)
