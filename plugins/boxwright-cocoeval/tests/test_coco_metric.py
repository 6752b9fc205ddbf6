"""The metric ``coco`` against pycocotools, which defines it, and against numbers calculated manually."""

from __future__ import annotations

import contextlib
import io
import math
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from boxwright import Boxes, Detections, ImageRef, LabelMap, LabelMapItem, MetricResult, Sample
from boxwright_cocoeval.metric import CocoMetric

Pair = tuple[Sample, Detections]

CLASSES = ("apple", "banana", "cherry", "absent", "detected only")

NAMES = (
    *("AP", "AP50", "AP75", "APsmall", "APmedium", "APlarge"),
    *("AR1", "AR10", "AR100", "ARsmall", "ARmedium", "ARlarge"),
)


def random_pairs(seed: int, images: int = 60) -> list[Pair]:
    """Boxes of all sizes with crowds, shifted, duplicate and false detections, and scores that are often equal."""
    chance = np.random.default_rng(seed)
    pairs = []
    for number in range(images):
        width, height = 640, 480
        image = ImageRef(name=f"{number}.jpg", width=width, height=height)
        count = 0 if number % 7 == 0 else int(chance.poisson(4))
        edges, labels = [], []
        more: list[dict[str, Any]] = []
        for _ in range(count):
            w, h = np.minimum(np.exp(chance.normal(4.0, 1.0, 2)), (width - 2, height - 2))
            x, y = chance.uniform(0, width - w), chance.uniform(0, height - h)
            edges.append(np.array((x, y, x + w, y + h)).round(2).tolist())
            labels.append(CLASSES[chance.integers(3)])
            area = {"area": float(w * h) * 0.4} if len(more) % 2 else {}
            more.append(area | ({"iscrowd": 1} if chance.random() < 0.08 else {}))
        found, names, scores = [], [], []
        for box, label in zip(edges, labels, strict=True):
            for _ in range(chance.integers(0, 4)):
                size = max(box[2] - box[0], box[3] - box[1])
                x1, y1, x2, y2 = np.array(box) + chance.normal(0, 0.07, 4) * size
                found.append((min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)))
                names.append(label if chance.random() < 0.85 else CLASSES[chance.integers(3)])
                scores.append(round(float(chance.beta(4, 2)), 1))
        for _ in range(chance.integers(0, 25 if number % 9 else 150)):
            x, y, w, h = chance.uniform(0, 500), chance.uniform(0, 400), *np.exp(chance.normal(3.5, 1.0, 2))
            found.append((x, y, x + w, y + h))
            names.append(CLASSES[chance.choice([0, 1, 2, 4])])
            scores.append(round(float(chance.beta(1, 4)), 1))
        boxes = Boxes(labels, edges, more)
        detections = Detections.from_arrays(image, names, np.array(found, float).reshape(-1, 4), scores)
        pairs.append((Sample(image=image, boxes=boxes), detections))
    return pairs


def by_pycocotools(
    pairs: list[Pair], label_map: LabelMap, most: int = 100
) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """Returns the numbers of pycocotools, with -1 as nan."""
    ground_truth: dict[str, Any] = {
        "info": {},
        "images": [{"id": i, "width": 640, "height": 480} for i in range(1, len(pairs) + 1)],
        "annotations": [],
        "categories": [{"id": item.id, "name": item.name} for item in label_map.items],
    }
    results = []
    for number, (sample, detections) in enumerate(pairs, start=1):
        for box in sample.boxes:
            ground_truth["annotations"].append(
                {
                    "id": len(ground_truth["annotations"]) + 1,
                    "image_id": number,
                    "category_id": label_map.id(box.label),
                    "bbox": [box.xmin, box.ymin, box.xmax - box.xmin, box.ymax - box.ymin],
                    "area": box.attributes.get("area", (box.xmax - box.xmin) * (box.ymax - box.ymin)),
                    "iscrowd": box.attributes.get("iscrowd", 0),
                }
            )
        for box in detections.boxes:
            results.append(
                {
                    "image_id": number,
                    "category_id": label_map.id(box.label),
                    "bbox": [box.xmin, box.ymin, box.xmax - box.xmin, box.ymax - box.ymin],
                    "score": box.attributes["score"],
                }
            )
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = ground_truth
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(results), "bbox")
        evaluation.params.maxDets = [1, 10, most]
        evaluation.evaluate()
        evaluation.accumulate()
        if most == 100:  # it summarizes no other number
            evaluation.summarize()
    of_class = {}
    for place, number in enumerate(evaluation.params.catIds):
        precision, recall = evaluation.eval["precision"], evaluation.eval["recall"]
        of_class[label_map.name(number)] = {
            "AP": mean(precision[:, :, place, 0, 2]),
            "AP50": mean(precision[0, :, place, 0, 2]),
            f"AR{most}": mean(recall[:, place, 0, 2]),
        }
    overall = [float("nan") if value == -1 else float(value) for value in evaluation.stats]
    return dict(zip(NAMES, overall, strict=most == 100)), of_class


