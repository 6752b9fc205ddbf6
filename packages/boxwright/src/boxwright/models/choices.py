"""What a choice of detections finds: the counts that a goal is measured by, and the score that serves it best."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from boxwright.errors import UsageError
from boxwright.label_map import LabelMap
from boxwright.matching import IN_REGION, NOTHING, find_hits
from boxwright.models.decoder import DecoderSettings, Found, choose_detections
from boxwright.models.scene import Scene
from boxwright.schemas import Detections, Sample

GOALS = ("f1", "precision", "recall", "count", "map")

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Goal:
    """What a score is chosen for.

    Attributes:
        name: ``f1``, the best mean of precision and recall; ``precision`` and ``recall``, at least ``least`` of it and
            as much as possible of the other; ``count``, the number of objects in an image; ``map``, the mean average
            precision, which no score changes.
        least: The precision or the recall that is required, 0 to 1.
    """

    name: str = "f1"
    least: float = 0.0

    @classmethod
    def parse(cls, text: str) -> Goal:
        """Returns the goal of a text such as ``precision=0.95``.

        Raises:
            UsageError: It is not a goal.
        """
        name, equals, value = text.partition("=")
        try:
            least = float(value) if equals else 0.0
        except ValueError:
            least = math.nan
        if name not in GOALS or (name in ("precision", "recall")) != bool(equals) or not 0 <= least <= 1:
            raise UsageError(f"{text!r} is not a goal", "give f1, precision=0.95, recall=0.9, count or map")
        return cls(name, least)

    def __str__(self) -> str:
        return f"{self.name}={self.least:g}" if self.name in ("precision", "recall") else self.name

    @property
    def measured(self) -> str:
        """The name of the number that is as large as possible."""
        return {"precision": "recall", "recall": "precision", "f1": "F1", "count": "count error", "map": "AP"}[
            self.name
        ]


class PredictedImage(NamedTuple):
    """The predictions in one image and what is in it, and the sample without its bytes."""

    scene: Scene
    sample: Sample

    @classmethod
    def of(cls, sample: Sample, found: Detections, label_map: LabelMap) -> PredictedImage:
        """Returns the predictions and the ground truth of an image."""
        ref = sample.image.model_copy(update={"data": None})
        return cls(Scene.of(sample, found, label_map), sample.replace(image=ref))

    def chosen(self, decoder: DecoderSettings) -> Found:
        """Returns the detections that a decoder chooses."""
        return choose_detections(self.scene.boxes, self.scene.scores, self.scene.classes, decoder)


class Table(NamedTuple):
    """The detections in all images, best first, without those in regions."""

    scores: Numbers
    hits: NDArray[np.bool_]
    classes: NDArray[np.int64]
    images: NDArray[np.int64]

    @classmethod
    def of(cls, images: Sequence[PredictedImage], decoder: DecoderSettings) -> Table:
        """Returns what a decoder chooses in all images."""
        rows = []
        for number, image in enumerate(images):
            boxes, scores, classes = image.chosen(decoder)
            scene = image.scene
            hits = find_hits(boxes, classes, scene.truth, scene.truth_classes, scene.regions)
            kept = hits != IN_REGION
            rows.append((scores[kept], hits[kept] != NOTHING, classes[kept], np.full(int(kept.sum()), number)))
        columns = [np.concatenate(column) for column in zip(*rows, strict=True)]
        order = np.argsort(-columns[0], kind="stable")
        return cls(columns[0].astype(np.float64)[order], *(column[order] for column in columns[1:]))

    def select(self, rows: NDArray[np.bool_]) -> Table:
        """The rows of a mask."""
        return Table(self.scores[rows], self.hits[rows], self.classes[rows], self.images[rows])


class Counts(NamedTuple):
    """Numbers of each image, ``(images,)``."""

    found: Numbers
    wrong: Numbers
    objects: Numbers
    error: Numbers

    @classmethod
    def of(cls, table: Table, least: Numbers, objects: NDArray[np.int64]) -> Counts:
        """Counts the detections with at least the score of their class."""
        rows = table.select(table.scores >= least[table.classes])
        images, classes = objects.shape
        found = np.bincount(rows.images[rows.hits], minlength=images)
        wrong = np.bincount(rows.images[~rows.hits], minlength=images)
        detected = np.bincount(rows.images * classes + rows.classes, minlength=images * classes)
        error = np.abs(detected.reshape(images, classes) - objects).sum(axis=1)
        return cls(*(each.astype(np.float64) for each in (found, wrong, objects.sum(axis=1), error)))

    def value(self, goal: Goal, weights: Numbers | None = None) -> Any:
        """Returns the number that the goal maximizes, of all images or with the weights ``(draws, images)``."""
        rows = np.ones((1, len(self.found))) if weights is None else weights
        found, wrong, objects = rows @ self.found, rows @ self.wrong, rows @ self.objects
        with np.errstate(invalid="ignore", divide="ignore"):
            if goal.name == "count":
                values = -(rows @ self.error) / rows.sum(axis=1)
            elif goal.name == "precision":
                values = found / objects
            elif goal.name == "recall":
                values = found / (found + wrong)
            else:
                values = 2 * found / (found + wrong + objects)
        # In all images, nothing found where there is nothing to find counts as 0; such draws count as nothing.
        return float(np.nan_to_num(values[0])) if weights is None else values


class Choice(NamedTuple):
    """Settings by class: the name of a candidate and a score."""

    names: tuple[str, ...]
    scores: Numbers


def best_score(table: Table, objects: NDArray[np.int64], goal: Goal, least: float) -> float:
    """Returns the score from which detections serve a goal best.

    Args:
        table: The detections, best first.
        objects: ``(images, classes)``.
        goal: The goal.
        least: The lowest possible score.
    """
    scores = table.scores
    if not len(scores):
        return max(least, 0.3)
    last = np.append(scores[1:] < scores[:-1], True)  # detections with the same score are kept or dropped together
    found, wrong = np.cumsum(table.hits), np.cumsum(~table.hits)
    total = objects.sum()
    precision, recall = found / (found + wrong), found / max(total, 1)
    if goal.name == "count":
        value = -np.cumsum(np.where(_rank(table, objects.shape[1]) <= objects[table.images, table.classes], -1, 1))
        if value[last].max() <= 0:  # none at all counts best
            return 1.0
    elif goal.name == "precision":
        value = np.where(precision >= goal.least, recall, precision - 2)
    elif goal.name == "recall":
        value = np.where(recall >= goal.least, precision, recall - 2)
    else:
        value = 2 * found / (found + wrong + total)
    places = np.flatnonzero(last)
    place = int(places[np.argmax(value[places])])
    below = float(scores[place + 1]) if place + 1 < len(scores) else min(least, float(scores[place]))
    above = float(scores[place])
    for digits in (2, 3, 4, 5):
        middle = round((above + below) / 2, digits)
        if below < middle <= above:
            return middle
    return above


def _rank(table: Table, classes: int) -> NDArray[np.int64]:
    """Returns the place of each detection among those of its class in its image, best first, from 1."""
    groups = table.images * classes + table.classes
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    rank = np.empty(len(groups), np.int64)
    rank[order] = np.arange(len(groups)) - np.repeat(starts, np.diff(np.append(starts, len(groups)))) + 1
    return rank
