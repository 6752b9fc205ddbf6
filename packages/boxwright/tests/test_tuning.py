"""Tuning on predictions with a planted optimum, matching against pycocotools, and suppression computed manually."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import math
import types
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from boxwright import (
    BackendSpec,
    Boxes,
    DataError,
    Dataset,
    Detections,
    ImageRef,
    LabelMap,
    MetricResult,
    MetricSpec,
    Option,
    OutputError,
    Run,
    Sample,
    UsageError,
    evaluate,
    load_model,
    predict,
    tune,
)
from boxwright.datasets.dataset import SampleReader
from boxwright.matching import IN_REGION, NOTHING, find_hits, match_detections
from boxwright.models import ChosenModel, DecoderSettings, choose_detections, reset_tuning, set_decoder
from boxwright.models.tuned import remove_tuning, write_tuning
from boxwright.plugins.registry import Registry

CLASSES = LabelMap.from_names(["date", "fig"])
Predictions = dict[str, tuple[Any, Any, Any]]


class Planted:
    """A model with known predictions before suppression, by the name of the image."""

    label_map = CLASSES
    is_raw = True

    def __init__(self, predictions: Predictions, decoder: DecoderSettings | None = None) -> None:
        self.predictions, self.decoder = predictions, decoder or DecoderSettings()

    def with_decoder(self, decoder: DecoderSettings) -> Planted:
        return Planted(self.predictions, decoder)

    def predict(self, samples: Iterable[Sample], *, batch_size: int = 8, score: float = 0.0) -> Iterator[Detections]:
        for sample in samples:
            boxes, scores, classes = choose_detections(*self.predictions[sample.image.name], self.decoder)
            names = [CLASSES.names[number] for number in classes]
            yield Detections.from_arrays(sample.image, names, boxes, scores).above(score)


class Plain:
    """The same without a way to change its settings, as the model of another backend."""

    label_map = CLASSES

    def __init__(self, planted: Planted) -> None:
        self.predict = planted.predict


def planted(
    hits: dict[int, tuple[float, float]], wrong: dict[int, tuple[float, float]], *, other: float = 0.0, images: int = 40
) -> tuple[list[Sample], Predictions]:
    """Objects of both classes, four predictions on each of them, and predictions where nothing is.

    Args:
        hits: The range of the best score on an object, by class.
        wrong: The range of the scores where nothing is.
        other: How often an object has a prediction of the other class as well, with a score up to that of the object.
        images: The number of images.
    """
    chance = np.random.default_rng(3)
    samples, predictions = [], {}
    for number in range(images):
        labels, truth = [], []
        boxes, scores, classes = [], [], []
        for place in range(4):
            box = np.array([place * 90.0, 10.0, place * 90.0 + 60, 80.0])
            label = int(chance.integers(2))
            truth.append(tuple(box))
            labels.append(CLASSES.names[label])
            best = chance.uniform(*hits[label])
            for each in (best, *chance.uniform(0, best, 3)):
                boxes.append(box + chance.normal(0, 1.0, 4))
                scores.append(each)
                classes.append(label)
            if chance.random() < other:
                boxes.append(box + chance.normal(0, 1.0, 4))
                scores.append(best * chance.uniform(0.9, 0.99))
                classes.append(1 - label)
        for place in range(3):
            label = int(chance.integers(2))
            boxes.append(np.array([place * 90.0, 200.0, place * 90.0 + 50, 240.0]))
            scores.append(chance.uniform(*wrong[label]))
            classes.append(label)
        image = ImageRef(name=f"{number}.jpg", width=400, height=300)
        samples.append(Sample(image=image, boxes=Boxes(labels, truth)))
        predictions[image.name] = np.array(boxes), np.array(scores), np.array(classes)
    return samples, predictions


class Counting:
    """A metric that returns the score that it was made with, and counts the detections."""

    made: list[Any] = []

    def __init__(self, score: Any = None) -> None:
        self.made.append(score)

    def __call__(self, pairs: Any, label_map: LabelMap) -> MetricResult:
        return MetricResult({"detections": float(sum(len(found.boxes) for _, found in pairs))}, main="detections")


@pytest.fixture
def setup(
    make_registry: Callable[..., Registry], toys: types.ModuleType, tmp_path: Path
) -> Callable[[Any], tuple[Registry, Run]]:
    """Returns a registry with a backend that has a model, and a run of it."""

    def make(model: Any) -> tuple[Registry, Run]:
        toys.Backend = lambda: types.SimpleNamespace(load=lambda run: model, fit=None)  # type: ignore[attr-defined]
        toys.Counting = Counting  # type: ignore[attr-defined]
        registry = make_registry(
            BackendSpec(name="toy", load="toys:Backend", presets={"one": "The only one"}),
            MetricSpec(name="counting", load="toys:Counting", options=(Option("score", float),)),
        )
        return registry, Run.create(tmp_path / "run", backend="toy", config={}, label_map=CLASSES, inputs={})

    return make


def dataset(samples: list[Sample]) -> Dataset:
    return Dataset(SampleReader(samples), uri="toy:data")


def by_voc(found: list[Detections], samples: list[Sample]) -> tuple[int, int]:
    """Counts objects found and false alarms by the other implementation of matching."""
    pairs = [match_detections(each.boxes, sample.boxes, 0.5) for each, sample in zip(found, samples, strict=True)]
    return sum(len(each.pairs) for each in pairs), sum(len(each.removed) for each in pairs)


def test_a_planted_optimum_is_found_written_and_used(setup: Callable[[Any], tuple[Registry, Run]]) -> None:
    """Objects have scores above 0.6, nothing else above 0.5; every object is also detected as the other class."""
    samples, predictions = planted({0: (0.6, 1), 1: (0.6, 1)}, {0: (0.1, 0.5), 1: (0.1, 0.5)}, other=0.9)
    registry, run = setup(Planted(predictions))
    data = dataset(samples)
    before = load_model(run, registry=registry)
    tuning = tune(run, data, registry=registry)
    assert tuning.decoder.suppression == "all"
    assert isinstance(tuning.decoder.score, float)
    assert 0.5 < tuning.decoder.score <= 0.6
    assert tuning.sentence == f"score {tuning.decoder.score:g}: of 160 objects 160 found, 0 false alarms"
    assert (tuning.value, tuning.held_out) == (1.0, 1.0)
    assert tuning.tried["by class"] < 0.8
    default = DecoderSettings()
    assert tuning.was == by_voc([default.shown(each, CLASSES) for each in before.predict(samples)], samples)
    assert tuning.was[1] > 150

    found = predict(run, data, registry=registry)
    assert found.score == tuning.decoder.score
    assert by_voc(found.detections, samples) == (160, 0)
    assert evaluate(run, data, metric="counting", registry=registry).values["detections"] > 160, "all scores count"
    assert Counting.made.pop() == tuning.decoder.score
    evaluate(run, data, metric="counting", metric_options={"score": 0.2}, registry=registry)
    assert Counting.made.pop() == 0.2

    stored = json.loads(run.file("tuned.json").read_text())
    assert DecoderSettings.from_dict(stored["decoder"]) == tuning.decoder
    assert DecoderSettings.from_dict(stored["before"]) == default
    assert ET.fromstring(run.file("tuned.svg").read_text()).tag.endswith("svg")
    curve = dict(zip(tuning.curve["score"], tuning.curve["F1"], strict=True))
    assert curve[0.55] == 1.0 > curve[0.1]

    set_decoder(run, {"iou_threshold": "0.2", "suppression": "class"}, registry=registry)
    changed = load_model(run, registry=registry).decoder  # type: ignore[attr-defined]
    assert changed == replace(tuning.decoder, iou_threshold=0.2, suppression="class")
    for wrong in ({"iou": 0.2}, {"score": 2}, {"suppression": "none"}):
        with pytest.raises(UsageError):
            set_decoder(run, wrong, registry=registry)
    tune(run, data, goal="recall=0.5", registry=registry)
    assert DecoderSettings.from_dict(json.loads(run.file("tuned.json").read_text())["original"]) == default
    assert reset_tuning(run)
    assert not reset_tuning(run)
    assert load_model(run, registry=registry).decoder == default  # type: ignore[attr-defined]


def test_classes_get_their_own_scores_if_that_is_better(setup: Callable[[Any], tuple[Registry, Run]]) -> None:
    samples, predictions = planted({0: (0.8, 1), 1: (0.3, 0.4)}, {0: (0.5, 0.7), 1: (0.06, 0.2)})
    registry, run = setup(Planted(predictions))
    tuning = tune(run, dataset(samples), suppression=["class"], registry=registry)
    assert isinstance(tuning.decoder.score, tuple)
    dates, figs = tuning.decoder.score
    assert 0.7 < dates <= 0.8
    assert 0.2 < figs <= 0.3
    assert (tuning.found, tuning.false_alarms) == (160, 0)
    assert by_voc(predict(run, dataset(samples), registry=registry).detections, samples) == (160, 0)
    common = tune(run, dataset(samples), by_class=False, write=False, registry=registry)
    assert isinstance(common.decoder.score, float)
    assert common.value < 0.9


def test_the_goals(setup: Callable[[Any], tuple[Registry, Run]]) -> None:
    """Scores overlap, so that more precision costs recall."""
    samples, predictions = planted({0: (0.3, 0.9), 1: (0.3, 0.9)}, {0: (0.1, 0.7), 1: (0.1, 0.7)})
    registry, run = setup(Planted(predictions))

    def tuned(goal: str) -> Any:
        return tune(run, dataset(samples), goal=goal, write=False, by_class=False, registry=registry)

    precise, complete, counted = tuned("precision=0.97"), tuned("recall=0.97"), tuned("count")
    for tuning, required in ((precise, precise.found / (precise.found + precise.false_alarms)), (complete, None)):
        reached = tuning.found / tuning.objects if required is None else required
        assert reached >= 0.97
        assert not tuning.notes
    assert precise.decoder.score > counted.decoder.score > complete.decoder.score
    assert precise.value == precise.found / precise.objects
    low, high = precise.interval
    assert low < precise.held_out < high
    default = Planted(predictions).predict(samples)
    error = np.mean([abs(len(s.boxes) - len(f.boxes)) for s, f in zip(samples, default, strict=True)])
    assert counted.value < error
    # No detection of an object that is never found helps.
    samples[0] = samples[0].replace(boxes=Boxes(["fig"] * 99, [(float(x), 250, x + 1.0, 260) for x in range(99)]))
    unmet = tuned("recall=0.97")
    assert "a recall of 0.97 is not reached: the best is 0.6" in unmet.notes[0]
    assert unmet.decoder.max_detections == DecoderSettings.max_detections


def test_a_model_that_suppresses_on_its_own_is_chosen_from(setup: Callable[[Any], tuple[Registry, Run]]) -> None:
    samples, predictions = planted({0: (0.6, 1), 1: (0.6, 1)}, {0: (0.1, 0.5), 1: (0.1, 0.5)}, other=0.9)
    registry, run = setup(Plain(Planted(predictions)))
    tuning = tune(run, dataset(samples), registry=registry)
    assert tuning.decoder.suppression == "all"
    assert by_voc(predict(run, dataset(samples), registry=registry).detections, samples) == (160, 0)
    assert "suppresses detections on its own" in tuning.notes[-1]
    kept = list(ChosenModel(load_model(run, registry=registry)).predict(samples[:1]))
    assert kept == list(load_model(run, registry=registry).predict(samples[:1])), "by default, all are kept"


def test_the_number_of_detections_is_chosen(setup: Callable[[Any], tuple[Registry, Run]]) -> None:
    """The best detection of each image is its only object, and others have almost its score: no score separates."""
    chance = np.random.default_rng(4)
    samples, predictions = [], {}
    for number, best in enumerate(chance.uniform(0.2, 0.9, 40)):
        boxes = np.array([(place * 90.0, 10.0, place * 90.0 + 60, 80.0) for place in range(4)])
        image = ImageRef(name=f"{number}.jpg", width=400, height=300)
        samples.append(Sample(image=image, boxes=Boxes(["fig"], boxes[:1])))
        predictions[image.name] = boxes, best * np.array([1, 0.98, 0.97, 0.96]), np.ones(4, int)
    registry, run = setup(Planted(predictions))
    tuning = tune(run, dataset(samples), registry=registry)
    assert (tuning.decoder.max_detections, tuning.found, tuning.false_alarms) == (1, 40, 0)
    assert tuning.tried["at most 1 detection"] == 1.0 > 0.5 > tuning.tried["by class"]
    assert by_voc(predict(run, dataset(samples), registry=registry).detections, samples) == (40, 0)


def test_too_few_images_have_no_interval(setup: Callable[[Any], tuple[Registry, Run]]) -> None:
    samples, predictions = planted({0: (0.6, 1), 1: (0.6, 1)}, {0: (0.1, 0.5), 1: (0.1, 0.5)}, images=1)
    registry, run = setup(Planted(predictions))
    tuning = tune(run, dataset(samples), registry=registry)
    assert math.isnan(tuning.held_out)
    assert tuning.to_dict()["interval"] is None
    assert "too few" in tuning.notes[0]
    empty = [samples[0].replace(boxes=Boxes())]
    with pytest.raises(DataError, match="no boxes"):
        tune(run, dataset(empty), registry=registry)


@pytest.mark.parametrize("goal", ["f2", "precision", "recall=2", "count=3", "precision=x", ""])
def test_unknown_goals(goal: str, setup: Callable[[Any], tuple[Registry, Run]]) -> None:
    registry, run = setup(None)
    with pytest.raises(UsageError, match="is not a goal") as caught:
        tune(run, "voc:nowhere", goal=goal, registry=registry)
    assert "precision=0.95" in caught.value.remedy


def test_other_wrong_arguments(setup: Callable[[Any], tuple[Registry, Run]], tmp_path: Path) -> None:
    registry, run = setup(None)
    with pytest.raises(UsageError, match="'hard' is not a kind"):
        tune(run, "voc:nowhere", suppression=["hard"], registry=registry)
    with pytest.raises(UsageError, match="neither a run nor"):
        reset_tuning(tmp_path)


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"decoder": {"score": 2}}', '{"decoder": {"suppression": "none"}}', "{}"]
)
def test_a_damaged_tuning_is_named(content: str, setup: Callable[[Any], tuple[Registry, Run]]) -> None:
    registry, run = setup(Planted({}))
    run.file("tuned.json").write_text(content)
    with pytest.raises(DataError, match=r"tuned\.json") as caught:
        load_model(run, registry=registry)
    assert caught.value.remedy == "remove it, and tune again"


BOXES = np.array([[0, 0, 10, 10], [0, 1, 10, 11], [2, 0, 12, 10], [50, 50, 60, 60]], float)
"""The IoU of the first is 90 / 110 with the second and 80 / 120 with the third."""


def test_suppression_over_all_classes_and_thresholds_by_class_calculated_manually() -> None:
    scores, classes = np.array([0.9, 0.8, 0.7, 0.6]), np.array([0, 1, 0, 1])

    def kept(**settings: Any) -> list[float]:
        found = choose_detections(BOXES, scores, classes, DecoderSettings(**settings))
        return [round(float(score), 6) for score in found.scores]

    assert kept(suppression="all") == [0.9, 0.6]
    assert kept(suppression="class") == [0.9, 0.8, 0.6]
    assert kept(iou_threshold=[0.7, 0.5]) == [0.9, 0.8, 0.7, 0.6]
    assert kept(iou_threshold=[0.7, 0.5], suppression="all") == [0.9, 0.7, 0.6]


def test_box_fusion_calculated_manually() -> None:
    """The boxes of the first class are one cluster: their mean, with the weights 9, 6 and 3."""
    scores, classes = np.array([0.9, 0.6, 0.3, 0.2]), np.array([0, 0, 0, 0])
    found = choose_detections(BOXES, scores, classes, DecoderSettings(suppression="fusion"))
    mean = (9 * BOXES[0] + 6 * BOXES[1] + 3 * BOXES[2]) / 18
    np.testing.assert_allclose(found.boxes, [mean, BOXES[3]], atol=1e-5)
    assert found.scores == pytest.approx([0.9, 0.2])
    apart = choose_detections(BOXES, scores, np.array([0, 1, 0, 0]), DecoderSettings(suppression="fusion"))
    assert apart.classes.tolist() == [0, 1, 0]
    np.testing.assert_allclose(apart.boxes[0], (9 * BOXES[0] + 3 * BOXES[2]) / 12, atol=1e-5)


def test_nothing_is_suppressed_at_an_iou_of_1() -> None:
    """The same as just below it, among boxes of which none are equal; the first of equal scores comes first."""
    chance = np.random.default_rng(4)
    boxes = chance.uniform(0, 9, (50, 4)) + np.array([0, 0, 20, 20])
    scores, classes = chance.integers(0, 9, 50) / 10, chance.integers(0, 3, 50)
    for settings in (DecoderSettings(score_threshold=0.2), DecoderSettings(suppression="all", max_detections=7)):
        one, other = (
            choose_detections(boxes, scores, classes, replace(settings, iou_threshold=iou)) for iou in (1.0, 0.999999)
        )
        assert len(one.scores) == min(settings.max_detections, int((scores > settings.score_threshold).sum()))
        for name, values in one._asdict().items():
            np.testing.assert_array_equal(values, getattr(other, name))


def test_settings_that_are_impossible() -> None:
    for wrong in ({"score": (0.5, 2.0)}, {"iou_threshold": (-1.0,)}, {"suppression": "some"}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            DecoderSettings(**wrong)  # type: ignore[arg-type]
    settings = DecoderSettings(score=(0.5, 0.25), iou_threshold=(0.5, 0.75))
    assert DecoderSettings.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings
    assert not settings.is_common
    assert replace(settings, iou_threshold=0.5).is_common


CORNER = np.array([0, 0, 120, 120])


def test_matches_are_those_of_pycocotools() -> None:
    """200 images with crowds, of which some have no class, at two IoU thresholds."""
    chance = np.random.default_rng(0)
    for least in (0.5, 0.75):
        images = []
        ground_truth: dict[str, Any] = {"images": [], "annotations": [], "categories": [{"id": 1}, {"id": 2}]}
        results: list[Any] = []
        for number in range(100):
            truth = chance.uniform(0, 60, (chance.integers(0, 7), 4)) + CORNER
            found = np.repeat(truth, 3, axis=0) + chance.normal(0, 8, (3 * len(truth), 4))
            found = np.concatenate([found, chance.uniform(0, 60, (4, 4)) + CORNER])
            scores = np.sort(chance.uniform(0, 1, len(found)))[::-1]
            classes, of_truth = chance.integers(0, 2, len(found)), chance.integers(0, 2, len(truth))
            crowds = chance.random(len(truth)) < 0.2
            of_none = crowds & (chance.random(len(truth)) < 0.5)
            hits = find_hits(found, classes, truth, np.where(of_none, -1, of_truth), crowds, least)
            images.append((classes, hits))
            ground_truth["images"].append({"id": number + 1})
            for box, label, crowd, anywhere in zip(truth, of_truth, crowds, of_none, strict=True):
                for each in (0, 1) if anywhere else (label,):
                    annotation = {"id": len(ground_truth["annotations"]) + 1, "image_id": number + 1, "area": 1.0}
                    place = {"bbox": [*box[:2], *(box[2:] - box[:2])], "category_id": int(each) + 1}
                    ground_truth["annotations"].append(annotation | place | {"iscrowd": int(crowd)})
            for box, score, label in zip(found, scores, classes, strict=True):
                place = {"bbox": [*box[:2], *(box[2:] - box[:2])], "category_id": int(label) + 1}
                results.append({"image_id": number + 1, "score": float(score)} | place)
        with contextlib.redirect_stdout(io.StringIO()):
            coco = COCO()
            coco.dataset = ground_truth
            coco.createIndex()
            judge = COCOeval(coco, coco.loadRes(results), "bbox")
            judge.params.iouThrs = [least]
            judge.params.areaRng, judge.params.areaRngLbl = [[0, 1e10]], ["all"]
            judge.evaluate()
        of_image = {(each["image_id"], each["category_id"]): each for each in judge.evalImgs if each}
        compared = 0
        for number, (classes, hits) in enumerate(images, start=1):
            for label in (0, 1):
                mine = hits[classes == label]
                if not len(mine):
                    continue
                theirs = of_image[number, label + 1]
                ignored = theirs["dtIgnore"][0]
                assert (mine == IN_REGION).tolist() == ignored.astype(bool).tolist()
                assert (mine >= 0).tolist() == ((theirs["dtMatches"][0] > 0) & ~ignored.astype(bool)).tolist()
                compared += len(mine)
        assert compared > 1000
        assert {NOTHING, IN_REGION} <= {int(hit) for _, hits in images for hit in hits}


def test_two_images_are_enough(setup: Callable[[Any], tuple[Registry, Run]]) -> None:
    """Where an image without objects has no detections, F1 is 0 and not undefined."""
    (full,), predictions = planted({0: (0.6, 1), 1: (0.6, 1)}, {0: (0.1, 0.5), 1: (0.1, 0.5)}, images=1)
    empty = Sample(image=ImageRef(name="empty.jpg", width=400, height=300))
    predictions["empty.jpg"] = np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64)
    registry, run = setup(Planted(predictions))
    tuning = tune(run, dataset([full, empty]), registry=registry)
    assert (tuning.found, tuning.false_alarms) == (4, 0)


def test_images_of_the_training_are_refused(setup: Callable[[Any], tuple[Registry, Run]], tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)).save(photos / "a.png")
    (photos / "a.xml").write_text(
        "<annotation><filename>a.png</filename><size><width>40</width><height>30</height><depth>3</depth></size><object>"
        "<name>fig</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>20</xmax><ymax>20</ymax></bndbox></object></annotation>"
    )
    _, run = setup(Planted({}))
    uri = f"labelimg:{photos}"
    run.write_json("config.json", run.config | {"data": uri})
    with pytest.raises(UsageError, match="1 of 1 held-out images are training images"):
        tune(Run(run.path), uri)
    assert not run.file("tuned.json").exists()


def test_settings_and_their_description_change_together(
    setup: Callable[[Any], tuple[Registry, Run]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failure in the middle leaves all files of an artifact unchanged; a reset restores them byte for byte."""
    _, run = setup(Planted({}))
    folder = run.path
    before = DecoderSettings(iou_threshold=0.4, score=0.5)
    (folder / "decoder.json").write_text(json.dumps(before.to_dict(), indent=2) + "\n")
    (folder / "artifact.json").write_text(
        json.dumps({"boxwright_artifact": 1, "files": {"decoder.json": {}}}, indent=2) + "\n"
    )
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    content = {"decoder": DecoderSettings(score=0.7).to_dict(), "original": before.to_dict()}

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("boxwright.storage.output.switch", full)
    with pytest.raises(OutputError, match="No space left"):
        write_tuning(folder, content, b"<svg/>")
    monkeypatch.undo()
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == files

    write_tuning(folder, content, b"<svg/>")
    description = (folder / "decoder.json").read_bytes()
    assert json.loads(description)["score"] == 0.7
    assert json.loads((folder / "artifact.json").read_text())["files"]["decoder.json"] == {
        "bytes": len(description),
        "sha256": hashlib.sha256(description).hexdigest(),
    }
    assert remove_tuning(folder)
    assert (folder / "decoder.json").read_bytes() == files["decoder.json"]
    assert not (folder / "tuned.svg").exists()


def test_a_damaged_tuning_is_an_error(setup: Callable[[Any], tuple[Registry, Run]]) -> None:
    _, run = setup(Planted({}))
    for content in ("{", "[]", '{"decoder": {}}'):
        run.file("tuned.json").write_text(content)
        with pytest.raises(DataError, match=r"tuned\.json"):
            reset_tuning(run)
