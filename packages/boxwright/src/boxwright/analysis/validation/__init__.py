"""Validation: the problems of datasets, by severity, with file and remedy."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import compress
from typing import Any, Literal

from boxwright.analysis.conventions import one_based_option
from boxwright.analysis.statistics import Statistics
from boxwright.analysis.validation.boxes import box_problems
from boxwright.analysis.validation.checks import CHECKS, Check, Problem, Severity
from boxwright.analysis.validation.classes import Part, class_problems
from boxwright.analysis.validation.duplicates import SeenImages
from boxwright.analysis.validation.images import ImageCheck, check_image
from boxwright.datasets.dataset import Data, Dataset, open_dataset
from boxwright.datasets.engines import opened_engine
from boxwright.datasets.parallel import CHUNK, available_cores, map_samples
from boxwright.datasets.parts import in_parts
from boxwright.datasets.problems import Problems
from boxwright.datasets.protocols import Engine
from boxwright.errors import UsageError
from boxwright.images.decode import place_of
from boxwright.plugins.registry import Registry, default_registry
from boxwright.progress import LogReporter, Reporter
from boxwright.regions import are_regions
from boxwright.schemas import Sample
from boxwright.storage.uri import DatasetURI

Depth = Literal["decode", "header", "none"]
"""How thoroughly images are checked."""
_DEPTHS = ("decode", "header", "none")
_MOST_WORKERS = 8
_DECODED = 128
"""How many images a machine decodes at once: a fraction of a second, so that none waits long for the last one."""


@dataclass
class ValidationReport:
    """The problems of datasets.

    Attributes:
        parts: The parts of the data, one per dataset or per split of it, with their counts.
        problems: The problems in the order of discovery, at most ``keep`` of each check.
        counts: The number of problems of each check, kept or not.
        images: How thoroughly images were checked: ``"decode"``, ``"header"`` or ``"none"``.
        seconds: Wall time.
    """

    images: str = "decode"
    parts: list[Part] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    def count(self, severity: Severity | str) -> int:
        """Returns the number of problems of a severity."""
        return sum(number for name, number in self.counts.items() if CHECKS[name].severity == severity)

    @property
    def ok(self) -> bool:
        """Whether there are no errors; there may be warnings."""
        return not self.count(Severity.ERROR)

    def by_check(self) -> Iterator[tuple[Check, int, list[Problem]]]:
        """Returns each check with problems, their number, and those that are kept; the worst first."""
        kept: dict[str, list[Problem]] = {name: [] for name in CHECKS}
        for problem in self.problems:
            kept[problem.check].append(problem)
        return ((check, self.counts[name], kept[name]) for name, check in CHECKS.items() if self.counts[name])

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values for JSON."""
        return {
            "ok": self.ok,
            "errors": self.count(Severity.ERROR),
            "warnings": self.count(Severity.WARNING),
            "notes": self.count(Severity.NOTE),
            "pictures": self.images,
            "parts": [
                {
                    "name": part.name,
                    "dataset": part.dataset,
                    "split": part.split,
                    "pictures": part.images,
                    "boxes": part.boxes.total(),
                    "classes": dict(sorted(part.boxes.items())),
                }
                for part in self.parts
            ],
            "checks": {
                check.name: {"severity": check.severity.value, "title": check.title, "count": number}
                for check, number, _ in self.by_check()
            },
            "problems": [problem.to_dict() for _, _, found in self.by_check() for problem in found],
            "seconds": round(self.seconds, 3),
        }


def validate(
    data: Data | Sequence[Data],
    *,
    images: Depth = "decode",
    tiny: float = 3.0,
    few: int = 10,
    keep: int | None = None,
    workers: int | None = None,
    engine: str | Engine | None = None,
    reporter: Reporter | None = None,
    registry: Registry | None = None,
) -> ValidationReport:
    """Checks one or several datasets for problems, and compares them with each other.

    Items that cannot be read are problems, and reading continues. Several datasets, and several splits of one, are
    parts of the same data, such as ``train`` and ``test``: an image in two of them is an error.

    Args:
        data: One dataset or several.
        images: ``"decode"`` decodes every image and searches for duplicates, ``"header"`` reads only the headers,
            ``"none"`` does not read images.
        tiny: Boxes with a shorter side below this number of pixels are tiny.
        few: Classes with fewer boxes are rare.
        keep: The number of problems of each check to keep; all are counted.
        workers: The number of threads that check images; by default one per core.
        engine: The machines that check images instead, if the format lets them: ``"ray"`` or
            ``"ray:address=10.0.0.1:6379"``; the report is the same.
        reporter: Receives the progress.
        registry: The plugins to use instead of the installed ones.

    Raises:
        UsageError: A URI or option is invalid.
        DataError: A location does not exist.
        PluginError: A format's plugin is not installed, clashes with another, or misses a library.
        EngineError: The machines cannot be reached, or cannot do the work.
    """
    if images not in _DEPTHS:
        raise UsageError(f"images is {images!r}", f"use one of: {', '.join(_DEPTHS)}")
    started = time.perf_counter()
    given = [data] if isinstance(data, str | os.PathLike | DatasetURI | Dataset) else list(data)
    if not given:
        raise UsageError("there is no dataset to validate", "pass one: FORMAT:LOCATION")
    plugins = registry or default_registry()
    datasets = [_forgiving(open_dataset(each, on_error="skip", registry=plugins)) for each in given]
    threads = 1 if images == "none" else workers or _processors()
    run = _Validation(images, tiny, keep, threads)
    with opened_engine(engine, plugins) as machines:
        for number, dataset in enumerate(datasets):
            run.read(number, dataset, reporter or LogReporter(), machines)
    run.finish(datasets, few)
    run.report.seconds = time.perf_counter() - started
    return run.report


