"""From one dataset to another: read, transform, count what is lost, write whole or not at all."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from boxwright.dataset import Dataset, nothing_left, open_dataset
from boxwright.errors import DataError, LossError, OutputError, UsageError
from boxwright.losses import LossCounter, Losses
from boxwright.output import AtomicOutput
from boxwright.pbtxt import read_label_map
from boxwright.progress import LogReporter, Reporter
from boxwright.protocols import Transform, Writer
from boxwright.registry import Registry, convert_options, registry, require
from boxwright.schemas import DatasetInfo, LabelMap, Sample
from boxwright.specs import FormatSpec
from boxwright.steps import make_transform
from boxwright.uri import DatasetURI, is_remote, join


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
        skipped: Items left out under ``on_error="skip"``.
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
    skipped: list[DataError] = field(default_factory=list)
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
            "skipped": [
                {"file": e.file, "place": e.place, "problem": e.problem, "remedy": e.remedy} for e in self.skipped
            ],
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
    workers: int = 1,
    reporter: Reporter | None = None,
    registry_: Registry | None = None,
) -> ConversionReport:
    """Converts a dataset; memory does not grow with its size.

    Args:
        source: What to read, as for :func:`boxwright.open`.
        target: ``FORMAT:LOCATION[?option=value]``; ``{split}`` in the location is filled in with each sample's split.
        steps: Transforms in between, as ``"resize:800x600"`` or as objects.
        label_map: The classes and their numbers. A file that does not exist yet is made. Without it, a label map file
            that stands beside the target already is kept to, so that train and test get the same numbers.
        strict: Raise before the first byte is written if the target format cannot hold everything.
        on_error: ``"fail"`` or ``"skip"`` items that cannot be read or written; skipped ones are in the report.
        overwrite: Whether an existing target may be replaced.
        workers: Threads for the steps.
        reporter: Where progress goes.
        registry_: The plugins to use, instead of the installed ones.

    Raises:
        UsageError: A wrong URI, option or step.
        DataError: An item is wrong (under ``"fail"``), a class is not in the label map, or there is nothing to convert.
        LossError: Under ``strict``.
        OutputError: The target exists or cannot be written.
    """
    started = time.perf_counter()
    plugins, reporter = registry_ or registry(), reporter or LogReporter()
    transforms = [make_transform(step, plugins) for step in steps]
    dataset = open_dataset(source, on_error=on_error, registry_=plugins)
    if transforms:
        dataset = dataset.through(*transforms, workers=workers)
    destination = _Destination(target, plugins, overwrite=overwrite)
    report = ConversionReport(source=dataset.uri or str(source))
    classes = _LabelMapFile.choose(label_map, destination)
    if strict:
        _refuse_losses(dataset, destination, reporter)
    known = classes.label_map
    if known is None and (classes.path or destination.spec.numbered):
        known = dataset.known_label_map
    if known is None and destination.spec.numbered:
        known = _scanned_label_map(dataset, reporter)
    with ExitStack() as stack, reporter.task("Converting", dataset.info.num_samples) as task:
        label_map_output = classes.open(stack)
        parts = _Parts(destination, known, stack, dataset.info)
        counter = destination.loss_counter(dataset)
        for sample in dataset:
            try:
                if known is not None:
                    _check_labels(sample, known, classes.source if classes.label_map else "the dataset's label map")
                parts.write(sample)
            except DataError as error:
                dataset.problems(error)
                continue
            counter.count(sample)
            report.boxes += len(sample.boxes)
            for label in sample.boxes.labels:
                report.classes[label] = report.classes.get(label, 0) + 1
            task.advance()
        if not parts.samples:
            raise nothing_left(dataset, "there are no annotated pictures in it")
        parts.close()
        report.classes = dict(sorted(report.classes.items()))
        if classes.path:
            classes.write(known if known is not None else LabelMap.from_names(report.classes), label_map_output, parts)
            report.label_map, report.label_map_reused = classes.path, classes.reused
    report.samples = parts.samples
    report.targets = list(parts.samples)
    report.losses = counter.losses
    report.skipped = dataset.problems.skipped
    report.notes = [note for transform in dataset.transforms for note in getattr(transform, "notes", list)()]
    report.seconds = time.perf_counter() - started
    return report


class _Destination:
    """The parsed target with its format."""

    def __init__(self, target: str | DatasetURI, plugins: Registry, *, overwrite: bool) -> None:
        self.uri = DatasetURI.parse(target) if isinstance(target, str) else target
        self.overwrite = overwrite
        name = self.uri.format or _format_of_suffix(self.uri.location, plugins)
        entry = plugins.get("format", name)
        self.spec: FormatSpec = entry.spec
        if not self.spec.write:
            raise UsageError(f"the format {name!r} can be read and not written", "see `boxwright formats`")
        require("format", entry)
        self.options = convert_options(self.uri.options, self.spec.write_options, f"{name}:{self.uri.location}")
        self._make = plugins.resolve("format", name, "write")

    def writer(self, output: AtomicOutput, label_map: LabelMap | None) -> Writer:
        writer: Writer = self._make(output, label_map if self.spec.numbered else None, **self.options)
        return writer

    def loss_counter(self, dataset: Dataset) -> LossCounter:
        return LossCounter(self.spec, split_in_name=self.uri.has_split, dataset_attributes=dataset.info.attributes)

    @property
    def label_map_path(self) -> str:
        """Where the format's own label map file stands, or ``""``."""
        if not self.spec.label_map_file:
            return ""
        if self.label_map_inside:
            return join(self.uri.location, self.spec.label_map_file)
        beside, slash, _ = self.uri.location.partition("{split}")[0].replace("\\", "/").rpartition("/")
        return beside + slash + self.spec.label_map_file

    @property
    def label_map_inside(self) -> bool:
        """Whether the label map file is a part of the folder that is written."""
        return self.spec.target == "folder" and not self.uri.has_split