def mean(values: Any) -> float:
    kept = values[values > -1]
    return float(np.mean(kept)) if kept.size else float("nan")


def assert_same(result: MetricResult, overall: dict[str, float], of_class: dict[str, dict[str, float]]) -> None:
    assert list(result.values) == list(NAMES)
    for name, value in overall.items():
        mine = result.values[name]
        assert mine == value or (math.isnan(mine) and math.isnan(value)), f"{name}: {mine!r}, pycocotools {value!r}"
    assert set(result.per_class) == set(of_class)
    for label, numbers in of_class.items():
        for name, value in numbers.items():
            mine = result.per_class[label][name]
            assert mine == value or (math.isnan(mine) and math.isnan(value)), f"{label} {name}: {mine!r}, {value!r}"


@pytest.mark.parametrize("seed", range(6))
def test_every_number_is_exactly_that_of_pycocotools(seed: int) -> None:
    pairs, label_map = random_pairs(seed), LabelMap.from_names(CLASSES)
    result = CocoMetric(draws=0)(iter(pairs), label_map)
    assert_same(result, *by_pycocotools(pairs, label_map))
    assert 0.05 < result.values["AP"] < 0.8, "the data must be neither hopeless nor perfect to tell anything"


def test_more_images_than_are_matched_at_once() -> None:
    pairs, label_map = random_pairs(100, images=300), LabelMap.from_names(CLASSES)
    assert_same(CocoMetric(draws=0)(pairs, label_map), *by_pycocotools(pairs, label_map))


def test_another_number_of_detections_is_that_of_pycocotools(capfd: pytest.CaptureFixture[str]) -> None:
    """Up to 150 detections of four classes per image."""
    pairs, label_map = random_pairs(2), LabelMap.from_names(CLASSES)
    result = CocoMetric(max_detections=20, draws=0)(pairs, label_map)
    _, of_class = by_pycocotools(pairs, label_map, 20)
    assert set(result.per_class["apple"]) == {"AP", "AP50", "AR20", "truths"}
    for label, numbers in of_class.items():
        for name, value in numbers.items():
            assert result.per_class[label][name] == pytest.approx(value, abs=0, nan_ok=True), (label, name)
    assert result.per_class["apple"]["AP"] != CocoMetric(draws=0)(pairs, label_map).per_class["apple"]["AP"]
    assert "AR20" in result.values
    assert capfd.readouterr() == ("", "")


def test_more_than_100_boxes_of_a_class_calculated_manually() -> None:
    """All 150 are found, of which 100 count: recall 2/3, and 67 of the 101 recall values have precision 1."""
    boxes = [(x * 40.0, y * 40.0, x * 40 + 30.0, y * 40 + 30.0) for x in range(15) for y in range(10)]
    found = Boxes(["apple"] * 150, boxes, [{"score": 0.9 - place / 1000} for place in range(150)])
    perfect = [pair(Boxes(["apple"] * 150, boxes), found)]
    cut = CocoMetric(draws=0)(perfect, ONE)
    assert cut.values["AP"] == pytest.approx(67 / 101)
    assert cut.values["AR100"] == pytest.approx(100 / 150)
    (note,) = cut.notes
    assert "more than 100 boxes of a class" in note
    assert "max_detections=150" in note
    whole = CocoMetric(max_detections=150, draws=0)(perfect, ONE)
    assert (whole.values["AP"], whole.values["AR150"], whole.notes) == (1.0, 1.0, [])


