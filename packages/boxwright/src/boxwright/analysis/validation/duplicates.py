"""Pictures that are there twice, byte for byte or to the eye, within a part of the data and across parts."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence

from boxwright.analysis.validation.checks import Problem
from boxwright.analysis.validation.classes import Part
from boxwright.analysis.validation.pictures import Look, place_of
from boxwright.images.similarity import near_groups
from boxwright.schemas import Sample

_NAMED = 3


class SeenPictures:
    """What is kept of every picture: its place, its part, and two hashes; about 200 bytes each."""

    def __init__(self) -> None:
        self._places: list[str] = []
        self._parts = array("l")
        self._boxes = array("q")
        self._hashes = array("Q")
        self._same: dict[bytes, list[int]] = {}
        self._names: dict[tuple[int, str], str] = {}

    def add(self, sample: Sample, dataset: int, part: int, look: Look) -> Problem | None:
        """Takes a picture up; its name must be new in its dataset, else that is a problem.

        Args:
            sample: The picture.
            dataset: The number of its dataset.
            part: The number of its part.
            look: What looking at it gave.
        """
        if look.digest:
            self._same.setdefault(look.digest, []).append(len(self._places))
            self._places.append(place_of(sample))
            self._parts.append(part)
            self._boxes.append(hash(frozenset(zip(sample.boxes.labels, sample.boxes.edges, strict=True))))
            self._hashes.append(look.likeness)
        source = sample.source or place_of(sample)
        key = (dataset, sample.image.name)
        if key in self._names:
            first = self._names[key]
            return Problem("repeated_name", source, f"it names the picture {sample.image.name}, as {first} does")
        self._names[key] = source
        return None

    def problems(self, parts: Sequence[Part]) -> Iterator[Problem]:
        """The pictures that are there more than once."""
        for group in self._same.values():
            if len(group) > 1:
                check = "leaked_picture" if self._across(group) else "repeated_picture"
                other = "" if len({self._boxes[i] for i in group}) == 1 else ", with other boxes"
                said = f"the same as {self._others(group, parts)}{other}"
                yield Problem(check, self._said(group[0], group, parts), said)
        distinct = [group[0] for group in self._same.values() if self._hashes[group[0]]]  # 0 has nothing to compare
        for near in near_groups([self._hashes[i] for i in distinct]):
            if len(near) > 1:
                group = [distinct[i] for i in near]
                check = "leaked_likeness" if self._across(group) else "similar_picture"
                yield Problem(check, self._said(group[0], group, parts), f"looks like {self._others(group, parts)}")

    def _across(self, group: Sequence[int]) -> bool:
        return len({self._parts[i] for i in group}) > 1

    def _others(self, group: Sequence[int], parts: Sequence[Part]) -> str:
        # Those of other parts first: they are what matters.
        others = sorted(group[1:], key=lambda i: self._parts[i] == self._parts[group[0]])
        named = ", ".join(self._said(i, group, parts) for i in others[:_NAMED])
        return named + (f" and {len(others) - _NAMED:,} others" if len(others) > _NAMED else "")

    def _said(self, picture: int, group: Sequence[int], parts: Sequence[Part]) -> str:
        split = parts[self._parts[picture]].split
        place = self._places[picture]
        return f"{place} [{split}]" if split and self._across(group) else place
