"""Everything that a report shows of a model and a dataset, from one pass over the images."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from boxwright.analysis.report.curves import Curve, curves_of
from boxwright.analysis.report.outcomes import SIZES, Outcome, Tally
from boxwright.datasets.dataset import Data
from boxwright.errors import MissingLibraryError, PluginError
from boxwright.models.evaluation import SCORE, Evaluation, evaluate
from boxwright.models.protocols import MetricResult, Model
from boxwright.models.run import Run
from boxwright.plugins.registry import Registry, default_registry
from boxwright.progress import Reporter
from boxwright.schemas import Detections, Sample

BACKGROUND = "background"
"""The name of what is not an object, in the confusion matrix."""
METRICS = ("coco", "f1", "count", "tide", "calibration")
"""The metrics of a report, of which those are shown that are installed."""
_OVERALL = ("AP", "AP50", "AP75", "F1", "precision", "recall", "exact")


class Number(NamedTuple):
    """One number of a report, a row of its CSV file.

    Attributes:
        section: The part of the report.
        item: The class, size or curve that it describes; empty for the whole.
        name: Its name.
        value: The number; ``None`` if it could not be measured.
        low: The lower end of its 95 % interval, if there is one.
        high: The upper end.
    """

    section: str
    item: str
    name: str
    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass
class Measures:
    """What was measured.

    Attributes:
        model: The model as it was passed.
        evaluation: The evaluation.
        results: The result of each metric, by name.
        pairs: The images and the detections in them, without the bytes of the images.
        tally: The outcomes of all images.
        curves: The curves of all classes together and of each class.
        notes: What a reader should know about the measurement.
    """

    model: str
    evaluation: Evaluation
    results: dict[str, MetricResult]
    pairs: list[tuple[Sample, Detections]]
    tally: Tally
    curves: list[Curve]
    notes: list[str] = field(default_factory=list)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the classes."""
        return self.evaluation.label_map.names

    def number(self, metric: str, name: str) -> float:
        """Returns a number over all classes; ``nan`` if the metric does not have it."""
        return self.results[metric].values.get(name, math.nan) if metric in self.results else math.nan

    def headline(self) -> list[Number]:
        """Returns the numbers over all classes, with their intervals."""
        shown = {self.evaluation.metric: self.evaluation.result} | self.results
        numbers: dict[str, Number] = {}
        for metric in (self.evaluation.metric, *METRICS[:3]):
            if metric not in shown:
                continue
            intervals = shown[metric].intervals
            for name, value in shown[metric].values.items():
                if name not in numbers and (name in _OVERALL or metric == self.evaluation.metric):
                    numbers[name] = Number("overall", "", name, value, *intervals.get(name, (None, None)))
        return list(numbers.values())

    def classes(self) -> list[dict[str, Any]]:
        """Returns a row for each class: the objects, what became of them, and the metrics."""
        metrics = [("coco", name) for name in ("AP", "AP50")] + [("f1", name) for name in ("precision", "recall", "F1")]
        rows = []
        for number, name in enumerate(self.names):
            objects = int(self.tally.objects[number])
            found, wrong = int(self.tally.found[number]), int(self.tally.false_alarms[number])
            row = {
                "class": name,
                "objects": objects,
                "found": found,
                "missed": objects - found,
                "false_alarms": wrong,
                "score": float(self.tally.least[number]),
            }
            for metric, value in metrics:
                if metric in self.results:
                    row[value] = self.results[metric].per_class.get(name, {}).get(value, math.nan)
            rows.append(row)
        return rows

    def sizes(self) -> list[dict[str, Any]]:
        """Returns a row for each of COCO's sizes."""
        rows = []
        for name, (objects, found, wrong) in zip(SIZES, self.tally.by_size.tolist(), strict=True):
            row = {"size": name, "objects": objects, "found": found, "missed": objects - found, "false_alarms": wrong}
            rows.append(row | {"AP": self.number("coco", f"AP{name}"), "AR": self.number("coco", f"AR{name}")})
        return rows

    def sentence(self) -> str:
        """Returns what a user of the chosen score sees, in one sentence."""
        least = sorted(set(np.round(self.tally.least, 4).tolist())) or [0.0]
        score = f"score of {least[0]:g}" if len(least) == 1 else f"score of {least[0]:g} to {least[-1]:g} by class"
        objects, found = int(self.tally.objects.sum()), int(self.tally.found.sum())
        wrong = int(self.tally.false_alarms.sum())
        alarms = f"{wrong:,} false alarm{'' if wrong == 1 else 's'}"
        return f"At a {score}, of {objects:,} objects {found:,} {'is' if found == 1 else 'are'} found, with {alarms}."

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "model": self.model,
            "sentence": self.sentence(),
            "overall": [each._asdict() | _finite_values(each._asdict()) for each in self.headline()],
            "metrics": {
                name: {"values": _finite_values(result.values), "notes": result.notes}
                for name, result in self.results.items()
            },
            "classes": [_finite_values(row) for row in self.classes()],
            "sizes": [_finite_values(row) for row in self.sizes()],
            "confusion": {"classes": [*self.names, BACKGROUND], "matrix": self.tally.confusion.tolist()},
            "curves": [curve.to_dict() for curve in self.curves],
            "notes": self.notes,
        }

    def numbers(self) -> Iterator[Number]:
        """Yields the same numbers as rows."""
        yield from (each._replace(**_finite_values(each._asdict())) for each in self.headline())
        for name, result in self.results.items():
            for key, value in _finite_values(result.values).items():
                yield Number(name, "", key, value)
        for section, key, rows in (("class", "class", self.classes()), ("size", "size", self.sizes())):
            for row in rows:
                for name, value in _finite_values(row).items():
                    if name != key:
                        yield Number(section, row[key], name, value)
        labels = [*self.names, BACKGROUND]
        for truth, counts in zip(labels, self.tally.confusion.tolist(), strict=True):
            for predicted, count in zip(labels, counts, strict=True):
                if count:  # the others are as many as the square of the classes
                    yield Number("confusion", truth, predicted, count)
        for curve in self.curves:
            for score, precision, recall, f1 in zip(curve.scores, curve.precision, curve.recall, curve.f1, strict=True):
                for name, value in (("precision", precision), ("recall", recall), ("F1", f1)):
                    yield Number("curve", curve.name, f"{name} at score {score:.5f}", round(float(value), 5))


