"""Anchor boxes fitted to the objects of a dataset.

RetinaNet learns an object only through the anchors that overlap it with an IoU of 0.5 or more (Lin et al. 2017,
"Focal Loss for Dense Object Detection", section 4); an object that no anchor matches is never learned. The anchors of
the paper are for COCO at 800 pixels. Here, sizes and aspect ratios are computed from the boxes of the training data,
measured in pixels of the network's input.

Only numpy is imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FIRST_LEVEL = 3
"""The finest pyramid level by default, P3: one row of anchors every 2**3 = 8 pixels."""

MAX_LEVELS = 5
"""P3 to P7 in the RetinaNet paper."""

POSITIVE_IOU = 0.5
"""An anchor that overlaps an object by this much is trained to find it."""

# Geometric step between two neighboring anchor sizes. A square box midway between two sizes has an IoU of 1 / step
# with the nearer one, so 1.5 allows 0.67 for differences in aspect ratio and position.
_LARGEST_STEP = 1.5
_SCALES_PER_LEVEL = 3
# Augmentation zooms: the sizes to cover extend beyond those of the data by this factor.
_MARGIN = 1.25
# Aspect ratios closer than this share one anchor: the IoU of two such boxes is 0.8.
_RATIO_STEP = 1.25
_SUFFICIENT_COVERAGE = 0.99
# More boxes would not change the result, only take time.
_MOST_BOXES = 4000


@dataclass(frozen=True)
class AnchorSettings:
    """The sizes and shapes of the anchors, such as the arguments of ``keras_cv.layers.AnchorGenerator``.

    Attributes:
        sizes: One size for each of the 1 to 5 pyramid levels from ``first_level`` on: the side of a square anchor at
            scale 1, in pixels of the network's input.
        scales: Factors of the size, the same at every level.
        aspect_ratios: Width / height, the same at every level.
        first_level: The finest pyramid level: 3 for P3, 2 for P2.
    """

    sizes: tuple[float, ...]
    scales: tuple[float, ...]
    aspect_ratios: tuple[float, ...]
    first_level: int = FIRST_LEVEL

    def __post_init__(self) -> None:
        if not 1 <= len(self.sizes) <= MAX_LEVELS:
            raise ValueError(f"anchors need 1 to {MAX_LEVELS} sizes, one for each pyramid level, not {len(self.sizes)}")
        if self.first_level not in (2, 3):
            raise ValueError(f"anchors begin at level 2 or 3, not {self.first_level}")
        for name in ("sizes", "scales", "aspect_ratios"):
            values = getattr(self, name)
            if not values or not all(np.isfinite(value) and value > 0 for value in values):
                raise ValueError(f"anchor {name} must be positive numbers, not {values}")

    @property
    def strides(self) -> tuple[int, ...]:
        """Pixels between neighboring anchors, for each level: 8, 16, 32, ... from P3 on."""
        return tuple(2 ** (self.first_level + level) for level in range(len(self.sizes)))

    @property
    def per_location(self) -> int:
        """The number of anchors with the same center."""
        return len(self.scales) * len(self.aspect_ratios)

    def shapes(self) -> NDArray[np.float64]:
        """Returns the width and height of every kind of anchor, in pixels: ``(levels * scales * ratios, 2)``."""
        sides = np.outer(self.sizes, self.scales).reshape(-1, 1)
        roots = np.sqrt(np.asarray(self.aspect_ratios, dtype=np.float64))
        return np.stack([sides * roots, sides / roots], axis=-1).reshape(-1, 2)

    def to_dict(self) -> dict[str, Any]:
        """Returns the settings as JSON values."""
        return {
            "sizes": [float(value) for value in self.sizes],
            "scales": [float(value) for value in self.scales],
            "aspect_ratios": [float(value) for value in self.aspect_ratios],
            "first_level": self.first_level,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> AnchorSettings:
        """Returns the settings of :meth:`to_dict`; those of older runs have no ``first_level``, which was 3.

        Raises:
            KeyError: Another field is missing.
            ValueError: A value is not a positive number.
        """
        return cls(
            sizes=tuple(float(value) for value in data["sizes"]),
            scales=tuple(float(value) for value in data["scales"]),
            aspect_ratios=tuple(float(value) for value in data["aspect_ratios"]),
            first_level=int(data.get("first_level", FIRST_LEVEL)),
        )


def published_anchors() -> AnchorSettings:
    """Returns the anchors of the libraries' own networks: those of Lin et al. 2017, for images of 800 pixels."""
    return AnchorSettings((32.0, 64.0, 128.0, 256.0, 512.0), tuple(2 ** (n / 3) for n in range(3)), (0.5, 1.0, 2.0))


