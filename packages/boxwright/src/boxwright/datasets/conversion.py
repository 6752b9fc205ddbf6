"""Converts a dataset: reads, transforms, counts what is lost, writes completely or not at all.

A conversion goes one way: open, plan, run, commit, report.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from boxwright.datasets.dataset import Dataset, empty_dataset_error, open_dataset
from boxwright.datasets.destination import Destination, LabelMapFile, Outputs, Part, located_error
from boxwright.datasets.detect import detect_format
from boxwright.datasets.losses import Losses
from boxwright.datasets.parallel import available_cores, process_count, shared
from boxwright.datasets.protocols import BatchWriter, PartitionedReader, PreparingWriter, SwappingReader, Transform
from boxwright.datasets.steps import make_transform
from boxwright.errors import DataError, LossError, UsageError
from boxwright.label_map import LabelMap
from boxwright.plugins.registry import Registry, default_registry
from boxwright.progress import LogReporter, Reporter
from boxwright.schemas import Sample, SwappedCoordinates
from boxwright.storage.uri import DatasetURI
from boxwright.text import is_text


@dataclass
class ConversionReport:
    """The result of a conversion.

    Attributes:
        source: The URI that was read.
        targets: The URIs that were written, one per split.
        samples: The number of images by target.
        boxes: Boxes written.
        classes: Boxes by label.
        losses: What the target format cannot store.
        sidecars: The files that keep it instead.
        skipped: Items that were skipped under ``on_error="skip"``.
        swapped: Boxes whose coordinates were in the wrong order, and which the reader was asked to sort.
        label_map: The label map file that goes with the output, or ``""``.
        label_map_reused: Whether that file was there before and decided the classes' numbers.
        notes: What the steps report, such as how many images were turned upright.
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
    swapped: int = 0
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
            "exchanged": self.swapped,
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
        label_map: The classes and their ids. A file that does not exist yet is created. Without it, a label map file
            that is next to the target already is used, so that train and test get the same ids.
        strict: Raise before the first byte is written if the target format cannot store everything; a sidecar can.
        on_error: ``"fail"`` or ``"skip"`` items that cannot be read or written; skipped ones are in the report.
        overwrite: Whether an existing target may be replaced.
        sidecar: Whether what the target format cannot store is written to a file next to the output, and restored
            when the output is read; see :mod:`boxwright.datasets.sidecar`.
        workers: Threads for the steps, or processes if there are no steps and the formats let them share the work; 0
            for one per core. If processes cannot be forked (on Windows and macOS), 0 is one process, and a script that
            sets more must protect its main module by ``if __name__ == "__main__":``.
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
    dataset = _opened(source, steps, on_error, workers, plugins)
    plan = _planned(dataset, Destination(target, plugins, overwrite=overwrite), label_map, workers, reporter)
    if sidecar and not plan.destination.spec.load:
        name = plan.destination.spec.name
        raise UsageError(f"{name} cannot be read, so a sidecar cannot help", "leave out --sidecar")
    if strict and not sidecar:
        _refuse_losses(plan, reporter)
    try:
        return _converted(plan, sidecar, started, plugins, reporter)
    except _OrderMattersError:
        return _converted(replace(plan, processes=1), sidecar, started, plugins, reporter)


def _opened(
    source: str | DatasetURI | Dataset, steps: Sequence[str | Transform], on_error: str, workers: int, plugins: Registry
) -> Dataset:
    """The source, through the steps."""
    transforms = [make_transform(step, plugins) for step in steps]
    dataset = open_dataset(_read_for(source, steps, plugins), on_error=on_error, registry=plugins)
    return dataset.through(*transforms, workers=workers or available_cores()) if transforms else dataset


@dataclass(frozen=True)
class _Plan:
    """What a conversion is going to do.

    Attributes:
        dataset: What is read.
        destination: What is written.
        label_map_file: Where the label map goes.
        label_map: The classes, as far as they are known.
        processes: How many processes share the work.
    """

    dataset: Dataset
    destination: Destination
    label_map_file: LabelMapFile
    label_map: LabelMap | None
    processes: int


def _planned(
    dataset: Dataset,
    destination: Destination,
    label_map: str | Path | LabelMap | None,
    workers: int,
    reporter: Reporter,
) -> _Plan:
    """Settles the classes and how the work is shared."""
    file = LabelMapFile.choose(label_map, destination)
    known = file.label_map
    if known is None and (file.path or destination.spec.numbered):
        known = dataset.known_label_map
    processes = _processes(dataset, workers)
    if known is None and destination.needs_label_map:
        known = _scanned_label_map(dataset, reporter, processes)
    return _Plan(dataset, destination, file, known, processes)


