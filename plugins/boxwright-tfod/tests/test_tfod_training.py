"""The real API in its environment: its protobufs, its training, its evaluation, its export.

Runs where ``boxwright env install tfod`` was run. One short training is not slow; all the others are.
"""

from __future__ import annotations

import json
import re
import shutil
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow")
pytest.importorskip("boxwright_tfrecord")
pytest.importorskip("boxwright_cocoeval")

import tensorflow as tf

import boxwright
from boxwright import Dataset, LogReporter, RunError, UsageError
from boxwright.environments import Environment, Worker
from boxwright_tfod import ENVIRONMENT, PRESETS, backend
from boxwright_tfod.checkpoints import obtain

pytestmark = [
    pytest.mark.tfod,
    pytest.mark.tensorflow,
    pytest.mark.skipif(
        Environment(ENVIRONMENT).status != "installed", reason="run: boxwright env install tfod   (1.6 GB)"
    ),
]

API_NAMES = {
    "AP": "Precision/mAP",
    "AP50": "Precision/mAP@.50IOU",
    "AP75": "Precision/mAP@.75IOU",
    "AR1": "Recall/AR@1",
    "AR10": "Recall/AR@10",
    "AR100": "Recall/AR@100",
    "ARmedium": "Recall/AR@100 (medium)",
    "ARsmall": "Recall/AR@100 (small)",
}


def preset_text(name: str) -> str:
    return (Path(backend.__file__).parent / "presets" / f"{name}.config").read_text()


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    with Environment(ENVIRONMENT).worker(log=tmp_path_factory.mktemp("worker") / "worker.log") as running:
        yield running


@pytest.fixture
def compose(worker: Worker, tmp_path: Path) -> Callable[..., Any]:
    """Has a configuration written and returns what was settled, with its text as ``"text"``."""

    def compose(text: str = "", own: bool = False, **changes: Any) -> dict[str, Any]:
        target = tmp_path / "pipeline.config"
        request: dict[str, Any] = {
            "text": text or preset_text("ssd_mobilenet_v2_fpnlite_320"),
            "source": "my.config" if own else "preset",
            "own": own,
            "target": str(target),
            "label_map": "/data/label_map.pbtxt",
            "train_records": "/data/train.record",
            "val_records": "/data/val.record",
            "num_classes": 3,
            "most_boxes": 5,
            "most_detections": 100,
            "images": 40,
            "settings": {},
        }
        settled: dict[str, Any] = worker.call("pipeline:compose", request | changes)
        return settled | {"text": target.read_text()}

    return compose


