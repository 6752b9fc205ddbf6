"""The backend through ``boxwright.train``: the content of a run, resuming, and prediction."""

from __future__ import annotations

import io
import json
import math
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image

tf = pytest.importorskip("tensorflow")

import keras  # noqa: E402
import keras_cv  # noqa: E402

import boxwright_kerascv  # noqa: E402
from boxwright import (  # noqa: E402
    AugmenterSpec,
    Boxes,
    DataError,
    Dataset,
    ImageRef,
    Option,
    PluginNotFoundError,
    RunError,
    Sample,
    TrainJob,
    UsageError,
    evaluate,
    load_model,
    train,
)
from boxwright.datasets import Problems, SampleReader  # noqa: E402
from boxwright.images import decode_sample  # noqa: E402
from boxwright.models import Augmenter, ForwardModel, PortableModel, Run, augmentation  # noqa: E402
from boxwright.plugins import default_registry  # noqa: E402
from boxwright_kerascv import backend as backend_module, network, watch as watch_module  # noqa: E402
from boxwright_kerascv.decode import DecoderSettings  # noqa: E402
from boxwright_kerascv.entry import KerasCVBackend  # noqa: E402
from boxwright_kerascv.epochs import Evaluate, Progress  # noqa: E402
from boxwright_kerascv.layers import Detector, Head, NarrowBackbone, Pyramid  # noqa: E402
from boxwright_kerascv.monitor import Monitor  # noqa: E402
from boxwright_kerascv.objects import check_objects  # noqa: E402
from boxwright_kerascv.own import plain_inputs  # noqa: E402
from boxwright_kerascv.predictor import KerasCVModel  # noqa: E402
from boxwright_kerascv.recipe import Recipe  # noqa: E402
from boxwright_kerascv.starting import find_start  # noqa: E402

pytestmark = pytest.mark.tensorflow

SMALL: dict[str, Any] = {
    "backend": "kerascv",
    "preset": "tiny",
    "image_size": (64, 64),
    "batch_size": 4,
    "epochs": 3,
    "seed": 1,
    # An untrained detector has only low scores.
    "settings": {"score_threshold": 0.001, "oversample": 1.0},
}


def weights(run: Run) -> list[np.ndarray]:
    return backend_module.KerasCVBackend().load(run).network.get_weights()  # type: ignore[no-any-return]


def narrow(preset: Any, shape: tuple[int, int, int], weights: str | None) -> NarrowBackbone:
    """Returns a backbone with few layers, because short trainings spend their time on tracing."""
    return NarrowBackbone(channels=[16, 16, 32, 32], depths=[0, 0, 0, 0], input_shape=shape)


