"""Which pictures a report shows: those with the most mistakes."""

from __future__ import annotations

import pytest

from boxwright import Boxes, Detections, ImageRef, Sample
from boxwright.analysis.evaluation_report import Worst, mistakes, number

A = (0.0, 0.0, 10.0, 10.0)
NEAR_A = (0.0, 0.0, 10.0, 9.0)  # IoU with A: 0.9
HALF_A = (0.0, 0.0, 10.0, 5.0)  # 0.5 exactly
LESS_A = (0.0, 0.0, 10.0, 4.9)  # 0.49
FAR = (50.0, 50.0, 60.0, 60.0)


def _pair(truths, found, name="a.jpg"):
    image = ImageRef(name=name, width=100, height=100)
    sample = Sample(image=image, boxes=Boxes([label for label, _ in truths], [edges for _, edges in truths]))
    boxes = Boxes([f[0] for f in found], [f[1] for f in found], [{"score": f[2]} for f in found])
    return sample, Detections(image=image, boxes=boxes)


@pytest.mark.parametrize(
    ("truths", "found", "missed", "wrong"),
    [
        ([], [], 0, 0),
        ([("mug", A)], [], 1, 0),
        ([], [("mug", A, 0.9)], 0, 1),
        ([("mug", A)], [("mug", NEAR_A, 0.9)], 0, 0),
        ([("mug", A)], [("mug", HALF_A, 0.9)], 0, 0),
        ([("mug", A)], [("mug", LESS_A, 0.9)], 1, 1),
        ([("mug", A)], [("key", A, 0.9)], 1, 1),
        # One box is found once: a second detection of it is wrong.
        ([("mug", A)], [("mug", A, 0.9), ("mug", NEAR_A, 0.8)], 0, 1),
        ([("mug", A), ("mug", FAR)], [("mug", A, 0.9)], 1, 0),
    ],
)
def test_mistakes(truths, found, missed, wrong):
    assert mistakes(*_pair(truths, found)) == (missed, wrong)


def test_the_worst_are_kept_the_earlier_of_equals_first():
    worst = Worst(3)
    for name, errors in (("one", 1), ("none", 0), ("three", 3), ("two", 2), ("one more", 1)):
        worst.add(*_pair([("mug", FAR)] * errors, [], name))
    assert [sample.image.name for sample, _, _ in worst] == ["three", "two", "one"]


def test_unsure_detections_do_not_count():
    worst = Worst(1)
    worst.add(*_pair([("mug", A)], [("mug", A, 0.9), ("mug", FAR, 0.29)]))
    ((_, found, caption),) = worst
    assert len(found.boxes) == 1
    assert caption == "a.jpg · 1 to find, 0 missed, 0 wrong"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.5234, "0.523"), (1.0, "1.000"), (0.0, "0.000"), (float("nan"), "-"), (1234.0, "1,234")],
)
def test_number(value, text):
    assert number(value) == text
