"""The images of a report: small ones, with ground truth and detections as lines on top that the page can filter.

The lines are SVG and not part of the images. They stay sharp in an enlarged image, and the page can show those of one
class or of one kind of error alone.
"""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from boxwright.analysis.report.outcomes import Cells, Outcome
from boxwright.errors import DataError
from boxwright.images.decode import decode_sample
from boxwright.render.boxes import resized
from boxwright.schemas import Boxes, Sample

MOST: int = 500
"""The largest number of images in a report."""
UNITS = 1000
"""The width of an image in the units of its lines."""
_BYTES = 4_600_000
"""The size of a page without what does not depend on the images."""
_LARGEST = 60_000
_SIDES = (1024, 800, 640, 512, 448, 384, 320, 272, 232, 200, 160, 128, 96)
_BYTES_PER_PIXEL = 0.1
_QUALITY = 60
_LETTERS, _LETTER = 42, 28
"""The size of the letters of labels in the units of the lines, and about the width of one."""
_LINE, _LABEL = 24, 60
"""About the number of bytes of a box and of its label on the page."""
_LABELS = 12_000
"""The number of boxes on a page from which right detections have no label."""


@dataclass(frozen=True)
class Label:
    """The text at a box; the left end of its base line, in the units of the lines."""

    x: int
    y: int
    text: str


@dataclass
class Shape:
    """Boxes of one image that were treated alike.

    Attributes:
        kind: ``truth``, ``found``, ``missed``, ``false``, ``wrong`` (another class), or ``region``.
        cell: The class of the objects and of the detections, such as ``0-1``; ``b`` is the background.
        path: The boxes as an SVG path.
        labels: Their labels.
    """

    kind: str
    cell: str
    path: str = ""
    labels: list[Label] = field(default_factory=list)


@dataclass
class Shot:
    """One image of the page.

    Attributes:
        name: Its name.
        caption: Its numbers.
        image: Encoded.
        height: Its height in the units of the lines.
        shapes: The boxes.
        cells: The number of outcomes of each cell.
        mistakes: The number of mistakes.
    """

    name: str
    caption: str
    image: bytes
    height: int
    shapes: list[Shape]
    cells: dict[str, int]
    mistakes: int


def cell_name(truth: int, predicted: int, background: int) -> str:
    """Returns the name of a cell of the confusion matrix, such as ``0-1`` or ``b-1``."""
    return "-".join("b" if number == background else str(number) for number in (truth, predicted))


def caption_of(outcome: Outcome, background: int) -> str:
    """Returns ``12 objects: 10 found, 1 missed, 1 wrong class, 2 false alarms``."""
    cells = outcome.cells
    truth, predicted = cells.truth, cells.predicted
    found = int(np.count_nonzero(cells.right))
    missed = int(np.count_nonzero(predicted == background))
    false = int(np.count_nonzero(truth == background))
    wrong = len(truth) - found - missed - false
    objects = found + missed + wrong
    parts = [f"{found} found"]
    parts += [f"{missed} missed"] if missed else []
    parts += [f"{wrong} of another class"] if wrong else []
    parts += [f"{false} false alarm{'' if false == 1 else 's'}"] if false else []
    return f"{objects} object{'' if objects == 1 else 's'}: {', '.join(parts)}"


def shots_of(
    chosen: Mapping[int, tuple[Sample, Outcome]],
    names: Sequence[str],
    read: Callable[[Collection[int]], Iterable[tuple[int, Sample]]],
    *,
    most: int = _BYTES,
) -> list[Shot]:
    """Returns the images of a page, as large as the size of the page allows; those that cannot be read are left out.

    Args:
        chosen: The images with their outcomes, by their position in the data.
        names: The classes.
        read: Yields the samples at some positions with these, for images that are not files.
        most: About the number of bytes for all images together, with their lines.
    """
    boxes = sum(len(outcome.cells.truth) + len(outcome.scene.truth) for _, outcome in chosen.values())
    label_all = boxes <= _LABELS
    mistakes = sum(outcome.cells.mistakes for _, outcome in chosen.values())
    lines = boxes * _LINE + (boxes if label_all else mistakes) * _LABEL + len(chosen) * 600
    budget = min(_LARGEST, max(1_000, int((most - lines) * 0.745 / max(len(chosen), 1))))  # Base64 is a third longer
    files = [(place, sample) for place, (sample, _) in chosen.items() if sample.image.location]
    elsewhere = {place for place, (sample, _) in chosen.items() if not sample.image.location}
    shots = {}
    for place, sample in chain(files, read(elsewhere) if elsewhere else ()):
        shot = _shot(sample, chosen[place][1], names, budget, label_all=label_all)
        if shot is not None:
            shots[place] = shot
    return [shots[place] for place in chosen if place in shots]