@pytest.fixture(scope="module")
def finished(drawn: Dataset, validation: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Three epochs of two steps, with four validation images."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(network, "_backbone", narrow)
        return train(drawn, val=validation, out=tmp_path_factory.mktemp("finished") / "run", **SMALL)


def test_the_content_of_a_run_folder(finished: Run) -> None:
    assert finished.status == "done"
    kept = {"checkpoints", "config.json", "label_map.pbtxt", "metrics.jsonl", "model", "pictures", "run.json"}
    assert {path.name for path in finished.path.iterdir()} - {"evaluation"} == kept | {"tensorboard"}
    config = finished.config
    assert config["recipe"]["steps"] == 6
    assert (config["recipe"]["width"], config["recipe"]["height"]) == (64, 64)
    assert set(config) >= {"anchors", "decoder", "seed", "data", "val", "settings"}
    model = {path.name for path in finished.file("model").iterdir()}
    portable = {"network.tflite", "portable.json"}
    assert model - {"last.weights.h5"} == {"network.json", "network.weights.h5", *portable}
    assert [path.name for path in finished.file("checkpoints").iterdir()] == ["last.npz"]


def test_metrics_have_one_line_per_epoch(finished: Run) -> None:
    lines = finished.metrics()
    assert [line["epoch"] for line in lines] == [1, 2, 3]
    assert [line["step"] for line in lines] == [2, 4, 6]
    for line in lines:
        assert set(line) == {
            "epoch", "step", "loss", "box_loss", "classification_loss", "val_loss", "val_box_loss",
            "val_classification_loss", "val_AP", "val_AP50", "val_AR100", "learning_rate", "images_per_second",
            "input_wait",
        }  # fmt: skip
        assert all(math.isfinite(value) for value in line.values())
        # A warm-up of one step, then half a cosine from 0.002 at step 1 to 0 at step 6.
        expected = 0.002 * 0.5 * (1 + math.cos(math.pi * (line["step"] - 1) / 5))
        assert line["learning_rate"] == pytest.approx(expected, abs=1e-8)


def test_the_model_has_the_weights_of_the_best_epoch(finished: Run, validation: Dataset) -> None:
    lines = finished.metrics()
    best = max(lines, key=lambda line: (line["val_AP"], -line["val_loss"]))
    values = evaluate(backend_module.KerasCVBackend().load(finished), validation).values
    for name in ("AP", "AP50", "AR100"):
        assert values[name] == pytest.approx(best[f"val_{name}"], abs=1e-6)
    assert finished.file("model/last.weights.h5").exists() == (best["epoch"] != 3)


def test_tensorboard_shows_the_same_numbers_and_images(finished: Run) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # type: ignore[import-untyped]

    events = EventAccumulator(str(finished.file("tensorboard")), size_guidance={"tensors": 0})
    events.Reload()
    for name in ("loss", "val_loss", "val_AP", "learning_rate"):
        shown = {event.step: float(tf.make_ndarray(event.tensor_proto)) for event in events.Tensors(name)}
        assert shown == pytest.approx({line["step"]: line[name] for line in finished.metrics()}, rel=1e-6)
    tags = [tag for tag in events.Tags()["tensors"] if tag.startswith("prediction")]
    assert tags == [f"prediction {number}" for number in range(1, 5)], "one per validation image"
    width, height, data = tf.make_ndarray(events.Tensors(tags[0])[-1].tensor_proto)[:3]
    image = Image.open(io.BytesIO(data))
    assert image.size == (int(width), int(height))
    assert image.width > 2 * 96, "ground truth and prediction side by side"


def test_the_run_contains_drawn_predictions(finished: Run) -> None:
    found = sorted(finished.file("pictures").iterdir())
    assert [path.name for path in found] == [f"prediction-{number}.jpg" for number in range(1, 5)]
    for path in found:
        with Image.open(path) as image:
            image.load()
            assert image.format == "JPEG"


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def unboxed(name: str, image: Image.Image, data: bytes | None = None) -> Sample:
    return Sample(image=ImageRef(name=name, width=image.width, height=image.height, data=data or png(image)))


@pytest.fixture(scope="module")
def photo(validation: Dataset) -> Image.Image:
    """Twice the network's size, so that this image and one twice as large are reduced without a remainder."""
    return Image.open(io.BytesIO(next(iter(validation)).image.read())).convert("RGB").resize((128, 128))


def test_boxes_are_in_pixels_of_the_image(finished: Run, photo: Image.Image) -> None:
    """The same image at twice the size (every pixel four times) has the same objects at twice the coordinates."""
    double = photo.resize((photo.width * 2, photo.height * 2), Image.Resampling.NEAREST)
    one, two = load_model(finished).predict([unboxed("one", photo), unboxed("two", double)])
    assert len(one.boxes) > 10
    best = range(10)
    assert [one.boxes.labels[place] for place in best] == [two.boxes.labels[place] for place in best]
    np.testing.assert_allclose(two.scores[:10], one.scores[:10], atol=2e-3)
    np.testing.assert_allclose(two.boxes.xyxy[:10], one.boxes.xyxy[:10] * 2, atol=1.0)
    assert one.boxes.xyxy.max() > 64, "not in the pixels of the network's 64x64"


def test_boxes_of_a_rotated_photo_have_the_orientation_of_its_annotation(finished: Run, photo: Image.Image) -> None:
    """EXIF orientation 6: what is stored at (x, y) of an image h high is shown at (h - y, x)."""
    photo = photo.crop((0, 0, 128, 96))
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    photo.save(buffer, "JPEG", quality=95, exif=exif)
    upright = ImageRef(name="upright", width=photo.height, height=photo.width, data=buffer.getvalue())
    stored = ImageRef(name="stored", width=photo.width, height=photo.height, data=buffer.getvalue())
    shown, raw = load_model(finished).predict([Sample(image=upright), Sample(image=stored)])
    assert len(shown.boxes) > 5
    xmin, ymin, xmax, ymax = raw.boxes.xyxy.T
    rotated = np.stack([photo.height - ymax, xmin, photo.height - ymin, xmax], axis=1)
    np.testing.assert_allclose(shown.boxes.xyxy, rotated, atol=1e-3)
    # The two rows of a batch may be computed by different instructions, which round their float32 differently.
    np.testing.assert_allclose(shown.scores, raw.scores, rtol=1e-5)


def test_litert_finds_what_keras_finds(finished: Run, validation: Dataset) -> None:
    samples = list(validation)
    keras_model, litert_model = KerasCVBackend().load_framework(finished), load_model(finished)
    slow, fast = list(keras_model.predict(samples)), list(litert_model.predict(samples))
    assert sum(len(found.boxes) for found in slow) > 100
    for one, two in zip(slow, fast, strict=True):
        assert one.boxes.labels == two.boxes.labels
        np.testing.assert_allclose(two.scores, one.scores, atol=1e-5)
        np.testing.assert_allclose(two.boxes.xyxy, one.boxes.xyxy, atol=1e-2)
    # What `boxwright benchmark` times: the network alone.
    assert isinstance(keras_model, ForwardModel)
    assert isinstance(litert_model, ForwardModel)
    image = keras_model.inputs(decode_sample(samples[0]).image)[None]
    (_, logits), (_, scores) = keras_model.forward(image), litert_model.forward(image)
    np.testing.assert_allclose(scores, 1 / (1 + np.exp(-logits)), atol=1e-5)


PREDICT = """
import sys
from boxwright import load_model, open
(found,) = load_model(sys.argv[1]).predict(open("demo:test?images=1&seed=4&size=96x80"))
assert len(found.boxes) > 10
heavy = {"tensorflow", "keras", "keras_cv"} & set(sys.modules)
assert not heavy, heavy
"""


def test_prediction_imports_no_tensorflow(finished: Run) -> None:
    subprocess.run([sys.executable, "-c", PREDICT, finished.path], check=True)


def test_a_network_of_other_weights_is_not_used(finished: Run, tmp_path: Path) -> None:
    copy = shutil.copytree(finished.path, tmp_path / "copy")
    model = backend_module.KerasCVBackend().load(Run(copy))
    model.network.set_weights([np.zeros_like(weight) for weight in model.network.get_weights()])
    model.network.save_weights(copy / "model" / "network.weights.h5")
    assert isinstance(load_model(finished), PortableModel)
    assert isinstance(load_model(copy), KerasCVModel)


@pytest.fixture(scope="module")
def interruptions(drawn: Dataset, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A training that is stopped by Ctrl-C after its second checkpoint.

    What a kill would leave there is the folder before Ctrl-C: a killed process changes nothing any more.
    """
    folder = tmp_path_factory.mktemp("interruptions")
    checkpoint_written = TrainJob.checkpoint_written

    def stop(job: TrainJob, path: Path, epoch: int) -> None:
        checkpoint_written(job, path, epoch)
        if epoch == 2:
            shutil.copytree(job.run.path, folder / "killed")
            signal.raise_signal(signal.SIGINT)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(network, "_backbone", narrow)
        patch.setattr(TrainJob, "checkpoint_written", stop)
        with pytest.raises(KeyboardInterrupt):
            train(drawn, val="demo:test?images=16&seed=4&size=96x80", out=folder / "interrupted", **SMALL)
    return {name: folder / name for name in ("interrupted", "killed")}


def test_the_status_after_ctrl_c_is_interrupted(interruptions: dict[str, Path]) -> None:
    runs = [Run(interruptions[name]) for name in ("interrupted", "killed")]
    assert [run.status for run in runs] == ["interrupted", "running"]
    for run in runs:
        assert [row["epoch"] for row in run.metrics()] == [1, 2]
    one, two = (run.file("checkpoints/last.npz").read_bytes() for run in runs)
    assert one == two, "either is resumed from the same state"


def test_a_killed_run_resumes_and_ends_with_the_same_weights(
    interruptions: dict[str, Path], finished: Run, drawn: Dataset, reporter: Any
) -> None:
    """Bit by bit, and with the same best epoch."""
    run = train(drawn, out=interruptions["killed"], resume=True, reporter=reporter)
    assert "Resuming after step 4 of 6." in reporter.messages
    assert run.status == "done"
    assert [line["epoch"] for line in run.metrics()] == [1, 2, 3]
    total, task = reporter.tasks["Training"]
    assert (total, task.done) == (6, 6)
    for one, two in zip(weights(finished), weights(run), strict=True):
        np.testing.assert_array_equal(one, two)
    lines = [[{**line, "images_per_second": 0, "input_wait": 0} for line in each.metrics()] for each in (finished, run)]
    assert lines[0] == lines[1]
    files = [sorted(path.name for path in each.file("model").iterdir()) for each in (finished, run)]
    assert files[0] == files[1]


SCRIPT = """
import json, sys
from boxwright import open, train
from boxwright_kerascv import network
from boxwright_kerascv.layers import NarrowBackbone

network._backbone = lambda preset, shape, weights: NarrowBackbone(
    channels=[16, 16, 32, 32], depths=[0, 0, 0, 0], input_shape=shape
)
data, val = (open(f"demo:{split}&seed=4&size=96x80") for split in ("train?images=8", "test?images=16"))
train(data, val=val, out=sys.argv[1], **json.loads(sys.argv[2]))
"""


@pytest.mark.slow
def test_a_training_in_another_process_has_the_same_weights(finished: Run, tmp_path: Path) -> None:
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "run"), json.dumps(SMALL)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "Warning" not in done.stderr, "Keras' warnings do not reach the user"
    for one, two in zip(weights(finished), weights(Run(tmp_path / "run")), strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_finished_run_is_not_trained_again(finished: Run, drawn: Dataset, reporter: Any) -> None:
    before = finished.metrics()
    assert train(drawn, out=finished.path, resume=True, reporter=reporter).metrics() == before
    assert reporter.tasks == {}


def test_a_run_whose_checkpoint_is_damaged_is_an_error(
    finished: Run, drawn: Dataset, validation: Dataset, tmp_path: Path
) -> None:
    copy = shutil.copytree(finished.path, tmp_path / "copy")
    Run(copy).update(status="interrupted")
    (copy / "checkpoints" / "last.npz").write_bytes(b"no checkpoint")
    with pytest.raises(RunError, match=r"last\.npz cannot be resumed"):
        train(drawn, val=validation, out=copy, resume=True)
    (copy / "model" / "network.weights.h5").unlink()
    with pytest.raises(RunError, match="no trained model yet") as caught:
        load_model(copy)
    assert "--resume" in caught.value.remedy


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("network.weights.h5", b"no weights"),
        ("network.json", b"{"),
        ("network.json", b"[]"),
        ("network.json", b'{"preset": "tiny"}'),
    ],
)
def test_a_run_whose_model_is_damaged_is_an_error(finished: Run, tmp_path: Path, name: str, content: bytes) -> None:
    copy = shutil.copytree(finished.path, tmp_path / "copy")
    (copy / "model" / name).write_bytes(content)
    with pytest.raises(RunError, match="cannot be loaded") as caught:
        load_model(copy)
    assert caught.value.remedy


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The complete example in the core's protocol as an augmenter of another plugin; counts its calls."""
    text = Augmenter.__doc__ or ""
    example = text[text.index("import tensorflow") : text.index("The factory named by")]
    lines = [line.removeprefix("        ") for line in example.splitlines()]
    module = ModuleType("mirror_plugin")
    exec("\n".join(["", *lines]).replace("\n    class", "\nclass"), module.__dict__)
    calls: list[int] = []
    called = module.Mirror.__call__

    def counting(self: Any, example: dict[str, Any], seed: Any) -> dict[str, Any]:
        calls.append(1)
        assert example["images"].dtype == tf.float32
        assert (seed.dtype, seed.shape) == (tf.int32, (2,))
        return called(self, example, seed)  # type: ignore[no-any-return]

    module.Mirror.__call__ = counting
    monkeypatch.setitem(sys.modules, "mirror_plugin", module)
    installed = default_registry()
    spec = AugmenterSpec(name="mirror", summary="Mirrors half of the images", load="mirror_plugin:Mirror")

    class WithMirror:
        def get(self, kind: str, name: str) -> Any:
            return SimpleNamespace(spec=spec) if name == "mirror" else installed.get(kind, name)

        def resolve(self, kind: str, name: str) -> Any:
            return module.Mirror if name == "mirror" else installed.resolve(kind, name)

    monkeypatch.setattr(augmentation, "default_registry", WithMirror)
    return calls


def test_training_on_awkward_data_reports_every_change(
    drawn: Dataset,
    validation: Dataset,
    mirror: list[int],
    reporter: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One class; a damaged image first, one without boxes, boxes outside and with zero area; images on disk; an
    augmenter of another plugin; a callback; a plateau and early stopping, with a loss that grows from the first
    evaluation on."""
    first, *others = list(drawn)
    damaged = first.replace(
        image=first.image.model_copy(update={"data": b"no image"}),
        boxes=Boxes(["thing"], [(5, 5, 40, 40)]),
        source="damaged.jpg",
    )
    empty = others[0].replace(boxes=())
    outside = others[1].replace(boxes=Boxes(["thing"] * 3, [(-20, -5, 50, 60), (10, 10, 10, 40), (500, 500, 510, 520)]))
    rest = [other.replace(boxes=Boxes(["thing"] * len(other.boxes), other.boxes.coordinates)) for other in others[2:]]
    data = Dataset(SampleReader([damaged, empty, outside, *rest]), problems=Problems("skip"))
    val = Dataset(SampleReader([other.replace(boxes=Boxes(["thing"], [(5, 5, 40, 40)])) for other in validation]))
    seen: list[bool] = []
    evaluate = watch_module.Watch.evaluate

    def growing(watch: Any) -> dict[str, float]:
        found = evaluate(watch)
        seen.append((watch._job.run.path / "cache" / "pictures.bin").is_file())
        return {"val_loss": float(len(seen)), "val_AP50": found["val_AP50"]}

    class Recorder(keras.callbacks.Callback):  # type: ignore[misc]
        """A callback of the user."""

        def __init__(self) -> None:
            super().__init__()
            self.logs: list[tuple[int, float]] = []

        def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
            self.logs.append((epoch, logs["val_loss"]))

    recorder = Recorder()
    settings = {"cache": "disk", "early_stopping": 2, "max_boxes": 2, "schedule": "plateau", "patience": 1}
    settings |= {
        "balance": 0.5,
        "warmup_fraction": 0,
        "optimizer": "sgd",
        "learning_rate": 0.001,
        "monitor": "val_loss",
    }
    monkeypatch.setattr(watch_module.Watch, "evaluate", growing)
    run = train(
        data,
        val=val,
        out=tmp_path / "run",
        augment=["mirror", "crop:smallest=0.5,probability=1"],
        reporter=reporter,
        objects={"callbacks": [recorder]},
        **SMALL | {"epochs": 20, "settings": settings},
    )
    assert run.status == "done"
    assert run.label_map.names == ("thing",)
    assert mirror, "the other plugin's augmenter was used"
    assert run.config["recipe"]["augment"] == ["mirror", "crop:smallest=0.5,probability=1"]
    assert [error.file for error in data.problems.skipped] == ["damaged.jpg"]
    record = "\n".join([*reporter.messages, *reporter.warnings])
    assert "1 boxes extend beyond their image" in record
    assert "2 boxes have zero area inside their image" in record
    assert "on 7 images at 64x64" in record
    assert "Balanced sampling: images with rare classes are shown up to 1.0 times as often" in record
    most = max(len(other.boxes) for other in rest)
    assert f"an image has {most} boxes, of which 2 are used in training" in record
    # The first epoch is the best; two more without a lower loss are enough.
    assert seen == [True] * 3, "images are on disk during training"
    assert recorder.logs == [(0, 1.0), (1, 2.0), (2, 3.0)]
    assert "Stopped after epoch 3: 2 epochs without a better val_loss" in record
    lines = run.metrics()
    assert [line["epoch"] for line in lines] == [1, 2, 3]
    assert [line["learning_rate"] for line in lines] == pytest.approx([1e-3, 1e-3, 1e-4])
    assert "Epoch 1 was the best on the validation images" in record
    with np.load(run.file("checkpoints/last.npz")) as arrays:
        last = [arrays[f"model_{place}"] for place in range(len(weights(run)))]
    model = backend_module.KerasCVBackend().load(run).network
    assert any(not np.array_equal(one, two) for one, two in zip(model.get_weights(), last, strict=True))
    model.load_weights(run.file("model/last.weights.h5"))
    for one, two in zip(model.get_weights(), last, strict=True):
        np.testing.assert_array_equal(one, two)
    assert not run.file("cache/pictures.bin").exists(), "the file is removed at the end"
    assert all(math.isfinite(line["loss"]) for line in run.metrics())
    found = list(load_model(run).predict(rest[:1], score=0.0))
    assert set(found[0].boxes.labels) <= {"thing"}


class Recorded(keras.losses.BinaryFocalCrossentropy):  # type: ignore[misc]
    """A loss of the user."""

    shapes: ClassVar[set[tuple[int, ...]]] = set()

    def call(self, y_true: Any, y_pred: Any) -> Any:
        self.shapes.add(tuple(y_pred.shape))
        return super().call(y_true, y_pred)


def test_a_pretrained_backbone_is_downloaded_once_frozen_and_saved(
    drawn: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """KerasCV's download is a narrow backbone here, and then there is no internet access. The optimizer and the losses
    are the user's."""
    pretrained = NarrowBackbone(channels=[8, 8, 16, 16], depths=[0, 0, 0, 0], input_shape=(None, None, 3))
    chance = np.random.default_rng(0)
    pretrained.set_weights([value + chance.uniform(0, 0.1, value.shape) for value in pretrained.get_weights()])
    before = [value.copy() for value in pretrained.get_weights()]
    requested: list[str] = []

    def fetch(preset: str, **_: Any) -> Any:
        requested.append(preset)
        if len(requested) > 1:
            raise ConnectionError("there is no network")
        return pretrained

    monkeypatch.setattr(keras_cv.models.Backbone, "from_preset", fetch)
    settings = {"freeze_backbone": True, "precision": "mixed_bfloat16", "score_threshold": 0.001}
    changes = {"preset": "mobilenet_v3_small_imagenet", "epochs": 1, "settings": settings}
    objects: dict[str, Any] = {
        "optimizer": keras.optimizers.SGD(learning_rate=0.01, momentum=0.5),
        "box_loss": keras.losses.Huber(reduction="sum"),
        "classification_loss": Recorded(from_logits=True, reduction="sum"),
    }
    run = train(drawn, out=tmp_path / "run", augment=[], objects=objects, **SMALL | changes)
    assert objects["optimizer"].iterations == 2, "eight images in steps of four"
    assert {shape[-1] for shape in Recorded.shapes} == {3}, "one logit per class"
    assert run.metrics()[0]["learning_rate"] == pytest.approx(0.01)
    assert keras.config.dtype_policy().name == "float32", "the precision applies only to the training"
    model = load_model(run)
    assert len(requested) == 1, "the trained model requires no download"
    for one, two in zip(before, model.network.backbone.get_weights(), strict=True):  # type: ignore[attr-defined]
        np.testing.assert_array_equal(one, two)
    (found,) = model.predict(list(drawn)[:1])
    assert len(found.boxes) > 0
    assert np.isfinite(found.boxes.xyxy).all()


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"no_such_setting": 1}, "no_such_setting"),
        ({"learning_rate": "quick"}, "learning_rate"),
        ({"learning_rate": 0}, "learning_rate"),
        ({"score_threshold": 2}, "score_threshold"),
        ({"max_detections": 0}, "max_detections"),
        ({"pixel_budget": -5}, "pixel_budget"),
        ({"weight_decay": -1}, "weight_decay"),
        ({"precision": "float8"}, "precision"),
        ({"early_stopping": 3}, "early stopping"),
        ({"schedule": "plateau"}, "schedule=plateau requires validation images"),
        ({"milestones": "0.9,0.1"}, "milestones"),
        ({"early_stopping": -1}, "early_stopping"),
    ],
)
def test_invalid_settings_are_usage_errors(
    drawn: Dataset, tmp_path: Path, settings: dict[str, Any], named: str
) -> None:
    with pytest.raises(UsageError, match=named) as caught:
        train(drawn, out=tmp_path / "run", **SMALL | {"image_size": None, "settings": settings})
    assert caught.value.remedy
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("step", "error", "named"),
    [
        ("blurr", PluginNotFoundError, "blurr"),
        ("crop:size=3", UsageError, "'size'"),
        ("crop:smallest", UsageError, "smallest"),
        ("crop:smallest=0", UsageError, "smallest=0 is out of range"),
        ("flip:probability=2", UsageError, "probability=2 is out of range"),
    ],
)
def test_invalid_augmenters_are_usage_errors(
    drawn: Dataset, tmp_path: Path, step: str, error: type[Exception], named: str, reporter: Any
) -> None:
    with pytest.raises(error, match=named):
        train(drawn, out=tmp_path / "run", augment=["color", step], reporter=reporter, **SMALL)
    assert reporter.tasks == {}, "before any work"


