"""The layers of Keras and KerasCV: boxes must stay on a colored rectangle, which the tests find in the pixels."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras")

import boxwright  # noqa: E402
from boxwright import UsageError  # noqa: E402
from boxwright.models import ArrayAugmentation, make_augmenters  # noqa: E402
from boxwright_kerascv import keras_layers  # noqa: E402
from boxwright_kerascv.augmentation import Augmentation  # noqa: E402
from boxwright_kerascv.keras_layers import KerasAugmenter  # noqa: E402
from boxwright_retinanet.warp import FILL  # noqa: E402

pytestmark = pytest.mark.tensorflow

WIDTH, HEIGHT = 100, 80
BOX = (35, 30, 60, 50)
OTHERS = [(0, 0, 100, 80), (0, 0, 9, 9), (90, 70, 100, 80), (70, 50, 71, 51)]
SEEDS = 3
TOLERANCE = 2.0
"""Pixels; a pixel belongs to the rectangle if at least half of it has its color."""

REQUIRED: Mapping[str, str] = {
    "height": "70",
    "width": "90",
    "target_size": "(72, 96)",
    "scale_factor": "(0.8, 1.2)",
    "crop_area_factor": "(0.6, 1.0)",
    "aspect_ratio_factor": "(0.8, 1.25)",
    "bits": "4",
    "kernel_size": "3",
}
"""Values of the arguments that a layer requires; 0.2 for others."""

ARGUMENTS: Mapping[str, Mapping[str, str]] = {
    "keras.RandomColorJitter": {"hue_factor": "0.2"},
    "keras.RandomErasing": {"scale": "(0.02, 0.05)", "fill_value": str(FILL)},
    "keras.RandomPerspective": {"scale": "0.3"},
    "keras.RandomPosterization": {"factor": "4"},
    "keras.RandomRotation": {"factor": "0.05"},
    "keras.RandomShear": {"x_factor": "0.2", "y_factor": "0.2"},
    "keras_cv.Grayscale": {"output_channels": "3"},
    "keras_cv.RandomAspectRatio": {"factor": "(0.8, 1.25)"},
    "keras_cv.RandomGaussianBlur": {"factor": "1.0"},
    "keras_cv.RandomRotation": {"factor": "0.05"},
    "keras_cv.RandomShear": {"x_factor": "0.2", "y_factor": "0.2"},
}
TOLERANCES = {"keras.RandAugment": 3.0}
"""It applies two changes, one after the other."""

DO_NOT_RUN = {"keras.RandomGrayscale": "'dict' object has no attribute 'shape'"}
"""Layers that cannot be called with boxes, with the reason that the user sees."""

LAYERS = {name: layer for name, layer in keras_layers.available().items() if "." in name}


def example() -> dict[str, Any]:
    """Returns a gray image with a red rectangle, and boxes of which the first is around it."""
    image = np.full((HEIGHT, WIDTH, 3), FILL, np.uint8)
    image[::7, ::7] += 3  # a texture, which blurs change
    xmin, ymin, xmax, ymax = BOX
    image[ymin:ymax, xmin:xmax] = (255, 0, 0)
    boxes = np.array([BOX, *OTHERS], np.float32)
    return {"images": image, "boxes": boxes, "classes": np.arange(len(boxes)), "rows": np.arange(len(boxes)) * 10}


def arguments(name: str) -> dict[str, str]:
    parameters = inspect.signature(LAYERS[name]).parameters
    required = [each for each in parameters if parameters[each].default is inspect.Parameter.empty]
    chosen = {each: REQUIRED.get(each, "0.2") for each in required if each not in ("value_range", "kwargs")}
    return chosen | dict(ARGUMENTS.get(name, {}))


def rectangles(image: np.ndarray) -> list[Any]:
    """Returns the rectangle around the pixels that are more red than others, and around those unlike the background.

    The first is not changed by gray areas outside the image, the second not by other colors.
    """
    levels = image.astype(float)
    background = [np.bincount(image[..., channel].ravel()).argmax() for channel in range(3)]
    found = []
    for distance in (levels[..., 0] - levels[..., 1:].max(axis=2), np.abs(levels - background).max(axis=2)):
        mask = distance > max(distance.max() / 2, 10)
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        found += [(columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)] if len(rows) else []
    return found


EVERY_TIME = (
    "keras.RandomFlip",
    "keras.RandomRotation",
    "keras.RandomShear",
    "keras_cv.RandomFlip",
    "keras_cv.RandomShear",
)
"""One for each rule of this module; the others are applied by the slow tests."""


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in EVERY_TIME else pytest.mark.slow)
        for name in LAYERS
        if name not in DO_NOT_RUN
    ],
)
def test_each_box_encloses_its_rectangle(name: str) -> None:
    """Boxes are inside the image, other arrays are selected with them, and the seed decides everything."""
    augmenter = KerasAugmenter(name, arguments(name))
    original, images, checked = example(), set(), 0
    for seed in [*range(SEEDS), 0]:
        result = augmenter.augment(original, np.random.default_rng(seed))
        images.add(result["images"].tobytes())
        boxes = result["boxes"]
        height, width = result["images"].shape[:2]
        assert (result["images"].dtype, boxes.dtype) == (np.uint8, np.float32)
        assert (boxes >= 0).all()
        assert (boxes <= [width, height] * 2).all()
        assert (boxes[:, 2:] - boxes[:, :2] >= 2).all()
        assert result["classes"].tolist() == sorted(set(result["classes"].tolist()))
        assert (result["rows"] == result["classes"] * 10).all()
        if 0 in result["classes"]:
            errors = [np.abs(each - boxes[0]).max() for each in rectangles(result["images"])]
            assert min(errors) <= TOLERANCES.get(name, TOLERANCE), (boxes[0], rectangles(result["images"]))
            checked += 1
    assert checked > SEEDS / 2
    assert len(images) <= SEEDS, "the first seed gave two images"
    assert len(images) > 1 or "Random" not in name
    np.testing.assert_array_equal(original["images"], example()["images"])


def test_the_layers_of_both_libraries_are_found() -> None:
    """Those that KerasCV's guides use, and Keras' own; a name of both is Keras' own."""
    names = keras_layers.available()
    guides = {"RandomFlip", "RandomColorJitter", "RandomSharpness", "RandomShear", "JitteredResize"}
    assert guides | {f"keras_cv.{name}" for name in guides} | {"keras.RandomPerspective"} <= set(names)
    assert names["RandomFlip"] is keras.layers.RandomFlip
    assert "RandomElasticTransform" not in names
    assert len(LAYERS) > 40


