"""What surrounds a network, with numbers computed manually."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PIL import Image

from boxwright import ImageRef, LabelMap, Sample
from boxwright.images import encode_jpeg
from boxwright.models import DecoderSettings, InputSettings, PortableModel, Suppressed, select_detections

INPUTS = InputSettings(width=40, height=20)


def test_a_row_of_pixels_resized_to_half() -> None:
    """A triangle four pixels wide around the center between two pixels: weights 1/8, 3/8, 3/8, 1/8.

    At the edge, the missing pixel's weight goes to the others: 3/7, 3/7, 1/7.
    """
    image = Image.fromarray(np.array([[[0] * 3, [0] * 3, [70] * 3, [140] * 3, [0] * 3, [70] * 3]] * 2, np.uint8))
    (row,) = InputSettings(width=3, height=1, oversample=2)(image)[:, :, 0]
    assert row == pytest.approx([70 / 7, (0 + 3 * 70 + 3 * 140 + 0) / 8, (140 + 0 + 3 * 70) / 7], abs=1e-3)


def test_an_image_larger_than_needed_is_averaged_first() -> None:
    """Blocks of 4x4 pixels, averaged to 1x1, are the size of the input: no further resizing."""
    blocks = np.arange(0, 240, 30, dtype=np.uint8).reshape(2, 4)
    image = Image.fromarray(np.kron(blocks, np.ones((4, 4), np.uint8))).convert("RGB")
    found = InputSettings(width=4, height=2)(image)
    assert found.shape == (2, 4, 3)
    assert found.dtype == np.float32
    assert (found == blocks[..., None]).all()


BOXES = np.array(
    [
        [0, 0, 10, 10],
        [0, 2, 10, 12],  # IoU 80 / 120 with the first
        [20, 0, 30, 10],  # overlaps none
        [-5, 15, 45, 25],  # clipped to 0, 15, 40, 20
    ],
    np.float32,
)
SCORES = np.array([[0.9, 0.0], [0.6, 0.7], [0.5, 0.0], [0.0, 0.04]], np.float32)


def test_detections_are_suppressed_for_each_class() -> None:
    boxes, scores, classes = select_detections(BOXES, SCORES, INPUTS, DecoderSettings(score_threshold=0.01))
    assert scores == pytest.approx([0.9, 0.7, 0.5, 0.04])
    assert classes.tolist() == [0, 1, 0, 1]
    assert boxes.tolist() == [[0, 0, 10, 10], [0, 2, 10, 12], [20, 0, 30, 10], [0, 15, 40, 20]]


def test_a_higher_threshold_of_the_iou_keeps_both() -> None:
    _, scores, _ = select_detections(BOXES, SCORES, INPUTS, DecoderSettings(iou_threshold=0.67))
    assert scores == pytest.approx([0.9, 0.7, 0.6, 0.5])


def test_boxes_are_clipped_before_the_suppression_or_after_it() -> None:
    """Their visible parts are the same box; as a whole they have an IoU of 200 / 400."""
    boxes = np.array([[-30, 0, 10, 10], [-10, 0, 10, 10]], np.float32)
    scores = np.array([[0.9], [0.8]], np.float32)
    first = select_detections(boxes, scores, INPUTS, DecoderSettings(iou_threshold=0.6))
    assert (first.boxes.tolist(), first.scores.tolist()) == ([[0, 0, 10, 10]], [pytest.approx(0.9)])
    later = select_detections(boxes, scores, INPUTS, DecoderSettings(iou_threshold=0.6, clips_first=False))
    assert (later.boxes.tolist(), later.scores.tolist()) == ([[0, 0, 10, 10]] * 2, pytest.approx([0.9, 0.8]))


def test_soft_suppression_reduces_scores() -> None:
    _, scores, _ = select_detections(BOXES, SCORES, INPUTS, DecoderSettings(soft_nms_sigma=0.5))
    reduced = 0.6 * math.exp(-((80 / 120) ** 2) / 0.5)
    assert scores == pytest.approx([0.9, 0.7, 0.5, reduced])


def test_only_the_best_are_kept() -> None:
    _, scores, _ = select_detections(BOXES, SCORES, INPUTS, DecoderSettings(max_detections=2))
    assert scores == pytest.approx([0.9, 0.7])
    _, scores, _ = select_detections(BOXES, SCORES, INPUTS, DecoderSettings(pre_nms=1))
    assert scores == pytest.approx([0.9])


def test_no_detection() -> None:
    boxes, scores, classes = select_detections(BOXES, SCORES * 0, INPUTS, DecoderSettings())
    assert (boxes.shape, scores.shape, classes.shape) == ((0, 4), (0,), (0,))


def test_detections_are_in_pixels_of_the_image() -> None:
    shapes = []

    def network(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        shapes.append(images.shape)
        return BOXES[None], SCORES[None]

    photo = encode_jpeg(Image.new("RGB", (80, 60)))
    model = PortableModel(
        LabelMap.from_names(["cat", "dog"], sort=False), INPUTS, Suppressed(network, INPUTS, DecoderSettings())
    )
    sample = Sample(image=ImageRef(name="a.jpg", width=80, height=60, data=photo))
    (found,) = model.predict([sample], score=0.6)
    assert shapes == [(1, 20, 40, 3)]
    assert found.boxes.labels == ("cat", "dog")
    assert found.boxes.xyxy.tolist() == [[0, 0, 20, 30], [0, 6, 20, 36]]
    assert found.scores == pytest.approx([0.9, 0.7])