def _converted(plan: _Plan, sidecar: bool, started: float, plugins: Registry, reporter: Reporter) -> ConversionReport:
    """Writes every sample, puts the outputs in place, and reports.

    Raises:
        _OrderMattersError: Several processes cannot share the work.
    """
    dataset = plan.dataset
    with Outputs(plan.destination, plan.label_map_file, plan.label_map, dataset, sidecar=sidecar) as outputs:
        counts = _run(plan, outputs, reporter, shared=not sidecar)
        if not outputs.samples:
            raise empty_dataset_error(dataset, "there are no annotated images in it")
        outputs.commit(counts.classes)
        sidecars = outputs.write_sidecars(plugins, reporter)
    return ConversionReport(
        source=dataset.uri or dataset.info.location,
        targets=list(outputs.samples),
        samples=outputs.samples,
        boxes=counts.boxes,
        classes=dict(sorted(counts.classes.items())),
        swapped=counts.swapped,
        losses=counts.losses,
        skipped=dataset.problems.skipped,
        notes=dataset.notes,
        label_map=plan.label_map_file.path,
        label_map_reused=plan.label_map_file.reused,
        sidecars=sidecars,
        seconds=time.perf_counter() - started,
    )


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


def _run(plan: _Plan, outputs: Outputs, reporter: Reporter, *, shared: bool) -> _Counts:
    """Brings every sample to its output, and counts."""
    dataset, tally = plan.dataset, _Tally(plan)
    if plan.processes > 1 and shared and not plan.destination.uri.has_split:
        reader, writer = dataset.reader, outputs.single.writer
        if isinstance(reader, PartitionedReader) and isinstance(writer, PreparingWriter):
            return _run_shared(plan, reader, writer, outputs.single, tally, reporter)
    with reporter.task("Converting", dataset.info.num_samples) as task:
        for sample in dataset:
            try:
                tally.check(sample)
                outputs.write(sample)
            except (DataError, UnicodeEncodeError) as error:
                dataset.problems(located_error(error, sample))
                continue
            tally.count(sample)
            task.advance()
    return tally.counts()


@dataclass
class _Counts:
    """What was written."""

    swapped: int = 0
    boxes: int = 0
    classes: Counter[str] = field(default_factory=Counter)
    losses: Losses = field(default_factory=Losses)

    def add(self, other: _Counts) -> None:
        """Adds what was counted elsewhere."""
        self.swapped += other.swapped
        self.boxes += other.boxes
        self.classes.update(other.classes)
        self.losses.add(other.losses)


class _Tally:
    """Checks samples against the known classes, and counts what is written."""

    def __init__(self, plan: _Plan) -> None:
        file = plan.label_map_file
        self._counter = plan.destination.loss_counter(plan.dataset)
        self._label_map = plan.label_map
        self._names = None if plan.label_map is None else frozenset(plan.label_map.names)
        self._source = file.source if file.label_map is not None else "the dataset's label map"
        reader = plan.dataset.reader
        self._swapped = reader.swapped if isinstance(reader, SwappingReader) else SwappedCoordinates()
        self._swapped_before = self._swapped.count
        self._boxes = 0
        self._classes: Counter[str] = Counter()

    def check(self, sample: Sample) -> None:
        """Raises a DataError if the sample has a class that is not in the label map."""
        if self._names is not None and not self._names.issuperset(sample.boxes.labels):
            assert self._label_map is not None
            _check_labels(sample, self._label_map, self._source)

    def count(self, sample: Sample) -> None:
        """Counts a sample that was written."""
        self._counter.count(sample)
        classes, labels = self._classes, sample.boxes.labels
        self._boxes += len(labels)
        for label in labels:
            classes[label] += 1

    def counts(self) -> _Counts:
        """What was counted since the last call."""
        swapped = self._swapped.count
        counts = _Counts(swapped - self._swapped_before, self._boxes, self._classes, self._counter.take())
        self._swapped_before, self._boxes, self._classes = swapped, 0, Counter()
        return counts


class _ChunkEndsError(Exception):
    """The rest of a chunk is not needed: the parent process raises the error that is its last entry."""


class _OrderMattersError(Exception):
    """An item depends on another, such as by its name, so that several processes cannot share the work."""


class _Failure(NamedTuple):
    """An error of one item, as plain values."""

    file: str
    problem: str
    remedy: str
    place: str


class _Chunk(NamedTuple):
    """What a process made of some consecutive items.

    Attributes:
        names: The name of each sample; ``None`` for an error.
        entries: The prepared samples and the errors, in order; ``None`` if ``packed`` has them all.
        packed: All prepared samples in one value, where the writer can do that.
        items: How many items the chunk has.
        counts: What was counted.
    """

    names: list[str | None]
    entries: list[Any] | None
    packed: Any
    items: int
    counts: _Counts