class TestPipeline:
    @pytest.mark.parametrize("preset", PRESETS)
    def test_the_presets_are_the_apis(self, compose: Callable[..., Any], preset: str) -> None:
        settled = compose(preset_text(preset))
        for line in (
            "num_classes: 3",
            'label_map_path: "/data/label_map.pbtxt"',
            'input_path: "/data/train.record"',
            'input_path: "/data/val.record"',
            f"num_steps: {settled['steps']}",
            f"total_steps: {settled['steps']}",
        ):
            assert line in settled["text"], line
        assert settled["steps"] * settled["batch_size"] >= 2000

    @pytest.mark.parametrize(
        ("preset", "limits"),
        [
            ("ssd_mobilenet_v2_fpnlite_320", ["max_detections_per_class", "max_total_detections"]),
            (
                "faster_rcnn_resnet50",
                ["first_stage_max_proposals", "max_detections_per_class", "max_total_detections"],
            ),
            ("centernet_resnet50_fpn", ["max_box_predictions"]),
        ],
    )
    def test_more_than_100_boxes_need_more_detections(
        self, compose: Callable[..., Any], preset: str, limits: list[str]
    ) -> None:
        settled = compose(preset_text(preset), most_boxes=210, most_detections=315)
        for limit in limits:
            assert f"{limit}: 315" in settled["text"], limit
        assert ": 100\n" not in settled["text"]

    def test_what_the_tutorial_edits(self, compose: Callable[..., Any]) -> None:
        settled = compose(batch_size=8, steps=77, image_size=[320, 256], augment=["random_crop_image:min_area=0.25"])
        assert (settled["steps"], settled["batch_size"]) == (77, 8)
        text = " ".join(settled["text"].split())
        assert "fixed_shape_resizer { height: 256 width: 320 }" in text
        assert "random_crop_image { min_area: 0.25 }" in text
        assert text.count("data_augmentation_options") == 1

    def test_the_length_follows_from_the_data(self, compose: Callable[..., Any]) -> None:
        assert compose(epochs=3)["steps"] == 30  # 40 images, 4 per step
        assert compose()["steps"] == 500
        assert compose(batch_size=10)["steps"] == 200  # as many images are shown
        assert compose(images=4000)["steps"] == 12_000  # twelve times each

    def test_any_field_in_the_apis_own_words(self, compose: Callable[..., Any]) -> None:
        optimizer = "train_config.optimizer.momentum_optimizer"
        settings = {
            f"{optimizer}.learning_rate.constant_learning_rate.learning_rate": "0.02",
            f"{optimizer}.momentum_optimizer_value": "0.8",
            "train_config.batch_size": "6",
            "model.ssd.feature_extractor.type": "ssd_mobilenet_v1_fpn_keras",
            "model.ssd.anchor_generator.multiscale_anchor_generator.aspect_ratios": "[1.0, 3.0]",
            "model.ssd.image_resizer.fixed_shape_resizer": "{ height: 96 width: 64 }",
            "eval_input_reader.shuffle": "true",
            "eval_config.metrics_set": "pascal_voc_detection_metrics",
        }
        text = " ".join(compose(settings=settings)["text"].split())
        for part in (
            "momentum_optimizer { learning_rate { constant_learning_rate { learning_rate: 0.02 } }"
            " momentum_optimizer_value: 0.8 }",
            "batch_size: 6",
            'type: "ssd_mobilenet_v1_fpn_keras"',
            "aspect_ratios: 1.0 aspect_ratios: 3.0 ",
            "fixed_shape_resizer { height: 96 width: 64 }",
            "shuffle: true",
            'metrics_set: "pascal_voc_detection_metrics"',
        ):
            assert part in text, part
        assert "adam_optimizer" not in text
        assert "coco_detection_metrics" not in text
        assert text.count("eval_input_reader {") == 1

    @pytest.mark.parametrize(
        ("settings", "problem"),
        [
            ({"train_config.optimiser.x": "1"}, 'TrainConfig" has no field named "optimiser"'),
            ({"train_config.batch_size": "many"}, "Couldn't parse integer: many"),
            ({"train_config.batch_size.x": "1"}, "train_config.batch_size.x=1: "),
            ({"model.ssd.loss": "1"}, "model.ssd.loss=1: "),
            ({"model.ssd.box_predictor": "} evil {"}, "model.ssd.box_predictor=} evil {: "),
            ({"model.ssd.num_classes": "2"}, "label map has ids up to 3, and the model has 2 classes"),
            ({"train_config.fine_tune_checkpoint": "/nowhere"}, "checkpoint /nowhere not found"),
        ],
    )
    def test_a_wrong_field(self, compose: Callable[..., Any], settings: dict[str, str], problem: str) -> None:
        with pytest.raises(UsageError) as caught:
            compose(settings=settings)
        assert problem in caught.value.message

    def test_a_similar_name_is_suggested(self, compose: Callable[..., Any]) -> None:
        with pytest.raises(UsageError) as caught:
            compose(settings={"train_config.optimiser.x": "1"})
        assert "did you mean 'optimizer'? TrainConfig has: batch_size, " in caught.value.remedy
        with pytest.raises(UsageError) as caught:
            compose(augment=["random_vertical_flop"])
        assert "did you mean 'random_vertical_flip'?" in caught.value.remedy

    def test_your_own_is_unchanged(self, compose: Callable[..., Any]) -> None:
        own = (
            "model { ssd { num_classes: 3 } }\n"
            'train_config { batch_size: 7 num_steps: 123 fine_tune_checkpoint_type: "full" }\n'
            'train_input_reader { label_map_path: "PATH" tf_record_input_reader { input_path: "A" input_path: "B" } }\n'
            'eval_input_reader { name: "first" } eval_input_reader { name: "second" }\n'
        )
        settled = compose(own, own=True)
        assert (settled["steps"], settled["batch_size"]) == (123, 7)
        assert " ".join(settled["text"].split()) == (
            "model { ssd { num_classes: 3 } }"
            ' train_config { batch_size: 7 num_steps: 123 fine_tune_checkpoint_type: "full" }'
            ' train_input_reader { label_map_path: "/data/label_map.pbtxt"'
            ' tf_record_input_reader { input_path: "/data/train.record" } }'
            ' eval_input_reader { label_map_path: "/data/label_map.pbtxt"'
            ' tf_record_input_reader { input_path: "/data/val.record" } name: "first" }'
        )

    def test_ones_own_that_is_wrong(self, compose: Callable[..., Any]) -> None:
        with pytest.raises(UsageError, match=r"my\.config, line 2: .*no field named \"num_clases\""):
            compose("model { ssd {\n num_clases: 3 } }", own=True)
        with pytest.raises(UsageError, match="the model is missing"):
            compose("train_config { batch_size: 1 }", own=True)
        with pytest.raises(UsageError, match=r"my\.config: checkpoint PATH_TO_BE_CONFIGURED not found"):
            compose(
                'model { ssd { num_classes: 3 } } train_config { fine_tune_checkpoint: "PATH_TO_BE_CONFIGURED" }',
                own=True,
            )

    def test_without_held_out_records(self, compose: Callable[..., Any]) -> None:
        assert "eval_input_reader" not in compose(val_records=None)["text"]

    def test_more_boxes_than_the_api_takes_by_default(self, compose: Callable[..., Any]) -> None:
        assert "max_number_of_boxes: 250" in compose(most_boxes=250)["text"]


