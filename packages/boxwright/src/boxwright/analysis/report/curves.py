"""Curves of precision, recall and F1, over all classes and by class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from boxwright.analysis.report.outcomes import Tally

_POINTS = 120
"""The largest number of points of a curve."""


@dataclass(frozen=True)
class Curve:
    """Precision and recall of the detections with at least a score, from the highest score to the lowest.

    Attributes:
        name: The class; empty for all classes together.
        objects: The number of objects.
        scores: ``(N,)``, decreasing.
        precision: ``(N,)``.
        recall: ``(N,)``.
        chosen: The position of the chosen score in the others; ``None`` if no detection has such a score, or if
            classes have different ones.
        score: The chosen score; ``None`` if classes have different ones.
    """

    name: str
    objects: int
    scores: NDArray[np.float64]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    chosen: int | None
    score: float | None

    @property
    def f1(self) -> NDArray[np.float64]:
        """The harmonic mean of precision and recall, ``(N,)``."""
        both = self.precision + self.recall
        means: NDArray[np.float64] = 2 * self.precision * self.recall / np.where(both > 0, both, 1)
        return means

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        columns = {"score": self.scores, "precision": self.precision, "recall": self.recall, "F1": self.f1}
        return {
            "class": self.name or None,
            "objects": self.objects,
            "chosen_score": self.score,
            **{name: np.round(values, 5).tolist() for name, values in columns.items()},
        }


def curves_of(tally: Tally) -> list[Curve]:
    """Returns the curve of all classes together, and that of each class with objects."""
    scores, right, classes = tally.detections()
    least = tally.least
    common = float(least[0]) if len(least) and (least == least[0]).all() else None
    curves = [_curve("", scores, right, int(tally.objects.sum()), common)]
    for number, name in enumerate(tally.label_map.names):
        if tally.objects[number]:
            own = classes == number
            curves.append(_curve(name, scores[own], right[own], int(tally.objects[number]), float(least[number])))
    return [curve for curve in curves if curve.objects]


def _curve(
    name: str, scores: NDArray[np.float64], right: NDArray[np.bool_], objects: int, score: float | None
) -> Curve:
    found, shown = np.cumsum(right), np.arange(1, len(right) + 1)
    # Detections with the same score are shown together or not at all.
    places = np.flatnonzero(np.append(scores[1:] < scores[:-1], True)[: len(scores)])
    chosen = int(np.count_nonzero(scores[places] >= score)) - 1 if score is not None else -1
    if len(places) > _POINTS:
        # Points at equal distances along the recall and along the list, and the chosen one.
        steps = np.linspace(0, len(places) - 1, _POINTS // 2)
        by_recall = np.searchsorted(found[places], np.linspace(0, found[-1], _POINTS // 2))
        kept = np.unique(np.concatenate([steps.round().astype(int), by_recall, [max(chosen, 0)]]))
        chosen = int(np.searchsorted(kept, chosen)) if chosen >= 0 else -1
        places = places[kept]
    return Curve(
        name,
        objects,
        scores[places],
        found[places] / shown[places],
        found[places] / max(objects, 1),
        chosen if chosen >= 0 else None,
        score,
    )
