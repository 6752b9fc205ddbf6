"""Checks of classes: missing, rare, misspelled, imbalanced, with different ids."""

from __future__ import annotations

from collections import Counter

import pytest

from boxwright import LabelMap
from boxwright.analysis.validation.classes import Part, class_problems
from boxwright.label_map import LabelMapItem


def part(name: str, split: str | None = None, **boxes: int) -> Part:
    return Part(name, split, 10, Counter(boxes))


def found(*parts: Part, few: int = 0, **label_maps: LabelMap) -> list[tuple[str, str, str]]:
    return [(p.check, p.file, p.problem) for p in class_problems(parts, label_maps, few)]


def spelled(*names: str) -> list[tuple[str, str]]:
    problems = class_problems([Part("a", None, 1, Counter(dict.fromkeys(names, 7)))], {}, 0)
    return [(problem.check, problem.problem) for problem in problems]


def test_nothing_to_say() -> None:
    assert found(part("train", fig=50, date=40), part("test", fig=9, date=12)) == []
    assert found() == []


def test_a_class_missing_from_one_part() -> None:
    assert found(part("train", fig=50, date=9), part("test", fig=9)) == [
        ("missing_class", "test", "the class 'date' has no boxes; the other parts have 9")
    ]
    splits = (part("all", "train", fig=50), part("all", "val", fig=9, date=3))
    assert found(*splits) == [("missing_class", "all [train]", "the class 'date' has no boxes; the other parts have 3")]
    # A part without boxes is not included: its images are listed individually.
    assert found(part("train", fig=5), part("test")) == []


def test_rare_classes_are_counted_over_all_parts() -> None:
    assert found(part("train", fig=6, date=5), part("test", fig=3, date=5), few=10) == [
        ("rare_class", "all parts together", "the class 'fig' has 9 boxes")
    ]
    assert found(part("train", fig=1), few=10) == [("rare_class", "train", "the class 'fig' has 1 box")]


@pytest.mark.parametrize(
    "names",
    [
        ("Fig", "fig"),
        ("fig", "figs"),
        ("traffic light", "traffic_light"),
        ("traffic light", "Traffic-Lights"),
        ("box", "boxes"),
        ("cherry", "cherries"),
        ("bench", "benches"),
        (" fig", "fig"),
        ("Straße", "STRASSE"),
    ],
)
def test_names_that_differ_in_spelling(names: tuple[str, str]) -> None:
    first, second = sorted(names)
    assert spelled(*names) == [("class_spelling", f"{first!r} (7 boxes) and {second!r} (7 boxes)")]


@pytest.mark.parametrize("names", [("hazelnut", "hazelnnut"), ("hazelnut", "hazlnut"), ("platelet", "platalet")])
def test_names_that_differ_in_a_letter(names: tuple[str, str]) -> None:
    first, second = sorted(names)
    assert spelled(*names) == [("class_typo", f"{first!r} (7 boxes) and {second!r} (7 boxes)")]


@pytest.mark.parametrize(
    "names",
    [
        ("cat", "bat"),  # short names are often near
        ("lane1", "lane2"),
        ("lane1", "lane"),
        ("glass", "grasses"),
        ("fig", "date"),
        ("bus", "bu"),
        ("+", "-"),
    ],
)
def test_names_that_are_different(names: tuple[str, str]) -> None:
    assert spelled(*names) == []


def test_imbalance() -> None:
    assert found(part("a", fig=200, date=10)) == [
        ("imbalance", "a", "'fig' has 200 boxes, 'date' 10: 20 times as many")
    ]
    assert found(part("a", fig=199, date=10)) == []


def test_label_maps_that_disagree() -> None:
    one, two = LabelMap.from_names(["date", "fig"]), LabelMap.from_names(["fig", "date"], sort=False)
    assert found(part("a", fig=5, date=5), part("b", fig=5, date=5), a=one, b=two) == [
        ("class_numbers", "b", "the class 'date' has the id 1 in a and 2 here"),
        ("class_numbers", "b", "the class 'fig' has the id 2 in a and 1 here"),
    ]
    # Unusual ids are not a problem if they are the same.
    gaps = LabelMap(items=(LabelMapItem(id=7, name="fig"), LabelMapItem(id=3, name="date")))
    assert found(part("a", fig=5, date=5), part("b", fig=5, date=5), a=gaps, b=gaps) == []


def test_label_maps_with_other_classes() -> None:
    one, two = LabelMap.from_names(["fig"]), LabelMap.from_names(["fig", "hazelnut"])
    problems = found(part("a", fig=5), part("b", fig=5), a=one, b=two)
    assert problems == [
        ("label_map_gap", "a", "the class 'hazelnut' of b is missing from its label map"),
        ("unused_class", "b", "the class 'hazelnut' has no boxes"),
    ]


def test_boxes_of_a_class_missing_from_the_label_map() -> None:
    assert found(part("a", fig=5, date=2), a=LabelMap.from_names(["fig"])) == [
        ("unknown_class", "a", "the class 'date' of 2 boxes")
    ]


def test_a_thousand_classes_take_no_time() -> None:
    names = [f"{first}{second}{third}aa" for first in "abcdefghij" for second in "klmnopqrst" for third in "uvwxyzabcd"]
    problems = list(class_problems([Part("a", None, 1, Counter(dict.fromkeys(names, 50)))], {}, 10))
    # Each name differs from 27 others in one of its letters.
    assert len(problems) == 1000 * 27 // 2
