"""Non-maximum suppression in TensorFlow, with the settings of a decoder."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import tensorflow as tf

from boxwright import UsageError
from boxwright.models import DecoderSettings


def suppress(boxes: Any, scores: Any, image_size: tuple[int, int], settings: DecoderSettings) -> dict[str, Any]:
    """Chooses detections among the predictions of a network, as :func:`boxwright.models.select_detections` does.

    Args:
        boxes: ``(batch, N, 4)`` float32, ``xyxy`` in pixels of the input.
        scores: ``(batch, N, classes)`` float32, 0 to 1.
        image_size: Height and width of the input, to which boxes are clipped.
        settings: The settings of the decoder.

    Returns:
        What :func:`suppress_candidates` returns.
    """
    num_classes = scores.shape[-1]
    flat = tf.reshape(scores, (tf.shape(scores)[0], -1))
    best, places = tf.math.top_k(flat, tf.minimum(settings.pre_nms, tf.shape(flat)[1]))
    candidates = tf.gather(boxes, places // num_classes, batch_dims=1)
    return suppress_candidates(candidates, best, places % num_classes, image_size, settings)


def suppress_candidates(
    boxes: Any, scores: Any, classes: Any, image_size: tuple[int, int], settings: DecoderSettings
) -> dict[str, Any]:
    """Runs non-maximum suppression once for all classes.

    Unless all classes suppress each other, the boxes of each class are moved to a separate area.

    Args:
        boxes: ``(batch, K, 4)`` float32, ``xyxy`` in pixels of the input.
        scores: ``(batch, K)`` float32, in descending order.
        classes: ``(batch, K)`` int32.
        image_size: Height and width of the input, to which boxes are clipped.
        settings: The settings of the decoder.

    Returns:
        ``boxes`` ``(batch, max_detections, 4)`` float32, ``scores`` and ``classes`` ``(batch, max_detections)`` float32
        and int32, best first, all padded with -1, and ``num`` ``(batch,)`` int32.

    Raises:
        UsageError: The decoder is box fusion, or has IoU thresholds by class.
    """
    if not replace(settings, soft_nms_sigma=0.0).is_common:
        raise UsageError(
            "TensorFlow's suppression has neither box fusion nor IoU thresholds by class",
            "tune the run with --suppression class,all,soft --common",
        )
    height, width = image_size
    clipped = tf.clip_by_value(boxes, 0.0, tf.constant([width, height, width, height], tf.float32))
    candidates = clipped if settings.clips_first else boxes
    largest = max(height, width) if settings.clips_first else tf.reduce_max(tf.abs(boxes))
    distance = 0.0 if settings.suppression == "all" else 2.0 * largest
    apart = candidates + tf.cast(classes, tf.float32)[..., None] * distance
    most = settings.max_detections

    def select(row: tuple[Any, Any]) -> tuple[Any, Any, Any]:
        chosen, kept_scores, number = tf.raw_ops.NonMaxSuppressionV5(
            boxes=row[0],
            scores=row[1],
            max_output_size=most,
            iou_threshold=settings.iou_threshold if settings.soft_nms_sigma == 0 else 1.0,
            score_threshold=settings.score_threshold,
            soft_nms_sigma=settings.soft_nms_sigma / 2,
            pad_to_max_output_size=True,
        )
        return chosen, kept_scores, number

    chosen, kept_scores, number = tf.map_fn(
        select, (apart, scores), fn_output_signature=(tf.int32, tf.float32, tf.int32)
    )
    # The operation pads to the number of candidates if that is smaller.
    pad = [[0, 0], [0, most - tf.shape(chosen)[1]]]
    chosen, kept_scores = (tf.ensure_shape(tf.pad(each, pad), (None, most)) for each in (chosen, kept_scores))
    valid = tf.range(most)[None, :] < number[:, None]
    return {
        "boxes": tf.where(valid[..., None], tf.gather(clipped, chosen, batch_dims=1), -1.0),
        "scores": tf.where(valid, kept_scores, -1.0),
        "classes": tf.where(valid, tf.gather(classes, chosen, batch_dims=1), -1),
        "num": number,
    }
