"""Parses the lines of a label file as boxes, and writes boxes as lines.

``class cx cy w h``: the center and the size, relative to the image's width and height
(https://docs.ultralytics.com/datasets/detect/); with a sixth column, the confidence of a detection; with six or more
numbers after the class, a polygon (https://docs.ultralytics.com/datasets/segment/); with eight, possibly the corners of
an oriented box (https://docs.ultralytics.com/datasets/obb/); with key points of a pose, if data.yaml declares them
(https://docs.ultralytics.com/datasets/pose/).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from boxwright import Boxes, Coordinates, DataError
from boxwright.datasets import Polygon, Rectangle, ShapeError, ShapeRule
from boxwright_yolo.description import Description, decoded

LARGEST: Final = 2.0
"""A larger number is taken for pixels, because no box extends so far beyond its image."""

NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", re.ASCII)
_ODD = re.compile(r"[^0-9eE+.\s-]", re.ASCII)
_CLASS = re.compile(r"\+?([0-9]{1,9})(?:\.0*)?(?:[eE][+-]?0+)?", re.ASCII)
_SKIP = "or leave the image out with --on-error skip"


class LabelReader:
    """Reads label files.

    Args:
        description: The classes, and the number of key points of a pose.
        decimals: The decimals of a pixel to which coordinates are rounded.
        oriented: Whether eight numbers are the corners of an oriented box instead of a polygon.
        shapes: What to do with polygons and oriented boxes.
    """

    def __init__(
        self, description: Description, decimals: int = 6, oriented: bool = False, shapes: ShapeRule | None = None
    ) -> None:
        self._shapes = shapes or ShapeRule()
        self._description = description
        self._labels = {str(number): name for number, name in description.names.items()}
        self._decimals = decimals
        self._oriented = oriented
        points, numbers = description.keypoints
        self._pose = 4 + points * numbers if points else 0

    def read(self, content: bytes, file: str, width: int, height: int) -> Boxes:
        """Returns the boxes of an image.

        Args:
            content: The label file.
            file: Its location, for messages.
            width: The image's width in pixels.
            height: The image's height in pixels.

        Raises:
            DataError: A line is not a box; names the line.
        """
        text = decoded(content, file)
        lines = text.split("\n")
        if _ODD.search(text):
            self._check_numbers(lines, file)
        labels: list[str] = []
        coordinates: list[Coordinates] = []
        attributes: list[Mapping[str, Any]] = []
        known, decimals = self._labels, self._decimals
        for number, line in enumerate(lines, start=1):
            fields = line.split()
            if not fields:
                continue
            try:
                label = known.get(fields[0]) or self._label(fields[0])
                values = [float(field) for field in fields[1:]]
                if len(values) != 4:
                    found = self._more(values, width, height)
                    if found is None:
                        continue
                    values, extra = found
                    attributes += [{}] * (len(labels) - len(attributes))
                    attributes.append(extra)
                cx, cy, w, h = values
                if not (abs(cx) <= LARGEST and abs(cy) <= LARGEST and 0 <= w <= LARGEST and 0 <= h <= LARGEST):
                    raise _out_of_range(values)
            except _LineError as error:
                raise DataError(file, error.problem, f"{error.remedy}, {_SKIP}", f"line {number}") from None
            except ValueError:
                raise self._not_a_number(fields, file, number) from None
            labels.append(label)
            coordinates.append(
                (
                    round((cx - w / 2) * width, decimals) + 0.0,  # turns -0.0 into 0.0
                    round((cy - h / 2) * height, decimals) + 0.0,
                    round((cx + w / 2) * width, decimals) + 0.0,
                    round((cy + h / 2) * height, decimals) + 0.0,
                )
            )
        if attributes:
            attributes += [{}] * (len(labels) - len(attributes))
        return Boxes(labels, coordinates, attributes or None)

    def _label(self, text: str) -> str:
        match = _CLASS.fullmatch(text)
        if match is None:
            raise _LineError(f"the class is {text!r}, not a class number", "write its number, from 0")
        label = self._labels.get(str(int(match[1])))
        if label is None:
            place, names = self._description.place, list(self._description.names.values())
            problem = f"the class {match[1]} has no name in {place}, which names {_summary(names)}"
            raise _LineError(problem, "add it there, or correct it")
        return label

    def _more(self, values: list[float], width: int, height: int) -> tuple[list[float], dict[str, Any]] | None:
        """Returns the center and size of a line that does not have four numbers, and its attributes.

        Returns:
            ``None`` if its shape is left out.
        """
        count = len(values)
        if count < 4:
            raise _LineError(f"it has {1 + count} columns instead of 5", "write class, x, y, width, height")
        if count in (self._pose, self._pose + 1) and self._pose:
            extra: dict[str, Any] = {"keypoints": self._keypoints(values[4 : self._pose], width, height)}
            return values[:4], extra | _score(values[self._pose :])
        if count == 5:
            return values[:4], _score(values[4:])
        points = values[: count - count % 2]
        if _visible_points(values) and not self._pose:
            problem = (
                f"it seems to have {(count - 4) // 3} key points, which {self._description.place} does not declare"
            )
            raise _LineError(problem, f"add kpt_shape: [{(count - 4) // 3}, 3] to a data.yaml")
        if not all(abs(value) <= LARGEST for value in points):
            raise _out_of_range(points)
        xs, ys = points[::2], points[1::2]
        box = [(min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2, max(xs) - min(xs), max(ys) - min(ys)]
        outline = self._pixels(points, width, height)
        corners = tuple(zip(outline[::2], outline[1::2], strict=True))
        rectangle = Rectangle.from_corners(corners) if self._oriented else None
        score = _score(values[len(points) :])
        if rectangle is not None and not rectangle.rotation % 360:
            return box, score
        try:
            kept = self._shapes(Polygon.of(corners) if rectangle is None else rectangle)
        except ShapeError as error:
            raise _LineError(
                str(error), "read the box around it (?shapes=box), or leave it out (?shapes=skip)"
            ) from None
        if kept is None:
            return None
        extra = {"segmentation": [outline]}
        if self._oriented and len(corners) == 4:
            (left, top), (right, bottom) = corners[:2]
            extra["rotation"] = math.degrees(math.atan2(bottom - top, right - left))
        return box, extra | score

    def _keypoints(self, values: Sequence[float], width: int, height: int) -> list[float]:
        each = self._description.keypoints[1]
        scales = (width, height, 1)[:each]
        if not all(map(math.isfinite, values)):
            raise _out_of_range(values)
        return [round(value * scales[i % each], self._decimals) + 0.0 for i, value in enumerate(values)]

    def _pixels(self, points: Sequence[float], width: int, height: int) -> list[float]:
        return [round(v * (height if i % 2 else width), self._decimals) + 0.0 for i, v in enumerate(points)]

    def _check_numbers(self, lines: Sequence[str], file: str) -> None:
        for number, line in enumerate(lines, start=1):
            fields = line.split()
            if fields and any(NUMBER.fullmatch(field) is None for field in fields):
                raise self._not_a_number(fields, file, number)

    def _not_a_number(self, fields: Sequence[str], file: str, number: int) -> DataError:
        field = next(field for field in fields if NUMBER.fullmatch(field) is None)
        remedy = "write class, x, y, width, height, separated by spaces, with a point as decimal mark"
        what = "the class is" if field is fields[0] else "a value is"
        return DataError(file, f"{what} {field!r}, not a number", f"{remedy}, {_SKIP}", f"line {number}")


class _LineError(Exception):
    """An error in a line, raised where its number is not known."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem, remedy)
        self.problem = problem
        self.remedy = remedy


