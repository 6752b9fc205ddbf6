"""From one dataset to another: read, transform, count what is lost, write whole or not at all."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

from boxwright import exchanged
from boxwright.datasets.dataset import Dataset, nothing_left, open_dataset
from boxwright.datasets.destination import Destination, LabelMapFile, Parts, named
from boxwright.datasets.detect import detect_format
from boxwright.datasets.losses import Losses
from boxwright.datasets.processes import WORTH_IT, available, can_fork, shared
from boxwright.datasets.protocols import Transform
from boxwright.datasets.steps import make_transform
from boxwright.errors import DataError, LossError, UsageError
from boxwright.label_map import LabelMap
from boxwright.plugins.registry import Registry, default_registry
from boxwright.progress import LogReporter, Reporter
from boxwright.schemas import Sample
from boxwright.storage.uri import DatasetURI
from boxwright.text import is_text


@dataclass
class ConversionReport:
    """What a conversion did.

    Attributes:
        source: The URI that was read.
        targets: The URIs that were written, one a split.
        samples: Pictures written, by target.
        boxes: Boxes written.
        classes: Boxes by label.
        losses: What the target format could not hold.
        sidecars: The files that keep it all the same.
        skipped: Items left out under ``on_error="skip"``.
        exchanged: Boxes whose edges stood in the wrong order, which the reader was told to exchange.
        label_map: The label map file that goes with the output, or ``""``.
        label_map_reused: Whether that file was there before and decided the classes' numbers.
        notes: What the steps have to say, such as how many pictures were turned upright.
        seconds: Wall time.
    """

    source: str
    targets: list[str] = field(default_factory=list)
    samples: dict[str, int] = field(default_factory=dict)
    boxes: int = 0
    classes: dict[str, int] = field(default_factory=dict)
    losses: Losses = field(default_factory=Losses)
    sidecars: list[str] = field(default_factory=list)
    skipped: list[DataError] = field(default_factory=list)
    exchanged: int = 0
    label_map: str = ""
    label_map_reused: bool = False
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "source": self.source,
            "targets": self.targets,
            "samples": self.samples,
            "boxes": self.boxes,
            "classes": self.classes,
            "dropped": dict(self.losses.dropped),
            "changed": dict(self.losses.changed),
            "added": dict(self.losses.added),
            "dropped_bookkeeping": dict(self.losses.bookkeeping),
            "sidecars": self.sidecars,
            "skipped": [
                {"file": e.file, "place": e.place, "problem": e.problem, "remedy": e.remedy} for e in self.skipped
            ],
            "exchanged": self.exchanged,
            "label_map": self.label_map or None,
            "label_map_reused": self.label_map_reused,
            "notes": self.notes,
            "seconds": round(self.seconds, 3),
        }


def convert(
    source: str | DatasetURI | Dataset,
    target: str | DatasetURI,
    *,
    steps: Sequence[str | Transform] = (),
    label_map: str | Path | LabelMap | None = None,
    strict: bool = False,
    on_error: str = "fail",
    overwrite: bool = False,
    sidecar: bool = False,
    workers: int = 0,
    reporter: Reporter | None = None,
    registry: Registry | None = None,
) -> ConversionReport:
    """Converts a dataset; memory does not grow with its size.

    Args:
        source: What to read, as for :func:`boxwright.open`.
        target: ``FORMAT:LOCATION[?option=value]``; ``{split}`` in the location is filled in with each sample's split.
        steps: Transforms in between, as ``"resize:800x600"`` or as objects.
        label_map: The classes and their numbers. A file that does not exist yet is made. Without it, a label map file
            that stands beside the target already is kept to, so that train and test get the same numbers.
        strict: Raise before the first byte is written if the target format cannot hold everything; a sidecar can.
        on_error: ``"fail"`` or ``"skip"`` items that cannot be read or written; skipped ones are in the report.
        overwrite: Whether an existing target may be replaced.
        sidecar: Whether what the target format cannot hold goes to a file beside the output, from where it comes back
            when the output is read; see :mod:`boxwright.datasets.sidecar`.
        workers: Threads for the steps, or processes where there are none and the formats let them share the work; 0
            for as many as there are cores.
        reporter: Where progress goes.
        registry: The plugins to use, instead of the installed ones.

    Raises:
        UsageError: A wrong URI, option or step.
        DataError: An item is wrong (under ``"fail"``), a class is not in the label map, or there is nothing to convert.
        LossError: Under ``strict``.
        OutputError: The target exists or cannot be written.
    """
    started = time.perf_counter()
    plugins, reporter = registry or default_registry(), reporter or LogReporter()
    transforms = [make_transform(step, plugins) for step in steps]
    source = _read_for(source, steps, plugins)
    dataset = open_dataset(source, on_error=on_error, registry=plugins)
    if transforms:
        dataset = dataset.through(*transforms, workers=workers or available())
    destination = Destination(target, plugins, overwrite=overwrite)
    report = ConversionReport(source=dataset.uri or str(source))
    classes = LabelMapFile.choose(label_map, destination)
    if strict and not sidecar:
        _refuse_losses(dataset, destination, reporter)
    known = classes.label_map
    if known is None and (classes.path or destination.spec.numbered):
        known = dataset.known_label_map
    processes = _processes(dataset, workers)
    if known is None and destination.needs_label_map:
        known = _scanned_label_map(dataset, reporter, processes)
    if sidecar or destination.uri.has_split or not destination.can_share:
        processes = 1
    if sidecar and not destination.spec.load:
        raise UsageError(f"{destination.spec.name} cannot be read, so that no sidecar can help", "leave out --sidecar")
    with ExitStack() as sidecars:
        written = (dataset, destination, classes, known, report, reporter, sidecars if sidecar else None)
        try:
            parts = _write(*written, processes=processes)
        except _NotByItselfError:
            parts = _write(*written, processes=1)
        report.sidecars = parts.write_sidecars(plugins, reporter)
    report.samples = parts.samples
    report.targets = list(parts.samples)
    report.skipped = dataset.problems.skipped
    report.notes = [*dataset.info.notes]
    report.notes += [note for transform in dataset.transforms for note in getattr(transform, "notes", list)()]
    report.seconds = time.perf_counter() - started
    return report


def _read_for(
    source: str | DatasetURI | Dataset, steps: Sequence[str | Transform], plugins: Registry
) -> str | DatasetURI | Dataset:
    """The source with the options that the steps want it to be read with, where its format has them."""
    wanted: dict[str, str] = {}
    for step in steps:
        if isinstance(step, str):
            wanted |= plugins.get("transform", step.partition(":")[0]).spec.reading
    if not wanted or isinstance(source, Dataset):
        return source
    uri = DatasetURI.parse(source) if isinstance(source, str) else source
    name = uri.format or detect_format(uri.location, plugins)
    known = {option.name for option in plugins.get("format", name).spec.options}
    added = {option: value for option, value in wanted.items() if option in known}
    return replace(uri, format=name, options=added | uri.options)


def _write(
    dataset: Dataset,
    destination: Destination,
    classes: LabelMapFile,
    known: LabelMap | None,
    report: ConversionReport,
    reporter: Reporter,
    sidecars: ExitStack | None,
    processes: int,
) -> Parts:
    """Brings every sample to its part and all parts in place; counts into the report."""
    tally = _Tally(dataset, destination, known, classes.source if classes.label_map else "the dataset's label map")
    with ExitStack() as stack:
        label_map_output = classes.open(stack)
        parts = Parts(destination, known, stack, dataset, sidecars)
        if processes > 1:
            _write_shared(dataset, parts, tally, reporter, processes)
        else:
            with reporter.task("Converting", dataset.info.num_samples) as task:
                for sample in dataset:
                    try:
                        tally.check(sample)
                        parts.write(sample)
                    except (DataError, UnicodeEncodeError) as error:
                        dataset.problems(named(error, sample))
                        continue
                    tally.count(sample)
                    task.advance()
        if not parts.samples:
            raise nothing_left(dataset, "there are no annotated pictures in it")
        parts.close()
        report.boxes, report.classes = tally.boxes, dict(sorted(tally.classes.items()))
        report.losses = tally.losses
        report.exchanged = tally.exchanged
        if classes.path:
            classes.write(known if known is not None else LabelMap.from_names(report.classes), label_map_output, parts)
            report.label_map, report.label_map_reused = classes.path, classes.reused
    return parts


class _Tally:
    """Checks samples against the known classes, and counts what is written."""

    def __init__(self, dataset: Dataset, destination: Destination, known: LabelMap | None, source: str) -> None:
        self._counter = destination.loss_counter(dataset)
        self._known = known
        self._names = frozenset(known.names) if known is not None else None
        self._source = source
        self.boxes = 0
        self.classes: dict[str, int] = {}
        self._exchanged = 0
        self._exchanged_before = exchanged.count

    @property
    def exchanged(self) -> int:
        """Boxes whose edges stood in the wrong order and were exchanged by the reader."""
        return self._exchanged + exchanged.count - self._exchanged_before

    @property
    def losses(self) -> Losses:
        return self._counter.losses

    def check(self, sample: Sample) -> None:
        if self._names is not None and not self._names.issuperset(sample.boxes.labels):
            assert self._known is not None
            _check_labels(sample, self._known, self._source)

    def count(self, sample: Sample) -> None:
        self._counter.count(sample)
        classes, labels = self.classes, sample.boxes.labels
        self.boxes += len(labels)
        for label in labels:
            classes[label] = classes.get(label, 0) + 1

    def take(self) -> tuple[int, int, dict[str, int], dict[str, dict[str, int]]]:
        """The counts since the last time, as plain values."""
        taken = (self.exchanged, self.boxes, self.classes, self.losses.take())
        self.boxes, self.classes, self._exchanged, self._exchanged_before = 0, {}, 0, exchanged.count
        return taken

    def add(self, exchanged: int, boxes: int, classes: dict[str, int], losses: dict[str, dict[str, int]]) -> None:
        """Adds what another process has counted."""
        self._exchanged += exchanged
        self.boxes += boxes
        for label, count in classes.items():
            self.classes[label] = self.classes.get(label, 0) + count
        self.losses.add(losses)


class _StretchEndsError(Exception):
    """The rest of a stretch is not wanted: the parent will raise the error that is its last entry."""


class _NotByItselfError(Exception):
    """An item turned out to depend on another, such as by its name."""


def _write_shared(dataset: Dataset, parts: Parts, tally: _Tally, reporter: Reporter, processes: int) -> None:
    """Reading, checking and encoding in several processes, putting together in this one.

    Raises:
        _NotByItselfError: The work has to be done in one process after all.
    """
    reader, writer = dataset.reader, parts.single.writer
    pack = getattr(writer, "pack", None)
    losses_of_the_dataset = tally.losses.take()

    def work(start: int, stop: int) -> tuple[Any, ...]:
        names: list[str | None] = []  # of a sample; an error has none
        entries: list[Any] = []

        def note(error: DataError) -> None:
            names.append(None)
            entries.append((error.file, error.problem, error.remedy, error.place))
            if dataset.problems.on_error == "fail":
                raise _StretchEndsError

        with suppress(_StretchEndsError):
            for sample in reader.read_part(start, stop, note):  # type: ignore[attr-defined]
                try:
                    tally.check(sample)
                    prepared = writer.prepare(sample)  # type: ignore[attr-defined]
                except (DataError, UnicodeEncodeError) as error:
                    note(named(error, sample))
                    continue
                names.append(sample.image.name)
                entries.append(prepared)
                tally.count(sample)
        packed = pack(entries) if pack is not None and None not in names else None
        return names, entries if packed is None else None, packed, stop - start, *tally.take()

    seen: set[str] = set()
    with ExitStack() as stack:
        answers = stack.enter_context(closing(shared(work, reader.parts, processes)))  # type: ignore[attr-defined]
        first = next(answers)  # the forks are made before a progress bar's thread runs
        task = stack.enter_context(reporter.task("Converting", dataset.info.num_samples))
        tally.losses.add(losses_of_the_dataset)
        for names, entries, packed, items, *counts in chain((first,), answers):
            if entries is None:
                if len(set(names)) < len(names) or not seen.isdisjoint(names):
                    raise _NotByItselfError
                seen.update(names)
                parts.put_pack(packed, len(names))
            for name, entry in zip(names, entries or (), strict=False):
                if name is None:
                    dataset.problems(DataError(*entry))
                    continue
                if name in seen:
                    raise _NotByItselfError
                seen.add(name)
                parts.put(entry)
            tally.add(*counts)
            task.advance(items)


def _check_labels(sample: Sample, label_map: LabelMap, source: str) -> None:
    for position, label in enumerate(sample.boxes.labels, start=1):
        if label not in label_map:
            raise DataError(
                sample.source or sample.image.name,
                f"the class {label!r} is not in {source} ({_listed(label_map)})",
                "add it there, or give another --label-map",
                f"box {position}",
            )


def _listed(label_map: LabelMap) -> str:
    return ", ".join(
        item.name if item.display_name in (None, item.name) else f"{item.name}, displayed as {item.display_name!r}"
        for item in label_map.items
    )


def _processes(dataset: Dataset, workers: int) -> int:
    """How many processes shall share the work: one, where they would not pay or the dataset does not let them."""
    parts: int = getattr(dataset.reader, "parts", 0)
    if workers == 1 or parts < WORTH_IT or dataset.transforms or not can_fork():
        return 1
    return workers or available()


def _scanned_label_map(dataset: Dataset, reporter: Reporter, processes: int) -> LabelMap:
    if processes > 1:  # a second at most, and forks must not be made while a progress bar's thread runs
        return LabelMap.from_names(filter(is_text, dataset.labels(processes=processes)))
    with reporter.task("Looking for the classes", dataset.info.num_samples) as task:
        return LabelMap.from_names(filter(is_text, dataset.labels(task.advance)))


def _refuse_losses(dataset: Dataset, destination: Destination, reporter: Reporter) -> None:
    counter = destination.loss_counter(dataset)
    with reporter.task("Checking that nothing would be lost", dataset.info.num_samples) as task:
        for sample in dataset:
            counter.count(sample)
            task.advance()
    if counter.losses:
        raise LossError(
            f"{destination.spec.name} cannot hold everything: {counter.losses.describe()}",
            "convert to a format that carries it (see `boxwright formats`), or leave out --strict",
        )
