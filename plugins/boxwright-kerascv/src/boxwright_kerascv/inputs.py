"""Batches for training, whose order and augmentation depend only on the seed and the step.

An interrupted training therefore resumes with the same batches.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from boxwright.models import Shard
from boxwright_kerascv.augmentation import Augmentation
from boxwright_retinanet.epochs import Clock
from boxwright_retinanet.images import PAD, Labelled
from boxwright_retinanet.recipe import Recipe

WHOLE = Shard()
"""The only shard of batches that are not divided."""


def load_example(load: Callable[[int], Labelled], index: Any) -> Labelled:
    """Returns the image at ``index``, a scalar integer tensor, inside ``tf.data``.

    Args:
        load: Returns the arrays of an image.
        index: Its index.
    """

    def arrays(index: Any) -> tuple[Any, Any, Any]:
        example = load(int(index))
        return example["images"], example["boxes"], example["classes"]

    image, boxes, classes = tf.numpy_function(arrays, [index], (tf.uint8, tf.float32, tf.float32), stateful=False)
    return {
        "images": tf.ensure_shape(image, (None, None, 3)),
        "boxes": tf.ensure_shape(boxes, (None, 4)),
        "classes": tf.ensure_shape(classes, (None,)),
    }


class InputClock(Clock):
    """A clock of ``tf.data``."""

    def ready(self, batches: Any) -> Any:
        """Returns the same batches; the time at which each becomes ready is recorded."""

        def record() -> np.int64:
            self.record()
            return np.int64(0)

        def passed(images: Any, labels: Any) -> tuple[Any, Any]:
            with tf.control_dependencies([images, *labels.values()]):
                recorded = tf.numpy_function(record, [], tf.int64)
            with tf.control_dependencies([recorded]):
                return tf.identity(images), labels

        return batches.map(passed)


def training_batches(
    load: Any,
    count: int,
    recipe: Recipe,
    augmentation: Augmentation,
    *,
    seed: int,
    first_step: int = 0,
    shard: Shard = WHOLE,
    weights: NDArray[np.float64] | None = None,
    clock: InputClock | None = None,
) -> Any:
    """Returns endless batches of augmented images.

    Every pass over the images has its own order. A batch may contain the end of one pass and the start of the next, so
    all have the same size.

    Args:
        load: The images, such as a :class:`boxwright_retinanet.images.ImageCache`.
        count: The number of images.
        recipe: Sets the batch size and the maximum number of boxes per image.
        augmentation: Resizes images to the network's size.
        seed: The seed of the order and the augmentation.
        first_step: The first step, if a training is resumed.
        shard: The part of every batch to return; the order and the augmentation are those of the whole batches.
        weights: ``(count,)``: how often each image is shown, relative to the others; ``None`` for equally often. A pass
            still has ``count`` images; each is shown as often as its weight says, rounded up or down.
        clock: Records when batches become ready.

    Returns:
        A `tf.data.Dataset` of ``(images, labels)``, one for each image of the shard: images ``(batch, height, width,
        3)`` float32; labels a dict of ``boxes`` ``(batch, M, 4)`` float32 ``xyxy`` and ``classes`` ``(batch, M)``
        float32, both padded with -1; M is the maximum number of boxes in an image, from 1 to ``max_boxes``.
    """
    limits = None if weights is None else tf.constant(np.cumsum(weights) / np.sum(weights), tf.float64)

    def sample(position: Any) -> tuple[Any, dict[str, Any]]:
        epoch, place = position // count, position % count
        index = place
        if count > 1:
            order = tf.stack([tf.constant(seed, tf.int64), epoch])
            index = tf.random.experimental.index_shuffle(place, order, count - 1)
            if limits is not None:
                # Systematic sampling: one point in each of `count` equal parts of the weights.
                point = (tf.cast(index, tf.float64) + tf.random.stateless_uniform([], order, dtype=tf.float64)) / count
                index = tf.minimum(tf.searchsorted(limits, [point], side="right", out_type=tf.int64)[0], count - 1)
        seeds = tf.stack([tf.constant(seed, tf.int64), position])
        labelled = augmentation(load_example(load.example, index), seeds)
        boxes = labelled["boxes"][: recipe.max_boxes]
        classes = tf.cast(labelled["classes"][: recipe.max_boxes], tf.float32)
        # At least one row: KerasCV's matching fails without any.
        none = tf.cast(tf.equal(tf.shape(boxes)[0], 0), tf.int32)
        boxes = tf.pad(boxes, [[0, none], [0, 0]], constant_values=PAD)
        classes = tf.pad(classes, [[0, none]], constant_values=PAD)
        return labelled["images"], {"boxes": boxes, "classes": classes}

    rows = shard.rows(recipe.batch_size)
    places = tf.data.Dataset.counter(start=first_step * len(rows), step=1)
    positions = places.map(lambda place: place // len(rows) * recipe.batch_size + rows.start + place % len(rows))
    samples = positions.map(sample, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    # Padded to the maximum of the batch, not to `max_boxes`, because matching takes time for every row.
    batches = samples.padded_batch(
        len(rows),
        padded_shapes=((recipe.height, recipe.width, 3), {"boxes": (None, 4), "classes": (None,)}),
        padding_values=(0.0, {"boxes": PAD, "classes": PAD}),
        drop_remainder=True,
    )
    return (batches if clock is None else clock.ready(batches)).prefetch(2)
