"""Two datasets read in step: each picture of one with the same picture of the other."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import zip_longest
from typing import Any, NamedTuple

from boxwright.errors import DataError
from boxwright.progress import Task
from boxwright.schemas import Boxes, Edges, Sample


class Picture(NamedTuple):
    """What is compared of a sample; the bytes of a picture are not."""

    name: str
    size: tuple[int, int]
    split: str | None
    attributes: Mapping[str, Any]
    boxes: Boxes

    @classmethod
    def of(cls, sample: Sample) -> Picture:
        """A sample without its picture."""
        image = sample.image
        return cls(image.name, (image.width, image.height), sample.split, sample.attributes, sample.boxes)


def paired(
    first: Iterable[Sample], second: Iterable[Sample], by: str = "name", task: Task | None = None
) -> Iterator[tuple[Picture | None, Picture | None]]:
    """The pictures of two datasets, matched; those that only one of them has come at the end, first those of the first.

    Raises:
        DataError: By stem, a dataset has two pictures of one.
    """
    waiting: tuple[dict[str, deque[Picture]], ...] = ({}, {})
    key = _stems() if by == "stem" else _names
    for samples in zip_longest(first, second):
        if task is not None:
            task.advance()
        keys = [key(side, sample) if sample is not None else None for side, sample in enumerate(samples)]
        one, two = samples
        in_step = keys[0] == keys[1] and not any(keys[0] in pictures for pictures in waiting)
        if in_step and one is not None and two is not None:
            yield Picture.of(one), Picture.of(two)
            continue
        for side, sample in enumerate(samples):
            if sample is None:
                continue
            name, other = keys[side] or "", waiting[1 - side]
            picture = Picture.of(sample)
            if name in other:
                match = other[name].popleft()
                if not other[name]:
                    del other[name]
                yield (picture, match) if side == 0 else (match, picture)
            else:
                waiting[side].setdefault(name, deque()).append(picture)
    yield from ((picture, None) for pictures in waiting[0].values() for picture in pictures)
    yield from ((None, picture) for pictures in waiting[1].values() for picture in pictures)


def _names(side: int, sample: Sample) -> str:
    return sample.image.name


def _stems() -> Callable[[int, Sample], str]:
    seen: dict[tuple[int, str], str] = {}

    def stem(side: int, sample: Sample) -> str:
        name = sample.image.name
        found = os.path.splitext(name.rpartition("/")[2])[0]
        if (side, found) in seen:
            raise DataError(
                sample.source or name,
                f"both {seen[side, found]} and {name} are {found!r} without folder and ending",
                "compare by whole names",
            )
        seen[side, found] = name
        return found

    return stem


def in_frame_of(one: Picture, two: Picture) -> tuple[Edges, ...]:
    """The second's boxes in the first's frame, where the two say different sizes of the picture."""
    if one.size == two.size or one.boxes.edges == two.boxes.edges:
        return two.boxes.edges
    across, down = one.size[0] / two.size[0], one.size[1] / two.size[1]
    return tuple((x1 * across, y1 * down, x2 * across, y2 * down) for x1, y1, x2, y2 in two.boxes.edges)
