"""Parity: whether an artifact detects what its run detects, by limits for each precision."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from boxwright.boxes import area, iou
from boxwright.datasets.dataset import Dataset
from boxwright.errors import RunError
from boxwright.models.difference import Difference
from boxwright.models.inference import predicted_pairs
from boxwright.models.protocols import Metric, MetricResult, Model
from boxwright.schemas import Detections, Sample

SURE = 0.3
"""Detections of the run with at least this score are compared."""
_FEWEST = 20
"""If fewer detections have that score, this many of the best ones are compared."""
_SAME_BOX = 0.9
_SHIFTED_BOX = 0.5
_UNIT = 640
"""Offsets are in pixels of images of at most this size; a larger image is measured as if it was reduced to it."""
_BATCH = 32
SIZES = {"small": 32.0**2, "medium": 96.0**2, "large": float("inf")}
"""COCO's limits of the areas, in square pixels."""


@dataclass(frozen=True)
class Limits:
    """How far an artifact may be from its run.

    Attributes:
        matched: The smallest share of detections with a partner, 0..1.
        score: The largest difference between the scores of partners, 0..1.
        offset: The largest offset, in pixels, that all boxes have in common.
        ap: The largest difference of the AP, in points (hundredths).
    """

    matched: float
    score: float
    offset: float
    ap: float


EXACT = Limits(0.995, 0.001, 0.25, 0.1)
LIMITS: Mapping[str, Limits] = {
    "fp16": Limits(0.95, 0.02, 0.5, 0.2),
    "bf16": Limits(0.9, 0.05, 0.5, 0.2),
    "dynamic": Limits(0.8, 0.15, 1.0, 2.0),
    "int8": Limits(0.8, 0.15, 1.0, 2.0),
}
"""The limits by precision; those of every other precision are ``EXACT``."""


class Pair(NamedTuple):
    """An image with the detections of the run and of the artifact."""

    sample: Sample
    expected: Detections
    found: Detections


@dataclass
class Group:
    """Detections of one class or size.

    Attributes:
        compared: Of the run.
        missing: Of these, those that the artifact does not have.
        rescored: Of these, those that the artifact has with another score.
        added: Detections that only the artifact has.
    """

    compared: int = 0
    missing: int = 0
    rescored: int = 0
    added: int = 0

    def count(self, compared: int = 0, missing: int = 0, rescored: int = 0, added: int = 0) -> None:
        """Adds to the numbers."""
        self.compared += compared
        self.missing += missing
        self.rescored += rescored
        self.added += added

    @property
    def matched(self) -> int:
        """The detections with a partner."""
        return self.compared - self.missing - self.rescored

    @property
    def differs(self) -> bool:
        """Whether any detection has no partner."""
        return bool(self.missing or self.rescored or self.added)

    def describe(self) -> str:
        """Returns ``3 of 20 missing, 1 added``."""
        parts = [
            f"{self.missing} of {self.compared} missing" if self.missing else "",
            f"{self.rescored} of {self.compared} with another score" if self.rescored else "",
            f"{self.added} added" if self.added else "",
        ]
        return ", ".join(filter(None, parts)) or f"all {self.compared} the same"


