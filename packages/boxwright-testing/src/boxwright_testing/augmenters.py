"""Tests of an augmenter: a random change of training images, on NumPy arrays or on tensors inside ``tf.data``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, TypeAlias

import pytest

from boxwright.models import ArrayAugmentation, ArrayAugmenter, Augmenter, MixingAugmenter, make_augmenters
from boxwright.plugins import Registry
from boxwright_testing.samples import draw_image
from boxwright_testing.specs import SpecTests

AnyAugmenter: TypeAlias = Augmenter | ArrayAugmenter | MixingAugmenter
Box: TypeAlias = tuple[float, float, float, float]

_EDGES = [(0.0, 0.0, 64.0, 48.0), (4.0, 6.0, 30.0, 40.0), (20.0, 10.0, 60.0, 44.0)]


class AugmenterTests(SpecTests):
    """The rules for every augmenter. One that works on tensors needs TensorFlow.

    Set in the subclass:

    - ``augmenter``: the augmenter's name.
    - ``options``: options to make it with, as strings.
    - ``keeps_size``: false if the image is returned in another size.
    """

    kind: ClassVar[str] = "augmenter"
    augmenter: ClassVar[str] = ""
    options: ClassVar[Mapping[str, str]] = {}
    keeps_size: ClassVar[bool] = True

    @property
    def spec_name(self) -> str:
        """The augmenter's name."""
        return self.augmenter

    @pytest.fixture
    def augment(self, registry: Registry) -> AnyAugmenter:
        """A new augmenter."""
        options = ",".join(f"{name}={value}" for name, value in self.options.items())
        (augmenter,) = make_augmenters([f"{self.augmenter}:{options}"], plugins=registry)
        assert isinstance(augmenter, Augmenter | ArrayAugmenter | MixingAugmenter), (
            "it has none of the methods augment, mix and __call__; see the protocols of boxwright.models"
        )
        return augmenter

    def _example(self, edges: Sequence[Box]) -> dict[str, Any]:
        import numpy as np

        # With noise, because a blur does not change areas of one color.
        levels = np.asarray(draw_image(64, 48, list(edges))) + np.random.default_rng(0).integers(-20, 21, (48, 64, 3))
        return {
            "images": np.clip(levels, 0, 255).astype(np.uint8),
            "boxes": np.array(edges, np.float32).reshape(-1, 4),
            "classes": np.arange(len(edges)),
        }

    def _many(self, augment: AnyAugmenter, edges: Sequence[Box]) -> list[dict[str, Any]]:
        """Twelve results."""
        example = self._example(edges)
        if isinstance(augment, Augmenter):
            return _on_tensors(augment, example)
        others = [self._example(_EDGES), self._example(_EDGES[1:]), self._example(())]
        augmentation = ArrayAugmentation([augment])
        augmentation.draw_from(lambda index: others[index], [other["classes"] for other in others])
        copies = {name: value.copy() for name, value in example.items()}
        results = [augmentation(example, (number, 7)) for number in range(12)]
        assert all((example[name] == copies[name]).all() for name in copies), "the arrays that it got were modified"
        return results

    def test_shapes_and_types_are_kept(self, augment: AnyAugmenter) -> None:
        """``images`` (height, width, 3) 0..255, ``boxes`` (N, 4) float32 and ``classes`` (N,) keep them.

        Images are uint8, or float32 for an augmenter that works on tensors.
        """
        import numpy as np

        levels = np.float32 if isinstance(augment, Augmenter) else np.uint8
        for result in self._many(augment, _EDGES):
            assert set(result) >= {"images", "boxes", "classes"}, (
                f"the keys are {sorted(result)}; keep images, boxes and classes"
            )
            image, boxes = result["images"], result["boxes"]
            assert image.dtype == levels, f"images are {image.dtype}; return {np.dtype(levels)}"
            assert image.ndim == 3, f"images have shape {image.shape}; give (height, width, 3)"
            assert image.shape[-1] == 3, f"images have shape {image.shape}; give (height, width, 3)"
            assert not self.keeps_size or image.shape == (48, 64, 3), (
                f"the image has shape {image.shape}; it went in with (48, 64, 3)"
            )
            assert np.isfinite(image).all(), "a level of the image is not finite"
            assert 0.0 <= image.min() <= image.max() <= 255.0, "a level of the image is outside 0..255"
            assert boxes.dtype == np.float32, f"boxes are {boxes.dtype}; give float32"
            assert boxes.shape == (len(result["classes"]), 4), (
                f"boxes have shape {boxes.shape} for {len(result['classes'])} classes"
            )

    def test_boxes_stay_in_the_image(self, augment: AnyAugmenter) -> None:
        """Coordinates are sorted and inside the image, and each box keeps its class and its place.

        The boxes of a mixing augmenter may be in any order.
        """
        mixes = isinstance(augment, MixingAugmenter)
        for result in self._many(augment, _EDGES):
            height, width = result["images"].shape[:2]
            xmin, ymin, xmax, ymax = result["boxes"].T
            assert (xmin >= -1e-3).all(), "a box begins left of the image"
            assert (xmin < xmax).all(), "a box has its edges in the wrong order, or no width"
            assert (xmax <= width + 1e-3).all(), "a box ends right of the image"
            assert (ymin >= -1e-3).all(), "a box begins above the image"
            assert (ymin < ymax).all(), "a box has its edges in the wrong order, or no height"
            assert (ymax <= height + 1e-3).all(), "a box ends below the image"
            assert set(result["classes"].tolist()) <= {0, 1, 2}, f"classes became {result['classes'].tolist()}"
            assert mixes or sorted(result["classes"].tolist()) == result["classes"].tolist(), (
                "boxes changed their order"
            )

    def test_all_chance_comes_from_the_seed(self, augment: AnyAugmenter) -> None:
        """The same seed produces the same image and boxes; other seeds give others.

        On failure: use only the generator ``random`` that is passed, or ``tf.random.stateless_*`` with the seed.
        """
        import random

        import numpy as np

        def seed(number: int) -> None:
            random.seed(number)
            np.random.seed(number)
            if isinstance(augment, Augmenter):
                import tensorflow as tf

                tf.random.set_seed(number)

        # Two seeds of the process, or an augmenter that draws from them would give the same twice in a seeded process.
        seed(1)
        first = self._many(augment, _EDGES[1:2])
        seed(2)
        again = self._many(augment, _EDGES[1:2])
        for one, two in zip(first, again, strict=True):
            np.testing.assert_array_equal(one["images"], two["images"])
            np.testing.assert_array_equal(one["boxes"], two["boxes"])
        assert len({one["images"].tobytes() for one in first}) > 1, "twelve seeds gave the same image"

    def test_images_without_boxes_are_taken(self, augment: AnyAugmenter) -> None:
        """``boxes`` of shape (0, 4) are returned as shape (0, 4), unless boxes of other images are added."""
        for result in self._many(augment, []):
            if isinstance(augment, MixingAugmenter):
                assert result["boxes"].shape == (len(result["classes"]), 4)
                continue
            assert result["boxes"].shape == (0, 4), f"without boxes, the shape is {result['boxes'].shape}; keep (0, 4)"
            assert result["classes"].shape == (0,), (
                f"without classes, the shape is {result['classes'].shape}; keep (0,)"
            )

    def test_other_arrays_are_selected_with_the_boxes(self, augment: AnyAugmenter) -> None:
        """On arrays: a further array with one row per box keeps the rows of the remaining boxes."""
        import numpy as np

        if isinstance(augment, Augmenter):
            return
        example = self._example(_EDGES) | {"rows": np.arange(len(_EDGES)) * 10}
        augmentation = ArrayAugmentation([augment])
        augmentation.draw_from(lambda index: example, [example["classes"]])
        for number in range(12):
            result = augmentation(example, (number, 7))
            assert "rows" in result, "the array 'rows' is missing; keep all keys of the example"
            assert (result["rows"] == result["classes"] * 10).all(), "the array 'rows' was not selected with the boxes"


def _on_tensors(augment: Augmenter, example: dict[str, Any]) -> list[dict[str, Any]]:
    """Twelve results, made inside ``tf.data``, where plain Python is traced once and not run again."""
    tf = pytest.importorskip("tensorflow")
    tensors = {name: tf.constant(value) for name, value in example.items()}
    tensors["images"] = tf.cast(tensors["images"], tf.float32)
    seeds = tf.data.Dataset.range(12).map(lambda n: tf.stack([tf.cast(n, tf.int32), 7]))
    return list(seeds.map(lambda seed: augment(tensors, seed)).as_numpy_iterator())
