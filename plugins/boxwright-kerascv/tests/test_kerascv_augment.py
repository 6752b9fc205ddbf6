"""Augmenters: the box must stay on the object, a red rectangle whose position the tests find in the pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from boxwright_kerascv.augment import (  # noqa: E402
    AUGMENTERS,
    FILL,
    Augmentation,
    Color,
    Crop,
    Expand,
    Flip,
    Rotate90,
    Step,
    Stretch,
    VerticalFlip,
    resize,
)

pytestmark = pytest.mark.tensorflow

SEEDS = 150
WIDTH, HEIGHT = 150, 110
NETWORK = (96, 128)
BOX = (30, 20, 100, 80)
OTHERS = [(0, 0, 150, 110), (0, 0, 9, 9), (140, 100, 150, 110), (-20, -30, 40, 50), (70, 50, 71, 51)]
ALWAYS: Mapping[str, list[Any]] = {
    "crop": [Crop(probability=1.0, smallest=0.4)],
    "expand": [Expand(probability=1.0, largest=2.0)],
    "stretch": [Stretch(probability=1.0, largest=1.8)],
    "flip": [Flip()],
    "vertical-flip": [VerticalFlip()],
    "rotate-90": [Rotate90()],
    "all but color": [name for name in AUGMENTERS if name != "color"],
}


def image(box: tuple[int, int, int, int] = BOX, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """Returns a gray image, like the area outside images, with one red rectangle."""
    image = np.full((height, width, 3), FILL, np.uint8)
    xmin, ymin, xmax, ymax = box
    image[ymin:ymax, xmin:xmax] = (255, 0, 0)
    return image


def labelled(image: np.ndarray, boxes: Any = (BOX,)) -> Any:
    rows = np.array(boxes, np.float32).reshape(-1, 4)
    return {"images": tf.constant(image), "boxes": tf.constant(rows), "classes": tf.range(len(rows))}


def augmented(augmentation: Any, sample: Any, seeds: int = SEEDS) -> list[dict[str, np.ndarray]]:
    """Returns one result per seed, computed inside ``tf.data``, where the code is traced once."""
    pairs = tf.data.Dataset.range(seeds).map(lambda number: tf.stack([tf.constant(11, tf.int64), number]))
    return list(pairs.map(lambda seed: augmentation(sample, seed)).as_numpy_iterator())


def red_rectangle(image: np.ndarray) -> Any:
    """Returns the rectangle in which pixels are at least half red."""
    red = image[..., 0] - image[..., 1] > 127.5
    if not red.any():
        return None
    rows, columns = np.flatnonzero(red.any(axis=1)), np.flatnonzero(red.any(axis=0))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


@cache
def always(name: str) -> list[dict[str, np.ndarray]]:
    """Returns the results of many seeds, computed once for all tests."""
    return augmented(Augmentation(ALWAYS[name], NETWORK), labelled(image(), [BOX, *OTHERS]))


@pytest.mark.parametrize("name", ALWAYS)
def test_the_box_stays_on_the_object(name: str) -> None:
    kept = [result for result in always(name) if 0 in result["classes"]]
    assert len(kept) > SEEDS // 2
    places = set()
    for result in kept:
        assert result["images"].shape == (*NETWORK, 3)
        np.testing.assert_allclose(red_rectangle(result["images"]), result["boxes"][0], atol=1.0)
        places.add(tuple(np.round(result["boxes"][0])))
    assert len(places) > 1, "the augmenter changes something"


@pytest.mark.parametrize("name", ALWAYS)
def test_boxes_are_inside_the_image_with_sides_of_at_least_two_pixels(name: str) -> None:
    for result in always(name):
        found = result["boxes"]
        assert found.shape == (len(result["classes"]), 4)
        assert (found >= 0).all()
        assert (found <= [NETWORK[1], NETWORK[0]] * 2).all()
        assert (found[:, 2:] - found[:, :2] >= 2).all()
        assert result["classes"].tolist() == sorted(result["classes"].tolist()), "in the original order"


def test_mirrors_computed_manually() -> None:
    """(10, 20)-(40, 60) in 100x80 becomes (60, 20)-(90, 60) horizontally, and (10, 20)-(40, 60) vertically."""
    sample = labelled(image((10, 20, 40, 60), 100, 80), [(10, 20, 40, 60)])
    left_right = Augmentation([Flip(probability=1.0)], (80, 100))(sample, (1, 2))
    np.testing.assert_allclose(left_right["boxes"], [[60, 20, 90, 60]], atol=1e-4)
    np.testing.assert_allclose(left_right["images"], sample["images"][:, ::-1], atol=1e-3)
    top_bottom = Augmentation([VerticalFlip(probability=1.0)], (80, 100))(sample, (1, 2))
    np.testing.assert_allclose(top_bottom["boxes"], [[10, 20, 40, 60]], atol=1e-4)
    np.testing.assert_allclose(top_bottom["images"], sample["images"][::-1], atol=1e-3)


def test_a_rotation_by_90_degrees_computed_manually() -> None:
    """In a transposition, x and y are swapped; a square image is not cropped."""
    sample = labelled(image((10, 20, 40, 60), 80, 80), [(10, 20, 40, 60)])
    rotated = Augmentation([Rotate90(probability=1.0)], (80, 80))(sample, (1, 2))
    np.testing.assert_allclose(rotated["boxes"], [[20, 10, 60, 40]], atol=1e-4)
    np.testing.assert_allclose(rotated["images"], np.transpose(sample["images"], (1, 0, 2)), atol=1e-3)


@dataclass
class Window(Step):
    """A step that uses a fixed part of the image."""

    left: float
    top: float
    width: float
    height: float

    def view(self, view: Any, seed: Any) -> Any:
        view.left, view.top = tf.constant(float(self.left)), tf.constant(float(self.top))
        view.width, view.height = tf.constant(float(self.width)), tf.constant(float(self.height))
        return view


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((30, 10, 60, 40), (0, 10, 10, 40)),  # 10 of 30 columns remain: a third
        ((30, 10, 58, 40), None),  # 8 of 28: 0.286, less than 0.3
        ((60, 10, 61.5, 40), None),  # a side of a pixel and a half
        ((60, 10, 62, 40), (10, 10, 12, 40)),  # of two pixels
        ((0, 10, 50, 40), None),  # ends where the window begins
        ((60, 20, 60, 40), None),  # zero area
        ((90, 90, 120, 130), (40, 90, 70, 100)),  # extends beyond the window below, but not to the left or right
    ],
)
def test_the_remaining_part_of_a_box_computed_manually(
    box: tuple[float, ...], expected: tuple[float, ...] | None
) -> None:
    """A window of 100x100 whose left side is at 50."""
    sample = labelled(np.zeros((200, 200, 3), np.uint8), [box])
    result = Augmentation([Window(50, 0, 100, 100)], (100, 100))(sample, (0, 0))
    if expected is None or box == (90, 90, 120, 130):
        # 10 of 40 rows of the last one remain: a quarter.
        assert result["boxes"].shape == (0, 4)
        assert result["classes"].shape == (0,)
    else:
        np.testing.assert_allclose(result["boxes"], [expected])


def test_a_window_is_scaled_to_the_networks_size_computed_manually() -> None:
    """A window of 100x50 at 50x100: half as wide, twice as high; the area outside the image is gray."""
    sample = labelled(np.full((40, 100, 3), 200, np.uint8), [(20, 10, 60, 30)])
    result = Augmentation([Window(0, 0, 100, 50)], (100, 50))(sample, (0, 0))
    np.testing.assert_allclose(result["boxes"], [[10, 20, 30, 60]])
    image = result["images"].numpy()
    np.testing.assert_allclose(image[:79], 200, atol=1e-3)
    np.testing.assert_allclose(image[81:], FILL)


def test_randomness_depends_only_on_the_seed() -> None:
    augmentation = Augmentation(list(AUGMENTERS), NETWORK)
    first, again = (augmented(augmentation, labelled(image()), 12) for _ in range(2))
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one["images"], two["images"])
        np.testing.assert_array_equal(one["boxes"], two["boxes"])
    assert len({one["images"].tobytes() for one in first}) == 12


def test_the_random_choices_of_an_augmenter_do_not_depend_on_another() -> None:
    """Disabling one by its probability does not change the choices of the others."""
    both = augmented(Augmentation([Crop(1.0), Flip(0.0)], NETWORK), labelled(image()), 10)
    alone = augmented(Augmentation([Crop(1.0)], NETWORK), labelled(image()), 10)
    for one, two in zip(both, alone, strict=True):
        np.testing.assert_array_equal(one["images"], two["images"])


def test_images_without_boxes_are_augmented() -> None:
    for result in augmented(Augmentation(list(AUGMENTERS), NETWORK), labelled(image(), []), 10):
        assert result["boxes"].shape == (0, 4)
        assert result["classes"].shape == (0,)
        assert result["images"].shape == (*NETWORK, 3)


def test_a_probability_of_zero_changes_nothing() -> None:
    sample = labelled(image())
    plain = resize(sample, NETWORK)
    never = [make(probability=0.0) for make in AUGMENTERS.values()]
    for result in augmented(Augmentation(never, NETWORK), sample, 10):
        np.testing.assert_array_equal(result["images"], plain["images"])
        np.testing.assert_array_equal(result["boxes"], plain["boxes"])


def test_probability_is_the_frequency() -> None:
    """Of 400 fair coins, between 150 and 250 fall on one side, except once in a million."""
    results = augmented(Augmentation([Flip(probability=0.5)], (32, 32)), labelled(image()), 400)
    plain = resize(labelled(image()), (32, 32))["boxes"].numpy()
    mirrored = sum(not np.allclose(result["boxes"], plain, atol=0.5) for result in results)
    assert 150 < mirrored < 250


def test_without_augmenters_the_image_is_only_resized() -> None:
    same = labelled(image())
    result = resize(same, (HEIGHT, WIDTH))
    np.testing.assert_array_equal(result["images"], same["images"])
    np.testing.assert_array_equal(result["boxes"], same["boxes"])
    half = resize(same, (HEIGHT // 2, WIDTH // 2))
    np.testing.assert_allclose(half["boxes"], [[15, 10, 50, 40]], atol=1e-4)
    np.testing.assert_allclose(red_rectangle(half["images"].numpy()), [15, 10, 50, 40], atol=1)


def test_float_images_are_augmented_like_integers() -> None:
    integers, floats = labelled(image()), labelled(image().astype(np.float32))
    augmentation = Augmentation(["crop", "flip", "color"], NETWORK)
    for one, two in zip(augmented(augmentation, integers, 5), augmented(augmentation, floats, 5), strict=True):
        np.testing.assert_allclose(one["images"], two["images"], atol=1e-3)


def test_color_does_not_change_boxes_and_size() -> None:
    sample = labelled(image())
    plain = resize(sample, NETWORK)
    results = augmented(Augmentation([Color(probability=1.0)], NETWORK), sample)
    for result in results:
        np.testing.assert_array_equal(result["boxes"], plain["boxes"])
        assert result["images"].shape == (*NETWORK, 3)
        assert 0 <= result["images"].min() <= result["images"].max() <= 255
        assert not np.array_equal(result["images"], plain["images"])


def test_brightness_shifts_all_levels_alike() -> None:
    steps = [Color(probability=1.0, brightness=0.1, contrast=1.0, saturation=1.0, hue=0.0)]
    sample = labelled(np.full((20, 20, 3), (100, 120, 140), np.uint8), [])
    shifts = []
    for result in augmented(Augmentation(steps, (32, 32)), sample):
        change = result["images"] - [100, 120, 140]
        # The two matrices of the YIQ space are rounded to three digits: their product is not exactly the identity.
        assert np.ptp(change) < 0.5
        shifts.append(change.mean())
    assert -26 < min(shifts) < -15
    assert 15 < max(shifts) < 26


def test_contrast_keeps_the_mean_and_saturation_keeps_gray() -> None:
    halves = np.full((32, 32, 3), 100, np.uint8)
    halves[:16] = 140
    contrast = [Color(probability=1.0, brightness=0.0, contrast=1.5, saturation=1.0, hue=0.0)]
    spans = []
    for result in augmented(Augmentation(contrast, (32, 32)), labelled(halves, [])):
        assert result["images"].mean() == pytest.approx(120, abs=0.5)
        spans.append(np.ptp(result["images"]))
    assert 40 / 1.5 - 1 < min(spans) < 30
    assert 55 < max(spans) < 40 * 1.5 + 1
    chroma = [Color(probability=1.0, brightness=0.0, contrast=1.0, saturation=3.0, hue=0.4)]
    for result in augmented(Augmentation(chroma, (32, 32)), labelled(halves, [])):
        np.testing.assert_allclose(result["images"], halves, atol=1.5)


def test_an_unknown_augmenter_is_reported_with_the_available_ones() -> None:
    with pytest.raises(ValueError, match=r"'blurr'; there are crop, "):
        Augmentation(["blurr"], NETWORK)
