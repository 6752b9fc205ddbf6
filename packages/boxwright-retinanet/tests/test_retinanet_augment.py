"""Augmenters on arrays: the boxes must stay on the objects, colored rectangles that the tests find in the pixels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

from boxwright.images import decode_image, encode_jpeg
from boxwright.models import ArrayAugmentation, AugmenterChoice
from boxwright_retinanet.augment import (
    AUGMENTERS,
    Blur,
    Color,
    Combined,
    Crop,
    Expand,
    Flip,
    Jpeg,
    Rotate,
    Rotate90,
    Sharpness,
    Shear,
    Step,
    Stretch,
    VerticalFlip,
)
from boxwright_retinanet.warp import FILL, View, resample

SEEDS = 60
WIDTH, HEIGHT = 150, 110
NETWORK = (96, 128)
BOXES = ((20, 15, 70, 55), (85, 20, 135, 90), (25, 65, 75, 100))
OTHERS = [(0, 0, 150, 110), (0, 0, 9, 9), (140, 100, 150, 110), (-20, -30, 40, 50), (70, 50, 71, 51)]
ALWAYS: Mapping[str, list[Any]] = {
    "crop": [Crop(probability=1.0, smallest=0.4)],
    "expand": [Expand(probability=1.0, largest=2.0)],
    "stretch": [Stretch(probability=1.0, largest=1.8)],
    "flip": [Flip()],
    "vertical-flip": [VerticalFlip()],
    "rotate-90": [Rotate90()],
    "rotate": [Rotate(probability=1.0, degrees=45.0)],
    "shear": [Shear(probability=1.0, factor=0.4)],
    "color": [Color(probability=1.0, brightness=0.05, hue=0.02)],
    "sharpness": [Sharpness(probability=1.0)],
    "blur": [Blur(probability=1.0)],
    "jpeg": [Jpeg(probability=1.0)],
    "choice": [AugmenterChoice((Flip(1.0), Rotate(1.0), None), (0.4, 0.4, 0.2))],
    "all": [make() for make in AUGMENTERS.values()],
}
TOLERANCE = 1.0
"""Pixels; a pixel belongs to a rectangle if at least half of it has its color."""
TOLERANCES = dict.fromkeys(("rotate", "shear", "choice", "jpeg", "all"), 2.0)
"""The corner of a rotated rectangle is a wedge, of which the last pixels are less than half colored, and JPEG stores
colors at half the resolution."""


def image(boxes: Sequence[tuple[int, ...]] = BOXES, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """Returns a gray image, like the area outside images, with a red, a green and a blue rectangle."""
    image = np.full((height, width, 3), FILL, np.uint8)
    for channel, (xmin, ymin, xmax, ymax) in enumerate(boxes):
        image[ymin:ymax, xmin:xmax] = 0
        image[ymin:ymax, xmin:xmax, channel] = 255
    return image


def labelled(image: np.ndarray, boxes: Any = BOXES) -> dict[str, np.ndarray]:
    rows = np.array(boxes, np.float32).reshape(-1, 4)
    return {"images": image, "boxes": rows, "classes": np.arange(len(rows)), "rows": np.arange(len(rows)) * 10}


def augmented(
    steps: Sequence[Any], example: Any, size: tuple[int, int] | None = NETWORK, seeds: int = SEEDS
) -> list[dict[str, np.ndarray]]:
    """Returns one result per seed, at a size as in training, or at the size of the image."""
    augmentation = ArrayAugmentation([*steps, *([Combined((), size)] if size else [])])
    return [augmentation(example, (11, seed)) for seed in range(seeds)]


def colored_rectangle(image: np.ndarray, channel: int) -> Any:
    """Returns the rectangle around the pixels in which a channel dominates by at least half of the full contrast."""
    levels = image.astype(float)
    others = np.delete(levels, channel, axis=2).max(axis=2)
    found = levels[..., channel] - others
    found = found > max(40.0, np.percentile(found, 99) / 2)
    if not found.any():
        return None
    rows, columns = np.flatnonzero(found.any(axis=1)), np.flatnonzero(found.any(axis=0))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


@cache
def always(name: str) -> list[dict[str, np.ndarray]]:
    """Returns the results of many seeds, computed once for all tests."""
    return augmented(ALWAYS[name], labelled(image(), [*BOXES, *OTHERS]))


@pytest.mark.parametrize("name", ALWAYS)
def test_each_box_encloses_its_rectangle(name: str) -> None:
    places = set()
    checked = 0
    for result in always(name):
        assert result["images"].shape == (*NETWORK, 3)
        for box, number in zip(result["boxes"], result["classes"], strict=True):
            if number < len(BOXES):
                tolerance = TOLERANCES.get(name, TOLERANCE)
                np.testing.assert_allclose(colored_rectangle(result["images"], number), box, atol=tolerance)
                checked += 1
        places.add(result["images"].tobytes())
    assert checked > SEEDS
    assert len(places) > 1, "the augmenter changes something"


@pytest.mark.parametrize("name", ALWAYS)
def test_boxes_are_inside_the_image_with_sides_of_at_least_two_pixels(name: str) -> None:
    for result in always(name):
        found = result["boxes"]
        assert found.dtype == np.float32
        assert found.shape == (len(result["classes"]), 4)
        assert (found >= 0).all()
        assert (found <= [NETWORK[1], NETWORK[0]] * 2).all()
        assert (found[:, 2:] - found[:, :2] >= 2 - 1e-2).all()
        assert result["classes"].tolist() == sorted(result["classes"].tolist()), "in the original order"
        assert (result["rows"] == result["classes"] * 10).all(), "other arrays are selected with the boxes"


def test_mirrors_computed_manually() -> None:
    """(10, 20)-(40, 60) in 100x80 becomes (60, 20)-(90, 60) horizontally, and (10, 20)-(40, 60) vertically."""
    sample = labelled(image([(10, 20, 40, 60)], 100, 80), [(10, 20, 40, 60)])
    (left_right,) = augmented([Flip(probability=1.0)], sample, None, 1)
    np.testing.assert_array_equal(left_right["boxes"], [[60, 20, 90, 60]])
    np.testing.assert_array_equal(left_right["images"], sample["images"][:, ::-1])
    (top_bottom,) = augmented([VerticalFlip(probability=1.0)], sample, None, 1)
    np.testing.assert_array_equal(top_bottom["boxes"], [[10, 20, 40, 60]])
    np.testing.assert_array_equal(top_bottom["images"], sample["images"][::-1])


def test_a_rotation_by_90_degrees_computed_manually() -> None:
    """In a transposition, x and y are swapped; a square image is not cropped."""
    sample = labelled(image([(10, 20, 40, 60)], 80, 80), [(10, 20, 40, 60)])
    (rotated,) = augmented([Rotate90(probability=1.0)], sample, None, 1)
    np.testing.assert_array_equal(rotated["boxes"], [[20, 10, 60, 40]])
    np.testing.assert_array_equal(rotated["images"], np.transpose(sample["images"], (1, 0, 2)))


@dataclass
class Turn(Step):
    """A step that rotates or shears by a fixed matrix, or uses a fixed part of the image."""

    linear: Any = None
    window: tuple[float, float, float, float] | None = None

    def view(self, view: View, random: np.random.Generator) -> None:
        if self.linear is not None:
            view.turn(np.array(self.linear, float))
        if self.window is not None:
            view.left, view.top, view.width, view.height = self.window


def test_a_quarter_turn_computed_manually() -> None:
    """About the center of 100x100, clockwise: (x, y) moves to (100 - y, x)."""
    sample = labelled(image([(10, 20, 40, 60)], 100, 100), [(10, 20, 40, 60)])
    (turned,) = augmented([Turn(((0, -1), (1, 0)))], sample, None, 1)
    np.testing.assert_allclose(turned["boxes"], [[40, 10, 80, 40]], atol=1e-4)
    np.testing.assert_allclose(turned["images"], np.rot90(sample["images"], -1), atol=2)


def test_a_rotation_by_45_degrees_computed_manually() -> None:
    """A square of 40x40 in the center of 100x100 becomes a diamond of 40 * sqrt(2), of half that radius."""
    sample = labelled(image([(30, 30, 70, 70)], 100, 100), [(30, 30, 70, 70)])
    half = math.sqrt(0.5)
    (turned,) = augmented([Turn(((half, -half), (half, half)))], sample, None, 1)
    radius = 20 * math.sqrt(2)
    np.testing.assert_allclose(turned["boxes"], [[50 - radius, 50 - radius, 50 + radius, 50 + radius]], atol=1e-3)


def test_a_shear_computed_manually() -> None:
    """A row moves by half its distance from the center: (40, 30)-(60, 70) to (30, 30)-(70, 70)."""
    sample = labelled(image([(40, 30, 60, 70)], 100, 100), [(40, 30, 60, 70)])
    (sheared,) = augmented([Turn(((1, 0.5), (0, 1)))], sample, None, 1)
    np.testing.assert_allclose(sheared["boxes"], [[30, 30, 70, 70]], atol=1e-4)


@pytest.mark.parametrize("left", [40.0, 60.0, 67.0])
def test_a_turned_box_is_the_smallest_around_its_visible_part(left: float) -> None:
    """Pillow draws the square, turned by 45 degrees about the center of the window, at eight times the size."""
    sample = labelled(np.zeros((100, 100, 3), np.uint8), [(30, 30, 70, 70)])
    half = math.sqrt(0.5)
    matrix = np.array([(half, -half), (half, half)])
    (turned,) = augmented([Turn(matrix, (left, 0.0, 100.0, 100.0))], sample, None, 1)
    corners = np.array([(30, 30), (70, 30), (70, 70), (30, 70)]) - [left + 50, 50]
    drawn = Image.new("L", (800, 800))
    ImageDraw.Draw(drawn).polygon([tuple(point * 8) for point in corners @ matrix.T + 50], fill=255)
    rows, columns = np.nonzero(np.asarray(drawn))
    bounds = [columns.min() / 8, rows.min() / 8, (columns.max() + 1) / 8, (rows.max() + 1) / 8]
    np.testing.assert_allclose(turned["boxes"], [bounds], atol=0.3)


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((30, 10, 60, 40), (0, 10, 10, 40)),  # 10 of 30 columns remain: a third
        ((30, 10, 58, 40), None),  # 8 of 28: 0.286, less than 0.3
        ((60, 10, 61.5, 40), None),  # a side of a pixel and a half
        ((60, 10, 62, 40), (10, 10, 12, 40)),  # of two pixels
        ((0, 10, 50, 40), None),  # ends where the window begins
        ((60, 20, 60, 40), None),  # zero area
        ((90, 90, 120, 130), None),  # extends beyond the window below: 10 of 40 rows remain, a quarter
    ],
)
@pytest.mark.parametrize("linear", [None, ((1, 0), (0, 1))])
def test_the_remaining_part_of_a_box_computed_manually(
    box: tuple[float, ...], expected: tuple[float, ...] | None, linear: Any
) -> None:
    """A window of 100x100 whose left side is at 50, resized or as an affine transformation."""
    sample = labelled(np.zeros((200, 200, 3), np.uint8), [box])
    (result,) = augmented([Turn(linear, (50.0, 0.0, 100.0, 100.0))], sample, (100, 100), 1)
    np.testing.assert_allclose(result["boxes"], np.array([expected] if expected else []).reshape(-1, 4), atol=1e-4)
    assert len(result["classes"]) == len(result["boxes"])


@pytest.mark.parametrize("linear", [None, ((1, 0), (0, 1))])
def test_a_window_is_scaled_computed_manually(linear: Any) -> None:
    """A window of 100x50 at 50x100: half as wide, twice as high; the area outside the image is gray."""
    sample = labelled(np.full((40, 100, 3), 200, np.uint8), [(20, 10, 60, 30)])
    (result,) = augmented([Turn(linear, (0.0, 0.0, 100.0, 50.0))], sample, (100, 50), 1)
    np.testing.assert_allclose(result["boxes"], [[10, 20, 30, 60]], atol=1e-4)
    np.testing.assert_array_equal(result["images"][2:78, 1:-1], 200)
    np.testing.assert_array_equal(result["images"][82:], FILL)


@pytest.mark.parametrize("size", [(40, 50), (80, 100), (160, 130)])
def test_an_affine_transformation_is_the_same_resampling(size: tuple[int, int]) -> None:
    """The same window by Pillow's resize and by OpenCV's transformation, of a photo-like image, larger and smaller."""
    noise = np.random.default_rng(0).integers(0, 256, (20, 25, 3), dtype=np.uint8)
    photo = np.asarray(Image.fromarray(noise).resize((100, 80), Image.Resampling.BICUBIC))
    sample = labelled(photo, [])
    window = (10.0, 5.0, 80.0, 60.0)
    (resized,) = augmented([Turn(None, window)], sample, size, 1)
    (warped,) = augmented([Turn(((1, 0), (0, 1)), window)], sample, size, 1)
    inner = (slice(2, -2), slice(2, -2))
    assert np.abs(resized["images"] - warped["images"])[inner].mean() < 4


def test_randomness_depends_only_on_the_seed() -> None:
    steps = [make() for make in AUGMENTERS.values()]
    first, again = (augmented(steps, labelled(image()), seeds=12) for _ in range(2))
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one["images"], two["images"])
        np.testing.assert_array_equal(one["boxes"], two["boxes"])
    assert len({one["images"].tobytes() for one in first}) == 12


def test_the_random_choices_of_an_augmenter_do_not_depend_on_another() -> None:
    """Disabling one by its probability does not change the choices of the others."""
    both = augmented([Crop(1.0), Flip(0.0)], labelled(image()), seeds=10)
    alone = augmented([Crop(1.0)], labelled(image()), seeds=10)
    for one, two in zip(both, alone, strict=True):
        np.testing.assert_array_equal(one["images"], two["images"])


def test_the_image_that_is_passed_is_not_modified() -> None:
    sample = labelled(image())
    copy = {name: value.copy() for name, value in sample.items()}
    for steps in ALWAYS.values():
        for size in (None, NETWORK, (HEIGHT, WIDTH)):
            augmented(steps, sample, size, 4)
    for name, value in sample.items():
        np.testing.assert_array_equal(value, copy[name])


def test_images_without_boxes_are_augmented() -> None:
    for result in augmented([make() for make in AUGMENTERS.values()], labelled(image(), []), seeds=10):
        assert result["boxes"].shape == (0, 4)
        assert result["classes"].shape == (0,)
        assert result["images"].shape == (*NETWORK, 3)


def test_a_probability_of_zero_changes_nothing() -> None:
    sample = labelled(image())
    (plain,) = augmented([], sample, seeds=1)
    never = [make(probability=0.0) for make in AUGMENTERS.values()]
    for result in augmented(never, sample, seeds=10):
        np.testing.assert_array_equal(result["images"], plain["images"])
        np.testing.assert_array_equal(result["boxes"], plain["boxes"])


def test_probability_is_the_frequency() -> None:
    """Of 400 fair coins, between 150 and 250 fall on one side, except once in a million."""
    sample = labelled(image())
    results = augmented([Flip(probability=0.5)], sample, None, 400)
    mirrored = sum(not np.array_equal(result["boxes"], sample["boxes"]) for result in results)
    assert 150 < mirrored < 250


def test_a_choice_applies_one_alternative_by_its_probability() -> None:
    """Of 400 with 0.25, between 50 and 150, except once in a million; never two at once."""
    sample = labelled(image())
    choice = AugmenterChoice((Flip(1.0), VerticalFlip(1.0), None), (0.5, 0.25, 0.25))
    horizontal = augmented([Flip(1.0)], sample, None, 1)[0]["images"]
    vertical = augmented([VerticalFlip(1.0)], sample, None, 1)[0]["images"]
    results = [result["images"] for result in augmented([choice], sample, None, 400)]
    counts = [sum(np.array_equal(each, one) for each in results) for one in (horizontal, vertical, sample["images"])]
    assert sum(counts) == 400
    assert 150 < counts[0] < 250
    assert 50 < counts[1] < 150


def test_without_augmenters_the_image_is_only_resized() -> None:
    same = labelled(image())
    (result,) = augmented([], same, (HEIGHT, WIDTH), 1)
    np.testing.assert_array_equal(result["images"], same["images"])
    np.testing.assert_array_equal(result["boxes"], same["boxes"])
    (half,) = augmented([], same, (HEIGHT // 2, WIDTH // 2), 1)
    np.testing.assert_allclose(half["boxes"][0], [10, 7.5, 35, 27.5], atol=1e-4)
    np.testing.assert_allclose(colored_rectangle(half["images"], 0), [10, 7.5, 35, 27.5], atol=1)


@pytest.mark.parametrize("step", [Color(1.0), Sharpness(1.0), Blur(1.0), Jpeg(1.0)])
def test_a_change_of_colors_keeps_boxes_and_size(step: Step) -> None:
    sample = labelled(image())
    (plain,) = augmented([], sample, seeds=1)
    for result in augmented([step], sample):
        np.testing.assert_array_equal(result["boxes"], plain["boxes"])
        assert result["images"].dtype == np.float32
        assert result["images"].shape == (*NETWORK, 3)
        assert 0 <= result["images"].min() <= result["images"].max() <= 255
    assert not np.array_equal(result["images"], plain["images"])


def test_brightness_shifts_all_levels_alike() -> None:
    steps = [Color(probability=1.0, brightness=0.1, contrast=1.0, saturation=1.0, hue=0.0)]
    sample = labelled(np.full((20, 20, 3), (100, 120, 140), np.uint8), [])
    shifts = []
    for result in augmented(steps, sample, (32, 32)):
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
    for result in augmented(contrast, labelled(halves, []), (32, 32)):
        assert result["images"].mean() == pytest.approx(120, abs=0.5)
        spans.append(np.ptp(result["images"]))
    assert 40 / 1.5 - 1 < min(spans) < 30
    assert 55 < max(spans) < 40 * 1.5 + 1
    chroma = [Color(probability=1.0, brightness=0.0, contrast=1.0, saturation=3.0, hue=0.4)]
    for result in augmented(chroma, labelled(halves, []), (32, 32)):
        np.testing.assert_allclose(result["images"], halves, atol=1.5)


def photo() -> Image.Image:
    """Returns a gray image like a photo: noise at several scales."""
    random = np.random.default_rng(3)
    layers = [
        np.asarray(Image.fromarray(random.integers(0, 256, (side, side), dtype=np.uint8)).resize((64, 64)), float)
        for side in (4, 16, 32)
    ]
    return Image.fromarray(np.rint(np.mean(layers, axis=0)).astype(np.uint8)).convert("RGB")


def test_sharpness_is_that_of_pillow() -> None:
    """The extremes of 200 results are those of the two factors, except for Pillow's rounding and its border."""
    original = photo()
    results = augmented([Sharpness(1.0, largest=2.0)], labelled(np.asarray(original), []), (64, 64), 200)
    inner = (slice(1, -1), slice(1, -1))
    levels = np.stack([result["images"][inner] for result in results])
    spread = levels.std(axis=(1, 2, 3))
    for place, factor in ((spread.argmin(), 0.5), (spread.argmax(), 2.0)):
        theirs = np.asarray(ImageEnhance.Sharpness(original).enhance(factor), float)[inner]
        assert np.abs(levels[place] - theirs).mean() < 1.0