def _visible_points(values: Sequence[float]) -> bool:
    """Whether points of x, y and COCO's visibility 0, 1 or 2 follow a box; no relative coordinate is 2."""
    visible = values[6::3]
    return (len(values) - 4) % 3 == 0 and 2 in visible and {0, 1, 2}.issuperset(visible)


def _out_of_range(values: Sequence[float]) -> _LineError:
    """Returns the error for numbers that are not relative to the image size."""
    if not all(map(math.isfinite, values)):
        return _LineError("a value is not finite", "correct it")
    large = next((value for value in values if abs(value) > LARGEST), None)
    if large is not None:
        return _LineError(
            f"a value is {large:g}, too large for a relative coordinate: these seem to be pixels",
            "divide x and width by the image's width, y and height by its height",
        )
    return _LineError(f"the width or height of the box is negative: {values[2]:g}, {values[3]:g}", "draw it again")


def _score(values: Sequence[float]) -> dict[str, float]:
    if not values:
        return {}
    if not 0 <= values[0] <= 1:
        raise _LineError(
            f"the column after the box is {values[0]:g}, not a score between 0 and 1", "correct or remove it"
        )
    return {"score": values[0]}


def _summary(names: Sequence[str]) -> str:
    return ", ".join(names) or "none" if len(names) <= 10 else f"{len(names)} classes, from {names[0]} to {names[-1]}"


class LineFormat:
    """Writes boxes as lines, with just enough digits to restore every coordinate to a millionth of a pixel.

    A coordinate is half a size from a center, both rounded to ``d`` decimals, so its error is at most 0.75 * 10**-d of
    the image's side. ``d`` is chosen so that this is less than half a millionth of a pixel; rounding to millionths
    (:class:`LabelReader`) then restores whole coordinates exactly. ``d`` is counted from the first digit that is not 0,
    which formats as fast as the numbers themselves and makes small numbers one or two digits longer.
    """

    def __init__(self) -> None:
        self._formats: dict[int, tuple[int, str]] = {}

    def line(self, number: int, box: Coordinates, width: int, height: int, score: float | None = None) -> str:
        """Returns the line of one box in an image of that size.

        Raises:
            ValueError: The box extends so far beyond the image that its numbers would be taken for pixels.
        """
        xmin, ymin, xmax, ymax = box
        cx, cy = (xmin + xmax) / 2 / width, (ymin + ymax) / 2 / height
        w, h = (xmax - xmin) / width, (ymax - ymin) / height
        side = width if width > height else height
        known = self._formats.get(side)
        if known is None:
            known = self._formats[side] = _format_for(side)
        decimals, text = known
        if not (1e-4 <= cx <= 1 and 1e-4 <= cy <= 1 and 1e-4 <= w <= 1 and 1e-4 <= h <= 1):
            if max(abs(cx), abs(cy), w, h) > LARGEST:
                raise ValueError(
                    "extends so far beyond its image that its numbers would be taken for pixels: clip it first"
                )
            row = " ".join([str(number), *(_fixed(value, decimals) for value in (cx, cy, w, h))])
        else:
            row = text % (number, cx, cy, w, h)
        return row if score is None else f"{row} {score!r}"


def _format_for(side: int) -> tuple[int, str]:
    decimals = max(1, math.ceil(math.log10(1.5e6 * side)))
    value = f"%.{decimals}g"  # below 1 at least as precise as that many decimals, and without trailing zeros
    return decimals, f"%d {value} {value} {value} {value}"


def _fixed(value: float, decimals: int) -> str:
    text = f"{value:.{decimals}f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
