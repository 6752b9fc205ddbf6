"""The other metrics against rules worked by hand: VOC's development kit, Open Images, TIDE's kinds, calibration."""

from __future__ import annotations

import json
import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from globox import Annotation, AnnotationSet, BoundingBox, COCOEvaluator

from boxwright import Boxes, DataError, Detections, ImageRef, LabelMap, Sample, UsageError, iou
from boxwright.models import Difference, draw_images
from boxwright_cocoeval.diagnostics import _KINDS, CalibrationMetric, TideMetric
from boxwright_cocoeval.metric import CocoMetric
from boxwright_cocoeval.openimages import OpenImagesMetric
from boxwright_cocoeval.voc import VocMetric

Pair = tuple[Sample, Detections]
CLASSES = LabelMap.from_names(["cat", "dog"])


def problem(seed: int, images: int = 4, **flags: float) -> list[Pair]:
    """Returns a few images with shifted, duplicate and false detections, and boxes with flags by their probability."""
    chance = np.random.default_rng(seed)
    pairs = []
    for number in range(images):
        image = ImageRef(name=f"{number}.jpg", width=400, height=300)
        count = int(chance.integers(0, 6))
        corner = chance.uniform(0, 150, (count, 2))
        truth = np.concatenate([corner, corner + chance.uniform(30, 120, (count, 2))], axis=1)
        labels = [CLASSES.names[each] for each in chance.integers(0, 2, count)]
        attributes = [{name: 1 for name, share in flags.items() if chance.random() < share} for _ in range(count)]
        copies = np.repeat(np.arange(count), 2)
        found = truth[copies] + chance.uniform(-12, 12, (len(copies), 4))
        names = [labels[each] if chance.random() < 0.8 else "cat" for each in copies]
        extra = chance.uniform(0, 150, (3, 2))
        found = np.concatenate([found, np.concatenate([extra, extra + 60], axis=1)])
        scores = chance.permutation(1000)[: len(found)] / 1000
        detections = Detections.from_arrays(image, [*names, "cat", "dog", "dog"], found, scores)
        pairs.append((Sample(image=image, boxes=Boxes(labels, truth.tolist(), attributes)), detections))
    return pairs


def ranked(pairs: list[Pair], label: str) -> list[tuple[int, tuple[float, ...]]]:
    """Returns the image and the box of all detections of a class, best first."""
    rows = [
        (score, image, box)
        for image, (_, found) in enumerate(pairs)
        for name, box, score in zip(found.boxes.labels, found.boxes.coordinates, found.scores, strict=True)
        if name == label
    ]
    return [(image, box) for _, image, box in sorted(rows, key=lambda row: -row[0])]


def by_the_development_kit(pairs: list[Pair], label: str, eleven: bool) -> float:
    """Returns the AP of a class as VOCevaldet.m describes it, one detection after the other."""
    truth = [[box for box in sample.boxes if box.label == label] for sample, _ in pairs]
    taken = [[False] * len(boxes) for boxes in truth]
    positive = sum("difficult" not in box.attributes for boxes in truth for box in boxes)
    found = wrong = 0
    curve = []
    for image, box in ranked(pairs, label):
        overlaps = [float(iou([box], [each.coordinates])[0, 0]) for each in truth[image]]
        best = int(np.argmax(overlaps)) if overlaps else -1
        if best >= 0 and overlaps[best] >= 0.5:
            if "difficult" in truth[image][best].attributes:
                continue
            if not taken[image][best]:
                taken[image][best] = True
                found += 1
            else:
                wrong += 1
        else:
            wrong += 1
        curve.append((found / positive if positive else 0.0, found / (found + wrong)))
    if not positive:
        return math.nan
    if eleven:
        return sum(max([p for r, p in curve if r >= t / 10], default=0.0) for t in range(11)) / 11
    area, before = 0.0, 0.0
    for place, (recall, _) in enumerate(curve):
        area += (recall - before) * max(p for _, p in curve[place:])
        before = recall
    return area


