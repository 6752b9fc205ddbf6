"""What the real API trained, in every form that it is deployed in: each finds what the run finds.

Runs where ``boxwright env install tfod`` was run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow")
pytest.importorskip("ai_edge_litert")
pytest.importorskip("boxwright_tfrecord")
pytest.importorskip("boxwright_cocoeval")

import boxwright
from boxwright import Dataset, Detections, Run, UsageError, iou
from boxwright.environments import Environment
from boxwright_tfod import ENVIRONMENT
from boxwright_tfod.backend import TFODBackend

SHARED = Path(os.environ.get("BOXWRIGHT_SHARED_DATA", Path(__file__).resolve().parents[4] / "shared" / "data"))

pytestmark = [
    pytest.mark.tfod,
    pytest.mark.tensorflow,
    pytest.mark.skipif(
        Environment(ENVIRONMENT).status != "installed", reason="run: boxwright env install tfod   (1.6 GB)"
    ),
]

TARGETS = {
    "tfod-saved-model": 1e-6,
    "tfod-frozen-graph": 1e-5,
    "tfod-tflite": 1e-4,
    "tfod-tflite:fp16": 0.005,
    "tfod-tflite:int8": 0.05,
}
"""By how much a score may differ."""


def worst_difference(ones: Iterable[Detections], others: Iterable[Detections], sure: float) -> tuple[int, int, float]:
    """Detections of the first with a score of at least ``sure``, how many the others have, and how scores differ.

    The others have one if there is one of the same class whose box has an IoU of 0.9 with it; of several, which cut at
    the image's edge can be one box, the one with the nearest score is meant.
    """
    count, again, worst = 0, 0, 0.0
    for one, other in zip(ones, others, strict=True):
        found = one.above(sure)
        count += len(found.boxes)
        if not found.boxes:
            continue
        same = np.asarray(found.boxes.labels)[:, None] == np.asarray(other.boxes.labels)[None]
        same &= iou(found.boxes.xyxy, other.boxes.xyxy) >= 0.9
        apart = np.abs(np.subtract.outer(np.asarray(found.scores), np.asarray(other.scores)))
        nearest = np.where(same, apart, np.inf).min(axis=1)
        again += int(np.isfinite(nearest).sum())
        worst = max([worst, *nearest[np.isfinite(nearest)].tolist()])
    return count, again, worst


@pytest.mark.slow
@pytest.mark.parametrize("target", ["tfod-frozen-graph", "tfod-tflite", "tfod-tflite:fp16"])
def test_a_short_trainings_exports(
    trained: tuple[Run, list[str]], held_out: Dataset, target: str, tmp_path: Path
) -> None:
    """Of a model that is not sure of anything yet: so its forty best detections are compared, whatever their score."""
    run, _ = trained
    made = boxwright.export(run, target, tmp_path / "exported", data=held_out)
    ours, theirs = (list(boxwright.load_model(model).predict(held_out)) for model in (run, made.artifact))
    fortieth = sorted(score for found in ours for score in found.scores)[-40]
    count, again, worst = worst_difference(ours, theirs, fortieth)
    assert count >= 40
    assert again >= 0.9 * count
    assert worst <= TARGETS[target]


@pytest.mark.slow
def test_its_network_exports_to_every_target(
    trained: tuple[Run, list[str]], held_out: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check compares each with the API's own SavedModel: preprocessing, decoding and suppression are the same."""
    for plugin in ("litert", "onnx", "openvino", "savedmodel", "keras"):
        pytest.importorskip(f"boxwright_{plugin}")
    run, _ = trained
    network = TFODBackend().write_network(run, tmp_path / "network")
    assert (network.inputs.width, network.inputs.height) == (96, 96)
    monkeypatch.setattr("boxwright.models.network.open_network", lambda run: nullcontext(network))
    for target in ("litert", "onnx", "openvino", "saved-model", "keras"):
        made = boxwright.export(run, target, tmp_path / target, data=held_out)
        assert made.precision == "fp32"
        assert made.parity.total.compared >= 20, "the limits of fp32 apply to these"


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["faster_rcnn_resnet50", "centernet_resnet50_fpn"])
def test_what_tensorflow_lite_cannot_have(trained: tuple[Run, list[str]], preset: str, tmp_path: Path) -> None:
    """The kind of the model is looked at before anything of it is built."""
    from boxwright_tfod import backend

    run = tmp_path / "run"
    config = Path(backend.__file__).parent / "presets" / f"{preset}.config"
    (run / "model" / "saved_model").mkdir(parents=True)
    (run / "model" / "pipeline.config").write_bytes(config.read_bytes())
    for name in ("run.json", "config.json", "label_map.pbtxt"):
        (run / name).write_bytes(trained[0].file(name).read_bytes())
    with pytest.raises(UsageError, match=r"is a model of type (faster_rcnn|center_net), and TensorFlow Lite supports"):
        boxwright.export(run, "tfod-tflite", tmp_path / "exported")
    with pytest.raises(UsageError, match=r"is a model of type (faster_rcnn|center_net); only SSD has a network"):
        boxwright.export(run, "litert", tmp_path / "exported")
    assert not (tmp_path / "exported").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("preset", "mean", "weights"),
    [
        ("ssd_resnet50_fpn_640", [123.68, 116.779, 103.939], "0.01"),
        # Its predictor is separable: small weights twice would make all scores the same, except for the last digits.
        ("efficientdet_d0", [0.485 * 255, 0.456 * 255, 0.406 * 255], "0.6"),
    ],
)
def test_other_normalizations_and_a_padded_image(
    preset: str, mean: list[float], weights: str, quick_averages: dict[str, str], tmp_path: Path
) -> None:
    """The means are those of the API's feature extractors; the agreement says that pixels and boxes are right."""
    from boxwright_tfod.tflite import File

    data = boxwright.open("demo:train?images=4&seed=4&size=160x96")
    predictor = "model.ssd.box_predictor.weight_shared_convolutional_box_predictor.conv_hyperparams"
    settings = quick_averages | {f"{predictor}.initializer.random_normal_initializer.stddev": weights, "steps": "12"}
    run = boxwright.train(data, out=tmp_path / "run", backend="tfod", preset=preset, settings=settings, batch_size=1)
    made = boxwright.export(run, "tfod-tflite", tmp_path / "exported", data=data)
    assert File(made.artifact).metadata.mean == pytest.approx(mean, abs=1e-3)
    ours, theirs = (list(boxwright.load_model(model).predict(data)) for model in (run, made.artifact))
    scores = sorted(score for found in ours for score in found.scores)
    assert len(set(scores[-20:])) > 10, "nothing was learnt: the order of equal scores would decide what is compared"
    best = scores[-20]
    count, again, worst = worst_difference(ours, theirs, best)
    assert again >= 0.9 * count
    assert worst <= 0.01