@dataclass
class Parity:
    """The comparison of an artifact with its run.

    Attributes:
        limits: The limits that apply.
        images: The number of images.
        total: All detections.
        classes: The detections by class name.
        sizes: The detections by ``small``, ``medium`` and ``large``.
        largest_difference: The largest difference between the scores of the same box, 0..1.
        offset: The offset ``(x, y)`` that all boxes have in common, in pixels.
        ap: The AP of the run and of the artifact, 0..1, if it was measured.
        failure: The error, if the artifact cannot be run.
        cause: The likely cause of the differences.
        unchecked: The part of the artifact that was not compared, and why.
    """

    limits: Limits = EXACT
    images: int = 0
    total: Group = field(default_factory=Group)
    classes: dict[str, Group] = field(default_factory=dict)
    sizes: dict[str, Group] = field(default_factory=dict)
    largest_difference: float = 0.0
    offset: tuple[float, float] = (0.0, 0.0)
    ap: tuple[float, float] | None = None
    failure: str = ""
    cause: str = ""
    unchecked: str = ""

    @property
    def matched(self) -> float:
        """The share of all detections, of the run and of the artifact, with a partner, 0..1."""
        everything = self.total.compared + self.total.added
        return self.total.matched / everything if everything else 1.0

    @property
    def differs_little(self) -> bool:
        """Whether single detections are within the limits, whatever the AP is."""
        return self.matched >= self.limits.matched and max(map(abs, self.offset)) <= self.limits.offset

    @property
    def problems(self) -> list[str]:
        """The limits that are exceeded."""
        if self.failure:
            return [self.failure]
        limits, found = self.limits, []
        # Reduced precision changes single detections; if the AP is known, it decides.
        if self.matched < limits.matched and (self.ap is None or limits.matched >= EXACT.matched):
            found.append(
                f"{self.matched:.1%} of the detections are the same (at least {limits.matched:.1%}):"
                f" {self.total.describe()}"
            )
        if max(map(abs, self.offset)) > limits.offset:
            found.append(f"boxes are shifted by {self.offset[0]:.2f}, {self.offset[1]:.2f} pixels")
        if self.ap is not None and abs(self.ap[1] - self.ap[0]) * 100 > limits.ap:
            found.append(f"AP is {self.ap[1]:.4f}, not {self.ap[0]:.4f} (at most {limits.ap} points apart)")
        return found

    def describe(self) -> str:
        """Returns the problems, what differs by class and size, and the likely cause, one per line."""
        lines = [*self.problems]
        for groups in (self.classes, self.sizes):
            lines += [f"  {name}: {group.describe()}" for name, group in groups.items() if group.differs]
        return "\n".join([*lines, f"likely cause: {self.cause}"] if self.cause else lines)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "passed": not self.problems,
            "pictures": self.images,
            "detections": self.total.compared,
            "found_again": self.total.compared - self.total.missing,
            "matched": round(self.matched, 6),
            "largest_score_difference": round(self.largest_difference, 6),
            "offset": [round(value, 4) for value in self.offset],
            "ap": None if self.ap is None else {"run": self.ap[0], "artifact": self.ap[1]},
            "classes": {name: vars(group) for name, group in self.classes.items()},
            "sizes": {name: vars(group) for name, group in self.sizes.items()},
            "problems": self.problems,
            "cause": self.cause,
            "unchecked": self.unchecked,
        }


def paired(run: Model, artifact: Model, data: Dataset) -> Iterator[Pair]:
    """Yields the images of a dataset with the detections of both models.

    Raises:
        RunError: The artifact cannot be run, or its detections are invalid.
    """
    expectations = predicted_pairs(run, data)
    while batch := list(islice(expectations, _BATCH)):
        samples = [sample for sample, _ in batch]
        for (sample, expected), found in zip(batch, predictions(artifact, samples), strict=True):
            yield Pair(sample, expected, found)


def predictions(artifact: Model, samples: Sequence[Sample]) -> list[Detections]:
    """Returns the detections of an artifact.

    Raises:
        RunError: It cannot be run, or its detections are invalid.
    """
    try:
        return list(artifact.predict(samples))
    except ValueError as error:  # of Detections
        raise RunError(f"the detections of the exported model are invalid: {error}") from error


def compare(pairs: Sequence[Pair], limits: Limits) -> Parity:
    """Compares the detections of an artifact with those of its run."""
    parity = Parity(limits, len(pairs))
    sure = lowest_score(pair.expected for pair in pairs)
    offsets: list[NDArray[np.float64]] = []
    for pair in pairs:
        unit = max(1.0, max(pair.sample.image.width, pair.sample.image.height) / _UNIT)
        matches, missing, added = match(pair.expected, pair.found, sure, limits)
        for first, second in matches:
            difference = abs(pair.expected.scores[first] - pair.found.scores[second])
            parity.largest_difference = max(parity.largest_difference, difference)
            _count(parity, pair.expected, first, compared=1, rescored=int(difference > limits.score))
        for first in missing:
            _count(parity, pair.expected, first, compared=1, missing=1)
        for second in added:
            _count(parity, pair.found, second, added=1)
        for first, second in match(pair.expected, pair.found, sure, limits, _SHIFTED_BOX)[0]:
            offsets.append((pair.found.boxes.xyxy[second] - pair.expected.boxes.xyxy[first]) / unit)
    if offsets:
        x1, y1, x2, y2 = np.median(offsets, axis=0)
        parity.offset = (_common(x1, x2), _common(y1, y2))
    return parity


