"""The outputs of a conversion: its targets, their label map file and their sidecars."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from boxwright.datasets.dataset import Dataset
from boxwright.datasets.losses import LossCounter
from boxwright.datasets.problems import Problems
from boxwright.datasets.protocols import NumberedWriter, Reader, Writer
from boxwright.datasets.sidecar import SidecarWriter, sidecar_path
from boxwright.errors import DataError, OutputError, UsageError
from boxwright.label_map import LabelMap, read_label_map
from boxwright.plugins.options import convert_options
from boxwright.plugins.registry import Registry, require
from boxwright.plugins.specs import FormatSpec
from boxwright.progress import Reporter, Task
from boxwright.schemas import Sample
from boxwright.storage.filesystem import read_file, remove_file
from boxwright.storage.output import AtomicOutput
from boxwright.storage.uri import DatasetURI, is_remote, join
from boxwright.text import is_text


class _NotCommittedError(Exception):
    """The block ended without a commit."""


class Destination:
    """The parsed target with its format."""

    def __init__(self, target: str | DatasetURI, plugins: Registry, *, overwrite: bool) -> None:
        self.uri = DatasetURI.parse(target) if isinstance(target, str) else target
        self.overwrite = overwrite
        name = self.uri.format or _format_of_suffix(self.uri.location, plugins)
        entry = plugins.get("format", name)
        spec: FormatSpec = entry.spec
        if not spec.write:
            raise UsageError(f"the format {name!r} can be read and not written", "see `boxwright formats`")
        require("format", entry)
        self.options = convert_options(self.uri.options, spec.write_options, f"{name}:{self.uri.location}")
        self.spec = spec.written_with(self.options)
        self._make = plugins.resolve("format", name, "write")

    def writer(self, output: AtomicOutput, label_map: LabelMap | None) -> Writer:
        """The format's writer for one target."""
        writer: Writer = self._make(output, label_map if self.spec.numbered else None, **self.options)
        return writer

    @property
    def needs_label_map(self) -> bool:
        """Whether the writer cannot begin without knowing all classes."""
        if self.spec.numbered == "late":
            return isinstance(self._make, NumberedWriter) and self._make.needs_label_map(**self.options)
        return self.spec.numbered

    def loss_counter(self, dataset: Dataset) -> LossCounter:
        """Returns a counter of what this format does not carry."""
        return LossCounter(self.spec, split_in_name=self.uri.has_split, dataset_attributes=dataset.info.attributes)

    def read_back(self, uri: DatasetURI, plugins: Registry) -> Iterator[Sample]:
        """Yields the samples of a target, read with the options that the reader shares with the writer."""
        shared = {name: value for name, value in self.options.items() if name in {o.name for o in self.spec.options}}
        reader: Reader = plugins.resolve("format", self.spec.name)(uri.location, **shared)
        return reader.read(Problems())

    @property
    def label_map_path(self) -> str:
        """The path of the format's own label map file, or ``""``."""
        if not self.spec.label_map_file:
            return ""
        if self.label_map_inside:
            return join(self.uri.location, self.spec.label_map_file)
        folder, slash, _ = self.uri.location.partition("{split}")[0].replace("\\", "/").rpartition("/")
        return folder + slash + self.spec.label_map_file

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
class LabelMapFile:
    """The label map file of an output: its path, and its content if it exists already."""

    path: str
    label_map: LabelMap | None
    source: str
    reused: bool
    inside: bool = False

    @classmethod
    def choose(cls, given: str | Path | LabelMap | None, destination: Destination) -> LabelMapFile:
        """Returns the given one, else the one that is next to the target already, else a new one."""
        usual, inside = destination.label_map_path, destination.label_map_inside
        if isinstance(given, LabelMap):
            there = read_label_map(usual) if usual else None
            if there not in (None, given) and not destination.overwrite:
                raise OutputError(
                    f"{usual} has other classes than the given label map",
                    "write to another folder, give that file as the label map, or say --overwrite (overwrite=True)",
                )
            return cls(usual, given, "the given label map", there == given, inside)
        path = str(given) if given is not None else usual
        found = read_label_map(path) if path else None
        return cls(path, found, path, found is not None, inside and given is None)

    @property
    def is_written_apart(self) -> bool:
        """Whether the file must be created, outside the output itself."""
        return bool(self.path) and not self.reused and not self.inside


@dataclass
class Part:
    """One target that is being written."""

    uri: DatasetURI
    output: AtomicOutput
    writer: Writer
    sidecar: SidecarWriter | None
    samples: int = 0


