"""Whether a dataset looks like the data that a model was trained on: classes, box sizes, brightness."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from boxwright.analysis.report.measures import Number
from boxwright.errors import BoxwrightError, DataError
from boxwright.images.decode import decode_sample
from boxwright.models.tuning import training_data
from boxwright.plugins.registry import Registry
from boxwright.schemas import Sample

_DECODED = 200
"""The largest number of images whose brightness is measured."""
_SURE = 1.95
"""The critical value of the two-sample Kolmogorov-Smirnov test at 0.1 %."""
_FAR = 0.15
_SIZE_BINS = np.array([0, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0])
_BRIGHTNESS_BINS = np.arange(0, 257, 16)

Floats = NDArray[np.float64]


class Sampled:
    """At most a number of items of a stream, evenly spread over it.

    Args:
        most: The largest number of items.
    """

    def __init__(self, most: int) -> None:
        self.items: list[float] = []
        self._most, self._every, self._seen = most, 1, 0

    def wants_next(self) -> bool:
        """Counts one more item, and returns whether it is one of them."""
        wanted = self._seen % self._every == 0
        self._seen += 1
        return wanted

    def add(self, item: float) -> None:
        """Adds the item."""
        self.items.append(item)
        if len(self.items) > self._most:
            del self.items[1::2]
            self._every *= 2


@dataclass
class Look:
    """How images of a dataset look.

    Attributes:
        images: The number of images.
        classes: The number of boxes by class.
        sizes: The square roots of the boxes' areas relative to the image.
        counts: The number of boxes of each image.
        brightness: The mean brightness of some images, 0 to 255.
    """

    images: int = 0
    classes: Counter[str] = field(default_factory=Counter)
    sizes: list[float] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    brightness: Sampled = field(default_factory=lambda: Sampled(_DECODED))

    @classmethod
    def of(cls, samples: Iterable[Sample]) -> Look:
        """Reads all samples, and decodes some images."""
        look = cls()
        for sample in samples:
            look.add(sample)
        return look

    def add(self, sample: Sample) -> None:
        """Counts an image."""
        self.images += 1
        self.classes.update(sample.boxes.labels)
        self.counts.append(len(sample.boxes))
        xyxy = sample.boxes.xyxy
        areas = np.prod(xyxy[:, 2:] - xyxy[:, :2], axis=1) / (sample.image.width * sample.image.height)
        self.sizes += np.sqrt(areas).tolist()
        if self.brightness.wants_next():
            try:
                image = decode_sample(sample, at_least=(64, 64)).image
            except DataError:
                return
            self.brightness.add(float(np.asarray(image.convert("L").resize((32, 32))).mean()))


class Feature(NamedTuple):
    """One distribution of both datasets.

    Attributes:
        name: Its name.
        unit: The unit of the values.
        bins: The limits of the bins, ``(B + 1,)``.
        tested: The share of each bin in the evaluated data, ``(B,)``.
        trained: The same in the training data.
        medians: The medians of both.
        differs: Whether both are clearly different.
    """

    name: str
    unit: str
    bins: Floats
    tested: Floats
    trained: Floats
    medians: tuple[float, float]
    differs: bool


@dataclass(frozen=True)
class Likeness:
    """The evaluated data next to the training data.

    Attributes:
        tested: How the evaluated images look.
        trained: How the training images look; ``None`` if they are not there any more.
    """

    tested: Look
    trained: Look | None

    @classmethod
    def of(cls, tested: Look, model: str, registry: Registry) -> Likeness:
        """Reads the training data of a model."""
        try:
            data = training_data(model, registry)
            return cls(tested, Look.of(data) if data is not None else None)
        except BoxwrightError:  # it was moved or changed; the evaluation does not need it
            return cls(tested, None)

    def features(self) -> list[Feature]:
        """Returns the distributions; none without the training data."""
        if self.trained is None:
            return []
        most = max([1, *self.tested.counts, *self.trained.counts])
        step = max(1, math.ceil(most / 16))
        count_bins = np.arange(0, most + step + 1, step).astype(np.float64) - 0.5
        first, second = self.tested, self.trained
        return [
            _feature("Box sizes", "of the image", _SIZE_BINS, first.sizes, second.sizes, first, second),
            _feature("Boxes per image", "boxes", count_bins, first.counts, second.counts, first, second),
            _feature(
                "Brightness",
                "of 255",
                _BRIGHTNESS_BINS.astype(float),
                first.brightness.items,
                second.brightness.items,
                first,
                second,
            ),
        ]

    def classes(self) -> list[dict[str, Any]]:
        """Returns the share of each class in both."""
        trained = self.trained.classes if self.trained is not None else Counter[str]()
        names = sorted({*self.tested.classes, *trained}, key=lambda name: (-trained[name], name))
        totals = [max(sum(each.values()), 1) for each in (self.tested.classes, trained)]
        return [
            {
                "class": name,
                "boxes": self.tested.classes[name],
                "share": self.tested.classes[name] / totals[0],
                "training_boxes": trained[name],
                "training_share": trained[name] / totals[1],
            }
            for name in names
        ]

    def remarks(self) -> list[str]:
        """Returns whether the evaluated images look like the training images, in sentences."""
        if self.trained is None:
            return ["The training data was not found, so that nothing can be compared."]
        found = [
            f"{each.name}: clearly different, with a median of {each.medians[0]:.3g} {each.unit}, and of"
            f" {each.medians[1]:.3g} in the training data."
            for each in self.features()
            if each.differs
        ]
        rows = self.classes()
        missing = [row["class"] for row in rows if row["boxes"] and not row["training_boxes"]]
        if missing:
            found.append(f"Classes that are not in the training data: {', '.join(missing)}.")
        moved = sum(abs(row["share"] - row["training_share"]) for row in rows) / 2
        if moved > _FAR:
            found.append(f"The shares of the classes differ: {moved:.0%} of the boxes would need another class.")
        return found or ["No clear difference between these images and the training images."]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "images": self.tested.images,
            "training_images": self.trained.images if self.trained is not None else None,
            "classes": self.classes(),
            "features": [
                {
                    "name": each.name,
                    "bins": each.bins.tolist(),
                    "share": np.round(each.tested, 5).tolist(),
                    "training_share": np.round(each.trained, 5).tolist(),
                    "medians": [value if math.isfinite(value) else None for value in each.medians],
                    "differs": each.differs,
                }
                for each in self.features()
            ],
            "remarks": self.remarks(),
        }

    def numbers(self) -> Iterator[Number]:
        """Yields the same numbers as rows."""
        for row in self.classes():
            for name in ("boxes", "share", "training_boxes", "training_share"):
                yield Number("data", row["class"], name, row[name])
        for each in self.features():
            for low, high, share, training_share in zip(
                each.bins, each.bins[1:], each.tested, each.trained, strict=False
            ):
                place = f"{low:g} to {high:g}"
                yield Number("data", each.name, f"share {place}", round(float(share), 5))
                yield Number("data", each.name, f"training share {place}", round(float(training_share), 5))


def _feature(
    name: str, unit: str, bins: Floats, tested: list[Any], trained: list[Any], first: Look, second: Look
) -> Feature:
    one, two = np.array(tested, np.float64), np.array(trained, np.float64)
    shares = [np.histogram(np.clip(each, bins[0], bins[-1]), bins)[0] / max(len(each), 1) for each in (one, two)]
    medians = tuple(float(np.median(each)) if len(each) else math.nan for each in (one, two))
    # Boxes of one image resemble each other: the images are what was sampled.
    counts = [min(len(each), look.images) for each, look in ((one, first), (two, second))]
    differs = False
    if all(counts):
        everything = np.sort(np.concatenate([one, two]))
        ranks = [np.searchsorted(np.sort(each), everything, "right") / len(each) for each in (one, two)]
        distance = float(np.abs(ranks[0] - ranks[1]).max())
        differs = distance > max(_FAR, _SURE * math.sqrt(sum(counts) / math.prod(counts)))
    return Feature(name, unit, bins, shares[0], shares[1], (medians[0], medians[1]), differs)