@dataclass
class _Work:
    """Reads, checks and encodes some items, in another process.

    It is pickled if that process is not a fork of this one.
    """

    reader: PartitionedReader
    writer: PreparingWriter
    tally: _Tally
    on_error: str

    def __call__(self, start: int, stop: int) -> _Chunk:
        names: list[str | None] = []
        entries: list[Any] = []

        def on_problem(error: DataError) -> None:
            names.append(None)
            entries.append(_Failure(error.file, error.problem, error.remedy, error.place))
            if self.on_error == "fail":
                raise _ChunkEndsError

        with suppress(_ChunkEndsError):
            for sample in self.reader.read_part(start, stop, on_problem):
                try:
                    self.tally.check(sample)
                    prepared = self.writer.prepare(sample)
                except (DataError, UnicodeEncodeError) as error:
                    on_problem(located_error(error, sample))
                    continue
                names.append(sample.image.name)
                entries.append(prepared)
                self.tally.count(sample)
        packed = self.writer.pack(entries) if isinstance(self.writer, BatchWriter) and None not in names else None
        return _Chunk(names, entries if packed is None else None, packed, stop - start, self.tally.counts())


def _run_shared(
    plan: _Plan, reader: PartitionedReader, writer: PreparingWriter, part: Part, tally: _Tally, reporter: Reporter
) -> _Counts:
    """Reads, checks and encodes in several processes, and puts everything together in this one.

    Raises:
        _OrderMattersError: The work must be done in one process after all.
    """
    problems, batch_writer = plan.dataset.problems, writer if isinstance(writer, BatchWriter) else None
    total = tally.counts()  # the losses of the dataset as a whole are counted once, here
    work = _Work(reader, writer, tally, problems.on_error)
    seen: set[str | None] = set()
    with ExitStack() as stack:
        chunks = stack.enter_context(closing(shared(work, reader.parts, plan.processes)))
        first = next(chunks)  # the processes are started before a progress bar's thread runs
        task = stack.enter_context(reporter.task("Converting", plan.dataset.info.num_samples))
        for chunk in chain((first,), chunks):
            names = [name for name in chunk.names if name is not None]
            if len(set(names)) < len(names) or not seen.isdisjoint(names):
                raise _OrderMattersError
            seen.update(names)
            if chunk.entries is None:
                assert batch_writer is not None
                batch_writer.put_pack(chunk.packed)
            for entry in chunk.entries or ():
                if isinstance(entry, _Failure):
                    problems(DataError(*entry))
                else:
                    writer.put(entry)
            part.samples += len(names)
            total.add(chunk.counts)
            task.advance(chunk.items)
    return total


def _check_labels(sample: Sample, label_map: LabelMap, source: str) -> None:
    for position, label in enumerate(sample.boxes.labels, start=1):
        if label not in label_map:
            raise DataError(
                sample.source or sample.image.name,
                f"the class {label!r} is not in {source} ({_listed(label_map)})",
                "add it there, or use another --label-map",
                f"box {position}",
            )


def _listed(label_map: LabelMap) -> str:
    return ", ".join(
        item.name if item.display_name in (None, item.name) else f"{item.name}, displayed as {item.display_name!r}"
        for item in label_map.items
    )


def _processes(dataset: Dataset, workers: int) -> int:
    """How many processes shall share the work: one, where they would not pay or the dataset does not let them."""
    parts = dataset.reader.parts if isinstance(dataset.reader, PartitionedReader) else 0
    return 1 if dataset.transforms else process_count(parts, workers)


def _scanned_label_map(dataset: Dataset, reporter: Reporter, processes: int) -> LabelMap:
    if processes > 1:  # a second at most, and forks must not be made while a progress bar's thread runs
        return LabelMap.from_names(filter(is_text, dataset.labels(processes=processes)))
    with reporter.task("Looking for the classes", dataset.info.num_samples) as task:
        return LabelMap.from_names(filter(is_text, dataset.labels(task.advance)))


def _refuse_losses(plan: _Plan, reporter: Reporter) -> None:
    dataset, destination = plan.dataset, plan.destination
    counter = destination.loss_counter(dataset)
    with reporter.task("Checking that nothing would be lost", dataset.info.num_samples) as task:
        for sample in dataset:
            counter.count(sample)
            task.advance()
    if counter.losses:
        raise LossError(
            f"{destination.spec.name} cannot store everything: {counter.losses.describe()}",
            "convert to a format that carries it (see `boxwright formats`), or leave out --strict",
        )
