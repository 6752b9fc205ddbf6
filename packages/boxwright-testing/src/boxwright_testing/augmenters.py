"""Tests of an augmenter: a random change of training images inside ``tf.data``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

from boxwright.models import Augmenter
from boxwright.plugins import Registered, Registry, convert_options
from boxwright_testing.samples import draw_image
from boxwright_testing.specs import SpecTests

_EDGES = [(0.0, 0.0, 64.0, 48.0), (4.0, 6.0, 30.0, 40.0), (20.0, 10.0, 60.0, 44.0)]


class AugmenterTests(SpecTests):
    """The rules for every augmenter. Needs TensorFlow.

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
    def augment(self, registry: Registry, entry: Registered[Any]) -> Augmenter:
        """A new augmenter."""
        pytest.importorskip("tensorflow")
        augmenter: Augmenter = registry.resolve("augmenter", self.augmenter)(
            **convert_options(self.options, entry.spec.options, self.augmenter)
        )
        return augmenter

    def _example(self, edges: list[tuple[float, float, float, float]]) -> dict[str, Any]:
        import numpy as np
        import tensorflow as tf

        return {
            "images": tf.constant(np.asarray(draw_image(64, 48, edges), np.float32)),
            "boxes": tf.constant(np.array(edges, np.float32).reshape(-1, 4)),
            "classes": tf.range(len(edges)),
        }

    def _many(self, augment: Augmenter, edges: list[tuple[float, float, float, float]]) -> list[dict[str, Any]]:
        """Twelve results, made inside ``tf.data``, where plain Python is traced once and not run again."""
        import tensorflow as tf

        example = self._example(edges)
        seeds = tf.data.Dataset.range(12).map(lambda n: tf.stack([tf.cast(n, tf.int32), 7]))
        return list(seeds.map(lambda seed: augment(example, seed)).as_numpy_iterator())

    def test_shapes_and_types_are_kept(self, augment: Augmenter) -> None:
        """``images`` (height, width, 3) float32 0..255, ``boxes`` (N, 4) float32 and ``classes`` (N,) keep them."""
        import numpy as np

        for result in self._many(augment, _EDGES):
            assert set(result) >= {"images", "boxes", "classes"}, (
                f"the keys are {sorted(result)}; keep images, boxes and classes"
            )
            image, boxes = result["images"], result["boxes"]
            assert image.dtype == np.float32, f"images are {image.dtype}; give float32"
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

    def test_boxes_stay_in_the_image(self, augment: Augmenter) -> None:
        """Coordinates are sorted and inside the image, and each box keeps its class."""
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
            assert sorted(result["classes"].tolist()) == result["classes"].tolist(), "boxes changed their order"

    def test_all_chance_comes_from_the_seed(self, augment: Augmenter) -> None:
        """The same seed produces the same image and boxes; other seeds give others.

        On failure: use ``tf.random.stateless_*`` with the seed that is given.
        """
        import numpy as np
        import tensorflow as tf

        # Two seeds of the process, or an augmenter that draws from them would give the same twice in a seeded process.
        tf.random.set_seed(1)
        first = self._many(augment, _EDGES)
        tf.random.set_seed(2)
        again = self._many(augment, _EDGES)
        for one, two in zip(first, again, strict=True):
            np.testing.assert_array_equal(one["images"], two["images"])
            np.testing.assert_array_equal(one["boxes"], two["boxes"])
        assert len({one["images"].tobytes() for one in first}) > 1, "twelve seeds gave the same image"

    def test_images_without_boxes_are_taken(self, augment: Augmenter) -> None:
        """``boxes`` of shape (0, 4) are returned as shape (0, 4)."""
        for result in self._many(augment, []):
            assert result["boxes"].shape == (0, 4), f"without boxes, the shape is {result['boxes'].shape}; keep (0, 4)"
            assert result["classes"].shape == (0,), (
                f"without classes, the shape is {result['classes'].shape}; keep (0,)"
            )
