"""What the options of ``filter`` ask of pictures and boxes."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any, Final

from boxwright import Edges, ImageRef, Sample, UsageError
from boxwright_transforms.values import Patterns, Range, attribute_test

PictureTest = Callable[[Sample], bool]
BoxTest = Callable[[str, Edges, Mapping[str, Any], ImageRef], bool]
"""A test of a box by its label, edges, attributes and picture."""

BOX, IMAGE = "box.", "image."

BOX_ATTRIBUTES: Final = ("difficult", "truncated", "occluded", "iscrowd", "pose", "score")
"""Attributes of boxes that are known without ``box.`` before them."""

_BOX_MEASURES: Final[Mapping[str, Callable[[Edges, ImageRef], float]]] = {
    "side": lambda edges, image: min(edges[2] - edges[0], edges[3] - edges[1]),
    "width": lambda edges, image: edges[2] - edges[0],
    "height": lambda edges, image: edges[3] - edges[1],
    "area": lambda edges, image: _area(edges),
    "share": lambda edges, image: _area(edges) / (image.width * image.height),
    "aspect": lambda edges, image: _ratio(edges[2] - edges[0], edges[3] - edges[1]),
}

_PICTURE_MEASURES: Final[Mapping[str, Callable[[ImageRef], float]]] = {
    "picture_width": lambda image: image.width,
    "picture_height": lambda image: image.height,
    "picture_aspect": lambda image: image.width / image.height,
}


OPTIONS: Final = (
    *("classes", "not_classes", *_BOX_MEASURES),
    *("splits", "names", "not_names", "pictures_with", "pictures_without", *_PICTURE_MEASURES),
    "boxes",
)
"""The options but for ``emptied``: what is asked of boxes, of pictures, and of what is left of a picture."""


def picture_tests(options: Mapping[str, str]) -> dict[str, PictureTest]:
    """A test for each option that asks something of a picture as it comes, by ``option=value``.

    Raises:
        UsageError: A value is none that the option takes.
    """
    tests: dict[str, PictureTest] = {}
    for name, value in options.items():
        test = _picture_test(name, value)
        if test is not None:
            tests[f"{name}={value}"] = test
    return tests


def _picture_test(name: str, value: str) -> PictureTest | None:
    where = f"filter: {name}"
    if name == "splits":
        patterns = Patterns.parse(value, where)
        return lambda sample: sample.split is not None and patterns.match(sample.split)
    if name in ("names", "not_names"):
        patterns, wanted = Patterns.parse(value, where), name == "names"
        return lambda sample: patterns.match(sample.image.name) is wanted
    if name in ("pictures_with", "pictures_without"):
        patterns, wanted = Patterns.parse(value, where), name == "pictures_with"
        return lambda sample: any(map(patterns.match, set(sample.boxes.labels))) is wanted
    if name in _PICTURE_MEASURES:
        allowed, measure = Range.parse(value, where), _PICTURE_MEASURES[name]
        return lambda sample: allowed.match(measure(sample.image))
    if name.startswith(IMAGE):
        attribute, test = name.removeprefix(IMAGE), attribute_test(value, where)
        return lambda sample: test(sample.attributes.get(attribute))
    return None


def box_tests(options: Mapping[str, str]) -> dict[str, BoxTest]:
    """A test for each option that asks something of a box, by ``option=value``.

    Raises:
        UsageError: A value is none that the option takes.
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
        patterns, wanted = Patterns.parse(value, where), name == "classes"
        return lambda label, edges, attributes, image: patterns.match(label) is wanted
    if name in _BOX_MEASURES:
        allowed, measure = Range.parse(value, where), _BOX_MEASURES[name]
        return lambda label, edges, attributes, image: allowed.match(measure(edges, image))
    if name.startswith(BOX) or name in BOX_ATTRIBUTES:
        attribute, test = name.removeprefix(BOX), attribute_test(value, where)
        return lambda label, edges, attributes, image: test(attributes.get(attribute))
    return None


def check_names(options: Mapping[str, str]) -> None:
    """Refuses what is no option and no attribute.

    Raises:
        UsageError: A name is no option, neither ``box.NAME`` nor ``image.NAME``, and no known attribute of boxes.
    """
    for name in options:
        attribute = name.startswith((BOX, IMAGE)) and name not in (BOX, IMAGE)
        if not attribute and name not in BOX_ATTRIBUTES and name not in OPTIONS:
            offered = (*OPTIONS, "emptied")
            near = difflib.get_close_matches(name, (*offered, *BOX_ATTRIBUTES), n=1)
            guess = f"did you mean {near[0]!r}? " if near else ""
            raise UsageError(
                f"filter has no option {name!r}",
                f"{guess}it takes: {', '.join(offered)}; attributes are box.NAME and image.NAME",
            )


def _area(edges: Edges) -> float:
    return (edges[2] - edges[0]) * (edges[3] - edges[1])


def _ratio(width: float, height: float) -> float:
    """Width by height; a box without height is wider than all others, one without any size is square."""
    if height:
        return width / height
    return float("inf") if width else 1.0