def measure(
    model: str | Path | Run | Model,
    data: Data,
    *,
    reporter: Reporter | None = None,
    registry: Registry | None = None,
    observe: Callable[[Sample, Detections], None] | None = None,
    **options: Any,
) -> Measures:
    """Evaluates a model, and measures everything else on the same detections.

    Args:
        model: A run, its folder, an exported model, or a loaded one.
        data: The dataset with the ground truth.
        reporter: Receives the progress.
        registry: The plugins to use, instead of the installed ones.
        observe: Called with each image and its detections.
        options: Further arguments of :func:`boxwright.evaluate`.

    Raises:
        UsageError: As :func:`boxwright.evaluate`.
        DataError: As :func:`boxwright.evaluate`.
    """
    plugins = registry or default_registry()
    pairs: list[tuple[Sample, Detections]] = []

    def keep(sample: Sample, found: Detections) -> None:
        light = sample.image.model_copy(update={"data": None})
        pairs.append((sample.model_copy(update={"image": light}), found.model_copy(update={"image": light})))
        if observe is not None:
            observe(sample, found)

    evaluation = evaluate(model, data, reporter=reporter, registry=registry, observe=keep, **options)
    least = np.broadcast_to(np.asarray(evaluation.score, np.float64), len(evaluation.label_map))
    results = {evaluation.metric: evaluation.result}
    notes = []
    for name in METRICS:
        if name in results or name not in plugins.names("metric"):
            continue
        known = {option.name for option in plugins.get("metric", name).spec.options}
        try:
            make = plugins.resolve("metric", name)
        except (MissingLibraryError, PluginError) as error:
            notes.append(f"the metric {name} is left out: {error}")
            continue
        results[name] = make(**({SCORE: evaluation.score} if SCORE in known else {}))(pairs, evaluation.label_map)
    tally = Tally(evaluation.label_map, least)
    for sample, found in pairs:
        tally.add(Outcome.of(sample, found, evaluation.label_map, least))
    return Measures(_name_of(model), evaluation, results, pairs, tally, curves_of(tally), notes)


def _name_of(model: str | Path | Run | Model) -> str:
    if isinstance(model, str | Path):
        return os.fspath(model)
    return str(model.path) if isinstance(model, Run) else type(model).__name__


def as_csv(numbers: Iterable[Number]) -> str:
    """Returns numbers as CSV, one per line, with a header."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Number._fields)
    for each in numbers:
        writer.writerow(["" if value is None else value for value in each])
    return text.getvalue()


def _finite_values(row: Mapping[str, Any]) -> dict[str, Any]:
    """Returns values for JSON; those that could not be measured are ``None``."""
    return {
        name: (float(value) if math.isfinite(value) else None) if isinstance(value, float) else value
        for name, value in row.items()
    }
