"""Pictures of a dataset with their boxes, as a contact sheet or a page."""

from __future__ import annotations

import difflib
import io
import os
import random
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from boxwright.datasets.dataset import Dataset, open_dataset
from boxwright.datasets.scan import Scan
from boxwright.errors import DataError, UsageError
from boxwright.images.decode import decode_sample, encode_jpeg
from boxwright.progress import LogReporter, Reporter
from boxwright.render.pages import PAGE_SIDE, PAGES, SHEETS, file_ending
from boxwright.schemas import Sample
from boxwright.storage.output import AtomicOutput

if TYPE_CHECKING:
    from PIL.Image import Image

_TILE = 320
_MOST_ON_A_SHEET = 200


@dataclass
class View:
    """What was drawn.

    Attributes:
        out: The file.
        shown: Pictures in it.
        candidates: Pictures that it could have held.
        classes: Boxes by label in the whole dataset.
        skipped: Items left out under ``on_error="skip"``.
    """

    out: str
    shown: int = 0
    candidates: int = 0
    classes: dict[str, int] = field(default_factory=dict)
    skipped: list[DataError] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "out": self.out,
            "shown": self.shown,
            "candidates": self.candidates,
            "classes": self.classes,
            "skipped": [str(error) for error in self.skipped],
        }


def view(
    data: str | Dataset,
    *,
    out: str | os.PathLike[str],
    images: int = 24,
    seed: int | None = None,
    classes: Collection[str] = (),
    on_error: str = "fail",
    overwrite: bool = False,
    reporter: Reporter | None = None,
) -> View:
    """Draws pictures of a dataset with their boxes into one file.

    Args:
        data: The dataset.
        out: ``.png`` or ``.jpg`` for a contact sheet, ``.html`` for a page with larger pictures.
        images: At most so many, spread evenly over the dataset.
        seed: Choose them at random instead; the same seed gives the same choice.
        classes: Only pictures that hold one of these; empty for all.
        on_error: ``"fail"`` or ``"skip"`` pictures and annotations that cannot be read.
        overwrite: Whether ``out`` may be replaced.
        reporter: Where progress goes.

    Raises:
        UsageError: Another file ending, more pictures than a sheet holds, or a class that the dataset does not have.
        DataError: An item cannot be read, or there are no pictures.
        OutputError: ``out`` exists already or cannot be written.
    """
    reporter = reporter or LogReporter()
    suffix = file_ending(out, images, _MOST_ON_A_SHEET)
    with AtomicOutput(os.fspath(out), overwrite=overwrite) as output:
        dataset = open_dataset(data, on_error=on_error)
        scan, candidates = _count(dataset, classes, reporter)
        chosen = _choose(candidates, images, seed)
        result = View(os.fspath(out), candidates=candidates, classes=scan.classes)
        side = _TILE if suffix in SHEETS else PAGE_SIDE
        with reporter.task("Drawing", len(chosen)) as task:

            def drawn() -> Iterator[tuple[Image, str]]:
                for sample in _at(dataset, classes, chosen):
                    task.advance()
                    if (picture := _draw(dataset, scan, sample, side)) is not None:
                        result.shown += 1
                        yield picture, _caption(sample)

            content = _render(drawn(), dataset, scan, suffix)
        if not result.shown:
            first = dataset.problems.skipped[0]
            raise DataError(dataset.info.location, f"none of the chosen pictures can be drawn; the first: {first}")
        with output.open() as file:
            file.write(content)
    result.skipped = dataset.problems.skipped
    return result


def _count(dataset: Dataset, classes: Collection[str], reporter: Reporter) -> tuple[Scan, int]:
    candidates = 0
    with reporter.task("Reading the annotations", dataset.info.num_samples) as task:

        def counted() -> Iterator[Sample]:
            nonlocal candidates
            for sample in dataset:
                candidates += _wanted(sample, classes)
                yield sample
                task.advance()

        scan = Scan.of(counted(), given=dataset.info.label_map)
    for name in classes:
        if name not in scan.classes:
            near = difflib.get_close_matches(name, scan.classes, n=1)
            guess = f"did you mean {near[0]!r}? " if near else ""
            raise UsageError(
                f"no box in {dataset.uri} is a {name!r}",
                f"{guess}there is: {', '.join(scan.classes) or 'no box at all'}",
            )
    if not candidates:
        skipped = dataset.problems.skipped
        why = f"each of its {len(skipped)} items was left out; the first: {skipped[0]}" if skipped else "it is empty"
        raise DataError(
            dataset.info.location, f"there is no picture to draw: {why}", "check the location and the format"
        )
    return scan, candidates


def _wanted(sample: Sample, classes: Collection[str]) -> bool:
    return not classes or any(label in classes for label in sample.boxes.labels)


def _choose(candidates: int, images: int, seed: int | None) -> set[int]:
    """Positions among the candidates: the middle of each of ``images`` equal parts, or a random sample."""
    number = min(images, candidates)
    if seed is not None:
        return set(random.Random(seed).sample(range(candidates), number))
    return {(2 * part + 1) * candidates // (2 * number) for part in range(number)}


def _at(dataset: Dataset, classes: Collection[str], chosen: set[int]) -> Iterator[Sample]:
    candidates = (sample for sample in dataset if _wanted(sample, classes))
    return (sample for position, sample in enumerate(candidates) if position in chosen)


def _draw(dataset: Dataset, scan: Scan, sample: Sample, side: int) -> Image | None:
    from boxwright.render.boxes import ON_A_PAGE, draw_boxes, palette

    try:
        picture = decode_sample(sample, at_least=(side, side))
    except DataError as error:
        dataset.problems(error)
        return None
    colors = palette([*scan.label_map.names, *scan.classes])
    boxes = picture.boxes
    emphasis = ON_A_PAGE if side == PAGE_SIDE else 1.0
    return draw_boxes(
        picture.image, boxes.xyxy, boxes.labels, colors=colors, min_side=side, max_side=side, emphasis=emphasis
    )


def _caption(sample: Sample) -> str:
    boxes = len(sample.boxes)
    return f"{sample.image.name} · {boxes} {'box' if boxes == 1 else 'boxes'}"


def _render(items: Iterator[tuple[Image, str]], dataset: Dataset, scan: Scan, suffix: str) -> bytes:
    from boxwright.render.boxes import palette
    from boxwright.render.sheets import contact_sheet, html_page

    colors = palette([*scan.label_map.names, *scan.classes])
    legend = {f"{name} ({number:,})": colors[name] for name, number in scan.classes.items()}
    title = dataset.uri or dataset.info.location
    if suffix in PAGES:
        notes: Sequence[str] = [f"{scan.samples:,} pictures, {scan.boxes:,} boxes"]
        pictures = ((caption, encode_jpeg(image)) for image, caption in items)
        return html_page(pictures, title, legend, notes).encode()
    buffer = io.BytesIO()
    sheet = contact_sheet(items, tile=_TILE, title=title, legend=legend)
    sheet.save(buffer, SHEETS[suffix], quality=90)
    return buffer.getvalue()
