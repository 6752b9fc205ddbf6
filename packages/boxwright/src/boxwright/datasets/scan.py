"""The counts of one reading of a dataset."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable
from itertools import chain, compress
from typing import NamedTuple

from boxwright.label_map import LabelMap
from boxwright.regions import are_regions
from boxwright.schemas import Sample


class RelativeSize(NamedTuple):
    """The smallest, mean and largest square root of the area of a box relative to its image."""

    smallest: float
    mean: float
    largest: float


_MOST_SAMPLED = 4096


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
        scan = cls()
        scan._given = given
        import hashlib  # only counting needs it, and it brings OpenSSL

        digest = hashlib.sha256()
        smallest, largest, total = float("inf"), 0.0, 0.0
        count, every = 0, 1
        classes: Counter[str] = Counter()
        pictures_with: Counter[str] = Counter()
        regions: Counter[str] = Counter()
        for sample in samples:
            image, boxes = sample.image, sample.boxes
            digest.update(repr((image.name, image.width, image.height, boxes.labels)).encode())
            digest.update(array("d", chain.from_iterable(boxes.coordinates)).tobytes())
            scan.samples += 1
            scan.boxes += len(boxes)
            scan.empty += not boxes.labels
            scan.most_boxes = max(scan.most_boxes, len(boxes))
            classes.update(boxes.labels)
            pictures_with.update(set(boxes.labels))
            regions.update(compress(boxes.labels, are_regions(boxes)))
            if sample.split is not None:
                scan.splits[sample.split] = scan.splits.get(sample.split, 0) + 1
            size = width, height = image.width, image.height
            scan.sizes[size] = scan.sizes.get(size, 0) + 1
            if not boxes.labels:
                continue
            position = -count % every
            while position < len(boxes):
                if len(scan.box_sample) == _MOST_SAMPLED:
                    # Every second one is kept, and from now on half as many are added.
                    del scan.box_sample[1::2]
                    every *= 2
                    position += -(count + position) % every
                    continue
                xmin, ymin, xmax, ymax = boxes.coordinates[position]
                scan.box_sample.append((xmin / width, ymin / height, xmax / width, ymax / height))
                position += every
            count += len(boxes)
            area = width * height
            scan.flawed["without area"] += sum([x == right or y == low for x, y, right, low in boxes.coordinates])
            scan.flawed["outside the image"] += sum(
                [x < 0 or y < 0 or right > width or low > height for x, y, right, low in boxes.coordinates]
            )
            relative = [((right - x) * (low - y) / area) ** 0.5 for x, y, right, low in boxes.coordinates]
            smallest, largest = min(smallest, *relative), max(largest, *relative)
            total += sum(relative)
        if scan.boxes:
            scan.relative_size = RelativeSize(smallest, total / scan.boxes, largest)
        scan.classes = dict(sorted(classes.items()))
        scan.regions = dict(sorted(regions.items()))
        scan.pictures_with = dict(sorted(pictures_with.items()))
        scan.digest = digest.hexdigest()
        return scan

    @property
    def label_map(self) -> LabelMap:
        """The given label map, else the labels seen, sorted."""
        return self._given if self._given is not None else LabelMap.from_names(self.classes)
