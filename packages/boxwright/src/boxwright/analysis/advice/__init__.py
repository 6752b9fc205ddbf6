"""Advice: what would make a model better, with evidence and the command to type, the most promising first.

:mod:`evidence` is measured once; each of the :mod:`advisers` looks at it for one problem. :mod:`learning` forecasts
what more images bring, which needs trainings.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from boxwright.analysis.advice.advisers import ADVISERS
from boxwright.analysis.advice.evidence import (
    Evidence,
    open_training_data,
    precision_on_training_images,
    training_of_model,
)
from boxwright.analysis.advice.learning import Learning
from boxwright.analysis.advice.tip import Tip
from boxwright.analysis.report import Report, evaluate_with_report
from boxwright.datasets.dataset import Data
from boxwright.errors import UsageError
from boxwright.models.evaluation import NO_BOXES
from boxwright.models.protocols import Model
from boxwright.models.run import Run
from boxwright.plugins.registry import Registry, default_registry
from boxwright.progress import LogReporter, Reporter

_FEW_IMAGES = 20


@dataclass
class Advice:
    """What would make a model better.

    Attributes:
        tips: The advice, the most promising first.
        report: The evaluation that it follows from.
        notes: What could not be looked at, and how sure the advice is.
        learning: The learning curve, if one was measured.
    """

    tips: list[Tip]
    report: Report
    notes: list[str] = field(default_factory=list)
    learning: Learning | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        evaluation = self.report.measures.evaluation.to_dict()
        points = None if self.learning is None else [point.to_dict() for point in self.learning.points]
        return {
            "model": self.report.measures.model,
            "data": evaluation["data"],
            "advice": [tip.to_dict() for tip in self.tips],
            "values": evaluation["values"],
            "learning_curve": points,
            "notes": self.notes,
        }


def advise(
    model: str | Path | Run | Model,
    data: Data,
    *,
    curve: int = 0,
    reporter: Reporter | None = None,
    registry: Registry | None = None,
    **options: Any,
) -> Advice:
    """Says what would make a model better, after looking at its detections, its training and its training data.

    Args:
        model: A run, its folder, an exported model, or a loaded one.
        data: Annotated images that it was not trained on.
        curve: The number of trainings, at least 2, on parts of the training images, for a forecast of what more images
            bring; they are kept in the folder ``curve`` of the run, and used again. 0 for none.
        reporter: Receives the progress.
        registry: The plugins to use, instead of the installed ones.
        options: Further arguments of :func:`boxwright.evaluate`.

    Raises:
        UsageError: As :func:`boxwright.evaluate`; a curve of a model without its training data, or of one training.
        DataError: As :func:`boxwright.evaluate`.
    """
    if curve < 0 or curve == 1:
        raise UsageError(f"a learning curve needs at least 2 trainings, not {curve}", "use 3, or 0 for no curve")
    plugins, reporter = registry or default_registry(), reporter or LogReporter()
    run = training_of_model(model) if isinstance(model, str | Path | Run) else None
    report = evaluate_with_report(model, data, reporter=reporter, registry=plugins, **options)
    evidence = Evidence(report, report.measures.evaluation.data or "URI", run)
    notes = list(report.measures.notes)
    training = None if run is None else open_training_data(run, plugins)
    if run is not None and training is not None:
        evidence.training_ap = precision_on_training_images(run, training, reporter=reporter, registry=plugins)
    if (look := report.likeness.trained) is not None:
        evidence.training_boxes, evidence.training_images = dict(look.classes), look.images
    else:
        notes.append("The training data was not found: nothing is compared with it.")
    if curve:
        from boxwright.analysis.advice.trainings import learning_curve

        if run is None or training is None:
            raise UsageError("a learning curve needs a run and its training data", "leave out --curve")
        evidence.learning = learning_curve(
            run, training, data, trainings=curve, reporter=reporter, registry=plugins, **options
        )
    if not report.measures.evaluation.ground_truth:
        notes.append(f"{NO_BOXES}.")
    elif report.measures.evaluation.samples < _FEW_IMAGES:
        notes.append(f"{report.measures.evaluation.samples} images are few: another set may lead to other advice.")
    tips = [tip for adviser in ADVISERS for tip in adviser(evidence) if math.isfinite(tip.gain)]
    return Advice(sorted(tips, key=lambda tip: -tip.gain), report, notes, evidence.learning)
