"""The pictures in which two datasets differ most, with the boxes of both, as a sheet or a page."""

from __future__ import annotations

import heapq
import io
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from boxwright.analysis.comparison import Comparison, Difference, Kind, compare
from boxwright.analysis.comparison.pairing import Picture
from boxwright.datasets.dataset import Dataset, open_dataset
from boxwright.errors import DataError
from boxwright.images.decode import decode_sample, encode_jpeg
from boxwright.progress import LogReporter, Reporter, Task
from boxwright.render.pages import PAGE_SIDE, PAGES, SHEETS, file_ending
from boxwright.schemas import Boxes, Edges, Sample
from boxwright.storage.output import AtomicOutput

if TYPE_CHECKING:
    from PIL.Image import Image

    from boxwright.storage.uri import DatasetURI

_TILE, _MOST_ON_A_SHEET = 400, 100

# Okabe and Ito's colours, which are told apart with every common colour blindness; what is the same stays grey.
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
    """A picture with differences: enough to find and to draw it."""

    first: Picture | None
    second: Picture | None
    differences: list[Difference]

    @property
    def name(self) -> str:
        picture = self.first or self.second
        return picture.name if picture is not None else ""


def compare_with_images(
    first: str | DatasetURI | Dataset,
    second: str | DatasetURI | Dataset,
    *,
    out: str | os.PathLike[str],
    images: int = 24,
    overwrite: bool = False,
    reporter: Reporter | None = None,
    **options: Any,
) -> tuple[Comparison, int]:
    """:func:`boxwright.compare` that also draws the pictures with the most differences, the boxes of both in each.

    The pictures are those of the first dataset, or of the second where only that has them.

    Args:
        first: A dataset.
        second: Another.
        out: ``.png`` or ``.jpg`` for a contact sheet, ``.html`` for a page with larger pictures.
        images: At most so many pictures.
        overwrite: Whether ``out`` may be replaced.
        reporter: Where progress goes.
        options: Further arguments of :func:`boxwright.compare`.

    Returns:
        The comparison, and how many pictures were drawn; those that cannot be read are among the skipped.

    Raises:
        UsageError: Another file ending, or more pictures than a sheet holds; and as ``compare``.
        OutputError: ``out`` exists already or cannot be written.
    """
    suffix = file_ending(out, images, _MOST_ON_A_SHEET)
    reporter = reporter or LogReporter()
    with AtomicOutput(os.fspath(out), overwrite=overwrite) as output:
        on_error, registry = options.get("on_error", "fail"), options.get("registry")
        datasets = [open_dataset(each, on_error=on_error, registry=registry) for each in (first, second)]
        most = _MostDifferent(images)
        comparison = compare(*datasets, observe=most.add, reporter=reporter, **options)
        gallery = _Gallery(datasets, most.chosen(), _TILE if suffix in SHEETS else PAGE_SIDE, comparison)
        content = gallery.render(f"{comparison.first} and {comparison.second}", suffix, reporter)
        with output.open() as file:
            file.write(content)
    return comparison, gallery.drawn


class _MostDifferent:
    def __init__(self, number: int) -> None:
        self._number = number
        self._seen = 0
        self._heap: list[tuple[int, int, _Differing]] = []

    def add(self, first: Picture | None, second: Picture | None, differences: list[Difference]) -> None:
        entry = (len(differences), -self._seen, _Differing(first, second, differences))
        self._seen += 1
        if len(self._heap) < self._number:
            heapq.heappush(self._heap, entry)
        else:
            heapq.heappushpop(self._heap, entry)

    def chosen(self) -> list[_Differing]:
        return [entry[2] for entry in sorted(self._heap, key=lambda entry: entry[:2], reverse=True)]


