"""Groups of images that must stay in one split, and their distribution over splits."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from boxwright import DataError, Sample, UsageError
from boxwright.datasets import OnProblem
from boxwright_transforms.notes import amount
from boxwright_transforms.passes import second_pass
from boxwright_transforms.stratification import Unit, stratify

IMAGE: Final = "image."
"""Prefix of an attribute of images in options: ``image.camera``."""

ORIGIN: Final = "origin"
"""The attribute of an image that was made from another: the name of that image."""


@dataclass
class GroupedImages:
    """What the first pass found, without the images themselves.

    Attributes:
        names: Names of the images.
        labels: Set of labels of each image.
        groups: Positions that must stay together, each position once.
        skipped: Indices of the samples that could not be read; they have no position.
        notes: Description of the groups, and of previous splits.
    """

    names: list[str] = field(default_factory=list)
    labels: list[frozenset[str]] = field(default_factory=list)
    groups: list[list[int]] = field(default_factory=list)
    skipped: set[int] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)

    @property
    def grouped(self) -> bool:
        """Whether any group has more than one image."""
        return len(self.groups) < len(self.names)

    def distribute(self, sizes: Sequence[int], seed: int) -> list[int]:
        """Returns the split of each image, with every class in every split if possible.

        Args:
            sizes: Number of images in each split.
            seed: Another seed returns another distribution.
        """
        # In an order that does not depend on that of the images.
        groups = sorted(self.groups, key=lambda group: min((self.names[i], i) for i in group))
        units = [Unit(len(group), frozenset().union(*(self.labels[i] for i in group))) for group in groups]
        return self.splits_of_images(groups, stratify(units, sizes, seed))

    def second_pass(self, samples: Iterable[Sample], names: Sequence[str], split_of: Sequence[int]) -> Iterator[Sample]:
        """Yields each sample with its ``split`` set.

        Args:
            samples: The samples, from the start.
            names: Names of the splits.
            split_of: Index of the split of each image.

        Raises:
            DataError: The dataset has changed since the first pass.
        """
        for position, sample in second_pass(samples, self.names, self.skipped):
            yield sample.replace(split=names[split_of[position]])

    def splits_of_images(self, groups: Sequence[Sequence[int]], split_of_group: Sequence[int]) -> list[int]:
        """Returns the split of each image from that of each group."""
        split_of = [0] * len(self.names)
        for group, split in zip(groups, split_of_group, strict=True):
            for position in group:
                split_of[position] = split
        return split_of


class Grouper:
    """Makes the first pass, and finds the images that must stay together.

    Args:
        step: The step, for messages.
        group: What the images of a group have in common, as for :func:`group_key`; empty for nothing.
        near_duplicates: Whether near-duplicates must stay together; reads every image.

    Raises:
        UsageError: ``group`` is not a regular expression.
    """

    def __init__(self, step: str, group: str = "", near_duplicates: bool = False) -> None:
        self._step = step
        self.group = group
        self._key = group_key(group, step) if group else None
        self._hashes = None
        if near_duplicates:
            from boxwright_transforms.hashes import ImageHashes  # imports NumPy and Pillow

            self._hashes = ImageHashes()

    def first_pass(
        self,
        samples: Iterable[Sample],
        on_problem: OnProblem,
        visit: Callable[[Sample], None] = lambda sample: None,
    ) -> GroupedImages:
        """Iterates over the samples once.

        Args:
            samples: The samples.
            on_problem: Called with the error of an image that cannot be read, for near-duplicates, and with that of
                ``visit``; if it returns, the image is skipped.
            visit: Called with each sample.

        Raises:
            UsageError: No image is in a group.
        """
        found = GroupedImages()
        # Equal sets of labels are kept once: most datasets have few combinations.
        known: dict[frozenset[str], frozenset[str]] = {}
        by_key: dict[str, list[int]] = {}
        by_origin: dict[str, list[int]] = {}
        hashes: list[int] = []
        with_split = 0
        for index, sample in enumerate(samples):
            try:
                if self._hashes is not None:
                    hashes.append(self._hashes.difference_hash(sample))
                visit(sample)
            except DataError as error:
                on_problem(error)
                found.skipped.add(index)
                del hashes[len(found.names) :]
                continue
            position = len(found.names)
            found.names.append(sample.image.name)
            labels = frozenset(sample.boxes.labels)
            found.labels.append(known.setdefault(labels, labels))
            with_split += sample.split is not None
            if self._key is not None and (key := self._key(sample)) is not None:
                by_key.setdefault(key, []).append(position)
            if (origin := _text(sample.attributes.get(ORIGIN))) is not None:
                by_origin.setdefault(origin, []).append(position)
        if by_origin:
            for position, name in enumerate(found.names):
                if name in by_origin and position not in by_origin[name]:
                    by_origin[name].append(position)
            made = sum(map(len, by_origin.values()))
            found.notes.append(f"{amount(made, 'image')} with a common {ORIGIN}, in {amount(len(by_origin), 'group')}")
        found.groups = [[position] for position in range(len(found.names))]
        if found.names and self._key is not None:
            found.notes += self._describe(len(found.names), by_key)
        if found.names and (self._key is not None or self._hashes is not None or by_origin):
            from boxwright.images import merge_groups, near_groups  # imports NumPy and Pillow

            alike = near_groups(hashes)
            if self._hashes is not None:
                found.notes.append(_describe_alike(alike))
            found.groups = merge_groups(len(found.names), [*by_key.values(), *by_origin.values(), *alike])
        if with_split:
            found.notes.append(f"{amount(with_split, 'image')} already had a split, which was replaced")
        return found

    def _describe(self, count: int, by_key: dict[str, list[int]]) -> list[str]:
        keyed = sum(map(len, by_key.values()))
        if not keyed:
            raise UsageError(
                f"{self._step}: group={self.group} matches none of {amount(count, 'image')}",
                "write folder, image.NAME of an attribute of the images, or an expression that matches their names",
            )
        notes = [f"{amount(keyed, 'image')} in {amount(len(by_key), 'group')} by {self.group}, each kept together"]
        if keyed < count:
            notes.append(f"{amount(count - keyed, 'image')} without {self.group}, in no group")
        return notes


def _describe_alike(groups: Sequence[Sequence[int]]) -> str:
    alike = [group for group in groups if len(group) > 1]
    if not alike:
        return "no near-duplicate images"
    count = sum(map(len, alike))
    return f"{amount(count, 'image')} in {amount(len(alike), 'group')} look alike; each group was kept in one split"


def group_key(group: str, step: str) -> Callable[[Sample], str | None]:
    r"""Returns a function that returns the group of a sample, or ``None`` for an image in no group.

    Args:
        group: The option: ``"folder"``; ``"image.NAME"`` for an attribute; otherwise a regular expression that is
            searched for in the image's name. Its groups in parentheses, or else the whole match, are the key:
            ``^(cam\d+)_``.
        step: The step, for messages.

    Raises:
        UsageError: The regular expression is invalid.
    """
    if group == "folder":
        return lambda sample: sample.image.name.rpartition("/")[0]
    if group.startswith(IMAGE):
        return lambda sample: _text(sample.attributes.get(group.removeprefix(IMAGE)))
    try:
        pattern = re.compile(group)
    except re.error as error:
        raise UsageError(
            f"{step}: group={group} is not a regular expression: {error}",
            "write folder, image.NAME or an expression such as ^(cam[0-9]+)_; a comma outside brackets starts the next"
            " option",
        ) from None

    def key(sample: Sample) -> str | None:
        match = pattern.search(sample.image.name)
        if match is None:
            return None
        return "\0".join(part or "" for part in match.groups()) if pattern.groups else match[0]

    return key


def _text(value: object) -> str | None:
    return None if value is None else str(value)
