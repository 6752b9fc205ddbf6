"""Duplicates: images with equal bytes or a similar look, within a part of the data and across parts."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence

from boxwright.analysis.validation.checks import Problem
from boxwright.analysis.validation.classes import Part
from boxwright.analysis.validation.images import ImageCheck
from boxwright.images.decode import place_of
from boxwright.images.similarity import near_groups
from boxwright.schemas import Sample

_NAMED = 3


class SeenImages:
    """Records every image: its place, its part, and two hashes; about 200 bytes per image."""

    def __init__(self) -> None:
        self._places: list[str] = []
        self._parts = array("l")
        self._boxes = array("q")
        self._hashes = array("Q")
        self._same: dict[bytes, list[int]] = {}
        self._names: dict[tuple[int, str], str] = {}

    def add(self, sample: Sample, dataset: int, part: int, check: ImageCheck) -> Problem | None:
        """Records an image, and returns a problem if its name is a duplicate in its dataset.

        Args:
            sample: The image.
            dataset: The number of its dataset.
            part: The number of its part.
            check: The result of :func:`check_image`.
        """
        if check.digest:
            self._same.setdefault(check.digest, []).append(len(self._places))
            self._places.append(place_of(sample))
            self._parts.append(part)
            self._boxes.append(hash(frozenset(zip(sample.boxes.labels, sample.boxes.coordinates, strict=True))))
            self._hashes.append(check.difference_hash)
        source = sample.source or place_of(sample)
        key = (dataset, sample.image.name)
        if key in self._names:
            first = self._names[key]
            return Problem("repeated_name", source, f"duplicate image name {sample.image.name}, also in {first}")
        self._names[key] = source
        return None

    def problems(self, parts: Sequence[Part]) -> Iterator[Problem]:
        """Yields the duplicates and near-duplicates."""
        for group in self._same.values():
            if len(group) > 1:
                check = "leaked_picture" if self._across(group) else "repeated_picture"
                other = "" if len({self._boxes[i] for i in group}) == 1 else ", with different boxes"
                text = f"the same as {self._others(group, parts)}{other}"
                yield Problem(check, self._described(group[0], group, parts), text)
        distinct = [group[0] for group in self._same.values() if self._hashes[group[0]]]  # 0: no contrast
        for near in near_groups([self._hashes[i] for i in distinct]):
            if len(near) > 1:
                group = [distinct[i] for i in near]
                check = "leaked_likeness" if self._across(group) else "similar_picture"
                yield Problem(
                    check, self._described(group[0], group, parts), f"looks like {self._others(group, parts)}"
                )

    def _across(self, group: Sequence[int]) -> bool:
        return len({self._parts[i] for i in group}) > 1

    def _others(self, group: Sequence[int], parts: Sequence[Part]) -> str:
        # Those of other parts first, because they are worse.
        others = sorted(group[1:], key=lambda i: self._parts[i] == self._parts[group[0]])
        named = ", ".join(self._described(i, group, parts) for i in others[:_NAMED])
        return named + (f" and {len(others) - _NAMED:,} others" if len(others) > _NAMED else "")

    def _described(self, image: int, group: Sequence[int], parts: Sequence[Part]) -> str:
        split = parts[self._parts[image]].split
        place = self._places[image]
        return f"{place} [{split}]" if split and self._across(group) else place
