"""Checks of the classes of a dataset and of its parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from boxwright.analysis.validation.checks import Problem
from boxwright.label_map import LabelMap

_FAR_APART = 20
_SHORTEST = 3
_SHORTEST_TYPO = 5


@dataclass
class Part:
    """One part of the data: a dataset, or a split of it.

    Attributes:
        dataset: The URI of its dataset.
        split: The split's name; ``None`` if the images have no split.
        images: The number of images.
        boxes: The number of boxes by class.
        regions: Those that are regions and not single objects; see :mod:`boxwright.regions`.
    """

    dataset: str
    split: str | None = None
    images: int = 0
    boxes: Counter[str] = field(default_factory=Counter)
    regions: Counter[str] = field(default_factory=Counter)

    @property
    def name(self) -> str:
        """The name in messages."""
        return f"{self.dataset} [{self.split}]" if self.split else self.dataset


def class_problems(parts: Sequence[Part], label_maps: Mapping[str, LabelMap], few: int) -> Iterator[Problem]:
    """Yields the problems of the classes.

    Args:
        parts: The parts of the data.
        label_maps: The label map of each dataset that has one.
        few: Classes with fewer boxes in all parts together are rare.
    """
    together: Counter[str] = Counter()
    for part in parts:
        together.update(part.boxes)
    for part in parts:
        for name, number in sorted(part.regions.items()):
            yield Problem("region", part.name, f"{name}: {_boxes(number)}")
    yield from _label_map_problems(parts, label_maps, together)
    yield from _missing(parts, together)
    where = parts[0].dataset if len({part.dataset for part in parts}) == 1 else "all parts together"
    for name, number in sorted(together.items()):
        if number < few:
            yield Problem("rare_class", where, f"the class {name!r} has {_boxes(number)}")
    yield from _spelling(sorted(together), together, where)
    yield from _imbalance(together, where)


def _label_map_problems(
    parts: Sequence[Part], label_maps: Mapping[str, LabelMap], together: Counter[str]
) -> Iterator[Problem]:
    for part in parts:
        label_map = label_maps.get(part.dataset)
        for name in sorted(part.boxes):
            if label_map is not None and name not in label_map:
                yield Problem("unknown_class", part.name, f"the class {name!r} of {_boxes(part.boxes[name])}")
    for (one, first), (two, second) in combinations(label_maps.items(), 2):
        for name in first.names:
            if name not in second:
                yield Problem("label_map_gap", two, f"the class {name!r} of {one} is missing from its label map")
            elif first.id(name) != second.id(name):
                ids = f"{first.id(name)} in {one} and {second.id(name)} here"
                yield Problem("class_numbers", two, f"the class {name!r} has the id {ids}")
        for name in second.names:
            if name not in first:
                yield Problem("label_map_gap", one, f"the class {name!r} of {two} is missing from its label map")
    for uri, label_map in label_maps.items():
        for name in label_map.names:
            if not together[name]:
                yield Problem("unused_class", uri, f"the class {name!r} has no boxes")


def _missing(parts: Sequence[Part], together: Counter[str]) -> Iterator[Problem]:
    filled = [part for part in parts if part.boxes]
    for part in filled:
        for name in sorted(together):
            if name not in part.boxes:
                yield Problem(
                    "missing_class",
                    part.name,
                    f"the class {name!r} has no boxes; the other parts have {together[name]:,}",
                )


def _spelling(names: Sequence[str], together: Counter[str], where: str) -> Iterator[Problem]:
    alike: dict[str, list[str]] = {}
    for name in names:
        alike.setdefault(_plain(name), []).append(name)
    for group in alike.values():
        if len(group) > 1:
            text = " and ".join(f"{name!r} ({_boxes(together[name])})" for name in group)
            yield Problem("class_spelling", where, text)
    for one, two in sorted(_typos([name for group in alike.values() for name in group[:1]])):
        text = f"{one!r} ({_boxes(together[one])}) and {two!r} ({_boxes(together[two])})"
        yield Problem("class_typo", where, text)


def _plain(name: str) -> str:
    """Returns a name without case, spaces, punctuation, and the ending of a plural."""
    letters = "".join(letter for letter in name.casefold() if letter.isalnum()) or name
    for ending, short in (("ies", "y"), ("ches", "ch"), ("shes", "sh"), ("xes", "x"), ("s", "")):
        singular = letters.removesuffix(ending) + short
        if letters.endswith(ending) and len(singular) >= _SHORTEST and not letters.endswith("ss"):
            return singular
    return letters


def _typos(names: Sequence[str]) -> set[tuple[str, str]]:
    """Returns pairs of names with one letter more, less or different, except numbered names (``lane1``, ``lane2``).

    Each name is listed under itself, and under itself without each of its letters: two names with one difference share
    an entry.
    """
    near: dict[str, list[str]] = {}
    for name in names:
        plain = _plain(name)
        if len(plain) >= _SHORTEST_TYPO:
            for shorter in {plain, *(plain[:i] + plain[i + 1 :] for i in range(len(plain)))}:
                near.setdefault(shorter, []).append(name)
    return {
        (one, two) if one < two else (two, one)
        for group in near.values()
        for one, two in combinations(group, 2)
        if _one_letter_apart(_plain(one), _plain(two))
    }


def _one_letter_apart(one: str, two: str) -> bool:
    start = next((i for i, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), min(len(one), len(two)))
    letters = one[start : start + 1] + two[start : start + 1]
    if any(letter.isdigit() for letter in letters):
        return False
    rests = (one[start:], two[start:])
    return rests[0][1:] == rests[1][1:] or rests[0][1:] == rests[1] or rests[0] == rests[1][1:]


def _imbalance(together: Counter[str], where: str) -> Iterator[Problem]:
    if len(together) < 2:
        return
    (most, highest), (least, lowest) = together.most_common()[0], together.most_common()[-1]
    if highest >= _FAR_APART * lowest:
        times = f"{highest / lowest:,.0f} times as many"
        yield Problem("imbalance", where, f"{most!r} has {_boxes(highest)}, {least!r} {lowest:,}: {times}")


def _boxes(number: int) -> str:
    return f"{number:,} {'box' if number == 1 else 'boxes'}"