def test_classes_whose_numbers_are_in_another_order_than_their_names() -> None:
    numbers = (90, 7, 33, 1, 12)
    items = tuple(LabelMapItem(id=i, name=name) for i, name in zip(numbers, CLASSES, strict=True))
    pairs, label_map = random_pairs(3), LabelMap(items=items)
    result = CocoMetric(draws=0)(pairs, label_map)
    assert_same(result, *by_pycocotools(pairs, label_map))
    assert len({result.per_class[name]["AP"] for name in CLASSES[:3]}) == 3, "the classes must differ to tell anything"


def pair(ground_truth: Boxes, found: Boxes) -> Pair:
    image = ImageRef(name="one.jpg", width=640, height=480)
    return Sample(image=image, boxes=ground_truth), Detections(image=image, boxes=found)


BOX = (0.0, 0.0, 100.0, 100.0)
ONE = LabelMap.from_names(["apple", "banana"])


def test_half_of_the_boxes_found_calculated_manually() -> None:
    """Two boxes, one found exactly: precision is 1 up to recall 0.5, at 51 of the 101 recall values, then 0."""
    boxes = Boxes(["apple", "apple"], [BOX, (200.0, 200.0, 300.0, 300.0)])
    result = CocoMetric(draws=0)([pair(boxes, Boxes(["apple"], [BOX], [{"score": 0.9}]))], ONE)
    assert result.values["AP"] == pytest.approx(51 / 101, abs=1e-12)
    assert result.values["AR100"] == 0.5
    assert result.values["APlarge"] == pytest.approx(51 / 101, abs=1e-12)
    assert math.isnan(result.values["APsmall"])
    assert result.per_class["apple"]["truths"] == 2
    assert result.per_class["banana"]["truths"] == 0
    assert math.isnan(result.per_class["banana"]["AP"])
    assert result.main == "AP"


def test_iou_decides_at_each_threshold_calculated_manually() -> None:
    """A box of IoU 0.72 counts at 0.50, 0.55, 0.60, 0.65 and 0.70: five of ten thresholds."""
    found = Boxes(["apple"], [(0.0, 0.0, 100.0, 72.0)], [{"score": 0.9}])
    values = CocoMetric(draws=0)([pair(Boxes(["apple"], [BOX]), found)], ONE).values
    assert values["AP"] == pytest.approx(0.5, abs=1e-12)
    assert values["AP50"] == pytest.approx(1.0, abs=1e-12)
    assert values["AP75"] == 0.0


def test_a_crowd_is_neither_missed_nor_makes_detections_wrong() -> None:
    boxes = Boxes(["apple", "apple"], [BOX, (200.0, 200.0, 400.0, 400.0)], [{}, {"iscrowd": 1}])
    in_the_crowd = [BOX, (200.0, 200.0, 300.0, 300.0), (300.0, 300.0, 400.0, 400.0)]
    found = Boxes(["apple"] * 3, in_the_crowd, [{"score": 0.5}, {"score": 0.4}, {"score": 0.3}])
    result = CocoMetric(draws=0)([pair(boxes, found)], ONE)
    assert result.values["AP"] == pytest.approx(1.0, abs=1e-12)
    assert result.per_class["apple"]["truths"] == 1


@pytest.mark.parametrize(("label", "flags"), [("DontCare", {"occluded": -1}), ("other", {"iscrowd": 1})])
def test_a_region_of_an_unknown_class_is_ignored_for_every_class(label: str, flags: dict[str, Any]) -> None:
    """Without the region, the detection in it has the best score, so that the precision is 1/2."""
    region = (200.0, 200.0, 400.0, 400.0)
    found = Boxes(["apple"] * 2, [region, BOX], [{"score": 0.9}, {"score": 0.5}])
    with_region = Boxes(["apple", label], [BOX, region], [{}, flags])
    result = CocoMetric(draws=0)([pair(with_region, found)], ONE)
    assert result.values["AP"] == pytest.approx(1.0, abs=1e-12)
    assert result.per_class["apple"]["truths"] == 1
    without = CocoMetric(draws=0)([pair(Boxes(["apple"], [BOX]), found)], ONE)
    assert without.values["AP"] == pytest.approx(0.5, abs=1e-12)


