"""Targets of the training: which anchor learns which object."""

from __future__ import annotations

from typing import Any

import keras
import keras_cv
import tensorflow as tf

from boxwright_retinanet.targets import match_anchors

PACKAGE = "boxwright_kerascv"


@keras.saving.register_keras_serializable(package=PACKAGE)
class TargetEncoder(keras_cv.models.retinanet.LabelEncoder):
    """KerasCV's label encoder for batches of any size, with a matched anchor for every object."""

    def call(self, images: Any, box_labels: Any) -> tuple[Any, Any]:
        """Returns the targets of every anchor; see :func:`boxwright_retinanet.targets.match_anchors`.

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
            boxes, classes = labels
            real = classes >= 0
            # A box without area at the end stands for background, and has an IoU of 0 with every anchor.
            boxes = tf.concat([tf.boolean_mask(boxes, real), tf.zeros((1, 4))], axis=0)
            classes = tf.concat([tf.boolean_mask(classes, real), [-1]], axis=0)
            return match_anchors(anchors, boxes, classes, self.positive_threshold, self.negative_threshold)

        boxes, classes = tf.cast(box_labels["boxes"], tf.float32), tf.cast(box_labels["classes"], tf.int32)
        found: tuple[Any, Any] = tf.map_fn(one, (boxes, classes), fn_output_signature=(tf.float32, tf.int32))
        return found
