"""Parts of images at another size, rotated, sheared and mirrored, with their boxes; NumPy, Pillow and OpenCV."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

FILL: Final = 114
"""The gray level outside the image."""

MIN_VISIBLE: Final = 0.3
"""A box is dropped if less than this fraction of its area remains in the image."""

MIN_SIDE: Final = 2.0
"""A box with a side under this many pixels of the result is dropped."""

_SMALLEST_REDUCTION: Final = 1.5
"""An image is reduced before it is rotated if it becomes smaller by more than this factor, against aliasing."""

Example = Mapping[str, Any]
Pixels = NDArray[np.uint8]
Points = NDArray[np.float64]


@dataclass
class View:
    """The part of an image that is visible, and how.

    Attributes:
        left: The left side of the window in pixels of the image; the window may extend beyond the image.
        top: The top of the window.
        width: The width of the window.
        height: The height of the window.
        mirror: Whether the window is mirrored horizontally.
        upend: Whether the window is mirrored vertically.
        linear: Rotation and shear of the window about its center, a (2, 2) matrix in pixels of the image; ``None`` for
            none.
    """

    left: float
    top: float
    width: float
    height: float
    mirror: bool = False
    upend: bool = False
    linear: NDArray[np.float64] | None = None

    @classmethod
    def whole(cls, image: Pixels) -> View:
        """Returns the view of a whole image."""
        return cls(0.0, 0.0, float(image.shape[1]), float(image.shape[0]))

    def zoom(self, width: float, height: float, x: float, y: float) -> None:
        """Changes the size of the window; ``x`` and ``y``, 0 to 1, say where the smaller one is in the larger one."""
        self.left += (self.width - width) * x
        self.top += (self.height - height) * y
        self.width, self.height = width, height

    def turn(self, matrix: NDArray[np.float64]) -> None:
        """Rotates or shears the image in the window."""
        self.linear = matrix if self.linear is None else matrix @ self.linear


def resample(example: Example, view: View, size: tuple[int, int]) -> dict[str, Any]:
    """Returns the window of a view at another size, with its boxes.

    Args:
        example: ``images`` (height, width, 3) uint8; ``boxes`` (N, 4) float32 ``xyxy``; others with one row per box.
        view: The window.
        size: Height and width of the result.

    Returns:
        The same keys. The boxes are clipped to the result; boxes mostly outside (:data:`MIN_VISIBLE`) and small boxes
        (:data:`MIN_SIDE`) are dropped. A box that was rotated or sheared becomes the smallest box around its visible
        part.
    """
    image: Pixels = example["images"]
    boxes = np.asarray(example["boxes"], np.float64).reshape(-1, 4)
    if view.linear is None:
        changed, boxes, areas, visible = _straight(image, boxes, view, size)
    else:
        changed, boxes, areas, visible = _turned(image, boxes, view, size)
    sides = boxes[:, 2:] - boxes[:, :2]
    # A thousandth, because the sides are rounded to float32.
    kept = np.all(sides >= MIN_SIDE - 1e-3, axis=1) & (visible >= (MIN_VISIBLE - 1e-6) * areas)
    return select(example | {"boxes": boxes.astype(np.float32)}, kept) | {"images": changed}  # type: ignore[operator]


def select(example: Example, kept: NDArray[Any]) -> dict[str, Any]:
    """Returns an example with some of its boxes; ``kept`` are their indices, or one boolean per box."""
    return {name: value if name == "images" else value[kept] for name, value in example.items()}


def join_rows(one: Example, two: Example) -> dict[str, Any]:
    """Returns the first example with the boxes of both; rows that only the first one has are dropped."""
    return {
        name: value if name == "images" else np.concatenate([value, two[name].astype(value.dtype, copy=False)])
        for name, value in one.items()
        if name in two
    }


def _straight(image: Pixels, boxes: Points, view: View, size: tuple[int, int]) -> tuple[Pixels, Points, Points, Points]:
    """Returns the image, the clipped boxes, and the areas of the boxes and of their visible parts."""
    height, width = size
    scale_x, scale_y = width / view.width, height / view.height
    resized = _window(image, view, size)
    boxes = boxes * np.array([scale_x, scale_y, scale_x, scale_y])
    boxes -= np.array([view.left * scale_x, view.top * scale_y] * 2)
    areas = np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0.0), axis=1)
    boxes = np.clip(boxes, 0.0, [width, height, width, height])
    if view.mirror:
        boxes = np.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], axis=1)
    if view.upend:
        boxes = np.stack([boxes[:, 0], height - boxes[:, 3], boxes[:, 2], height - boxes[:, 1]], axis=1)
    if view.mirror or view.upend:
        resized = cv2.flip(resized, -1 if view.mirror and view.upend else 1 if view.mirror else 0)  # type: ignore[assignment]
    return resized, boxes, areas, np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)


def _window(image: Pixels, view: View, size: tuple[int, int]) -> Pixels:
    """Returns the window of a view, resized with antialiasing, with gray outside the image."""
    height, width = image.shape[:2]
    if (view.left, view.top, view.width, view.height) == (0.0, 0.0, width, height) and size == (height, width):
        return image
    right, bottom = view.left + view.width, view.top + view.height
    top, left, below, after = (
        max(0, math.ceil(beyond)) for beyond in (-view.top, -view.left, bottom - height, right - width)
    )
    if top or left or below or after:
        image = np.pad(image, ((top, below), (left, after), (0, 0)), constant_values=FILL)
    box = (
        max(0.0, view.left + left),
        max(0.0, view.top + top),
        min(float(image.shape[1]), right + left),
        min(float(image.shape[0]), bottom + top),
    )
    return np.asarray(Image.fromarray(image).resize(size[::-1], Image.Resampling.BILINEAR, box=box))


def _turned(image: Pixels, boxes: Points, view: View, size: tuple[int, int]) -> tuple[Pixels, Points, Points, Points]:
    """Returns the same as :func:`_straight` for a view that is rotated or sheared."""
    height, width = size
    assert view.linear is not None
    # From a point of the result, relative to its center, to a point of the image.
    signs = [-1.0 if view.mirror else 1.0, -1.0 if view.upend else 1.0]
    matrix = np.linalg.inv(view.linear) @ np.diag([view.width / width, view.height / height]) @ np.diag(signs)
    center: Points = np.array([view.left + view.width / 2, view.top + view.height / 2])
    middle = np.array([width / 2, height / 2])
    corners = boxes[:, [[0, 1], [2, 1], [2, 3], [0, 3]]].reshape(-1, 4, 2)
    turned = (corners - center) @ np.linalg.inv(matrix).T + middle
    areas = np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0.0), axis=1) / abs(np.linalg.det(matrix))
    results = [_visible_part(polygon, width, height) for polygon in turned]
    clipped = np.array([box for box, _ in results]).reshape(-1, 4)
    return _warped(image, matrix, center, size), clipped, areas, np.array([area for _, area in results])


def _visible_part(polygon: Points, width: float, height: float) -> tuple[tuple[float, float, float, float], float]:
    """Returns the smallest box around the part of a convex polygon inside the image, and the area of that part."""
    low, high = polygon.min(axis=0), polygon.max(axis=0)
    if (low >= 0).all() and high[0] <= width and high[1] <= height:
        x, y = polygon[:, 0], polygon[:, 1]
        return (*low, *high), abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2
    frame = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
    area, part = cv2.intersectConvexConvex(polygon.astype(np.float32), frame)
    if not area or part is None:
        return (0.0, 0.0, 0.0, 0.0), 0.0
    points = np.clip(part.reshape(-1, 2), 0.0, [width, height])
    return (*points.min(axis=0), *points.max(axis=0)), float(area)


def _warped(image: Pixels, matrix: NDArray[Any], center: Points, size: tuple[int, int]) -> Pixels:
    """Returns an affine transformation of an image: ``matrix`` is from the result to the image, about the centers."""
    factors = np.linalg.norm(matrix, axis=1)
    if factors.max() > _SMALLEST_REDUCTION:
        old = np.array([image.shape[1], image.shape[0]])
        new = np.maximum(1, np.round(old / np.maximum(factors, 1.0)).astype(int))
        image = np.asarray(Image.fromarray(image).resize(tuple(new.tolist()), Image.Resampling.BILINEAR))
        matrix, center = matrix * (new / old)[:, None], center * new / old
    # OpenCV counts from the centers of pixels.
    offset = center - matrix @ (np.array([size[1], size[0]]) / 2 - 0.5) - 0.5
    return cv2.warpAffine(  # type: ignore[return-value]
        image,
        np.column_stack([matrix, offset]),
        size[::-1],
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(FILL,) * 3,
    )
