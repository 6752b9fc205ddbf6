"""Brings the samples of a conversion from the reader to the outputs, in this process or shared between several."""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any, NamedTuple

from boxwright.datasets.image_places import folder_of
from boxwright.datasets.losses import Losses
from boxwright.datasets.names import Names
from boxwright.datasets.outputs import Outputs, Part, located_error
from boxwright.datasets.parallel import map_samples, shared
from boxwright.datasets.parts import Failure, PartEndsError, Shards, parted, places_of, why_whole
from boxwright.datasets.plan import Plan
from boxwright.datasets.protocols import (
    BatchWriter,
    MergingTransform,
    OnProblem,
    PartitionedReader,
    PreparingWriter,
    ReportingTransform,
    ShapeReader,
    SwappingReader,
    Transform,
)
from boxwright.datasets.shape_rule import ShapeRule
from boxwright.errors import DataError
from boxwright.images.lookup import check_size
from boxwright.label_map import LabelMap
from boxwright.progress import Reporter
from boxwright.schemas import Sample, SwappedCoordinates
from boxwright.storage.links import Boundary


@dataclass
class Counts:
    """What was written."""

    swapped: int = 0
    boxes: int = 0
    classes: Counter[str] = field(default_factory=Counter)
    splits: Counter[str] = field(default_factory=Counter)
    losses: Losses = field(default_factory=Losses)
    shapes: Counter[tuple[str, str]] = field(default_factory=Counter)
    image_folders: set[str] = field(default_factory=set)

    def add(self, other: Counts) -> None:
        """Adds what was counted elsewhere."""
        self.swapped += other.swapped
        self.boxes += other.boxes
        self.classes.update(other.classes)
        self.splits.update(other.splits)
        self.losses.add(other.losses)
        self.shapes.update(other.shapes)
        self.image_folders |= other.image_folders


def transfer(plan: Plan, outputs: Outputs, reporter: Reporter) -> Counts:
    """Brings every sample to its output, and counts."""
    dataset = plan.dataset
    if plan.processes > 1 or plan.engine is not None:
        alone = _why_alone(plan, outputs)
        if not alone:
            try:
                return _transfer_shared(plan, outputs.single, reporter)
            except _OrderMattersError:
                outputs.restart()
        elif plan.engine is not None:
            reporter.warning(f"this process does all the work: {alone}")
    tally = _Tally(plan)
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


class _Tally:
    """Checks samples against the known classes, and counts what is written."""

    def __init__(self, plan: Plan) -> None:
        file = plan.label_map_file
        self._counter = plan.loss_counter()
        self._true_size = plan.destination.spec.true_size
        self._label_map = plan.label_map
        self._names = None if plan.label_map is None else frozenset(plan.label_map.names)
        self._source = file.source if file.label_map is not None else "the dataset's label map"
        reader = plan.dataset.reader
        self._swapped = reader.swapped if isinstance(reader, SwappingReader) else SwappedCoordinates()
        self._swapped_before = self._swapped.count
        self._shapes = reader.shapes if isinstance(reader, ShapeReader) else ShapeRule()
        self._shapes.restart()
        self._boxes = 0
        self._classes: Counter[str] = Counter()
        self._remembers = plan.destination.remembers
        self._folders: set[str] = set()
        self._folder: str | None = None  # of the last image
        self._splits: Counter[str] = Counter()

    def check(self, sample: Sample) -> None:
        """Raises a DataError if the sample has a class that is not in the label map, or a wrong size."""
        if self._true_size:
            check_size(sample)
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
        if sample.split is not None:
            self._splits[sample.split] += 1
        if self._remembers and (self._folder is None or sample.image.location != f"{self._folder}/{sample.image.name}"):
            self._folder = folder_of(sample.image)  # once, where all images are in one folder
            if self._folder is not None:
                self._folders.add(self._folder)

    def counts(self) -> Counts:
        """What was counted since the last call."""
        swapped, shapes = self._swapped.count, self._shapes.totals()
        losses = self._counter.take()
        losses.add_left_out(shapes)
        counts = Counts(
            swapped - self._swapped_before, self._boxes, self._classes, self._splits, losses, shapes, self._folders
        )
        self._swapped_before, self._boxes, self._folders, self._folder = swapped, 0, set(), None
        self._classes, self._splits = Counter(), Counter()
        self._shapes.restart()
        return counts


def _why_alone(plan: Plan, outputs: Outputs) -> str:
    """Returns why this process must do all the work of a conversion; empty if others can share it."""
    spec = plan.destination.spec
    if plan.sidecar:
        return "sidecars are written in order"
    if plan.destination.copies_images:
        return "images are copied one by one"
    if plan.destination.uri.has_split:
        return "the target has {split} in it"
    steps = plan.dataset.transforms
    if parted(plan.dataset.reader) is None or not all(map(_can_be_copied, steps)):
        return why_whole(plan.dataset)
    try:
        pickle.dumps(steps)
    except (AttributeError, TypeError, pickle.PicklingError):
        return "a step cannot be sent to other machines"
    if not isinstance(outputs.single.writer, PreparingWriter):
        return f"{spec.name} is written in order"
    if plan.engine is None and "images" in spec.carries:
        return "passing images between processes takes longer than encoding them"
    return ""


