"""The backend's own side, with a worker that only remembers: what it asks for, writes, records and leaves.

What the worker really does is tested in test_tfod_training.py, where the environment is installed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("tensorflow")
pytest.importorskip("boxwright_tfrecord")

import numpy as np
import tensorflow as tf
from PIL import Image

import boxwright
from boxwright import (
    DataError,
    Dataset,
    ImageRef,
    LabelMap,
    MissingLibraryError,
    RunError,
    Sample,
    UsageError,
    WorkerDiedError,
)
from boxwright.datasets import SampleReader
from boxwright.environments import Environment
from boxwright.models import load_model
from boxwright_tfod import OPTIONS, PRESETS, backend
from boxwright_tfod.detector import SavedModelDetector

pytestmark = pytest.mark.tensorflow


def held(ap: float) -> dict[str, float]:
    """The result of an evaluation by the API's names; -1 for what cannot be measured."""
    names = ("DetectionBoxes_Precision/mAP", "DetectionBoxes_Precision/mAP@.50IOU", "DetectionBoxes_Recall/AR@100")
    return dict.fromkeys(names, ap) | {"Loss/total_loss": 1.5}


def save_detector(folder: Path, boxes: Any, scores: Any, classes: Any) -> None:
    """A SavedModel with the API's signature that detects the same in every image."""

    class Fixed(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([1, None, None, 3], tf.uint8, name="input_tensor")])
        def __call__(self, input_tensor: Any) -> dict[str, Any]:
            # The mean of the image is among the outputs, to check the input.
            mean = tf.reduce_mean(tf.cast(input_tensor, tf.float32))
            return {
                "detection_boxes": tf.constant([boxes], tf.float32),
                "detection_scores": tf.constant([scores], tf.float32) + 0.0 * mean,
                "detection_classes": tf.constant([classes], tf.float32),
                "num_detections": tf.constant([float(len(scores))]),
            }

    module = Fixed()
    tf.saved_model.save(module, str(folder), signatures=module.__call__.get_concrete_function())


