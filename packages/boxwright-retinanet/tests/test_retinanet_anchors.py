"""Anchors fitted to boxes: coverage computed manually, real and synthetic datasets, and KerasCV's own generator."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

pytest.importorskip("tensorflow")

import keras_cv

from boxwright_retinanet.anchors import AnchorSettings, coverage, default_anchors, fit_anchors
from boxwright_retinanet.fitting import fit_input

pytestmark = pytest.mark.tensorflow

_DATA = Path(os.environ.get("BOXWRIGHT_SHARED_DATA") or Path(__file__).resolve().parents[3].parent / "shared" / "data")


SIZE = (192, 256)


def placed(sides: Any, center: tuple[float, float] = (100, 100)) -> np.ndarray:
    """Boxes of a width and height, all with the same center."""
    half = np.asarray(sides, float) / 2
    return np.concatenate([np.array(center) - half, np.array(center) + half], axis=1)


def scattered(sides: np.ndarray, size: tuple[int, int], seed: int = 0) -> np.ndarray:
    """Boxes of a width and height, anywhere in an image of ``size`` (height, width)."""
    room = np.array(size[::-1]) - sides
    corner = np.random.default_rng(seed).uniform(0, 1, (len(sides), 2)) * room
    return np.concatenate([corner, corner + sides], axis=1)


def test_coverage_computed_manually() -> None:
    """Square anchors of 16 every 8 pixels and of 32 every 16: one of each has the center (40, 40) + 4 + 4.

    Within one center, the IoU of a box inside another is the ratio of areas.
    """
    settings = AnchorSettings(sizes=(16, 32), scales=(1,), aspect_ratios=(1,))
    at_16, at_32 = (44, 44), (40, 40)
    covered = {(16, 16): at_16, (16, 8): at_16, (40, 40): at_32, (12, 12): at_16}
    missed = {(16, 7): at_16, (46, 46): at_32, (4, 64): at_16}
    for sides, center in covered.items():
        assert coverage(placed([sides], center), settings, SIZE) == 1.0, sides
    for sides, center in missed.items():
        assert coverage(placed([sides], center), settings, SIZE) == 0.0, sides
    everything = np.concatenate([placed([sides], center) for sides, center in (covered | missed).items()])
    assert coverage(everything, settings, SIZE) == pytest.approx(4 / 7)


def test_coverage_depends_on_the_place() -> None:
    """16 pixels between four anchors of 16, 4 pixels from each center: 12 * 12 / (2 * 256 - 144) = 0.39.

    Half as far, 14 * 14 / (2 * 256 - 196) = 0.62.
    """
    settings = AnchorSettings(sizes=(16,), scales=(1,), aspect_ratios=(1,))
    assert coverage(placed([(16, 16)], (48, 48)), settings, SIZE) == 0.0
    assert coverage(placed([(16, 16)], (46, 46)), settings, SIZE) == 1.0
    finer = AnchorSettings(sizes=(16,), scales=(1,), aspect_ratios=(1,), first_level=2)
    assert coverage(placed([(16, 16)], (48, 48)), finer, SIZE) == 1.0, "the next center is 2 pixels away"


@pytest.mark.parametrize("first_level", [2, 3])
def test_coverage_is_that_of_all_of_kerascvs_anchors(first_level: int) -> None:
    """Of all anchors, only those near a box are measured: at most one box in a hundred, at an edge, is missed."""
    size = (96, 160)
    sides = np.exp(np.random.default_rng(1).uniform(np.log(5), np.log(90), (400, 2)))
    boxes = scattered(sides, size)
    settings = fit_anchors(boxes, size, first_level)
    generator = keras_cv.layers.AnchorGenerator(
        bounding_box_format="xyxy",
        sizes=list(settings.sizes),
        scales=list(settings.scales),
        aspect_ratios=list(settings.aspect_ratios),
        strides=list(settings.strides),
        clip_boxes=True,
    )
    anchors = np.concatenate([np.asarray(level) for level in generator(image_shape=(*size, 3)).values()])
    best = np.asarray(keras_cv.bounding_box.compute_iou(boxes.astype(np.float32), anchors, "xyxy")).max(axis=1)
    # A box whose IoU is 0.5 except for rounding may count or not.
    low, high = np.mean(best >= 0.5 + 1e-5), np.mean(best >= 0.5 - 1e-5)
    assert 0.3 < low < 0.99
    assert low - 0.01 <= coverage(boxes, settings, size) <= high


def test_shapes_are_width_and_height() -> None:
    """A ratio of 4 at a size of 10 is 20 wide and 5 high: the area stays 100."""
    settings = AnchorSettings(sizes=(10, 20), scales=(1, 2), aspect_ratios=(4,))
    np.testing.assert_allclose(settings.shapes(), [[20, 5], [40, 10], [40, 10], [80, 20]])
    assert settings.strides == (8, 16)
    assert settings.per_location == 2


def test_kerascv_generates_the_same_anchors() -> None:
    settings = fit_anchors(placed([[12, 30], [40, 20], [25, 25], [60, 50.0]], (60, 50)), (96, 128))
    generator = keras_cv.layers.AnchorGenerator(
        bounding_box_format="xyxy",
        sizes=list(settings.sizes),
        scales=list(settings.scales),
        aspect_ratios=list(settings.aspect_ratios),
        strides=list(settings.strides),
        clip_boxes=False,
    )
    levels = [np.asarray(level) for level in generator(image_shape=(96, 128, 3)).values()]
    assert len(levels) == len(settings.sizes)
    shapes = settings.shapes().reshape(len(settings.sizes), -1, 2)
    for level, stride, expected in zip(levels, settings.strides, shapes, strict=True):
        assert len(level) == settings.per_location * -(-96 // stride) * -(-128 // stride)
        first = level[: settings.per_location]
        sizes = first[:, 2:] - first[:, :2]
        np.testing.assert_allclose(sorted(sizes.tolist()), sorted(expected.tolist()), rtol=1e-4)


def _boxes_of(folder: Path, size: tuple[int, int]) -> np.ndarray:
    """Every box of a labelImg folder in pixels of an image of ``size`` (width, height)."""
    rows = []
    for file in sorted(folder.glob("*.xml")):
        root = ElementTree.parse(file).getroot()
        width, height = (float(root.findtext(f"size/{side}") or 0) for side in ("width", "height"))
        for box in root.iter("bndbox"):
            xmin, ymin, xmax, ymax = (float(box.findtext(name) or 0) for name in ("xmin", "ymin", "xmax", "ymax"))
            if xmax > xmin and ymax > ymin:
                rows.append(
                    np.array([xmin, ymin, xmax, ymax])
                    * np.array([*size, *size])
                    / np.array([width, height, width, height])
                )
    return np.array(rows)


@pytest.mark.parametrize(
    ("name", "size", "minimum"), [("fruits/train", (288, 256), 1.0), ("bccd/train", (320, 256), 0.99)]
)
def test_real_boxes_are_covered(name: str, size: tuple[int, int], minimum: float) -> None:
    folder = _DATA / name
    if not folder.is_dir():
        pytest.skip(f"{folder} not found; set BOXWRIGHT_SHARED_DATA")
    boxes = _boxes_of(folder, size)
    assert len(boxes) > 20
    settings = fit_anchors(boxes, size[::-1])
    assert coverage(boxes, settings, size[::-1]) >= minimum
    assert len(settings.sizes) <= 5


def test_few_boxes_in_a_wide_range_are_covered() -> None:
    """Like the dataset fruits: a few dozen, from a tenth of the image to nearly all of it, some long."""
    chance = np.random.default_rng(0)
    sides = np.exp(chance.uniform(np.log(25), np.log(240), 40))
    ratios = np.exp(chance.normal(0, 0.35, 40))
    sizes = np.minimum(np.stack([sides * np.sqrt(ratios), sides / np.sqrt(ratios)], axis=1), 256)
    boxes = scattered(sizes, (256, 256))
    assert coverage(boxes, fit_anchors(boxes, (256, 256)), (256, 256)) == 1.0


def test_many_nearly_equal_boxes_are_covered() -> None:
    """Like blood cells: thousands of one size, a few much smaller."""
    chance = np.random.default_rng(0)
    cells = chance.normal(42, 5, (3000, 2)).clip(20, 70)
    platelets = chance.normal(16, 2, (150, 2)).clip(10, 25)
    boxes = scattered(np.concatenate([cells, platelets]), (256, 320))
    assert coverage(boxes, fit_anchors(boxes, (256, 320)), (256, 320)) >= 0.98


def test_tiny_boxes_are_covered_by_a_finer_level() -> None:
    """8 pixels, anywhere: an anchor every 8 pixels covers those within 1.5 pixels of its center, a few in ten."""
    boxes = scattered(np.full((500, 2), 8.0), (480, 640))
    coarse, fine = (coverage(boxes, fit_anchors(boxes, (480, 640), level), (480, 640)) for level in (3, 2))
    assert coarse < 0.4
    assert fine > 0.8
    assert coverage(boxes, default_anchors((480, 640)), (480, 640)) == 0.0, "the default anchors do not cover them"


def test_small_objects_get_a_larger_input_and_only_then_a_finer_level() -> None:
    sizes = [(320, 256), (480, 352), (640, 480)]
    chosen = {}
    for side in (6, 20, 30, 60):
        relative = scattered(np.full((500, 2), float(side)), (480, 640)) / np.array([640, 480, 640, 480])
        found = fit_input(relative, sizes)
        chosen[side] = (found.image_size, found.first_level)
    assert chosen == {
        6: ((640, 480), 2),
        20: ((640, 480), 3),
        30: ((480, 352), 3),
        60: ((320, 256), 3),
    }
    assert fit_input(np.empty((0, 4)), sizes).image_size == (320, 256)
    assert fit_input(relative, sizes, (2,)).first_level == 2


def test_long_boxes_have_long_anchors() -> None:
    boxes = placed([[120.0, 15.0], [110.0, 16.0]] * 20, (100, 100))
    settings = fit_anchors(boxes, (256, 256))
    assert coverage(boxes, settings, (256, 256)) == 1.0
    assert max(settings.aspect_ratios) > 5


@pytest.mark.parametrize(
    "boxes", [np.empty((0, 4)), np.zeros((3, 4)), np.array([[0, 0, np.nan, 4], [5, 5, 9, 4], [0, 0, np.inf, 2]])]
)
def test_without_a_usable_box_there_are_default_anchors(boxes: np.ndarray) -> None:
    assert fit_anchors(boxes, (128, 256)) == default_anchors((128, 256))
    assert coverage(boxes, default_anchors((128, 256)), (128, 256)) == 1.0


def test_one_box_is_enough() -> None:
    boxes = placed([[33.0, 71.0]], (60, 62))
    settings = fit_anchors(boxes, (128, 128))
    assert coverage(boxes, settings, (128, 128)) == 1.0
    # At least two levels, so that objects are not only detected at a stride of 8 pixels.
    assert 2 <= len(settings.sizes) <= 5


def test_the_order_of_the_boxes_does_not_matter() -> None:
    boxes = scattered(np.random.default_rng(3).uniform(10, 200, (60, 2)), (256, 256))
    assert fit_anchors(boxes, (256, 256)) == fit_anchors(boxes[::-1], (256, 256))


def test_settings_are_restored_from_json() -> None:
    settings = fit_anchors(placed([[33.0, 71.0], [20, 20]]), (128, 128), 2)
    assert AnchorSettings.from_dict(settings.to_dict()) == settings
    older = {name: value for name, value in settings.to_dict().items() if name != "first_level"}
    assert AnchorSettings.from_dict(older).strides[0] == 8


@pytest.mark.parametrize(
    ("sizes", "scales", "ratios"),
    [((), (1,), (1,)), ((1, 2, 3, 4, 5, 6), (1,), (1,)), ((8,), (), (1,)), ((8,), (1,), (0,)), ((np.nan,), (1,), (1,))],
)
def test_invalid_anchors_are_errors(
    sizes: tuple[float, ...], scales: tuple[float, ...], ratios: tuple[float, ...]
) -> None:
    with pytest.raises(ValueError, match="anchor"):
        AnchorSettings(sizes, scales, ratios)


def test_boxes_of_another_shape_are_errors() -> None:
    with pytest.raises(ValueError, match=r"\(N, 4\)"):
        fit_anchors(np.ones((3, 2)), (128, 128))
