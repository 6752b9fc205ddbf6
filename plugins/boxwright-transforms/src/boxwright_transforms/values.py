"""What the values of options mean: lists, patterns, ranges of numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from boxwright import UsageError

_SINGLE_PLUS = re.compile(r"(?<!\+)\+(?!\+)")


def parse_list(text: str, where: str) -> tuple[str, ...]:
    """The items of ``apple+fig``; ``++`` stands for a plus in an item, and commas separate options.

    Args:
        text: As the user wrote it.
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
    """Names, some of which may hold ``*``, ``?`` and ``[...]`` as file patterns do; upper and lower case matter."""

    items: tuple[str, ...]

    @classmethod
    def parse(cls, text: str, where: str) -> Patterns:
        """Takes ``apple+f*`` apart; see :func:`parse_list`."""
        return cls(parse_list(text, where))

    def match(self, name: str) -> bool:
        """Whether a name is one of them, letter by letter or by its pattern."""
        return any(item == name or fnmatchcase(name, item) for item in self.items)

    def without_match(self, names: frozenset[str]) -> list[str]:
        """Those that no name is like: mistyped, most likely."""
        return [item for item in self.items if item not in names and not any(fnmatchcase(n, item) for n in names)]


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``, both included."""

    low: float
    high: float

    @classmethod
    def parse(cls, text: str, where: str) -> Range:
        """Takes ``8..20``, ``8..``, ``..20`` or ``8`` apart.

        Raises:
            UsageError: It is none of these, or its first number is greater than its second.
        """
        first, dots, second = text.partition("..")
        try:
            low = float(first) if first.strip() or not dots else -math.inf
            high = (float(second) if second.strip() else math.inf) if dots else low
        except ValueError:
            low = high = math.nan
        if math.isnan(low) or math.isnan(high) or text.strip() == ".." or (not dots and math.isinf(low)):
            raise UsageError(
                f"{where}={text!r} is no range of numbers", "write 8..20, 8.. for at least 8, ..20 for at most 20"
            )
        if low > high:
            raise UsageError(f"{where}={text!r} holds no number", f"write the smaller number first: {second}..{first}")
        return cls(low, high)

    def match(self, number: float) -> bool:
        """Whether a number lies in it."""
        return self.low <= number <= self.high


def attribute_test(text: str, where: str) -> Callable[[Any], bool]:
    """A test of an attribute's value, from ``0``, ``Left+Right`` or ``0.5..``.

    Formats leave out an attribute that has its default, so that one which is missing (``None``) counts as 0 and as
    false.

    Raises:
        UsageError: An item is empty, or no range.
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
            return isinstance(value, bool | int) and value in (0, 1) and _WORDS[int(value)] in words
        return isinstance(value, str) and value in words

    return test


_WORDS = ("false", "true")


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def check_choice(value: str, choices: tuple[str, ...], where: str) -> str:
    """The value, which must be one of the choices.

    Raises:
        UsageError: It is not.
    """
    if value not in choices:
        raise UsageError(f"{where}={value!r}", f"give {', '.join(choices[:-1])} or {choices[-1]}")
    return value
