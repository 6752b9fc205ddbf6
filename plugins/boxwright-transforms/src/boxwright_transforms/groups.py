"""Pictures that belong together: by a part of their names, their folder, an attribute, or because they look alike."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

from boxwright import Sample, UsageError

IMAGE: Final = "image."
"""How an option names an attribute of pictures: ``image.camera``."""


class Joined:
    """Positions 0..N-1 in groups, which grow by joining two at a time."""

    def __init__(self, count: int) -> None:
        self._leader = list(range(count))

    def join(self, one: int, two: int) -> None:
        """Makes the groups of two positions one."""
        first, second = sorted((self._find(one), self._find(two)))
        self._leader[second] = first

    def groups(self) -> list[list[int]]:
        """Every position once; groups in the order of their first, each in order."""
        found: dict[int, list[int]] = {}
        for position in range(len(self._leader)):
            found.setdefault(self._find(position), []).append(position)
        return list(found.values())

    def _find(self, position: int) -> int:
        leader = self._leader
        while leader[position] != position:
            leader[position] = leader[leader[position]]
            position = leader[position]
        return position


def together(count: int, groupings: Sequence[Sequence[Sequence[int]]]) -> list[list[int]]:
    """Groups of positions in which all that share a group in any grouping stand together.

    Args:
        count: How many positions there are.
        groupings: Each a list of groups of positions.
    """
    joined = Joined(count)
    for grouping in groupings:
        for first, *others in grouping:
            for other in others:
                joined.join(first, other)
    return joined.groups()


def group_key(group: str, step: str) -> Callable[[Sample], str | None]:
    r"""What tells a picture's group, from the option ``group=``.

    Args:
        group: ``"folder"``; ``"image.NAME"`` for an attribute; else a regular expression that is looked for in the
            picture's name, whose groups in parentheses (or all of it, where it has none) tell: ``^(cam\d+)_``.
        step: For messages.

    Returns:
        A function of a sample; its answer is ``None`` for a picture that stands alone.

    Raises:
        UsageError: The regular expression is none.
    """
    if group == "folder":
        return lambda sample: sample.image.name.rpartition("/")[0]
    if group.startswith(IMAGE):
        return lambda sample: _text(sample.attributes.get(group.removeprefix(IMAGE)))
    try:
        pattern = re.compile(group)
    except re.error as error:
        raise UsageError(
            f"{step}: group={group} is no regular expression: {error}",
            "write folder, image.NAME or an expression such as ^(cam[0-9]+)_; a comma outside brackets would start the"
            " next option",
        ) from None

    def key(sample: Sample) -> str | None:
        match = pattern.search(sample.image.name)
        if match is None:
            return None
        return "\0".join(part or "" for part in match.groups()) if pattern.groups else match[0]

    return key


def _text(value: object) -> str | None:
    return None if value is None else str(value)
