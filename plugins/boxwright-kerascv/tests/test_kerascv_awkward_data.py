"""Trainings on images and boxes that need changes, each of which is reported."""

from __future__ import annotations

import io
import json
import math
import re
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

tf = pytest.importorskip("tensorflow")

import keras  # noqa: E402

from boxwright import (  # noqa: E402
    AugmenterSpec,
    Boxes,
    Dataset,
    ImageRef,
    Sample,
    load_model,
    train,
)
from boxwright.datasets import Problems, SampleReader  # noqa: E402
from boxwright.models import Augmenter, augmentation  # noqa: E402
from boxwright.plugins import default_registry  # noqa: E402
from boxwright_kerascv import backend as backend_module  # noqa: E402
from boxwright_kerascv.layers import Detector  # noqa: E402
from boxwright_retinanet import watch as watch_module  # noqa: E402

pytestmark = pytest.mark.tensorflow

Narrow = Callable[..., AbstractContextManager[None]]


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def unboxed(name: str, image: Image.Image, data: bytes | None = None) -> Sample:
    return Sample(image=ImageRef(name=name, width=image.width, height=image.height, data=data or png(image)))


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


@pytest.mark.slow
def test_training_on_awkward_data_reports_every_change(
    drawn: Dataset,
    validation: Dataset,
    mirror: list[int],
    reporter: Any,
    small: dict[str, Any],
    narrow: Narrow,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One class; a damaged image first, one without boxes, boxes outside and with zero area; images on disk; an
    augmenter of another plugin; a callback and a loss of the user; a plateau and early stopping, with a loss that grows
    from the first evaluation on."""
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
    with narrow(depth=1):
        run = train(
            data,
            val=val,
            out=tmp_path / "run",
            augment=["mirror", "crop:smallest=0.5,probability=1"],
            reporter=reporter,
            objects={"callbacks": [recorder], "box_loss": keras.losses.Huber(reduction="sum")},
            **small | {"epochs": 20, "settings": settings},
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
    model = backend_module.KerasCVBackend().load(run).network
    with np.load(run.file("checkpoints/last.npz")) as arrays:
        last = [arrays[f"model_{place}"] for place in range(len(model.get_weights()))]
    assert any(not np.array_equal(one, two) for one, two in zip(model.get_weights(), last, strict=True))
    model.load_weights(run.file("model/last.weights.h5"))
    for one, two in zip(model.get_weights(), last, strict=True):
        np.testing.assert_array_equal(one, two)
    assert not run.file("cache/pictures.bin").exists(), "the file is removed at the end"
    assert all(math.isfinite(line["loss"]) for line in run.metrics())
    found = list(load_model(run).predict(rest[:1], score=0.0))
    assert set(found[0].boxes.labels) <= {"thing"}


def test_one_step_on_tiny_objects_with_an_empty_held_out_set(
    validation: Dataset,
    reporter: Any,
    small: dict[str, Any],
    narrow: Narrow,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """121 objects of 6 pixels: under a stride of 8, and more than the usual 100 detections.

    Held-out background has a loss, and no average precision. A single step takes less time than tracing it.
    """
    monkeypatch.setattr(Detector, "run_eagerly", property(lambda model: True, lambda model, value: None))
    places = [(11 * x + 2, 11 * y + 2) for x in range(11) for y in range(11)]
    boxes = Boxes(["dot"] * 121, [(x, y, x + 6, y + 6) for x, y in places])
    samples = [unboxed(name, Image.new("RGB", (128, 128), "gray")).replace(boxes=boxes) for name in "abcd"]
    empty = Dataset(SampleReader([sample.replace(boxes=()) for sample in validation]))
    settings = {"steps": "1", "oversample": 1.0}
    changes: dict[str, Any] = {"image_size": None, "batch_size": 1, "epochs": None, "augment": [], "settings": settings}
    out = tmp_path / "run"
    with narrow():
        run = train(Dataset(SampleReader(samples)), val=empty, out=out, reporter=reporter, **small | changes)
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
