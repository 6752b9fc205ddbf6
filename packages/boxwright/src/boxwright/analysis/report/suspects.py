"""Suspected label errors: where confident detections and the ground truth contradict each other.

The model must not have been trained on the images: it would have learned their errors. As in ObjectLab (Tkachenko et
al. 2023), an object may have no box, and a box may have the wrong class or place. In addition, nothing may find a box.
The suspicion of each is an estimate of the probability that the ground truth is wrong. It follows from the share of
such detections that are right elsewhere in the data.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from boxwright.analysis.report.measures import Number
from boxwright.analysis.report.outcomes import IOU, Outcome
from boxwright.boxes import iou
from boxwright.matching import NOTHING
from boxwright.models.scene import Scene
from boxwright.schemas import Boxes, Coordinates, Sample

Floats = NDArray[np.float64]

_NEAR = 0.1
"""The IoU from which a detection may be of an object whose box is in the wrong place."""
_FOUND = 0.3
"""The probability from which an object is found, so that the detections next to it are of something else."""
_SAME = 0.4
"""The IoU from which two detections without an object are the same suspect."""
_UNSEEN = 0.5
"""The probability that an object which nothing finds is an error; most are, but some are only hard to find."""
_PRIOR = 10
"""The number of detections of a score from which their results count as much as the score."""
_LISTED = 0.35


@dataclass(frozen=True)
class Suspect:
    """A suspected label error.

    Attributes:
        image: The position of the image.
        kind: ``missing`` (an object without a box), ``class``, ``place``, or ``not found`` (nothing finds the box).
        label: The class of the box; of the detection, if it has no box.
        box: The box, or the detection, in pixels.
        position: The position of the box in the ground truth; -1 without one.
        suggestion: The class of the detection that contradicts it; empty if there is none.
        detection: That detection, in pixels.
        suspicion: 0 to 1.
    """

    image: int
    kind: str
    label: str
    box: Coordinates
    position: int
    suggestion: str
    detection: Coordinates | None
    suspicion: float

    def text(self) -> str:
        """Returns what to check, in a few words."""
        if self.kind == "missing":
            return f"{self.label} without a box?"
        if self.kind == "class":
            return f"{self.label}, or {self.suggestion}?"
        return f"{self.label} in another place?" if self.kind == "place" else f"{self.label}? Nothing finds it."

    def to_dict(self, name: str) -> dict[str, Any]:
        """Plain values for JSON; ``name`` is that of the image."""
        return {
            "image": name,
            "kind": self.kind,
            "class": self.label,
            "box": [round(each, 2) for each in self.box],
            "position": self.position if self.position >= 0 else None,
            "suggestion": self.suggestion or None,
            "detection": [round(each, 2) for each in self.detection] if self.detection is not None else None,
            "suspicion": round(self.suspicion, 4),
        }


def suspects_of(outcomes: Sequence[Outcome], names: Sequence[str]) -> list[Suspect]:
    """Returns the suspected label errors, the most suspicious first.

    Args:
        outcomes: Those of all images, of a model that was not trained on them.
        names: The classes.
    """
    found: list[Suspect] = []
    start = 0
    right, right_class = _probabilities(outcomes, len(names))
    for image, outcome in enumerate(outcomes):
        own = slice(start, start + len(outcome.scene.scores))
        found += _of_image(image, outcome.scene, right[own], right_class[own], names)
        start = own.stop
    return sorted(found, key=lambda each: -each.suspicion)


def listed(suspects: Sequence[Suspect]) -> list[Suspect]:
    """Returns those that are worth a look."""
    return [each for each in suspects if each.suspicion >= _LISTED]


def suspect_samples(suspects: Sequence[Suspect], samples: Sequence[Sample]) -> list[Sample]:
    """Returns the images with suspects, whose boxes are the suspects, the most suspicious images first.

    A label is the kind and the class, such as ``missing: mug``; the attributes contain the suspicion and the class of
    the detection.
    """
    of_image: dict[int, list[Suspect]] = {}
    for each in suspects:
        of_image.setdefault(each.image, []).append(each)
    return [
        samples[image].replace(
            boxes=Boxes(
                [f"{each.kind}: {each.label}" for each in some],
                [each.detection or each.box for each in some],
                [
                    {"suspicion": round(each.suspicion, 4)}
                    | ({"suggestion": each.suggestion} if each.suggestion else {})
                    for each in some
                ],
            )
        )
        for image, some in of_image.items()
    ]


def suspect_numbers(suspects: Sequence[Suspect], samples: Sequence[Sample]) -> Iterator[Number]:
    """Yields the suspicions as rows."""
    for each in suspects:
        name = samples[each.image].image.name
        place = " ".join(f"{edge:.1f}" for edge in each.box)
        yield Number("suspect", name, f"{each.kind}: {each.label} at {place}", round(each.suspicion, 4))


def _probabilities(outcomes: Sequence[Outcome], classes: int) -> tuple[Floats, Floats]:
    """Returns the probability that each detection is right, and that its class is if it is at an object.

    They are the shares of those of its class with about its score. The shares rise with the score (isotonic regression
    by pooling adjacent violators, Ayer et al. 1955). If there are few detections, the score counts as well.
    """
    scores = np.concatenate([np.zeros(0), *(each.scene.scores for each in outcomes)])
    labels = np.concatenate([np.zeros(0, np.int64), *(each.scene.classes for each in outcomes)])
    hits = np.concatenate([np.zeros(0, np.int64), *(each.hits for each in outcomes)]) != NOTHING
    objects = np.concatenate(
        [
            np.zeros(0, bool),
            *(iou(each.scene.boxes, each.scene.truth).max(axis=1, initial=0) >= IOU for each in outcomes),
        ]
    )
    right, right_class = np.zeros(len(scores)), np.zeros(len(scores))
    for label in range(classes):
        for shares, chosen in ((right, labels == label), (right_class, (labels == label) & objects)):
            own = np.flatnonzero(chosen)
            own = own[np.argsort(-scores[own], kind="stable")]
            pooled, counts = _falling(hits[own])
            shares[own] = (pooled * counts + scores[own] * _PRIOR) / (counts + _PRIOR)
    return right, right_class


def _falling(values: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Returns the closest values that never rise, and how many were pooled for each."""
    sums: list[float] = []
    counts: list[int] = []
    for value in values.tolist():
        sums.append(float(value))
        counts.append(1)
        while len(sums) > 1 and sums[-2] * counts[-1] < sums[-1] * counts[-2]:
            last, number = sums.pop(), counts.pop()
            sums[-1] += last
            counts[-1] += number
    sizes = np.array(counts, np.int64)
    return np.repeat(np.array(sums) / np.maximum(sizes, 1), sizes), np.repeat(sizes, sizes).astype(np.float64)


