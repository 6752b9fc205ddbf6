"""Short trainings on TensorFlow: what a run contains, and data that needs care."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from boxwright import Boxes, Dataset, ImageRef, Sample, UsageError, evaluate, load_model, train
from boxwright.datasets import SampleReader
from boxwright.images import encode_jpeg

pytestmark = [pytest.mark.tensorflow, pytest.mark.usefixtures("narrow")]

NOTHING = Boxes([], [])


def gray(name: str, boxes: Boxes = NOTHING) -> Sample:
    data = encode_jpeg(Image.new("RGB", (128, 128), "gray"))
    return Sample(image=ImageRef(name=name, width=128, height=128, data=data), boxes=boxes)


@pytest.mark.slow
def test_a_run_is_evaluated_during_the_training_as_afterwards(
    drawn: Dataset, validation: Dataset, small: dict[str, Any], tmp_path: Path
) -> None:
    run = train(drawn, val=validation, out=tmp_path / "run", **small | {"augment": []})
    last = run.metrics()[-1]
    assert {"loss", "box_loss", "classification_loss", "val_loss", "val_AP", "learning_rate"} <= set(last)
    assert 0 <= last["input_wait"] <= 1
    model = load_model(run)
    values = evaluate(model, validation).values
    best = max(run.metrics(), key=lambda line: (line["val_AP"], -line["val_loss"]))
    assert values["AP"] == pytest.approx(best["val_AP"], abs=1e-6)
    stored = json.loads(run.file("model/network.json").read_text())
    assert stored["framework"] == "tensorflow"
    assert (run.path / "pictures" / "prediction-1.jpg").is_file()
    assert not list(run.path.glob("checkpoints/best-*")), "only the last checkpoint remains"


def test_one_image_a_batch_tiny_objects_and_background(
    small: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """121 objects of 6 pixels, more than the usual 100 detections; batches of one, of which one has no box."""
    places = [(11 * x + 2, 11 * y + 2) for x in range(11) for y in range(11)]
    dots = Boxes(["dot"] * 121, [(x, y, x + 6, y + 6) for x, y in places])
    samples = [gray("a.jpg", dots), gray("b.jpg")]
    settings = {"oversample": 1.0}
    changes: dict[str, Any] = {"image_size": None, "batch_size": 1, "epochs": 1, "settings": settings, "augment": []}
    run = train(Dataset(SampleReader(samples)), out=tmp_path / "run", **small | changes)
    (line,) = run.metrics()
    assert line["step"] == 2
    assert math.isfinite(line["loss"])
    assert line["box_loss"] > 0
    stored = json.loads(run.file("model/network.json").read_text())
    assert (stored["image_size"], stored["anchors"]["first_level"]) == ([128, 128], 2)
    assert stored["decoder"]["max_detections"] == 181
    assert len(list(load_model(run).predict(samples))) == 2


@pytest.mark.slow
def test_only_background_lowers_every_score(small: dict[str, Any], tmp_path: Path, narrow: Callable[..., Any]) -> None:
    """A batch without boxes teaches background: the loss falls."""
    samples = [gray(f"{number}.jpg") for number in range(4)]
    one = gray("box.jpg", Boxes(["dot"], [(10, 10, 60, 60)]))
    settings = {"oversample": 1.0, "learning_rate": 0.01, "warmup_fraction": 0.0, "schedule": "constant"}
    changes: dict[str, Any] = {"batch_size": 1, "epochs": 3, "settings": settings, "augment": []}
    run = train(Dataset(SampleReader([*samples, one])), out=tmp_path / "run", **small | changes)
    losses = [line["classification_loss"] for line in run.metrics()]
    assert losses[-1] < losses[0]


def test_batches_depend_only_on_the_seed_and_the_step(keras_hub: Any) -> None:
    from boxwright.models import ArrayAugmentation, make_augmenters
    from boxwright_kerashub.batches import training_batches
    from boxwright_retinanet.augment import resized_to
    from boxwright_retinanet.epochs import Clock
    from boxwright_retinanet.images import ImageCache, TrainingImages
    from boxwright_retinanet.recipe import Recipe

    random = np.random.default_rng(0)
    pixels = [random.integers(0, 256, (40, 50, 3), dtype=np.uint8) for _ in range(5)]
    boxes = [np.array([[5, 5, 30, 30]] * (number % 3), np.float32).reshape(-1, 4) for number in range(5)]
    classes = [np.zeros(len(rows), np.float32) for rows in boxes]
    cache = ImageCache(pixels, boxes, classes)
    images = TrainingImages(cache, 5, np.zeros((0, 4)), 2, classes, None)
    recipe = Recipe("tiny", 64, 32, batch_size=2, steps=9, steps_per_epoch=3)
    augmentation = ArrayAugmentation([*make_augmenters(["crop", "flip", "color"]), resized_to((32, 64))])

    def first(count: int, **changes: Any) -> list[Any]:
        with training_batches(images, recipe, augmentation, clock=Clock(), **{"seed": 3, **changes}) as batches:
            return [next(batches) for _ in range(count)]

    whole, later = first(6), first(3, first_step=3)
    for (one, labels), (two, others) in zip(whole[3:], later, strict=True):
        np.testing.assert_array_equal(one, two)
        for name in ("boxes", "classes"):
            np.testing.assert_array_equal(labels[name], others[name])
    assert {images.shape for images, _ in whole} == {(2, 32, 64, 3)}
    assert {labels["boxes"].shape for _, labels in whole} == {(2, 2, 4)}
    assert not np.array_equal(whole[0][0], first(1, seed=4)[0][0])
    # Two passes show each image twice: 0, 1, 2, 0 and 1 boxes.
    numbers = [int((labels["classes"] >= 0).sum()) for _, labels in first(5)]
    assert sum(numbers) == 2 * sum(map(len, classes))
    weights = np.array([1, 1, 8, 1, 1.0])
    numbers = [int((labels["classes"] >= 0).sum()) for _, labels in first(5, weights=weights)]
    assert sum(numbers) > 2 * sum(map(len, classes))


def test_augmenters_on_tensors_are_refused(drawn: Dataset, small: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not work with kerashub"):
        train(drawn, out=tmp_path / "run", **small | {"augment": ["keras:RandomFlip"]})


@pytest.mark.slow
def test_kerashubs_own_network_trains_and_is_loaded(
    drawn: Dataset, validation: Dataset, small: dict[str, Any], tmp_path: Path
) -> None:
    settings = small["settings"] | {"network": "kerashub", "precision": "mixed_bfloat16"}
    run = train(drawn, val=validation, out=tmp_path / "run", **small | {"settings": settings})
    assert all(math.isfinite(line["val_loss"]) for line in run.metrics())
    model = load_model(run)
    first = list(model.predict(drawn))
    assert any(found.boxes for found in first)
    assert json.loads(run.file("model/network.json").read_text())["anchors"]["sizes"] == [32, 64, 128, 256, 512]


@pytest.mark.slow
def test_every_schedule_and_mixing_augmenters(
    drawn: Dataset, validation: Dataset, small: dict[str, Any], tmp_path: Path
) -> None:
    for schedule, optimizer in (("plateau", "sgd"), ("step", "adam"), ("constant", "adamw")):
        settings = small["settings"] | {
            "schedule": schedule,
            "optimizer": optimizer,
            "ema": 0.9,
            "balance": 0.5,
            "accumulate": 2,
            "cache": "disk",
        }
        run = train(
            drawn,
            val=validation,
            out=tmp_path / schedule,
            **small | {"settings": settings, "augment": ["mosaic", "mixup", "choice(flip|copy-paste)"]},
        )
        assert run.status == "done"
        assert not run.file("cache/pictures.bin").exists()


@pytest.mark.slow
def test_the_network_is_exported(drawn: Dataset, small: dict[str, Any], tmp_path: Path) -> None:
    """Every exporter takes the network; the export compares it with the run."""
    pytest.importorskip("boxwright_savedmodel")
    from boxwright import export

    run = train(drawn, out=tmp_path / "run", **small)
    report = export(run, "saved-model", tmp_path / "exported", data=drawn)
    assert report is not None
    assert list(load_model(tmp_path / "exported").predict(drawn))
