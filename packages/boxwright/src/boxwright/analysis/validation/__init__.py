"""Validation: what is wrong with datasets, by severity, with file and remedy."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from boxwright.analysis.conventions import one_based_option
from boxwright.analysis.statistics import Statistics
from boxwright.analysis.validation.boxes import box_problems
from boxwright.analysis.validation.checks import CHECKS, Check, Problem, Severity
from boxwright.analysis.validation.classes import Part, class_problems
from boxwright.analysis.validation.duplicates import SeenPictures
from boxwright.analysis.validation.pictures import Look, look, place_of
from boxwright.datasets.dataset import Dataset, open_dataset
from boxwright.datasets.parallel import map_samples
from boxwright.datasets.problems import Problems
from boxwright.errors import UsageError
from boxwright.progress import LogReporter, Reporter
from boxwright.schemas import Sample
from boxwright.storage.uri import DatasetURI

if TYPE_CHECKING:
    from boxwright.plugins.registry import Registry

Depth = Literal["decode", "header", "none"]
"""How far pictures are looked at."""
_DEPTHS = ("decode", "header", "none")
_MOST_WORKERS = 8


@dataclass
class ValidationReport:
    """What was found.

    Attributes:
        parts: The parts of the data, one a dataset or one a split of it, with their counts.
        problems: What was found, in the order of finding; no more of one check than were asked to be kept.
        counts: How many problems each check found, kept or not.
        pictures: How far pictures were looked at: ``"decode"``, ``"header"`` or ``"none"``.
        seconds: Wall time.
    """

    pictures: str = "decode"
    parts: list[Part] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    def count(self, severity: Severity | str) -> int:
        """How many problems are of a severity."""
        return sum(number for name, number in self.counts.items() if CHECKS[name].severity == severity)

    @property
    def ok(self) -> bool:
        """Whether there is no error; there may be warnings."""
        return not self.count(Severity.ERROR)

    def by_check(self) -> Iterator[tuple[Check, int, list[Problem]]]:
        """Each check that found something, how often, and what is kept of it; the worst first."""
        kept: dict[str, list[Problem]] = {name: [] for name in CHECKS}
        for problem in self.problems:
            kept[problem.check].append(problem)
        return ((check, self.counts[name], kept[name]) for name, check in CHECKS.items() if self.counts[name])

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "ok": self.ok,
            "errors": self.count(Severity.ERROR),
            "warnings": self.count(Severity.WARNING),
            "notes": self.count(Severity.NOTE),
            "pictures": self.pictures,
            "parts": [
                {
                    "name": part.name,
                    "dataset": part.dataset,
                    "split": part.split,
                    "pictures": part.pictures,
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
    data: str | DatasetURI | Dataset | Sequence[str | DatasetURI | Dataset],
    *,
    pictures: Depth = "decode",
    tiny: float = 3.0,
    few: int = 10,
    keep: int | None = None,
    workers: int | None = None,
    reporter: Reporter | None = None,
    registry: Registry | None = None,
) -> ValidationReport:
    """Looks for what is wrong with one or several datasets, and between them.

    Items that cannot be read are problems and stop nothing. Several datasets, and several splits of one, are taken for
    parts of the same data, such as ``train`` and ``test``: a picture in two of them is an error.

    Args:
        data: One dataset or several.
        pictures: ``"decode"`` reads and decodes every picture and looks for duplicates, ``"header"`` reads their
            headers alone, ``"none"`` does not look at them.
        tiny: A box is tiny if its shorter side is below so many pixels.
        few: A class with fewer boxes is rare.
        keep: How many problems of each check are kept; all of them are counted.
        workers: Threads that look at pictures; by default one a processor.
        reporter: Where progress goes.
        registry: The plugins to use, instead of the installed ones.

    Raises:
        UsageError: A wrong URI or option.
        DataError: There is nothing at a location.
        PluginError: A format's plugin is not installed, clashes, or lacks a library.
    """
    if pictures not in _DEPTHS:
        raise UsageError(f"pictures is {pictures!r}", f"give one of: {', '.join(_DEPTHS)}")
    started = time.perf_counter()
    given = [data] if isinstance(data, str | DatasetURI | Dataset) else list(data)
    if not given:
        raise UsageError("there is no dataset to validate", "name one: FORMAT:PLACE")
    datasets = [_forgiving(open_dataset(each, on_error="skip", registry=registry)) for each in given]
    threads = 1 if pictures == "none" else workers or _processors()
    run = _Validation(pictures, tiny, keep, threads)
    for number, dataset in enumerate(datasets):
        run.read(number, dataset, reporter or LogReporter())
    run.finish(datasets, few)
    run.report.seconds = time.perf_counter() - started
    return run.report


class _Validation:
    """One validation while it runs."""

    def __init__(self, pictures: Depth, tiny: float, keep: int | None, workers: int) -> None:
        self.report = ValidationReport(pictures)
        self._tiny = tiny
        self._keep = keep
        self._workers = workers
        self._parts: dict[tuple[int, str | None], int] = {}
        self._seen = SeenPictures()

    def found(self, problem: Problem) -> None:
        """Counts a problem, and keeps it unless there are enough of its kind."""
        self.report.counts[problem.check] += 1
        if self._keep is None or self.report.counts[problem.check] <= self._keep:
            self.report.problems.append(problem)

    def read(self, number: int, dataset: Dataset, reporter: Reporter) -> None:
        """Reads one dataset through."""
        uri = _name(dataset)
        pictures = 0
        statistics = Statistics()
        with reporter.task(f"Validating {uri}", dataset.info.num_samples) as task:
            samples = statistics.watch(dataset)
            for sample, look in map_samples(self._look, samples, dataset.problems, self._workers):
                pictures += 1
                self._take(sample, look, number, uri)
                task.advance()
        for error in dataset.problems.skipped:
            self.found(Problem.of("unreadable", error))
        if not pictures and not dataset.problems.skipped:
            self.found(Problem("no_pictures", uri, "there are no annotated pictures in it"))
        borders = statistics.borders
        if advice := borders.advice(one_based_option(dataset)):
            text = f"it {borders.conclusion}; edges at the borders: {borders.evidence}"
            self.found(Problem("pixel_convention", uri, text, own_remedy="; ".join(advice)))
        for note in dataset.info.notes:
            self.found(Problem("reader_note", uri, note))

    def finish(self, datasets: Sequence[Dataset], few: int) -> None:
        """Looks at what only the whole shows."""
        parts = self.report.parts
        for problem in self._seen.problems(parts):
            self.found(problem)
        label_maps = {_name(data): data.known_label_map for data in datasets}
        known = {uri: label_map for uri, label_map in label_maps.items() if label_map is not None}
        for problem in class_problems(parts, known, few):
            self.found(problem)

    def _look(self, sample: Sample) -> tuple[Sample, Look]:
        depth = self.report.pictures
        return sample, Look() if depth == "none" else look(sample, decode=depth == "decode")

    def _take(self, sample: Sample, seen: Look, number: int, uri: str) -> None:
        key = (number, sample.split)
        if key not in self._parts:
            self._parts[key] = len(self.report.parts)
            self.report.parts.append(Part(uri, sample.split))
        part = self.report.parts[self._parts[key]]
        part.pictures += 1
        part.boxes.update(sample.boxes.labels)
        for problem in (*seen.problems, *box_problems(sample, self._tiny)):
            self.found(problem)
        if not sample.boxes.labels:
            self.found(Problem("picture_without_boxes", place_of(sample), "nothing is annotated in it"))
        if twice := self._seen.add(sample, number, self._parts[key], seen):
            self.found(twice)


def _name(dataset: Dataset) -> str:
    return dataset.uri or dataset.info.location


def _forgiving(dataset: Dataset) -> Dataset:
    """The same dataset, which keeps its problems instead of stopping at the first."""
    return dataset.with_problems(Problems("skip"))


def _processors() -> int:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(usable, _MOST_WORKERS)
