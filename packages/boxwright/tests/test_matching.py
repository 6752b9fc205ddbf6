"""Matching of boxes."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, strategies as st

from boxwright import boxes, matching
from boxwright.matching import Matching, match_boxes

A = (10.0, 10.0, 50.0, 50.0)
NEAR_A = (12.0, 10.0, 52.0, 50.0)  # IoU 38 / 42
HALF_A = (10.0, 10.0, 50.0, 30.0)  # 0.5 exactly
FAR = (200.0, 200.0, 240.0, 240.0)
DOT = (100.0, 100.0, 101.0, 101.0)


Side = Sequence[tuple[str, tuple[float, ...]]]


def match(first: Side, second: Side, **options: float) -> Matching:
    sides = [([label for label, _ in side], [coordinates for _, coordinates in side]) for side in (first, second)]
    return match_boxes(*sides[0], *sides[1], **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("first", "second", "pairs", "removed", "added"),
    [
        ([], [], [], [], []),
        ([("fig", A)], [], [], [0], []),
        ([], [("fig", A)], [], [], [0]),
        ([("fig", A)], [("fig", NEAR_A)], [(0, 0)], [], []),
        ([("fig", A)], [("fig", HALF_A)], [(0, 0)], [], []),
        ([("fig", A)], [("fig", FAR)], [], [0], [0]),
        ([("fig", A)], [("date", A)], [(0, 0)], [], []),
        # The order does not matter, and equal boxes are matched first, even if another would overlap as well.
        ([("fig", A), ("fig", FAR)], [("fig", FAR), ("fig", A)], [(0, 1), (1, 0)], [], []),
        ([("fig", NEAR_A), ("fig", A)], [("fig", A)], [(1, 0)], [0], []),
        # The same class is preferred to the better place.
        ([("fig", A)], [("date", A), ("fig", NEAR_A)], [(0, 1)], [], [0]),
        ([("fig", A), ("date", A)], [("date", NEAR_A), ("fig", NEAR_A)], [(0, 1), (1, 0)], [], []),
        # Duplicate boxes are two boxes.
        ([("fig", A), ("fig", A)], [("fig", A)], [(0, 0)], [1], []),
        ([("fig", A), ("fig", A)], [("fig", A), ("fig", A)], [(0, 0), (1, 1)], [], []),
        # A dot that moved by two pixels does not overlap itself; by three it is another.
        ([("fig", DOT)], [("fig", (102.0, 100.0, 103.0, 101.0))], [(0, 0)], [], []),
        ([("fig", DOT)], [("fig", (103.0, 100.0, 104.0, 101.0))], [], [0], [0]),
        # Without area there is no overlap at all.
        ([("fig", (5.0, 5.0, 5.0, 9.0))], [("fig", (5.0, 5.0, 5.0, 9.0))], [(0, 0)], [], []),
        ([("fig", (5.0, 5.0, 5.0, 9.0))], [("fig", (6.0, 6.0, 6.0, 9.0))], [(0, 0)], [], []),
    ],
)
def test_pairs(first: list, second: list, pairs: list, removed: list, added: list) -> None:  # type: ignore[type-arg]
    found = match(first, second)
    assert (found.pairs, found.removed, found.added) == (pairs, removed, added)


def test_the_least_overlap_and_what_is_near_are_choices() -> None:
    first, second = [("fig", A)], [("fig", NEAR_A)]
    assert match(first, second, least_iou=0.95, near=1.0).pairs == []
    assert match(first, second, least_iou=0.95, near=2.0).pairs == [(0, 0)]
    assert match(first, second, least_iou=0.90, near=0.0).pairs == [(0, 0)]


def test_the_best_pair_goes_first() -> None:
    # Either could match the box in the middle; the nearer one does, and the other gets the remaining box.
    middle = (14.0, 10.0, 54.0, 50.0)
    found = match([("fig", A), ("fig", NEAR_A)], [("fig", middle), ("fig", (4.0, 10.0, 44.0, 50.0))])
    assert found.pairs == [(0, 1), (1, 0)]


_NUMBER = st.integers(0, 30).map(float)
_BOX = st.tuples(_NUMBER, _NUMBER, _NUMBER, _NUMBER).map(lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3]))
_SIDE = st.lists(st.tuples(st.sampled_from(["fig", "date"]), _BOX), max_size=6)


@given(_SIDE, _SIDE)
def test_each_box_is_in_one_place_and_no_possible_match_remains(first: list, second: list) -> None:  # type: ignore[type-arg]
    found = match(first, second)
    assert sorted([*(i for i, _ in found.pairs), *found.removed]) == list(range(len(first)))
    assert sorted([*(j for _, j in found.pairs), *found.added]) == list(range(len(second)))
    for i in found.removed:
        for j in found.added:
            one, two = first[i][1], second[j][1]
            assert boxes.iou(one, two)[0, 0] < 0.5
            assert max(abs(a - b) for a, b in zip(one, two, strict=True)) > 2
    # An equal box is never passed over.
    left = [first[i] for i in found.removed]
    assert not set(left) & {second[j] for j in found.added}


@given(_SIDE)
def test_a_dataset_matches_itself(side: list) -> None:  # type: ignore[type-arg]
    found = match(side, side[::-1])
    assert all(side[i] == side[::-1][j] for i, j in found.pairs)
    assert len(found.pairs) == len(side)


def test_thousands_of_boxes_are_matched_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(1)
    first = [("fig", (x := chance.uniform(0, 900), y := chance.uniform(0, 900), x + 30, y + 30)) for _ in range(300)]
    second = [("fig", tuple(edge + chance.uniform(-3, 3) for edge in box)) for _, box in first]
    chance.shuffle(second)
    whole = match(first, second)
    monkeypatch.setattr(matching, "_PAIRS", 1000)
    assert match(first, second) == whole
    assert len(whole.pairs) > 280