def check_voc(seeds: range) -> None:
    for seed in seeds:
        pairs = problem(seed, difficult=0.25)
        for points in ("all", "11"):
            result = VocMetric(points, draws=0)(pairs, CLASSES)
            expected = [by_the_development_kit(pairs, label, points == "11") for label in CLASSES.names]
            mine = [result.per_class[label]["AP"] for label in CLASSES.names]
            np.testing.assert_allclose(mine, expected, atol=1e-12, err_msg=f"{points} points, problem {seed}")
            counted = [each for each in expected if not math.isnan(each)]
            if counted:
                assert result.values["mAP"] == pytest.approx(np.mean(counted), abs=1e-12)


def test_voc_is_the_rule_of_the_development_kit() -> None:
    check_voc(range(100))


@pytest.mark.slow
def test_voc_is_the_rule_of_the_development_kit_in_1000_problems() -> None:
    check_voc(range(100, 1100))


def by_open_images(pairs: list[Pair], label: str) -> float:
    """Returns the AP of a class by the rule of the Open Images challenges, one detection after the other."""
    truth = [[box for box in sample.boxes if box.label == label] for sample, _ in pairs]
    taken = [[False] * len(boxes) for boxes in truth]
    positive = sum(map(len, truth))
    events = []
    groups: dict[tuple[int, int], int] = {}
    for image, box in ranked(pairs, label):
        boxes = truth[image]
        singles = [i for i, each in enumerate(boxes) if "iscrowd" not in each.attributes]
        overlaps = {i: float(iou([box], [boxes[i].coordinates])[0, 0]) for i in singles}
        best = max(overlaps, key=lambda i: overlaps[i], default=None)
        if best is not None and overlaps[best] >= 0.5 and not taken[image][best]:
            taken[image][best] = True
            events.append(True)
            continue
        inside = {i: share(box, boxes[i].coordinates) for i in range(len(boxes)) if i not in singles}
        group = max(inside, key=lambda i: inside[i], default=None)
        if group is not None and inside[group] >= 0.5:
            if (image, group) not in groups:  # the best detection of the group; the others are ignored
                groups[image, group] = len(events)
                events.append(True)
            continue
        events.append(False)
    if not positive:
        return math.nan
    found = np.cumsum(events)
    precision = found / np.arange(1, len(events) + 1)
    highest = np.maximum.accumulate(precision[::-1])[::-1] if len(events) else precision
    return float((highest * np.array(events)).sum() / positive)


def share(box: tuple[float, ...], other: tuple[float, ...]) -> float:
    width = max(0.0, min(box[2], other[2]) - max(box[0], other[0]))
    height = max(0.0, min(box[3], other[3]) - max(box[1], other[1]))
    return width * height / ((box[2] - box[0]) * (box[3] - box[1]))


def check_open_images(seeds: range) -> None:
    for seed in seeds:
        pairs = problem(seed, iscrowd=0.25)
        result = OpenImagesMetric(draws=0)(pairs, CLASSES)
        expected = [by_open_images(pairs, label) for label in CLASSES.names]
        mine = [result.per_class[label]["AP"] for label in CLASSES.names]
        np.testing.assert_allclose(mine, expected, atol=1e-9, err_msg=f"problem {seed}")


def test_open_images_is_the_rule_of_the_challenge() -> None:
    check_open_images(range(100))


@pytest.mark.slow
def test_open_images_is_the_rule_of_the_challenge_in_1000_problems() -> None:
    check_open_images(range(100, 1100))


