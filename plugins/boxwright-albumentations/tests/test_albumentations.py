"""Transforms of Albumentations: boxes must stay on colored rectangles; names and arguments are checked."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from boxwright import UsageError
from boxwright.models import ArrayAugmentation, make_augmenters
from boxwright_albumentations.augmenter import AlbumentationsAugmenter

BOXES = np.array([[20, 15, 70, 55], [85, 20, 135, 90], [25, 65, 75, 100]], np.float32)
TOLERANCE = 2.0
"""Pixels; a pixel belongs to a rectangle if at least half of it has its color."""


def example(boxes: np.ndarray = BOXES) -> dict[str, Any]:
    """Returns a gray image with a red, a green and a blue rectangle."""
    image = np.full((110, 150, 3), 114, np.uint8)
    for channel, (xmin, ymin, xmax, ymax) in enumerate(boxes.astype(int)):
        image[ymin:ymax, xmin:xmax] = 0
        image[ymin:ymax, xmin:xmax, channel] = 255
    return {"images": image, "boxes": boxes, "classes": np.arange(len(boxes)), "rows": np.arange(len(boxes)) * 10}


def colored_rectangle(image: np.ndarray, channel: int) -> Any:
    levels = image.astype(float)
    found = levels[..., channel] - np.delete(levels, channel, axis=2).max(axis=2) > 127
    rows, columns = np.flatnonzero(found.any(axis=1)), np.flatnonzero(found.any(axis=0))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


@pytest.mark.parametrize(
    "step",
    [
        "albumentations:HorizontalFlip,p=0.5",
        "albumentations:RandomResizedCrop,p=1,size=(110,150),scale=(0.4,1.0)",
        "albumentations:Affine,p=1,scale=(0.6,1.3),translate_percent=(-0.2,0.2)",
        "albumentations(CropAndPad,p=1,percent=(-0.2,0.2))",
        "albumentations:RandomBrightnessContrast,p=1,brightness_limit=0.05",
    ],
)
def test_each_box_encloses_its_rectangle(step: str) -> None:
    augmentation = ArrayAugmentation(make_augmenters([step]))
    original = example()
    checked, images = 0, set()
    for seed in range(30):
        result = augmentation(original, (seed, 1))
        images.add(result["images"].tobytes())
        assert (result["rows"] == result["classes"] * 10).all()
        for box, number in zip(result["boxes"], result["classes"], strict=True):
            np.testing.assert_allclose(colored_rectangle(result["images"], number), box, atol=TOLERANCE)
            checked += 1
    assert checked > 30
    assert len(images) > 1
    np.testing.assert_array_equal(original["images"], example()["images"])


def test_a_mirror_computed_manually() -> None:
    """(20, 15)-(70, 55) in 150x110 becomes (80, 15)-(130, 55)."""
    result = AlbumentationsAugmenter("HorizontalFlip", {"p": "1"}).augment(example(), np.random.default_rng(0))
    np.testing.assert_allclose(result["boxes"][0], [80, 15, 130, 55], atol=1e-4)
    np.testing.assert_array_equal(result["images"], example()["images"][:, ::-1])


def test_images_without_boxes_are_augmented() -> None:
    empty = example(np.zeros((0, 4), np.float32))
    result = AlbumentationsAugmenter("VerticalFlip", {"p": "1"}).augment(empty, np.random.default_rng(0))
    assert result["boxes"].shape == (0, 4)
    assert result["classes"].shape == (0,)


@pytest.mark.parametrize(
    ("name", "arguments", "named"),
    [
        ("RandomFogg", {}, "did you mean 'RandomFog'"),
        ("Normalize", {}, "there are"),
        ("RandomFog", {"density": "1"}, "it takes: .*p"),
        ("Blur", {"blur_limit": "wide"}, "documentation"),
    ],
)
def test_wrong_names_and_arguments_are_usage_errors(name: str, arguments: dict[str, str], named: str) -> None:
    with pytest.raises(UsageError) as caught:
        AlbumentationsAugmenter(name, arguments)
    assert re.search(named, caught.value.remedy)