class _Validation:
    """The state of a running validation."""

    def __init__(self, images: Depth, tiny: float, keep: int | None, workers: int) -> None:
        self.report = ValidationReport(images)
        self._tiny = tiny
        self._keep = keep
        self._workers = workers
        self._parts: dict[tuple[int, str | None], int] = {}
        self._seen = SeenImages()

    def found(self, problem: Problem) -> None:
        """Counts a problem, and keeps it if there are fewer than ``keep`` of its check."""
        self.report.counts[problem.check] += 1
        if self._keep is None or self.report.counts[problem.check] <= self._keep:
            self.report.problems.append(problem)

    def read(self, number: int, dataset: Dataset, reporter: Reporter, engine: Engine | None) -> None:
        """Checks one dataset."""
        uri = _name(dataset)
        images = 0
        statistics = Statistics()
        depth = self.report.images
        checking = _Checking(depth, self._tiny, 1 if engine else self._workers, light=engine is not None)
        items = _DECODED if depth == "decode" else CHUNK
        with reporter.task(f"Validating {uri}", dataset.info.num_samples) as task:
            for sample, check in in_parts(dataset, checking, engine, reporter, items=items):
                statistics.see(sample)
                images += 1
                self._take(sample, check, number, uri)
                task.advance()
        statistics.finish()
        for error in dataset.problems.skipped:
            self.found(Problem.of("unreadable", error))
        if not images and not dataset.problems.skipped:
            self.found(Problem("no_pictures", uri, "it does not contain annotated images"))
        borders = statistics.borders
        if advice := borders.advice(one_based_option(dataset)):
            text = f"it {borders.conclusion}; coordinates at the edges: {borders.evidence}"
            self.found(Problem("pixel_convention", uri, text, own_remedy="; ".join(advice)))
        for note in (*dataset.info.notes, *dataset.shape_notes):
            self.found(Problem("reader_note", uri, note))

    def finish(self, datasets: Sequence[Dataset], few: int) -> None:
        """Runs the checks that need all datasets."""
        parts = self.report.parts
        for problem in self._seen.problems(parts):
            self.found(problem)
        label_maps = {_name(data): data.known_label_map for data in datasets}
        known = {uri: label_map for uri, label_map in label_maps.items() if label_map is not None}
        for problem in class_problems(parts, known, few):
            self.found(problem)

    def _take(self, sample: Sample, check: ImageCheck, number: int, uri: str) -> None:
        key = (number, sample.split)
        if key not in self._parts:
            self._parts[key] = len(self.report.parts)
            self.report.parts.append(Part(uri, sample.split))
        part = self.report.parts[self._parts[key]]
        part.images += 1
        part.boxes.update(sample.boxes.labels)
        part.regions.update(compress(sample.boxes.labels, are_regions(sample.boxes)))
        for problem in check.problems:
            self.found(problem)
        if not sample.boxes.labels:
            self.found(Problem("picture_without_boxes", place_of(sample), "it has no boxes"))
        if duplicate := self._seen.add(sample, number, self._parts[key], check):
            self.found(duplicate)


@dataclass
class _Checking:
    """Checks the images of a dataset, in this process or on another machine.

    Attributes:
        depth: How thoroughly.
        tiny: As in :func:`validate`.
        workers: The number of threads.
        light: Whether the bytes of images from record files are left out of the result.
    """

    depth: str
    tiny: float
    workers: int
    light: bool

    def __call__(self, dataset: Dataset) -> Iterator[tuple[Sample, ImageCheck]]:
        return map_samples(self._check, dataset, dataset.problems, self.workers)

    def _check(self, sample: Sample) -> tuple[Sample, ImageCheck]:
        check = ImageCheck() if self.depth == "none" else check_image(sample, decode=self.depth == "decode")
        check.problems += box_problems(sample, self.tiny)
        if self.light and sample.image.data is not None:
            sample = sample.model_copy(update={"image": sample.image.model_copy(update={"data": None})})
        return sample, check


def _name(dataset: Dataset) -> str:
    return dataset.uri or dataset.info.location


def _forgiving(dataset: Dataset) -> Dataset:
    """Returns the same dataset, but reading continues after problems."""
    return dataset.with_problems(Problems("skip"))


def _processors() -> int:
    return min(available_cores(), _MOST_WORKERS)