def default_anchors(image_size: tuple[int, int], first_level: int = FIRST_LEVEL) -> AnchorSettings:
    """Returns anchors for unknown objects: sides from an eighth of the image to all of it, ratios 1:2, 1:1 and 2:1.

    Args:
        image_size: Height and width of the network's input in pixels.
        first_level: The finest pyramid level.
    """
    side = float(min(image_size))
    return _settings(max(8.0, side / 8), side, (0.5, 1.0, 2.0), first_level)


def fit_anchors(boxes: NDArray[Any], image_size: tuple[int, int], first_level: int = FIRST_LEVEL) -> AnchorSettings:
    """Returns the fewest anchors that cover the boxes of a dataset.

    The sizes are a geometric series over the sizes (root of the area) of the boxes, extended by a quarter at both ends,
    because augmentation zooms. The aspect ratios are quantiles of those of the boxes. If more than one box in a hundred
    has no anchor with an IoU of 0.5, outer quantiles are added.

    Args:
        boxes: ``(N, 4)``, ``xyxy`` in pixels of the network's input; N may be 0. Boxes with zero area or values that
            are not finite are ignored.
        image_size: Height and width of the network's input in pixels.
        first_level: The finest pyramid level.

    Returns:
        The anchors, or :func:`default_anchors` if no box remains.

    Raises:
        ValueError: ``boxes`` is not of shape ``(N, 4)``.
    """
    usable = _usable(boxes)
    settings = default_anchors(image_size, first_level)
    if len(usable) == 0:
        return settings
    widths, heights = (usable[:, 2:] - usable[:, :2]).T
    sides, ratios = np.sqrt(widths * heights), np.log(widths / heights)
    largest_side = float(max(image_size))
    best = -1.0
    for tail, quantiles in (
        (0.02, (0.1, 0.5, 0.9)),
        (0.01, (0.05, 0.35, 0.65, 0.95)),
        (0.0, (0.0, 0.25, 0.5, 0.75, 1.0)),
    ):
        smallest, largest = np.quantile(sides, [tail, 1 - tail])
        # A stride of 8 pixels cannot separate objects under 4 pixels, which need a larger input.
        smallest = float(np.clip(smallest / _MARGIN, 2 ** (first_level - 1), largest_side))
        largest = float(np.clip(largest * _MARGIN, smallest, largest_side))
        candidate = _settings(smallest, largest, _distinct_ratios(np.quantile(ratios, quantiles)), first_level)
        covered = coverage(usable, candidate, image_size)
        if covered > best:
            best, settings = covered, candidate
        if best >= _SUFFICIENT_COVERAGE:
            break
    return settings


