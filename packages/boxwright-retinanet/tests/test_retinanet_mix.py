"""Augmenters that combine images: each box must enclose a rectangle of the color of its class."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest

from boxwright.models import ArrayAugmentation
from boxwright_retinanet.augment import Flip, Rotate
from boxwright_retinanet.mix import CopyPaste, MixUp, Mosaic

COLORS = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0))
GRAY = 114
TOLERANCE = 1.0
"""Pixels; a pixel belongs to a rectangle if at least half of it has its color."""


def scene(boxes: Sequence[tuple[int, int, int, int, int]], width: int = 120, height: int = 90) -> dict[str, Any]:
    """Returns an image with rectangles, each with the color of its class, the last number."""
    image = np.full((height, width, 3), GRAY, np.uint8)
    for xmin, ymin, xmax, ymax, number in boxes:
        image[ymin:ymax, xmin:xmax] = COLORS[number]
    rows = np.array([box[:4] for box in boxes], np.float32).reshape(-1, 4)
    classes = np.array([box[4] for box in boxes], np.int64)
    return {"images": image, "boxes": rows, "classes": classes, "rows": classes * 10}


SCENES = [
    scene([(10, 10, 80, 60, 0)]),
    scene([(20, 20, 60, 60, 1)], 100, 100),
    scene([], 60, 140),
    scene([(5, 5, 95, 60, 2), (100, 70, 190, 140, 3)], 200, 150),
]
"""No two of them have a color in common."""


def mixed(steps: Sequence[Any], seeds: int = 80, scenes: Sequence[Any] = tuple(SCENES)) -> list[dict[str, Any]]:
    """Returns results whose other images are the following scenes, in turns."""
    augmentation = ArrayAugmentation(steps)
    results = []
    for seed in range(seeds):
        following = itertools.cycle([*scenes[seed % len(scenes) + 1 :], *scenes[: seed % len(scenes) + 1]])
        augmentation.draw_from(partial(lambda them, _: next(them), following), [each["classes"] for each in scenes])
        results.append(augmentation(scenes[seed % len(scenes)], (5, seed)))
    return results


def pixels_of(image: np.ndarray, number: int) -> np.ndarray:
    """Returns where a pixel is at least half of the color of a class, the other half being gray."""
    distance = np.abs(image.astype(float) - COLORS[number]).max(axis=2)
    return np.asarray(distance <= max(abs(level - GRAY) for level in COLORS[number]) / 2)


def bounds(mask: np.ndarray) -> Any:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


@pytest.mark.parametrize("steps", [[Mosaic(1.0)], [CopyPaste(1.0, most=1)], [Mosaic(1.0), Flip(1.0)]], ids=str)
def test_each_box_encloses_its_rectangle(steps: list[Any]) -> None:
    checked = 0
    for result, original in zip(mixed(steps), SCENES * 20, strict=True):
        assert result["images"].shape == original["images"].shape
        assert result["images"].dtype == np.uint8
        assert (result["rows"] == result["classes"] * 10).all()
        for box, number in zip(result["boxes"], result["classes"], strict=True):
            mask = pixels_of(result["images"], int(number))
            np.testing.assert_allclose(bounds(mask), box, atol=TOLERANCE)
            xmin, ymin, xmax, ymax = np.rint(box).astype(int)
            assert mask[ymin + 1 : ymax - 1, xmin + 1 : xmax - 1].all(), "it has the color of its class"
            checked += 1
    assert checked > 30


def test_a_mosaic_shows_parts_of_four_images() -> None:
    """Four images of one color each: the colors are in four quarters that meet in the middle half."""
    scenes = [scene([(0, 0, 120, 90, number)]) for number in range(4)]
    corners, sums = set(), []
    for result in mixed([Mosaic(1.0)], 60, scenes):
        image = result["images"]
        corners.add(tuple(tuple(image[y, x].tolist()) for y in (0, -1) for x in (0, -1)))
        assert all(tuple(image[y, x]) in COLORS for y in (0, -1) for x in (0, -1))
        meets = {(int(box[0]), int(box[1])) for box in result["boxes"]} - {(0, 0)}
        assert all(x == 0 or 30 <= x <= 90 for x, _ in meets)
        assert all(y == 0 or 22 <= y <= 68 for _, y in meets)
        sums.append(sum((box[2] - box[0]) * (box[3] - box[1]) for box in result["boxes"]))
    assert len(corners) >= 10
    # Where none of the four boxes is dropped, they cover the image.
    assert max(sums) == pytest.approx(120 * 90)


def test_a_mosaic_does_not_enlarge_beyond_what_is_necessary() -> None:
    """Of images of the same size, parts are shown at half of their scale up to their scale."""
    scenes = [scene([(40, 30, 60, 50, 0)])]
    sizes = [box[2] - box[0] for result in mixed([Mosaic(1.0)], 200, scenes) for box in result["boxes"]]
    whole = [size for size in sizes if size > 9]
    assert len(whole) > 100
    assert max(whole) < 20.5
    assert min(whole) < 14


def test_mixup_is_the_weighted_mean_with_the_boxes_of_both() -> None:
    """Of black and white images, the level is the share; of a beta distribution, its mean is one half."""
    black, white = scene([(0, 0, 50, 40, 0)]), scene([(20, 20, 60, 60, 1)], 60, 45)
    black["images"][:], white["images"][:] = 0, 255
    augmentation = ArrayAugmentation([MixUp(1.0, alpha=2.0)])
    augmentation.draw_from(lambda index: white, [white["classes"]])
    results = [augmentation(black, (seed, 1)) for seed in range(200)]
    levels = np.array([result["images"].mean() / 255 for result in results])
    assert all(np.ptp(result["images"]) == 0 for result in results)
    # A beta distribution with two parameters a has the variance 1 / (4 * (2 * a + 1)).
    assert levels.mean() == pytest.approx(0.5, abs=0.06)
    assert levels.var() == pytest.approx(1 / 20, rel=0.3)
    np.testing.assert_allclose(results[0]["boxes"], [[0, 0, 50, 40], [40, 40, 120, 90]])
    assert results[0]["classes"].tolist() == [0, 1]


def test_each_class_is_pasted_equally_often() -> None:
    """One class has 1 of 40 objects, in one of 21 images; it is a third of what is pasted."""
    scenes = [scene([(0, 0, 10, 10, 0), (20, 0, 30, 10, 1)], 200, 150) for _ in range(19)]
    scenes += [scene([(0, 0, 10, 10, 0), (20, 20, 30, 30, 2)], 200, 150), scene([], 200, 150)]
    augmentation = ArrayAugmentation([CopyPaste(1.0, most=1)])
    augmentation.draw_from(lambda index: scenes[index], [each["classes"] for each in scenes])
    pasted: Counter[int] = Counter()
    for seed in range(600):
        pasted.update(augmentation(scenes[-1], (seed, 3))["classes"].tolist())
    assert sum(pasted.values()) == 600
    # 200 each; 60 is more than five standard deviations.
    assert all(140 < pasted[number] < 260 for number in range(3))


def test_pasted_objects_cover_no_other() -> None:
    target = scene([(10, 10, 60, 80, 0), (70, 5, 115, 85, 1)])
    scenes = [target, scene([(10, 10, 35, 30, 2), (50, 50, 70, 80, 3)])]
    added = 0
    for result in mixed([CopyPaste(1.0, most=5)], 100, scenes):
        boxes = result["boxes"].tolist()
        for place, one in enumerate(boxes):
            for two in boxes[place + 1 :]:
                assert one[2] <= two[0] or two[2] <= one[0] or one[3] <= two[1] or two[3] <= one[1]
        added += len(boxes) > 2
    assert added > 10


def test_a_probability_of_zero_draws_no_image() -> None:
    def no_load(index: int) -> dict[str, Any]:
        raise AssertionError("an image was drawn")

    for step in (Mosaic(0.0), MixUp(0.0), CopyPaste(0.0)):
        augmentation = ArrayAugmentation([step])
        augmentation.draw_from(no_load, [each["classes"] for each in SCENES])
        assert augmentation(SCENES[0], (1, 2)) is SCENES[0]


def test_mixed_images_are_then_augmented() -> None:
    for result in mixed([Mosaic(1.0), Rotate(1.0, degrees=5.0)], 10):
        assert result["images"].dtype == np.uint8


def test_settings_out_of_range_are_errors() -> None:
    with pytest.raises(ValueError, match="alpha"):
        MixUp(alpha=0.0)
    with pytest.raises(ValueError, match="most"):
        CopyPaste(most=0)