@pytest.mark.parametrize("given", [-1.0, float("nan"), float("inf"), "large", True, None])
def test_an_area_that_is_not_a_number_is_that_of_the_box(given: object) -> None:
    found = Boxes(["apple"], [BOX], [{"score": 0.5}])
    values = CocoMetric(draws=0)([pair(Boxes(["apple"], [BOX], [{"area": given}]), found)], ONE).values
    plain = CocoMetric(draws=0)([pair(Boxes(["apple"], [BOX]), found)], ONE).values
    assert values == pytest.approx(plain, nan_ok=True)


@pytest.mark.parametrize("flag", [1, True, "1", "true", 1.0])
def test_a_crowd_in_the_notation_of_any_format(flag: object) -> None:
    boxes = Boxes(["apple", "apple"], [BOX, (200.0, 200.0, 400.0, 400.0)], [{}, {"iscrowd": flag}])
    found = Boxes(["apple"], [BOX], [{"score": 0.5}])
    assert CocoMetric(draws=0)([pair(boxes, found)], ONE).values["AR100"] == 1.0


@pytest.mark.parametrize("flag", [0, False, "0", "false", None])
def test_other_values_are_not_a_crowd(flag: object) -> None:
    boxes = Boxes(["apple", "apple"], [BOX, (200.0, 200.0, 400.0, 400.0)], [{}, {"iscrowd": flag}])
    found = Boxes(["apple"], [BOX], [{"score": 0.5}])
    assert CocoMetric(draws=0)([pair(boxes, found)], ONE).values["AR100"] == 0.5


def test_difficult_boxes_count_with_a_note() -> None:
    boxes = Boxes(["apple", "apple"], [BOX, (200.0, 200.0, 400.0, 400.0)], [{}, {"difficult": 1}])
    result = CocoMetric(draws=0)([pair(boxes, Boxes(["apple"], [BOX], [{"score": 0.5}]))], ONE)
    assert result.values["AR100"] == 0.5
    assert result.notes == ["difficult boxes, which count like all others because COCO has no such flag: 1"]


def test_a_box_with_zero_area_counts_as_missed_with_a_note() -> None:
    flat = (50.0, 50.0, 50.0, 80.0)
    pairs = [
        pair(
            Boxes(["apple", "apple"], [BOX, flat]),
            Boxes(["apple", "apple"], [BOX, (40.0, 50.0, 60.0, 80.0)], [{"score": 0.9}, {"score": 0.8}]),
        )
    ]
    result = CocoMetric(draws=0)(pairs, ONE)
    assert_same(result, *by_pycocotools(pairs, ONE))
    assert result.values["AR100"] == 0.5
    assert result.notes == ["boxes with zero area, which cannot be detected and count as missed: 1"]


@pytest.mark.parametrize("found", [(50.0, 50.0, 50.0, 80.0), (50.0, 50.0, 50.0, 50.0), (50.0, 60.0, 50.0, 70.0)])
def test_a_detection_with_zero_area_matches_nothing(found: tuple[float, float, float, float]) -> None:
    """Not even the same line, whose IoU is 0/0."""
    boxes = Boxes(["apple"], [(50.0, 50.0, 50.0, 80.0)])
    pairs = [pair(boxes, Boxes(["apple"], [found], [{"score": 0.9}]))]
    result = CocoMetric(draws=0)(pairs, ONE)
    assert_same(result, *by_pycocotools(pairs, ONE))
    assert result.values["AP"] == 0.0


def test_an_empty_label_map_measures_nothing() -> None:
    result = CocoMetric(draws=0)([pair(Boxes(), Boxes())], LabelMap())
    assert all(math.isnan(value) for value in result.values.values())
    assert result.per_class == {}


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    CocoMetric(draws=0)(random_pairs(1, images=5), LabelMap.from_names(CLASSES))
    assert capfd.readouterr() == ("", "")
