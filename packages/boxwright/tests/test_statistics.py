"""Histograms of a dataset against numbers worked out in another way."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest

from boxwright import Boxes, ImageRef, Sample, boxes
from boxwright.analysis.statistics import Statistics
from boxwright.datasets import columns


def samples(number: int, seed: int = 0) -> list[Sample]:
    chance = random.Random(seed)
    made = []
    for i in range(number):
        width, height = chance.choice([(640, 480), (480, 640), (1000, 1000)])
        edges = []
        for _ in range(chance.randint(0, 9)):
            x, y = chance.uniform(0, width - 2), chance.uniform(0, height - 2)
            edges.append((x, y, chance.uniform(x, width), chance.uniform(y, height)))
        image = ImageRef(name=f"{i}.jpg", width=width, height=height)
        made.append(Sample(image=image, boxes=Boxes(["fig"] * len(edges), edges)))
    return made


def test_sizes_ratios_and_numbers(sample: Callable[..., Sample]) -> None:
    found = Statistics.of(
        [
            sample("a", ("fig", 0, 0, 16, 16), ("fig", 0, 0, 20, 80), ("date", 10, 10, 10, 40)),
            sample("b"),
            sample("c", ("fig", 0, 0, 100, 80)),
        ]
    )
    # Square roots of 256, 1600, 0 and 8000 square pixels.
    assert {each.label: each.count for each in found.sizes.bins if each.count} == {
        "0–1": 1,
        "16–24": 1,
        "32–48": 1,
        "64–96": 1,
    }
    # A box without area has no ratio: 1, 1:4 and 5:4 are left.
    assert {each.label: each.count for each in found.ratios.bins if each.count} == {
        "1:4–1:3": 1,
        "4:5–5:4": 1,
        "5:4–3:2": 1,
    }
    assert {each.label: each.count for each in found.boxes_per_image.bins if each.count} == {"0": 1, "1": 1, "3": 1}
    assert {each.label: each.count for each in found.relative_sizes.bins if each.count} == {
        "0–1 %": 1,
        "15–20 %": 1,  # the root of 256 / 8000: 0.179
        "30–50 %": 1,  # of 1600 / 8000: 0.447
        "100 or more %": 1,
    }


def test_small_medium_and_large_as_pycocotools_sorts_them() -> None:
    params = pytest.importorskip("pycocotools.cocoeval").Params(iouType="bbox")
    highest = {name: high for name, (_, high) in zip(params.areaRngLbl, params.areaRng, strict=True) if name != "all"}
    made = samples(60, seed=3)
    expected: Counter[str] = Counter()
    for each in made:
        for area in boxes.area(each.boxes.xyxy):
            name = next(n for n, high in highest.items() if area <= high)
            expected[name] += 1
    assert Statistics.of(made).by_coco == dict(expected)


def test_centres_by_hand(sample: Callable[..., Sample]) -> None:
    # Images of 100x80 in 16 cells each way: 6.25 by 5 pixels.
    found = Statistics.of([sample("a", ("fig", 0, 0, 4, 4), ("fig", 96, 76, 100, 80), ("fig", 50, 0, 60, 10))])
    assert np.argwhere(found.positions).tolist() == [[0, 0], [1, 8], [15, 15]]
    outside = Statistics.of([sample("a", ("fig", 200, 200, 240, 240), ("fig", -90, -90, -80, -80))])
    assert np.argwhere(outside.positions).tolist() == [[0, 0], [15, 15]]


def test_batches_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    made = samples(100)
    whole = Statistics.of(made).to_dict()
    monkeypatch.setattr(columns, "_BOXES", 20)
    assert Statistics.of(made).to_dict() == whole
    assert sum(sum(row) for row in whole["centres"]) == sum(len(each.boxes) for each in made)


def test_typical_sizes_are_those_of_numpy() -> None:
    made = samples(400)
    lengths = np.concatenate([np.sqrt(boxes.area(each.boxes.xyxy)) for each in made])
    typical = Statistics.of(made).typical_sizes
    assert list(typical) == ["5%", "25%", "50%", "75%", "95%"]
    exact = np.quantile(lengths, [0.05, 0.25, 0.5, 0.75, 0.95]).tolist()
    assert list(typical.values()) == pytest.approx(exact, rel=0.04)


@pytest.mark.parametrize("smallest", [8, 32])
def test_anchors_as_intersection_over_union_says(smallest: int) -> None:
    made = samples(300, seed=5)
    sides = np.concatenate([each.boxes.xyxy[:, 2:] - each.boxes.xyxy[:, :2] for each in made])
    anchors = [
        (size * ratio**0.5, size / ratio**0.5)
        for octave in range(5)
        for size in (smallest * 2 ** (octave + third / 3) for third in range(3))
        for ratio in (0.5, 1.0, 2.0)
    ]
    centred = [np.concatenate([-np.asarray(s) / 2, np.asarray(s) / 2], axis=1) for s in (sides, np.array(anchors))]
    exact = float((boxes.iou(*centred).max(axis=1) >= 0.5).mean())
    assert Statistics.of(made).fitted_by(smallest) == pytest.approx(exact, abs=0.02)


def test_the_usual_anchors_stay_where_others_fit_no_better(sample: Callable[..., Sample]) -> None:
    assert Statistics.of([sample("a", ("fig", 0, 0, 60, 60))]).best_anchors == (32, 1.0)
    small = Statistics.of([sample("a", *[("fig", 0, 0, 9, 9)] * 9, ("fig", 0, 0, 60, 60))])
    assert small.best_anchors == (8, 1.0)
    assert small.fitted_by(32) == pytest.approx(0.1)


def test_nothing_counted() -> None:
    found = Statistics.of([]).to_dict()
    assert found["box_sizes"] == found["boxes_per_picture"] == []
    assert found["coco_sizes"] == {"small": 0, "medium": 0, "large": 0}
    assert found["anchors"] == {"usual": {"smallest": 32, "fitted": 0.0}, "best": {"smallest": 32, "fitted": 0.0}}


def test_watching_hands_every_sample_on() -> None:
    made = samples(30)
    assert list(Statistics().watch(made)) == made
