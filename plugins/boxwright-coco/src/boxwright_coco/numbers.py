"""The numbers of a COCO file: widths and coordinates, and ids of images and annotations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, TypeGuard

SCALE: Final = 1e6
"""Numbers with up to six decimals are added as decimals."""
EXACT: Final = 2.0**53 / SCALE
"""The limit for such numbers."""
_SMALL: Final = 2.0**30
_KEPT: Final = 1 << 14
_LARGEST_ID: Final = 2**63 - 1


def far_coordinate(near: float, span: float) -> float:
    """Returns ``xmax`` for ``xmin`` and the width (or ``ymax`` for ``ymin`` and the height), in pixels.

    Numbers with up to six decimals are added as decimals: 16.1 and 44.2 are 60.3, while binary fractions would add up
    to 60.300000000000004. Others are added as floats. All numbers must be finite.
    """
    coordinate = near + span
    if coordinate % 1 and -EXACT < near < EXACT and -EXACT < span < EXACT:
        scaled_near, scaled_span = round(near * SCALE), round(span * SCALE)
        if scaled_near / SCALE == near and scaled_span / SCALE == span:
            return (scaled_near + scaled_span) / SCALE
    return coordinate


def span_between(near: float, far: float) -> tuple[float, bool]:
    """Returns the width for which :func:`far_coordinate` returns ``far``, or the closest one, and whether it does.

    There is none for a few pairs of coordinates with all digits of a float.
    """
    span = far - near
    if near > -EXACT and far < EXACT:
        scaled_near, scaled_far = round(near * SCALE), round(far * SCALE)
        short = (scaled_far - scaled_near) / SCALE
        # Decimals of this size differ by more than the rounding of a sum, so their difference is added as a decimal.
        decimals = near > -_SMALL and far < _SMALL and scaled_near / SCALE == near and scaled_far / SCALE == far
        if decimals or far_coordinate(near, short) == far:
            return short, True
    around = (span, math.nextafter(span, math.inf), math.nextafter(span, 0.0))
    exact = next((each for each in around if far_coordinate(near, each) == far), None)
    return (span, False) if exact is None else (exact, True)


def number_text(number: float) -> str:
    """Returns a number as JSON: integers without a fraction, others as the shortest text that is the same float."""
    return str(int(number)) if number == int(number) else repr(float(number))


class NumberTexts(dict[float, str]):
    """A cache of :func:`number_text` for whole numbers, whose lookup takes a fifth of the time of formatting."""

    def __missing__(self, number: float) -> str:
        text = number_text(number)
        if len(self) < _KEPT:
            self[number] = text
        return text


class Numbering:
    """Assigns unique ids: the requested one if it is free, otherwise the next free one from 1."""

    def __init__(self) -> None:
        self._next = 1  # all lower ids are taken, which needs no memory
        self._others: set[int] = set()

    def take(self, requested: int | None = None) -> int:
        """Returns a unique id."""
        number = self._next
        if requested is not None and not 0 < requested < number and requested not in self._others:
            number = requested
        if number != self._next:
            self._others.add(number)
            return number
        self._next += 1
        while self._next in self._others:
            self._others.remove(self._next)
            self._next += 1
        return number

    def take_all(self, requested: Sequence[int | None]) -> Sequence[int]:
        """Returns as many ids, in order; faster if none is requested, or all are and are free."""
        distinct = {each for each in requested if each is not None}
        if not distinct and not self._others:
            first = self._next
            self._next += len(requested)
            return range(first, self._next)
        if (
            len(distinct) < len(requested)
            or min(distinct, default=0) <= self._next
            or not self._others.isdisjoint(distinct)
        ):
            return [self.take(each) for each in requested]
        self._others |= distinct
        return [each for each in requested if each is not None]  # all of them


def is_number(value: Any) -> TypeGuard[int]:
    """Returns whether a value can be the id of an image, an annotation or a class."""
    return type(value) is int and -_LARGEST_ID <= value <= _LARGEST_ID


def as_number(value: Any) -> int | None:
    """Returns a value as an id, or ``None``; some tools write 7.0 for 7."""
    if type(value) is float and value.is_integer():
        value = int(value)
    return value if is_number(value) else None
