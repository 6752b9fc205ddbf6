"""The values of options of ``filter``: lists with +, patterns, ranges, attributes."""

from __future__ import annotations

import math
from typing import Any

import pytest

from boxwright import UsageError
from boxwright_transforms.conditions import Patterns, Range, attribute_test, parse_list


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("apple", ("apple",)),
        ("apple+fig", ("apple", "fig")),
        (" apple + fig tree ", ("apple", "fig tree")),
        ("C++", ("C+",)),
        ("C++++", ("C++",)),
        ("a++b+c", ("a+b", "c")),
        ("вишня+a<b & c", ("вишня", "a<b & c")),
    ],
)
def test_lists(text: str, items: tuple[str, ...]) -> None:
    assert parse_list(text, "filter: classes") == items


@pytest.mark.parametrize("text", ["", " ", "+", "apple+", "+apple", "apple+ +fig"])
def test_lists_with_an_empty_item_are_errors(text: str) -> None:
    with pytest.raises(UsageError, match=r"filter: classes=.* empty item") as caught:
        parse_list(text, "filter: classes")
    assert caught.value.remedy


def test_patterns_match_whole_names_and_case() -> None:
    patterns = Patterns.parse("apple+f*+box[1]", "filter: classes")
    assert [
        name for name in ("apple", "Apple", "apples", "fig", "f", "box[1]", "box1", "box2") if patterns.match(name)
    ] == [*("apple", "fig", "f", "box[1]", "box1")]
    assert patterns.without_match(frozenset({"apple", "box1"})) == ["f*"]


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("8..20", 8, 20),
        ("8..", 8, math.inf),
        ("..20", -math.inf, 20),
        ("8", 8, 8),
        ("0.5..0.75", 0.5, 0.75),
        (".5...75", 0.5, 0.75),
        ("-3..-1", -3, -1),
        ("1e3..", 1000, math.inf),
        (" 8 .. 20 ", 8, 20),
    ],
)
def test_ranges_include_both_ends(text: str, low: float, high: float) -> None:
    found = Range.parse(text, "filter: side")
    assert (found.low, found.high) == (low, high)
    assert found.match(low)
    assert found.match(high)
    assert low == -math.inf or not found.match(math.nextafter(low, -math.inf))
    assert high == math.inf or not found.match(math.nextafter(high, math.inf))


@pytest.mark.parametrize("text", ["", "..", "wide", "8-20", "8..x", "nan", "nan..", "..nan", "inf", "20..8", "1..2..3"])
def test_invalid_ranges(text: str) -> None:
    with pytest.raises(UsageError, match="filter: side") as caught:
        Range.parse(text, "filter: side")
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("text", "yes", "no"),
    [
        ("0", [0, 0.0, False, None], [1, "", "0.5", "zero", 0.5]),
        ("1", [1, 1.0, True], [0, None, 2, "1.0"]),
        ("true", [True, 1, "true"], [False, None, 2, 1.5, "True"]),
        ("false", [False, None, 0], [True, "no"]),
        ("0.5..", [0.5, 1, 7.25], [0.49, None, "0.7"]),
        ("..0.5", [0.5, 0, None, -1], [0.51]),
        ("Left+Right", ["Left", "Right"], ["left", "Frontal", None, 0]),
        ("Left+2..3", ["Left", 2, 2.5], ["2..3", 1]),
        ("12", ["12", 12], [[12], {"12": 12}, (12,)]),
    ],
)
def test_attributes(text: str, yes: list[Any], no: list[Any]) -> None:
    test = attribute_test(text, "filter: box.x")
    assert [value for value in yes if not test(value)] == []
    assert [value for value in no if test(value)] == []