def all_anchors(settings: AnchorSettings, image_size: tuple[int, int]) -> NDArray[np.float32]:
    """Returns all anchors of an image, in the order of a network's outputs: level, row, column, scale, aspect ratio.

    Args:
        settings: The anchors.
        image_size: Height and width of the network's input in pixels, to which anchors are clipped.

    Returns:
        ``(A, 4)``, ``xyxy`` in pixels.
    """
    height, width = image_size
    roots = np.sqrt(np.asarray(settings.aspect_ratios, np.float32))
    levels = []
    for size, stride in zip(settings.sizes, settings.strides, strict=True):
        sides = np.float32(size) * np.asarray(settings.scales, np.float32)[:, None]
        half = np.stack([sides * roots, sides / roots], axis=-1).reshape(-1, 2) / 2
        y, x = (np.arange(stride / 2, -(-length // stride) * stride, stride, dtype=np.float32) for length in image_size)
        centers = np.stack(np.broadcast_arrays(x[None, :], y[:, None]), axis=-1)[:, :, None]
        levels.append(np.concatenate([centers - half, centers + half], axis=-1).reshape(-1, 4))
    limits = np.array([width, height, width, height], np.float32)
    clipped: NDArray[np.float32] = np.clip(np.concatenate(levels), 0, limits)
    return clipped


def coverage(boxes: NDArray[Any], settings: AnchorSettings, image_size: tuple[int, int]) -> float:
    """Returns the fraction of boxes that overlap an anchor, where it is, with an IoU of at least 0.5.

    Args:
        boxes: ``(N, 4)``, ``xyxy`` in pixels of the network's input. Of many boxes, some thousands are measured.
        settings: The anchors, in the same pixels.
        image_size: Height and width of the network's input in pixels.

    Returns:
        A number from 0 to 1; 1 if there is no box with an area.

    Raises:
        ValueError: ``boxes`` is not of shape ``(N, 4)``.
    """
    usable = _usable(boxes)
    if len(usable) == 0:
        return 1.0
    usable = usable[:: -(-len(usable) // _MOST_BOXES)]
    best = np.zeros(len(usable))
    for size, stride in zip(settings.sizes, settings.strides, strict=True):
        for scale in settings.scales:
            for ratio in settings.aspect_ratios:
                width, height = size * scale * ratio**0.5, size * scale / ratio**0.5
                shared_x, anchor_x = _near(usable[:, 0], usable[:, 2], width, stride, image_size[1])
                shared_y, anchor_y = _near(usable[:, 1], usable[:, 3], height, stride, image_size[0])
                # Every column with every row of the neighborhood.
                shared = shared_x[:, :, None] * shared_y[:, None, :]
                areas = anchor_x[:, :, None] * anchor_y[:, None, :]
                own = (usable[:, 2:] - usable[:, :2]).prod(axis=1)[:, None, None]
                best = np.maximum(best, (shared / (own + areas - shared)).max(axis=(1, 2)))
    return float(np.mean(best >= POSITIVE_IOU))


def _near(
    low: NDArray[np.float64], high: NDArray[np.float64], side: float, stride: int, length: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns what boxes share with the nearest anchors along one axis, and the sides of these anchors.

    Anchors are clipped to the image. One that is clipped may fit better than the one with the nearest center, so the
    two neighbors are measured as well; at an edge, one even farther away may rarely fit better still.

    Args:
        low: ``(N,)``, the lower edge of each box.
        high: ``(N,)``, the upper edge.
        side: The side of an anchor before it is clipped.
        stride: The distance between two centers; the first is half of it from the edge of the image.
        length: The side of the image.

    Returns:
        Two arrays ``(N, 3)``.
    """
    last = -(-length // stride) - 1
    nearest = np.rint((low + high) / 2 / stride - 0.5)[:, None] + np.array([-1, 0, 1])
    centers = (np.clip(nearest, 0, last) + 0.5) * stride
    start, end = np.clip(centers - side / 2, 0, length), np.clip(centers + side / 2, 0, length)
    shared = np.clip(np.minimum(high[:, None], end) - np.maximum(low[:, None], start), 0, None)
    return shared, end - start


def _usable(boxes: NDArray[Any]) -> NDArray[np.float64]:
    rows = np.asarray(boxes, dtype=np.float64)
    if rows.size == 0:
        return np.empty((0, 4))
    if rows.ndim != 2 or rows.shape[1] != 4:
        raise ValueError(f"boxes must be of shape (N, 4), xyxy, not {rows.shape}")
    return rows[np.isfinite(rows).all(axis=1) & (rows[:, 2:] > rows[:, :2]).all(axis=1)]


def _settings(smallest: float, largest: float, aspect_ratios: tuple[float, ...], first_level: int) -> AnchorSettings:
    """Returns anchors whose sides increase from ``smallest`` to ``largest`` by equal factors."""
    span = largest / smallest
    levels = int(np.ceil((np.log(span) / np.log(_LARGEST_STEP) + 1) / _SCALES_PER_LEVEL - 1e-9))
    # At least two levels: with one, large objects would be detected at a stride of 8 pixels or less.
    levels = int(np.clip(levels, 2, MAX_LEVELS))
    step = span ** (1 / (levels * _SCALES_PER_LEVEL - 1))
    # Nearly equal objects would produce nearly equal anchors; the strides double per level, so the sizes grow as well.
    step = max(step, 2 ** (1 / _SCALES_PER_LEVEL))
    center = np.sqrt(smallest * largest)
    first = center / step ** ((levels * _SCALES_PER_LEVEL - 1) / 2)
    return AnchorSettings(
        sizes=tuple(round(float(first * step ** (_SCALES_PER_LEVEL * level)), 3) for level in range(levels)),
        scales=tuple(round(float(step**index), 5) for index in range(_SCALES_PER_LEVEL)),
        aspect_ratios=aspect_ratios,
        first_level=first_level,
    )


def _distinct_ratios(log_ratios: NDArray[np.float64]) -> tuple[float, ...]:
    """Returns aspect ratios from the sorted logarithms of candidates, without those close to another one."""
    kept = [float(log_ratios[len(log_ratios) // 2])]
    for value in sorted(log_ratios, key=lambda candidate: abs(candidate - kept[0])):
        if all(abs(value - other) >= np.log(_RATIO_STEP) for other in kept):
            kept.append(float(value))
    return tuple(round(float(np.exp(value)), 4) for value in sorted(kept))