def _can_be_copied(transform: Transform) -> bool:
    """Whether each machine can have a copy of a transform."""
    return transform.per_sample and (
        isinstance(transform, MergingTransform) or not isinstance(transform, ReportingTransform)
    )


class _OrderMattersError(Exception):
    """An item depends on another, such as by its name, so that several processes cannot share the work."""


class _Chunk(NamedTuple):
    """What a process made of some consecutive items.

    Attributes:
        sources: The name of each image that was read, if there are transforms.
        names: The name of each sample; ``None`` for an error.
        entries: The prepared samples and the errors, in order; ``None`` if ``packed`` has them all.
        packed: All prepared samples in one value, where the writer can do that.
        items: How many items the chunk has.
        counts: What was counted.
        noted: What each transform noted.
    """

    sources: list[str]
    names: list[str | None]
    entries: list[Any] | None
    packed: Any
    items: int
    counts: Counts
    noted: list[Any]


@dataclass
class _Work:
    """Reads, transforms, checks and encodes some items, in another process.

    It is pickled if that process is not a fork of this one.
    """

    reader: PartitionedReader
    writer: PreparingWriter
    tally: _Tally
    boundary: Boundary
    on_error: str
    transforms: Sequence[Transform]

    def __call__(self, start: int, stop: int) -> _Chunk:
        sources: list[str] = []
        names: list[str | None] = []
        entries: list[Any] = []

        def on_problem(error: DataError) -> None:
            names.append(None)
            entries.append(Failure.of(error))
            if self.on_error == "fail":
                raise PartEndsError

        with suppress(PartEndsError):
            samples = self._allowed(self.reader.read_part(start, stop, on_problem), on_problem)
            for sample in self._transformed(samples, on_problem, sources) if self.transforms else samples:
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
        items = len(names) if isinstance(self.reader, Shards) else stop - start
        noted = [each.taken() if isinstance(each, MergingTransform) else None for each in self.transforms]
        counts = self.tally.counts()
        return _Chunk(sources, names, entries if packed is None else None, packed, items, counts, noted)

    def _allowed(self, samples: Iterable[Sample], on_problem: OnProblem) -> Iterator[Sample]:
        for sample in samples:
            try:
                self.boundary.check(sample.image.location)
            except DataError as error:
                on_problem(located_error(error, sample))
                continue
            yield sample

    def _transformed(self, samples: Iterable[Sample], on_problem: OnProblem, sources: list[str]) -> Iterator[Sample]:
        def read() -> Iterator[Sample]:
            for sample in samples:
                sources.append(sample.image.name)
                yield sample

        transformed: Iterable[Sample] = read()
        for transform in self.transforms:
            transformed = _through(transform, transformed, on_problem)
        return iter(transformed)


def _through(transform: Transform, samples: Iterable[Sample], on_problem: OnProblem) -> Iterator[Sample]:
    return chain.from_iterable(map_samples(lambda sample: list(transform([sample])), samples, on_problem))


def _transfer_shared(plan: Plan, part: Part, reporter: Reporter) -> Counts:
    """Reads, checks and encodes in several processes or on other machines, and puts everything together in this one.

    Raises:
        _OrderMattersError: The work must be done in one process after all.
    """
    tally, problems, writer = _Tally(plan), plan.dataset.problems, part.writer
    split = parted(plan.dataset.reader)
    assert split is not None
    assert isinstance(writer, PreparingWriter)
    reader, size = split
    batch_writer = writer if isinstance(writer, BatchWriter) else None
    total = tally.counts()  # the losses of the dataset as a whole are counted once, here
    transforms = plan.dataset.transforms
    work = _Work(reader, writer, tally, plan.dataset.boundary, problems.on_error, transforms)
    seen, read = Names(), Names()
    with ExitStack() as stack:
        chunks = stack.enter_context(
            closing(shared(work, reader.parts, plan.processes, plan.engine, chunk=size, places=places_of(plan.dataset)))
        )
        first = list(islice(chunks, 1))  # the processes are started before a progress bar's thread runs
        task = stack.enter_context(reporter.task("Converting", plan.dataset.info.num_samples))
        for chunk in chain(first, chunks):
            names = [name for name in chunk.names if name is not None]
            if not all(map(read.add, chunk.sources)) or not all(map(seen.add, names)):
                raise _OrderMattersError
            for transform, noted in zip(transforms, chunk.noted, strict=True):
                if isinstance(transform, MergingTransform):
                    transform.add(noted)
            if chunk.entries is None:
                assert batch_writer is not None
                batch_writer.put_pack(chunk.packed)
            for entry in chunk.entries or ():
                if isinstance(entry, Failure):
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
            shown = [item.name for item in label_map.items if item.display_name == label]
            remedy = f"use its name: --with remap:{label}={shown[0]}" if shown else "add it there"
            raise DataError(
                sample.source or sample.image.name,
                f"the class {label!r} is not in {source} ({_listed(label_map)})",
                f"{remedy}, or use another --label-map",
                f"box {position}",
            )


def _listed(label_map: LabelMap) -> str:
    return ", ".join(
        item.name if item.display_name in (None, item.name) else f"{item.name}, displayed as {item.display_name!r}"
        for item in label_map.items
    )
