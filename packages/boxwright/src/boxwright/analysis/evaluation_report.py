"""An evaluation as a page: the numbers, and ground truth next to prediction for the images with the most mistakes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PIL.Image import Image

from boxwright.analysis.top import Top
from boxwright.images.decode import decode_sample, encode_jpeg
from boxwright.matching import match_detections
from boxwright.models.evaluation import Evaluation, evaluate
from boxwright.progress import Reporter
from boxwright.render.boxes import ON_A_PAGE, Color, draw_boxes, palette
from boxwright.render.pages import html_page, page_output
from boxwright.render.sheets import side_by_side
from boxwright.schemas import Boxes, Detections, Sample

_IMAGES = 24
_SIDE = 640
_SCORE = 0.3
"""The lowest score of the detections that are drawn, as in ``boxwright predict``."""
_IOU = 0.5


@dataclass(frozen=True)
class Result:
    """The detections in one image, next to its ground truth.

    Attributes:
        sample: The image and its ground truth.
        detections: The detections with a score of 0.3 or more.
        missed: The number of ground-truth boxes without a detection.
        wrong: The number of detections without a ground-truth box.
    """

    sample: Sample
    detections: Detections
    missed: int
    wrong: int

    @classmethod
    def of(cls, sample: Sample, detections: Detections) -> Result:
        """Matches detections with the ground truth by class and an IoU of at least 0.5."""
        shown = detections.above(_SCORE)
        matching = match_detections(shown.boxes, sample.boxes, _IOU)
        return cls(sample, shown, len(matching.added), len(matching.removed))

    @property
    def mistakes(self) -> int:
        """The number of missed boxes and wrong detections."""
        return self.missed + self.wrong

    @property
    def caption(self) -> str:
        """The image's name and the numbers."""
        return f"{self.sample.image.name} · {len(self.sample.boxes)} to find, {self.missed} missed, {self.wrong} wrong"


def evaluate_with_report(
    model: str | os.PathLike[str],
    data: str,
    report: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    reporter: Reporter | None = None,
    **options: Any,
) -> Evaluation:
    """Evaluates a model as :func:`boxwright.evaluate` does, and writes a page in the same pass over the images.

    Args:
        model: A run folder, or an exported model.
        data: The dataset with the ground truth.
        report: The page, ``.html``.
        overwrite: Whether to replace an existing page.
        reporter: Receives the progress.
        options: Further arguments of :func:`boxwright.evaluate`.

    Raises:
        UsageError: ``report`` does not end in ``.html``.
        OutputError: ``report`` exists and ``overwrite`` is false, or it cannot be written.
    """
    with page_output(report, overwrite=overwrite) as output:
        worst: Top[Result] = Top(_IMAGES)

        def observe(sample: Sample, detections: Detections) -> None:
            result = Result.of(sample, detections)
            worst.add(result.mistakes, result)

        evaluation = evaluate(os.fspath(model), data, reporter=reporter, observe=observe, **options)
        page = report_page(evaluation, worst, os.fspath(model))
        with output.open() as file:
            file.write(page.encode())
    return evaluation


def report_page(evaluation: Evaluation, worst: Top[Result], title: str) -> str:
    """Returns the page as HTML text."""
    names = evaluation.label_map.names
    colors = palette(names)
    intervals = evaluation.result.intervals
    notes = [
        f"{evaluation.samples:,} images, {evaluation.ground_truth:,} boxes to find",
        f"left the ground truth, right the detections with a score of {_SCORE:g} or more; most mistakes first",
        numbers(evaluation.values),
        *(f"{name}: 95 % interval {number(low)} to {number(high)}" for name, (low, high) in intervals.items()),
        *(f"{name}: {numbers(values)}" for name, values in evaluation.result.per_class.items()),
        *evaluation.result.notes,
    ]
    images = ((result.caption, _drawn(result, colors)) for result in worst)
    return html_page(images, f"{title} on {evaluation.data}", {name: colors[name] for name in names}, notes)


def numbers(values: Mapping[str, float]) -> str:
    """Returns ``AP 0.523, AP50 0.880``, with a dash for a value that could not be measured."""
    return ", ".join(f"{name} {number(value)}" for name, value in values.items())


def number(value: float) -> str:
    """Returns a value with three decimals, a count above 1 with none, or a dash if it could not be measured."""
    if value != value:
        return "-"
    return f"{value:,.0f}" if value > 1 and value.is_integer() else f"{value:.3f}"


def _drawn(result: Result, colors: Mapping[str, Color]) -> bytes:
    decoded = decode_sample(result.sample)

    def drawn(boxes: Boxes, scores: Sequence[float] | None) -> Image:
        return draw_boxes(
            decoded.image,
            boxes.xyxy,
            boxes.labels,
            scores,
            colors=colors,
            min_side=_SIDE,
            max_side=_SIDE,
            emphasis=ON_A_PAGE,
        )

    found = result.detections
    return encode_jpeg(side_by_side(drawn(decoded.boxes, None), drawn(found.boxes, found.scores)))