def test_one_short_training(narrow: dict[str, str], held_out: Dataset, tmp_path: Path) -> None:
    """From drawn images to a model that detects something, in the shortest time: `.ci/run` runs this one."""
    data = boxwright.open("demo:train?images=8&seed=4&size=96x96")
    settings = narrow | {"steps": "150"}
    run = boxwright.train(data, out=tmp_path / "run", backend="tfod", settings=settings, image_size=(96, 96))
    assert run.status == "done"
    lines = run.metrics()
    assert lines[-1]["step"] == 150
    assert np.mean([line["loss"] for line in lines[-5:]]) < lines[0]["loss"]
    assert all(found.boxes for found in boxwright.load_model(run).predict(held_out))


@pytest.mark.slow
class TestTraining:
    def test_it_went_on_where_it_was(self, trained: tuple[boxwright.Run, list[str]]) -> None:
        run, messages = trained
        assert run.status == "done"
        assert "Resuming after step 120 of 300." in messages
        lines = run.metrics()
        assert [line["step"] for line in lines] == list(range(3, 301, 3)), "epochs of 12 images in batches of 4"
        assert lines[-1]["loss"] < lines[0]["loss"]
        assert {path.name for path in run.file("checkpoints").glob("*.index")} == {
            "ckpt-240.index",
            "ckpt-270.index",
            "ckpt-300.index",
        }

    def test_the_model_is_packed_as_the_zoo_packs(self, trained: tuple[boxwright.Run, list[str]]) -> None:
        folder = trained[0].file("model")
        names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
        assert names >= {
            "pipeline.config",
            "saved_model/saved_model.pb",
            "checkpoint/checkpoint",
            "checkpoint/ckpt-0.index",
            "checkpoint/ckpt-0.data-00000-of-00001",
        }

    def test_the_model_names_no_folder_of_this_computer(self, trained: tuple[boxwright.Run, list[str]]) -> None:
        run = trained[0]
        for path in run.file("model").rglob("*"):
            if path.is_file():
                assert str(run.path.parent).encode() not in path.read_bytes(), path
        written = run.file("model/pipeline.config").read_text("utf-8")
        readers = re.findall(r'(?:label_map_path|input_path): "(.*)"', written)
        assert readers == ["label_map.pbtxt", "train.record", "label_map.pbtxt", "val.record"]
        assert str(run.path) in run.file("pipeline.config").read_text("utf-8"), "which resumes the training"

    def test_our_numbers_are_the_apis(self, trained: tuple[boxwright.Run, list[str]], held_out: Dataset) -> None:
        run, _ = trained
        theirs = json.loads(run.file("evaluation/api.json").read_text())["values"]
        ours = boxwright.evaluate(run, held_out).values
        compared = {name: theirs[f"DetectionBoxes_{api}"] for name, api in API_NAMES.items()}
        best = [found.scores[0] for found in boxwright.load_model(run).predict(held_out)]
        assert len(set(best)) == 4, "nothing was learnt: the order of equal scores would decide the numbers"
        assert compared["AP"] > 0
        assert {name: ours[name] for name in compared} == pytest.approx(compared, abs=1e-6)

    def test_it_was_evaluated_while_it_trained(self, trained: tuple[boxwright.Run, list[str]]) -> None:
        run, messages = trained
        measured = {line["step"]: line["val_AP"] for line in run.metrics() if "val_AP" in line}
        assert list(measured) == list(range(30, 301, 30))
        theirs = json.loads(run.file("evaluation/api.json").read_text())
        assert theirs["values"]["DetectionBoxes_Precision/mAP"] == max(measured.values())
        best = max(step for step, value in measured.items() if value == max(measured.values()))
        assert [path.name for path in run.file("checkpoints/best").glob("*.index")] == [f"ckpt-{theirs['step']}.index"]
        assert theirs["step"] <= best
        assert any(f"Step {theirs['step']} was the best" in text for text in messages) == (theirs["step"] != 300)

    def test_tensorboard_has_what_the_api_writes_by_its_names(self, trained: tuple[boxwright.Run, list[str]]) -> None:
        tags: dict[str, dict[str, set[int]]] = {}
        for name in ("train", "eval"):
            found = tags.setdefault(name, {})
            for path in trained[0].file(f"tensorboard/{name}").glob("events.out.*"):
                for event in tf.compat.v1.train.summary_iterator(str(path)):
                    for value in event.summary.value:
                        found.setdefault(value.tag, set()).add(event.step)
        # The names of object_detection/model_lib_v2.py: train_loop and eager_eval_loop.
        assert {"Loss/total_loss", "learning_rate", "steps_per_sec"} <= set(tags["train"])
        assert any("train_input_images" in tag for tag in tags["train"])
        scalars = {"Loss/total_loss", "DetectionBoxes_Precision/mAP", "DetectionBoxes_Recall/AR@100"}
        for tag in (*scalars, "eval_side_by_side_0_0"):
            assert tags["eval"][tag] >= {30, 60, 90, 270, 300}, tag


