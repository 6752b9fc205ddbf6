"""The images in a report: those with the most mistakes."""

from __future__ import annotations

import pytest

from boxwright import Boxes, Detections, ImageRef, Sample
from boxwright.analysis.evaluation_report import Result, number
from boxwright.analysis.top import Top

A = (0.0, 0.0, 10.0, 10.0)
NEAR_A = (0.0, 0.0, 10.0, 9.0)  # IoU with A: 0.9
HALF_A = (0.0, 0.0, 10.0, 5.0)  # 0.5 exactly
LESS_A = (0.0, 0.0, 10.0, 4.9)  # 0.49
FAR = (50.0, 50.0, 60.0, 60.0)


def _pair(annotated, found, name="a.jpg"):
    image = ImageRef(name=name, width=100, height=100)
    sample = Sample(image=image, boxes=Boxes([label for label, _ in annotated], [edges for _, edges in annotated]))
    boxes = Boxes([f[0] for f in found], [f[1] for f in found], [{"score": f[2]} for f in found])
    return sample, Detections(image=image, boxes=boxes)


@pytest.mark.parametrize(
    ("annotated", "found", "missed", "wrong"),
    [
        ([], [], 0, 0),
        ([("mug", A)], [], 1, 0),
        ([], [("mug", A, 0.9)], 0, 1),
        ([("mug", A)], [("mug", NEAR_A, 0.9)], 0, 0),
        ([("mug", A)], [("mug", HALF_A, 0.9)], 0, 0),
        ([("mug", A)], [("mug", LESS_A, 0.9)], 1, 1),
        ([("mug", A)], [("key", A, 0.9)], 1, 1),
        # One box is found once: its second detection is wrong.
        ([("mug", A)], [("mug", A, 0.9), ("mug", NEAR_A, 0.8)], 0, 1),
        ([("mug", A), ("mug", FAR)], [("mug", A, 0.9)], 1, 0),
    ],
)
def test_mistakes(annotated, found, missed, wrong):
    result = Result.of(*_pair(annotated, found))
    assert (result.missed, result.wrong) == (missed, wrong)


def test_the_highest_counts_are_kept_the_earlier_of_equal_ones_first():
    top: Top[str] = Top(3)
    for name, count in (("one", 1), ("none", 0), ("three", 3), ("two", 2), ("one more", 1)):
        top.add(count, name)
    assert list(top) == ["three", "two", "one"]


def test_detections_with_low_scores_do_not_count():
    result = Result.of(*_pair([("mug", A)], [("mug", A, 0.9), ("mug", FAR, 0.29)]))
    assert len(result.detections.boxes) == 1
    assert result.caption == "a.jpg · 1 to find, 0 missed, 0 wrong"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.5234, "0.523"), (1.0, "1.000"), (0.0, "0.000"), (float("nan"), "-"), (1234.0, "1,234")],
)
def test_number(value, text):
    assert number(value) == text