def test_blur_is_that_of_pillow() -> None:
    """The strongest of 200 blurs with at most 2 pixels is nearly one of 2 pixels; Pillow approximates a Gaussian."""
    original = photo()
    results = augmented([Blur(1.0, sigma=2.0)], labelled(np.asarray(original), []), (64, 64), 200)
    strongest = min((result["images"] for result in results), key=np.std)
    theirs = np.asarray(original.filter(ImageFilter.GaussianBlur(2.0)), float)
    assert np.abs(strongest - theirs)[8:-8, 8:-8].mean() < 1.0


def test_jpeg_artifacts_are_those_of_pillow() -> None:
    """A minimum quality of 95 leaves one quality; the decoders may round differently."""
    original = photo()
    (result,) = augmented([Jpeg(1.0, quality=95)], labelled(np.asarray(original), []), (64, 64), 1)
    theirs = np.asarray(decode_image(encode_jpeg(original, 95), "photo"), float)
    assert np.abs(result["images"] - theirs).mean() < 1.0
    worse = augmented([Jpeg(1.0, quality=10)], labelled(np.asarray(original), []), (64, 64), 50)
    errors = [np.abs(each["images"] - np.asarray(original, float)).mean() for each in worse]
    assert max(errors) > 3 * np.abs(result["images"] - np.asarray(original, float)).mean()


@pytest.mark.parametrize(
    ("make", "settings"),
    [(Rotate, {"degrees": 181}), (Shear, {"factor": -0.1}), (Blur, {"sigma": 51}), (Jpeg, {"quality": 96})],
)
def test_settings_out_of_range_are_errors(make: Any, settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        make(**settings)


def test_a_resampled_image_has_the_arrays_of_its_example() -> None:
    example = labelled(image())
    result = resample(example, View.whole(example["images"]), NETWORK)
    assert set(result) == {"images", "boxes", "classes", "rows"}
