"""The report as an HTML page."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from boxwright.analysis.report.crops import Crop
from boxwright.analysis.report.curves import Curve
from boxwright.analysis.report.gallery import Shot, cell_name
from boxwright.analysis.report.likeness import Likeness
from boxwright.analysis.report.measures import BACKGROUND, Measures, Number
from boxwright.analysis.report.training import training_charts
from boxwright.analysis.statistics.charts import Row, bars
from boxwright.render.lines import MOST_LINES, Axis, Line, line_chart
from boxwright.render.pages import Card, rendered, script_of

if TYPE_CHECKING:
    pass

_KINDS = ("classification", "location", "both", "duplicate", "background", "missed")
_MEANINGS = {
    "AP": "mean over IoU 0.50 to 0.95",
    "AP50": "at IoU 0.50",
    "AP75": "at IoU 0.75",
    "F1": "at the chosen score",
    "precision": "share of the detections that are right",
    "recall": "share of the objects that are found",
    "exact": "images with the right number of objects",
}
_CONFUSED = 4
_MOST_CLASSES = 60
_FEW = 30


def number(value: float | None) -> str:
    """Returns a value with three decimals, a count above 1 with none, or a dash if it could not be measured."""
    if value is None or value != value:
        return "-"
    return f"{value:,.0f}" if value > 1 and float(value).is_integer() else f"{value:.3f}"


def report_page(
    measures: Measures,
    shots: Sequence[Shot],
    crops: Sequence[Crop],
    suspects: int,
    likeness: Likeness,
    training: dict[str, list[float | None]],
    manifest: Mapping[str, Any],
) -> str:
    """Returns the page as HTML text."""
    evaluation = measures.evaluation
    sections = {
        "numbers": "Numbers",
        "curves": "Curves",
        "confusion": "Confusion",
        "errors": "Errors",
        "gallery": "Images",
        "suspects": "Label errors",
        "data": "Data",
        "training": "Training",
        "manifest": "Manifest",
    }
    training_cards = [Card(title, chart) for title, chart in training_charts(training)]
    if not crops:
        del sections["suspects"]
    if not training_cards:
        del sections["training"]
    if not manifest:
        del sections["manifest"]
    return rendered(
        "report.html.jinja",
        title=f"{measures.model} on {evaluation.data}",
        sections=sections,
        script=script_of("report.js"),
        notes=[
            measures.sentence(),
            f"{evaluation.samples:,} images, {evaluation.ground_truth:,} boxes, {evaluation.detections:,} detections",
            *evaluation.result.notes,
            *measures.notes,
        ],
        few=_few(measures),
        headline=[
            (each.name, number(each.value), _interval(each), _MEANINGS.get(each.name, "")) for each in _shown(measures)
        ],
        others=[(each.name, number(each.value), _interval(each)) for each in measures.headline()],
        classes=measures.classes(),
        sizes=measures.sizes(),
        number=number,
        curves=_curve_cards(measures.curves),
        confusion=_matrix(measures),
        confused=_most_confused(measures),
        errors=[
            card for card in (_error_kinds(measures), _calibration(measures), _counts(measures)) if card is not None
        ],
        shots=shots,
        crops=crops,
        suspects=suspects,
        names=measures.names,
        data=_data_cards(likeness),
        data_classes=likeness.classes(),
        data_remarks=likeness.remarks(),
        trained=likeness.trained,
        training=training_cards,
        manifest={part: dict(_flat(content)) for part, content in _parts(manifest).items()},
    )


def _shown(measures: Measures) -> list[Number]:
    main = measures.evaluation.result.main
    return [each for each in measures.headline() if each.name in _MEANINGS or each.name == main]


def _interval(each: Number) -> str:
    if each.low is None or each.high is None or each.low != each.low:
        return ""
    return f"{each.low:.3f} to {each.high:.3f}"


def _few(measures: Measures) -> str:
    if measures.evaluation.samples >= _FEW:
        return ""
    return (
        f"{measures.evaluation.samples:,} images prove little: another choice of images would change every number, by"
        " more than the intervals show."
    )


def _curve_cards(curves: Sequence[Curve]) -> list[Card]:
    if not curves or not len(curves[0].scores):
        return []
    chosen = _chosen_curves(curves)
    every = curves[0]
    rest = len(curves) - 1 - (len(chosen) - 1)
    remarks = ["A dot is the chosen score."]
    if rest > 0 and len(chosen) > 1:
        remarks.append(f"Of the classes, the {len(chosen) - 1} with the lowest F1 at their best score are shown.")
    precision_recall = [
        Line(curve.name or "all classes", curve.recall.tolist(), curve.precision.tolist(), _marks(curve), _note(curve))
        for curve in chosen
    ]
    over_score = [
        Line(curve.name or "all classes", _scores(curve), curve.f1.tolist(), _marks(curve), _best(curve))
        for curve in chosen
    ]
    scores = _scores(every)
    three = [
        Line("F1", scores, every.f1.tolist(), _marks(every)),
        Line("precision", scores, every.precision.tolist(), _marks(every)),
        Line("recall", scores, every.recall.tolist(), _marks(every)),
    ]
    rules = {f"score {every.score:g}": every.score} if every.score is not None else {}
    share, score = Axis("", 0, 1), Axis("lowest score that counts", 0, 1, rules)
    return [
        Card(
            "Precision and recall",
            line_chart(precision_recall, Axis("recall", 0, 1), Axis("precision", 0, 1), "precision over recall"),
            ["Boxes match at an IoU of 0.5.", *remarks],
        ),
        Card("F1 over the score", line_chart(over_score, score, Axis("F1", 0, 1), "F1 over the score"), remarks),
        Card(
            "All classes together",
            line_chart(three, score, share, "F1, precision and recall over the score"),
            ["A higher score means fewer false alarms and fewer objects found."],
        ),
    ]


def _chosen_curves(curves: Sequence[Curve]) -> list[Curve]:
    """Returns the curve of all classes, and as many others as a chart can show, those with the lowest F1."""
    classes = curves[1:]
    if len(classes) == 1:
        return list(curves[:1])
    if len(classes) >= MOST_LINES:
        lowest = sorted(classes, key=lambda curve: float(curve.f1.max(initial=0)))[: MOST_LINES - 1]
        classes = [curve for curve in classes if curve in lowest]
    return [curves[0], *classes]


def _scores(curve: Curve) -> list[float]:
    """Returns the scores with the chosen one, from which the same detections are shown as from the next higher one."""
    scores: list[float] = curve.scores.tolist()
    if curve.chosen is not None and curve.score is not None:
        scores[curve.chosen] = curve.score
    return scores


def _marks(curve: Curve) -> list[int]:
    return [curve.chosen] if curve.chosen is not None else []


def _note(curve: Curve) -> str:
    if curve.chosen is None:
        return ""
    return f"P {curve.precision[curve.chosen]:.2f}, R {curve.recall[curve.chosen]:.2f}"


def _best(curve: Curve) -> str:
    if not len(curve.scores):
        return ""
    place = int(curve.f1.argmax())
    now = f"{curve.f1[curve.chosen]:.2f} at {curve.score:g}, " if curve.chosen is not None else ""
    return f"{now}best {curve.f1[place]:.2f} at {curve.scores[place]:.2f}"


def _matrix(measures: Measures) -> dict[str, Any]:
    """Returns the rows of the confusion matrix for the classes that it shows; cells without outcomes are ``None``."""
    confusion, names = measures.tally.confusion, [*measures.names, BACKGROUND]
    background = len(names) - 1
    shown, remark = list(range(len(names))), ""
    if background > _MOST_CLASSES:
        mistakes = (confusion.sum(axis=0) + confusion.sum(axis=1) - 2 * confusion.diagonal())[:background]
        shown = [*sorted(np.argsort(-mistakes, kind="stable")[:_MOST_CLASSES].tolist()), background]
        remark = f"Of {background:,} classes, the {_MOST_CLASSES} with the most mistakes are shown."
    rows = []
    for truth in shown:
        counts = confusion[truth].tolist()
        total = max(sum(counts), 1)
        rows.append(
            {
                "name": names[truth],
                "cells": [
                    {
                        "cell": cell_name(truth, predicted, background),
                        "count": counts[predicted],
                        "share": round(math.sqrt(counts[predicted] / total), 2),
                        "right": truth == predicted,
                        "text": _cell_text(names, truth, predicted),
                    }
                    if counts[predicted]
                    else None
                    for predicted in shown
                ],
            }
        )
    return {"names": [names[each] for each in shown], "rows": rows, "remark": remark}


def _cell_text(names: Sequence[str], truth: int, predicted: int) -> str:
    background = len(names) - 1
    if truth == background:
        return f"false alarms: {names[predicted]}"
    if predicted == background:
        return f"{names[truth]} missed"
    return f"{names[truth]} found" if truth == predicted else f"{names[truth]} found as {names[predicted]}"


def _most_confused(measures: Measures) -> list[tuple[str, str, int]]:
    """Returns the cell, the text and the number of the most frequent mistakes, some of each kind."""
    confusion, names = measures.tally.confusion, [*measures.names, BACKGROUND]
    background = len(names) - 1
    kinds: dict[str, list[tuple[str, str, int]]] = {"wrong": [], "missed": [], "false": []}
    for truth, counts in enumerate(confusion.tolist()):
        for predicted, count in enumerate(counts):
            if count and truth != predicted:
                kind = "missed" if predicted == background else "false" if truth == background else "wrong"
                cell = cell_name(truth, predicted, background)
                kinds[kind].append((cell, _cell_text(names, truth, predicted), count))
    most = [each for found in kinds.values() for each in sorted(found, key=lambda each: -each[2])[:_CONFUSED]]
    return sorted(most, key=lambda each: -each[2])


def _error_kinds(measures: Measures) -> Card | None:
    values = measures.results["tide"].values if "tide" in measures.results else {}
    if not values or math.isnan(values["AP"]):
        return None
    meanings = {
        "classification": "another class",
        "location": "wrong place",
        "both": "wrong class and place",
        "duplicate": "duplicate",
        "background": "false alarm",
        "missed": "missed",
    }
    rows = [
        Row(meanings[kind], max(values[kind], 0.0), f"+{values[kind]:.3f} · {values[f'{kind} errors']:,.0f}")
        for kind in _KINDS
    ]
    return Card(
        "Kinds of errors",
        bars(sorted(rows, key=lambda row: -row.value), "average precision that each kind of error costs"),
        [
            f"AP50 is {values['AP']:.3f} here. The bars show what it would gain without each kind of error, with the"
            " number of errors among all detections, also those with low scores (TIDE, Bolya et al. 2020)."
        ],
    )


def _calibration(measures: Measures) -> Card | None:
    values = measures.results["calibration"].values if "calibration" in measures.results else {}
    points = []
    for name, value in values.items():
        if name.startswith("right at ") and value == value:
            low, high = name.removeprefix("right at ").split("-")
            points.append(((float(low) + float(high)) / 2, value))
    if not points:
        return None
    xs, ys = [x for x, _ in points], [y for _, y in points]
    lines = [
        Line("measured", xs, ys, range(len(points)), style=1),
        Line("if scores were probabilities", [0, 1], [0, 1], style=7),
    ]
    above = sum(y - x for x, y in points) > 0
    return Card(
        "Calibration",
        line_chart(lines, Axis("score", 0, 1), Axis("share that is right", 0, 1), "share of right detections by score"),
        [
            f"Scores are off by {values['ECE']:.3f} on average (ECE), by {values['MCE']:.3f} at most.",
            f"They are too {'low' if above else 'high'} in most ranges.",
        ],
    )


def _counts(measures: Measures) -> Card | None:
    values = measures.results["count"].values if "count" in measures.results else {}
    if not values or math.isnan(values["exact"]):
        return None
    return Card(
        "Counting",
        "",
        [
            f"In {values['exact']:.0%} of the images, the number of detections of each class is right.",
            f"On average, it is off by {values['error']:.2f} per image; {abs(values['bias']):.2f} too"
            f" {'many' if values['bias'] > 0 else 'few'} in total.",
        ],
    )


def _data_cards(likeness: Likeness) -> list[Card]:
    cards = []
    for each in likeness.features():
        middles = ((each.bins[1:] + each.bins[:-1]) / 2).tolist()
        lines = [
            Line("these images", middles, each.tested.tolist(), note=f"median {each.medians[0]:.3g}", style=1),
            Line("training images", middles, each.trained.tolist(), note=f"median {each.medians[1]:.3g}", style=2),
        ]
        chart = line_chart(lines, Axis(f"{each.name.lower()}, {each.unit}", low=0), Axis("share", low=0), each.name)
        cards.append(Card(each.name, chart, alarms=["Clearly different."] if each.differs else []))
    return cards


def _parts(manifest: Mapping[str, Any]) -> dict[str, Any]:
    return dict(manifest) if {"run", "settings"} <= set(manifest) else ({"artifact": manifest} if manifest else {})


def _flat(content: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yields the values of nested objects with their names, joined by dots."""
    if isinstance(content, Mapping) and content:
        for name, value in content.items():
            yield from _flat(value, f"{prefix}.{name}" if prefix else str(name))
    else:
        yield prefix, ", ".join(map(str, content)) if isinstance(content, list) else str(content)
