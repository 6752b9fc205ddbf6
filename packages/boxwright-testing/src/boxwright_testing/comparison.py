"""What became of samples on their way through a format."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from boxwright import Sample
from boxwright.datasets import BOOKKEEPING, BOX_BOOKKEEPING, SUBPIXEL


def differences(
    before: Sequence[Sample],
    after: Sequence[Sample],
    *,
    tolerance: float = 0.0,
    adds: frozenset[str] = frozenset(),
) -> list[str]:
    """The differences between samples before and after a round trip, matched by the images' names, one line each.

    Where the images are stored and where the annotation came from may differ, and so may the order; attributes in
    ``adds`` (``"image.NAME"``, ``"box.NAME"``) may be there more.
    """
    found: list[str] = []
    names = [sample.image.name for sample in after]
    found += [f"{name} was returned {names.count(name)} times" for name in sorted(set(names)) if names.count(name) > 1]
    by_name = {sample.image.name: sample for sample in after}
    given = {sample.image.name for sample in before}
    found += [f"{name!r} was read but not written" for name in by_name if name not in given]
    for sample in before:
        name = sample.image.name
        other = by_name.get(name)
        if other is None:
            found.append(f"{name!r} is gone (there are: {', '.join(map(repr, sorted(by_name)))})")
            continue
        for what, one, two in (
            ("size", (sample.image.width, sample.image.height), (other.image.width, other.image.height)),
            ("split", sample.split, other.split),
            ("labels", sample.boxes.labels, other.boxes.labels),
            ("box attributes", [*map(dict, sample.boxes.attributes)], _boxes_without(other, sample, adds)),
            ("image attributes", sample.attributes, _without(other.attributes, sample.attributes, adds, "image.")),
        ):
            if one != two:
                found.append(f"{name}: {what} {one!r} became {two!r}")
        for position, (edges, others) in enumerate(
            zip(sample.boxes.coordinates, other.boxes.coordinates, strict=False), start=1
        ):
            if max(abs(a - b) for a, b in zip(edges, others, strict=True)) > tolerance:
                found.append(f"{name}, box {position}: edges {edges} became {others}")
    return found


def observed_losses(before: Sequence[Sample], after: Sequence[Sample], tolerance: float) -> Counter[str]:
    """What is missing in ``after``, in the words of :class:`boxwright.datasets.losses.LossCounter`."""
    found: Counter[str] = Counter()
    for sample, other in _pairs(before, after):
        if other is None:
            found["images without boxes" if not sample.boxes else "pictures"] += 1
            continue
        if other.split != sample.split:
            found["split"] += 1
        for name in sample.attributes:
            if name not in BOOKKEEPING and other.attributes.get(name) != sample.attributes[name]:
                found[f"image {name}"] += 1
        for attributes, others in zip(sample.boxes.attributes, other.boxes.attributes, strict=True):
            for name, value in attributes.items():
                if name not in BOX_BOOKKEEPING and others.get(name) != value:
                    found[name] += 1
        for edges, others_edges in zip(sample.boxes.coordinates, other.boxes.coordinates, strict=True):
            if max(abs(a - b) for a, b in zip(edges, others_edges, strict=True)) > tolerance:
                found[SUBPIXEL] += 1
    return found


def observed_additions(before: Sequence[Sample], after: Sequence[Sample]) -> Counter[str]:
    """Attributes that are in ``after`` and were not in ``before``, in the words of ``LossCounter``."""
    found: Counter[str] = Counter()
    for sample, other in _pairs(before, after):
        if other is not None:
            found.update(f"image {name}" for name in other.attributes if name not in sample.attributes)
            for attributes, others in zip(sample.boxes.attributes, other.boxes.attributes, strict=True):
                found.update(name for name in others if name not in attributes)
    return found


def _pairs(before: Sequence[Sample], after: Sequence[Sample]) -> list[tuple[Sample, Sample | None]]:
    by_name = {sample.image.name: sample for sample in after}
    return [(sample, by_name.get(sample.image.name)) for sample in before]


def _boxes_without(after: Sample, before: Sample, adds: frozenset[str]) -> list[dict[str, Any]]:
    if len(after.boxes) != len(before.boxes):
        return [*map(dict, after.boxes.attributes)]
    pairs = zip(after.boxes.attributes, before.boxes.attributes, strict=True)
    return [_without(other, one, adds, "box.") for other, one in pairs]


def _without(after: Mapping[str, Any], before: Mapping[str, Any], adds: frozenset[str], prefix: str) -> dict[str, Any]:
    added = {name.removeprefix(prefix) for name in adds if name.startswith(prefix)}
    ignored = {name for name in added | BOOKKEEPING | BOX_BOOKKEEPING if name not in before}
    return {name: value for name, value in after.items() if name not in ignored}