def test_a_hierarchy_makes_a_cat_an_animal(tmp_path: Path) -> None:
    """Two cats, of which one is detected as an animal: one half of the animals is found, and no cat."""
    label_map = LabelMap.from_names(["animal", "cat"])
    path = tmp_path / "hierarchy.json"
    path.write_text(json.dumps({"LabelName": "animal", "Subcategory": [{"LabelName": "cat"}]}))
    image = ImageRef(name="one.jpg", width=400, height=300)
    boxes = [(0.0, 0.0, 50.0, 50.0), (100.0, 100.0, 150.0, 150.0)]
    pair = (
        Sample(image=image, boxes=Boxes(["cat", "cat"], boxes)),
        Detections.from_arrays(image, ["animal"], np.array(boxes[:1]), [0.9]),
    )
    result = OpenImagesMetric(hierarchy=str(path))([pair], label_map)
    assert result.per_class["animal"]["AP"] == pytest.approx(0.5, abs=0.01)
    assert result.per_class["cat"]["AP"] == 0.0
    assert math.isnan(OpenImagesMetric(draws=0)([pair], label_map).per_class["animal"]["AP"])
    path.write_text("[]")
    with pytest.raises(DataError, match="hierarchy"):
        OpenImagesMetric(hierarchy=str(path))([pair], label_map)


def test_one_error_of_each_kind() -> None:
    """Each in a separate image, next to one object that is found."""
    boxes = np.array([(0.0, 0.0, 100.0, 100.0), (200.0, 0.0, 300.0, 100.0)])
    right = ("cat", boxes[0], 0.9)
    wrong = {
        "classification": ("dog", boxes[1], 0.8),
        "location": ("cat", boxes[1] + [60, 0, 60, 0], 0.8),  # IoU 0.25
        "both": ("dog", boxes[1] + [60, 0, 60, 0], 0.8),
        "duplicate": ("cat", boxes[0], 0.8),
        "background": ("cat", boxes[1] + [0, 150, 0, 150], 0.8),
    }
    for kind, detection in wrong.items():
        image = ImageRef(name="one.jpg", width=400, height=300)
        labels, xyxy, scores = zip(right, detection, strict=True)
        objects = boxes if kind in ("classification", "location", "both") else boxes[:1]
        sample = Sample(image=image, boxes=Boxes(["cat"] * len(objects), objects.tolist()))
        found = Detections.from_arrays(image, labels, np.array(xyxy), scores)
        values = TideMetric()([(sample, found)], CLASSES).values
        assert {name: values[f"{name} errors"] for name in wrong} == {name: float(name == kind) for name in wrong}
        if kind in ("classification", "location"):
            assert values["AP"] == pytest.approx(51 / 101)
            assert values[kind] == pytest.approx(50 / 101), "all that is missing"
    both = Sample(image=image, boxes=Boxes(["cat"] * 2, boxes.tolist()))
    missed = TideMetric()([(both, Detections.from_arrays(image, ["cat"], boxes[:1], [0.9]))], CLASSES).values
    assert (missed["missed errors"], missed["missed"]) == (1.0, pytest.approx(50 / 101))


def distinct(pairs: list[Pair]) -> list[Pair]:
    """Returns a problem without equal scores in different images, whose order is not defined."""
    return [
        (
            sample,
            Detections.from_arrays(each.image, each.boxes.labels, each.boxes.xyxy, np.array(each.scores) + n / 1e4),
        )
        for n, (sample, each) in enumerate(pairs)
    ]


def test_coco_is_that_of_globox() -> None:
    """Its values for medium and large objects differ from those of pycocotools; the other metrics are equal."""
    for seed in range(40):
        pairs = distinct(problem(seed))
        sets = {"ground_truths": AnnotationSet(), "predictions": AnnotationSet()}
        for sample, found in pairs:
            for target, boxes, scores in zip(
                sets.values(), (sample.boxes, found.boxes), ([None] * len(sample.boxes), found.scores), strict=True
            ):
                content = [
                    BoundingBox(label=label, xmin=box[0], ymin=box[1], xmax=box[2], ymax=box[3], confidence=score)
                    for label, box, score in zip(boxes.labels, boxes.xyxy, scores, strict=True)
                ]
                target.add(Annotation(sample.image.name, (400, 300), content))
        judge = COCOEvaluator(**sets)
        theirs = {"AP": judge.ap(), "AP50": judge.ap_50(), "AP75": judge.ap_75()}
        theirs |= {"AR1": judge.ar_1(), "AR10": judge.ar_10(), "AR100": judge.ar_100()}
        values = CocoMetric(draws=0)(pairs, CLASSES).values
        assert {name: values[name] for name in theirs} == pytest.approx(theirs, abs=1e-9, nan_ok=True), seed


