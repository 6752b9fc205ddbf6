"""The numbers of COCO on resampled images.

``hotcoco.compare`` resamples as well, but counts an image that is drawn twice only once (1.3.0), so that its intervals
are about a quarter too narrow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from boxwright.models import draw_images

_AT_ONCE = 1 << 18
"""Number of weights in memory."""
_ROUNDING = np.float32(1e-4)
"""More than the rounding errors of single precision, and less than what one of a million objects adds."""

Numbers = NDArray[np.float64]


class Matches(NamedTuple):
    """What was matched in some images, in columns.

    Attributes:
        objects: The class, the image and the number of objects of each image and class, ``(N, 3)``; images are numbered
            from 1.
        detections: The class and the image of each detection, ``(D, 2)``, those of a class in an image best first.
        scores: Their scores, ``(D,)``.
        hits: Which are right at each IoU threshold, ``(thresholds, D)``.
        ignored: Which are neither right nor wrong, the same.
    """

    objects: NDArray[np.int64]
    detections: NDArray[np.int64]
    scores: Numbers
    hits: NDArray[np.bool_]
    ignored: NDArray[np.bool_]

    @classmethod
    def of(cls, found: Iterable[Mapping[str, Any] | None], thresholds: int) -> Matches:
        """Returns ``eval_imgs`` of hotcoco, for one range of areas."""
        each = [one for one in found if one is not None]
        keys = np.array([(one["category_id"], one["image_id"]) for one in each], np.int64).reshape(-1, 2)
        counts = [one["gtIgnore"].count(False) for one in each]
        scores = [one["dtScores"] for one in each]

        def table(name: str) -> NDArray[np.bool_]:
            rows = [[one[name][place] for one in each] for place in range(thresholds)]
            return np.array([np.fromiter(chain.from_iterable(row), bool) for row in rows]).reshape(thresholds, -1)

        ignored = table("dtIgnore")
        return cls(
            np.column_stack([keys, np.array(counts, np.int64)]),
            keys.repeat([len(one) for one in scores], axis=0),
            np.fromiter(chain.from_iterable(scores), np.float64),
            table("dtMatched") & ~ignored,
            ignored,
        )

    @classmethod
    def merged(cls, parts: Sequence[Matches]) -> Matches:
        """Returns the matches of all images."""
        objects, detections, scores, hits, ignored = zip(*parts, strict=True)
        joined = np.concatenate(objects), np.concatenate(detections), np.concatenate(scores)
        return cls(*joined, np.concatenate(hits, axis=1), np.concatenate(ignored, axis=1))


def numbers_of_draws(matches: Matches, images: int, draws: int) -> tuple[Numbers, Numbers]:
    """Returns the average precision and the recall of each class at each IoU threshold, in each draw.

    Args:
        matches: The matches of all images.
        images: The number of images, which are numbered from 1.
        draws: The number of draws.

    Returns:
        Two arrays ``(draws, classes, thresholds)``; ``nan`` for a class without objects in a draw.
    """
    weights = draw_images(images, draws)
    present = np.unique(matches.objects[matches.objects[:, 2] > 0, 0])
    shape = draws, max(len(present), 1), len(matches.hits)
    precision, recall = np.full(shape, np.nan), np.full(shape, np.nan)
    for place, number in enumerate(present):
        _, of_image, counts = matches.objects[matches.objects[:, 0] == number].T
        total = weights[:, of_image - 1] @ counts
        own = np.flatnonzero(matches.detections[:, 0] == number)
        own = own[np.argsort(-matches.scores[own], kind="stable")]
        precision[:, place], recall[:, place] = _of_class(
            matches.hits[:, own], matches.ignored[:, own], matches.detections[own, 1] - 1, weights, total
        )
    return precision, recall


def _of_class(
    hits: NDArray[np.bool_], ignored: NDArray[np.bool_], places: NDArray[np.int64], weights: Numbers, objects: Numbers
) -> tuple[Numbers, Numbers]:
    """Returns the average precision and the recall of one class, ``(draws, thresholds)`` each.

    Args:
        hits: Which detections are right at each threshold, best first, ``(thresholds, D)``.
        ignored: Which are ignored, the same.
        places: The image of each, ``(D,)``.
        weights: How often each image is drawn, ``(draws, images)``.
        objects: The number of objects in each draw.
    """
    most = int(np.flatnonzero(hits.any(axis=0)).max(initial=-1)) + 1  # what is after the last right one does not matter
    right = [np.flatnonzero(each) for each in hits]
    regions = [np.flatnonzero(each) for each in ignored[:, :most]]
    precision, recall = (np.full((len(weights), len(hits)), np.nan) for _ in range(2))
    step = max(1, _AT_ONCE // max(most, 1))
    for start in range(0, len(weights), step):
        rows = slice(start, start + step)
        # One row per detection: sums over them run over contiguous memory. Counts are exact in single precision.
        drawn = weights[rows].T.astype(np.float32)[places[:most]]
        count = np.where(objects[rows] > 0, objects[rows], np.nan).astype(np.float32)
        shown = np.maximum(np.cumsum(drawn, axis=0), 1)
        for number, (hit, region) in enumerate(zip(right, regions, strict=True)):
            if not len(hit):
                precision[rows, number] = recall[rows, number] = count * 0
                continue
            found, highest = np.cumsum(drawn[hit], axis=0), shown[hit]
            if len(region):  # detections in a region are neither right nor wrong
                sums = np.concatenate([np.zeros((1, drawn.shape[1]), np.float32), np.cumsum(drawn[region], axis=0)])
                highest = np.maximum(highest - sums[np.searchsorted(region, hit)], 1)
            np.divide(found, highest, out=highest)  # the precision; the next line makes it the highest from there on
            np.maximum.accumulate(highest[::-1], axis=0, out=highest[::-1])
            recall[rows, number] = found[-1] / count
            # How many recall values of 0.01 to 1.00 each right detection is the first to reach; 0.00 is reached by all.
            found *= np.float32(100) / count
            found += _ROUNDING
            np.floor(found, out=found)
            reached = np.diff(found, axis=0, prepend=np.float32(0))
            precision[rows, number] = (np.einsum("ij,ij->j", highest, reached) + highest[0]) / 101
    return precision, recall
