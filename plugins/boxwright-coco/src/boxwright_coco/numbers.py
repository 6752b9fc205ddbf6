"""Numbers of a COCO file: widths from edges and back, and numbers that stand for pictures and annotations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, TypeGuard

_SCALE: Final = 1e6
_EXACT: Final = 2.0**53 / _SCALE
_KEPT: Final = 1 << 14
_LARGEST_ID: Final = 2**63 - 1


def far_edge(near: float, span: float) -> float:
    """The right edge from the left one and the width (or the bottom from the top and the height), in pixels.

    Numbers of up to six decimals are added as decimals: 16.1 and 44.2 give 60.3, where binary fractions would give
    60.300000000000004. Others are added as they are. All four must be finite.
    """
    edge = near + span
    if edge % 1 and -_EXACT < near < _EXACT and -_EXACT < span < _EXACT:
        scaled_near, scaled_span = round(near * _SCALE), round(span * _SCALE)
        if scaled_near / _SCALE == near and scaled_span / _SCALE == span:
            return (scaled_near + scaled_span) / _SCALE
    return edge


def span_between(near: float, far: float) -> float:
    """The width from which :func:`far_edge` makes the right edge again.

    For a few pairs of edges with all the digits of a float there is none; then it is the closest.
    """
    span = far - near
    if near > -_EXACT and far < _EXACT:
        scaled_near, scaled_far = round(near * _SCALE), round(far * _SCALE)
        short = (scaled_far - scaled_near) / _SCALE
        if far_edge(near, short) == far:
            return short
    around = (span, math.nextafter(span, math.inf), math.nextafter(span, 0.0))
    return next((each for each in around if far_edge(near, each) == far), span)


class NumberTexts(dict[float, str]):
    """Numbers as JSON, kept: looking one up takes a fifth of the time of writing it, and most are whole.

    Whole numbers are written as such, others by the shortest text that reads back as the same float.
    """

    def __missing__(self, number: float) -> str:
        text = str(int(number)) if number == int(number) else repr(float(number))
        if len(self) < _KEPT:
            self[number] = text
        return text


class Numbering:
    """Gives out numbers, none twice: the wanted one where it is free, else the next free one from 1."""

    def __init__(self) -> None:
        self._next = 1  # all from 1 to it are taken, so that counting needs no memory
        self._others: set[int] = set()

    def take(self, wanted: int | None = None) -> int:
        """A number that nothing else has."""
        number = self._next
        if wanted is not None and not 0 < wanted < number and wanted not in self._others:
            number = wanted
        if number != self._next:
            self._others.add(number)
            return number
        self._next += 1
        while self._next in self._others:
            self._others.remove(self._next)
            self._next += 1
        return number

    def take_all(self, wanted: Sequence[int | None]) -> Sequence[int]:
        """As many numbers, in order; quicker where nothing is wanted."""
        if self._others or any(each is not None for each in wanted):
            return [self.take(each) for each in wanted]
        first = self._next
        self._next += len(wanted)
        return range(first, self._next)


def is_number(value: Any) -> TypeGuard[int]:
    """Whether a value can be the number of a picture, an annotation or a class."""
    return type(value) is int and -_LARGEST_ID <= value <= _LARGEST_ID


def as_number(value: Any) -> int | None:
    """A value as such a number, where it is one; some tools write 7.0 for 7."""
    if type(value) is float and value.is_integer():
        value = int(value)
    return value if is_number(value) else None
