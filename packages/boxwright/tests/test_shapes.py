"""Boxes of shapes against numbers calculated by hand and pycocotools."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from boxwright.datasets import (
    Ellipse,
    Mask,
    Points,
    Polygon,
    Polyline,
    Rectangle,
    RefusedShapeError,
    Shape,
    ShapeError,
    ShapeRule,
    Skeleton,
    box_of_runs,
    packed_runs,
    pixels_of_runs,
    rotated,
    runs_of_pixels,
    shape_of,
    unpacked_runs,
)

SHAPES: list[Shape] = [
    Polygon.of([(1.0, 2.0), (20.0, 3.0), (9.0, 30.0)]),
    Polygon((((1.0, 2.0), (20.0, 3.0), (9.0, 30.0)), ((30.0, 30.0), (33.0, 30.0), (30.0, 35.0)))),
    Rectangle(10.0, 20.0, 50.0, 24.0, 90.0),
    Rectangle(10.0, 20.0, 50.0, 24.0, -33.3),
    Ellipse(20.0, 30.0, 5.0, 5.0),
    Ellipse(20.0, 30.0, 5.0, 3.0),
    Ellipse(20.0, 30.0, 5.0, 3.0, 30.0),
    Polyline(((1.0, 2.0), (20.0, 3.0))),
    Points(((1.0, 2.0), (20.0, 3.0))),
    Mask(64, 48, (48 * 10 + 20, 3, 45, 3, 48 * 53 - 23)),
    Skeleton(((1.0, 2.0), (20.0, 3.0)), (2, 1), ("head", "tail")),
]


def test_a_quarter_turn_about_the_center() -> None:
    """40 x 4 about (30, 22) becomes 4 x 40."""
    rectangle = Rectangle(10, 20, 50, 24, 90)
    assert rectangle.box == (28, 2, 32, 42)
    assert rectangle.corners == ((32, 2), (32, 42), (28, 42), (28, 2))  # the first is at the top left without rotation


def test_a_quarter_turn_about_the_top_left() -> None:
    """Label Studio's way: the corner (32, 24) stays, and what was right of it is below."""
    assert Rectangle.about_top_left(32, 24, 12.8, 9.6, 90).box == (22.4, 24, 32, 36.8)


def test_rotations_are_clockwise_as_displayed() -> None:
    """From the right of the pivot to below it; y points down."""
    assert rotated((11, 5), (1, 5), 90) == (1, 15)
    assert rotated((11, 5), (1, 5), 30) == pytest.approx((1 + 10 * math.sqrt(3) / 2, 10))


def test_a_rotated_ellipse() -> None:
    """Radii 5 and 3: at 90 degrees they are exchanged; at 45 both extents are sqrt((25 + 9) / 2)."""
    assert Ellipse(20, 30, 5, 3, 90).box == (17, 25, 23, 35)
    half = math.sqrt(17)
    assert Ellipse(20, 30, 5, 3, 45).box == pytest.approx((20 - half, 30 - half, 20 + half, 30 + half))


def test_a_skeleton_is_the_box_of_its_points_in_the_image() -> None:
    assert Skeleton(((1, 2), (900, 900), (5, 6)), (2, 0, 1)).box == (1, 2, 5, 6)


@pytest.mark.parametrize("reverse", [False, True])
def test_rectangles_from_their_corners(reverse: bool) -> None:
    corners = list(Rectangle(10, 20, 50, 24, 30).corners)
    found = Rectangle.from_corners([corners[0], *corners[:0:-1]] if reverse else corners)
    assert found is not None
    assert (found.xmin, found.ymin, found.xmax, found.ymax) == (10, 20, 50, 24)
    assert found.rotation == pytest.approx(30)
    assert Rectangle.from_corners([(0, 0), (10, 0), (12, 5), (0, 5)]) is None
    assert Rectangle.from_corners(corners[:3]) is None


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.kind)
def test_shapes_are_restored_from_their_attributes(shape: Shape) -> None:
    found = shape_of(shape.box, shape.attributes | {"note": "x"})
    assert found is not None
    assert found == (shape, frozenset(shape.attributes))
    xmin, ymin, xmax, ymax = shape.box
    assert shape_of((xmin, ymin, xmax, ymax + 1), shape.attributes) is None  # the box was changed


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"segmentation": []},
        {"segmentation": [[1, 2, 3]]},
        {"segmentation": [["a", "b"]]},
        {"segmentation": {"size": [2, 2], "counts": [1, "x"]}},
        {"segmentation": {"counts": []}},
        {"segmentation": 3},
        {"shape": {"name": "star"}},
        {"shape": {"name": "circle", "cx": "1"}},
        {"shape": {"name": "polyline", "all_points_x": [1], "all_points_y": []}},
        {"keypoints": [1, 2]},
        {"rotation": 5},
    ],
)
def test_other_attributes_are_not_shapes(attributes: dict[str, Any]) -> None:
    assert shape_of((0, 0, 1, 1), attributes) is None