def _format_of_suffix(location: str, plugins: Registry) -> str:
    fitting = [
        entry.spec.name
        for entry in plugins.all("format")
        if entry.spec.write and any(location.lower().endswith(suffix) for suffix in entry.spec.suffixes)
    ]
    if len(fitting) == 1:
        return str(fitting[0])
    writable = [entry.spec.name for entry in plugins.all("format") if entry.spec.write]
    raise UsageError(
        f"{location!r} does not say which format to write",
        f"write FORMAT:{location} with one of: {', '.join(writable)}",
    )


@dataclass
class _LabelMapFile:
    """The label map file of an output: where it is, and what it says if it is there already."""

    path: str
    label_map: LabelMap | None
    source: str
    reused: bool
    inside: bool = False

    @classmethod
    def choose(cls, given: str | Path | LabelMap | None, destination: _Destination) -> _LabelMapFile:
        beside, inside = destination.label_map_path, destination.label_map_inside
        if isinstance(given, LabelMap):
            there = read_label_map(beside) if beside else None
            if there not in (None, given) and not destination.overwrite:
                raise OutputError(
                    f"{beside} has other classes than the given label map",
                    "write to another folder, give that file as the label map, or say --overwrite (overwrite=True)",
                )
            return cls(beside, given, "the given label map", there == given, inside)
        path = str(given) if given is not None else beside
        found = read_label_map(path) if path else None
        return cls(path, found, path, found is not None, inside and given is None)

    def open(self, stack: ExitStack) -> AtomicOutput | None:
        """An output for the file, where it has to be made; as the first on the stack it is put in place as the last."""
        if not self.path or self.reused or self.inside:
            return None
        return stack.enter_context(AtomicOutput(self.path, overwrite=True))

    def write(self, label_map: LabelMap, output: AtomicOutput | None, parts: _Parts) -> None:
        """Writes the file, unless it is there already and stays."""
        if self.inside:  # a folder that is replaced takes its old label map with it
            parts.add_file(os.path.basename(self.path), label_map.to_pbtxt().encode())
        elif output is not None:
            with output.open() as file:
                file.write(label_map.to_pbtxt().encode())


class _Parts:
    """One writer a split, opened when its first sample comes, all put in place together."""

    def __init__(
        self, destination: _Destination, label_map: LabelMap | None, stack: ExitStack, source: DatasetInfo
    ) -> None:
        self._destination = destination
        self._label_map = label_map
        self._stack = stack
        self._source = source
        self._outputs: list[AtomicOutput] = []
        self._writers: dict[str, Writer] = {}
        self.samples: dict[str, int] = {}
        if not destination.uri.has_split:
            self._open(destination.uri)  # at once, so that an existing target is refused before any work

    def _open(self, uri: DatasetURI) -> Writer:
        spec = self._destination.spec
        if spec.target == "folder":
            _refuse_to_swallow(self._source.location, uri.location)
        output = AtomicOutput(
            uri.location,
            spec.target,
            overwrite=self._destination.overwrite,
            dataset_attributes=self._source.attributes,
        )
        self._outputs.append(self._stack.enter_context(output))
        writer = self._destination.writer(output, self._label_map)
        self._writers[uri.location] = writer
        return writer

    def add_file(self, name: str, content: bytes) -> None:
        """Adds a file to every part."""
        for output in self._outputs:
            with output.open(name) as file:
                file.write(content)

    def write(self, sample: Sample) -> None:
        uri = self._destination.uri
        if uri.has_split:
            if sample.split is None:
                raise UsageError(
                    f"{uri} has {{split}} in it, and {sample.image.name} belongs to no split",
                    "add a step that makes them: --with split:train=0.8,test=0.2",
                )
            uri = uri.for_split(_safe_split(sample))
        writer = self._writers.get(uri.location) or self._open(uri)
        writer.write(sample)
        name = f"{self._destination.spec.name}:{uri.location}"
        self.samples[name] = self.samples.get(name, 0) + 1

    def close(self) -> None:
        for writer in self._writers.values():
            writer.close()


def _safe_split(sample: Sample) -> str:
    split = sample.split or ""
    if not split or split.startswith(".") or any(mark in split for mark in "/\\\0:"):
        raise DataError(sample.source, f"the split {split!r} cannot be part of a file name", "rename the split")
    return split


def _check_labels(sample: Sample, label_map: LabelMap, source: str) -> None:
    for position, label in enumerate(sample.boxes.labels, start=1):
        if label not in label_map:
            raise DataError(
                sample.source or sample.image.name,
                f"the class {label!r} is not in {source} ({', '.join(label_map.names)})",
                "add it there, or give another --label-map",
                f"box {position}",
            )


def _scanned_label_map(dataset: Dataset, reporter: Reporter) -> LabelMap:
    with reporter.task("Looking for the classes", dataset.info.num_samples) as task:
        return LabelMap.from_names(dataset.labels(task.advance))


def _refuse_losses(dataset: Dataset, destination: _Destination, reporter: Reporter) -> None:
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


def _refuse_to_swallow(source: str, target: str) -> None:
    if is_remote(source) or is_remote(target):
        return
    if Path(target).resolve() in Path(source).resolve().parents:
        raise UsageError(f"{target} holds the source {source}, which would be replaced", "choose another target")
