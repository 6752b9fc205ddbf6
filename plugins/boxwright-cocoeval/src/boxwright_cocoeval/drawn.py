"""The numbers of COCO on resampled images.

``hotcoco.compare`` resamples as well, but counts an image that is drawn twice only once (1.3.0), so that its intervals
are about a quarter too narrow.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from boxwright.models import draw_images

_AT_ONCE = 1 << 20
"""Number of weights in memory."""
_ROUNDING = np.float32(1e-4)
"""More than the rounding errors of single precision, and less than what one of a million objects adds."""

Numbers = NDArray[np.float64]


def numbers_of_draws(
    matches: Iterable[Mapping[str, Any] | None], images: int, draws: int, thresholds: int
) -> tuple[Numbers, Numbers]:
    """Returns the average precision and the recall of each class at each IoU threshold, in each draw.

    Args:
        matches: The matches of each image and class, ``eval_imgs`` of hotcoco, for one range of areas.
        images: The number of images, which are numbered from 1.
        draws: The number of draws.
        thresholds: The number of IoU thresholds.

    Returns:
        Two arrays ``(draws, classes, thresholds)``; ``nan`` for a class without objects in a draw.
    """
    of_class: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
    objects: dict[int, Numbers] = {}
    for each in matches:
        if each is None:
            continue
        number = each["category_id"]
        count = int(np.count_nonzero(np.asarray(each["gtIgnore"]) == 0))
        objects.setdefault(number, np.zeros(images))[each["image_id"] - 1] += count
        scores = np.asarray(each["dtScores"], np.float64)
        if len(scores):
            ignored = np.asarray(each["dtIgnore"], bool).reshape(thresholds, len(scores))
            hits = (np.asarray(each["dtMatches"]).reshape(thresholds, len(scores)) > 0) & ~ignored
            of_class[number].append((scores, hits, ignored, np.full(len(scores), each["image_id"] - 1)))
    weights = draw_images(images, draws)
    present = [number for number in sorted(objects) if objects[number].any()]
    precision, recall = (np.full((draws, max(len(present), 1), thresholds), np.nan) for _ in range(2))
    for place, number in enumerate(present):
        total = weights @ objects[number]
        if number not in of_class:
            precision[:, place] = recall[:, place] = np.where(total[:, None] > 0, 0.0, np.nan)
            continue
        scores, hits, ignored, places = (
            np.concatenate(column, axis=-1) for column in zip(*of_class[number], strict=True)
        )
        order = np.argsort(-scores, kind="stable")
        precision[:, place], recall[:, place] = _of_class(
            hits[:, order], ignored[:, order], places[order], weights, total
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
        shown = np.cumsum(drawn, axis=0)
        for number, (hit, region) in enumerate(zip(right, regions, strict=True)):
            if not len(hit):
                precision[rows, number] = recall[rows, number] = count * 0
                continue
            found = np.cumsum(drawn[hit], axis=0)
            all_shown = shown[hit]
            if len(region):  # detections in a region are neither right nor wrong
                sums = np.concatenate([np.zeros((1, drawn.shape[1]), np.float32), np.cumsum(drawn[region], axis=0)])
                all_shown -= sums[np.searchsorted(region, hit)]
            ratio = found / np.maximum(all_shown, 1)
            highest = np.maximum.accumulate(ratio[::-1], axis=0)[::-1]
            # The number of the 101 recall values that each right detection is the first to reach.
            reached = np.floor(found * (np.float32(100) / count) + _ROUNDING) + (found > 0)
            reached[1:] -= reached[:-1].copy()
            precision[rows, number] = np.einsum("ij,ij->j", highest, reached) / 101
            recall[rows, number] = found[-1] / count
    return precision, recall