@pytest.mark.filterwarnings("default")
def test_kinds_of_errors_are_those_of_tidecv() -> None:
    """tidecv is the program of the paper's authors.

    It counts a class without objects, orders equal scores otherwise, and has other recall values than pycocotools where
    a class has ten objects (``linspace(0, 1, 101)`` rounds some of them up): such problems are left out.
    """
    tidecv = pytest.importorskip("tidecv", reason="it requires opencv-python, which excludes opencv-python-headless")
    compared = 0
    for seed in range(150):
        pairs = distinct(problem(seed))
        objects = [label for sample, _ in pairs for label in sample.boxes.labels]
        if not all(0 < objects.count(name) < 10 for name in CLASSES.names):
            continue
        truth, detections = tidecv.Data("truth"), tidecv.Data("detections")
        for number, (sample, found) in enumerate(pairs):
            for data, boxes in ((truth, sample.boxes), (detections, found.boxes)):
                data.add_image(number, str(number))
                scores = found.scores if boxes is found.boxes else [None] * len(boxes)
                for label, (xmin, ymin, xmax, ymax), score in zip(boxes.labels, boxes.xyxy, scores, strict=True):
                    place, box = CLASSES.names.index(label), [xmin, ymin, xmax - xmin, ymax - ymin]
                    if score is None:
                        data.add_ground_truth(number, place, box)
                    else:
                        data.add_detection(number, place, score, box)
        tide = tidecv.TIDE()
        run = tide.evaluate(truth, detections, mode=tidecv.TIDE.BOX)
        errors = tide.get_all_errors()
        theirs = {"AP": run.ap / 100}
        theirs |= {name: errors["main"]["detections"][key] / 100 for key, name in _KINDS.items()}
        theirs["false positives"] = errors["special"]["detections"]["FalsePos"] / 100
        theirs["false negatives"] = errors["special"]["detections"]["FalseNeg"] / 100
        theirs |= {f"{_KINDS[kind.short_name]} errors": len(found) for kind, found in run.error_dict.items()}
        assert TideMetric()(pairs, CLASSES).values == pytest.approx(theirs, abs=1e-9), seed
        compared += 1
    assert compared > 100


def test_calibration_calculated_manually() -> None:
    """Four detections with 0.95, of which three are right, and two with 0.25, of which none is."""
    image = ImageRef(name="one.jpg", width=800, height=300)
    boxes = [(place * 100.0, 0.0, place * 100.0 + 50, 50.0) for place in range(6)]
    sample = Sample(image=image, boxes=Boxes(["cat"] * 3, boxes[:3]))
    scores = [0.95, 0.95, 0.95, 0.95, 0.25, 0.25]
    found = Detections.from_arrays(image, ["cat"] * 6, np.array(boxes), scores)
    values = CalibrationMetric()([(sample, found)], CLASSES).values
    assert values["ECE"] == pytest.approx(4 / 6 * 0.2 + 2 / 6 * 0.25)
    assert values["MCE"] == pytest.approx(0.25)
    assert (values["right at 0.9-1"], values["right at 0.2-0.3"]) == (0.75, 0.0)
    assert math.isnan(values["right at 0.5-0.6"])


@pytest.mark.parametrize("make", [CocoMetric, VocMetric, partial(VocMetric, "11"), OpenImagesMetric])
def test_the_numbers_of_a_draw_are_those_of_the_images_drawn(make: Any) -> None:
    """Each draw is measured again on a dataset that contains the images as often as they were drawn."""
    metric = make(draws=6)
    pairs = problem(1, images=12, iscrowd=0.1, difficult=0.1)
    result = metric(pairs, CLASSES)
    assert set(result.drawn) >= {result.main}
    metric.draws = 0
    for place, weights in enumerate(draw_images(len(pairs), 6)):
        drawn = [pair for pair, weight in zip(pairs, weights, strict=True) for _ in range(int(weight))]
        again = metric(drawn, CLASSES).values
        for name, values in result.drawn.items():
            assert values[place] == pytest.approx(again[name], abs=1e-6), name
    low, high = result.intervals[result.main]
    assert 0 <= low < result.values[result.main] + 0.1
    assert low < high


