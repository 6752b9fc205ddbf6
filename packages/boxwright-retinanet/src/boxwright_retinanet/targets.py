"""Targets of the training and their inverse, in any framework of Keras: which anchor learns which object.

Boxes are encoded in relation to anchors as by Ren et al. 2015, equation 2, in the order center y, center x, height,
width, and divided by :data:`BOX_VARIANCE`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

BOX_VARIANCE = (0.1, 0.1, 0.2, 0.2)
"""The scale of the encoded box: center y, center x, height, width (the order and values of KerasCV's RetinaNet)."""

POSITIVE_IOU, NEGATIVE_IOU = 0.5, 0.4
"""An anchor with an IoU of at least the first learns an object, one below the second learns background."""


def match_anchors(
    anchors: Any, boxes: Any, classes: Any, positive_iou: float = POSITIVE_IOU, negative_iou: float = NEGATIVE_IOU
) -> tuple[Any, Any]:
    """Returns the targets of every anchor in one image.

    As in Lin et al. 2017 (section 4), an anchor with an IoU of at least ``positive_iou`` learns the object that it
    overlaps most, one below ``negative_iou`` learns background, and the others are ignored. An object that no anchor
    learns that way is learned by the anchor with the highest IoU, as in Faster R-CNN (Ren et al. 2015, section 3.1.2):
    otherwise small objects, between the centers of all anchors, would never be learned.

    Args:
        anchors: ``(A, 4)`` float32, ``xyxy`` in pixels.
        boxes: ``(M, 4)`` float32, ``xyxy`` in pixels; M is at least 1.
        classes: ``(M,)`` int32; negative for padding, whose boxes must not have an area.
        positive_iou: See above.
        negative_iou: See above.

    Returns:
        Encoded boxes, ``(A, 4)`` float32, and classes, ``(A,)`` int32: -1 for background, -2 for anchors that are
        ignored.
    """
    overlap = iou(boxes, anchors)
    rows = ops.arange(ops.shape(classes)[0], dtype="int32")
    matched = ops.cast(ops.argmax(overlap, axis=0), "int32")
    highest = ops.max(overlap, axis=0)
    positive = highest >= positive_iou
    learned = ops.any((matched[None, :] == rows[:, None]) & positive[None, :], axis=1)
    forced = (classes >= 0) & ops.logical_not(learned) & (ops.max(overlap, axis=1) > 0)
    nearest = ops.cast(ops.argmax(overlap, axis=1), "int32")
    places = ops.arange(ops.shape(anchors)[0], dtype="int32")
    # Of two objects with the same anchor, one is chosen, always the same.
    owners = ops.where(forced[:, None] & (nearest[:, None] == places[None, :]), rows[:, None], -1)
    owner = ops.max(owners, axis=0)
    matched = ops.where(owner >= 0, owner, matched)
    positive = positive | (owner >= 0)
    unused = ops.where(highest >= negative_iou, -2, -1)
    target = ops.where(positive, ops.take(classes, matched, axis=0), unused)
    encoded = encode_boxes(anchors, ops.take(boxes, matched, axis=0))
    return ops.where(positive[:, None], encoded, 0.0), target


def encode_boxes(anchors: Any, boxes: Any) -> Any:
    """Returns what the box head must predict for boxes: ``(A, 4)``, from ``xyxy`` of the same shape."""
    sizes, anchor_sizes = boxes[:, 2:] - boxes[:, :2], anchors[:, 2:] - anchors[:, :2]
    offsets = (boxes[:, :2] + boxes[:, 2:] - anchors[:, :2] - anchors[:, 2:]) / 2 / anchor_sizes
    factors = ops.log(ops.maximum(sizes, keras.config.epsilon()) / anchor_sizes)
    deltas = ops.concatenate([ops.flip(offsets, axis=-1), ops.flip(factors, axis=-1)], axis=-1)
    return deltas / ops.convert_to_tensor(BOX_VARIANCE, "float32")


def decode_boxes(anchors: Any, deltas: Any) -> Any:
    """Returns boxes ``xyxy`` from anchors ``xyxy`` and the output of the box head, the inverse of :func:`encode_boxes`.

    Args:
        anchors: ``(..., A, 4)`` float32.
        deltas: ``(batch, A, 4)`` float32.
    """
    deltas = deltas * ops.convert_to_tensor(BOX_VARIANCE, "float32")
    sizes = anchors[..., 2:] - anchors[..., :2]
    centers = (anchors[..., 2:] + anchors[..., :2]) / 2
    centers = centers + ops.flip(deltas[..., :2], axis=-1) * sizes
    # An untrained network may predict e**100; like in torchvision, an anchor grows at most by a factor of 1000 / 16.
    sizes = sizes * ops.exp(ops.minimum(ops.flip(deltas[..., 2:], axis=-1), 4.135))
    return ops.concatenate([centers - sizes / 2, centers + sizes / 2], axis=-1)


def iou(boxes: Any, anchors: Any) -> Any:
    """Returns the IoU of each box, ``(M, 4)`` ``xyxy``, with each anchor, ``(A, 4)``: ``(M, A)``."""
    sides = []
    for low, high in ((0, 2), (1, 3)):  # one axis at a time, because there may be a hundred million pairs
        nearer = ops.minimum(boxes[:, None, high], anchors[None, :, high])
        sides.append(ops.maximum(nearer - ops.maximum(boxes[:, None, low], anchors[None, :, low]), 0.0))
    shared = sides[0] * sides[1]
    areas = [ops.prod(ops.maximum(rows[:, 2:] - rows[:, :2], 0.0), axis=-1) for rows in (boxes, anchors)]
    return ops.divide_no_nan(shared, areas[0][:, None] + areas[1][None, :] - shared)


def loss_inputs(
    boxes: Any, classes: Any, num_classes: int, total: Callable[[Any], Any] = lambda count: count
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the targets and the weights of the anchors, as Keras' ``compute_loss`` takes them.

    Both losses are sums over the anchors, divided by max(1, number of positive anchors in the batch). The maximum is
    that of RetinaNet's first implementation (Detectron, ``retinanet_heads.py``): background alone teaches, too.

    Args:
        boxes: ``(batch, A, 4)``, encoded.
        classes: ``(batch, A)``, -1 for background, -2 for anchors that are ignored.
        num_classes: The number of classes.
        total: Adds the numbers of positive anchors of all parts, for a part of a batch.

    Returns:
        Two dicts with ``box`` and ``classification``.
    """
    positive = ops.cast(classes >= 0, "float32")
    used = ops.cast(classes >= -1, "float32")
    normalizer = ops.maximum(total(ops.sum(positive)), 1.0)
    targets = {"box": boxes, "classification": ops.one_hot(classes, num_classes, dtype="float32")}
    return targets, {"box": positive / normalizer, "classification": used / normalizer}
