"""Validation images as batches of ``tf.data``."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from boxwright import TrainJob
from boxwright_kerascv.augmentation import resize
from boxwright_kerascv.inputs import load_example
from boxwright_kerascv.own import Adapter
from boxwright_retinanet.images import PAD
from boxwright_retinanet.recipe import Recipe
from boxwright_retinanet.watch import Validation, validation_images


def validation_batches(job: TrainJob, recipe: Recipe, adapter: Adapter | None) -> Validation | None:
    """Returns validation images from all parts of the dataset, or ``None`` if none can be read."""
    found = validation_images(job, recipe)
    if found is None:
        return None
    cache, origins = found

    def example(index: Any) -> tuple[Any, dict[str, Any]]:
        resized = resize(load_example(cache.example, index), recipe.image_size)
        boxes, classes = resized["boxes"][: recipe.max_boxes], resized["classes"][: recipe.max_boxes]
        return resized["images"], {"boxes": boxes, "classes": tf.cast(classes, tf.float32)}

    most = max(1, min(recipe.max_boxes, max(len(classes) for classes in cache.classes)))
    batches = (
        tf.data.Dataset.range(len(cache))
        .map(example, num_parallel_calls=tf.data.AUTOTUNE)
        .padded_batch(
            recipe.batch_size,
            padded_shapes=((*recipe.image_size, 3), {"boxes": (most, 4), "classes": (most,)}),
            padding_values=(0.0, {"boxes": PAD, "classes": PAD}),
        )
        .prefetch(2)
    )
    if adapter is not None:
        batches = batches.map(lambda images, labels: (images, adapter.labels(images, labels)))
    return Validation(batches, origins)
