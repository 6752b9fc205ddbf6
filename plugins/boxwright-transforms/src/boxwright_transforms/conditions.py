"""Conditions of ``filter``: tests of images and boxes, made from the texts of options."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

from boxwright import Coordinates, ImageRef, Sample, UsageError

ImageTest = Callable[[Sample], bool]
BoxTest = Callable[[str, Coordinates, Mapping[str, Any], ImageRef], bool]
"""A test of a box by its label, coordinates, attributes and image."""

BOX, IMAGE = "box.", "image."

BOX_ATTRIBUTES: Final = ("difficult", "truncated", "occluded", "iscrowd", "pose", "score")
"""Attributes of boxes that need no ``box.`` before them."""

_BOX_MEASURES: Final[Mapping[str, Callable[[Coordinates, ImageRef], float]]] = {
    "side": lambda box, image: min(box[2] - box[0], box[3] - box[1]),
    "width": lambda box, image: box[2] - box[0],
    "height": lambda box, image: box[3] - box[1],
    "area": lambda box, image: _area(box),
    "share": lambda box, image: _area(box) / (image.width * image.height),
    "aspect": lambda box, image: _aspect_ratio(box[2] - box[0], box[3] - box[1]),
}

_IMAGE_MEASURES: Final[Mapping[str, Callable[[ImageRef], float]]] = {
    "picture_width": lambda image: image.width,
    "picture_height": lambda image: image.height,
    "picture_aspect": lambda image: image.width / image.height,
}

OPTIONS: Final = (
    *("classes", "not_classes", *_BOX_MEASURES),
    *("splits", "names", "not_names", "pictures_with", "pictures_without", *_IMAGE_MEASURES),
    "boxes",
)
"""The options except ``emptied``: conditions of boxes, of images, and of the boxes that remain in an image."""


def check_names(options: Mapping[str, str]) -> None:
    """Checks that each name is an option or an attribute.

    Raises:
        UsageError: A name is neither an option, ``box.NAME``, ``image.NAME`` nor one of :data:`BOX_ATTRIBUTES`.
    """
    for name in options:
        attribute = name.startswith((BOX, IMAGE)) and name not in (BOX, IMAGE)
        if not attribute and name not in BOX_ATTRIBUTES and name not in OPTIONS:
            known = (*OPTIONS, "emptied")
            near = difflib.get_close_matches(name, (*known, *BOX_ATTRIBUTES), n=1)
            guess = f"did you mean {near[0]!r}? " if near else ""
            raise UsageError(
                f"filter has no option {name!r}",
                f"{guess}the options are {', '.join(known)}; attributes are box.NAME and image.NAME",
            )


def image_tests(options: Mapping[str, str]) -> dict[str, ImageTest]:
    """Returns a test for each option that is a condition of an image, by ``option=value``.

    Raises:
        UsageError: The value of an option is invalid.
    """
    tests: dict[str, ImageTest] = {}
    for name, value in options.items():
        test = _image_test(name, value)
        if test is not None:
            tests[f"{name}={value}"] = test
    return tests


def _image_test(name: str, value: str) -> ImageTest | None:
    where = f"filter: {name}"
    if name == "splits":
        patterns = Patterns.parse(value, where)
        return lambda sample: sample.split is not None and patterns.match(sample.split)
    if name in ("names", "not_names"):
        patterns, expected = Patterns.parse(value, where), name == "names"
        return lambda sample: patterns.match(sample.image.name) is expected
    if name in ("pictures_with", "pictures_without"):
        patterns, expected = Patterns.parse(value, where), name == "pictures_with"
        return lambda sample: any(map(patterns.match, set(sample.boxes.labels))) is expected
    if name in _IMAGE_MEASURES:
        allowed, measure = Range.parse(value, where), _IMAGE_MEASURES[name]
        return lambda sample: allowed.match(measure(sample.image))
    if name.startswith(IMAGE):
        attribute, test = name.removeprefix(IMAGE), attribute_test(value, where)
        return lambda sample: test(sample.attributes.get(attribute))
    return None


def box_tests(options: Mapping[str, str]) -> dict[str, BoxTest]:
    """Returns a test for each option that is a condition of a box, by ``option=value``.

    Raises:
        UsageError: The value of an option is invalid.
    """
    tests: dict[str, BoxTest] = {}
    for name, value in options.items():
        test = _box_test(name, value)
        if test is not None:
            tests[f"{name}={value}"] = test
    return tests


def _box_test(name: str, value: str) -> BoxTest | None:
    where = f"filter: {name}"
    if name in ("classes", "not_classes"):
        patterns, expected = Patterns.parse(value, where), name == "classes"
        return lambda label, box, attributes, image: patterns.match(label) is expected
    if name in _BOX_MEASURES:
        allowed, measure = Range.parse(value, where), _BOX_MEASURES[name]
        return lambda label, box, attributes, image: allowed.match(measure(box, image))
    if name.startswith(BOX) or name in BOX_ATTRIBUTES:
        attribute, test = name.removeprefix(BOX), attribute_test(value, where)
        return lambda label, box, attributes, image: test(attributes.get(attribute))
    return None


def _area(box: Coordinates) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _aspect_ratio(width: float, height: float) -> float:
    """Returns width by height: infinity for a box of height 0, 1 for a point."""
    if height:
        return width / height
    return math.inf if width else 1.0


# The values of options ---------------------------------------------------------------------------------------------

_SINGLE_PLUS = re.compile(r"(?<!\+)\+(?!\+)")
_BOOLEANS = ("false", "true")


def parse_list(text: str, where: str) -> tuple[str, ...]:
    """Returns the items of ``apple+fig``; ``++`` is a plus sign in an item, because commas separate options.

    Args:
        text: The value, as written by the user.
        where: The step and option, for messages: ``"filter: classes"``.

    Raises:
        UsageError: An item is empty.
    """
    items = tuple(item.strip().replace("++", "+") for item in _SINGLE_PLUS.split(text))
    if not all(items):
        raise UsageError(f"{where}={text!r} has an empty item", "write names with + between them: apple+fig")
    return items


@dataclass(frozen=True)
class Patterns:
    """Names, which may contain ``*``, ``?`` and ``[...]`` as in file patterns; they are case-sensitive."""

    items: tuple[str, ...]

    @classmethod
    def parse(cls, text: str, where: str) -> Patterns:
        """Parses ``apple+f*``; see :func:`parse_list`."""
        return cls(parse_list(text, where))

    def match(self, name: str) -> bool:
        """Returns whether a name equals an item or matches it as a pattern."""
        return any(item == name or fnmatchcase(name, item) for item in self.items)

    def without_match(self, names: frozenset[str]) -> list[str]:
        """Returns the items that no name matches, which are probably mistyped."""
        return [item for item in self.items if item not in names and not any(fnmatchcase(n, item) for n in names)]


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``, both included."""

    low: float
    high: float

    @classmethod
    def parse(cls, text: str, where: str) -> Range:
        """Parses ``8..20``, ``8..``, ``..20`` or ``8``.

        Raises:
            UsageError: The text is not a range, or its first number is greater than its second.
        """
        first, dots, second = text.partition("..")
        try:
            low = float(first) if first.strip() or not dots else -math.inf
            high = (float(second) if second.strip() else math.inf) if dots else low
        except ValueError:
            low = high = math.nan
        if math.isnan(low) or math.isnan(high) or text.strip() == ".." or (not dots and math.isinf(low)):
            raise UsageError(
                f"{where}={text!r} is not a range of numbers", "write 8..20, 8.. for at least 8, ..20 for at most 20"
            )
        if low > high:
            raise UsageError(f"{where}={text!r} is empty", f"write the smaller number first: {second}..{first}")
        return cls(low, high)

    def match(self, number: float) -> bool:
        """Returns whether a number is in the range."""
        return self.low <= number <= self.high


def attribute_test(text: str, where: str) -> Callable[[Any], bool]:
    """Returns a test of an attribute's value, from ``0``, ``Left+Right`` or ``0.5..``.

    Formats omit attributes with their default value, so a missing attribute (``None``) counts as 0 and as false.

    Raises:
        UsageError: An item is empty or an invalid range.
    """
    items = parse_list(text, where)
    ranges = [Range.parse(item, where) for item in items if ".." in item]
    numbers = {number for item in items if (number := _number(item)) is not None}
    words = frozenset(item for item in items if ".." not in item)

    def test(value: Any) -> bool:
        if value is None:
            value = 0
        if isinstance(value, int | float):
            if value in numbers or any(each.match(value) for each in ranges):
                return True
            return isinstance(value, bool | int) and value in (0, 1) and _BOOLEANS[int(value)] in words
        return isinstance(value, str) and value in words

    return test


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
