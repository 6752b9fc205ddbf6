"""The loader ``tf``, in the form of KerasCV: ``{"images", "bounding_boxes": {"boxes", "classes"}}``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from boxwright import BoxFormat, Dataset, UsageError, convert_format
from boxwright_tf.decoding import DecodedSample, decode_samples
from boxwright_tf.quiet import quiet_import

with quiet_import():
    import tensorflow as tf

DTYPES = ("float32", "uint8")

PADDING = -1.0
"""The padding of dense boxes and classes, as in KerasCV."""


def to_tf(
    dataset: Dataset,
    *,
    bounding_box_format: str = "xyxy",
    batch_size: int | None = None,
    image_size: tuple[int, int] | None = None,
    height: int | None = None,
    width: int | None = None,
    dtype: str = "float32",
    max_boxes: int | None = None,
    shuffle: int | None = None,
    seed: int = 0,
    workers: int = 2,
) -> Any:
    """Returns a ``tf.data.Dataset`` that reads the dataset again in every epoch.

    Args:
        dataset: The dataset.
        bounding_box_format: Format of the coordinates, one of the eight names of KerasCV.
        batch_size: Number of images per batch; ``None`` for one image per element, without a batch axis.
        image_size: ``(width, height)`` to which images and boxes are resized, as everywhere in boxwright (Keras'
            functions take ``(height, width)``); with ``None``, images keep their size, and those of a batch are ragged
            unless all have the same size.
        height: With ``width``, the same by name, in pixels.
        width: See ``height``.
        dtype: ``"float32"`` or ``"uint8"``, which needs a quarter of the memory, for the images.
        max_boxes: Number of boxes per image, padded with -1 and truncated; ``None`` for ragged boxes.
        shuffle: Size of the shuffle buffer; ``None`` keeps the order.
        seed: Seed of the shuffling; each epoch has a different order, which is the same in every process.
        workers: Number of threads that decode images.

    Returns:
        Elements ``{"images": ..., "bounding_boxes": {"boxes": ..., "classes": ...}}``. ``images``: ``dtype``, 0..255,
        RGB, (batch, height, width, 3). ``boxes``: float32, (batch, N, 4). ``classes``: float32, (batch, N), 0-based in
        the order of ``dataset.label_map``. Its ``cardinality()`` is the number of elements, if the dataset knows the
        number of its images without reading them all, and does not skip any.

    Raises:
        UsageError: The format is unknown, or a number is less than 1.
        tensorflow.errors.OpError: During iteration: an image cannot be read, or a class is not in the label map (with
            ``on_error="fail"``). TensorFlow raises it instead of the ``DataError``, whose text is in its message.
    """
    if bounding_box_format not in {member.value for member in BoxFormat}:
        names = ", ".join(member.value for member in BoxFormat)
        raise UsageError(f"unknown bounding_box_format {bounding_box_format!r}", f"use one of: {names}")
    for name, number in (
        ("batch_size", batch_size),
        ("max_boxes", max_boxes),
        ("shuffle", shuffle),
        ("height", height),
        ("width", width),
    ):
        if number is not None and number < 1:
            raise UsageError(f"{name} is {number}", "use a whole number of at least 1")
    image_size = _size(image_size, width, height)
    if dtype not in DTYPES:
        raise UsageError(f"dtype is {dtype!r}", f"use one of: {', '.join(DTYPES)}")
    label_map = dataset.label_map

    def elements() -> Iterator[tuple[Any, Any, Any]]:
        for decoded in decode_samples(dataset, label_map, image_size=image_size, workers=workers):
            yield decoded.image, _boxes(decoded, bounding_box_format), decoded.classes

    rows, columns = (image_size[1], image_size[0]) if image_size else (None, None)
    signature = (
        tf.TensorSpec((rows, columns, 3), tf.uint8),
        tf.TensorSpec((None, 4), tf.float32),
        tf.TensorSpec((None,), tf.float32),
    )
    examples = tf.data.Dataset.from_generator(elements, output_signature=signature)
    if dataset.info.num_samples is not None and dataset.problems.on_error == "fail":
        examples = examples.apply(tf.data.experimental.assert_cardinality(dataset.info.num_samples))
    if shuffle is not None:
        examples = examples.shuffle(shuffle, seed=seed)
    examples = examples.map(lambda image, boxes, classes: _example(tf.cast(image, dtype), boxes, classes))
    if max_boxes is not None:
        examples = examples.map(lambda example: _dense(example, max_boxes))
    if batch_size is None:
        return examples.prefetch(tf.data.AUTOTUNE)
    dense = image_size is not None and max_boxes is not None
    batches = examples.batch(batch_size) if dense else examples.ragged_batch(batch_size)
    if image_size is not None and not dense:
        batches = batches.map(_dense_images)
    return batches.prefetch(tf.data.AUTOTUNE)


def _size(size: tuple[int, int] | None, width: int | None, height: int | None) -> tuple[int, int] | None:
    if width is None and height is None:
        return size
    if size is not None or width is None or height is None:
        raise UsageError(
            f"image_size={size}, width={width}, height={height}", "pass either image_size, or both width and height"
        )
    return width, height


def _boxes(decoded: DecodedSample, bounding_box_format: str) -> Any:
    height, width = decoded.image.shape[:2]
    converted = convert_format(decoded.boxes, "xyxy", bounding_box_format, image_size=(width, height))
    return converted.astype(np.float32)


def _example(image: Any, boxes: Any, classes: Any) -> dict[str, Any]:
    return {"images": image, "bounding_boxes": {"boxes": boxes, "classes": classes}}


def _dense(example: dict[str, Any], max_boxes: int) -> dict[str, Any]:
    boxes = example["bounding_boxes"]["boxes"][:max_boxes]
    classes = example["bounding_boxes"]["classes"][:max_boxes]
    missing = max_boxes - tf.shape(boxes)[0]
    boxes = tf.ensure_shape(tf.pad(boxes, [[0, missing], [0, 0]], constant_values=PADDING), (max_boxes, 4))
    classes = tf.ensure_shape(tf.pad(classes, [[0, missing]], constant_values=PADDING), (max_boxes,))
    return {"images": example["images"], "bounding_boxes": {"boxes": boxes, "classes": classes}}


def _dense_images(batch: dict[str, Any]) -> dict[str, Any]:
    # ragged_batch returns ragged tensors only for unknown axes, so images of one size are dense already.
    images = batch["images"]
    return batch | {"images": images.to_tensor() if isinstance(images, tf.RaggedTensor) else images}
