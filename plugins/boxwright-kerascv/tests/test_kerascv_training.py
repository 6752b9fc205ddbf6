"""One small training through ``boxwright.train``: its run folder, resuming, and what its model finds."""

from __future__ import annotations

import io
import json
import math
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

tf = pytest.importorskip("tensorflow")


from boxwright import (  # noqa: E402
    Boxes,
    Dataset,
    ImageRef,
    RunError,
    Sample,
    TrainJob,
    UsageError,
    evaluate,
    load_model,
    train,
)
from boxwright.datasets import SampleReader  # noqa: E402
from boxwright.images import decode_sample  # noqa: E402
from boxwright.models import ForwardModel, PortableModel, Run  # noqa: E402
from boxwright_kerascv import backend as backend_module  # noqa: E402
from boxwright_kerascv.entry import KerasCVBackend  # noqa: E402
from boxwright_kerascv.layers import Detector  # noqa: E402
from boxwright_kerascv.predictor import KerasCVModel  # noqa: E402
from boxwright_kerascv.starting import find_start  # noqa: E402

pytestmark = pytest.mark.tensorflow

Narrow = Callable[..., AbstractContextManager[None]]


def weights(run: Run) -> list[np.ndarray]:
    return backend_module.KerasCVBackend().load(run).network.get_weights()  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def finished(drawn: Dataset, validation: Dataset, folder: Path, small: dict[str, Any], narrow: Narrow) -> Run:
    """Three epochs of two steps, with four validation images.

    The folder after the second checkpoint is kept as ``killed``: a killed process changes nothing any more.
    """
    checkpoint_written = TrainJob.checkpoint_written

    def keep(job: TrainJob, path: Path, epoch: int) -> None:
        checkpoint_written(job, path, epoch)
        if epoch == 2:
            shutil.copytree(job.run.path, folder / "killed")

    with narrow(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainJob, "checkpoint_written", keep)
        return train(drawn, val=validation, out=folder / "finished", **small)


def test_the_content_of_a_run_folder(finished: Run) -> None:
    assert finished.status == "done"
    kept = {"checkpoints", "config.json", "label_map.pbtxt", "metrics.jsonl", "model", "pictures", "run.json"}
    written = {path.name for path in finished.path.iterdir()} - {"evaluation"}
    assert written == kept | {"manifest.json", "tensorboard"}
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


@pytest.mark.slow
def test_a_killed_run_resumes_and_ends_with_the_same_weights(
    finished: Run, folder: Path, drawn: Dataset, reporter: Any
) -> None:
    """Bit by bit, and with the same best epoch."""
    run = Run(folder / "killed")
    assert run.status == "running"
    assert [line["epoch"] for line in run.metrics()] == [1, 2]
    run = train(drawn, out=run.path, resume=True, reporter=reporter)
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
def test_a_training_in_another_process_has_the_same_weights(
    finished: Run, small: dict[str, Any], tmp_path: Path
) -> None:
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "run"), json.dumps(small)]
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


def test_a_training_starts_from_a_run_with_other_classes(
    finished: Run,
    drawn: Dataset,
    small: dict[str, Any],
    narrow: Narrow,
    tmp_path: Path,
    reporter: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Report: keras-team/keras-cv#2189, a pretrained detector with another number of classes."""
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
    with narrow(), pytest.raises(KeyboardInterrupt):
        train(Dataset(SampleReader(relabelled)), out=tmp_path / "run", reporter=reporter, **small | changes)
    assert Run(tmp_path / "run").status == "interrupted"
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
