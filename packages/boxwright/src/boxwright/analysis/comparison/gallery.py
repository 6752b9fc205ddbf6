"""The images in which two datasets differ most, with the boxes of both, as a contact sheet or a page."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from PIL.Image import Image

from boxwright.analysis.comparison import Comparison, Difference, Kind, compare
from boxwright.analysis.comparison.pairing import ComparedImage
from boxwright.analysis.top import Top
from boxwright.datasets.dataset import Data, Dataset, open_dataset
from boxwright.errors import DataError
from boxwright.images.decode import decode_sample
from boxwright.progress import LogReporter, Reporter, Task
from boxwright.render.boxes import ON_A_PAGE, draw_boxes
from boxwright.render.pages import PAGE_SIDE, SHEETS, checked_suffix, sheet_or_page
from boxwright.schemas import Boxes, Coordinates, Sample
from boxwright.storage.output import AtomicOutput

_TILE, _MOST_ON_A_SHEET = 400, 100

# The colors of Okabe and Ito, which people with any common color blindness can distinguish; equal boxes are gray.
_COLORS = {
    "only in the first": (213, 94, 0),
    "only in the second": (86, 180, 233),
    "moved: in the first": (230, 159, 0),
    "moved: in the second": (0, 158, 115),
    "of another class or other attributes": (204, 121, 167),
    "the same": (150, 150, 150),
}
_REMOVED, _ADDED, _FROM, _TO, _CHANGED, _SAME = _COLORS


class _Differing(NamedTuple):
    """An image with differences: enough to find and to draw it."""

    first: ComparedImage | None
    second: ComparedImage | None
    differences: list[Difference]

    @property
    def name(self) -> str:
        image = self.first or self.second
        return image.name if image is not None else ""

    @property
    def caption(self) -> str:
        counts = Counter(difference.kind for difference in self.differences)
        text = ", ".join(f"{kind.value.replace('_', ' ')} {number}" for kind, number in counts.items())
        return f"{self.name} · {text}"


def compare_with_images(
    first: Data,
    second: Data,
    *,
    out: str | os.PathLike[str],
    images: int = 24,
    overwrite: bool = False,
    reporter: Reporter | None = None,
    **options: Any,
) -> tuple[Comparison, int]:
    """Compares as :func:`boxwright.compare` does, and draws the images with the most differences.

    The images are those of the first dataset, or of the second if only that contains them. Each shows the boxes of
    both.

    Args:
        first: A dataset.
        second: Another dataset.
        out: ``.png`` or ``.jpg`` for a contact sheet, ``.html`` for a page with larger images.
        images: The largest number of images.
        overwrite: Whether to replace an existing file.
        reporter: Receives the progress.
        options: Further arguments of :func:`boxwright.compare`.

    Returns:
        The comparison, and the number of images drawn; those that cannot be read are in ``skipped``.

    Raises:
        UsageError: Another suffix, or more images than fit on a contact sheet; and as ``compare``.
        OutputError: ``out`` exists and ``overwrite`` is false, or it cannot be written.
    """
    suffix = checked_suffix(out, images, _MOST_ON_A_SHEET)
    reporter = reporter or LogReporter()
    with AtomicOutput(os.fspath(out), overwrite=overwrite) as output:
        on_error, registry = options.get("on_error", "fail"), options.get("registry")
        datasets = [open_dataset(each, on_error=on_error, registry=registry) for each in (first, second)]
        most: Top[_Differing] = Top(images)
        comparison = compare(
            *datasets,
            observe=lambda *differing: most.add(len(differing[2]), _Differing(*differing)),
            reporter=reporter,
            **options,
        )
        gallery = _Gallery(datasets, most, _TILE if suffix in SHEETS else PAGE_SIDE, comparison)
        content = gallery.render(f"{comparison.first} and {comparison.second}", suffix, reporter)
        with output.open() as file:
            file.write(content)
    return comparison, gallery.drawn


class _Gallery:
    def __init__(
        self, datasets: list[Dataset], chosen: Iterable[_Differing], side: int, comparison: Comparison
    ) -> None:
        self.drawn = 0
        self._datasets = datasets
        self._chosen = list(chosen)
        self._side = side
        self._comparison = comparison

    def render(self, title: str, suffix: str, reporter: Reporter) -> bytes:
        with reporter.task("Drawing", len(self._chosen)) as task:
            drawn = list(self._images(task))  # before the notes: an image that cannot be read is one of the skipped
            return sheet_or_page(drawn, suffix, title, _COLORS, self._notes(), tile=_TILE)

    def _notes(self) -> list[str]:
        comparison = self._comparison
        counts = ", ".join(f"{kind.value.replace('_', ' ')}: {number:,}" for kind, number in comparison.counts.items())
        notes = [f"{comparison.both:,} images in both, {comparison.alike:,} of them alike", counts]
        if comparison.offset is not None:
            notes.append(str(comparison.offset))
        return [note for note in notes if note]

    def _images(self, task: Task) -> Iterator[tuple[Image, str]]:
        samples = self._samples()
        for differing in self._chosen:
            task.advance()
            sample = samples.get(differing.name)
            if sample is None:
                continue
            try:
                image = _drawn(sample, differing, self._side)
            except DataError as error:
                self._comparison.skipped.append(error)
                continue
            self.drawn += 1
            yield image, differing.caption

    def _samples(self) -> Mapping[str, Sample]:
        """Returns the samples of the chosen images, from the first dataset if it has the image's bytes."""
        found: dict[str, Sample] = {}
        for side, dataset in enumerate(self._datasets):
            images = {each.name: (each.first, each.second)[side] for each in self._chosen if each.name not in found}
            requested = {image.name: name for name, image in images.items() if image is not None}
            if not requested:
                continue
            for sample in dataset:
                name = requested.get(sample.image.name)
                if name is not None and (sample.image.data is not None or sample.image.location):
                    found.setdefault(name, sample)
        return found


