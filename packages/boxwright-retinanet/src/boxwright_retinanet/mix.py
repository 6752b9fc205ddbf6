"""The augmenters that combine several images: mosaic, mixup, and pasted objects."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from boxwright_retinanet.augment import Example, Random, check_ranges
from boxwright_retinanet.warp import View, join_rows, resample, select

Draw = Callable[[], Example]

_RANGES = {"probability": (0.0, 1.0), "alpha": (0.1, 1000.0), "largest": (1.0, 4.0), "most": (1, 100)}

_PLACES = 10
"""How many random places are tried for a pasted object."""


class Mixing:
    """An augmenter that combines several images, all drawn equally often unless :meth:`weights` says otherwise.

    Raises:
        ValueError: A setting is out of range.
    """

    def __post_init__(self) -> None:
        check_ranges(self, _RANGES)

    def weights(self, classes: Sequence[NDArray[Any]]) -> NDArray[Any] | None:
        """Returns how often each image is drawn; see :class:`boxwright.models.MixingAugmenter`."""
        return None


@dataclass(frozen=True)
class Mosaic(Mixing):
    """Puts parts of four images next to each other (YOLOv4, Bochkovskiy et al. 2020, section 3.3).

    The point where they meet is in the middle half of the image. Each part is enlarged or reduced so that it fills its
    quarter: at most, it shows its image at the scale of the result.

    Attributes:
        probability: How often it is applied, 0 to 1.
    """

    probability: float = 0.5

    def mix(self, example: Example, random: Random, draw: Draw) -> Example:
        """Returns the mosaic; see :class:`boxwright.models.MixingAugmenter`."""
        if random.random() >= self.probability:
            return example
        height, width = example["images"].shape[:2]
        middle_y, middle_x = (round(side * random.uniform(0.25, 0.75)) for side in (height, width))
        canvas = np.empty_like(example["images"])
        rows: Example | None = None
        quarters = [
            (left, top, right, bottom)
            for top, bottom in ((0, middle_y), (middle_y, height))
            for left, right in ((0, middle_x), (middle_x, width))
        ]
        first = int(random.integers(4))
        for place, (left, top, right, bottom) in enumerate(quarters):
            if left == right or top == bottom:
                continue
            source = example if place == first else draw()
            part = resample(
                source, _filling(source["images"], right - left, bottom - top, random), (bottom - top, right - left)
            )
            canvas[top:bottom, left:right] = part["images"]
            part["boxes"] = part["boxes"] + np.array([left, top, left, top], np.float32)
            rows = part if rows is None else join_rows(rows, part)
        return (rows or example) | {"images": canvas}


def _filling(image: NDArray[np.uint8], width: int, height: int, random: Random) -> View:
    """Returns a part of an image with the aspect ratio of a size, between the largest and one at the same scale."""
    view = View.whole(image)
    least = max(width / view.width, height / view.height)
    scale = math.exp(random.uniform(math.log(least), max(math.log(least), 0.0)))
    view.zoom(width / scale, height / scale, random.random(), random.random())
    return view


@dataclass(frozen=True)
class MixUp(Mixing):
    """Blends two images (Zhang et al., "Bag of Freebies for Training Object Detection Neural Networks", 2019).

    Attributes:
        probability: How often it is applied, 0 to 1.
        alpha: Both parameters of the beta distribution of the share; larger values keep it near one half.
    """

    probability: float = 0.2
    alpha: float = 8.0

    def mix(self, example: Example, random: Random, draw: Draw) -> Example:
        """Returns the blended images with the boxes of both; see :class:`boxwright.models.MixingAugmenter`."""
        if random.random() >= self.probability:
            return example
        image: Any = example["images"]
        share = random.beta(self.alpha, self.alpha)
        other = draw()
        other = resample(other, View.whole(other["images"]), image.shape[:2])
        return join_rows(example, other) | {"images": cv2.addWeighted(image, share, other["images"], 1 - share, 0.0)}


@dataclass
class CopyPaste(Mixing):
    """Pastes objects of other images, rare classes as often as frequent ones, where they cover no object.

    Boxes are pasted without blending, as outlines are in Ghiasi et al., "Simple Copy-Paste is a Strong Data
    Augmentation Method", 2021.

    Attributes:
        probability: How often it is applied, 0 to 1.
        most: Maximum number of objects per image.
        largest: Maximum factor by which an object is enlarged or reduced, relative to its size in its image.
    """

    probability: float = 0.5
    most: int = 3
    largest: float = 1.3
    _counts: dict[Any, int] = field(default_factory=dict, init=False, repr=False)

    def weights(self, classes: Sequence[NDArray[Any]]) -> NDArray[Any] | None:
        """Returns the sum of the inverse frequencies of the classes of each image's boxes.

        An object of it is then chosen in proportion to the inverse frequency of its class, so that on the whole each
        class is pasted equally often.
        """
        names, counts = np.unique(np.concatenate([np.asarray(each) for each in classes]), return_counts=True)
        self._counts = dict(zip(names.tolist(), counts.tolist(), strict=True))
        return np.array([self._rarity(each).sum() for each in classes])

    def mix(self, example: Example, random: Random, draw: Draw) -> Example:
        """Returns the image with pasted objects; see :class:`boxwright.models.MixingAugmenter`."""
        if random.random() >= self.probability:
            return example
        result = example | {"images": example["images"].copy()}
        for _ in range(int(random.integers(1, self.most + 1))):
            other = draw()
            if len(other["classes"]):
                result = self._pasted(result, other, random)
        return result

    def _rarity(self, classes: NDArray[Any]) -> NDArray[np.float64]:
        return np.array([1.0 / self._counts.get(each, 1) for each in classes.tolist()])

    def _pasted(self, example: Example, other: Example, random: Random) -> Example:
        rarity = self._rarity(other["classes"])
        chosen = int(np.searchsorted(np.cumsum(rarity), random.random() * rarity.sum(), side="right"))
        chosen = min(chosen, len(rarity) - 1)
        source, target = other["images"], example["images"]
        limits = np.array([source.shape[1], source.shape[0]] * 2)
        box = np.clip(np.rint(other["boxes"][chosen]), 0, limits).astype(int)
        ratio = max(target.shape[0] / source.shape[0], target.shape[1] / source.shape[1])
        scale = ratio * math.exp(random.uniform(-math.log(self.largest), math.log(self.largest)))
        width, height = (round((box[axis + 2] - box[axis]) * scale) for axis in (0, 1))
        if min(width, height) < 2 or width > target.shape[1] or height > target.shape[0]:
            return example
        patch = cv2.resize(
            source[box[1] : box[3], box[0] : box[2]],
            (width, height),
            interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR,
        )
        for _ in range(_PLACES):
            left = int(random.integers(target.shape[1] - width + 1))
            top = int(random.integers(target.shape[0] - height + 1))
            right, bottom = left + width, top + height
            boxes = example["boxes"]
            apart = (boxes[:, 2] <= left) | (boxes[:, 0] >= right) | (boxes[:, 3] <= top) | (boxes[:, 1] >= bottom)
            if apart.all():
                target[top:bottom, left:right] = patch
                added = select(other, np.array([chosen])) | {
                    "boxes": np.array([[left, top, right, bottom]], np.float32)
                }
                return join_rows(example, added)
        return example


MIXING: dict[str, Callable[..., Mixing]] = {"mosaic": Mosaic, "mixup": MixUp, "copy-paste": CopyPaste}
"""The augmenters that combine images, by name."""
