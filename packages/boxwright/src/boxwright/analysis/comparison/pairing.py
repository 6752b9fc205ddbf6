"""Reading two datasets in parallel: each image of one with the same image of the other."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import zip_longest
from typing import Any, NamedTuple

from boxwright.errors import DataError
from boxwright.progress import Task
from boxwright.schemas import Boxes, Coordinates, Sample


class ComparedImage(NamedTuple):
    """The parts of a sample that are compared, which the image's bytes are not."""

    name: str
    size: tuple[int, int]
    split: str | None
    attributes: Mapping[str, Any]
    boxes: Boxes

    @classmethod
    def of(cls, sample: Sample) -> ComparedImage:
        """Returns a sample without the bytes of its image."""
        image = sample.image
        return cls(image.name, (image.width, image.height), sample.split, sample.attributes, sample.boxes)


def paired(
    first: Iterable[Sample], second: Iterable[Sample], by: str = "name", task: Task | None = None
) -> Iterator[tuple[ComparedImage | None, ComparedImage | None]]:
    """Yields the images of two datasets in pairs; at the end those that only the first, then only the second contains.

    Raises:
        DataError: ``by`` is ``"stem"``, and a dataset contains two images with the same stem.
    """
    waiting: tuple[dict[str, deque[ComparedImage]], ...] = ({}, {})
    key = _stems() if by == "stem" else _names
    for samples in zip_longest(first, second):
        if task is not None:
            task.advance()
        keys = [key(side, sample) if sample is not None else None for side, sample in enumerate(samples)]
        one, two = samples
        same = keys[0] == keys[1] and not any(keys[0] in images for images in waiting)
        if same and one is not None and two is not None:
            yield ComparedImage.of(one), ComparedImage.of(two)
            continue
        for side, sample in enumerate(samples):
            if sample is None:
                continue
            name, other = keys[side] or "", waiting[1 - side]
            image = ComparedImage.of(sample)
            if name in other:
                match = other[name].popleft()
                if not other[name]:
                    del other[name]
                yield (image, match) if side == 0 else (match, image)
            else:
                waiting[side].setdefault(name, deque()).append(image)
    yield from ((image, None) for images in waiting[0].values() for image in images)
    yield from ((None, image) for images in waiting[1].values() for image in images)


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
                f"{seen[side, found]} and {name} have the same stem {found!r}",
                "compare by whole names",
            )
        seen[side, found] = name
        return found

    return stem


def scaled_coordinates(one: ComparedImage, two: ComparedImage) -> tuple[Coordinates, ...]:
    """Returns the second's coordinates, scaled to the first's size of the image."""
    if one.size == two.size or one.boxes.coordinates == two.boxes.coordinates:
        return two.boxes.coordinates
    across, down = one.size[0] / two.size[0], one.size[1] / two.size[1]
    return tuple((x1 * across, y1 * down, x2 * across, y2 * down) for x1, y1, x2, y2 in two.boxes.coordinates)