def test_a_pretrained_preset_without_internet_access_is_a_data_error(
    drawn: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(preset: str, **_: Any) -> None:
        raise ConnectionError("Failed to resolve 'www.kaggle.com'")

    monkeypatch.setattr(keras_cv.models.Backbone, "from_preset", refuse)
    with pytest.raises(DataError, match=r"could not be downloaded from kaggle\.com"):
        train(drawn, out=tmp_path / "run", **SMALL | {"preset": "resnet50_imagenet"})
    assert Run(tmp_path / "run").status == "failed"


def test_another_keras_backend_is_an_error(drawn: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(UsageError, match="Keras uses jax") as caught:
        train(drawn, out=tmp_path / "run", **SMALL)
    assert "KERAS_BACKEND" in caught.value.remedy


def test_one_step_on_tiny_objects_with_an_empty_held_out_set(
    validation: Dataset, reporter: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """121 objects of 6 pixels: under a stride of 8, and more than the usual 100 detections.

    Held-out background has a loss, and no average precision. A single step takes less time than tracing it.
    """
    monkeypatch.setattr(network, "_backbone", narrow)
    monkeypatch.setattr(Detector, "run_eagerly", property(lambda model: True, lambda model, value: None))
    places = [(11 * x + 2, 11 * y + 2) for x in range(11) for y in range(11)]
    boxes = Boxes(["dot"] * 121, [(x, y, x + 6, y + 6) for x, y in places])
    samples = [unboxed(name, Image.new("RGB", (128, 128), "gray")).replace(boxes=boxes) for name in "abcd"]
    empty = Dataset(SampleReader([sample.replace(boxes=()) for sample in validation]))
    settings = {"steps": "1", "oversample": 1.0}
    changes: dict[str, Any] = {"image_size": None, "batch_size": 1, "epochs": None, "augment": [], "settings": settings}
    out = tmp_path / "run"
    run = train(Dataset(SampleReader(samples)), val=empty, out=out, reporter=reporter, **SMALL | changes)
    (line,) = run.metrics()
    assert (line["step"], line["epoch"]) == (1, 1)
    assert reporter.tasks["Training"][1].done == 1
    assert line["box_loss"] > 0
    # An untrained head predicts 1% for each class and anchor: 0.75 * 0.01**2 * -ln(0.99) each.
    assert line["val_classification_loss"] == line["val_loss"] > 0
    assert line["val_box_loss"] == 0
    assert "On 4 held-out images: nothing to measure: no boxes." in reporter.messages
    stored = json.loads(run.file("model/network.json").read_text())
    assert (stored["image_size"], stored["anchors"]["first_level"]) == ([128, 128], 2)
    assert (stored["decoder"]["max_detections"], stored["decoder"]["pre_nms"]) == (181, 1810)
    record = "\n".join([*reporter.messages, *reporter.warnings])
    assert "input is 128x128 with anchors every 4 pixels, instead of 128x128 and 8 pixels" in record
    assert "An image has 121 boxes: the model keeps up to 181 detections per image" in record
    # The centers of objects, 5 + 11 n, are 0 (2 of 11), 1 (6) or 2 (3) pixels from those of anchors, 2 + 4 n. A square
    # of 6 is covered if the distances are 0 and 0, 0 and 1 (IoU 30 / 42) or 1 and 1 (25 / 47), perhaps if they are 0
    # and 2 (24 / 48), else not: 64 to 76 of 121.
    (share,) = re.findall(r"(\d+)% of the boxes are too small", record)
    assert round(100 * 45 / 121) <= int(share) <= round(100 * 57 / 121)
    load_model(run)


def own_model(num_classes: int = 3, **arguments: Any) -> Any:
    """Returns KerasCV's RetinaNet as a user builds it, with other coordinates and a decoder of the user's."""
    backbone = NarrowBackbone(channels=[8, 8, 16, 16], depths=[0, 0, 0, 0], input_shape=(64, 96, 3))
    decoder = keras_cv.layers.NonMaxSuppression("yxyx", from_logits=True, confidence_threshold=0.0, max_detections=7)
    return keras_cv.models.RetinaNet(
        backbone, num_classes=num_classes, bounding_box_format="yxyx", prediction_decoder=decoder, **arguments
    )


@pytest.mark.slow
def test_a_model_of_the_user_is_trained_resumed_and_loaded(
    drawn: Dataset, validation: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted after the first epoch of two, with one image per step."""
    val = Dataset(SampleReader(list(validation)[:2]))
    epoch_ended = TrainJob.epoch_ended

    def stop(job: TrainJob, epoch: int, metrics: Any) -> None:
        epoch_ended(job, epoch, metrics)
        raise KeyboardInterrupt

    arguments: dict[str, Any] = {"val": val, "out": tmp_path / "run", "augment": [], "batch_size": 1, "epochs": 2}
    arguments["settings"] = {"score_threshold": 0.0}
    data = Dataset(SampleReader([*drawn][:2]))
    monkeypatch.setattr(TrainJob, "epoch_ended", stop)
    with pytest.raises(KeyboardInterrupt):
        train(data, backend="kerascv", model=own_model(), **arguments)
    monkeypatch.undo()
    with pytest.raises(UsageError, match=r"trained with objects=\['model'\]"):
        train(data, **arguments, resume=True)
    model = own_model()
    run = train(data, **arguments, resume=True, model=model)
    assert (run.config["preset"], run.config["recipe"]["width"], run.config["recipe"]["height"]) == ("", 96, 64)
    lines = run.metrics()
    assert [line["epoch"] for line in lines] == [1, 2]
    assert all(line["loss"] > 0 for line in lines)
    assert "val_AP" in lines[-1]
    # The same detections as KerasCV's own predict, in pixels of the image instead of the input's 96x64.
    (found,) = load_model(run).predict([*val][:1])
    loaded = backend_module.KerasCVBackend().load(run)
    inputs, _ = loaded._prepare(next(iter(val)))
    with plain_inputs():
        expected = loaded.network.predict(np.asarray(inputs)[None], verbose=0)
    assert 0 < len(found.boxes) <= 7
    ymin, xmin, ymax, xmax = expected["boxes"][0][:1].T
    scale = np.array([96, 80, 96, 80]) / [96, 64, 96, 64]
    clipped = np.clip(np.stack([xmin, ymin, xmax, ymax], axis=1), 0, [96, 64, 96, 64])
    np.testing.assert_allclose(found.boxes.xyxy[:1], clipped * scale, atol=1e-2)
    np.testing.assert_allclose(found.scores[0], expected["confidence"][0][0], atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "train_arguments", "named"),
    [
        ({"num_classes": 2}, {}, "the model has 2 classes, and the data has 3"),
        ({}, {"image_size": (64, 64)}, "the model's input is 96x64, and the image size 64x64"),
        ({}, {"settings": {"freeze_backbone": True}}, "the setting freeze_backbone"),
        (
            {"feature_pyramid": Pyramid(16, 5), "classification_head": Head(27), "box_head": Head(36)},
            {},
            "other weights",
        ),
    ],
)
def test_a_model_of_the_user_that_cannot_be_trained(
    drawn: Dataset, tmp_path: Path, arguments: dict[str, Any], train_arguments: dict[str, Any], named: str
) -> None:
    with pytest.raises(UsageError, match=named):
        train(drawn, out=tmp_path / "run", backend="kerascv", model=own_model(**arguments), **train_arguments)


USED = keras.optimizers.SGD(0.1)
USED.build([])


@pytest.mark.parametrize(
    ("objects", "settings", "named"),
    [
        ({"callbacks": keras.callbacks.Callback()}, {}, "pass a list of keras.callbacks.Callback"),
        ({"callbacks": [print]}, {}, "pass a list of keras.callbacks.Callback"),
        ({"box_loss": "huber"}, {}, "pass a keras.losses.Loss"),
        ({"classification_loss": keras.losses.BinaryFocalCrossentropy()}, {}, "reduction='sum'"),
        ({"model": keras.Sequential()}, {}, "pass a keras_cv.models.RetinaNet or a keras_hub"),
        ({"optimizer": "sgd"}, {}, "pass a keras.optimizers.Optimizer"),
        ({"optimizer": USED}, {}, "pass a new one"),
        ({"optimizer": keras.optimizers.SGD(0.1)}, {"learning_rate": 0.1}, "and the setting learning_rate"),
        ({"optimizer": keras.optimizers.SGD(0.1)}, {"schedule": "step"}, "give the optimizer a schedule"),
        (
            {"optimizer": keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(0.1, 5))},
            {"schedule": "plateau"},
            "whose learning rate is a number",
        ),
    ],
)
def test_objects_that_cannot_be_used(objects: dict[str, Any], settings: dict[str, Any], named: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_objects(objects, settings)
    assert named in str(caught.value)


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_ends_the_training(loss: float, reporter: Any) -> None:
    recipe = Recipe("tiny", 64, 64, batch_size=4, steps=6, steps_per_epoch=2)
    unused: Any = None
    with reporter.task("Training", 6) as task:
        clock: Any = SimpleNamespace(waited=lambda: 0.0)
        evaluating = Evaluate(unused, recipe, unused, Progress(2, Monitor()), task, clock)
        evaluating.set_model(SimpleNamespace(stop_training=False))
        evaluating.on_train_batch_end(0, {"loss": 1.0})
        with pytest.raises(RunError, match=f"the loss is {loss} at step 4") as caught:
            evaluating.on_train_batch_end(1, {"loss": loss})
    assert "learning_rate" in caught.value.remedy


def test_the_listed_options_are_the_settings_of_the_code() -> None:
    from dataclasses import fields

    set_elsewhere = {"preset", "width", "height", "batch_size", "steps_per_epoch", "augment", "eval_every"}
    recipe = {field.name for field in fields(Recipe)} - set_elsewhere
    assert {option.name for option in boxwright_kerascv.RECIPE_OPTIONS} == recipe
    assert {option.name for option in boxwright_kerascv.DECODER_OPTIONS} == {f.name for f in fields(DecoderSettings)}


@pytest.mark.parametrize("option", boxwright_kerascv.RECIPE_OPTIONS + boxwright_kerascv.DECODER_OPTIONS, ids=str)
def test_the_listed_limits_are_those_of_the_code(option: Option) -> None:
    """Slightly beyond a limit is an error, slightly within is none."""

    def accepted(value: float) -> bool:
        try:
            if option in boxwright_kerascv.DECODER_OPTIONS:
                DecoderSettings(**{option.name: value})  # type: ignore[arg-type]
            else:
                Recipe("tiny", 64, 64, 4, 6, 2).with_settings({option.name: value})
        except ValueError:
            return False
        return True

    step = 1 if option.type is int else 1e-6
    for limit, inclusive, direction in ((option.gt, 0, 1), (option.ge, 1, 1), (option.lt, 0, -1), (option.le, 1, -1)):
        if limit is not None:
            assert not accepted(limit - direction * step)
            assert accepted(limit) == bool(inclusive)
            assert accepted(limit + direction * step)


def test_a_training_starts_from_a_run_with_other_classes(
    finished: Run, drawn: Dataset, tmp_path: Path, reporter: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Report: keras-team/keras-cv#2189, a pretrained detector with another number of classes."""
    monkeypatch.setattr(network, "_backbone", narrow)
    fitted: list[Detector] = []

    def fit(model: Detector, *_: Any, **__: Any) -> None:
        fitted.append(model)
        raise KeyboardInterrupt

    monkeypatch.setattr(Detector, "fit", fit)
    first, *others = finished.label_map.names
    names = {first: "another", **{name: name for name in others}}
    relabelled = [
        sample.replace(boxes=Boxes([names[label] for label in sample.boxes.labels], sample.boxes.coordinates))
        for sample in drawn
    ]
    start = finished.file("model/network.weights.h5")
    changes = {"epochs": None, "settings": {"steps": "1", "oversample": 1.0, "weights": str(start)}}
    with pytest.raises(KeyboardInterrupt):
        train(Dataset(SampleReader(relabelled)), out=tmp_path / "run", reporter=reporter, **SMALL | changes)
    expected = backend_module.KerasCVBackend().load(finished).network.backbone.get_weights()
    for one, two in zip(expected, fitted[0].backbone.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    assert reporter.messages[0] == (
        f"Starting with the backbone, the pyramid, the box head, the classes {', '.join(others)};"
        " new: the classes another."
    )
    assert find_start(str(finished.path), "tiny") == find_start(str(start), "tiny")
    with pytest.raises(UsageError, match="was trained with the preset tiny, not resnet18") as caught:
        find_start(str(finished.path), "resnet18")
    assert caught.value.remedy == "pass --preset tiny"