def lowest_score(detections: Iterable[Detections]) -> float:
    """Returns the score from which detections are compared: :data:`SURE`, or less if only few have it."""
    scores = sorted((score for found in detections for score in found.scores), reverse=True)
    return min(SURE, scores[min(_FEWEST, len(scores)) - 1]) if scores else SURE


def match(
    expected: Detections, found: Detections, sure: float, limits: Limits, least_iou: float = _SAME_BOX
) -> tuple[list[tuple[int, int]], list[int], list[int]]:
    """Matches detections one to one: of the same class and box, those with the nearest score.

    Returns:
        The pairs, as positions; the positions of the run's detections of at least the score ``sure`` without a partner;
        and those of the artifact's.
    """
    near = np.zeros((len(expected.boxes), len(found.boxes)), bool)
    apart = np.zeros(near.shape)
    if near.size:
        labels = np.asarray(expected.boxes.labels, object)[:, None] == np.asarray(found.boxes.labels, object)
        ones, others = expected.boxes.xyxy, found.boxes.xyxy
        close = np.abs(ones[:, None] - others).max(axis=2) <= 2 * limits.offset
        near = labels & (close | (iou(ones, others) >= least_iou))
        apart = np.abs(np.asarray(expected.scores)[:, None] - np.asarray(found.scores))
    matches: list[tuple[int, int]] = []
    count = sum(score >= sure for score in expected.scores)
    missing = []
    for first in range(count):
        places = np.flatnonzero(near[first])
        if len(places):
            best = int(places[apart[first, places].argmin()])
            matches.append((first, best))
            near[:, best] = False
        else:
            missing.append(first)
    added = []
    free = set(range(len(found.boxes))) - {second for _, second in matches}
    for second in sorted(free):
        places = count + np.flatnonzero(near[count:, second])
        if len(places):
            near[places[apart[places, second].argmin()]] = False
        elif found.scores[second] >= sure + limits.score:
            added.append(second)
    return matches, missing, added


def average_precision(pairs: Sequence[Pair], run: Model, measure: Metric) -> tuple[float, float] | None:
    """Returns the AP of the run and of the artifact, 0..1; ``None`` without ground truth that can be detected."""
    if not any(pair.sample.boxes for pair in pairs):
        return None
    one, other = _measured(pairs, run, measure)
    values = float(one.values[one.main]), float(other.values[other.main])
    return values if all(map(math.isfinite, values)) else None


def difference_of_ap(pairs: Sequence[Pair], run: Model, measure: Metric) -> Difference | None:
    """Returns the difference of the AP with its interval; ``None`` of a metric without one."""
    results = _measured(pairs, run, measure)
    return Difference.between(*results, len(pairs)) if all(each.main in each.drawn for each in results) else None


def _measured(pairs: Sequence[Pair], run: Model, measure: Metric) -> tuple[MetricResult, MetricResult]:
    one = measure([(pair.sample, pair.expected) for pair in pairs], run.label_map)
    return one, measure([(pair.sample, pair.found) for pair in pairs], run.label_map)


def _common(one: float, other: float) -> float:
    """Returns the shift of two opposite edges: 0 if they move in opposite directions."""
    return 0.0 if one * other <= 0 else float(min(one, other, key=abs))


def _count(parity: Parity, detections: Detections, position: int, **numbers: int) -> None:
    pixels = float(area(detections.boxes.xyxy[position]))
    size = next(name for name, limit in SIZES.items() if pixels < limit)
    label = detections.boxes.labels[position]
    for group in (parity.total, parity.classes.setdefault(label, Group()), parity.sizes.setdefault(size, Group())):
        group.count(**numbers)