@pytest.mark.parametrize("name", ["keras.RandomTranslation", "keras_cv.RandomTranslation"])
@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((0, 10, 70, 40), (50, 10, 100, 40)),  # 50 of 70 columns remain
        ((20, 10, 100, 40), (70, 10, 100, 40)),  # 30 of 80
        ((30, 10, 100, 40), None),  # 20 of 70, less than 0.3
        ((48, 10, 52, 40), (98, 10, 100, 40)),
        ((48.5, 10, 51, 40), None),  # a side of a pixel and a half
        ((50, 10, 51, 40), None),  # outside
    ],
)
def test_the_remaining_part_of_a_box_computed_manually(name: str, box: tuple[float, ...], expected: Any) -> None:
    """A shift by half of the width, 50 pixels, to the right."""
    shift = KerasAugmenter(name, {"height_factor": "(0.0, 0.0)", "width_factor": "(0.5, 0.5)"})
    sample = example() | {"boxes": np.array([box], np.float32), "classes": np.array([7]), "rows": np.array([70])}
    result = shift.augment(sample, np.random.default_rng(0))
    np.testing.assert_allclose(result["boxes"], np.array([expected] if expected else []).reshape(-1, 4), atol=1e-3)
    assert result["classes"].tolist() == ([7] if expected else [])
    assert (result["images"][:, :49] == FILL).all(), "the area outside the image is gray, and no reflection"


