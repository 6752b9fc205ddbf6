"""Anchors fitted to boxes: coverage computed manually, real and synthetic datasets, and KerasCV's own generator."""

from __future__ import annotations

import os
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

pytest.importorskip("tensorflow")

import keras_cv

from boxwright_kerascv.anchors import AnchorSettings, coverage, default_anchors, fit_anchors

pytestmark = pytest.mark.tensorflow

_DATA = Path(os.environ.get("BOXWRIGHT_SHARED_DATA") or Path(__file__).resolve().parents[3].parent / "shared" / "data")


def test_coverage_computed_manually() -> None:
    """Square anchors of 16 and 32; with one center, the IoU of a box inside another is the ratio of areas."""
    settings = AnchorSettings(sizes=(16, 32), scales=(1,), aspect_ratios=(1,))
    covered = {(16, 16): 1, (16, 8): 128 / 256, (40, 40): 1024 / 1600, (12, 12): 144 / 256}
    missed = {(16, 7): 112 / 256, (46, 46): 1024 / 2116, (4, 64): 64 / (256 + 256 - 64)}
    assert all(iou >= 0.5 for iou in covered.values())
    assert all(iou < 0.5 for iou in missed.values())
    for size in covered:
        assert coverage(np.array([size]), settings) == 1.0, size
    for size in missed:
        assert coverage(np.array([size]), settings) == 0.0, size
    assert coverage(np.array([*covered, *missed]), settings) == pytest.approx(4 / 7)


def test_shapes_are_width_and_height() -> None:
    """A ratio of 4 at a size of 10 is 20 wide and 5 high: the area stays 100."""
    settings = AnchorSettings(sizes=(10, 20), scales=(1, 2), aspect_ratios=(4,))
    np.testing.assert_allclose(settings.shapes(), [[20, 5], [40, 10], [40, 10], [80, 20]])
    assert settings.strides == (8, 16)
    assert settings.per_location == 2


def test_kerascv_generates_the_same_anchors() -> None:
    settings = fit_anchors(np.array([[12, 30], [40, 20], [25, 25], [60, 50.0]]), (96, 128))
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
                rows.append([(xmax - xmin) * size[0] / width, (ymax - ymin) * size[1] / height])
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
    assert coverage(boxes, settings) >= minimum
    assert len(settings.sizes) <= 5


def test_few_boxes_in_a_wide_range_are_covered() -> None:
    """Like the dataset fruits: a few dozen, from a tenth of the image to nearly all of it, some long."""
    chance = np.random.default_rng(0)
    sides = np.exp(chance.uniform(np.log(25), np.log(240), 40))
    ratios = np.exp(chance.normal(0, 0.35, 40))
    boxes = np.minimum(np.stack([sides * np.sqrt(ratios), sides / np.sqrt(ratios)], axis=1), 256)
    assert coverage(boxes, fit_anchors(boxes, (256, 256))) == 1.0


def test_many_nearly_equal_boxes_are_covered() -> None:
    """Like blood cells: thousands of one size, a few much smaller."""
    chance = np.random.default_rng(0)
    cells = chance.normal(42, 5, (3000, 2)).clip(20, 70)
    platelets = chance.normal(16, 2, (150, 2)).clip(10, 25)
    boxes = np.concatenate([cells, platelets])
    assert coverage(boxes, fit_anchors(boxes, (256, 320))) >= 0.99


def test_tiny_boxes_are_covered_down_to_five_pixels() -> None:
    boxes = np.full((50, 2), 5.0)
    settings = fit_anchors(boxes, (256, 256))
    assert coverage(boxes, settings) == 1.0
    assert coverage(boxes, default_anchors((256, 256))) == 0.0, "the default anchors do not cover them"


def test_long_boxes_have_long_anchors() -> None:
    boxes = np.tile([[120.0, 15.0], [110.0, 16.0]], (20, 1))
    settings = fit_anchors(boxes, (256, 256))
    assert coverage(boxes, settings) == 1.0
    assert max(settings.aspect_ratios) > 5


@pytest.mark.parametrize("boxes", [np.empty((0, 2)), np.zeros((3, 2)), np.array([[np.nan, 4], [5, -1], [np.inf, 2]])])
def test_without_a_usable_box_there_are_default_anchors(boxes: np.ndarray) -> None:
    assert fit_anchors(boxes, (128, 256)) == default_anchors((128, 256))
    assert coverage(boxes, default_anchors((128, 256))) == 1.0


def test_one_box_is_enough() -> None:
    boxes = np.array([[33.0, 71.0]])
    settings = fit_anchors(boxes, (128, 128))
    assert coverage(boxes, settings) == 1.0
    # At least two levels, so that objects are not only detected at a stride of 8 pixels.
    assert 2 <= len(settings.sizes) <= 5


def test_the_order_of_the_boxes_does_not_matter() -> None:
    boxes = np.random.default_rng(3).uniform(10, 200, (60, 2))
    assert fit_anchors(boxes, (256, 256)) == fit_anchors(boxes[::-1], (256, 256))


def test_settings_are_restored_from_json() -> None:
    settings = fit_anchors(np.array([[33.0, 71.0], [20, 20]]), (128, 128))
    assert AnchorSettings.from_dict(settings.to_dict()) == settings


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
    with pytest.raises(ValueError, match=r"\(N, 2\)"):
        fit_anchors(np.zeros((3, 4)), (128, 128))
