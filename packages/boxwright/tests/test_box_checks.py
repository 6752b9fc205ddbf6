"""The problems of each kind of bad box."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, strategies as st

from boxwright import Sample, boxes
from boxwright.analysis.validation.boxes import SAME, box_problems, same_positions


@pytest.mark.parametrize(
    ("box", "check", "text"),
    [
        ((10, 10, 20, 20), None, ""),
        ((0, 0, 50, 80), None, ""),  # up to the border is inside
        ((10, 10, 10, 20), "box_without_area", "0 x 10 pixels at 10, 10"),
        ((10, 10, 20, 10), "box_without_area", "10 x 0 pixels at 10, 10"),
        ((120, 10, 130, 20), "box_outside", "120, 10, 130, 20 in an image of 100x80"),
        ((100, 10, 130, 20), "box_outside", "100, 10, 130, 20 in an image of 100x80"),
        ((-30, 10, 0, 20), "box_outside", "-30, 10, 0, 20 in an image of 100x80"),
        ((10, 80, 20, 90), "box_outside", "10, 80, 20, 90 in an image of 100x80"),
        ((10, -5, 20, -1), "box_outside", "10, -5, 20, -1 in an image of 100x80"),
        ((90, 10, 103.5, 20), "box_over_border", "3.5 px beyond the right"),
        ((-2, -1, 20, 81), "box_over_border", "2 px beyond the left, 1 px beyond the top, 1 px beyond the bottom"),
        ((10, 10, 12, 40), "tiny_box", "2 x 30 pixels"),
        ((10, 10, 13, 40), None, ""),
        ((0, 0, 100, 80), "whole_picture_box", "100 x 80 pixels"),
        ((1, 1, 100, 80), "whole_picture_box", "99 x 79 pixels"),
        ((0, 0, 98, 80), None, ""),
        ((0, 0, 2, 2), "tiny_box", "2 x 2 pixels"),
    ],
)
def test_one_box(box: tuple[float, ...], check: str | None, text: str, sample: Callable[..., Sample]) -> None:
    found = list(box_problems(sample("a.jpg", ("date", 30, 30, 60, 60), ("fig", *box)), tiny=3))
    assert [(each.check, each.problem) for each in found] == ([(check, text)] if check else [])
    for each in found:
        assert (each.file, each.place) == ("source of a.jpg", "box 2 (fig)")
        assert each.remedy


def test_more_boxes_than_most_detectors_find(sample: Callable[..., Sample]) -> None:
    """RetinaNet, SSD and Faster R-CNN keep 100 detections per image, and COCO's metric counts 100."""
    rows = [("fig", x * 6, y * 6, x * 6 + 4, y * 6 + 4) for x in range(10) for y in range(11)]
    assert list(box_problems(sample("a", *rows[:100]), tiny=3)) == []
    (found,) = box_problems(sample("a", *rows[:101]), tiny=3)
    assert (found.check, found.problem) == ("crowded_picture", "101 boxes")


def test_what_is_tiny_is_a_choice(sample: Callable[..., Sample]) -> None:
    boxes_ = sample("a", ("fig", 10, 10, 15, 40), ("date", 50, 50, 50.5, 60))
    assert [p.place for p in box_problems(boxes_, tiny=6)] == ["box 1 (fig)", "box 2 (date)"]
    assert list(box_problems(boxes_, tiny=0)) == []


@pytest.mark.parametrize(
    ("second", "check"),
    [
        (("fig", 10, 10, 30, 30), "duplicate_box"),
        (("fig", 10, 10, 30, 30.1), "duplicate_box"),  # IoU 400 / 402
        (("fig", 10, 10, 30, 30.3), None),  # 400 / 406
        (("date", 10, 10, 30, 30), "contradicting_boxes"),
        (("date", 10, 10, 30, 34), None),
    ],
)
def test_two_boxes_at_one_place(second: tuple[object, ...], check: str | None, sample: Callable[..., Sample]) -> None:
    found = list(box_problems(sample("a", ("fig", 10, 10, 30, 30), second), tiny=3))
    assert [each.check for each in found] == ([check] if check else [])
    if check:
        assert (found[0].place, found[0].problem) == (f"box 2 ({second[0]})", "at the position of box 1 (fig)")


def test_boxes_without_area_are_not_duplicates_as_well(sample: Callable[..., Sample]) -> None:
    found = list(box_problems(sample("a", *[("fig", 5, 5, 5, 5)] * 3), tiny=3))
    assert {each.check for each in found} == {"box_without_area"}


_EDGE = st.integers(0, 400).map(lambda n: n / 4)
_BOX = st.tuples(_EDGE, _EDGE, st.sampled_from([1.0, 40.0, 100.0]), st.sampled_from([1.0, 40.0, 100.0]))
_NUDGE = st.tuples(*[st.sampled_from([0.0, 0.05, -0.05, 0.3, 1.0])] * 4)


@given(st.lists(st.tuples(_BOX, _NUDGE), max_size=6))
def test_same_positions_are_those_of_all_pairs(made: list[tuple[tuple[float, ...], tuple[float, ...]]]) -> None:
    edges: list[Any] = []
    for (x, y, w, h), nudge in made:
        plain = (x, y, x + w, y + h)
        edges += [plain, tuple(edge + by for edge, by in zip(plain, nudge, strict=True))]
    edges = [e for e in edges if e[0] <= e[2] and e[1] <= e[3]]
    overlap = boxes.iou(edges, edges)
    expected = {(i, j) for i in range(len(edges)) for j in range(i + 1, len(edges)) if overlap[i][j] > SAME}
    assert set(same_positions(tuple(edges))) == expected
