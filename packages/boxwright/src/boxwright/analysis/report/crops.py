"""Cuttings of images around suspected label errors, with the box and the detection as lines on top."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from boxwright.analysis.report.gallery import encoded
from boxwright.analysis.report.suspects import Suspect
from boxwright.errors import DataError
from boxwright.images.decode import decode_sample
from boxwright.schemas import Boxes, Sample

MOST = 60
"""The largest number of suspects on a page."""
_BUDGET = 3_000
_MARGIN = 0.6
"""The space around the boxes, as a share of their longer side."""
_LEAST = 32


@dataclass(frozen=True)
class Crop:
    """A suspect on the page.

    Attributes:
        name: The image's name.
        text: What to check.
        suspicion: 0 to 1.
        image: Encoded.
        size: The width and the height of the cutting, in pixels.
        box: The annotated box as an SVG path; empty without one.
        detection: The detection, the same.
    """

    name: str
    text: str
    suspicion: float
    image: bytes
    size: tuple[int, int]
    box: str
    detection: str


def crops_of(
    suspects: Sequence[Suspect],
    samples: Sequence[Sample],
    read: Callable[[Collection[int]], Iterable[tuple[int, Sample]]],
) -> list[Crop]:
    """Returns the first suspects for a page; those whose image cannot be read are left out.

    Args:
        suspects: The most suspicious first.
        samples: All images.
        read: Yields the samples at some positions with these, for images that are not files.
    """
    places = {each: place for place, each in enumerate(suspects[:MOST])}
    of_image: dict[int, list[Suspect]] = {}
    for each in places:
        of_image.setdefault(each.image, []).append(each)
    files = {each.image: samples[each.image] for each in places if samples[each.image].image.location}
    elsewhere = {each.image for each in places if each.image not in files}
    crops: dict[int, Crop] = {}
    for position, sample in chain(files.items(), read(elsewhere) if elsewhere else ()):
        for each, crop in _of_image(sample, of_image[position]):
            crops[places[each]] = crop
    return [crops[place] for place in sorted(crops)]


def _of_image(sample: Sample, suspects: Sequence[Suspect]) -> Iterable[tuple[Suspect, Crop]]:
    """Returns the cuttings of one image, which is decoded once."""
    pairs = [(each, edges) for each in suspects for edges in (each.box, each.detection or each.box)]
    try:
        decoded = decode_sample(sample.replace(boxes=Boxes(["-"] * len(pairs), [edges for _, edges in pairs])))
    except DataError:  # it was read a moment ago
        return
    width, height = decoded.image.size
    for number, each in enumerate(suspects):
        both = decoded.boxes.xyxy[2 * number : 2 * number + 2]
        low, high = both[:, :2].min(axis=0), both[:, 2:].max(axis=0)
        space = max(float((high - low).max()) * _MARGIN, _LEAST / 2)
        left, top = np.floor(np.clip(low - space, 0, [width - 1, height - 1])).astype(int).tolist()
        right, bottom = np.ceil(np.clip(high + space, [left + 1, top + 1], [width, height])).astype(int).tolist()
        paths = ["M{:.0f} {:.0f}H{:.0f}V{:.0f}H{:.0f}z".format(*_local(row, left, top)) for row in both.tolist()]
        yield (
            each,
            Crop(
                sample.image.name,
                each.text(),
                each.suspicion,
                encoded(decoded.image.crop((left, top, right, bottom)), _BUDGET),
                (right - left, bottom - top),
                paths[0] if each.position >= 0 else "",
                paths[1] if each.detection is not None else "",
            ),
        )


def _local(edges: Sequence[float], left: int, top: int) -> tuple[float, float, float, float, float]:
    return edges[0] - left, edges[1] - top, edges[2] - left, edges[3] - top, edges[0] - left