def _drawn(sample: Sample, differing: _Differing, side: int) -> Image:
    marks = _marks(differing, (sample.image.width, sample.image.height))
    boxes = Boxes((mark.kind for mark in marks), (mark.coordinates for mark in marks))
    decoded = decode_sample(sample.replace(boxes=boxes), at_least=(side, side))
    # Colors are looked up by text, and boxes of several colors may have the same text: spaces, which are not drawn,
    # make the texts different.
    texts = [mark.text + " " * list(_COLORS).index(mark.kind) for mark in marks]
    colors = {text: _COLORS[mark.kind] for text, mark in zip(texts, marks, strict=True)}
    emphasis = ON_A_PAGE if side == PAGE_SIDE else 1.0
    return draw_boxes(
        decoded.image, decoded.boxes.xyxy, texts, colors=colors, min_side=side, max_side=side, emphasis=emphasis
    )


class _Mark(NamedTuple):
    """A box to draw."""

    kind: str
    text: str
    coordinates: Coordinates


def _marks(differing: _Differing, frame: tuple[int, int]) -> list[_Mark]:
    """Returns all boxes of either dataset, in a frame of that size; those that are the same once, without text."""
    first, second = differing.first, differing.second
    marks: list[_Mark] = []
    if first is not None and second is not None:
        changed = {(difference.label, difference.coordinates) for difference in differing.differences}
        for label, coordinates in zip(first.boxes.labels, first.boxes.coordinates, strict=True):
            if (label, coordinates) not in changed:
                marks.append(_Mark(_SAME, "", _scaled(coordinates, first.size, frame)))
        for difference in differing.differences:
            marks += _marks_of(difference, first.size, second.size, frame)
        return marks
    for kind, image in ((_REMOVED, first), (_ADDED, second)):
        if image is not None:
            pairs = zip(image.boxes.labels, image.boxes.coordinates, strict=True)
            marks += [_Mark(kind, label, _scaled(coordinates, image.size, frame)) for label, coordinates in pairs]
    return marks


def _marks_of(
    difference: Difference, first: tuple[int, int], second: tuple[int, int], frame: tuple[int, int]
) -> Iterator[_Mark]:
    label, coordinates = difference.label, difference.coordinates
    if coordinates is None:
        return
    match difference.kind:
        case Kind.REMOVED:
            yield _Mark(_REMOVED, label, _scaled(coordinates, first, frame))
        case Kind.ADDED:
            yield _Mark(_ADDED, label, _scaled(coordinates, second, frame))
        case Kind.MOVED:
            yield _Mark(_FROM, label, _scaled(coordinates, first, frame))
            yield _Mark(_TO, "", _scaled(difference.second, second, frame))
        case Kind.RELABELLED:
            yield _Mark(_CHANGED, f"{label} -> {difference.second}", _scaled(coordinates, first, frame))
        case Kind.BOX_ATTRIBUTE:
            yield _Mark(_CHANGED, f"{label}: {difference.name}", _scaled(coordinates, first, frame))


def _scaled(coordinates: Coordinates, size: tuple[int, int], frame: tuple[int, int]) -> Coordinates:
    across, down = frame[0] / size[0], frame[1] / size[1]
    xmin, ymin, xmax, ymax = coordinates
    return (xmin * across, ymin * down, xmax * across, ymax * down)
