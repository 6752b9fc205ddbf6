"""Images of a dataset with their boxes, as a contact sheet or a page."""

from __future__ import annotations

import difflib
import os
import random
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from PIL.Image import Image

from boxwright.datasets.dataset import Data, Dataset, open_dataset
from boxwright.datasets.protocols import DatasetTransform
from boxwright.datasets.scan import Scan
from boxwright.errors import DataError, UsageError
from boxwright.images.decode import decode_sample
from boxwright.plugins.registry import default_registry
from boxwright.progress import LogReporter, Reporter
from boxwright.render.boxes import ON_A_PAGE, Color, draw_boxes, palette
from boxwright.render.pages import PAGE_SIDE, SHEETS, checked_suffix, sheet_or_page
from boxwright.render.sheets import side_by_side
from boxwright.schemas import Sample
from boxwright.storage.output import AtomicOutput

_TILE = 320
_MOST_ON_A_SHEET = 200


@dataclass
class View:
    """The result of :func:`view`.

    Attributes:
        out: The file.
        shown: The number of images in it.
        candidates: The number of images to choose from.
        classes: The number of boxes by label in the whole dataset.
        skipped: Items skipped under ``on_error="skip"``.
    """

    out: str
    shown: int = 0
    candidates: int = 0
    classes: dict[str, int] = field(default_factory=dict)
    skipped: list[DataError] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values for JSON."""
        return {
            "out": self.out,
            "shown": self.shown,
            "candidates": self.candidates,
            "classes": self.classes,
            "skipped": [str(error) for error in self.skipped],
        }


def view(
    data: Data,
    *,
    out: str | os.PathLike[str],
    images: int = 24,
    seed: int | None = None,
    classes: Collection[str] = (),
    augment: Sequence[str] = (),
    on_error: str = "fail",
    overwrite: bool = False,
    reporter: Reporter | None = None,
) -> View:
    """Draws images of a dataset with their boxes into one file.

    Args:
        data: The dataset.
        out: ``.png`` or ``.jpg`` for a contact sheet, ``.html`` for a page with larger images.
        images: The largest number of images, spread evenly over the dataset.
        seed: Choose them at random instead; the same seed results in the same choice.
        classes: Only images with a box of one of these classes; empty for all.
        augment: Augmenters as for :func:`boxwright.train`; each image is drawn before and after them.
        on_error: ``"fail"``, or ``"skip"`` images and annotations that cannot be read.
        overwrite: Whether to replace an existing file.
        reporter: Receives the progress.

    Raises:
        UsageError: Another suffix, more images than fit on a contact sheet, a class that the dataset does not have, or
            an invalid option of an augmenter.
        PluginNotFoundError: An augmenter is unknown.
        DataError: An item cannot be read, or there are no images.
        OutputError: ``out`` exists and ``overwrite`` is false, or it cannot be written.
    """
    reporter = reporter or LogReporter()
    suffix = checked_suffix(out, images, _MOST_ON_A_SHEET)
    transform = _augmentation(augment, seed) if augment else None
    with AtomicOutput(os.fspath(out), overwrite=overwrite) as output:
        dataset = open_dataset(data, on_error=on_error)
        scan, candidates = _count(dataset, classes, reporter)
        chosen = _choose(candidates, images, seed)
        result = View(os.fspath(out), candidates=candidates, classes=scan.classes)
        colors = palette([*scan.label_map.names, *scan.classes])
        side = _TILE if suffix in SHEETS else PAGE_SIDE
        with reporter.task("Drawing", len(chosen)) as task:

            def drawn() -> Iterator[tuple[Image, str]]:
                samples = _Chosen(dataset, classes, chosen)
                for shown in ((each,) for each in samples) if transform is None else _pairs(transform, samples):
                    task.advance()
                    images = [_draw(dataset, sample, colors, side) for sample in shown]
                    if (image := _joined([each for each in images if each is not None])) is not None:
                        result.shown += 1
                        yield image, _caption(shown[0])

            legend = {f"{name} ({number:,})": colors[name] for name, number in scan.classes.items()}
            notes = [f"{scan.samples:,} images, {scan.boxes:,} boxes"]
            title = dataset.uri or dataset.info.location
            content = sheet_or_page(drawn(), suffix, title, legend, notes, tile=_TILE)
        if not result.shown:
            first = dataset.problems.skipped[0]
            raise DataError(dataset.info.location, f"none of the chosen images can be drawn; the first: {first}")
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
                candidates += _is_candidate(sample, classes)
                yield sample
                task.advance()

        scan = Scan.of(counted(), given=dataset.info.label_map)
    for name in classes:
        if name not in scan.classes:
            near = difflib.get_close_matches(name, scan.classes, n=1)
            guess = f"did you mean {near[0]!r}? " if near else ""
            raise UsageError(
                f"no box in {dataset.uri} has the class {name!r}",
                f"{guess}the classes are: {', '.join(scan.classes)}" if scan.classes else "it has no boxes at all",
            )
    if not candidates:
        skipped = dataset.problems.skipped
        why = f"all {len(skipped)} items were skipped; the first: {skipped[0]}" if skipped else "it is empty"
        raise DataError(dataset.info.location, f"no images to draw: {why}", "check the location and the format")
    return scan, candidates


def _is_candidate(sample: Sample, classes: Collection[str]) -> bool:
    return not classes or any(label in classes for label in sample.boxes.labels)


def _choose(candidates: int, images: int, seed: int | None) -> set[int]:
    """Returns positions among the candidates: the middle of each of ``images`` equal parts, or a random sample."""
    number = min(images, candidates)
    if seed is not None:
        return set(random.Random(seed).sample(range(candidates), number))
    return {(2 * part + 1) * candidates // (2 * number) for part in range(number)}


class _Chosen(Iterable[Sample]):
    """The samples at some positions among the candidates."""

    def __init__(self, dataset: Dataset, classes: Collection[str], positions: set[int]) -> None:
        self.dataset, self._classes, self._positions = dataset, classes, positions

    def __iter__(self) -> Iterator[Sample]:
        candidates = (sample for sample in self.dataset if _is_candidate(sample, self._classes))
        return (sample for position, sample in enumerate(candidates) if position in self._positions)


def _augmentation(steps: Sequence[str], seed: int | None) -> DatasetTransform:
    """Returns the step ``augment``, which yields each image and one changed copy of it."""
    transform: DatasetTransform = default_registry().resolve("transform", "augment")(
        steps=list(steps), seed=seed or 0, quality=95
    )
    return transform


def _pairs(transform: DatasetTransform, samples: _Chosen) -> Iterator[tuple[Sample, Sample]]:
    results = transform.apply(samples, samples.dataset.problems)
    return zip(results, results, strict=True)


def _joined(images: Sequence[Image]) -> Image | None:
    if len(images) < 2:
        return next(iter(images), None)
    return side_by_side(images[0], images[1], ("before", "after"))


def _draw(dataset: Dataset, sample: Sample, colors: dict[str, Color], side: int) -> Image | None:
    try:
        decoded = decode_sample(sample, at_least=(side, side))
    except DataError as error:
        dataset.problems(error)
        return None
    boxes = decoded.boxes
    emphasis = ON_A_PAGE if side == PAGE_SIDE else 1.0
    return draw_boxes(
        decoded.image, boxes.xyxy, boxes.labels, colors=colors, min_side=side, max_side=side, emphasis=emphasis
    )


def _caption(sample: Sample) -> str:
    boxes = len(sample.boxes)
    return f"{sample.image.name} · {boxes} {'box' if boxes == 1 else 'boxes'}"
