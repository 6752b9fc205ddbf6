"""Advice on planted problems: the right one comes first. A toy backend finds what each problem lets it find."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import boxwright
from boxwright import BackendSpec, Boxes, Detections, ImageRef, LabelMap, Option, Run, Sample, UsageError
from boxwright.analysis import Advice, advise
from boxwright.analysis.advice.commands import train_again
from boxwright.analysis.advice.learning import extrapolate, sizes_below
from boxwright.plugins import Registry, default_registry
from boxwright_testing.probe import with_backend

SIZE = (320, 240)
CLASSES = ("fork", "key", "mug")

Plan = dict[str, list[tuple[str, tuple[float, ...]]]]


class Seer:
    """Finds the objects of ``plan.json``, each with the probability that the settings name, with a few false alarms."""

    def __init__(self, label_map: LabelMap, folder: Path) -> None:
        self.label_map = label_map
        self.plan: Plan = json.loads((folder / "plan.json").read_text("utf-8"))
        self.chances: dict[str, float] = json.loads((folder / "chances.json").read_text("utf-8"))

    def predict(self, samples: Iterable[Sample], *, batch_size: int = 8, score: float = 0.0) -> Iterator[Detections]:
        for sample in samples:
            yield self._found(sample).above(score)

    def _found(self, sample: Sample) -> Detections:
        name = sample.image.name
        random = np.random.default_rng(sum(name.encode()) * 1009)
        rows: list[tuple[float, str, tuple[float, ...]]] = []
        for label, box in self.plan[name]:
            keys = (f"{name[0]}:{label}", f"{name[0]}:", label, "")
            chance = next((self.chances[key] for key in keys if key in self.chances), 1.0)
            seen, shown = label, random.random()
            if random.random() < self.chances.get("confused", 0) and label != "mug":
                seen = {"fork": "key", "key": "fork"}[label]
            if shown < chance:
                moved = np.array(box) + random.normal(size=4) * 0.03 * (box[2] - box[0])
                rows.append((0.55 + 0.4 * random.random(), seen, tuple(moved.tolist())))
        corner = random.uniform(0, 180, 2)
        rows.append((0.05 + 0.2 * random.random(), "fork", (*corner, *(corner + 30))))
        rows.sort(reverse=True)
        scores = [{"score": score} for score, *_ in rows]
        boxes = Boxes([label for _, label, _ in rows], [box for *_, box in rows], scores)  # type: ignore[misc]
        return Detections(image=sample.image, boxes=boxes)


class SeerBackend:
    def fit(self, job: Any) -> None:
        for name in ("plan", "chances"):
            content = json.loads(Path(job.settings[name]).read_bytes())
            if name == "chances" and (growth := content.pop("growth", 0)):
                content[""] = 1 - growth / math.sqrt(job.scan.samples)
            job.run.write_json(f"model/{name}.json", content)
        for epoch in range(1, 3):
            job.epoch_ended(epoch, {"loss": 1.0 / epoch})

    def load(self, run: Any) -> Seer:
        return Seer(run.label_map, run.file("model"))


def check(config: Any, *, held_out: bool) -> None:
    if config["settings"].get("stops") and not held_out:
        raise UsageError("stops needs validation data", "pass --val")


SEER = BackendSpec(
    name="seer",
    load=f"{__name__}:SeerBackend",
    check=f"{__name__}:check",
    presets={"plain": "The only one"},
    options=(Option("plan", str), Option("chances", str), Option("stops", int)),
)


def draw(folder: Path, prefix: str, count: int, *, sides: tuple[int, int] = (24, 60), gray: int = 120) -> list[Sample]:
    """Images with three objects of each class, on a grid so that they do not overlap."""
    random = np.random.default_rng(len(prefix) + ord(prefix[0]))
    folder.mkdir(exist_ok=True)
    samples = []
    for number in range(count):
        labels, boxes = [], []
        for cell, label in zip(random.permutation(12)[:9], CLASSES * 3, strict=True):
            side = random.integers(*sides, endpoint=True)
            left, top = np.array([cell % 4, cell // 4]) * 80 + random.integers(0, 80 - side, 2)
            labels.append(label)
            boxes.append((float(left), float(top), float(left + side), float(top + side)))
        path = folder / f"{prefix}{number}.png"
        Image.new("RGB", SIZE, (gray + number % 9,) * 3).save(path)
        image = ImageRef(name=path.name, width=SIZE[0], height=SIZE[1], location=str(path))
        samples.append(Sample(image=image, boxes=Boxes(labels, boxes)))
    return samples


def without(samples: list[Sample], kept: Callable[[str], bool]) -> list[Sample]:
    """The samples without the boxes for whose class ``kept`` is false."""
    changed = []
    for sample in samples:
        rows = [box for box in sample.boxes if kept(box.label)]
        changed.append(sample.replace(boxes=Boxes([b.label for b in rows], [b.coordinates for b in rows])))
    return changed


@pytest.fixture
def advice_on(tmp_path: Path) -> Callable[..., Advice]:
    """Trains the toy on a dataset, and returns the advice on another."""

    def start(
        training: list[Sample],
        test: list[Sample],
        truth: list[Sample],
        chances: dict[str, float],
        settings: dict[str, Any] | None = None,
        val: bool = False,
        **options: Any,
    ) -> Advice:
        plan = {each.image.name: list(zip(each.boxes.labels, each.boxes.coordinates, strict=True)) for each in truth}
        (tmp_path / "plan.json").write_text(json.dumps(plan))
        (tmp_path / "chances.json").write_text(json.dumps(chances))
        files = {name: str(tmp_path / f"{name}.json") for name in ("plan", "chances")}
        plugins: Registry = with_backend(default_registry(), SEER)
        uris = {}
        for name, samples in (("train", training), ("test", test)):
            boxwright.convert(boxwright.from_samples(samples), f"coco:{tmp_path}/{name}.json")
            uris[name] = f"coco:{tmp_path}/{name}.json?images={tmp_path}/images"
        run = boxwright.train(
            uris["train"], out=tmp_path / "run", backend="seer", image_size=SIZE, settings=files | (settings or {}),
            val=uris["test"] if val else None, log=[], registry=plugins,
        )  # fmt: skip
        return advise(run, uris["test"], registry=plugins, **options)

    return start


def test_no_advice_for_a_good_model(advice_on: Callable[..., Advice], tmp_path: Path) -> None:
    training, test = (draw(tmp_path / "images", name, 24) for name in ("a", "b"))
    advice = advice_on(training, test, training + test, {"": 0.97})
    assert [tip.kind for tip in advice.tips] == []


def test_missing_labels_of_one_class_come_first(advice_on: Callable[..., Advice], tmp_path: Path) -> None:
    training, test = (draw(tmp_path / "images", name, 24) for name in ("a", "b"))
    random = np.random.default_rng(3)
    wrong = without(test, lambda label: label != "mug" or random.random() > 0.1)
    missing = sum(len(each.boxes) for each in test) - sum(len(each.boxes) for each in wrong)
    tip = advice_on(training, wrong, training + test, {"": 0.95}).tips[0]
    assert (tip.kind, tip.figures["class"]) == ("labels", "mug")
    assert tip.figures["kinds"]["missing"] == pytest.approx(missing, abs=2)
    assert tip.figures["share"] == pytest.approx(0.1, abs=0.05)


def test_swapped_labels_come_with_their_class(advice_on: Callable[..., Advice], tmp_path: Path) -> None:
    training, test = (draw(tmp_path / "images", name, 24) for name in ("a", "b"))
    random, swapped, wrong = np.random.default_rng(3), 0, []
    for sample in test:
        labels = list(sample.boxes.labels)
        for place in (place for place, label in enumerate(labels) if label == "mug"):
            if random.random() < 0.2:
                labels[place] = "key"
                swapped += 1
        wrong.append(sample.replace(boxes=Boxes(labels, sample.boxes.coordinates)))
    (tip,) = (tip for tip in advice_on(training, wrong, training + test, {"": 0.97}).tips if tip.kind == "labels")
    assert tip.figures["class"] in CLASSES
    assert tip.figures["kinds"]["class"] == pytest.approx(swapped, abs=2)


def test_a_class_with_five_examples_comes_first(advice_on: Callable[..., Advice], tmp_path: Path) -> None:
    training, test = (draw(tmp_path / "images", name, 24) for name in ("a", "b"))
    left = iter(range(5))
    few = without(training, lambda label: label != "key" or next(left, None) is not None)
    tip = advice_on(few, test, training + test, {"": 0.95, "key": 0.3}).tips[0]
    assert (tip.kind, tip.figures["class"], tip.figures["training_boxes"]) == ("images", "key", 5)


def test_objects_under_ten_pixels_come_first(advice_on: Callable[..., Advice], tmp_path: Path) -> None:
    training, test = (draw(tmp_path / "images", name, 24, sides=(5, 9)) for name in ("a", "b"))
    tip = advice_on(training, test, training + test, {"": 0.35}).tips[0]
    assert tip.kind == "input"
    assert tip.figures["small"] == tip.figures["objects"] == 216
    assert 5 <= tip.figures["median_side"] <= 9
    # 16 / 7 times 320 and 240, to the next multiple of 32.
    assert "--image-size 736x576" in tip.command
    assert tip.command.count("--image-size") == 1


def test_another_camera_comes_first(advice_on: Callable[..., Advice], tmp_path: Path) -> None:
    training = draw(tmp_path / "images", "a", 24, gray=170)
    test = draw(tmp_path / "images", "b", 24, gray=60)
    tip = advice_on(training, test, training + test, {"a:": 0.95, "b:": 0.4}).tips[0]
    assert tip.kind == "camera"
    assert tip.figures["Brightness"] == pytest.approx([64, 174], abs=1)
    assert tip.gain == pytest.approx(tip.figures["training_AP"] - tip.figures["AP"], abs=1e-3)


def test_a_model_that_knows_its_images_by_heart(advice_on: Callable[..., Advice], tmp_path: Path) -> None:
    training, test = (draw(tmp_path / "images", name, 24) for name in ("a", "b"))
    advice = advice_on(training, test, training + test, {"a:": 0.99, "b:": 0.5})
    assert advice.tips[0].kind == "overfit"
    assert "camera" not in [tip.kind for tip in advice.tips]


def test_classes_that_are_taken_for_each_other(advice_on: Callable[..., Advice], tmp_path: Path) -> None:
    training, test = (draw(tmp_path / "images", name, 24) for name in ("a", "b"))
    advice = advice_on(training, test, training + test, {"": 0.97, "confused": 0.45})
    (tip,) = (tip for tip in advice.tips if tip.kind == "classes")
    assert tip.figures["classes"] == ["fork", "key"]
    assert tip.figures["confused"] == pytest.approx(0.45 * 0.97 * 144, abs=20)
    assert "remap:fork=fork-key,key=fork-key" in tip.command


def test_advice_is_json(advice_on: Callable[..., Advice], tmp_path: Path) -> None:
    training, test = (draw(tmp_path / "images", name, 8) for name in ("a", "b"))
    content = json.loads(json.dumps(advice_on(training, test, training + test, {"a:": 0.9, "b:": 0.3}).to_dict()))
    assert {"kind", "advice", "evidence", "command", "gain", "figures"} == set(content["advice"][0])
    assert [tip["gain"] for tip in content["advice"]] == sorted((t["gain"] for t in content["advice"]), reverse=True)
    assert "8 images are few" in " ".join(content["notes"])


def test_a_forecast_from_trainings_on_parts(advice_on: Callable[..., Advice], tmp_path: Path) -> None:
    training, test = (draw(tmp_path / "images", name, 20) for name in ("a", "b"))
    advice = advice_on(training, test, training + test, {"": 0.9}, curve=3)
    assert advice.learning is not None
    assert [point.images for point in advice.learning.points] == [5, 10, 15, 20]
    folders = sorted((tmp_path / "run" / "curve").iterdir())
    assert [path.name.partition("-")[0] for path in folders] == ["10", "15", "5"]
    assert "images" not in [tip.kind for tip in advice.tips], "the toy finds as much with any number of images"


def test_a_forecast_of_a_model_that_improves_with_images(advice_on: Callable[..., Advice], tmp_path: Path) -> None:
    # Of another gray, because images that are equal are not held out.
    training, test = (draw(tmp_path / "images", name, 20, gray=gray) for name, gray in (("a", 120), ("b", 140)))
    options = {"curve": 3, "metric": "coco", "settings": {"stops": 1}, "val": True}
    advice = advice_on(training, test, training + test, {"growth": 2}, **options)
    (tip,) = (tip for tip in advice.tips if tip.kind == "images" and tip.figures["class"] is None)
    # Of 20 images, 1 - 2 / sqrt(20) of the objects are found; of 40, 1 - 2 / sqrt(40).
    assert tip.figures["gain"] == pytest.approx(0.131, abs=0.06)
    path = tmp_path / "train.json"
    content = json.loads(path.read_text())
    for each in content["annotations"]:
        each["bbox"][0] += 1
    path.write_text(json.dumps(content))
    uri = f"coco:{tmp_path}/test.json?images={tmp_path}/images"
    advise(tmp_path / "run", uri, curve=3, registry=with_backend(default_registry(), SEER))
    folders = sorted((tmp_path / "run" / "curve").iterdir())
    assert [each.name.partition("-")[0] for each in folders] == ["10", "10", "15", "15", "5", "5"]


def test_a_curve_of_one_training_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="at least 2 trainings"):
        advise(tmp_path, "coco:test.json", curve=1)


def test_a_command_repeats_a_training_once_changed(tmp_path: Path) -> None:
    config = {
        "data": "voc:a", "val": "voc:b", "backend": "seer", "preset": "plain", "trainer": "far", "epochs": None,
        "augment": None, "batch_size": 4, "eval_every": 2, "image_size": [64, 32], "seed": 7, "allow_overlap": True,
        "settings": {"steps": 100, "rate": 0.1},
    }  # fmt: skip
    run = Run.create(tmp_path / "run", backend="seer", config=config, label_map=LabelMap.from_names(["mug"]), inputs={})
    words = shlex.split(train_again(run, "longer", "--set", "steps=200", "--image-size", "96x64"))
    given = [words[place : place + 2] for place, word in enumerate(words) if word.startswith("--")]
    assert [value for option, value in given if option == "--set"] == ["rate=0.1", "steps=200"]
    assert [value for option, value in given if option == "--image-size"] == ["96x64"]
    expected = [["--trainer", "far"], ["--seed", "7"], ["--eval-every", "2"]]
    expected.append(["--label-map", str(tmp_path / "run" / "label_map.pbtxt")])
    assert all(pair in given for pair in expected)
    assert "--allow-overlap" in words


@pytest.mark.parametrize(("limit", "factor", "exponent"), [(0.9, 2.0, 0.5), (0.7, 3.0, 1.0), (1.0, 1.2, 0.25)])
def test_the_law_is_found_again(limit: float, factor: float, exponent: float) -> None:
    def value(images: Any) -> Any:
        return limit - factor * np.asarray(images, float) ** -exponent

    counts = np.array([50.0, 100.0, 150.0, 200.0])
    forecast = extrapolate(counts, value(counts), np.zeros(4), 300)
    assert forecast.value == pytest.approx(value(300), abs=0.01)
    assert forecast.error < 0.05


def test_the_error_of_a_forecast_covers_the_truth() -> None:
    """Of 100 noisy curves, about 95 intervals contain the true value."""
    random = np.random.default_rng(1)
    counts = np.array([50.0, 100.0, 150.0])

    def truth(n: Any) -> Any:
        return 0.8 - 2.0 * np.asarray(n) ** -0.5

    inside = 0
    for _ in range(100):
        values = truth(counts) + random.normal(size=3) * 0.02
        forecast = extrapolate(counts, values, np.full(3, 0.02), 205)
        inside += abs(forecast.value - truth(205)) <= forecast.error
    assert inside >= 90


def test_more_images_do_not_make_a_model_worse() -> None:
    counts = np.array([50.0, 100.0, 150.0])
    assert extrapolate(counts, np.array([0.6, 0.55, 0.5]), np.full(3, 0.02), 205).value == pytest.approx(0.55, abs=0.01)


def test_the_sizes_of_a_curve() -> None:
    assert list(sizes_below(205, 3)) == [51, 102, 154]
    assert list(sizes_below(2, 3)) == [1, 2]
