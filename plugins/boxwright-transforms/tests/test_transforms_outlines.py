"""Polygons and areas of boxes: computed manually, and compared with Pillow and shapely."""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from boxwright import Boxes
from boxwright_transforms.outlines import (
    clip_attributes,
    clip_polygon,
    parse_polygons,
    polygon_area,
    rotate_points,
    shift_attributes,
    transform_boxes,
)

SQUARE = [[10.0, 10.0, 30.0, 10.0, 30.0, 30.0, 10.0, 30.0]]
RLE = {"counts": [1, 2, 3], "size": [2, 3]}


def test_polygons_and_areas_are_transformed_with_their_boxes() -> None:
    boxes = Boxes(
        ["fig", "fig", "fig"],
        [(10, 10, 30, 30)] * 3,
        [{"segmentation": SQUARE, "area": 400, "difficult": 1}, {"segmentation": RLE, "area": 7.0}, {}],
    )
    edges = np.array([[5.0, 20.0, 15.0, 60.0]] * 3)
    moved, masks = transform_boxes(boxes, edges, lambda points: points * (0.5, 2.0), 1.0)
    assert masks == 1
    assert moved.coordinates == ((5.0, 20.0, 15.0, 60.0),) * 3
    assert [dict(row) for row in moved.attributes] == [
        {"segmentation": [[5.0, 20.0, 15.0, 20.0, 15.0, 60.0, 5.0, 60.0]], "area": 400.0, "difficult": 1},
        {"area": 7.0},
        {},
    ]
    assert list(moved.attributes[0]) == ["segmentation", "area", "difficult"], "the order of the attributes changed"
    assert boxes.attributes[0]["segmentation"] == [[10.0, 10.0, 30.0, 10.0, 30.0, 30.0, 10.0, 30.0]]


def test_clipping_a_square_in_half() -> None:
    row, dropped = clip_attributes({"segmentation": SQUARE, "area": 400.0}, (20, 0, 100, 100), 400.0, 200.0)
    assert dropped == []
    assert row["area"] == 200.0
    (polygon,) = row["segmentation"]
    points = set(zip(polygon[::2], polygon[1::2], strict=True))
    assert points == {(0.0, 10.0), (10.0, 10.0), (10.0, 30.0), (0.0, 30.0)}


def test_areas_after_clipping() -> None:
    """The area is that of the outline, else that of the part if it was that of the box; else it is dropped."""
    triangle = [[10.0, 10.0, 30.0, 10.0, 10.0, 30.0]]  # half of the square; left of x = 20: 200 - 50
    row, dropped = clip_attributes({"segmentation": triangle, "area": 200.0}, (0, 0, 20, 100), 400.0, 200.0)
    assert (row["area"], dropped) == (150.0, [])
    assert clip_attributes({"area": 400.0}, (0, 0, 20, 100), 400.0, 200.0) == ({"area": 200.0}, [])
    assert clip_attributes({"area": 317.0, "pose": "Left"}, (0, 0, 20, 100), 400.0, 200.0) == (
        {"pose": "Left"},
        ["area"],
    )
    assert clip_attributes({"segmentation": RLE, "area": 317.0}, (0, 0, 20, 100), 400.0, 200.0) == (
        {},
        ["segmentation", "area"],
    )
    assert clip_attributes({"area": "large"}, (0, 0, 20, 100), 400.0, 200.0) == ({}, ["area"])


def test_a_polygon_completely_outside_the_window_is_removed() -> None:
    row, dropped = clip_attributes({"segmentation": SQUARE, "area": 400.0}, (50, 50, 90, 90), 6400.0, 1600.0)
    assert (row, dropped) == ({"segmentation": [], "area": 0}, [])


def test_shifting() -> None:
    assert shift_attributes({"segmentation": SQUARE, "area": 400.0}, 10, 5) == (
        {"segmentation": [[0.0, 5.0, 20.0, 5.0, 20.0, 25.0, 0.0, 25.0]], "area": 400.0},
        [],
    )
    assert shift_attributes({"segmentation": RLE, "area": 5}, 10, 5) == ({"area": 5}, ["segmentation"])
    assert shift_attributes({"difficult": 1}, 10, 5) == ({"difficult": 1}, [])


@pytest.mark.parametrize(
    "segmentation",
    [
        RLE,
        "polygon",
        3,
        None,
        [[1, 2, 3]],
        [["a", "b"]],
        [[math.nan, 1.0]],
        [[1e400, 0.0]],
        [[[1, 2], [3, 4]]],
        [5],
        [None],
    ],
)
def test_invalid_polygons_are_dropped_and_reported(segmentation: Any) -> None:
    assert parse_polygons(segmentation) is None
    assert shift_attributes({"segmentation": segmentation}, 1, 1) == ({}, ["segmentation"])


def star(chance: random.Random) -> list[tuple[float, float]]:
    """Returns a concave polygon that does not intersect itself."""
    angles = sorted(chance.uniform(0, 2 * math.pi) for _ in range(chance.randint(3, 12)))
    return [(400 + r * math.cos(a), 400 + r * math.sin(a)) for a in angles for r in [chance.uniform(80, 450)]]


@pytest.mark.parametrize("seed", range(25))
def test_a_clipped_polygon_covers_the_pixels_that_pillow_draws(seed: int) -> None:
    chance = random.Random(seed)
    points = star(chance)
    window = (chance.randint(0, 300), chance.randint(0, 300), chance.randint(450, 800), chance.randint(450, 800))
    whole = Image.new("L", (800, 800))
    ImageDraw.Draw(whole).polygon(points, fill=1)
    pixels = int(np.asarray(whole.crop(window)).sum())
    polygon = clip_polygon(np.array(points), window)
    circumference = 8 * 450  # each border pixel may count or not
    assert polygon_area(polygon) == pytest.approx(pixels, abs=circumference / 2)
    assert polygon[:, 0].min() >= window[0] - 1e-9
    assert polygon[:, 1].max() <= window[3] + 1e-9


@pytest.mark.parametrize(
    ("window", "area"),
    # Computed with shapely 2.2.0: Polygon(arrow).intersection(box(*window)).area
    [
        ((0, 0, 100, 100), 1200.0),
        ((0, 0, 50, 100), 600.0),
        ((0, 0, 100, 20), 57.14285714285715),
        ((45, 0, 55, 100), 281.25),
    ],
)
def test_a_concave_polygon_is_clipped_as_in_shapely(window: tuple[int, int, int, int], area: float) -> None:
    arrow = np.array([(10.0, 80.0), (50.0, 10.0), (90.0, 80.0), (50.0, 40.0)])
    assert polygon_area(clip_polygon(arrow, window)) == pytest.approx(area)


def test_points_rotate_as_pixels_in_pillow() -> None:
    """A pixel at (5, 2) of 10x6; its center is compared with ImageOps."""
    from PIL import ImageOps

    for orientation in range(1, 9):
        image = Image.new("L", (10, 6))
        image.putpixel((5, 2), 255)
        exif = image.getexif()
        exif[0x0112] = orientation
        turned = np.asarray(ImageOps.exif_transpose(image))
        ((row, column),) = np.argwhere(turned)
        assert rotate_points(np.array([[5.5, 2.5]]), orientation, (10, 6)).tolist() == [[column + 0.5, row + 0.5]]