@pytest.mark.slow
class TestPretrained:
    @pytest.fixture
    def request_of(
        self, worker: Worker, trained: tuple[boxwright.Run, list[str]], narrow: dict[str, str], tmp_path: Path
    ) -> Callable[..., dict[str, Any]]:
        """A training of one step at learning rate 0, so that what it saves is what it began with."""
        run, _ = trained
        rate = "train_config.optimizer.adam_optimizer.learning_rate.constant_learning_rate.learning_rate"

        def request(
            checkpoint: Path | None, preset: str = "ssd_mobilenet_v2_fpnlite_320", **more: str
        ) -> dict[str, Any]:
            settings = {rate: more.pop("rate", "0.0")} | (narrow if preset.startswith("ssd_mob") else {}) | more
            asked = {
                "text": preset_text(preset),
                "source": preset,
                "own": False,
                "target": str(tmp_path / "pipeline.config"),
                "label_map": str(run.file("data/label_map.pbtxt")),
                "train_records": str(run.file("data/train.record")),
                "val_records": None,
                "num_classes": 3,
                "most_boxes": 5,
                "most_detections": 100,
                "images": 12,
                "settings": settings,
                "image_size": [96, 96],
                "steps": 1,
                "checkpoint": None if checkpoint is None else str(checkpoint),
            }
            worker.call("pipeline:compose", asked)
            return {
                "pipeline": asked["target"],
                "folder": str(tmp_path / "checkpoints"),
                "tensorboard": str(tmp_path / "tensorboard"),
                "every": 1,
                "keep": 1,
                "seed": 1,
            }

        return request

    @pytest.fixture
    def pretrained(self, trained: tuple[boxwright.Run, list[str]], tmp_path: Path) -> Path:
        """The trained model, packed the zoo's way and unpacked by us."""
        packed = tmp_path / "toy_coco17_tpu-8.tar.gz"
        with tarfile.open(packed, "w:gz") as tar:
            tar.add(trained[0].file("model"), "toy_coco17_tpu-8")
        return obtain(str(packed), tmp_path / "pretrained", sha256=None, reporter=LogReporter())

    def variables(self, path: str) -> dict[str, Any]:
        """The kernels of a checkpoint by name, without the optimizer's."""
        reader = tf.train.load_checkpoint(path)
        names = [name for name in reader.get_variable_to_shape_map() if name.startswith("model/")]
        return {name: reader.get_tensor(name) for name in names if "kernel" in name and "OPTIMIZER_SLOT" not in name}

    def test_fine_tuning_begins_with_its_features_and_a_lower_loss(
        self, worker: Worker, request_of: Callable[..., dict[str, Any]], pretrained: Path, tmp_path: Path
    ) -> None:
        from_scratch = worker.call("training:train", request_of(None))
        request = request_of(pretrained, **{"train_config.fine_tune_checkpoint_type": "full"})
        whole = worker.call("training:train", request | {"folder": str(tmp_path / "whole")})
        assert whole["loss"] < 0.9 * from_scratch["loss"]

        shutil.rmtree(tmp_path / "checkpoints")
        assert 'fine_tune_checkpoint_type: "detection"' in Path(request_of(pretrained)["pipeline"]).read_text()
        worker.call("training:train", request_of(pretrained))
        began = self.variables(tf.train.latest_checkpoint(tmp_path / "checkpoints"))
        source = self.variables(str(pretrained))
        assert set(began) == set(source)
        features = {name for name in source if name.startswith("model/_feature_extractor")}
        heads = {name for name in source if "_box_predictor" in name}
        assert features
        assert heads
        assert all(np.array_equal(began[name], source[name]) for name in features)
        assert not any(np.array_equal(began[name], source[name]) for name in heads)

    def test_the_checkpoint_of_another_model(
        self, worker: Worker, request_of: Callable[..., dict[str, Any]], pretrained: Path
    ) -> None:
        request = request_of(pretrained, "ssd_resnet50_fpn_640")
        with pytest.raises(UsageError, match="does not match this model") as caught:
            worker.call("training:train", request)
        assert str(pretrained) in caught.value.message

    def test_what_is_no_checkpoint(
        self, worker: Worker, request_of: Callable[..., dict[str, Any]], tmp_path: Path
    ) -> None:
        for part in ("index", "data-00000-of-00001"):
            (tmp_path / f"ckpt-0.{part}").write_bytes(b"nonsense")
        with pytest.raises(RunError, match="cannot be read as a checkpoint"):
            request_of(tmp_path / "ckpt-0")

    def test_a_loss_that_is_no_number(self, worker: Worker, request_of: Callable[..., dict[str, Any]]) -> None:
        request = request_of(None, rate="1e30", **{"train_config.num_steps": "5"})
        with pytest.raises(RunError, match="the loss is (nan|inf) at step"):
            worker.call("training:train", request)

    def test_a_model_that_the_api_cannot_build(self, worker: Worker, request_of: Callable[..., dict[str, Any]]) -> None:
        request = request_of(None, **{"model.ssd.feature_extractor.type": "ssd_of_1999"})
        with pytest.raises(UsageError, match="the API cannot build this model: ssd_of_1999 is not supported"):
            worker.call("training:train", request)


@pytest.mark.slow
@pytest.mark.parametrize("preset", [name for name in PRESETS if name != "ssd_mobilenet_v2_fpnlite_320"])
def test_the_other_presets_build_step_export_and_detect(preset: str, tmp_path: Path, held_out: Dataset) -> None:
    data = boxwright.open("demo:train?images=4&seed=4&size=96x96")
    run = boxwright.train(
        data, out=tmp_path / "run", backend="tfod", preset=preset, settings={"steps": "2"}, batch_size=2
    )
    found = list(boxwright.load_model(run).predict(held_out))
    assert len(found) == 4
    assert all(detections.boxes for detections in found)
