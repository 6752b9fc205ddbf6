"""What to look at next: the images that a model learns most from, and suspected label errors."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from boxwright.analysis.report.outcomes import Tally
from boxwright.analysis.report.suspects import Suspect, listed, suspects_of
from boxwright.errors import BoxwrightError
from boxwright.images.decode import decode_sample
from boxwright.label_map import LabelMap
from boxwright.models.decoder import DecoderSettings
from boxwright.schemas import Coordinates, Detections, Sample

Floats = NDArray[np.float64]

_SIDE = 32
_LEVELS = 12
_SOME, _NAMED = 0.5, 3
_MOST = 2000
"""The number of images among which the most useful ones are searched, one after the other."""


class Reason(NamedTuple):
    """An image to look at, and why.

    Attributes:
        image: Its position.
        text: The reason, in a few words.
        box: Where in the image, in pixels; ``None`` for no place.
    """

    image: int
    text: str
    box: Coordinates | None = None


def expected_objects(found: Detections) -> dict[str, float]:
    """Returns the expected number of objects of each class in an image: the sum of the scores of its detections."""
    expected: dict[str, float] = {}
    for label, score in zip(found.boxes.labels, found.scores, strict=True):
        expected[label] = expected.get(label, 0.0) + score
    return expected


def expectation(found: Detections) -> str:
    """Returns what to expect in an image, in a few words: the classes of which at least about half an object is."""
    expected = sorted(expected_objects(found).items(), key=lambda each: -each[1])
    some = [f"{number:.1f} {label}" for label, number in expected if number >= _SOME][:_NAMED]
    return f"expected: {', '.join(some)}" if some else "nothing is expected"


def look(sample: Sample) -> Floats:
    """Returns the distribution of the colors of an image: ``(36,)``, 0 to 1; zeros if it cannot be read.

    They are 12 quantiles of each of red, green and blue. The Euclidean distance between the quantiles of two images is
    the Wasserstein distance of their colors, which the places of the objects do not change.
    """
    try:
        image = decode_sample(sample.replace(boxes=[]), at_least=(2 * _SIDE, 2 * _SIDE)).image
    except (BoxwrightError, OSError):
        return np.zeros(3 * _LEVELS)
    colors = np.asarray(image.convert("RGB").resize((_SIDE, _SIDE), reducing_gap=2.0), np.float64)
    levels = (np.arange(_LEVELS) + 0.5) / _LEVELS
    return np.quantile(colors.reshape(-1, 3) / 255.0, levels, axis=0).ravel()


def learning_order(
    found: Sequence[Detections], looks: Sequence[Floats], boxes: Mapping[str, int], labeled: Sequence[Floats]
) -> list[int]:
    """Returns the positions of images without labels, those that teach the most first.

    Average precision is a mean over the classes, and the next box of a class teaches the less, the more there are. So
    the labels are worth the sum over the classes of the logarithm of the number of boxes, and each next image is the
    one whose expected objects add most to that: images with rare classes come first, and those without objects last.
    Like the utility in Settles and Craven (2008), it is multiplied by how much the image differs from those with labels
    or chosen before, here only for near-duplicates: if the distance is less than the usual one, by the share of it.

    Args:
        found: The detections in each image.
        looks: The results of :func:`look` of each image.
        boxes: The number of boxes of each class in the images with labels.
        labeled: The results of :func:`look` of the images with labels.
    """
    if not found:
        return []
    objects = [expected_objects(each) for each in found]
    names = sorted({*boxes, *(name for each in objects for name in each)})
    expected = np.array([[each.get(name, 0.0) for name in names] for each in objects]).reshape(len(found), len(names))
    known = 1.0 + np.array([boxes.get(name, 0) for name in names], np.float64)
    first = np.argsort(-np.log1p(expected / known).sum(axis=1), kind="stable")
    chosen_from, rest = first[:_MOST], first[_MOST:]
    expected, rows = expected[chosen_from], np.stack([looks[n] for n in chosen_from])
    between = np.stack([np.linalg.norm(rows - row, axis=1) for row in rows]).astype(np.float32)
    np.fill_diagonal(between, np.inf)
    usual = float(np.median(between.min(axis=1)))
    distance = np.full(len(rows), np.inf)
    for other in labeled:
        distance = np.minimum(distance, np.linalg.norm(rows - other, axis=1))

    def gain(place: int) -> float:
        new = min(1.0, float(distance[place]) / usual) if 0 < usual < np.inf else 1.0
        return new * float(np.log1p(expected[place] / known).sum())

    # A gain never grows, so that only the images at the top of the heap must be computed again (Minoux 1978).
    heap = [(-gain(place), place) for place in range(len(rows))]
    heapq.heapify(heap)
    order: list[int] = []
    while heap:
        _, place = heap[0]
        now = (-gain(place), place)
        if len(heap) > 1 and now > min(heap[1:3]):
            heapq.heapreplace(heap, now)
            continue
        heapq.heappop(heap)
        order.append(int(chosen_from[place]))
        known = known + expected[place]
        distance = np.minimum(distance, between[place])
    return [*order, *map(int, rest)]


def suspected_errors(
    samples: Sequence[Sample], found: Mapping[int, Detections], label_map: LabelMap, decoder: DecoderSettings
) -> list[Reason]:
    """Returns suspected label errors with their images, the most suspicious first.

    The model must not have been trained on the images, because it would have learned their errors. Images without boxes
    are left out: they are not annotated yet. So are images with a class that the model does not have.

    Args:
        samples: All images.
        found: The detections by position.
        label_map: The classes of the model.
        decoder: How the model chooses detections.
    """
    known = set(label_map.names)
    places = [n for n in sorted(found) if samples[n].boxes and known.issuperset(samples[n].boxes.labels)]
    least = np.broadcast_to(np.array(decoder.score, np.float64), len(label_map))
    tally = Tally.of(((samples[n], found[n]) for n in places), label_map, least)
    suspects = listed(suspects_of(tally.outcomes, label_map.names))
    return [
        Reason(places[each.image], _text(each, found[places[each.image]]), each.detection or each.box)
        for each in suspects
    ]


def _text(suspect: Suspect, found: Detections) -> str:
    if suspect.kind == "missing":
        scores = zip(found.boxes.coordinates, found.scores, strict=True)
        score = next((score for box, score in scores if np.allclose(box, suspect.box)), suspect.suspicion)
        return f"{suspect.label} found with {score:.2f}, not annotated"
    if suspect.kind == "class":
        return f"annotated as {suspect.label}, found as {suspect.suggestion}"
    if suspect.kind == "place":
        return f"{suspect.label} found in another place"
    return f"{suspect.label} annotated, not found"