def test_own_iou_and_sizes() -> None:
    """An IoU of 0.72, and a box of 30x30 pixels."""
    image = ImageRef(name="one.jpg", width=400, height=300)
    sample = Sample(image=image, boxes=Boxes(["cat"], [(0.0, 0.0, 30.0, 100.0)]))
    found = Detections.from_arrays(image, ["cat"], np.array([(0.0, 0.0, 30.0, 72.0)]), [0.9])
    values = CocoMetric(iou="0.3/0.7/0.75/0.9", sizes="40/54", draws=0)([(sample, found)], CLASSES).values
    assert values["AP"] == pytest.approx(0.5)
    assert math.isnan(values["AP50"])
    assert values["AP75"] == 0.0
    assert values["APlarge"] == pytest.approx(0.5), "3,000 square pixels are more than 54x54"
    assert math.isnan(values["APmedium"])
    for wrong in ({"iou": "0.5/0.3"}, {"iou": "2"}, {"iou": "half"}, {"sizes": "5"}, {"sizes": "9/4"}):
        with pytest.raises(UsageError, match=next(iter(wrong))):
            CocoMetric(**wrong)  # type: ignore[arg-type]


def population(images: int, seed: int) -> tuple[list[Pair], list[Pair]]:
    """Returns two equally good models on images of which some are more difficult than others."""
    chance = np.random.default_rng(seed)
    models: tuple[list[Pair], list[Pair]] = ([], [])
    for number in range(images):
        ease = chance.beta(3, 2)
        image = ImageRef(name=f"{number}.jpg", width=4000, height=500)
        count = int(chance.poisson(3))
        truth: Any = np.array([(place * 100.0, 0.0, place * 100.0 + 50, 50.0) for place in range(count)]).reshape(-1, 4)
        labels = np.array(CLASSES.names, object)[chance.integers(0, 2, count)]
        sample = Sample(image=image, boxes=Boxes(labels.tolist(), truth.tolist()))
        for pairs in models:
            seen = chance.random(count) < 0.4 + 0.6 * ease
            shift = np.tile(chance.normal(0, 6, (int(seen.sum()), 2)), 2)
            wrong = int(chance.poisson(2 * (1 - ease)))
            extra = np.array([(place * 100.0, 200.0, place * 100.0 + 50, 250.0) for place in range(wrong)])
            boxes = np.concatenate([truth[seen] + shift, extra.reshape(-1, 4)])
            names = [*labels[seen], *np.array(CLASSES.names, object)[chance.integers(0, 2, wrong)]]
            scores = [*chance.beta(4, 2, int(seen.sum())), *chance.beta(2, 4, wrong)]
            pairs.append((sample, Detections.from_arrays(image, names, boxes, scores)))
    return models


@pytest.mark.slow
def test_intervals_contain_the_truth_as_often_as_they_say() -> None:
    """500 sets of 200 images: 95 % means 93 to 97, and equal models differ in at most 5 %, up to chance."""
    metric = CocoMetric(draws=0)
    truth = metric(population(12_000, 10**6)[0], CLASSES).values
    metric.draws = 300
    inside = dict.fromkeys(("AP", "AP50", "AR100"), 0)
    different = 0
    for seed in range(500):
        first, second = (metric(pairs, CLASSES) for pairs in population(200, seed))
        for name in inside:
            low, high = first.intervals[name]
            inside[name] += low <= truth[name] <= high
        different += Difference.between(first, second, 200).is_clear
    print({name: count / 500 for name, count in inside.items()}, different / 500)
    for name, count in inside.items():
        assert 0.92 <= count / 500 <= 0.98, (name, count)
    assert different / 500 <= 0.07
