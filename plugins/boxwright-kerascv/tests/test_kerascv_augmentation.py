"""Augmentation inside `tf.data`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from boxwright.models import ArrayAugmentation, AugmenterChoice  # noqa: E402
from boxwright_kerascv.augmentation import Augmentation, resize  # noqa: E402
from boxwright_retinanet.augment import AUGMENTERS, Flip, VerticalFlip, resized_to  # noqa: E402

pytestmark = pytest.mark.tensorflow

NETWORK = (48, 64)
BOXES = np.array([[10, 20, 60, 70], [0, 0, 100, 80]], np.float32)
PHOTO = np.random.default_rng(0).integers(0, 256, (80, 100, 3), dtype=np.uint8)


def labelled(image: Any = PHOTO, boxes: Any = BOXES) -> Any:
    return {
        "images": tf.constant(image),
        "boxes": tf.constant(boxes),
        "classes": tf.range(len(boxes), dtype=tf.float32),
    }


def augmented(augmentation: Any, sample: Any, seeds: int) -> list[dict[str, np.ndarray]]:
    """Returns one result per seed, computed inside ``tf.data``, where the code is traced once."""
    pairs = tf.data.Dataset.range(seeds).map(lambda number: tf.stack([tf.constant(11, tf.int64), number]))
    return list(pairs.map(lambda seed: augmentation(sample, seed)).as_numpy_iterator())


def test_it_is_the_same_as_on_arrays() -> None:
    results = augmented(Augmentation(list(AUGMENTERS), NETWORK), labelled(), 8)
    arrays = ArrayAugmentation([*(make() for make in AUGMENTERS.values()), resized_to(NETWORK)])
    example = {"images": PHOTO, "boxes": BOXES, "classes": np.arange(2, dtype=np.float32)}
    for seed, result in enumerate(results):
        expected = arrays(example, (11, seed, 0))
        assert result["images"].dtype == np.float32
        for name, value in result.items():
            np.testing.assert_array_equal(value, expected[name])
    assert len({result["images"].tobytes() for result in results}) == 8


def test_the_size_of_batches_is_known_when_traced() -> None:
    data = tf.data.Dataset.range(2).map(lambda number: Augmentation(["flip"], NETWORK)(labelled(), (number, 1)))
    assert data.element_spec["images"].shape == (*NETWORK, 3)
    assert data.element_spec["boxes"].shape[1:] == (4,)


def test_without_augmenters_the_image_is_only_resized() -> None:
    same = resize(labelled(), (80, 100))
    np.testing.assert_array_equal(same["images"], PHOTO)
    np.testing.assert_array_equal(same["boxes"], BOXES)
    half = Augmentation([], (40, 50))(labelled(), (0, 0))
    np.testing.assert_allclose(half["boxes"], BOXES / 2, atol=1e-4)
    outside = resize(
        labelled(boxes=np.array([[-50, 0, 10, 80], [-5, 0, 10, 80], [0, 0, 1.5, 80]], np.float32)), (80, 100)
    )
    np.testing.assert_allclose(outside["boxes"], [[0, 0, 10, 80]], atol=1e-4)
    assert outside["classes"].numpy().tolist() == [1]


def test_the_kernel_of_training_is_that_of_prediction() -> None:
    """Pillow and TensorFlow resize with the same antialiasing, except for Pillow's rounding to whole levels."""
    trained = augmented(Augmentation([Flip(0.0)], NETWORK), labelled(), 1)[0]
    np.testing.assert_allclose(trained["images"], resize(labelled(), NETWORK)["images"], atol=1.0)


def test_float_images_are_augmented_like_integers() -> None:
    augmentation = Augmentation(["crop", "flip", "color"], NETWORK)
    floats = labelled(PHOTO.astype(np.float32))
    for one, two in zip(augmented(augmentation, labelled(), 3), augmented(augmentation, floats, 3), strict=True):
        np.testing.assert_array_equal(one["images"], two["images"])


class Darken:
    """An augmenter on tensors."""

    def __call__(self, example: dict[str, Any], seed: Any) -> dict[str, Any]:
        assert example["images"].dtype == tf.float32
        assert (seed.dtype, seed.shape) == (tf.int32, (2,))
        return example | {"images": example["images"] * 0.5}


def test_augmenters_on_tensors_are_applied_in_their_order() -> None:
    """Between two mirrors that cancel each other; and as one of two alternatives, next to one on arrays."""
    plain = augmented(Augmentation([Flip(0.0)], (80, 100)), labelled(), 1)[0]
    dark = augmented(Augmentation([Flip(1.0), Darken(), Flip(1.0)], (80, 100)), labelled(), 1)[0]
    np.testing.assert_allclose(dark["images"], plain["images"] / 2, atol=1.0)
    np.testing.assert_allclose(dark["boxes"], plain["boxes"])
    choice = AugmenterChoice((Darken(), VerticalFlip(1.0), None), (0.4, 0.3, 0.3))
    found = set()
    for result in augmented(Augmentation([choice], (80, 100)), labelled(), 30):
        expected = {"dark": plain["images"] / 2, "upended": plain["images"][::-1], "same": plain["images"]}
        names = [name for name, image in expected.items() if np.allclose(result["images"], image, atol=1.0)]
        assert len(names) == 1
        found.add(names[0])
    assert found == {"dark", "upended", "same"}


def test_other_images_are_drawn_inside_the_graph() -> None:
    augmentation = Augmentation(["mosaic", "flip"], NETWORK)
    assert augmentation.mixes
    others: list[Any] = [
        {"images": np.full((60, 60, 3), 9, np.uint8), "boxes": BOXES[:1], "classes": np.array([5.0], np.float32)}
    ]
    augmentation.draw_from(lambda index: others[index], [others[0]["classes"]])
    results = augmented(augmentation, labelled(), 12)
    assert {5.0} < {number for result in results for number in result["classes"].tolist()}
    assert all(result["images"].shape == (*NETWORK, 3) for result in results)


def test_an_unknown_augmenter_is_reported_with_the_available_ones() -> None:
    with pytest.raises(ValueError, match=r"'blurr'; there are crop, "):
        Augmentation(["blurr"], NETWORK)