class _Gallery:
    def __init__(self, datasets: list[Dataset], chosen: list[_Differing], side: int, comparison: Comparison) -> None:
        self.drawn = 0
        self._datasets = datasets
        self._chosen = chosen
        self._side = side
        self._comparison = comparison

    def render(self, title: str, suffix: str, reporter: Reporter) -> bytes:
        from boxwright.render.sheets import contact_sheet, html_page

        with reporter.task("Drawing", len(self._chosen)) as task:
            items = self._pictures(task)
            if suffix in PAGES:
                encoded = [(caption, encode_jpeg(image)) for image, caption in items]
                return html_page(encoded, title, _COLORS, self._notes()).encode()
            sheet = contact_sheet(items, tile=_TILE, title=title, legend=_COLORS)
        buffer = io.BytesIO()
        sheet.save(buffer, SHEETS[suffix], quality=90)
        return buffer.getvalue()

    def _notes(self) -> list[str]:
        comparison = self._comparison
        counts = ", ".join(f"{kind.value.replace('_', ' ')}: {number:,}" for kind, number in comparison.counts.items())
        notes = [f"{comparison.both:,} pictures in both, {comparison.alike:,} of them alike", counts]
        if comparison.offset is not None:
            notes.append(str(comparison.offset))
        return [note for note in notes if note]

    def _pictures(self, task: Task) -> Iterator[tuple[Image, str]]:
        samples = self._samples()
        for differing in self._chosen:
            task.advance()
            sample = samples.get(differing.name)
            if sample is None:
                continue
            try:
                picture = _drawn(sample, differing, self._side)
            except DataError as error:
                self._comparison.skipped.append(error)
                continue
            self.drawn += 1
            yield picture, _caption(differing)

    def _samples(self) -> Mapping[str, Sample]:
        """The samples of the chosen pictures, those of the first dataset where it has the picture's bytes."""
        found: dict[str, Sample] = {}
        for side, dataset in enumerate(self._datasets):
            pictures = {each.name: (each.first, each.second)[side] for each in self._chosen if each.name not in found}
            wanted = {picture.name: name for name, picture in pictures.items() if picture is not None}
            if not wanted:
                continue
            for sample in dataset:
                name = wanted.get(sample.image.name)
                if name is not None and (sample.image.data is not None or sample.image.location):
                    found.setdefault(name, sample)
        return found


def _drawn(sample: Sample, differing: _Differing, side: int) -> Image:
    from boxwright.render.boxes import ON_A_PAGE, draw_boxes

    marks = _marks(differing, (sample.image.width, sample.image.height))
    boxes = Boxes((mark.kind for mark in marks), (mark.edges for mark in marks))
    picture = decode_sample(sample.replace(boxes=boxes), at_least=(side, side))
    # Colours go by text, and one text may stand on boxes of several colours: spaces that are not drawn part them.
    texts = [mark.text + " " * list(_COLORS).index(mark.kind) for mark in marks]
    colors = {text: _COLORS[mark.kind] for text, mark in zip(texts, marks, strict=True)}
    emphasis = ON_A_PAGE if side == PAGE_SIDE else 1.0
    return draw_boxes(
        picture.image, picture.boxes.xyxy, texts, colors=colors, min_side=side, max_side=side, emphasis=emphasis
    )


class _Mark(NamedTuple):
    """A box to draw."""

    kind: str
    text: str
    edges: Edges


def _marks(differing: _Differing, frame: tuple[int, int]) -> list[_Mark]:
    """All boxes of either dataset, in a frame of that size; those that are the same once, and without text."""
    first, second = differing.first, differing.second
    marks: list[_Mark] = []
    if first is not None and second is not None:
        changed = {(difference.label, difference.edges) for difference in differing.differences}
        for label, edges in zip(first.boxes.labels, first.boxes.edges, strict=True):
            if (label, edges) not in changed:
                marks.append(_Mark(_SAME, "", _scaled(edges, first.size, frame)))
        for difference in differing.differences:
            marks += _marks_of(difference, first.size, second.size, frame)
        return marks
    for kind, picture in ((_REMOVED, first), (_ADDED, second)):
        if picture is not None:
            pairs = zip(picture.boxes.labels, picture.boxes.edges, strict=True)
            marks += [_Mark(kind, label, _scaled(edges, picture.size, frame)) for label, edges in pairs]
    return marks


def _marks_of(
    difference: Difference, first: tuple[int, int], second: tuple[int, int], frame: tuple[int, int]
) -> Iterator[_Mark]:
    label, edges = difference.label, difference.edges
    if edges is None:
        return
    match difference.kind:
        case Kind.REMOVED:
            yield _Mark(_REMOVED, label, _scaled(edges, first, frame))
        case Kind.ADDED:
            yield _Mark(_ADDED, label, _scaled(edges, second, frame))
        case Kind.MOVED:
            yield _Mark(_FROM, label, _scaled(edges, first, frame))
            yield _Mark(_TO, "", _scaled(difference.second, second, frame))
        case Kind.RELABELLED:
            yield _Mark(_CHANGED, f"{label} -> {difference.second}", _scaled(edges, first, frame))
        case Kind.BOX_ATTRIBUTE:
            yield _Mark(_CHANGED, f"{label}: {difference.name}", _scaled(edges, first, frame))


def _scaled(edges: Edges, size: tuple[int, int], frame: tuple[int, int]) -> Edges:
    across, down = frame[0] / size[0], frame[1] / size[1]
    xmin, ymin, xmax, ymax = edges
    return (xmin * across, ymin * down, xmax * across, ymax * down)


def _caption(differing: _Differing) -> str:
    counts = Counter(difference.kind for difference in differing.differences)
    said = ", ".join(f"{kind.value.replace('_', ' ')} {number}" for kind, number in counts.items())
    return f"{differing.name} · {said}"
