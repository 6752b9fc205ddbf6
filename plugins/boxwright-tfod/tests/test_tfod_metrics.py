"""The metric ``openimages`` next to the API's own evaluator."""

from __future__ import annotations

import json
import math
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from boxwright import Boxes, Detections, ImageRef, LabelMap, Sample
from boxwright.environments import Environment
from boxwright_tfod import ENVIRONMENT

CLASSES = LabelMap.from_names(["cat", "dog"])

PROGRAM = """
import json, sys
import numpy as np
from object_detection.utils.object_detection_evaluation import OpenImagesDetectionEvaluator

values = []
for images in json.load(open(sys.argv[1])):
    judge = OpenImagesDetectionEvaluator([{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}], group_of_weight=1.0)
    for number, image in enumerate(images):
        judge.add_single_ground_truth_image_info(number, {
            "groundtruth_boxes": np.array(image["truth"], float).reshape(-1, 4),
            "groundtruth_classes": np.array(image["classes"], int),
            "groundtruth_group_of": np.array(image["groups"], bool),
        })
        judge.add_single_detected_image_info(number, {
            "detection_boxes": np.array(image["boxes"], float).reshape(-1, 4),
            "detection_scores": np.array(image["scores"], float),
            "detection_classes": np.array(image["found"], int),
        })
    result = judge.evaluate()
    values.append([float(result[key]) for key in sorted(result) if "PerformanceByCategory" in key])
json.dump(values, open(sys.argv[2], "w"))
"""


def drawn_problem(seed: int) -> list[dict[str, Any]]:
    """Returns four images with groups, shifted and duplicate detections, and detections of nothing."""
    chance = np.random.default_rng(seed)
    scores = iter(chance.permutation(1000) / 1000)
    images = []
    for _ in range(4):
        count = int(chance.integers(0, 6))
        corner = chance.uniform(0, 150, (count, 2))
        truth = np.concatenate([corner, corner + chance.uniform(30, 120, (count, 2))], axis=1)
        classes = chance.integers(1, 3, count)
        copies = np.repeat(np.arange(count), 2)
        extra = chance.uniform(0, 150, (3, 2))
        boxes = np.concatenate(
            [truth[copies] + chance.uniform(-12, 12, (len(copies), 4)), np.concatenate([extra, extra + 60], axis=1)]
        )
        found = np.concatenate([np.where(chance.random(len(copies)) < 0.8, classes[copies], 1), [1, 2, 2]])
        images.append(
            {
                "truth": truth.tolist(),
                "classes": classes.tolist(),
                "groups": (chance.random(count) < 0.25).tolist(),
                "boxes": boxes.tolist(),
                "found": found.astype(int).tolist(),
                "scores": [float(next(scores)) for _ in boxes],
            }
        )
    return images


@pytest.mark.slow
@pytest.mark.tfod
@pytest.mark.skipif(Environment(ENVIRONMENT).status != "installed", reason="run: boxwright env install tfod   (1.6 GB)")
def test_open_images_is_that_of_the_api(tmp_path: Path) -> None:
    """1,000 problems; the boxes have their x and y in another order there, which no number depends on."""
    metric = pytest.importorskip("boxwright_cocoeval.openimages").OpenImagesMetric(draws=0)
    problems = [drawn_problem(seed) for seed in range(1000)]
    given, answer = tmp_path / "problems.json", tmp_path / "answer.json"
    given.write_text(json.dumps(problems))
    subprocess.run([Environment(ENVIRONMENT).python, "-c", PROGRAM, given, answer], check=True, capture_output=True)
    compared = 0
    for images, theirs in zip(problems, json.loads(answer.read_text()), strict=True):
        pairs = []
        for number, image in enumerate(images):
            ref = ImageRef(name=f"{number}.jpg", width=400, height=300)
            flags = [{"iscrowd": 1} if group else {} for group in image["groups"]]
            names = [CLASSES.names[each - 1] for each in image["classes"]]
            sample = Sample(image=ref, boxes=Boxes(names, image["truth"], flags))
            labels = [CLASSES.names[each - 1] for each in image["found"]]
            pairs.append((sample, Detections.from_arrays(ref, labels, np.array(image["boxes"]), image["scores"])))
        mine = metric(pairs, CLASSES).per_class
        for name, value in zip(CLASSES.names, theirs, strict=True):
            if not math.isnan(value):
                assert mine[name]["AP"] == pytest.approx(value, abs=1e-9)
                compared += 1
    assert compared > 1500