class Outputs:
    """The targets of a conversion while they are written, one per split, with their label map file and their sidecars.

    Use it as a context manager. :meth:`commit` puts everything in place; leaving the block without it removes all.

    Args:
        destination: The parsed target.
        label_map_file: Where the label map goes.
        label_map: The classes, where the writers need them.
        source: What is converted.
        sidecar: Whether sidecars are written.
    """

    def __init__(
        self,
        destination: Destination,
        label_map_file: LabelMapFile,
        label_map: LabelMap | None,
        source: Dataset,
        *,
        sidecar: bool,
    ) -> None:
        self._destination = destination
        self._label_map_file = label_map_file
        self._label_map = label_map
        self._source = source
        self._sidecar = sidecar
        self._targets = ExitStack()
        self._sidecars = ExitStack()
        self._label_map_output: AtomicOutput | None = None
        self._parts: dict[str, Part] = {}

    def __enter__(self) -> Outputs:
        with ExitStack() as undo:
            undo.push(self)
            # The first on the stack is put in place last: a label map appears after what it describes.
            if self._label_map_file.is_written_apart:
                output = AtomicOutput(self._label_map_file.path, overwrite=True)
                self._label_map_output = self._targets.enter_context(output)
            if not self._destination.uri.has_split:
                self._open(self._destination.uri)  # at once, so that an existing target is refused before any work
            undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._targets.__exit__(kind or _NotCommittedError, error or _NotCommittedError(), trace)
        finally:
            self._sidecars.close()

    @property
    def samples(self) -> dict[str, int]:
        """The number of images by target."""
        return {
            f"{self._destination.spec.name}:{part.uri.location}": part.samples
            for part in self._parts.values()
            if part.samples
        }

    def _open(self, uri: DatasetURI) -> Part:
        destination, info = self._destination, self._source.info
        if destination.spec.target == "folder":
            _refuse_to_swallow(info.location, uri.location)
        sidecar_location = sidecar_path(destination.spec, uri.location)
        if destination.spec.target == "file" and not destination.overwrite and read_file(sidecar_location) is not None:
            raise OutputError(
                f"{sidecar_location} exists already", "choose another name, or say --overwrite (overwrite=True)"
            )
        output = AtomicOutput(
            uri.location,
            destination.spec.target,
            overwrite=destination.overwrite,
            dataset_attributes=info.attributes,
        )
        self._targets.enter_context(output)
        sidecar = None
        if self._sidecar:
            classes = self._label_map if self._label_map is not None else self._source.known_label_map
            sidecar = SidecarWriter(sidecar_location, info, classes, destination.spec.carries)
            self._sidecars.callback(sidecar.close)
        writer = destination.writer(output, self._label_map)
        part = self._parts[uri.location] = Part(uri, output, writer, sidecar)
        return part

    def write(self, sample: Sample) -> None:
        """Writes a sample to the part of its split.

        Raises:
            DataError: The format cannot store it, or its split cannot be part of a file name.
            UsageError: The target has ``{split}`` in it and the sample has no split.
        """
        uri = self._destination.uri
        if uri.has_split:
            if sample.split is None:
                raise UsageError(
                    f"{uri} has {{split}} in it, and {sample.image.name} has no split",
                    "add a step that makes them: --with split:train=0.8,test=0.2",
                )
            uri = uri.for_split(_safe_split(sample))
        part = self._parts.get(uri.location) or self._open(uri)
        record = part.sidecar.record(sample) if part.sidecar is not None else None
        part.writer.write(sample)
        if part.sidecar is not None and record is not None:
            part.sidecar.add(sample, record)
        part.samples += 1

    @property
    def single(self) -> Part:
        """The part of a target without ``{split}``."""
        (part,) = self._parts.values()
        return part

    def commit(self, classes: Iterable[str]) -> None:
        """Finishes all writers, writes the label map, and puts everything in place.

        Args:
            classes: The classes that were written, for a label map that was not known before.

        Raises:
            OutputError: Something cannot be written; nothing was changed.
        """
        for part in self._parts.values():
            part.writer.close()
        files = [] if self._label_map_output is None else [self._label_map_output.open()]
        if (
            self._label_map_file.path and self._label_map_file.inside
        ):  # a folder that is replaced takes its old label map with it
            name = os.path.basename(self._label_map_file.path)
            files = [part.output.open(name) for part in self._parts.values()]
        for file in files:
            known = self._label_map if self._label_map is not None else LabelMap.from_names(sorted(classes))
            with file:
                file.write(known.to_pbtxt().encode())
        self._targets.close()

    def write_sidecars(self, plugins: Registry, reporter: Reporter) -> list[str]:
        """Reads the targets back once they are in place, and writes a sidecar with what is missing in each."""
        written = []
        for part in self._parts.values():
            if part.sidecar is None:
                remove_file(sidecar_path(self._destination.spec, part.uri.location))
                continue
            with reporter.task("Reading back what was written", part.samples) as task:
                part.sidecar.write(_advancing(self._destination.read_back(part.uri, plugins), task))
            written.append(part.sidecar.path)
        return written


def _advancing(samples: Iterable[Sample], task: Task) -> Iterator[Sample]:
    for sample in samples:
        yield sample
        task.advance()


def _safe_split(sample: Sample) -> str:
    split = sample.split or ""
    if not split or split.startswith(".") or any(mark in split for mark in "/\\\0:") or not is_text(split):
        raise DataError(sample.source, f"the split {split!r} cannot be part of a file name", "rename the split")
    return split


def _refuse_to_swallow(source: str, target: str) -> None:
    if is_remote(source) or is_remote(target):
        return
    if Path(target).resolve() in Path(source).resolve().parents:
        raise UsageError(f"{target} contains the source {source}, which would be replaced", "choose another target")


_REMEDY = "correct it in the source, or skip the image with --on-error skip"


def located_error(error: DataError | UnicodeEncodeError, sample: Sample) -> DataError:
    """Returns the error of a sample that could not be written, with the box if a class is the cause."""
    place = sample.source or sample.image.name
    for position, label in enumerate(sample.boxes.labels, start=1):
        if not is_text(label):
            problem = f"the class {label!r} contains an unpaired surrogate, which cannot be written as UTF-8"
            return DataError(place, problem, _REMEDY, f"box {position}")
    if isinstance(error, DataError):
        return error
    problem = f"{error.object!r:.200} contains an unpaired surrogate, which cannot be written as UTF-8"
    return DataError(place, problem, _REMEDY)
