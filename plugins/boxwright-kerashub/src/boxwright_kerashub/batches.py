"""Batches for training and validation, made by threads with NumPy; each depends only on the seed and the step."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from threading import Event
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from boxwright import TrainJob
from boxwright.models import ArrayAugmentation, InputSettings
from boxwright_retinanet.epochs import Clock
from boxwright_retinanet.images import PAD, ImageCache, Labelled, TrainingImages
from boxwright_retinanet.recipe import Recipe
from boxwright_retinanet.watch import Validation, validation_images

Batch = tuple[NDArray[np.float32], dict[str, NDArray[np.float32]]]
"""Images ``(batch, height, width, 3)``, 0 to 255, and ``boxes`` ``(batch, M, 4)`` ``xyxy`` in pixels of the input and
``classes`` ``(batch, M)``, both padded with -1."""

_AHEAD = 2
"""How many batches are made in advance."""


@contextmanager
def training_batches(
    images: TrainingImages,
    recipe: Recipe,
    augmentation: ArrayAugmentation,
    *,
    seed: int,
    clock: Clock,
    first_step: int = 0,
    weights: NDArray[np.float64] | None = None,
) -> Iterator[Iterator[Batch]]:
    """Provides endless batches of augmented images, and ends their threads afterwards.

    Every pass over the images has its own order. A batch may contain the end of one pass and the start of the next, and
    all have the same shape, because JAX compiles each shape separately.

    Args:
        images: The images.
        recipe: Sets the batch size and the maximum number of boxes per image.
        augmentation: Augments an image, and resizes it to the network's size.
        seed: The seed of the order and the augmentation.
        clock: Records when batches become ready.
        first_step: The first step, if a training is resumed.
        weights: ``(images,)``: how often each image is shown, relative to the others; ``None`` for equally often.
    """
    count, size = images.count, recipe.batch_size
    rows = max(1, recipe.max_boxes if augmentation.mixes else min(recipe.max_boxes, images.most_boxes))
    limits = None if weights is None else np.cumsum(weights) / np.sum(weights)

    @lru_cache(maxsize=2)
    def order(epoch: int) -> NDArray[np.int64]:
        random = np.random.default_rng([seed, epoch])
        shuffled = random.permutation(count)
        if limits is None:
            return shuffled
        # Systematic sampling: one point in each of `count` equal parts of the weights.
        points = (shuffled + random.random()) / count
        return np.minimum(np.searchsorted(limits, points, side="right"), count - 1)

    def example(position: int) -> Any:
        epoch, place = divmod(position, count)
        return augmentation(dict(images.load.example(int(order(epoch)[place]))), (seed, position))

    ended = Event()
    pool = ThreadPoolExecutor(min(8, os.cpu_count() or 1), thread_name_prefix="batches")

    def batches() -> Iterator[Batch]:
        pending: deque[list[Future[Any]]] = deque()
        step = first_step
        try:
            while not ended.is_set():
                while len(pending) < _AHEAD:
                    pending.append(
                        [pool.submit(example, position) for position in range(step * size, (step + 1) * size)]
                    )
                    step += 1
                batch = stacked([future.result() for future in pending.popleft()], rows)
                clock.record()
                yield batch
        except RuntimeError:  # TensorFlow still asks for a batch after the pool has been shut down
            if not ended.is_set():
                raise

    try:
        yield batches()
    finally:
        ended.set()
        pool.shutdown(cancel_futures=True)


def stacked(examples: Sequence[Labelled], rows: int) -> Batch:
    """Returns examples of the same size as a batch with ``rows`` rows per image; further boxes are left out."""
    boxes = np.full((len(examples), rows, 4), PAD, np.float32)
    classes = np.full((len(examples), rows), PAD, np.float32)
    for place, example in enumerate(examples):
        number = min(rows, len(example["classes"]))
        boxes[place, :number] = example["boxes"][:number]
        classes[place, :number] = example["classes"][:number]
    images = np.stack([np.asarray(example["images"], np.float32) for example in examples])
    return images, {"boxes": boxes, "classes": classes}


class ValidationBatches(keras.utils.PyDataset):
    """Validation images at the network's size, resized as in prediction.

    Args:
        images: The images.
        inputs: How an image becomes the input.
        recipe: Sets the batch size and the maximum number of boxes per image.
    """

    def __init__(self, images: ImageCache, inputs: InputSettings, recipe: Recipe) -> None:
        super().__init__()
        self._images, self._inputs, self._size = images, inputs, recipe.batch_size
        self._rows = max(1, min(recipe.max_boxes, max(len(classes) for classes in images.classes)))

    def __len__(self) -> int:
        return -(-len(self._images) // self._size)

    def __getitem__(self, index: int) -> Batch:
        places = range(index * self._size, min((index + 1) * self._size, len(self._images)))
        return stacked([self._example(place) for place in places], self._rows)

    def __iter__(self) -> Iterator[Batch]:
        return (self[index] for index in range(len(self)))

    def _example(self, place: int) -> Labelled:
        example = self._images.example(place)
        height, width = example["images"].shape[:2]
        factors = np.array([self._inputs.width / width, self._inputs.height / height] * 2, np.float32)
        image = self._inputs(Image.fromarray(example["images"]))
        return {"images": image, "boxes": example["boxes"] * factors, "classes": example["classes"]}


def validation_batches(job: TrainJob, recipe: Recipe, inputs: InputSettings) -> Validation | None:
    """Returns validation images from all parts of the dataset, or ``None`` if none can be read."""
    found = validation_images(job, recipe)
    return None if found is None else Validation(ValidationBatches(found[0], inputs, recipe), found[1])
