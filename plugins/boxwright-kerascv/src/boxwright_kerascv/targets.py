"""Targets of the training: which anchor learns which object."""

from __future__ import annotations

from typing import Any

import keras
import keras_cv
import tensorflow as tf

PACKAGE = "boxwright_kerascv"


@keras.saving.register_keras_serializable(package=PACKAGE)
class TargetEncoder(keras_cv.models.retinanet.LabelEncoder):
    """KerasCV's label encoder for batches of any size, with a matched anchor for every object.

    As in Lin et al. 2017 (section 4), an anchor with an IoU of at least ``positive_threshold`` learns the object that
    it overlaps most, one below ``negative_threshold`` learns background, and the others are ignored. An object that no
    anchor learns that way is learned by the anchor with the highest IoU, as in Faster R-CNN (Ren et al. 2015, section
    3.1.2): otherwise small objects, between the centers of all anchors, would never be learned.
    """

    def call(self, images: Any, box_labels: Any) -> tuple[Any, Any]:
        """Returns the targets of every anchor.

        Args:
            images: ``(batch, height, width, 3)``; only the size is used.
            box_labels: ``boxes``, ``(batch, M, 4)`` ``xyxy`` in pixels, and ``classes``, ``(batch, M)``, negative for
                padding.

        Returns:
            Encoded boxes, ``(batch, anchors, 4)`` float32, and classes, ``(batch, anchors)`` int32: -1 for background,
            -2 for anchors that are ignored.
        """
        levels = self.anchor_generator(image_shape=tuple(images.shape[1:]))
        anchors = tf.concat([tf.cast(level, tf.float32) for level in levels.values()], axis=0)

        def one(labels: tuple[Any, Any]) -> tuple[Any, Any]:
            return self._targets(anchors, *labels)

        boxes, classes = tf.cast(box_labels["boxes"], tf.float32), tf.cast(box_labels["classes"], tf.int32)
        found: tuple[Any, Any] = tf.map_fn(one, (boxes, classes), fn_output_signature=(tf.float32, tf.int32))
        return found

    def _targets(self, anchors: Any, boxes: Any, classes: Any) -> tuple[Any, Any]:
        # A box without area at the end stands for background, and has an IoU of 0 with every anchor.
        real = classes >= 0
        boxes = tf.concat([tf.boolean_mask(boxes, real), tf.zeros((1, 4))], axis=0)
        classes = tf.concat([tf.boolean_mask(classes, real), [0]], axis=0)
        count, last = tf.shape(anchors)[0], tf.shape(classes)[0] - 1
        overlap = iou(boxes, anchors)
        matched = tf.argmax(overlap, axis=0, output_type=tf.int32)
        highest = tf.reduce_max(overlap, axis=0)
        positive = highest >= self.positive_threshold
        learned = tf.math.unsorted_segment_max(tf.cast(positive, tf.int32), matched, last + 1) > 0
        forced = tf.boolean_mask(tf.range(last), ~learned[:-1] & (tf.reduce_max(overlap, axis=1)[:-1] > 0))
        nearest = tf.argmax(tf.gather(overlap, forced), axis=1, output_type=tf.int32)
        # Of two objects with the same anchor, one is chosen, always the same.
        owner = tf.math.unsorted_segment_max(forced, nearest, count)
        matched = tf.where(owner >= 0, owner, matched)
        positive |= owner >= 0
        ignored = ~positive & (highest >= self.negative_threshold)
        found = tf.gather(boxes, matched)
        target = tf.where(positive, tf.gather(classes, matched), tf.where(ignored, -2, -1))
        return tf.where(positive[:, None], self._encoded(found, anchors), 0.0), target

    def _encoded(self, boxes: Any, anchors: Any) -> Any:
        """Returns boxes in relation to anchors (Ren et al. 2015, equation 2): center y and x, height, width."""
        sizes, anchor_sizes = boxes[:, 2:] - boxes[:, :2], anchors[:, 2:] - anchors[:, :2]
        offsets = (boxes[:, :2] + boxes[:, 2:] - anchors[:, :2] - anchors[:, 2:]) / 2 / anchor_sizes
        factors = tf.math.log(tf.maximum(sizes, keras.config.epsilon()) / anchor_sizes)
        deltas = tf.concat([tf.reverse(offsets, [-1]), tf.reverse(factors, [-1])], axis=-1)
        return deltas / tf.constant(self.box_variance_tuple, tf.float32)


def iou(boxes: Any, anchors: Any) -> Any:
    """Returns the IoU of each box, ``(M, 4)`` ``xyxy``, with each anchor, ``(A, 4)``: ``(M, A)``."""
    sides = []
    for low, high in ((0, 2), (1, 3)):  # one axis at a time, because there may be a hundred million pairs
        nearer = tf.minimum(boxes[:, None, high], anchors[None, :, high])
        sides.append(tf.maximum(nearer - tf.maximum(boxes[:, None, low], anchors[None, :, low]), 0.0))
    shared = sides[0] * sides[1]
    areas = [tf.reduce_prod(tf.maximum(rows[:, 2:] - rows[:, :2], 0.0), axis=-1) for rows in (boxes, anchors)]
    return tf.math.divide_no_nan(shared, areas[0][:, None] + areas[1][None, :] - shared)