class FakeWorker:
    """Answers as the worker does, and remembers what it was asked."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.starts_at = 0
        self.dies_at: int | None = None
        self.aps = [0.5, 0.25, 0.125]
        """The AP of each evaluation."""

    def call(self, function: str, arguments: Mapping[str, Any], on_event: Any = None) -> Any:
        request = json.loads(json.dumps(dict(arguments)))  # what goes over the wire must be plain
        self.calls.append((function, request))
        return getattr(self, function.partition(":")[2])(request, on_event)

    def compose(self, request: dict[str, Any], on_event: Any) -> dict[str, Any]:
        Path(request["target"]).write_text("model { ssd {} }\n")
        steps = request.get("steps") or 6
        return {"steps": steps, "batch_size": 4, "model": "ssd", "extractor": "toy", "checkpoint": ""}

    def train(self, request: dict[str, Any], on_event: Any) -> dict[str, Any]:
        on_event("start", {"step": self.starts_at, "gpus": 0})
        aps = iter(self.aps)
        seen: list[dict[str, Any]] = []
        for step in range(self.starts_at + 1, 7):
            if step % request["every"] == 0 or step == 6:
                folder = Path(request["folder"])
                folder.mkdir(exist_ok=True)
                (folder / "checkpoint").write_text(f'model_checkpoint_path: "ckpt-{step}"\n')
                on_event("checkpoint", {"step": step, "path": str(folder / f"ckpt-{step}")})
            each, evaluation = request["evaluate_every"], None
            if each is not None and (step % each == 0 or step == 6):
                evaluation = held(next(aps))
                seen.append({"step": step, "values": evaluation})
            values = {"step": step, "learning_rate": 0.01, "seconds": 0.5, "evaluation": evaluation}
            losses = {"Loss/localization_loss": 0.1, "Loss/total_loss": 1 / step}
            on_event("step", values | {"losses": losses})
            if step == self.dies_at:
                raise WorkerDiedError("the worker of tfod was killed by signal 9 (SIGKILL)")
        found = [each for each in seen if each["values"]["DetectionBoxes_Precision/mAP"] >= 0]
        best = max(found, key=lambda each: each["values"]["DetectionBoxes_Precision/mAP"], default=None)
        return {"step": 6, "loss": 0.1, "stopped": False, "last": seen[-1] if seen else None, "best": best}

    def export(self, request: dict[str, Any], on_event: Any) -> None:
        save_detector(Path(request["out"]) / "saved_model", [[0.1, 0.2, 0.5, 0.6]], [0.9], [1])

    def asked(self, function: str) -> dict[str, Any]:
        (request,) = [request for name, request in self.calls if name == function]
        return request


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> FakeWorker:
    fake = FakeWorker()

    @contextmanager
    def start(self: Environment, **options: Any) -> Iterator[FakeWorker]:
        yield fake

    monkeypatch.setattr(Environment, "require", lambda self: None)
    monkeypatch.setattr(Environment, "worker", start)
    return fake


@pytest.fixture(scope="module")
def drawn() -> Dataset:
    return boxwright.open("demo:train?images=8&seed=4&size=96x80")


@pytest.fixture
def train(drawn: Dataset, tmp_path: Path) -> Callable[..., boxwright.Run]:
    def train(**options: Any) -> boxwright.Run:
        usual = dict[str, Any](out=tmp_path / "run", backend="tfod", allow_overlap=True)
        return boxwright.train(drawn, **usual | options)

    return train


class TestFit:
    def test_the_content_of_a_run(
        self, worker: FakeWorker, train: Callable[..., boxwright.Run], drawn: Dataset
    ) -> None:
        run = train(val=drawn)
        assert run.status == "done"
        assert [name for name, _ in worker.calls] == [
            "pipeline:compose",
            "training:train",
            "finishing:export",
        ]
        assert [(line["epoch"], line["step"], line["loss"]) for line in run.metrics()] == [
            (1, 2, 1 / 2),
            (2, 4, 1 / 4),
            (3, 6, 1 / 6),
        ]
        assert not run.file(".model-in-the-making").exists()
        assert next(iter(load_model(run).predict(drawn))).scores == (pytest.approx(0.9),)

    def test_the_records_are_what_the_api_reads(
        self, worker: FakeWorker, train: Callable[..., boxwright.Run], drawn: Dataset
    ) -> None:
        run = train(val=drawn)
        asked = worker.asked("pipeline:compose")
        assert asked["train_records"] == str(run.file("data/train.record").absolute())
        assert asked["val_records"] == str(run.file("data/val.record").absolute())
        assert LabelMap.from_pbtxt(Path(asked["label_map"]).read_text()) == run.label_map
        written = boxwright.open(f"tfrecord:{asked['train_records']}")
        assert [sample.image.name for sample in written] == [sample.image.name for sample in drawn]
        assert asked["num_classes"] == len(run.label_map)
        assert asked["images"] == 8
        assert asked["most_boxes"] == max(len(sample.boxes) for sample in drawn)

    def test_what_the_user_asked_for_goes_to_the_worker(
        self, worker: FakeWorker, train: Callable[..., boxwright.Run]
    ) -> None:
        settings = {"steps": "6", "train_config.batch_size": "3", "model.ssd.freeze_batchnorm": "true"}
        train(
            settings=settings | {"checkpoint_every": "4"},
            augment=["random_horizontal_flip"],
            batch_size=2,
            image_size=(128, 96),
            epochs=7,
            preset="efficientdet_d0",
        )
        asked = worker.asked("pipeline:compose")
        assert (asked["steps"], asked["epochs"], asked["batch_size"]) == (6, 7, 2)
        assert asked["settings"] == {"train_config.batch_size": "3", "model.ssd.freeze_batchnorm": "true"}
        assert (asked["augment"], asked["image_size"]) == (["random_horizontal_flip"], [128, 96])
        assert (asked["own"], asked["source"]) == (False, "efficientdet_d0")
        assert "ssd_efficientnet-b0_bifpn_keras" in asked["text"]
        assert worker.asked("training:train")["every"] == 4

    def test_a_configuration_of_ones_own(
        self, worker: FakeWorker, train: Callable[..., boxwright.Run], tmp_path: Path
    ) -> None:
        own = tmp_path / "my.config"
        own.write_text("\ufeffmodel { ssd { num_classes: 3 } }")
        train(settings={"config": str(own)})
        asked = worker.asked("pipeline:compose")
        assert (asked["own"], asked["source"]) == (True, str(own))
        assert asked["text"] == "model { ssd { num_classes: 3 } }"
        assert asked["augment"] is asked["batch_size"] is asked["steps"] is None

    def test_without_held_out_images_nothing_is_evaluated(
        self, worker: FakeWorker, train: Callable[..., boxwright.Run]
    ) -> None:
        train()
        assert worker.asked("pipeline:compose")["val_records"] is None
        assert worker.asked("training:train")["evaluate_every"] is None
        assert worker.asked("finishing:export")["folder"].endswith("run/checkpoints")

    def test_a_pretrained_checkpoint_is_brought_into_the_run(
        self, worker: FakeWorker, train: Callable[..., boxwright.Run], tmp_path: Path
    ) -> None:
        for part in ("index", "data-00000-of-00001"):
            (tmp_path / f"ckpt-0.{part}").write_bytes(b"x")
        run = train(settings={"checkpoint": str(tmp_path / "ckpt-0")})
        assert worker.asked("pipeline:compose")["checkpoint"] == str(run.file("pretrained/ckpt-0").absolute())
        assert run.file("pretrained/ckpt-0.index").is_file()

    def test_resumed_after_the_worker_was_killed(
        self, worker: FakeWorker, train: Callable[..., boxwright.Run], tmp_path: Path
    ) -> None:
        worker.dies_at = 4
        with pytest.raises(WorkerDiedError):
            train(settings={"checkpoint_every": "2"}, epochs=3)
        run = boxwright.Run(tmp_path / "run")
        assert run.status == "failed"
        records = run.file("data/train.record").stat().st_mtime_ns
        worker.calls.clear()
        worker.dies_at, worker.starts_at = None, 4
        assert train(resume=True).status == "done"
        asked = worker.asked("pipeline:compose")
        # The run's own configuration, which contains all settings.
        assert (asked["own"], asked["text"], asked["settings"]) == (True, "model { ssd {} }\n", {})
        assert "epochs" not in asked
        assert run.file("data/train.record").stat().st_mtime_ns == records
        assert [line["step"] for line in run.metrics()] == [2, 4, 6]


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level("INFO", "boxwright"):
        yield caplog


class TestEvaluation:
    def test_the_best_checkpoint_becomes_the_model(
        self, worker: FakeWorker, train: Callable[..., boxwright.Run], drawn: Dataset, said: Any
    ) -> None:
        run = train(val=drawn, eval_every=2)
        assert worker.asked("training:train")["evaluate_every"] == 4  # steps: an epoch has two
        assert [line.get("val_AP") for line in run.metrics()] == [None, 0.5, 0.25]
        assert {"val_AP50", "val_AR100", "val_loss"} <= set(run.metrics()[1])
        assert worker.asked("finishing:export")["folder"] == str(run.file("checkpoints/best").absolute())
        assert json.loads(run.file("evaluation/api.json").read_text())["values"] == held(0.5)
        assert "Step 4 was the best on the held-out images: AP 0.500, and 0.250 after the last step." in said.text

    def test_the_last_one_if_the_user_says_so(
        self, worker: FakeWorker, train: Callable[..., boxwright.Run], drawn: Dataset, said: Any
    ) -> None:
        run = train(val=drawn, eval_every=2, settings={"final_weights": "last"})
        assert worker.asked("finishing:export")["folder"] == str(run.file("checkpoints").absolute())
        assert json.loads(run.file("evaluation/api.json").read_text())["values"] == held(0.25)
        assert "The last one becomes the model" in said.text

    def test_images_without_boxes_measure_nothing(
        self, worker: FakeWorker, train: Callable[..., boxwright.Run], drawn: Dataset, said: Any
    ) -> None:
        worker.aps = [-1.0] * 3
        run = train(val=drawn)
        assert "val_AP" not in run.metrics()[-1]
        assert "No AP was measured" in said.text
        assert worker.asked("finishing:export")["folder"].endswith("checkpoints")

    @pytest.mark.parametrize(
        ("options", "steps", "patience"),
        [
            ({}, 2, None),  # each of the three epochs
            ({"settings": {"eval_steps": "3"}}, 3, None),
            ({"eval_every": 3, "settings": {"early_stopping": "1"}}, 2, 2),
        ],
    )
    def test_how_often_and_how_long(
        self,
        worker: FakeWorker,
        train: Callable[..., boxwright.Run],
        drawn: Dataset,
        options: dict[str, Any],
        steps: int,
        patience: int | None,
    ) -> None:
        worker.aps = [0.1, 0.2, 0.3]
        train(val=drawn, **options)
        asked = worker.asked("training:train")
        assert (asked["evaluate_every"], asked["patience"]) == (steps, patience)

    @pytest.mark.parametrize("name", ["early_stopping", "eval_steps"])
    def test_without_held_out_images_it_is_an_error(
        self, worker: FakeWorker, train: Callable[..., boxwright.Run], name: str
    ) -> None:
        with pytest.raises(UsageError, match=f"{name} requires validation images"):
            train(settings={name: "3"})
        assert worker.calls == []


class TestImportedWeights:
    @pytest.fixture
    def imported(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setenv("BOXWRIGHT_HOME", str(tmp_path / "home"))
        folder = tmp_path / "home/weights/objectron/tfod"
        for name in ("checkpoint", "backbone"):
            (folder / name).mkdir(parents=True)
            for part in ("index", "data-00000-of-00001"):
                (folder / name / f"ckpt-1.{part}").write_text(name)
        return folder

    @pytest.mark.parametrize(
        ("preset", "part"), [("ssd_mobilenet_v2", "checkpoint"), ("ssd_mobilenet_v2_fpnlite_320", "backbone")]
    )
    def test_presets_start_from_them_and_say_so(
        self,
        worker: FakeWorker,
        train: Callable[..., boxwright.Run],
        imported: Path,
        said: Any,
        preset: str,
        part: str,
    ) -> None:
        run = train(preset=preset)
        assert worker.asked("pipeline:compose")["checkpoint"] == str(run.file("pretrained/ckpt-1").absolute())
        assert run.file("pretrained/ckpt-1.index").read_text() == part
        assert "Starting from the imported weights objectron (Open Images V4)" in said.text

    @pytest.mark.parametrize(
        "options",
        [
            {"settings": {"checkpoint": "none"}},
            {"settings": {"model.ssd.feature_extractor.depth_multiplier": "0.35"}},
            {"preset": "efficientdet_d0"},
        ],
    )
    def test_not_if_the_network_is_another_one_or_the_user_says_none(
        self, worker: FakeWorker, train: Callable[..., boxwright.Run], imported: Path, options: dict[str, Any]
    ) -> None:
        train(**options)
        assert worker.asked("pipeline:compose")["checkpoint"] is None

    def test_what_to_run_if_they_are_missing(
        self,
        worker: FakeWorker,
        train: Callable[..., boxwright.Run],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        said: Any,
    ) -> None:
        monkeypatch.setenv("BOXWRIGHT_HOME", str(tmp_path / "home"))
        train(preset="ssd_mobilenet_v2")
        assert worker.asked("pipeline:compose")["checkpoint"] is None
        assert "Pretrained weights for this preset (Apache-2.0): boxwright weights import objectron --npm" in said.text
        with pytest.raises(MissingLibraryError, match="'objectron' are not imported for tfod"):
            train(out=tmp_path / "other", settings={"checkpoint": "objectron"})


class TestRotatedImages:
    """Photos of phones: stored sideways, with the EXIF orientation of EXIF 2.32, tag 0x0112."""

    def test_the_api_gets_them_upright_and_their_boxes_on_the_object(
        self, worker: FakeWorker, tmp_path: Path, said: Any
    ) -> None:
        upright = np.zeros((96, 64, 3), np.uint8)
        upright[8:40, 16:48] = 255
        exif = Image.Exif()
        exif[0x0112] = 6  # a viewer turns the stored image clockwise
        stored = Image.fromarray(np.rot90(upright))
        for name in ("phone.jpg", "other.jpg"):
            stored.save(tmp_path / name, exif=exif, quality=95)
        Image.fromarray(upright).save(tmp_path / "plain.png")
        on_screen, as_stored = (16, 8, 48, 40), (8, 16, 40, 48)  # of the square in `upright` and in `stored`
        samples = [
            self.sample(tmp_path / "phone.jpg", (64, 96), on_screen),
            self.sample(tmp_path / "other.jpg", (96, 64), as_stored),
            self.sample(tmp_path / "plain.png", (64, 96), on_screen),
        ]
        run = boxwright.train(Dataset(SampleReader(samples)), out=tmp_path / "run", backend="tfod")
        assert "2 images rotated by their EXIF orientation" in said.text
        written = list(boxwright.open(f"tfrecord:{run.file('data/train.record')}"))
        assert [sample.boxes.coordinates for sample in written] == [(on_screen,)] * 3
        for sample in written:
            pixels = tf.io.decode_image(sample.image.read(), channels=3).numpy()  # which ignores EXIF, as the API does
            assert pixels.shape == upright.shape
            assert np.abs(pixels.astype(int) - upright).mean() < 3
        assert written[2].image.read() == (tmp_path / "plain.png").read_bytes()

    @staticmethod
    def sample(path: Path, size: tuple[int, int], box: tuple[float, float, float, float]) -> Sample:
        image = ImageRef(name=path.name, width=size[0], height=size[1], location=str(path), format=path.suffix[1:])
        return Sample(image=image, boxes=boxwright.Boxes(["fig"], [box]))


class TestBadInput:
    def test_no_plugin_for_records(
        self, worker: FakeWorker, train: Callable[..., boxwright.Run], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from boxwright.plugins import Registry

        names = Registry.names
        monkeypatch.setattr(Registry, "names", lambda self, kind: [n for n in names(self, kind) if n != "tfrecord"])
        with pytest.raises(MissingLibraryError) as caught:
            train()
        assert caught.value.remedy == "run: python -m pip install boxwright-tfrecord"

    def test_a_configuration_that_is_not_there_or_no_text(
        self, worker: FakeWorker, train: Callable[..., boxwright.Run], tmp_path: Path
    ) -> None:
        with pytest.raises(DataError, match="file not found"):
            train(settings={"config": str(tmp_path / "absent.config")})
        (tmp_path / "bad.config").write_bytes(b"\xff\xfe")
        with pytest.raises(DataError, match="UTF-8"):
            train(settings={"config": str(tmp_path / "bad.config")})
        assert worker.calls == []

    def test_boxes_outside_are_cut_and_said(
        self, worker: FakeWorker, drawn: Dataset, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        (sample, *_) = drawn
        edges = [(-5, -5, 20, 20), (10, 10, 10, 30), (30, 30, 60, 60)]
        data = Dataset(SampleReader([sample.replace(boxes=boxwright.Boxes(["fig"] * 3, edges))]))
        with caplog.at_level("INFO", "boxwright"):
            run = boxwright.train(data, out=tmp_path / "run", backend="tfod")
        assert "1 box extended beyond the image" in caplog.text
        assert "1 box with zero area" in caplog.text
        (written,) = boxwright.open(f"tfrecord:{run.file('data/train.record')}")
        assert written.boxes.coordinates == ((0, 0, 20, 20), (30, 30, 60, 60))

    def test_a_run_without_a_model(
        self, worker: FakeWorker, train: Callable[..., boxwright.Run], tmp_path: Path
    ) -> None:
        worker.dies_at = 2
        with pytest.raises(WorkerDiedError):
            train()
        with pytest.raises(RunError, match="no trained model yet") as caught:
            load_model(tmp_path / "run")
        assert "--resume" in caught.value.remedy


class TestDetector:
    def make(self, tmp_path: Path, boxes: Any, scores: Any, classes: Any) -> SavedModelDetector:
        save_detector(tmp_path / "model", boxes, scores, classes)
        return SavedModelDetector(tmp_path / "model", LabelMap.from_names(["date", "fig", "hazelnut"]))

    def test_shares_become_pixels_and_numbers_names(self, tmp_path: Path, drawn: Dataset) -> None:
        boxes = [[0.25, 0.5, 0.75, 1.0], [0.0, 0.0, 0.5, 0.25], [0.2, 0.2, 0.2, 0.2], [0.0, 0.0, 0.0, 0.0]]
        model = self.make(tmp_path, boxes, [0.5, 0.875, 0.3, 0.0], [3, 2, 1, 1])
        (found, *others) = list(model.predict(drawn))
        assert len(others) == 7
        assert found.boxes.labels == ("fig", "hazelnut")  # best first; what has no area is padding
        assert found.boxes.coordinates == ((0, 0, 24, 40), (48, 20, 96, 60))
        assert found.scores == (0.875, 0.5)
        assert next(model.predict(drawn, score=0.6)).boxes.labels == ("fig",)

    def test_boxes_are_clipped_to_the_image(self, tmp_path: Path, drawn: Dataset) -> None:
        model = self.make(tmp_path, [[-0.5, -0.1, 1.5, 1.1]], [0.5], [1])
        assert next(model.predict(drawn)).boxes.coordinates == ((0, 0, 96, 80),)

    def test_a_number_that_the_label_map_has_not(self, tmp_path: Path, drawn: Dataset) -> None:
        model = self.make(tmp_path, [[0, 0, 1, 1]], [0.5], [4])
        with pytest.raises(boxwright.PluginError, match="class id 4, and the label map has ids from 1 to 3"):
            list(model.predict(drawn))

    def test_what_is_no_saved_model(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"saved_model\.pb: No such file"):
            SavedModelDetector(tmp_path, LabelMap.from_names(["fig"]))


class TestPresets:
    def text(self, preset: str) -> str:
        return (Path(backend.__file__).parent / "presets" / f"{preset}.config").read_text()

    @pytest.mark.parametrize("preset", PRESETS)
    def test_each_has_its_file(self, preset: str) -> None:
        text = self.text(preset)
        assert text.count("{") == text.count("}")
        for field in ("num_classes", "batch_size", "num_steps", "fine_tune_checkpoint_version: V2", "coco_detection"):
            assert field in text
        assert "fine_tune_checkpoint:" not in text  # from scratch, unless the user says otherwise
        assert "input_path" not in text

    def test_and_each_file_is_one(self) -> None:
        files = {path.stem for path in (Path(backend.__file__).parent / "presets").glob("*.config")}
        assert files == set(PRESETS)

    def test_the_tops_of_a_pipeline_are_options(self) -> None:
        tops = {
            re.split(r"\W", line)[0]
            for preset in PRESETS
            for line in self.text(preset).splitlines()
            if line[:1].isalpha()
        }
        assert {f"{top}.*" for top in tops} == {option.name for option in OPTIONS if option.name.endswith(".*")}
