"""Boxes that a model proposes, computed in another thread; a person accepts or rejects them."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from boxwright.annotation.edits import is_verified
from boxwright.annotation.order import Floats, Reason, expectation, learning_order, look, suspected_errors
from boxwright.boxes import iou
from boxwright.errors import BoxwrightError, DataError
from boxwright.models.inference import load_model
from boxwright.models.protocols import Model
from boxwright.models.run import Run
from boxwright.models.tuned import decoder_of
from boxwright.plugins.registry import Registry
from boxwright.schemas import Coordinates, Detections, Sample

SAME = 0.5
"""The IoU above which a proposal is at the place of a box, so that it is not shown."""


class Proposal(NamedTuple):
    """A detection that may become a box.

    Attributes:
        label: Its class.
        coordinates: In pixels of the sample.
        score: 0 to 1.
        likely: Whether its score is at least that of its class after ``boxwright tune``, or 0.3.
    """

    label: str
    coordinates: Coordinates
    score: float
    likely: bool


class Proposals:
    """The proposals of a model for the images of a session, computed in the background.

    Args:
        model: A run or its folder, an exported model, or a model that is loaded.
        samples: The images; their boxes are not used.
        registry: The plugins.

    Attributes:
        model: The model, once it is loaded.
        problem: The error that prevents proposals; empty without one.
    """

    def __init__(self, model: str | Path | Run | Model, samples: Sequence[Sample], registry: Registry) -> None:
        self._model, self._samples, self._plugins = model, samples, registry
        self._found: list[Detections | None] = [None] * len(samples)
        self._looks: dict[int, Floats] = {}
        self._wanted: list[int] = []
        self._changed = threading.Condition()
        self._ended = False
        self.model: Model | None = None
        self.problem = ""
        self._thread = threading.Thread(target=self._work, daemon=True)

    def start(self) -> None:
        """Begins to load the model, and to look at the images."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the work after the current image."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    @property
    def done(self) -> int:
        """The number of images that the model has looked at."""
        return sum(each is not None for each in self._found)

    def known(self) -> dict[int, Detections]:
        """Returns what the model has found so far, by the position of the image."""
        return {image: found for image, found in enumerate(self._found) if found is not None}

    def wait(self, image: int, seconds: float) -> list[Proposal] | None:
        """Returns the proposals of an image, which the model looks at next; ``None`` if that takes longer.

        Args:
            image: The position of the image.
            seconds: The longest time to wait.
        """
        with self._changed:
            if self._found[image] is None and not self.problem:
                self._wanted.append(image)
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._found[image] is not None or self.problem or self._ended, seconds)
            found = self._found[image]
        return None if found is None or self.model is None else proposals_of(self.model, found)

    def to_learn(self) -> list[Reason]:
        """Returns the images without boxes that the model learns most from, the best first; see ``learning_order``."""
        known = self.known()
        done = [n for n in known if self._samples[n].boxes or is_verified(self._samples[n])]
        rest = [n for n in known if n not in set(done)]
        looks = self._looks
        boxes = Counter(label for n in done for label in self._samples[n].boxes.labels)
        order = learning_order([known[n] for n in rest], [looks[n] for n in rest], boxes, [looks[n] for n in done])
        return [Reason(rest[n], expectation(known[rest[n]])) for n in order]

    def suspects(self) -> list[Reason]:
        """Returns suspected label errors, the most suspicious first; see ``suspected_errors``."""
        if self.model is None:
            return []
        return suspected_errors(self._samples, self.known(), self.model.label_map, decoder_of(self.model))

    def _work(self) -> None:
        try:
            model = self._model
            if isinstance(model, str | Path | Run):
                model = load_model(model, registry=self._plugins)
            self.model = model
            while (image := self._next()) is not None:
                found, colors = self._look(model, self._samples[image]), look(self._samples[image])
                with self._changed:
                    self._found[image], self._looks[image] = found, colors
                    self._changed.notify_all()
        except BoxwrightError as error:
            self._fail(str(error))
        except Exception as error:  # of a framework, which must not end the annotation
            self._fail(f"{type(error).__name__}: {error}")

    def _fail(self, problem: str) -> None:
        with self._changed:
            self.problem = problem
            self._changed.notify_all()

    def _next(self) -> int | None:
        """Returns the image that was asked for last, or the next one; ``None`` at the end."""
        with self._changed:
            while not self._ended:
                while self._wanted:
                    if self._found[image := self._wanted.pop()] is None:
                        return image
                image = next((n for n, found in enumerate(self._found) if found is None), -1)
                if image >= 0:
                    return image
                self._changed.wait()
        return None

    def _look(self, model: Model, sample: Sample) -> Detections:
        try:
            (found,) = model.predict([sample], batch_size=1)
        except DataError:  # a damaged image has no proposals
            return Detections(image=sample.image)
        return found


def proposals_of(model: Model, found: Detections) -> list[Proposal]:
    """Returns detections of a model as proposals, the best first."""
    least = decoder_of(model).score
    scores = dict(zip(model.label_map.names, least, strict=True)) if isinstance(least, tuple) else {}
    rows = zip(found.boxes.labels, found.boxes.coordinates, found.scores, strict=True)
    return [Proposal(label, box, score, score >= scores.get(label, least)) for label, box, score in rows]  # type: ignore[operator]


def accepted_together(shown: Sequence[Proposal]) -> list[Proposal]:
    """Returns the proposals that become boxes if all are accepted: the best of each place, as if one by one.

    Args:
        shown: The best first.
    """
    accepted: list[Proposal] = []
    for each in shown:
        box = np.array([each.coordinates])
        if iou(box, np.array([other.coordinates for other in accepted]).reshape(-1, 4)).max(initial=0) <= SAME:
            accepted.append(each)
    return accepted
