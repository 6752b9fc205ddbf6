"""An evaluation as a page: the numbers, and truth beside prediction for the pictures that went worst."""

from __future__ import annotations

import heapq
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boxwright.boxes import iou
from boxwright.errors import UsageError
from boxwright.images.decode import decode_sample, encode_jpeg
from boxwright.label_map import LabelMap
from boxwright.models.evaluation import Evaluation, evaluate
from boxwright.progress import Reporter
from boxwright.schemas import Boxes, Detections, Sample
from boxwright.storage.output import AtomicOutput

if TYPE_CHECKING:
    from PIL.Image import Image

_PICTURES = 24
_SIDE = 640
_SCORE = 0.3
"""Detections below it are not drawn, as in ``boxwright predict``."""
_IOU = 0.5


def evaluate_with_report(
    model: str | os.PathLike[str],
    data: str,
    report: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    reporter: Reporter | None = None,
    **options: Any,
) -> Evaluation:
    """:func:`boxwright.evaluate` that also writes a page, after one and the same pass over the pictures.

    Args:
        model: A run folder, or an exported model.
        data: The dataset with the truths.
        report: The page, ``.html``.
        overwrite: Whether the page may be replaced.
        reporter: Where progress goes.
        options: Further arguments of :func:`boxwright.evaluate`.

    Raises:
        UsageError: ``report`` does not end in ``.html``.
        OutputError: ``report`` exists already or cannot be written.
    """
    if Path(report).suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"{os.fspath(report)}: a report is a page", "give a name that ends in .html")
    with AtomicOutput(os.fspath(report), overwrite=overwrite) as output:
        worst = Worst(_PICTURES)
        evaluation = evaluate(os.fspath(model), data, reporter=reporter, observe=worst.add, **options)
        page = render(evaluation, worst, evaluation.label_map, os.fspath(model))
        with output.open() as file:
            file.write(page.encode())
    return evaluation


class Worst:
    """Keeps the pictures with the most mistakes, no more than ``number`` in memory at once."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._seen = 0
        self._heap: list[tuple[int, int, Sample, Detections, str]] = []

    def add(self, sample: Sample, found: Detections) -> None:
        """Looks at one picture."""
        shown = found.above(_SCORE)
        missed, wrong = mistakes(sample, shown)
        caption = f"{sample.image.name} · {len(sample.boxes)} to find, {missed} missed, {wrong} wrong"
        # Of two pictures with as many mistakes the earlier one stays; positions differ, so samples are never compared.
        entry = (missed + wrong, -self._seen, sample, shown, caption)
        self._seen += 1
        if len(self._heap) < self._number:
            heapq.heappush(self._heap, entry)
        else:
            heapq.heappushpop(self._heap, entry)

    def __iter__(self) -> Iterator[tuple[Sample, Detections, str]]:
        """Sample, what was found with a score of 0.3 or more, and a caption; most mistakes first."""
        return (entry[2:] for entry in sorted(self._heap, key=lambda entry: entry[:2], reverse=True))


def mistakes(sample: Sample, found: Detections) -> tuple[int, int]:
    """How many boxes were missed, and how many detections are wrong.

    Detections are taken best first; each is right if it overlaps a box of its own class, not yet taken, by an IoU of
    at least 0.5, and takes the one that it overlaps most (the matching of PASCAL VOC 2007, section 4.4).
    """
    overlaps = iou(found.boxes.xyxy, sample.boxes.xyxy)
    free = set(range(len(sample.boxes)))
    wrong = 0
    for detection, label in enumerate(found.boxes.labels):
        own = [truth for truth in free if sample.boxes.labels[truth] == label]
        best = max(own, key=lambda truth: float(overlaps[detection, truth]), default=None)
        if best is None or overlaps[detection, best] < _IOU:
            wrong += 1
        else:
            free.discard(best)
    return len(free), wrong


def render(evaluation: Evaluation, worst: Worst, label_map: LabelMap, title: str) -> str:
    """The page as HTML text."""
    from boxwright.render.boxes import palette
    from boxwright.render.sheets import html_page

    colors = palette(label_map.names)
    notes = [
        f"{evaluation.samples:,} pictures, {evaluation.truths:,} boxes to find",
        f"left the truth, right what was found with a score of {_SCORE:g} or more; most mistakes first",
        numbers(evaluation.values),
        *(f"{name}: {numbers(values)}" for name, values in evaluation.result.per_class.items()),
        *evaluation.result.notes,
    ]
    legend = {name: colors[name] for name in label_map.names}
    items = ((caption, _side_by_side(sample, found, colors)) for sample, found, caption in worst)
    return html_page(items, f"{title} on {evaluation.data}", legend, notes)


def numbers(values: Mapping[str, float]) -> str:
    """``AP 0.523, AP50 0.880``; a dash where there was nothing to measure."""
    return ", ".join(f"{name} {number(value)}" for name, value in values.items())


def number(value: float) -> str:
    """Three decimals, none for a count above 1, a dash for what could not be measured."""
    if value != value:
        return "-"
    return f"{value:,.0f}" if value > 1 and value.is_integer() else f"{value:.3f}"


def _side_by_side(sample: Sample, found: Detections, colors: Mapping[str, tuple[int, int, int]]) -> bytes:
    from boxwright.render.boxes import ON_A_PAGE, draw_boxes
    from boxwright.render.sheets import side_by_side

    picture = decode_sample(sample)

    def drawn(boxes: Boxes, scores: Sequence[float] | None) -> Image:
        return draw_boxes(
            picture.image,
            boxes.xyxy,
            boxes.labels,
            scores,
            colors=colors,
            min_side=_SIDE,
            max_side=_SIDE,
            emphasis=ON_A_PAGE,
        )

    return encode_jpeg(side_by_side(drawn(picture.boxes, None), drawn(found.boxes, found.scores)))
