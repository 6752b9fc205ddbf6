"""What all advisers look at: one evaluation, the training, and how well the model does on its own training images."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from boxwright.analysis.advice.learning import Learning
from boxwright.analysis.report import Report
from boxwright.analysis.report.outcomes import Outcome
from boxwright.analysis.report.suspects import Suspect, suspects_of
from boxwright.datasets.dataset import Dataset
from boxwright.datasets.memory import from_samples
from boxwright.errors import BoxwrightError
from boxwright.models.evaluation import evaluate, without_draws
from boxwright.models.inference import load_model
from boxwright.models.run import STATE, Run
from boxwright.models.tuning import training_data
from boxwright.plugins.registry import Registry
from boxwright.progress import Reporter

_METRIC = "coco"
_CHECKED = 60
"""The largest number of training images that are predicted."""


@dataclass
class Evidence:
    """The measurements that advice follows from.

    Attributes:
        report: The evaluation.
        data: The URI of the evaluated dataset.
        run: The training; ``None`` for a model of which no training is known.
        training_ap: Average precision on some of the training images; ``nan`` if they are not there any more.
        training_boxes: The number of training boxes by class; empty if they are not known.
        training_images: The number of training images.
        learning: The learning curve, if one was asked for.
    """

    report: Report
    data: str
    run: Run | None = None
    training_ap: float = math.nan
    training_boxes: Mapping[str, int] = field(default_factory=dict)
    training_images: int = 0
    learning: Learning | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The classes."""
        return self.report.measures.names

    @property
    def average_precision(self) -> float:
        """Average precision on the evaluated images."""
        return self.report.measures.number(_METRIC, "AP")

    @property
    def gap(self) -> float:
        """By how much average precision is higher on training images; ``nan`` if that is not known."""
        return self.training_ap - self.average_precision

    def precision_of(self, name: str) -> float:
        """Average precision of a class; ``nan`` without objects."""
        results = self.report.measures.results
        return results[_METRIC].per_class.get(name, {}).get("AP", math.nan) if _METRIC in results else math.nan

    @property
    def measured(self) -> dict[str, float]:
        """Average precision of the classes that have objects."""
        values = {name: self.precision_of(name) for name in self.names}
        return {name: value for name, value in values.items() if math.isfinite(value)}

    @property
    def outcomes(self) -> list[Outcome]:
        """The outcomes of all images."""
        return self.report.measures.tally.outcomes

    @cached_property
    def suspects(self) -> list[Suspect]:
        """Suspected label errors."""
        return suspects_of(self.outcomes, self.names)

    @property
    def input_size(self) -> tuple[int, int] | None:
        """The width and height of the network's input; ``None`` if the run does not say them."""
        if self.run is None:
            return None
        config = self.run.config
        recipe = config.get("recipe") or {}
        if "width" in recipe and "height" in recipe:
            return int(recipe["width"]), int(recipe["height"])
        size = config.get("image_size")
        return (int(size[0]), int(size[1])) if size else None

    def sizes_in_input(self) -> NDArray[np.float64]:
        """Returns the side of each object in the pixels of the network's input, as the square root of its area."""
        found = [np.zeros(0)]
        for (sample, _), outcome in zip(self.report.measures.pairs, self.outcomes, strict=True):
            boxes = outcome.scene.truth[~outcome.scene.regions]
            scale = (1.0, 1.0)
            if self.input_size:
                scale = (self.input_size[0] / sample.image.width, self.input_size[1] / sample.image.height)
            found.append(np.sqrt((boxes[:, 2:] - boxes[:, :2]).prod(axis=1) * scale[0] * scale[1]))
        return np.concatenate(found)

    def are_found(self) -> NDArray[np.bool_]:
        """Returns whether each object is found with the right class, in the order of :meth:`sizes_in_input`."""
        found = [np.zeros(0, bool)]
        for outcome in self.outcomes:
            cells = outcome.cells
            hit = np.zeros(len(outcome.scene.truth), bool)
            hit[cells.objects[cells.right & (cells.objects >= 0)]] = True
            found.append(hit[~outcome.scene.regions])
        return np.concatenate(found)


def training_of_model(model: str | Path | Run) -> Run | None:
    """Returns the run of a model; ``None`` for an export."""
    if isinstance(model, Run):
        return model
    return Run(model) if (Path(model) / STATE).is_file() else None


def precision_on_training_images(run: Run, training: Dataset, *, reporter: Reporter, registry: Registry) -> float:
    """Returns average precision on some of the training images, evenly spread; ``nan`` if they cannot be read."""
    total = training.info.num_samples or 0
    step = max(1, math.ceil(total / _CHECKED))
    try:
        some = [sample for number, sample in enumerate(training) if number % step == 0][:_CHECKED]
        # A loaded model, so that the run folder does not keep it as an evaluation.
        loaded = load_model(run, registry=registry)
        result = evaluate(
            loaded,
            from_samples(some, label_map=run.label_map, registry=registry),
            metric=_METRIC,
            metric_options=without_draws(_METRIC, registry),
            reporter=reporter,
            registry=registry,
        )
    except BoxwrightError:  # the images were moved; the advice does without them
        return math.nan
    return float(result.values["AP"])


def open_training_data(run: Run, registry: Registry) -> Dataset | None:
    """Returns the training images; ``None`` if they are not there any more."""
    return training_data(run.path, registry)