def _of_image(image: int, scene: Scene, right: Floats, right_class: Floats, names: Sequence[str]) -> Iterator[Suspect]:
    overlap = iou(scene.truth, scene.boxes)
    at = overlap >= IOU
    same = scene.truth_classes[:, None] == scene.classes
    found = (right * (at & same)).max(axis=1, initial=0)
    free = np.count_nonzero(at, axis=0) == 0
    near = overlap * free >= _NEAR
    for position in np.flatnonzero(~scene.regions):
        other, beyond = right_class * (at & ~same)[position], right * (near & same)[position]
        kind, best = "not found", -1
        unseen = _UNSEEN
        if other.max(initial=0) > beyond.max(initial=0):
            kind, best, unseen = "class", int(other.argmax()), max(unseen, float(other.max()))
        elif beyond.max(initial=0) > 0:
            kind, best, unseen = "place", int(beyond.argmax()), max(unseen, float(beyond.max()))
        yield Suspect(
            image,
            kind,
            names[scene.truth_classes[position]],
            _edges(scene.truth[position]),
            int(position),
            names[scene.classes[best]] if best >= 0 else "",
            _edges(scene.boxes[best]) if best >= 0 else None,
            float((1 - found[position]) * unseen),
        )
    explained = np.count_nonzero(near & (found < _FOUND)[:, None], axis=0) > 0
    if scene.regions.any():
        explained |= np.count_nonzero(overlap * scene.regions[:, None], axis=0) > 0
    taken: list[int] = []
    for place in np.argsort(-right, kind="stable"):
        if free[place] and not explained[place]:
            if taken and iou(scene.boxes[place, None], scene.boxes[taken]).max() > _SAME:
                continue
            taken.append(int(place))
            edges = _edges(scene.boxes[place])
            label = names[scene.classes[place]]
            yield Suspect(image, "missing", label, edges, -1, label, edges, float(right[place]))


def _edges(box: Floats) -> Coordinates:
    left, top, far, bottom = box.tolist()
    return left, top, far, bottom
