"""Steps that read a dataset twice: names, classes and groups first, then the samples themselves."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from boxwright import DataError, Sample, UsageError
from boxwright.datasets import OnProblem
from boxwright_transforms.groups import group_key, together
from boxwright_transforms.notes import amount
from boxwright_transforms.stratify import Unit, share_out


def raised(error: DataError) -> None:
    """What becomes of the error of a single picture where nobody says otherwise."""
    raise error


@dataclass
class Gathered:
    """What a first reading found; no pictures.

    Attributes:
        names: Of the pictures.
        labels: The set of labels of each.
        before: How many belonged to a split already.
        groups: Positions that must stay together, each position once.
        left_out: Those among all samples that could not be read; they have no position.
        notes: What the groups are, for people.
    """

    names: list[str] = field(default_factory=list)
    labels: list[frozenset[str]] = field(default_factory=list)
    before: int = 0
    groups: list[list[int]] = field(default_factory=list)
    left_out: set[int] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)

    @property
    def grouped(self) -> bool:
        """Whether any pictures have to stay together."""
        return len(self.groups) < len(self.names)

    def by_name(self) -> list[list[int]]:
        """The groups in an order that does not depend on that of the pictures."""
        return sorted(self.groups, key=lambda group: min((self.names[i], i) for i in group))

    def units(self, groups: Sequence[Sequence[int]]) -> list[Unit]:
        """Groups as what is shared out."""
        return [Unit(len(group), frozenset().union(*(self.labels[i] for i in group))) for group in groups]

    def share_out(self, sizes: Sequence[int], seed: int) -> list[int]:
        """The part of each picture, with every class in every part where that can be had."""
        groups = self.by_name()
        return self.spread(groups, share_out(self.units(groups), sizes, seed))

    def spread(self, groups: Sequence[Sequence[int]], chosen: Sequence[int]) -> list[int]:
        """The part of each picture from that of each group."""
        part_of = [0] * len(self.names)
        for group, part in zip(groups, chosen, strict=True):
            for position in group:
                part_of[position] = part
        return part_of


class Gatherer:
    """Makes the first reading, and finds the pictures that have to stay together.

    Args:
        step: For messages.
        group: As in :func:`boxwright_transforms.groups.group_key`; empty for none.
        near_duplicates: Whether pictures that look alike have to stay together; reads every picture.

    Raises:
        UsageError: ``group`` is no regular expression.
    """

    def __init__(self, step: str, group: str = "", near_duplicates: bool = False) -> None:
        self._step = step
        self.group = group
        self._key = group_key(group, step) if group else None
        self._near = None
        if near_duplicates:
            from boxwright_transforms import duplicates  # brings numpy and Pillow

            self._near = duplicates
            self._hashes = duplicates.PictureHashes()

    def gather(
        self,
        samples: Iterable[Sample],
        on_problem: OnProblem = raised,
        visit: Callable[[Sample], None] = lambda sample: None,
    ) -> Gathered:
        """Reads the samples through once.

        Args:
            samples: The samples.
            on_problem: Gets the error of a picture that cannot be read, for near-duplicates, or that ``visit`` refuses;
                if it returns, the picture is left out.
            visit: Is shown each of them.

        Raises:
            UsageError: No picture has what tells its group.
        """
        found = Gathered()
        # Equal sets of labels are kept once: most datasets have few combinations.
        known: dict[frozenset[str], frozenset[str]] = {}
        by_key: dict[str, list[int]] = {}
        hashes: list[int] = []
        for number, sample in enumerate(samples):
            try:
                if self._near is not None:
                    hashes.append(self._hashes.difference_hash(sample))
                visit(sample)
            except DataError as error:
                on_problem(error)
                found.left_out.add(number)
                del hashes[len(found.names) :]
                continue
            position = len(found.names)
            found.names.append(sample.image.name)
            labels = frozenset(sample.boxes.labels)
            found.labels.append(known.setdefault(labels, labels))
            found.before += sample.split is not None
            if self._key is not None and (key := self._key(sample)) is not None:
                by_key.setdefault(key, []).append(position)
        groupings: list[list[list[int]]] = []
        if self._key is not None and found.names:
            groupings.append(list(by_key.values()))
            found.notes += self._describe(len(found.names), by_key)
        if self._near is not None and found.names:
            groupings.append(self._near.near_groups(hashes))
            found.notes.append(_alike(groupings[-1]))
        found.groups = together(len(found.names), groupings)
        return found

    def _describe(self, count: int, by_key: dict[str, list[int]]) -> list[str]:
        keyed = sum(map(len, by_key.values()))
        if not keyed:
            raise UsageError(
                f"{self._step}: group={self.group}: of {amount(count, 'picture')}, none has it",
                "write folder, image.NAME of an attribute that they have, or an expression that fits their names",
            )
        said = [f"{amount(keyed, 'picture')} in {amount(len(by_key), 'group')} by {self.group}, each kept together"]
        if keyed < count:
            said.append(f"{amount(count - keyed, 'picture')} without {self.group} stand alone")
        return said


def _alike(groups: Sequence[Sequence[int]]) -> str:
    alike = [group for group in groups if len(group) > 1]
    count = sum(map(len, alike))
    if not alike:
        return "no two pictures look alike"
    return f"{amount(count, 'picture')} in {amount(len(alike), 'group')} look alike; each group was kept in one part"


def again(
    samples: Iterable[Sample], names: Sequence[str], left_out: Container[int] = ()
) -> Iterator[tuple[int, Sample]]:
    """Position and sample, in a second reading.

    Args:
        samples: The samples, read from the start.
        names: Of the pictures, as the first reading found them.
        left_out: Those among all samples that the first reading left out.

    Raises:
        DataError: The dataset has changed since.
    """
    position = -1
    for number, sample in enumerate(samples):
        if number in left_out:
            continue
        position += 1
        if position >= len(names) or sample.image.name != names[position]:
            raise changed(sample.source or sample.image.name)
        yield position, sample
    if position + 1 != len(names):
        raise changed(names[position + 1])


def changed(place: str) -> DataError:
    """The error for a dataset that is another one in the second reading."""
    return DataError(place, "the dataset changed while it was read", "try again when nothing else writes there")
