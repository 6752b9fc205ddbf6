"""A simulated annotator: how many edits it takes to reach given labels, with and without the proposals of a model."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from boxwright.annotation.proposals import accepted_together, proposals_of
from boxwright.boxes import iou
from boxwright.models.protocols import Model
from boxwright.regions import are_regions
from boxwright.schemas import Detections, Sample

GOOD = 0.7
"""The IoU from which the simulated annotator leaves a proposal where it is."""
_SAME_OBJECT = 0.3
"""The IoU from which a proposal is moved to an object, and not deleted."""


@dataclass
class Simulation:
    """The edits of a simulated annotator.

    Accepting is not an edit. All shown proposals are accepted first, as by Shift-Space, except those whose place has a
    box then; then the boxes are corrected. A proposal without an object counts as deleted, also if rejected before.
    Accepted one by one, the best first, those after the last one with an object are left: see :attr:`one_by_one`.

    Attributes:
        images: The number of images.
        boxes: The number of boxes in the labels, which is that of edits from scratch.
        accepted: The number of proposals that need no edit.
        drawn: The number of objects without a proposal.
        moved: The number of proposals that are moved or resized.
        relabeled: The number of proposals with another class.
        deleted: The number of proposals without an object.
        rejected: The number of those that are better than another one in the image with an object.
    """

    images: int = 0
    boxes: int = 0
    accepted: int = 0
    drawn: int = 0
    moved: int = 0
    relabeled: int = 0
    deleted: int = 0
    rejected: int = 0
    _counted: tuple[str, ...] = field(default=("drawn", "moved", "relabeled", "deleted"), repr=False)

    @property
    def edits(self) -> int:
        """The number of edits with proposals."""
        return sum(getattr(self, name) for name in self._counted)

    @property
    def one_by_one(self) -> int:
        """The number of edits if proposals are accepted or rejected one by one, as long as there is one to accept."""
        return self.edits - self.deleted + self.rejected

    @property
    def saved(self) -> float:
        """The share of the edits from scratch that the proposals save; negative if they cost more."""
        return 1.0 - self.edits / self.boxes if self.boxes else 0.0

    def add(self, sample: Sample, model: Model, found: Detections) -> None:
        """Adds the edits of one image.

        Args:
            sample: The image with its labels, which the annotator reaches.
            model: The model, for the score from which proposals are shown.
            found: Its detections in the image.
        """
        objects = np.flatnonzero(~np.array(are_regions(sample.boxes), bool))
        shown = accepted_together([each for each in proposals_of(model, found) if each.likely])
        truth = sample.boxes.xyxy[objects]
        labels = [sample.boxes.labels[n] for n in objects]
        overlap = iou(np.array([each.coordinates for each in shown], float).reshape(-1, 4), truth)
        same = np.array([[each.label == label for label in labels] for each in shown], bool).reshape(overlap.shape)
        self.images += 1
        self.boxes += len(truth)
        free, paired = overlap >= _SAME_OBJECT, np.zeros(len(shown), bool)
        while free.any():  # the best pair of a proposal and an object first, those of one class before others
            row, column = np.unravel_index(np.argmax(np.where(free, overlap + 2.0 * same, -1.0)), overlap.shape)
            right, near = bool(same[row, column]), bool(overlap[row, column] >= GOOD)
            self.relabeled += not right
            self.moved += not near
            self.accepted += right and near
            free[row], free[:, column] = False, False
            paired[row] = True
        last = int(np.flatnonzero(paired).max(initial=-1))
        self.deleted += int(np.count_nonzero(~paired))
        self.rejected += int(np.count_nonzero(~paired[: last + 1]))
        self.drawn += len(truth) - int(np.count_nonzero(paired))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        names = ("images", "boxes", "accepted", *self._counted, "edits", "one_by_one")
        return {name: getattr(self, name) for name in names} | {"saved": round(self.saved, 4)}


def simulate(
    model: Model,
    pairs: Iterable[tuple[Sample, Detections]],
    advance: Callable[[], None] = lambda: None,
) -> Simulation:
    """Counts the edits of a simulated annotator.

    Args:
        model: The model.
        pairs: The images with their labels, and what the model finds in each.
        advance: Called after each image.
    """
    simulation = Simulation()
    for sample, found in pairs:
        simulation.add(sample, model, found)
        advance()
    return simulation
