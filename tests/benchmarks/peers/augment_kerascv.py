"""Augments 512x512 images with KerasCV's layers and with boxwright's augmenters, in turns, each inside ``tf.data``.

Prints the CPU milliseconds per image of both, for the layers of KerasCV's two guides, as JSON: ``python
augment_kerascv.py``. One thread; batches of eight, as KerasCV is faster with batches.
"""

import json
import time
from typing import Any

import keras_cv
import numpy as np
import tensorflow as tf

from boxwright.models import make_augmenters
from boxwright_kerascv.augmentation import Augmentation

tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)

SIDE, BATCH, ROUNDS, BATCHES = 512, 8, 4, 3
RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (BATCH, SIDE, SIDE, 3), dtype=np.uint8)
BOXES = np.array([[10, 20, 100, 200], [200, 200, 300, 400], [5, 300, 90, 500]], np.float32)
XYXY = {"bounding_box_format": "xyxy"}
LEVELS = {"value_range": (0, 255)}
JITTER = {"brightness_factor": 0.1, "contrast_factor": 0.1, "saturation_factor": 0.1, "hue_factor": 0.1}
GUIDES = {
    "flip, color jitter, sharpness": (
        [
            keras_cv.layers.RandomFlip(mode="horizontal", **XYXY),
            keras_cv.layers.RandomColorJitter(**LEVELS, **JITTER),
            keras_cv.layers.RandomSharpness(**LEVELS, factor=0.1),
        ],
        ["flip", "color:probability=1", "sharpness:probability=1"],
    ),
    "flip, shear, jittered resize": (
        [
            keras_cv.layers.RandomFlip(mode="horizontal", **XYXY),
            keras_cv.layers.RandomShear(x_factor=0.2, y_factor=0.2, **XYXY),
            keras_cv.layers.JitteredResize(target_size=(SIDE, SIDE), scale_factor=(0.75, 1.3), **XYXY),
        ],
        [
            "flip",
            "shear:probability=1,factor=0.2",
            "crop:probability=1,smallest=0.75",
            "expand:probability=1,largest=1.3",
        ],
    ),
}


def theirs(layers):
    """Returns an iterator over batches that KerasCV augmented."""
    count = len(BOXES)
    boxes = tf.RaggedTensor.from_row_lengths(np.tile(BOXES, (BATCH, 1)), [count] * BATCH)
    classes = tf.RaggedTensor.from_row_lengths(np.tile(np.arange(count, dtype=np.float32), BATCH), [count] * BATCH)
    batch = {
        "images": tf.constant(IMAGES.astype(np.float32)),
        "bounding_boxes": {"boxes": boxes, "classes": classes},
    }

    def augmented(batch):
        for layer in layers:
            batch = layer(batch)
        return batch

    return iter(tf.data.Dataset.from_tensors(batch).repeat().map(augmented))


def ours(steps):
    """Returns an iterator over batches that boxwright augmented."""
    augmentation = Augmentation(make_augmenters(steps), (SIDE, SIDE))
    images = tf.constant(IMAGES)

    def augmented(number):
        sample: Any = {"images": images[number % BATCH], "boxes": BOXES, "classes": tf.range(float(len(BOXES)))}
        return augmentation(sample, tf.stack([number, 1]))["images"]

    numbers = tf.data.Dataset.counter()
    return iter(numbers.map(augmented).batch(BATCH))


def milliseconds(iterator):
    """Returns the CPU time per image of some batches."""
    started = time.process_time()
    for _ in range(BATCHES):
        next(iterator)
    return (time.process_time() - started) * 1000 / (BATCH * BATCHES)


def compared(layers, steps):
    """Returns the least CPU time per image of both; the iterators, and their threads, end with it."""
    iterators = {"kerascv": theirs(layers), "boxwright": ours(steps)}
    for iterator in iterators.values():  # traces
        next(iterator)
    turns = [{name: milliseconds(iterator) for name, iterator in iterators.items()} for _ in range(ROUNDS)]
    return {name: min(turn[name] for turn in turns) for name in iterators}


print(json.dumps({guide: compared(*both) for guide, both in GUIDES.items()}))