@pytest.mark.parametrize(
    "name", ["keras.RandomFlip", "keras_cv.RandomFlip", "keras.RandomShear", "keras_cv.RandomRotation"]
)
def test_images_without_boxes_are_augmented(name: str) -> None:
    nothing = {"boxes": np.zeros((0, 4), np.float32), "classes": np.zeros(0), "rows": np.zeros(0)}
    result = KerasAugmenter(name, arguments(name)).augment(example() | nothing, np.random.default_rng(0))
    assert result["boxes"].shape == (0, 4)
    assert result["images"].shape == (HEIGHT, WIDTH, 3)


@pytest.mark.parametrize("name", ["keras.RandomPerspective", "keras_cv.RandomSharpness"])
def test_inside_a_graph_and_in_several_threads_it_is_the_same(name: str) -> None:
    steps = [f"keras:{name},{'scale=0.3' if name.endswith('Perspective') else 'factor=0.5'}"]
    expected = ArrayAugmentation(make_augmenters(steps))
    augmentation: Any = Augmentation(make_augmenters(steps), (HEIGHT, WIDTH))
    sample = example()
    del sample["rows"]
    seeds = tf.data.Dataset.range(6)
    results = seeds.map(lambda seed: augmentation(dict(sample), (3, seed)), num_parallel_calls=4)
    for seed, result in enumerate(results.as_numpy_iterator()):
        alone = expected(sample, (3, seed, 0))
        np.testing.assert_array_equal(result["images"], alone["images"])
        np.testing.assert_allclose(result["boxes"], alone["boxes"], atol=1e-4)


def test_a_conversion_writes_augmented_copies(tmp_path: Any) -> None:
    boxwright.convert(
        "demo:train?images=2&seed=4&size=96x80",
        f"labelimg:{tmp_path / 'more'}",
        steps=["augment:keras(RandomFlip,mode=vertical)+choice(keras:RandomHue,factor=0.2|none)"],
    )
    assert len(list((tmp_path / "more").glob("*_augmented1.*"))) == 4


@pytest.mark.parametrize(
    ("layer", "given", "problem", "remedy"),
    [
        ("RandomFlop", {}, "no layer 'RandomFlop'", "did you mean 'RandomFlip'"),
        ("Dense", {}, "no layer 'Dense'", "there are: AutoContrast, .*RandomShear"),
        ("RandomElasticTransform", {}, "keras.RandomElasticTransform does not change boxes", "another"),
        ("keras_cv.RandomZoom", {}, "keras_cv.RandomZoom does not change boxes", "another"),
        ("RandomChoice", {}, "keras_cv.RandomChoice cannot be used", r"use choice\(\.\.\.\)"),
        ("keras.RandomCrop", {"height": "9", "width": "9"}, "cannot be used", "keras_cv.RandomCrop"),
        ("RandomFlip", {"modus": "vertical"}, "no argument 'modus'", "it takes: mode"),
        ("RandomBrightness", {"factor": "much"}, r"RandomBrightness of keras \d.* does not run: ", "arguments"),
        ("RandomFlip", {"bounding_box_format": "xywh"}, "bounding_box_format is set automatically", "it takes: mode"),
        ("RandomBrightness", {}, "'factor' is missing", "it takes: factor"),
        ("Grayscale", {}, r"it returns images of the shape \(64, 64, 1\)", "arguments"),
        ("RandomCutout", {"height_factor": "0.5", "width_factor": "0.5", "fill_mode": "gaussian_noise"}, "seed", ""),
        *((name, {}, reason, "another") for name, reason in DO_NOT_RUN.items()),
    ],
)
def test_what_cannot_be_used_is_a_usage_error(layer: str, given: dict[str, str], problem: str, remedy: str) -> None:
    with pytest.raises(UsageError, match=problem) as caught:
        KerasAugmenter(layer, given)
    assert re.search(remedy, caught.value.remedy)
