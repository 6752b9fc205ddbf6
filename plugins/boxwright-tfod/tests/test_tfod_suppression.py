"""The suppression of exported networks next to the API's own."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from boxwright.environments import Environment
from boxwright.models import DecoderSettings, InputSettings, select_detections
from boxwright_tfod import ENVIRONMENT

WIDTH, HEIGHT = 96, 64

PROGRAM = """
import sys
import numpy as np
import tensorflow as tf
from object_detection.core.post_processing import batch_multiclass_non_max_suppression

given = np.load(sys.argv[1])
boxes, scores, classes, *_, count = batch_multiclass_non_max_suppression(
    tf.constant(given["boxes"][:, :, None]), tf.constant(given["scores"]), score_thresh=1e-8, iou_thresh=0.6,
    max_size_per_class=100, max_total_size=100, clip_window=tf.constant([0.0, 0.0, 1.0, 1.0]),
    change_coordinate_frame=True)
np.savez(sys.argv[2], boxes=boxes, scores=scores, classes=classes, count=count)
"""


@pytest.mark.slow
@pytest.mark.tfod
@pytest.mark.skipif(Environment(ENVIRONMENT).status != "installed", reason="run: boxwright env install tfod   (1.6 GB)")
def test_boxes_beyond_the_edges_are_suppressed_as_the_api_does(tmp_path: Path) -> None:
    """Clusters of boxes, most of which extend beyond the image; ``xyxy`` in pixels here, relative ``yxyx`` there."""
    random = np.random.default_rng(0)
    centers = np.repeat(random.uniform((0, 0), (WIDTH, HEIGHT), (8, 12, 2)), 8, axis=1)
    centers += random.uniform(-6, 6, centers.shape)
    halves = np.repeat(random.uniform(10, 40, (8, 12, 2)), 8, axis=1) * random.uniform(0.8, 1.2, centers.shape)
    boxes = np.concatenate([centers - halves, centers + halves], axis=-1).astype(np.float32)
    scores = random.uniform(0, 1, (*boxes.shape[:2], 3)).astype(np.float32)
    given, answer = tmp_path / "given.npz", tmp_path / "answer.npz"
    relative = boxes[..., [1, 0, 3, 2]] / np.array([HEIGHT, WIDTH] * 2, np.float32)
    np.savez(given, boxes=relative, scores=scores)
    subprocess.run([Environment(ENVIRONMENT).python, "-c", PROGRAM, given, answer], check=True, capture_output=True)
    settings = DecoderSettings(1e-8, 0.6, max_detections=100, pre_nms=5000, clips_first=False)
    with np.load(answer) as theirs:
        for image in range(len(boxes)):
            count = int(theirs["count"][image])
            assert count > 30
            found = select_detections(boxes[image], scores[image], InputSettings(WIDTH, HEIGHT), settings)
            assert found.classes.tolist() == theirs["classes"][image, :count].tolist()
            np.testing.assert_allclose(found.scores, theirs["scores"][image, :count], atol=1e-6)
            pixels = theirs["boxes"][image, :count][:, [1, 0, 3, 2]] * [WIDTH, HEIGHT, WIDTH, HEIGHT]
            np.testing.assert_allclose(found.boxes, pixels, atol=1e-3)