def _shot(sample: Sample, outcome: Outcome, names: Sequence[str], budget: int, *, label_all: bool) -> Shot | None:
    scene = outcome.scene
    both = np.concatenate([scene.truth, scene.boxes])
    side = _side_for(budget)
    try:
        marked = sample.replace(boxes=Boxes.from_array(["-"] * len(both), both))
        decoded = decode_sample(marked, at_least=(side, side))
    except DataError:  # it was read a moment ago; the numbers count it
        return None
    width, height = decoded.image.size
    corners = np.clip(decoded.boxes.xyxy * (UNITS / width), 0, [UNITS, UNITS * height / width] * 2)
    return Shot(
        sample.image.name,
        caption_of(outcome, len(names)),
        encoded(decoded.image, budget),
        round(UNITS * height / width),
        _shapes(outcome, np.rint(corners).astype(int), names, label_all=label_all),
        _counts(outcome.cells, len(names)),
        outcome.cells.mistakes,
    )


def encoded(image: Image.Image, budget: int) -> bytes:
    """Returns an image as WebP, as large as a number of bytes allows."""
    content = b""
    for side in [side for side in _SIDES if side <= _side_for(budget)] or [_SIDES[-1]]:
        buffer = io.BytesIO()
        resized(image, 1, side).save(buffer, "WEBP", quality=_QUALITY, method=2)
        content = buffer.getvalue()
        if len(content) <= budget:
            break
    return content


def _side_for(budget: int) -> int:
    """Returns the longer side at which a plain image has about so many bytes."""
    likely = 1.5 * (budget / _BYTES_PER_PIXEL) ** 0.5
    return next((side for side in _SIDES if side <= likely), _SIDES[-1])


def _overlaps(spot: tuple[int, int], width: int, other: tuple[int, int, int]) -> bool:
    apart = spot[0] >= other[0] + other[2] or spot[0] + width <= other[0]
    return not apart and abs(spot[1] - other[1]) < _LETTERS


def _counts(cells: Cells, background: int) -> dict[str, int]:
    counts: dict[str, int] = defaultdict(int)
    for truth, predicted in zip(cells.truth.tolist(), cells.predicted.tolist(), strict=True):
        counts[cell_name(truth, predicted, background)] += 1
    return dict(counts)


def _shapes(outcome: Outcome, corners: NDArray[np.int64], names: Sequence[str], *, label_all: bool) -> list[Shape]:
    scene, cells, background = outcome.scene, outcome.cells, len(names)
    first = len(scene.truth)
    shapes: dict[tuple[str, str], Shape] = {}
    taken: list[tuple[int, int, int]] = []

    def add(kind: str, cell: str, place: int, text: str = "") -> None:
        shape = shapes.setdefault((kind, cell), Shape(kind, cell))
        left, top, right, bottom = corners[place].tolist()
        shape.path += f"M{left} {top}H{right}V{bottom}H{left}z"
        if text:
            width = round(len(text) * _LETTER)
            spots = [(left, top - 8), (left, bottom + _LETTERS), (left, top + _LETTERS), (right - width, bottom - 8)]
            free = [spot for spot in spots if not any(_overlaps(spot, width, other) for other in taken)]
            x, y = (free or spots)[0]
            label = Label(min(max(x, 0), max(UNITS - width, 0)), max(y, _LETTERS), text)
            taken.append((label.x, label.y, width))
            shape.labels.append(label)

    for place in np.flatnonzero(scene.regions):
        add("region", "", int(place))
    rows = sorted(
        zip(*(column.tolist() for column in cells), strict=True), key=lambda row: row[2] == row[3], reverse=True
    )
    for thing, found, truth, predicted in rows:
        cell = cell_name(truth, predicted, background)
        name = names[predicted] if predicted < background else names[truth]
        score = f"{scene.scores[found]:.0%}" if found >= 0 else ""
        if truth == predicted:
            add("truth", cell, thing)
            add("found", cell, first + found, f"{name} {score}" if label_all else "")
        elif found < 0:
            add("missed", cell, thing, name)
        elif thing < 0:
            add("false", cell, first + found, f"{name}? {score}")
        else:
            add("truth", cell, thing)
            add("wrong", cell, first + found, f"{names[truth]} as {name} {score}")
    return list(shapes.values())
