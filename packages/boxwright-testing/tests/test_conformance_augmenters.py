"""The suite for augmenters: each broken one is caught by the test meant for it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

pytest_plugins = "pytester"

Suite = Callable[..., dict[str, set[str]]]

BROKEN = {
    "nothing": ("", set()),
    "takes its chance from elsewhere": (
        """
import tensorflow as tf
toy.Mirror.chance = lambda self, seed: tf.random.uniform([])
""",
        {"test_all_chance_comes_from_the_seed"},
    ),
    "never does anything": (
        "toy.Mirror.chance = lambda self, seed: 1.0",
        {"test_all_chance_comes_from_the_seed"},
    ),
    "decides once, when it is traced": (
        "toy.Mirror.chance = lambda self, seed: random.random()",
        {"test_all_chance_comes_from_the_seed"},
    ),
    "moves boxes out of the image": (
        """
call = toy.Mirror.__call__
def shifted(self, example, seed):
    result = call(self, example, seed)
    return result | {"boxes": result["boxes"] + 20.0}
toy.Mirror.__call__ = shifted
""",
        {"test_boxes_stay_in_the_image"},
    ),
    "loses the shape of no boxes": (
        """
import tensorflow as tf
call = toy.Mirror.__call__
def flattened(self, example, seed):
    result = call(self, example, seed)
    boxes = result["boxes"]
    return result | {"boxes": tf.cond(tf.size(boxes) > 0, lambda: boxes, lambda: tf.zeros([0]))}
toy.Mirror.__call__ = flattened
""",
        {"test_images_without_boxes_are_taken"},
    ),
}


@pytest.fixture(scope="module")
def tensorflow() -> object:
    """Imported before ``pytester`` looks at what is imported: it makes Python forget later ones, TensorFlow cannot."""
    return pytest.importorskip("tensorflow")


@pytest.mark.tensorflow
def test_each_broken_augmenter_is_caught(tensorflow: object, suite: Suite) -> None:
    """By the tests that are meant for it, and by no others; one that keeps all promises is among them."""
    failed = suite("augmenter", {what: code for what, (code, _) in BROKEN.items()}, quick=True)
    assert failed == {what: expected for what, (_, expected) in BROKEN.items()}
