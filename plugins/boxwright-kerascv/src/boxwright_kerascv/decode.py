"""Decodes a network's raw output to detections."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from boxwright.models import DecoderSettings
from boxwright_kerascv.layers import Detector
from boxwright_retinanet.targets import decode_boxes
from boxwright_tf.suppression import suppress_candidates


def make_detector(
    model: Detector, settings: DecoderSettings | None = None, image_size: tuple[int, int] | None = None
) -> Callable[[Any], dict[str, Any]]:
    """Returns a function from images to detections.

    Args:
        model: A trained network.
        settings: The settings of the decoder.
        image_size: Height and width of all images, as float32; then the function is traced once for all batch
            sizes, including a smaller last batch.

    Returns:
        A `tf.function` from ``(batch, height, width, 3)``, uint8 or float32 of 0 to 255 at the network's size, to a
        dict of ``boxes`` ``(batch, max_detections, 4)`` float32 ``xyxy`` in pixels of the input, clipped to it,
        ``scores`` and ``classes`` ``(batch, max_detections)`` float32 and int32, best first, all padded with -1, and
        ``num`` ``(batch,)`` int32.
    """
    chosen = settings or DecoderSettings()

    signature = None if image_size is None else [tf.TensorSpec((None, *image_size, 3), tf.float32)]

    @tf.function(input_signature=signature, reduce_retracing=True, autograph=False)
    def detect(images: Any) -> dict[str, Any]:
        outputs = model(tf.cast(images, tf.float32), training=False)
        return decode(model, outputs, tuple(images.shape[1:3]), chosen)

    return detect


def decode(
    model: Detector, outputs: Mapping[str, Any], image_size: tuple[int, int], settings: DecoderSettings
) -> dict[str, Any]:
    """Returns the detections in a network's raw output, as :func:`make_detector` does.

    The best class scores of all anchors enter non-maximum suppression.

    Args:
        model: The network, for its anchors.
        outputs: Its ``box`` and ``classification``.
        image_size: Height and width of the input in pixels.
        settings: The settings of the decoder.
    """
    anchors = all_anchors(model, image_size)
    logits = tf.cast(outputs["classification"], tf.float32)
    deltas = tf.cast(outputs["box"], tf.float32)
    num_classes = logits.shape[-1]
    flat = tf.reshape(logits, (tf.shape(logits)[0], -1))
    count = min(settings.pre_nms, int(anchors.shape[0]) * num_classes)
    best, places = tf.math.top_k(flat, count)
    scores = tf.sigmoid(best)
    rows, classes = places // num_classes, places % num_classes
    boxes = decode_boxes(tf.gather(anchors, rows), tf.gather(deltas, rows, batch_dims=1))
    return suppress_candidates(boxes, scores, classes, image_size, settings)


def portable_network(model: Detector, image_size: tuple[int, int]) -> Callable[[Any], tuple[Any, Any]]:
    """Returns a network as a function from images to the boxes and scores of all anchors.

    Args:
        model: The network.
        image_size: Height and width of its input.

    Returns:
        A function from ``(batch, height, width, 3)`` float32, 0 to 255, to boxes ``(batch, anchors, 4)`` float32
        ``xyxy`` in pixels of the input, not clipped, and scores ``(batch, anchors, classes)`` float32, 0 to 1.
    """
    anchors = all_anchors(model, image_size)

    def network(images: Any) -> tuple[Any, Any]:
        outputs = model(images, training=False)
        boxes = decode_boxes(anchors[None], tf.cast(outputs["box"], tf.float32))
        return boxes, tf.sigmoid(tf.cast(outputs["classification"], tf.float32))

    return network


def all_anchors(model: Detector, image_size: tuple[int, int]) -> Any:
    """Returns the anchors of all levels, ``(anchors, 4)`` float32 ``xyxy`` in pixels of the input."""
    levels = model.anchor_generator(image_shape=(*image_size, 3))
    return tf.concat([tf.cast(level, tf.float32) for level in levels.values()], axis=0)