@pytest.fixture(scope="module")
def fruits_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, float]:
    """A run on the fruits, and the seconds of CPU time that it took."""
    before = os.times()
    run = boxwright.train(
        f"labelimg:{SHARED / 'fruits' / 'train'}",
        val=f"labelimg:{SHARED / 'fruits' / 'test'}",
        out=tmp_path_factory.mktemp("fruits") / "run",
        backend="tfod",
    )
    return run, sum(os.times()[:4]) - sum(before[:4])


@pytest.mark.slow
@pytest.mark.skipif(not (SHARED / "fruits").is_dir(), reason="the photos of shared/data are not here")
class TestFruits:
    """The first tutorial's photos with the defaults: seven minutes of CPU time, AP50 0.94 when it was measured."""

    def test_it_learns(self, fruits_run: tuple[Run, float], record_property: Callable[[str, object], None]) -> None:
        trained, spent = fruits_run
        record_property("CPU seconds", round(spent))  # 10 minutes are enough on a machine with nothing else to do
        found = boxwright.evaluate(trained, f"labelimg:{SHARED / 'fruits' / 'test'}").values
        theirs = json.loads(trained.file("evaluation/api.json").read_text())["values"]
        assert found["AP50"] >= 0.8
        assert found["AP"] == pytest.approx(theirs["DetectionBoxes_Precision/mAP"], abs=1e-6)

    @pytest.mark.parametrize("target", TARGETS)
    def test_every_export_by_the_command_line(self, fruits_run: tuple[Run, float], target: str, tmp_path: Path) -> None:
        program = [sys.executable, "-m", "boxwright_cli"]
        photos = str(SHARED / "fruits" / "test")

        def call(*words: str) -> dict[str, Any]:
            done = subprocess.run(
                [*program, *words, "--json"], cwd=tmp_path, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
            result: dict[str, Any] = json.loads(done.stdout)
            return result

        made = call("export", str(fruits_run[0].path), "--to", target, "--out", "exported")
        assert made["check"]["detections"] >= 50
        assert made["check"]["largest_score_difference"] <= TARGETS[target]
        if target != "tfod-tflite:int8":
            assert made["check"]["found_again"] == made["check"]["detections"]
        ours = call("predict", str(fruits_run[0].path), photos, "--out", "by_run")
        theirs = call("predict", made["artifact"], photos, "--out", "by_export")
        assert len(list((tmp_path / "by_export").glob("*.jpg"))) == 2
        for one, other in zip(ours["pictures"], theirs["pictures"], strict=True):
            assert abs(len(one["detections"]) - len(other["detections"])) <= 2