@pytest.mark.parametrize("value", [math.nan, math.inf, "1", None, True, 10**400])
def test_coordinates_that_are_not_finite_numbers(value: Any) -> None:
    for shape in (Polygon.of([(value, 1), (2, 3)]), Ellipse(value, 1, 2, 3), Rectangle(value, 1, 2, 3, 0)):
        with pytest.raises(ShapeError, match="not a finite number"):
            _ = shape.box


def test_the_rule() -> None:
    boxes = ShapeRule("box")
    polygon, upright, point = SHAPES[0], Rectangle(1, 2, 3, 4, 360), Points(((5, 5),))
    assert boxes(polygon) == ((1, 2, 20, 30), {"segmentation": [[1, 2, 20, 3, 9, 30]]})
    assert boxes(upright) == ((1, 2, 3, 4), {})
    assert boxes(point) is None  # it has no extent
    assert boxes.totals() == {("boxed", "polygon"): 1, ("left out", "point"): 1}
    skip, fail = ShapeRule("skip"), ShapeRule("fail")
    assert (skip(polygon), skip(upright)) == (None, ((1, 2, 3, 4), {}))
    assert fail(upright) == ((1, 2, 3, 4), {})
    with pytest.raises(RefusedShapeError, match="not an upright box, but an ellipse"):
        fail(Ellipse(1, 2, 3, 4))


@pytest.mark.parametrize("seed", range(20))
def test_runs_are_those_of_pycocotools(seed: int) -> None:
    coco = pytest.importorskip("pycocotools.mask")
    chance = np.random.default_rng(seed)
    rows, columns = chance.integers(1, 9, 2)
    left, top = chance.integers(-3, 8, 2)
    part = chance.random((rows, columns)) < 0.5
    whole = np.zeros((14, 12), dtype=np.uint8)
    for row, column in zip(*np.nonzero(part), strict=True):
        if 0 <= top + row < 14 and 0 <= left + column < 12:
            whole[top + row, left + column] = 1
    runs = runs_of_pixels(part, int(left), int(top), 12, 14)
    packed = coco.encode(np.asfortranarray(whole))
    assert coco.frPyObjects({"size": [14, 12], "counts": list(runs)}, 14, 12)["counts"] == packed["counts"]
    assert list(runs) == unpacked_runs(packed["counts"].decode())
    assert packed_runs(runs) == packed["counts"].decode()
    if whole.any():
        box = box_of_runs(runs, 14, 12)
        x, y, width, height = coco.toBbox(packed).tolist()
        assert box == (x, y, x + width, y + height)
        inside = whole[int(box[1]) : int(box[3]), int(box[0]) : int(box[2])]
        assert (pixels_of_runs(runs, 14, box) == inside).all()


def test_a_huge_mask_is_not_expanded() -> None:
    with pytest.raises(ValueError, match="the mask covers more than"):
        pixels_of_runs((0, 10**12), 10**6, (0, 0, 10**6, 10**6))


def test_corners_of_any_size_and_order_have_an_end() -> None:
    assert Rectangle.from_corners([(1, 2), (1e20, 3), (5, 1e20), (4, -1e20)]) is None
    turned = [(32.0, 2.0), (28.0, 2.0), (28.0, 42.0), (32.0, 42.0)]  # counterclockwise
    found = Rectangle.from_corners(turned)
    assert found is not None
    assert found.box == (28, 2, 32, 42)
