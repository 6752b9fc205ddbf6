"""Targets and losses: computed manually, and compared with KerasCV's label encoder."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

import keras_cv  # noqa: E402

from boxwright_kerascv.compiling import compile_network  # noqa: E402
from boxwright_kerascv.layers import Detector, NarrowBackbone  # noqa: E402
from boxwright_kerascv.network import build_network  # noqa: E402
from boxwright_retinanet.anchors import AnchorSettings  # noqa: E402
from boxwright_retinanet.recipe import Recipe  # noqa: E402

pytestmark = pytest.mark.tensorflow

SIZE = (64, 96)
# 8 * 12 + 4 * 6 positions with one square anchor of 16 and of 32 pixels each.
ANCHORS = AnchorSettings(sizes=(16, 32), scales=(1,), aspect_ratios=(1,))
COUNT = 8 * 12 + 4 * 6


@pytest.fixture(scope="module")
def detector() -> Detector:
    backbone = NarrowBackbone(channels=[8, 8, 16, 16], depths=[0, 0, 0, 0], input_shape=(*SIZE, 3))
    model = build_network("tiny", num_classes=2, image_size=SIZE, anchors=ANCHORS, backbone=backbone)
    compile_network(model, Recipe("tiny", 96, 64, batch_size=2, steps=1, steps_per_epoch=1))
    return model


def labels(*images: list[tuple[float, ...]]) -> dict[str, Any]:
    """Boxes and classes of images, ``(xmin, ymin, xmax, ymax, class)``, padded with -1 as in a batch."""
    most = max(1, *map(len, images))
    rows = np.array([[*rows, *[(-1.0,) * 5] * (most - len(rows))] for rows in images], np.float32)
    return {"boxes": tf.constant(rows[..., :4]), "classes": tf.constant(rows[..., 4])}


def encoded(model: Detector, boxes: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    found = model.label_encoder(tf.zeros((len(boxes["boxes"]), *SIZE, 3)), boxes)
    return tuple(np.asarray(part) for part in found)  # type: ignore[return-value]


def test_objects_with_an_anchor_have_the_targets_of_kerascv(detector: Detector) -> None:
    """Where every object has an anchor with an IoU of at least 0.5, KerasCV's encoder is right."""
    peer = keras_cv.models.retinanet.LabelEncoder("xyxy", detector.anchor_generator, dtype="float32")
    batch = labels(
        [(13, 5, 29, 21, 0), (42, 10, 70, 38, 1), (44.5, 44, 60, 59, 0)],
        [(25, 9, 55, 40, 1)],
        [(12, 20, 28, 36, 1), (30, 20, 45, 36, 0), (60, 4, 77, 19, 1), (56, 26, 89, 57, 0)],
        [],
    )
    boxes, classes = encoded(detector, batch)
    expected_boxes, expected_classes = map(np.asarray, peer(tf.zeros((4, *SIZE, 3)), dict(batch)))
    np.testing.assert_array_equal(classes, expected_classes)
    positive = classes >= 0
    assert positive.sum() >= 8
    assert (classes == -2).any()
    np.testing.assert_allclose(boxes[positive], expected_boxes[positive], atol=1e-5)


def test_an_object_between_all_anchors_is_learned_by_the_nearest(detector: Detector) -> None:
    """6 pixels within an anchor of 16: the IoU is 36 / 256, under 0.5. Of two objects in one anchor, one is learned."""
    # Anchors of 16 are centered at 4, 12, 20, ...; the one at (20, 12) reaches from (12, 4) to (28, 20).
    boxes, classes = encoded(detector, labels([(17, 9, 23, 15, 1)], [(16, 8, 22, 14, 0), (18, 10, 24, 16, 1)]))
    anchor = 1 * 12 + 2
    assert classes[0].tolist() == [-1] * anchor + [1] + [-1] * (COUNT - anchor - 1)
    # Same center; log(6 / 16) / 0.2 for both sides.
    np.testing.assert_allclose(boxes[0, anchor], [0, 0, math.log(6 / 16) / 0.2, math.log(6 / 16) / 0.2], atol=1e-5)
    assert (classes[1] >= 0).sum() in (1, 2)


def test_a_batch_without_objects_teaches_background(detector: Detector) -> None:
    """At a logit of 0, focal loss of background is 0.75 * 0.5**2 * ln 2 for each anchor and class; nothing divides it.

    The batch of one has an unknown size, as the last batch of a dataset: KerasCV's encoder fails on it.
    """
    expected = COUNT * 2 * 0.75 * 0.25 * math.log(2)

    @tf.function(
        input_signature=[
            tf.TensorSpec((None, *SIZE, 3)),
            {"boxes": tf.TensorSpec((None, None, 4)), "classes": tf.TensorSpec((None, None))},
        ]
    )
    def loss(images: Any, batch: Any) -> Any:
        size = tf.shape(images)[0]
        logits = tf.zeros((size, COUNT, 2))
        with tf.GradientTape() as tape:
            tape.watch(logits)
            outputs = {"box": tf.zeros((size, COUNT, 4)), "classification": logits}
            value = detector.compute_loss(images, batch, outputs)
        return value, tape.gradient(value, logits)

    for count in (1, 3):
        value, gradient = loss(tf.zeros((count, *SIZE, 3)), labels(*[[]] * count))
        assert float(value) == pytest.approx(count * expected, rel=1e-5)
        assert float(tf.reduce_min(gradient)) > 0, "the score of every anchor is lowered"
    # One object with the place and size of an anchor: that anchor is positive, four neighbors (IoU 1/3) are background.
    value, _ = loss(tf.zeros((1, *SIZE, 3)), labels([(12, 12, 28, 28, 0)]))
    # The positive one counts 0.25 for its class and 0.75 for the other; its box is exact, so the box loss is 0.
    assert float(value) == pytest.approx(expected - 0.5 * 0.25 * math.log(2), rel=1e-5)
