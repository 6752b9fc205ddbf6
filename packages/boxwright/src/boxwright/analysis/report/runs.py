"""A comparison of the models in a folder, evaluated on the same images, as a page and as data."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boxwright.analysis.report.files import ReportFiles
from boxwright.analysis.report.measures import Measures, Number, as_csv, measure
from boxwright.analysis.report.page import number
from boxwright.datasets.dataset import Data, open_dataset
from boxwright.errors import BoxwrightError, RunError
from boxwright.models.difference import Difference
from boxwright.models.evaluation import METRIC
from boxwright.models.manifest import RECORD
from boxwright.models.run import STATE
from boxwright.plugins.options import convert_options
from boxwright.plugins.registry import Registry, default_registry
from boxwright.progress import LogReporter, Reporter
from boxwright.render.lines import MOST_LINES, Axis, Line, line_chart
from boxwright.render.pages import Card, rendered

if TYPE_CHECKING:
    from markupsafe import Markup

_COLUMNS = ("AP", "AP50", "AP75", "F1", "precision", "recall", "exact")
_WIDTH, _ROW, _LABEL, _TEXT = 560, 26, 160, 175


@dataclass
class Compared:
    """Models that were measured on the same images, the best first.

    Attributes:
        folder: The folder that contains them.
        models: What was measured of each.
        differences: The difference of each other model to the best one; ``None`` if it cannot be measured.
        notes: Models that could not be evaluated, and why.
    """

    folder: str
    models: list[Measures]
    differences: list[Difference | None]
    notes: list[str] = field(default_factory=list)

    def name(self, place: int) -> str:
        """Returns the name of a model in the folder."""
        return Path(self.models[place].model).name

    def value(self, place: int, name: str) -> Number:
        """Returns a number of a model; ``nan`` if it was not measured."""
        found = (each for each in self.models[place].headline() if each.name == name)
        return next(found, Number("overall", "", name, math.nan))

    def sentences(self) -> list[str]:
        """Returns how the other models differ from the best one, if the images are enough to tell."""
        sentences = []
        for place, difference in enumerate(self.differences, start=1):
            if difference is None:
                continue
            pair = f"{self.name(place)} and {self.name(0)}"
            low, high = difference.interval
            numbers = f"{difference.name} {difference.value:+.3f} ({low:+.3f} to {high:+.3f})"
            if difference.is_clear:
                sentences.append(f"{pair}: clearly different, {numbers}.")
            elif difference.enough is None:
                sentences.append(f"{pair}: equal on these images.")
            else:
                sentences.append(
                    f"{pair}: {difference.images:,} images are too few to tell them apart, {numbers}; about"
                    f" {difference.enough:,} images would show such a difference."
                )
        return sentences

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "folder": self.folder,
            "models": [
                {"model": each.model, **each.evaluation.to_dict(), "details": each.to_dict()} for each in self.models
            ],
            "differences": [None if each is None else each.to_dict() for each in self.differences],
            "notes": self.notes,
        }

    def to_csv(self) -> str:
        """The same numbers as CSV, one per line."""
        return as_csv(
            each._replace(section=f"{self.name(place)}: {each.section}")
            for place, measures in enumerate(self.models)
            for each in measures.numbers()
        )

    def page(self) -> str:
        """Returns the page as HTML text."""
        main = self.models[0].evaluation.result.main
        columns = [
            main,
            *(name for name in _COLUMNS if name != main and self.value(0, name).value == self.value(0, name).value),
        ]
        places = range(len(self.models))
        classes = sorted({row["class"] for each in self.models for row in each.classes()})
        return rendered(
            "runs.html.jinja",
            title=f"{self.folder} on {self.models[0].evaluation.data}",
            sections={"numbers": "Numbers", "curves": "Curves", "classes": "Classes and sizes"},
            notes=[
                f"{self.models[0].evaluation.samples:,} images, {len(self.models)} models, the best first",
                *self.notes,
            ],
            columns=columns,
            rows=[
                (self.name(place), self.models[place].sentence(), [self.value(place, name) for name in columns])
                for place in places
            ],
            sentences=self.sentences(),
            number=number,
            charts=[Card(f"{main}, with its 95 % interval", self._intervals(main)), *self._curves()],
            names=[self.name(place) for place in places],
            classes=[(name, [_of_class(each, name) for each in self.models]) for name in classes],
            sizes=[
                (row["size"], [each.sizes()[place]["AP"] for each in self.models])
                for place, row in enumerate(self.models[0].sizes())
            ],
        )

    def _intervals(self, name: str) -> Markup:
        values = [self.value(place, name) for place in range(len(self.models))]
        ends = [end for each in values for end in (each.value, each.low, each.high) if end is not None and end == end]
        low, high = min(ends, default=0.0), max(ends, default=1.0)
        space = (high - low) * 0.05 or 0.05
        low, high = low - space, high + space

        def x_of(value: float | None) -> float:
            share = ((value or 0.0) - low) / (high - low)
            return round(_LABEL + share * (_WIDTH - _LABEL - _TEXT), 1)

        rows = []
        for place, each in enumerate(values):
            known = each.low is not None and each.high is not None and each.low == each.low
            rows.append(
                {
                    "label": self.name(place),
                    "middle": (place + 0.5) * _ROW,
                    "dot": x_of(each.value) if each.value == each.value else None,
                    "ends": (x_of(each.low), x_of(each.high)) if known else None,
                    "text": number(each.value) + (f" ({each.low:.3f} to {each.high:.3f})" if known else ""),
                }
            )
        return rendered(
            "intervals.svg.jinja",
            width=_WIDTH,
            height=_ROW * len(values),
            left=_LABEL,
            right=_WIDTH - _TEXT,
            rows=rows,
            description=f"{name} of each model with its interval",
        )

    def _curves(self) -> Iterator[Card]:
        some = [
            (self.name(place), each.curves[0]) for place, each in enumerate(self.models[:MOST_LINES]) if each.curves
        ]
        if not some:
            return
        remarks = [f"The best {MOST_LINES} models."] if len(self.models) > MOST_LINES else []
        marks = [[curve.chosen] if curve.chosen is not None else [] for _, curve in some]
        recall = [
            Line(name, curve.recall.tolist(), curve.precision.tolist(), mark)
            for (name, curve), mark in zip(some, marks, strict=True)
        ]
        score = [
            Line(name, curve.scores.tolist(), curve.f1.tolist(), mark)
            for (name, curve), mark in zip(some, marks, strict=True)
        ]
        yield Card(
            "Precision and recall",
            line_chart(recall, Axis("recall", 0, 1), Axis("precision", 0, 1), "precision over recall of each model"),
            ["All classes together, at an IoU of 0.5. A dot is the chosen score.", *remarks],
        )
        yield Card(
            "F1 over the score",
            line_chart(
                score, Axis("lowest score that counts", 0, 1), Axis("F1", 0, 1), "F1 over the score of each model"
            ),
            remarks,
        )


def models_in(folder: str | os.PathLike[str]) -> list[Path]:
    """Returns the runs and the exports in a folder, by name; none if the folder itself is a model, or contains none."""
    place = Path(folder)
    if not place.is_dir() or _is_model(place):
        return []
    return sorted(each for each in place.iterdir() if each.is_dir() and _is_model(each))


def compare_with_report(
    folder: str | os.PathLike[str],
    data: Data,
    report: str | os.PathLike[str] | None = None,
    *,
    table: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    reporter: Reporter | None = None,
    registry: Registry | None = None,
    **options: Any,
) -> Compared:
    """Evaluates all models in a folder on the same images, and compares them on a page.

    Args:
        folder: A folder of runs and exported models.
        data: The dataset with the ground truth.
        report: The page, ``.html``; ``None`` for none.
        table: A file for the same numbers as CSV; ``None`` for none.
        overwrite: Whether to replace existing files.
        reporter: Receives the progress, and a warning for each model that cannot be evaluated.
        registry: The plugins to use, instead of the installed ones.
        options: Further arguments of :func:`boxwright.evaluate`.

    Raises:
        RunError: The folder contains no models, or none of them can be evaluated.
        UsageError: ``report`` does not end in ``.html``, ``table`` is the same file, or an option of the metric is
            wrong.
        DataError: The data cannot be opened.
        PluginError: The metric is not installed.
        OutputError: A file exists and ``overwrite`` is false, or it cannot be written.
    """
    plugins, reporter = registry or default_registry(), reporter or LogReporter()
    paths = models_in(folder)
    if not paths:
        raise RunError(f"{folder} contains no runs and no exported models", "pass a folder of runs")
    with ReportFiles(report, table, overwrite=overwrite) as files:
        open_dataset(data, registry=plugins)  # what no model can be blamed for
        metric = str(options.get("metric", METRIC))
        listed = plugins.get("metric", metric).spec.options
        convert_options(options.get("metric_options") or {}, listed, f"the metric {metric}")
        plugins.resolve("metric", metric)
        measured, notes = [], []
        for path in paths:
            reporter.message(f"Evaluating {path}")
            try:
                measured.append(measure(path, data, reporter=reporter, registry=plugins, **options))
                measured[-1].pairs.clear()  # only the numbers are compared
            except BoxwrightError as error:
                notes.append(f"{path.name} could not be evaluated: {error}")
                reporter.warning(notes[-1])
        if not measured:
            raise RunError(f"no model in {folder} can be evaluated: {notes[0]}", "evaluate one of them alone")
        made = _compared(os.fspath(folder), measured, notes)
        files.write(made.page, made.to_csv)
    return made


def _compared(folder: str, measured: Sequence[Measures], notes: list[str]) -> Compared:
    def rank(each: Measures) -> float:
        value = each.evaluation.values.get(each.evaluation.result.main, math.nan)
        if value != value:
            return math.inf
        return value if each.evaluation.result.lower_is_better else -value

    best, *others = sorted(measured, key=rank)
    differences = [_difference(best, each) for each in others]
    return Compared(folder, [best, *others], differences, notes)


def _difference(best: Measures, other: Measures) -> Difference | None:
    first, second = best.evaluation, other.evaluation
    if first.samples != second.samples or first.result.main not in first.result.drawn:
        return None
    return Difference.between(first.result, second.result, first.samples)


def _of_class(measures: Measures, name: str) -> float:
    """Returns the AP50 of a class, or its F1 if that was not measured."""
    row: dict[str, Any] = next((row for row in measures.classes() if row["class"] == name), {})
    return float(row.get("AP50", row.get("F1", math.nan)))


def _is_model(folder: Path) -> bool:
    return (folder / STATE).is_file() or (folder / RECORD).is_file()
