"""Augmentation inside `tf.data`, and the resizing of evaluation and prediction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from boxwright.models import ArrayAugmentation, Augmenter, AugmenterChoice
from boxwright_retinanet.augment import AUGMENTERS, resized_to
from boxwright_retinanet.images import Labelled
from boxwright_retinanet.mix import MIXING
from boxwright_retinanet.warp import MIN_SIDE, MIN_VISIBLE

_BY_NAME: dict[str, Callable[[], Any]] = {**AUGMENTERS, **MIXING}


class Augmentation:
    """A list of augmenters as one function from an image to the network's input.

    Without augmenters it only resizes, as in evaluation and prediction.

    Example:
        augmentation = Augmentation(("crop", "flip", "color"), image_size=(256, 320))
        sample = augmentation({"images": image, "boxes": boxes, "classes": classes}, seed=(7, 0))

    Args:
        augmenters: Names of this plugin's augmenters, or augmenters of any kind.
        image_size: Height and width of the network's input in pixels.

    Raises:
        ValueError: A name is unknown.
    """

    def __init__(self, augmenters: Sequence[Any], image_size: tuple[int, int]) -> None:
        self.image_size = image_size
        # Runs of augmenters on arrays, each between two augmenters on tensors.
        runs: list[list[Any]] = [[]]
        self._tensor_augmenters: list[Any] = []
        for augmenter in augmenters:
            if isinstance(augmenter, str):
                if augmenter not in _BY_NAME:
                    raise ValueError(f"unknown augmenter {augmenter!r}; there are {', '.join(_BY_NAME)}")
                augmenter = _BY_NAME[augmenter]()
            if _on_tensors(augmenter):
                self._tensor_augmenters.append(augmenter)
                runs.append([])
            else:
                runs[-1].append(augmenter)
        self._resizes_only = not any(runs) and not self._tensor_augmenters
        runs[-1].append(resized_to(image_size))
        self._runs = [ArrayAugmentation(run) for run in runs]

    @property
    def mixes(self) -> bool:
        """Whether any augmenter combines several images: then :meth:`draw_from` must be called first."""
        return any(run.mixes for run in self._runs)

    def draw_from(self, load: Callable[[int], Labelled], classes: Sequence[NDArray[Any]]) -> None:
        """Sets the images to combine with; see :meth:`boxwright.models.ArrayAugmentation.draw_from`."""
        for run in self._runs:
            run.draw_from(load, classes)  # type: ignore[arg-type]

    def __call__(self, sample: Labelled, seed: Any) -> Labelled:
        """Returns the augmented image.

        Args:
            sample: An image of any size and its boxes.
            seed: Two integers.

        Returns:
            images: ``(height, width, 3)`` float32 of 0 to 255 at the network's size; boxes: ``(M, 4)`` float32 in its
            pixels, clipped to it; classes: ``(M,)`` with the same type as before. Boxes mostly outside and boxes with
            zero area are dropped.
        """
        if self._resizes_only:
            return resize(sample, self.image_size)
        seed = tf.cast(seed, tf.int64)
        for position, run in enumerate(self._runs):
            sample = _on_arrays(run, sample, seed, position)
            if position < len(self._tensor_augmenters):
                folded = tf.random.experimental.stateless_fold_in(seed, position)
                sample = _augmented(self._tensor_augmenters[position], sample, tf.cast(folded, tf.int32))
        sample["images"] = tf.ensure_shape(sample["images"], (*self.image_size, 3))
        return sample


def resize(sample: Labelled, image_size: tuple[int, int]) -> Labelled:
    """Returns the whole image at the network's size, as in evaluation and prediction, with its boxes.

    Args:
        sample: An image of any size and its boxes.
        image_size: Height and width in pixels.

    Returns:
        The same as :class:`Augmentation`.
    """
    height, width = image_size
    shape = tf.cast(tf.shape(sample["images"]), tf.float32)
    scale = tf.stack([height / shape[0], width / shape[1]])
    image = tf.raw_ops.ScaleAndTranslate(
        images=sample["images"][None],
        size=image_size,
        scale=scale,
        translation=(0.0, 0.0),
        kernel_type="triangle",
        antialias=True,
    )[0]
    boxes = tf.cast(sample["boxes"], tf.float32) * tf.gather(scale, (1, 0, 1, 0))
    areas = tf.reduce_prod(tf.maximum(boxes[:, 2:] - boxes[:, :2], 0.0), axis=1)
    boxes = tf.clip_by_value(boxes, 0.0, (width, height, width, height))
    sides = boxes[:, 2:] - boxes[:, :2]
    kept = tf.reduce_all(sides >= MIN_SIDE, axis=1) & (tf.reduce_prod(sides, axis=1) >= MIN_VISIBLE * areas)
    return {
        "images": tf.ensure_shape(image, (height, width, 3)),
        "boxes": tf.boolean_mask(boxes, kept),
        "classes": tf.boolean_mask(sample["classes"], kept),
    }


def _on_tensors(augmenter: Any) -> bool:
    """Returns whether an augmenter works on tensors, or is a choice with such an alternative."""
    if isinstance(augmenter, AugmenterChoice):
        return any(_on_tensors(each) for each in augmenter.alternatives if each is not None)
    return isinstance(augmenter, Augmenter)


def _on_arrays(augmentation: ArrayAugmentation, sample: Labelled, seed: Any, position: int) -> Labelled:
    """Applies augmenters on arrays inside a graph."""
    classes = tf.convert_to_tensor(sample["classes"])

    def augment(image: Any, boxes: Any, classes: Any, seed: Any) -> tuple[Any, Any, Any]:
        if image.dtype != np.uint8:
            image = np.rint(np.clip(image, 0.0, 255.0)).astype(np.uint8)
        changed = augmentation({"images": image, "boxes": boxes, "classes": classes}, (*seed.tolist(), position))
        return (
            changed["images"].astype(np.float32, copy=False),
            changed["boxes"].astype(np.float32, copy=False),
            changed["classes"].astype(classes.dtype, copy=False),
        )

    image, boxes, classes = tf.numpy_function(
        augment,
        [sample["images"], tf.cast(sample["boxes"], tf.float32), classes, seed],
        (tf.float32, tf.float32, classes.dtype),
        stateful=False,
    )
    return {
        "images": tf.ensure_shape(image, (None, None, 3)),
        "boxes": tf.ensure_shape(boxes, (None, 4)),
        "classes": tf.ensure_shape(classes, (None,)),
    }


def _augmented(augmenter: Any, sample: Labelled, seed: Any) -> Labelled:
    """Applies an augmenter on tensors, or a choice, whose other alternatives may work on arrays."""
    if isinstance(augmenter, AugmenterChoice):
        own, inner = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
        place = tf.searchsorted(
            tf.cast(np.cumsum(augmenter.probabilities)[:-1], tf.float32),
            tf.random.stateless_uniform([1], own),
            side="right",
        )[0]
        alternatives = [lambda each=each: _branch(each, sample, inner) for each in augmenter.alternatives]
        images, boxes, classes = tf.switch_case(place, alternatives)
        return {"images": images, "boxes": boxes, "classes": classes}
    changed = augmenter({**sample, "images": tf.cast(sample["images"], tf.float32)}, seed)
    return {"images": changed["images"], "boxes": changed["boxes"], "classes": changed["classes"]}


def _branch(augmenter: Any, sample: Labelled, seed: Any) -> tuple[Any, Any, Any]:
    if augmenter is not None and _on_tensors(augmenter):
        sample = _augmented(augmenter, sample, seed)
    elif augmenter is not None:
        sample = _on_arrays(ArrayAugmentation([augmenter]), sample, tf.cast(seed, tf.int64), 0)
    return tf.cast(sample["images"], tf.float32), sample["boxes"], sample["classes"]
